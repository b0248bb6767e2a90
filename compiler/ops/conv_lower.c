/* conv_lower.c - conv2d, linear and the parts of conv_transpose as loops.
 *
 * One nest serves every convolution: output channels in blocks of `by` lanes, input channels in blocks of
 * `bx`, both 1 on a target without vectors.
 *
 *     for n0, g, ocb, n1, oh, ow, ocl
 *         acc = bias[oc]
 *         for icb, kh, kw, icl
 *             acc += x[n, ic, oh*stride + kh*dilation - pad, ..] * w[oc, ic, kh, kw]
 *         y[n, oc, oh, ow] = epilogue(acc)
 *
 * Weights that outgrow the cache are read once for n1 images (images_together).
 *
 * A part of a transposed convolution (conv_transpose.c) differs in where y is written, and may have a
 * loop over phases beside oh.
 *
 * Groups: with whole blocks a group (or without blocks) g is a loop of its own. Narrow groups that
 * share a block are made dense: within one block of L channels the weights between groups are zero, so
 * a block becomes a group of L. Depthwise (one channel a group) multiplies lane by lane. */
#include "ops/ops.h"
#include "target/target.h"

#include <string.h>

/* How the channels are cut into loops. */
typedef struct Cut {
    int64_t       groups;    /* extent of loop g, whole blocks each; 1: no loop */
    int64_t       oc, ic;    /* channels of a group, padded to blocks           */
    int64_t       by, bx;    /* lanes of y and x                                */
    int64_t       il;        /* of those of x, the ones that hold channels      */
    bool          depthwise; /* g is the channel block; lane by lane            */
    const Tensor *weight;    /* possibly made dense                             */
} Cut;

static int64_t round_up(int64_t v, int64_t b)
{
    return (v + b - 1) / b * b;
}

/* Weights of one block of `lanes` channels as a full matrix, zero between the groups inside it:
 * [O, cg, KH, KW] becomes [O, lanes, KH, KW]. */
static const Tensor *dense_groups(Arena *a, const Tensor *w, int64_t lanes)
{
    const int64_t *d = w->type.dims;
    int64_t        cg = d[1], taps = d[2] * d[3];
    Tensor        *t = tensor_new(a, w->type.elem, 4, (int64_t[]){d[0], lanes, d[2], d[3]});
    const size_t   size = elem_bytes(w->type.elem);
    const char    *from = w->data;
    char          *to = (char *)(uintptr_t)t->data;
    for (int64_t o = 0; o < d[0]; o++) {
        int64_t first = o % lanes / cg * cg; /* the group's first channel within the block */
        memcpy(to + (size_t)((o * lanes + first) * taps) * size,
               from + (size_t)(o * cg * taps) * size, (size_t)(cg * taps) * size);
    }
    return t;
}

static Cut conv_cut(const Graph *g, const Node *n, const Tensor *w, Arena *a)
{
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    int64_t     groups = n->attrs.groups, ocg = y->dims[1] / groups, icg = x->dims[1] / groups;
    int64_t     by = y->layout.block, bx = x->layout.block;
    int64_t     il = icg < bx && groups == 1 ? icg : bx;
    if (bx > 1 && x->elem == BF16)
        il = round_up(il, 2); /* they are multiplied in pairs */
    Cut c = {groups, ocg, icg, by, bx, il, false, w};
    if (by == 1)
        return c;
    if (groups > 1 && ocg == 1 && icg == 1) {
        c.depthwise = true;
        c.groups = round_up(y->dims[1], by) / by;
        c.oc = by;
        c.ic = 1;
    } else if (groups > 1 && icg % bx != 0) {
        c.weight = w ? dense_groups(a, w, by) : NULL;
        c.groups = y->dims[1] / by;
        c.oc = c.ic = by;
    } else {
        c.oc = round_up(ocg, by);
        c.ic = round_up(icg, bx);
    }
    return c;
}

typedef struct ConvLoops {
    LoopId n0, g, ocb, n1, rh, oh, rw, ow, ocl; /* parallel */
    LoopId icb, kh, kw, icl;                    /* reduce   */
    Affine image;
} ConvLoops;

/* images_together - how many images are done for each tile of output channels before the next: as many as
 * stay in the second-level cache meanwhile, where the weights, NULL if there are none, do not stay there. A
 * divisor of the batch. */
