/* passes.h - what is done to a graph between reading and lowering.
 *
 *   pipeline.c         the passes in order, each with what it needs and why it stands there
 *   infer_shapes.c     types of all values
 *   fold_constants.c   nodes whose inputs are all constant
 *   remove_dead.c      identity, dropout, no-op pads and reshapes, nodes without users
 *   merge_common.c     common subexpressions
 *   match_activations.c  silu, gelu and others that come in pieces
 *   match_function.c   values as functions of others: what the pass before looks for
 *   match_linear.c     matmul by a constant matrix becomes linear
 *   merge_pad.c        pad into the convolution or pool behind it
 *   fold_norm.c        batch_norm into convolutions and linear, before or behind them
 *   split_norm.c       a batch_norm left over becomes mul and add per channel
 *   fold_movement.c    flatten, reshape, transpose: into neighbours, weights, each other
 *   sink_movement.c    ... moved behind elementwise nodes and means, to meet others
 *   fuse_epilogue.c    elementwise nodes into the node that makes their input
 *   store_weights.c    weights rounded to the type they are kept in
 *   round_products.c   values and weights that are multiplied in bf16 (--fp fast)
 *   choose_algorithm.c direct sums, Winograd's or Strassen's, for each convolution
 *   choose_layout.c    a layout for every value; relayout nodes where two meet
 *   layout_halo.c      zeros around the planes that padded convolutions read
 *   fuse_depthwise.c   a 1x1 convolution into the depthwise one that reads it
 *   fuse_pool.c        max_pool into the Winograd convolution that makes its input
 *   fuse_siblings.c    convolutions that read one value as one
 *   alias_concat.c     concat written in place by its producers
 *   order_nodes.c      the order of execution with the lowest peak
 *   order_search.c     the exact search for it between two bottlenecks
 *   plan_memory.c      in-place reuse; an offset for every value, proven minimal
 *   plan_storage.c     which values share memory, which may take over another's
 *   plan_search.c      offsets for blocks: bound, parts, the hunt for the smallest size
 *   plan_greedy.c      good placements quickly
 *   plan_exact.c       whether a size can hold the blocks: branch and bound
 *   plan_check.c       an independent check of the plan
 *   plan_replay.c      a second check: the order run on the plan, with names for contents
 *   plan_print.c       the plan as a table, with its certificate */
#ifndef KILN_PASSES_H
#define KILN_PASSES_H

#include "graph/graph.h"
#include "target/target.h"
#include "schedule/schedule.h"

/* ---- one pass --------------------------------------------------------------------------- */

/* When weights are laid out and transformed as the kernels read them: by kiln, or by NAME_init from
 * plain ones. PACK_EITHER is for packs_at_start to decide. */
typedef enum { PACK_EITHER, PACK_BUILD, PACK_START } Pack;

/* What rounding the weights cost: the sums of the squares of those rounded, and of their errors. */
typedef struct StoreLoss {
    int64_t n_weights;
    double  squares, error;
} StoreLoss;

typedef struct PassContext {
    const Target *target;
    int     threads; /* that will run the code; 1: no more than the caller's */
    double  seconds; /* time for each exact search (a few); work limits keep it deterministic */
    bool    exact;   /* --fp exact: every sum in one order */
    bool    fast;    /* --fp fast: products may be of bf16 */
    bool    weights_inline; /* weights will be text in the C file */
    Pack    pack;
    Elem    store;          /* what weights are kept in: F32, F16, BF16; 0 is F32 */
    StoreLoss *loss;        /* where store-weights and round-products say what they cost; NULL: nowhere */
    const ScheduleFile *schedules; /* algorithms that are given; NULL: none */
} PassContext;

/* Facts about a graph; a pass needs some and gives some. */
typedef enum { HAS_SHAPES = 1, HAS_LAYOUT = 2, HAS_PLAN = 4 } Facts;

typedef struct Pass {
    const char *name;                            /* infer-shapes */
    bool (*run)(Graph *g, const PassContext *c); /* true: changed */
    unsigned    needs, gives;                    /* Facts */
    const char *about;                           /* one line for --help and docs */
    const char *why_here; /* why it stands where it stands; NULL: order does not matter */
} Pass;

extern const Pass passes[];
extern const int  n_passes;

typedef struct PassOptions {
    const char *only;         /* --passes a,b: just these, in pipeline order; NULL: all */
    const char *last;         /* none behind this one; NULL: all */
    const char *disabled[16]; /* --disable-pass, repeated */
    int         n_disabled;
    const char *print_after; /* a pass name, or "all"; NULL: none */
    Text       *printed;     /* where --print-after writes */
} PassOptions;

/* passes_lack - which pass that is to run needs one that is not, as a message; NULL: none. */
const char *passes_lack(Arena *a, const PassOptions *o);
/* passes_include - whether the pass of that name is to run. */
bool passes_include(const char *name, const PassOptions *o);
/* passes_run - the pipeline. Checks names and needs (diag errors), runs each pass, runs the verifier
 * after it: a failure is our bug and is reported as such, naming the pass. False when there were
 * errors. */
