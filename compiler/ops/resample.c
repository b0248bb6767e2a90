/* resample.c - upsample and channel_shuffle: ops that repeat or interleave rows, columns, channels.
 */
#include "ops/ops.h"

#include <inttypes.h>

/* ---- upsample --------------------------------------------------------------------------- */

const AttrSpec attrs_upsample[] = {
    ATTR(scales, ATTR_INTS, .count = 2, .required = true, .min = 1, .max = ATTR_MAX_INT),
};
ATTRS_END(upsample);

bool shape_upsample(Graph *g, NodeId n)
{
    if (!shape_floats(g, n) || !shape_rank(g, n, 4))
        return false;
    Type x = *shape_in(g, n, 0);
    for (int i = 0; i < 2; i++)
        if (!mul_ok(x.dims[2 + i], node_get(g, n)->attrs.scales[i], &x.dims[2 + i]))
            return shape_error(g, n, "the output has more than 2^63 %s", i ? "columns" : "rows");
    return shape_set(g, n, F32, 4, x.dims);
}

void eval_upsample(const Node *n, const Array *const in[], Array *out)
{
    const int64_t *xd = in[0]->type.dims, *yd = out->type.dims, *scales = n->attrs.scales;
    double        *y = out->data;
    for (int64_t plane = 0; plane < yd[0] * yd[1]; plane++)
        for (int64_t oh = 0; oh < yd[2]; oh++)
            for (int64_t ow = 0; ow < yd[3]; ow++)
                *y++ = in[0]->data[(plane * xd[2] + oh / scales[0]) * xd[3] + ow / scales[1]];
}

/* for n, c, h, h copy, w, w copy:  y[.., h * scale + copy, ..] = x[.., h, ..] */
void lower_upsample(Graph *g, NodeId id, Kernel *k)
{
    const Node    *n = node_get(g, id);
    const Type    *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    const int64_t *scales = n->attrs.scales;
    int64_t        block = y->layout.block;
    LoopId         loops[7] = {
                kernel_loop_if(k, "n", y->dims[0], PARALLEL, AXIS_NONE),
                kernel_loop_if(k, "c", (y->dims[1] + block - 1) / block, PARALLEL, AXIS_NONE),
                kernel_loop_if(k, "h", x->dims[2], PARALLEL, AXIS_NONE),
                kernel_loop_if(k, "hi", scales[0], PARALLEL, AXIS_NONE),
                kernel_loop_if(k, "w", x->dims[3], PARALLEL, AXIS_NONE),
                kernel_loop_if(k, "wi", scales[1], PARALLEL, AXIS_NONE),
                kernel_loop_if(k, "cl", block, PARALLEL, AXIS_LANE)};
    At from = {block,
               affine_loop(loops[0]),
               affine_loop(loops[1]),
               affine_loop(loops[6]),
               affine_loop(loops[2]),
               affine_loop(loops[4])};
    At to = from;
    to.h = affine_add(affine_scale(from.h, scales[0]), affine_loop(loops[3]));
    to.w = affine_add(affine_scale(from.w, scales[1]), affine_loop(loops[5]));
    const Expr *e = lower_epilogue(g, k, n, lower_load(g, k, n->in[0], x, &from), &to);
    lower_zero_halo(g, k, n->out);
    st_add(k, k->body, lower_nest(k, loops, 7, lower_store(g, k, n->out, &to, e)));
}

/* ---- channel_shuffle -------------------------------------------------------------------- */

const AttrSpec attrs_channel_shuffle[] = {
    ATTR(groups, ATTR_INT, .required = true, .min = 1, .max = ATTR_MAX_INT),
};
ATTRS_END(channel_shuffle);

bool shape_channel_shuffle(Graph *g, NodeId n)
{
    const Type *x = shape_in(g, n, 0);
    int64_t     groups = node_get(g, n)->attrs.groups;
    if (x->rank < 2)
        return shape_error(g, n, "input is %s, expected at least rank 2: [N, C, ...]",
                           type_text(g->arena, x));
    if (x->dims[1] % groups != 0)
        return shape_error(g, n, "%" PRId64 " channels do not divide into %" PRId64 " groups",
                           x->dims[1], groups);
    return shape_copy(g, n);
}

