/* passes.h - what is done to a graph between reading and lowering.
 *
 *   pipeline.c         the passes in order, each with what it needs and why it stands there
 *   infer_shapes.c     types of all values
 *   fold_constants.c   nodes whose inputs are all constant
 *   remove_dead.c      identity, dropout, no-op pads and reshapes, nodes without users
 *   merge_common.c     common subexpressions
 *   merge_pad.c        pad into the convolution or pool behind it
 *   fold_norm.c        batch_norm into conv2d and linear, before or behind it
 *   split_norm.c       a batch_norm left over becomes mul and add per channel
 *   fold_movement.c    flatten, reshape, transpose: into neighbours, weights, each other
 *   sink_movement.c    ... moved behind elementwise nodes and means, to meet others
 *   fuse_epilogue.c    elementwise nodes into the node that makes their input
 *   choose_layout.c    a layout for every value; relayout nodes where two meet
 *   alias_concat.c     concat written in place by its producers
 *   order_nodes.c      the order of execution with the lowest peak
 *   plan_memory.c      in-place reuse; an offset for every value, proven minimal
 *   plan_storage.c     which values share memory, which may take over another's
 *   plan_search.c      offsets for blocks: bound, parts, the hunt for the smallest size
 *   plan_greedy.c      good placements quickly
 *   plan_exact.c       whether a size can hold the blocks: branch and bound
 *   plan_check.c       an independent check of the plan
 *   plan_print.c       the plan as a table, with its certificate */
#ifndef KILN_PASSES_H
#define KILN_PASSES_H

#include "graph/graph.h"
#include "target/target.h"

/* ---- one pass --------------------------------------------------------------------------- */

typedef struct PassContext {
    const Target *target;
    bool          arena_by_caller;
    double        seconds;        /* time for each exact search (a few); work limits keep it deterministic */
} PassContext;

/* Facts about a graph; a pass needs some and gives some. */
typedef enum { HAS_SHAPES = 1, HAS_LAYOUT = 2, HAS_PLAN = 4 } Facts;

typedef struct Pass {
    const char *name;             /* infer-shapes */
    bool (*run)(Graph *g, const PassContext *c); /* true: changed */
    unsigned    needs, gives;     /* Facts */
    const char *about;            /* one line for --help and docs */
    const char *why_here;         /* why it stands where it stands; NULL: order does not matter */
} Pass;

extern const Pass passes[];
extern const int  n_passes;

typedef struct PassOptions {
    const char *only;             /* --passes a,b: just these, in pipeline order; NULL: all */
    const char *disabled[16];     /* --disable-pass, repeated */
    int         n_disabled;
    const char *print_after;      /* a pass name, or "all"; NULL: none */
    Text       *printed;          /* where --print-after writes */
} PassOptions;

/* passes_run - the pipeline. Checks names and needs (diag errors), runs each pass, runs the verifier
 * after it: a failure is our bug and is reported as such, naming the pass. False when there were
 * errors. */
bool passes_run(Graph *g, const PassContext *c, const PassOptions *o);

bool pass_infer_shapes(Graph *g, const PassContext *c);
bool pass_fold_constants(Graph *g, const PassContext *c);
bool pass_remove_dead(Graph *g, const PassContext *c);
bool pass_merge_common(Graph *g, const PassContext *c);
bool pass_merge_pad(Graph *g, const PassContext *c);
bool pass_fold_norm(Graph *g, const PassContext *c);
bool pass_split_norm(Graph *g, const PassContext *c);
bool pass_fold_movement(Graph *g, const PassContext *c);
bool pass_fuse_epilogue(Graph *g, const PassContext *c);
bool pass_choose_layout(Graph *g, const PassContext *c);
bool pass_alias_concat(Graph *g, const PassContext *c);
bool pass_order_nodes(Graph *g, const PassContext *c);
bool pass_plan_memory(Graph *g, const PassContext *c);

/* ---- the memory plan -------------------------------------------------------------------- */

