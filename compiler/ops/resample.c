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
