/* kernel.h - the lower level: loops over scalars and vectors.
 *
 *   affine.c     indices: sums of loop * coefficient
 *   kernel.c     building: loops, temporaries, buffers, statements
 *   expr.c       expressions: building with exact folding, what operators compute, walking
 *   rewrite.c    copies of statements with something changed
 *   view.c       contents of constant buffers, evaluated when asked for
 *   print.c      a kernel as text (--emit loops)
 *   verify.c     what must hold after every pass
 *   interp.c     runs a kernel in float, before and after every pass alike
 *   pipeline.c   the passes in order
 *   merge.c      adjacent loops that walk memory as one become one
 *                (schedule/choose.c decides the numbers the schedule file left open)
 *   pair.c       sums of bf16 products go two by two, for instructions that take pairs
 *   border.c     cut loops where a padding guard is always true
 *   tile.c       split loops by the schedule, push the tile into init, step and finish
 *   pack.c       constants are laid out in the order the loops read them
 *   lanes.c      the loops that become lanes, and how an index moves along them
 *   vectorize.c  the VECTOR loop becomes vector expressions
 *   turn.c       groups that share a vector are summed without picking lane by lane
 *   matrix.c     sums of a tile's rows become products of small matrices
 *   promote.c    loads shared by a tile move into temporaries
 *   announce.c   hints that large weights, and the pixels they meet, will be read soon
 *   unroll.c     copies of UNROLL bodies, each with its own temporaries
 *   reuse.c      a vector with picked lanes is made once for all sums that take it
 *
 * A kernel computes one graph node. Its body is a sequence of nests of one form: parallel loops
 * around `init`, then reduce loops around `step`, then `finish`:
 *
 *     for oc  for oh  for ow            PARALLEL
 *         acc = bias[oc]                init
 *         for ic  for kh  for kw        REDUCE
 *             acc += x[..] * w[..]      step
 *         y[..] = max(0, acc)           finish
 *
 * Sums commute, so splitting and interchange need no proof beyond the roles. */
#ifndef KILN_KERNEL_H
#define KILN_KERNEL_H

#include "base/base.h"
#include "graph/graph.h"
#include "schedule/schedule.h"

typedef uint32_t LoopId; /* 0: none */
typedef uint32_t TempId;
typedef uint32_t BufferId;

/* ---- affine.c --------------------------------------------------------------------------- */

#define MAX_TERMS 14

/* constant + sum of coef[i] * loop[i]: terms sorted by loop, no zero coefficient, unused entries
 * zero. Canonical by construction, so equality is memcmp. */
typedef struct Affine {
    int64_t constant;
    int64_t n_terms;
    int64_t coef[MAX_TERMS];
    LoopId  loop[MAX_TERMS];
} Affine;

typedef struct Range {
    int64_t min, max;
} Range; /* both inclusive */

typedef struct Kernel Kernel;

Affine  affine_const(int64_t c);
Affine  affine_loop(LoopId l); /* l = 0: the constant 0 */
Affine  affine_add(Affine a, Affine b);
Affine  affine_scale(Affine a, int64_t s);
Affine  affine_offset(Affine a, int64_t c);
int64_t affine_coef(const Affine *a, LoopId l); /* 0: does not depend on it */
bool    affine_equal(const Affine *a, const Affine *b);
/* affine_subst - `a` with `l` replaced by `by`. */
Affine affine_subst(const Affine *a, LoopId l, const Affine *by);
/* affine_range - smallest and largest value over the full extents of its loops. O(terms). */
Range affine_range(const Kernel *k, const Affine *a);
/* floor_div - a / b rounded down, b positive. */
int64_t floor_div(int64_t a, int64_t b);

/* ---- loops, temporaries, buffers -------------------------------------------------------- */

typedef enum { PARALLEL, REDUCE } LoopRole;                /* what may be reordered */
/* How it is to run. ROLLED: as a loop, and the C compiler is told to leave it one. PAIRS: two iterations
 * that one E_DOT is to sum. JOINED: its iterations are lanes, side by side, of the VECTOR loop right around. */
