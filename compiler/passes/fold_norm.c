/* fold_norm.c - batch_norm into conv2d, conv_transpose and linear, before or behind it; constant
 * factors and summands alike. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <math.h>

/* y[c] = x[c] * scale[c] + shift[c] per channel. */
typedef struct Channels {
    int64_t n;
    double *scale, *shift;
} Channels;

/* A convolution or linear with the channelwise nodes around it, each other's only users. */
typedef struct Chain {
    NodeId   conv;
    NodeId   first, last; /* outermost nodes before and behind it; 0: none */
    Channels in, out;     /* what those before, those behind do */
} Chain;

/* ---- channelwise nodes ------------------------------------------------------------------ */

/* is_per_channel - whether a constant of type `t` gives each channel of `x` one number. */
static bool is_per_channel(const Type *t, const Type *x)
{
    if (t->rank > x->rank)
        return false;
    for (int i = 0; i < t->rank; i++) {
        int axis = x->rank - t->rank + i;
        if (t->dims[i] != 1 && !(axis == 1 && t->dims[i] == x->dims[1]))
            return false;
    }
    return true;
}

/* channelwise_input - which input node `n` scales and shifts channel by channel; -1: it does not.
 */
static int channelwise_input(const Graph *g, const Node *n)
{
    const Type *y = &value_get(g, n->out)->type;
    if (n->epilogue.n_steps || y->elem != F32 || (y->rank != 2 && y->rank != 4))
        return -1;
    if (n->op == OP_batch_norm)
        return 0;
    if (n->op != OP_mul && n->op != OP_div && n->op != OP_add && n->op != OP_sub)
        return -1;
    const Value *a = graph_input(g, n, 0), *b = graph_input(g, n, 1);
    if (!a->constant && b->constant && is_per_channel(&b->type, y) && type_same_shape(&a->type, y))
        return 0;
    if (a->constant && !b->constant && n->op != OP_div && is_per_channel(&a->type, y) &&
        type_same_shape(&b->type, y))
        return 1;
    return -1;
}

static double param_at(const Graph *g, const Node *n, int i, int64_t c)
{
    const Tensor *t = graph_input(g, n, i)->constant;
    return tensor_get(t, type_count(&t->type) == 1 ? 0 : c);
}

/* channelwise_at - what the node does to channel `c` of its input `i`. */
static void channelwise_at(const Graph *g, const Node *n, int i, int64_t c, double *scale,
                           double *shift)
{
    *scale = 1;
    *shift = 0;
    if (n->op == OP_batch_norm) {
        *scale = param_at(g, n, 1, c) / sqrt(param_at(g, n, 4, c) + n->attrs.epsilon);
        *shift = param_at(g, n, 2, c) - param_at(g, n, 3, c) * *scale;
        return;
    }
    double b = param_at(g, n, 1 - i, c);
    switch (n->op) {
    case OP_mul: *scale = b; break;
    case OP_div: *scale = 1 / b; break;
    case OP_add: *shift = b; break;
    case OP_sub: /* x - b or b - x */
        *scale = i == 0 ? 1 : -1;
        *shift = i == 0 ? -b : b;
        break;
    default: break;
    }
}

static bool has_shift(const Graph *g, const Node *n, int i, int64_t channels)
{
    for (int64_t c = 0; c < channels; c++) {
        double scale, shift;
        channelwise_at(g, n, i, c, &scale, &shift);
        if (shift != 0)
            return true;
    }
    return false;
}

/* ---- matching --------------------------------------------------------------------------- */

static Channels channels_new(Arena *a, int64_t n)
{
    Channels ch = {n, arena_array(a, double, (size_t)n), arena_array(a, double, (size_t)n)};
    for (int64_t c = 0; c < n; c++)
        ch.scale[c] = 1;
    return ch;
}

/* walk_behind - take in the channelwise nodes that read the result. */
static void walk_behind(const Graph *g, Chain *chain)
{
    ValueId y = node_get(g, chain->conv)->out;
    for (NodeId n; (n = graph_only_user(g, y)); y = node_get(g, n)->out) {
        const Node *node = node_get(g, n);
        int         i = channelwise_input(g, node);
        if (i < 0 || node->in[i] != y)
            return;
        for (int64_t c = 0; c < chain->out.n; c++) {
            double scale, shift;
            channelwise_at(g, node, i, c, &scale, &shift);
            chain->out.scale[c] *= scale;
            chain->out.shift[c] = chain->out.shift[c] * scale + shift;
        }
        chain->last = n;
    }
}

