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
    int64_t    extents[2] = {w.dims[c->rank == 3 ? 3 : 2], w.dims[3]};
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
