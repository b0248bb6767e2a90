/* conv_expand.c - a 1x1 convolution and the depthwise one that alone reads it, a few channels at a time.
 *
 *     for each image, for each few blocks of channels
 *         plane[c]  = epilogue1(b1[c] + sum x[ic] * w1[c, ic])         zeros around it
 *         y[c]      = epilogue2(b2[c] + sum plane[c, h.., w..] * w2[c])
 *
 * The sums are those of conv_lower.c, in the same order. A depthwise convolution needs no channel but its own,
 * so what lies between the two is a few planes in scratch memory that stay in the cache, in place of a
 * tensor that is six times as large as what is around it. */
#include "ops/ops.h"

#include <string.h>

Node expansion_node(const Node *n, Arena *a)
{
    Node own = *n;
    own.attrs = attrs_default(OP_conv2d);
    own.epilogue = n->expansion->epilogue;
    own.expansion = NULL;
    own.n_own = 3;
    own.in = arena_array(a, ValueId, (size_t)n->n_in);
    memcpy(own.in, n->in, (size_t)n->n_in * sizeof *own.in);
    own.in[1] = n->in[n->expansion->weight];
    own.in[2] = n->in[n->expansion->weight + 1];
    return own;
}

/* What lies in memory of an expansion: planes of one image. */
static Type planes_type(const Expansion *e)
{
    Type t = e->type;
    t.dims[0] = 1;
    t.dims[1] = e->blocks * t.layout.block;
    return t;
}

static int64_t round_up(int64_t v, int64_t b)
{
    return (v + b - 1) / b * b;
}

/* How often the planes are filled for one image. */
static int64_t fillings(const Type *t, int64_t blocks)
{
    return round_up(t->dims[1], t->layout.block) / t->layout.block / blocks;
}

int64_t expansion_parts(const Type *t, int64_t blocks)
{
    int64_t few = fillings(t, blocks);
    return few > t->dims[0] ? few : t->dims[0];
}

int64_t expansion_scratch(const Expansion *e)
{
    Type t = planes_type(e);
    return type_stored_count(&t);
}

typedef struct Expand {
    Graph           *g;
    Kernel          *k;
    const Node      *n;
    const Expansion *e;
    int64_t          lanes;
    LoopId           image, few; /* around both sums */
    BufferId         planes;
} Expand;

/* The loops over what one of the two sums is for: block, row, column and lane. */
typedef struct Pixels {
    LoopId b, h, w, l;
} Pixels;

static Pixels pixel_loops(const Expand *x, LoopAxis blocks, const int64_t dims[4])
{
    Pixels p;
    p.b = kernel_loop_if(x->k, "oc", x->e->blocks, PARALLEL, blocks);
    p.h = kernel_loop_if(x->k, "oh", dims[2], PARALLEL, x->lanes == 1 ? AXIS_NONE : AXIS_H);
    p.w = kernel_loop_if(x->k, "ow", dims[3], PARALLEL, AXIS_M);
    p.l = kernel_loop_if(x->k, "ol", x->lanes, PARALLEL, AXIS_LANE);
    return p;
}

static Affine block_of(const Expand *x, const Pixels *p)
{
    return affine_add(affine_scale(affine_loop(x->few), x->e->blocks), affine_loop(p->b));
}

static At pixel_at(const Expand *x, const Pixels *p)
{
    return (At){x->lanes,          affine_loop(x->image), block_of(x, p),
                affine_loop(p->l), affine_loop(p->h),     affine_loop(p->w)};
}

static Affine channel_of(const Expand *x, const Pixels *p)
{
    return affine_add(affine_scale(block_of(x, p), x->lanes), affine_loop(p->l));
}

