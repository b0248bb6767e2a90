/* winograd_block.c - how many tiles of a Winograd convolution are done at a time, and the memory around them.
 *
 * A block's transformed input and products lie in scratch memory, and each block reads all weights again:
 * small blocks keep the scratch in the second-level cache, large ones read the weights less often. */
#include "ops/ops.h"
#include "schedule/machine.h"
#include "target/target.h"

#include <math.h>

void winograd_halo(const Graph *g, const Node *n, int64_t side[4])
{
    const int64_t *x = value_get(g, n->in[0])->type.dims;
    const Type     computed = node_computed(g, n);
    const int64_t *y = computed.dims;
    Winograd       w = node_winograd(g, n, n->winograd);
    for (int i = 0; i < 2; i++) {
        int64_t before = ((y[2 + i] + w.m - 1) / w.m - 1) * w.m * w.stride; /* the last tile */
        int64_t reach = before + winograd_edge(w);
        int64_t after = reach - x[2 + i] - n->attrs.padding[i];
        side[i] = n->attrs.padding[i];
        side[2 + i] = after > 0 ? after : 0;
    }
}

int64_t winograd_scratch(const Graph *g, const Node *n, WinogradBlock block)
{
    const int64_t *x = value_get(g, n->in[0])->type.dims;
    const Type    *y = &value_get(g, n->out)->type;
    int64_t        lanes = y->layout.block;
    int64_t        edge = winograd_edge(node_winograd(g, n, n->winograd));
    int64_t        channels = (x[1] + lanes - 1) / lanes + (y->dims[1] + lanes - 1) / lanes;
    return edge * edge * channels * lanes * block.images * block.rows * block.columns;
}

WinogradCuts winograd_cuts(int64_t tiles, int64_t size)
{
    int64_t blocks = (tiles + size - 1) / size, shorter = blocks * size - tiles;
    return (WinogradCuts){{blocks - shorter, shorter}, {size, size - 1}};
}

/* Bytes a cycle where scratch memory, which is written and read at random, does not quite fit the
 * second-level cache; weights are announced by prefetches. Far beyond it, it moves like memory: the third
 * level is shared with strangers. */
#define FAR_SCRATCH_BYTES 8.0

/* ... and of what another core has just written: not measured alone, but chosen so that the estimate fits
 * what sharing each block cost ResNet-18's first stage on two threads. */
#define OTHER_CORE_BYTES 4.0

/* Cycles until all threads have met, chosen likewise. */
#define MEETING 2000.0

/* Share of the multiply-add peak that the products reach. */
#define PRODUCTS_SHARE 0.85

/* Of a part of a row: what keeps the registers of the products busy. */
#define LEAST_TILES 12

/* What is to be done, by whom. */
typedef struct Work {
    const Target *t;
    int64_t       rows, columns, images; /* of tiles */
    double        products;              /* cycles of all of them on one core */
    double        weights;               /* bytes */
    int           threads;
} Work;

static Work work_of(const Graph *g, const Node *n, const Target *t, int threads)
{
    const Type     computed = node_computed(g, n);
    const int64_t *w = value_get(g, n->in[1])->type.dims, *y = computed.dims;
    int64_t        edge = winograd_edge(node_winograd(g, n, n->winograd));
    Work           work = {.t = t,
                           .rows = (y[2] + n->winograd - 1) / n->winograd,
                           .columns = (y[3] + n->winograd - 1) / n->winograd,
                           .images = y[0],
                           .weights = (double)(edge * edge * w[0] * w[1]) * sizeof(float),
                           .threads = threads};
    double         tiles = (double)(work.images * work.rows * work.columns);
    double         sums = tiles * (double)(edge * edge * w[0] * w[1]);
    work.products = sums / (PIPES * PRODUCTS_SHARE * t->lanes);
    return work;
}

/* Blocks of one thread, and the part of all tiles that is in them: the thread with the most, where each
 * does blocks of its own. */
typedef struct Busiest {
    double blocks, share;
} Busiest;

static Busiest busiest(const Work *w, WinogradBlock b)
{
    WinogradCuts rows = winograd_cuts(w->rows, b.rows),
                 columns = winograd_cuts(w->columns, b.columns);
    Busiest out = {0, 0};
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            int64_t blocks = w->images / b.images * rows.count[i] * columns.count[j];
            double  own = (double)((blocks + w->threads - 1) / w->threads);
            out.blocks += own;
            out.share += own * (double)(b.images * rows.size[i] * columns.size[j]);
        }
    out.share /= (double)(w->images * w->rows * w->columns);
    return out;
}

/* Estimated cycles of blocks with `scratch` bytes each, which are written and read once for the input and
 * once for the products. Threads that share a block read half of that from each other, and meet thrice. */
static double block_cycles(const Work *w, WinogradBlock b, double scratch)
{
    const Target *t = w->t;
    Busiest       all = busiest(w, b);
    bool          weights_stay = w->weights + scratch <= 0.75 * (double)t->l2_bytes;
    double        weight_rate = weights_stay                        ? NEAR_BYTES
                                : w->weights <= (double)t->l3_bytes ? L3_BYTES
                                                                    : MEMORY_BYTES;
    double        rate = scratch <= 0.5 * (double)t->l2_bytes   ? NEAR_BYTES
                         : scratch <= 2.0 * (double)t->l2_bytes ? FAR_SCRATCH_BYTES
                                                                : MEMORY_BYTES;
    if (b.copies > 1 || w->threads == 1)
        return all.share * w->products +
               all.blocks * (w->weights / weight_rate + scratch * 4 / rate);
    int64_t blocks = w->images / b.images * ((w->rows + b.rows - 1) / b.rows) *
                     ((w->columns + b.columns - 1) / b.columns);
    double memory = w->weights / weight_rate + scratch * 3 / rate + scratch / OTHER_CORE_BYTES;
    return (w->products + (double)blocks * memory) / w->threads + 3 * (double)blocks * MEETING;
}

/* evenly - `all` cut into as many parts as parts of `size` make, the largest of them. */
static int64_t evenly(int64_t all, int64_t size)
{
    int64_t parts = (all + size - 1) / size;
    return (all + parts - 1) / parts;
}

/* next_block - every block worth trying, largest first: images, which divide the batch; rows of one image;
 * parts of one row that leave a register tile its pixels. False: `b` was the last. */
static bool next_block(const Work *w, WinogradBlock *b)
{
    if (b->images > 1) {
        do
            b->images--;
        while (w->images % b->images);
        return true;
    }
    if (b->rows > 1) {
        b->rows = evenly(w->rows, b->rows - 1);
        return true;
    }
    if (b->columns <= LEAST_TILES)
        return false;
    b->columns = evenly(w->columns, b->columns - 1);
    return b->columns >= LEAST_TILES;
}

WinogradBlock winograd_block(const Graph *g, const Node *n, const Target *t, int threads)
{
    /* A block that is smaller has to save this much of what memory costs. */
    const double  worth_it = 0.05;
    Work          w = work_of(g, n, t, threads);
    double        best_cycles = INFINITY;
    WinogradBlock b = {w.images, w.rows, w.columns, 1}, best = b;
    do {
        double scratch = (double)winograd_scratch(g, n, b) * sizeof(float);
        for (b.copies = 1; b.copies <= threads; b.copies += threads > 1 ? threads - 1 : 1) {
            double cycles = block_cycles(&w, b, scratch);
            double least = best_cycles - worth_it * (best_cycles - w.products / threads);
            if (best_cycles < INFINITY && cycles >= least)
                continue;
            best = b;
            best_cycles = cycles;
        }
    } while (next_block(&w, &b));
    return best;
}
