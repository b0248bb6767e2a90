/* merge_pad.c - pad into the convolution or pool behind it. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <float.h>

#define MOST_PADDING INT32_MAX

static int64_t padding_sum(const Node *n, const Node *pad, int side)
{
    return n->attrs.padding[side] + pad->attrs.padding[side];
}

/* no_less_than - a number no element of value `v` is below. */
static double no_less_than(const Graph *g, ValueId v)
{
    const Value *value = value_get(g, v);
    const Node  *n = value->producer ? node_get(g, value->producer) : NULL;
    if (!n || n->epilogue.n_steps)
        return -FLT_MAX;
    switch (n->op) {
    case OP_relu:
    case OP_relu6:
    case OP_sigmoid:
    case OP_hard_sigmoid: return 0;
    case OP_clip: return n->attrs.min;
    default: return -FLT_MAX;
    }
}

/* covers_input - whether each window with the added padding still holds an element of the input,
 * and there are as many windows as before. */
static bool covers_input(const Node *pool, const Node *pad)
{
    if (pool->attrs.ceil_mode)
        return false;
    for (int i = 0; i < 2; i++) {
        if (pool->attrs.dilations[i] > 1)
            return false;
        if (padding_sum(pool, pad, i) >= pool->attrs.kernel[i] ||
            padding_sum(pool, pad, i + 2) >= pool->attrs.kernel[i])
            return false;
    }
    return true;
}

static bool has_padding(const Node *n)
{
    const int64_t *p = n->attrs.padding;
    return p[0] || p[1] || p[2] || p[3];
}

/* is_absorbable - whether `n`, which reads `pad`, can do the padding itself. */
static bool is_absorbable(const Graph *g, const Node *n, const Node *pad)
{
    if (pad->op != OP_pad || pad->attrs.mode != PAD_MODE_CONSTANT || pad->epilogue.n_steps)
        return false;
    for (int side = 0; side < 4; side++) {
        if (pad->attrs.padding[side] < 0 || n->attrs.padding[side] < 0 ||
            padding_sum(n, pad, side) > MOST_PADDING)
            return false;
    }
    double value = pad->attrs.value;
    switch (n->op) {
    case OP_conv2d: return value == 0;
    case OP_pad: return n->attrs.mode == PAD_MODE_CONSTANT && n->attrs.value == value;
    case OP_avg_pool: /* zeros of the pad count in the mean; those of a pool may not */
        return value == 0 && covers_input(n, pad) &&
               (n->attrs.count_include_pad || !has_padding(n));
    case OP_max_pool: /* a pool's own padding never wins; the pad's must not either */
        return value <= no_less_than(g, pad->in[0]) && covers_input(n, pad);
    default: return false;
    }
}

static void absorb(Graph *g, NodeId n, NodeId pad)
{
    Node       *node = node_at(g, n);
    const Node *from = node_get(g, pad);
    for (int side = 0; side < 4; side++)
        node->attrs.padding[side] = padding_sum(node, from, side);
    if (node->op == OP_avg_pool)
        node->attrs.count_include_pad = true;
    graph_set_input(g, n, 0, from->in[0]);
    const Value *out = value_get(g, from->out);
    if (!out->n_users && !out->is_output)
        graph_remove(g, pad);
}

/* pass_merge_pad - let convolutions, poolings and other pads do the padding.
 *
 *     pad(x) {padding = p} -> conv2d {padding = q}   becomes   conv2d(x) {padding = p + q}
 *
 * The pad must be constant: 0 for conv2d and avg_pool (which then counts its padding), no larger
 * than anything in x for max_pool (0 behind a relu), the same number for another pad. Poolings
 * refuse windows that would hold nothing but padding, and ceil_mode, whose windows end elsewhere.
 * Needs shapes. Returns true if the graph changed. */
bool pass_merge_pad(Graph *g, const PassContext *c)
{
    (void)c;
    bool changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        const Value *in = graph_input(g, node_get(g, n), 0);
        NodeId       pad = in ? in->producer : 0;
        if (!pad || !is_absorbable(g, node_get(g, n), node_get(g, pad)))
            continue;
        absorb(g, n, pad);
        changed = true;
    }
    return changed;
}
