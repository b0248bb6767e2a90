/* movement.c - ops that move elements and compute nothing: concat, transpose, relayout. */
#include "ops/ops.h"

#include <inttypes.h>
#include <string.h>

/* A box of all of `t`, at the same place on both sides. */
static Box whole_box(const Type *t)
{
    Box box = {.step = {1, 1, 1, 1}};
    dims_nchw(t, box.extent);
    return box;
}

/* ---- concat ----------------------------------------------------------------------------- */

const AttrSpec attrs_concat[] = {
    ATTR(axis, ATTR_INT, .fallback = 1, .min = -MAX_RANK, .max = MAX_RANK - 1),
};
ATTRS_END(concat);

/* Whether input `i` has the type of input 0, but for the extent of `axis`. */
static bool concat_fits(Graph *g, NodeId n, int i, int axis)
{
    const Type *first = shape_in(g, n, 0), *t = shape_in(g, n, i);
    bool        fits = t->rank == first->rank && t->elem == first->elem;
    for (int d = 0; fits && d < t->rank; d++)
        fits = d == axis || t->dims[d] == first->dims[d];
    if (fits)
        return true;
    return shape_error(g, n, "input %d is %s and input 0 %s, expected the same but for axis %d", i,
                       type_text(g->arena, t), type_text(g->arena, first), axis);
}

bool shape_concat(Graph *g, NodeId n)
{
    Type out = *shape_in(g, n, 0);
    int  axis, n_in = node_get(g, n)->n_own;
    if (!shape_axis(g, n, node_get(g, n)->attrs.axis, out.rank, out.rank, &axis))
        return false;
    out.dims[axis] = 0;
    for (int i = 0; i < n_in; i++) {
        int64_t extent = shape_in(g, n, i)->dims[axis];
        if (!concat_fits(g, n, i, axis))
            return false;
        if (out.dims[axis] > INT64_MAX - extent)
            return shape_error(g, n, "axis %d of the output is past 2^63", axis);
        out.dims[axis] += extent;
    }
    return shape_set(g, n, out.elem, out.rank, out.dims);
}

void eval_concat(const Node *n, const Array *const in[], Array *out)
{
    int     axis = axis_from_end(n->attrs.axis, out->type.rank);
    int64_t outer, total, inner, first = 0;
    axis_spans(&out->type, axis, &outer, &total, &inner);
    for (int i = 0; i < n->n_own; i++) {
        int64_t run = in[i]->type.dims[axis] * inner;
        for (int64_t o = 0; o < outer; o++)
            memcpy(out->data + o * total * inner + first, in[i]->data + o * run,
                   (size_t)run * sizeof(double));
        first += run;
    }
}

/* One input of ranks that have no layout: `outer` runs of consecutive elements. */
static void concat_plain(Graph *g, Kernel *k, ValueId x, ValueId y, int axis, int64_t first)
{
    int64_t outer, extent, total, inner;
    axis_spans(&value_get(g, y)->type, axis, &outer, &total, &inner);
    axis_spans(&value_get(g, x)->type, axis, &outer, &extent, &inner);
    LoopId o = kernel_loop_if(k, "o", outer, PARALLEL, AXIS_NONE);
    LoopId i = kernel_loop_if(k, "i", extent * inner, PARALLEL, AXIS_LANE);
    Affine from = affine_add(affine_scale(affine_loop(o), extent * inner), affine_loop(i));
    Affine to = affine_add(affine_scale(affine_loop(o), total * inner), affine_loop(i));
    to = affine_offset(to, first * inner);
    Stmt *store =
        st_store(k, lower_buffer(g, k, y), to, ASSIGN, ex_load(k, lower_buffer(g, k, x), from));
    st_add(k, k->body, lower_nest(k, (LoopId[]){o, i}, 2, store));
}

/* Elements of the output's memory ahead of a part that is one run of it. */
static int64_t run_offset(const Type *y, int axis, int64_t first)
{
    Type ahead = *y;
    ahead.dims[axis] = first;
    return first ? type_stored_count(&ahead) : 0;
}

/* Whether input `i`, `first` along the axis, was written into the output in the first place. One that
 * begins within a block never was. */
static bool is_in_place(const Graph *g, const Node *n, int i, int axis, int64_t first)
{
    const Type *y = &value_get(g, n->out)->type;
    if (axis == 1 && first % y->layout.block != 0)
        return false;
    return value_is_placed(g, n->in[i], n->out, run_offset(y, axis, first));
}

