/* kernel_pass_test - every kernel pass leaves what a kernel computes as it was.
 *
 * Nests of random shape, for each target and for chosen and random schedules, go through the pipeline,
 * every fourth time without one or two of its passes.
 * After each pass the verifier must be content and the interpreter give the same bits as before: no
 * pass reorders a sum, but for pairs of products of BF16, which are whole numbers here. At the end nothing may be left to unroll or to turn into vectors.
 *
 * Arguments, both optional: rounds, and a seed other than the usual one. */
#include "nests.h"

#include "target/target.h"

#include <stdlib.h>

enum { ROUNDS = 200 };

static const char *last_pass;

/* explain - what to look at when a check failed. */
static void explain(const Kernel *k, const char *before, Arena *a)
{
    Text now = text_new(a);
    kernel_print(k, &now);
    printf("---- before %s, target %s\n%s---- after\n%s", last_pass, k->target->name, before,
           now.data);
}

/* ---- what must be gone at the end ------------------------------------------------------- */

static const Expr *see_expr(Rewrite *r, const Expr *e)
{
    if (e->kind == E_TEMP && r->k->temps[e->temp].n_expand)
        *(bool *)r->ctx = false;
    return e;
}

static Stmt *see_stmt(Rewrite *r, Stmt *s)
{
    LoopMark mark = s->kind == S_FOR ? r->k->loops[s->loop].mark : SERIAL;
    if (mark == UNROLL || mark == VECTOR || mark == JOINED)
        *(bool *)r->ctx = false;
    if ((s->kind == S_LET || s->kind == S_SET) && r->k->temps[s->temp].n_expand)
        *(bool *)r->ctx = false;
    return s;
}

static bool is_finished(Kernel *k)
{
    bool    finished = true;
    Rewrite r = {.k = k, .ctx = &finished, .expr = see_expr, .stmt = see_stmt};
    rewrite_stmt(&r, k->body);
    return finished;
}

/* ---- one kernel through the pipeline ---------------------------------------------------- */

typedef struct Outputs {
    float *data;
    size_t bytes;
} Outputs;

/* run - interpret, outputs NaN beforehand; a copy of output buffer `y`. */
static Outputs run(const Kernel *k, void **memory, BufferId y, Arena *a)
{
    Outputs out = {.bytes = (size_t)k->buffers[y].count * sizeof(float)};
    memset(memory[y], 0xff, out.bytes);
    kernel_interp(k, memory, a);
    out.data = arena_alloc(a, out.bytes);
    memcpy(out.data, memory[y], out.bytes);
    return out;
}

static BufferId output_of(const Kernel *k)
{
    BufferId b = 1;
    while (k->buffers[b].kind != BUF_OUT)
        b++;
    return b;
}

static bool is_verified(const Kernel *k, Arena *a)
{
    Text why = text_new(a);
    bool ok = kernel_verify(k, &why);
    if (!ok)
        printf("%s", why.data);
    return ok;
}

/* step - one pass. False when the rest makes no sense any more. */
static bool step(Kernel *k, const KernelPass *p, void **memory, const Outputs *expected, Arena *a)
{
    Text before = text_new(a), after = text_new(a);
    last_pass = p->name;
    kernel_print(k, &before);
    bool changed = p->run(k);
    kernel_print(k, &after);
    bool same_text = !strcmp(before.data, after.data);
    if (!CHECK(changed || same_text) || !CHECK(is_verified(k, a))) {
        explain(k, before.data, a);
        return false;
    }
    Outputs now = run(k, memory, output_of(k), a);
    if (CHECK(memcmp(now.data, expected->data, now.bytes) == 0))
        return true;
    explain(k, before.data, a);
    return false;
}

static const char *disabled[2]; /* passes not to run; NULL: none */

static void test_kernel(Kernel *k, Arena *a)
{
    void **memory = fill_memory(a, k);
    last_pass = "everything";
    if (!CHECK(is_verified(k, a))) {
        explain(k, "", a);
        return;
    }
    Outputs expected = run(k, memory, output_of(k), a);
    bool    whole = true;
    for (size_t i = 0; i < expected.bytes / sizeof(float); i++)
        whole &= expected.data[i] == expected.data[i];
    CHECK(whole);
    for (int i = 0; i < n_kernel_passes; i++) {
        if (!kernel_pass_runs(i, disabled, 2))
            continue;
        if (!step(k, &kernel_passes[i], memory, &expected, a))
            return;
    }
    CHECK(is_finished(k));
}

