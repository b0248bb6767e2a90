/* slice_pad.c - slice and pad. */
#include "ops/ops.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- slice ------------------------------------------------------------------------------ */

/* axes, starts, ends and steps have one entry for each axis cut; steps may be left out. */
const AttrSpec attrs_slice[] = {
    ATTR(axes, ATTR_LIST, .required = true, .min = -MAX_RANK, .max = MAX_RANK - 1),
    ATTR(starts, ATTR_LIST, .required = true),
    ATTR(ends, ATTR_LIST, .required = true),
    ATTR(steps, ATTR_LIST, .required = false),
};
ATTRS_END(slice);

/* What is taken of each dimension: count elements from start, step apart. */
typedef struct Cut {
    int64_t start[MAX_RANK], step[MAX_RANK], count[MAX_RANK];
} Cut;

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

/* ONNX: negative starts and ends count from the end; then both are clamped to the dimension. */
static void cut_axis(Cut *c, int axis, int64_t extent, int64_t start, int64_t end, int64_t step)
{
    bool    forward = step > 0;
    int64_t low = forward ? 0 : -1, high = forward ? extent : extent - 1;
    step = clamp(step, -extent, extent); /* a longer step also takes one element */
    start = clamp(start < 0 ? start + extent : start, 0, high);
    end = clamp(end < 0 ? end + extent : end, low, high);
    c->start[axis] = start;
    c->step[axis] = step;
    c->count[axis] = forward ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
}

static Cut slice_cut(const OpAttrs *a, const Type *x)
{
    Cut c;
    for (int i = 0; i < x->rank; i++) {
        c.start[i] = 0;
        c.step[i] = 1;
        c.count[i] = x->dims[i];
    }
    for (int i = 0; i < a->axes.n; i++) {
        int     axis = axis_from_end(a->axes.v[i], x->rank);
        int64_t step = a->steps.n ? a->steps.v[i] : 1;
        cut_axis(&c, axis, x->dims[axis], a->starts.v[i], a->ends.v[i], step);
    }
    return c;
}

static bool slice_lists_fit(Graph *g, NodeId n, const OpAttrs *a)
{
    int axes = a->axes.n;
    if (a->starts.n != axes || a->ends.n != axes || (a->steps.n && a->steps.n != axes))
        return shape_error(g, n, "%d axes, %d starts, %d ends, %d steps: expected as many of each",
                           axes, a->starts.n, a->ends.n, a->steps.n);
    for (int i = 0; i < a->steps.n; i++)
        if (a->steps.v[i] == 0)
            return shape_error(g, n, "step %d is 0", i);
    return true;
}

bool shape_slice(Graph *g, NodeId n)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    Type           x = *shape_in(g, n, 0);
    bool           seen[MAX_RANK] = {false};
    if (!slice_lists_fit(g, n, a))
        return false;
    for (int i = 0; i < a->axes.n; i++) {
        int axis;
        if (!shape_axis(g, n, a->axes.v[i], x.rank, x.rank, &axis))
            return false;
        if (seen[axis])
            return shape_error(g, n, "axis %" PRId64 " is given twice", a->axes.v[i]);
        seen[axis] = true;
    }
    Cut c = slice_cut(a, &x);
    for (int i = 0; i < x.rank; i++)
        if (c.count[i] < 1)
            return shape_error(g, n, "nothing is left of axis %d, which has extent %" PRId64, i,
                               x.dims[i]);
    return shape_set(g, n, x.elem, x.rank, c.count);
}

void eval_slice(const Node *n, const Array *const in[], Array *out)
{
    const Type *x = &in[0]->type, *y = &out->type;
    Cut         c = slice_cut(&n->attrs, x);
    int64_t     count = type_count(y);
    for (int64_t i = 0; i < count; i++) {
        int64_t from = 0, stride = 1, rest = i;
        for (int d = y->rank - 1; d >= 0; d--) {
            from += (c.start[d] + rest % y->dims[d] * c.step[d]) * stride;
            rest /= y->dims[d];
            stride *= x->dims[d];
        }
        out->data[i] = in[0]->data[from];
    }
}

int64_t slice_place(const Graph *g, const Node *n)
{
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    int64_t     block = x->layout.block, dims[MAX_RANK];
    if (n->op != OP_slice || block == 1 || !layout_same(x->layout, y->layout) || x->elem != y->elem)
        return -1;
    Cut c = slice_cut(&n->attrs, x);
    memcpy(dims, y->dims, sizeof dims);
    dims[1] = x->dims[1];
    bool    is_whole = memcmp(dims, x->dims, (size_t)x->rank * sizeof *dims) == 0;
    int64_t start = c.start[1], end = start + c.count[1];
    if (!is_whole || c.step[1] != 1 || start % block != 0 ||
        (end % block != 0 && end != x->dims[1]))
        return -1;
    Type ahead = *x;
    ahead.dims[1] = start;
    return start ? type_stored_count(&ahead) : 0;
}

/* Where values are not plain nothing but channels is cut. */
static void slice_channels(Graph *g, const Node *n, Kernel *k)
{
    const Type *y = &value_get(g, n->out)->type;
    Cut         c = slice_cut(&n->attrs, &graph_input(g, n, 0)->type);
    Box         box = {.from = {0, c.start[1]}, .step = {1, 1, 1, 1}};
    int64_t     place = slice_place(g, n);
    dims_nchw(y, box.extent);
    if (place >= 0 && value_is_placed(g, n->out, n->in[0], place))
        return;
    lower_zero_halo(g, k, n->out);
    box_zero_channels(g, k, n->out);
    box_copy(g, k, n->in[0], n->out, &box);
}

