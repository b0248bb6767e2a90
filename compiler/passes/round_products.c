/* round_products.c - values and weights that are multiplied in bf16 (--fp fast). */
#include "passes/passes.h"
#include "ops/ops.h"

/* pays - whether direct sums of pairs take fewer cycles than anything there is for f32. */
static bool pays(const Graph *g, NodeId id, const PassContext *c, const CostContext *costs_of)
{
    Span          where;
    AlgorithmCost dots, costs[MAX_ALGORITHMS];
    int           fixed = schedule_winograd(c->schedules, node_get(g, id)->name, &where);
    int           n = cost_algorithms(g, id, costs_of, costs);
    if (!cost_dots(g, id, costs_of, &dots))
        return false;
    for (int i = 0; i < n; i++)
        if (!costs[i].why_not && dots.cycles >= costs[i].cycles && (i == 0 || fixed != 0))
            return false;
    return fixed <= 0;
}

static int64_t n_channels(const Graph *g, const Node *n)
{
    return value_get(g, n->out)->type.dims[1];
}

/* sums_pairs - whether node `id` could multiply its input in pairs of channels, and is better off so.
 * Groups would have to be cut into pairs; a single channel makes none. */
static bool sums_pairs(const Graph *g, NodeId id, const PassContext *c, const CostContext *costs)
{
    const Node *n = node_get(g, id);
    if ((n->op != OP_conv2d && n->op != OP_linear) || n->attrs.groups > 1)
        return false;
    if (c->target->matrix_rows && type_count(&value_get(g, n->out)->type) == n_channels(g, n))
        return false;
    const Value *x = graph_input(g, n, 0), *w = graph_input(g, n, 1);
    if (x->type.dims[1] < 2 || !w->constant || graph_only_user(g, n->in[1]) != id)
        return false;
    return (w->type.elem == F32 || w->type.elem == BF16) && pays(g, id, c, costs);
}

/* stores_bf16 - whether the lowering of an op writes through lower_store, which rounds. */
static bool stores_bf16(Op op)
{
    return op == OP_conv2d || op == OP_linear || op == OP_max_pool || op == OP_avg_pool;
}

/* is_multiplied - whether nodes that sum pairs are all that reads `v`, as what they sum. */
static bool is_multiplied(const Graph *g, ValueId v, const PassContext *c, const CostContext *costs)
{
    const Value *value = value_get(g, v);
    if (!value->producer || !value->n_users || value->is_output || value->type.elem != F32 ||
        !stores_bf16(node_get(g, value->producer)->op))
        return false;
    for (size_t i = 0; i < value->n_users; i++)
        if (value->slots[i] != 0 || !sums_pairs(g, value->users[i], c, costs))
            return false;
    return true;
}

/* round_users - the weights that `v` is multiplied by. */
static void round_users(Graph *g, ValueId v, StoreLoss *loss)
{
    for (size_t i = 0; i < value_get(g, v)->n_users; i++) {
        ValueId w = node_get(g, value_get(g, v)->users[i])->in[1];
        if (value_get(g, w)->type.elem == F32)
            weight_round(g, w, BF16, loss);
    }
}

/* pass_round_products - under --fp fast, on a target with I_DOT, let convolutions and linear layers
 * multiply bf16 where that is estimated to be faster: their weights are rounded, and so is what they
 * read, by the node that makes it.
 *
 * A value that others read too, as a residual sum does, stays f32, and with it the products: a node
 * multiplies either bf16 or f32. So do groups, inputs of the model and of convolutions that Winograd's
 * method serves better. From here on the evaluator run on the graph says what the emitted code computes.
 * Needs shapes. Returns true when something is rounded. */
bool pass_round_products(Graph *g, const PassContext *c)
{
    StoreLoss   unused = {0}, *loss = c->loss ? c->loss : &unused;
    bool        changed = false;
    CostContext costs = cost_context(g, c);
    if (!c->fast || !c->target || !target_find(c->target, I_DOT, BF16, c->target->lanes))
        return false;
    for (ValueId v = 1; v < g->n_values; v++) {
        if (!is_multiplied(g, v, c, &costs))
            continue;
        value_at(g, v)->type.elem = BF16;
        round_users(g, v, loss);
        changed = true;
    }
    return changed;
}