/* ---- more nests ------------------------------------------------------------------------- */

/* Depthwise: lane by lane, the weight's lanes far apart until they are packed. */
static Kernel *depthwise_nest(Arena *a, const Shape *s, const Target *t)
{
    Kernel  *k = kernel_new(a, "conv2d", t, FP_STRICT);
    int64_t  L = s->block, cb = in_blocks(s->i, L), taps = s->kh * s->kw;
    int64_t  height = out_extent(s->h, s->kh, s), width = out_extent(s->w, s->kw, s);
    Tensor  *w = random_tensor(a, 4, (int64_t[]){s->i, 1, s->kh, s->kw});
    LoopId   g = kernel_loop_if(k, "g", cb, PARALLEL, AXIS_NONE);
    LoopId   oh = kernel_loop_if(k, "oh", height, PARALLEL, AXIS_NONE);
    LoopId   ow = kernel_loop_if(k, "ow", width, PARALLEL, AXIS_M);
    LoopId   ol = kernel_loop_if(k, "ol", L, PARALLEL, AXIS_LANE);
    LoopId   kh = kernel_loop_if(k, "kh", s->kh, REDUCE, AXIS_NONE);
    LoopId   kw = kernel_loop_if(k, "kw", s->kw, REDUCE, AXIS_K);
    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, cb * L * s->h * s->w, 0);
    BufferId wb = kernel_constant(k, "w", w, (int64_t[]){cb * L, 1, s->kh, s->kw});
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, cb * L * height * width, 0);
    TempId   acc = kernel_temp(k, "acc", vtype(F32, 1));
    Affine   ih = affine_offset(affine_sum(oh, s->stride, kh, s->dilation), -s->pad);
    Affine   iw = affine_offset(affine_sum(ow, s->stride, kw, s->dilation), -s->pad);
    Affine   xi = plane_index(affine_loop(g), ih, iw, ol, s->h, s->w, L);
    Affine yi = plane_index(affine_loop(g), affine_loop(oh), affine_loop(ow), ol, height, width, L);
    Affine wi = affine_add(affine_sum(g, L * taps, ol, taps), affine_sum(kh, s->kw, kw, 1));
    Stmt  *step =
        st_set(k, acc, ASSIGN_ADD, ex_binary(k, B_MUL, ex_load(k, xb, xi), ex_load(k, wb, wi)));
    step = st_for(k, kh, guarded(k, ih, s->h, st_for(k, kw, guarded(k, iw, s->w, step))));
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_const(k, 0.25)));
    st_add(k, leaf, step);
    st_add(k, leaf, st_store(k, yb, yi, ASSIGN, ex_temp(k, acc)));
    st_add(k, k->body, st_for(k, g, st_for(k, oh, st_for(k, ow, st_for(k, ol, leaf)))));
    return k;
}

