/* schedule.h - how a kernel is to run: a few small numbers.
 *
 *   cost.c           what a convolution costs by each algorithm, in estimated cycles
 *   blocks.c         how much of an image is done at a time
 *   winograd_cost.c  what Winograd's method costs, and how many of its tiles are done at a time
 *   strassen_cost.c  the same of Strassen's algorithm
 *   inner_cost.c     ... and of Winograd's inner product
 *   choose.c         a schedule from the kernel's loops and the target's data, with reasons
 *   machine.h        the figures behind these
 *   file.c           schedules as JSON (--schedule): overrides per node */
#ifndef KILN_SCHEDULE_H
#define KILN_SCHEDULE_H

#include "graph/graph.h"

struct Kernel;
struct Target;

/* ---- cost.c ----------------------------------------------------------------------------- */

/* What the cost of a convolution depends on besides its shapes. */
typedef struct CostContext {
    const struct Target *target;
    bool                 exact;           /* every sum is made in one order */
    bool                 packs_may_start; /* weights may be transformed at start */
} CostContext;

/* One algorithm on one node. Cycles are of one core with two multiply-add pipes; the sums and the
 * stream of weights overlap in part, so `cycles` is less than the sum of the three parts. */
typedef struct AlgorithmCost {
    Algorithm   algorithm;
    int         tile;         /* of outputs, tile x tile (WINOGRAD); 0: direct */
    const char *why_not;      /* not NULL: it does not apply with any tile; all below is 0 */
    double      peak;         /* cycles: multiply-adds, two vectors of them a cycle */
    double      sums;         /* cycles: the same as tiles do them */
    double      stream;       /* cycles: the way of the weights from the cache or memory */
    double      transforms;   /* cycles: of input and output (not DIRECT) */
    double      cycles;       /* estimated, for all of it */
    double      weight_bytes; /* as the kernel reads them */
    double      added_bytes;  /* ... more than without transforms */
} AlgorithmCost;

enum { MAX_ALGORITHMS = 4 };

/* cost_algorithms - the algorithms there are for a conv2d or linear node of a graph with shapes, into
 * out[MAX_ALGORITHMS]: direct sums first, then Winograd's by ascending tile or, of a 1x1 convolution,
 * Strassen's and Winograd's inner product; or each of them with the reason why it does not apply. Their number; 0 for
 * other nodes. */
int cost_algorithms(const Graph *g, NodeId n, const CostContext *c, AlgorithmCost *out);

/* cost_dots - the same for direct sums, were both sides of the products of BF16. False: other nodes, or the
 * target has no such sums. */
bool cost_dots(const Graph *g, NodeId n, const CostContext *c, AlgorithmCost *out);

/* cost_overlapped - cycles of sums over so many rows and of the stream of their weights. The first tile of rows
 * waits for the weights; later ones find them in the second-level cache. */
double cost_overlapped(double sums, double stream, double rows);

/* ---- blocks.c ---------------------------------------------------------------------------- */

/* block_cuts - tiles along one side in blocks of `size` and of one less: how many there are of each. */
typedef struct BlockCuts {
    int64_t count[2], size[2];
} BlockCuts;
BlockCuts block_cuts(int64_t tiles, int64_t size);
/* cut_evenly - `all` cut into as many parts as parts of `size` make: the largest of them. */
int64_t cut_evenly(int64_t all, int64_t size);
/* block_evenly - blocks of rows x columns of an image, of so many at most: of one size, of so many at least, and as many
 * for each thread, which then has memory of its own for them; else of two sizes, and the threads share each block. */
typedef struct BlockSizes {
    int64_t most, least;
} BlockSizes;
BlockShape block_evenly(int64_t rows, int64_t columns, BlockSizes sizes, int threads);

/* ---- winograd_cost.c -------------------------------------------------------------------- */

/* winograd_cost - of a convolution that can be done so in output tiles of m x m, with the best blocks of one
 * thread. */
AlgorithmCost winograd_cost(const Graph *g, const Node *n, int m, const CostContext *c);
/* winograd_block - the blocks that cost `threads` threads the fewest cycles; blocks of a convolution are of
 * this size or one row, or one column, less. */
BlockShape winograd_block(const Graph *g, const Node *n, const CostContext *c, int threads);
/* winograd_scratch - elements of transformed input and products for the tiles of one block. */
int64_t winograd_scratch(const Graph *g, const Node *n, BlockShape block);

/* ---- strassen_cost.c --------------------------------------------------------------------- */

enum { STRASSEN_PRODUCTS = 7 };

