/* nests.h - canonical nests as lowerings build them, with random shapes chosen to hurt, and the same
 * computations as plain loops over C arrays.
 *
 * Values are stored as [ceil(C / b)][H][W][b], weights as [O, I, KH, KW] grown to whole blocks. */
#ifndef NESTS_H
#define NESTS_H

#include "check.h"

#include "kernel/kernel.h"
#include "target/target.h"

#include <string.h>

typedef struct Shape {
    int64_t o, i, h, w, kh, kw; /* output and input channels, input plane, kernel */
    int64_t stride, pad, dilation;
    int64_t block;    /* lanes of x and y; 1: row-major */
    bool    residual; /* another input, added before the relu */
    bool    pairs;    /* x is BF16, of whole numbers; so w and b should be: no sum is rounded */
} Shape;

static inline int64_t out_extent(int64_t in, int64_t kernel, const Shape *s)
{
    return (in + 2 * s->pad - s->dilation * (kernel - 1) - 1) / s->stride + 1;
}

static inline int64_t in_blocks(int64_t channels, int64_t block)
{
    return (channels + block - 1) / block;
}

static inline Shape random_shape(int64_t block)
{
    static const int64_t channels[] = {1, 2, 3, 5, 7, 8, 9, 16, 17};
    for (;;) {
        Shape s = {
            .o = channels[random_below(COUNT_OF(channels))],
            .i = channels[random_below(COUNT_OF(channels))],
            .h = random_between(1, 9),
            .w = random_between(1, 13),
            .kh = random_between(1, 3),
            .kw = random_between(1, 5),
            .stride = random_between(1, 3),
            .pad = random_between(0, 3),
            .dilation = random_between(1, 2),
            .block = block,
            .residual = random_below(2),
        };
        int64_t kh = s.dilation * (s.kh - 1) + 1, kw = s.dilation * (s.kw - 1) + 1;
        if (s.h + 2 * s.pad >= kh && s.w + 2 * s.pad >= kw)
            return s;
    }
}

static inline Tensor *random_tensor(Arena *a, int rank, const int64_t *dims)
{
    Tensor *t = tensor_new(a, F32, rank, dims);
    for (int64_t i = 0; i < type_count(&t->type); i++)
        tensor_set(t, i, (double)random_float());
    return t;
}

/* random_weights - the same of any type that weights are kept in. */
static inline Tensor *random_weights(Arena *a, int rank, const int64_t *dims)
{
    static const Elem kept[] = {F32, F32, F16, BF16};
    Tensor           *t = tensor_new(a, kept[random_below(COUNT_OF(kept))], rank, dims);
    for (int64_t i = 0; i < type_count(&t->type); i++)
        tensor_set(t, i, (double)random_float());
    return t;
}

/* whole_tensor - small whole numbers, of which sums of products are exact in any order. */
static inline Tensor *whole_tensor(Arena *a, Elem e, int rank, const int64_t *dims)
{
    Tensor *t = tensor_new(a, e, rank, dims);
    for (int64_t i = 0; i < type_count(&t->type); i++)
        tensor_set(t, i, (double)random_between(-9, 9));
    return t;
}

/* ---- convolution ------------------------------------------------------------------------ */

static inline Affine affine_sum(LoopId a, int64_t by_a, LoopId b, int64_t by_b)
{
    return affine_add(affine_scale(affine_loop(a), by_a), affine_scale(affine_loop(b), by_b));
}

/* plane_index - [cb][h][w][b] at these positions. */
static inline Affine plane_index(Affine cb, Affine h, Affine w, LoopId lane, int64_t height,
                                 int64_t width, int64_t block)
{
    Affine at = affine_add(affine_scale(cb, height), h);
    at = affine_add(affine_scale(at, width), w);
    return affine_add(affine_scale(at, block), affine_loop(lane));
}

static inline Stmt *guarded(Kernel *k, Affine index, int64_t bound, Stmt *body)
{
    Range r = affine_range(k, &index);
    return st_guard(k, &(Test){index, bound}, r.min < 0 || r.max >= bound, body);
}

