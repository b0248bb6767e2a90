/* reduce.c - mean, sum, maximum, minimum over any axes of a row-major tensor. */
#include "ops/ops.h"

#include <inttypes.h>
#include <math.h>

/* Without axes it is over everything, as in ONNX. */
#define REDUCE_AXES     ATTR_NAMED("axes", list, ATTR_LIST, .min = -MAX_RANK, .max = MAX_RANK - 1)
#define REDUCE_KEEPDIMS ATTR(keepdims, ATTR_BOOL, .fallback = 1)

const AttrSpec attrs_reduce_mean[] = {REDUCE_AXES, REDUCE_KEEPDIMS};
ATTRS_END(reduce_mean);

const AttrSpec attrs_reduce_sum[] = {REDUCE_AXES, REDUCE_KEEPDIMS};
ATTRS_END(reduce_sum);

const AttrSpec attrs_reduce_max[] = {REDUCE_AXES, REDUCE_KEEPDIMS};
ATTRS_END(reduce_max);

const AttrSpec attrs_reduce_min[] = {REDUCE_AXES, REDUCE_KEEPDIMS};
ATTRS_END(reduce_min);

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

static bool shape_reduce(Graph *g, NodeId n)
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
static void reduced_strides(const Type *x, const bool *reduced, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        strides[i] = reduced[i] ? 0 : stride;
        stride *= reduced[i] ? 1 : x->dims[i];
    }
}

/* The first value of the sum or extreme. */
static double neutral(Op op)
{
    return op == OP_reduce_max ? -INFINITY : op == OP_reduce_min ? INFINITY : 0;
}

static void eval_reduce(const Node *n, const Array *const in[], Array *out)
{
    const Type *x = &in[0]->type;
    bool        reduced[MAX_RANK] = {false};
    int64_t     strides[MAX_RANK], inputs = type_count(x), outputs = type_count(&out->type);
    mark_reduced(&n->attrs, x->rank, reduced);
    reduced_strides(x, reduced, strides);
    for (int64_t i = 0; i < outputs; i++)
        out->data[i] = neutral(n->op);
    for (int64_t i = 0; i < inputs; i++) {
        int64_t at = 0, rest = i;
        for (int d = x->rank - 1; d >= 0; rest /= x->dims[d--])
            at += rest % x->dims[d] * strides[d];
        double v = in[0]->data[i], *acc = &out->data[at];
        switch (n->op) {
        case OP_reduce_max: *acc = v > *acc ? v : *acc; break;
        case OP_reduce_min: *acc = v < *acc ? v : *acc; break;
        default: *acc += v; break;
        }
    }
    for (int64_t i = 0; i < outputs && n->op == OP_reduce_mean; i++)
        out->data[i] /= (double)(inputs / outputs);
}

/* The step and what becomes of the result; a minimum is the maximum of the negated. */
static void lower_reduce(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type;
    bool        reduced[MAX_RANK] = {false}, is_min = n->op == OP_reduce_min;
    bool        is_extreme = is_min || n->op == OP_reduce_max;
    int64_t     strides[MAX_RANK];
    LoopId      parallel[MAX_RANK], reduce[MAX_RANK];
    Affine      from[MAX_RANK], to = affine_const(0);
    mark_reduced(&n->attrs, x->rank, reduced);
    reduced_strides(x, reduced, strides);
    for (int i = 0; i < x->rank; i++) {
        LoopAxis axis = i == x->rank - 1 && !reduced[i] ? AXIS_LANE : AXIS_NONE;
        LoopId   l = kernel_loop_if(k, "d", x->dims[i], reduced[i] ? REDUCE : PARALLEL, axis);
        parallel[i] = reduced[i] ? 0 : l;
        reduce[i] = reduced[i] ? l : 0;
        from[i] = affine_loop(l);
        to = affine_add(to, affine_scale(from[i], strides[i]));
    }
    TempId      acc = kernel_temp(k, is_extreme ? "acc" : "sum", vtype(F32, 1));
    const Expr *term = lower_load_plain(g, k, n->in[0], from), *value = ex_temp(k, acc);
    Stmt       *body = st_block(k);
    st_add(k, body, st_set(k, acc, ASSIGN, ex_const(k, is_extreme ? -INFINITY : 0)));
    term = is_min ? ex_unary(k, U_NEG, term) : term;
    Stmt *step = st_set(k, acc, is_extreme ? ASSIGN_MAX : ASSIGN_ADD, term);
    st_add(k, body, lower_nest(k, reduce, x->rank, step));
    double count = (double)(type_count(x) / type_count(&value_get(g, n->out)->type));
    if (n->op == OP_reduce_mean)
        value = ex_binary(k, B_MUL, value, ex_const(k, 1 / count));
    value = is_min ? ex_unary(k, U_NEG, value) : value;
    st_add(k, body, st_store(k, lower_buffer(g, k, n->out), to, ASSIGN, value));
    st_add(k, k->body, lower_nest(k, parallel, x->rank, body));
}

#define REDUCE(op)                                                                                 \
    bool shape_##op(Graph *g, NodeId n)                                                            \
    {                                                                                              \
        return shape_reduce(g, n);                                                                 \
    }                                                                                              \
    void eval_##op(const Node *n, const Array *const in[], Array *out)                             \
    {                                                                                              \
        eval_reduce(n, in, out);                                                                   \
    }                                                                                              \
    void lower_##op(Graph *g, NodeId n, Kernel *k)                                                 \
    {                                                                                              \
        lower_reduce(g, n, k);                                                                     \
    }

REDUCE(reduce_mean)
REDUCE(reduce_sum)
REDUCE(reduce_max)
REDUCE(reduce_min)
