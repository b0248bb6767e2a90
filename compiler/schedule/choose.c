/* choose.c - a schedule from a kernel's loops and the target's data.
 *
 * The register tile of a sum is tile_m rows (pixels) by tile_n columns (vectors of output channels). Per
 * step it costs tile_m * tile_n multiply-adds and tile_m + tile_n loads, and needs a register for each
 * accumulator, each column and one row. The tile chosen is the one with the lowest estimated cycles for
 * the whole extents, counting the tiles as tile.c will cut them: evenly, so a width of 7 prefers 7. */
#include "schedule/schedule.h"

#include "kernel/kernel.h"
#include "target/target.h"

#include <stdlib.h>
#include <string.h>

/* What the machine does in a cycle: two multiply-adds and two loads, each multiply-add taking four. These
 * hold for x86-64 since 2013 and for the larger arm64 cores. A core without vectors issues one at a time. */
#define PIPES         2
#define LATENCY       4
#define LOOP_OVERHEAD 3.0
#define MAX_TILE_M    14
#define MAX_TILE_N    8

/* Instructions a cycle. Cores issue more, but where two threads share one, as on rented machines, each
 * gets about this; squarer tiles, which load less, then win by a tenth and lose nothing elsewhere. */
#define ISSUE_WIDTH 3.0

typedef struct Extents {
    int64_t m, n; /* 1: no such loop */
    bool    sums; /* there is a reduction */
} Extents;

static Extents kernel_extents(const Kernel *k)
{
    Extents e = {1, 1, false};
    for (LoopId l = 1; l < k->n_loops; l++) {
        const Loop *loop = &k->loops[l];
        if (loop->role == REDUCE)
            e.sums = true;
        if (loop->axis == AXIS_M && loop->extent > e.m)
            e.m = loop->extent;
        if (loop->axis == AXIS_N && loop->extent > e.n)
            e.n = loop->extent;
    }
    return e;
}

/* Estimated cycles of one reduction step of an m x n tile. The last two terms break ties: columns are
 * streamed from the second-level cache, rows come from the first. */
static double step_cycles(const Target *t, int m, int n)
{
    if (t->lanes == 1)
        return m * n + m + n + LOOP_OVERHEAD; /* all of them issue like the sums */
    double sums = (double)m * n / PIPES, loads = (m + n) / (double)PIPES;
    double issued = (m * n + m + n + LOOP_OVERHEAD) / ISSUE_WIDTH;
    double busiest = sums > loads ? sums : loads;
    if (busiest < issued)
        busiest = issued;
    if (busiest < LATENCY)
        busiest = LATENCY;
    return busiest + 0.25 * n + 0.05 * m;
}

static int registers(const Target *t, int m, int n)
{
    return m * n + n +
           (t->has_fma || t->lanes == 1 ? 1 : 2); /* without FMA a product needs one too */
}

/* Cycles for `extent` rows (or columns) cut evenly into tiles of at most `size`: the counts of full and
 * of shorter tiles. */
static void even_cut(int64_t extent, int size, int64_t count[2], int sizes[2])
{
    int64_t n = (extent + size - 1) / size;
    sizes[0] = (int)((extent + n - 1) / n);
    sizes[1] = sizes[0] - 1;
    count[1] = n * sizes[0] - extent;
    count[0] = n - count[1];
}

static double tile_cycles(const Target *t, const Extents *e, int m, int n)
{
    int64_t cm[2], cn[2];
    int     sm[2], sn[2];
    even_cut(e->m, m, cm, sm);
    even_cut(e->n, n, cn, sn);
    double total = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (cm[i] && cn[j])
                total += (double)(cm[i] * cn[j]) * step_cycles(t, sm[i], sn[j]);
    return total;
}

/* by_cycles - fewest first; of equals, the one with fewer columns, then fewer rows. */
static int by_cycles(const void *a, const void *b)
{
    const TileCost *x = a, *y = b;
    if (x->cycles != y->cycles)
        return x->cycles < y->cycles ? -1 : 1;
    return x->tile_n != y->tile_n ? x->tile_n - y->tile_n : x->tile_m - y->tile_m;
}

static TileCost tile_cost(const Target *t, const Extents *e, int m, int n)
{
    TileCost c = {m, n, registers(t, m, n), tile_cycles(t, e, m, n), 0};
    c.share = (double)(e->m * e->n) / (t->lanes == 1 ? 1 : PIPES) / c.cycles;
    return c;
}

/* fixed: what a schedule file gave; 0: nothing. A tile that is given whole need not fit. */
static int list_tiles(const Target *t, const Extents *e, int fixed_m, int fixed_n, TileCost *out)
{
    int max_m = t->lanes == 1 ? 4 : MAX_TILE_M, max_n = t->lanes == 1 ? 4 : MAX_TILE_N, count = 0;
    int last_m = fixed_m ? fixed_m : e->m < max_m ? (int)e->m : max_m;
    int last_n = fixed_n ? fixed_n : e->n < max_n ? (int)e->n : max_n;
    for (int n = fixed_n ? fixed_n : 1; n <= last_n; n++)
        for (int m = fixed_m ? fixed_m : 1; m <= last_m; m++) {
            TileCost c = tile_cost(t, e, m, n);
            if (c.registers <= t->vector_regs || (fixed_m && fixed_n))
                out[count++] = c;
        }
    qsort(out, (size_t)count, sizeof *out, by_cycles);
    return count;
}

/* is_tiled - whether there is a sum, and more than one of it. */
static bool is_tiled(const Extents *e)
{
    return e->sums && (e->m > 1 || e->n > 1);
}

int schedule_tiles(const Kernel *k, TileCost *out)
{
    Extents e = kernel_extents(k);
    return is_tiled(&e) ? list_tiles(k->target, &e, 0, 0, out) : 0;
}

bool schedule_tile_cost(const Kernel *k, int tile_m, int tile_n, TileCost *out)
{
    Extents e = kernel_extents(k);
    if (is_tiled(&e))
        *out = tile_cost(k->target, &e, tile_m, tile_n);
    return is_tiled(&e);
}

static void choose_tile(Kernel *k, const Extents *e)
{
    TileCost all[MAX_TILES];
    int      n = list_tiles(k->target, e, k->schedule.tile_m, k->schedule.tile_n, all);
    if (!n)
        return;
    k->schedule.tile_m = all[0].tile_m;
    k->schedule.tile_n = all[0].tile_n;
    text_printf(&k->notes, "tile %dx%d: %d of %d registers\n", all[0].tile_m, all[0].tile_n,
                all[0].registers, k->target->vector_regs);
}

bool kpass_schedule(Kernel *k)
{
    Extents        e = kernel_extents(k);
    Schedule      *s = &k->schedule;
    const Schedule before = *s;
    if (s->unroll_k == 0)
        s->unroll_k = 1;
    if ((s->tile_m == 0 || s->tile_n == 0) && is_tiled(&e))
        choose_tile(k, &e);
    s->tile_m = s->tile_m ? s->tile_m : 1;
    s->tile_n = s->tile_n ? s->tile_n : 1;
    return memcmp(&before, s, sizeof before) != 0;
}