/* conv_nest - buffers: 1 x, 2 w, 3 b, 4 y, and 5 the residual. */
static inline Kernel *conv_nest(Arena *a, const Shape *s, const struct Target *t, const Tensor *w,
                                const Tensor *b)
{
    Kernel *k = kernel_new(a, "conv2d", t, FP_STRICT);
    int64_t L = s->block, ob = in_blocks(s->o, L), ib = in_blocks(s->i, L);
    int64_t height = out_extent(s->h, s->kh, s), width = out_extent(s->w, s->kw, s);
    LoopId  oc = kernel_loop_if(k, "oc", ob, PARALLEL, AXIS_N);
    LoopId  oh = kernel_loop_if(k, "oh", height, PARALLEL, AXIS_NONE);
    LoopId  ow = kernel_loop_if(k, "ow", width, PARALLEL, AXIS_M);
    LoopId  ol = kernel_loop_if(k, "ol", L, PARALLEL, AXIS_LANE);
    LoopId  ic = kernel_loop_if(k, "ic", ib, REDUCE, AXIS_NONE);
    LoopId  kh = kernel_loop_if(k, "kh", s->kh, REDUCE, AXIS_NONE);
    LoopId  kw = kernel_loop_if(k, "kw", s->kw, REDUCE, L == 1 ? AXIS_K : AXIS_NONE);
    LoopId  il = kernel_loop_if(k, "il", L, REDUCE, AXIS_K);

    Elem     e = s->pairs ? BF16 : F32;
    BufferId xb = kernel_buffer(k, "x", e, BUF_IN, ib * L * s->h * s->w, 0);
    BufferId wb = kernel_weight(k, "w", w, (int64_t[]){ob * L, ib * L, s->kh, s->kw}, 0);
    BufferId bb = kernel_constant(k, "b", b, (int64_t[]){ob * L});
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, ob * L * height * width, 0);
    TempId   acc = kernel_temp(k, "acc", vtype(F32, 1));

    Affine ih = affine_offset(affine_sum(oh, s->stride, kh, s->dilation), -s->pad);
    Affine iw = affine_offset(affine_sum(ow, s->stride, kw, s->dilation), -s->pad);
    Affine xi = plane_index(affine_loop(ic), ih, iw, il, s->h, s->w, L);
    Affine yi =
        plane_index(affine_loop(oc), affine_loop(oh), affine_loop(ow), ol, height, width, L);
    Affine channel = affine_sum(oc, L, ol, 1);
    Affine wi = affine_add(affine_scale(channel, ib * L), affine_sum(ic, L, il, 1));
    wi = affine_add(affine_scale(wi, s->kh), affine_loop(kh));
    wi = affine_add(affine_scale(wi, s->kw), affine_loop(kw));

    const Expr *weight = ex_cast(k, F32, ex_load(k, wb, wi));
    const Expr *product = ex_binary(k, B_MUL, ex_cast(k, F32, ex_load(k, xb, xi)), weight);
    Stmt       *step = st_for(k, il, st_set(k, acc, ASSIGN_ADD, product));
    step = st_for(k, kw, guarded(k, iw, s->w, step));
    step = st_for(k, ic, st_for(k, kh, guarded(k, ih, s->h, step)));
    const Expr *result = ex_temp(k, acc);
    if (s->residual) {
        BufferId res = kernel_buffer(k, "res", F32, BUF_IN, k->buffers[yb].count, 0);
        result = ex_binary(k, B_ADD, result, ex_load(k, res, yi));
    }
    result = ex_binary(k, B_MAX, ex_const(k, 0), result);
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_load(k, bb, channel)));
    st_add(k, leaf, step);
    st_add(k, leaf, st_store(k, yb, yi, ASSIGN, result));
    st_add(k, k->body, st_for(k, oc, st_for(k, oh, st_for(k, ow, st_for(k, ol, leaf)))));
    return k;
}

/* plain_x - x[c][h][w] of a value stored in blocks; 0 outside of the plane. */
static inline float plain_x(const Shape *s, const float *x, int64_t c, int64_t h, int64_t w)
{
    if (h < 0 || h >= s->h || w < 0 || w >= s->w)
        return 0;
    return x[((c / s->block * s->h + h) * s->w + w) * s->block + c % s->block];
}

/* plain_conv - the same sums in the same order: blocks of channels outermost, lanes innermost. Lanes
 * past I meet zero weights; outputs past O are those of zero weights and bias. */
