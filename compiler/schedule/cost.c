/* cost.c - what a convolution costs by each algorithm, in estimated cycles.
 *
 * Winograd and Strassen save products and pay with transforms and with larger weights, which count where they
 * have to come from memory: few pixels reuse each of them. So algorithms are compared by time, not by
 * products. The figures are those of machine.h and the target's data. */
#include "schedule/schedule.h"
#include "graph/graph.h"
#include "schedule/machine.h"
#include "target/target.h"

#include <math.h>

/* Share of the multiply-add peak that the tiled sums reach. */
#define DIRECT_SHARE 0.80

/* ... and where an instruction has to pick the lanes of narrow groups, one at a time. */
#define PICKED_SHARE 0.60

/* Rows (pixels, or Winograd's tiles) that are summed while the weights pass by once: a register tile. */
#define TILE_ROWS 28.0

/* How large the layers' estimates are compared: everything in cycles. */
typedef struct Layer {
    int64_t images, rows, columns; /* of the output */
    int64_t ic, oc;          /* input channels of a group, output channels; padded to blocks */
    int64_t taps, k, stride; /* of the filter; its edge where it is square */
    int64_t lanes;
    int64_t weight_bytes; /* of one, as kept */
    double  share;        /* of the peak that direct sums reach */
    double  gain;         /* products in the time of one: of pairs of bf16 more than 1 */
} Layer;

static double vector_sums(const Layer *l, double products)
{
    return products * (double)(l->ic * l->oc) / (double)(2 * l->lanes);
}

/* The more equal the two, the less of the shorter one is hidden: now one is waited for, now the other. */
double cost_overlapped(double sums, double stream, double rows)
{
    double first = sums / ceil(rows / TILE_ROWS);
    return sums - first + sqrt(first * first + stream * stream);
}

static AlgorithmCost direct_cost(const Layer *l)
{
    double        pixels = (double)(l->images * l->rows * l->columns), taps = (double)l->taps;
    AlgorithmCost c = {.weight_bytes = taps * (double)(l->ic * l->oc * l->weight_bytes)};
    c.peak = vector_sums(l, pixels * taps) / l->gain;
    c.sums = c.peak / l->share;
    c.stream = c.weight_bytes / STREAM_BYTES;
    c.cycles = cost_overlapped(c.sums, c.stream, pixels);
    return c;
}

/* largest_tile - outputs a side. Of strided filters more than two always took longer: 5x5 products in place of
 * 9x9 are more multiply-adds, but less of everything else. */
static int64_t largest_tile(const Layer *l)
{
    return l->stride > 1 ? 2 : 9 - l->k;
}

static int64_t round_up(int64_t v, int64_t b)
{
    return (v + b - 1) / b * b;
}

/* Input channels that each output sums over: its group's. Of images with few channels none is added. */
static int64_t summed_channels(int64_t channels, int64_t groups, int64_t lanes)
{
    int64_t own = channels / groups;
    return own < lanes || groups > 1 ? own : round_up(own, lanes);
}

/* Narrow groups that share a vector, of more than one channel each: their lanes are picked, or they are made
 * dense in it. */
static void narrow_groups(Layer *l, const Target *t, int64_t groups)
{
    if (groups == 1 || l->ic == 1 || l->ic >= l->lanes || l->lanes % l->ic)
        return;
    if (target_picks(t, l->ic))
        l->share = target_turns(t, l->ic) > 1 ? DIRECT_SHARE : PICKED_SHARE;
    else
        l->ic = l->lanes;
}

/* multiplies_bf16 - whether pass_round_products made it so. */
static bool multiplies_bf16(const Type *x, const Type *w)
{
    return x->elem == BF16 && w->elem == BF16;
}

static Layer layer_of(const Graph *g, const Node *n, const CostContext *c)
{
    const Type    x = node_reads(g, n), y = node_computed(g, n);
    const Type   *w = &graph_input(g, n, 1)->type;
    const Target *own = target_for(c->target, y.dims[1]);
    int64_t       lanes = own->lanes;
    Layer         l = {.images = y.dims[0],
                       .rows = 1,
                       .columns = 1,
                       .ic = round_up(type_count(w) / w->dims[0], lanes),
                       .oc = round_up(w->dims[0], lanes),
                       .taps = 1,
                       .k = 1,
                       .stride = 1,
                       .lanes = lanes,
                       .weight_bytes = (int64_t)elem_bytes(w->elem),
                       .share = DIRECT_SHARE,
                       .gain = multiplies_bf16(&x, w) ? c->target->dot_gain : 1};
    if (n->op == OP_linear)
        return l;
    l.rows = y.dims[2];
    l.columns = y.dims[3];
    l.ic = summed_channels(x.dims[1], n->attrs.groups, target_for(c->target, x.dims[1])->lanes);
    narrow_groups(&l, own, n->attrs.groups);
    l.taps = w->dims[2] * w->dims[3];
    l.k = w->dims[2];
    l.stride = n->attrs.strides[0];
    return l;
}

/* add_expansion - the 1x1 convolution that the node does first. */
static void add_expansion(const Graph *g, const Node *n, const CostContext *c, AlgorithmCost *out)
{
    const Type *w = &graph_input(g, n, n->expansion->weight)->type;
    Layer       l = layer_of(g, n, c);
    l.rows = n->expansion->type.dims[2];
    l.columns = n->expansion->type.dims[3];
    l.ic = w->dims[1];
    l.taps = 1;
    l.weight_bytes = (int64_t)elem_bytes(w->elem);
    AlgorithmCost own = direct_cost(&l);
    out->peak += own.peak;
    out->sums += own.sums;
    out->stream += own.stream;
    out->cycles += own.cycles;
    out->weight_bytes += own.weight_bytes;
}

