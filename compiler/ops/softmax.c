/* softmax.c - softmax, log_softmax, arg_max, reduce_mean: reductions along axes of a plain tensor.
 */
#include "ops/ops.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define AXIS(default_)                                                                             \
    ATTR(axis, ATTR_INT, .fallback = default_, .min = -MAX_RANK, .max = MAX_RANK - 1)

/* ---- softmax, log_softmax --------------------------------------------------------------- */

const AttrSpec attrs_softmax[] = {AXIS(-1)};
ATTRS_END(softmax);

const AttrSpec attrs_log_softmax[] = {AXIS(-1)};
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
    int64_t  extent, inner;
    LoopId   o, i;
    BufferId x;
} Lines;

static Lines axis_lines(Graph *g, Kernel *k, const Node *n)
{
    const Type *x = &value_get(g, n->in[0])->type;
    Lines       l;
    int64_t     outer;
    axis_spans(x, axis_from_end(n->attrs.axis, x->rank), &outer, &l.extent, &l.inner);
    l.o = kernel_loop_if(k, "o", outer, PARALLEL, AXIS_NONE);
    l.i = kernel_loop_if(k, "i", l.inner, PARALLEL, AXIS_LANE);
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
    TempId m = kernel_temp(k, "m", vtype(F32, 1));
    LoopId c = along(k, l);
    st_add(k, body, st_set(k, m, ASSIGN, ex_const(k, -INFINITY)));
    Stmt *step = st_set(k, m, ASSIGN_MAX, ex_load(k, l->x, line_index(l, c)));
    st_add(k, body, st_for(k, c, step));
    return m;
}

/* s = sum of exp(x - m) over the line; each term is also stored in y where `keep_terms`. */
static TempId sum_of_line(Kernel *k, const Lines *l, TempId m, BufferId y, bool keep_terms,
                          Stmt *body)
{
    TempId s = kernel_temp(k, "s", vtype(F32, 1)), t = kernel_temp(k, "t", vtype(F32, 1));
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
    TempId      whole = kernel_temp(k, is_log ? "log_s" : "inv", vtype(F32, 1));
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
    AXIS(1),
    ATTR(keepdims, ATTR_BOOL, .fallback = 0),
    ATTR(select_last_index, ATTR_BOOL, .fallback = 0),
};
ATTRS_END(arg_max);

#define MAX_ARG_MAX ((int64_t)1 << 24) /* indices up to here are exact in f32 */

/* The axis goes or, with keepdims, becomes 1; so does a vector's, for there is no rank 0. */
bool shape_arg_max(Graph *g, NodeId n)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    Type           x = *shape_in(g, n, 0);
    int            axis;
    if (!shape_floats(g, n) || !shape_axis(g, n, a->axis, x.rank, x.rank, &axis))
        return false;
    if (x.dims[axis] > MAX_ARG_MAX)
        return shape_error(g, n, "axis %d has %" PRId64 " elements, expected at most %" PRId64,
                           axis, x.dims[axis], MAX_ARG_MAX);
    x.dims[axis] = 1;
    if (!a->keepdims && x.rank > 1) {
        x.rank--;
        memmove(x.dims + axis, x.dims + axis + 1, (size_t)(x.rank - axis) * sizeof x.dims[0]);
    }
    return shape_set(g, n, I32, x.rank, x.dims);
}

void eval_arg_max(const Node *n, const Array *const in[], Array *out)
{
    int64_t       outer, extent, inner;
    const double *x = in[0]->data;
    axis_spans(&in[0]->type, axis_from_end(n->attrs.axis, in[0]->type.rank), &outer, &extent,
               &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            const double *line = x + o * extent * inner + i;
            int64_t       best = 0;
            for (int64_t a = 1; a < extent; a++) {
                double x_a = line[a * inner], largest = line[best * inner];
                if (n->attrs.select_last_index ? x_a >= largest : x_a > largest)
                    best = a;
            }
            out->data[o * inner + i] = (double)best;
        }
}

/* The first place of the maximum, without a branch: of all places c where x is the maximum, the one
 * with the largest extent - c. The last: the one with the largest c + 1. */
void lower_arg_max(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    Lines       l = axis_lines(g, k, n);
    Stmt       *body = st_block(k);
    TempId      m = largest_of_line(k, &l, body);
    TempId      best = kernel_temp(k, "best", vtype(F32, 1));
    LoopId      c = along(k, &l);
    bool        is_last = n->attrs.select_last_index;
    Affine      rank = is_last ? affine_offset(affine_loop(c), 1)
                               : affine_offset(affine_scale(affine_loop(c), -1), l.extent);
    const Expr *is_max = ex_binary(k, B_EQ, ex_load(k, l.x, line_index(&l, c)), ex_temp(k, m));
    Stmt       *step = st_set(k, best, ASSIGN_MAX, ex_binary(k, B_MUL, is_max, ex_index(k, rank)));
    st_add(k, body, st_set(k, best, ASSIGN, ex_const(k, 1)));
    st_add(k, body, st_for(k, c, step));
    const Expr *place = is_last
                            ? ex_binary(k, B_SUB, ex_temp(k, best), ex_const(k, 1))
                            : ex_binary(k, B_SUB, ex_const(k, (double)l.extent), ex_temp(k, best));
    Affine      at = affine_add(affine_scale(affine_loop(l.o), l.inner), affine_loop(l.i));
    st_add(k, body, st_store(k, lower_buffer(g, k, n->out), at, ASSIGN, ex_cast(k, I32, place)));
    st_add(k, k->body, lower_nest(k, (LoopId[]){l.o, l.i}, 2, body));
}
