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
 * So a "tile" is a pair of pixels that lie half a plane apart (strassen_pairs). Output channels are taken a few
 * vectors at a time, so that their products are near when they are added up:
 *
 *     for each block of pairs
 *         V = B^T x                                         all input channels
 *         for each few output channels of either half
 *             M = U * V
 *             y = epilogue(A^T M + bias)
 *
 * Sums of weights are made in double and rounded once. The result is off by a few times what direct sums are off
 * by, measured by the largest channel, for channels are added to each other; Winograd's tiles are off by more
 * (tests/differential). */
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

/* transformed - U[f][o][i] of a filter: sums of weights half of the channels apart. */
static const Tensor *transformed(Arena *a, const Tensor *plain, Winograd unused)
{
    (void)unused;
    Type    type = transformed_type(plain);
    Tensor *u = tensor_new(a, F32, 3, type.dims);
    float  *to = (float *)(uintptr_t)u->data; /* ours while it is in the making */
    int64_t out = type.dims[1], in = type.dims[2];
    for (int f = 0; f < STRASSEN_PRODUCTS; f++)
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++) {
                double sum = 0;
                for (int b = 0; b < 4; b++)
                    if (of_w.at[f][b] != 0)
                        sum += of_w.at[f][b] *
                               tensor_get(plain, (o + b / 2 * out) * 2 * in + i + b % 2 * in);
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
static At quarter(const Strassen *w, const TileLoops *l, Affine cb, int64_t half, int b)
{
    bool second = b % 2;
    return (At){w->s.lanes,
                l->n,
                affine_offset(cb, b / 2 * half),
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
        At at = quarter(w, &l, affine_loop(l.cb), w->s.icb, i);
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
        m[f] = lower_let(k, body, "m", ex_load(k, w->s.scratch, at));
    }
    transform_apply(k, body, &of_products, m, y);
    for (int i = 0; i < 4; i++) {
        At          at = quarter(w, &l, affine_add(first, affine_loop(l.cb)), w->halves, i);
        const Expr *e = bilinear_finish(&w->s, y[i], &at);
        st_add(k, body, once(w, &l, i, lower_store(w->s.g, k, w->s.n->out, &at, e)));
    }
    return tile_nest(&w->s, &l, body);
}

/* ---- the whole -------------------------------------------------------------------------- */

static Stmt *block_body(const void *context, const TileBlock *b)
{
    const Strassen *w = context;
    Kernel         *k = w->s.k;
    LoopId          part = kernel_loop_if(k, "oc", w->halves / w->s.ocb, PARALLEL, AXIS_NONE);
    Affine          first = affine_scale(affine_loop(part), w->s.ocb);
    Stmt           *body = st_block(k), *few = st_block(k);
    st_add(k, few, bilinear_products(&w->s, b, first));
    st_add(k, few, output_transform(w, b, first));
    st_add(k, body, input_transform(w, b));
    st_add(k, body, st_for(k, part, few));
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
    bilinear_weights(&w.s, type, (Winograd){0}, transformed, type.dims);
    k->macs = type_count(y) * x->dims[1];
    text_printf(&k->notes,
                "strassen: %d products of half the channels by half the pixels, in place of 8\n",
                STRASSEN_PRODUCTS);
    lower_tile_blocks(&w.s, w.pairs.rows, w.pairs.columns, &w, block_body);
}