typedef enum { SERIAL, VECTOR, UNROLL, THREADS, ROLLED, PAIRS, JOINED } LoopMark;
/* What the schedule may do with a loop: M and H rows of the register tile (M pixels of one image row, H
 * image rows), N its columns, LANE the one that becomes vectors, GROUP one right around it whose iterations
 * share a vector, K the innermost reduction (unroll_k). */
typedef enum { AXIS_NONE, AXIS_H, AXIS_M, AXIS_N, AXIS_K, AXIS_LANE, AXIS_GROUP } LoopAxis;

/* Runs over [0, extent). */
typedef struct Loop {
    const char *name;   /* role and stem: oc, oh0, kw ...; printing makes them unique */
    int64_t     extent; /* >= 1 */
    LoopRole    role;
    LoopMark    mark;
    LoopAxis    axis;
} Loop;

#define MAX_LANES 64

typedef struct VType {
    Elem elem;
    int  lanes; /* 1: a scalar */
    int  rows;  /* of so many vectors, a matrix; 0: none */
} VType;

#define MAX_EXPAND 6

/* A temporary. Expanded over loops it is an array, indexed by their current values; vectorize and
 * unroll remove the loops, and none is left when C is printed. */
typedef struct Temp {
    const char *name; /* acc, xv, wv ... */
    VType       type;
    int         n_expand;
    LoopId      expand[MAX_EXPAND];
} Temp;

/* Constant contents that are computed when asked for. Element i of the buffer is found thus: its
 * digits in the mixed radix extent[0..n_dims) give the linear index  offset + sum digit * stride  into
 * `padded`, the tensor's dims grown with zeros (row-major, rank = tensor rank); outside the tensor's
 * own dims the element is `fill`. n_dims = 0: the identity over `padded`. */
typedef struct View View;
struct View {
    const Tensor *tensor;
    int64_t       padded[MAX_RANK];
    int           n_dims;
    int64_t       extent[MAX_TERMS];
    int64_t       stride[MAX_TERMS];
    const char   *name[MAX_TERMS]; /* of the loops that are the digits */
    int64_t       offset;
    double        fill;
    int           turned_group, turned_lanes; /* 0, or channels of a group, lanes of a vector: turned_index, view.c */
    const Tensor *plain;    /* not NULL: `tensor` is made of it by `make`, and until then has a type and no data */
    Winograd      winograd; /* m > 0: ... of filters for that, see winograd_filter in ops.h */
    int64_t       block;    /* ... of halves of the channels: every other block of so many, see strassen.c */
    const Tensor *(*make)(Arena *a, const View *v);
};

typedef enum { BUF_IN, BUF_OUT, BUF_CONST, BUF_LOCAL } BufferKind;

/* Memory a kernel reads or writes. BUF_IN and BUF_OUT are pointer parameters, bound to graph values. BUF_LOCAL
 * is an array of the kernel's own, a few KiB on the stack of the thread that runs it: there one iteration of a
 * parallel loop keeps what it hands on from one nest inside it to the next. */
typedef struct Buffer {
    const char *name; /* x, y, w, b, res ...; printing makes them unique */
    Elem        elem;
    BufferKind  kind;
    int64_t     count; /* elements, as stored */
    int64_t     copies; /* > 1: threads have so many, one each; what lies in it never passes between them */
    ValueId     value; /* IN, OUT: the graph value; CONST: where it came from, may be 0; LOCAL: 0 */
    View        view;  /* CONST */
} Buffer;

/* ---- expressions ------------------------------------------------------------------------ */

