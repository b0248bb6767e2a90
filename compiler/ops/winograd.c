/* winograd.c - conv2d by Winograd's minimal filtering, F(m x m, k x k).
 *
 * An m x m tile of the output is  A^T [ (G g G^T) * (B^T d B) ] A  (winograd_matrix.c). The product in the
 * middle is elementwise, so over all channels and tiles it is a matrix product for each of the (m+k-1)^2
 * positions. Where the filter moves by two, its phases are side by side in the matrices: tiles have 2(m-1)+k
 * inputs and products a side, and are 2m inputs apart.
 *
 * Tiles are taken in blocks: several images, rows of tiles or parts of a row (schedule/winograd_cost.c), so that
 * a block's transformed input V and product M stay in the second-level cache:
 *
 *     for each block of tiles
 *         V[f][ic][tile]  = (B^T d B)[f]                    input transform, lane by lane
 *         M[f][oc][tile] += V[f][ic][tile] * U[f][oc][ic]   tiled like any sum
 *         y               = epilogue(A^T M A + bias)        output transform
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
    Graph            *g;
    Kernel           *k;
    const Node       *n;
    WinogradTransform t;
    int               m, edge, stride; /* output and input tile */
    int               window;          /* outputs a side of which the largest is stored: 1 or 2 */
    int64_t           lanes, ic, icb, ocb; /* input channels, channel blocks */
    int64_t           tile_rows, tile_columns;
    BufferId          u, scratch, half;
} Wino;

/* A block of images * rows * columns tiles; the first of them is at image `image`, tile row `row`, tile
 * column `column`. */
typedef struct TileBlock {
    Affine  image, row, column;
    int64_t images, rows, columns, tiles;
} TileBlock;

/* Where V or M keeps position f of channel block cb and tile t, lane l. */
static Affine scratch_at(const Wino *w, const TileBlock *b, int64_t base, int64_t blocks, Affine f,
                         Affine cb, Affine t, Affine l)
{
    Affine at = affine_add(affine_scale(f, blocks), cb);
    at = affine_add(affine_scale(at, b->tiles), t);
    at = affine_add(affine_scale(at, w->lanes), l);
    return affine_offset(at, base);
}

static int64_t v_count(const Wino *w, const TileBlock *b)
{
    return (int64_t)w->edge * w->edge * w->icb * b->tiles * w->lanes;
}

/* Loops over the channel blocks, images, tile rows, tile columns and lanes of a block. */
typedef struct TileLoops {
    LoopId cb, image, row, column, lane;
    Affine tile, n, h, w; /* number within the block; its image, first row and column */
} TileLoops;

/* A tile has `pixels` a side of what is read or stored. */
static TileLoops tile_loops(const Wino *w, const TileBlock *b, const char *channel, int64_t blocks,
                            int pixels)
{
    TileLoops l;
    l.cb = kernel_loop_if(w->k, channel, blocks, PARALLEL, AXIS_NONE);
    l.image = kernel_loop_if(w->k, "n", b->images, PARALLEL, AXIS_NONE);
    l.row = kernel_loop_if(w->k, "row", b->rows, PARALLEL, AXIS_NONE);
    l.column = kernel_loop_if(w->k, "col", b->columns, PARALLEL, AXIS_NONE);
    l.lane = kernel_loop(w->k, "l", w->lanes, PARALLEL, AXIS_LANE);
    l.tile = affine_add(affine_scale(affine_loop(l.image), b->rows), affine_loop(l.row));
    l.tile = affine_add(affine_scale(l.tile, b->columns), affine_loop(l.column));
    l.n = affine_add(b->image, affine_loop(l.image));
    l.h = affine_scale(affine_add(b->row, affine_loop(l.row)), pixels);
    l.w = affine_scale(affine_add(b->column, affine_loop(l.column)), pixels);
    return l;
}

static Stmt *nest(const Wino *w, const TileLoops *l, Stmt *body)
{
    return lower_nest(w->k, (LoopId[]){l->cb, l->image, l->row, l->column, l->lane}, 5, body);
}

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
    return affine_add(affine_scale(at, w->lanes), affine_loop(l->lane));
}

