/* inner_cost.c - what Winograd's inner product costs (ops/inner.c), and how many pixels are done at a time.
 *
 * It saves a third of the time of the products, where additions are free, and pays for each pixel: that is scaled, and
 * what of the sums depends on it alone is made. So it takes many output channels. The scaled pixels of a block are read
 * again for every vector of output channels, and have to stay in the second-level cache. */
#include "schedule/machine.h"
#include "schedule/schedule.h"
#include "target/target.h"

/* The part of the second-level cache for a block's scaled pixels. */
#define CACHE_SHARE 0.5

/* Fewer pixels than this are no register tile. */
#define LEAST_PIXELS 28

/* Of three vectors of products, how many take as long: two and four additions. Where those are in the way of no product
 * it is fitted, as is what follows, to the layers of ResNet-50 on a rented EPYC (Zen 4): they took 0.64
 * to 1.17 of the time of direct sums where it predicts 0.74 to 1.22. */
#define TRIPLE_TIME        2.1
#define TRIPLE_TIME_SHARED 4.0

/* Share of the multiply-add peak that the sums reach. */
#define SUMS_SHARE 0.80

/* Cycles for each vector that is scaled, and for each pixel whatever its channels. */
#define SCALE_CYCLES 5.5
#define PIXEL_CYCLES 50.0

static int64_t vectors(int64_t channels, int64_t lanes)
{
    return (channels + lanes - 1) / lanes;
}

BlockShape inner_block(const Graph *g, const Node *n, const CostContext *c, int threads)
{
    const int64_t *x = graph_input(g, n, 0)->type.dims, *y = value_get(g, n->out)->type.dims;
    int64_t        pixel = x[1] * (int64_t)sizeof(float);
    int64_t        most = (int64_t)(CACHE_SHARE * (double)c->target->l2_bytes) / pixel;
    most = most > LEAST_PIXELS ? most : LEAST_PIXELS;
    BlockSizes sizes = {most, threads > 1 ? LEAST_PIXELS / 2 : most / 2};
    return block_evenly(y[2], y[3], sizes, threads);
}

AlgorithmCost inner_cost(const Graph *g, const Node *n, const CostContext *c)
{
    const int64_t *x = graph_input(g, n, 0)->type.dims, *y = value_get(g, n->out)->type.dims;
    BlockShape     b = inner_block(g, n, c, 1);
    int64_t        lanes = c->target->lanes, in = vectors(x[1], lanes), out = vectors(y[1], lanes);
    double         pixels = (double)(y[0] * y[2] * y[3]);
    double         blocks = pixels / (double)(b.rows * b.columns);
    double         triple = c->target->adders ? TRIPLE_TIME : TRIPLE_TIME_SHARED;
    double         products = (double)in - (double)(in / 3) * (3 - triple);
    AlgorithmCost  a = {.algorithm = INNER,
                        .peak = pixels * products * (double)(out * lanes) / PIPES,
                        .weight_bytes = (double)(in * out * lanes * lanes) * sizeof(float)};
    double         first = a.weight_bytes / STREAM_BYTES, again = a.weight_bytes / L3_BYTES;
    a.sums = a.peak / SUMS_SHARE;
    a.stream = first + (blocks - 1) * again;
    a.transforms = pixels * ((double)in * SCALE_CYCLES + PIXEL_CYCLES);
    a.cycles = cost_overlapped(a.sums / blocks, first, pixels / blocks) +
               (blocks - 1) * cost_overlapped(a.sums / blocks, again, pixels / blocks) +
               a.transforms;
    return a;
}
