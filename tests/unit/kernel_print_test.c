/* kernel_print_test - kernels as text. */
#include "nests.h"

static Arena  *arena;
static Kernel *k;

static void start(void)
{
    arena_free(arena);
    arena = arena_new();
    k = kernel_new(arena, "test", NULL, FP_STRICT);
}

/* prints - whether the kernel's text is `expected`; shows both otherwise. */
static bool prints(const char *expected)
{
    Text text = text_new(arena);
    kernel_print(k, &text);
    if (!strcmp(text.data, expected))
        return true;
    printf("---- expected\n%s---- got\n%s", expected, text.data);
    return false;
}

static void test_conv(void)
{
    Shape s = {.o = 3,
               .i = 2,
               .h = 5,
               .w = 6,
               .kh = 3,
               .kw = 1,
               .stride = 2,
               .pad = 1,
               .dilation = 1,
               .block = 2};
    start();
    Tensor *w = random_tensor(arena, 4, (int64_t[]){3, 2, 3, 1});
    k = conv_nest(arena, &s, NULL, w, random_tensor(arena, 1, (int64_t[]){3}));
    k->schedule = (Schedule){{1, 2, 1}, 1, 1};
    CHECK(prints(
        "kernel conv2d {\n"
        "    in x: f32[60]\n"
        "    const w: f32[24] from f32[3, 2, 3, 1] grown to [4, 2, 3, 1] with 0\n"
        "    const b: f32[4] from f32[3] grown to [4] with 0\n"
        "    out y: f32[48]\n"
        "    schedule tile_h 1, tile_m 2, tile_n 1, unroll_k 1\n"
        "    for oc in 0..2 parallel axis n {\n"
        "        for oh in 0..3 parallel {\n"
        "            for ow in 0..4 parallel axis m {\n"
        "                for ol in 0..2 parallel axis lane {\n"
        "                    acc = b[oc * 2 + ol]\n"
        "                    for kh in 0..3 reduce {\n"
        "                        if 0 <= oh * 2 + kh - 1 < 5 {\n"
        "                            if 0 <= ow * 2 - 1 < 6 {\n"
        "                                for il in 0..2 reduce axis k {\n"
        "                                    acc += x[oh * 24 + kh * 12 + ow * 4 + il - 14] * "
        "w[oc * 12 + ol * 6 + il * 3 + kh]\n"
        "                                }\n"
        "                            }\n"
        "                        }\n"
        "                    }\n"
        "                    y[oc * 24 + oh * 8 + ow * 2 + ol] = max(0, acc)\n"
        "                }\n"
        "            }\n"
        "        }\n"
        "    }\n"
        "}\n"));
}

/* Names come in the order of appearance; what no statement mentions takes none. */
static void test_names(void)
{
    start();
    LoopId   gone = kernel_loop(k, "i", 9, PARALLEL, AXIS_NONE);
    LoopId   first = kernel_loop(k, "i", 2, PARALLEL, AXIS_NONE);
    LoopId   second = kernel_loop(k, "i", 3, REDUCE, AXIS_NONE);
    BufferId x = kernel_buffer(k, "x", F32, BUF_IN, 4, 0),
             i = kernel_buffer(k, "i", I8, BUF_OUT, 8, 0);
    TempId t = kernel_temp(k, "i_2", vtype(F32, 1));
    (void)gone;
    k->loops[first].mark = UNROLL;
    k->loops[second].mark = VECTOR;
    Stmt *body = st_block(k);
    st_add(k, body, st_let(k, t, ex_load(k, x, affine_const(3))));
    st_add(k, body,
           st_store(k, i, affine_scale(affine_loop(second), -2), ASSIGN_MAX,
                    ex_cast(k, I8, ex_temp(k, t))));
    st_add(k, k->body, st_for(k, second, st_note(k, "nothing */ here")));
    st_add(k, k->body, st_for(k, first, st_for(k, second, body)));
    CHECK(prints("kernel test {\n"
                 "    in x: f32[4]\n"
                 "    out i: i8[8]\n"
                 "    for i_2 in 0..3 reduce vector {\n"
                 "        # nothing *\\x2f here\n"
                 "    }\n"
                 "    for i_3 in 0..2 parallel unroll {\n"
                 "        for i_2 in 0..3 reduce vector {\n"
                 "            let i_2_2 = x[3]\n"
                 "            i[-i_2 * 2] max= i8(i_2_2)\n"
                 "        }\n"
                 "    }\n"
                 "}\n"));
}

