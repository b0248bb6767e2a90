/* op_slice.c - Slice, Split, Concat: parts of tensors, taken and put together. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

/* ---- Slice ------------------------------------------------------------------------------ */

/* Starts and ends may lie anywhere in int64, as INT64_MAX for all the rest. They are brought to the
 * dimension's own range; an end of -extent - 1 is in front of the first element. */
static void clamp_cut(int64_t extent, int64_t step, int64_t *start, int64_t *end)
{
    int64_t first = *start < -extent ? -extent : *start, stop = *end < -extent ? -extent - 1 : *end;
    first = first < 0 ? first + extent : first;
    *start = first > extent ? extent : first;
    if (step > 0 && stop < 0)
        stop = stop < -extent ? 0 : stop + extent;
    *end = stop > extent ? extent : stop;
}

static bool clamp_cuts(Importer *im, OnnxNode *n, const Type *t, OpAttrs *a)
{
    if (!node_axes(im, n, t->rank, a->axes.n, a->axes.v))
        return false;
    for (int i = 0; i < a->axes.n; i++) {
        int64_t extent = t->dims[a->axes.v[i]], *step = &a->steps.v[i];
        if (*step == 0)
            return node_error(im, n, "step %d is 0", i);
        *step = *step > extent ? extent : *step < -extent ? -extent : *step;
        clamp_cut(extent, *step, &a->starts.v[i], &a->ends.v[i]);
    }
    return true;
}

/* Attributes up to opset 9, inputs from 10 on. Without axes these are the first ones. */
static bool read_cuts(Importer *im, OnnxNode *n, OpAttrs *a)
{
    bool is_old = im->opset < 10;
    if (is_old && (!attr_given(n, "starts") || !attr_given(n, "ends")))
        return node_error(im, n, "the attributes starts and ends are missing");
    a->starts.n = is_old ? attr_ints(im, n, "starts", a->starts.v, MAX_RANK)
                         : arg_ints(im, n, 1, "starts", a->starts.v, MAX_RANK);
    a->ends.n = is_old ? attr_ints(im, n, "ends", a->ends.v, MAX_RANK)
                       : arg_ints(im, n, 2, "ends", a->ends.v, MAX_RANK);
    a->axes.n = node_int_list(im, n, 3, "axes", a->axes.v);
    a->steps.n = arg_present(n, 4) ? arg_ints(im, n, 4, "steps", a->steps.v, MAX_RANK) : 0;
    int count = a->starts.n;
    if (count < 0 || a->ends.n < 0 || a->axes.n < 0 || a->steps.n < 0)
        return false;
    for (int i = 0; i < count && a->axes.n < count; i++)
        a->axes.v[a->axes.n++] = i;
    for (; a->steps.n < count && !arg_present(n, 4); a->steps.n++)
        a->steps.v[a->steps.n] = 1;
    if (a->ends.n != count || a->axes.n != count || a->steps.n != count)
        return node_error(im, n, "%d starts, %d ends, %d axes, %d steps: expected as many of each",
                          count, a->ends.n, a->axes.n, a->steps.n);
    return true;
}

static bool has_steps(const OpAttrs *a)
{
    for (int i = 0; i < a->steps.n; i++)
        if (a->steps.v[i] != 1)
            return true;
    return false;
}

ONNX_IMPORT(slice)
{
    ValueId x = arg_value(im, n, 0, "data");
    OpAttrs a = attrs_default(OP_slice);
    if (!x || !read_cuts(im, n, &a))
        return false;
    Type t = node_type(im, x);
    if (!clamp_cuts(im, n, &t, &a))
        return false;
    if (!has_steps(&a))
        a.steps.n = 0;
    return node_result(im, n, 0, a.axes.n ? node_add(im, n, OP_slice, 1, &x, &a) : x);
}

/* ---- Split ------------------------------------------------------------------------------ */

/* The parts' extents: an attribute up to opset 12, an input from 13 on. Without them the parts are equal;
 * under num_outputs (opset 18) the last may be smaller. */
static bool read_parts(Importer *im, OnnxNode *n, int64_t extent, int64_t *parts)
{
    int n_parts = (int)n->proto->n_output, count;
    if (arg_present(n, 1))
        count = arg_ints(im, n, 1, "split", parts, n_parts);
    else
        count = attr_ints(im, n, "split", parts, n_parts);
    if (count < 0)
        return false;
    if (count > 0 && count != n_parts)
        return node_error(im, n, "split has %d entries for %d outputs", count, n_parts);
    bool may_differ = attr_given(n, "num_outputs");
    if (may_differ && attr_int(n, "num_outputs", 0) != n_parts)
        return node_error(im, n, "num_outputs is %" PRId64 ", but there are %d outputs",
                          attr_int(n, "num_outputs", 0), n_parts);
    if (count == 0 && (may_differ ? extent < n_parts : extent % n_parts != 0))
        return node_error(im, n, "extent %" PRId64 " does not divide into %d parts", extent,
                          n_parts);
    int64_t most = (extent + n_parts - 1) / n_parts, left = extent;
    for (int i = 0; i < n_parts; i++) {
        if (count == 0)
            parts[i] = most < left ? most : left;
        if (parts[i] < 0 || parts[i] > left)
            return node_error(im, n, "part %d of split is %" PRId64 ", of %" PRId64 " left", i,
                              parts[i], left);
        left -= parts[i];
    }
    if (left > 0)
        return node_error(im, n, "split leaves %" PRId64 " of extent %" PRId64, left, extent);
    return true;
}

ONNX_IMPORT(split)
{
    ValueId x = arg_value(im, n, 0, "input");
    if (!x)
        return false;
    Type t = node_type(im, x);
    int  axis = node_axis(im, n, attr_int(n, "axis", 0), t.rank);
    if (axis < 0)
        return false;
    int64_t *parts = arena_array(im->arena, int64_t, n->proto->n_output), first = 0;
    if (!read_parts(im, n, t.dims[axis], parts))
        return false;
    for (int i = 0; i < (int)n->proto->n_output; first += parts[i++])
        if (node_has_output(im, n, i) &&
            !node_result(im, n, i, make_slice(im, n, x, axis, first, parts[i], 1)))
            return false;
    return true;
}

/* ---- Concat ----------------------------------------------------------------------------- */

/* Inputs that are known to be empty add nothing. */
ONNX_IMPORT(concat)
{
    ValueId *in = arena_array(im->arena, ValueId, (size_t)n->n_in + 1);
    OpAttrs  a = attrs_default(OP_concat);
    int      count = 0;
    if (!attr_given(n, "axis"))
        return node_error(im, n, "the attribute axis is missing");
    a.axis = attr_int(n, "axis", 1);
    for (int i = 0; i < n->n_in; i++) {
        const Known *k = arg_is_known(n, i);
        if (k && k->count == 0)
            continue;
        in[count] = arg_value(im, n, i, "an input");
        if (!in[count++])
            return false;
    }
    if (count == 0)
        return node_error(im, n, "all inputs are empty");
    return node_result(im, n, 0, node_add(im, n, OP_concat, count, in, &a));
}
