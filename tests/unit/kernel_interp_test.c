/* kernel_interp_test - the interpreter against plain loops, bit for bit. */
#include "nests.h"

#include <math.h>

static bool verified(const Kernel *k, Arena *a)
{
    Text why = text_new(a);
    bool ok = kernel_verify(k, &why);
    if (!ok)
        printf("%s", why.data);
    return ok;
}

static void test_conv(Arena *a)
{
    Shape   s = random_shape(random_below(2) ? 1 : 4);
    Tensor *w = random_weights(a, 4, (int64_t[]){s.o, s.i, s.kh, s.kw});
    Tensor *b = random_tensor(a, 1, (int64_t[]){s.o});
    Kernel *k = conv_nest(a, &s, NULL, w, b);
    void  **memory = fill_memory(a, k);
    size_t  bytes = (size_t)k->buffers[4].count * sizeof(float);
    float  *expected = arena_alloc(a, bytes);
    if (!CHECK(verified(k, a)))
        return;
    kernel_interp(k, memory, a);
    plain_conv(&s, memory[1], w, b, s.residual ? memory[5] : NULL, expected);
    CHECK(memcmp(memory[4], expected, bytes) == 0);
}

static void test_elementwise(Arena *a)
{
    Shape   s = random_shape(random_below(2) ? 1 : 4);
    Tensor *scale = random_tensor(a, 1, (int64_t[]){s.i});
    Kernel *k = elementwise_nest(a, &s, NULL, scale);
    void  **memory = fill_memory(a, k);
    if (!CHECK(verified(k, a)))
        return;
    kernel_interp(k, memory, a);
    const float *x = memory[1], *b = memory[2], *y = memory[4];
    bool         agree = true;
    for (int64_t i = 0; i < k->buffers[4].count; i++) {
        int64_t c = i / (s.h * s.w * s.block) * s.block + i % s.block;
        float   product = x[i] * (c < s.i ? (float)tensor_get(scale, c) : 0);
        float   v = product + b[i];
        agree &= y[i] == (v < 6 ? v : 6);
    }
    CHECK(agree);
}

static void test_pool(Arena *a)
{
    Shape s = random_shape(random_below(2) ? 1 : 4);
    s.pad = 0;
    if (s.h < s.dilation * (s.kh - 1) + 1 || s.w < s.dilation * (s.kw - 1) + 1)
        return;
    Kernel *k = pool_nest(a, &s, NULL);
    void  **memory = fill_memory(a, k);
    if (!CHECK(verified(k, a)))
        return;
    kernel_interp(k, memory, a);
    int64_t L = s.block, height = out_extent(s.h, s.kh, &s), width = out_extent(s.w, s.kw, &s);
    bool    agree = true;
    for (int64_t i = 0; i < k->buffers[2].count; i++) {
        int64_t c = i / (height * width * L) * L + i % L;
        float   best = -3e38f;
        for (int64_t tap = 0; tap < s.kh * s.kw; tap++) {
            float v = plain_x(&s, memory[1], c,
                              i / L / width % height * s.stride + tap / s.kw * s.dilation,
                              i / L % width * s.stride + tap % s.kw * s.dilation);
            best = v > best ? v : best;
        }
        agree &= ((float *)memory[2])[i] == best;
    }
    CHECK(agree);
}

/* value_of_bits - a number by the definition of IEEE 754: sign, exponent of that bias, `digits` bits
 * behind the point. */
static double value_of_bits(uint32_t bits, int digits, int bias)
{
    int    exponent = (int)(bits & 0x7fffu) >> digits;
    double fraction = ldexp((double)(bits & ((1u << digits) - 1)), -digits);
    double size = exponent == 2 * bias + 1 ? (fraction > 0 ? (double)NAN : (double)INFINITY)
                  : exponent               ? ldexp(1 + fraction, exponent - bias)
                                           : ldexp(fraction, 1 - bias);
    return bits & 0x8000u ? -size : size;
}

/* ---- operators, vectors, types ---------------------------------------------------------- */

static Kernel *k;
static float   out[16];

/* value_of - what `e` evaluates to, through a store to y. */
static float value_of(const Expr *e, Arena *a)
{
    k->body = st_block(k);
    st_add(k, k->body, st_store(k, 1, affine_const(0), ASSIGN, e));
    kernel_interp(k, (void *[]){NULL, out}, a);
    return out[0];
}

/* run_time - a constant that building does not fold: read through a temporary's splat. */
static const Expr *run_time(double v)
{
    Tensor *t = tensor_new(k->arena, F32, 0, NULL);
    tensor_set(t, 0, v);
    return ex_load(k, kernel_constant(k, "c", t, NULL), affine_const(0));
}