static const Expr *load(BufferId x, int64_t at, int lanes)
{
    Expr *e = arena_struct(arena, Expr);
    *e = *ex_load(k, x, affine_const(at));
    e->type.lanes = lanes;
    return e;
}

/* Parentheses only where the structure needs them; vectors, expanded temporaries. */
static void test_expressions(void)
{
    start();
    LoopId i = kernel_loop(k, "i", 2, PARALLEL, AXIS_NONE),
           j = kernel_loop(k, "j", 2, PARALLEL, AXIS_NONE);
    BufferId x = kernel_buffer(k, "x", F32, BUF_IN, 64, 0);
    TempId   t = kernel_temp(k, "t", vtype(F32, 1)), v = kernel_temp(k, "v", vtype(F32, 8));
    k->temps[v].n_expand = 2;
    k->temps[v].expand[0] = i;
    k->temps[v].expand[1] = j;
    const Expr *a = load(x, 0, 1), *b = load(x, 1, 1), *c = load(x, 2, 1);
    const Expr *sum = ex_binary(k, B_ADD, a, b), *product = ex_binary(k, B_MUL, b, c);
    const Expr *values[] = {
        ex_binary(k, B_SUB, ex_binary(k, B_SUB, a, b), c),
        ex_binary(k, B_SUB, a, ex_binary(k, B_SUB, b, c)),
        ex_binary(k, B_MUL, sum, c),
        ex_binary(k, B_ADD, a, product),
        ex_binary(k, B_DIV, a, ex_binary(k, B_DIV, b, c)),
        ex_unary(k, U_NEG, ex_binary(k, B_ADD, a, c)),
        ex_binary(k, B_LDEXP, ex_unary(k, U_EXPONENT, a),
                  ex_unary(k, U_ROUND, ex_unary(k, U_ABS, b))),
        ex_fma(k, a, b, ex_const(k, 0.1)),
        ex_binary(k, B_EQ, ex_unary(k, U_FLOOR, a), ex_index(k, affine_offset(affine_loop(i), 1))),
        ex_binary(k, B_MIN, ex_const(k, -0.0), ex_cast(k, F32, ex_cast(k, I8, ex_const(k, 5)))),
    };
    Stmt *body = st_block(k);
    for (size_t n = 0; n < COUNT_OF(values); n++)
        st_add(k, body, st_set(k, t, n ? ASSIGN_ADD : ASSIGN, values[n]));
    st_add(k, body, st_set(k, v, ASSIGN, ex_binary(k, B_MUL, load(x, 8, 8), ex_splat(k, 8, sum))));
    st_add(k, body, st_set(k, v, ASSIGN, ex_pick(k, load(x, 16, 8), 4, affine_loop(j))));
    st_add(k, body,
           st_set(k, v, ASSIGN, ex_swap(k, ex_temp(k, v), affine_scale(affine_loop(j), 2))));
    st_add(k, k->body, st_for(k, i, st_for(k, j, body)));
    CHECK(prints("kernel test {\n"
                 "    in x: f32[64]\n"
                 "    for i in 0..2 parallel {\n"
                 "        for j in 0..2 parallel {\n"
                 "            t = x[0] - x[1] - x[2]\n"
                 "            t += x[0] - (x[1] - x[2])\n"
                 "            t += (x[0] + x[1]) * x[2]\n"
                 "            t += x[0] + x[1] * x[2]\n"
                 "            t += x[0] / (x[1] / x[2])\n"
                 "            t += -(x[0] + x[2])\n"
                 "            t += ldexp(exponent(x[0]), round(abs(x[1])))\n"
                 "            t += fma(x[0], x[1], 0.100000001)\n"
                 "            t += eq(floor(x[0]), index(i + 1))\n"
                 "            t += -0\n"
                 "            v[i][j] = x[8:8] * splat(x[0] + x[1])\n"
                 "            v[i][j] = pick(x[16:8], j of 4)\n"
                 "            v[i][j] = swap(v[i][j], j * 2)\n"
                 "        }\n"
                 "    }\n"
                 "}\n"));
}

