/* winograd_matrix.c - the matrices of Winograd's minimal filtering, and transformed filters.
 *
 * Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2015), equation 8: an m x m tile of
 * the output is  A^T [ (G g G^T) * (B^T d B) ] A  with d the (m+k-1)^2 tile of the input under it. Matrices
 * from the points by Toom and Cook; all of G's work is done here, in double precision; B and A have small
 * exact coefficients.
 *
 * A filter that moves by s is the sum of s filters that move by one, its phases: phase p has the taps
 * p, p + s ... of it and reads the inputs p, p + s ... of the tile. Each has matrices of its own, which stand
 * in B^T and G under each other and in A^T side by side: so the sum over phases is part of A^T's. A phase of
 * k' taps takes m + k' - 1 products, all of them (m - 1) s + k: as many as the tile has inputs. */
#include "ops/ops.h"
#include "target/target.h"

#include <math.h>
#include <string.h>

/* ---- the matrices ------------------------------------------------------------------------ */

#define MOST_POINTS 7

static const double points[MOST_POINTS] = {0, 1, -1, 2, -2, 0.5, -0.5};

/* A phase of a filter, and where its rows (of B^T and G) and columns (of A^T) begin. */
typedef struct Phase {
    int first, stride; /* of its taps, and of its inputs */
    int taps, n, at;   /* n: products */
} Phase;

static Phase phase_of(Winograd w, int first)
{
    Phase p = {.first = first, .stride = w.stride};
    p.taps = (w.k - first + w.stride - 1) / w.stride;
    p.n = w.m + p.taps - 1;
    for (int i = 0; i < first; i++)
        p.at += phase_of(w, i).n;
    return p;
}

/* Coefficients of the product of (x - points[l]) over l < n, l != skip; out[i * step] is that of x^i. */
static void polynomial(int n, int skip, double *out, int step)
{
    out[0] = 1;
    for (int l = 0, degree = 0; l < n; l++) {
        if (l == skip)
            continue;
        out[(degree + 1) * step] = 0;
        for (int i = degree + 1; i >= 0; i--)
            out[i * step] = (i > 0 ? out[(i - 1) * step] : 0) - points[l] * out[i * step];
        degree++;
    }
}

/* One tap is a product for each output: nothing is transformed. */
static void add_single(WinogradTransform *t, const Phase *p)
{
    for (int i = 0; i < p->n; i++) {
        t->b.at[p->at + i][p->first + i * p->stride] = 1;
        t->a.at[i][p->at + i] = 1;
    }
}

static void add_phase(WinogradTransform *t, const Phase *p)
{
    int m = t->a.rows, last = p->n - 1;
    for (int j = 0; j < last; j++) {
        for (int i = 0; i < m; i++)
            t->a.at[i][p->at + j] = pow(points[j], i);
        polynomial(last, j, &t->b.at[p->at + j][p->first], p->stride);
    }
    t->a.at[m - 1][p->at + last] = 1; /* the point at infinity */
    polynomial(last, -1, &t->b.at[p->at + last][p->first], p->stride);
}

WinogradTransform winograd_transform(Winograd w)
{
    int               n = winograd_edge(w);
    WinogradTransform t = {.b = {n, n, {{0}}}, .a = {w.m, n, {{0}}}};
    for (int i = 0; i < w.stride; i++) {
        Phase p = phase_of(w, i);
        (p.taps == 1 ? add_single : add_phase)(&t, &p);
    }
    return t;
}

/* The rows of G that a phase has: the powers of its points, and at infinity the last tap. */
static void add_rows(FilterTransform *t, const Phase *p)
{
    int last = p->taps == 1 ? p->n : p->n - 1;
    for (int j = 0; j < p->n; j++) {
        double *power = &t->power[p->at + j][p->first], norm = 1;
        for (int i = 0; i < p->taps; i++)
            power[i * p->stride] = j < last ? pow(points[j], i) : i == p->taps - 1;
        for (int l = 0; p->taps > 1 && j < last && l < last; l++)
            norm *= l == j ? 1 : points[j] - points[l];
        t->factor[p->at + j] = 1 / norm;
    }
}

FilterTransform winograd_filter(Winograd w)
{
    FilterTransform t = {.edge = winograd_edge(w), .k = w.k};
    for (int i = 0; i < w.stride; i++) {
        Phase p = phase_of(w, i);
        add_rows(&t, &p);
    }
    return t;
}

/* One number of each of a few filters, which are transformed at the same time. */
enum { FILTERS = 16 };
typedef double Filters __attribute__((vector_size(FILTERS * sizeof(double))));

/* powers_sum - of a number for every tap, x[0], x[step] ...: the sum of them times the powers of a row. */
static void powers_sum(const FilterTransform *t, int row, const Filters *x, int step, Filters *out)
{
    Filters sum = {0};
    for (int i = 0; i < t->k; i++)
        sum += t->power[row][i] * x[i * step];
    *out = sum;
}

/* transform_filters - filters with taps g[row * k + column]; `count` of them to to[0], to[1] ..., `step` from one
 * number of theirs to the next. */
static void transform_filters(const FilterTransform *t, const Filters *g, int64_t count, float *to,
                              int64_t step)
{
    for (int r = 0; r < t->edge; r++) {
        Filters half[WINOGRAD_TAPS], sum;
        for (int c = 0; c < t->k; c++)
            powers_sum(t, r, g + c, t->k, &half[c]);
        for (int c = 0; c < t->edge; c++, to += step) {
            powers_sum(t, c, half, 1, &sum);
            sum = sum * t->factor[r] * t->factor[c];
            for (int64_t l = 0; l < count; l++)
                to[l] = (float)sum[l];
        }
    }
}

Type winograd_type(const Tensor *plain, Winograd w)
{
    int64_t n = winograd_edge(w);
    return type_plain(F32, 3, (int64_t[]){n * n, plain->type.dims[0], plain->type.dims[1]});
}

const Tensor *winograd_weights(Arena *a, const View *v)
{
    const Tensor   *plain = v->plain;
    Winograd        w = v->winograd;
    FilterTransform t = winograd_filter(w);
    Type            type = winograd_type(plain, w);
    Tensor         *u = tensor_new(a, F32, 3, type.dims);
    float          *to = (float *)(uintptr_t)u->data; /* ours while it is in the making */
    int64_t         filters = type.dims[1] * type.dims[2], taps = (int64_t)w.k * w.k;
    for (int64_t q = 0, n; q < filters; q += n) {
        Filters g[WINOGRAD_TAPS * WINOGRAD_TAPS] = {{0}};
        n = filters - q < FILTERS ? filters - q : FILTERS;
        for (int64_t l = 0; l < n; l++)
            for (int64_t i = 0; i < taps; i++)
                g[i][l] = tensor_get(plain, (q + l) * taps + i);
        transform_filters(&t, g, n, to + q, filters);
    }
    return u;
}
