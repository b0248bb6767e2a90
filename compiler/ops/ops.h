/* ops.h - the op table: for each row of graph/ops.def its attributes, shape rule, reference
 * evaluator and lowering, all four in one file a family.
 *
 *   ops.c          the table, built from ops.def
 *   attrs.c        attributes: defaults and bounds
 *   shape.c        what shape rules share: windows, broadcasting, complaints
 *   lower.c        what lowerings share: loads through layouts, epilogues, loops over a tensor
 *   element.c      nests over the elements of a tensor of any rank
 *   elementwise.c  the scalar functions of elementwise ops
 *   math.c         exp, log, tanh, erf as expressions of adds and multiplies
 *   conv.c         conv2d, linear: attributes, shapes, evaluators
 *   conv_cut.c     channels of a convolution cut into blocks and groups
 *   conv_lower.c   conv2d, linear: their loops
 *   conv_expand.c  a 1x1 convolution and the depthwise one that reads it, block by block
 *   conv_transpose.c  conv_transpose: its phases, each a convolution
 *   bilinear.c     what the algorithms of Winograd and Strassen share
 *   transform.c    products by their small constant matrices
 *   winograd.c     conv2d by Winograd's minimal filtering
 *   winograd_matrix.c  its matrices, and filters transformed by them
 *   strassen.c     1x1 conv2d by Strassen's product of matrices
 *   inner.c        1x1 conv2d by Winograd's inner product
 *   matmul.c       matmul
 *   norm.c         batch_norm, lrn
 *   activation.c   relu ... prelu
 *   arith.c        add, sub, mul, div, max, min, pow
 *   pool.c         max_pool, avg_pool
 *   pool_global.c  global and adaptive pooling
 *   softmax.c      softmax, log_softmax, arg_max
 *   reduce.c       reduce_mean, reduce_sum, reduce_max, reduce_min
 *   movement.c     concat, transpose, relayout
 *   reshape.c      flatten, reshape
 *   resample.c     upsample, channel_shuffle, depth_to_space, space_to_depth
 *   gather.c       gather
 *   box.c          copies of boxes between layouts, which movement.c and slice_pad.c stand on
 *   slice_pad.c    slice, pad
 *   quant.c        quantize, dequantize */
#ifndef KILN_OPS_H
#define KILN_OPS_H

#include "graph/graph.h"
#include "kernel/kernel.h"
#include "schedule/schedule.h"

/* ---- the table -------------------------------------------------------------------------- */

typedef enum {
    ATTR_INT,     /* int64_t                                             */
    ATTR_INTS,    /* int64_t[count], exactly `count` of them             */
    ATTR_FLOAT,   /* double                                              */
    ATTR_BOOL,    /* bool                                                */
    ATTR_LIST,    /* IntList, 1 to MAX_RANK entries, or none: may_be_empty */
    ATTR_PADDING, /* int64_t[4], or "same" / "valid" into OpAttrs.pad_rule */
    ATTR_ENUM,    /* an int, index into names                            */
} AttrKind;

/* One attribute: how it is written, where it is kept, what it may be. */
typedef struct AttrSpec {
    const char        *name;
    AttrKind           kind;
    size_t             offset; /* in OpAttrs */
    int                count;  /* ATTR_INTS */
    bool               required;
    double             fallback; /* default (of each entry) where it is not required */
    double             min, max; /* inclusive bounds of each entry; ignored when both are 0 */
    const char *const *names;    /* ATTR_ENUM: NULL-terminated; also for ATTR_BOOL stored as enum */
    size_t             flag;     /* offset of a bool set when the attribute is given; 0: none */
    bool               follows_kernel; /* default: the value of kernel (strides of pooling) */
    bool               may_be_empty;   /* ATTR_LIST: also of no entries */
} AttrSpec;

#define MAX_SLOTS 5