static inline void plain_conv(const Shape *s, const float *x, const Tensor *w, const Tensor *b,
                              const float *res, float *y)
{
    int64_t L = s->block, height = out_extent(s->h, s->kh, s), width = out_extent(s->w, s->kw, s);
    for (int64_t at = 0; at < in_blocks(s->o, L) * height * width * L; at++) {
        int64_t o = at / (height * width * L) * L + at % L;
        int64_t oh = at / L / width % height, ow = at / L % width;
        float   acc = o < s->o ? (float)tensor_get(b, o) : 0;
        for (int64_t cb = 0; cb < in_blocks(s->i, L); cb++) {
            for (int64_t tap = 0; tap < s->kh * s->kw * L; tap++) {
                int64_t kh = tap / (s->kw * L), kw = tap / L % s->kw, i = cb * L + tap % L;
                int64_t ih = oh * s->stride + kh * s->dilation - s->pad;
                int64_t iw = ow * s->stride + kw * s->dilation - s->pad;
                bool    real = o < s->o && i < s->i;
                float   wv =
                    real ? (float)tensor_get(w, ((o * s->i + i) * s->kh + kh) * s->kw + kw) : 0;
                float product = plain_x(s, x, i, ih, iw) * wv;
                if (ih >= 0 && ih < s->h && iw >= 0 && iw < s->w)
                    acc = acc + product;
            }
        }
        if (s->residual)
            acc = acc + res[at];
        y[at] = acc < 0 ? 0 : acc;
    }
}

/* ---- max pooling ------------------------------------------------------------------------ */

/* pool_nest - buffers: 1 x, 2 y. The window's elements inside the plane; s->pad < s->kh, s->kw. */
static inline Kernel *pool_nest(Arena *a, const Shape *s, const struct Target *t)
{
    Kernel *k = kernel_new(a, "max_pool", t, FP_STRICT);
    int64_t L = s->block, cb = in_blocks(s->i, L);
    int64_t height = out_extent(s->h, s->kh, s), width = out_extent(s->w, s->kw, s);
    LoopId  c = kernel_loop_if(k, "c", cb, PARALLEL, AXIS_NONE);
    LoopId  oh = kernel_loop_if(k, "oh", height, PARALLEL, AXIS_NONE);
    LoopId  ow = kernel_loop_if(k, "ow", width, PARALLEL, AXIS_M);
    LoopId  ol = kernel_loop_if(k, "ol", L, PARALLEL, AXIS_LANE);
    LoopId  kh = kernel_loop_if(k, "kh", s->kh, REDUCE, AXIS_NONE);
    LoopId  kw = kernel_loop_if(k, "kw", s->kw, REDUCE, AXIS_K);

    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, cb * L * s->h * s->w, 0);
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, cb * L * height * width, 0);
    TempId   best = kernel_temp(k, "best", vtype(F32, 1));
    Affine   ih = affine_offset(affine_sum(oh, s->stride, kh, s->dilation), -s->pad);
    Affine   iw = affine_offset(affine_sum(ow, s->stride, kw, s->dilation), -s->pad);
    Affine   xi = plane_index(affine_loop(c), ih, iw, ol, s->h, s->w, L);
    Affine yi = plane_index(affine_loop(c), affine_loop(oh), affine_loop(ow), ol, height, width, L);

    Stmt *step = guarded(k, iw, s->w, st_set(k, best, ASSIGN_MAX, ex_load(k, xb, xi)));
    step = st_for(k, kh, guarded(k, ih, s->h, st_for(k, kw, step)));
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_set(k, best, ASSIGN, ex_const(k, -3e38)));
    st_add(k, leaf, step);
    st_add(k, leaf, st_store(k, yb, yi, ASSIGN, ex_temp(k, best)));
    st_add(k, k->body, st_for(k, c, st_for(k, oh, st_for(k, ow, st_for(k, ol, leaf)))));
    return k;
}

/* ---- two passes with a local array between them -------------------------------------------- */

/* is_turned - whether the groups of a kernel are summed in another order than they are written (kernel/turn.c). */
static inline bool is_turned(const Kernel *k)
{
    bool turned = false;
    for (LoopId l = 1; l < k->n_loops; l++)
        turned |= k->loops[l].axis == AXIS_GROUP &&
                  target_turns(k->target, k->target->lanes / k->loops[l].extent) > 1;
    return turned;
}

/* grouped_nest - groups of `cg` channels on both sides, several of which share a block of s->block. `mirrored`:
 * the taps of a row go from right to left. Sums that are turned are of whole numbers. Buffers: 1 x, 2 w, 3 y. */
