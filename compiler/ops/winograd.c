/* winograd.c - conv2d by Winograd's minimal filtering, F(m x m, k x k).
 *
 * Lavin, Gray: Fast Algorithms for Convolutional Neural Networks (2015), equation 8: an m x m tile of
 * the output is  A^T [ (G g G^T) * (B^T d B) ] A  with d the (m+k-1)^2 tile of the input under it. The
 * product in the middle is elementwise, so over all channels and tiles it is a matrix product for each
 * of the (m+k-1)^2 positions. Matrices from the points by Toom and Cook; all of G's work is done here, in
 * double precision; B and A have small exact coefficients.
 *
 * Tiles are taken in blocks: several images, rows of tiles or parts of a row (winograd_block.c), so that
 * a block's transformed input V and product M stay in the second-level cache:
 *
 *     for each block of tiles
 *         V[f][ic][tile]  = (B^T d B)[f]                    input transform, lane by lane
 *         M[f][oc][tile] += V[f][ic][tile] * U[f][oc][ic]   tiled like any sum
 *         y               = epilogue(A^T M A + bias)        output transform
 *
 * Tiles that hang over the edge read the zeros of x's halo and do not store what is not there. */
#include "ops/ops.h"
#include "target/target.h"

#include <math.h>

#define MAX_EDGE WINOGRAD_EDGE

/* ---- the matrices ------------------------------------------------------------------------ */

typedef struct Matrix {
    int    rows, columns;
    double at[MAX_EDGE][MAX_EDGE];
} Matrix;

typedef struct Transform {
    Matrix b, a; /* B^T, A^T */
} Transform;

static const double points[MAX_EDGE - 1] = {0, 1, -1, 2, -2, 0.5, -0.5};

/* Coefficients of the product of (x - points[l]) over l < n, l != skip; into row `out`. */
static void polynomial(int n, int skip, double *out)
{
    out[0] = 1;
    for (int l = 0, degree = 0; l < n; l++) {
        if (l == skip)
            continue;
        out[degree + 1] = 0;
        for (int i = degree + 1; i >= 0; i--)
            out[i] = (i > 0 ? out[i - 1] : 0) - points[l] * out[i];
        degree++;
    }
}

static Transform make_transform(int m, int k)
{
    int       n = m + k - 1;
    Transform t = {.b = {n, n, {{0}}}, .a = {m, n, {{0}}}};
    for (int j = 0; j < n - 1; j++) {
        for (int i = 0; i < m; i++)
            t.a.at[i][j] = pow(points[j], i);
        polynomial(n - 1, j, t.b.at[j]);
    }
    t.a.at[m - 1][n - 1] = 1; /* the point at infinity */
    polynomial(n - 1, -1, t.b.at[n - 1]);
    return t;
}

FilterTransform winograd_filter(int m, int k)
{
    FilterTransform t = {.edge = m + k - 1, .k = k};
    for (int j = 0; j < t.edge - 1; j++) {
        double norm = 1;
        for (int l = 0; l < t.edge - 1; l++)
            norm *= l == j ? 1 : points[j] - points[l];
        t.point[j] = points[j];
        t.factor[j] = 1 / norm;
    }
    t.factor[t.edge - 1] = 1;
    return t;
}

/* The polynomial with coefficients c[0], c[step] ... at a point; at infinity, the last of them. */
static double at_point(const FilterTransform *t, int row, const double *c, int step)
{
    double sum = c[(t->k - 1) * step];
    for (int i = t->k - 2; i >= 0 && row < t->edge - 1; i--)
        sum = c[i * step] + t->point[row] * sum;
    return sum;
}

/* U[f][o][i] = (G g G^T)[f] for every filter g[o][i], f = row * edge + column. */
static const Tensor *transform_weights(Arena *a, const Tensor *w, const FilterTransform *t)
{
    const int64_t *d = w->type.dims;
    int64_t        n = t->edge, filters = d[0] * d[1], k = d[2];
    Tensor        *u = tensor_new(a, F32, 3, (int64_t[]){n * n, d[0], d[1]});
    float         *to = (float *)(uintptr_t)u->data;
    for (int64_t q = 0; q < filters; q++) {
        double g[WINOGRAD_EDGE * WINOGRAD_EDGE], half[WINOGRAD_EDGE * WINOGRAD_EDGE];
        for (int64_t i = 0; i < k * k; i++)
            g[i] = tensor_get(w, q * k * k + i);
        for (int r = 0; r < n; r++)
            for (int c = 0; c < k; c++)
                half[r * k + c] = at_point(t, r, g + c, (int)k);
        for (int r = 0; r < n; r++)
            for (int c = 0; c < n; c++)
                to[(r * n + c) * filters + q] =
                    (float)(at_point(t, c, half + r * k, 1) * t->factor[r] * t->factor[c]);
    }
    return u;
}