/* One input of an op, parsed from ops.def. */
typedef struct Slot {
    char name[16];
    bool is_param; /* !  a constant, given under "params"       */
    bool optional; /* ?                                         */
    bool either;   /* *  under "inputs" or as the param `name`  */
    bool many;     /* +  one or more; the last slot             */
} Slot;

/* Facts passes ask for. */
typedef enum {
    OPF_UNARY = 1,     /* elementwise, one input: may become an epilogue step            */
    OPF_BINARY = 2,    /* elementwise, two inputs: may become an epilogue step           */
    OPF_EPILOGUE = 4,  /* its lowering applies an epilogue                               */
    OPF_BLOCKED = 8,   /* its lowering takes and makes channel-blocked layouts           */
    OPF_VIEW = 16,     /* same elements in the same row-major order: flatten, reshape ... */
    OPF_INTERNAL = 32, /* not in the model format                                        */
    OPF_UNBOUNDED = 64, /* elementwise; of finite numbers it may make infinities or NaN:
                           not for padding channels, which hold any finite number         */
} OpFlags;

typedef struct OpInfo {
    const char     *name;
    const char     *meaning;
    int             n_slots;
    Slot            slots[MAX_SLOTS];
    const AttrSpec *attrs;
    int             n_attrs;
    unsigned        flags;
    /* shape: set the type of n->out from the types of n's inputs; resolve pad_rule and defaults that
     * depend on shapes. Reports what does not fit and returns false (the value stays poisoned).
     * Never called when an input is poisoned. Leaves the layout plain. */
    bool (*shape)(Graph *g, NodeId n);
    /* eval: the reference; obvious loops, double or int64 sums. in[i] belongs to n->in[i] (NULL:
     * absent). out->type is set and out->data allocated. Ignores the epilogue. */
    void (*eval)(const Node *n, const Array *const in[], Array *out);
    /* lower: append the canonical nests to `k`: untiled, scalar, every loop with its role and axis;
     * the epilogue applied to what is stored. Never fails on a verified graph. */
    void (*lower)(Graph *g, NodeId n, Kernel *k);
} OpInfo;

/* How a family's file writes its attrs_<op> tables: a row an attribute, with what differs from zero. */
#define ATTR_NAMED(name_, member, kind_, ...)                                                      \
    {                                                                                              \
        .name = name_, .kind = kind_, .offset = offsetof(OpAttrs, member), __VA_ARGS__             \
    }
#define ATTR(member, kind_, ...) ATTR_NAMED(#member, member, kind_, __VA_ARGS__)
#define ATTRS_END(op)            const int n_attrs_##op = (int)COUNT_OF(attrs_##op)
#define NO_ATTRS(op)                                                                               \
    const AttrSpec attrs_##op[1] = {{0}};                                                          \
    const int      n_attrs_##op = 0
#define ATTR_MAX_INT ((double)((int64_t)1 << 31)) /* of extents, strides and the like */

const OpInfo *op_info(Op op);
bool          op_is_conv(Op op); /* conv2d, conv_transpose */
/* op_from_name - OP_NONE when there is none (internal ops are not found). */
Op op_from_name(const char *name);

/* ---- attrs.c ---------------------------------------------------------------------------- */

/* attr_set_default - lists stay empty: what an absent list means depends on the input's rank. What
 * follows the kernel takes the one that is in `out`. */
void    attr_set_default(const AttrSpec *spec, OpAttrs *out);
OpAttrs attrs_default(Op op);
/* attrs_equal - whether two nodes of one op mean the same. */
bool attrs_equal(Op op, const OpAttrs *a, const OpAttrs *b);
/* attr_is_default - whether leaving the attribute out would mean the same. */
bool attr_is_default(const AttrSpec *spec, const OpAttrs *attrs);
/* attrs_fault - what is outside the bounds of the table, or NULL. Shape rules rely on them. */
const char *attrs_fault(Arena *a, Op op, const OpAttrs *attrs);

/* ---- shape.c ---------------------------------------------------------------------------- */

