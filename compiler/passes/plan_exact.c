/* plan_exact.c - whether blocks with fixed lifetimes fit into a given size: branch and bound.
 *
 * If there is a solution, there is one in which every block has fallen as far as it goes: it lies at 0
 * or on top of a block it meets. Sorted by offset, such a solution is built from the bottom up, and
 * then each block's offset is its floor, the highest top among the placed blocks it meets. So the
 * search only chooses which block is next, with offsets that never decrease.
 *
 *   set aside    A block that finds room whatever its neighbours do is placed last; networks shrink
 *                to a hard core of blocks around their peak, or to nothing.
 *   bound        At each section, the lowest floor of its blocks and their sizes must fit.
 *   dominance    No block goes where another unplaced one could lie wholly below it.
 *   parts        Unplaced blocks that no longer meet are searched apart: the work adds up instead of
 *                multiplying.
 *
 * The ideas are those of MiniMalloc (Moffitt, ASPLOS 2023). */
#include "passes/passes.h"

#include <stdlib.h>
#include <string.h>

/* More open blocks than this are not searched: the lists of all levels would take too much memory. */
#define MOST_OPEN 1000

typedef struct Raise {
    int     block;
    int64_t floor; /* before */
} Raise;

typedef struct Fit {
    const PlaceProblem *p;
    int64_t             size;
    int64_t            *floor, *offset;
    bool               *open;    /* to be placed by the search */
    int                *ids;     /* a stack of lists of open blocks, one a level */
    struct Choice      *choices; /* likewise */
    size_t              n_ids, n_choices;
    Raise              *raised; /* floors to restore, innermost last */
    size_t              n_raised, cap_raised;
    int64_t            *low, *left; /* of each section, scratch of one state */
    int64_t             states, max_states;
    int64_t             work, max_work; /* blocks and sections looked at */
} Fit;

typedef struct Part { /* open blocks, by first section; all at `base` or above */
    int    *ids;
    int     n;
    int64_t base;
    int     placed; /* the block placed at `base` last, -1: none */
} Part;

/* ---- setting aside ---------------------------------------------------------------------- */

/* Each neighbour rules out an interval of offsets; when they cannot rule out all, block `b` can wait.
 * The order in which blocks left is their place in `aside`; they come back in reverse. */
static int set_aside(Fit *f, int *aside)
{
    const PlaceProblem *p = f->p;
    int64_t            *ruled_out = arena_array(p->arena, int64_t, (size_t)p->n);
    int                *queue = arena_array(p->arena, int, (size_t)p->n);
    bool               *queued = arena_array(p->arena, bool, (size_t)p->n);
    int                 head = 0, tail = 0, n_aside = 0;
    for (int i = 0; i < p->n; i++) {
        for (size_t k = p->near_at[i]; k < p->near_at[i + 1]; k++)
            ruled_out[i] += p->size[p->near[k]] + p->size[i] - 1;
        queued[i] = ruled_out[i] <= f->size - p->size[i];
        if (queued[i])
            queue[tail++] = i;
    }
    while (head < tail) {
        int b = queue[head++];
        f->open[b] = false;
        aside[n_aside++] = b;
        for (size_t k = p->near_at[b]; k < p->near_at[b + 1]; k++) {
            int other = p->near[k];
            ruled_out[other] -= p->size[b] + p->size[other] - 1;
            if (queued[other] || ruled_out[other] > f->size - p->size[other])
                continue;
            queued[other] = true;
            queue[tail++] = other;
        }
    }
    return n_aside;
}

static void bring_back(Fit *f, const int *aside, int n_aside)
{
    bool        *placed = arena_array(f->p->arena, bool, (size_t)f->p->n);
    PlaceScratch scratch = place_scratch(f->p->arena, f->p->n);
    memset(placed, 1, (size_t)f->p->n);
    for (int i = 0; i < n_aside; i++)
        placed[aside[i]] = false;
    for (int i = n_aside - 1; i >= 0; i--) {
        f->offset[aside[i]] = place_lowest(f->p, aside[i], placed, f->offset, &scratch);
        placed[aside[i]] = true;
    }
}

