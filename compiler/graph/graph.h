/* graph.h - the upper level: a graph of operators on tensors.
 *
 *   graph.c        nodes, values, users: building and editing
 *   tensor.c       element types, layouts, contents of constants
 *   home.c         which values live inside others
 *   read.c         the JSON model format -> Graph         (docs/format.md)
 *   input_shape.c  shapes of inputs from the command line
 *   read_node.c    one node, driven by the op table
 *   read_names.c   which name means which value; the order of execution
 *   read_value.c   shapes and attributes
 *   read_param.c   constants: from the weights file, random, by formula
 *   safetensors.c  the weights file
 *   random.c       the seeded generator of "weights": {"random": N}
 *   tidy.c         ids in the order of execution, constants all named: what readers return
 *   write.c        Graph -> the JSON model format
 *   safetensors_write.c   its weights file
 *   print.c        a graph as text (--emit graph) and as a drawing (--emit dot)
 *   verify.c       what must hold after every pass
 *   eval.c         the reference evaluator: every node in double precision
 *   fold.c         the value of a node whose inputs are all constant
 *
 * Nodes and values live in dense arrays and are named by 32-bit ids; 0 is none. Ids survive growth.
 * Take a pointer for the length of a block, never across a call that may add nodes or values. */
#ifndef KILN_GRAPH_H
#define KILN_GRAPH_H

#include "base/base.h"

#define MAX_RANK 8

typedef uint32_t NodeId;
typedef uint32_t ValueId;

/* ---- tensor.c --------------------------------------------------------------------------- */

/* F64 is the reference evaluator's alone. POISON is the type of what an error was reported for. */
typedef enum { ELEM_POISON, F32, F16, BF16, I8, U8, I32, F64 } Elem;

/* How a value of logical shape N, C, H, W is stored. block 1 is row-major. block b > 1 splits C:
 *
 *     [ceil(C / b)][N][top + H + bottom][left + W + right][b]
 *
 * Images are inside blocks of channels, so that some of the blocks are one run of memory in a batch too.
 * The halo is rows and columns of zeros around each plane, kept by whoever writes the value, so
 * that a padded convolution reads them without a test. Rank 2 is N, C with H = W = 1; other ranks
 * are row-major without halo. Channels past C in the last block hold unspecified finite numbers;
 * a constant that meets them is zero there. */
typedef struct Layout {
    int32_t block; /* >= 1 */
    int32_t top, left, bottom, right;
} Layout;

typedef struct Type {
    Elem    elem;
    int     rank;
    int64_t dims[MAX_RANK]; /* logical; all >= 1 */
    Layout  layout;
} Type;

/* Contents of a constant: row-major in the order of type.dims, no layout. */
typedef struct Tensor {
    Type        type;
    const void *data;
} Tensor;

size_t      elem_bytes(Elem e);
const char *elem_name(Elem e);                        /* "f32" ... */
bool        elem_from_name(const char *s, Elem *out); /* accepts "f32" and "F32" */
bool        elem_is_float(Elem e);
bool        elem_is_half(Elem e); /* F16 or BF16 */

Type    type_plain(Elem e, int rank, const int64_t *dims); /* row-major, no halo */
int64_t type_count(const Type *t); /* logical elements; dims were checked to fit */
/* type_stored_count - elements in memory with the layout's blocks and halo. */
int64_t type_stored_count(const Type *t);
bool    type_same_shape(const Type *a, const Type *b);
bool    type_is_plain(const Type *t); /* block 1 and no halo */
bool    layout_same(Layout a, Layout b);
bool    layout_has_halo(Layout l);
char   *type_text(Arena *a, const Type *t); /* f32[1, 64, 56, 56]:c16+1  */