/* One block of the arena: a value, with all that lives inside it. */
typedef struct PlanBlock {
    ValueId value;
    int64_t bytes;
    int64_t offset;               /* multiple of MemoryPlan.align */
    int     first, last;          /* steps at which it is alive, both inclusive */
} PlanBlock;

typedef enum {
    PROOF_BOUND,                  /* size equals the lower bound: the peak of live bytes   */
    PROOF_EXHAUSTED,              /* every smaller size was searched and failed            */
    PROOF_NONE,                   /* the search was cut off: size may exceed the optimum   */
} PlanProof;

typedef struct MemoryPlan {
    PlanBlock *blocks;
    int        n_blocks;
    int        n_steps;           /* nodes, in order */
    int64_t    align;             /* bytes */
    int64_t    bytes;             /* of the arena */
    int64_t    lower_bound;       /* the largest sum of bytes alive at one step */
    int        bound_step;        /* where it is reached */
    PlanProof  proof;
    int64_t    searched;          /* states visited */
    bool       order_optimal;     /* no order of the nodes has a lower peak (search exhausted) */
} MemoryPlan;

/* plan_place - offsets for blocks whose bytes, first and last are set; fills everything else. Work is
 * bounded by a count of states, so the same input gives the same plan on any machine. */
void plan_place(MemoryPlan *p, Arena *scratch, int64_t max_states);
/* plan_check - re-proves from the blocks alone, with data structures of its own: aligned, inside the
 * arena, no two alive together overlap, the bound is as stated. False: `why` says what is wrong. */
bool plan_check(const MemoryPlan *p, Text *why);
/* plan_print - a table of blocks and the certificate. */
void plan_print(const Graph *g, const MemoryPlan *p, Text *out);

/* ---- inside pass_fold_movement ----------------------------------------------------------- */

/* sink_movement - move what reorders the input of elementwise node or reduce_mean `n` behind it. */
bool sink_movement(Graph *g, NodeId n);
/* sink_into_weights - a transpose and flatten before the linear node `n` go into its weights. */
bool sink_into_weights(Graph *g, NodeId n);

/* ---- inside plan_place ------------------------------------------------------------------- */

/* Blocks that have to be seen together, in units that divide all their sizes. Time is cut into
 * sections, the steps at which a block begins: two blocks meet if and only if they share one. */
typedef struct PlaceProblem {
    Arena   *arena;
    int      n, n_sections;
    int64_t *size;
    int     *first, *last;        /* sections, both inclusive; first ascending */
    int64_t *live;                /* of each section: units alive */
    int     *near;                /* blocks that meet block i: near[near_at[i] .. near_at[i + 1]), */
    size_t  *near_at;             /* ascending; NULL: too many to list */
} PlaceProblem;

typedef struct PlaceScratch {
    void *room;
} PlaceScratch;
PlaceScratch place_scratch(Arena *a, int n);
/* place_lowest - the lowest offset at which block `b` is clear of the placed blocks it meets. */
int64_t place_lowest(const PlaceProblem *p, int b, const bool *placed, const int64_t *offset,
                     PlaceScratch *s);
/* place_greedy - the best placement quick rules find, into `offset`; stops at size `goal`. `work`
 * bounds the steps of repeated tries. Its size. */
int64_t place_greedy(const PlaceProblem *p, int64_t goal, int64_t work, int64_t *offset);

typedef enum { FITS, FITS_NEVER, FITS_UNKNOWN } Fits;
/* place_fits - whether the blocks fit into `size` units; if so, `offset` says how. *states counts up
 * to max_states; past it the answer is unknown. */
Fits place_fits(const PlaceProblem *p, int64_t size, int64_t *offset, int64_t max_states,
                int64_t *states);

/* ---- where values live ------------------------------------------------------------------- */

/* value_home - where value `v` lives: the block's value (after following base), and the element offset
 * inside it. Model inputs, outputs and constants are homes of their own. */
ValueId value_home(const Graph *g, ValueId v, int64_t *element_offset);

#endif
