/* bilinear.c - what the algorithms of Winograd and Strassen share.
 *
 * Either makes a block of results from fewer products than the sums have:  y = A^T [ (G w) * (B^T x) ].  The
 * product in the middle is elementwise, so over all channels and blocks it is a matrix product for each of the
 * `positions` that a block is transformed to. With "tile" for such a block of pixels:
 *
 *     for each block of tiles
 *         V[f][ic][tile]  = (B^T x)[f]                      input transform
 *         M[f][oc][tile] += V[f][ic][tile] * U[f][oc][ic]   tiled like any sum
 *         y               = epilogue(A^T M + bias)          output transform
 *
 * This file has the loops over blocks and over the tiles of one, the places of V and M, and the products. */
#include "ops/ops.h"

Bilinear bilinear_new(Graph *g, Kernel *k, const Node *n)
{
    Bilinear s = {.g = g, .k = k, .n = n, .lanes = value_get(g, n->out)->type.layout.block};
    s.scratch = s.products = lower_buffer(g, k, n->scratch);
    k->buffers[s.scratch].name = "scratch";
    k->buffers[s.scratch].count /= n->block.copies;
    k->buffers[s.scratch].copies = n->block.copies;
    return s;
}

View *bilinear_weights(Bilinear *s, Type type, const Tensor *(*make)(Arena *a, const View *v),
                       const int64_t padded[3])
{
    Tensor *u = arena_struct(s->k->arena, Tensor);
    u->type = type;
    s->u = kernel_constant(s->k, "u", u, padded);
    Buffer *b = &s->k->buffers[s->u];
    b->value = s->n->in[1];
    b->view.plain = value_get(s->g, s->n->in[1])->constant;
    b->view.make = make;
    return &b->view;
}

/* ---- V and M ------------------------------------------------------------------------- */

/* Lane l of tile t in run number `run`, of a tile each. */
static Affine run_at(const Bilinear *s, const TileBlock *b, Affine run, Affine t, Affine l)
{
    Affine at = affine_add(affine_scale(run, b->tiles), t);
    return affine_add(affine_scale(at, s->lanes), l);
}

Affine bilinear_v(const Bilinear *s, const TileBlock *b, Affine f, Affine cb, Affine t, Affine l)
{
    Affine run = s->together ? affine_add(affine_scale(cb, s->positions), f)
                             : affine_add(affine_scale(f, s->icb), cb);
    return run_at(s, b, run, t, l);
}

Affine bilinear_m(const Bilinear *s, const TileBlock *b, Affine f, Affine cb, Affine t, Affine l)
{
    int64_t v_count = s->positions * s->icb * b->tiles * s->lanes;
    Affine  at = run_at(s, b, affine_add(affine_scale(f, s->ocb), cb), t, l);
    return affine_offset(at, s->products == s->scratch ? v_count : 0);
}

/* ---- loops -------------------------------------------------------------------------------- */

TileLoops tile_loops(const Bilinear *s, const TileBlock *b, const char *channel, int64_t blocks,
                     int pixels)
{
    TileLoops l;
    l.cb = kernel_loop_if(s->k, channel, blocks, PARALLEL, AXIS_NONE);
    l.image = kernel_loop_if(s->k, "n", b->images, PARALLEL, AXIS_NONE);
    l.row = kernel_loop_if(s->k, "row", b->rows, PARALLEL, AXIS_NONE);
    l.column = kernel_loop_if(s->k, "col", b->columns, PARALLEL, AXIS_NONE);
    l.lane = kernel_loop(s->k, "l", s->lanes, PARALLEL, AXIS_LANE);
    l.tile = affine_add(affine_scale(affine_loop(l.image), b->rows), affine_loop(l.row));
    l.tile = affine_add(affine_scale(l.tile, b->columns), affine_loop(l.column));
    l.n = affine_add(b->image, affine_loop(l.image));
    l.h = affine_scale(affine_add(b->row, affine_loop(l.row)), pixels);
    l.w = affine_scale(affine_add(b->column, affine_loop(l.column)), pixels);
    return l;
}

