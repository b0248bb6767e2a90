/* reduce.c - reduce_mean: over any axes of a row-major tensor. */
#include "ops/ops.h"

#include <inttypes.h>

/* Without axes it is the mean of everything, as in ONNX. */
const AttrSpec attrs_reduce_mean[] = {
    ATTR_NAMED("axes", list, ATTR_LIST, .min = -MAX_RANK, .max = MAX_RANK - 1),
    ATTR(keepdims, ATTR_BOOL, .fallback = 1),
};
ATTRS_END(reduce_mean);

static void mark_reduced(const OpAttrs *a, int rank, bool *reduced)
{
    for (int i = 0; i < rank; i++)
        reduced[i] = a->list.n == 0;
    for (int i = 0; i < a->list.n; i++)
        reduced[axis_from_end(a->list.v[i], rank)] = true;
}

/* The dims of `x` without those where reduced[i]; with `keep` they become 1. Nothing left: [1]. */
static int reduced_dims(const Type *x, const bool *reduced, bool keep, int64_t *dims)
{
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    }
    if (rank == 0)
        dims[rank++] = 1;
    return rank;
}

bool shape_reduce_mean(Graph *g, NodeId n)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    Type           x = *shape_in(g, n, 0);
    bool           reduced[MAX_RANK] = {false}, seen[MAX_RANK] = {false};
    int64_t        dims[MAX_RANK];
    for (int i = 0; i < a->list.n; i++) {
        int axis;
        if (!shape_axis(g, n, a->list.v[i], x.rank, x.rank, &axis))
            return false;
        if (seen[axis])
            return shape_error(g, n, "axis %" PRId64 " is given twice", a->list.v[i]);
        seen[axis] = true;
    }
    mark_reduced(a, x.rank, reduced);
    int rank = reduced_dims(&x, reduced, a->keepdims, dims);
    return shape_floats(g, n) && shape_set(g, n, F32, rank, dims);
}

/* Elements between neighbours along each dim of x in the output: 0 along the reduced ones. */
static void mean_strides(const Type *x, const bool *reduced, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        strides[i] = reduced[i] ? 0 : stride;
        stride *= reduced[i] ? 1 : x->dims[i];
    }
}

void eval_reduce_mean(const Node *n, const Array *const in[], Array *out)
{
    const Type *x = &in[0]->type;
    bool        reduced[MAX_RANK] = {false};
    int64_t     strides[MAX_RANK], inputs = type_count(x), outputs = type_count(&out->type);
    mark_reduced(&n->attrs, x->rank, reduced);
    mean_strides(x, reduced, strides);
    for (int64_t i = 0; i < outputs; i++)
        out->data[i] = 0;
    for (int64_t i = 0; i < inputs; i++) {
        int64_t at = 0, rest = i;
        for (int d = x->rank - 1; d >= 0; rest /= x->dims[d--])
            at += rest % x->dims[d] * strides[d];
        out->data[at] += in[0]->data[i];
    }
    for (int64_t i = 0; i < outputs; i++)
        out->data[i] /= (double)(inputs / outputs);
}

void lower_reduce_mean(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type;
    bool        reduced[MAX_RANK] = {false};
    int64_t     strides[MAX_RANK];
    LoopId      parallel[MAX_RANK], reduce[MAX_RANK];
    Affine      from[MAX_RANK], to = affine_const(0);
    mark_reduced(&n->attrs, x->rank, reduced);
    mean_strides(x, reduced, strides);
    for (int i = 0; i < x->rank; i++) {
        LoopAxis axis = i == x->rank - 1 && !reduced[i] ? AXIS_LANE : AXIS_NONE;
        LoopId   l = kernel_loop_if(k, "d", x->dims[i], reduced[i] ? REDUCE : PARALLEL, axis);
        parallel[i] = reduced[i] ? 0 : l;
        reduce[i] = reduced[i] ? l : 0;
        from[i] = affine_loop(l);
        to = affine_add(to, affine_scale(from[i], strides[i]));
    }
    TempId sum = kernel_temp(k, "sum", (VType){F32, 1});
    double count = (double)(type_count(x) / type_count(&value_get(g, n->out)->type));
    Stmt  *body = st_block(k);
    Stmt  *step = st_set(k, sum, ASSIGN_ADD, lower_load_plain(g, k, n->in[0], from));
    st_add(k, body, st_set(k, sum, ASSIGN, ex_const(k, 0)));
    st_add(k, body, lower_nest(k, reduce, x->rank, step));
    const Expr *mean = ex_binary(k, B_MUL, ex_temp(k, sum), ex_const(k, 1 / count));
    st_add(k, body, st_store(k, lower_buffer(g, k, n->out), to, ASSIGN, mean));
    st_add(k, k->body, lower_nest(k, parallel, x->rank, body));
}
