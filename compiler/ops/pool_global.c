/* pool_global.c - pooling over windows that follow from the shapes: global and adaptive. */
#include "ops/ops.h"

#include <inttypes.h>
#include <math.h>

/* ---- global_avg_pool, global_max_pool ---------------------------------------------------- */

NO_ATTRS(global_avg_pool);
NO_ATTRS(global_max_pool);

static bool shape_global(Graph *g, NodeId n)
{
    if (!shape_floats(g, n) || !shape_rank(g, n, 4))
        return false;
    Type x = *shape_in(g, n, 0);
    return shape_set(g, n, F32, 4, (int64_t[]){x.dims[0], x.dims[1], 1, 1});
}

bool shape_global_avg_pool(Graph *g, NodeId n)
{
    return shape_global(g, n);
}

bool shape_global_max_pool(Graph *g, NodeId n)
{
    return shape_global(g, n);
}

void eval_global_avg_pool(const Node *n, const Array *const in[], Array *out)
{
    int64_t       planes = type_count(&out->type), pixels = type_count(&in[0]->type) / planes;
    const double *x = in[0]->data;
    (void)n;
    for (int64_t p = 0; p < planes; p++) {
        double sum = 0;
        for (int64_t i = 0; i < pixels; i++)
            sum += *x++;
        out->data[p] = sum / (double)pixels;
    }
}

void eval_global_max_pool(const Node *n, const Array *const in[], Array *out)
{
    int64_t       planes = type_count(&out->type), pixels = type_count(&in[0]->type) / planes;
    const double *x = in[0]->data;
    (void)n;
    for (int64_t p = 0; p < planes; p++) {
        double largest = -INFINITY;
        for (int64_t i = 0; i < pixels; i++, x++)
            largest = *x > largest ? *x : largest;
        out->data[p] = largest;
    }
}

/* for n, c:  acc = x[n, c, 0, 0] op x[n, c, 0, 1] op ... */
static void lower_global(Graph *g, NodeId id, Kernel *k, bool is_max)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type;
    At          at, from;
    LoopId      loops[5];
    lower_zero_halo(g, k, n->out);
    lower_loops(g, k, n->out, &at, loops);
    if (loops[1])
        k->loops[loops[1]].axis = AXIS_N; /* several sums at a time hide the latency of an add */
    from = at;
    LoopId h = kernel_loop_if(k, "h", x->dims[2], REDUCE, AXIS_NONE);
    LoopId w = kernel_loop_if(k, "w", x->dims[3], REDUCE, AXIS_K);
    from.h = affine_loop(h);
    from.w = affine_loop(w);
    TempId acc = kernel_temp(k, "acc", vtype(F32, 1));
    Stmt  *step =
        st_set(k, acc, is_max ? ASSIGN_MAX : ASSIGN_ADD, lower_load(g, k, n->in[0], x, &from));
    Stmt *body = st_block(k);
    st_add(k, body, st_set(k, acc, ASSIGN, ex_const(k, is_max ? -INFINITY : 0)));
    st_add(k, body, lower_nest(k, (LoopId[]){h, w}, 2, step));
    const Expr *value = ex_temp(k, acc);
    if (!is_max)
        value =
            ex_binary(k, B_MUL, value, ex_const(k, 1 / ((double)x->dims[2] * (double)x->dims[3])));
    st_add(k, body, lower_store(g, k, n->out, &at, lower_epilogue(g, k, n, value, &at)));
    st_add(k, k->body, lower_nest(k, loops, 5, body));
}

void lower_global_avg_pool(Graph *g, NodeId n, Kernel *k)
{
    lower_global(g, n, k, false);
}

void lower_global_max_pool(Graph *g, NodeId n, Kernel *k)
{
    lower_global(g, n, k, true);
}

/* ---- adaptive_avg_pool ------------------------------------------------------------------ */

const AttrSpec attrs_adaptive_avg_pool[] = {
    ATTR_NAMED("output", list, ATTR_LIST, .required = true, .min = 1, .max = ATTR_MAX_INT),
};
ATTRS_END(adaptive_avg_pool);

#define MAX_WINDOW_SHAPES 4096

/* Windows along one axis. Output o covers [floor(o * in / out), ceil((o + 1) * in / out)). With
 * g = gcd(in, out) the windows repeat: o = q * period + r starts at q * step + start(r). */
typedef struct Windows {
    int64_t in, out, period, step, repeats;
} Windows;

static Windows adaptive_windows(int64_t in, int64_t out)
{
    int64_t g = greatest_divisor(in, out);
    return (Windows){in, out, out / g, in / g, g};
}

static int64_t window_start(const Windows *w, int64_t o)
{
    return o / w->period * w->step + o % w->period * w->in / w->out;
}

static int64_t window_end(const Windows *w, int64_t o)
{
    return o / w->period * w->step + ((o % w->period + 1) * w->in + w->out - 1) / w->out;
}

