/* lower.c - what lowerings share: buffers, loads and stores through layouts, epilogues, loops. */
#include "ops/ops.h"

#include <string.h>

bool dims_nchw(const Type *t, int64_t nchw[4])
{
    for (int i = 0; i < 4; i++)
        nchw[i] = 1;
    switch (t->rank) {
    case 0: return true;
    case 1: nchw[1] = t->dims[0]; return true;
    case 2:
        nchw[0] = t->dims[0];
        nchw[1] = t->dims[1];
        return true;
    case 4: memcpy(nchw, t->dims, 4 * sizeof nchw[0]); return true;
    default: return false;
    }
}

/* Elements between neighbours along N, channel block, H, W in a stored value; elements of a plane. */
typedef struct Strides {
    int64_t n, c, h, w, plane;
} Strides;

static Strides layout_strides(const Type *t)
{
    int64_t d[4];
    dims_nchw(t, d);
    const Layout *l = &t->layout;
    Strides       s;
    s.w = l->block;
    s.h = (l->left + d[3] + l->right) * s.w;
    s.plane = (l->top + d[2] + l->bottom) * s.h;
    s.n = l->block > 1 ? s.plane : d[1] * s.plane;
    s.c = l->block > 1 ? d[0] * s.plane : s.plane;
    return s;
}

static BufferId find_buffer(const Kernel *k, BufferKind kind, ValueId v, const int64_t *padded,
                            int rank)
{
    for (BufferId b = 1; b < k->n_buffers; b++) {
        const Buffer *buf = &k->buffers[b];
        if (buf->kind != kind || buf->value != v)
            continue;
        if (kind == BUF_CONST && memcmp(buf->view.padded, padded, (size_t)rank * sizeof *padded))
            continue;
        return b;
    }
    return 0;
}

static BufferId constant_buffer(Kernel *k, const Value *val, ValueId v, const int64_t *padded)
{
    BufferId b = find_buffer(k, BUF_CONST, v, padded, val->type.rank);
    if (b)
        return b;
    b = kernel_constant(k, "c", val->constant, padded);
    k->buffers[b].value = v;
    return b;
}

BufferId lower_buffer(Graph *g, Kernel *k, ValueId v)
{
    const Value *val = value_get(g, v);
    if (val->constant)
        return constant_buffer(k, val, v, val->type.dims);
    bool       is_out = val->producer == k->node && k->node;
    BufferKind kind = is_out ? BUF_OUT : BUF_IN;
    BufferId   b = find_buffer(k, kind, v, NULL, 0);
    if (b)
        return b;
    const char *name = is_out ? "y" : "x";
    return kernel_buffer(k, name, val->type.elem, kind, type_stored_count(&val->type), v);
}

/* Dims of `t` aligned to the positions of `shape` as NumPy aligns, as N, C, H, W. */
static void align_nchw(const Type *t, const Type *shape, int64_t nchw[4])
{
    static const int place4[4] = {0, 1, 2, 3}, place2[2] = {0, 1}, place1[1] = {1};
    const int       *place = shape->rank == 4 ? place4 : shape->rank == 2 ? place2 : place1;
    for (int i = 0; i < 4; i++)
        nchw[i] = 1;
    int lead = shape->rank - t->rank;
    for (int i = 0; i < t->rank; i++)
        nchw[place[lead + i]] = t->dims[i];
}

static Affine channel(const At *at)
{
    return affine_add(affine_scale(at->cb, at->block), at->cl);
}

/* The index into a row-major array of dims d at position `at`; extents of 1 broadcast. */
static Affine plain_index(const int64_t d[4], const At *at)
{
    Affine c = channel(at), zero = affine_const(0);
    Affine i = d[0] > 1 ? at->n : zero;
    i = affine_add(affine_scale(i, d[1]), d[1] > 1 ? c : zero);
    i = affine_add(affine_scale(i, d[2]), d[2] > 1 ? at->h : zero);
    return affine_add(affine_scale(i, d[3]), d[3] > 1 ? at->w : zero);
}

