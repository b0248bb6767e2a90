/* arith.c - elementwise ops of two inputs, broadcast as NumPy does. */
#include "ops/ops.h"

NO_ATTRS(add);
NO_ATTRS(sub);
NO_ATTRS(mul);
NO_ATTRS(div);
NO_ATTRS(max);
NO_ATTRS(min);
NO_ATTRS(pow);

static bool shape_binary(Graph *g, NodeId n)
{
    Type out;
    return shape_floats(g, n) &&
           shape_broadcast(g, n, shape_in(g, n, 0), shape_in(g, n, 1), &out) &&
           shape_set(g, n, F32, out.rank, out.dims);
}

static void eval_binary_op(const Node *n, const Array *const in[], Array *out)
{
    int64_t count = type_count(&out->type);
    for (int64_t i = 0; i < count; i++) {
        double a = in[0]->data[broadcast_index(&out->type, &in[0]->type, i)];
        double b = in[1]->data[broadcast_index(&out->type, &in[1]->type, i)];
        out->data[i] = eval_elementwise(n->op, &n->attrs, a, b);
    }
}

static void lower_binary(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *y = &value_get(g, n->out)->type;
    Element     e = element_loops(g, k, n->out);
    const Expr *a = element_load(g, k, n->in[0], y, &e);
    const Expr *b = element_load(g, k, n->in[1], y, &e);
    element_store(g, k, n, &e, lower_elementwise(k, n->op, &n->attrs, a, b));
}

#define BINARY(op)                                                                                 \
    bool shape_##op(Graph *g, NodeId n)                                                            \
    {                                                                                              \
        return shape_binary(g, n);                                                                 \
    }                                                                                              \
    void eval_##op(const Node *n, const Array *const in[], Array *out)                             \
    {                                                                                              \
        eval_binary_op(n, in, out);                                                                \
    }                                                                                              \
    void lower_##op(Graph *g, NodeId n, Kernel *k)                                                 \
    {                                                                                              \
        lower_binary(g, n, k);                                                                     \
    }

BINARY(add)
BINARY(sub)
BINARY(mul)
BINARY(div)
BINARY(max)
BINARY(min)
BINARY(pow)