bool passes_run(Graph *g, const PassContext *c, const PassOptions *o);

bool pass_infer_shapes(Graph *g, const PassContext *c);
bool pass_fold_constants(Graph *g, const PassContext *c);
bool pass_remove_dead(Graph *g, const PassContext *c);
bool pass_merge_common(Graph *g, const PassContext *c);
bool pass_match_activations(Graph *g, const PassContext *c);
bool pass_match_linear(Graph *g, const PassContext *c);
bool pass_merge_pad(Graph *g, const PassContext *c);
bool pass_fold_norm(Graph *g, const PassContext *c);
bool pass_split_norm(Graph *g, const PassContext *c);
bool pass_fold_movement(Graph *g, const PassContext *c);
bool pass_fuse_epilogue(Graph *g, const PassContext *c);
bool pass_store_weights(Graph *g, const PassContext *c);
bool pass_round_products(Graph *g, const PassContext *c);
bool pass_choose_algorithm(Graph *g, const PassContext *c);
bool pass_choose_layout(Graph *g, const PassContext *c);
bool pass_reserve_scratch(Graph *g, const PassContext *c);
bool pass_fuse_depthwise(Graph *g, const PassContext *c);
bool pass_fuse_pool(Graph *g, const PassContext *c);
bool pass_fuse_siblings(Graph *g, const PassContext *c);
bool pass_alias_concat(Graph *g, const PassContext *c);
bool pass_order_nodes(Graph *g, const PassContext *c);
bool pass_plan_memory(Graph *g, const PassContext *c);

/* weight_round - the constant `v`, which convolutions and linear layers alone multiply by, rounded to `e`,
 * to nearest, ties to even; what that cost is added to `loss`. False: a weight is too large, reported. */
bool weight_round(Graph *g, ValueId v, Elem e, StoreLoss *loss);
/* cost_context - what estimates of a graph's convolutions depend on (schedule.h). */
CostContext cost_context(const PassContext *c);
/* layout_pads - the layout's halo as the convolution `n` reads it around in[0]; false: the zeros would outgrow
 * the plane. */
bool layout_pads(const Graph *g, const Node *n, Layout *l);
/* choose_pays - whether an algorithm saves enough of what direct sums take to be chosen. */
bool choose_pays(const AlgorithmCost *direct, const AlgorithmCost *c);
/* choose_room - bytes that transformed weights may add to those of the graph. */
double choose_room(const Graph *g, const PassContext *c);
/* packs_at_start - whether the weights of a graph are laid out at start, once its algorithms are
 * chosen. PACK_EITHER is so where they are text and would outgrow the limit of choose-algorithm. */
bool packs_at_start(const Graph *g, const PassContext *c);

/* ---- the memory plan -------------------------------------------------------------------- */

/* One block of the arena: a value, with all that lives inside it. */
typedef struct PlanBlock {
    ValueId value;
    int64_t bytes;
    int64_t offset;      /* multiple of MemoryPlan.align */
    int     first, last; /* steps at which it is alive, both inclusive */
} PlanBlock;

typedef enum {
    PROOF_BOUND,     /* size equals the lower bound: the peak of live bytes   */
    PROOF_EXHAUSTED, /* every smaller size was searched and failed            */
    PROOF_NONE,      /* the search was cut off: size may exceed the optimum   */
} PlanProof;

typedef struct MemoryPlan {
    PlanBlock *blocks;
    int        n_blocks;
    int        n_steps;     /* nodes, in order */
    int64_t    align;       /* bytes */
    int64_t    bytes;       /* of the arena */
    int64_t    lower_bound; /* the largest sum of bytes alive at one step */
    int        bound_step;  /* where it is reached */
    PlanProof  proof;
    int64_t    searched;      /* states visited */
    bool       order_optimal; /* no order of the nodes has a lower peak (search exhausted) */
} MemoryPlan;

/* plan_place - offsets for blocks whose bytes, first and last are set; fills everything else. Work is
 * bounded by a count of states, so the same input gives the same plan on any machine. */
void plan_place(MemoryPlan *p, Arena *scratch, int64_t max_states);
/* plan_check - re-proves from the blocks alone, with data structures of its own: aligned, inside the
 * arena, no two alive together overlap, the bound is as stated. False: `why` says what is wrong. */
bool plan_check(const MemoryPlan *p, Text *why);
/* plan_replay - whether every node of a planned graph finds its inputs as they were written, and the
 * caller the outputs. Looks at Value.base and offset alone, not at how they came about. */
bool plan_replay(const Graph *g, Text *why);
/* plan_print - a table of blocks and the certificate. */
void plan_print(const Graph *g, const MemoryPlan *p, Text *out);

/* ---- inside pass_fold_movement ----------------------------------------------------------- */

/* sink_movement - move what reorders the input of elementwise node or reduction `n` behind it. */
bool sink_movement(Graph *g, NodeId n);
/* sink_into_weights - a transpose and flatten before the linear node `n` go into its weights. */
bool sink_into_weights(Graph *g, NodeId n);

/* ---- inside pass_match_activations ------------------------------------------------------- */

