/* op_gather.c - Gather, Expand, Tile: entries along an axis by their indices, some of them several
 * times. */
#include "onnx/importer.h"

#include <inttypes.h>

/* ---- Gather ----------------------------------------------------------------------------- */

/* y has the dimensions of `indices` in place of the axis. */
ONNX_IMPORT(gather)
{
    ValueId      x = arg_value(im, n, 0, "data");
    const Known *k = arg_known(im, n, 1, "indices");
    if (!x || !k)
        return false;
    Type t = node_type(im, x);
    int  axis = node_axis(im, n, attr_int(n, "axis", 0), t.rank), rank = 0;
    if (axis < 0)
        return false;
    if (!k->ints || k->count < 1 || k->count > MAKE_MAX_INDICES)
        return node_error(im, n, "indices must be 1 to %d integers", MAKE_MAX_INDICES);
    int64_t *indices = arena_array(im->arena, int64_t, (size_t)k->count), dims[2 * MAX_RANK];
    for (int64_t i = 0; i < k->count; i++) {
        indices[i] = k->ints[i] < 0 ? k->ints[i] + t.dims[axis] : k->ints[i];
        if (indices[i] < 0 || indices[i] >= t.dims[axis])
            return node_error(im, n, "index %" PRId64 " is out of range for extent %" PRId64,
                              k->ints[i], t.dims[axis]);
    }
    for (int d = 0; d < axis; d++)
        dims[rank++] = t.dims[d];
    for (int d = 0; d < k->rank; d++)
        dims[rank++] = k->dims[d];
    for (int d = axis + 1; d < t.rank; d++)
        dims[rank++] = t.dims[d];
    ValueId y = make_gather(im, n, x, axis, k->count, indices);
    return node_result(im, n, 0, make_reshape(im, n, y, rank, dims));
}

/* ---- Expand, Tile ----------------------------------------------------------------------- */

/* `x` with its dimension `axis` repeated as a whole. */
static ValueId repeat_axis(Importer *im, OnnxNode *n, ValueId x, int axis, int64_t times)
{
    int64_t count, extent = x ? node_type(im, x).dims[axis] : 1;
    if (!x || times == 1)
        return x;
    if (times < 1 || !mul_ok(extent, times, &count) || count > MAKE_MAX_INDICES)
        return node_error(im, n,
                          "dimension %d, of extent %" PRId64 ", is to be repeated %" PRId64
                          " times, expected at least once and at most %d entries in all",
                          axis, extent, times, MAKE_MAX_INDICES);
    int64_t *indices = arena_array(im->arena, int64_t, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        indices[i] = i % extent;
    return make_gather(im, n, x, axis, count, indices);
}

/* With leading dimensions of extent 1, up to this rank. */
static ValueId widen(Importer *im, OnnxNode *n, ValueId x, int rank)
{
    Type    t = node_type(im, x);
    int64_t dims[MAX_RANK];
    for (int d = 0; d < rank; d++)
        dims[d] = d < rank - t.rank ? 1 : t.dims[d - (rank - t.rank)];
    return rank > t.rank ? make_reshape(im, n, x, rank, dims) : x;
}

/* Broadcast in both directions: where `shape` has a 1, the dimension of x stays. */
ONNX_IMPORT(expand)
{
    ValueId x = arg_value(im, n, 0, "input");
    int64_t shape[MAX_RANK];
    int     rank = arg_ints(im, n, 1, "shape", shape, MAX_RANK);
    if (!x || rank < 0)
        return false;
    ValueId y = widen(im, n, x, rank);
    for (int i = 1; y && i <= rank; i++) {
        Type t = node_type(im, y);
        int  axis = t.rank - i;
        if (shape[rank - i] == t.dims[axis] || shape[rank - i] == 1)
            continue;
        if (t.dims[axis] != 1)
            return node_error(im, n, "%s does not expand to extent %" PRId64 " of axis %d",
                              type_text(im->arena, &t), shape[rank - i], axis);
        y = repeat_axis(im, n, y, axis, shape[rank - i]);
    }
    return node_result(im, n, 0, y);
}

ONNX_IMPORT(tile)
{
    ValueId x = arg_value(im, n, 0, "input");
    int64_t repeats[MAX_RANK];
    int     count = arg_ints(im, n, 1, "repeats", repeats, MAX_RANK);
    if (!x || count < 0)
        return false;
    Type t = node_type(im, x);
    if (count != t.rank)
        return node_error(im, n, "repeats has %d entries, expected %d, one per dimension", count,
                          t.rank);
    for (int d = 0; d < count; d++)
        x = repeat_axis(im, n, x, d, repeats[d]);
    return node_result(im, n, 0, x);
}