/* Tensors in the making: contents owned by `a`, zeroed. */
Tensor *tensor_new(Arena *a, Elem e, int rank, const int64_t *dims);
double  tensor_get(const Tensor *t, int64_t i);     /* element i as a number, any elem type */
void    tensor_set(Tensor *t, int64_t i, double v); /* rounds to nearest even, saturates integers */
/* tensor_as_f32 - the same contents as F32; returns `t` itself where it is F32 already. */
const Tensor *tensor_as_f32(Arena *a, const Tensor *t);
float         f16_to_f32(uint16_t h);
uint16_t      f32_to_f16(float f); /* round to nearest even; overflow to infinity */
float         bf16_to_f32(uint16_t h);
uint16_t      f32_to_bf16(float f);

/* ---- ops.def as an enum ----------------------------------------------------------------- */

typedef enum Op {
    OP_NONE,
#define OP(name, inputs, meaning) OP_##name,
#include "graph/ops.def"
#undef OP
    N_OPS
} Op;

/* A short list of integers: axes, a shape, a permutation. */
typedef struct IntList {
    int     n;
    int64_t v[MAX_RANK];
} IntList;

typedef enum { PAD_EXPLICIT, PAD_SAME, PAD_VALID } PadRule;
typedef enum { PAD_MODE_CONSTANT, PAD_MODE_REFLECT, PAD_MODE_EDGE } PadMode;

/* The attributes of all ops side by side; attrs_<op>[] says which of them an op has. Those it does
 * not have are zero. */
typedef struct OpAttrs {
    int64_t kernel[2], strides[2], padding[4], dilations[2]; /* padding: top, left, bottom, right */
    PadRule pad_rule; /* PAD_EXPLICIT once shapes are inferred */
    int64_t output_padding[2]; /* conv_transpose */
    int64_t groups, axis, size;
    bool    ceil_mode, count_include_pad, keepdims, has_axis, tanh_form, select_last_index;
    double  epsilon, alpha, beta, bias, min, max, value;
    PadMode mode;
    IntList list; /* reshape shape, transpose perm, reduce axes, adaptive output */
    IntList axes, starts, ends, steps; /* slice */
    int64_t scales[2];                 /* upsample: rows, columns */
    int64_t block;                     /* depth_to_space */
    bool    channels_first;            /* ... "crd": c stands before the block's rows, columns */
} OpAttrs;

/* ---- nodes and values ------------------------------------------------------------------- */

/* One elementwise step fused behind a node: acc = op(acc), op(acc, operand) or op(operand, acc). */
typedef struct EpilogueStep {
    Op      op; /* an elementwise op of ops.def */
    OpAttrs attrs;
    int     operand; /* index into Node.in; -1: the step has one input */
    bool    swapped; /* operand is the op's first input */
} EpilogueStep;

typedef struct Epilogue {
    int           n_steps;
    EpilogueStep *steps;
} Epilogue;

/* How the sums of a convolution are made: one product after the other; by Winograd's method for filters; by Strassen's
 * or by Winograd's algorithm for products of matrices. */
typedef enum { DIRECT, WINOGRAD, STRASSEN, INNER } Algorithm;

/* Winograd's F(m x m, k x k): tiles of m x m outputs of a k x k filter that moves by `stride`. */
typedef struct Winograd {
    int m, k, stride;
} Winograd;

/* Winograd's tiles, or Strassen's pairs of pixels, done at a time: those of whole images, whole rows of tiles, or a
 * part of one row. */
typedef struct BlockShape {
    int64_t images, rows, columns; /* images: a divisor of the batch */
    int64_t copies; /* of the memory for it: one a thread, each doing blocks of its own; 1: threads share
                       the work of each block */
} BlockShape;

/* A 1x1 convolution, of stride 1 and in one group, whose result a depthwise convolution reads in place of its
 * in[0]. A few blocks of its channels at a time lie in Node.scratch; all of them never exist. */
typedef struct Expansion {
    const char *name;     /* of the node that it was */
    Type        type;     /* of its result, with the zeros around each plane that the node reads */
    int         weight;   /* which input of the node; the next one is its bias, or absent */
    Epilogue    epilogue; /* operands are inputs of the node, and constant */
    int64_t     blocks;   /* of channels at a time: a divisor of all of them */
    int64_t     copies;   /* of the memory for those: one a thread */
} Expansion;

