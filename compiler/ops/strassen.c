/* strassen.c - 1x1 conv2d by Strassen's product of matrices.
 *
 * A 1x1 convolution is the product of its weights, output by input channels, and the input, channels by pixels.
 * Strassen (Gaussian elimination is not optimal, Numerische Mathematik 13, 1969): with both matrices cut into
 * 2 x 2 blocks, seven products of blocks do in place of eight. As in bilinear.c,  y = A^T [ (G w) * (B^T x) ],
 * with the blocks of each matrix as a vector, row by row:
 *
 *     x = x11, x12, x21, x22    halves of the input channels, of the pixels
 *     w = w11, w12, w21, w22    halves of the output channels, of the input channels
 *     y = y11, y12, y21, y22    halves of the output channels, of the pixels
 *
 * Halves of the channels are their even and their odd blocks: so no distance in memory depends on how many there are,
 * and layers that differ in that alone share a function (emit/function.c).
 *
 * So a "tile" is a pair of pixels that lie half a plane apart (strassen_pairs). The products of a register tile or two
 * are added up at once, from an array that stays in the first-level cache:
 *
 *     for each block of pairs
 *         V = B^T x                                         all input channels
 *         for each few output channels of either half
 *             for each few pairs of the block
 *                 M = U * V
 *                 y = epilogue(A^T M + bias)
 *
 * Sums of weights are made in double and rounded once. The result is off by 1.2 to 1.6 times what direct sums are off
 * by (docs/performance.md), measured by the largest channel, for channels are added to each other. */
#include "ops/ops.h"

static const TransformMatrix of_x = {STRASSEN_PRODUCTS,
                                     4,
                                     {{1, 0, 0, 1},
                                      {1, 0, 0, 0},
                                      {0, 1, 0, -1},
                                      {-1, 0, 1, 0},
                                      {0, 0, 0, 1},
                                      {1, 1, 0, 0},
                                      {0, 0, 1, 1}}};

static const TransformMatrix of_w = {STRASSEN_PRODUCTS,
                                     4,
                                     {{1, 0, 0, 1},
                                      {0, 0, 1, 1},
                                      {1, 0, 0, 0},
                                      {0, 0, 0, 1},
                                      {1, 1, 0, 0},
                                      {-1, 0, 1, 0},
                                      {0, 1, 0, -1}}};

static const TransformMatrix of_products = {
    4,
    STRASSEN_PRODUCTS,
    {{1, 0, 0, 1, -1, 0, 1}, {0, 0, 1, 0, 1, 0, 0}, {0, 1, 0, 1, 0, 0, 0}, {1, -1, 1, 0, 0, 1, 0}}};

/* ---- weights -------------------------------------------------------------------------------- */

static Type transformed_type(const Tensor *plain)
{
    const int64_t *w = plain->type.dims;
    return type_plain(F32, 3, (int64_t[]){STRASSEN_PRODUCTS, w[0] / 2, w[1] / 2});
}

/* The channel that is number `i` of a half. */
static int64_t channel_of(int64_t i, int64_t block, int half)
{
    return (i / block * 2 + half) * block + i % block;
}

/* transformed - U[f][o][i] of a filter: sums of weights from both halves of the channels. */
static const Tensor *transformed(Arena *a, const View *v)
{
    Type    type = transformed_type(v->plain);
    Tensor *u = tensor_new(a, F32, 3, type.dims);
    float  *to = (float *)(uintptr_t)u->data; /* ours while it is in the making */
    int64_t channels = v->plain->type.dims[1];
    for (int f = 0; f < STRASSEN_PRODUCTS; f++)
        for (int64_t o = 0; o < type.dims[1]; o++)
            for (int64_t i = 0; i < type.dims[2]; i++) {
                double sum = 0;
                for (int b = 0; b < 4; b++)
                    if (of_w.at[f][b] != 0)
                        sum += of_w.at[f][b] *
                               tensor_get(v->plain, channel_of(o, v->block, b / 2) * channels +
                                                        channel_of(i, v->block, b % 2));
                *to++ = (float)sum;
            }
    return u;
}