typedef enum {
    E_CONST,  /* number                                             */
    E_INDEX,  /* the value of `index` as a number                   */
    E_TEMP,   /* temp                                               */
    E_LOAD,   /* buffer[index]; a vector: lanes consecutive ones; F16 is there for a CAST to F32
                 to take, and nowhere else; BF16 also for a DOT     */
    E_SPLAT,  /* a in every lane; a pair in every pair of lanes     */
    E_PICK,   /* of each `group` lanes of the vector a, number `index` in all of them; its loops are gone
                 before C is printed, which takes a constant        */
    E_SWAP,   /* lane l of the vector a, of a power of two, in lane l ^ `index`; its loops are gone before C is printed */
    E_CAST,   /* a as type.elem: f32 -> integer rounds half to even and saturates; f32 -> bf16
                 rounds half to even                                */
    E_UNARY,  /* op(a)                                              */
    E_BINARY, /* op(a, b)                                           */
    E_FMA,    /* a * b + c, rounded once                            */
    E_ROW,    /* row `index` of the matrix a, a temporary           */
    E_DOT,    /* a[2i] * b[2i] + a[2i+1] * b[2i+1] of BF16, as F32: half as many lanes. Only where
                 a temporary accumulates; see I_DOT for how that is rounded. Of matrices a [r, 2k] and
                 b [k, 2n]: r rows of n sums, each of row r of a with the pairs of a column of b */
} ExprKind;

typedef enum {
    U_NEG,
    U_ABS,
    U_FLOOR,
    U_ROUND,    /* nearest integer, ties to even                      */
    U_SQRT,     /* rounded once; NaN below 0                          */
    U_EXPONENT, /* floor(log2(a)) as float; a positive and normal     */
    B_ADD,
    B_SUB,
    B_MUL,
    B_DIV,
    B_MAX,   /* a > b ? a : b   (so max(0, NaN) is NaN)            */
    B_MIN,   /* a < b ? a : b                                      */
    B_EQ,    /* 1 where a == b, else 0; scalars                    */
    B_LDEXP, /* a * 2^b; b an integer in [-126, 127]               */
} Operator;

/* Immutable once built; shared freely within a kernel. */
typedef struct Expr Expr;
struct Expr {
    ExprKind    kind;
    VType       type;
    Operator    op;
    double      number;
    TempId      temp;
    BufferId    buffer;
    Affine      index;
    int64_t     row_stride; /* LOAD of a matrix: elements from row to row */
    int         group;      /* PICK; SWAP: all lanes */
    const Expr *a, *b, *c;
};

/* ---- statements ------------------------------------------------------------------------- */

typedef enum { S_BLOCK, S_FOR, S_LET, S_SET, S_STORE, S_GUARD, S_PREFETCH, S_NOTE } StmtKind;
typedef enum { ASSIGN, ASSIGN_ADD, ASSIGN_MAX } AssignOp; /* MAX: t = value > t ? value : t */

/* One test of a guard: 0 <= index < bound. */
typedef struct Test {
    Affine  index;
    int64_t bound;
} Test;

typedef struct Stmt Stmt;
struct Stmt {
    StmtKind    kind;
    Stmt      **items; /* BLOCK */
    int         n_items, cap_items;
    LoopId      loop;   /* FOR */
    Stmt       *body;   /* FOR, GUARD */
    TempId      temp;   /* LET (defines it), SET */
    AssignOp    op;     /* SET, STORE */
    BufferId    buffer; /* STORE, PREFETCH */
    Affine      index;
    bool        outer; /* PREFETCH: into the second-level cache, past the first */
    const Expr *value; /* LET, SET, STORE */
    Test       *tests; /* GUARD: all must hold */
    int         n_tests;
    const char *note; /* NOTE: a comment, printable */
};

typedef enum { FP_STRICT, FP_EXACT, FP_FAST } FpMode;

struct Target;