typedef struct Node {
    Op          op;
    const char *name; /* as in the model file */
    Span        where;
    int         n_in;  /* the op's own inputs first, then the epilogue's operands */
    int         n_own; /* how many of them are the op's own */
    ValueId    *in;    /* 0 marks an absent optional input */
    uint32_t   *place; /* this node is users[place[i]] of value in[i] */
    ValueId     out;
    OpAttrs     attrs;
    Epilogue    epilogue;
    Algorithm   algorithm;  /* conv2d: how its sums are made */
    int         winograd;   /* WINOGRAD: outputs of a tile edge; else 0 */
    int64_t     pooled[2];  /* ... of which `out` has the maximum of each 2x2, behind the epilogue: its rows
                               and columns before; 0: no pooling */
    ValueId     scratch;    /* memory for the duration of the node; 0: none */
    BlockShape block;    /* what it holds */
    const Expansion *expansion; /* conv2d: what it makes of in[0] first; NULL: nothing */
    NodeId      prev, next; /* the order of execution */
} Node;

typedef struct Value {
    const char   *name; /* as in the model file; unique; made-up ones contain a '#' */
    Type          type;
    NodeId        producer; /* 0 for model inputs and constants */
    const Tensor *constant; /* contents, when known at compile time; else NULL */
    NodeId       *users;    /* one entry a use: a node that reads it twice is there twice */
    uint32_t     *slots;    /* users[k] reads it as its in[slots[k]] */
    size_t        n_users, cap_users;
    bool          is_output, is_input;
    /* Set by alias_concat and plan_memory. A value lives inside `base` (a concat it is written into,
     * the input it is a view of or overwrites), `base_offset` elements from its start; without a base
     * it is a home of its own. `offset` is its place in the arena, in bytes; see value_in_arena. */
    ValueId base;
    int64_t base_offset;
    int64_t offset;
} Value;

/* A model input or output as the caller sees it. */
typedef struct Port {
    ValueId     value;
    const char *name;
    bool        nhwc; /* shape and data are NHWC outside; the value itself is NCHW */
    Span        where;
} Port;

typedef struct Graph {
    Arena      *arena;
    Diag       *diag;
    const char *name;   /* of the model */
    Node       *nodes;  /* [1, n_nodes) */
    Value      *values; /* [1, n_values) */
    uint32_t    n_nodes, n_values;
    size_t      cap_nodes, cap_values;
    NodeId      first, last;
    uint64_t    n_fresh; /* the next number for graph_fresh_name */
    Port       *inputs, *outputs;
    int         n_inputs, n_outputs;
    bool        order_optimal; /* no order of the nodes has a lower peak; set by order_nodes */
    struct MemoryPlan *plan;   /* NULL before plan_memory; passes.h */
} Graph;

Graph *graph_new(Arena *a, Diag *d);

Node        *node_at(Graph *g, NodeId n);
Value       *value_at(Graph *g, ValueId v);
const Node  *node_get(const Graph *g, NodeId n);
const Value *value_get(const Graph *g, ValueId v);
NodeId       graph_first(const Graph *g); /* execution order; 0 at the end */
NodeId       graph_next(const Graph *g, NodeId n);
/* node_computed - the type of what `n` computes before it pools: of its output, where it does not. */
Type node_computed(const Graph *g, const Node *n);
/* algorithm_name - "winograd", as in a schedule file. */
const char *algorithm_name(Algorithm a);
/* node_winograd - what a convolution with square filters would be in tiles of `m` outputs a side. */
Winograd node_winograd(const Graph *g, const Node *n, int m);
/* winograd_edge - inputs a side of a tile; it takes as many products a side. */
int winograd_edge(Winograd w);
/* node_reads - the type of what a convolution `n` sums: of in[0], where there is no expansion. */
Type node_reads(const Graph *g, const Node *n);
/* graph_input - the value behind own or epilogue input `i` of `n`, or NULL where it is absent. */
const Value *graph_input(const Graph *g, const Node *n, int i);

