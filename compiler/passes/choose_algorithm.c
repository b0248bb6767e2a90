/* choose_algorithm.c - how the sums of each convolution are made, by estimated cycles (schedule/cost.c). */
#include "passes/passes.h"
#include "ops/ops.h"

#include <stdlib.h>

/* Weights that are text in the C file make it large and slow to compile: gcc takes 5 s for 48 MB of
 * them. So there transformed weights may add a mebibyte, or they are made at start, where they may
 * grow as they like; beside the file they may always. Kernels with transforms take a tenth to a fifth of
 * a second each to compile; where there is so much text that it takes long already, there are none. */
#define INLINE_GROWTH (1 << 20)
#define INLINE_FULL   (64 << 20)

CostContext cost_context(const PassContext *c)
{
    return (CostContext){
        .target = c->target,
        .exact = c->exact,
        .packs_may_start = c->pack == PACK_START || (c->pack == PACK_EITHER && c->weights_inline),
    };
}

/* What an algorithm for products of matrices is estimated to save has to be worth its memory. */
#define PRODUCTS_WORTH 0.02

/* A convolution that would gain, and what it costs. */
typedef struct Gain {
    NodeId    node;
    Algorithm algorithm;
    int       tile;
    double    cycles; /* saved */
    double    bytes;  /* of weights, added */
} Gain;

static Gain gain_of(NodeId id, const AlgorithmCost *direct, const AlgorithmCost *c)
{
    return (Gain){id, c->algorithm, c->tile, direct->cycles - c->cycles, c->added_bytes};
}

bool choose_pays(const AlgorithmCost *direct, const AlgorithmCost *c)
{
    double least = c->algorithm == WINOGRAD ? 0 : PRODUCTS_WORTH * direct->cycles;
    return direct->cycles - c->cycles > least;
}

/* The algorithm with the fewest cycles. */
static Gain best_algorithm(const Graph *g, NodeId id, const CostContext *c)
{
    AlgorithmCost costs[MAX_ALGORITHMS];
    Gain          best = {.node = id};
    int           n = cost_algorithms(g, id, c, costs);
    for (int i = 1; i < n; i++) {
        Gain gain = gain_of(id, costs, &costs[i]);
        if (!costs[i].why_not && gain.cycles > best.cycles && choose_pays(costs, &costs[i]))
            best = gain;
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

double choose_room(const Graph *g, const PassContext *c)
{
    if (!c->weights_inline || c->pack == PACK_START)
        return (double)INT64_MAX;
    if (graph_constant_bytes(g) > INLINE_FULL)
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
        int64_t     k = w->dims[2], edge = winograd_edge(node_winograd(g, node, node->winograd));
        if (elem_is_half(w->elem))
            return true;
        added += (double)type_count(w) * 4 * (double)(edge * edge - k * k) / (double)(k * k);
    }
    return added > INLINE_GROWTH;
}

/* take - compute the node so; true: otherwise than before. */
static bool take(Graph *g, const Gain *gain, double *room)
{
    *room -= gain->bytes;
    node_at(g, gain->node)->algorithm = gain->algorithm;
    node_at(g, gain->node)->winograd = gain->tile;
    return gain->algorithm != DIRECT;
}

static const char *const methods[] = {
    [WINOGRAD] = "Winograd's method",
    [STRASSEN] = "Strassen's algorithm",
    [INNER] = "Winograd's inner product",
};

static const char *const filters[] = {
    [WINOGRAD] = "3x3, 5x5 or 7x7",
    [STRASSEN] = "1x1",
    [INNER] = "1x1",
};

/* Why a node cannot have the algorithm that a schedule file asks for: no tile of it, or not that one. */
static const char *why_not(Arena *a, Algorithm asked, const AlgorithmCost *costs, int n)
{
    Text        tiles = text_new(a);
    int         n_tiles = 0;
    const char *why = NULL;
    for (int i = 1; i < n; i++) {
        if (costs[i].algorithm != asked)
            continue;
        why = costs[i].why_not;
        text_printf(&tiles, "%s%d", !n_tiles++ ? "" : i + 1 < n ? ", " : " or ", costs[i].tile);
    }
    if (n < 2)
        return "does not apply: it is for convolutions";
    if (!n_tiles)
        return arena_printf(a, "does not apply: its filters have to be %s", filters[asked]);
    return why ? arena_printf(a, "does not apply: %s", why)
               : arena_printf(a, "has output tiles of %s", tiles.data);
}

/* fixed_algorithm - whether the schedule file says how the node is computed. *out is what that adds; direct, or
 * one that cannot be had, which is reported: nothing. */
static bool fixed_algorithm(const Graph *g, NodeId id, const PassContext *c,
                            const CostContext *costs_of, Gain *out)
{
    const Node   *n = node_get(g, id);
    Span          where;
    AlgorithmCost costs[MAX_ALGORITHMS];
    int           tile, asked = schedule_algorithm(c->schedules, n->name, &tile, &where);
    *out = (Gain){.node = id};
    if (asked <= DIRECT)
        return asked == DIRECT;
    int n_costs = cost_algorithms(g, id, costs_of, costs);
    for (int i = 1; i < n_costs; i++)
        if (!costs[i].why_not && (int)costs[i].algorithm == asked && costs[i].tile == tile)
            *out = gain_of(id, costs, &costs[i]);
    if (out->algorithm == DIRECT)
        diag_error(g->diag, where, "%s '%s': %s %s", op_info(n->op)->name,
                   text_printable(g->arena, n->name), methods[asked],
                   why_not(g->arena, (Algorithm)asked, costs, n_costs));
    return true;
}

/* pass_choose_algorithm - decide which convolutions are done by Winograd's method, Strassen's algorithm or Winograd's
 * inner product (Node.algorithm).
 *
 * Not on a target without vectors, where transforms cost memory and code, nor where every sum must be
 * made in one order. Where the weights are part of the C text there is a limit to their growth: the
 * convolutions that gain most for each byte come first. Transformed weights are F32, for rounded to
 * less they cost more accuracy than strict arithmetic allows: weights kept in less are transformed
 * at start or not at all. What a schedule file gives comes before all that.
 * Needs shapes. Returns true when some are. */
bool pass_choose_algorithm(Graph *g, const PassContext *c)
{
    Arena      *scratch = arena_new();
    Gain       *gains = arena_array(scratch, Gain, g->n_nodes);
    size_t      n_gains = 0;
    CostContext costs = cost_context(c);
    double      room = choose_room(g, c);
    bool        changed = false;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        Gain gain;
        if (fixed_algorithm(g, id, c, &costs, &gain))
            changed |= take(g, &gain, &room);
        else if ((gain = best_algorithm(g, id, &costs)).algorithm != DIRECT)
            gains[n_gains++] = gain;
    }
    qsort(gains, n_gains, sizeof *gains, by_gain_per_byte);
    for (size_t i = 0; i < n_gains; i++)
        if (gains[i].bytes <= room)
            changed |= take(g, &gains[i], &room);
    arena_free(scratch);
    return changed;
}

