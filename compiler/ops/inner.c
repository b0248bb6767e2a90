/* inner.c - 1x1 conv2d by Winograd's inner product.
 *
 * Winograd (A new algorithm for inner product, IEEE Transactions on Computers C-17, 1968): of products that are to be
 * summed, two at a time are one product of sums,
 *
 *     x1 w1 + x2 w2  =  (x1 + w2) (x2 + w1)  -  x1 x2  -  w1 w2
 *
 * What is subtracted is of one pixel or of one output channel alone: a matrix product does with half its
 * multiplications, for as many additions. That pays where a core adds with units of their own, beside those that
 * multiply and add (Target.adders). To keep both busy it is done to two of every three products; and whole blocks of
 * channels make a pair, so that the sum of x1 x2 is one of vectors. Where channels are not whole triples of blocks, the
 * first ones are multiplied as they are: so no distance in memory depends on how many there are, and layers that differ in
 * that alone share a function (emit/function.c).
 *
 *     for each block of pixels
 *         peak  = the largest |x| of each pixel
 *         V     = x scaled by a power of two, so that its peak is like that of the weights
 *         shift = sum V1 V2                                  of each pixel
 *         for each block of output channels, for each pixel
 *             acc  = eta - shift                             eta: - sum w1 w2 of each output channel
 *             acc += (V1 + w2) (V2 + w1) + V3 w3             for the blocks that are left, and all three of each triple
 *             y    = epilogue(acc / scale + bias)
 *
 * The sums x + w lose what one side has below the last bit of the other, so both have to be of one size (Brent,
 * Algorithms for matrix multiplication, Stanford CS 157, 1970): that is what the scale is for. The result is off by 1.2
 * to 1.6 times what direct sums are off by (docs/performance.md). */
#include "ops/ops.h"

#include <float.h>
#include <math.h>

/* Blocks of channels that go together: two make pairs, one is multiplied as it is. */
enum { TRIPLE = 3 };

/* Scales are powers of two from 2^-MOST to 2^MOST, so that one over a scale is normal too. */
#define MOST 126

/* What is kept of each pixel ahead of V, the same number in all lanes of a vector: the shift, and one over the scale. */
typedef enum { SHIFT, UNSCALE, SIDES } Side;

typedef struct Inner {
    Bilinear      s;
    int64_t       left, triples; /* channel blocks: so many first, then so many times TRIPLE */
    const Tensor *weight;
    BufferId      eta, exponent;
} Inner;

int64_t inner_scratch(const Graph *g, const Node *n, BlockShape block)
{
    int64_t lanes = value_get(g, n->out)->type.layout.block;
    int64_t blocks = graph_input(g, n, 0)->type.dims[1] / lanes;
    return (blocks + SIDES) * lanes * block.rows * block.columns;
}

/* ---- constants of the weights ----------------------------------------------------------------- */

/* One entry for each output channel: minus the sum of w1 w2, of the stored weights. */
static const Tensor *eta_of(Arena *a, const Inner *w)
{
    const int64_t *d = w->weight->type.dims;
    int64_t        lanes = w->s.lanes;
    Tensor        *t = tensor_new(a, F32, 1, (int64_t[]){d[0]});
    float         *to = (float *)(uintptr_t)t->data; /* ours while it is in the making */
    for (int64_t o = 0; o < d[0]; o++) {
        double sum = 0;
        for (int64_t i = 0; i < w->triples * lanes; i++) {
            int64_t block = w->left + i / lanes * TRIPLE, at = o * d[1] + block * lanes + i % lanes;
            sum += tensor_get(w->weight, at) * tensor_get(w->weight, at + lanes);
        }
        to[o] = (float)-sum;
    }
    return t;
}

/* The exponent of the largest weight. */
static const Tensor *exponent_of(Arena *a, const Tensor *weight)
{
    Tensor *t = tensor_new(a, F32, 1, (int64_t[]){1});
    double  peak = 0;
    int     exponent = 0;
    for (int64_t i = 0; i < type_count(&weight->type); i++)
        peak = fmax(peak, fabs(tensor_get(weight, i)));
    if (isfinite(peak))
        frexp(peak, &exponent);
    *(float *)(uintptr_t)t->data = (float)(exponent - 1);
    return t;
}

/* ---- what is made of each pixel ------------------------------------------------------------------ */

