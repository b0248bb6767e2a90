/* fold.c - the value of a node whose inputs are all constant. */
#include "graph/graph.h"
#include "ops/ops.h"

FoldBudget fold_budget(const Graph *g)
{
    FoldBudget b = {.elements = (int64_t)1 << 22, .work = (int64_t)1 << 30};
    for (ValueId v = 1; v < g->n_values; v++) {
        const Value *value = value_get(g, v);
        if (value->constant)
            b.elements += 4 * type_count(&value->type);
    }
    return b;
}

/* fold_cost - what computing `n` takes, at most. */
static FoldBudget fold_cost(const Graph *g, const Node *n)
{
    FoldBudget cost = {.elements = type_count(&value_get(g, n->out)->type)};
    int64_t    largest = cost.elements;
    for (int i = 0; i < n->n_in; i++) {
        const Value *in = graph_input(g, n, i);
        if (in && type_count(&in->type) > largest)
            largest = type_count(&in->type);
    }
    /* These look at an input once for each output; others may do so once for all of them. */
    unsigned cheap = OPF_UNARY | OPF_BINARY | OPF_VIEW;
    bool     is_cheap = (op_info(n->op)->flags & cheap) || n->op == OP_transpose ||
                    n->op == OP_concat || n->op == OP_dequantize;
    if (is_cheap || !mul_ok(cost.elements, largest, &cost.work))
        cost.work = is_cheap ? largest : INT64_MAX;
    return cost;
}

static bool is_constant(const Graph *g, const Node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const Value *in = graph_input(g, n, i);
        if (in && !in->constant)
            return false;
    }
    return true;
}

static Array constant_array(Arena *a, const Tensor *t)
{
    int64_t count = type_count(&t->type);
    Array   array = {t->type, arena_array(a, double, (size_t)count)};
    for (int64_t i = 0; i < count; i++)
        array.data[i] = tensor_get(t, i);
    return array;
}

/* fold_value - the node's output as a tensor of its element type. */
static const Tensor *fold_value(Graph *g, const Node *n)
{
    Arena        *scratch = arena_new();
    Array        *arrays = arena_array(scratch, Array, (size_t)n->n_in + 1);
    const Array **in = arena_array(scratch, const Array *, (size_t)n->n_in + 1);
    for (int i = 0; i < n->n_in; i++) {
        const Value *value = graph_input(g, n, i);
        if (!value)
            continue;
        arrays[i] = constant_array(scratch, value->constant);
        in[i] = &arrays[i];
    }
    const Type *type = &value_get(g, n->out)->type;
    int64_t     count = type_count(type);
    Array       out = {*type, arena_array(scratch, double, (size_t)count)};
    node_eval(n, in, &out);
    Tensor *t = tensor_new(g->arena, type->elem, type->rank, type->dims);
    for (int64_t i = 0; i < count; i++)
        tensor_set(t, i, out.data[i]);
    arena_free(scratch);
    return t;
}

const Tensor *node_fold(Graph *g, NodeId id, FoldBudget *left)
{
    const Node *n = node_get(g, id);
    if (!is_constant(g, n))
        return NULL;
    FoldBudget cost = fold_cost(g, n);
    if (cost.elements > left->elements || cost.work > left->work)
        return NULL;
    left->elements -= cost.elements;
    left->work -= cost.work;
    return fold_value(g, n);
}
