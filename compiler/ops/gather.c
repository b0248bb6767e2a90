/* gather.c - constant indices along one axis.
 *
 * The indices are cut into progressions: every `stride`-th output from `first` on reads inputs a
 * fixed step apart. With the stride chosen well there are few of them, whatever the length:
 *
 *     0 0 1 2 3 3 4 5 6 6 7 8     4 outputs for 3 inputs: with stride 4, four of step 3
 *
 * A nearest-neighbour scaling by p / q takes q progressions at most, and about the square root of
 * the extent where q is large. */
#include "ops/ops.h"

#include <inttypes.h>

#define MOST_PIECES 4096

const AttrSpec attrs_gather[] = {
    ATTR(axis, ATTR_INT, .fallback = 0, .min = -MAX_RANK, .max = MAX_RANK - 1),
};
ATTRS_END(gather);

/* ---- progressions ----------------------------------------------------------------------- */

/* The indices of a node; negative ones count from the end of the axis. */
typedef struct Indices {
    const int32_t *data;
    int64_t        n, extent;
} Indices;

static Indices indices_of(const Tensor *t, int64_t extent)
{
    return (Indices){t->data, type_count(&t->type), extent};
}

static int64_t index_at(const Indices *x, int64_t i)
{
    return x->data[i] < 0 ? x->data[i] + x->extent : x->data[i];
}

/* Outputs first, first + stride, ... read inputs from, from + step, ... */
typedef struct Piece {
    int64_t first, stride, from, step, count;
} Piece;

/* The progression that begins at output `first`, as long as it goes. */
static Piece piece_at(const Indices *x, int64_t first, int64_t stride)
{
    Piece p = {first, stride, index_at(x, first), 0, 1};
    if (first + stride >= x->n)
        return p;
    p.step = index_at(x, first + stride) - p.from;
    for (int64_t i = first + stride; i < x->n; i += stride, p.count++)
        if (index_at(x, i) != p.from + p.count * p.step)
            break;
    return p;
}

/* Cut into progressions of this stride; into out[], unless that is NULL. Their number; `most` where
 * there are that many or more. */
static int64_t cut(const Indices *x, int64_t stride, int64_t most, Piece *out)
{
    int64_t count = 0;
    for (int64_t phase = 0; phase < stride && phase < x->n; phase++)
        for (int64_t i = phase; i < x->n && count < most; count++) {
            Piece p = piece_at(x, i, stride);
            if (out)
                out[count] = p;
            i += p.count * stride;
        }
    return count;
}

/* The stride with the fewest progressions; *count is their number, past MOST_PIECES where there is
 * none. Gives up trying when that has taken long. */
static int64_t best_stride(const Indices *x, int64_t *count)
{
    enum { LONGEST = 512, WORK = 1 << 26 };
    int64_t best = 1;
    *count = cut(x, 1, MOST_PIECES + 1, NULL);
    for (int64_t s = 2; s < *count && s <= LONGEST && s * x->n <= WORK; s++) {
        int64_t pieces = cut(x, s, *count, NULL);
        if (pieces < *count) {
            *count = pieces;
            best = s;
        }
    }
    return best;
}

/* ---- the op ----------------------------------------------------------------------------- */

static bool indices_fit(Graph *g, NodeId n, const Indices *x, int axis)
{
    int64_t count;
    for (int64_t i = 0; i < x->n; i++)
        if (index_at(x, i) < 0 || index_at(x, i) >= x->extent)
            return shape_error(g, n,
                               "index %" PRId32 " is out of range for axis %d of extent %" PRId64,
                               x->data[i], axis, x->extent);
    best_stride(x, &count);
    if (count > MOST_PIECES)
        return shape_error(g, n, "the indices are more than %d progressions", MOST_PIECES);
    return true;
}

bool shape_gather(Graph *g, NodeId n)
{
    Type         x = *shape_in(g, n, 0);
    const Value *indices = graph_input(g, node_get(g, n), 1);
    int64_t      dims[2 * MAX_RANK];
    int          axis, rank = 0;
    if (!shape_axis(g, n, node_get(g, n)->attrs.axis, x.rank, x.rank, &axis))
        return false;
    if (indices->type.elem != I32)
        return shape_error(g, n, "indices have element type %s, expected i32",
                           elem_name(indices->type.elem));
    for (int i = 0; i < axis; i++)
        dims[rank++] = x.dims[i];
    for (int i = 0; i < indices->type.rank; i++)
        dims[rank++] = indices->type.dims[i];
    for (int i = axis + 1; i < x.rank; i++)
        dims[rank++] = x.dims[i];
    Indices all = indices_of(indices->constant, x.dims[axis]);
    return indices_fit(g, n, &all, axis) && shape_set(g, n, x.elem, rank, dims);
}

void eval_gather(const Node *n, const Array *const in[], Array *out)
{
    int64_t outer, extent, inner, count = type_count(&in[1]->type);
    double *y = out->data;
    axis_spans(&in[0]->type, axis_from_end(n->attrs.axis, in[0]->type.rank), &outer, &extent,
               &inner);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t j = 0; j < count; j++) {
            int64_t at = (int64_t)in[1]->data[j];
            at = at < 0 ? at + extent : at;
            for (int64_t i = 0; i < inner; i++)
                *y++ = in[0]->data[(o * extent + at) * inner + i];
        }
}

/* for o, j, i:  y[o, first + j * stride, i] = x[o, from + j * step, i] */
static void copy_piece(Graph *g, Kernel *k, const Node *n, const Piece *p, const int64_t spans[4])
{
    int64_t outer = spans[0], extent = spans[1], inner = spans[2], count = spans[3];
    LoopId  o = kernel_loop_if(k, "o", outer, PARALLEL, AXIS_NONE);
    LoopId  j = kernel_loop_if(k, "j", p->count, PARALLEL, inner > 1 ? AXIS_NONE : AXIS_LANE);
    LoopId  i = kernel_loop_if(k, "i", inner, PARALLEL, AXIS_LANE);
    Affine  from = affine_offset(affine_scale(affine_loop(j), p->step), p->from);
    Affine  to = affine_offset(affine_scale(affine_loop(j), p->stride), p->first);
    from = affine_add(affine_scale(affine_loop(o), extent), from);
    to = affine_add(affine_scale(affine_loop(o), count), to);
    from = affine_add(affine_scale(from, inner), affine_loop(i));
    to = affine_add(affine_scale(to, inner), affine_loop(i));
    const Expr *x = ex_load(k, lower_buffer(g, k, n->in[0]), from);
    Stmt       *store = st_store(k, lower_buffer(g, k, n->out), to, ASSIGN, x);
    st_add(k, k->body, lower_nest(k, (LoopId[]){o, j, i}, 3, store));
}

void lower_gather(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *x = &value_get(g, n->in[0])->type;
    const Tensor *t = value_get(g, n->in[1])->constant;
    int64_t       spans[4] = {0, 0, 0, type_count(&t->type)}, pieces;
    axis_spans(x, axis_from_end(n->attrs.axis, x->rank), &spans[0], &spans[1], &spans[2]);
    Indices indices = indices_of(t, spans[1]);
    int64_t stride = best_stride(&indices, &pieces);
    Piece  *all = arena_array(k->arena, Piece, (size_t)pieces);
    cut(&indices, stride, pieces, all);
    for (int64_t i = 0; i < pieces; i++)
        copy_piece(g, k, n, &all[i], spans);
}
