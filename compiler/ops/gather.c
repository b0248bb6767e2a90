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

/* Outputs first, first + stride, ... read inputs from, from + step, ... */
typedef struct Piece {
    int64_t first, stride, from, step, count;
} Piece;

/* The progression that begins at output `first`, as long as it goes. */
static Piece piece_at(const int64_t *indices, int64_t n, int64_t first, int64_t stride)
{
    Piece p = {first, stride, indices[first], 0, 1};
    if (first + stride >= n)
        return p;
    p.step = indices[first + stride] - indices[first];
    for (int64_t i = first + stride; i < n && indices[i] - indices[i - stride] == p.step;
         i += stride)
        p.count++;
    return p;
}

/* Cut into progressions of this stride; into out[], unless that is NULL. Their number; `most` where
 * there are that many or more. */
static int64_t cut(const int64_t *indices, int64_t n, int64_t stride, int64_t most, Piece *out)
{
    int64_t count = 0;
    for (int64_t phase = 0; phase < stride && phase < n; phase++)
        for (int64_t i = phase; i < n && count < most; count++) {
            Piece p = piece_at(indices, n, i, stride);
            if (out)
                out[count] = p;
            i += p.count * stride;
        }
    return count;
}

/* The stride with the fewest progressions; *count is their number, past MOST_PIECES where there is
 * none. Gives up trying when that has taken long. */
static int64_t best_stride(const int64_t *indices, int64_t n, int64_t *count)
{
    enum { LONGEST = 512, WORK = 1 << 26 };
    int64_t best = 1;
    *count = cut(indices, n, 1, MOST_PIECES + 1, NULL);
    for (int64_t s = 2; s < *count && s <= LONGEST && s * n <= WORK; s++) {
        int64_t pieces = cut(indices, n, s, *count, NULL);
        if (pieces < *count) {
            *count = pieces;
            best = s;
        }
    }
    return best;
}

/* The indices as integers from 0; NULL and *wrong where one is out of range. */
static int64_t *read_indices(Arena *a, const Tensor *t, int64_t extent, int64_t *wrong)
{
    int64_t  n = type_count(&t->type);
    int64_t *indices = arena_array(a, int64_t, (size_t)n);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = (int64_t)tensor_get(t, i);
        indices[i] = at < 0 ? at + extent : at;
        if (indices[i] >= 0 && indices[i] < extent)
            continue;
        *wrong = at;
        return NULL;
    }
    return indices;
}

/* ---- the op ----------------------------------------------------------------------------- */

static bool indices_fit(Graph *g, NodeId n, const Tensor *t, int axis, int64_t extent)
{
    Arena   *scratch = arena_new();
    int64_t  wrong, count = 0;
    int64_t *indices = read_indices(scratch, t, extent, &wrong);
    if (indices)
        best_stride(indices, type_count(&t->type), &count);
    arena_free(scratch);
    if (!indices)
        return shape_error(g, n, "index %" PRId64 " is out of range for axis %d of extent %" PRId64,
                           wrong, axis, extent);
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
    return indices_fit(g, n, indices->constant, axis, x.dims[axis]) &&
           shape_set(g, n, x.elem, rank, dims);
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
    int64_t       spans[4] = {0, 0, 0, type_count(&t->type)}, wrong, pieces;
    axis_spans(x, axis_from_end(n->attrs.axis, x->rank), &spans[0], &spans[1], &spans[2]);
    const int64_t *indices = read_indices(k->arena, t, spans[1], &wrong);
    int64_t        stride = best_stride(indices, spans[3], &pieces);
    Piece         *all = arena_array(k->arena, Piece, (size_t)pieces);
    cut(indices, spans[3], stride, pieces, all);
    for (int64_t i = 0; i < pieces; i++)
        copy_piece(g, k, n, &all[i], spans);
}
