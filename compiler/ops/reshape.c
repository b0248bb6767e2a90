/* reshape.c - flatten and reshape: the same elements in row-major order, in another shape. */
#include "ops/ops.h"

#include <inttypes.h>
#include <string.h>

#define MAX_EXTENT ((double)((int64_t)1 << 40))

const AttrSpec attrs_flatten[] = {
    ATTR(axis, ATTR_INT, .fallback = 1, .min = -MAX_RANK, .max = MAX_RANK),
};
ATTRS_END(flatten);

bool shape_flatten(Graph *g, NodeId n)
{
    Type    x = *shape_in(g, n, 0);
    int     axis;
    int64_t dims[2] = {1, 1};
    if (!shape_axis(g, n, node_get(g, n)->attrs.axis, x.rank, x.rank + 1, &axis))
        return false;
    for (int i = 0; i < x.rank; i++)
        dims[i >= axis] *= x.dims[i];
    return shape_set(g, n, x.elem, 2, dims);
}

const AttrSpec attrs_reshape[] = {
    ATTR_NAMED("shape", list, ATTR_LIST, .required = true, .may_be_empty = true, .min = -1,
               .max = MAX_EXTENT),
};
ATTRS_END(reshape);

bool shape_reshape(Graph *g, NodeId n)
{
    IntList shape = node_get(g, n)->attrs.list;
    Type    x = *shape_in(g, n, 0);
    int64_t known = 1, count = type_count(&x);
    int     inferred = -1;
    for (int i = 0; i < shape.n; i++) {
        if (shape.v[i] == 0 && i >= x.rank)
            return shape_error(g, n, "entry %d of shape is 0 (copy), but the input has rank %d", i,
                               x.rank);
        if (shape.v[i] == -1 && inferred >= 0)
            return shape_error(g, n, "shape has two entries -1, expected at most one");
        if (shape.v[i] == -1) {
            inferred = i;
            continue;
        }
        shape.v[i] = shape.v[i] == 0 ? x.dims[i] : shape.v[i];
        if (!mul_ok(known, shape.v[i], &known))
            return shape_error(g, n, "shape has more than 2^63 elements");
    }
    if (inferred >= 0)
        shape.v[inferred] = count / known;
    if (inferred >= 0 ? count % known != 0 : count != known)
        return shape_error(g, n,
                           "%s has %" PRId64 " elements, which shape cannot hold: its known "
                           "entries multiply to %" PRId64,
                           type_text(g->arena, &x), count, known);
    return shape_set(g, n, x.elem, shape.n, shape.v);
}

static void eval_copy(const Array *x, Array *y)
{
    memcpy(y->data, x->data, (size_t)type_count(&y->type) * sizeof(double));
}

void eval_flatten(const Node *n, const Array *const in[], Array *out)
{
    (void)n;
    eval_copy(in[0], out);
}

void eval_reshape(const Node *n, const Array *const in[], Array *out)
{
    (void)n;
    eval_copy(in[0], out);
}

/* From a stored layout to row-major: channel by channel, so that no padding lane is written. */
static void gather_channels(Graph *g, Kernel *k, ValueId xv, ValueId yv)
{
    const Type *x = &value_get(g, xv)->type;
    int64_t     d[4], block = x->layout.block;
    dims_nchw(x, d);
    for (int tail = 0; tail < 2; tail++) {
        int64_t blocks = tail ? 1 : d[1] / block, lanes = tail ? d[1] % block : block;
        if (blocks == 0 || lanes == 0)
            continue;
        LoopId loops[5] = {kernel_loop_if(k, "n", d[0], PARALLEL, AXIS_NONE),
                           kernel_loop_if(k, "c", blocks, PARALLEL, AXIS_NONE),
                           kernel_loop_if(k, "cl", lanes, PARALLEL, AXIS_NONE),
                           kernel_loop_if(k, "h", d[2], PARALLEL, AXIS_NONE),
                           kernel_loop_if(k, "w", d[3], PARALLEL, AXIS_NONE)};
        At     at = {block,
                     affine_loop(loops[0]),
                     affine_loop(loops[1]),
                     affine_loop(loops[2]),
                     affine_loop(loops[3]),
                     affine_loop(loops[4])};
        at.cb = affine_offset(at.cb, tail ? d[1] / block : 0);
        Affine c = affine_add(affine_scale(at.cb, block), at.cl);
        Affine to = affine_add(affine_scale(at.n, d[1]), c);
        to = affine_add(affine_scale(to, d[2]), at.h);
        to = affine_add(affine_scale(to, d[3]), at.w);
        Stmt *store = st_store(k, lower_buffer(g, k, yv), to, ASSIGN, lower_load(g, k, xv, x, &at));
        st_add(k, k->body, lower_nest(k, loops, 5, store));
    }
}

/* Nothing to do where the output lives in the input; a flat copy between row-major values. */
static void lower_view(Graph *g, NodeId id, Kernel *k)
{
    const Node  *n = node_get(g, id);
    const Value *x = value_get(g, n->in[0]), *y = value_get(g, n->out);
    if (value_is_placed(g, n->in[0], n->out, 0))
        return;
    if (!type_is_plain(&x->type)) {
        gather_channels(g, k, n->in[0], n->out);
        return;
    }
    LoopId      i = kernel_loop_if(k, "i", type_count(&y->type), PARALLEL, AXIS_LANE);
    const Expr *e = ex_load(k, lower_buffer(g, k, n->in[0]), affine_loop(i));
    st_add(k, k->body,
           st_for(k, i, st_store(k, lower_buffer(g, k, n->out), affine_loop(i), ASSIGN, e)));
}

void lower_flatten(Graph *g, NodeId n, Kernel *k)
{
    lower_view(g, n, k);
}

void lower_reshape(Graph *g, NodeId n, Kernel *k)
{
    lower_view(g, n, k);
}
