/* winograd_cost.c - what Winograd's method costs (ops/winograd.c), and how many of its tiles are done at a
 * time.
 *
 * The tiles of a block are transformed, multiplied and transformed back. Inputs and products lie in scratch
 * memory, and each block reads all weights again: small blocks keep the scratch in the second-level cache,
 * large ones read the weights less often. So what an algorithm costs is known only with its blocks. The figures
 * were fitted to 30 shapes, each with every tile and five sizes of blocks, on a rented Xeon with AVX-512. */
#include "schedule/schedule.h"
#include "schedule/machine.h"
#include "target/target.h"

#include <math.h>

/* Share of the multiply-add peak that the products reach. */
#define PRODUCTS_SHARE 0.85

/* Cycles until a vector is written to scratch memory, or read from it, beside those of the instruction. The
 * positions of a tile lie pages apart, none shares a line with the one before; as many as hardware follows are
 * there when they are read. */
#define WRITE_APART 10.0
#define READ_APART  6.0
#define FOLLOWED    32

/* Cycles a byte of scratch memory takes more, as far as it exceeds what address translation keeps at hand; of
 * tiles of 64 positions, more streams than hardware follows, every access waits. */
#define KEPT_PAGES      (3.0 * (1 << 20))
#define FAR_PAGE        0.1
#define FAR_PAGE_LARGE  0.8
#define LARGE_POSITIONS 64

/* Bytes a cycle of what another core has just written: not measured alone, but chosen so that the estimate
 * fits what sharing each block cost ResNet-18's first stage on two threads. */
#define OTHER_CORE_BYTES 4.0

/* Cycles until all threads have met, chosen likewise. */
#define MEETING 2000.0

/* Of a part of a row: what keeps the registers of the products busy. */
#define LEAST_TILES 12

/* What is to be done, by whom. */
typedef struct Work {
    const Target *t;
    int64_t       rows, columns, images; /* of tiles */
    int64_t       positions;             /* of a tile */
    int64_t       in, out;               /* blocks of channels */
    double        products;              /* cycles of all of them on one core */
    double        transforms;            /* likewise, scratch memory being near */
    double        weights;               /* bytes */
    int           threads;
} Work;

int64_t winograd_scratch(const Graph *g, const Node *n, BlockShape block)
{
    const int64_t *x = value_get(g, n->in[0])->type.dims;
    const Type    *y = &value_get(g, n->out)->type;
    int64_t        lanes = y->layout.block;
    int64_t        edge = winograd_edge(node_winograd(g, n, n->winograd));
    int64_t        channels = (x[1] + lanes - 1) / lanes + (y->dims[1] + lanes - 1) / lanes;
    return edge * edge * channels * lanes * block.images * block.rows * block.columns;
}

/* One tile of one channel block through an n x n transform: loads, stores, and about n operations for
 * each row or column of either pass, two a cycle; two and a half times that where it exceeds the registers. */
static double transform_cycles(int64_t in, int64_t out)
{
    double work = (double)((in + out) * 2 * in) / 2 + (double)(in * in + out * out);
    return in > 6 ? 2.5 * work : work;
}

/* missed - the share of `bytes`, all of them used in turn, that `room` bytes of cache do not keep. */
static double missed(double bytes, double room)
{
    return bytes > room ? 1 - room / bytes : 0;
}

static Work work_of(const Graph *g, const Node *n, int m, const CostContext *c, int threads)
{
    const Type     y = node_computed(g, n);
    const int64_t *x = value_get(g, n->in[0])->type.dims;
    int64_t        edge = winograd_edge(node_winograd(g, n, m));
    int64_t        lanes = c->target->lanes;
    Work           w = {.t = c->target,
                        .rows = (y.dims[2] + m - 1) / m,
                        .columns = (y.dims[3] + m - 1) / m,
                        .images = y.dims[0],
                        .positions = edge * edge,
                        .in = (x[1] + lanes - 1) / lanes,
                        .out = (y.dims[1] + lanes - 1) / lanes,
                        .threads = threads};
    double         tiles = (double)(w.images * w.rows * w.columns), apart = (double)w.positions;
    double         sums = (double)(w.positions * w.in * w.out * lanes);
    double         read = w.positions > FOLLOWED ? READ_APART : 0;
    w.products = tiles * sums / (PIPES * PRODUCTS_SHARE);
    w.transforms = tiles * (double)w.in * (transform_cycles(edge, edge) + WRITE_APART * apart) +
                   tiles * (double)w.out * (transform_cycles(edge, m) + read * apart);
    w.weights = sums * (double)lanes * sizeof(float);
    return w;
}

/* Bytes of scratch memory for a block. */
static double block_scratch(const Work *w, BlockShape b)
{
    int64_t tiles = b.images * b.rows * b.columns;
    return (double)(tiles * w->positions * (w->in + w->out) * w->t->lanes) * sizeof(float);
}

/* Blocks of one thread, and the part of all tiles that is in them: the thread with the most, where each
 * does blocks of its own. */
typedef struct Busiest {
    double blocks, share;
} Busiest;