/* shape_error - "FILE:..: error: /nodes/3: conv2d 'c1': ..." for node `n`; always false. */
bool shape_error(Graph *g, NodeId n, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* shape_window - output extents of a sliding window over H, W (the last two of dims[4]); resolves
 * PAD_SAME and PAD_VALID into n->attrs.padding. ceil_mode as PyTorch and ONNX have it: a window that
 * would start past the input and its left padding does not count. */
bool shape_window(Graph *g, NodeId n, const int64_t in[2], bool ceil_mode, int64_t out[2]);
/* shape_broadcast - NumPy's rule. */
bool shape_broadcast(Graph *g, NodeId n, const Type *a, const Type *b, Type *out);
/* shape_set - give n->out this plain type; checks the element count. */
bool shape_set(Graph *g, NodeId n, Elem e, int rank, const int64_t *dims);
/* shape_in - type of input `i`; NULL where it is absent. */
const Type *shape_in(const Graph *g, NodeId n, int i);
/* shape_floats - whether all inputs have an element type arithmetic takes: f32 and, for constants, any
 * stored float type. Reports the first that has not. */
bool shape_floats(Graph *g, NodeId n);
bool shape_rank(Graph *g, NodeId n, int rank); /* whether input 0 has it; reported */
/* shape_vector - whether input `i` is absent or a vector of `count` entries, one per `what`; reported. */
bool shape_vector(Graph *g, NodeId n, int i, int64_t count, const char *what);
/* shape_axis - attribute `axis` within [0, limit), negative ones counted from `rank`; reported. */
bool shape_axis(Graph *g, NodeId n, int64_t axis, int rank, int limit, int *out);
/* shape_copy - n->out has the type of input 0, plain. */
bool shape_copy(Graph *g, NodeId n);
/* axis_from_end - `axis` with negative ones counted from `rank`; in range, as shape rules checked. */
int axis_from_end(int64_t axis, int rank);
/* axis_spans - the product of the dims before, at and after `axis`: element [o, i, j] of the three is
 * at (o * axis + i) * inner + j. */
void axis_spans(const Type *t, int axis, int64_t *outer, int64_t *extent, int64_t *inner);
/* greatest_divisor - the greatest common divisor of two positive numbers. */
int64_t greatest_divisor(int64_t a, int64_t b);
/* broadcast_index - where element `i` (row-major) of a tensor of type `out` finds its operand in one of
 * type `in` that broadcasts to it. */
int64_t broadcast_index(const Type *out, const Type *in, int64_t i);

/* ---- lower.c ---------------------------------------------------------------------------- */

/* A position in a tensor seen as N, C, H, W. With block b > 1 the channel is cb * b + cl, with cl in
 * [0, b); with b = 1, cl is the constant 0 and cb the channel. */
typedef struct At {
    int64_t block;
    Affine  n, cb, cl, h, w;
} At;

/* Dims of a value as N, C, H, W: rank 4 as is, rank 2 with H = W = 1; rank 1 as C. False: other rank. */
bool dims_nchw(const Type *t, int64_t nchw[4]);

/* lower_buffer - the kernel's buffer for graph value `v`, added on first use: a constant's contents,
 * or a parameter of the kernel. */
BufferId lower_buffer(Graph *g, Kernel *k, ValueId v);
/* lower_load - x[at] through the layout of value `v`; dims of extent 1 broadcast. `shape` is the type
 * positions refer to: `v` is aligned to it as NumPy aligns (trailing dims), then read as N, C, H, W.
 * BF16 is widened. */
const Expr *lower_load(Graph *g, Kernel *k, ValueId v, const Type *shape, const At *at);
/* lower_store - y[at] = e through the layout of value `v`, rounded where that is BF16. */
Stmt *lower_store(Graph *g, Kernel *k, ValueId v, const At *at, const Expr *e);
/* lower_epilogue - the node's fused steps applied to `acc`, the element of n->out at `at`. */
const Expr *lower_epilogue(Graph *g, Kernel *k, const Node *n, const Expr *acc, const At *at);

/* Parallel loops n, cb, h, w, cl over value `v` in the order of its memory; at->block is its block
 * (cl: AXIS_LANE where it is > 1). loops[5] receives them; extent-1 loops are not made (id 0). */
void lower_loops(Graph *g, Kernel *k, ValueId v, At *at, LoopId loops[5]);
/* lower_nest - wrap `body` in the loops (outermost first), skipping 0. */
Stmt *lower_nest(Kernel *k, const LoopId *loops, int n, Stmt *body);

/* Loads and stores of plain values of any rank by their own indices. */
const Expr *lower_load_plain(Graph *g, Kernel *k, ValueId v, const Affine *index);
Stmt       *lower_store_plain(Graph *g, Kernel *k, ValueId v, const Affine *index, const Expr *e);
/* lower_bias - the element of conv2d's or linear's bias at `at`; NULL where it has none. */
const Expr *lower_bias(Graph *g, Kernel *k, const Node *n, const At *at);
/* lower_zeros - nests that zero the halo of the first `planes` planes of a buffer laid out as `t`, as a block. */
Stmt *lower_zeros(Kernel *k, BufferId y, const Type *t, int64_t planes);
/* lower_zero_halo - nests that zero the halo of value `v`, when it has one. Appends to `k`. */
void lower_zero_halo(Graph *g, Kernel *k, ValueId v);

/* ---- element.c, elementwise.c ----------------------------------------------------------- */

/* One element of a value of any rank, inside parallel loops over all of them in the order of memory:
 * ranks 0, 1, 2 and 4 through `at`, others (always plain) through `index`. */
typedef struct Element {
    bool   is_nchw;
    At     at;
    Affine index[MAX_RANK];
    LoopId loops[MAX_RANK]; /* outermost first; 0: none */
    int    n_loops;
} Element;

Element element_loops(Graph *g, Kernel *k, ValueId v);
/* element_load - input `v` at the element of a value of type `shape`, broadcast as NumPy does. */
const Expr *element_load(Graph *g, Kernel *k, ValueId v, const Type *shape, const Element *e);
/* element_load_along - entry of the vector `v` that belongs to the element's index along dimension `axis`
 * of `shape`; of a vector of one entry, that one. */
const Expr *element_load_along(Graph *g, Kernel *k, ValueId v, const Type *shape, int axis,
                               const Element *e);
/* element_vector - the same of numbers made by the lowering: one per index along `axis`. */
const Expr *element_vector(Kernel *k, const char *name, const Tensor *t, const Type *shape,
                           int axis, const Element *e);
/* element_write - the store of `value`, with the epilogue of `n` applied, as the element of n->out. */
Stmt *element_write(Graph *g, Kernel *k, const Node *n, const Element *e, const Expr *value);
/* element_store - append the nest that stores `value`, with the epilogue of `n` applied, as the element of
 * n->out; its halo is zeroed first. */
void element_store(Graph *g, Kernel *k, const Node *n, const Element *e, const Expr *value);

/* lower_elementwise - the scalar function of an elementwise op (OPF_UNARY, OPF_BINARY; b NULL for
 * unary). Written once, used by the op's own lowering and by epilogues. */
const Expr *lower_elementwise(Kernel *k, Op op, const OpAttrs *attrs, const Expr *a, const Expr *b);
/* eval_elementwise - the same in double, for eval and constant folding. */
double eval_elementwise(Op op, const OpAttrs *attrs, double a, double b);

/* ---- box.c ------------------------------------------------------------------------------ */

/* A box of a value, its extents in N, C, H, W: y[to + i] = x[from + step * i]. The step of C is 1. */
typedef struct Box {
    int64_t extent[4], to[4], from[4], step[4];
} Box;

/* slice_place - elements of the input ahead of a slice that is one run of it, stored alike: whole blocks
 * of channels. -1: it is no slice, or no such run. */
int64_t slice_place(const Graph *g, const Node *n);

/* box_copy - nests that copy a box of `x` into `y`; both of rank 1, 2 or 4, in any layouts. Channels are
 * cut where a block of either ends. An empty box is no nest. */
void box_copy(Graph *g, Kernel *k, ValueId x, ValueId y, const Box *box);
/* box_fill - y[to + i] = value, in whole blocks of channels: box->to[1] is the start of one. */
void box_fill(Graph *g, Kernel *k, ValueId y, const Box *box, double value);
/* box_zero_channels - zero the channels past C in the last block of `y`, if there are any. */
void box_zero_channels(Graph *g, Kernel *k, ValueId y);

/* ---- conv_cut.c ------------------------------------------------------------------------- */

/* How the channels of a convolution are cut into loops. */
typedef struct ConvCut {
    int64_t       groups;    /* extent of loop g, whole blocks each; 1: no loop */
    int64_t       oc, ic;    /* channels of a group, padded to blocks           */
    int64_t       by, bx;    /* lanes of y and x                                */
    int64_t       icb;       /* blocks of x that a group reads                  */
    int64_t       il;        /* of the lanes of x, those that are summed        */
    int64_t       picked;    /* groups of so many, `ic`, share a block; or 0    */
    bool          depthwise; /* g is the channel block; lane by lane            */
    const Tensor *weight;    /* possibly made dense                             */
} ConvCut;

/* whole_blocks - channels, rounded up to blocks of so many. */
int64_t whole_blocks(int64_t channels, int64_t lanes);
/* conv_cut - of conv2d-like `n` with weights `w` [O, I/groups, KH, KW], NULL for none. */
ConvCut conv_cut(const Graph *g, const Kernel *k, const Node *n, const Tensor *w);

/* ---- conv_lower.c ----------------------------------------------------------------------- */

/* Rows (or columns) of a convolution, or of a part of a transposed one. Output `o` of `count`, phase `r`
 * of `phases` is row  o * out_stride + r + out_offset  of y. Its tap `t` of `taps` (0: the bias alone)
 * reads row  o * stride + t * dilation + offset  of x, where there is one, and entry  t * phases + r  of
 * the weight. */
typedef struct ConvAxis {
    int64_t count, phases, taps;
    int64_t stride, dilation, offset;
    int64_t out_stride, out_offset;
} ConvAxis;

/* lower_conv_part - a nest for conv2d-like `n` with weights [O, I/groups, entries, entries]; NULL where
 * there are no taps. */
void lower_conv_part(Graph *g, Kernel *k, const Node *n, const ConvAxis axis[2],
                     const Tensor *weight);

/* ---- conv_expand.c ---------------------------------------------------------------------- */

/* expansion_node - the expansion of `n` as a convolution that reads in[0] and the inputs of `n`; `out` stays
 * that of `n`. Its list of inputs is in `a`. */
Node expansion_node(const Node *n, Arena *a);
/* lower_expanded - conv2d with an expansion; n->scratch has room for n->expansion->copies times
 * expansion_scratch elements. */
void lower_expanded(Graph *g, NodeId id, Kernel *k);
/* expansion_scratch - elements of the planes that are there at a time. */
int64_t expansion_scratch(const Expansion *e);
/* expansion_parts - what threads can share: iterations of the outermost loop, for a result of type `t` of which
 * `blocks` blocks of channels are made at a time. */
int64_t expansion_parts(const Type *t, int64_t blocks);

/* ---- transform.c -------------------------------------------------------------------------- */

enum { TRANSFORM_SIDE = 9 };

typedef struct TransformMatrix {
    int    rows, columns;
    double at[TRANSFORM_SIDE][TRANSFORM_SIDE];
} TransformMatrix;

/* transform_apply - out = m in: statements at the end of `block`. in[] is overwritten. */
void transform_apply(Kernel *k, Stmt *block, const TransformMatrix *m, const Expr **in,
                     const Expr **out);
/* lower_let - a temporary called `name` that is `e`, defined at the end of `block`. */
const Expr *lower_let(Kernel *k, Stmt *block, const char *name, const Expr *e);

/* ---- bilinear.c --------------------------------------------------------------------------- */

/* A convolution in the making. */
typedef struct Bilinear {
    Graph      *g;
    Kernel     *k;
    const Node *n;
    int64_t     positions; /* of a tile: products for each pair of channels */
    int64_t     lanes, ic; /* ic: input channels that are summed                                   */
    int64_t     icb, ocb;  /* blocks of channels that are summed; of those that are made at a time */
    BufferId    u, scratch;
    bool        together;  /* V has the positions of a block of channels side by side: [ic][f][tile] */
    BufferId    products;  /* where M is: in scratch memory too, behind V, or an array of the kernel's own */
} Bilinear;

/* A block of images * rows * columns tiles; the first of them is at image `image`, tile row `row`, tile
 * column `column`. */
typedef struct TileBlock {
    Affine  image, row, column;
    int64_t images, rows, columns, tiles;
} TileBlock;

/* Loops over some channel blocks, and over the images, tile rows, tile columns and lanes of a block. */
typedef struct TileLoops {
    LoopId cb, image, row, column, lane;
    Affine tile, n, h, w; /* number within the block; its image, first row and column */
} TileLoops;

/* bilinear_new - with the node's scratch memory; the rest of it is the caller's to fill. */
Bilinear bilinear_new(Graph *g, Kernel *k, const Node *n);
/* bilinear_weights - u: of `type`, made of the node's weights by `make`, its dims [position, output channel,
 * input channel] grown to `padded`. Its view, to which the caller adds what `make` takes. */
View *bilinear_weights(Bilinear *s, Type type, const Tensor *(*make)(Arena *a, const View *v),
                       const int64_t padded[3]);
/* bilinear_v, bilinear_m - where position f of channel block cb and tile t of a block, lane l, is kept: of the
 * transformed input, and of the products. */
Affine bilinear_v(const Bilinear *s, const TileBlock *b, Affine f, Affine cb, Affine t, Affine l);
Affine bilinear_m(const Bilinear *s, const TileBlock *b, Affine f, Affine cb, Affine t, Affine l);
/* tile_loops - a tile has `pixels` a side of what is read or stored. tile_nest: `body` inside them. */
TileLoops tile_loops(const Bilinear *s, const TileBlock *b, const char *channel, int64_t blocks,
                     int pixels);
Stmt     *tile_nest(const Bilinear *s, const TileLoops *l, Stmt *body);
/* lower_tile_blocks - `body` for all blocks of so many rows and columns of tiles, in loops. */
void lower_tile_blocks(const Bilinear *s, int64_t rows, int64_t columns, const void *context,
                       Stmt *(*body)(const void *context, const TileBlock *b));
/* bilinear_products - the sums over all input channels at every position, for s->ocb channel blocks from `first`
 * on and a part of block `b`: its tiles from `from` on. */
Stmt *bilinear_products(const Bilinear *s, const TileBlock *b, const TileBlock *part, Affine from,
                        Affine first);
/* bilinear_finish - `e` and the bias, through the epilogue. */
const Expr *bilinear_finish(const Bilinear *s, const Expr *e, const At *at);

/* ---- winograd.c, winograd_matrix.c -------------------------------------------------------- */

enum {
    WINOGRAD_EDGE = TRANSFORM_SIDE, /* of an input tile, at most */
    WINOGRAD_TAPS = 7               /* of a filter, along a side */
};

/* How a filter g is transformed, U = G g G^T: `edge` rows of G, each the numbers of `power`, times a factor.
 * The numbers are 0 or plus or minus a power of two, so that no product by one is rounded: with sums in
 * double from the first tap to the last and the factors at the end, U has the same bits whether or not a
 * compiler contracts. */
typedef struct FilterTransform {
    int    edge, k;
    double power[WINOGRAD_EDGE][WINOGRAD_TAPS], factor[WINOGRAD_EDGE];
} FilterTransform;
FilterTransform winograd_filter(Winograd w);
/* winograd_weights - U[f][o][i] = (G g G^T)[f] for every filter g[o][i] of v->plain, f = row * edge + column;
 * F32. winograd_type: its type. */
const Tensor *winograd_weights(Arena *a, const View *v);
Type          winograd_type(const Tensor *plain, Winograd w);

typedef struct WinogradTransform {
    TransformMatrix b, a; /* B^T, A^T */
} WinogradTransform;
WinogradTransform winograd_transform(Winograd w);

/* lower_winograd - conv2d with algorithm WINOGRAD, equal strides, no dilation, one group, square kernel; x and y
 * in blocks of the target's lanes, x with a halo for whole tiles (winograd_halo), n->scratch large enough
 * for n->block.copies times winograd_scratch(g, n, n->block) elements. */
void lower_winograd(Graph *g, NodeId id, Kernel *k);
/* winograd_halo - rows and columns around x that whole tiles read: top, left, bottom, right. */
void winograd_halo(const Graph *g, const Node *n, int64_t side[4]);

/* ---- strassen.c --------------------------------------------------------------------------- */

/* lower_strassen - conv2d with algorithm STRASSEN: 1x1, no padding, one group, whole halves of vectors of channels on both
 * sides (strassen_cost.c); x and y in blocks of the target's lanes, pairs of pixels to be had, n->scratch large
 * enough for n->block.copies times strassen_scratch(g, n, n->block) elements. */
void lower_strassen(Graph *g, NodeId id, Kernel *k);

/* ---- inner.c ------------------------------------------------------------------------------ */

/* lower_inner - conv2d with algorithm INNER: 1x1, no padding, one group, x of whole vectors of channels; x and y in
 * blocks of the target's lanes, n->scratch large enough for n->block.copies times inner_scratch(g, n, n->block)
 * elements. */
void    lower_inner(Graph *g, NodeId id, Kernel *k);
int64_t inner_scratch(const Graph *g, const Node *n, BlockShape block);

/* ---- math.c: expressions within a few ulp, no libm, the same bits on every target ---------- */

const Expr *math_exp(Kernel *k, const Expr *x);   /* clamped: no overflow, 0 below about -87.3 */
const Expr *math_exp_all(Kernel *k, const Expr *x); /* any x: denormal results, infinity */
const Expr *math_expm1(Kernel *k, const Expr *x); /* exp(x) - 1, also near 0; x <= 88 */
const Expr *math_log(Kernel *k, const Expr *x);   /* x normal, from 0 to 2^126 */
const Expr *math_log_all(Kernel *k, const Expr *x); /* any x: -infinity at 0, NaN below */
const Expr *math_power(Kernel *k, const Expr *x, const Expr *y); /* as C's pow but for NaN ^ 0 */
const Expr *math_softplus(Kernel *k, const Expr *x);
const Expr *math_tanh(Kernel *k, const Expr *x);
const Expr *math_sigmoid(Kernel *k, const Expr *x);
const Expr *math_erf(Kernel *k, const Expr *x);
const Expr *math_pow(Kernel *k, const Expr *x, double exponent); /* x > 0 */

/* ---- one row an op ---------------------------------------------------------------------- */

#define OP(name, inputs, meaning)                                                                  \
    extern const AttrSpec attrs_##name[];                                                          \
    extern const int      n_attrs_##name;                                                          \
    bool                  shape_##name(Graph *g, NodeId n);                                        \
    void                  eval_##name(const Node *n, const Array *const in[], Array *out);         \
    void                  lower_##name(Graph *g, NodeId n, Kernel *k);
#include "graph/ops.def"
#undef OP

#endif
