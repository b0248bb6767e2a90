/* importer.h - what the parts of the ONNX reader share. Only the files of this folder include it. */
#ifndef KILN_IMPORTER_H
#define KILN_IMPORTER_H

#include "graph/graph.h"
#include "onnx/onnx.h"
#include "ops/ops.h"
#include "onnx.pb-c.h" /* generated at build time from onnx.proto of libonnx-dev */

/* ---- what a name stands for ------------------------------------------------------------- */

/* Contents known while importing: initializers, Constant nodes, and what follows from them. */
typedef struct Known {
    int32_t       type; /* ONNX__TENSOR_PROTO__DATA_TYPE__... */
    int           rank;
    int64_t       dims[MAX_RANK]; /* may be 0: an empty tensor */
    int64_t       count;
    const int64_t *ints;   /* integer and boolean types, else NULL */
    const Tensor  *floats; /* floating types, as F32; NULL for others and for empty tensors */
} Known;

/* A name of the model. `value` is its value in the graph, made when it is first needed; one of the two
 * is always there. */
enum { BY_INITIALIZER = -2, BY_INPUT = -1 };

typedef struct OnnxValue {
    const char  *name;
    ValueId      value;     /* 0: none yet */
    const Known *known;     /* NULL: computed at run time */
    ValueId      turned;    /* a known matrix, transposed; 0: not made yet */
    int          node;      /* which makes it, or one of BY_... */
    bool         is_used;   /* by a node or as an output of the model */
    bool         is_output; /* was added to the graph's outputs */
    bool         is_broken; /* what should make it was complained about: neither of the two is there */
} OnnxValue;

typedef struct Importer {
    Arena                  *arena;
    Diag                   *diag;
    Graph                  *graph;
    const Source           *source;
    const Onnx__ModelProto *model;
    const ReadOptions      *options;
    int64_t                 opset; /* of the default domain */
    OnnxValue              *names; /* what the model defines, sorted by name */
    size_t                  n_names;
    FoldBudget              fold; /* left for nodes computed at once */
    struct ExternalFile    *files; /* mapped so far */
} Importer;

/* An ONNX node being imported. */
typedef struct OnnxNode {
    const Onnx__NodeProto *proto;
    const struct OnnxRow  *row;
    const char            *name; /* its own, or its first output's where that would not be unique */
    Span                   where;
    int                    n_in;
    OnnxValue            **in; /* NULL: absent */
    OnnxValue            **out; /* proto->n_output of them; NULL: not named */
    bool                   is_named; /* a graph node has its name */
} OnnxNode;

/* ---- table.c ---------------------------------------------------------------------------- */

/* One operator of the default domain, a line of rows.def. `import` gives every output its value
 * (node_result, node_result_known) or reports why not and returns false. */
typedef struct OnnxRow {
    const char *name;
    int         since, until;   /* opsets whose semantics are known; until 0: to the newest */
    int         min_in, max_in; /* inputs; max_in -1: any number */
    const char *attrs;          /* "pads:ints group:int"; any other attribute is an error */
    bool (*import)(Importer *im, OnnxNode *n);
} OnnxRow;
extern const OnnxRow onnx_rows[];
extern const int     n_onnx_rows;

#define ONNX_NEWEST_OPSET 21 /* whose operators are known; the same ones of newer opsets are read */

const OnnxRow *onnx_row(const char *op_type); /* NULL: not supported */
/* onnx_instead - what to do about an operator that is not supported, "; ..." or "". */
const char *onnx_instead(Arena *a, const char *op_type);

/* ---- load.c ----------------------------------------------------------------------------- */

/* onnx_load - the model in the file; strings that are not given are empty. NULL: reported. */
const Onnx__ModelProto *onnx_load(Arena *a, Diag *d, const Source *source, Bytes file);

/* ---- names.c ---------------------------------------------------------------------------- */

/* names_collect - all that the model defines; false: a name is taken twice, reported. */
bool names_collect(Importer *im);
/* names_mark_used - what the outputs need, directly or through other nodes. */
void        names_mark_used(Importer *im);
OnnxValue  *name_find(const Importer *im, const char *name); /* NULL: the model does not define it */
const char *names_guess(Importer *im, const char *wrong);    /* "; did you mean 'x'?" or "" */
/* names_of_nodes - one for each: its own, or its first output's where that would not be unique among
 * nodes and values. */
const char **names_of_nodes(Importer *im);

/* ---- import.c, input.c ------------------------------------------------------------------ */

Span place_in(Importer *im, const char *list, size_t i); /* "/graph/node/3" */
/* inputs_read - the model's inputs that are no initializers, with fixed shapes; reported. */
void inputs_read(Importer *im);

/* ---- node.c: complaints and graph nodes ------------------------------------------------- */

/* node_error - "FILE: error: /graph/node/3: Conv 'conv1': ..."; always false. */
bool node_error(Importer *im, const OnnxNode *n, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* node_add - a graph node with these inputs, its type inferred at once; its value, or 0 when one of them
 * is 0 or the shape rule complained (reported). It has a made-up name until node_result. Where all inputs
 * are constants it is computed at once, within bounds. `attrs` NULL: the op's defaults (attrs_default
 * gives them to be changed). */
