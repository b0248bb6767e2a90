/* op_reduce.c - reductions over axes, ArgMax, ArgMin. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

/* What is reduced, and whether the axes stay as dimensions of extent 1. */
typedef struct Reduction {
    ValueId x;
    IntList axes;
    bool    keeps, is_nothing; /* is_nothing: no axis is reduced */
} Reduction;

/* Axes are an attribute up to opset 17, of ReduceSum up to 12; then an input. Without any, all dimensions
 * are reduced, or none where noop_with_empty_axes says so. */
static bool read_reduction(Importer *im, OnnxNode *n, Reduction *r)
{
    *r = (Reduction){.x = arg_value(im, n, 0, "data")};
    r->keeps = attr_int(n, "keepdims", 1) != 0;
    if (!r->x)
        return false;
    int rank = node_type(im, r->x).rank;
    r->axes.n = node_int_list(im, n, 1, "axes", r->axes.v);
    if (r->axes.n < 0 || !node_axes(im, n, rank, r->axes.n, r->axes.v))
        return false;
    r->is_nothing = rank == 0;
    if (r->axes.n)
        return true;
    if (attr_int(n, "noop_with_empty_axes", 0) != 0)
        r->is_nothing = true;
    for (int i = 0; i < rank && !r->is_nothing; i++)
        r->axes.v[r->axes.n++] = i;
    return true;
}

/* `y` without the dimensions reduced, unless they stay. */
static ValueId drop_axes(Importer *im, OnnxNode *n, ValueId y, const Reduction *r)
{
    if (!y || r->keeps)
        return y;
    Type    t = node_type(im, y);
    int64_t dims[MAX_RANK];
    int     rank = 0;
    for (int d = 0; d < t.rank; d++) {
        bool is_reduced = false;
        for (int i = 0; i < r->axes.n; i++)
            is_reduced = is_reduced || r->axes.v[i] == d;
        if (!is_reduced)
            dims[rank++] = t.dims[d];
    }
    return make_reshape(im, n, y, rank, dims);
}

/* One reduction by an op of kiln. */
static ValueId reduce(Importer *im, OnnxNode *n, Op op, ValueId x, const Reduction *r)
{
    if (r->is_nothing)
        return x;
    return make_reduce(im, n, op, x, &r->axes);
}

static Op plain_op(const char *name)
{
    static const struct {
        const char *name;
        Op          op;
    } table[] = {{"ReduceMean", OP_reduce_mean},
                 {"ReduceSum", OP_reduce_sum},
                 {"ReduceMax", OP_reduce_max},
                 {"ReduceMin", OP_reduce_min}};
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].op;
    return OP_NONE;
}

ONNX_IMPORT(reduce)
{
    Reduction r;
    if (!read_reduction(im, n, &r))
        return false;
    ValueId y = reduce(im, n, plain_op(n->row->name), r.x, &r);
    return node_result(im, n, 0, drop_axes(im, n, y, &r));
}

/* ---- what is a sum of something --------------------------------------------------------- */

/* log(sum of exp(x)), with the largest x taken out so that nothing overflows */
static ValueId log_sum_exp(Importer *im, OnnxNode *n, const Reduction *r)
{
    ValueId largest = reduce(im, n, OP_reduce_max, r->x, r);
    ValueId above = make_unary(im, n, OP_exp, make_binary(im, n, OP_sub, r->x, largest));
    ValueId sum = reduce(im, n, OP_reduce_sum, above, r);
    return make_binary(im, n, OP_add, make_unary(im, n, OP_log, sum), largest);
}

static ValueId reduce_terms(Importer *im, OnnxNode *n, const Reduction *r)
{
    const char *what = n->row->name + strlen("Reduce");
    ValueId     terms = r->x;
    bool        is_square = strcmp(what, "SumSquare") == 0, is_root = strcmp(what, "L2") == 0;
    if (strcmp(what, "LogSumExp") == 0)
        return log_sum_exp(im, n, r);
    if (is_square || is_root)
        terms = make_binary(im, n, OP_mul, r->x, r->x);
    if (strcmp(what, "L1") == 0)
        terms = make_unary(im, n, OP_abs, r->x);
    ValueId sum = reduce(im, n, OP_reduce_sum, terms, r);
    if (is_root)
        return make_unary(im, n, OP_sqrt, sum);
    return strcmp(what, "LogSum") == 0 ? make_unary(im, n, OP_log, sum) : sum;
}

/* ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum, ReduceLogSumExp */
ONNX_IMPORT(reduce_terms)
{
    Reduction r;
    if (!read_reduction(im, n, &r))
        return false;
    if (r.is_nothing)
        return node_error(im, n,
                          "no axis is reduced, which is supported for ReduceMean, ReduceSum, "
                          "ReduceMax and ReduceMin alone");
    return node_result(im, n, 0, drop_axes(im, n, reduce_terms(im, n, &r), &r));
}

/* ---- ArgMax, ArgMin --------------------------------------------------------------------- */

/* ArgMin is where -x is largest. */
ONNX_IMPORT(arg_max)
{
    Reduction r = {.x = arg_value(im, n, 0, "data"), .keeps = attr_int(n, "keepdims", 1) != 0};
    OpAttrs   a = attrs_default(OP_arg_max);
    if (!r.x)
        return false;
    int axis = node_axis(im, n, attr_int(n, "axis", 0), node_type(im, r.x).rank);
    if (axis < 0)
        return false;
    a.axis = axis;
    a.keepdims = true;
    a.select_last_index = attr_int(n, "select_last_index", 0) != 0;
    r.axes = (IntList){1, {axis}};
    if (strcmp(n->row->name, "ArgMin") == 0)
        r.x = make_unary(im, n, OP_neg, r.x);
    ValueId place = node_add(im, n, OP_arg_max, 1, &r.x, &a);
    return node_result(im, n, 0, drop_axes(im, n, place, &r));
}