/* Where the planes keep row h, column w; both begin with the zeros above and to the left. */
static Affine plane_at(const Expand *x, const Pixels *p, Affine h, Affine w)
{
    const Layout  *l = &x->e->type.layout;
    const int64_t *d = x->e->type.dims;
    Affine         at = affine_scale(affine_loop(p->b), l->top + d[2] + l->bottom);
    at = affine_scale(affine_add(at, h), l->left + d[3] + l->right);
    return affine_add(affine_scale(affine_add(at, w), x->lanes), affine_loop(p->l));
}

/* Products that are summed: those of all iterations of two loops. */
typedef struct Terms {
    LoopId      reduce[2];
    const Expr *product;
} Terms;

/* One of the two sums: bias, reduce loops around the products, and what becomes of it. */
static Stmt *sum(const Expand *x, const Node *n, const Pixels *p, const Terms *terms, int n_terms,
                 Stmt *(*store)(const Expand *, const Pixels *, const Expr *))
{
    Kernel     *k = x->k;
    At          at = pixel_at(x, p);
    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    const Expr *bias = lower_bias(x->g, k, n, &at);
    Stmt       *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, bias ? bias : ex_const(k, 0.0)));
    for (int i = 0; i < n_terms; i++)
        st_add(k, leaf,
               lower_nest(k, terms[i].reduce, 2, st_set(k, acc, ASSIGN_ADD, terms[i].product)));
    st_add(k, leaf, store(x, p, lower_epilogue(x->g, k, n, ex_temp(k, acc), &at)));
    return lower_nest(k, (LoopId[]){p->b, p->h, p->w, p->l}, 4, leaf);
}

static Stmt *store_plane(const Expand *x, const Pixels *p, const Expr *e)
{
    const Layout *l = &x->e->type.layout;
    Affine        at = plane_at(x, p, affine_offset(affine_loop(p->h), l->top),
                                affine_offset(affine_loop(p->w), l->left));
    return st_store(x->k, x->planes, at, ASSIGN, e);
}

static Stmt *store_output(const Expand *x, const Pixels *p, const Expr *e)
{
    At at = pixel_at(x, p);
    return lower_store(x->g, x->k, x->n->out, &at, e);
}

/* The products of `blocks` blocks of input channels from number `first` on, of `channels` each. */
static Terms products(const Expand *x, const Node *n, const Pixels *p, int64_t first,
                      int64_t blocks, int64_t channels)
{
    Kernel       *k = x->k;
    const Value  *in = value_get(x->g, n->in[0]);
    const Tensor *weight = value_get(x->g, n->in[1])->constant;
    int64_t       block = in->type.layout.block;
    int64_t padded[4] = {round_up(x->e->type.dims[1], x->lanes), round_up(in->type.dims[1], block),
                         1, 1};
    LoopId  ib = kernel_loop_if(k, "ic", blocks, REDUCE, AXIS_NONE);
    LoopId  il = kernel_loop_if(k, "il", channels, REDUCE, AXIS_K);
    At      at = pixel_at(x, p);
    at.block = block;
    at.cb = affine_offset(affine_loop(ib), first);
    at.cl = affine_loop(il);
    Affine      ic = affine_add(affine_scale(at.cb, block), affine_loop(il));
    Affine      w = affine_add(affine_scale(channel_of(x, p), padded[1]), ic);
    const Expr *read = lower_load(x->g, k, n->in[0], &in->type, &at);
    const Expr *by = ex_load(k, kernel_weight(k, "w", weight, padded, n->in[1]), w);
    return (Terms){{ib, il}, ex_binary(k, B_MUL, read, ex_cast(k, F32, by))};
}

/* The 1x1 convolution: products of x and a matrix, those of the last block of channels by themselves where it is
 * not full. */
static Stmt *expand(const Expand *x)
{
    const Node  n = expansion_node(x->n, x->k->arena);
    const Type *in = &value_get(x->g, n.in[0])->type;
    int64_t     block = in->layout.block, full = in->dims[1] / block, rest = in->dims[1] % block;
    Pixels      p = pixel_loops(x, AXIS_N, x->e->type.dims);
    Terms       terms[2];
    int         n_terms = 0;
    if (full)
        terms[n_terms++] = products(x, &n, &p, 0, full, block);
    if (rest)
        terms[n_terms++] = products(x, &n, &p, full, 1, rest);
    return sum(x, &n, &p, terms, n_terms, store_plane);
}