/* How the pixels of a plane make pairs: the first ones are `rows` x `columns` pixels from the corner, the second ones
 * lie as far from them. One row: the pixels of all rows, one after the other; of an odd number the one in the middle
 * is in two pairs. */
typedef struct StrassenPairs {
    int64_t rows, columns; /* 0: no pairs to be had */
    int64_t down, right;   /* from the first pixel of a pair to the second */
} StrassenPairs;
StrassenPairs strassen_pairs(const Graph *g, const Node *n);
/* strassen_columns - of `half` blocks of output channels, how many are made at a time: a divisor. */
int64_t strassen_columns(int64_t half);
/* strassen_part - pairs that are multiplied before their products are added up, at most. */
int64_t strassen_part(int64_t lanes);
/* strassen_cost, strassen_block, strassen_scratch - of a convolution that can be done so, as above; "tiles" are
 * pairs. */
AlgorithmCost strassen_cost(const Graph *g, const Node *n, const CostContext *c);
BlockShape    strassen_block(const Graph *g, const Node *n, const CostContext *c, int threads);
int64_t       strassen_scratch(const Graph *g, const Node *n, BlockShape block);

/* ---- inner_cost.c ------------------------------------------------------------------------ */

/* inner_cost, inner_block - of a convolution that can be done by Winograd's inner product; "tiles" are pixels. */
AlgorithmCost inner_cost(const Graph *g, const Node *n, const CostContext *c);
BlockShape    inner_block(const Graph *g, const Node *n, const CostContext *c, int threads);

/* ---- choose.c --------------------------------------------------------------------------- */

/* The register tile of a sum, in iterations of the loops tagged AXIS_H (image rows), AXIS_M (pixels of a
 * row) and AXIS_N (vectors of output channels; single channels where lanes is 1). It has h * m * n
 * accumulators. */
typedef struct RegTile {
    int h, m, n;
} RegTile;

bool regtile_equal(RegTile a, RegTile b);

/* A member that is 0 is still to be decided. */
typedef struct Schedule {
    RegTile   tile;     /* fits Target.vector_regs */
    int       unroll_k; /* copies of the innermost reduction step; 1: rolled */
    int       streams;  /* from so many places the weights come at once; 1: in the order of use */
} Schedule;

/* The choice itself is the kernel pass kpass_schedule (kernel.h): from the loops and the target's data
 * it fills the members of Kernel.schedule that are still 0, and adds its reasons to the notes. */

/* One register tile on one kernel. */
typedef struct TileCost {
    RegTile tile;
    int     registers; /* accumulators, columns, a row */
    double  cycles;    /* estimated, for the whole of H, M and N */
    double  share;     /* of the multiply-add peak */
} TileCost;

enum { MAX_TILES = 256 };

/* schedule_tiles - the tiles that fit the registers, the fewest cycles first, into out[MAX_TILES]. For a
 * kernel as kpass_schedule meets it: lowered, its loops merged. Their number; 0: there is no sum to
 * tile. */
int schedule_tiles(const struct Kernel *k, TileCost *out);
/* schedule_tile_cost - one of them, which need not fit; false: there is no sum to tile. */
bool schedule_tile_cost(const struct Kernel *k, RegTile tile, TileCost *out);

/* ---- file.c ----------------------------------------------------------------------------- */

/* Overrides by node name: the algorithm for the pass choose-algorithm, the rest applied between lowering
 * and the kernel passes. */
typedef struct ScheduleFile ScheduleFile;
/* schedule_read, schedule_parse - NULL: mistakes, reported with their places. `source.text` has to live
 * as long as the result. */
ScheduleFile *schedule_read(Arena *a, Diag *d, const char *path);
ScheduleFile *schedule_parse(Arena *a, Diag *d, Source source);
/* schedule_override - change the members given for `node` in the file (NULL: none); true when it is
 * named there. */
bool schedule_override(ScheduleFile *f, const char *node, Schedule *s);
/* schedule_algorithm - the algorithm that the file gives `node`, the output tile of Winograd's method, and its place:
 * of the member that asks for it, or of one that asks for direct sums by a 0. -1: none. */
int schedule_algorithm(const ScheduleFile *f, const char *node, int *tile, Span *where);
/* schedule_given - what the file fixes for `node`, as "winograd 4, tile_m 7"; "": nothing. */
const char *schedule_given(const ScheduleFile *f, const char *node, Arena *a);
/* schedule_check_used - an error for each node named in the file that never came up. */
void schedule_check_used(ScheduleFile *f, Diag *d);

#endif