/* ---- transforms as expressions ------------------------------------------------------------ */

static const Expr *let(Kernel *k, Stmt *out, const char *name, const Expr *e)
{
    TempId t = kernel_temp(k, name, (VType){F32, 1});
    st_add(k, out, st_let(k, t, e));
    return ex_temp(k, t);
}

/* acc + factor * x, without the multiplication where the factor is 1 or -1. acc NULL is 0. */
static const Expr *add_term(Kernel *k, const Expr *acc, double factor, const Expr *x)
{
    double size = fabs(factor);
    if (acc && size != 1 && k->target->has_fma)
        return ex_fma(k, ex_const(k, factor), x, acc);
    if (size != 1)
        x = ex_binary(k, B_MUL, ex_const(k, size), x);
    if (!acc)
        return factor < 0 ? ex_unary(k, U_NEG, x) : x;
    return ex_binary(k, factor < 0 ? B_SUB : B_ADD, acc, x);
}

/* The sum of row[i] * in[i] over those i for which mask has a bit; positive terms first. */
static const Expr *row_sum(Kernel *k, const double *row, const Expr *const *in, int n,
                           unsigned mask)
{
    const Expr *sum = NULL;
    for (int sign = 1; sign >= -1; sign -= 2)
        for (int i = 0; i < n; i++)
            if ((mask >> i & 1) && row[i] * sign > 0)
                sum = add_term(k, sum, row[i], in[i]);
    return sum;
}

/* The columns on which rows p and q agree, and those on which they are opposite. False: neither holds for
 * some column. */
static bool rows_pair(const Matrix *m, int p, int q, unsigned *same, unsigned *opposite)
{
    *same = *opposite = 0;
    for (int i = 0; i < m->columns; i++) {
        double a = m->at[p][i], b = m->at[q][i];
        if (a != b && a != -b)
            return false;
        if (a != 0)
            *(a == b ? same : opposite) |= 1u << i;
    }
    return *same && *opposite;
}

/* out = m in. The rows of points p and -p share their even and their odd part: two sums serve both. */
static void apply(Kernel *k, Stmt *block, const Matrix *m, const Expr *const *in, const Expr **out)
{
    for (int r = 0; r < m->rows; r++) {
        unsigned same, opposite, all = (1u << m->columns) - 1;
        if (r + 1 < m->rows && rows_pair(m, r, r + 1, &same, &opposite)) {
            const Expr *even = let(k, block, "e", row_sum(k, m->at[r], in, m->columns, same));
            const Expr *odd = let(k, block, "o", row_sum(k, m->at[r], in, m->columns, opposite));
            out[r] = let(k, block, "t", ex_binary(k, B_ADD, even, odd));
            out[r + 1] = let(k, block, "t", ex_binary(k, B_SUB, even, odd));
            r++;
            continue;
        }
        out[r] = let(k, block, "t", row_sum(k, m->at[r], in, m->columns, all));
    }
}

/* half = m in: down each column. The other half of m in m^T goes along the rows, one at a time, so that
 * few of its results are alive at once. */
static void apply_columns(Kernel *k, Stmt *block, const Matrix *m, const Expr *(*in)[MAX_EDGE],
                          const Expr *(*half)[MAX_EDGE])
{
    const Expr *column[MAX_EDGE], *result[MAX_EDGE];
    for (int c = 0; c < m->columns; c++) {
        for (int i = 0; i < m->columns; i++)
            column[i] = in[i][c];
        apply(k, block, m, column, result);
        for (int r = 0; r < m->rows; r++)
            half[r][c] = result[r];
    }
}

/* ---- the nests of a block of tiles --------------------------------------------------------- */

typedef struct Wino {
    Graph      *g;
    Kernel     *k;
    const Node *n;
    Transform   t;
    int         m, edge;             /* output and input tile */
    int64_t     lanes, ic, icb, ocb; /* input channels, channel blocks */
    int64_t     tile_rows, tile_columns;
    BufferId    u, scratch;
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
    Affine tile, n, h, w; /* number within the block; its image, first output row and column */
} TileLoops;

static TileLoops tile_loops(const Wino *w, const TileBlock *b, const char *channel, int64_t blocks)
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
    l.h = affine_scale(affine_add(b->row, affine_loop(l.row)), w->m);
    l.w = affine_scale(affine_add(b->column, affine_loop(l.column)), w->m);
    return l;
}

static Stmt *nest(const Wino *w, const TileLoops *l, Stmt *body)
{
    return lower_nest(w->k, (LoopId[]){l->cb, l->image, l->row, l->column, l->lane}, 5, body);
}