/* The depthwise convolution: products of each plane and its own filter. */
static Stmt *filter(const Expand *x)
{
    Kernel        *k = x->k;
    const OpAttrs *a = &x->n->attrs;
    const Tensor  *weight = value_get(x->g, x->n->in[1])->constant;
    const int64_t *d = weight->type.dims;
    int64_t        padded[4] = {round_up(d[0], x->lanes), 1, d[2], d[3]};
    Pixels         p = pixel_loops(x, AXIS_N, value_get(x->g, x->n->out)->type.dims);
    LoopId         kh = kernel_loop_if(k, "kh", d[2], REDUCE, AXIS_NONE);
    LoopId         kw = kernel_loop_if(k, "kw", d[3], REDUCE, x->lanes == 1 ? AXIS_K : AXIS_NONE);
    Affine         h = affine_add(affine_scale(affine_loop(p.h), a->strides[0]),
                                  affine_scale(affine_loop(kh), a->dilations[0]));
    Affine         w = affine_add(affine_scale(affine_loop(p.w), a->strides[1]),
                                  affine_scale(affine_loop(kw), a->dilations[1]));
    Affine         at = affine_add(affine_scale(channel_of(x, &p), d[2]), affine_loop(kh));
    at = affine_add(affine_scale(at, d[3]), affine_loop(kw));
    const Expr *read = ex_load(k, x->planes, plane_at(x, &p, h, w));
    const Expr *by = ex_load(k, kernel_weight(k, "w", weight, padded, x->n->in[1]), at);
    const Expr *product = ex_binary(k, B_MUL, read, ex_cast(k, F32, by));
    return sum(x, x->n, &p, &(Terms){{kh, kw}, product}, 1, store_output);
}

/* around - the loops around both sums. One image after the other is in the cache; threads share the outer loop,
 * which then is the longer one. */
static Stmt *around(const Expand *x, Stmt *body)
{
    const Loop *loops = x->k->loops;
    bool        blocks = x->e->copies > 1 && loops[x->few].extent > loops[x->image].extent;
    LoopId      outer = blocks ? x->few : x->image, inner = blocks ? x->image : x->few;
    return st_for(x->k, outer, st_for(x->k, inner, body));
}

void lower_expanded(Graph *g, NodeId id, Kernel *k)
{
    const Node      *n = node_get(g, id);
    const Expansion *e = n->expansion;
    const Type      *y = &value_get(g, n->out)->type;
    const int64_t   *wd = value_get(g, n->in[1])->type.dims;
    Type             planes = planes_type(e);
    Expand           x = {.g = g, .k = k, .n = n, .e = e, .lanes = y->layout.block};
    k->macs =
        type_count(y) * wd[2] * wd[3] + type_count(&e->type) * value_get(g, n->in[0])->type.dims[1];
    lower_zero_halo(g, k, n->out);
    x.planes = lower_buffer(g, k, n->scratch);
    k->buffers[x.planes].name = "plane";
    k->buffers[x.planes].count /= e->copies;
    k->buffers[x.planes].copies = e->copies;
    x.image = kernel_loop_if(k, "n", y->dims[0], PARALLEL, AXIS_NONE);
    x.few = kernel_loop_if(k, "ob", fillings(&e->type, e->blocks), PARALLEL, AXIS_NONE);
    Stmt *body = st_block(k), *zeros = lower_zeros(k, x.planes, &planes, e->blocks);
    st_add(k, e->copies > 1 ? body : k->body, zeros);
    st_add(k, body, expand(&x));
    st_add(k, body, filter(&x));
    st_add(k, k->body, around(&x, body));
}
