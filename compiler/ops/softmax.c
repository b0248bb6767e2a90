/* softmax.c - softmax, log_softmax, arg_max, reduce_mean: reductions along axes of a plain tensor. */
#include "ops/ops.h"

#include <inttypes.h>
#include <math.h>

#define MAX_AXIS ((double)(MAX_RANK - 1))

/* ---- softmax, log_softmax --------------------------------------------------------------- */

#define SOFTMAX_AXIS                                                                              \
    {                                                                                             \
        .name = "axis", .kind = ATTR_INT, .offset = ATTR(axis), .fallback = -1,                   \
        .min = -MAX_RANK, .max = MAX_AXIS                                                         \
    }

const AttrSpec attrs_softmax[] = {SOFTMAX_AXIS};
ATTRS_END(softmax);

const AttrSpec attrs_log_softmax[] = {SOFTMAX_AXIS};
ATTRS_END(log_softmax);

bool shape_softmax(Graph *g, NodeId n)
{
    int rank = shape_in(g, n, 0)->rank, axis;
    return shape_floats(g, n) && shape_axis(g, n, node_get(g, n)->attrs.axis, rank, rank, &axis) &&
           shape_copy(g, n);
}

bool shape_log_softmax(Graph *g, NodeId n)
{
    return shape_softmax(g, n);
}

/* One line of `extent` elements, `inner` apart. */
static void softmax_line(const double *x, double *y, int64_t extent, int64_t inner, bool is_log)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < extent; i++)
        largest = x[i * inner] > largest ? x[i * inner] : largest;
    for (int64_t i = 0; i < extent; i++)
        sum += exp(x[i * inner] - largest);
    for (int64_t i = 0; i < extent; i++) {
        double above = x[i * inner] - largest;
        y[i * inner] = is_log ? above - log(sum) : exp(above) / sum;
    }
}

static void softmax_lines(const Node *n, const Array *x, Array *y, bool is_log)
{
    int64_t outer, extent, inner;
    axis_spans(&x->type, axis_from_end(n->attrs.axis, x->type.rank), &outer, &extent, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t first = o * extent * inner + i;
            softmax_line(x->data + first, y->data + first, extent, inner, is_log);
        }
}

void eval_softmax(const Node *n, const Array *const in[], Array *out)
{
    softmax_lines(n, in[0], out, false);
}

void eval_log_softmax(const Node *n, const Array *const in[], Array *out)
{
    softmax_lines(n, in[0], out, true);
}

/* A tensor as lines along one axis: element `a` of the line is at (o * extent + a) * inner + i. */
typedef struct Lines {
    int64_t extent, inner;
    LoopId  o, i;
    BufferId x;
} Lines;

static Lines axis_lines(Graph *g, Kernel *k, const Node *n)
{
    const Type *x = &value_get(g, n->in[0])->type;
    Lines       l;
    int64_t     outer;
    axis_spans(x, axis_from_end(n->attrs.axis, x->rank), &outer, &l.extent, &l.inner);
    l.o = kernel_loop_if(k, "o", outer, PARALLEL, AXIS_NONE);
    l.i = kernel_loop_if(k, "i", l.inner, PARALLEL, AXIS_NONE);
    l.x = lower_buffer(g, k, n->in[0]);
    return l;
}

static LoopId along(Kernel *k, const Lines *l)
{
    return kernel_loop_if(k, "c", l->extent, REDUCE, AXIS_NONE);
}

static Affine line_index(const Lines *l, LoopId a)
{
    Affine at = affine_add(affine_scale(affine_loop(l->o), l->extent), affine_loop(a));
    return affine_add(affine_scale(at, l->inner), affine_loop(l->i));
}

/* m = the largest element of the line; added to `body`. */
static TempId largest_of_line(Kernel *k, const Lines *l, Stmt *body)
{
    TempId m = kernel_temp(k, "m", (VType){F32, 1});
    LoopId c = along(k, l);
    st_add(k, body, st_set(k, m, ASSIGN, ex_const(k, -INFINITY)));
    Stmt *step = st_set(k, m, ASSIGN_MAX, ex_load(k, l->x, line_index(l, c)));
    st_add(k, body, st_for(k, c, step));
    return m;
}

/* s = sum of exp(x - m) over the line; each term is also stored in y where `keep_terms`. */
static TempId sum_of_line(Kernel *k, const Lines *l, TempId m, BufferId y, bool keep_terms, Stmt *body)
{
    TempId s = kernel_temp(k, "s", (VType){F32, 1}), t = kernel_temp(k, "t", (VType){F32, 1});
    LoopId c = along(k, l);
    Stmt  *step = st_block(k);
    Affine at = line_index(l, c);
    st_add(k, body, st_set(k, s, ASSIGN, ex_const(k, 0)));
    const Expr *above = ex_binary(k, B_SUB, ex_load(k, l->x, at), ex_temp(k, m));
    st_add(k, step, st_let(k, t, math_exp(k, above)));
    if (keep_terms)
        st_add(k, step, st_store(k, y, at, ASSIGN, ex_temp(k, t)));
    st_add(k, step, st_set(k, s, ASSIGN_ADD, ex_temp(k, t)));
    st_add(k, body, st_for(k, c, step));
    return s;
}

