/* plan_greedy.c - good placements quickly: blocks one after the other, in several orders.
 *
 * Two rules say where a block goes. The skyline puts it on top of everything placed so far that is
 * alive with it: n log n however many blocks meet. First fit takes the lowest gap that holds it.
 * When no fixed order reaches the goal, first fit is repeated with the blocks that stuck out moved
 * forward ("squeaky wheel"), which in practice meets the lower bound on nearly every network. */
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

/* ---- orders ----------------------------------------------------------------------------- */

typedef struct Ranked {
    int64_t key[2]; /* larger first */
    int     block;
} Ranked;

static int compare_ranked(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    for (int i = 0; i < 2; i++) {
        if (x->key[i] != y->key[i])
            return x->key[i] > y->key[i] ? -1 : 1;
    }
    return x->block - y->block;
}

typedef enum { BY_SIZE, BY_LIFETIME, BY_AREA, BY_CROWD, BY_START, N_RANKINGS } Ranking;

/* The tightest section block `i` lives through; in all, no more steps than blocks meet. */
static int64_t crowd(const PlaceProblem *p, int i)
{
    int64_t most = 0;
    for (int s = p->first[i]; s <= p->last[i]; s++)
        most = p->live[s] > most ? p->live[s] : most;
    return most;
}

static void rank_blocks(const PlaceProblem *p, Ranking by, Ranked *r, int *order)
{
    for (int i = 0; i < p->n; i++) {
        int64_t size = p->size[i], life = p->last[i] - p->first[i] + 1;
        switch (by) {
        case BY_LIFETIME: r[i] = (Ranked){{life, size}, i}; break;
        case BY_AREA:
            /* Saturated by halving: only the order counts. */
            r[i] = (Ranked){{(size >> 20) * life + ((size & 0xfffff) * life >> 20), size}, i};
            break;
        case BY_CROWD: r[i] = (Ranked){{crowd(p, i), size}, i}; break;
        case BY_START: r[i] = (Ranked){{-p->first[i], size}, i}; break;
        default: r[i] = (Ranked){{size, life}, i}; break;
        }
    }
    qsort(r, (size_t)p->n, sizeof *r, compare_ranked);
    for (int i = 0; i < p->n; i++)
        order[i] = r[i].block;
}

/* ---- the skyline ------------------------------------------------------------------------ */

/* A tree over the sections. `top` is the highest skyline below a node; `all` is a height that all of
 * it reaches. Heights only grow, so nothing is ever pushed down. */
typedef struct Skyline {
    int      n; /* leaves: a power of two */
    int64_t *top, *all;
} Skyline;

static int64_t skyline_max(const Skyline *s, int node, int from, int to, int first, int last)
{
    if (first > to || last < from)
        return 0;
    if (first <= from && to <= last)
        return s->top[node];
    int     mid = from + (to - from) / 2;
    int64_t a = skyline_max(s, 2 * node, from, mid, first, last);
    int64_t b = skyline_max(s, 2 * node + 1, mid + 1, to, first, last);
    a = a > b ? a : b;
    return a > s->all[node] ? a : s->all[node];
}

static void skyline_raise(Skyline *s, int node, int from, int to, int first, int last,
                          int64_t height)
{
    if (first > to || last < from)
        return;
    if (s->top[node] < height)
        s->top[node] = height;
    if (first <= from && to <= last) {
        s->all[node] = height;
        return;
    }
    int mid = from + (to - from) / 2;
    skyline_raise(s, 2 * node, from, mid, first, last, height);
    skyline_raise(s, 2 * node + 1, mid + 1, to, first, last, height);
}

static int64_t place_skyline(const PlaceProblem *p, Skyline *s, const int *order, int64_t *offset)
{
    memset(s->top, 0, 2 * (size_t)s->n * sizeof *s->top);
    memset(s->all, 0, 2 * (size_t)s->n * sizeof *s->all);
    for (int i = 0; i < p->n; i++) {
        int b = order[i];
        offset[b] = skyline_max(s, 1, 0, s->n - 1, p->first[b], p->last[b]);
        skyline_raise(s, 1, 0, s->n - 1, p->first[b], p->last[b], offset[b] + p->size[b]);
    }
    return s->top[1];
}

/* ---- first fit -------------------------------------------------------------------------- */

typedef struct Gap {
    int64_t from, to; /* taken */
} Gap;

