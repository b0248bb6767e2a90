/* window.c - sliding windows: the attributes that convolutions and pools share.
 *
 * The graph's windows slide over rows and columns. One dimension is seen as one row. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

/* read_list - `n` entries of a list of at least `least`; where it is not given, *out stays. */
static bool read_list(Importer *im, const OnnxNode *n, const char *name, int count, int64_t least,
                      int64_t *out)
{
    int64_t v[2 * WINDOW_MAX];
    int     given = attr_ints(im, n, name, v, 2 * WINDOW_MAX);
    if (given < 0)
        return false;
    if (!attr_given(n, name))
        return true;
    if (given != count)
        return node_error(im, n, "%s has %d entries, expected %d", name, given, count);
    for (int i = 0; i < count; i++) {
        if (v[i] < least || v[i] > (int64_t)ATTR_MAX_INT)
            return node_error(im, n, "%s[%d] is %" PRId64 ", expected %" PRId64 " to 2^31", name, i,
                              v[i], least);
        out[i] = v[i];
    }
    return true;
}

bool window_read(Importer *im, const OnnxNode *n, int spatial, Window *w)
{
    int64_t pads[2 * WINDOW_MAX] = {0};
    w->spatial = spatial;
    for (int i = 0; i < spatial; i++)
        w->strides[i] = w->dilations[i] = 1;
    if (!read_list(im, n, "kernel_shape", spatial, 1, w->kernel) ||
        !read_list(im, n, "strides", spatial, 1, w->strides) ||
        !read_list(im, n, "dilations", spatial, 1, w->dilations) ||
        !read_list(im, n, "pads", 2 * spatial, 0, pads))
        return false;
    for (int i = 0; i < spatial; i++) {
        w->begin[i] = pads[i];
        w->end[i] = pads[spatial + i];
    }
    return true;
}

int64_t window_reach(const Window *w, int i)
{
    return (w->kernel[i] - 1) * w->dilations[i] + 1;
}

void window_split(Window *w, int i, int64_t total, bool more_at_end)
{
    int64_t less = total / 2;
    w->begin[i] = more_at_end ? less : total - less;
    w->end[i] = more_at_end ? total - less : less;
}

WindowPads window_auto_pad(Importer *im, const OnnxNode *n)
{
    static const char *const rules[] = {
        [PADS_GIVEN] = "NOTSET",
        [PADS_VALID] = "VALID",
        [PADS_SAME_UPPER] = "SAME_UPPER",
        [PADS_SAME_LOWER] = "SAME_LOWER",
    };
    const char *given = attr_string(im, n, "auto_pad", "NOTSET");
    for (size_t i = PADS_GIVEN; i < COUNT_OF(rules); i++)
        if (!strcmp(given, rules[i]))
            return (WindowPads)i;
    node_error(im, n, "auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, got '%s'",
               text_printable(im->arena, given));
    return PADS_WRONG;
}

bool window_pad(Importer *im, const OnnxNode *n, const int64_t *in, Window *w)
{
    WindowPads rule = window_auto_pad(im, n);
    for (int i = 0; i < w->spatial && rule > PADS_GIVEN; i++) {
        int64_t out = (in[i] - 1) / w->strides[i] + 1;
        int64_t total = (out - 1) * w->strides[i] + window_reach(w, i) - in[i];
        window_split(w, i, rule == PADS_VALID || total < 0 ? 0 : total, rule == PADS_SAME_UPPER);
    }
    return rule != PADS_WRONG;
}

void window_attrs(const Window *w, int rows, int columns, OpAttrs *a)
{
    const int dims[2] = {rows, columns};
    for (int i = 0; i < 2; i++) {
        int d = dims[i];
        a->kernel[i] = d < 0 ? 1 : w->kernel[d];
        a->strides[i] = d < 0 ? 1 : w->strides[d];
        a->dilations[i] = d < 0 ? 1 : w->dilations[d];
        a->padding[i] = d < 0 ? 0 : w->begin[d];
        a->padding[i + 2] = d < 0 ? 0 : w->end[d];
    }
}

ValueId window_rows(Importer *im, OnnxNode *n, ValueId x)
{
    Type t = node_type(im, x);
    if (t.rank != 3)
        return x;
    return make_reshape(im, n, x, 4, (int64_t[]){t.dims[0], t.dims[1], 1, t.dims[2]});
}

ValueId window_row(Importer *im, OnnxNode *n, ValueId y)
{
    if (!y)
        return 0;
    Type t = node_type(im, y);
    return make_reshape(im, n, y, 3, (int64_t[]){t.dims[0], t.dims[1], t.dims[3]});
}