static Stmt *input_transform(const Wino *w, const TileBlock *b)
{
    Kernel     *k = w->k;
    TileLoops   l = tile_loops(w, b, "ic", w->icb);
    Stmt       *body = st_block(k);
    const Expr *d[MAX_EDGE][MAX_EDGE] = {{NULL}}, *half[MAX_EDGE][MAX_EDGE], *v[MAX_EDGE];
    const Type *x = &value_get(w->g, w->n->in[0])->type;
    for (int i = 0; i < w->edge; i++)
        for (int j = 0; j < w->edge; j++) {
            At at = {w->lanes,
                     l.n,
                     affine_loop(l.cb),
                     affine_loop(l.lane),
                     affine_offset(l.h, i - w->n->attrs.padding[0]),
                     affine_offset(l.w, j - w->n->attrs.padding[1])};
            d[i][j] = lower_load(w->g, k, w->n->in[0], x, &at);
        }
    apply_columns(k, body, &w->t.b, d, half);
    for (int i = 0; i < w->edge; i++) {
        apply(k, body, &w->t.b, half[i], v);
        for (int j = 0; j < w->edge; j++) {
            Affine at = scratch_at(w, b, 0, w->icb, affine_const(i * w->edge + j),
                                   affine_loop(l.cb), l.tile, affine_loop(l.lane));
            st_add(k, body, st_store(k, w->scratch, at, ASSIGN, v[j]));
        }
    }
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
    TempId      acc = kernel_temp(k, "acc", (VType){F32, 1});
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

static Stmt *output_transform(const Wino *w, const TileBlock *b)
{
    Kernel     *k = w->k;
    const Node *n = w->n;
    TileLoops   l = tile_loops(w, b, "oc", w->ocb);
    Stmt       *body = st_block(k);
    const Expr *p[MAX_EDGE][MAX_EDGE] = {{NULL}}, *half[MAX_EDGE][MAX_EDGE], *y[MAX_EDGE] = {NULL};
    for (int i = 0; i < w->edge; i++)
        for (int j = 0; j < w->edge; j++) {
            Affine at = scratch_at(w, b, v_count(w, b), w->ocb, affine_const(i * w->edge + j),
                                   affine_loop(l.cb), l.tile, affine_loop(l.lane));
            p[i][j] = ex_load(k, w->scratch, at);
        }
    apply_columns(k, body, &w->t.a, p, half);
    for (int i = 0; i < w->m; i++) {
        apply(k, body, &w->t.a, half[i], y);
        for (int j = 0; j < w->m; j++) {
            At          at = {w->lanes,
                              l.n,
                              affine_loop(l.cb),
                              affine_loop(l.lane),
                              affine_offset(l.h, i),
                              affine_offset(l.w, j)};
            const Expr *e = y[j];
            const Expr *bias = lower_bias(w->g, k, n, &at);
            e = bias ? ex_binary(k, B_ADD, e, bias) : e;
            e = lower_epilogue(w->g, k, n, e, &at);
            st_add(k, body, inside(w, &at, lower_store(w->g, k, n->out, &at, e)));
        }
    }
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
    const Node    *n = node_get(g, id);
    const Type    *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    const Tensor  *weight = value_get(g, n->in[1])->constant;
    const int64_t *wd = weight->type.dims;
    Wino           w = {.g = g, .k = k, .n = n, .m = n->winograd, .lanes = y->layout.block};
    w.edge = w.m + (int)wd[2] - 1;
    w.t = make_transform(w.m, (int)wd[2]);
    w.ic = x->dims[1];
    w.icb = (x->dims[1] + w.lanes - 1) / w.lanes;
    w.ocb = (y->dims[1] + w.lanes - 1) / w.lanes;
    w.tile_rows = (y->dims[2] + w.m - 1) / w.m;
    w.tile_columns = (y->dims[3] + w.m - 1) / w.m;
    int64_t         padded[3] = {(int64_t)w.edge * w.edge, w.ocb * w.lanes, w.icb * w.lanes};
    FilterTransform filter = winograd_filter(w.m, (int)wd[2]);
    w.u = kernel_constant(k, "u", transform_weights(k->arena, weight, &filter), padded);
    k->buffers[w.u].value = n->in[1];
    k->buffers[w.u].view.winograd = w.m;
    k->buffers[w.u].view.plain = weight;
    k->macs = type_count(y) * x->dims[1] * wd[2] * wd[3];
    text_printf(&k->notes, "winograd: tiles of %dx%d outputs, %d products each\n", w.m, w.m,
                w.edge * w.edge);

    lower_zero_halo(g, k, n->out);
    w.scratch = lower_buffer(g, k, n->scratch);
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
