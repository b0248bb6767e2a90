/* choose.c - a schedule from a kernel's loops and the target's data.
 *
 * The register tile of a sum is tile_h * tile_m rows (pixels of tile_h image rows) by tile_n columns
 * (vectors of output channels). Per step it costs rows * columns multiply-adds and rows + columns loads,
 * and needs a register for each accumulator, each column and one row. The tile chosen is the one with
 * the lowest estimated cycles for the whole extents, counting the tiles as tile.c will cut them: evenly,
 * so a width of 7 prefers 7.
 *
 * Weights are read once for each tile of rows: the first time from where they were left by the run
 * before, often memory. A tile that takes all rows at once has the longest time to wait for them. Memory
 * serves several places side by side faster than one: see Schedule.streams in kernel/announce.c. */
#include "schedule/schedule.h"

#include "kernel/kernel.h"
#include "schedule/machine.h"
#include "target/target.h"

#include <stdlib.h>
#include <string.h>

/* Instructions around a step. */
#define LOOP_OVERHEAD 3.0

/* Columns of a tile; its rows, in all. A single column leaves most registers to them. */
#define MAX_TILE_N      8
#define MAX_ROWS        14
#define MAX_ROWS_SINGLE 28
#define MAX_TILE_H      7
#define MAX_ROWS_SCALAR 4

/* Instructions a cycle. Cores issue more, but where two threads share one, as on rented machines, each
 * gets about this; squarer tiles, which load less, then win by a tenth and lose nothing elsewhere. */
#define ISSUE_WIDTH 3.0

/* How much longer weights take that fill the second-level cache ahead of their use. An estimate: with 3 x 3
 * pixels and 512 channels, one column of them took 0.9 of the time of three. */
#define CROWDED 1.1

/* Cycles around the steps of one tile: setting up, and storing each accumulator. */
#define TILE_OVERHEAD 12.0

/* A tile of sums of sums is three times as much text as others. One size of tiles is worth so much of the time more than
 * two: they differ less than this, and a network has a function for each of many layers. */
#define SIZE_COST 0.08

/* The most taps that are unrolled to share what is picked. */
#define MAX_TAPS 7

/* Places in memory that are read at once, and the fewest bytes of each that are worth it. */
#define STREAMS      4
#define STREAM_LEAST 4096

/* Cycles that a line of memory costs when a step reads it first: where the next one lies close by and
 * hardware announces it, from the second-level cache, and from the third. */
#define LINE_BYTES 64.0
#define NEXT_LINE  1.0
#define NEAR_LINE  4.0
#define FAR_LINE   8.0

/* ... of that where weights are streamed: both are waited for at the same time. */
#define STREAMED_LINE 0.2
#define PAGE          4096

typedef struct Extents {
    int64_t h, m, n;      /* 1: no such loop */
    bool    sums;         /* there is a reduction */
    double  steps;        /* of the longest reduction */
    double  line_cycles;  /* of each row, a step, for the lines that it reads first */
    double  weight_bytes; /* of one weight, as kept; 0: they are not constant */
    bool    shared; /* the rows of a sum are each one number for all lanes, and share the weights */
    bool    matrices;   /* products of matrices make the sums: see kernel/matrix.c */
    bool    streamed;   /* the weights are too many to stay in the second-level cache */
    int     turns;      /* sums of each row and column (kernel/turn.c); 1: one, as it is */
    int64_t picks;      /* a row is one lane picked of each so many (kernel/reuse.c); 0: no */
    bool    picks_free; /* a part of reading the row */
    int64_t taps;       /* so many steps in turn share them; 1: each has its own */
    int     operands;   /* of a product that are sums themselves, made in registers of their own */
    int64_t apart[2];   /* what row r takes at step s, row r - [0] takes at step s + [1] */
} Extents;

/* The value that varies in a sum: what the rows of the tile are; NULL: constants alone are summed. */
static const Expr *rows_load(const Kernel *k, const Expr *sum)
{
    ExprNodes nodes = expr_nodes(k->arena, sum);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD && k->buffers[nodes.items[i]->buffer].kind != BUF_CONST)
            return nodes.items[i];
    return NULL;
}

