/* op_shape.c - Reshape, Flatten, Transpose, Squeeze, Unsqueeze, DepthToSpace, SpaceToDepth: the same
 * elements in another arrangement. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

/* ---- views ------------------------------------------------------------------------------ */

/* Entries 0 copy a dimension of the input and one -1 is inferred, which kiln's reshape does too. Under
 * allowzero a 0 is an empty dimension. */
ONNX_IMPORT(reshape)
{
    ValueId x = arg_value(im, n, 0, "data");
    OpAttrs a = attrs_default(OP_reshape);
    a.list.n = arg_ints(im, n, 1, "shape", a.list.v, MAX_RANK);
    if (!x || a.list.n < 0)
        return false;
    for (int i = 0; i < a.list.n; i++)
        if (a.list.v[i] == 0 && attr_int(n, "allowzero", 0) != 0)
            return node_error(im, n,
                              "entry %d of shape is 0 under allowzero: empty tensors are not "
                              "supported",
                              i);
    return node_result(im, n, 0, node_add(im, n, OP_reshape, 1, &x, &a));
}

ONNX_IMPORT(flatten)
{
    ValueId x = arg_value(im, n, 0, "input");
    OpAttrs a = attrs_default(OP_flatten);
    a.axis = attr_int(n, "axis", 1);
    return node_result(im, n, 0, node_add(im, n, OP_flatten, 1, &x, &a));
}

/* Without perm the dimensions are reversed. */
ONNX_IMPORT(transpose)
{
    ValueId x = arg_value(im, n, 0, "data");
    IntList perm;
    if (!x)
        return false;
    int rank = node_type(im, x).rank;
    perm.n = attr_ints(im, n, "perm", perm.v, MAX_RANK);
    if (perm.n < 0)
        return false;
    for (int i = 0; i < rank && !attr_given(n, "perm"); i++)
        perm.v[perm.n++] = rank - 1 - i;
    if (rank == 0 && perm.n == 0)
        return node_result(im, n, 0, x);
    return node_result(im, n, 0, make_transpose(im, n, x, &perm));
}

/* Without axes all dimensions of extent 1 go. */
ONNX_IMPORT(squeeze)
{
    ValueId x = arg_value(im, n, 0, "data");
    int64_t axes[MAX_RANK], dims[MAX_RANK];
    int     count = node_int_list(im, n, 1, "axes", axes), rank = 0;
    if (!x || count < 0)
        return false;
    Type t = node_type(im, x);
    bool goes[MAX_RANK] = {false};
    if (!node_axes(im, n, t.rank, count, axes))
        return false;
    for (int d = 0; d < t.rank && count == 0; d++)
        goes[d] = t.dims[d] == 1;
    for (int i = 0; i < count; i++) {
        goes[axes[i]] = true;
        if (t.dims[axes[i]] != 1)
            return node_error(im, n, "axis %" PRId64 " of %s has not extent 1", axes[i],
                              type_text(im->arena, &t));
    }
    for (int d = 0; d < t.rank; d++)
        if (!goes[d])
            dims[rank++] = t.dims[d];
    return node_result(im, n, 0, make_reshape(im, n, x, rank, dims));
}

/* The axes are those of the result. */
ONNX_IMPORT(unsqueeze)
{
    ValueId x = arg_value(im, n, 0, "data");
    int64_t axes[MAX_RANK], dims[MAX_RANK];
    int     count = node_int_list(im, n, 1, "axes", axes);
    if (!x || count < 0)
        return false;
    Type t = node_type(im, x);
    int  rank = t.rank + count, next = 0;
    bool is_new[2 * MAX_RANK] = {false};
    if (rank > MAX_RANK)
        return node_error(im, n, "the result has rank %d, expected at most %d", rank, MAX_RANK);
    if (!node_axes(im, n, rank, count, axes))
        return false;
    for (int i = 0; i < count; i++)
        is_new[axes[i]] = true;
    for (int d = 0; d < rank; d++)
        dims[d] = is_new[d] ? 1 : t.dims[next++];
    return node_result(im, n, 0, make_reshape(im, n, x, rank, dims));
}

/* ---- blocks of pixels and channels ------------------------------------------------------ */

static bool make_blocks(Importer *im, OnnxNode *n, Op op, bool channels_first)
{
    OpAttrs a = attrs_default(op);
    ValueId x = arg_value(im, n, 0, "input");
    if (!attr_given(n, "blocksize"))
        return node_error(im, n, "the attribute blocksize is missing");
    a.block = attr_int(n, "blocksize", 1);
    a.channels_first = channels_first;
    return node_result(im, n, 0, node_add(im, n, op, 1, &x, &a));
}

ONNX_IMPORT(depth_to_space)
{
    const char *mode = attr_string(im, n, "mode", "DCR");
    if (!mode)
        return false;
    bool is_crd = strcmp(mode, "CRD") == 0;
    if (!is_crd && strcmp(mode, "DCR") != 0)
        return node_error(im, n, "mode is '%s', expected 'DCR' or 'CRD'",
                          text_printable(im->arena, mode));
    return make_blocks(im, n, OP_depth_to_space, is_crd);
}

ONNX_IMPORT(space_to_depth)
{
    return make_blocks(im, n, OP_space_to_depth, false);
}