/* transforms_refused - what holds for every algorithm that transforms its weights. */
static const char *transforms_refused(const Graph *g, const Node *n, const CostContext *c)
{
    const Type *x = &graph_input(g, n, 0)->type, *w = &graph_input(g, n, 1)->type;
    if (c->exact)
        return "every sum is to be made in one order";
    if (c->target->lanes == 1)
        return "the target has no vectors";
    if (multiplies_bf16(x, w))
        return "its products are of bf16, in pairs";
    if (n->attrs.groups != 1)
        return "the channels are in groups";
    return graph_input(g, n, 0)->constant ? "its input is constant" : NULL;
}

/* winograd_refused - why no tile of it can be had; NULL: it can. */
static const char *winograd_refused(const Graph *g, const Node *n, const CostContext *c)
{
    const Type    *w = &graph_input(g, n, 1)->type, *x = &graph_input(g, n, 0)->type;
    const OpAttrs *a = &n->attrs;
    if (n->op != OP_conv2d)
        return "it is for convolutions";
    const char *why = transforms_refused(g, n, c);
    if (why)
        return why;
    if (a->strides[0] != a->strides[1] || a->strides[0] > 2)
        return "its strides have to be 1 or 2, the same both ways";
    if (a->dilations[0] != 1 || a->dilations[1] != 1)
        return "its dilations have to be 1";
    if (w->dims[2] != w->dims[3] || (w->dims[2] != 3 && w->dims[2] != 5 && w->dims[2] != 7))
        return "its filters have to be 3x3, 5x5 or 7x7";
    if (w->dims[2] == 7 && a->strides[0] == 1)
        return "filters of 7x7 have to move by 2";
    if (elem_is_half(w->elem) && !c->packs_may_start)
        return "weights kept in 16 bits are transformed at start or not at all";
    if (x->dims[1] < c->target->lanes || w->dims[0] < c->target->lanes)
        return "it takes a vector of channels on both sides";
    return NULL;
}

/* is_pointwise - whether it is a convolution for which there may be Strassen's algorithm. */
static bool is_pointwise(const Graph *g, const Node *n)
{
    const int64_t *w = graph_input(g, n, 1)->type.dims;
    return n->op == OP_conv2d && !n->expansion && w[2] == 1 && w[3] == 1;
}

/* strassen_refused - why it cannot be had; NULL: it can. */
static const char *strassen_refused(const Graph *g, const Node *n, const CostContext *c)
{
    const Type    *w = &graph_input(g, n, 1)->type, *x = &graph_input(g, n, 0)->type;
    const int64_t *padding = n->attrs.padding;
    const char    *why = transforms_refused(g, n, c);
    if (why)
        return why;
    if (x->dims[1] % (2 * c->target->lanes) || w->dims[0] % (2 * c->target->lanes))
        return "half the channels have to be whole vectors on both sides";
    if (padding[0] || padding[1] || padding[2] || padding[3])
        return "it takes no padding";
    if (w->elem != F32 || c->packs_may_start)
        return "weights that may be made at start are not made for it";
    return strassen_pairs(g, n).rows ? NULL : "no two halves of the pixels are alike in memory";
}

/* inner_refused - why Winograd's inner product cannot be had; NULL: it can. */
static const char *inner_refused(const Graph *g, const Node *n, const CostContext *c)
{
    const int64_t *padding = n->attrs.padding;
    int64_t        channels = graph_input(g, n, 0)->type.dims[1], lanes = c->target->lanes;
    const char    *why = transforms_refused(g, n, c);
    if (why)
        return why;
    if (padding[0] || padding[1] || padding[2] || padding[3])
        return "it takes no padding";
    if (channels % lanes || channels < 3 * lanes)
        return "it takes whole vectors of input channels, three at least";
    return NULL;
}

static bool has_cost(const Graph *g, const Node *n)
{
    return (n->op == OP_conv2d || n->op == OP_linear) && graph_input(g, n, 1)->constant;
}

bool cost_dots(const Graph *g, NodeId id, const CostContext *c, AlgorithmCost *out)
{
    const Node *n = node_get(g, id);
    if (!has_cost(g, n) || !c->target->dot_gain)
        return false;
    Layer l = layer_of(g, n, c);
    l.weight_bytes = (int64_t)elem_bytes(BF16);
    l.gain = c->target->dot_gain;
    *out = direct_cost(&l);
    return true;
}

int cost_algorithms(const Graph *g, NodeId id, const CostContext *c, AlgorithmCost *out)
{
    const Node *n = node_get(g, id);
    if (!has_cost(g, n))
        return 0;
    Layer       l = layer_of(g, n, c);
    const char *refused;
    int         count = 0;
    out[count++] = direct_cost(&l);
    if (n->expansion)
        add_expansion(g, n, c, out);
    if (is_pointwise(g, n)) {
        refused = strassen_refused(g, n, c);
        out[count++] = refused ? (AlgorithmCost){.algorithm = STRASSEN, .why_not = refused}
                               : strassen_cost(g, n, c);
        refused = inner_refused(g, n, c);
        out[count++] =
            refused ? (AlgorithmCost){.algorithm = INNER, .why_not = refused} : inner_cost(g, n, c);
        return count;
    }
    refused = winograd_refused(g, n, c);
    if (refused) {
        out[count++] = (AlgorithmCost){.algorithm = WINOGRAD, .why_not = refused};
        return count;
    }
    for (int64_t m = 2; m <= largest_tile(&l); m += 2)
        out[count++] = winograd_cost(g, n, (int)m, c);
    return count;
}
