/* make.c - graph nodes that operators are composed of; axes. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

ValueId make_unary(Importer *im, OnnxNode *n, Op op, ValueId x)
{
    return node_add(im, n, op, 1, &x, NULL);
}

ValueId make_binary(Importer *im, OnnxNode *n, Op op, ValueId a, ValueId b)
{
    return node_add(im, n, op, 2, (ValueId[]){a, b}, NULL);
}

ValueId make_scalar(Importer *im, OnnxNode *n, Op op, ValueId x, double b)
{
    return x ? make_binary(im, n, op, x, node_scalar(im, n, b)) : 0;
}

ValueId make_clip(Importer *im, OnnxNode *n, ValueId x, double min, double max)
{
    OpAttrs a = attrs_default(OP_clip);
    a.min = min;
    a.max = max;
    return node_add(im, n, OP_clip, 1, &x, &a);
}

ValueId make_reshape(Importer *im, OnnxNode *n, ValueId x, int rank, const int64_t *dims)
{
    if (!x)
        return 0;
    if (rank > MAX_RANK)
        return node_error(im, n, "the result has rank %d, expected at most %d", rank, MAX_RANK);
    Type    t = node_type(im, x);
    OpAttrs a = attrs_default(OP_reshape);
    if (t.rank == rank && memcmp(t.dims, dims, (size_t)rank * sizeof *dims) == 0)
        return x;
    a.list.n = rank;
    memcpy(a.list.v, dims, (size_t)rank * sizeof *dims);
    return node_add(im, n, OP_reshape, 1, &x, &a);
}

ValueId make_transpose(Importer *im, OnnxNode *n, ValueId x, const IntList *perm)
{
    OpAttrs a = attrs_default(OP_transpose);
    a.list = *perm;
    return node_add(im, n, OP_transpose, 1, &x, &a);
}

ValueId make_reduce(Importer *im, OnnxNode *n, Op op, ValueId x, const IntList *axes)
{
    OpAttrs a = attrs_default(op);
    a.list = *axes;
    a.keepdims = true;
    return node_add(im, n, op, 1, &x, &a);
}

ValueId make_slice(Importer *im, OnnxNode *n, ValueId x, int axis, int64_t start, int64_t count,
                   int64_t step)
{
    if (!x)
        return 0;
    int64_t extent = node_type(im, x).dims[axis], end = start + count * step;
    if (start == 0 && step == 1 && count == extent)
        return x;
    if (end < 0) /* -1 would count from the end */
        end = -extent - 1;
    OpAttrs a = attrs_default(OP_slice);
    a.axes = (IntList){1, {axis}};
    a.starts = (IntList){1, {start}};
    a.ends = (IntList){1, {end}};
    if (step != 1)
        a.steps = (IntList){1, {step}};
    return node_add(im, n, OP_slice, 1, &x, &a);
}

/* Whether the indices are start, start + step, ... */
static bool is_progression(int64_t count, const int64_t *indices, int64_t *step)
{
    *step = count > 1 ? indices[1] - indices[0] : 1;
    for (int64_t i = 1; i < count; i++)
        if (indices[i] - indices[i - 1] != *step)
            return false;
    return *step != 0;
}

ValueId make_gather(Importer *im, OnnxNode *n, ValueId x, int axis, int64_t count,
                    const int64_t *indices)
{
    int64_t step;
    if (!x)
        return 0;
    if (is_progression(count, indices, &step))
        return make_slice(im, n, x, axis, indices[0], count, step);
    Tensor *t = tensor_new(im->arena, I32, 1, &count);
    for (int64_t i = 0; i < count; i++)
        tensor_set(t, i, (double)indices[i]);
    OpAttrs a = attrs_default(OP_gather);
    a.axis = axis;
    ValueId in[2] = {x, node_constant(im, n, "indices", t)};
    return node_add(im, n, OP_gather, 2, in, &a);
}

/* ---- axes and numbers ------------------------------------------------------------------- */

int node_axis(Importer *im, OnnxNode *n, int64_t axis, int rank)
{
    if (axis >= -rank && axis < rank)
        return (int)(axis < 0 ? axis + rank : axis);
    node_error(im, n, "axis %" PRId64 " is out of range, expected %d to %d for rank %d", axis,
               -rank, rank - 1, rank);
    return -1;
}

bool node_axes(Importer *im, OnnxNode *n, int rank, int count, int64_t *axes)
{
    bool seen[MAX_RANK] = {false};
    for (int i = 0; i < count; i++) {
        int axis = node_axis(im, n, axes[i], rank);
        if (axis < 0)
            return false;
        if (seen[axis])
            return node_error(im, n, "axis %" PRId64 " is given twice", axes[i]);
        seen[axis] = true;
        axes[i] = axis;
    }
    return true;
}

int node_int_list(Importer *im, OnnxNode *n, int i, const char *name, int64_t *out)
{
    if (arg_present(n, i))
        return arg_ints(im, n, i, name, out, MAX_RANK);
    return attr_ints(im, n, name, out, MAX_RANK);
}

bool attr_finite(Importer *im, const OnnxNode *n, const char *name, double fallback, double *out)
{
    *out = attr_float(n, name, fallback);
    if (isfinite(*out))
        return true;
    return node_error(im, n, "%s is %g, expected a finite number", name, *out);
}