/* graph_add_value - a new value; the name is copied; uniqueness is the caller's (see
 * graph_fresh_name). */
ValueId graph_add_value(Graph *g, const char *name, Type type);
ValueId graph_add_constant(Graph *g, const char *name, const Tensor *t);
/* graph_constant_bytes - of all constants that are used, as kept. O(values). */
int64_t graph_constant_bytes(const Graph *g);
/* graph_fresh_name - "stem#7", unique among the values there are and will be made: its number is
 * larger than any that ends a name behind a '#'. */
char *graph_fresh_name(Graph *g, const char *stem);
void  graph_rename_value(Graph *g, ValueId v, const char *name);
void  graph_reserve_name(Graph *g, const char *name); /* fresh names stay apart from it */
/* graph_add - a node producing a new value called `name` (of poisoned type until infer_shapes), put
 * before `before` in the order (0: at the end). Copies in[0..n_in). */
NodeId graph_add(Graph *g, Op op, const char *name, Span where, int n_in, const ValueId *in,
                 const OpAttrs *attrs, NodeId before);
void   graph_set_input(Graph *g, NodeId n, int i, ValueId v);
int    graph_append_input(Graph *g, NodeId n, ValueId v); /* its index; for epilogue operands */
/* graph_replace_uses - every reader of `old`, and the model's outputs, take `with` instead. */
void graph_replace_uses(Graph *g, ValueId old, ValueId with);
void graph_remove(Graph *g, NodeId n);                     /* its value must have no user left */
void graph_move_before(Graph *g, NodeId n, NodeId before); /* 0: to the end */
/* graph_only_user - the one node that uses `v`, once, where it is not a model output; else 0. */
NodeId graph_only_user(const Graph *g, ValueId v);

/* ---- home.c ----------------------------------------------------------------------------- */

/* value_home - the value whose memory holds `v`, after following base, and where in it `v` begins, in
 * elements (NULL: not asked). Model inputs, outputs and constants are homes of their own. */
ValueId value_home(const Graph *g, ValueId v, int64_t *element_offset);
/* value_is_placed - whether `in` lies inside `out` already, `element_offset` elements from its start:
 * then concat, flatten, reshape and relayout have nothing to copy. */
bool value_is_placed(const Graph *g, ValueId in, ValueId out, int64_t element_offset);
/* value_in_arena - whether `v` lives in the arena: not in a constant, nor in memory of the caller. */
bool value_in_arena(const Graph *g, ValueId v);

/* ---- read.c ----------------------------------------------------------------------------- */

/* A shape given on the command line: --shape NAME=1x3x224x224. */
typedef struct InputShape {
    const char *name;
    int         rank;
    int64_t     dims[MAX_RANK]; /* all >= 1 */
} InputShape;

typedef struct ReadOptions {
    int64_t           batch; /* > 0 replaces the first dimension of every input */
    const InputShape *shapes; /* each replaces the shape of the input of that name */
    int               n_shapes;
} ReadOptions;

/* input_shape_fix - the shape of input `name` as the options have it. *rank is that of the model, -1 where
 * it has none; dims < 0 are open and may stay so. False: reported. */
bool input_shape_fix(Diag *d, Span where, const ReadOptions *o, const char *name, int *rank,
                     int64_t *dims);
/* input_shapes_check - an error for each shape given for an input that the graph does not have. */
void input_shapes_check(const Graph *g, Span where, const ReadOptions *o);

/* graph_read - the JSON model at `path`. NULL when there were errors, all reported; a shape for an input
 * that the model does not have is one. */
Graph *graph_read(Arena *a, Diag *d, const char *path, const ReadOptions *options);

/* graph_tidy - a copy with ids in the order of execution and without what is not used any more: readers
 * end with it. Nodes that read one tensor share a value. A constant without a name is called NODE.SLOT
 * after the first node that reads it, with a number behind it in lists and where the name is taken. */
Graph *graph_tidy(const Graph *g);