static inline Kernel *grouped_nest(Arena *a, const Shape *s, int64_t cg, bool mirrored,
                                   const struct Target *t)
{
    Kernel  *k = kernel_new(a, "conv2d", t, FP_STRICT);
    int64_t  L = s->block, blocks = in_blocks(s->i, L), taps = s->kh * s->kw;
    int64_t  height = out_extent(s->h, s->kh, s), width = out_extent(s->w, s->kw, s);
    int64_t  dims[] = {blocks * L, cg, s->kh, s->kw};
    Tensor  *w = target_turns(t, cg) > 1 ? whole_tensor(a, F32, 4, dims) : random_weights(a, 4, dims);
    LoopId   g = kernel_loop_if(k, "g", blocks, PARALLEL, AXIS_NONE);
    LoopId   oh = kernel_loop_if(k, "oh", height, PARALLEL, AXIS_H);
    LoopId   ow = kernel_loop_if(k, "ow", width, PARALLEL, AXIS_M);
    LoopId   og = kernel_loop_if(k, "og", L / cg, PARALLEL, AXIS_GROUP);
    LoopId   ol = kernel_loop_if(k, "ol", cg, PARALLEL, AXIS_LANE);
    LoopId   kh = kernel_loop_if(k, "kh", s->kh, REDUCE, AXIS_NONE);
    LoopId   il = kernel_loop_if(k, "il", cg, REDUCE, AXIS_NONE);
    LoopId   kw = kernel_loop_if(k, "kw", s->kw, REDUCE, AXIS_K);
    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, blocks * L * s->h * s->w, 0);
    BufferId wb = kernel_weight(k, "w", w, NULL, 0);
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, blocks * L * height * width, 0);
    TempId   acc = kernel_temp(k, "acc", vtype(F32, 1));
    int64_t  step = mirrored ? -s->dilation : s->dilation;
    int64_t  first = mirrored ? s->dilation * (s->kw - 1) - s->pad : -s->pad;
    Affine   ih = affine_offset(affine_sum(oh, s->stride, kh, s->dilation), -s->pad);
    Affine   iw = affine_offset(affine_sum(ow, s->stride, kw, step), first);
    Affine   xi = affine_add(plane_index(affine_loop(g), ih, iw, il, s->h, s->w, L),
                             affine_scale(affine_loop(og), cg));
    Affine   yi = affine_add(
        plane_index(affine_loop(g), affine_loop(oh), affine_loop(ow), ol, height, width, L),
        affine_scale(affine_loop(og), cg));
    Affine oc = affine_add(affine_scale(affine_loop(g), L), affine_sum(og, cg, ol, 1));
    Affine wi = affine_add(affine_scale(oc, cg * taps), affine_scale(affine_loop(il), taps));
    wi = affine_add(wi, affine_sum(kh, s->kw, kw, 1));
    const Expr *product =
        ex_binary(k, B_MUL, ex_load(k, xb, xi), ex_cast(k, F32, ex_load(k, wb, wi)));
    Stmt *sum = guarded(k, iw, s->w, st_set(k, acc, ASSIGN_ADD, product));
    sum = st_for(k, kh, guarded(k, ih, s->h, st_for(k, il, st_for(k, kw, sum))));
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_const(k, 0.25)));
    st_add(k, leaf, sum);
    st_add(k, leaf, st_store(k, yb, yi, ASSIGN, ex_temp(k, acc)));
    leaf = st_for(k, ow, st_for(k, og, st_for(k, ol, leaf)));
    st_add(k, k->body, st_for(k, g, st_for(k, oh, leaf)));
    return k;
}

/* random_group - of how many lanes a group may be that shares a block; 0: nothing is shared by one lane. */
static inline int64_t random_group(int64_t block)
{
    int64_t group = 2;
    while (2 * group < block && random_below(2))
        group *= 2;
    return block > 2 ? group : 0;
}

