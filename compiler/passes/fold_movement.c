/* fold_movement.c - flatten, reshape, transpose: into neighbours, weights, each other; means and
 * poolings over everything get their name. */
#include "passes/passes.h"
#include "ops/ops.h"

static bool is_view(const Node *n)
{
    return op_info(n->op)->flags & OPF_VIEW;
}

/* input_node - the node that makes input 0; NULL: none. */
static const Node *input_node(const Graph *g, const Node *n)
{
    const Value *in = graph_input(g, n, 0);
    return in && in->producer ? node_get(g, in->producer) : NULL;
}

static void become(Graph *g, NodeId n, Op op, const OpAttrs *attrs)
{
    node_at(g, n)->op = op;
    node_at(g, n)->attrs = *attrs;
}

/* ---- poolings over everything ----------------------------------------------------------- */

static bool is_whole_window(const Graph *g, const Node *n)
{
    const OpAttrs *a = &n->attrs;
    const Type    *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    for (int i = 0; i < 2; i++) {
        if (a->padding[i] || a->padding[i + 2] || a->dilations[i] > 1 || y->dims[2 + i] != 1 ||
            a->kernel[i] != x->dims[2 + i])
            return false;
    }
    return true;
}

/* is_over_plane - a reduction over H and W of N, C, H, W. */
static bool is_over_plane(const Graph *g, const Node *n)
{
    const IntList *axes = &n->attrs.list;
    if (graph_input(g, n, 0)->type.rank != 4 || axes->n != 2)
        return false;
    int a = axis_from_end(axes->v[0], 4), b = axis_from_end(axes->v[1], 4);
    return (a == 2 && b == 3) || (a == 3 && b == 2);
}

/* global_form - the global pooling that does what `n` does; OP_NONE when there is none. */
static Op global_form(const Graph *g, const Node *n)
{
    if (n->epilogue.n_steps)
        return OP_NONE;
    switch (n->op) {
    case OP_adaptive_avg_pool:
        return n->attrs.list.v[0] == 1 && n->attrs.list.v[1] == 1 ? OP_global_avg_pool : OP_NONE;
    case OP_avg_pool: return is_whole_window(g, n) ? OP_global_avg_pool : OP_NONE;
    case OP_max_pool: return is_whole_window(g, n) ? OP_global_max_pool : OP_NONE;
    case OP_reduce_mean: return is_over_plane(g, n) ? OP_global_avg_pool : OP_NONE;
    case OP_reduce_max: return is_over_plane(g, n) ? OP_global_max_pool : OP_NONE;
    default: return OP_NONE;
    }
}

/* name_pool - a reduction that drops its dimensions becomes a pooling and a flatten. */
static bool name_pool(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n);
    Op          op = global_form(g, node);
    if (op == OP_NONE)
        return false;
    OpAttrs none = {0}, flatten = {.axis = 1};
    if (value_get(g, node->out)->type.rank == 4) {
        become(g, n, op, &none);
        return true;
    }
    const char *name = graph_fresh_name(g, value_get(g, node->out)->name);
    NodeId      pool = graph_add(g, op, name, node->where, 1, node->in, &none, n);
    op_info(op)->shape(g, pool);
    graph_set_input(g, n, 0, node_get(g, pool)->out);
    become(g, n, OP_flatten, &flatten);
    return true;
}

/* ---- views ------------------------------------------------------------------------------ */

/* keeps_order - whether a transpose moves nothing but dimensions of extent 1. */
static bool keeps_order(const Graph *g, const Node *n)
{
    const Type *x = &graph_input(g, n, 0)->type;
    int64_t     before = -1;
    for (int i = 0; i < n->attrs.list.n; i++) {
        int64_t d = n->attrs.list.v[i];
        if (x->dims[d] == 1)
            continue;
        if (d < before)
            return false;
        before = d;
    }
    return true;
}

/* is_flatten - whether the output is [N, the rest]. */
static bool is_flatten(const Type *x, const Type *y)
{
    return x->rank >= 2 && y->rank == 2 && x->dims[0] == y->dims[0];
}

/* name_view - views that flatten are called so: consumers look for it. Others get their shape in
 * numbers, so that they no longer depend on the shape of their input. */
static void name_view(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n);
    const Type *y = &value_get(g, node->out)->type;
    OpAttrs     flatten = {.axis = 1}, reshape = {.list = {.n = y->rank}};
    for (int i = 0; i < y->rank; i++)
        reshape.list.v[i] = y->dims[i];
    if (is_flatten(&graph_input(g, node, 0)->type, y))
        become(g, n, OP_flatten, &flatten);
    else
        become(g, n, OP_reshape, &reshape);
}

/* is_odd_view - a view that is better called by another name. */
static bool is_odd_view(const Graph *g, const Node *n)
{
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    if (y->rank == 0)
        return false;
    if (n->op == OP_transpose)
        return keeps_order(g, n) && !type_same_shape(x, y);
    return is_view(n) && is_flatten(x, y) && (n->op != OP_flatten || n->attrs.axis != 1);
}

/* ---- one behind the other --------------------------------------------------------------- */

/* collapse - of two views or two transposes in a row, the second does the work of both. */
static bool collapse(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n), *before = input_node(g, node);
    if (!before || !before->n_in)
        return false;
    if (is_view(node) && is_view(before) && value_get(g, node->out)->type.rank) {
        graph_set_input(g, n, 0, before->in[0]);
        name_view(g, n);
        return true;
    }
    if (node->op != OP_transpose || before->op != OP_transpose)
        return false;
    OpAttrs both = {.list = {.n = node->attrs.list.n}};
    for (int i = 0; i < both.list.n; i++)
        both.list.v[i] = before->attrs.list.v[node->attrs.list.v[i]];
    graph_set_input(g, n, 0, before->in[0]);
    become(g, n, OP_transpose, &both);
    return true;
}

static bool fold_at(Graph *g, NodeId n)
{
    enum {
        MOST_SUNK = 3
    }; /* reshape, transpose, reshape; a bound, so that long chains take linear time */
    bool changed = sink_into_weights(g, n);
    for (int i = 0; i < MOST_SUNK && sink_movement(g, n); i++)
        changed = true;
    changed |= name_pool(g, n);
    if (is_odd_view(g, node_get(g, n))) {
        name_view(g, n);
        changed = true;
    }
    return collapse(g, n) || changed;
}

/* pass_fold_movement - what only moves elements goes into neighbours, weights, each other.
 *
 *     reshape(flatten(x))                      becomes   reshape(x)
 *     transpose(relu(transpose(x)))            becomes   relu(x), where the two cancel
 *     linear(flatten(transpose(x)), w)         becomes   linear(flatten(x), w with its columns
 * moved) a transpose of extents 1                 becomes   a reshape reduce_mean over H and W, a
 * pooling whose kernel is the whole input, adaptive_avg_pool to 1x1                 become
 * global_avg_pool, global_max_pool
 *
 * Movements sink behind elementwise nodes, where each is read by that node alone. A flatten stays
 * in front of a linear: how it is stored is for choose_layout. Needs shapes. Returns true if the
 * graph changed. */
bool pass_fold_movement(Graph *g, const PassContext *c)
{
    bool changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) /* also over what is added behind n */
        changed |= fold_at(g, n);
    return changed && (pass_remove_dead(g, c) || changed);
}