void lower_slice(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    if (!type_is_plain(x) || !type_is_plain(y)) {
        slice_channels(g, n, k);
        return;
    }
    Cut    c = slice_cut(&n->attrs, x);
    LoopId loops[MAX_RANK];
    Affine to[MAX_RANK], from[MAX_RANK];
    for (int i = 0; i < y->rank; i++) {
        LoopAxis axis = i == y->rank - 1 ? AXIS_LANE : AXIS_NONE;
        loops[i] = kernel_loop_if(k, "d", y->dims[i], PARALLEL, axis);
        to[i] = affine_loop(loops[i]);
        from[i] = affine_offset(affine_scale(to[i], c.step[i]), c.start[i]);
    }
    Stmt *store = lower_store_plain(g, k, n->out, to, lower_load_plain(g, k, n->in[0], from));
    st_add(k, k->body, lower_nest(k, loops, y->rank, store));
}

/* ---- pad -------------------------------------------------------------------------------- */

static const char *const pad_modes[] = {"constant", "reflect", "edge", NULL};

const AttrSpec attrs_pad[] = {
    ATTR(padding, ATTR_INTS, .count = 4, .required = true, .min = 0, .max = ATTR_MAX_INT),
    ATTR(mode, ATTR_ENUM, .names = pad_modes),
    ATTR(value, ATTR_FLOAT, .min = -FLT_MAX, .max = FLT_MAX),
};
ATTRS_END(pad);

/* The padding value of an integer tensor must be one of its numbers. */
static bool value_fits(Elem e, double v)
{
    double low = e == I8 ? INT8_MIN : e == U8 ? 0 : INT32_MIN;
    double high = e == I8 ? INT8_MAX : e == U8 ? UINT8_MAX : INT32_MAX;
    return elem_is_float(e) || (v == floor(v) && v >= low && v <= high);
}

bool shape_pad(Graph *g, NodeId n)
{
    if (!shape_rank(g, n, 4))
        return false;
    const OpAttrs *a = &node_get(g, n)->attrs;
    Type           x = *shape_in(g, n, 0);
    for (int i = 0; i < 4; i++) {
        int64_t extent = x.dims[2 + i % 2];
        if (a->padding[i] < 0)
            return shape_error(g, n, "padding %" PRId64 " is negative", a->padding[i]);
        if (a->mode == PAD_MODE_REFLECT && a->padding[i] >= extent)
            return shape_error(g, n,
                               "padding %" PRId64 " by reflection of %" PRId64 " %s, expected less "
                               "padding than that",
                               a->padding[i], extent, i % 2 ? "columns" : "rows");
    }
    if (a->mode == PAD_MODE_CONSTANT && !value_fits(x.elem, a->value))
        return shape_error(g, n, "value %g is not a number of type %s", a->value,
                           elem_name(x.elem));
    x.dims[2] += a->padding[0] + a->padding[2];
    x.dims[3] += a->padding[1] + a->padding[3];
    return shape_set(g, n, x.elem, 4, x.dims);
}

/* The input row or column behind position `i` of the unpadded axis; -1: the padding value. */
static int64_t pad_source(PadMode mode, int64_t i, int64_t extent)
{
    if (i >= 0 && i < extent)
        return i;
    switch (mode) {
    case PAD_MODE_REFLECT: return i < 0 ? -i : 2 * (extent - 1) - i;
    case PAD_MODE_EDGE: return i < 0 ? 0 : extent - 1;
    default: return -1;
    }
}

void eval_pad(const Node *n, const Array *const in[], Array *out)
{
    const OpAttrs *a = &n->attrs;
    const int64_t *xd = in[0]->type.dims, *yd = out->type.dims;
    double        *y = out->data;
    for (int64_t plane = 0; plane < yd[0] * yd[1]; plane++)
        for (int64_t oh = 0; oh < yd[2]; oh++) {
            int64_t h = pad_source(a->mode, oh - a->padding[0], xd[2]);
            for (int64_t ow = 0; ow < yd[3]; ow++) {
                int64_t w = pad_source(a->mode, ow - a->padding[1], xd[3]);
                bool    outside = h < 0 || w < 0;
                *y++ = outside ? a->value : in[0]->data[(plane * xd[2] + h) * xd[3] + w];
            }
        }
}

/* One third of an axis: before the input, the input, after it. */
static void pad_part(const OpAttrs *a, int part, int i, int64_t extent, Box *box)
{
    int64_t before = a->padding[i], after = a->padding[2 + i];
    int     d = 2 + i;
    bool    is_edge = a->mode == PAD_MODE_EDGE;
    box->extent[d] = part == 0 ? before : part == 1 ? extent : after;
    box->to[d] = part == 0 ? 0 : part == 1 ? before : before + extent;
    box->step[d] = part == 1 ? 1 : is_edge ? 0 : -1;
    box->from[d] = 0;
    if (part == 0 && !is_edge)
        box->from[d] = before; /* x[before], x[before - 1] ... x[1] */
    if (part == 2)
        box->from[d] = is_edge ? extent - 1 : extent - 2;
}

/* Nine boxes, three by three: the input, and what stands around it. */
void lower_pad(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type;
    Box         box = {.extent = {x->dims[0], x->dims[1]}, .step = {1, 1}};
    lower_zero_halo(g, k, n->out);
    box_zero_channels(g, k, n->out);
    for (int part = 0; part < 9; part++) {
        pad_part(&n->attrs, part / 3, 0, x->dims[2], &box);
        pad_part(&n->attrs, part % 3, 1, x->dims[3], &box);
        if (part != 4 && n->attrs.mode == PAD_MODE_CONSTANT)
            box_fill(g, k, n->out, &box, n->attrs.value);
        else
            box_copy(g, k, n->in[0], n->out, &box);
    }
}