/* mirror_nest - each row plus itself mirrored; buffers: 1 x, 2 y, 3 the row, doubled, in between. */
static inline Kernel *mirror_nest(Arena *a, const Shape *s, const struct Target *t)
{
    Kernel *k = kernel_new(a, "mirror", t, FP_STRICT);
    int64_t L = s->block, cb = in_blocks(s->i, L), count = cb * L * s->h * s->w;
    LoopId  c = kernel_loop_if(k, "c", cb, PARALLEL, AXIS_NONE);
    LoopId  h = kernel_loop_if(k, "h", s->h, PARALLEL, AXIS_NONE);
    LoopId  l = kernel_loop_if(k, "l", L, PARALLEL, AXIS_LANE);
    LoopId  there = kernel_loop(k, "there", s->w, PARALLEL, AXIS_NONE);
    LoopId  back = kernel_loop(k, "back", s->w, PARALLEL, AXIS_NONE);
    k->loops[there].mark = k->loops[back].mark = ROLLED;

    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, count, 0);
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, count, 0);
    BufferId half = kernel_buffer(k, "half", F32, BUF_LOCAL, s->w * L, 0);
    Affine   x = plane_index(affine_loop(c), affine_loop(h), affine_loop(there), l, s->h, s->w, L);
    Affine   y = plane_index(affine_loop(c), affine_loop(h), affine_loop(back), l, s->h, s->w, L);
    Affine   first = affine_sum(there, L, l, 1), straight = affine_sum(back, L, l, 1);
    Affine   mirrored = affine_offset(affine_sum(back, -L, l, 1), (s->w - 1) * L);

    const Expr *twice = ex_binary(k, B_MUL, ex_load(k, xb, x), ex_const(k, 2));
    const Expr *sum =
        ex_binary(k, B_ADD, ex_load(k, half, straight), ex_load(k, half, mirrored));
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_for(k, there, st_store(k, half, first, ASSIGN, twice)));
    st_add(k, leaf, st_for(k, back, st_store(k, yb, y, ASSIGN, sum)));
    st_add(k, k->body, st_for(k, c, st_for(k, h, st_for(k, l, leaf))));
    return k;
}

/* ---- elementwise ------------------------------------------------------------------------ */

/* elementwise_nest - y = min(x * scale[c] + b, 6), with b another value; buffers: 1 x, 2 b, 3 the
 * scales, 4 y. */
static inline Kernel *elementwise_nest(Arena *a, const Shape *s, const struct Target *t,
                                       const Tensor *scale)
{
    Kernel *k = kernel_new(a, "add", t, FP_STRICT);
    int64_t L = s->block, cb = in_blocks(s->i, L), count = cb * L * s->h * s->w;
    LoopId  c = kernel_loop_if(k, "c", cb, PARALLEL, AXIS_NONE);
    LoopId  h = kernel_loop_if(k, "h", s->h, PARALLEL, AXIS_NONE);
    LoopId  w = kernel_loop_if(k, "w", s->w, PARALLEL, L == 1 ? AXIS_LANE : AXIS_M);
    LoopId  l = kernel_loop_if(k, "l", L, PARALLEL, AXIS_LANE);

    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, count, 0);
    BufferId bb = kernel_buffer(k, "b", F32, BUF_IN, count, 0);
    BufferId sb = kernel_constant(k, "scale", scale, (int64_t[]){cb * L});
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, count, 0);
    Affine   at = plane_index(affine_loop(c), affine_loop(h), affine_loop(w), l, s->h, s->w, L);

    const Expr *v = ex_binary(k, B_MUL, ex_load(k, xb, at), ex_load(k, sb, affine_sum(c, L, l, 1)));
    v = ex_binary(k, B_ADD, v, ex_load(k, bb, at));
    v = ex_binary(k, B_MIN, v, ex_const(k, 6));
    Stmt *leaf = st_store(k, yb, at, ASSIGN, v);
    st_add(k, k->body, st_for(k, c, st_for(k, h, st_for(k, w, st_for(k, l, leaf)))));
    return k;
}

/* ---- running ---------------------------------------------------------------------------- */

/* fill_memory - arrays of exactly the stored size for each parameter, inputs random (of BF16, and of sums that are
 * turned: small whole numbers), outputs NaN. */
static inline void **fill_memory(Arena *a, const Kernel *k)
{
    void **memory = arena_array(a, void *, k->n_buffers);
    for (BufferId b = 1; b < k->n_buffers; b++) {
        if (k->buffers[b].kind == BUF_CONST)
            continue;
        if (k->buffers[b].elem == BF16) {
            memory[b] = (void *)(uintptr_t)whole_tensor(a, BF16, 1, &k->buffers[b].count)->data;
            continue;
        }
        float *data = arena_array(a, float, (size_t)k->buffers[b].count);
        for (int64_t i = 0; i < k->buffers[b].count; i++)
            data[i] = k->buffers[b].kind != BUF_IN ? (float)(0.0 / 0.0)
                      : is_turned(k)               ? (float)random_between(-9, 9)
                                                   : random_float();
        memory[b] = data;
    }
    return memory;
}

#endif