ValueId node_add(Importer *im, OnnxNode *n, Op op, int n_in, const ValueId *in,
                 const OpAttrs *attrs);
/* node_constant_named - a constant of the graph; 0: it is not finite, reported. */
ValueId node_constant_named(Importer *im, OnnxNode *n, const char *name, const Tensor *t);
/* node_constant_made - one that the file does not hold, its name made from `stem`: there may be some times
 * as many elements of those as of the file's own. */
ValueId node_constant_made(Importer *im, OnnxNode *n, const char *stem, const Tensor *t);
/* node_constant - the same, named after the ONNX node and `what`. */
ValueId node_constant(Importer *im, OnnxNode *n, const char *what, const Tensor *t);
/* node_scalar - the same for one number, of rank 0. */
ValueId node_scalar(Importer *im, OnnxNode *n, double number);
/* node_result - output `i` of the ONNX node is `v`; false when v is 0. The value takes the output's name
 * where it has no name of the model yet, and its node the ONNX node's. */
bool node_result(Importer *im, OnnxNode *n, int i, ValueId v);
bool node_result_known(Importer *im, OnnxNode *n, int i, const Known *k);
/* node_has_output - whether output `i` is named and used. */
bool node_has_output(const Importer *im, const OnnxNode *n, int i);
/* node_type - the type of a graph value; take a copy before adding nodes. */
Type node_type(const Importer *im, ValueId v);

/* ---- arg.c: inputs ---------------------------------------------------------------------- */

bool arg_present(const OnnxNode *n, int i);
/* arg_value - input `i` as a value of the graph: a result, a model input, or a constant, which is added
 * on first use (integers as I32). 0: reported. */
ValueId arg_value(Importer *im, OnnxNode *n, int i, const char *what);
/* arg_derived - a constant made from that of input `i`, with a name that says so. */
ValueId arg_derived(Importer *im, OnnxNode *n, int i, const Tensor *t);
/* arg_known - contents of input `i`; NULL and reported ("... must be a constant: kiln compiles for fixed
 * `what`") where it is computed at run time. */
const Known *arg_known(Importer *im, OnnxNode *n, int i, const char *what);
/* arg_is_known - the same without a report. */
const Known *arg_is_known(const OnnxNode *n, int i);
/* arg_tensor - floating contents of input `i` as F32; reported. */
const Tensor *arg_tensor(Importer *im, OnnxNode *n, int i, const char *what);
/* arg_ints - integer contents of input `i`, at most `max` of them; their number, -1: reported. */
int arg_ints(Importer *im, OnnxNode *n, int i, const char *what, int64_t *out, int max);
/* arg_number - a single number, floating or integer. */
bool arg_number(Importer *im, OnnxNode *n, int i, const char *what, double *out);
/* arg_type - the type of input `i`, known or not; elem POISON where it cannot be one of the graph's. */
Type arg_type(const Importer *im, const OnnxNode *n, int i);

/* ---- attr.c: attributes ----------------------------------------------------------------- */

/* attr_find - NULL: not given. Its kind was checked. */
const Onnx__AttributeProto *attr_find(const OnnxNode *n, const char *name);

bool        attr_given(const OnnxNode *n, const char *name);
int64_t     attr_int(const OnnxNode *n, const char *name, int64_t fallback);
double      attr_float(const OnnxNode *n, const char *name, double fallback);
const char *attr_string(Importer *im, const OnnxNode *n, const char *name, const char *fallback);
/* attr_ints - at most `max` entries; their number, 0 where it is not given, -1: reported. */
int attr_ints(Importer *im, const OnnxNode *n, const char *name, int64_t *out, int max);
/* attrs_check - kinds and names as the row has them; reported. Called before the row's import. */
bool attrs_check(Importer *im, const OnnxNode *n);

/* ---- window.c --------------------------------------------------------------------------- */

#define WINDOW_MAX 3 /* dimensions a window slides over */

typedef struct Window {
    int     spatial; /* how many there are; the following are by them */
    int64_t kernel[WINDOW_MAX], strides[WINDOW_MAX], dilations[WINDOW_MAX];
    int64_t begin[WINDOW_MAX], end[WINDOW_MAX]; /* padding */
} Window;

typedef enum { PADS_WRONG, PADS_GIVEN, PADS_VALID, PADS_SAME_UPPER, PADS_SAME_LOWER } WindowPads;

/* window_read - kernel_shape, strides, dilations and pads with their defaults; reported. */
bool       window_read(Importer *im, const OnnxNode *n, int spatial, Window *w);
WindowPads window_auto_pad(Importer *im, const OnnxNode *n); /* PADS_WRONG: reported */
/* window_pad - settle auto_pad for an input of extents in[]. */
bool window_pad(Importer *im, const OnnxNode *n, const int64_t *in, Window *w);
/* window_split - `total` of padding along dimension `i`, an odd one at the end or at the beginning. */
void    window_split(Window *w, int i, int64_t total, bool more_at_end);
int64_t window_reach(const Window *w, int i); /* from its first element to its last */
/* window_attrs - dimensions `rows` and `columns` of the window as attributes; -1: none, an extent of 1. */
void window_attrs(const Window *w, int rows, int columns, OpAttrs *a);
/* window_rows - a value of one dimension to slide over as one with one row; window_row - and back. */
ValueId window_rows(Importer *im, OnnxNode *n, ValueId x);
ValueId window_row(Importer *im, OnnxNode *n, ValueId y);