Stmt *tile_nest(const Bilinear *s, const TileLoops *l, Stmt *body)
{
    return lower_nest(s->k, (LoopId[]){l->cb, l->image, l->row, l->column, l->lane}, 5, body);
}

/* Where block number `number` of the i-th size begins. */
static Affine first_tile(const BlockCuts *cuts, int i, LoopId number)
{
    Affine at = affine_scale(affine_loop(number), cuts->size[i]);
    return affine_offset(at, i ? cuts->count[0] * cuts->size[0] : 0);
}

/* The blocks of the i-th size of rows and the j-th of columns. Where threads have scratch memory of their
 * own there is a loop over the blocks even if it is one: what threads share is its iterations. */
static void blocks_of_size(const Bilinear *s, const BlockCuts *rows, int i,
                           const BlockCuts *columns, int j, const void *context,
                           Stmt *(*body)(const void *context, const TileBlock *b))
{
    Kernel   *k = s->k;
    int64_t   images = s->n->block.images, all = value_get(s->g, s->n->out)->type.dims[0];
    LoopId    batch = kernel_loop_if(k, "n", all / images, PARALLEL, AXIS_NONE);
    LoopId    block = s->n->block.copies > 1
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
    st_add(k, k->body, lower_nest(k, (LoopId[]){batch, block, part}, 3, body(context, &b)));
}

void lower_tile_blocks(const Bilinear *s, int64_t rows, int64_t columns, const void *context,
                       Stmt *(*body)(const void *context, const TileBlock *b))
{
    BlockCuts r = block_cuts(rows, s->n->block.rows), c = block_cuts(columns, s->n->block.columns);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (r.count[i] && c.count[j])
                blocks_of_size(s, &r, i, &c, j, context, body);
}

/* ---- products ----------------------------------------------------------------------------- */

Stmt *bilinear_products(const Bilinear *s, const TileBlock *b, const TileBlock *part, Affine from,
                        Affine first)
{
    Kernel *k = s->k;
    LoopId  f = kernel_loop(k, "f", s->positions, PARALLEL, AXIS_NONE);
    LoopId  ob = kernel_loop_if(k, "oc", s->ocb, PARALLEL, AXIS_N);
    LoopId  t = kernel_loop_if(k, "tile", part->tiles, PARALLEL, AXIS_M);
    LoopId  ol = kernel_loop(k, "ol", s->lanes, PARALLEL, AXIS_LANE);
    LoopId  ib = kernel_loop_if(k, "ic", s->icb, REDUCE, AXIS_NONE);
    LoopId  il = kernel_loop_if(k, "il", s->ic < s->lanes ? s->ic : s->lanes, REDUCE, AXIS_K);
    Affine  o = affine_scale(affine_add(first, affine_loop(ob)), s->lanes);
    Affine  i = affine_add(affine_scale(affine_loop(ib), s->lanes), affine_loop(il));
    Affine  u = affine_scale(affine_loop(f), k->buffers[s->u].view.padded[1]);
    u = affine_add(u, affine_add(o, affine_loop(ol)));
    u = affine_add(affine_scale(u, s->icb * s->lanes), i);
    Affine v = bilinear_v(s, b, affine_loop(f), affine_loop(ib), affine_add(from, affine_loop(t)),
                          affine_loop(il));
    Affine m =
        bilinear_m(s, part, affine_loop(f), affine_loop(ob), affine_loop(t), affine_loop(ol));
    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    const Expr *product = ex_binary(k, B_MUL, ex_load(k, s->scratch, v), ex_load(k, s->u, u));
    Stmt       *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_const(k, 0.0)));
    st_add(k, leaf, st_for(k, ib, st_for(k, il, st_set(k, acc, ASSIGN_ADD, product))));
    st_add(k, leaf, st_store(k, s->products, m, ASSIGN, ex_temp(k, acc)));
    return lower_nest(k, (LoopId[]){f, ob, t, ol}, 4, leaf);
}

const Expr *bilinear_finish(const Bilinear *s, const Expr *e, const At *at)
{
    const Expr *bias = lower_bias(s->g, s->k, s->n, at);
    e = bias ? ex_binary(s->k, B_ADD, e, bias) : e;
    return lower_epilogue(s->g, s->k, s->n, e, at);
}