/* Loops around a statement: those that reduce, and the rows and groups of lanes. */
typedef struct Reduction {
    double steps;
    LoopId outer; /* not the innermost, AXIS_K */
    LoopId inner; /* AXIS_K */
    LoopId rows, groups;
} Reduction;

/* A line serves all steps of one iteration of the outermost reduction, the one over channel blocks, and the
 * rows that lie in it. */
static double line_cycles(const Kernel *k, const Expr *sum, const Reduction *r)
{
    const Expr *load = rows_load(k, sum);
    if (!load || !r->outer)
        return 0;
    const Buffer *b = &k->buffers[load->buffer];
    double        bytes = (double)elem_bytes(b->elem), line = FAR_LINE;
    if ((double)affine_coef(&load->index, r->outer) * bytes <= PAGE)
        line = NEXT_LINE;
    else if ((double)b->count * bytes < 0.5 * (double)k->target->l2_bytes)
        line = NEAR_LINE;
    double row = (double)affine_coef(&load->index, r->rows) * bytes;
    line *= row > 0 && row < LINE_BYTES ? row / LINE_BYTES : 1;
    return line * (double)k->loops[r->outer].extent / r->steps;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* A row that moves from group to group of lanes alone is picked, or there are several sums of it. Two rows take the
 * same one at steps of the innermost reduction that lie as far apart in memory as they do. */
static void scan_picks(const Kernel *k, const Expr *load, const Reduction *r, Extents *e)
{
    e->taps = 1;
    e->picks = load ? affine_coef(&load->index, r->groups) : 0;
    e->picks_free = e->picks == 2 && target_find(k->target, I_SWAP, F32, k->target->lanes);
    e->turns = e->picks && k->fp != FP_EXACT ? target_turns(k->target, e->picks) : 1;
    if (e->turns > 1)
        e->picks = 0;
    int64_t row = e->picks ? affine_coef(&load->index, r->rows) : 0;
    int64_t tap = e->picks ? affine_coef(&load->index, r->inner) : 0;
    if (row <= 0 || tap <= 0)
        return;
    int64_t steps = k->loops[r->inner].extent, all = common_divisor(row, tap);
    bool    unrolls = k->schedule.unroll_k == 0 || k->schedule.unroll_k == steps;
    if (!unrolls || steps > MAX_TAPS || row / all >= steps)
        return;
    e->taps = steps;
    e->apart[0] = tap / all;
    e->apart[1] = row / all;
}

/* is_shared - whether the sum is like a product of matrices: of a row that is the same in all lanes and a
 * column. Where lanes are summed apart (pooling, depthwise) nothing is gained by a tall tile. */
static bool is_shared(const Kernel *k, const Expr *load)
{
    for (int i = 0; load && i < load->index.n_terms; i++)
        if (k->loops[load->index.loop[i]].axis == AXIS_LANE)
            return false;
    return load != NULL;
}

static void scan_loop(const Kernel *k, LoopId id, Extents *e, Reduction *r)
{
    const Loop *loop = &k->loops[id];
    int64_t    *extent = loop->axis == AXIS_H   ? &e->h
                         : loop->axis == AXIS_M ? &e->m
                         : loop->axis == AXIS_N ? &e->n
                                                : NULL;
    if (loop->axis == AXIS_GROUP)
        r->groups = id;
    if (loop->axis == AXIS_M)
        r->rows = id;
    if (loop->role == REDUCE) {
        r->inner = id;
        r->steps *= (double)loop->extent;
        if (!r->outer && loop->axis == AXIS_NONE)
            r->outer = id;
    } else if (extent && loop->extent > *extent) {
        *extent = loop->extent;
    }
}

static bool is_binary(const Expr *e, Operator op)
{
    return e->kind == E_BINARY && e->op == op;
}

static void scan(const Kernel *k, const Stmt *s, Reduction r, Extents *e)
{
    if (s->kind == S_FOR)
        scan_loop(k, s->loop, e, &r);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        scan(k, s->body, r, e);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        scan(k, s->items[i], r, e);
    if (s->kind != S_SET || s->op == ASSIGN)
        return;
    e->shared |= is_shared(k, rows_load(k, s->value));
    if (is_binary(s->value, B_MUL) && is_binary(s->value->a, B_ADD) &&
        is_binary(s->value->b, B_ADD))
        e->operands = 2;
    if (r.steps <= e->steps)
        return;
    e->sums = true;
    e->steps = r.steps;
    e->line_cycles = line_cycles(k, s->value, &r);
    const Expr *load = rows_load(k, s->value);
    scan_picks(k, load, &r, e);
    e->matrices = k->target->matrix_rows && load && load->type.elem == BF16;
}

static Extents kernel_extents(const Kernel *k)
{
    Extents e = {.h = 1, .m = 1, .n = 1, .taps = 1, .turns = 1};
    scan(k, k->body, (Reduction){.steps = 1}, &e);
    e.steps /= e.turns;
    e.line_cycles *= e.turns;
    int64_t largest = 0;
    for (BufferId b = 1; b < k->n_buffers; b++) {
        const Buffer *buffer = &k->buffers[b];
        if (buffer->kind != BUF_CONST || buffer->count <= largest)
            continue;
        largest = buffer->count;
        e.weight_bytes = (double)elem_bytes(buffer->elem);
        e.streamed = kernel_is_streamed(k, b);
    }
    if (e.streamed)
        e.line_cycles *= STREAMED_LINE;
    return e;
}

bool regtile_equal(RegTile a, RegTile b)
{
    return a.h == b.h && a.m == b.m && a.n == b.n;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* Picks of a step: those of all taps, less what a row takes that another took before. */
static double step_picks(const Extents *e, RegTile tile)
{
    if (!e->picks)
        return 0;
    double all = (double)(tile.m * e->taps), again = 0;
    if (e->taps > 1)
        again = larger(0, (double)(tile.m - e->apart[0])) * (double)(e->taps - e->apart[1]);
    return tile.h * (all - again) / (double)e->taps;
}

/* Estimated cycles of one reduction step of a tile whose operands are near. Where weights are streamed each
 * column comes with a prefetch (kernel/announce.c), a load like others. A pick needs a unit that multiplies. The
 * last two terms break ties: columns are streamed from the second-level cache, rows come from the first. */
static double step_cycles(const Target *t, const Extents *e, RegTile tile)
{
    int    rows = tile.h * tile.m, n = tile.n * e->turns;
    double fma = (double)rows * n;
    if (t->lanes == 1)
        return fma + rows + n + LOOP_OVERHEAD; /* all of them issue like the sums */
    /* A row used by one column may be an operand of its multiply-add; each further image row needs an
     * address. */
    double picks = step_picks(e, tile), read = e->picks ? picks : rows;
    double splats = n == 1 && t->splats_operands && !e->picks ? 0 : read;
    int    columns = e->streamed ? 2 * n : n;
    double issued = (fma + columns + splats + tile.h - 1 + LOOP_OVERHEAD) / ISSUE_WIDTH;
    double sums = (fma + (e->picks_free ? 0 : picks)) / PIPES, loads = (read + columns) / PIPES;
    double busiest = larger(larger(sums, loads), larger(issued, LATENCY));
    return busiest + 0.25 * n + 0.02 * rows;
}

/* Of more than four lanes one is picked by a vector of their numbers: instructions hold four. */
static int registers(const Target *t, const Extents *e, RegTile tile)
{
    int rows = tile.h * tile.m, numbers = e->picks > 4 ? (int)e->picks : 0, n = tile.n * e->turns;
    return rows * n + n * (int)(e->taps + e->operands / 2) + e->operands + numbers +
           (t->has_fma || t->lanes == 1 ? 1 : 2); /* without FMA a product needs one too */
}

/* Where there is one column alone, 28 pixels of an image row were a fifth slower than 14, on AVX-512, but for
 * picks; those of several rows a tenth faster. */
static bool tile_fits(const Target *t, const Extents *e, RegTile tile)
{
    bool tall = tile.n == 1 && (e->n > 1 || tile.h > 1 || e->picks);
    int  limit = t->lanes == 1 ? MAX_ROWS_SCALAR : tall ? MAX_ROWS_SINGLE : MAX_ROWS;
    if (e->operands && tile.n > 1)
        return false;
    if (e->matrices && (tile.h > 1 || tile.m > t->matrix_rows || tile.n > MATRIX_COLUMNS))
        return false;
    return tile.h * tile.m <= limit && registers(t, e, tile) <= t->vector_regs;
}

/* `extent` iterations cut evenly into tiles of at most `size`: the counts of full and of shorter tiles. */
typedef struct EvenCut {
    int64_t count[2];
    int     size[2];
} EvenCut;

static EvenCut even_cut(int64_t extent, int size)
{
    int64_t n = (extent + size - 1) / size;
    EvenCut c = {.size = {(int)((extent + n - 1) / n)}};
    c.size[1] = c.size[0] - 1;
    c.count[1] = n * c.size[0] - extent;
    c.count[0] = n - c.count[1];
    return c;
}

/* Cycles for all rows with n columns at a time. */
static double column_cycles(const Kernel *k, const Extents *e, const EvenCut *h, const EvenCut *m,
                            int n)
{
    const Target *t = k->target;
    double        line = n * e->turns * t->lanes * e->weight_bytes, near = line / NEAR_BYTES;
    double        far = !e->streamed ? near : line / (k->weights_cold ? MEMORY_BYTES : L3_BYTES);
    if (line * e->steps > 0.5 * (double)t->l2_bytes) {
        near = line / L3_BYTES;
        /* Announced a tile ahead, part of them is pushed out before its turn; those of one pixel are
         * announced nearer. */
        far *= e->h * e->m > 1 ? CROWDED : 1;
    }
    double total = 0, wait = -1; /* for the weights, a step, in the first tile */
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            if (!h->count[i] || !m->count[j])
                continue;
            RegTile tile = {h->size[i], m->size[j], n};
            double  step = larger(step_cycles(t, e, tile), near) + tile.h * tile.m * e->line_cycles;
            wait = wait < 0 ? larger(far - step, 0) : wait;
            total += (double)(h->count[i] * m->count[j]) *
                     (step * e->steps + tile.h * tile.m * n * e->turns + TILE_OVERHEAD);
        }
    return total + wait * e->steps;
}

static double tile_cycles(const Kernel *k, const Extents *e, RegTile tile)
{
    EvenCut h = even_cut(e->h, tile.h), m = even_cut(e->m, tile.m), n = even_cut(e->n, tile.n);
    double  total = 0;
    for (int i = 0; i < 2; i++)
        if (n.count[i])
            total += (double)n.count[i] * column_cycles(k, e, &h, &m, n.size[i]);
    int sizes = (1 + (h.count[1] > 0)) * (1 + (m.count[1] > 0));
    return e->operands ? total * (1 + SIZE_COST * (sizes - 1)) : total;
}

/* by_cycles - fewest first; of equals, the one with fewer columns, then fewer rows. */
static int by_cycles(const void *a, const void *b)
{
    const TileCost *x = a, *y = b;
    if (x->cycles != y->cycles)
        return x->cycles < y->cycles ? -1 : 1;
    if (x->tile.n != y->tile.n)
        return x->tile.n - y->tile.n;
    return x->tile.h != y->tile.h ? x->tile.h - y->tile.h : x->tile.m - y->tile.m;
}

static TileCost tile_cost(const Kernel *k, const Extents *e, RegTile tile)
{
    TileCost c = {tile, registers(k->target, e, tile), tile_cycles(k, e, tile), 0};
    double   sums = (double)(e->h * e->m * e->n * e->turns) * e->steps;
    c.share = sums / (k->target->lanes == 1 ? 1 : PIPES) / c.cycles;
    return c;
}

/* The sizes to try along an axis: what the schedule file fixed, or all up to `most`. */
typedef struct Sizes {
    int first, last;
} Sizes;

static Sizes sizes(int fixed, int64_t extent, int most)
{
    if (fixed)
        return (Sizes){fixed, fixed};
    return (Sizes){1, extent < most ? (int)extent : most};
}

/* fixed: what a schedule file gave; 0: nothing. A tile that is given whole need not fit. */
static int list_tiles(const Kernel *k, const Extents *e, RegTile fixed, TileCost *out)
{
    bool    scalar = k->target->lanes == 1, whole = fixed.h && fixed.m && fixed.n;
    Sizes   h = sizes(fixed.h, e->h, !e->shared || scalar ? 1 : MAX_TILE_H);
    Sizes   m = sizes(fixed.m, e->m, MAX_ROWS_SINGLE);
    Sizes   n = sizes(fixed.n, e->n, scalar ? MAX_ROWS_SCALAR : MAX_TILE_N);
    int     count = 0;
    RegTile tile;
    for (tile.n = n.first; tile.n <= n.last; tile.n++)
        for (tile.h = h.first; tile.h <= h.last; tile.h++)
            for (tile.m = m.first; tile.m <= m.last && count < MAX_TILES; tile.m++)
                if (whole || tile_fits(k->target, e, tile))
                    out[count++] = tile_cost(k, e, tile);
    qsort(out, (size_t)count, sizeof *out, by_cycles);
    return count;
}

/* is_tiled - whether there is a sum, and more than one of it. */
static bool is_tiled(const Extents *e)
{
    return e->sums && (e->h > 1 || e->m > 1 || e->n > 1);
}

int schedule_tiles(const Kernel *k, TileCost *out)
{
    Extents e = kernel_extents(k);
    return is_tiled(&e) ? list_tiles(k, &e, (RegTile){0, 0, 0}, out) : 0;
}

bool schedule_tile_cost(const Kernel *k, RegTile tile, TileCost *out)
{
    Extents e = kernel_extents(k);
    if (is_tiled(&e))
        *out = tile_cost(k, &e, tile);
    return is_tiled(&e);
}

static void choose_tile(Kernel *k, const Extents *e)
{
    TileCost all[MAX_TILES];
    if (!list_tiles(k, e, k->schedule.tile, all))
        return;
    RegTile best = k->schedule.tile = all[0].tile;
    text_printf(&k->notes, "tile %dx%dx%d: %d of %d registers\n", best.h, best.m, best.n,
                all[0].registers, k->target->vector_regs);
}

/* How many streams the weights of one tile's columns, all steps of them, are to come in. */
static int choose_streams(const Kernel *k, const Extents *e)
{
    double bytes = k->schedule.tile.n * k->target->lanes * e->weight_bytes * e->steps;
    bool   announces = target_find(k->target, I_PREFETCH, F32, k->target->lanes) != NULL;
    return announces && e->streamed && !e->matrices && bytes >= STREAMS * STREAM_LEAST ? STREAMS
                                                                                       : 1;
}

bool kpass_schedule(Kernel *k)
{
    Extents        e = kernel_extents(k);
    Schedule      *s = &k->schedule;
    const Schedule before = *s;
    if (s->unroll_k == 0)
        s->unroll_k = (int)e.taps;
    if ((s->tile.h == 0 || s->tile.m == 0 || s->tile.n == 0) && is_tiled(&e))
        choose_tile(k, &e);
    s->tile.h = s->tile.h ? s->tile.h : 1;
    s->tile.m = s->tile.m ? s->tile.m : 1;
    s->tile.n = s->tile.n ? s->tile.n : 1;
    if (s->streams == 0)
        s->streams = choose_streams(k, &e);
    return memcmp(&before, s, sizeof before) != 0;
}
