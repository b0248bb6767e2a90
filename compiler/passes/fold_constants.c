/* fold_constants.c - nodes whose inputs are all constant. */
#include "passes/passes.h"
#include "ops/ops.h"

/* A small model may ask for hours of computing and for any amount of memory. What goes past these
 * bounds stays for the emitted code. */
typedef struct Budget {
    int64_t elements; /* that may be made: a few times those the model came with */
    int64_t work;     /* products and the like */
} Budget;

static Budget budget_of(const Graph *g)
{
    Budget b = {.elements = (int64_t)1 << 22, .work = (int64_t)1 << 30};
    for (ValueId v = 1; v < g->n_values; v++) {
        const Value *value = value_get(g, v);
        if (value->constant)
            b.elements += 4 * type_count(&value->type);
    }
    return b;
}

/* fold_cost - what computing `n` takes, at most. */
static Budget fold_cost(const Graph *g, const Node *n)
{
    Budget  cost = {.elements = type_count(&value_get(g, n->out)->type)};
    int64_t largest = cost.elements;
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

static bool is_foldable(const Graph *g, const Node *n, const Budget *left)
{
    for (int i = 0; i < n->n_in; i++) {
        const Value *in = graph_input(g, n, i);
        if (in && !in->constant)
            return false;
    }
    if (value_get(g, n->out)->is_output) /* the model must still write it */
        return false;
    Budget cost = fold_cost(g, n);
    return cost.elements <= left->elements && cost.work <= left->work;
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

/* pass_fold_constants - compute nodes whose inputs are all constant.
 *
 *     transpose(@w) {perm = [1, 0]}   becomes   @w#1
 *
 * Evaluated in double, stored in the element type of the value. Refuses nodes whose value is a
 * model output, and those too large to compute while compiling. Needs shapes. Returns true if the
 * graph changed. */
bool pass_fold_constants(Graph *g, const PassContext *c)
{
    (void)c;
    Budget left = budget_of(g);
    bool   changed = false;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        const Node *node = node_get(g, n);
        if (!is_foldable(g, node, &left))
            continue;
        Budget cost = fold_cost(g, node);
        left.elements -= cost.elements;
        left.work -= cost.work;
        ValueId     out = node->out;
        const char *name = graph_fresh_name(g, value_get(g, out)->name);
        ValueId     folded = graph_add_constant(g, name, fold_value(g, node));
        graph_replace_uses(g, out, folded);
        graph_remove(g, n);
        changed = true;
    }
    return changed;
}