static int64_t images_together(const Kernel *k, const Type *x, const Tensor *weight)
{
    if (!k->target || !weight)
        return 1;
    int64_t most = k->target->l2_bytes / 2, images = x->dims[0];
    int64_t image = type_stored_count(x) / images * (int64_t)elem_bytes(x->elem);
    if (type_count(&weight->type) * (int64_t)elem_bytes(weight->type.elem) <= most)
        return 1;
    while (images > 1 && (x->dims[0] % images || images * image > most))
        images--;
    return images;
}

static ConvLoops conv_loops(Kernel *k, const Cut *c, int64_t images, int64_t together,
                            const ConvAxis axis[2])
{
    ConvLoops l;
    /* Without vectors or input blocks the taps are innermost; unroll_k is about the innermost loop. */
    LoopAxis kw_axis = c->bx == 1 ? AXIS_K : AXIS_NONE;
    l.n0 = kernel_loop_if(k, "n", images / together, PARALLEL, AXIS_NONE);
    l.n1 = kernel_loop_if(k, "n", together, PARALLEL, AXIS_NONE);
    l.image = affine_add(affine_scale(affine_loop(l.n0), together), affine_loop(l.n1));
    l.g = kernel_loop_if(k, "g", c->groups, PARALLEL, AXIS_NONE);
    l.ocb = kernel_loop_if(k, "oc", c->oc / c->by, PARALLEL, AXIS_N);
    l.rh = kernel_loop_if(k, "rh", axis[0].phases, PARALLEL, AXIS_NONE);
    l.oh = kernel_loop_if(k, "oh", axis[0].count, PARALLEL, c->by == 1 ? AXIS_NONE : AXIS_H);
    l.rw = kernel_loop_if(k, "rw", axis[1].phases, PARALLEL, AXIS_NONE);
    l.ow = kernel_loop_if(k, "ow", axis[1].count, PARALLEL, AXIS_M);
    l.ocl = kernel_loop_if(k, "ol", c->by, PARALLEL, AXIS_LANE);
    l.icb = kernel_loop_if(k, "ic", c->depthwise ? 1 : c->ic / c->bx, REDUCE, AXIS_NONE);
    l.kh = kernel_loop_if(k, "kh", axis[0].taps ? axis[0].taps : 1, REDUCE, AXIS_NONE);
    l.kw = kernel_loop_if(k, "kw", axis[1].taps ? axis[1].taps : 1, REDUCE, kw_axis);
    l.icl = c->depthwise ? 0 : kernel_loop_if(k, "il", c->il, REDUCE, AXIS_K);
    return l;
}

/* The row (or column) of x that output `o` of an axis reads with tap `tap`. */
static Affine axis_reads(const ConvAxis *a, LoopId o, LoopId tap)
{
    Affine at = affine_add(affine_scale(affine_loop(o), a->stride),
                           affine_scale(affine_loop(tap), a->dilation));
    return affine_offset(at, a->offset);
}

static Affine axis_writes(const ConvAxis *a, LoopId o, LoopId phase)
{
    Affine at = affine_add(affine_scale(affine_loop(o), a->out_stride), affine_loop(phase));
    return affine_offset(at, a->out_offset);
}

static At conv_x_at(const ConvAxis axis[2], const Cut *c, const ConvLoops *l)
{
    At at = {.block = c->bx, .n = l->image};
    at.cb = affine_add(affine_scale(affine_loop(l->g), c->depthwise ? 1 : c->ic / c->bx),
                       affine_loop(l->icb));
    at.cl = affine_loop(c->depthwise ? l->ocl : l->icl);
    at.h = axis_reads(&axis[0], l->oh, l->kh);
    at.w = axis_reads(&axis[1], l->ow, l->kw);
    return at;
}

static At conv_y_at(const ConvAxis axis[2], const Cut *c, const ConvLoops *l)
{
    At at = {.block = c->by, .n = l->image, .cl = affine_loop(l->ocl)};
    at.cb = affine_add(affine_scale(affine_loop(l->g), c->oc / c->by), affine_loop(l->ocb));
    at.h = axis_writes(&axis[0], l->oh, l->rh);
    at.w = axis_writes(&axis[1], l->ow, l->rw);
    return at;
}

/* A guard around `body`, unless `index` stays within [-before, bound + after) anyway. */
static Stmt *conv_guard(Kernel *k, Affine index, int64_t bound, int64_t before, int64_t after,
                        Stmt *body)
{
    Range r = affine_range(k, &index);
    if (r.min >= -before && r.max < bound + after)
        return body;
    return st_guard(k, &(Test){index, bound}, 1, body);
}

