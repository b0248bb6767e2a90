/* choose_algorithm.c - direct sums or Winograd's, for each convolution, by estimated cycles
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

/* A convolution that would gain, and what it costs. */
typedef struct Gain {
    NodeId node;
    int    tile;
    double cycles; /* saved */
    double bytes;  /* of weights, added */
} Gain;

/* The output tile with the fewest cycles; tile 0: direct. */
static Gain best_tile(const Graph *g, NodeId id, const CostContext *c)
{
    AlgorithmCost costs[MAX_ALGORITHMS];
    Gain          best = {.node = id};
    int           n = cost_algorithms(g, id, c, costs);
    for (int i = 1; i < n; i++) {
        double saved = costs[0].cycles - costs[i].cycles;
        if (!costs[i].why_not && saved > best.cycles)
            best = (Gain){id, costs[i].tile, saved, costs[i].added_bytes};
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
    return gain->tile > 0;
}

/* why_no_tile - why a node cannot have the tile that a schedule file asks for. */
static const char *why_no_tile(Arena *a, const AlgorithmCost *costs, int n)
{
    Text t = text_new(a);
    if (n < 2)
        return "does not apply: it is for convolutions";
    if (costs[1].why_not)
        return arena_printf(a, "does not apply: %s", costs[1].why_not);
    text_add(&t, "has output tiles of ");
    for (int i = 1; i < n; i++)
        text_printf(&t, "%s%d", i == 1 ? "" : i + 1 < n ? ", " : " or ", costs[i].tile);
    return t.data;
}

/* fixed_tile - whether the schedule file says how the node is computed. *out is what that adds; tile 0:
 * direct, or a tile that cannot be had, which is reported. */
static bool fixed_tile(const Graph *g, NodeId id, const PassContext *c, const CostContext *costs_of,
                       Gain *out)
{
    const Node   *n = node_get(g, id);
    Span          where;
    int           tile = schedule_winograd(c->schedules, n->name, &where);
    AlgorithmCost costs[MAX_ALGORITHMS];
    *out = (Gain){.node = id};
    if (tile <= 0)
        return tile == 0;
    int n_costs = cost_algorithms(g, id, costs_of, costs);
    for (int i = 1; i < n_costs; i++)
        if (!costs[i].why_not && costs[i].tile == tile)
            *out = (Gain){id, tile, costs[0].cycles - costs[i].cycles, costs[i].added_bytes};
    if (!out->tile)
        diag_error(g->diag, where, "%s '%s': Winograd's method %s", op_info(n->op)->name,
                   text_printable(g->arena, n->name), why_no_tile(g->arena, costs, n_costs));
    return true;
}

/* pass_choose_algorithm - decide which convolutions are done by Winograd's method (Node.winograd).
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
        if (fixed_tile(g, id, c, &costs, &gain))
            changed |= take(g, &gain, &room);
        else if ((gain = best_tile(g, id, &costs)).tile)
            gains[n_gains++] = gain;
    }
    qsort(gains, n_gains, sizeof *gains, by_gain_per_byte);
    for (size_t i = 0; i < n_gains; i++)
        if (gains[i].bytes <= room)
            changed |= take(g, &gains[i], &room);
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
    CostContext costs = cost_context(c);
    bool        changed = false;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        if (!node_get(g, id)->winograd)
            continue;
        changed = true;
        if (!layouts_allow(g, node_get(g, id), c->target)) {
            node_at(g, id)->winograd = 0;
            continue;
        }
        const Node   *n = node_get(g, id);
        WinogradBlock block = winograd_block(g, n, &costs, c->threads);
        int64_t       count = winograd_scratch(g, n, block) * block.copies;
        char         *name = graph_fresh_name(g, n->name);
        ValueId       v = graph_add_value(g, name, type_plain(F32, 1, &count));
        value_at(g, v)->producer = id;
        node_at(g, id)->scratch = v;
        node_at(g, id)->block = block;
    }
    return changed;
}
