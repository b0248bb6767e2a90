/* winograd_block.c - how many tiles of a Winograd convolution are done at a time, and the memory around them.
 *
 * A block's transformed input and products lie in scratch memory, and each block reads all weights again:
 * small blocks keep the scratch in the second-level cache, large ones read the weights less often. */
#include "ops/ops.h"
#include "schedule/machine.h"
#include "target/target.h"

void winograd_halo(const Graph *g, const Node *n, int64_t side[4])
{
    const int64_t *x = value_get(g, n->in[0])->type.dims, *y = value_get(g, n->out)->type.dims;
    int64_t        m = n->winograd, k = value_get(g, n->in[1])->type.dims[2];
    for (int i = 0; i < 2; i++) {
        int64_t reach = (y[2 + i] + m - 1) / m * m + k - 1;
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
    int64_t        edge = n->winograd + value_get(g, n->in[1])->type.dims[2] - 1;
    int64_t        channels = (x[1] + lanes - 1) / lanes + (y->dims[1] + lanes - 1) / lanes;
    return edge * edge * channels * lanes * block.rows * block.columns;
}

/* Bytes a cycle from the third-level cache where they are written and read at random, as scratch memory
 * is; weights are announced by prefetches. */
#define FAR_SCRATCH_BYTES 8.0

/* Of a part of a row: what keeps the registers of the products busy. */
#define LEAST_TILES 12

/* Estimated cycles for the memory traffic of `blocks` blocks with `scratch` bytes each, which are written
 * and read once for the input and once for the products. */
static double block_cycles(const Target *t, double blocks, double scratch, double weights)
{
    bool   weights_stay = weights + scratch <= 0.75 * (double)t->l2_bytes;
    double rate = scratch <= 0.5 * (double)t->l2_bytes   ? NEAR_BYTES
                  : scratch <= 0.5 * (double)t->l3_bytes ? FAR_SCRATCH_BYTES
                                                         : MEMORY_BYTES;
    return blocks * weights / (weights_stay ? NEAR_BYTES : L3_BYTES) + blocks * scratch * 4 / rate;
}

/* evenly - `all` cut into as many parts as parts of `size` make, the largest of them. */
static int64_t evenly(int64_t all, int64_t size)
{
    int64_t parts = (all + size - 1) / size;
    return (all + parts - 1) / parts;
}

WinogradBlock winograd_block(const Graph *g, const Node *n, const Target *t)
{
    const int64_t *w = value_get(g, n->in[1])->type.dims, *y = value_get(g, n->out)->type.dims;
    int64_t        rows = (y[2] + n->winograd - 1) / n->winograd;
    int64_t        columns = (y[3] + n->winograd - 1) / n->winograd;
    int64_t        edge = n->winograd + w[2] - 1;
    double         weights = (double)(edge * edge * w[0] * w[1]) * sizeof(float), best_cycles = 0;
    WinogradBlock  best = {rows, columns};
    /* Whole rows, all of them first; then parts of one row that leave a register tile its pixels. */
    for (int64_t i = 0; i < rows + columns; i++) {
        WinogradBlock b = i < rows ? (WinogradBlock){evenly(rows, rows - i), columns}
                                   : (WinogradBlock){1, evenly(columns, columns - (i - rows))};
        if (i >= rows && b.columns < LEAST_TILES)
            break;
        double blocks = (double)((rows + b.rows - 1) / b.rows) *
                        (double)((columns + b.columns - 1) / b.columns);
        double scratch = (double)winograd_scratch(g, n, b) * sizeof(float);
        double cycles = block_cycles(t, blocks, scratch, weights);
        if (i && cycles >= 0.95 * best_cycles)
            continue;
        best = b;
        best_cycles = cycles;
    }
    return best;
}
