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

const char *filter_name(Arena *a, Winograd size, Elem e)
{
    int edge = winograd_edge(size);
    return arena_printf(a, "winograd_%s_%dx%d_%sto_%dx%d", elem_name(e), size.k, size.k,
                        size.stride > 1 ? "stride2_" : "", edge, edge);
}

/* sum_c - `sum` is that of the taps, of which `tap` is number i, times the powers of `row`. */
static void sum_c(Writer *w, const FilterTransform *t, const char *row, const char *tap)
{
    w_line(w, "double sum = 0;");
    w_open(w, "for (int i = 0; i < %d; i++)", t->k);
    w_line(w, "sum += power[%s][i] * %s;", row, tap);
    w_close(w, "");
}

static void powers_c(Writer *w, Arena *a, const FilterTransform *t)
{
    w_open(w, "static const double power[%d][%d] =", t->edge, t->k);
    for (int r = 0; r < t->edge; r++)
        w_line(w, "{%s},", number_list(a, t->power[r], t->k));
    w_close(w, ";");
}

/* tap_text - an element of the filter as a double. */
static const char *tap_text(Arena *a, Elem e, const char *tap)
{
    if (e == F32)
        return arena_printf(a, "(double)%s", tap);
    return arena_printf(a, "(double)%s(%s)", e == F16 ? "f16_to_f32" : "bf16_to_f32", tap);
}

/* filter_c - the function that transforms one filter, as winograd_filter says. */
const char *filter_c(Arena *a, Winograd size, Elem e)
{
    Writer          w = {.text = text_new(a)};
    FilterTransform t = winograd_filter(size);
    int             k = size.k;
    w_comment(&w,
              arena_printf(a,
                           "A %dx%d filter for tiles of %dx%d outputs, u = G g G^T: each row of G "
                           "is powers of a point, times a factor. Products by a power are exact, "
                           "so the bits do not depend on contraction.",
                           k, k, size.m, size.m));
    w_open(&w, "static void %s(const %s *restrict g, float *restrict u, ptrdiff_t step)",
           filter_name(a, size, e), c_type(NULL, vtype(e, 1)));
    powers_c(&w, a, &t);
    w_line(&w, "static const double factor[%d] = {%s};", t.edge, number_list(a, t.factor, t.edge));
    w_line(&w, "double half[%d];", t.edge * k);
    w_open(&w, "for (int r = 0; r < %d; r++)", t.edge);
    w_open(&w, "for (int c = 0; c < %d; c++)", k);
    sum_c(&w, &t, "r", tap_text(a, e, arena_printf(a, "g[i * %d + c]", k)));
    w_line(&w, "half[r * %d + c] = sum;", k);
    w_close(&w, "");
    w_close(&w, "");
    w_open(&w, "for (int r = 0; r < %d; r++)", t.edge);
    w_open(&w, "for (int c = 0; c < %d; c++)", t.edge);
    sum_c(&w, &t, "c", arena_printf(a, "half[r * %d + i]", k));
    w_line(&w, "u[(r * %d + c) * step] = (float)(sum * factor[r] * factor[c]);", t.edge);
    w_close(&w, "");
    w_close(&w, "");
    w_close(&w, "");
    return w.text.data;
}
