/* choose_algorithm.c - direct sums, Winograd's or Strassen's, for each convolution, by estimated cycles
 * (schedule/cost.c). */
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

/* Strassen's algorithm saves an eighth at most: what it is estimated to save has to be worth its memory. */
#define STRASSEN_WORTH 0.02

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
    double least = c->algorithm == STRASSEN ? STRASSEN_WORTH * direct->cycles : 0;
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
    node_at(g, gain->node)->winograd = gain->tile;
    node_at(g, gain->node)->strassen = gain->algorithm == STRASSEN;
    return gain->algorithm != DIRECT;
}

/* Why a node cannot have the tile that a schedule file asks for. */
static const char *why_no_tile(Arena *a, const AlgorithmCost *costs, int n)
{
    Text t = text_new(a);
    if (n < 2)
        return "does not apply: it is for convolutions";
    if (costs[1].algorithm != WINOGRAD)
        return "does not apply: its filters have to be 3x3, 5x5 or 7x7";
    if (costs[1].why_not)
        return arena_printf(a, "does not apply: %s", costs[1].why_not);
    text_add(&t, "has output tiles of ");
    for (int i = 1; i < n; i++)
        text_printf(&t, "%s%d", i == 1 ? "" : i + 1 < n ? ", " : " or ", costs[i].tile);
    return t.data;
}

static const char *why_no_strassen(Arena *a, const AlgorithmCost *costs, int n)
{
    if (n < 2)
        return "does not apply: it is for convolutions";
    return arena_printf(a, "does not apply: %s",
                        costs[1].algorithm == STRASSEN ? costs[1].why_not
                                                       : "its filters have to be 1x1");
}

/* given - whether the schedule file says how the node is computed, and how. A member of 1 or more asks for an
 * algorithm; of 0, for direct sums. */
static bool given(const ScheduleFile *f, const char *node, Gain *out, Span *where)
{
    int tile = schedule_winograd(f, node, where), strassen;
    if (tile <= 0 && (strassen = schedule_strassen(f, node, where)) > 0)
        out->algorithm = STRASSEN;
    else if (tile > 0) {
        out->algorithm = WINOGRAD;
        out->tile = tile;
    } else
        return tile == 0 || strassen == 0;
    return true;
}

/* fixed_algorithm - whether the schedule file says how the node is computed. *out is what that adds; direct, or
 * one that cannot be had, which is reported: nothing. */
static bool fixed_algorithm(const Graph *g, NodeId id, const PassContext *c,
                            const CostContext *costs_of, Gain *out)
{
    const Node   *n = node_get(g, id);
    Span          where;
    AlgorithmCost costs[MAX_ALGORITHMS];
    Gain          asked = {.node = id};
    *out = asked;
    if (!given(c->schedules, n->name, &asked, &where))
        return false;
    if (asked.algorithm == DIRECT)
        return true;
    int n_costs = cost_algorithms(g, id, costs_of, costs);
    for (int i = 1; i < n_costs; i++)
        if (!costs[i].why_not && costs[i].algorithm == asked.algorithm &&
            costs[i].tile == asked.tile)
            *out = gain_of(id, costs, &costs[i]);
    if (out->algorithm == DIRECT)
        diag_error(g->diag, where, "%s '%s': %s %s", op_info(n->op)->name,
                   text_printable(g->arena, n->name),
                   asked.tile ? "Winograd's method" : "Strassen's algorithm",
                   (asked.tile ? why_no_tile : why_no_strassen)(g->arena, costs, n_costs));
    return true;
}

/* pass_choose_algorithm - decide which convolutions are done by Winograd's method (Node.winograd) or Strassen's
 * algorithm (Node.strassen).
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
           (n->winograd ? halo_allows(g, n) : strassen_pairs(g, n).rows > 0);
}

/* pass_reserve_scratch - memory for the transforms of each convolution by Winograd's method or Strassen's
 * algorithm; one whose layouts turned out otherwise goes back to direct sums.
 *
 * Needs layouts. Returns true when the graph changed. */
bool pass_reserve_scratch(Graph *g, const PassContext *c)
{
    CostContext costs = cost_context(c);
    bool        changed = false;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        if (!n->winograd && !n->strassen)
            continue;
        changed = true;
        if (!layouts_allow(g, n, c->target)) {
            node_at(g, id)->winograd = 0;
            node_at(g, id)->strassen = false;
            continue;
        }
        BlockShape block =
            (n->winograd ? winograd_block : strassen_block)(g, n, &costs, c->threads);
        int64_t count =
            (n->winograd ? winograd_scratch : strassen_scratch)(g, n, block) * block.copies;
        char   *name = graph_fresh_name(g, n->name);
        ValueId v = graph_add_value(g, name, type_plain(F32, 1, &count));
        value_at(g, v)->producer = id;
        node_at(g, id)->scratch = v;
        node_at(g, id)->block = block;
    }
    return changed;
}