/* Channel c of the output is channel (c % groups) * (C / groups) + c / groups of the input. */
void eval_channel_shuffle(const Node *n, const Array *const in[], Array *out)
{
    int64_t outer, channels, inner, groups = n->attrs.groups;
    axis_spans(&out->type, 1, &outer, &channels, &inner);
    for (int64_t i = 0; i < outer * channels * inner; i++) {
        int64_t c = i / inner % channels, from = c % groups * (channels / groups) + c / groups;
        out->data[i] = in[0]->data[i + (from - c) * inner];
    }
}

void lower_channel_shuffle(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    int64_t     outer, channels, inner, groups = n->attrs.groups;
    axis_spans(&value_get(g, n->out)->type, 1, &outer, &channels, &inner);
    int64_t members = channels / groups;
    LoopId  o = kernel_loop_if(k, "n", outer, PARALLEL, AXIS_NONE);
    LoopId  j = kernel_loop_if(k, "c", members, PARALLEL, AXIS_NONE);
    LoopId  i = kernel_loop_if(k, "g", groups, PARALLEL, AXIS_NONE);
    LoopId  p = kernel_loop_if(k, "i", inner, PARALLEL, AXIS_LANE);
    Affine  image = affine_scale(affine_loop(o), channels);
    Affine  from = affine_add(affine_scale(affine_loop(i), members), affine_loop(j));
    Affine  to = affine_add(affine_scale(affine_loop(j), groups), affine_loop(i));
    from = affine_add(affine_scale(affine_add(image, from), inner), affine_loop(p));
    to = affine_add(affine_scale(affine_add(image, to), inner), affine_loop(p));
    Stmt *store = st_store(k, lower_buffer(g, k, n->out), to, ASSIGN,
                           ex_load(k, lower_buffer(g, k, n->in[0]), from));
    st_add(k, k->body, lower_nest(k, (LoopId[]){o, j, i, p}, 4, store));
}

/* ---- depth_to_space, space_to_depth ------------------------------------------------------ */

static const char *const depth_orders[] = {"dcr", "crd", NULL};

#define DEPTH_BLOCK ATTR(block, ATTR_INT, .required = true, .min = 1, .max = 1 << 15)
#define DEPTH_ORDER ATTR_NAMED("mode", channels_first, ATTR_BOOL, .names = depth_orders)

const AttrSpec attrs_depth_to_space[] = {DEPTH_BLOCK, DEPTH_ORDER};
ATTRS_END(depth_to_space);

const AttrSpec attrs_space_to_depth[] = {DEPTH_BLOCK, DEPTH_ORDER};
ATTRS_END(space_to_depth);

bool shape_depth_to_space(Graph *g, NodeId n)
{
    if (!shape_rank(g, n, 4))
        return false;
    int64_t b = node_get(g, n)->attrs.block;
    Type    x = *shape_in(g, n, 0);
    if (x.dims[1] % (b * b) != 0)
        return shape_error(g, n, "%" PRId64 " channels do not divide by %" PRId64 " x %" PRId64,
                           x.dims[1], b, b);
    return shape_set(g, n, x.elem, 4,
                     (int64_t[]){x.dims[0], x.dims[1] / (b * b), x.dims[2] * b, x.dims[3] * b});
}

bool shape_space_to_depth(Graph *g, NodeId n)
{
    if (!shape_rank(g, n, 4))
        return false;
    int64_t b = node_get(g, n)->attrs.block;
    Type    x = *shape_in(g, n, 0);
    for (int i = 2; i < 4; i++)
        if (x.dims[i] % b != 0)
            return shape_error(g, n, "%" PRId64 " %s do not divide by %" PRId64, x.dims[i],
                               i == 2 ? "rows" : "columns", b);
    if (x.dims[1] > INT64_MAX / (b * b))
        return shape_error(g, n, "the output has more than 2^63 channels");
    return shape_set(g, n, x.elem, 4,
                     (int64_t[]){x.dims[0], x.dims[1] * b * b, x.dims[2] / b, x.dims[3] / b});
}

/* Elements between neighbours along n, c, row of a block, column of a block, h, w, in the tensor
 * that has depth and in the one that has space. */