struct Kernel {
    Arena               *arena;
    const struct Target *target;
    FpMode               fp;
    const char          *name; /* op name; emission numbers it */
    NodeId               node;
    Loop                *loops; /* [1, n_loops) */
    Temp                *temps;
    Buffer              *buffers;
    uint32_t             n_loops, n_temps, n_buffers;
    size_t               cap_loops, cap_temps, cap_buffers;
    Stmt                *body; /* a BLOCK of nests */
    Schedule             schedule;
    bool                 weights_cold; /* too many in the whole network for the third-level cache */
    Text                 notes; /* the schedule's reasons, one line each */
    int64_t              macs;  /* multiply-accumulates of the node, without padding of channels */
};

/* ---- kernel.c --------------------------------------------------------------------------- */

Kernel *kernel_new(Arena *a, const char *name, const struct Target *t, FpMode fp);
LoopId  kernel_loop(Kernel *k, const char *name, int64_t extent, LoopRole role, LoopAxis axis);
/* kernel_loop_if - 0 (no loop) when the extent is 1. */
LoopId   kernel_loop_if(Kernel *k, const char *name, int64_t extent, LoopRole role, LoopAxis axis);
TempId   kernel_temp(Kernel *k, const char *name, VType type);
BufferId kernel_buffer(Kernel *k, const char *name, Elem e, BufferKind kind, int64_t count,
                       ValueId v);
/* kernel_constant - a CONST buffer of `t` (F32, or I32/I8/U8), its dims grown to `padded` with zeros
 * (NULL: as they are), row-major. */
BufferId kernel_constant(Kernel *k, const char *name, const Tensor *t, const int64_t *padded);
/* kernel_weight - the same of the element type of `t`, also F16 and BF16; it came from value `v`. */
BufferId kernel_weight(Kernel *k, const char *name, const Tensor *t, const int64_t *padded,
                       ValueId v);

Stmt *st_block(Kernel *k);
void  st_add(Kernel *k, Stmt *block, Stmt *item); /* NULL items are skipped; blocks splice */
/* A FOR over loop 0, or a guard of no tests, is the body itself; around NULL there is nothing. */
Stmt *st_for(Kernel *k, LoopId l, Stmt *body);
Stmt *st_let(Kernel *k, TempId t, const Expr *v);
Stmt *st_set(Kernel *k, TempId t, AssignOp op, const Expr *v);
Stmt *st_store(Kernel *k, BufferId b, Affine index, AssignOp op, const Expr *v);
Stmt *st_guard(Kernel *k, const Test *tests, int n, Stmt *body);
/* st_prefetch - a hint that buffer[index] will be read soon, from the second-level cache if `outer`; index
 * may lie past the end. */
Stmt *st_prefetch(Kernel *k, BufferId b, Affine index, bool outer);
Stmt *st_note(Kernel *k, const char *text);

/* ---- expr.c ----------------------------------------------------------------------------- */

/* Building folds only where the result is the same bits for every operand. An operation on a vector
 * and a scalar is built, with the vector's type, and refused by the verifier. */
const Expr *ex_const(Kernel *k, double v); /* F32 */
const Expr *ex_index(Kernel *k, Affine a); /* F32 */
const Expr *ex_temp(Kernel *k, TempId t);
const Expr *ex_load(Kernel *k, BufferId b, Affine index);
const Expr *ex_unary(Kernel *k, Operator op, const Expr *a);
const Expr *ex_binary(Kernel *k, Operator op, const Expr *a, const Expr *b);
const Expr *ex_fma(Kernel *k, const Expr *a, const Expr *b, const Expr *c);
const Expr *ex_dot(Kernel *k, const Expr *a, const Expr *b);
const Expr *ex_cast(Kernel *k, Elem e, const Expr *a);
const Expr *ex_splat(Kernel *k, int lanes, const Expr *a);
const Expr *ex_pick(Kernel *k, const Expr *a, int group, Affine lane);
const Expr *ex_swap(Kernel *k, const Expr *a, Affine by);
const Expr *ex_row(Kernel *k, const Expr *matrix, Affine row);
/* ex_matrix - `load` as a matrix: rows of so many elements, `stride` apart. */
const Expr *ex_matrix(Kernel *k, const Expr *load, int lanes, int rows, int64_t stride);
VType vtype(Elem e, int lanes);
/* vtype_count - elements of a value. */
int vtype_count(VType t);

