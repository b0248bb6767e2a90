/* plan_search.c - offsets for blocks with fixed lifetimes, in an arena as small as can be shown.
 *
 * No arena is smaller than the bytes alive at its fullest step. Quick rules are tried first; where one
 * meets that bound nothing is left to prove. Otherwise sizes between the bound and the best found are
 * bisected by an exact search, each answer moving one end, until the ends meet or the states run out.
 * Stretches of time that no block spans are planned one by one. */
#include "passes/passes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* More pairs of blocks that meet than this are not listed: such plans stop at the skyline. */
#define MOST_PAIRS ((size_t)1 << 21)

static int64_t aligned(const MemoryPlan *p, int64_t bytes)
{
    return (bytes + p->align - 1) / p->align * p->align;
}

typedef struct ByStart {
    int first, last, block;
} ByStart;

static int compare_starts(const void *a, const void *b)
{
    const ByStart *x = a, *y = b;
    if (x->first != y->first)
        return x->first - y->first;
    return x->block - y->block;
}

static void find_bound(MemoryPlan *p, Arena *a)
{
    int64_t *change = arena_array(a, int64_t, (size_t)p->n_steps + 1), live = 0;
    for (int i = 0; i < p->n_blocks; i++) {
        change[p->blocks[i].first] += aligned(p, p->blocks[i].bytes);
        change[p->blocks[i].last + 1] -= aligned(p, p->blocks[i].bytes);
    }
    p->lower_bound = 0;
    p->bound_step = 0;
    for (int s = 0; s < p->n_steps; s++) {
        live += change[s];
        if (live <= p->lower_bound)
            continue;
        p->lower_bound = live;
        p->bound_step = s;
    }
}

/* ---- a stretch of time as a problem ----------------------------------------------------- */

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Sections: the distinct steps at which blocks begin. */
static void cut_sections(PlaceProblem *q, const ByStart *b)
{
    int *start = arena_array(q->arena, int, (size_t)q->n);
    for (int i = 0; i < q->n; i++) {
        if (i == 0 || b[i].first != b[i - 1].first)
            start[q->n_sections++] = b[i].first;
        q->first[i] = q->n_sections - 1;
    }
    for (int i = 0; i < q->n; i++) {
        int low = q->first[i], high = q->n_sections - 1;
        while (low < high) { /* the last section that starts within the block's life */
            int mid = low + (high - low + 1) / 2;
            if (start[mid] <= b[i].last)
                low = mid;
            else
                high = mid - 1;
        }
        q->last[i] = low;
    }
    q->live = arena_array(q->arena, int64_t, (size_t)q->n_sections + 1);
    for (int i = 0; i < q->n; i++) {
        q->live[q->first[i]] += q->size[i];
        q->live[q->last[i] + 1] -= q->size[i];
    }
    for (int s = 1; s < q->n_sections; s++)
        q->live[s] += q->live[s - 1];
}

/* Blocks are sorted by start, so those that meet block i and follow it are next to it. */
static void list_meetings(PlaceProblem *q)
{
    size_t  n = (size_t)q->n, pairs = 0;
    size_t *at = arena_array(q->arena, size_t, n + 1);
    for (int i = 0; i < q->n; i++) {
        for (int k = i + 1; k < q->n && q->first[k] <= q->last[i]; k++) {
            at[i]++;
            at[k]++;
            if (++pairs > MOST_PAIRS)
                return;
        }
    }
    q->near_at = arena_array(q->arena, size_t, n + 1);
    for (size_t i = 0; i < n; i++) {
        q->near_at[i + 1] = q->near_at[i] + at[i];
        at[i] = q->near_at[i];
    }
    q->near = arena_array(q->arena, int, 2 * pairs + 1);
    for (int i = 0; i < q->n; i++) {
        for (int k = i + 1; k < q->n && q->first[k] <= q->last[i]; k++) {
            q->near[at[i]++] = k;
            q->near[at[k]++] = i;
        }
    }
}

