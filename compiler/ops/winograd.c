/* winograd.c - conv2d by Winograd's minimal filtering, F(m x m, k x k).
 *
 * An m x m tile of the output is  A^T [ (G g G^T) * (B^T d B) ] A  (winograd_matrix.c). The product in the
 * middle is elementwise, so over all channels and tiles it is a matrix product for each of the (m+k-1)^2
 * positions. Where the filter moves by two, its phases are side by side in the matrices: tiles have 2(m-1)+k
 * inputs and products a side, and are 2m inputs apart.
 *
 * Tiles are taken in blocks (bilinear.c): several images, rows of tiles or parts of a row
 * (schedule/winograd_cost.c), so that a block's transformed input and products stay in the second-level cache.
 *
 * Either transform goes down the columns of a tile and then along its rows, one by one: two short loops and a
 * local array between them. A whole tile would not fit the registers, so written out it is memory all the
 * same, and ten times the code.
 *
 * Tiles that hang over the edge read the zeros of x's halo and do not store what is not there. */
#include "ops/ops.h"
#include "target/target.h"

#define MAX_EDGE WINOGRAD_EDGE

void winograd_halo(const Graph *g, const Node *n, int64_t side[4])
{
    const int64_t *x = value_get(g, n->in[0])->type.dims;
    const Type     computed = node_computed(g, n);
    const int64_t *y = computed.dims;
    Winograd       w = node_winograd(g, n, n->winograd);
    for (int i = 0; i < 2; i++) {
        int64_t before = ((y[2 + i] + w.m - 1) / w.m - 1) * w.m * w.stride; /* the last tile */
        int64_t reach = before + winograd_edge(w);
        int64_t after = reach - x[2 + i] - n->attrs.padding[i];
        side[i] = n->attrs.padding[i];
        side[2 + i] = after > 0 ? after : 0;
    }
}

/* ---- the nests of a block of tiles --------------------------------------------------------- */

typedef struct Wino {
    Bilinear          s;
    WinogradTransform t;
    int               m, edge, stride; /* output and input tile */
    int               window;          /* outputs a side of which the largest is stored: 1 or 2 */
    BufferId          half;
} Wino;

static LoopId rolled_loop(Kernel *k, const char *name, int extent)
{
    LoopId l = kernel_loop_if(k, name, extent, PARALLEL, AXIS_NONE);
    if (l)
        k->loops[l].mark = ROLLED;
    return l;
}

/* Where the local array keeps row r, column c of a tile that is half transformed. */
static Affine half_at(const Wino *w, const TileLoops *l, Affine r, Affine c)
{
    Affine at = affine_add(affine_scale(r, w->edge), c);
    return affine_add(affine_scale(at, w->s.lanes), affine_loop(l->lane));
}

/* half = m in, for column c. */
static void down_column(const Wino *w, const TileLoops *l, const TransformMatrix *m, Stmt *block,
                        Affine c, const Expr **in)
{
    const Expr *out[MAX_EDGE];
    transform_apply(w->s.k, block, m, in, out);
    for (int r = 0; r < m->rows; r++) {
        Affine at = half_at(w, l, affine_const(r), c);
        st_add(w->s.k, block, st_store(w->s.k, w->half, at, ASSIGN, out[r]));
    }
}

/* out = half m^T, for row r. */
static void along_row(const Wino *w, const TileLoops *l, const TransformMatrix *m, Stmt *block,
                      Affine r, const Expr **out)
{
    const Expr *in[MAX_EDGE];
    for (int c = 0; c < m->columns; c++) {
        Affine at = half_at(w, l, r, affine_const(c));
        in[c] = lower_let(w->s.k, block, "h", ex_load(w->s.k, w->half, at));
    }
    transform_apply(w->s.k, block, m, in, out);
}

static Stmt *input_transform(const Wino *w, const TileBlock *b)
{
    Kernel     *k = w->s.k;
    TileLoops   l = tile_loops(&w->s, b, "ic", w->s.icb, w->m * w->stride);
    LoopId      c = rolled_loop(k, "c", w->edge);
    LoopId      r = rolled_loop(k, "r", w->edge);
    Stmt       *down = st_block(k), *along = st_block(k), *body = st_block(k);
    const Expr *d[MAX_EDGE], *v[MAX_EDGE];
    const Type *x = &value_get(w->s.g, w->s.n->in[0])->type;
    for (int i = 0; i < w->edge; i++) {
        At at = {w->s.lanes,
                 l.n,
                 affine_loop(l.cb),
                 affine_loop(l.lane),
                 affine_offset(l.h, i - w->s.n->attrs.padding[0]),
                 affine_offset(affine_add(l.w, affine_loop(c)), -w->s.n->attrs.padding[1])};
        d[i] = lower_let(k, down, "x", lower_load(w->s.g, k, w->s.n->in[0], x, &at));
    }
    down_column(w, &l, &w->t.b, down, affine_loop(c), d);
    along_row(w, &l, &w->t.b, along, affine_loop(r), v);
    for (int j = 0; j < w->edge; j++) {
        Affine f = affine_offset(affine_scale(affine_loop(r), w->edge), j);
        Affine at = bilinear_v(&w->s, b, f, affine_loop(l.cb), l.tile, affine_loop(l.lane));
        st_add(k, along, st_store(k, w->s.scratch, at, ASSIGN, v[j]));
    }
    st_add(k, body, st_for(k, c, down));
    st_add(k, body, st_for(k, r, along));
    return tile_nest(&w->s, &l, body);
}