/* ---- the nests of a block of pairs ---------------------------------------------------------- */

typedef struct Strassen {
    Bilinear      s;
    StrassenPairs pairs;
    int64_t       halves; /* blocks of half the output channels */
} Strassen;

/* Channel block `cb` of a half, of the first or the second pixel of a pair: quarter b of x or y. */
static At quarter(const Strassen *w, const TileLoops *l, Affine cb, int b)
{
    bool second = b % 2;
    return (At){w->s.lanes,
                l->n,
                affine_offset(affine_scale(cb, 2), b / 2),
                affine_loop(l->lane),
                affine_offset(l->h, second ? w->pairs.down : 0),
                affine_offset(l->w, second ? w->pairs.right : 0)};
}

static Stmt *input_transform(const Strassen *w, const TileBlock *b)
{
    Kernel        *k = w->s.k;
    TileLoops      l = tile_loops(&w->s, b, "ic", w->s.icb, 1);
    Stmt          *body = st_block(k);
    ValueId        in = w->s.n->in[0];
    const int64_t *strides = w->s.n->attrs.strides;
    const Expr    *x[4], *v[STRASSEN_PRODUCTS];
    for (int i = 0; i < 4; i++) {
        At at = quarter(w, &l, affine_loop(l.cb), i);
        at.h = affine_scale(at.h, strides[0]);
        at.w = affine_scale(at.w, strides[1]);
        x[i] =
            lower_let(k, body, "x", lower_load(w->s.g, k, in, &value_get(w->s.g, in)->type, &at));
    }
    transform_apply(k, body, &of_x, x, v);
    for (int f = 0; f < STRASSEN_PRODUCTS; f++) {
        Affine at =
            bilinear_v(&w->s, b, affine_const(f), affine_loop(l.cb), l.tile, affine_loop(l.lane));
        st_add(k, body, st_store(k, w->s.scratch, at, ASSIGN, v[f]));
    }
    return tile_nest(&w->s, &l, body);
}

/* Of an odd number of pixels the one in the middle belongs to two pairs: `s` leaves it to the second. What it is
 * added to may lie where it is stored, so it must not be done twice. */
static Stmt *once(const Strassen *w, const TileLoops *l, int b, Stmt *s)
{
    bool twice = w->pairs.right > 0 && affine_range(w->s.k, &l->w).max >= w->pairs.right;
    return st_guard(w->s.k, &(Test){l->w, w->pairs.right}, twice && b % 2 == 0, s);
}

static Stmt *output_transform(const Strassen *w, const TileBlock *b, Affine first)
{
    Kernel     *k = w->s.k;
    TileLoops   l = tile_loops(&w->s, b, "oc", w->s.ocb, 1);
    Stmt       *body = st_block(k);
    const Expr *m[STRASSEN_PRODUCTS], *y[4];
    for (int f = 0; f < STRASSEN_PRODUCTS; f++) {
        Affine at =
            bilinear_m(&w->s, b, affine_const(f), affine_loop(l.cb), l.tile, affine_loop(l.lane));
        m[f] = lower_let(k, body, "m", ex_load(k, w->s.products, at));
    }
    transform_apply(k, body, &of_products, m, y);
    for (int i = 0; i < 4; i++) {
        At          at = quarter(w, &l, affine_add(first, affine_loop(l.cb)), i);
        const Expr *e = bilinear_finish(&w->s, y[i], &at);
        st_add(k, body, once(w, &l, i, lower_store(w->s.g, k, w->s.n->out, &at, e)));
    }
    return tile_nest(&w->s, &l, body);
}

/* ---- the whole -------------------------------------------------------------------------- */

/* The pairs of a block that are done together: so many rows of them, or columns of one row. */
typedef struct Part {
    int64_t rows, columns;
} Part;

/* even_part - how many of `all` are taken at a time: at most `most`, and so that all parts are equal if that leaves
 * them half as large at least. */
static int64_t even_part(int64_t all, int64_t most)
{
    for (int64_t part = most; 2 * part >= most && part > 0; part--)
        if (all % part == 0)
            return part;
    return all < most ? all : most;
}