bool shape_adaptive_avg_pool(Graph *g, NodeId n)
{
    if (!shape_floats(g, n) || !shape_rank(g, n, 4))
        return false;
    const IntList *out = &node_get(g, n)->attrs.list;
    Type           x = *shape_in(g, n, 0);
    if (out->n != 2)
        return shape_error(g, n, "output has %d entries, expected 2: [h, w]", out->n);
    Windows h = adaptive_windows(x.dims[2], out->v[0]), w = adaptive_windows(x.dims[3], out->v[1]);
    int64_t shapes;
    if (!mul_ok(h.period, w.period, &shapes) || shapes > MAX_WINDOW_SHAPES)
        return shape_error(g, n,
                           "%" PRId64 "x%" PRId64 " windows of different size or alignment, "
                           "expected at most %d",
                           h.period, w.period, MAX_WINDOW_SHAPES);
    return shape_set(g, n, F32, 4, (int64_t[]){x.dims[0], x.dims[1], out->v[0], out->v[1]});
}

void eval_adaptive_avg_pool(const Node *n, const Array *const in[], Array *out)
{
    const int64_t *xd = in[0]->type.dims, *yd = out->type.dims;
    const Windows  hs = adaptive_windows(xd[2], yd[2]), ws = adaptive_windows(xd[3], yd[3]);
    double        *y = out->data;
    (void)n;
    for (int64_t plane = 0; plane < yd[0] * yd[1]; plane++)
        for (int64_t oh = 0; oh < yd[2]; oh++)
            for (int64_t ow = 0; ow < yd[3]; ow++) {
                int64_t h0 = window_start(&hs, oh), h1 = window_end(&hs, oh);
                int64_t w0 = window_start(&ws, ow), w1 = window_end(&ws, ow);
                double  sum = 0;
                for (int64_t h = h0; h < h1; h++)
                    for (int64_t w = w0; w < w1; w++)
                        sum += in[0]->data[(plane * xd[2] + h) * xd[3] + w];
                *y++ = sum / ((double)(h1 - h0) * (double)(w1 - w0));
            }
}

/* The loops of one axis for the windows of remainder r: which output, and what it reads. */
static LoopId repeat_loop(Kernel *k, const char *name, const Windows *w, int64_t r, Affine *o)
{
    LoopId l = kernel_loop_if(k, name, w->repeats, PARALLEL, AXIS_NONE);
    *o = affine_offset(affine_scale(affine_loop(l), w->period), r);
    return l;
}

static LoopId tap_loop(Kernel *k, const char *name, const Windows *w, int64_t r, LoopId repeat,
                       Affine *i)
{
    int64_t start = window_start(w, r);
    LoopId  l = kernel_loop_if(k, name, window_end(w, r) - start, REDUCE, AXIS_NONE);
    *i = affine_add(affine_scale(affine_loop(repeat), w->step), affine_loop(l));
    *i = affine_offset(*i, start);
    return l;
}

/* One nest for the outputs whose row has remainder r[0] and whose column has remainder r[1]. */
static void adaptive_nest(Graph *g, Kernel *k, const Node *n, const Windows windows[2],
                          const int64_t r[2])
{
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    int64_t     block = y->layout.block;
    LoopId      image = kernel_loop_if(k, "n", y->dims[0], PARALLEL, AXIS_NONE);
    LoopId      c = kernel_loop_if(k, "c", (y->dims[1] + block - 1) / block, PARALLEL, AXIS_NONE);
    LoopId      cl = kernel_loop_if(k, "cl", block, PARALLEL, AXIS_LANE);
    At at = {.block = block, .n = affine_loop(image), .cb = affine_loop(c), .cl = affine_loop(cl)};
    At from = at;
    LoopId oh = repeat_loop(k, "oh", &windows[0], r[0], &at.h);
    LoopId ow = repeat_loop(k, "ow", &windows[1], r[1], &at.w);
    LoopId kh = tap_loop(k, "kh", &windows[0], r[0], oh, &from.h);
    LoopId kw = tap_loop(k, "kw", &windows[1], r[1], ow, &from.w);
    TempId acc = kernel_temp(k, "acc", vtype(F32, 1));
    Stmt  *step = st_set(k, acc, ASSIGN_ADD, lower_load(g, k, n->in[0], x, &from));
    Stmt  *body = st_block(k);
    st_add(k, body, st_set(k, acc, ASSIGN, ex_const(k, 0)));
    st_add(k, body, lower_nest(k, (LoopId[]){kh, kw}, 2, step));
    double      rows = (double)(window_end(&windows[0], r[0]) - window_start(&windows[0], r[0]));
    double      columns = (double)(window_end(&windows[1], r[1]) - window_start(&windows[1], r[1]));
    const Expr *mean = ex_binary(k, B_MUL, ex_temp(k, acc), ex_const(k, 1 / (rows * columns)));
    st_add(k, body, lower_store(g, k, n->out, &at, lower_epilogue(g, k, n, mean, &at)));
    st_add(k, k->body, lower_nest(k, (LoopId[]){image, c, oh, ow, cl}, 5, body));
}

void lower_adaptive_avg_pool(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    Windows     windows[2] = {adaptive_windows(x->dims[2], y->dims[2]),
                              adaptive_windows(x->dims[3], y->dims[3])};
    lower_zero_halo(g, k, n->out);
    for (int64_t rh = 0; rh < windows[0].period; rh++)
        for (int64_t rw = 0; rw < windows[1].period; rw++)
            adaptive_nest(g, k, n, windows, (int64_t[]){rh, rw});
}