/* half = m in, for column c. */
static void down_column(const Wino *w, const TileLoops *l, const WinogradMatrix *m, Stmt *block,
                        Affine c, const Expr **in)
{
    const Expr *out[MAX_EDGE];
    winograd_apply(w->k, block, m, in, out);
    for (int r = 0; r < m->rows; r++) {
        Affine at = half_at(w, l, affine_const(r), c);
        st_add(w->k, block, st_store(w->k, w->half, at, ASSIGN, out[r]));
    }
}

/* out = half m^T, for row r. */
static void along_row(const Wino *w, const TileLoops *l, const WinogradMatrix *m, Stmt *block,
                      Affine r, const Expr **out)
{
    const Expr *in[MAX_EDGE];
    for (int c = 0; c < m->columns; c++) {
        Affine at = half_at(w, l, r, affine_const(c));
        in[c] = winograd_let(w->k, block, "h", ex_load(w->k, w->half, at));
    }
    winograd_apply(w->k, block, m, in, out);
}

static Stmt *input_transform(const Wino *w, const TileBlock *b)
{
    Kernel     *k = w->k;
    TileLoops   l = tile_loops(w, b, "ic", w->icb, w->m * w->stride);
    LoopId      c = rolled_loop(k, "c", w->edge);
    LoopId      r = rolled_loop(k, "r", w->edge);
    Stmt       *down = st_block(k), *along = st_block(k), *body = st_block(k);
    const Expr *d[MAX_EDGE], *v[MAX_EDGE];
    const Type *x = &value_get(w->g, w->n->in[0])->type;
    for (int i = 0; i < w->edge; i++) {
        At at = {w->lanes,
                 l.n,
                 affine_loop(l.cb),
                 affine_loop(l.lane),
                 affine_offset(l.h, i - w->n->attrs.padding[0]),
                 affine_offset(affine_add(l.w, affine_loop(c)), -w->n->attrs.padding[1])};
        d[i] = winograd_let(k, down, "x", lower_load(w->g, k, w->n->in[0], x, &at));
    }
    down_column(w, &l, &w->t.b, down, affine_loop(c), d);
    along_row(w, &l, &w->t.b, along, affine_loop(r), v);
    for (int j = 0; j < w->edge; j++) {
        Affine f = affine_offset(affine_scale(affine_loop(r), w->edge), j);
        Affine at = scratch_at(w, b, 0, w->icb, f, affine_loop(l.cb), l.tile, affine_loop(l.lane));
        st_add(k, along, st_store(k, w->scratch, at, ASSIGN, v[j]));
    }
    st_add(k, body, st_for(k, c, down));
    st_add(k, body, st_for(k, r, along));
    return nest(w, &l, body);
}

static Stmt *products(const Wino *w, const TileBlock *b)
{
    Kernel *k = w->k;
    LoopId  f = kernel_loop(k, "f", (int64_t)w->edge * w->edge, PARALLEL, AXIS_NONE);
    LoopId  ob = kernel_loop_if(k, "oc", w->ocb, PARALLEL, AXIS_N);
    LoopId  t = kernel_loop_if(k, "tile", b->tiles, PARALLEL, AXIS_M);
    LoopId  ol = kernel_loop(k, "ol", w->lanes, PARALLEL, AXIS_LANE);
    LoopId  ib = kernel_loop_if(k, "ic", w->icb, REDUCE, AXIS_NONE);
    LoopId  il = kernel_loop_if(k, "il", w->ic < w->lanes ? w->ic : w->lanes, REDUCE, AXIS_K);
    Affine  o = affine_add(affine_scale(affine_loop(ob), w->lanes), affine_loop(ol));
    Affine  i = affine_add(affine_scale(affine_loop(ib), w->lanes), affine_loop(il));
    Affine  u = affine_add(affine_scale(affine_loop(f), w->ocb * w->lanes), o);
    u = affine_add(affine_scale(u, w->icb * w->lanes), i);
    Affine      v = scratch_at(w, b, 0, w->icb, affine_loop(f), affine_loop(ib), affine_loop(t),
                               affine_loop(il));
    Affine      m = scratch_at(w, b, v_count(w, b), w->ocb, affine_loop(f), affine_loop(ob),
                               affine_loop(t), affine_loop(ol));
    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    const Expr *product = ex_binary(k, B_MUL, ex_load(k, w->scratch, v), ex_load(k, w->u, u));
    Stmt       *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_const(k, 0.0)));
    st_add(k, leaf, st_for(k, ib, st_for(k, il, st_set(k, acc, ASSIGN_ADD, product))));
    st_add(k, leaf, st_store(k, w->scratch, m, ASSIGN, ex_temp(k, acc)));
    return lower_nest(k, (LoopId[]){f, ob, t, ol}, 4, leaf);
}

