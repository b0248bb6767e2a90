/* choose_layout.c - a layout for every value, and relayout nodes where two meet.
 *
 * On a target with L lanes the kernels that take and make channel-blocked values (OPF_BLOCKED) work on
 * blocks of L channels; where there are no more channels than a narrow target has lanes (Target.narrow), on one
 * block of those; all others, and the caller, on row-major values. The order is
 *
 *     ports       NHWC inputs and a transpose
 *     linear      reads [N, C, H, W] itself, without a flatten
 *     blocks      front to back: each node's output, and relayouts of what it reads
 *     halos       layout_halo.c: zeros around planes that padded convolutions read
 *     plain       relayouts back for those who need row-major values */
#include "passes/passes.h"
#include "ops/ops.h"

#include <assert.h>

/* ---- ports ------------------------------------------------------------------------------ */

/* The port's value takes the shape the caller has, and a transpose makes what the nodes read. */
static void transpose_port(Graph *g, Port *p)
{
    static const int order[4] = {0, 2, 3, 1}, back[4] = {0, 3, 1, 2};
    ValueId          v = p->value;
    Type             nchw = value_get(g, v)->type, nhwc = nchw;
    OpAttrs          attrs = {.list = {.n = 4}};
    for (int i = 0; i < 4; i++) {
        nhwc.dims[i] = nchw.dims[order[i]];
        attrs.list.v[i] = back[i];
    }
    const char *name = graph_fresh_name(g, value_get(g, v)->name);
    NodeId      t = graph_add(g, OP_transpose, name, p->where, 1, &v, &attrs, graph_first(g));
    ValueId     out = node_get(g, t)->out;
    value_at(g, out)->type = nchw;
    graph_replace_uses(g, v, out);
    graph_set_input(g, t, 0, v);
    value_at(g, v)->type = nhwc;
    p->nhwc = false;
}

static bool transpose_ports(Graph *g)
{
    bool changed = false;
    for (int i = 0; i < g->n_inputs; i++) {
        Port *p = &g->inputs[i];
        if (!p->nhwc || value_get(g, p->value)->type.rank != 4)
            continue;
        transpose_port(g, p);
        changed = true;
    }
    return changed;
}

/* ---- linear ----------------------------------------------------------------------------- */

/* linear(flatten(x)) becomes linear(x): a linear reads any [N, ...] in row-major order of its dims. */
static bool drop_flatten(Graph *g, NodeId id)
{
    const Node  *n = node_get(g, id);
    const Value *flat = graph_input(g, n, 0);
    if (n->op != OP_linear || !flat->producer || flat->type.rank != 2)
        return false;
    NodeId      view = flat->producer;
    const Node *v = node_get(g, view);
    if (!(op_info(v->op)->flags & OPF_VIEW) || v->epilogue.n_steps)
        return false;
    const Type *x = &graph_input(g, v, 0)->type;
    if ((x->rank != 4 && x->rank != 2) || x->dims[0] != flat->type.dims[0])
        return false;
    graph_set_input(g, id, 0, v->in[0]);
    if (!value_get(g, v->out)->n_users && !value_get(g, v->out)->is_output)
        graph_remove(g, view);
    return true;
}

/* ---- what a node can do ----------------------------------------------------------------- */

/* is_computed - whether in[i] is there and has a layout of its own: constants have none. */
static bool is_computed(const Graph *g, const Node *n, int i)
{
    const Value *v = graph_input(g, n, i);
    return v && !v->constant;
}

static bool has_blocks(const Type *t)
{
    return (t->elem == F32 || t->elem == BF16) && (t->rank == 4 || t->rank == 2);
}

/* is_beside - whether in[i] is read element by element beside the output. */
static bool is_beside(const Node *n, int i)
{
    return i >= n->n_own || (op_info(n->op)->flags & OPF_BINARY);
}

/* makes_nan - whether padding channels could become infinite: they hold zeros and the like, and a
 * quotient of those does not stay finite. */
