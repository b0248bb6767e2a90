/* pool.c - max_pool and avg_pool. */
#include "ops/ops.h"

#include <inttypes.h>
#include <math.h>

#define POOL_KERNEL                                                                                \
    ATTR(kernel, ATTR_INTS, .count = 2, .required = true, .min = 1, .max = ATTR_MAX_INT)
#define POOL_STRIDES                                                                               \
    ATTR(strides, ATTR_INTS, .count = 2, .min = 1, .max = ATTR_MAX_INT, .follows_kernel = true)
#define POOL_PADDING ATTR(padding, ATTR_PADDING, .count = 4, .min = 0, .max = ATTR_MAX_INT)

const AttrSpec attrs_max_pool[] = {
    POOL_KERNEL,
    POOL_STRIDES,
    POOL_PADDING,
    ATTR(dilations, ATTR_INTS, .count = 2, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
    ATTR(ceil_mode, ATTR_BOOL, .fallback = 0),
};
ATTRS_END(max_pool);

const AttrSpec attrs_avg_pool[] = {
    POOL_KERNEL,
    POOL_STRIDES,
    POOL_PADDING,
    ATTR(ceil_mode, ATTR_BOOL, .fallback = 0),
    ATTR(count_include_pad, ATTR_BOOL, .fallback = 0),
};
ATTRS_END(avg_pool);

/* ---- one axis of a window --------------------------------------------------------------- */

/* Rows (or columns) of the input, and the windows over them: window `o` has its taps at
 * o * stride - before + tap * dilation. */
typedef struct Axis {
    int64_t in, out, kernel, stride, dilation, before, after;
} Axis;

static Axis pool_axis(const OpAttrs *a, const Type *x, const Type *y, int i)
{
    return (Axis){.in = x->dims[2 + i],
                  .out = y->dims[2 + i],
                  .kernel = a->kernel[i],
                  .stride = a->strides[i],
                  .dilation = a->dilations[i] ? a->dilations[i] : 1,
                  .before = a->padding[i],
                  .after = a->padding[i + 2]};
}

/* The taps [first, last) that read the input, not the padding, when window position 0 is at
 * `start`. */
static void real_taps(const Axis *a, int64_t start, int64_t *first, int64_t *last)
{
    *first = start < 0 ? (-start + a->dilation - 1) / a->dilation : 0;
    *last = start < a->in ? (a->in - 1 - start) / a->dilation + 1 : 0;
    *last = *last < a->kernel ? *last : a->kernel;
}

/* How many positions of window `o` count for an average: those in the input or, with the padding,
 * those in the padded input (in ceil mode a window may reach past it). Without dilation. */
static int64_t counted(const Axis *a, int64_t o, bool with_padding)
{
    int64_t start = o * a->stride - a->before, end = start + a->kernel;
    int64_t low = with_padding ? -a->before : 0, high = a->in + (with_padding ? a->after : 0);
    return (end < high ? end : high) - (start > low ? start : low);
}

/* ---- shapes ----------------------------------------------------------------------------- */

/* A window that lies in the padding alone would have no maximum and no mean. */
static bool padding_fits(Graph *g, NodeId n)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    for (int i = 0; i < 4; i++) {
        int64_t dilation = a->dilations[i % 2] ? a->dilations[i % 2] : 1;
        int64_t reach = (a->kernel[i % 2] - 1) * dilation + 1;
        if (a->padding[i] >= reach)
            return shape_error(g, n,
                               "padding %" PRId64 " is not smaller than the kernel, which spans "
                               "%" PRId64 " %s",
                               a->padding[i], reach, i % 2 ? "columns" : "rows");
    }
    return true;
}

static bool shape_pool(Graph *g, NodeId n)
{
    if (!shape_floats(g, n) || !shape_rank(g, n, 4))
        return false;
    Type    x = *shape_in(g, n, 0);
    int64_t out[2];
    if (!shape_window(g, n, &x.dims[2], node_get(g, n)->attrs.ceil_mode, out) ||
        !padding_fits(g, n))
        return false;
    return shape_set(g, n, F32, 4, (int64_t[]){x.dims[0], x.dims[1], out[0], out[1]});
}

bool shape_max_pool(Graph *g, NodeId n)
{
    return shape_pool(g, n);
}

bool shape_avg_pool(Graph *g, NodeId n)
{
    return shape_pool(g, n);
}

/* ---- evaluators ------------------------------------------------------------------------- */

/* Sum or maximum of one window of a plane. */
static double eval_window(const Axis axis[2], const double *plane, int64_t oh, int64_t ow,
                          bool is_max)
{
    int64_t h = oh * axis[0].stride - axis[0].before, kh0, kh1;
    int64_t w = ow * axis[1].stride - axis[1].before, kw0, kw1;
    double  acc = is_max ? -INFINITY : 0;
    real_taps(&axis[0], h, &kh0, &kh1);
    real_taps(&axis[1], w, &kw0, &kw1);
    for (int64_t kh = kh0; kh < kh1; kh++) {
        const double *row = plane + (h + kh * axis[0].dilation) * axis[1].in + w;
        for (int64_t kw = kw0; kw < kw1; kw++) {
            double x = row[kw * axis[1].dilation];
            acc = !is_max ? acc + x : x > acc ? x : acc;
        }
    }
    return acc;
}