/* The entry of the weight's row (or column) dimension. */
static Affine weight_tap(const ConvAxis *a, LoopId tap, LoopId phase)
{
    return affine_add(affine_scale(affine_loop(tap), a->phases), affine_loop(phase));
}

/* The weight of one step: row-major over the padded [O, I/groups, KH, KW]. */
static const Expr *conv_weight(Kernel *k, ValueId v, const Cut *c, const ConvAxis axis[2],
                               const ConvLoops *l)
{
    const int64_t *d = c->weight->type.dims;
    int64_t        padded[4] = {c->groups * c->oc, c->depthwise ? 1 : c->ic, d[2], d[3]};
    BufferId       w = kernel_weight(k, "w", c->weight, padded, v);
    Affine         o =
        affine_add(affine_scale(affine_loop(l->g), c->oc),
                   affine_add(affine_scale(affine_loop(l->ocb), c->by), affine_loop(l->ocl)));
    Affine i = affine_add(affine_scale(affine_loop(l->icb), c->bx), affine_loop(l->icl));
    Affine at = affine_add(affine_scale(o, padded[1]), i);
    at = affine_add(affine_scale(at, d[2]), weight_tap(&axis[0], l->kh, l->rh));
    at = affine_add(affine_scale(at, d[3]), weight_tap(&axis[1], l->kw, l->rw));
    return ex_cast(k, F32, ex_load(k, w, at));
}

/* The reduce loops around the step. Padding is tested outside the loops over channels that the tests
 * do not depend on. `--fp exact` fixes one order of summation for all targets: kh, kw, ic. */
static Stmt *conv_reduce(Kernel *k, const Graph *g, const Node *n, const ConvLoops *l, const At *xa,
                         Stmt *step)
{
    const Type   *x = &value_get(g, n->in[0])->type;
    const Layout *xl = &x->layout;
    bool          channels_last = k->fp == FP_EXACT;
    Stmt         *s = st_for(k, l->icl, step);
    if (channels_last)
        s = st_for(k, l->icb, s);
    s = conv_guard(k, xa->w, x->dims[3], xl->left, xl->right, s);
    s = st_for(k, l->kw, s);
    s = conv_guard(k, xa->h, x->dims[2], xl->top, xl->bottom, s);
    s = st_for(k, l->kh, s);
    return channels_last ? s : st_for(k, l->icb, s);
}

const Expr *lower_bias(Graph *g, Kernel *k, const Node *n, const At *at)
{
    if (n->n_own < 3 || !n->in[2])
        return NULL;
    Type        per_channel = {F32, 2, {1, value_get(g, n->out)->type.dims[1]}, {1, 0, 0, 0, 0}};
    const Expr *e = lower_load(g, k, n->in[2], &per_channel, at);
    k->buffers[e->buffer].name = "b";
    return e;
}

/* The bias is the accumulator's first value. */
static Stmt *init_bias(Kernel *k, Graph *g, const Node *n, TempId acc, const At *ya)
{
    const Expr *bias = lower_bias(g, k, n, ya);
    return st_set(k, acc, ASSIGN, bias ? bias : ex_const(k, 0.0));
}

void lower_conv_part(Graph *g, Kernel *k, const Node *n, const ConvAxis axis[2],
                     const Tensor *weight)
{
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    Cut         c = conv_cut(g, n, weight, k->arena);
    ConvLoops   l = conv_loops(k, &c, y->dims[0], images_together(k, x, weight), axis);
    At          xa = conv_x_at(axis, &c, &l), ya = conv_y_at(axis, &c, &l);
    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    Stmt       *leaf = st_block(k);
    st_add(k, leaf, init_bias(k, g, n, acc, &ya));
    if (axis[0].taps && axis[1].taps) {
        const Expr *in = lower_load(g, k, n->in[0], x, &xa);
        const Expr *product = ex_binary(k, B_MUL, in, conv_weight(k, n->in[1], &c, axis, &l));
        st_add(k, leaf, conv_reduce(k, g, n, &l, &xa, st_set(k, acc, ASSIGN_ADD, product)));
    }
    Stmt *store = lower_store(g, k, n->out, &ya, lower_epilogue(g, k, n, ex_temp(k, acc), &ya));
    st_add(k, leaf, store);
    const LoopId parallel[] = {l.n0, l.g, l.ocb, l.n1, l.rh, l.oh, l.rw, l.ow, l.ocl};
    st_add(k, k->body, lower_nest(k, parallel, (int)COUNT_OF(parallel), leaf));
}

