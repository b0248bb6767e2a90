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
 * Groups (conv_cut.c): with whole blocks a group (or without blocks) g is a loop of its own, of narrow groups
 * that share a block g is the block. Where they are not made dense, og is the group in it, and
 *
 *     acc += x[n, g, og*cg + icl, ..] * w[g, og*cg + ocl, icl, ..] */
#include "ops/ops.h"
#include "target/target.h"

typedef struct ConvLoops {
    LoopId n0, g, ocb, n1, rh, oh, rw, ow, og, ocl; /* parallel */
    LoopId icb, kh, kw, icl;                        /* reduce   */
    Affine image;
} ConvLoops;

/* images_together - how many images are done for each tile of output channels before the next: as many as
 * stay in the second-level cache meanwhile, where the weights, NULL if there are none, do not stay there. A
 * divisor of the batch. */
static int64_t images_together(const Kernel *k, const Type *x, const Tensor *weight)
{
    if (!k->target || !weight)
        return 1;
    int64_t most = k->target->l2_bytes / 2, all = x->dims[0], images = 1;
    int64_t image = type_stored_count(x) / all * (int64_t)elem_bytes(x->elem);
    if (type_count(&weight->type) * (int64_t)elem_bytes(weight->type.elem) <= most)
        return 1;
    for (int64_t i = 2; i <= all && i * image <= most; i++)
        images = all % i ? images : i;
    return images;
}

/* taps_are_inside - whether the loop over columns of the filter stands inside that over channels. `--fp exact`
 * fixes one order of summation for all targets: kh, kw, ic. */
static bool taps_are_inside(const Kernel *k, const ConvCut *c)
{
    return c->picked && k->fp != FP_EXACT && target_turns(k->target, c->picked) == 1;
}