static bool makes_nan(const Node *n)
{
    unsigned flags = op_info(n->op)->flags;
    for (int i = 0; i < n->epilogue.n_steps; i++)
        flags |= op_info(n->epilogue.steps[i].op)->flags;
    return flags & OPF_UNBOUNDED;
}

/* block_of - channels of a block of values of type `t`: the lanes of the vectors that they are kept in. */
static int block_of(const Target *target, const Type *t)
{
    return target_for(target, t->dims[1])->lanes;
}

/* conv_takes_blocks - groups must be whole blocks, single channels, or equal parts of a block. */
static bool conv_takes_blocks(const Graph *g, const Node *n, int lanes)
{
    int64_t groups = n->attrs.groups;
    int64_t in = graph_input(g, n, 0)->type.dims[1], out = value_get(g, n->out)->type.dims[1];
    int64_t icg = in / groups, ocg = out / groups;
    if (groups == 1 || (icg == 1 && ocg == 1))
        return true;
    if (icg % lanes == 0 && ocg % lanes == 0)
        return true;
    return icg == ocg && lanes % icg == 0 && in % lanes == 0;
}

/* can_block - whether node `n` could make its output in blocks of channels. */
static bool can_block(const Graph *g, const Node *n, const Target *target)
{
    const Type *y = &value_get(g, n->out)->type;
    if (!(op_info(n->op)->flags & OPF_BLOCKED) || !has_blocks(y))
        return false;
    int lanes = block_of(target, y);
    for (int i = 0; i < n->n_in; i++) {
        if (!is_computed(g, n, i))
            continue;
        const Type *x = &graph_input(g, n, i)->type;
        if (!has_blocks(x) || (is_beside(n, i) && x->rank != y->rank))
            return false;
    }
    if (makes_nan(n) && y->dims[1] % lanes != 0)
        return false;
    return !op_is_conv(n->op) || conv_takes_blocks(g, n, lanes);
}

/* wants_block - whether blocks pay: always where sums are made; else where an input has them, or where
 * a window is moved over enough channels. */
static bool wants_block(const Graph *g, const Node *n, const Target *target)
{
    if (op_is_conv(n->op) || n->op == OP_linear)
        return true;
    for (int i = 0; i < n->n_in; i++) {
        if (is_computed(g, n, i) && graph_input(g, n, i)->type.layout.block > 1)
            return true;
    }
    bool is_window = n->op == OP_max_pool || n->op == OP_avg_pool || n->op == OP_adaptive_avg_pool;
    const Type *y = &value_get(g, n->out)->type;
    return is_window && y->dims[1] >= block_of(target, y);
}

/* ---- what a node needs ------------------------------------------------------------------ */

/* The first convolution of a network reads a few row-major channels as they are. */
static Need conv_need(const Graph *g, const Node *n, const Target *target)
{
    const Type *x = &graph_input(g, n, 0)->type;
    int         lanes = block_of(target, x);
    if (value_get(g, n->out)->type.layout.block == 1)
        return NEED_ONE;
    bool few = n->attrs.groups == 1 && (x->dims[1] < lanes || x->dims[1] % lanes != 0);
    return few ? NEED_ANY : NEED_BLOCK;
}

static Need need(const Graph *g, const Node *n, int i, const Target *target)
{
    const OpInfo *info = op_info(n->op);
    const Type   *x = &graph_input(g, n, i)->type;
    if (info->flags & OPF_VIEW)
        return NEED_ANY;
    if (!(info->flags & OPF_BLOCKED))
        return NEED_PLAIN;
    if (is_beside(n, i) && x->rank != value_get(g, n->out)->type.rank)
        return NEED_PLAIN;
    if (x->rank != 4 && x->rank != 2)
        return NEED_ANY;
    if (i < n->n_own && (n->op == OP_linear || n->op == OP_concat || n->op == OP_pad))
        return NEED_ANY;
    if (i < n->n_own && op_is_conv(n->op))
        return conv_need(g, n, target);
    if (is_beside(n, i) && x->dims[1] == 1) /* one channel for all: no lane is read but the first */
        return NEED_ANY;
    return value_get(g, n->out)->type.layout.block > 1 ? NEED_BLOCK : NEED_ONE;
}