static Affine side_at(const Inner *w, const TileBlock *b, Side side, const TileLoops *l,
                      Affine lane)
{
    return bilinear_v(&w->s, b, affine_const(0), affine_const(side), l->tile, lane);
}

static const Expr *side(const Inner *w, const TileBlock *b, Side which, const TileLoops *l,
                        LoopId lane)
{
    return ex_load(w->s.k, w->s.scratch, side_at(w, b, which, l, affine_loop(lane)));
}

/* V of channel block `cb`, lane by lane. */
static Affine v_at(const Inner *w, const TileBlock *b, const TileLoops *l, Affine cb, LoopId lane)
{
    cb = affine_offset(cb, SIDES);
    return bilinear_v(&w->s, b, affine_const(0), cb, l->tile, affine_loop(lane));
}

static const Expr *load_x(const Inner *w, const TileLoops *l, Affine cb)
{
    ValueId        in = w->s.n->in[0];
    const int64_t *strides = w->s.n->attrs.strides;
    At             at = {w->s.lanes,
                         l->n,
                         cb,
                         affine_loop(l->lane),
                         affine_scale(l->h, strides[0]),
                         affine_scale(l->w, strides[1])};
    return lower_load(w->s.g, w->s.k, in, &value_get(w->s.g, in)->type, &at);
}

/* One step for all pixels of a row: what is done in each lane of each. */
typedef struct Phase {
    TileLoops l;
    TempId    acc; /* 0 at first */
    Stmt     *body;
} Phase;

static Phase phase_new(const Inner *w, const TileLoops *row)
{
    Kernel *k = w->s.k;
    Phase   p = {*row, kernel_temp(k, "acc", vtype(F32, 1)), st_block(k)};
    if (row->column) {
        p.l.column = kernel_loop(k, "col", k->loops[row->column].extent, PARALLEL, AXIS_NONE);
        Affine column = affine_loop(p.l.column);
        p.l.tile = affine_subst(&row->tile, row->column, &column);
        p.l.w = affine_subst(&row->w, row->column, &column);
    }
    p.l.lane = kernel_loop(k, "l", w->s.lanes, PARALLEL, AXIS_LANE);
    st_add(k, p.body, st_set(k, p.acc, ASSIGN, ex_const(k, 0)));
    return p;
}

static Stmt *phase_nest(const Inner *w, const Phase *p)
{
    return lower_nest(w->s.k, (LoopId[]){p->l.column, p->l.lane}, 2, p->body);
}

/* The same number for all lanes: of those that are in SHIFT. */
static void across_lanes(const Inner *w, const TileBlock *b, Phase *p, AssignOp op)
{
    Kernel *k = w->s.k;
    LoopId  lane = kernel_loop(k, "il", w->s.lanes, REDUCE, AXIS_NONE);
    k->loops[lane].mark = UNROLL;
    st_add(k, p->body, st_for(k, lane, st_set(k, p->acc, op, side(w, b, SHIFT, &p->l, lane))));
}

static void keep(const Inner *w, const TileBlock *b, Phase *p, Side to, const Expr *e)
{
    Affine at = side_at(w, b, to, &p->l, affine_loop(p->l.lane));
    st_add(w->s.k, p->body, st_store(w->s.k, w->s.scratch, at, ASSIGN, e));
}

/* Lane by lane the largest |x|. */
static Stmt *peaks(const Inner *w, const TileBlock *b, const TileLoops *row)
{
    Kernel     *k = w->s.k;
    Phase       p = phase_new(w, row);
    LoopId      ib = kernel_loop_if(k, "ic", w->s.icb, REDUCE, AXIS_NONE);
    const Expr *x = ex_unary(k, U_ABS, load_x(w, &p.l, affine_loop(ib)));
    st_add(k, p.body, st_for(k, ib, st_set(k, p.acc, ASSIGN_MAX, x)));
    keep(w, b, &p, SHIFT, ex_temp(k, p.acc));
    return phase_nest(w, &p);
}