static ConvLoops conv_loops(Kernel *k, const ConvCut *c, int64_t images, int64_t together,
                            const ConvAxis axis[2])
{
    ConvLoops l;
    /* Without vectors or input blocks the taps are innermost, and where lanes are picked, so that taps share
     * them; unroll_k is about the innermost loop. */
    bool     taps_inside = taps_are_inside(k, c);
    LoopAxis kw_axis = taps_inside || c->bx == 1 ? AXIS_K : AXIS_NONE;
    l.n0 = kernel_loop_if(k, "n", images / together, PARALLEL, AXIS_NONE);
    l.n1 = kernel_loop_if(k, "n", together, PARALLEL, AXIS_NONE);
    l.image = affine_add(affine_scale(affine_loop(l.n0), together), affine_loop(l.n1));
    l.g = kernel_loop_if(k, "g", c->groups, PARALLEL, AXIS_NONE);
    l.ocb = kernel_loop_if(k, "oc", c->oc / c->by, PARALLEL, AXIS_N);
    l.rh = kernel_loop_if(k, "rh", axis[0].phases, PARALLEL, AXIS_NONE);
    l.oh = kernel_loop_if(k, "oh", axis[0].count, PARALLEL, c->by == 1 ? AXIS_NONE : AXIS_H);
    l.rw = kernel_loop_if(k, "rw", axis[1].phases, PARALLEL, AXIS_NONE);
    l.ow = kernel_loop_if(k, "ow", axis[1].count, PARALLEL, AXIS_M);
    l.og = kernel_loop_if(k, "og", c->picked ? c->by / c->picked : 1, PARALLEL, AXIS_GROUP);
    l.ocl = kernel_loop_if(k, "ol", c->picked ? c->picked : c->by, PARALLEL, AXIS_LANE);
    l.icb = kernel_loop_if(k, "ic", c->icb, REDUCE, AXIS_NONE);
    l.kh = kernel_loop_if(k, "kh", axis[0].taps ? axis[0].taps : 1, REDUCE, AXIS_NONE);
    l.kw = kernel_loop_if(k, "kw", axis[1].taps ? axis[1].taps : 1, REDUCE, kw_axis);
    l.icl = kernel_loop_if(k, "il", c->il, REDUCE, taps_inside ? AXIS_NONE : AXIS_K);
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

static At conv_x_at(const ConvAxis axis[2], const ConvCut *c, const ConvLoops *l)
{
    At at = {.block = c->bx, .n = l->image};
    at.cb = affine_add(affine_scale(affine_loop(l->g), c->icb), affine_loop(l->icb));
    at.cl = affine_add(affine_scale(affine_loop(l->og), c->picked),
                       affine_loop(c->depthwise ? l->ocl : l->icl));
    at.h = axis_reads(&axis[0], l->oh, l->kh);
    at.w = axis_reads(&axis[1], l->ow, l->kw);
    return at;
}

/* The lane of a block of y. */
static Affine conv_lane(const ConvCut *c, const ConvLoops *l)
{
    return affine_add(affine_scale(affine_loop(l->og), c->picked), affine_loop(l->ocl));
}

static At conv_y_at(const ConvAxis axis[2], const ConvCut *c, const ConvLoops *l)
{
    At at = {.block = c->by, .n = l->image, .cl = conv_lane(c, l)};
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
static const Expr *conv_weight(Kernel *k, ValueId v, const ConvCut *c, const ConvAxis axis[2],
                               const ConvLoops *l)
{
    const int64_t *d = c->weight->type.dims;
    int64_t        padded[4] = {c->groups * c->oc, c->ic, d[2], d[3]};
    BufferId       w = kernel_weight(k, "w", c->weight, padded, v);
    Affine         o = affine_add(affine_scale(affine_loop(l->g), c->oc),
                                  affine_add(affine_scale(affine_loop(l->ocb), c->by), conv_lane(c, l)));
    Affine         i = affine_add(affine_scale(affine_loop(l->icb), c->bx), affine_loop(l->icl));
    Affine         at = affine_add(affine_scale(o, padded[1]), i);
    at = affine_add(affine_scale(at, d[2]), weight_tap(&axis[0], l->kh, l->rh));
    at = affine_add(affine_scale(at, d[3]), weight_tap(&axis[1], l->kw, l->rw));
    return ex_cast(k, F32, ex_load(k, w, at));
}

/* The reduce loops around the step. Padding is tested outside the loops over channels that the tests
 * do not depend on. */
static Stmt *conv_reduce(Kernel *k, const Graph *g, const Node *n, const ConvCut *c,
                         const ConvLoops *l, const At *xa, Stmt *step)
{
    const Type   *x = &value_get(g, n->in[0])->type;
    const Layout *xl = &x->layout;
    bool          channels_last = k->fp == FP_EXACT, taps_inside = taps_are_inside(k, c);
    Stmt         *s = taps_inside ? step : st_for(k, l->icl, step);
    if (channels_last)
        s = st_for(k, l->icb, s);
    s = conv_guard(k, xa->w, x->dims[3], xl->left, xl->right, s);
    s = st_for(k, l->kw, s);
    if (taps_inside)
        s = st_for(k, l->icl, s);
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
    ConvCut     c = conv_cut(g, k, n, weight);
    ConvLoops   l = conv_loops(k, &c, y->dims[0], images_together(k, x, weight), axis);
    At          xa = conv_x_at(axis, &c, &l), ya = conv_y_at(axis, &c, &l);
    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    Stmt       *leaf = st_block(k);
    st_add(k, leaf, init_bias(k, g, n, acc, &ya));
    if (axis[0].taps && axis[1].taps) {
        const Expr *in = lower_load(g, k, n->in[0], x, &xa);
        const Expr *product = ex_binary(k, B_MUL, in, conv_weight(k, n->in[1], &c, axis, &l));
        st_add(k, leaf, conv_reduce(k, g, n, &c, &l, &xa, st_set(k, acc, ASSIGN_ADD, product)));
    }
    Stmt *store = lower_store(g, k, n->out, &ya, lower_epilogue(g, k, n, ex_temp(k, acc), &ya));
    st_add(k, leaf, store);
    const LoopId parallel[] = {l.n0, l.g, l.ocb, l.n1, l.rh, l.oh, l.rw, l.ow, l.og, l.ocl};
    st_add(k, k->body, lower_nest(k, parallel, (int)COUNT_OF(parallel), leaf));
}

void lower_conv2d(Graph *g, NodeId id, Kernel *k)
{
    const Node    *n = node_get(g, id);
    const OpAttrs *a = &n->attrs;
    static void (*const by[])(Graph *, NodeId, Kernel *) = {
        [WINOGRAD] = lower_winograd, [STRASSEN] = lower_strassen, [INNER] = lower_inner};
    if (n->algorithm != DIRECT || n->expansion) {
        (n->expansion ? lower_expanded : by[n->algorithm])(g, id, k);
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
    LoopId ob = kernel_loop_if(k, "oc", whole_blocks(y->dims[1], by) / by, PARALLEL, AXIS_N);
    LoopId ol = kernel_loop_if(k, "ol", by, PARALLEL, AXIS_LANE);
    LoopId ic = kernel_loop_if(k, "ic", whole_blocks(xd[1], bx) / bx, REDUCE, AXIS_K);
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
    int64_t  padded[4] = {whole_blocks(y->dims[1], by), whole_blocks(xd[1], bx), xd[2], xd[3]};
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