static const Expr *load_constant(Kernel *k, const Value *val, ValueId v, const Type *shape,
                                 const At *at)
{
    int64_t d[4], padded[MAX_RANK];
    align_nchw(&val->type, shape, d);
    memcpy(padded, val->type.dims, sizeof padded);
    int lead = shape->rank - val->type.rank;
    int c_dim = (shape->rank == 1 ? 0 : 1) - lead;
    if (c_dim >= 0 && d[1] > 1) {
        d[1] = (d[1] + at->block - 1) / at->block * at->block;
        padded[c_dim] = d[1];
    }
    return ex_load(k, constant_buffer(k, val, v, padded), plain_index(d, at));
}

/* The index of position `at` of `shape` in a stored value of dims d. An extent of 1 broadcasts over a
 * larger one; over an extent of 1 it does not: there a window may reach into the halo. */
static Affine stored_index(const Type *t, const int64_t d[4], const Type *shape, const At *at)
{
    Strides s = layout_strides(t);
    bool    one_row = shape->rank == 4 && shape->dims[2] == 1;
    bool    one_column = shape->rank == 4 && shape->dims[3] == 1;
    Affine  i = d[0] > 1 ? affine_scale(at->n, s.n) : affine_const(0);
    if (d[1] > 1 && t->layout.block == at->block) {
        i = affine_add(i, affine_scale(at->cb, s.c));
        i = affine_add(i, at->cl);
    } else if (d[1] > 1) {
        i = affine_add(i, affine_scale(channel(at), s.c));
    }
    if (d[2] > 1 || one_row)
        i = affine_add(i, affine_scale(at->h, s.h));
    if (d[3] > 1 || one_column)
        i = affine_add(i, affine_scale(at->w, s.w));
    return affine_offset(i, t->layout.top * s.h + t->layout.left * s.w);
}

const Expr *lower_load(Graph *g, Kernel *k, ValueId v, const Type *shape, const At *at)
{
    const Value *val = value_get(g, v);
    if (val->constant)
        return load_constant(k, val, v, shape, at);
    int64_t d[4];
    align_nchw(&val->type, shape, d);
    const Expr *load = ex_load(k, lower_buffer(g, k, v), stored_index(&val->type, d, shape, at));
    return val->type.elem == BF16 ? ex_cast(k, F32, load) : load;
}

Stmt *lower_store(Graph *g, Kernel *k, ValueId v, const At *at, const Expr *e)
{
    const Type *t = &value_get(g, v)->type;
    Strides     s = layout_strides(t);
    Affine      i = affine_add(affine_scale(at->n, s.n), affine_scale(at->h, s.h));
    i = affine_add(i, affine_scale(at->w, s.w));
    if (t->layout.block == at->block)
        i = affine_add(i, affine_add(affine_scale(at->cb, s.c), at->cl));
    else
        i = affine_add(i, affine_scale(channel(at), s.c));
    i = affine_offset(i, t->layout.top * s.h + t->layout.left * s.w);
    return st_store(k, lower_buffer(g, k, v), i, ASSIGN, t->elem == BF16 ? ex_cast(k, BF16, e) : e);
}

const Expr *lower_epilogue(Graph *g, Kernel *k, const Node *n, const Expr *acc, const At *at)
{
    for (int i = 0; i < n->epilogue.n_steps; i++) {
        const EpilogueStep *step = &n->epilogue.steps[i];
        const Expr         *other = NULL;
        if (step->operand >= 0)
            other = lower_load(g, k, n->in[step->operand], &value_get(g, n->out)->type, at);
        acc = step->swapped ? lower_elementwise(k, step->op, &step->attrs, other, acc)
                            : lower_elementwise(k, step->op, &step->attrs, acc, other);
    }
    return acc;
}

void lower_loops(Graph *g, Kernel *k, ValueId v, At *at, LoopId loops[5])
{
    const Type *t = &value_get(g, v)->type;
    int64_t     d[4], block = t->layout.block;
    dims_nchw(t, d);
    LoopAxis w_axis = block > 1 ? AXIS_M : AXIS_LANE;
    LoopAxis c_axis = block == 1 && d[2] == 1 && d[3] == 1 ? AXIS_LANE : AXIS_NONE;
    loops[0] = kernel_loop_if(k, "n", d[0], PARALLEL, AXIS_NONE);
    loops[1] = kernel_loop_if(k, "c", (d[1] + block - 1) / block, PARALLEL, c_axis);
    loops[2] = kernel_loop_if(k, "h", d[2], PARALLEL, AXIS_NONE);
    loops[3] = kernel_loop_if(k, "w", d[3], PARALLEL, w_axis);
    loops[4] = kernel_loop_if(k, "cl", block, PARALLEL, AXIS_LANE);
    at->block = block;
    at->n = affine_loop(loops[0]);
    at->cb = affine_loop(loops[1]);
    at->h = affine_loop(loops[2]);
    at->w = affine_loop(loops[3]);
    at->cl = affine_loop(loops[4]);
}