/* match_number - whether `v` is one finite number. */
bool match_number(const Graph *g, ValueId v, double *out);
/* match_maker - the node that makes `v`; NULL where there is none, or fused steps follow in it. */
const Node *match_maker(const Graph *g, ValueId v);
/* match_own_maker - ... and makes it for one reader alone. */
const Node *match_own_maker(const Graph *g, ValueId v);
/* match_affine_step - whether `n` computes a * inner + b. */
bool match_affine_step(const Graph *g, const Node *n, ValueId *inner, double *a, double *b);

/* A value as a * t + b. */
typedef struct MatchScaled {
    ValueId t;
    double  a, b;
} MatchScaled;

/* match_scaled - with t as far back as it goes through nodes nobody else reads. */
MatchScaled match_scaled(const Graph *g, ValueId v);

/* c[0] + c[1] x + c[2] x^2 + c[3] x^3 */
typedef struct Polynomial {
    double c[4];
} Polynomial;

/* match_polynomial - whether `v` is one of `x`, through at most `depth` nodes in a row. */
bool match_polynomial(const Graph *g, ValueId v, ValueId x, int depth, Polynomial *out);

/* ---- inside pass_choose_layout ----------------------------------------------------------- */

/* What a node needs of an input's layout. */
typedef enum Need {
    NEED_ANY,   /* nothing: it reads every layout */
    NEED_ONE,   /* block 1, with or without halo  */
    NEED_BLOCK, /* blocks of channels             */
    NEED_PLAIN, /* row-major, no halo             */
    N_NEEDS
} Need;

/* Copies of values in other layouts, by need and value, so that each is made once. */
typedef struct LayoutCopies {
    Graph   *g;
    const Target *target;
    uint32_t n_values; /* before the first copy: copies are not copied again */
    ValueId *copy[N_NEEDS];
} LayoutCopies;

/* layout_copy - a relayout of `v`, made before node `before` (0: at the end) unless there is one. */
ValueId layout_copy(LayoutCopies *c, ValueId v, Need what, Span where, NodeId before);
void    choose_halos(LayoutCopies *c);

/* ---- inside pass_order_nodes ------------------------------------------------------------- */

/* Nodes by their position when the pass began, and the homes in the arena they touch. A home is alive
 * from the first node that touches it to the last. */
typedef struct OrderModel {
    int      n, n_homes;
    int64_t *bytes;           /* of a home, aligned */
    int     *total, *left;    /* nodes that touch a home; those not executed yet */
    int    *touch, *touch_at; /* homes that node i touches: touch[touch_at[i] .. touch_at[i + 1]) */
    int    *reuse, *reuse_at; /* homes that node i may write over, should it be their last */
    int    *own;              /* home of the node's output; -1: not in the arena */
    int    *user, *user_at;   /* readers of the node's output, one entry a use */
    int    *pending;          /* uses of outputs of nodes not executed yet */
    bool   *is_done;
    int64_t live; /* bytes after what was executed */
} OrderModel;

/* order_peak_at - bytes alive while node i runs now; *after, when not NULL: alive behind it. */
int64_t order_peak_at(const OrderModel *m, int i, int64_t *after);
void    order_run(OrderModel *m, int i);
void    order_undo(OrderModel *m, int i);
/* order_search - the order of nodes [first, last] with the lowest peak, into order[]. `known` is a
 * peak some order has, `least` one that need not be beaten. Returns the peak found, or `known` where
 * there is no lower one (order[] untouched). Every peak below *proven is impossible. *states counts
 * down to 0, where the search gives up. */
int64_t order_search(OrderModel *m, int first, int last, int64_t least, int64_t known, int *order,
                     int64_t *proven, int64_t *states);

/* ---- inside plan_place ------------------------------------------------------------------- */

/* Blocks that have to be seen together, in units that divide all their sizes. Time is cut into
 * sections, the steps at which a block begins: two blocks meet if and only if they share one. */
typedef struct PlaceProblem {
    Arena   *arena;
    int      n, n_sections;
    int64_t *size;
    int     *first, *last; /* sections, both inclusive; first ascending */
    int64_t *live;         /* of each section: units alive */
    int     *near;         /* blocks that meet block i: near[near_at[i] .. near_at[i + 1]), */
    size_t  *near_at;      /* ascending; NULL: too many to list */
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

/* ---- plan_storage.c: sharing memory ------------------------------------------------------- */

/* plan_align - the alignment of blocks in the arena, in bytes. */
int64_t plan_align(const Target *t);
/* storage_bytes - what a value takes, as stored. */
int64_t storage_bytes(const Graph *g, ValueId v);
/* storage_alias_views - a view or relayout that keeps every byte in place lives inside its input; or
 * its input inside it, where the view is part of a concat. True: changed. */
bool storage_alias_views(Graph *g);
/* storage_takeover - whether the node may write its output over in[i], if nothing needs that input
 * (nor what lives with it) any more: each element is read right before it is written. The homes of
 * both are then equally large. */
bool storage_takeover(const Graph *g, NodeId n, int i);
/* storage_settle - every base is a home from here on, so that value_home takes constant time. */
void storage_settle(Graph *g);

#endif