static void depth_strides(const OpAttrs *a, const Type *depth, int64_t in_depth[6],
                          int64_t in_space[6])
{
    int64_t b = a->block, h = depth->dims[2], w = depth->dims[3], c = depth->dims[1] / (b * b);
    int64_t channel[3] = {1, b * c, c}; /* of c, i, j: dcr */
    if (a->channels_first) {
        channel[0] = b * b;
        channel[1] = b;
        channel[2] = 1;
    }
    const int64_t d[6] = {
        depth->dims[1] * h * w, channel[0] * h * w, channel[1] * h * w, channel[2] * h * w, w, 1};
    const int64_t s[6] = {depth->dims[1] * h * w, h * w * b * b, w * b, 1, w * b * b, b};
    for (int i = 0; i < 6; i++) {
        in_depth[i] = d[i];
        in_space[i] = s[i];
    }
}

/* The extents of n, c, row of a block, column of a block, h, w. */
static void depth_extents(const OpAttrs *a, const Type *depth, int64_t extents[6])
{
    int64_t       b = a->block;
    const int64_t e[6] = {depth->dims[0], depth->dims[1] / (b * b), b, b, depth->dims[2],
                          depth->dims[3]};
    for (int i = 0; i < 6; i++)
        extents[i] = e[i];
}

static void eval_depth(const OpAttrs *a, const Type *depth, bool to_space, const double *x,
                       double *y)
{
    int64_t extents[6], in_depth[6], in_space[6], count = type_count(depth);
    depth_extents(a, depth, extents);
    depth_strides(a, depth, in_depth, in_space);
    for (int64_t i = 0; i < count; i++) {
        int64_t d = 0, s = 0, rest = i;
        for (int k = 5; k >= 0; rest /= extents[k--]) {
            d += rest % extents[k] * in_depth[k];
            s += rest % extents[k] * in_space[k];
        }
        y[to_space ? s : d] = x[to_space ? d : s];
    }
}

void eval_depth_to_space(const Node *n, const Array *const in[], Array *out)
{
    eval_depth(&n->attrs, &in[0]->type, true, in[0]->data, out->data);
}

void eval_space_to_depth(const Node *n, const Array *const in[], Array *out)
{
    eval_depth(&n->attrs, &out->type, false, in[0]->data, out->data);
}

/* for n, c, h, i, w, j of to_space; for n, i, j, c, h, w of to_depth: in the order of the output. */
static void lower_depth(Graph *g, NodeId id, Kernel *k, const Type *depth, bool to_space)
{
    static const char *const names[6] = {"n", "c", "i", "j", "h", "w"};
    static const int         space_order[6] = {0, 1, 4, 2, 5, 3}, dcr[6] = {0, 2, 3, 1, 4, 5},
                     crd[6] = {0, 1, 2, 3, 4, 5};
    const Node *n = node_get(g, id);
    const int  *order = to_space ? space_order : n->attrs.channels_first ? crd : dcr;
    int64_t     extents[6], in_depth[6], in_space[6];
    LoopId      loops[6];
    Affine      d = affine_const(0), s = affine_const(0);
    depth_extents(&n->attrs, depth, extents);
    depth_strides(&n->attrs, depth, in_depth, in_space);
    for (int i = 0; i < 6; i++) {
        int at = order[i];
        loops[i] = kernel_loop_if(k, names[at], extents[at], PARALLEL, AXIS_NONE);
        d = affine_add(d, affine_scale(affine_loop(loops[i]), in_depth[at]));
        s = affine_add(s, affine_scale(affine_loop(loops[i]), in_space[at]));
    }
    BufferId x = lower_buffer(g, k, n->in[0]), y = lower_buffer(g, k, n->out);
    Stmt    *store = st_store(k, y, to_space ? s : d, ASSIGN, ex_load(k, x, to_space ? d : s));
    st_add(k, k->body, lower_nest(k, loops, 6, store));
}

void lower_depth_to_space(Graph *g, NodeId n, Kernel *k)
{
    lower_depth(g, n, k, shape_in(g, n, 0), true);
}

void lower_space_to_depth(Graph *g, NodeId n, Kernel *k)
{
    lower_depth(g, n, k, &value_get(g, node_get(g, n)->out)->type, false);
}