/* A matrix product over rows: y[m, n] = b[n] + sum x[m, i] * w[n, i], fused multiply-adds asked for. */
static Kernel *linear_nest(Arena *a, const Shape *s, const Target *t)
{
    Kernel *k = kernel_new(a, "linear", t, FP_STRICT);
    int64_t L = s->block, nb = in_blocks(s->o, L), ib = in_blocks(s->i, L), rows = s->h;
    Tensor *w = random_tensor(a, 2, (int64_t[]){s->o, s->i}),
           *b = random_tensor(a, 1, (int64_t[]){s->o});
    LoopId m = kernel_loop_if(k, "n", rows, PARALLEL, AXIS_M);
    LoopId n = kernel_loop_if(k, "oc", nb, PARALLEL, AXIS_N),
           l = kernel_loop_if(k, "ol", L, PARALLEL, AXIS_LANE);
    LoopId i = kernel_loop_if(k, "ic", ib, REDUCE, AXIS_K),
           il = kernel_loop_if(k, "il", L, REDUCE, AXIS_NONE);
    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, rows * ib * L, 0);
    BufferId wb = kernel_constant(k, "w", w, (int64_t[]){nb * L, ib * L});
    BufferId bb = kernel_constant(k, "b", b, (int64_t[]){nb * L});
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, rows * nb * L, 0);
    TempId   acc = kernel_temp(k, "acc", vtype(F32, 1)), old = kernel_temp(k, "old", vtype(F32, 1));
    Affine   oc = affine_sum(n, L, l, 1), ic = affine_sum(i, L, il, 1);
    const Expr *xv = ex_load(k, xb, affine_add(affine_scale(affine_loop(m), ib * L), ic));
    const Expr *wv = ex_load(k, wb, affine_add(affine_scale(oc, ib * L), ic));
    Stmt       *step = st_block(k);
    st_add(k, step, st_let(k, old, ex_temp(k, acc)));
    st_add(k, step, st_set(k, acc, ASSIGN, ex_fma(k, xv, wv, ex_temp(k, old))));
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_load(k, bb, oc)));
    st_add(k, leaf, st_for(k, i, st_for(k, il, step)));
    st_add(k, leaf,
           st_store(k, yb, affine_add(affine_scale(affine_loop(m), nb * L), oc), ASSIGN,
                    ex_temp(k, acc)));
    st_add(k, k->body, st_for(k, m, st_for(k, n, st_for(k, l, leaf))));
    return k;
}

/* Three sweeps over each line, as softmax has them, with a rational function for exp; lines are `inner`
 * apart, and the position along the line is an operand. */
static Kernel *lines_nest(Arena *a, const Shape *s, const Target *t)
{
    Kernel  *k = kernel_new(a, "softmax", t, FP_STRICT);
    int64_t  extent = s->w, inner = s->i, outer = s->h;
    LoopId   o = kernel_loop_if(k, "o", outer, PARALLEL, AXIS_NONE);
    LoopId   i = kernel_loop_if(k, "i", inner, PARALLEL, random_below(2) ? AXIS_LANE : AXIS_NONE);
    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, outer * extent * inner, 0);
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, outer * extent * inner, 0);
    TempId   m = kernel_temp(k, "m", vtype(F32, 1)), sum = kernel_temp(k, "s", vtype(F32, 1));
    TempId   e = kernel_temp(k, "e", vtype(F32, 1)), inv = kernel_temp(k, "inv", vtype(F32, 1));
    Stmt    *body = st_block(k), *step = st_block(k);
    LoopId   c[3];
    Affine   at[3];
    for (int n = 0; n < 3; n++) {
        c[n] = kernel_loop_if(k, "c", extent, REDUCE, AXIS_NONE);
        at[n] = affine_add(affine_scale(affine_sum(o, extent, c[n], 1), inner), affine_loop(i));
    }
    const Expr *x = ex_binary(k, B_SUB, ex_load(k, xb, at[1]), ex_temp(k, m));
    const Expr *square = ex_binary(k, B_MUL, x, x);
    square = ex_binary(k, B_ADD, square, ex_index(k, affine_loop(c[1])));
    st_add(
        k, step,
        st_let(k, e,
               ex_binary(k, B_DIV, ex_const(k, 1), ex_binary(k, B_ADD, square, ex_const(k, 1)))));
    st_add(k, step, st_store(k, yb, at[1], ASSIGN, ex_temp(k, e)));
    st_add(k, step, st_set(k, sum, ASSIGN_ADD, ex_temp(k, e)));
    st_add(k, body, st_set(k, m, ASSIGN, ex_const(k, -3e38)));
    st_add(k, body, st_for(k, c[0], st_set(k, m, ASSIGN_MAX, ex_load(k, xb, at[0]))));
    st_add(k, body, st_set(k, sum, ASSIGN, ex_const(k, 0)));
    st_add(k, body, st_for(k, c[1], step));
    st_add(k, body, st_let(k, inv, ex_binary(k, B_DIV, ex_const(k, 1), ex_temp(k, sum))));
    st_add(k, body,
           st_for(k, c[2],
                  st_store(k, yb, at[2], ASSIGN,
                           ex_binary(k, B_MUL, ex_load(k, yb, at[2]), ex_temp(k, inv)))));
    st_add(k, k->body, st_for(k, o, st_for(k, i, body)));
    return k;
}