/* ex_with - a copy of `e` with these children; its type follows from theirs. */
const Expr *ex_with(Kernel *k, const Expr *e, const Expr *a, const Expr *b, const Expr *c);

/* What an operator computes on F32; a cast to F32, BF16 or an integer type (NaN becomes 0). */
float  eval_unary(Operator op, float a);
float  eval_binary(Operator op, float a, float b);
double eval_cast(Elem to, double v);

/* The distinct nodes of an expression, a shared one once, children before parents: the last is the
 * root. Walk these instead of recursing: exp(exp(exp(x))) has few nodes but many paths. */
typedef struct ExprNodes {
    const Expr **items;
    size_t       n, cap;
    uint32_t    *slots; /* hash table of positions + 1 */
    size_t       n_slots;
} ExprNodes;
ExprNodes expr_nodes(Arena *a, const Expr *root);
size_t    expr_position(const ExprNodes *nodes, const Expr *e); /* of a node that is there */

/* ---- rewrite.c -------------------------------------------------------------------------- */

/* How a rewrite sees a tree: any member may be NULL (keep). Children are rewritten first. `index` is
 * applied to every Affine, `expr` once to each distinct node of a statement's value (its type already
 * follows its new children), `stmt` to the copy. A FOR or GUARD whose body is dropped goes with it. */
typedef struct Rewrite {
    Kernel *k;
    void   *ctx;
    Affine (*index)(struct Rewrite *r, const Affine *a);
    const Expr *(*expr)(struct Rewrite *r, const Expr *e);
    Stmt *(*stmt)(struct Rewrite *r, Stmt *s); /* may return NULL to drop it */
} Rewrite;
const Expr *rewrite_expr(Rewrite *r, const Expr *e);
Stmt       *rewrite_stmt(Rewrite *r, const Stmt *s); /* always a fresh copy */
/* rewrite_reductions - `s` with what `outermost` makes of each outermost reduction in it, a FOR. */
Stmt *rewrite_reductions(Kernel *k, Stmt *s, Stmt *(*outermost)(void *ctx, Stmt *reduction), void *ctx);
/* stmt_subst - a copy of `s` with loop `l` replaced by `by` in every index. The FOR of `l` itself, if
 * inside, is the caller's business. */
Stmt *stmt_subst(Kernel *k, const Stmt *s, LoopId l, const Affine *by);
/* stmt_fresh - a copy in which the loops and temporaries defined inside are new ones. A temporary is
 * defined inside when its first mention there is a LET or a plain SET. */
Stmt *stmt_fresh(Kernel *k, const Stmt *s);

/* ---- view.c ----------------------------------------------------------------------------- */

/* view_made - a CONST buffer with the tensor that it reads: where that is transformed filters it is made now. */
Buffer view_made(Arena *a, const Buffer *b);
/* view_source - the tensor that the contents are made from. */
const Tensor *view_source(const View *v);
/* view_read - elements [first, first + n) of a CONST buffer, made, into `out` (elements of its type). Works
 * through them with an odometer; O(n). */
void view_read(const Buffer *b, int64_t first, int64_t n, void *out);

/* view_turns - whether `count` elements are whole chunks that turn, or nothing is to be turned. */
bool view_turns(const View *v, int64_t count);

/* ---- print.c, verify.c, interp.c -------------------------------------------------------- */

void kernel_print(const Kernel *k, Text *out);
/* kernel_verify - ids, types, temps defined before use, every index within its buffer (ranges, with
 * guards taken into account), loops used only inside their FOR. Failures go to `why`. */
bool kernel_verify(const Kernel *k, Text *why);
/* kernel_interp - run it: memory[b] holds buffer b's stored elements (in its own elem type) for IN
 * and OUT; it is not looked at for the others: constants are read through their views, and a LOCAL starts
 * as NaN. Float arithmetic as the emitted C would have it. */
