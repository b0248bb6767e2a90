/* op_pool.c - pools over a window and over whole planes. */
#include "onnx/importer.h"

#include <string.h>

/* add_pool - over dims `rows` and `columns` of the window (-1: none) of a value of rank 4. */
static ValueId add_pool(Importer *im, OnnxNode *n, Op op, ValueId x, const Window *w, int rows,
                        int columns)
{
    OpAttrs a = attrs_default(op);
    window_attrs(w, rows, columns, &a);
    a.ceil_mode = attr_int(n, "ceil_mode", 0) != 0;
    if (op == OP_avg_pool) {
        a.count_include_pad = attr_int(n, "count_include_pad", 0) != 0;
        memset(a.dilations, 0, sizeof a.dilations); /* not an attribute of avg_pool */
    }
    return node_add(im, n, op, 1, &x, &a);
}

/* pool_volume - three dimensions as a pool over planes and one over what lies between them. Both the
 * largest element and a mean over a box, whose count is a product, separate:
 *
 *     [n, c, d, h, w]   as  [n, c * d, h, w]    ->  [n, c * d, h', w']
 *                       as  [n, c, d, h' * w']  ->  [n, c, d', h' * w']     */
static ValueId pool_volume(Importer *im, OnnxNode *n, Op op, ValueId x, const Window *w)
{
    Type    t = node_type(im, x);
    ValueId y = make_reshape(im, n, x, 4,
                             (int64_t[]){t.dims[0], t.dims[1] * t.dims[2], t.dims[3], t.dims[4]});
    y = y ? add_pool(im, n, op, y, w, 1, 2) : 0;
    if (!y)
        return 0;
    Type    plane = node_type(im, y);
    int64_t rows = plane.dims[2], columns = plane.dims[3];
    y = make_reshape(im, n, y, 4, (int64_t[]){t.dims[0], t.dims[1], t.dims[2], rows * columns});
    y = y ? add_pool(im, n, op, y, w, 0, -1) : 0;
    if (!y)
        return 0;
    int64_t depth = node_type(im, y).dims[2];
    return make_reshape(im, n, y, 5, (int64_t[]){t.dims[0], t.dims[1], depth, rows, columns});
}

static ValueId pool(Importer *im, OnnxNode *n, Op op, ValueId x, const Window *w)
{
    if (w->spatial == 3)
        return pool_volume(im, n, op, x, w);
    if (w->spatial == 2)
        return add_pool(im, n, op, x, w, 0, 1);
    ValueId row = window_rows(im, n, x);
    return row ? window_row(im, n, add_pool(im, n, op, row, w, -1, 0)) : 0;
}

static bool has_dilations(const Window *w)
{
    for (int i = 0; i < w->spatial; i++)
        if (w->dilations[i] != 1)
            return true;
    return false;
}

ONNX_IMPORT(pool)
{
    Op      op = strcmp(n->row->name, "MaxPool") ? OP_avg_pool : OP_max_pool;
    Window  w = {0};
    ValueId x = arg_value(im, n, 0, "X");
    if (!x)
        return false;
    Type t = node_type(im, x);
    if (t.rank < 3 || t.rank > 5)
        return node_error(im, n,
                          "input of rank %d; kiln pools over 1 to 3 dimensions, expected rank "
                          "3 to 5",
                          t.rank);
    if (!attr_given(n, "kernel_shape"))
        return node_error(im, n, "the attribute 'kernel_shape' is missing");
    if (!window_read(im, n, t.rank - 2, &w) || !window_pad(im, n, &t.dims[2], &w))
        return false;
    if (op == OP_avg_pool && has_dilations(&w))
        return node_error(im, n, "dilations other than 1 are not supported in a mean");
    return node_result(im, n, 0, pool(im, n, op, x, &w));
}

/* Whole planes of any number of dimensions are planes of as many elements. */
ONNX_IMPORT(global_pool)
{
    Op      op = strcmp(n->row->name, "GlobalMaxPool") ? OP_global_avg_pool : OP_global_max_pool;
    int64_t ones[MAX_RANK], elements = 1;
    ValueId x = arg_value(im, n, 0, "X");
    if (!x)
        return false;
    Type t = node_type(im, x);
    if (t.rank < 3)
        return node_error(im, n, "input of rank %d, expected 3 or more", t.rank);
    for (int i = 2; i < t.rank; i++) {
        elements *= i + 1 < t.rank ? t.dims[i] : 1;
        ones[i] = 1;
    }
    memcpy(ones, t.dims, 2 * sizeof *ones);
    x = make_reshape(im, n, x, 4, (int64_t[]){t.dims[0], t.dims[1], elements, t.dims[t.rank - 1]});
    ValueId y = node_add(im, n, op, 1, &x, NULL);
    return node_result(im, n, 0, make_reshape(im, n, y, t.rank, ones));
}