/* Powers of two: the scale of each pixel, and one over it. */
static Stmt *scales(const Inner *w, const TileBlock *b, const TileLoops *row)
{
    Kernel     *k = w->s.k;
    Phase       p = phase_new(w, row);
    const Expr *one = ex_const(k, 1), *of_w = ex_load(k, w->exponent, affine_const(0));
    across_lanes(w, b, &p, ASSIGN_MAX);
    const Expr *peak = ex_binary(k, B_MAX, ex_temp(k, p.acc), ex_const(k, FLT_MIN));
    const Expr *up = ex_binary(k, B_SUB, of_w, ex_unary(k, U_EXPONENT, peak));
    up = ex_binary(k, B_MIN, ex_binary(k, B_MAX, up, ex_const(k, -MOST)), ex_const(k, MOST));
    up = lower_let(k, p.body, "up", up);
    keep(w, b, &p, UNSCALE, ex_binary(k, B_LDEXP, one, ex_unary(k, U_NEG, up)));
    keep(w, b, &p, SHIFT, ex_binary(k, B_LDEXP, one, up));
    return phase_nest(w, &p);
}

/* V of channel block `cb` is made and kept, at the end of `body`. */
static const Expr *scaled(const Inner *w, const TileBlock *b, const Phase *p, Stmt *body, Affine cb)
{
    Kernel     *k = w->s.k;
    const Expr *scale = side(w, b, SHIFT, &p->l, p->l.lane);
    const Expr *v = lower_let(k, body, "v", ex_binary(k, B_MUL, load_x(w, &p->l, cb), scale));
    st_add(k, body, st_store(k, w->s.scratch, v_at(w, b, &p->l, cb, p->l.lane), ASSIGN, v));
    return v;
}

/* All of V, and lane by lane the sum of V1 V2. */
static Stmt *all_scaled(const Inner *w, const TileBlock *b, const TileLoops *row)
{
    Kernel     *k = w->s.k;
    Phase       p = phase_new(w, row);
    LoopId      triple = kernel_loop_if(k, "ic", w->triples, REDUCE, AXIS_NONE);
    Affine      first = affine_offset(affine_scale(affine_loop(triple), TRIPLE), w->left);
    Stmt       *body = st_block(k);
    const Expr *v[TRIPLE];
    for (int64_t cb = 0; cb < w->left; cb++)
        scaled(w, b, &p, p.body, affine_const(cb));
    for (int i = 0; i < TRIPLE; i++)
        v[i] = scaled(w, b, &p, body, affine_offset(first, i));
    st_add(k, body, st_set(k, p.acc, ASSIGN_ADD, ex_binary(k, B_MUL, v[0], v[1])));
    st_add(k, p.body, st_for(k, triple, body));
    keep(w, b, &p, SHIFT, ex_temp(k, p.acc));
    return phase_nest(w, &p);
}

static Stmt *shifts(const Inner *w, const TileBlock *b, const TileLoops *row)
{
    Phase p = phase_new(w, row);
    across_lanes(w, b, &p, ASSIGN_ADD);
    keep(w, b, &p, SHIFT, ex_temp(w->s.k, p.acc));
    return phase_nest(w, &p);
}

/* Row by row, so that what one step leaves is near when the next one comes for it. */
static Stmt *pixels(const Inner *w, const TileBlock *b)
{
    Kernel   *k = w->s.k;
    TileLoops l = tile_loops(&w->s, b, "ic", 1, 1);
    Stmt     *body = st_block(k);
    st_add(k, body, peaks(w, b, &l));
    st_add(k, body, scales(w, b, &l));
    st_add(k, body, all_scaled(w, b, &l));
    st_add(k, body, shifts(w, b, &l));
    return lower_nest(k, (LoopId[]){l.image, l.row}, 2, body);
}

static void set_axis(Kernel *k, LoopId l, LoopAxis axis)
{
    if (l)
        k->loops[l].axis = axis;
}

/* ---- the sums ----------------------------------------------------------------------------------- */

/* The loops around a sum. */
typedef struct Sum {
    TileLoops l; /* of output channels */
    TempId    acc;
} Sum;

static const Expr *load_w(const Inner *w, const Sum *s, Affine i)
{
    Kernel        *k = w->s.k;
    const int64_t *d = w->weight->type.dims;
    int64_t        padded[4] = {whole_blocks(d[0], w->s.lanes), d[1], 1, 1};
    BufferId       b = kernel_weight(k, "w", w->weight, padded, w->s.n->in[1]);
    Affine o = affine_add(affine_scale(affine_loop(s->l.cb), w->s.lanes), affine_loop(s->l.lane));
    return ex_cast(k, F32, ex_load(k, b, affine_add(affine_scale(o, d[1]), i)));
}