/* sees_zeros - whether zeros stand among the elements of the input that a result is made from: a
 * padded convolution's, and those a transposed one has between and around its elements. */
static bool sees_zeros(const Node *n)
{
    const int64_t *p = n->attrs.padding;
    return n->op == OP_conv_transpose || p[0] || p[1] || p[2] || p[3];
}

/* walk_before - take in the channelwise nodes that make the input. Zeros come in behind them, so
 * none of them may shift an input among which there are any. */
static void walk_before(const Graph *g, Chain *chain)
{
    const Node *conv = node_get(g, chain->conv);
    NodeId      reader = chain->conv;
    for (ValueId x = conv->in[0]; graph_only_user(g, x) == reader;) {
        NodeId      n = value_get(g, x)->producer;
        const Node *node = n ? node_get(g, n) : NULL;
        int         i = node ? channelwise_input(g, node) : -1;
        if (i < 0 || (sees_zeros(conv) && has_shift(g, node, i, chain->in.n)))
            return;
        for (int64_t c = 0; c < chain->in.n; c++) {
            double scale, shift;
            channelwise_at(g, node, i, c, &scale, &shift);
            chain->in.shift[c] += shift * chain->in.scale[c];
            chain->in.scale[c] *= scale;
        }
        chain->first = reader = n;
        x = node->in[i];
    }
}

/* is_linear_map - whether the node is a convolution or linear whose weights may be changed. */
static bool is_linear_map(const Graph *g, const Node *n)
{
    if ((!op_is_conv(n->op) && n->op != OP_linear) || n->epilogue.n_steps)
        return false;
    const Type *y = &value_get(g, n->out)->type;
    return y->elem == F32 && elem_is_float(graph_input(g, n, 1)->type.elem) &&
           y->rank == (op_is_conv(n->op) ? 4 : 2);
}

static bool find_chain(const Graph *g, NodeId n, Arena *scratch, Chain *out)
{
    const Node *node = node_get(g, n);
    Channels    in = channels_new(scratch, graph_input(g, node, 0)->type.dims[1]);
    Channels    behind = channels_new(scratch, value_get(g, node->out)->type.dims[1]);
    *out = (Chain){.conv = n, .in = in, .out = behind};
    walk_behind(g, out);
    walk_before(g, out);
    return out->first || out->last;
}

/* ---- rewriting -------------------------------------------------------------------------- */

/* The weights and the bias to be; NULL where the conv keeps what it has. */
typedef struct Weights {
    const Tensor *weight, *bias;
} Weights;

static bool all_are(const double *v, int64_t n, double what)
{
    for (int64_t i = 0; i < n; i++) {
        if (v[i] != what)
            return false;
    }
    return true;
}

/* joined_channels - the channels that plane (i, j) of weight `w` joins: [O, I/groups, ...], of a
 * transposed convolution [I, O/groups, ...]. */
static void joined_channels(const Node *n, const Tensor *w, int64_t i, int64_t j, int64_t *oc,
                            int64_t *ic)
{
    int64_t n_groups = op_is_conv(n->op) ? n->attrs.groups : 1;
    int64_t other = i / (w->type.dims[0] / n_groups) * w->type.dims[1] + j;
    *oc = n->op == OP_conv_transpose ? other : i;
    *ic = n->op == OP_conv_transpose ? i : other;
}

/* make_bias - (b[oc] + sum[oc]) * out.scale[oc] + out.shift[oc]; NULL where one is not finite. */
static const Tensor *make_bias(Graph *g, const Chain *chain, const double *sum)
{
    const Channels *behind = &chain->out;
    const Node     *conv = node_get(g, chain->conv);
    const Value    *bias = conv->n_own > 2 ? graph_input(g, conv, 2) : NULL;
    Tensor         *t = tensor_new(g->arena, F32, 1, &behind->n);
    for (int64_t oc = 0; oc < behind->n; oc++) {
        double b = bias ? tensor_get(bias->constant, oc) : 0;
        tensor_set(t, oc, (b + sum[oc]) * behind->scale[oc] + behind->shift[oc]);
        if (!isfinite(tensor_get(t, oc)))
            return NULL;
    }
    return t;
}

/* make_weights - weights and bias that do the whole chain's work; false where one of them would not
 * be finite.
 *
 *     w'[oc, ic] = w[oc, ic] * in.scale[ic] * out.scale[oc]
 *     b'[oc]     = (b[oc] + sum w[oc, ic] * in.shift[ic]) * out.scale[oc] + out.shift[oc] */
