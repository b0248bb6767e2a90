/* op_conv.c - Conv, ConvTranspose. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

/* What a convolution computes with. */
typedef struct Conv {
    ValueId x, weight, bias; /* one dimension seen as one row; bias 0: none */
    int     rank;            /* of the input as the model has it */
    Type    in;              /* its type, with rows */
    Window  window;
    OpAttrs attrs;
} Conv;

/* read_weight - the weights as a value of rank 4; 0: reported. */
static ValueId read_weight(Importer *im, OnnxNode *n, int rank)
{
    const Tensor *t = arg_tensor(im, n, 1, "the weights");
    if (!t)
        return 0;
    if (t->type.rank != rank) {
        node_error(im, n, "the weights have rank %d, expected %d as the input", t->type.rank, rank);
        return 0;
    }
    if (rank == 4)
        return arg_value(im, n, 1, "the weights");
    const int64_t *d = t->type.dims;
    Tensor        *rows = arena_struct(im->arena, Tensor);
    *rows = (Tensor){type_plain(F32, 4, (int64_t[]){d[0], d[1], 1, d[2]}), t->data};
    return arg_derived(im, n, 1, rows);
}

/* read_kernel - kernel_shape, which the weights repeat. */
static bool read_kernel(Importer *im, const OnnxNode *n, Conv *c)
{
    const Type w = node_type(im, c->weight);
    int64_t    extents[WINDOW_MAX] = {w.dims[c->rank == 3 ? 3 : 2], w.dims[3]};
    if (!window_read(im, n, c->rank - 2, &c->window))
        return false;
    for (int i = 0; i < c->window.spatial; i++) {
        if (attr_given(n, "kernel_shape") && c->window.kernel[i] != extents[i])
            return node_error(im, n, "kernel_shape[%d] is %" PRId64 ", the weights have %" PRId64,
                              i, c->window.kernel[i], extents[i]);
        c->window.kernel[i] = extents[i];
    }
    return true;
}

static bool read_conv(Importer *im, OnnxNode *n, Conv *c)
{
    ValueId x = arg_value(im, n, 0, "X");
    if (!x)
        return false;
    c->rank = node_type(im, x).rank;
    if (c->rank != 3 && c->rank != 4)
        return node_error(im, n,
                          "input of rank %d; kiln convolves over 1 or 2 dimensions, expected "
                          "rank 3 or 4",
                          c->rank);
    c->x = window_rows(im, n, x);
    c->weight = read_weight(im, n, c->rank);
    c->bias = 0;
    if (arg_present(n, 2)) {
        if (!arg_tensor(im, n, 2, "the bias"))
            return false;
        c->bias = arg_value(im, n, 2, "the bias");
    }
    if (!c->x || !c->weight || (arg_present(n, 2) && !c->bias) || !read_kernel(im, n, c))
        return false;
    c->in = node_type(im, c->x);
    return true;
}

/* add_conv - the node, its result with as many dimensions as the model's. */
static bool add_conv(Importer *im, OnnxNode *n, Op op, Conv *c)
{
    ValueId in[3] = {c->x, c->weight, c->bias};
    window_attrs(&c->window, c->rank - 4, c->rank - 3, &c->attrs);
    memset(c->attrs.kernel, 0, sizeof c->attrs.kernel); /* the weights say it */
    c->attrs.groups = attr_int(n, "group", 1);
    ValueId y = node_add(im, n, op, c->bias ? 3 : 2, in, &c->attrs);
    return node_result(im, n, 0, c->rank == 3 ? window_row(im, n, y) : y);
}

ONNX_IMPORT(conv)
{
    Conv c = {.attrs = attrs_default(OP_conv2d)};
    return read_conv(im, n, &c) && window_pad(im, n, &c.in.dims[6 - c.rank], &c.window) &&
           add_conv(im, n, OP_conv2d, &c);
}

/* ---- ConvTranspose --------------------------------------------------------------------------- */

/* read_extents - the extents that auto_pad or output_shape ask for; false: reported. *has says whether
 * anything does. output_shape may repeat the batch and the channels. */
static bool read_extents(Importer *im, const OnnxNode *n, const Conv *c, WindowPads rule,
                         int64_t *out, bool *has)
{
    int64_t given[WINDOW_MAX + 2], spatial = c->window.spatial;
    int     count = attr_ints(im, n, "output_shape", given, WINDOW_MAX + 2);
    if (count < 0 || rule == PADS_WRONG)
        return false;
    if (count && count != spatial && count != spatial + 2)
        return node_error(im, n, "output_shape has %d entries, expected %d", count, (int)spatial);
    *has = count || rule == PADS_SAME_UPPER || rule == PADS_SAME_LOWER;
    for (int i = 0; i < spatial; i++) {
        int64_t in = c->in.dims[4 - spatial + i];
        if (!count && !mul_ok(in, c->window.strides[i], &out[i]))
            return node_error(im, n, "the output is too large");
        if (count)
            out[i] = given[count - spatial + i];
        if (*has && (out[i] < 1 || out[i] > KNOWN_MAX_DIM))
            return node_error(im, n, "the output has extent %" PRId64 ", expected 1 to 2^40",
                              out[i]);
    }
    return true;
}

/* settle_extents - padding, and rows at the end, so that the output has these extents. */
static bool settle_extents(Importer *im, const OnnxNode *n, Conv *c, const int64_t *out,
                           bool more_at_end)
{
    Window *w = &c->window;
    for (int i = 0; i < w->spatial; i++) {
        int     attr = 2 - w->spatial + i;
        int64_t steps, in = c->in.dims[2 + attr];
        if (!mul_ok(in - 1, w->strides[i], &steps) || steps > KNOWN_MAX_DIM)
            return node_error(im, n, "the output is too large");
        int64_t total = steps + c->attrs.output_padding[attr] + window_reach(w, i) - out[i];
        window_split(w, i, total > 0 ? total : 0, more_at_end);
        if (total < 0)
            c->attrs.output_padding[attr] -= total;
    }
    return true;
}

static bool read_output_padding(Importer *im, const OnnxNode *n, Conv *c)
{
    int64_t given[WINDOW_MAX];
    int     spatial = c->window.spatial, count = attr_ints(im, n, "output_padding", given, spatial);
    if (count < 0)
        return false;
    if (count && count != spatial)
        return node_error(im, n, "output_padding has %d entries, expected %d", count, spatial);
    for (int i = 0; i < count; i++)
        c->attrs.output_padding[2 - spatial + i] = given[i];
    const char *fault = attrs_fault(im->arena, OP_conv_transpose, &c->attrs);
    return !fault || node_error(im, n, "%s", fault);
}

ONNX_IMPORT(conv_transpose)
{
    Conv    c = {.attrs = attrs_default(OP_conv_transpose)};
    int64_t out[WINDOW_MAX];
    bool    has_extents = false;
    if (!read_conv(im, n, &c) || !read_output_padding(im, n, &c))
        return false;
    WindowPads rule = window_auto_pad(im, n);
    if (!read_extents(im, n, &c, rule, out, &has_extents))
        return false;
    if (has_extents && !settle_extents(im, n, &c, out, rule == PADS_SAME_UPPER))
        return false;
    if (!has_extents && rule == PADS_VALID)
        for (int i = 0; i < c.window.spatial; i++)
            window_split(&c.window, i, 0, false);
    return add_conv(im, n, OP_conv_transpose, &c);
}