static void test_operators(Arena *a)
{
    k = kernel_new(a, "test", NULL, FP_STRICT);
    kernel_buffer(k, "y", F32, BUF_OUT, 16, 0);
    /* One rounding, or two. */
    const Expr *x = run_time(1 + 0x1p-12), *minus = run_time(-(1 + 0x1p-11));
    CHECK(value_of(ex_fma(k, x, x, minus), a) == 0x1p-24f);
    CHECK(value_of(ex_binary(k, B_ADD, ex_binary(k, B_MUL, x, x), minus), a) == 0);
    CHECK(value_of(ex_binary(k, B_ADD, run_time(0x1p24), run_time(1)), a) == 0x1p24f);
    /* a > b ? a : b */
    CHECK(isnan(value_of(ex_binary(k, B_MAX, run_time(0), run_time((double)NAN)), a)));
    CHECK(value_of(ex_binary(k, B_MAX, run_time((double)NAN), run_time(3)), a) == 3);
    CHECK(signbit(value_of(ex_binary(k, B_MAX, run_time(0), run_time(-0.0)), a)));
    CHECK(isnan(value_of(ex_binary(k, B_MIN, run_time(0), run_time((double)NAN)), a)));
    CHECK(value_of(ex_binary(k, B_EQ, run_time(-0.0), run_time(0)), a) == 1);
    CHECK(value_of(ex_binary(k, B_LDEXP, run_time(3), run_time(-4)), a) == 0.1875f);
    CHECK(value_of(ex_unary(k, U_ROUND, run_time(-2.5)), a) == -2);
    CHECK(value_of(ex_unary(k, U_FLOOR, run_time(-2.5)), a) == -3);
    CHECK(value_of(ex_unary(k, U_ABS, run_time(-2.5)), a) == 2.5f);
    CHECK(value_of(ex_unary(k, U_SQRT, run_time(2.25)), a) == 1.5f);
    CHECK(value_of(ex_unary(k, U_EXPONENT, run_time(10)), a) == 3);
    CHECK(value_of(ex_unary(k, U_EXPONENT, run_time(0.3)), a) == -2);
}