/* What is used twice gets a line; so do the parts of what is very deep. */
static void test_sharing(void)
{
    start();
    BufferId    x = kernel_buffer(k, "x", F32, BUF_IN, 4, 0);
    TempId      t = kernel_temp(k, "t", vtype(F32, 1));
    const Expr *e = load(x, 0, 1);
    for (int i = 0; i < 3; i++)
        e = ex_binary(k, B_ADD, e, e);
    st_add(k, k->body, st_let(k, t, e));
    CHECK(prints("kernel test {\n"
                 "    in x: f32[4]\n"
                 "    %1 = x[0] + x[0]\n"
                 "    %2 = %1 + %1\n"
                 "    let t = %2 + %2\n"
                 "}\n"));
    for (int i = 0; i < 100000; i++)
        e = ex_unary(k, U_NEG, ex_binary(k, B_ADD, e, e));
    k->body = st_block(k);
    st_add(k, k->body, st_let(k, t, e));
    Text text = text_new(arena);
    kernel_print(k, &text);
    CHECK(text.len < 100000 * 100);
    for (int i = 0; i < 100000; i++)
        e = ex_unary(k, U_FLOOR, e);
    k->body->items[0]->value = e;
    kernel_print(k, &text);
    CHECK(text.len < 200000 * 100);
}

static void test_views(void)
{
    start();
    int64_t  padded[2] = {3, 8};
    BufferId w = kernel_constant(k, "w", tensor_new(arena, F16, 2, (int64_t[]){3, 5}), padded);
    View    *v = &k->buffers[w].view;
    v->n_dims = 2;
    v->extent[0] = 8;
    v->extent[1] = 2;
    v->stride[0] = 1;
    v->stride[1] = 8;
    v->offset = 8;
    k->buffers[w].count = 16;
    CHECK(prints("kernel test {\n}\n")); /* nothing reads it */
    st_add(k, k->body,
           st_let(k, kernel_temp(k, "t", vtype(F32, 1)), ex_load(k, w, affine_const(2))));
    CHECK(prints(
        "kernel test {\n"
        "    const w: f32[16] from f16[3, 5] grown to [3, 8] with 0 packed [8 x 1, 2 x 8] from 8\n"
        "    let t = w[2]\n"
        "}\n"));
}

/* What the verifier refuses can be printed: no crash, question marks. */
static void test_unsound(void)
{
    start();
    Affine at = affine_loop(40);
    TempId t = kernel_temp(k, "t", vtype(F32, 1));
    k->temps[t].n_expand = 1;
    k->temps[t].expand[0] = 30;
    kernel_buffer(k, "y", F32, BUF_OUT, 1, 0);
    st_add(k, k->body, st_for(k, 50, st_store(k, 20, at, ASSIGN, ex_temp(k, t))));
    CHECK(prints("kernel test {\n"
                 "    out y: f32[1]\n"
                 "    for ? {\n"
                 "        ?[?] = ?[?]\n"
                 "    }\n"
                 "}\n"));
}

int main(void)
{
    test_conv();
    test_names();
    test_expressions();
    test_sharing();
    test_views();
    test_unsound();
    arena_free(arena);
    return check_end();
}