/* halo_allows - whether there are whole tiles within the halo. */
static bool halo_allows(const Graph *g, const Node *n)
{
    const Layout *l = &graph_input(g, n, 0)->type.layout;
    int64_t       need[4];
    winograd_halo(g, n, need);
    return l->top >= need[0] && l->left >= need[1] && l->bottom >= need[2] && l->right >= need[3];
}

/* layouts_allow - whether the layouts are what the transforms read and write. */
static bool layouts_allow(const Graph *g, const Node *n, const Target *t)
{
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    return x->layout.block == t->lanes && y->layout.block == t->lanes &&
           (n->algorithm != WINOGRAD || halo_allows(g, n)) &&
           (n->algorithm != STRASSEN || strassen_pairs(g, n).rows > 0);
}

static BlockShape (*const block_of[])(const Graph *, const Node *, const CostContext *, int) = {
    [WINOGRAD] = winograd_block, [STRASSEN] = strassen_block, [INNER] = inner_block};

static int64_t (*const scratch_of[])(const Graph *, const Node *, BlockShape) = {
    [WINOGRAD] = winograd_scratch, [STRASSEN] = strassen_scratch, [INNER] = inner_scratch};

/* pass_reserve_scratch - memory for what each convolution that is not done by direct sums makes of its input; one whose
 * layouts turned out otherwise goes back to direct sums.
 *
 * Needs layouts. Returns true when the graph changed. */
bool pass_reserve_scratch(Graph *g, const PassContext *c)
{
    CostContext costs = cost_context(c);
    bool        changed = false;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        if (n->algorithm == DIRECT)
            continue;
        changed = true;
        if (!layouts_allow(g, n, c->target)) {
            node_at(g, id)->algorithm = DIRECT;
            node_at(g, id)->winograd = 0;
            continue;
        }
        BlockShape block = block_of[n->algorithm](g, n, &costs, c->threads);
        int64_t    count = scratch_of[n->algorithm](g, n, block) * block.copies;
        char      *name = graph_fresh_name(g, n->name);
        ValueId    v = graph_add_value(g, name, type_plain(F32, 1, &count));
        value_at(g, v)->producer = id;
        node_at(g, id)->scratch = v;
        node_at(g, id)->block = block;
    }
    return changed;
}