/* graph_write - the graph as kiln JSON at `path` and its constants beside it, as a safetensors file
 * called after it; reading them gives the same graph, ids and all. For graphs as readers return them.
 * False: reported, and no file is left. */
bool graph_write(const Graph *g, const char *path);

typedef struct NamedTensor {
    const char   *name;
    const Tensor *tensor;
} NamedTensor;
/* safetensors_write - tensors of distinct names as a whole weights file. */
void safetensors_write(OutFile *f, const NamedTensor *tensors, size_t n);

/* A parsed weights file. */
typedef struct WeightsFile WeightsFile;
WeightsFile               *safetensors_open(Arena *a, Diag *d, const char *path);
/* safetensors_find - a tensor that points into the mapped file, or into a copy where that is not
 * what the compiler works with: F16 and BF16 become F32, I64 becomes I32, unaligned data moves.
 * NULL: no such name; or its contents cannot be used, which is reported once. */
const Tensor *safetensors_find(WeightsFile *f, const char *name);
bool          safetensors_has(const WeightsFile *f, const char *name);
void          safetensors_guess(const WeightsFile *f, Guess *g); /* tries every name */

/* random_fill - He-normal weights and batch-norm statistics for the constant `index` (position among
 * the model's params in file order) in role `role` ("weight", "bias", "scale", "mean", "var", ...).
 * Depends on the arguments alone; same bits on every platform (integer hash, sums of uniforms; no
 * libm). docs/format.md gives the formula. */
void random_fill(Tensor *t, uint64_t seed, uint64_t index, const char *role);

/* ---- print.c, verify.c, eval.c ---------------------------------------------------------- */

/* graph_print - a line for each input, node, output and constant:
 *
 *     graph @lenet5
 *         input  %image : f32[1, 1, 28, 28]
 *         %relu1 = conv2d(%image, @w) {padding = [2, 2, 2, 2]} then relu : f32[1, 6, 28, 28]
 *         output %relu1
 *         const  @w : f32[6, 1, 5, 5]
 *
 * Distinct names print as distinct text. */
void graph_print(const Graph *g, Text *out);
/* attrs_print - " {strides = [2, 2]}" for those not at their defaults, or nothing. Equal text means
 * equal attributes. */
void attrs_print(Op op, const OpAttrs *attrs, Text *out);
void graph_print_dot(const Graph *g, Text *out);

/* graph_verify - true when the graph is sound: ids, users, order (producers before users), arity,
 * types present where `typed`. Otherwise adds the first few failures to `why`. */
bool graph_verify(const Graph *g, bool typed, Text *why);

/* A value in the evaluator: logical, row-major, every element type as double. */
typedef struct Array {
    Type    type;
    double *data;
} Array;

/* graph_eval - run the graph in double precision. inputs[i] belongs to g->inputs[i] and outputs[i]
 * to g->outputs[i], NCHW also where the port is NHWC. Intermediate results are released when dead.
 * `progress` may be NULL; called with nodes done and total. */
void graph_eval(const Graph *g, const Array *inputs, Array *outputs, Arena *a,
                void (*progress)(int done, int total));
/* node_eval - one node with its epilogue; in[i] belongs to node->in[i]. */
void node_eval(const Node *n, const Array *const in[], Array *out);
/* array_round - what is left when the array is stored: that of BF16 is rounded. */
void array_round(Array *a);

/* ---- fold.c ----------------------------------------------------------------------------- */

/* A small model may ask for hours of computing and for any amount of memory. What goes past these bounds
 * stays for the emitted code. */
typedef struct FoldBudget {
    int64_t elements; /* that may be made: a few times those the model came with */
    int64_t work;     /* products and the like */
} FoldBudget;

FoldBudget fold_budget(const Graph *g);
/* node_fold - the output of a node with shapes whose inputs are all constant, evaluated in double and
 * stored in the type of the value; NULL where they are not, or it would cost more than is left. */
const Tensor *node_fold(Graph *g, NodeId n, FoldBudget *left);

#endif