/* A plane with a frame: a constant everywhere, then what lies inside. Guards on parallel loops, the lane
 * among them where s->block is 1. */
static Kernel *pad_nest(Arena *a, const Shape *s, const Target *t)
{
    Kernel *k = kernel_new(a, "pad", t, FP_STRICT);
    int64_t L = s->block, cb = in_blocks(s->i, L), height = s->h + 2 * s->pad,
            width = s->w + s->pad;
    LoopId   c = kernel_loop_if(k, "c", cb, PARALLEL, AXIS_NONE);
    LoopId   h = kernel_loop_if(k, "h", height, PARALLEL, AXIS_NONE);
    LoopId   w = kernel_loop_if(k, "w", width, PARALLEL, L == 1 ? AXIS_LANE : AXIS_M);
    LoopId   l = kernel_loop_if(k, "l", L, PARALLEL, AXIS_LANE);
    BufferId xb = kernel_buffer(k, "x", F32, BUF_IN, cb * L * s->h * s->w, 0);
    BufferId yb = kernel_buffer(k, "y", F32, BUF_OUT, cb * L * height * width, 0);
    TempId   v = kernel_temp(k, "v", vtype(F32, 1));
    Affine ih = affine_offset(affine_loop(h), -s->pad), iw = affine_offset(affine_loop(w), -s->pad);
    Stmt  *inside =
        st_set(k, v, ASSIGN, ex_load(k, xb, plane_index(affine_loop(c), ih, iw, l, s->h, s->w, L)));
    Stmt *leaf = st_block(k);
    st_add(k, leaf, st_set(k, v, ASSIGN, ex_const(k, 7)));
    st_add(k, leaf, guarded(k, ih, s->h, guarded(k, iw, s->w, inside)));
    st_add(
        k, leaf,
        st_store(k, yb,
                 plane_index(affine_loop(c), affine_loop(h), affine_loop(w), l, height, width, L),
                 ASSIGN, ex_temp(k, v)));
    st_add(k, k->body, st_for(k, c, st_for(k, h, st_for(k, w, st_for(k, l, leaf)))));
    return k;
}

/* ---- all of it -------------------------------------------------------------------------- */

static Kernel *random_kernel(Arena *a, const Target *t)
{
    Shape   s = random_shape(random_below(4) ? t->lanes : 1);
    Tensor *w = random_weights(a, 4, (int64_t[]){s.o, s.i, s.kh, s.kw});
    Tensor *b = random_tensor(a, 1, (int64_t[]){s.o}),
           *scale = random_tensor(a, 1, (int64_t[]){s.i});
    int64_t group = random_group(s.block);
    if (group && random_below(6) == 0)
        return grouped_nest(a, &s, group, random_below(3) == 0, t);
    switch (random_below(10)) {
    case 0: return elementwise_nest(a, &s, t, scale);
    case 1: return pool_nest(a, &s, t);
    case 2: return depthwise_nest(a, &s, t);
    case 3: return linear_nest(a, &s, t);
    case 4: return lines_nest(a, &s, t);
    case 5: return pad_nest(a, &s, t);
    case 6: return mirror_nest(a, &s, t);
    default: break;
    }
    s.pairs = target_find(t, I_DOT, BF16, t->lanes) && random_below(2);
    if (s.pairs) {
        w = whole_tensor(a, BF16, 4, w->type.dims);
        b = whole_tensor(a, F32, 1, b->type.dims);
    }
    return conv_nest(a, &s, t, w, b);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    check_seed += argc > 2 ? (uint64_t)atoi(argv[2]) : 0;
    for (int i = 0; i < rounds && check_failed == 0; i++) {
        Arena  *a = arena_new();
        Kernel *k = random_kernel(a, target_nth(i % target_count()));
        if (random_below(2)) {
            k->schedule.tile.m = (int)random_below(7);
            k->schedule.tile.n = (int)random_below(4);
            k->schedule.unroll_k = (int)random_below(5);
        }
        for (int d = 0; d < 2; d++)
            disabled[d] = i % 4 ? NULL : kernel_passes[random_below(n_kernel_passes)].name;
        test_kernel(k, a);
        arena_free(a);
    }
    return check_end();
}