/* for o, i
 *     m = max x;  s = sum y = exp(x - m);  y *= 1 / s        softmax
 *     m = max x;  s = sum exp(x - m);  y = x - m - log s     log_softmax */
static void lower_softmax_of(Graph *g, NodeId id, Kernel *k, bool is_log)
{
    const Node *n = node_get(g, id);
    Lines       l = axis_lines(g, k, n);
    BufferId    y = lower_buffer(g, k, n->out);
    Stmt       *body = st_block(k);
    TempId      m = largest_of_line(k, &l, body);
    TempId      s = sum_of_line(k, &l, m, y, !is_log, body);
    TempId      whole = kernel_temp(k, is_log ? "log_s" : "inv", (VType){F32, 1});
    LoopId      c = along(k, &l);
    Affine      at = line_index(&l, c);
    const Expr *value;
    if (is_log) {
        st_add(k, body, st_let(k, whole, math_log(k, ex_temp(k, s))));
        value = ex_binary(k, B_SUB, ex_load(k, l.x, at), ex_temp(k, m));
        value = ex_binary(k, B_SUB, value, ex_temp(k, whole));
    } else {
        st_add(k, body, st_let(k, whole, ex_binary(k, B_DIV, ex_const(k, 1), ex_temp(k, s))));
        value = ex_binary(k, B_MUL, ex_load(k, y, at), ex_temp(k, whole));
    }
    st_add(k, body, st_for(k, c, st_store(k, y, at, ASSIGN, value)));
    st_add(k, k->body, lower_nest(k, (LoopId[]){l.o, l.i}, 2, body));
}

void lower_softmax(Graph *g, NodeId n, Kernel *k)
{
    lower_softmax_of(g, n, k, false);
}

void lower_log_softmax(Graph *g, NodeId n, Kernel *k)
{
    lower_softmax_of(g, n, k, true);
}

/* ---- arg_max ---------------------------------------------------------------------------- */

const AttrSpec attrs_arg_max[] = {
    {.name = "axis", .kind = ATTR_INT, .offset = ATTR(axis), .fallback = 1,
     .min = -MAX_RANK, .max = MAX_AXIS},
    {.name = "keepdims", .kind = ATTR_BOOL, .offset = ATTR(keepdims)},
};
ATTRS_END(arg_max);

#define MAX_ARG_MAX ((int64_t)1 << 24) /* indices up to here are exact in f32 */

/* The dims of `x` without those where reduced[i]; with `keep` they become 1. Nothing left: [1]. */
static int reduced_dims(const Type *x, const bool *reduced, bool keep, int64_t *dims)
{
    int rank = 0;
    for (int i = 0; i < x->rank; i++) {
        if (!reduced[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    }
    if (rank == 0)
        dims[rank++] = 1;
    return rank;
}

bool shape_arg_max(Graph *g, NodeId n)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    Type           x = *shape_in(g, n, 0);
    int            axis;
    int64_t        dims[MAX_RANK];
    bool           reduced[MAX_RANK] = {false};
    if (!shape_floats(g, n) || !shape_axis(g, n, a->axis, x.rank, x.rank, &axis))
        return false;
    if (x.dims[axis] > MAX_ARG_MAX)
        return shape_error(g, n, "axis %d has %" PRId64 " elements, expected at most %" PRId64, axis,
                           x.dims[axis], MAX_ARG_MAX);
    reduced[axis] = true;
    int rank = reduced_dims(&x, reduced, a->keepdims, dims);
    return shape_set(g, n, I32, rank, dims);
}

void eval_arg_max(const Node *n, const Array *const in[], Array *out)
{
    int64_t       outer, extent, inner;
    const double *x = in[0]->data;
    axis_spans(&in[0]->type, axis_from_end(n->attrs.axis, in[0]->type.rank), &outer, &extent, &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const double *line = x + o * extent * inner + i;
            int64_t       best = 0;
            for (int64_t a = 1; a < extent; a++)
                if (line[a * inner] > line[best * inner])
                    best = a;
            out->data[o * inner + i] = (double)best;
        }
}

/* The first place of the maximum, without a branch: of all places c where x is the maximum, the one
 * with the largest extent - c. */
void lower_arg_max(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    Lines       l = axis_lines(g, k, n);
    Stmt       *body = st_block(k);
    TempId      m = largest_of_line(k, &l, body);
    TempId      best = kernel_temp(k, "best", (VType){F32, 1});
    LoopId      c = along(k, &l);
    Affine      from_end = affine_offset(affine_scale(affine_loop(c), -1), l.extent);
    const Expr *is_max = ex_binary(k, B_EQ, ex_load(k, l.x, line_index(&l, c)), ex_temp(k, m));
    Stmt       *step = st_set(k, best, ASSIGN_MAX,
                              ex_binary(k, B_MUL, is_max, ex_index(k, from_end)));
    st_add(k, body, st_set(k, best, ASSIGN, ex_const(k, 1)));
    st_add(k, body, st_for(k, c, step));
    const Expr *place = ex_binary(k, B_SUB, ex_const(k, (double)l.extent), ex_temp(k, best));
    Affine      at = affine_add(affine_scale(affine_loop(l.o), l.inner), affine_loop(l.i));
    st_add(k, body, st_store(k, lower_buffer(g, k, n->out), at, ASSIGN, ex_cast(k, I32, place)));
    st_add(k, k->body, lower_nest(k, (LoopId[]){l.o, l.i}, 2, body));
}

/* ---- reduce_mean ------------------------------------------------------------------------ */

/* Without axes it is the mean of everything, as in ONNX. */
const AttrSpec attrs_reduce_mean[] = {
    {.name = "axes", .kind = ATTR_LIST, .offset = ATTR(list), .min = -MAX_RANK, .max = MAX_AXIS},
    {.name = "keepdims", .kind = ATTR_BOOL, .offset = ATTR(keepdims), .fallback = 1},
};
ATTRS_END(reduce_mean);

static void mark_reduced(const OpAttrs *a, int rank, bool *reduced)
{
    for (int i = 0; i < rank; i++)
        reduced[i] = a->list.n == 0;
    for (int i = 0; i < a->list.n; i++)
        reduced[axis_from_end(a->list.v[i], rank)] = true;
}

bool shape_reduce_mean(Graph *g, NodeId n)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    Type           x = *shape_in(g, n, 0);
    bool           reduced[MAX_RANK], seen[MAX_RANK] = {false};
    int64_t        dims[MAX_RANK];
    for (int i = 0; i < a->list.n; i++) {
        int axis;
        if (!shape_axis(g, n, a->list.v[i], x.rank, x.rank, &axis))
            return false;
        if (seen[axis])
            return shape_error(g, n, "axis %" PRId64 " is given twice", a->list.v[i]);
        seen[axis] = true;
    }
    mark_reduced(a, x.rank, reduced);
    int rank = reduced_dims(&x, reduced, a->keepdims, dims);
    return shape_floats(g, n) && shape_set(g, n, F32, rank, dims);
}