/* Reductions over blocks of channels from number `first` on, `together` of them in each of `count` steps. */
static Stmt *step(const Inner *w, const TileBlock *b, const Sum *s, int64_t first, int64_t count,
                  int together)
{
    if (!count)
        return NULL;
    Kernel     *k = w->s.k;
    LoopId      ib = kernel_loop_if(k, "ic", count, REDUCE, AXIS_NONE);
    LoopId      il = kernel_loop(k, "il", w->s.lanes, REDUCE, AXIS_K);
    Affine      cb = affine_offset(affine_scale(affine_loop(ib), together), first);
    Stmt       *body = st_block(k);
    const Expr *v[TRIPLE], *by[TRIPLE];
    for (int i = 0; i < together; i++) {
        Affine at = affine_offset(cb, i);
        v[i] = ex_load(k, w->s.scratch, v_at(w, b, &s->l, at, il));
        by[i] = load_w(w, s, affine_add(affine_scale(at, w->s.lanes), affine_loop(il)));
    }
    if (together == TRIPLE)
        st_add(k, body,
               st_set(k, s->acc, ASSIGN_ADD,
                      ex_binary(k, B_MUL, ex_binary(k, B_ADD, v[0], by[1]),
                                ex_binary(k, B_ADD, v[1], by[0]))));
    st_add(k, body,
           st_set(k, s->acc, ASSIGN_ADD, ex_binary(k, B_MUL, v[together - 1], by[together - 1])));
    return st_for(k, ib, st_for(k, il, body));
}

static Stmt *sums(const Inner *w, const TileBlock *b)
{
    Kernel *k = w->s.k;
    Sum     s = {tile_loops(&w->s, b, "oc", w->s.ocb, 1), kernel_temp(k, "acc", vtype(F32, 1))};
    At      at = {w->s.lanes, s.l.n, affine_loop(s.l.cb), affine_loop(s.l.lane), s.l.h, s.l.w};
    Affine  o = affine_add(affine_scale(at.cb, w->s.lanes), at.cl);
    Stmt   *leaf = st_block(k);
    set_axis(k, s.l.cb, AXIS_N);
    set_axis(k, s.l.row, AXIS_H);
    set_axis(k, s.l.column, AXIS_M);
    st_add(k, leaf,
           st_set(k, s.acc, ASSIGN,
                  ex_binary(k, B_SUB, ex_load(k, w->eta, o), side(w, b, SHIFT, &s.l, 0))));
    st_add(k, leaf, step(w, b, &s, 0, w->left, 1));
    st_add(k, leaf, step(w, b, &s, w->left, w->triples, TRIPLE));
    const Expr *y = ex_binary(k, B_MUL, ex_temp(k, s.acc), side(w, b, UNSCALE, &s.l, 0));
    st_add(k, leaf, lower_store(w->s.g, k, w->s.n->out, &at, bilinear_finish(&w->s, y, &at)));
    return tile_nest(&w->s, &s.l, leaf);
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static Stmt *block_body(const void *context, const TileBlock *b)
{
    const Inner *w = context;
    Stmt        *body = st_block(w->s.k);
    st_add(w->s.k, body, pixels(w, b));
    st_add(w->s.k, body, sums(w, b));
    return body;
}

void lower_inner(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    lower_zero_halo(g, k, n->out);
    Inner w = {.s = bilinear_new(g, k, n), .weight = value_get(g, n->in[1])->constant};
    w.s.positions = 1;
    w.s.ic = x->dims[1];
    w.s.icb = w.s.ic / w.s.lanes;
    w.s.ocb = whole_blocks(y->dims[1], w.s.lanes) / w.s.lanes;
    w.left = w.s.icb % TRIPLE;
    w.triples = w.s.icb / TRIPLE;
    k->macs = type_count(y) * x->dims[1];
    int64_t padded[] = {w.s.ocb * w.s.lanes};
    w.eta = kernel_constant(k, "eta", eta_of(k->arena, &w), padded);
    w.exponent = kernel_constant(k, "exponent", exponent_of(k->arena, w.weight), NULL);
    lower_tile_blocks(&w.s, y->dims[2], y->dims[3], &w, block_body);
}
