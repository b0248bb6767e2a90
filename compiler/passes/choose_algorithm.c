/* choose_algorithm.c - direct sums or Winograd's, for each convolution, by estimated cycles.
 *
 * Winograd saves products and pays with transforms and with larger weights, which count where they have
 * to come from memory: few pixels reuse each of them. So the choice is made by time, not by products.
 * The figures below are of one core with two multiply-add pipes; the rest is the target's data. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <stdlib.h>

/* Share of the multiply-add peak that the tiled sums reach. */
#define DIRECT_SHARE   0.90
#define PRODUCTS_SHARE 0.85

/* Bytes a cycle from the third-level cache and from memory, streamed by one core. Servers do twice that
 * where nothing else runs on them; measured on rented ones, shared with strangers. */
#define L3_BYTES     10.0
#define MEMORY_BYTES 5.0

/* Weights that are text in the C file make it large and slow to compile: gcc takes 5 s for 48 MB of
 * them. So there transformed weights may add a mebibyte; and none where there is that much text
 * already, for a mebibyte serves too small a part of so large a network to be worth the second that
 * each kernel of transforms takes to compile. Beside the file they may grow as they like, and so
 * they may where they are made at start. */
#define INLINE_GROWTH (1 << 20)
#define INLINE_FULL   (16 << 20)

/* How large the layers' estimates are compared: everything in cycles. */
typedef struct Layer {
    int64_t images, rows, columns; /* of the output */
    int64_t ic, oc;                /* padded to blocks */
    int64_t k, lanes;
    int64_t weight_bytes;    /* of one, as kept */
    double  bytes_per_cycle; /* of the weights */
} Layer;

static double vector_sums(const Layer *l, double products)
{
    return products * (double)(l->ic * l->oc) / (double)(2 * l->lanes);
}

/* Sums and the stream of weights overlap in part: prefetching hides most of the shorter one. */
static double overlapped(double sums, double stream)
{
    return sums > stream ? sums + 0.2 * stream : stream + 0.2 * sums;
}

static double direct_cycles(const Layer *l)
{
    double pixels = (double)(l->images * l->rows * l->columns), taps = (double)(l->k * l->k);
    double bytes = taps * (double)(l->ic * l->oc * l->weight_bytes);
    return overlapped(vector_sums(l, pixels * taps) / DIRECT_SHARE, bytes / l->bytes_per_cycle);
}

/* One tile of one channel block through an n x n transform: loads, stores, and about n operations for
 * each row or column of either pass, two a cycle; doubled where it exceeds the registers. */
static double transform_cycles(int64_t in, int64_t out)
{
    double work = (double)((in + out) * 2 * in) / 2 + (double)(in * in + out * out);
    return in > 6 ? 1.5 * work : work;
}

static double winograd_cycles(const Layer *l, int64_t m)
{
    int64_t edge = m + l->k - 1, positions = edge * edge;
    double  tiles = (double)(l->images * ((l->rows + m - 1) / m) * ((l->columns + m - 1) / m));
    double  bytes = (double)(positions * l->ic * l->oc) * 4;
    double  sums = vector_sums(l, tiles * (double)positions) / PRODUCTS_SHARE;
    double  transforms = tiles * (double)(l->ic / l->lanes) * transform_cycles(edge, edge) +
                        tiles * (double)(l->oc / l->lanes) * transform_cycles(edge, m);
    return overlapped(sums, bytes / l->bytes_per_cycle) + transforms;
}

static int64_t constant_bytes(const Graph *g)
{
    int64_t total = 0;
    for (ValueId v = 1; v < g->n_values; v++)
        if (value_get(g, v)->constant && value_get(g, v)->n_users)
            total += type_count(&value_get(g, v)->type) *
                     (int64_t)elem_bytes(value_get(g, v)->type.elem);
    return total;
}

static bool winograd_applies(const Graph *g, const Node *n, const PassContext *c)
{
    const Target *t = c->target;
    bool may_start = c->pack == PACK_START || (c->pack == PACK_EITHER && c->weights_inline);
    const OpAttrs *a = &n->attrs;
    if (n->op != OP_conv2d || a->groups != 1 || a->strides[0] != 1 || a->strides[1] != 1)
        return false;
    const Type *w = &graph_input(g, n, 1)->type, *x = &graph_input(g, n, 0)->type;
    if (elem_is_half(w->elem) && !may_start)
        return false;
    bool square = w->dims[2] == w->dims[3] && (w->dims[2] == 3 || w->dims[2] == 5);
    return square && a->dilations[0] == 1 && a->dilations[1] == 1 &&
           !graph_input(g, n, 0)->constant && x->dims[1] >= t->lanes && w->dims[0] >= t->lanes;
}

static int64_t round_up(int64_t v, int64_t b)
{
    return (v + b - 1) / b * b;
}

/* A convolution that would gain, and what it costs. */
typedef struct Gain {
    NodeId node;
    int    tile;
    double cycles; /* saved */
    double bytes;  /* of weights, added */
} Gain;

