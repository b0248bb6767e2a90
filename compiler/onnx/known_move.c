/* known_move.c - elements of what is known while importing, moved: Reshape, Gather, Slice ... For any type. */
#include "onnx/importer.h"

#include <string.h>

/* Element `at` of `known`. */
typedef struct Pick {
    const Known *known;
    int64_t      at;
} Pick;

/* A result being made of elements of the inputs. */
typedef struct Moving {
    Importer *im;
    OnnxNode *n;
    Type      out;
    int       axis;
    int64_t   outer, extent, inner; /* of `out` about the axis */
    int64_t   start[MAX_RANK], step[MAX_RANK];
} Moving;

static const Known *in(const Moving *m, int i)
{
    return m->n->in[i]->known;
}

/* finish - output 0 of the node, of shape m->out and the type of `like`, its element i being pick(m, i). */
static bool finish(const Moving *m, const Known *like, Pick (*pick)(const Moving *m, int64_t i))
{
    Importer *im = m->im;
    int64_t  *ints = NULL, count = type_count(&m->out);
    Tensor   *floats = NULL;
    if (!known_afford(im, m->out.rank, m->out.dims))
        return false;
    if (like->ints)
        ints = arena_array(im->arena, int64_t, (size_t)count);
    else if (count)
        floats = tensor_new(im->arena, F32, m->out.rank, m->out.dims);
    for (int64_t i = 0; i < count; i++) {
        Pick p = pick(m, i);
        if (ints)
            ints[i] = p.known->ints[p.at];
        else
            tensor_set(floats, i, tensor_get(p.known->floats, p.at));
    }
    Known *k = known_ints(im->arena, like->type, m->out.rank, m->out.dims, ints);
    k->floats = floats;
    return node_result_known(im, m->n, 0, k);
}

/* ---- other shapes for the same elements ------------------------------------------------------ */

static bool reshaped(Moving *m, int rank, const int64_t *dims)
{
    return node_result_known(m->im, m->n, 0, known_reshaped(m->im->arena, in(m, 0), rank, dims));
}

static bool move_identity(Moving *m)
{
    return node_result_known(m->im, m->n, 0, in(m, 0));
}

/* list - integers from input `i` or the attribute of older opsets; false: neither, or too many. */
static bool list(const Moving *m, int i, const char *name, IntList *out)
{
    const Onnx__AttributeProto *a = attr_find(m->n, name);
    const Known                *k = arg_is_known(m->n, i);
    const int64_t              *from = k ? k->ints : a ? a->ints : NULL;
    size_t                      n = k ? (size_t)k->count : a ? a->n_ints : 0;
    if ((!k && !a) || (k && !k->ints) || n > MAX_RANK)
        return false;
    out->n = (int)n;
    if (n)
        memcpy(out->v, from, n * sizeof *from);
    return true;
}

/* mark_axes - which of `rank` dimensions the list names; false: one is out of range. */
static bool mark_axes(const IntList *axes, int rank, bool *marked)
{
    memset(marked, 0, MAX_RANK * sizeof *marked);
    for (int i = 0; i < axes->n; i++) {
        if (axes->v[i] < -rank || axes->v[i] >= rank)
            return false;
        marked[axis_from_end(axes->v[i], rank)] = true;
    }
    return true;
}

static bool move_squeeze(Moving *m)
{
    const Known *k = in(m, 0);
    IntList      axes;
    bool         gone[MAX_RANK], all = !list(m, 1, "axes", &axes);
    int64_t      dims[MAX_RANK];
    int          rank = 0;
    if (all)
        axes.n = 0;
    if (!mark_axes(&axes, k->rank, gone))
        return false;
    for (int i = 0; i < k->rank; i++) {
        if ((gone[i] || all) && k->dims[i] == 1)
            continue;
        if (gone[i])
            return false;
        dims[rank++] = k->dims[i];
    }
    return reshaped(m, rank, dims);
}

static bool move_unsqueeze(Moving *m)
{
    const Known *k = in(m, 0);
    IntList      axes;
    bool         is_new[MAX_RANK];
    int64_t      dims[MAX_RANK];
    int          from = 0;
    if (!list(m, 1, "axes", &axes) || axes.n + k->rank > MAX_RANK ||
        !mark_axes(&axes, k->rank + axes.n, is_new))
        return false;
    for (int i = 0; i < k->rank + axes.n; i++) {
        if (!is_new[i] && from == k->rank) /* an axis was named twice */
            return false;
        dims[i] = is_new[i] ? 1 : k->dims[from++];
    }
    return reshaped(m, k->rank + axes.n, dims);
}