/* `s`, done only where the pixel is inside the output; tiles may hang over. */
static Stmt *inside(const Wino *w, const At *at, Stmt *s)
{
    const int64_t *d = value_get(w->g, w->n->out)->type.dims;
    Test           tests[2];
    int            n = 0;
    if (affine_range(w->k, &at->h).max >= d[2])
        tests[n++] = (Test){at->h, d[2]};
    if (affine_range(w->k, &at->w).max >= d[3])
        tests[n++] = (Test){at->w, d[3]};
    return st_guard(w->k, tests, n, s);
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

static const Expr *finish(const Wino *w, const Expr *e, const At *at)
{
    const Expr *bias = lower_bias(w->g, w->k, w->n, at);
    e = bias ? ex_binary(w->k, B_ADD, e, bias) : e;
    return lower_epilogue(w->g, w->k, w->n, e, at);
}

/* pixel - what is stored at `at`, from the sums of column j and those beside and below it. */
static const Expr *pixel(const Wino *w, const Expr *y[2][MAX_EDGE], int j, const At *at)
{
    bool        last = grows(w->n);
    const Expr *most = NULL;
    for (int row = 0; row < w->window; row++)
        for (int column = 0; column < w->window; column++) {
            const Expr *e = y[row][j + column];
            e = last ? e : finish(w, e, at);
            most = most ? ex_binary(w->k, B_MAX, e, most) : e;
        }
    return last ? finish(w, most, at) : most;
}

/* store_row - one row of what a tile stores, from the sums of `window` rows. */
static void store_row(const Wino *w, const TileLoops *l, Stmt *block, LoopId r,
                      const Expr *y[2][MAX_EDGE])
{
    for (int j = 0; j < w->m / w->window; j++) {
        At          at = {w->lanes,
                          l->n,
                          affine_loop(l->cb),
                          affine_loop(l->lane),
                          affine_add(l->h, affine_loop(r)),
                          affine_offset(l->w, j)};
        const Expr *e = pixel(w, y, j * w->window, &at);
        st_add(w->k, block, inside(w, &at, lower_store(w->g, w->k, w->n->out, &at, e)));
    }
}

static Stmt *output_transform(const Wino *w, const TileBlock *b)
{
    Kernel     *k = w->k;
    TileLoops   l = tile_loops(w, b, "oc", w->ocb, w->m / w->window);
    LoopId      c = rolled_loop(k, "c", w->edge);
    LoopId      r = rolled_loop(k, "r", w->m / w->window);
    Stmt       *down = st_block(k), *along = st_block(k), *body = st_block(k);
    const Expr *p[MAX_EDGE], *y[2][MAX_EDGE];
    for (int i = 0; i < w->edge; i++) {
        Affine f = affine_offset(affine_loop(c), i * w->edge);
        Affine at = scratch_at(w, b, v_count(w, b), w->ocb, f, affine_loop(l.cb), l.tile,
                               affine_loop(l.lane));
        p[i] = winograd_let(k, down, "m", ex_load(k, w->scratch, at));
    }
    down_column(w, &l, &w->t.a, down, affine_loop(c), p);
    for (int i = 0; i < w->window; i++) {
        Affine row = affine_offset(affine_scale(affine_loop(r), w->window), i);
        along_row(w, &l, &w->t.a, along, row, y[i]);
    }
    store_row(w, &l, along, r, y);
    st_add(k, body, st_for(k, c, down));
    st_add(k, body, st_for(k, r, along));
    return nest(w, &l, body);
}

/* ---- the whole -------------------------------------------------------------------------- */

/* Where block number `number` of the i-th size begins. */
static Affine first_tile(const WinogradCuts *cuts, int i, LoopId number)
{
    Affine at = affine_scale(affine_loop(number), cuts->size[i]);
    return affine_offset(at, i ? cuts->count[0] * cuts->size[0] : 0);
}

/* The blocks of the i-th size of rows and the j-th of columns. Where threads have scratch memory of their
 * own there is a loop over the blocks even if it is one: what threads share is its iterations. */
static void tile_blocks(const Wino *w, const WinogradCuts *rows, int i, const WinogradCuts *columns,
                        int j)
{
    Kernel   *k = w->k;
    int64_t   images = w->n->block.images, all = value_get(w->g, w->n->out)->type.dims[0];
    LoopId    batch = kernel_loop_if(k, "n", all / images, PARALLEL, AXIS_NONE);
    LoopId    block = w->n->block.copies > 1
                          ? kernel_loop(k, "block", rows->count[i], PARALLEL, AXIS_NONE)
                          : kernel_loop_if(k, "block", rows->count[i], PARALLEL, AXIS_NONE);
    LoopId    part = kernel_loop_if(k, "part", columns->count[j], PARALLEL, AXIS_NONE);
    TileBlock b = {affine_scale(affine_loop(batch), images),
                   first_tile(rows, i, block),
                   first_tile(columns, j, part),
                   images,
                   rows->size[i],
                   columns->size[j],
                   images * rows->size[i] * columns->size[j]};
    Stmt     *body = st_block(k);
    st_add(k, body, input_transform(w, &b));
    st_add(k, body, products(w, &b));
    st_add(k, body, output_transform(w, &b));
    st_add(k, k->body, lower_nest(k, (LoopId[]){batch, block, part}, 3, body));
}

void lower_winograd(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *x = &value_get(g, n->in[0])->type, y = node_computed(g, n);
    const Tensor *weight = value_get(g, n->in[1])->constant;
    Winograd      size = node_winograd(g, n, n->winograd);
    Wino          w = {.g = g, .k = k, .n = n, .m = size.m, .stride = size.stride};
    w.lanes = y.layout.block;
    w.edge = winograd_edge(size);
    w.window = n->pooled[0] ? 2 : 1;
    w.t = winograd_transform(size);
    w.ic = x->dims[1];
    w.icb = (x->dims[1] + w.lanes - 1) / w.lanes;
    w.ocb = (y.dims[1] + w.lanes - 1) / w.lanes;
    w.tile_rows = (y.dims[2] + w.m - 1) / w.m;
    w.tile_columns = (y.dims[3] + w.m - 1) / w.m;
    int64_t padded[3] = {(int64_t)w.edge * w.edge, w.ocb * w.lanes, w.icb * w.lanes};
    Tensor *u = arena_struct(k->arena, Tensor);
    u->type = winograd_type(weight, size);
    w.u = kernel_constant(k, "u", u, padded);
    k->buffers[w.u].value = n->in[1];
    k->buffers[w.u].view.winograd = size;
    k->buffers[w.u].view.plain = weight;
    k->buffers[w.u].view.make = winograd_weights;
    k->macs = type_count(&y) * x->dims[1] * size.k * size.k;
    text_printf(&k->notes, "winograd: tiles of %dx%d outputs, %d products each\n", w.m, w.m,
                w.edge * w.edge);

    lower_zero_halo(g, k, n->out);
    w.scratch = lower_buffer(g, k, n->scratch);
    w.half = kernel_buffer(k, "half", F32, BUF_LOCAL, w.edge * w.edge * w.lanes, 0);
    k->buffers[w.scratch].name = "scratch";
    k->buffers[w.scratch].count /= n->block.copies;
    k->buffers[w.scratch].copies = n->block.copies;
    WinogradCuts rows = winograd_cuts(w.tile_rows, n->block.rows);
    WinogradCuts columns = winograd_cuts(w.tile_columns, n->block.columns);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (rows.count[i] && columns.count[j])
                tile_blocks(&w, &rows, i, &columns, j);
}