static Busiest busiest(const Work *w, BlockShape b)
{
    BlockCuts rows = block_cuts(w->rows, b.rows), columns = block_cuts(w->columns, b.columns);
    int       threads = b.copies > 1 ? w->threads : 1;
    Busiest   out = {0, 0};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            int64_t blocks = w->images / b.images * rows.count[i] * columns.count[j];
            double  own = (double)((blocks + threads - 1) / threads);
            out.blocks += own;
            out.share += own * (double)(b.images * rows.size[i] * columns.size[j]);
        }
    out.share /= (double)(w->images * w->rows * w->columns);
    return out;
}

/* Cycles that scratch memory of a block takes more than if it stayed near. Beyond half the second-level cache, the
 * rest of which is for what else passes, it comes from the third. */
static double far_scratch(const Work *w, double bytes)
{
    double page = w->positions < LARGE_POSITIONS ? FAR_PAGE : FAR_PAGE_LARGE;
    return bytes * (missed(bytes, 0.5 * (double)w->t->l2_bytes) / STREAM_BYTES +
                    missed(bytes, KEPT_PAGES) * page);
}

/* Bytes a cycle of weights that come again, for another block with so much scratch memory. */
static double again_bytes(const Work *w, double scratch)
{
    double far = missed(w->weights + scratch, (double)w->t->l2_bytes);
    return 1 / (far / STREAM_BYTES + (1 - far) / NEAR_BYTES);
}

/* What a thread has to do, in cycles, all blocks together. */
typedef struct BlockCost {
    double products, stream, transforms, cycles;
} BlockCost;

/* Threads that share a block share all there is to do, read half of the scratch from each other, and meet thrice. */
static BlockCost block_cost(const Work *w, BlockShape b)
{
    Busiest   all = busiest(w, b);
    bool      shared = b.copies == 1 && w->threads > 1;
    double    share = shared ? 1.0 / w->threads : all.share, part = shared ? share : 1;
    double    scratch = block_scratch(w, b) * part, weights = w->weights * part;
    double    tiles = (double)(b.images * b.rows * b.columns), again = again_bytes(w, scratch);
    BlockCost c = {.products = w->products * share,
                   .stream = weights / STREAM_BYTES + (all.blocks - 1) * weights / again,
                   .transforms = w->transforms * share + all.blocks * far_scratch(w, scratch)};
    if (shared)
        c.transforms += all.blocks * (scratch / OTHER_CORE_BYTES + 3 * MEETING);
    double sums = c.products / all.blocks;
    c.cycles = cost_overlapped(sums, weights / STREAM_BYTES, tiles) +
               (all.blocks - 1) * cost_overlapped(sums, weights / again, tiles) + c.transforms;
    return c;
}

/* next_block - every block worth trying, largest first: images, which divide the batch; rows of one image;
 * parts of one row that leave a register tile its pixels. False: `b` was the last. */
static bool next_block(const Work *w, BlockShape *b)
{
    if (b->images > 1) {
        do
            b->images--;
        while (w->images % b->images);
        return true;
    }
    if (b->rows > 1) {
        b->rows = cut_evenly(w->rows, b->rows - 1);
        return true;
    }
    if (b->columns <= LEAST_TILES)
        return false;
    b->columns = cut_evenly(w->columns, b->columns - 1);
    return b->columns >= LEAST_TILES;
}

static BlockShape best_block(const Work *w)
{
    /* A block that is smaller has to save this much of what memory costs. */
    const double worth_it = 0.05;
    double       best_cycles = INFINITY;
    BlockShape   b = {w->images, w->rows, w->columns, 1}, best = b;
    do {
        for (b.copies = 1; b.copies <= w->threads;
             b.copies += w->threads > 1 ? w->threads - 1 : 1) {
            double cycles = block_cost(w, b).cycles;
            double least = best_cycles - worth_it * (best_cycles - w->products / w->threads);
            if (best_cycles < INFINITY && cycles >= least)
                continue;
            best = b;
            best_cycles = cycles;
        }
    } while (next_block(w, &b));
    return best;
}

BlockShape winograd_block(const Graph *g, const Node *n, const CostContext *c, int threads)
{
    Work w = work_of(g, n, n->winograd, c, threads);
    return best_block(&w);
}

AlgorithmCost winograd_cost(const Graph *g, const Node *n, int m, const CostContext *c)
{
    const Type *filter = &value_get(g, n->in[1])->type;
    Work        w = work_of(g, n, m, c, 1);
    BlockCost   cost = block_cost(&w, best_block(&w));
    double      taps = (double)(filter->dims[2] * filter->dims[3]),
           each = w.weights / (double)w.positions;
    return (AlgorithmCost){.algorithm = WINOGRAD,
                           .tile = m,
                           .peak = w.products * PRODUCTS_SHARE,
                           .sums = cost.products,
                           .stream = cost.stream,
                           .transforms = cost.transforms,
                           .cycles = cost.cycles,
                           .weight_bytes = w.weights,
                           .added_bytes = w.weights - taps * each};
}
