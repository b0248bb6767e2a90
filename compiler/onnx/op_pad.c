/* op_pad.c - Pad, on any axis: kiln's pad does the rows and columns of N, C, H, W, and every tensor can be
 * seen as such. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

typedef struct Padding {
    int64_t before[MAX_RANK], after[MAX_RANK]; /* of each dimension; negative: taken away */
    PadMode mode;
    double  value;
} Padding;

static bool read_mode(Importer *im, OnnxNode *n, PadMode *mode)
{
    static const char *const names[] = {"constant", "reflect", "edge"};
    const char              *name = attr_string(im, n, "mode", "constant");
    for (int i = 0; name && i < (int)COUNT_OF(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *mode = (PadMode)i;
            return true;
        }
    return name && node_error(im, n,
                              "mode '%s' is not supported; expected 'constant', 'reflect' or "
                              "'edge'",
                              text_printable(im->arena, name));
}

/* Pads and value are attributes up to opset 10, inputs from 11 on; axes came with opset 18. */
static bool read_padding(Importer *im, OnnxNode *n, int rank, Padding *p)
{
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
    bool    is_old = im->opset < 11;
    int     n_axes = rank, count;
    *p = (Padding){.value = is_old ? attr_float(n, "value", 0) : 0};
    count = is_old ? attr_ints(im, n, "pads", pads, 2 * MAX_RANK)
                   : arg_ints(im, n, 1, "pads", pads, 2 * MAX_RANK);
    if (count < 0 || !read_mode(im, n, &p->mode))
        return false;
    if (arg_present(n, 2) && !arg_number(im, n, 2, "constant_value", &p->value))
        return false;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (arg_present(n, 3))
        n_axes = arg_ints(im, n, 3, "axes", axes, MAX_RANK);
    if (n_axes < 0 || !node_axes(im, n, rank, n_axes, axes))
        return false;
    if (count != 2 * n_axes)
        return node_error(im, n,
                          "pads has %d entries, expected %d: a start and an end for each of %d "
                          "axes",
                          count, 2 * n_axes, n_axes);
    for (int i = 0; i < n_axes; i++) {
        p->before[axes[i]] = pads[i];
        p->after[axes[i]] = pads[n_axes + i];
        if ((pads[i] < 0 || pads[n_axes + i] < 0) && p->mode != PAD_MODE_CONSTANT)
            return node_error(im, n, "negative pads are supported in mode 'constant' alone");
    }
    return true;
}

/* What negative pads take away. */
static ValueId cut(Importer *im, OnnxNode *n, ValueId x, const Padding *p)
{
    Type t = node_type(im, x);
    for (int d = 0; d < t.rank; d++) {
        int64_t before = p->before[d] < 0 ? p->before[d] : 0;
        int64_t after = p->after[d] < 0 ? p->after[d] : 0, extent = t.dims[d];
        if (before <= -extent || after <= -extent || before + after <= -extent)
            return node_error(im, n, "pads leave nothing of axis %d, which has extent %" PRId64, d,
                              extent);
        x = make_slice(im, n, x, d, -before, extent + before + after, 1);
    }
    return x;
}

static ValueId pad_planes(Importer *im, OnnxNode *n, ValueId x, const Padding *p,
                          const int64_t padding[4])
{
    OpAttrs a = attrs_default(OP_pad);
    a.mode = p->mode;
    a.value = p->mode == PAD_MODE_CONSTANT ? p->value : 0;
    memcpy(a.padding, padding, sizeof a.padding);
    return node_add(im, n, OP_pad, 1, &x, &a);
}

/* One axis, as the rows of [1, dims before, extent, dims after]. The columns of N, C, L stay columns: that
 * is how convolutions in one dimension are done. */
static ValueId pad_axis(Importer *im, OnnxNode *n, ValueId x, const Padding *p, int axis)
{
    if (!x)
        return 0;
    Type    t = node_type(im, x);
    int64_t before = p->before[axis] > 0 ? p->before[axis] : 0;
    int64_t after = p->after[axis] > 0 ? p->after[axis] : 0;
    if (before == 0 && after == 0)
        return x;
    int64_t planes[4] = {1, 1, t.dims[axis], 1}, line[4] = {t.dims[0], t.dims[1], 1, t.dims[2]};
    bool    is_line = t.rank == 3 && axis == 2;
    for (int d = 0; d < t.rank; d++)
        if (d != axis)
            planes[d < axis ? 1 : 3] *= t.dims[d];
    ValueId y = make_reshape(im, n, x, 4, is_line ? line : planes);
    y = pad_planes(im, n, y, p,
                   (int64_t[]){is_line ? 0 : before, is_line ? before : 0, is_line ? 0 : after,
                               is_line ? after : 0});
    if (!y)
        return 0;
    t.dims[axis] += before + after;
    return make_reshape(im, n, y, t.rank, t.dims);
}

ONNX_IMPORT(pad)
{
    Padding p;
    ValueId x = arg_value(im, n, 0, "data");
    if (!x || !read_padding(im, n, node_type(im, x).rank, &p) || !(x = cut(im, n, x, &p)))
        return false;
    int rank = node_type(im, x).rank, axes = rank;
    if (rank == 4) {
        int64_t padding[4] = {p.before[2], p.before[3], p.after[2], p.after[3]}, sum = 0;
        for (int i = 0; i < 4; i++)
            sum += padding[i] = padding[i] < 0 ? 0 : padding[i];
        if (sum)
            x = pad_planes(im, n, x, &p, padding);
        axes = 2;
    }
    for (int d = 0; d < axes; d++)
        x = pad_axis(im, n, x, &p, d);
    return node_result(im, n, 0, x);
}