void kernel_interp(const Kernel *k, void *const *memory, Arena *a);

/* ---- passes: each returns true when it changed something ---------------------------------- */

/* kernel_is_streamed - whether buffer `b` is a constant, or a part of one, too large to stay in the second-level cache
 * while the kernel runs. */
bool kernel_is_streamed(const Kernel *k, BufferId b);
/* kernel_columns_apart - whether the weights of each column of the register tile lie in one piece, so that
 * there are as many streams as columns: where a single row leaves nothing to do but to read them. */
bool kernel_columns_apart(const Kernel *k);
/* kernel_is_tile_loop - whether `s` is a loop of a register tile: unrolled, its iterations in any order. */
bool kernel_is_tile_loop(const Kernel *k, const Stmt *s);

/* In the order of kernel_passes[]. */
bool kpass_merge(Kernel *k);
bool kpass_schedule(Kernel *k); /* schedule/choose.c: members of k->schedule that are still 0 */
bool kpass_pair(Kernel *k);
bool kpass_border(Kernel *k);
bool kpass_tile(Kernel *k); /* by k->schedule */
bool kpass_pack(Kernel *k);
bool kpass_vectorize(Kernel *k);
bool kpass_turn(Kernel *k);
bool kpass_matrix(Kernel *k);
bool kpass_promote(Kernel *k);
bool kpass_announce(Kernel *k);
bool kpass_unroll(Kernel *k);
bool kpass_reuse(Kernel *k);

/* Tiles that are to be matrices have at most so many columns, and in a kernel so many different heights: the
 * sums of each height, its rows and one of weights are seven of eight registers. */
enum { MATRIX_COLUMNS = 2, MATRIX_HEIGHTS = 2 };

/* ---- lanes.c ---------------------------------------------------------------------------- */

/* The loops whose iterations are the lanes of a vector. */
typedef struct Lanes {
    LoopId loop;   /* LANE, or GROUP */
    LoopId within; /* GROUP: the LANE loop right inside; else 0 */
} Lanes;

/* How an index moves along them. */
typedef enum {
    LANES_SAME,   /* not at all */
    LANES_APART,  /* by one from lane to lane */
    LANES_PICKED, /* from group to group alone, and the target has an instruction for that */
    LANES_ODD,    /* otherwise */
} LaneStep;

Lanes       lanes_of(const Kernel *k, const Stmt *s);       /* of the FOR s */
const Stmt *lanes_body(const Lanes *l, const Stmt *s);      /* what stands in the loops of the FOR s */
int64_t     lanes_count(const Kernel *k, const Lanes *l);
Affine      lanes_first(const Lanes *l, const Affine *index); /* the index of lane 0 */
/* lanes_step - PICKED: *lane is the lane of each group, the rest of the index one of a whole vector. */
LaneStep lanes_step(const Kernel *k, const Lanes *l, const Affine *index, Affine *lane);

/* vectorize_can - whether the FOR `s` over a LANE loop, or over a GROUP loop with a LANE loop right inside,
 * can become vectors of the target: unit or zero stride everywhere (constants excepted: pack gives them unit
 * stride), or the same for all lanes of a group where the target can pick; no guard that depends on it, f32
 * alone or widened to it, an instruction for every operation. */
bool vectorize_can(const Kernel *k, const Stmt *s);

typedef struct KernelPass {
    const char *name;
    bool (*run)(Kernel *k);
    const char *finished_by[3]; /* without any of these passes it must not run; NULL: none (more) */
    const char *why;            /* what it needs, and why it stands where it stands */
} KernelPass;
extern const KernelPass kernel_passes[];
extern const int        n_kernel_passes;
/* kernel_pass_runs - whether pass number `i` runs when those named in `disabled` do not. */
bool kernel_pass_runs(int i, const char *const *disabled, int n_disabled);

#endif