/* Elements between neighbours along each dim of x in the output: 0 along the reduced ones. */
static void mean_strides(const Type *x, const bool *reduced, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = x->rank - 1; i >= 0; i--) {
        strides[i] = reduced[i] ? 0 : stride;
        stride *= reduced[i] ? 1 : x->dims[i];
    }
}

void eval_reduce_mean(const Node *n, const Array *const in[], Array *out)
{
    const Type *x = &in[0]->type;
    bool        reduced[MAX_RANK];
    int64_t     strides[MAX_RANK], inputs = type_count(x), outputs = type_count(&out->type);
    mark_reduced(&n->attrs, x->rank, reduced);
    mean_strides(x, reduced, strides);
    for (int64_t i = 0; i < outputs; i++)
        out->data[i] = 0;
    for (int64_t i = 0; i < inputs; i++) {
        int64_t at = 0, rest = i;
        for (int d = x->rank - 1; d >= 0; rest /= x->dims[d--])
            at += rest % x->dims[d] * strides[d];
        out->data[at] += in[0]->data[i];
    }
    for (int64_t i = 0; i < outputs; i++)
        out->data[i] /= (double)(inputs / outputs);
}

void lower_reduce_mean(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type;
    bool        reduced[MAX_RANK];
    int64_t     strides[MAX_RANK];
    LoopId      parallel[MAX_RANK], reduce[MAX_RANK];
    Affine      from[MAX_RANK], to = affine_const(0);
    mark_reduced(&n->attrs, x->rank, reduced);
    mean_strides(x, reduced, strides);
    for (int i = 0; i < x->rank; i++) {
        LoopId l = kernel_loop_if(k, "d", x->dims[i], reduced[i] ? REDUCE : PARALLEL, AXIS_NONE);
        parallel[i] = reduced[i] ? 0 : l;
        reduce[i] = reduced[i] ? l : 0;
        from[i] = affine_loop(l);
        to = affine_add(to, affine_scale(from[i], strides[i]));
    }
    TempId sum = kernel_temp(k, "sum", (VType){F32, 1});
    double count = (double)(type_count(x) / type_count(&value_get(g, n->out)->type));
    Stmt  *body = st_block(k);
    Stmt  *step = st_set(k, sum, ASSIGN_ADD, lower_load_plain(g, k, n->in[0], from));
    st_add(k, body, st_set(k, sum, ASSIGN, ex_const(k, 0)));
    st_add(k, body, lower_nest(k, reduce, x->rank, step));
    const Expr *mean = ex_binary(k, B_MUL, ex_temp(k, sum), ex_const(k, 1 / count));
    st_add(k, body, st_store(k, lower_buffer(g, k, n->out), to, ASSIGN, mean));
    st_add(k, k->body, lower_nest(k, parallel, x->rank, body));
}
