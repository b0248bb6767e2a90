/* fuse_pool.c - a 2x2 max_pool into the Winograd convolution that makes its input. */
#include "ops/ops.h"
#include "passes/passes.h"

/* takes_pairs - whether `n` is a maximum of each 2x2 and nothing else. */
static bool takes_pairs(const Graph *g, const Node *n)
{
    const OpAttrs *a = &n->attrs;
    if (n->op != OP_max_pool || n->epilogue.n_steps)
        return false;
    const int64_t *x = graph_input(g, n, 0)->type.dims, *y = value_get(g, n->out)->type.dims;
    for (int i = 0; i < 2; i++)
        if (a->kernel[i] != 2 || a->strides[i] != 2 || a->dilations[i] != 1 || a->padding[i] ||
            a->padding[2 + i] || y[2 + i] != x[2 + i] / 2)
            return false;
    return true;
}

/* adds_values - whether the epilogue reads more than constants: those are per channel or have pixels that
 * the pooled output has not. */
static bool adds_values(const Graph *g, const Node *n)
{
    for (int i = n->n_own; i < n->n_in; i++) {
        const Value *v = graph_input(g, n, i);
        const Type  *t = &v->type;
        if (!v->constant || (t->rank > 0 && t->dims[t->rank - 1] > 1) ||
            (t->rank > 1 && t->dims[t->rank - 2] > 1))
            return true;
    }
    return false;
}

/* pool_of - the node that pools what `id` makes and can be done by it; 0: there is none. */
static NodeId pool_of(const Graph *g, NodeId id)
{
    const Node *conv = node_get(g, id);
    NodeId      user = conv->winograd && !conv->pooled[0] ? graph_only_user(g, conv->out) : 0;
    if (!user || !takes_pairs(g, node_get(g, user)) || adds_values(g, conv))
        return 0;
    const Type *x = &value_get(g, conv->out)->type,
               *y = &value_get(g, node_get(g, user)->out)->type;
    return x->layout.block == y->layout.block ? user : 0;
}

static void fuse(Graph *g, NodeId id, NodeId pool)
{
    Node       *conv = node_at(g, id);
    Value      *x = value_at(g, conv->out);
    ValueId     y = node_get(g, pool)->out;
    const char *name = value_get(g, y)->name;
    conv->pooled[0] = x->type.dims[2];
    conv->pooled[1] = x->type.dims[3];
    x->type = value_get(g, y)->type;
    graph_replace_uses(g, y, conv->out);
    graph_remove(g, pool);
    graph_rename_value(g, conv->out, name);
}

/* pass_fuse_pool - pool where the pixels are made: they are not stored and read again.
 *
 *     conv2d(x, w) by winograd 6x6 then relu -> max_pool   becomes   ... then relu, max_pool 2x2
 *
 * Applies to pools of 2x2 with stride 2 and no padding whose input comes from a convolution by Winograd's
 * method, has no other reader, and lies in the same blocks as the output. Tiles have an even number of
 * outputs a side, so each holds all four of a maximum. Needs layouts. Returns true if the graph changed. */
bool pass_fuse_pool(Graph *g, const PassContext *c)
{
    (void)c;
    bool changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        NodeId pool = pool_of(g, n);
        if (!pool)
            continue;
        fuse(g, n, pool);
        changed = true;
    }
    return changed;
}