Stmt *lower_nest(Kernel *k, const LoopId *loops, int n, Stmt *body)
{
    for (int i = n - 1; i >= 0; i--)
        body = st_for(k, loops[i], body);
    return body;
}

static Affine row_major(const Type *t, const Affine *index)
{
    Affine i = affine_const(0);
    for (int d = 0; d < t->rank; d++)
        i = affine_add(affine_scale(i, t->dims[d]), index[d]);
    return i;
}

const Expr *lower_load_plain(Graph *g, Kernel *k, ValueId v, const Affine *index)
{
    const Type *t = &value_get(g, v)->type;
    return ex_load(k, lower_buffer(g, k, v), row_major(t, index));
}

Stmt *lower_store_plain(Graph *g, Kernel *k, ValueId v, const Affine *index, const Expr *e)
{
    const Type *t = &value_get(g, v)->type;
    return st_store(k, lower_buffer(g, k, v), row_major(t, index), ASSIGN, e);
}

/* One nest of zeros, at the end of `block`: `count` elements from `start`, for each plane and each of `rows`
 * rows. */
static void zero_run(Kernel *k, Stmt *block, BufferId y, const int64_t plane[2],
                     const int64_t rows[2], int64_t start, int64_t count)
{
    if (count <= 0 || rows[0] <= 0)
        return;
    LoopId p = kernel_loop_if(k, "plane", plane[0], PARALLEL, AXIS_NONE);
    LoopId r = kernel_loop_if(k, "row", rows[0], PARALLEL, AXIS_NONE);
    LoopId i = kernel_loop_if(k, "i", count, PARALLEL, AXIS_LANE);
    Affine at =
        affine_add(affine_scale(affine_loop(p), plane[1]), affine_scale(affine_loop(r), rows[1]));
    at = affine_offset(affine_add(at, affine_loop(i)), start);
    const Expr *zero = ex_const(k, 0.0);
    Stmt       *store =
        st_store(k, y, at, ASSIGN, k->buffers[y].elem == BF16 ? ex_cast(k, BF16, zero) : zero);
    st_add(k, block, lower_nest(k, (LoopId[]){p, r, i}, 3, store));
}

/* A plane in memory: the zeros before the first pixel, between two rows, and after the last pixel are
 * each one run.
 *
 *     0 0 0 0 0 0        head: top rows, and the left edge of the first row
 *     0 x x x x 0 |      gap: right edge of a row and left edge of the next
 *     0 x x x x 0 |
 *     0 0 0 0 0 0        tail: right edge of the last row, and the bottom rows            */
Stmt *lower_zeros(Kernel *k, BufferId y, const Type *t, int64_t planes)
{
    const Layout *l = &t->layout;
    Stmt         *block = st_block(k);
    int64_t       d[4];
    dims_nchw(t, d);
    Strides s = layout_strides(t);
    int64_t plane[2] = {planes, s.plane};
    int64_t one[2] = {1, 0}, gaps[2] = {d[2] - 1, s.h};
    int64_t row = l->top * s.h + l->left * s.w; /* the first pixel */
    zero_run(k, block, y, plane, one, 0, row);
    zero_run(k, block, y, plane, gaps, row + d[3] * s.w, (l->left + l->right) * s.w);
    int64_t end = row + (d[2] - 1) * s.h + d[3] * s.w; /* past the last pixel */
    zero_run(k, block, y, plane, one, end, s.plane - end);
    return block;
}

void lower_zero_halo(Graph *g, Kernel *k, ValueId v)
{
    const Type *t = &value_get(g, v)->type;
    if (layout_has_halo(t->layout))
        st_add(k, k->body,
               lower_zeros(k, lower_buffer(g, k, v), t,
                           type_stored_count(t) / layout_strides(t).plane));
}