/* ---- known.c ---------------------------------------------------------------------------- */

#define KNOWN_MAX_DIM   ((int64_t)1 << 40) /* of any tensor, also one without elements */
#define KNOWN_MAX_COUNT (1 << 20)          /* of what is computed; initializers may be larger */

Known *known_ints(Arena *a, int32_t type, int rank, const int64_t *dims, const int64_t *ints);
Known *known_floats(Arena *a, const Tensor *t);
bool   known_is_integer(int32_t type);
/* known_number - element `i` as a number. */
double known_number(const Known *k, int64_t i);
/* known_reshaped - the same elements in another shape, of as many elements. */
Known *known_reshaped(Arena *a, const Known *k, int rank, const int64_t *dims);
/* known_afford - whether a result of this shape may be made while importing; counts it. */
bool known_afford(Importer *im, int rank, const int64_t *dims);
Type known_shape(const Known *k); /* as a type of any element */
/* known_broadcast - NumPy's rule, for empty tensors too; false: they do not. */
bool known_broadcast(const Type *a, const Type *b, Type *out);
/* known_fold - compute node `n`, all of whose inputs are known, where it is shape arithmetic: true when
 * its results were set. Called before the row's import. Integers wrap as int64. */
bool known_fold(Importer *im, OnnxNode *n);

/* ---- known_move.c, known_arith.c -------------------------------------------------------- */

/* known_move - the part of known_fold that moves elements, of any type. */
bool known_move(Importer *im, OnnxNode *n);
/* known_arith - the part of known_fold that computes numbers: of integers, since sums of floats are nodes
 * of the graph, computed by node_add; comparisons and casts of both. */
bool known_arith(Importer *im, OnnxNode *n);

/* ---- tensor.c --------------------------------------------------------------------------- */

const char *onnx_type_name(Arena *a, int32_t type); /* "float16" ... */
bool        onnx_is_float(int32_t type);            /* one that becomes F32 */
/* tensor_known - contents of a TensorProto; floating types become F32, integers int64. External data
 * must lie in the folder of the model, without "..", absolute paths or links out of it, and is mapped.
 * NULL: reported. */
const Known *tensor_known(Importer *im, const Onnx__TensorProto *t, Span where);

/* ---- make.c: graph nodes that operators are composed of; axes ----------------------------- */

/* Given 0 in place of a value, all of them make nothing and return 0: a chain needs one test, at its end. */
ValueId make_unary(Importer *im, OnnxNode *n, Op op, ValueId x);
ValueId make_binary(Importer *im, OnnxNode *n, Op op, ValueId a, ValueId b);
ValueId make_scalar(Importer *im, OnnxNode *n, Op op, ValueId x, double b); /* op(x, b) */
ValueId make_clip(Importer *im, OnnxNode *n, ValueId x, double min, double max);
/* make_reshape - `x` itself where it has that shape. */
ValueId make_reshape(Importer *im, OnnxNode *n, ValueId x, int rank, const int64_t *dims);
ValueId make_transpose(Importer *im, OnnxNode *n, ValueId x, const IntList *perm);
/* make_reduce - over the axes, which stay as dimensions of extent 1. */
ValueId make_reduce(Importer *im, OnnxNode *n, Op op, ValueId x, const IntList *axes);
/* make_slice - count entries from `start`, `step` apart; `x` itself where these are all. */
ValueId make_slice(Importer *im, OnnxNode *n, ValueId x, int axis, int64_t start, int64_t count,
                   int64_t step);
/* make_gather - the entries `indices` along the axis, each in range; a slice where they are evenly apart. */
ValueId make_gather(Importer *im, OnnxNode *n, ValueId x, int axis, int64_t count,
                    const int64_t *indices);
#define MAKE_MAX_INDICES (1 << 24)

/* node_axis - `axis` in [0, rank), negative ones counted from the end; -1: reported. */
int node_axis(Importer *im, OnnxNode *n, int64_t axis, int rank);
/* node_axes - the same for a list, none of them twice; false: reported. */
bool node_axes(Importer *im, OnnxNode *n, int rank, int count, int64_t *axes);
/* node_int_list - a list that older opsets have as an attribute and newer ones as input `i`: its length, 0
 * where it is absent, -1: reported. */
int node_int_list(Importer *im, OnnxNode *n, int i, const char *name, int64_t *out);
bool attr_finite(Importer *im, const OnnxNode *n, const char *name, double fallback, double *out);

/* ---- the functions of the rows ---------------------------------------------------------- */

#define ONNX_IMPORT(name) bool import_##name(Importer *im, OnnxNode *n)
#define ROW(op, function, since, until, min_in, max_in, attrs) ONNX_IMPORT(function);
#include "onnx/rows.def"
#undef ROW

#endif