static bool satisfies(const Type *t, Need what)
{
    switch (what) {
    case NEED_ONE: return t->layout.block == 1;
    case NEED_BLOCK: return t->layout.block > 1;
    case NEED_PLAIN: return type_is_plain(t);
    default: return true;
    }
}

/* ---- relayouts -------------------------------------------------------------------------- */

static LayoutCopies layout_copies_new(Graph *g, Arena *scratch, const Target *target)
{
    LayoutCopies c = {.g = g, .target = target, .n_values = g->n_values};
    for (int i = 0; i < N_NEEDS; i++)
        c.copy[i] = arena_array(scratch, ValueId, g->n_values);
    return c;
}

ValueId layout_copy(LayoutCopies *c, ValueId v, Need what, Span where, NodeId before)
{
    assert(v < c->n_values);
    if (c->copy[what][v])
        return c->copy[what][v];
    const char *name = graph_fresh_name(c->g, value_get(c->g, v)->name);
    NodeId      n = graph_add(c->g, OP_relayout, name, where, 1, &v, NULL, before);
    ValueId     out = node_get(c->g, n)->out;
    Type        t = value_get(c->g, v)->type;
    t.layout = (Layout){.block = what == NEED_BLOCK ? block_of(c->target, &t) : 1};
    value_at(c->g, out)->type = t;
    c->copy[what][v] = out;
    return out;
}

/* supply - give node `id` copies of the inputs whose layout it cannot read. */
static void supply(LayoutCopies *c, NodeId id, bool plain)
{
    int n_in = node_get(c->g, id)->n_in;
    for (int i = 0; i < n_in; i++) {
        const Node *n = node_get(c->g, id);
        if (!is_computed(c->g, n, i))
            continue;
        Need what = need(c->g, n, i, c->target);
        if ((what == NEED_PLAIN) == plain && !satisfies(&graph_input(c->g, n, i)->type, what))
            graph_set_input(c->g, id, i, layout_copy(c, n->in[i], what, n->where, id));
    }
}

static void choose_blocks(LayoutCopies *c)
{
    Graph *g = c->g;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        if (n->op == OP_relayout)
            continue;
        if (can_block(g, n, c->target) && wants_block(g, n, c->target)) {
            Type *y = &value_at(g, n->out)->type;
            y->layout.block = block_of(c->target, y);
        }
        supply(c, id, false);
    }
}

/* restore_plain - row-major copies for the nodes and model outputs that need them. */
static void restore_plain(LayoutCopies *c)
{
    Graph *g = c->g;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        if (node_get(g, id)->op != OP_relayout)
            supply(c, id, true);
    }
    for (int i = 0; i < g->n_outputs; i++) {
        Port   *p = &g->outputs[i];
        ValueId v = p->value;
        if (value_get(g, v)->constant || type_is_plain(&value_get(g, v)->type))
            continue;
        p->value = layout_copy(c, v, NEED_PLAIN, p->where, 0);
        value_at(g, v)->is_output = false;
        value_at(g, p->value)->is_output = true;
    }
}

/* pass_choose_layout - a layout for every value; relayout nodes where two meet.
 *
 * Model inputs and outputs stay row-major. With L lanes, convolutions, linears and what follows them
 * make blocks of L channels; a convolution of few channels reads a row-major input. Kernels without
 * blocks get row-major copies. Where the target keeps halos, a value that a padded convolution reads
 * gets zeros around its planes, and so does all that is to share memory with it.
 * On every target NHWC inputs get a transpose, and a linear reads what was flattened for it.
 * Needs shapes. Returns true if the graph changed. */
bool pass_choose_layout(Graph *g, const PassContext *c)
{
    bool changed = transpose_ports(g);
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        changed |= drop_flatten(g, n);
    if (!c->target || c->target->lanes <= 1)
        return changed;
    Arena       *scratch = arena_new();
    LayoutCopies copies = layout_copies_new(g, scratch, c->target);
    choose_blocks(&copies);
    if (c->target->halo)
        choose_halos(&copies);
    restore_plain(&copies);
    arena_free(scratch);
    return true;
}