/* `s`, done only where the pixel is inside the output; tiles may hang over. */
static Stmt *inside(const Wino *w, const At *at, Stmt *s)
{
    const int64_t *d = value_get(w->s.g, w->s.n->out)->type.dims;
    Test           tests[2];
    int            n = 0;
    if (affine_range(w->s.k, &at->h).max >= d[2])
        tests[n++] = (Test){at->h, d[2]};
    if (affine_range(w->s.k, &at->w).max >= d[3])
        tests[n++] = (Test){at->w, d[3]};
    return st_guard(w->s.k, tests, n, s);
}

/* grows - whether the epilogue never turns a smaller number into a larger one: then a maximum may be taken
 * before it. */
static bool grows(const Node *n)
{
    for (int i = 0; i < n->epilogue.n_steps; i++) {
        Op op = n->epilogue.steps[i].op;
        if (op != OP_relu && op != OP_relu6 && op != OP_clip)
            return false;
    }
    return true;
}

/* pixel - what is stored at `at`, from the sums of column j and those beside and below it. */
static const Expr *pixel(const Wino *w, const Expr *y[2][MAX_EDGE], int j, const At *at)
{
    bool        last = grows(w->s.n);
    const Expr *most = NULL;
    for (int row = 0; row < w->window; row++)
        for (int column = 0; column < w->window; column++) {
            const Expr *e = y[row][j + column];
            e = last ? e : bilinear_finish(&w->s, e, at);
            most = most ? ex_binary(w->s.k, B_MAX, e, most) : e;
        }
    return last ? bilinear_finish(&w->s, most, at) : most;
}

/* store_row - one row of what a tile stores, from the sums of `window` rows. */
static void store_row(const Wino *w, const TileLoops *l, Stmt *block, LoopId r,
                      const Expr *y[2][MAX_EDGE])
{
    for (int j = 0; j < w->m / w->window; j++) {
        At          at = {w->s.lanes,
                          l->n,
                          affine_loop(l->cb),
                          affine_loop(l->lane),
                          affine_add(l->h, affine_loop(r)),
                          affine_offset(l->w, j)};
        const Expr *e = pixel(w, y, j * w->window, &at);
        st_add(w->s.k, block, inside(w, &at, lower_store(w->s.g, w->s.k, w->s.n->out, &at, e)));
    }
}

static Stmt *output_transform(const Wino *w, const TileBlock *b)
{
    Kernel     *k = w->s.k;
    TileLoops   l = tile_loops(&w->s, b, "oc", w->s.ocb, w->m / w->window);
    LoopId      c = rolled_loop(k, "c", w->edge);
    LoopId      r = rolled_loop(k, "r", w->m / w->window);
    Stmt       *down = st_block(k), *along = st_block(k), *body = st_block(k);
    const Expr *p[MAX_EDGE], *y[2][MAX_EDGE];
    for (int i = 0; i < w->edge; i++) {
        Affine f = affine_offset(affine_loop(c), i * w->edge);
        Affine at = bilinear_m(&w->s, b, f, affine_loop(l.cb), l.tile, affine_loop(l.lane));
        p[i] = lower_let(k, down, "m", ex_load(k, w->s.scratch, at));
    }
    down_column(w, &l, &w->t.a, down, affine_loop(c), p);
    for (int i = 0; i < w->window; i++) {
        Affine row = affine_offset(affine_scale(affine_loop(r), w->window), i);
        along_row(w, &l, &w->t.a, along, row, y[i]);
    }
    store_row(w, &l, along, r, y);
    st_add(k, body, st_for(k, c, down));
    st_add(k, body, st_for(k, r, along));
    return tile_nest(&w->s, &l, body);
}

/* ---- the whole -------------------------------------------------------------------------- */

static Stmt *block_body(const void *context, const TileBlock *b)
{
    const Wino *w = context;
    Stmt       *body = st_block(w->s.k);
    st_add(w->s.k, body, input_transform(w, b));
    st_add(w->s.k, body, bilinear_products(&w->s, b, b, affine_const(0), affine_const(0)));
    st_add(w->s.k, body, output_transform(w, b));
    return body;
}

void lower_winograd(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *x = &value_get(g, n->in[0])->type, y = node_computed(g, n);
    const Tensor *weight = value_get(g, n->in[1])->constant;
    Winograd      size = node_winograd(g, n, n->winograd);
    int           edge = winograd_edge(size);
    lower_zero_halo(g, k, n->out);
    Wino w = {.s = bilinear_new(g, k, n), .m = size.m, .edge = edge, .stride = size.stride};
    w.window = n->pooled[0] ? 2 : 1;
    w.t = winograd_transform(size);
    w.s.positions = (int64_t)edge * edge;
    w.s.ic = x->dims[1];
    w.s.icb = (x->dims[1] + w.s.lanes - 1) / w.s.lanes;
    w.s.ocb = (y.dims[1] + w.s.lanes - 1) / w.s.lanes;
    int64_t padded[3] = {w.s.positions, w.s.ocb * w.s.lanes, w.s.icb * w.s.lanes};
    bilinear_weights(&w.s, winograd_type(weight, size), winograd_weights, padded)->winograd = size;
    w.half = kernel_buffer(k, "half", F32, BUF_LOCAL, w.s.positions * w.s.lanes, 0);
    k->macs = type_count(&y) * x->dims[1] * size.k * size.k;
    text_printf(&k->notes, "winograd: tiles of %dx%d outputs, %d products each\n", w.m, w.m,
                edge * edge);
    lower_tile_blocks(&w.s, (y.dims[2] + w.m - 1) / w.m, (y.dims[3] + w.m - 1) / w.m, &w,
                      block_body);
}