/* ---- one state -------------------------------------------------------------------------- */

static int64_t floor_in(const Fit *f, const Part *part, int b)
{
    return f->floor[b] > part->base ? f->floor[b] : part->base;
}

/* bound_holds - whether at each section the blocks of `part` still fit; fills low and left there. */
static bool bound_holds(Fit *f, const Part *part)
{
    const PlaceProblem *p = f->p;
    int                 end = -1;
    for (int i = 0; i < part->n; i++) {
        int     b = part->ids[i];
        int64_t at = floor_in(f, part, b);
        if (at + p->size[b] > f->size)
            return false;
        for (int s = p->first[b]; s <= p->last[b]; s++) {
            if (s > end) {
                end = s;
                f->low[s] = INT64_MAX;
                f->left[s] = 0;
            }
            f->low[s] = f->low[s] < at ? f->low[s] : at;
            f->left[s] += p->size[b];
        }
        f->work += p->last[b] - p->first[b] + 2;
    }
    int start = p->first[part->ids[0]];
    for (int s = start; s <= end; s++) {
        if (f->left[s] > f->size - f->low[s])
            return false;
    }
    return true;
}

/* A block that may be next. The emptiest way up first: low floor, then the tightest section. */
typedef struct Choice {
    int64_t floor, slack, size;
    int     block;
} Choice;

static int compare_choices(const void *a, const void *b)
{
    const Choice *x = a, *y = b;
    if (x->floor != y->floor)
        return x->floor < y->floor ? -1 : 1;
    if (x->slack != y->slack)
        return x->slack < y->slack ? -1 : 1;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x->block - y->block;
}

/* Equal blocks go in the order of their numbers. */
static bool has_twin_before(const Fit *f, int b)
{
    const PlaceProblem *p = f->p;
    for (int i = b - 1; i >= 0 && p->first[i] == p->first[b]; i--) {
        if (f->open[i] && p->last[i] == p->last[b] && p->size[i] == p->size[b])
            return true;
    }
    return false;
}

static int choices(Fit *f, const Part *part, Choice *out)
{
    const PlaceProblem *p = f->p;
    int64_t             roof = INT64_MAX; /* the lowest top a block could have */
    int                 n = 0;
    for (int i = 0; i < part->n; i++) {
        int64_t top = f->floor[part->ids[i]] + p->size[part->ids[i]];
        roof = roof < top ? roof : top;
    }
    for (int i = 0; i < part->n; i++) {
        int     b = part->ids[i];
        int64_t at = f->floor[b], slack = INT64_MAX;
        /* Below the base nothing is placed any more; at the base blocks go in ascending order. */
        if (at < part->base || at >= roof || (at == part->base && b < part->placed) ||
            has_twin_before(f, b))
            continue;
        for (int s = p->first[b]; s <= p->last[b]; s++) {
            int64_t here = f->size - f->low[s] - f->left[s];
            slack = slack < here ? slack : here;
        }
        out[n++] = (Choice){at, slack, p->size[b], b};
    }
    qsort(out, (size_t)n, sizeof *out, compare_choices);
    return n;
}

/* ---- the search ------------------------------------------------------------------------- */

static void place(Fit *f, int b, int64_t at)
{
    const PlaceProblem *p = f->p;
    f->open[b] = false;
    f->offset[b] = at;
    for (size_t k = p->near_at[b]; k < p->near_at[b + 1]; k++) {
        int other = p->near[k];
        if (!f->open[other] || f->floor[other] >= at + p->size[b])
            continue;
        f->raised = arena_grow(p->arena, f->raised, f->n_raised, &f->cap_raised, sizeof *f->raised);
        f->raised[f->n_raised++] = (Raise){other, f->floor[other]};
        f->floor[other] = at + p->size[b];
    }
    f->work += (int64_t)(p->near_at[b + 1] - p->near_at[b]);
}

