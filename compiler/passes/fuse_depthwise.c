/* fuse_depthwise.c - a 1x1 convolution into the depthwise one that alone reads it. */
#include "ops/ops.h"
#include "passes/passes.h"

/* is_depthwise - whether each channel is summed by itself. */
static bool is_depthwise(const Graph *g, const Node *n)
{
    return n->op == OP_conv2d && !n->expansion && !graph_input(g, n, 0)->constant &&
           n->attrs.groups > 1 && n->attrs.groups == graph_input(g, n, 0)->type.dims[1] &&
           n->attrs.groups == value_get(g, n->out)->type.dims[1] && graph_input(g, n, 1)->constant;
}

/* is_pointwise - whether each pixel is summed by itself. */
static bool is_pointwise(const Graph *g, const Node *n)
{
    const OpAttrs *a = &n->attrs;
    if (n->op != OP_conv2d || n->expansion || n->algorithm != DIRECT || a->groups != 1 ||
        !graph_input(g, n, 1)->constant)
        return false;
    const int64_t *w = graph_input(g, n, 1)->type.dims;
    for (int i = 0; i < 2; i++)
        if (w[2 + i] != 1 || a->strides[i] != 1 || a->padding[i] || a->padding[2 + i])
            return false;
    return true;
}

/* adds_constants - whether the epilogue reads nothing else. */
static bool adds_constants(const Graph *g, const Node *n)
{
    for (int i = n->n_own; i < n->n_in; i++)
        if (!graph_input(g, n, i)->constant)
            return false;
    return true;
}

/* layouts_allow - whether the sums are of f32 and in the same blocks, those of the target. */
static bool layouts_allow(const Graph *g, const Node *pointwise, const Node *depthwise,
                          const Target *t)
{
    const Type *x = &graph_input(g, pointwise, 0)->type, *y = &value_get(g, depthwise->out)->type;
    const Type *between = &value_get(g, pointwise->out)->type;
    return x->elem == F32 && between->elem == F32 && y->elem == F32 &&
           between->layout.block == t->lanes && y->layout.block == t->lanes;
}

static int64_t channel_blocks(const Type *t)
{
    return (t->dims[1] + t->layout.block - 1) / t->layout.block;
}

/* blocks_together - how many blocks of channels are made at a time. One, where a multiply-add is one
 * instruction: two gained nothing on AVX2 and AVX-512. Elsewhere two share what the 1x1 convolution loads of x:
 * one was 1.08 times as slow on SSE2, 1.13 in C99. */
static int64_t blocks_together(int64_t all, const Target *t)
{
    return t->has_fma || all % 2 ? 1 : 2;
}

static int64_t thread_count(const PassContext *c)
{
    return c->threads > 1 ? c->threads : 1;
}

/* shares_evenly - whether threads have about equally much to do, each of them whole blocks of channels, or
 * images: with rows, which it shares otherwise, that is no question. On two threads five blocks took 1.02 of the
 * time apart at 56 x 56 pixels and 0.83 at 14 x 14, three 1.10 and 0.92. */
static bool shares_evenly(const Type *between, const PassContext *c)
{
    const double most = 1.25; /* of the busiest thread, to an equal share */
    int64_t parts = expansion_parts(between, blocks_together(channel_blocks(between), c->target));
    int64_t threads = thread_count(c), of_one = (parts + threads - 1) / threads;
    return (double)(of_one * threads) <= most * (double)parts;
}

/* expansion_of - the convolution that `id` can do itself before it does its own; 0: there is none. */
static NodeId expansion_of(const Graph *g, NodeId id, const PassContext *c)
{
    const Node *n = node_get(g, id);
    Layout      padded = {0};
    if (!is_depthwise(g, n) || !value_get(g, n->in[0])->producer)
        return 0;
    NodeId      before = value_get(g, n->in[0])->producer;
    const Node *p = node_get(g, before);
    if (!is_pointwise(g, p) || graph_only_user(g, p->out) != id || !adds_constants(g, p) ||
        !layouts_allow(g, p, n, c->target) || !layout_pads(g, n, &padded) ||
        !shares_evenly(&value_get(g, p->out)->type, c))
        return 0;
    return *schedule_given(c->schedules, p->name, g->arena) ? 0 : before;
}

/* take_inputs - the inputs of `from`, but for the first, become inputs of `to`: the weight's number there. */
static int take_inputs(Graph *g, NodeId to, NodeId from)
{
    const Node *n = node_get(g, from);
    int         first = graph_append_input(g, to, n->in[1]);
    graph_append_input(g, to, n->n_own > 2 ? n->in[2] : 0);
    for (int i = n->n_own; i < n->n_in; i++)
        graph_append_input(g, to, n->in[i]);
    return first;
}

static void fuse(Graph *g, NodeId id, NodeId before, const PassContext *c)
{
    Expansion  *e = arena_struct(g->arena, Expansion);
    const Node *p = node_get(g, before);
    *e = (Expansion){.name = p->name, .type = value_get(g, p->out)->type, .epilogue = p->epilogue};
    layout_pads(g, node_get(g, id), &e->type.layout);
    e->blocks = blocks_together(channel_blocks(&e->type), c->target);
    e->copies = thread_count(c);
    e->weight = take_inputs(g, id, before);
    for (int i = 0; i < e->epilogue.n_steps; i++)
        if (e->epilogue.steps[i].operand >= 0)
            e->epilogue.steps[i].operand += e->weight + 2 - p->n_own;
    graph_set_input(g, id, 0, p->in[0]);
    graph_remove(g, before);
    int64_t count = expansion_scratch(e) * e->copies;
    char   *name = graph_fresh_name(g, e->name);
    ValueId v = graph_add_value(g, name, type_plain(F32, 1, &count));
    value_at(g, v)->producer = id;
    node_at(g, id)->scratch = v;
    node_at(g, id)->expansion = e;
}

/* pass_fuse_depthwise - make what a depthwise convolution reads a few channels at a time.
 *
 *     depthwise(conv2d(x, w1) then relu6, w2)   becomes   one node, with scratch memory for a few planes
 *
 * Applies to a 1x1 convolution of stride 1 in one group, read by nothing but the depthwise convolution, with
 * constant weights and epilogue, both of f32 and in blocks of the target's lanes. One that a schedule file
 * names stays a node of its own, and so does one of too few channels for the threads to share.
 * Needs shapes. Returns true if the graph changed. */
bool pass_fuse_depthwise(Graph *g, const PassContext *c)
{
    bool changed = false;
    for (NodeId n = graph_first(g); n && c->target; n = graph_next(g, n)) {
        NodeId before = expansion_of(g, n, c);
        if (!before)
            continue;
        fuse(g, n, before, c);
        changed = true;
    }
    return changed;
}
