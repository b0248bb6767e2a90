/* strassen_cost.c - what Strassen's algorithm costs (ops/strassen.c), which pixels are its pairs, and how many of
 * them are done at a time.
 *
 * It saves one product of eight, and pays with sums of inputs and of products, which memory makes slow: so it
 * takes many channels on both sides. The transformed inputs of a block of pairs are read again for every few output
 * channels, and have to stay in the second-level cache; the weights, 7/4 of what they were, come again for every
 * block. */
#include "schedule/machine.h"
#include "schedule/schedule.h"
#include "target/target.h"

#include <assert.h>

/* Cycles for each vector that a transform loads or stores, where two multiply-adds take one. Fitted to the layers of
 * ResNeXt-50, 128 to 2048 channels at 7 to 56 pixels a side, on a rented EPYC (Zen 4): they took 0.87 to 0.95 of the
 * time of direct sums where it predicts 0.92 to 0.97, and 0.96 to 1.01 where it predicts 0.98 to 0.99. */
#define MOVE 1.5

/* Vectors moved for each pair and block of half the input channels: 4 are loaded and 7 stored; of the output
 * channels: 7 products stored, loaded again, and 4 results. */
#define MOVES_IN  11
#define MOVES_OUT 18

/* Share of the multiply-add peak that the products reach. With 16 registers tiles are small, and the pairs of a part
 * share too little of what a tile reads: on AVX2 layers that 32 registers do in 0.9 of the time of direct sums took 1.1
 * to 1.4 times as long. */
#define PRODUCTS_SHARE    0.80
#define PRODUCTS_SHARE_16 0.58

/* The part of the second-level cache for a block's transformed inputs. */
#define CACHE_SHARE 0.75

/* Of the array of products, on the stack: with vectors of 16 those of 28 pairs. */
#define PRODUCTS_BYTES (7 * 2 * 28 * 64)

/* ---- pairs ---------------------------------------------------------------------------------- */

static bool has_halo(const Value *v)
{
    return v->type.rank == 4 && layout_has_halo(v->type.layout);
}

/* is_flat - whether pixels lie in memory one after the other, in `v` as in a value of `like`, or are one for all. */
static bool is_flat(const Value *v, const Type *like)
{
    int     rank = v->type.rank;
    int64_t h = rank > 1 ? v->type.dims[rank - 2] : 1, w = rank > 0 ? v->type.dims[rank - 1] : 1;
    return !has_halo(v) && ((h == 1 && w == 1) || (h == like->dims[2] && w == like->dims[3]));
}

static bool all_flat(const Graph *g, const Node *n)
{
    const Type *y = &value_get(g, n->out)->type;
    if (n->attrs.strides[0] != 1 || n->attrs.strides[1] != 1 || has_halo(value_get(g, n->out)) ||
        has_halo(graph_input(g, n, 0)))
        return false;
    for (int i = n->n_own; i < n->n_in; i++)
        if (!is_flat(graph_input(g, n, i), y))
            return false;
    return true;
}

StrassenPairs strassen_pairs(const Graph *g, const Node *n)
{
    const int64_t *y = value_get(g, n->out)->type.dims;
    int64_t        pixels = y[2] * y[3];
    if (pixels > 1 && all_flat(g, n))
        return (StrassenPairs){1, (pixels + 1) / 2, 0, pixels / 2};
    if (y[2] % 2 == 0)
        return (StrassenPairs){y[2] / 2, y[3], y[2] / 2, 0};
    if (y[3] % 2 == 0)
        return (StrassenPairs){y[2], y[3] / 2, 0, y[3] / 2};
    return (StrassenPairs){0, 0, 0, 0};
}

/* ---- blocks --------------------------------------------------------------------------------- */

int64_t strassen_columns(int64_t half)
{
    return half % 2 == 0 ? 2 : 1;
}

int64_t strassen_part(int64_t lanes)
{
    return PRODUCTS_BYTES / (STRASSEN_PRODUCTS * 2 * lanes * (int64_t)sizeof(float));
}

/* Blocks of channels in half of those of a value. */
static int64_t half_blocks(int64_t channels, int64_t lanes)
{
    return channels / (2 * lanes);
}

/* What is to be done. */
typedef struct Work {
    StrassenPairs pairs;
    int64_t       images, in, out, lanes; /* blocks of half the channels */
    double        l2;                     /* bytes */
} Work;

static Work work_of(const Graph *g, const Node *n, const Target *t)
{
    const int64_t *x = graph_input(g, n, 0)->type.dims, *y = value_get(g, n->out)->type.dims;
    return (Work){.pairs = strassen_pairs(g, n),
                  .images = y[0],
                  .in = half_blocks(x[1], t->lanes),
                  .out = half_blocks(y[1], t->lanes),
                  .lanes = t->lanes,
                  .l2 = (double)t->l2_bytes};
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static BlockShape block_of(const Work *w, int threads)
{
    const StrassenPairs *p = &w->pairs;
    assert(p->rows > 0 && p->columns > 0); /* strassen_refused, cost.c */
    double  pair = (double)(STRASSEN_PRODUCTS * w->in * w->lanes) * sizeof(float);
    int64_t part = strassen_part(w->lanes);
    int64_t most = larger((int64_t)(CACHE_SHARE * w->l2 / pair), part);
    return block_evenly(p->rows, p->columns, (BlockSizes){most, threads > 1 ? part / 2 : INT64_MAX},
                        threads);
}

BlockShape strassen_block(const Graph *g, const Node *n, const CostContext *c, int threads)
{
    Work w = work_of(g, n, c->target);
    return block_of(&w, threads);
}

int64_t strassen_scratch(const Graph *g, const Node *n, BlockShape block)
{
    int64_t lanes = value_get(g, n->out)->type.layout.block;
    int64_t in = half_blocks(graph_input(g, n, 0)->type.dims[1], lanes);
    return STRASSEN_PRODUCTS * in * lanes * block.rows * block.columns;
}

/* ---- cost ----------------------------------------------------------------------------------- */

AlgorithmCost strassen_cost(const Graph *g, const Node *n, const CostContext *c)
{
    Work          w = work_of(g, n, c->target);
    BlockShape    b = block_of(&w, 1);
    double        pairs = (double)(w.images * w.pairs.rows * w.pairs.columns);
    double        blocks = pairs / (double)(b.rows * b.columns);
    double        sums = (double)(STRASSEN_PRODUCTS * w.in * w.out * w.lanes);
    AlgorithmCost a = {.algorithm = STRASSEN,
                       .peak = pairs * sums / PIPES,
                       .weight_bytes = sums * (double)w.lanes * sizeof(float)};
    double        first = a.weight_bytes / STREAM_BYTES, again = a.weight_bytes / L3_BYTES;
    a.sums = a.peak / (c->target->vector_regs >= 32 ? PRODUCTS_SHARE : PRODUCTS_SHARE_16);
    a.stream = first + (blocks - 1) * again;
    a.transforms = pairs * (double)(MOVES_IN * w.in + MOVES_OUT * w.out) * MOVE;
    a.cycles = cost_overlapped(a.sums / blocks, first, pairs / blocks) +
               (blocks - 1) * cost_overlapped(a.sums / blocks, again, pairs / blocks) +
               a.transforms;
    a.added_bytes = a.weight_bytes * 3 / STRASSEN_PRODUCTS;
    return a;
}