static void eval_pool(const Node *n, const Array *x, Array *y, bool is_max)
{
    const int64_t *yd = y->type.dims;
    const Axis     axis[2] = {pool_axis(&n->attrs, &x->type, &y->type, 0),
                              pool_axis(&n->attrs, &x->type, &y->type, 1)};
    bool           with_padding = n->attrs.count_include_pad;
    double        *out = y->data;
    for (int64_t plane = 0; plane < yd[0] * yd[1]; plane++)
        for (int64_t oh = 0; oh < yd[2]; oh++)
            for (int64_t ow = 0; ow < yd[3]; ow++) {
                double v =
                    eval_window(axis, x->data + plane * axis[0].in * axis[1].in, oh, ow, is_max);
                int64_t rows = counted(&axis[0], oh, with_padding);
                int64_t columns = counted(&axis[1], ow, with_padding);
                *out++ = is_max ? v : v / ((double)rows * (double)columns);
            }
}

void eval_max_pool(const Node *n, const Array *const in[], Array *out)
{
    eval_pool(n, in[0], out, true);
}

void eval_avg_pool(const Node *n, const Array *const in[], Array *out)
{
    eval_pool(n, in[0], out, false);
}

/* ---- lowerings -------------------------------------------------------------------------- */

/* The loop over the taps of one axis, leaving out those that are always in the padding; and the
 * input position they read. */
static LoopId tap_loop(Kernel *k, const char *name, const Axis *a, Affine o, Affine *at)
{
    int64_t first, last, unused;
    real_taps(a, (a->out - 1) * a->stride - a->before, &first, &unused);
    real_taps(a, -a->before, &unused, &last);
    LoopId l = kernel_loop_if(k, name, last - first, REDUCE, AXIS_NONE);
    Affine tap = affine_offset(affine_loop(l), first);
    *at = affine_add(affine_scale(o, a->stride), affine_scale(tap, a->dilation));
    *at = affine_offset(*at, -a->before);
    return l;
}

/* Skip `body` where `index` is in the padding, if it ever is. */
static Stmt *skip_padding(Kernel *k, Affine index, int64_t extent, Stmt *body)
{
    Range r = affine_range(k, &index);
    if (r.min >= 0 && r.max < extent)
        return body;
    return st_guard(k, &(Test){index, extent}, 1, body);
}

/* 1 / (positions counted) along one axis: NULL where it is the same for all windows, *uniform; else
 * an entry of a table. A window's count is the product of both axes'. */
static const Expr *axis_factor(Kernel *k, const Axis *a, bool with_padding, Affine o,
                               double *uniform)
{
    Tensor *table = tensor_new(k->arena, F32, 1, &a->out);
    bool    is_uniform = true;
    for (int64_t i = 0; i < a->out; i++) {
        tensor_set(table, i, 1 / (double)counted(a, i, with_padding));
        is_uniform &= counted(a, i, with_padding) == counted(a, 0, with_padding);
    }
    if (!is_uniform)
        return ex_load(k, kernel_constant(k, "factor", table, NULL), o);
    *uniform /= (double)counted(a, 0, with_padding);
    return NULL;
}

static const Expr *average(Kernel *k, const Node *n, const Axis axis[2], const At *at,
                           const Expr *sum)
{
    double      uniform = 1;
    bool        with_padding = n->attrs.count_include_pad;
    const Expr *by_row = axis_factor(k, &axis[0], with_padding, at->h, &uniform);
    const Expr *by_column = axis_factor(k, &axis[1], with_padding, at->w, &uniform);
    if (by_row)
        sum = ex_binary(k, B_MUL, sum, by_row);
    if (by_column)
        sum = ex_binary(k, B_MUL, sum, by_column);
    return ex_binary(k, B_MUL, sum, ex_const(k, uniform));
}

/* for n, c, oh, ow
 *     acc = -inf or 0
 *     for kh, kw: acc = max(acc, x) or acc + x, off the padding
 *     y = acc or acc / count                                          */
static void lower_pool(Graph *g, NodeId id, Kernel *k, bool is_max)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    const Axis  axis[2] = {pool_axis(&n->attrs, x, y, 0), pool_axis(&n->attrs, x, y, 1)};
    At          at, from;
    LoopId      loops[5];
    lower_zero_halo(g, k, n->out);
    lower_loops(g, k, n->out, &at, loops);
    if (at.block == 1 && axis[1].stride != 1 && loops[3])
        k->loops[loops[3]].axis = AXIS_M; /* lanes would not be neighbours in memory */
    from = at;
    LoopId kh = tap_loop(k, "kh", &axis[0], at.h, &from.h);
    LoopId kw = tap_loop(k, "kw", &axis[1], at.w, &from.w);
    TempId acc = kernel_temp(k, "acc", vtype(F32, 1));
    Stmt  *step =
        st_set(k, acc, is_max ? ASSIGN_MAX : ASSIGN_ADD, lower_load(g, k, n->in[0], x, &from));
    step = skip_padding(k, from.w, axis[1].in, step);
    step = skip_padding(k, from.h, axis[0].in, st_for(k, kw, step));
    Stmt *body = st_block(k);
    st_add(k, body, st_set(k, acc, ASSIGN, ex_const(k, is_max ? -INFINITY : 0)));
    st_add(k, body, st_for(k, kh, step));
    const Expr *value = ex_temp(k, acc);
    if (!is_max)
        value = average(k, n, axis, &at, value);
    st_add(k, body, lower_store(g, k, n->out, &at, lower_epilogue(g, k, n, value, &at)));
    st_add(k, k->body, lower_nest(k, loops, 5, body));
}

void lower_max_pool(Graph *g, NodeId n, Kernel *k)
{
    lower_pool(g, n, k, true);
}

void lower_avg_pool(Graph *g, NodeId n, Kernel *k)
{
    lower_pool(g, n, k, false);
}
