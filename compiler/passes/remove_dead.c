/* remove_dead.c - nodes that change nothing, and nodes nobody reads. */
#include "passes/passes.h"
#include "ops/ops.h"

static bool all_are(const int64_t *v, int n, int64_t what)
{
    for (int i = 0; i < n; i++) {
        if (v[i] != what)
            return false;
    }
    return true;
}

static bool is_identity_perm(const OpAttrs *a)
{
    for (int i = 0; i < a->list.n; i++) {
        if (a->list.v[i] != i)
            return false;
    }
    return true;
}

/* is_noop - whether the node's output is its first input, element by element. */
static bool is_noop(const Graph *g, const Node *n)
{
    const OpAttrs *a = &n->attrs;
    const Value   *in = graph_input(g, n, 0), *out = value_get(g, n->out);
    if (!in || n->epilogue.n_steps || !type_same_shape(&in->type, &out->type) ||
        in->type.elem != out->type.elem || !layout_same(in->type.layout, out->type.layout))
        return false;
    switch (n->op) {
    case OP_identity:
    case OP_dropout:
    case OP_flatten:
    case OP_reshape:
    case OP_adaptive_avg_pool: /* into as many rows and columns as there are */
    case OP_global_avg_pool:
    case OP_global_max_pool:
    case OP_upsample:
    case OP_reduce_sum:
    case OP_reduce_max:
    case OP_reduce_min:
    case OP_reduce_mean: /* over axes of extent 1 */ return true;
    case OP_transpose: return is_identity_perm(a);
    case OP_pad: return all_are(a->padding, 4, 0);
    case OP_slice: return all_are(a->steps.v, a->steps.n, 1);
    case OP_concat: return n->n_own == 1;
    case OP_depth_to_space:
    case OP_space_to_depth: return a->block == 1;
    case OP_channel_shuffle: return a->groups == 1 || a->groups == in->type.dims[1];
    case OP_max_pool:
    case OP_avg_pool:
        return all_are(a->kernel, 2, 1) && all_are(a->strides, 2, 1) && all_are(a->padding, 4, 0);
    default: return false;
    }
}

/* may_stand_in - whether `in` can take the place of `out`. A model output needs a value of its own,
 * computed by a node: inputs and constants are not written. */
static bool may_stand_in(const Value *in, const Value *out)
{
    return !out->is_output || (in->producer && !in->is_output);
}

static bool remove_noops(Graph *g)
{
    bool changed = false;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        const Node *node = node_get(g, n);
        if (!is_noop(g, node) || !may_stand_in(graph_input(g, node, 0), value_get(g, node->out)))
            continue;
        graph_replace_uses(g, node->out, node->in[0]);
        graph_remove(g, n);
        changed = true;
    }
    return changed;
}

/* remove_unused - from the last node to the first, so that what only dead nodes read dies too. */
static bool remove_unused(Graph *g)
{
    bool changed = false;
    for (NodeId n = g->last, prev; n; n = prev) {
        prev = node_get(g, n)->prev;
        const Value *out = value_get(g, node_get(g, n)->out);
        if (out->n_users || out->is_output)
            continue;
        graph_remove(g, n);
        changed = true;
    }
    return changed;
}

/* pass_remove_dead - drop nodes that change nothing or go unused.
 *
 *     identity(x), dropout(x), a pad by nothing, a reshape to the same shape, a concat of one
 * value, a slice of everything, a 1x1 pooling ...   become   x
 *
 * A node stays where its output is a model output and its input is a model input, a constant or
 * another model output: the value has to be copied.
 * Needs shapes. Returns true if the graph changed. */
bool pass_remove_dead(Graph *g, const PassContext *c)
{
    (void)c;
    bool noops = remove_noops(g);
    return remove_unused(g) || noops;
}