void lower_conv2d(Graph *g, NodeId id, Kernel *k)
{
    const Node    *n = node_get(g, id);
    const OpAttrs *a = &n->attrs;
    if (n->winograd || n->expansion) {
        (n->winograd ? lower_winograd : lower_expanded)(g, id, k);
        return;
    }
    const Type   *y = &value_get(g, n->out)->type;
    const Tensor *w = value_get(g, n->in[1])->constant;
    ConvAxis      axis[2];
    for (int i = 0; i < 2; i++)
        axis[i] = (ConvAxis){.count = y->dims[2 + i],
                             .phases = 1,
                             .taps = w->type.dims[2 + i],
                             .stride = a->strides[i],
                             .dilation = a->dilations[i],
                             .offset = -a->padding[i],
                             .out_stride = 1};
    k->macs = type_count(y) * w->type.dims[1] * w->type.dims[2] * w->type.dims[3];
    lower_zero_halo(g, k, n->out);
    lower_conv_part(g, k, n, axis, w);
}

/* linear reads x in the order of its memory: x may be [N, I] or a stored [N, C, H, W] whose flattened
 * channels, rows and columns are the weight's columns. */
void lower_linear(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    const Tensor *w = value_get(g, n->in[1])->constant;
    int64_t       xd[4], by = y->layout.block, bx = x->layout.block;
    dims_nchw(x, xd);
    LoopId batch = kernel_loop_if(k, "n", xd[0], PARALLEL, AXIS_M);
    LoopId ob = kernel_loop_if(k, "oc", round_up(y->dims[1], by) / by, PARALLEL, AXIS_N);
    LoopId ol = kernel_loop_if(k, "ol", by, PARALLEL, AXIS_LANE);
    LoopId ic = kernel_loop_if(k, "ic", round_up(xd[1], bx) / bx, REDUCE, AXIS_K);
    LoopId ih = kernel_loop_if(k, "ih", xd[2], REDUCE, AXIS_NONE);
    LoopId iw = kernel_loop_if(k, "iw", xd[3], REDUCE, AXIS_NONE);
    LoopId il = kernel_loop_if(k, "il", bx, REDUCE, AXIS_NONE);
    At     xa = {
            bx, affine_loop(batch), affine_loop(ic), affine_loop(il), affine_loop(ih), affine_loop(iw)};
    At ya = {
        by, affine_loop(batch), affine_loop(ob), affine_loop(ol), affine_const(0), affine_const(0)};
    k->macs = type_count(y) * xd[1] * xd[2] * xd[3];

    /* The weight's columns as [C, H, W], so that whole channels can be padded to blocks. */
    Tensor *view = arena_struct(k->arena, Tensor);
    *view = (Tensor){type_plain(w->type.elem, 4, (int64_t[]){w->type.dims[0], xd[1], xd[2], xd[3]}),
                     w->data};
    int64_t  padded[4] = {round_up(y->dims[1], by), round_up(xd[1], bx), xd[2], xd[3]};
    BufferId wb = kernel_weight(k, "w", view, padded, n->in[1]);
    Affine   at = affine_add(affine_scale(affine_loop(ob), by), affine_loop(ol));
    at = affine_add(affine_scale(at, padded[1]),
                    affine_add(affine_scale(affine_loop(ic), bx), affine_loop(il)));
    at = affine_add(affine_scale(at, xd[2]), affine_loop(ih));
    at = affine_add(affine_scale(at, xd[3]), affine_loop(iw));

    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    const Expr *weight = ex_cast(k, F32, ex_load(k, wb, at));
    const Expr *product = ex_binary(k, B_MUL, lower_load(g, k, n->in[0], x, &xa), weight);
    Stmt       *reduce = st_set(k, acc, ASSIGN_ADD, product);
    /* --fp exact: the row-major order of the flattened input, whatever its layout. */
    const LoopId by_memory[] = {ic, ih, iw, il}, by_shape[] = {ic, il, ih, iw};
    reduce = lower_nest(k, k->fp == FP_EXACT ? by_shape : by_memory, 4, reduce);
    Stmt *leaf = st_block(k);
    st_add(k, leaf, init_bias(k, g, n, acc, &ya));
    st_add(k, leaf, reduce);
    st_add(k, leaf, lower_store(g, k, n->out, &ya, lower_epilogue(g, k, n, ex_temp(k, acc), &ya)));
    st_add(k, k->body, lower_nest(k, (LoopId[]){batch, ob, ol}, 3, leaf));
}