static bool move_reshape(Moving *m)
{
    const Known *k = in(m, 0);
    IntList      shape;
    int64_t      known = 1;
    int          open = -1;
    if (!list(m, 1, "shape", &shape))
        return false;
    for (int i = 0; i < shape.n; i++) {
        if (shape.v[i] == 0 && !attr_int(m->n, "allowzero", 0))
            shape.v[i] = i < k->rank ? k->dims[i] : -2;
        if (shape.v[i] == -1 && open < 0)
            open = i;
        else if (shape.v[i] > KNOWN_MAX_DIM || !mul_ok(known, shape.v[i], &known))
            return false;
    }
    if (open >= 0)
        shape.v[open] = known ? k->count / known : 0;
    if (open >= 0 && !mul_ok(known, shape.v[open], &known))
        return false;
    return known == k->count && reshaped(m, shape.n, shape.v);
}

/* ---- elements from elsewhere ----------------------------------------------------------------- */

/* set_axis - `axis` of a tensor of `rank` dimensions; false: out of range. */
static bool set_axis(Moving *m, int64_t axis, int rank)
{
    m->axis = axis_from_end(axis, rank);
    return axis >= -rank && axis < rank;
}

static Pick pick_gather(const Moving *m, int64_t i)
{
    const Known *data = in(m, 0), *indices = in(m, 1);
    int64_t      inner = i % m->inner, index = indices->ints[i / m->inner % m->extent];
    int64_t      outer = i / m->inner / m->extent, dim = data->dims[m->axis];
    return (Pick){data, (outer * dim + (index < 0 ? index + dim : index)) * m->inner + inner};
}

static bool move_gather(Moving *m)
{
    const Known *data = in(m, 0), *indices = in(m, 1);
    Type         t = known_shape(data);
    int          rank = data->rank + indices->rank - 1;
    if (!indices->ints || rank > MAX_RANK || !set_axis(m, attr_int(m->n, "axis", 0), data->rank))
        return false;
    for (int64_t i = 0; i < indices->count; i++)
        if (indices->ints[i] < -data->dims[m->axis] || indices->ints[i] >= data->dims[m->axis])
            return false;
    axis_spans(&t, m->axis, &m->outer, &m->extent, &m->inner);
    m->extent = indices->count;
    m->out = type_plain(I32, rank, data->dims);
    memcpy(m->out.dims + m->axis, indices->dims, (size_t)indices->rank * sizeof *indices->dims);
    memcpy(m->out.dims + m->axis + indices->rank, data->dims + m->axis + 1,
           (size_t)(data->rank - m->axis - 1) * sizeof *data->dims);
    return finish(m, data, pick_gather);
}

static Pick pick_concat(const Moving *m, int64_t i)
{
    int64_t inner = i % m->inner, at = i / m->inner % m->extent, outer = i / m->inner / m->extent;
    int     k = 0;
    while (at >= in(m, k)->dims[m->axis])
        at -= in(m, k++)->dims[m->axis];
    return (Pick){in(m, k), (outer * in(m, k)->dims[m->axis] + at) * m->inner + inner};
}

static bool move_concat(Moving *m)
{
    const Known *first = in(m, 0);
    if (!attr_given(m->n, "axis") || !set_axis(m, attr_int(m->n, "axis", 0), first->rank))
        return false;
    m->out = known_shape(first);
    for (int k = 1; k < m->n->n_in; k++) {
        if (!arg_present(m->n, k))
            return false;
        Type other = known_shape(in(m, k));
        m->out.dims[m->axis] += other.dims[m->axis];
        other.dims[m->axis] = first->dims[m->axis];
        Type expected = known_shape(first);
        if (!type_same_shape(&other, &expected) || in(m, k)->type != first->type ||
            m->out.dims[m->axis] > KNOWN_MAX_DIM)
            return false;
    }
    axis_spans(&m->out, m->axis, &m->outer, &m->extent, &m->inner);
    return finish(m, first, pick_concat);
}

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* slice_axis - how many elements of a dimension `start : end : step` takes, and from where. Ends past
 * either side, INT64_MAX and INT64_MIN among them, mean that side. */