static int compare_gaps(const void *a, const void *b)
{
    const Gap *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

int64_t place_lowest(const PlaceProblem *p, int b, const bool *placed, const int64_t *offset,
                     PlaceScratch *s)
{
    Gap *taken = s->room;
    int  n = 0;
    for (size_t k = p->near_at[b]; k < p->near_at[b + 1]; k++) {
        int other = p->near[k];
        if (placed[other])
            taken[n++] = (Gap){offset[other], offset[other] + p->size[other]};
    }
    qsort(taken, (size_t)n, sizeof *taken, compare_gaps);
    int64_t at = 0;
    for (int i = 0; i < n && taken[i].from - at < p->size[b]; i++)
        at = at > taken[i].to ? at : taken[i].to;
    return at;
}

PlaceScratch place_scratch(Arena *a, int n)
{
    return (PlaceScratch){arena_array(a, Gap, (size_t)n + 1)};
}

static int64_t place_first_fit(const PlaceProblem *p, const int *order, bool *placed,
                               int64_t *offset, PlaceScratch *s)
{
    int64_t top = 0;
    memset(placed, 0, (size_t)p->n * sizeof *placed);
    for (int i = 0; i < p->n; i++) {
        int b = order[i];
        offset[b] = place_lowest(p, b, placed, offset, s);
        placed[b] = true;
        if (top < offset[b] + p->size[b])
            top = offset[b] + p->size[b];
    }
    return top;
}

/* ---- the best of all -------------------------------------------------------------------- */

typedef struct Greedy {
    const PlaceProblem *p;
    int64_t             best, *best_offset, *offset;
    int                *order, *best_order;
    bool               *placed;
    Ranked             *ranked;
    PlaceScratch        scratch;
    uint64_t            random;
} Greedy;

/* keep - remember the placement in g->offset if it is the best so far. */
static bool keep(Greedy *g, int64_t top)
{
    if (top >= g->best)
        return false;
    g->best = top;
    memcpy(g->best_offset, g->offset, (size_t)g->p->n * sizeof *g->offset);
    memcpy(g->best_order, g->order, (size_t)g->p->n * sizeof *g->order);
    return true;
}

/* Blocks that reach past the goal move forward, to half their place in the order. */
static void move_forward(Greedy *g, int64_t goal)
{
    const PlaceProblem *p = g->p;
    for (int i = 0; i < p->n; i++) {
        int  b = g->order[i];
        bool sticks_out = g->offset[b] + p->size[b] > goal;
        g->ranked[i] = (Ranked){{-(sticks_out ? (int64_t)i - 1 : 2 * (int64_t)i), 0}, b};
    }
    qsort(g->ranked, (size_t)p->n, sizeof *g->ranked, compare_ranked);
    for (int i = 0; i < p->n; i++)
        g->order[i] = g->ranked[i].block;
}

/* The best order again, with a few blocks exchanged: a fixed sequence of random numbers. */
static void restart(Greedy *g)
{
    int n = g->p->n;
    memcpy(g->order, g->best_order, (size_t)n * sizeof *g->order);
    for (int i = 0; i < 2 + n / 16; i++) {
        int at[2];
        for (int k = 0; k < 2; k++) {
            g->random = g->random * 6364136223846793005u + 1442695040888963407u;
            at[k] = (int)((g->random >> 33) % (uint64_t)n);
        }
        int b = g->order[at[0]];
        g->order[at[0]] = g->order[at[1]];
        g->order[at[1]] = b;
    }
}

static void squeaky_wheel(Greedy *g, int64_t goal, int64_t rounds)
{
    enum { PATIENCE = 12 };
    int stale = PATIENCE;
    memcpy(g->offset, g->best_offset, (size_t)g->p->n * sizeof *g->offset);
    memcpy(g->order, g->best_order, (size_t)g->p->n * sizeof *g->order);
    for (int64_t r = 0; r < rounds && g->best > goal; r++) {
        if (stale-- == 0) {
            stale = PATIENCE;
            restart(g);
        } else {
            move_forward(g, r % 2 ? goal : g->best - 1);
        }
        if (keep(g, place_first_fit(g->p, g->order, g->placed, g->offset, &g->scratch)))
            stale = PATIENCE;
    }
}

int64_t place_greedy(const PlaceProblem *p, int64_t goal, int64_t work, int64_t *offset)
{
    size_t  n = (size_t)p->n;
    Greedy  g = {.p = p, .best = INT64_MAX, .best_offset = offset, .random = 1};
    Skyline s = {.n = 1};
    while (s.n < p->n_sections)
        s.n *= 2;
    s.top = arena_array(p->arena, int64_t, 2 * (size_t)s.n);
    s.all = arena_array(p->arena, int64_t, 2 * (size_t)s.n);
    g.offset = arena_array(p->arena, int64_t, n);
    g.order = arena_array(p->arena, int, n);
    g.best_order = arena_array(p->arena, int, n);
    g.placed = arena_array(p->arena, bool, n);
    g.ranked = arena_array(p->arena, Ranked, n);
    g.scratch = place_scratch(p->arena, p->n);
    for (int by = 0; by < N_RANKINGS && g.best > goal; by++) {
        if (by == BY_CROWD && !p->near)
            continue;
        rank_blocks(p, (Ranking)by, g.ranked, g.order);
        keep(&g, place_skyline(p, &s, g.order, g.offset));
        if (p->near && g.best > goal)
            keep(&g, place_first_fit(p, g.order, g.placed, g.offset, &g.scratch));
    }
    if (p->near && g.best > goal)
        squeaky_wheel(&g, goal, work / (int64_t)(p->near_at[p->n] + 16 * n));
    return g.best;
}