static Part part_of(const TileBlock *b, int64_t most)
{
    if (b->columns > most)
        return (Part){1, even_part(b->columns, most)};
    return (Part){even_part(b->rows, most / b->columns), b->columns};
}

/* part_body - the products of one part of the block, and what they add up to. */
static Stmt *part_body(const Strassen *w, const TileBlock *b, Affine row, Affine column, Part size,
                       Affine first)
{
    Stmt     *body = st_block(w->s.k);
    Affine    from = affine_add(affine_scale(row, b->columns), column);
    TileBlock part = {
        b->image,     affine_add(b->row, row), affine_add(b->column, column), 1, size.rows,
        size.columns, size.rows * size.columns};
    st_add(w->s.k, body, bilinear_products(&w->s, b, &part, from, first));
    st_add(w->s.k, body, output_transform(w, &part, first));
    return body;
}

/* parts - all of a block: full ones, and what is left of rows or columns. */
static Stmt *parts(const Strassen *w, const TileBlock *b, Affine first)
{
    Kernel *k = w->s.k;
    Part    size = part_of(b, strassen_part(w->s.lanes));
    Stmt   *all = st_block(k);
    int64_t rows = b->rows / size.rows, columns = b->columns / size.columns;
    LoopId  r = kernel_loop_if(k, "row", rows, PARALLEL, AXIS_NONE);
    LoopId  c = kernel_loop_if(k, "col", columns, PARALLEL, AXIS_NONE);
    Affine  row = affine_scale(affine_loop(r), size.rows);
    Affine  column = affine_scale(affine_loop(c), size.columns);
    Part    left = {b->rows - rows * size.rows, b->columns - columns * size.columns};
    st_add(k, all, lower_nest(k, (LoopId[]){r, c}, 2, part_body(w, b, row, column, size, first)));
    if (left.columns)
        st_add(k, all,
               st_for(k, r,
                      part_body(w, b, row, affine_const(b->columns - left.columns),
                                (Part){size.rows, left.columns}, first)));
    if (left.rows)
        st_add(k, all,
               part_body(w, b, affine_const(b->rows - left.rows), affine_const(0),
                         (Part){left.rows, b->columns}, first));
    return all;
}

/* There is a loop over output channels even if it is one: what threads share is its iterations, for each has an array
 * of products of its own. */
static Stmt *block_body(const void *context, const TileBlock *b)
{
    const Strassen *w = context;
    Kernel         *k = w->s.k;
    LoopId          few = kernel_loop(k, "oc", w->halves / w->s.ocb, PARALLEL, AXIS_NONE);
    Stmt           *body = st_block(k);
    st_add(k, body, input_transform(w, b));
    st_add(k, body, st_for(k, few, parts(w, b, affine_scale(affine_loop(few), w->s.ocb))));
    return body;
}

void lower_strassen(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    const Tensor *weight = value_get(g, n->in[1])->constant;
    Type          type = transformed_type(weight);
    lower_zero_halo(g, k, n->out);
    Strassen w = {.s = bilinear_new(g, k, n), .pairs = strassen_pairs(g, n)};
    w.halves = y->dims[1] / (2 * w.s.lanes);
    w.s.positions = STRASSEN_PRODUCTS;
    w.s.ic = x->dims[1] / 2;
    w.s.icb = w.s.ic / w.s.lanes;
    w.s.ocb = strassen_columns(w.halves);
    w.s.products =
        kernel_buffer(k, "products", F32, BUF_LOCAL,
                      STRASSEN_PRODUCTS * w.s.ocb * strassen_part(w.s.lanes) * w.s.lanes, 0);
    bilinear_weights(&w.s, type, transformed, type.dims)->block = w.s.lanes;
    w.s.together = true;
    k->macs = type_count(y) * x->dims[1];
    text_printf(&k->notes,
                "strassen: %d products of half the channels by half the pixels, in place of 8\n",
                STRASSEN_PRODUCTS);
    lower_tile_blocks(&w.s, w.pairs.rows, w.pairs.columns, &w, block_body);
}
