/* round_products.c - values and weights that are multiplied in bf16 (--fp fast). */
#include "passes/passes.h"
#include "ops/ops.h"
#include "schedule/machine.h"

/* saved - cycles that direct sums of bf16 take less than what there is for f32; 0: none. */
static double saved(const Graph *g, NodeId id, const PassContext *c, const CostContext *costs_of)
{
    Span          where;
    AlgorithmCost dots, costs[MAX_ALGORITHMS];
    const char   *name = node_get(g, id)->name;
    int           tile, fixed = schedule_algorithm(c->schedules, name, &tile, &where);
    int           n = cost_algorithms(g, id, costs_of, costs);
    if (fixed > 0 || !n || !cost_dots(g, id, costs_of, &dots))
        return 0;
    double best = costs[0].cycles;
    for (int i = 1; i < n && fixed < 0; i++)
        if (!costs[i].why_not && costs[i].cycles < best)
            best = costs[i].cycles;
    return best > dots.cycles ? best - dots.cycles : 0;
}

static int64_t n_channels(const Graph *g, const Node *n)
{
    return value_get(g, n->out)->type.dims[1];
}

/* gain - cycles saved where node `id` multiplies its input in pairs of channels; 0: it cannot, or it does
 * not pay. Groups would have to be cut into pairs; a single channel makes none, a single pixel no matrix. */
static double gain(const Graph *g, NodeId id, const PassContext *c, const CostContext *costs)
{
    const Node *n = node_get(g, id);
    if ((n->op != OP_conv2d && n->op != OP_linear) || n->attrs.groups > 1)
        return 0;
    if (c->target->matrix_rows && type_count(&value_get(g, n->out)->type) == n_channels(g, n))
        return 0;
    const Value *x = graph_input(g, n, 0), *w = graph_input(g, n, 1);
    if (x->type.dims[1] < 2 || !w->constant || graph_only_user(g, n->in[1]) != id)
        return 0;
    return w->type.elem == F32 || w->type.elem == BF16 ? saved(g, id, c, costs) : 0;
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
        if (value->slots[i] != 0 || gain(g, value->users[i], c, costs) <= 0)
            return false;
    return true;
}

/* copy_pays - whether the users of `v` that multiply it save more than it takes to write it again in bf16. */
static bool copy_pays(const Graph *g, ValueId v, const PassContext *c, const CostContext *costs)
{
    const Value *value = value_get(g, v);
    const Type  *t = &value->type;
    double bytes = (double)type_count(t) * (double)(elem_bytes(F32) + elem_bytes(BF16)), all = 0;
    if (!value->producer || t->elem != F32 ||
        !(op_info(node_get(g, value->producer)->op)->flags & OPF_BLOCKED))
        return false;
    for (size_t i = 0; i < value->n_users; i++)
        if (value->slots[i] == 0)
            all += gain(g, value->users[i], c, costs);
    return all > bytes / L3_BYTES;
}

/* copy_rounded - let those users read a copy of `v` in bf16. */
static ValueId copy_rounded(Graph *g, ValueId v, const PassContext *c, const CostContext *costs)
{
    ValueId copy = 0;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        if (!n->n_in || n->in[0] != v || gain(g, id, c, costs) <= 0)
            continue;
        if (!copy) {
            const char *name = graph_fresh_name(g, value_get(g, v)->name);
            copy = node_get(g, graph_add(g, OP_identity, name, n->where, 1, &v, NULL, id))->out;
            value_at(g, copy)->type = value_get(g, v)->type;
        }
        graph_set_input(g, id, 0, copy);
    }
    return copy;
}

/* round_value - `v` is kept in bf16, and so are the weights it is multiplied by. */
static void round_value(Graph *g, ValueId v, StoreLoss *loss)
{
    value_at(g, v)->type.elem = BF16;
    for (size_t i = 0; i < value_get(g, v)->n_users; i++) {
        ValueId w = node_get(g, value_get(g, v)->users[i])->in[1];
        if (value_get(g, w)->type.elem == F32)
            weight_round(g, w, BF16, loss);
    }
}

/* pass_round_products - under --fp fast, on a target with I_DOT, let convolutions and linear layers
 * multiply bf16 where that is estimated to be faster: their weights are rounded, and so is what they
 * read, by the node that makes it. Of a value that others read too, as a residual sum does, they get a
 * copy that is rounded, if it pays; the others read f32 as before.
 *
 * Groups, inputs of the model and convolutions that Winograd's method serves better stay f32. From here
 * on the evaluator run on the graph says what the emitted code computes.
 * Needs shapes. Returns true when something is rounded. */
bool pass_round_products(Graph *g, const PassContext *c)
{
    StoreLoss   unused = {0}, *loss = c->loss ? c->loss : &unused;
    bool        changed = false;
    CostContext costs = cost_context(c);
    if (!c->fast || !c->target || !target_find(c->target, I_DOT, BF16, c->target->lanes))
        return false;
    for (ValueId v = 1, n = g->n_values; v < n; v++) {
        ValueId to_round = 0;
        if (is_multiplied(g, v, c, &costs))
            to_round = v;
        else if (copy_pays(g, v, c, &costs))
            to_round = copy_rounded(g, v, c, &costs);
        if (!to_round)
            continue;
        round_value(g, to_round, loss);
        changed = true;
    }
    return changed;
}