static bool make_weights(Graph *g, const Chain *chain, Arena *scratch, Weights *out)
{
    const Channels *in = &chain->in, *behind = &chain->out;
    const Node     *conv = node_get(g, chain->conv);
    const Tensor   *w = graph_input(g, conv, 1)->constant;
    int64_t         planes = w->type.dims[0] * w->type.dims[1], oc, ic;
    int64_t         taps = type_count(&w->type) / planes;
    Tensor         *weight = tensor_new(g->arena, F32, w->type.rank, w->type.dims);
    double         *sum = arena_array(scratch, double, (size_t)behind->n);
    for (int64_t p = 0; p < planes; p++) {
        joined_channels(conv, w, p / w->type.dims[1], p % w->type.dims[1], &oc, &ic);
        for (int64_t at = p * taps; at < (p + 1) * taps; at++) {
            double v = tensor_get(w, at);
            sum[oc] += v * in->shift[ic];
            tensor_set(weight, at, v * in->scale[ic] * behind->scale[oc]);
            if (!isfinite(tensor_get(weight, at)))
                return false;
        }
    }
    const Tensor *bias = make_bias(g, chain, sum);
    bool          has_bias = conv->n_own > 2 && conv->in[2];
    bool is_scaled = !all_are(in->scale, in->n, 1) || !all_are(behind->scale, behind->n, 1);
    bool is_shifted = !all_are(in->shift, in->n, 0) || !all_are(behind->shift, behind->n, 0);
    *out = (Weights){is_scaled ? weight : NULL, is_shifted || has_bias ? bias : NULL};
    return bias != NULL;
}

static ValueId add_constant(Graph *g, const char *stem, const Tensor *t)
{
    return graph_add_constant(g, graph_fresh_name(g, stem), t);
}

static void set_weights(Graph *g, NodeId conv, const Weights *w)
{
    const Node *node = node_get(g, conv);
    ValueId     weight = node->in[1], bias = node->n_own > 2 ? node->in[2] : 0;
    const char *stem =
        bias ? value_get(g, bias)->name : arena_printf(g->arena, "%s.bias", node->name);
    if (w->weight)
        graph_set_input(g, conv, 1, add_constant(g, value_get(g, weight)->name, w->weight));
    if (!w->bias)
        return;
    if (node->n_own > 2)
        graph_set_input(g, conv, 2, add_constant(g, stem, w->bias));
    else
        node_at(g, conv)->n_own = graph_append_input(g, conv, add_constant(g, stem, w->bias)) + 1;
}

/* drop_chain - let readers and the conv reach past the channelwise nodes, and remove those. */
static void drop_chain(Graph *g, const Chain *chain)
{
    ValueId y = node_get(g, chain->conv)->out;
    if (chain->last)
        graph_replace_uses(g, node_get(g, chain->last)->out, y);
    for (NodeId n = chain->last, prev; n && n != chain->conv; n = prev) {
        const Node *node = node_get(g, n);
        prev = value_get(g, node->in[channelwise_input(g, node)])->producer;
        graph_remove(g, n);
    }
    for (NodeId n = 0; n != chain->first;) {
        n = value_get(g, node_get(g, chain->conv)->in[0])->producer;
        const Node *node = node_get(g, n);
        graph_set_input(g, chain->conv, 0, node->in[channelwise_input(g, node)]);
        graph_remove(g, n);
    }
}

/* pass_fold_norm - let weights do what a batch_norm or a constant factor or summand does.
 *
 *     conv2d(x, w, b) -> batch_norm(g, s, m, v)   becomes   conv2d(x, w * k, (b - m) * k + s)
 *     with k = g / sqrt(v + epsilon), per output channel
 *
 * The same before a conv2d (per input channel), for conv_transpose and linear, and for mul, div,
 * add and sub with one constant or one per channel; whole chains of them at once. Applies when
 * each node's result has no other user. Before a padded conv2d or a conv_transpose only what
 * keeps zero at zero. Computed in double, stored as f32; refuses numbers that are not finite.
 * Needs shapes. Returns true if the graph changed. */
bool pass_fold_norm(Graph *g, const PassContext *c)
{
    (void)c;
    bool changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        if (!is_linear_map(g, node_get(g, n)))
            continue;
        Arena  *scratch = arena_new();
        Chain   chain;
        Weights weights;
        if (find_chain(g, n, scratch, &chain) && make_weights(g, &chain, scratch, &weights)) {
            set_weights(g, n, &weights);
            drop_chain(g, &chain);
            changed = true;
        }
        arena_free(scratch);
    }
    return changed;
}