static void take_back(Fit *f, size_t n_raised)
{
    while (f->n_raised > n_raised) {
        Raise r = f->raised[--f->n_raised];
        f->floor[r.block] = r.floor;
    }
}

static Fits search(Fit *f, const Part *part);

/* search_parts - `part` taken apart where no block of it spans; each must fit. The caller takes back
 * the floors when one does not. */
static Fits search_parts(Fit *f, const Part *part)
{
    Part piece = *part;
    int  start = 0, reach = -1;
    for (int i = 0; i <= part->n; i++) {
        bool ends = i == part->n || (i > start && f->p->first[part->ids[i]] > reach);
        if (ends) {
            piece.ids = part->ids + start;
            piece.n = i - start;
            Fits fits = search(f, &piece);
            if (fits != FITS) {
                for (int k = 0; k < start; k++)
                    f->open[part->ids[k]] = true;
                return fits;
            }
            start = i;
        }
        if (i < part->n && f->p->last[part->ids[i]] > reach)
            reach = f->p->last[part->ids[i]];
    }
    return FITS;
}

/* try_choice - place `c`, search the rest, and undo the placement unless the rest fits. */
static Fits try_choice(Fit *f, const Part *part, const Choice *c)
{
    size_t n_raised = f->n_raised, n_ids = f->n_ids;
    Part   rest = {f->ids + n_ids, 0, c->floor, c->block};
    for (int i = 0; i < part->n; i++) {
        if (part->ids[i] != c->block)
            rest.ids[rest.n++] = part->ids[i];
    }
    f->n_ids += (size_t)rest.n;
    place(f, c->block, c->floor);
    Fits fits = rest.n ? search_parts(f, &rest) : FITS;
    f->n_ids = n_ids;
    if (fits != FITS) {
        take_back(f, n_raised);
        f->open[c->block] = true;
    }
    return fits;
}

/* search - all ways to place a part whose blocks hang together. On FITS their offsets are set; else
 * they are open as before. */
static Fits search(Fit *f, const Part *part)
{
    if (f->states >= f->max_states || f->work > f->max_work)
        return FITS_UNKNOWN;
    f->states++;
    if (!bound_holds(f, part))
        return FITS_NEVER;
    Choice *choice = f->choices + f->n_choices;
    int     n = choices(f, part, choice);
    Fits    fits = FITS_NEVER;
    f->n_choices += (size_t)n;
    for (int i = 0; i < n && fits == FITS_NEVER; i++)
        fits = try_choice(f, part, &choice[i]);
    f->n_choices -= (size_t)n;
    return fits;
}

Fits place_fits(const PlaceProblem *p, int64_t size, int64_t *offset, int64_t max_states,
                int64_t *states)
{
    enum { WORK_PER_STATE = 200 };
    size_t n = (size_t)p->n, sections = (size_t)p->n_sections;
    Fit f = {.p = p, .size = size, .offset = offset, .states = *states, .max_states = max_states};
    f.max_work = (max_states - *states) * WORK_PER_STATE;
    f.open = arena_array(p->arena, bool, n);
    memset(f.open, 1, n * sizeof *f.open);
    int   *aside = arena_array(p->arena, int, n);
    int    n_aside = set_aside(&f, aside);
    Part   core = {.placed = -1};
    size_t n_open = n - (size_t)n_aside, room = n_open * (n_open + 1) / 2;
    if (n_open > MOST_OPEN)
        return FITS_UNKNOWN;
    f.floor = arena_array(p->arena, int64_t, n);
    f.low = arena_array(p->arena, int64_t, sections);
    f.left = arena_array(p->arena, int64_t, sections);
    f.ids = arena_array(p->arena, int, room);
    f.choices = arena_array(p->arena, Choice, room);
    core.ids = f.ids;
    for (int i = 0; i < p->n; i++) {
        if (f.open[i])
            core.ids[core.n++] = i;
    }
    f.n_ids = n_open;
    Fits fits = core.n ? search_parts(&f, &core) : FITS;
    *states = f.states;
    if (fits == FITS)
        bring_back(&f, aside, n_aside);
    return fits;
}