static bool all_in_place(const Graph *g, const Node *n, int axis)
{
    int64_t first = 0;
    for (int i = 0; i < n->n_own; i++) {
        if (!is_in_place(g, n, i, axis, first))
            return false;
        first += value_get(g, n->in[i])->type.dims[axis];
    }
    return true;
}

void lower_concat(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *y = &value_get(g, n->out)->type;
    int         axis = axis_from_end(n->attrs.axis, y->rank);
    int         place = y->rank == 1 ? 1 : axis; /* a vector is seen as channels */
    int64_t     first = 0, nchw[4];
    bool        is_nchw = dims_nchw(y, nchw);
    if (all_in_place(g, n, axis))
        return;
    lower_zero_halo(g, k, n->out);
    if (is_nchw)
        box_zero_channels(g, k, n->out);
    for (int i = 0; i < n->n_own; i++) {
        const Type *x = &value_get(g, n->in[i])->type;
        Box         box = whole_box(x);
        box.to[place] = first;
        if (is_nchw && !is_in_place(g, n, i, axis, first))
            box_copy(g, k, n->in[i], n->out, &box);
        else if (!is_in_place(g, n, i, axis, first))
            concat_plain(g, k, n->in[i], n->out, axis, first);
        first += x->dims[axis];
    }
}

/* ---- transpose -------------------------------------------------------------------------- */

const AttrSpec attrs_transpose[] = {
    ATTR_NAMED("perm", list, ATTR_LIST, .required = true, .min = 0, .max = MAX_RANK - 1),
};
ATTRS_END(transpose);

bool shape_transpose(Graph *g, NodeId n)
{
    const IntList *perm = &node_get(g, n)->attrs.list;
    Type           x = *shape_in(g, n, 0);
    bool           seen[MAX_RANK] = {false};
    int64_t        dims[MAX_RANK];
    if (perm->n != x.rank)
        return shape_error(g, n, "perm has %d entries, expected %d, the rank of the input", perm->n,
                           x.rank);
    for (int i = 0; i < x.rank; i++) {
        int64_t p = perm->v[i];
        if (p < 0 || p >= x.rank || seen[p])
            return shape_error(g, n, "perm is no permutation of 0 to %d: entry %d is %" PRId64,
                               x.rank - 1, i, p);
        seen[p] = true;
        dims[i] = x.dims[p];
    }
    return shape_set(g, n, x.elem, x.rank, dims);
}

void eval_transpose(const Node *n, const Array *const in[], Array *out)
{
    int64_t strides[MAX_RANK] = {0}, stride = 1, count = type_count(&out->type);
    for (int d = in[0]->type.rank - 1; d >= 0; d--) {
        strides[d] = stride;
        stride *= in[0]->type.dims[d];
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t from = 0, rest = i;
        for (int d = out->type.rank - 1; d >= 0; rest /= out->type.dims[d--])
            from += rest % out->type.dims[d] * strides[n->attrs.list.v[d]];
        out->data[i] = in[0]->data[from];
    }
}

void lower_transpose(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *y = &value_get(g, n->out)->type;
    LoopId      loops[MAX_RANK];
    Affine      to[MAX_RANK], from[MAX_RANK];
    for (int i = 0; i < y->rank; i++) {
        LoopAxis axis = i == y->rank - 1 ? AXIS_LANE : AXIS_NONE;
        loops[i] = kernel_loop_if(k, "d", y->dims[i], PARALLEL, axis);
        to[i] = affine_loop(loops[i]);
        from[n->attrs.list.v[i]] = to[i];
    }
    Stmt *store = lower_store_plain(g, k, n->out, to, lower_load_plain(g, k, n->in[0], from));
    st_add(k, k->body, lower_nest(k, loops, y->rank, store));
}

/* ---- relayout --------------------------------------------------------------------------- */

NO_ATTRS(relayout);

bool shape_relayout(Graph *g, NodeId n)
{
    return shape_copy(g, n);
}

void eval_relayout(const Node *n, const Array *const in[], Array *out)
{
    (void)n;
    memcpy(out->data, in[0]->data, (size_t)type_count(&out->type) * sizeof(double));
}

void lower_relayout(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    Box         box = whole_box(&value_get(g, n->out)->type);
    if (value_is_placed(g, n->in[0], n->out, 0))
        return;
    lower_zero_halo(g, k, n->out);
    box_zero_channels(g, k, n->out);
    box_copy(g, k, n->in[0], n->out, &box);
}