/* The problem of blocks b[0..n); returns its unit in bytes. */
static int64_t make_problem(const MemoryPlan *p, const ByStart *b, int n, PlaceProblem *q)
{
    int64_t unit = 0;
    q->n = n;
    q->size = arena_array(q->arena, int64_t, (size_t)n);
    q->first = arena_array(q->arena, int, (size_t)n);
    q->last = arena_array(q->arena, int, (size_t)n);
    for (int i = 0; i < n; i++) {
        q->size[i] = aligned(p, p->blocks[b[i].block].bytes);
        unit = common_divisor(unit, q->size[i]);
    }
    assert(unit > 0); /* no block is empty */
    for (int i = 0; i < n; i++)
        q->size[i] /= unit;
    cut_sections(q, b);
    list_meetings(q);
    return unit;
}

/* ---- the hunt for the smallest size ----------------------------------------------------- */

typedef struct Hunt {
    int64_t size;   /* reached */
    bool    proven; /* nothing smaller, from the goal on, can hold the blocks */
} Hunt;

static int64_t reached(const PlaceProblem *q, const int64_t *offset)
{
    int64_t top = 0;
    for (int i = 0; i < q->n; i++)
        top = offset[i] + q->size[i] > top ? offset[i] + q->size[i] : top;
    return top;
}

/* hunt - a size as close to `goal` as can be found. Half of the states left goes to the goal itself,
 * half of what then is left to the middle between what is refuted and what is reached, and so on. */
static Hunt hunt(const PlaceProblem *q, int64_t goal, int64_t *offset, int64_t max_states,
                 int64_t *states)
{
    int64_t *trial = arena_array(q->arena, int64_t, (size_t)q->n);
    int64_t  size = place_greedy(q, goal, 16 * max_states, offset);
    int64_t  from = goal, at = goal;
    bool     proven = q->near != NULL || size <= goal;
    while (q->near && from < size && *states < max_states) {
        int64_t limit = *states + (max_states - *states + 1) / 2;
        Fits    fits = place_fits(q, at, trial, limit, states);
        if (fits == FITS) {
            memcpy(offset, trial, (size_t)q->n * sizeof *offset);
            size = reached(q, offset);
        } else {
            proven &= fits == FITS_NEVER;
            from = at + 1;
        }
        at = from + (size - from) / 2;
    }
    return (Hunt){size, proven && from >= size};
}

/* Plan blocks b[0..n), whose lives hang together, apart from all others. */
static Hunt place_stretch(MemoryPlan *p, const ByStart *b, int n, int64_t max_states)
{
    Arena       *a = arena_new();
    PlaceProblem q = {.arena = a};
    int64_t      unit = make_problem(p, b, n, &q), bound = 0;
    for (int s = 0; s < q.n_sections; s++)
        bound = q.live[s] > bound ? q.live[s] : bound;
    /* Below the bound of the whole arena nothing is gained. */
    int64_t  goal = p->lower_bound / unit > bound ? p->lower_bound / unit : bound;
    int64_t *offset = arena_array(a, int64_t, (size_t)n);
    Hunt     h = hunt(&q, goal, offset, max_states, &p->searched);
    for (int i = 0; i < n; i++)
        p->blocks[b[i].block].offset = offset[i] * unit;
    h.size *= unit;
    arena_free(a);
    return h;
}

void plan_place(MemoryPlan *p, Arena *scratch, int64_t max_states)
{
    ByStart *b = arena_array(scratch, ByStart, (size_t)p->n_blocks);
    int      n = 0, start = 0, reach = -1;
    for (int i = 0; i < p->n_blocks; i++) {
        p->blocks[i].offset = 0;
        if (p->blocks[i].bytes > 0)
            b[n++] = (ByStart){p->blocks[i].first, p->blocks[i].last, i};
    }
    qsort(b, (size_t)n, sizeof *b, compare_starts);
    find_bound(p, scratch);
    p->bytes = p->searched = 0;
    p->proof = PROOF_BOUND;
    for (int i = 0; i <= n; i++) {
        if (i > start && (i == n || b[i].first > reach)) {
            Hunt h = place_stretch(p, b + start, i - start, max_states);
            bool decides = h.size > p->bytes || (h.size == p->bytes && h.proven);
            if (h.size > p->lower_bound && decides)
                p->proof = h.proven ? PROOF_EXHAUSTED : PROOF_NONE;
            p->bytes = h.size > p->bytes ? h.size : p->bytes;
            start = i;
        }
        if (i < n && b[i].last > reach)
            reach = b[i].last;
    }
}