static int64_t slice_axis(int64_t dim, int64_t end, int64_t step, int64_t *start)
{
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? dim - 1 : dim;
    int64_t from = clamp(*start < 0 ? *start + dim : *start, low + (step < 0), high);
    int64_t to = clamp(end < 0 ? end + dim : end, low, high);
    int64_t distance = step < 0 ? from - to : to - from;
    *start = from;
    if (distance <= 0 || !dim)
        return 0;
    uint64_t stride = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
    return (int64_t)((uint64_t)(distance - 1) / stride) + 1;
}

static Pick pick_slice(const Moving *m, int64_t i)
{
    const Known *data = in(m, 0);
    int64_t      at = 0, stride = 1;
    for (int d = m->out.rank - 1; d >= 0; d--) {
        int64_t index = i % m->out.dims[d];
        at += (m->start[d] + (index ? index * m->step[d] : 0)) * stride;
        stride *= data->dims[d];
        i /= m->out.dims[d];
    }
    return (Pick){data, at};
}

static bool move_slice(Moving *m)
{
    const Known *data = in(m, 0);
    IntList      starts, ends, axes, steps;
    if (!list(m, 1, "starts", &starts) || !list(m, 2, "ends", &ends) || starts.n != ends.n)
        return false;
    bool some_axes = list(m, 3, "axes", &axes), has_steps = list(m, 4, "steps", &steps);
    if ((some_axes && axes.n != starts.n) || (has_steps && steps.n != starts.n))
        return false;
    m->out = known_shape(data);
    for (int d = 0; d < data->rank; d++)
        m->step[d] = 1;
    for (int i = 0; i < starts.n; i++) {
        int64_t step = has_steps ? steps.v[i] : 1;
        if (!step || !set_axis(m, some_axes ? axes.v[i] : i, data->rank))
            return false;
        m->start[m->axis] = starts.v[i];
        m->step[m->axis] = step;
        m->out.dims[m->axis] = slice_axis(data->dims[m->axis], ends.v[i], step, &m->start[m->axis]);
    }
    return finish(m, data, pick_slice);
}

/* broadcast - the element of input `k` that broadcasts to element `i` of the output. */
static Pick broadcast(const Moving *m, int k, int64_t i)
{
    Type t = known_shape(in(m, k));
    return (Pick){in(m, k), broadcast_index(&m->out, &t, i)};
}

static Pick pick_expand(const Moving *m, int64_t i)
{
    return broadcast(m, 0, i);
}

static bool move_expand(Moving *m)
{
    IntList shape;
    if (!list(m, 1, "shape", &shape))
        return false;
    Type a = known_shape(in(m, 0)), b = type_plain(I32, shape.n, shape.v);
    return known_broadcast(&a, &b, &m->out) && finish(m, in(m, 0), pick_expand);
}

static Pick pick_where(const Moving *m, int64_t i)
{
    Pick condition = broadcast(m, 0, i);
    return broadcast(m, condition.known->ints[condition.at] ? 1 : 2, i);
}

static bool move_where(Moving *m)
{
    if (!in(m, 0)->ints || in(m, 1)->type != in(m, 2)->type)
        return false;
    Type a = known_shape(in(m, 0)), b = known_shape(in(m, 1)), c = known_shape(in(m, 2));
    return known_broadcast(&b, &c, &m->out) && known_broadcast(&a, &m->out, &m->out) &&
           finish(m, in(m, 1), pick_where);
}

/* ---- the table --------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    bool (*move)(Moving *m);
} moves[] = {
    {"Identity", move_identity}, {"Squeeze", move_squeeze}, {"Unsqueeze", move_unsqueeze},
    {"Reshape", move_reshape},   {"Gather", move_gather},   {"Concat", move_concat},
    {"Slice", move_slice},       {"Expand", move_expand},   {"Where", move_where},
};

bool known_move(Importer *im, OnnxNode *n)
{
    Moving m = {.im = im, .n = n};
    for (size_t i = 0; i < COUNT_OF(moves); i++)
        if (!strcmp(n->row->name, moves[i].op))
            return moves[i].move(&m);
    return false;
}
