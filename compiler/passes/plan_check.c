/* plan_check.c - an independent check of a memory plan. Shares no code with the search: it walks the
 * steps in order and keeps the live blocks sorted by offset, so that each newcomer needs a look at its
 * two neighbours only. */
#include "passes/passes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Blocks by the step at which they enter, and by the step after which they leave. */
typedef struct Calendar {
    int *at; /* blocks of step s: order[at[s] .. at[s + 1]) */
    int *order;
} Calendar;

static Calendar calendar_new(const MemoryPlan *p, Arena *a, bool by_last)
{
    Calendar c = {arena_array(a, int, (size_t)p->n_steps + 2),
                  arena_array(a, int, (size_t)p->n_blocks)};
    for (int i = 0; i < p->n_blocks; i++)
        c.at[(by_last ? p->blocks[i].last : p->blocks[i].first) + 2]++;
    for (int s = 2; s < p->n_steps + 2; s++)
        c.at[s] += c.at[s - 1];
    for (int i = 0; i < p->n_blocks; i++)
        c.order[c.at[(by_last ? p->blocks[i].last : p->blocks[i].first) + 1]++] = i;
    return c;
}

/* Each block by itself; *top becomes the end of the highest. */
static bool check_blocks(const MemoryPlan *p, int64_t *top, Text *why)
{
    *top = 0;
    if (p->n_blocks < 0 || p->n_steps < 0 || p->align < 1) {
        text_printf(why, "the plan has %d blocks, %d steps and an alignment of %" PRId64,
                    p->n_blocks, p->n_steps, p->align);
        return false;
    }
    for (int i = 0; i < p->n_blocks; i++) {
        const PlanBlock *b = &p->blocks[i];
        int64_t          end;
        if (b->first < 0 || b->last < b->first || b->last >= p->n_steps) {
            text_printf(why, "block %d lives over steps %d to %d of %d", i, b->first, b->last,
                        p->n_steps);
            return false;
        }
        if (b->bytes < 0 || b->offset < 0 || b->offset % p->align != 0) {
            text_printf(why,
                        "block %d of %" PRId64 " bytes is at offset %" PRId64
                        ", expected a multiple of %" PRId64,
                        i, b->bytes, b->offset, p->align);
            return false;
        }
        if (__builtin_add_overflow(b->offset, b->bytes, &end) || end > p->bytes) {
            text_printf(why,
                        "block %d at %" PRId64 " with %" PRId64
                        " bytes ends outside the arena of %" PRId64,
                        i, b->offset, b->bytes, p->bytes);
            return false;
        }
        *top = end > *top ? end : *top;
    }
    return true;
}

/* ---- no overlap ------------------------------------------------------------------------- */

typedef struct LiveSet {
    const PlanBlock *blocks;
    int             *items; /* live blocks by offset; none overlaps the next */
    int              n;
} LiveSet;

/* The first live block at `offset` or above. */
static int live_find(const LiveSet *l, int64_t offset)
{
    int low = 0, high = l->n;
    while (low < high) {
        int mid = low + (high - low) / 2;
        if (l->blocks[l->items[mid]].offset < offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void live_remove(LiveSet *l, int block)
{
    int at = live_find(l, l->blocks[block].offset);
    memmove(l->items + at, l->items + at + 1, (size_t)(l->n - at - 1) * sizeof *l->items);
    l->n--;
}

/* live_add - false, with the block in the way, when there is no room. */
static bool live_add(LiveSet *l, int block, int *in_the_way)
{
    const PlanBlock *b = &l->blocks[block];
    int              at = live_find(l, b->offset);
    if (at < l->n && l->blocks[l->items[at]].offset < b->offset + b->bytes) {
        *in_the_way = l->items[at];
        return false;
    }
    if (at > 0) {
        const PlanBlock *below = &l->blocks[l->items[at - 1]];
        *in_the_way = l->items[at - 1];
        if (below->offset + below->bytes > b->offset)
            return false;
    }
    memmove(l->items + at + 1, l->items + at, (size_t)(l->n - at) * sizeof *l->items);
    l->items[at] = block;
    l->n++;
    return true;
}

static bool check_overlap(const MemoryPlan *p, Arena *a, Text *why)
{
    Calendar enter = calendar_new(p, a, false), leave = calendar_new(p, a, true);
    LiveSet  live = {p->blocks, arena_array(a, int, (size_t)p->n_blocks + 1), 0};
    for (int s = 0; s < p->n_steps; s++) {
        for (int i = enter.at[s]; i < enter.at[s + 1]; i++) {
            int block = enter.order[i], other;
            if (p->blocks[block].bytes == 0 || live_add(&live, block, &other))
                continue;
            text_printf(why, "blocks %d and %d overlap at step %d", block, other, s);
            return false;
        }
        for (int i = leave.at[s]; i < leave.at[s + 1]; i++) {
            if (p->blocks[leave.order[i]].bytes > 0)
                live_remove(&live, leave.order[i]);
        }
    }
    return true;
}

/* ---- the certificate -------------------------------------------------------------------- */

static bool round_up(int64_t bytes, int64_t align, int64_t *out)
{
    int64_t rest = bytes % align;
    return !__builtin_add_overflow(bytes, rest ? align - rest : 0, out);
}

/* Bytes alive at each step, the largest of them, and that bound_step has it. */
static bool check_bound(const MemoryPlan *p, Arena *a, Text *why)
{
    Calendar enter = calendar_new(p, a, false), leave = calendar_new(p, a, true);
    int64_t  live = 0, peak = 0, at_bound_step = 0, bytes;
    for (int s = 0; s < p->n_steps; s++) {
        for (int i = enter.at[s]; i < enter.at[s + 1]; i++) {
            if (!round_up(p->blocks[enter.order[i]].bytes, p->align, &bytes) ||
                __builtin_add_overflow(live, bytes, &live)) {
                text_printf(why, "the bytes alive at step %d overflow", s);
                return false;
            }
        }
        peak = live > peak ? live : peak;
        if (s == p->bound_step)
            at_bound_step = live;
        for (int i = leave.at[s]; i < leave.at[s + 1]; i++) {
            round_up(p->blocks[leave.order[i]].bytes, p->align, &bytes);
            live -= bytes;
        }
    }
    if (peak == p->lower_bound && at_bound_step == peak)
        return true;
    text_printf(why,
                "the bound is stated as %" PRId64 " bytes at step %d; it is %" PRId64
                ", and %" PRId64 " there",
                p->lower_bound, p->bound_step, peak, at_bound_step);
    return false;
}

static bool check_claim(const MemoryPlan *p, int64_t top, Text *why)
{
    int64_t needed;
    if (!round_up(top, p->align, &needed) || p->bytes != needed) {
        text_printf(why, "the arena has %" PRId64 " bytes, its blocks end at %" PRId64, p->bytes,
                    top);
        return false;
    }
    bool meets_bound = p->bytes == p->lower_bound;
    if (meets_bound == (p->proof == PROOF_BOUND) &&
        (p->proof != PROOF_EXHAUSTED || p->searched > 0))
        return true;
    text_printf(why,
                "%" PRId64 " bytes, a bound of %" PRId64 " and %" PRId64
                " states do not make proof %d",
                p->bytes, p->lower_bound, p->searched, (int)p->proof);
    return false;
}

bool plan_check(const MemoryPlan *p, Text *why)
{
    Arena  *a = arena_new();
    int64_t top;
    bool    ok = check_blocks(p, &top, why) && check_overlap(p, a, why) && check_bound(p, a, why) &&
              check_claim(p, top, why);
    arena_free(a);
    return ok;
}