/* The output tile with the fewest cycles; tile 0: direct. Input tiles of 4, 6 and 8. */
static Gain best_tile(const Graph *g, NodeId id, const Target *t, double bytes_per_cycle)
{
    const Node *n = node_get(g, id);
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    Layer       l = {y->dims[0],
                     y->dims[2],
                     y->dims[3],
                     round_up(x->dims[1], t->lanes),
                     round_up(y->dims[1], t->lanes),
                     graph_input(g, n, 1)->type.dims[2],
                     t->lanes,
                     (int64_t)elem_bytes(graph_input(g, n, 1)->type.elem),
                     bytes_per_cycle};
    double      direct = direct_cycles(&l);
    Gain        best = {.node = id};
    for (int64_t edge = 4; edge <= 8; edge += 2) {
        int64_t m = edge - l.k + 1;
        double  saved = m >= 2 ? direct - winograd_cycles(&l, m) : 0;
        double  bytes = (double)((edge * edge - l.k * l.k) * l.ic * l.oc) * 4;
        if (saved > best.cycles)
            best = (Gain){id, (int)m, saved, bytes};
    }
    return best;
}

static int by_gain_per_byte(const void *a, const void *b)
{
    const Gain *p = a, *q = b;
    double      x = p->cycles * q->bytes, y = q->cycles * p->bytes;
    if (x != y)
        return x > y ? -1 : 1;
    return p->node < q->node ? -1 : 1;
}

/* growth_allowed - bytes that transformed weights may add to the `total` that the network has. */
static double growth_allowed(int64_t total, const PassContext *c)
{
    if (!c->weights_inline || c->pack == PACK_START)
        return (double)INT64_MAX;
    if (total > INLINE_FULL)
        return 0;
    return c->pack == PACK_EITHER ? (double)INT64_MAX : INLINE_GROWTH;
}

bool packs_at_start(const Graph *g, const PassContext *c)
{
    double added = 0;
    if (c->pack != PACK_EITHER || !c->weights_inline)
        return c->pack == PACK_START;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        const Node *node = node_get(g, n);
        if (!node->winograd)
            continue;
        const Type *w = &graph_input(g, node, 1)->type;
        int64_t     k = w->dims[2], edge = node->winograd + k - 1;
        if (elem_is_half(w->elem))
            return true;
        added += (double)type_count(w) * 4 * (double)(edge * edge - k * k) / (double)(k * k);
    }
    return added > INLINE_GROWTH;
}

/* pass_choose_algorithm - decide which convolutions are done by Winograd's method (Node.winograd).
 *
 * Not on a target without vectors, where transforms cost memory and code, nor where every sum must be
 * made in one order. Where the weights are part of the C text there is a limit to their growth: the
 * convolutions that gain most for each byte come first. Transformed weights are F32, for rounded to
 * less they cost more accuracy than strict arithmetic allows: weights kept in less are transformed
 * at start or not at all.
 * Needs shapes. Returns true when some are. */
bool pass_choose_algorithm(Graph *g, const PassContext *c)
{
    if (c->exact || c->target->lanes == 1)
        return false;
    Arena  *scratch = arena_new();
    Gain   *gains = arena_array(scratch, Gain, g->n_nodes);
    size_t  n_gains = 0;
    int64_t total = constant_bytes(g);
    double  room = growth_allowed(total, c);
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        if (!winograd_applies(g, node_get(g, id), c))
            continue;
        Gain gain =
            best_tile(g, id, c->target, total > c->target->l3_bytes ? MEMORY_BYTES : L3_BYTES);
        if (gain.tile)
            gains[n_gains++] = gain;
    }
    qsort(gains, n_gains, sizeof *gains, by_gain_per_byte);
    bool changed = false;
    for (size_t i = 0; i < n_gains; i++) {
        if (gains[i].bytes > room)
            continue;
        room -= gains[i].bytes;
        node_at(g, gains[i].node)->winograd = gains[i].tile;
        changed = true;
    }
    arena_free(scratch);
    return changed;
}

/* Whether the layouts are what the transforms read and write: whole tiles within the halo. */
static bool layouts_allow(const Graph *g, const Node *n, const Target *t)
{
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    int64_t     need[4];
    winograd_halo(g, n, need);
    return x->layout.block == t->lanes && y->layout.block == t->lanes && x->layout.top >= need[0] &&
           x->layout.left >= need[1] && x->layout.bottom >= need[2] && x->layout.right >= need[3];
}

/* pass_reserve_scratch - memory for the transforms of each Winograd convolution; one whose layouts turned
 * out otherwise goes back to direct sums.
 *
 * Needs layouts. Returns true when the graph changed. */
bool pass_reserve_scratch(Graph *g, const PassContext *c)
{
    bool changed = false;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        if (!node_get(g, id)->winograd)
            continue;
        changed = true;
        if (!layouts_allow(g, node_get(g, id), c->target)) {
            node_at(g, id)->winograd = 0;
            continue;
        }
        const Node *n = node_get(g, id);
        int64_t     count = winograd_scratch(g, n, winograd_block(g, n, c->target));
        char       *name = graph_fresh_name(g, n->name);
        ValueId     v = graph_add_value(g, name, type_plain(F32, 1, &count));
        value_at(g, v)->producer = id;
        node_at(g, id)->scratch = v;
    }
    return changed;
}
