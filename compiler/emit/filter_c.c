/* filter_c.c - the function that transforms a filter at start, for Winograd's method. */
#include "emit/emit.h"

#include "ops/ops.h"

static const char *number_list(Arena *a, const double *v, int n)
{
    Text t = text_new(a);
    for (int i = 0; i < n; i++)
        text_printf(&t, "%s%.17g", i ? ", " : "", v[i]);
    return t.data;
}

const char *filter_name(Arena *a, int m, int k, Elem e)
{
    return arena_printf(a, "winograd_%s_%dx%d_to_%dx%d", elem_name(e), k, k, m + k - 1, m + k - 1);
}

/* polynomial_c - `sum` is the polynomial with coefficients `text` at the point of `row`. */
static void polynomial_c(Writer *w, const FilterTransform *t, const char *row, const char *first,
                         const char *next)
{
    w_line(w, "double sum = %s;", first);
    w_open(w, "for (int i = %d; %s < %d && i >= 0; i--)", t->k - 2, row, t->edge - 1);
    w_line(w, "sum = %s + point[%s] * sum;", next, row);
    w_close(w, "");
}

/* tap_text - an element of the filter as a double. */
static const char *tap_text(Arena *a, Elem e, const char *tap)
{
    if (e == F32)
        return arena_printf(a, "(double)%s", tap);
    return arena_printf(a, "(double)%s(%s)", e == F16 ? "f16_to_f32" : "bf16_to_f32", tap);
}

/* filter_c - the function that transforms one filter, as winograd_filter says. */
const char *filter_c(Arena *a, int m, int k, Elem e)
{
    Writer          w = {.text = text_new(a)};
    FilterTransform t = winograd_filter(m, k);
    w_comment(&w,
              arena_printf(a,
                           "A %dx%d filter for tiles of %dx%d outputs, u = G g G^T: the rows of "
                           "G are the powers of a point, times a factor; the last row is the "
                           "last coefficient alone. Products by a point are exact, so the bits "
                           "do not depend on contraction.",
                           k, k, m, m));
    w_open(&w, "static void %s(const %s *restrict g, float *restrict u, ptrdiff_t step)",
           filter_name(a, m, k, e), c_type(NULL, vtype(e, 1)));
    w_line(&w, "static const double point[%d] = {%s};", t.edge - 1,
           number_list(a, t.point, t.edge - 1));
    w_line(&w, "static const double factor[%d] = {%s};", t.edge, number_list(a, t.factor, t.edge));
    w_line(&w, "double half[%d];", t.edge * k);
    w_open(&w, "for (int r = 0; r < %d; r++)", t.edge);
    w_open(&w, "for (int c = 0; c < %d; c++)", k);
    polynomial_c(&w, &t, "r", tap_text(a, e, arena_printf(a, "g[%d + c]", (k - 1) * k)),
                 tap_text(a, e, arena_printf(a, "g[i * %d + c]", k)));
    w_line(&w, "half[r * %d + c] = sum;", k);
    w_close(&w, "");
    w_close(&w, "");
    w_open(&w, "for (int r = 0; r < %d; r++)", t.edge);
    w_open(&w, "for (int c = 0; c < %d; c++)", t.edge);
    polynomial_c(&w, &t, "c", arena_printf(a, "half[r * %d + %d]", k, k - 1),
                 arena_printf(a, "half[r * %d + i]", k));
    w_line(&w, "u[(r * %d + c) * step] = (float)(sum * factor[r] * factor[c]);", t.edge);
    w_close(&w, "");
    w_close(&w, "");
    w_close(&w, "");
    return w.text.data;
}