/* for i in 2 { v[i] = x[4 i : 4];  v[i] max= splat(0) }  for i in 2 { y[4 i : 4] += v[i] } */
static void test_vectors(Arena *a)
{
    k = kernel_new(a, "test", NULL, FP_STRICT);
    LoopId   i = kernel_loop(k, "i", 2, PARALLEL, AXIS_NONE);
    BufferId x = kernel_buffer(k, "x", F32, BUF_IN, 8, 0),
             y = kernel_buffer(k, "y", F32, BUF_OUT, 8, 0);
    TempId v = kernel_temp(k, "v", vtype(F32, 4));
    k->temps[v].n_expand = 1;
    k->temps[v].expand[0] = i;
    Affine at = affine_scale(affine_loop(i), 4);
    Expr   load = *ex_load(k, x, at);
    load.type.lanes = 4;
    Stmt *first = st_block(k);
    st_add(k, first, st_let(k, v, &load));
    st_add(k, first, st_set(k, v, ASSIGN_MAX, ex_splat(k, 4, ex_const(k, 0))));
    st_add(k, k->body, st_for(k, i, first));
    st_add(k, k->body, st_for(k, i, st_store(k, y, at, ASSIGN_ADD, ex_temp(k, v))));
    CHECK(verified(k, a));
    float in[8] = {-1, 2, -3, 4, 5, -6, 7, -8}, sums[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    float expected[8] = {1, 3, 1, 5, 6, 1, 8, 1};
    kernel_interp(k, (void *[]){NULL, in, sums}, a);
    CHECK(memcmp(sums, expected, sizeof sums) == 0);
}

/* loaded - vector i of four of x in the kernel below. */
static const Expr *loaded(BufferId x, LoopId i)
{
    Expr load = *ex_load(k, x, affine_scale(affine_loop(i), 4));
    load.type.lanes = 4;
    Expr *e = arena_struct(k->arena, Expr);
    *e = load;
    return e;
}

typedef const Expr *(*LanesOf)(BufferId x, LoopId i);

/* check_lanes - for i in 2 { y[4 i : 4] = lanes of x[4 i : 4] } */
static void check_lanes(Arena *a, LanesOf lanes, const float expected[8])
{
    k = kernel_new(a, "test", NULL, FP_STRICT);
    LoopId   i = kernel_loop(k, "i", 2, PARALLEL, AXIS_NONE);
    BufferId x = kernel_buffer(k, "x", F32, BUF_IN, 8, 0),
             y = kernel_buffer(k, "y", F32, BUF_OUT, 8, 0);
    Affine at = affine_scale(affine_loop(i), 4);
    st_add(k, k->body, st_for(k, i, st_store(k, y, at, ASSIGN, lanes(x, i))));
    CHECK(verified(k, a));
    float in[8] = {1, 2, 3, 4, 5, 6, 7, 8}, got[8];
    kernel_interp(k, (void *[]){NULL, in, got}, a);
    CHECK(memcmp(got, expected, sizeof got) == 0);
}

static const Expr *picked(BufferId x, LoopId i)
{
    return ex_pick(k, loaded(x, i), 2, affine_loop(i));
}

static const Expr *swapped(BufferId x, LoopId i)
{
    return ex_swap(k, loaded(x, i), affine_scale(affine_loop(i), 2));
}

static void test_lanes(Arena *a)
{
    check_lanes(a, picked, (float[]){1, 1, 3, 3, 6, 6, 8, 8});
    check_lanes(a, swapped, (float[]){1, 2, 3, 4, 7, 8, 5, 6});
}

/* q[i] = i8(x[i] * 100),  y[i] = f32(q[i]) */
static void test_casts(Arena *a)
{
    k = kernel_new(a, "test", NULL, FP_STRICT);
    LoopId   i = kernel_loop(k, "i", 4, PARALLEL, AXIS_NONE);
    BufferId x = kernel_buffer(k, "x", F32, BUF_IN, 4, 0),
             q = kernel_buffer(k, "q", I8, BUF_OUT, 4, 0);
    BufferId y = kernel_buffer(k, "y", F32, BUF_OUT, 4, 0),
             u = kernel_buffer(k, "u", U8, BUF_OUT, 4, 0);
    BufferId    n = kernel_buffer(k, "n", I32, BUF_OUT, 4, 0);
    Affine      at = affine_loop(i);
    const Expr *scaled = ex_binary(k, B_MUL, ex_load(k, x, at), ex_const(k, 100));
    Stmt       *body = st_block(k);
    st_add(k, body, st_store(k, q, at, ASSIGN, ex_cast(k, I8, scaled)));
    st_add(k, body, st_store(k, u, at, ASSIGN, ex_cast(k, U8, scaled)));
    st_add(k, body,
           st_store(k, n, at, ASSIGN, ex_cast(k, I32, ex_binary(k, B_MUL, scaled, scaled))));
    st_add(k, body, st_store(k, y, at, ASSIGN, ex_cast(k, F32, ex_load(k, q, at))));
    st_add(k, k->body, st_for(k, i, body));
    CHECK(verified(k, a));
    float   in[4] = {0.005f, 0.015625f, -9, 1e9f}, back[4];
    int8_t  narrow[4];
    uint8_t positive[4];
    int32_t wide[4];
    kernel_interp(k, (void *[]){NULL, in, narrow, back, positive, wide}, a);
    CHECK(narrow[0] == 0 && narrow[1] == 2 && narrow[2] == -128 && narrow[3] == 127);
    CHECK(positive[1] == 2 && positive[2] == 0 && positive[3] == 255);
    CHECK(wide[2] == 810000 && wide[3] == INT32_MAX);
    CHECK(back[1] == 2 && back[2] == -128);
}

/* y[i] = f32(h[i]) for every bit pattern of a half, one by one and as vectors of 4. */
static void test_halves(Arena *a)
{
    static const int64_t all = 1 << 16;
    static const Elem    elems[] = {F16, BF16};
    for (int n = 0; n < 4; n++) {
        Elem    elem = elems[n % 2];
        int     lanes = n < 2 ? 1 : 4;
        Tensor *t = tensor_new(a, elem, 1, &all);
        for (uint32_t bits = 0; bits < all; bits++)
            ((uint16_t *)(uintptr_t)t->data)[bits] = (uint16_t)bits;
        k = kernel_new(a, "test", NULL, FP_STRICT);
        BufferId y = kernel_buffer(k, "y", F32, BUF_OUT, all, 0);
        LoopId   i = kernel_loop(k, "i", all / lanes, PARALLEL, AXIS_NONE);
        Affine   at = affine_scale(affine_loop(i), lanes);
        Expr     load = *ex_load(k, kernel_weight(k, "h", t, NULL, 0), at);
        load.type.lanes = lanes;
        st_add(k, k->body, st_for(k, i, st_store(k, y, at, ASSIGN, ex_cast(k, F32, &load))));
        CHECK(verified(k, a));
        float *got = arena_array(a, float, (size_t)all);
        bool   agree = true;
        kernel_interp(k, (void *[]){NULL, got}, a);
        for (uint32_t bits = 0; bits < all; bits++) {
            double want = elem == BF16 ? value_of_bits(bits, 7, 127) : value_of_bits(bits, 10, 15);
            agree &= (double)got[bits] == want || (isnan(got[bits]) && isnan(want));
        }
        CHECK(agree);
    }
}

/* A lost initialization shows as NaN. */
static void test_unset(Arena *a)
{
    k = kernel_new(a, "test", NULL, FP_STRICT);
    BufferId y = kernel_buffer(k, "y", F32, BUF_OUT, 1, 0);
    TempId   t = kernel_temp(k, "t", vtype(F32, 1));
    st_add(k, k->body, st_set(k, t, ASSIGN_ADD, ex_const(k, 1)));
    st_add(k, k->body, st_store(k, y, affine_const(0), ASSIGN, ex_temp(k, t)));
    kernel_interp(k, (void *[]){NULL, out}, a);
    CHECK(isnan(out[0]));
}

int main(void)
{
    for (int i = 0; i < 60; i++) {
        Arena *a = arena_new();
        test_conv(a);
        test_elementwise(a);
        test_pool(a);
        arena_free(a);
    }
    Arena *a = arena_new();
    test_operators(a);
    test_vectors(a);
    test_lanes(a);
    test_casts(a);
    test_halves(a);
    test_unset(a);
    arena_free(a);
    return check_end();
}
