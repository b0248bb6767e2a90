/* kernel_verify_test - the verifier accepts sound kernels and names what is wrong with the others. Each
 * unsound one differs from a sound one in a single place. */
#include "check.h"

#include "kernel/kernel.h"

#include <string.h>

static Arena   *arena;
static Kernel  *k;
static LoopId   i, j;    /* extents 4 and 3 */
static BufferId x, y, w; /* in[12], out[12], const[12] */
static TempId   t;

static void start(void)
{
    arena_free(arena);
    arena = arena_new();
    k = kernel_new(arena, "test", NULL, FP_STRICT);
    i = kernel_loop(k, "i", 4, PARALLEL, AXIS_NONE);
    j = kernel_loop(k, "j", 3, REDUCE, AXIS_NONE);
    x = kernel_buffer(k, "x", F32, BUF_IN, 12, 0);
    y = kernel_buffer(k, "y", F32, BUF_OUT, 12, 0);
    w = kernel_constant(k, "w", tensor_new(arena, F32, 1, (int64_t[]){12}), NULL);
    t = kernel_temp(k, "t", vtype(F32, 1));
}

/* accepts - the verifier has nothing to say about `body`. */
static bool accepts(Stmt *body)
{
    Text why = text_new(arena);
    k->body = st_block(k);
    if (body)
        st_add(k, k->body, body);
    if (kernel_verify(k, &why))
        return true;
    printf("%s", why.data);
    return false;
}

/* refuses - it does, and says `what`. */
static bool refuses(Stmt *body, const char *what)
{
    Text why = text_new(arena);
    k->body = st_block(k);
    st_add(k, k->body, body);
    if (!kernel_verify(k, &why) && strstr(why.data, what))
        return true;
    printf("expected '%s', got: %s\n", what, why.data ? why.data : "nothing");
    return false;
}

static Affine ij(int64_t by_i, int64_t by_j, int64_t constant)
{
    Affine a = affine_scale(affine_loop(i), by_i);
    return affine_offset(affine_add(a, affine_scale(affine_loop(j), by_j)), constant);
}

static Stmt *in_loops(Stmt *s)
{
    return st_for(k, i, st_for(k, j, s));
}

static Stmt *store(Affine index, const Expr *v)
{
    return st_store(k, y, index, ASSIGN, v);
}

static Stmt *both(Stmt *first, Stmt *second)
{
    Stmt *b = st_block(k);
    st_add(k, b, first);
    st_add(k, b, second);
    return b;
}

/* altered - a copy of `e` that can be written to. */
static Expr *altered(const Expr *e)
{
    Expr *copy = arena_struct(arena, Expr);
    *copy = *e;
    return copy;
}

/* ---- indices and buffers ---------------------------------------------------------------- */

static void test_ranges(void)
{
    start();
    CHECK(accepts(in_loops(store(ij(3, 1, 0), ex_load(k, x, ij(3, 1, 0))))));
    CHECK(refuses(in_loops(store(ij(3, 1, 1), ex_load(k, x, ij(3, 1, 0)))), "y has 12 elements"));
    CHECK(refuses(in_loops(store(ij(3, 1, 0), ex_load(k, x, ij(3, 1, -1)))), "x has 12 elements"));
    CHECK(refuses(in_loops(store(ij(3, 1, 0), ex_load(k, w, ij(4, 1, 0)))), "w has 12 elements"));
    Expr *wide = altered(ex_load(k, x, affine_scale(affine_loop(i), 3)));
    wide->type.lanes = 3;
    CHECK(accepts(st_for(k, i, store(affine_scale(affine_loop(i), 3), wide))));
    wide->type.lanes = 4;
    CHECK(refuses(st_for(k, i, store(affine_const(0), wide)), "x has 12 elements"));
    Affine far = affine_offset(affine_scale(affine_loop(i), INT64_MAX / 2), INT64_MAX / 2);
    CHECK(refuses(st_for(k, i, store(far, ex_const(k, 0))), "y has 12 elements"));
}

static Stmt *guard(Affine index, int64_t bound, Stmt *body)
{
    return st_guard(k, &(Test){index, bound}, 1, body);
}

/* Rows and columns of a padded 3x4 plane: x[4 (a + i - 1) + b + j - 1]. Either guard alone will not do,
 * nor a guard that is too wide. */
static void test_guards(void)
{
    start();
    LoopId a = kernel_loop(k, "a", 3, REDUCE, AXIS_NONE),
           b = kernel_loop(k, "b", 4, REDUCE, AXIS_NONE);
    Affine row = affine_offset(affine_add(affine_loop(a), affine_loop(i)), -1);
    Affine col = affine_offset(affine_add(affine_loop(b), affine_loop(j)), -1);
    Affine at = affine_add(affine_scale(row, 4), col);
    Stmt  *access = store(affine_const(0), ex_load(k, x, at));
    LoopId loops[] = {i, j, a, b};
    Stmt  *kinds[] = {access,
                      guard(row, 3, access),
                      guard(col, 4, access),
                      guard(row, 3, guard(col, 4, access)),
                      guard(col, 4, guard(row, 3, access)),
                      guard(row, 4, guard(col, 4, access)),
                      guard(row, 3, guard(col, 5, access))};
    for (size_t n = 0; n < COUNT_OF(kinds); n++) {
        Stmt *s = kinds[n];
        for (size_t l = 0; l < COUNT_OF(loops); l++)
            s = st_for(k, loops[l], s);
        CHECK(n == 3 || n == 4 ? accepts(s) : refuses(s, "x has 12 elements"));
    }
    /* A guard beside the access, or one of other loops, explains nothing. */
    Stmt *out = store(affine_const(0), ex_load(k, x, ij(4, 0, 0)));
    CHECK(refuses(st_for(k, i, both(guard(ij(1, 0, 0), 3, st_note(k, "n")), out)), "x has 12"));
    CHECK(refuses(in_loops(guard(ij(0, 1, 0), 2, out)), "x has 12 elements"));
    CHECK(accepts(in_loops(guard(ij(1, 0, 0), 3, out))));
    CHECK(accepts(st_for(k, i, guard(ij(-1, 0, 2), 3, out)))); /* i <= 2 */
    /* Never run: nothing to complain about. */
    CHECK(
        accepts(st_for(k, i, guard(affine_const(-1), 3, store(affine_const(99), ex_const(k, 0))))));
    CHECK(refuses(st_for(k, i, guard(affine_const(0), 3, store(affine_const(99), ex_const(k, 0)))),
                  "y has"));
}

/* Random guarded accesses: what the verifier accepts never leaves the buffer. */
static void test_guards_are_sound(void)
{
    int accepted = 0;
    for (int n = 0; n < 2000; n++) {
        start();
        Affine  test = ij(random_between(-3, 3), random_between(-3, 3), random_between(-4, 4));
        Affine  at = ij(random_between(-5, 5), random_between(-5, 5), random_between(-4, 9));
        int64_t bound = random_between(1, 6);
        bool    within = true;
        for (int64_t a = 0; a < 4; a++)
            for (int64_t b = 0; b < 3; b++) {
                int64_t v = test.constant + a * affine_coef(&test, i) + b * affine_coef(&test, j);
                int64_t e = at.constant + a * affine_coef(&at, i) + b * affine_coef(&at, j);
                within &= v < 0 || v >= bound || (e >= 0 && e < 12);
            }
        Text why = text_new(arena);
        k->body = st_block(k);
        st_add(k, k->body, in_loops(guard(test, bound, store(at, ex_const(k, 0)))));
        bool ok = kernel_verify(k, &why);
        accepted += ok;
        if (!CHECK(within || !ok))
            printf("%s", why.data);
    }
    CHECK(accepted > 100);
}

static void test_indices(void)
{
    start();
    CHECK(refuses(st_for(k, i, store(ij(3, 1, 0), ex_const(k, 0))), "loop 2 (j) outside of it"));
    CHECK(refuses(store(affine_loop(77), ex_const(k, 0)), "loop 77 (unknown) outside of it"));
    CHECK(refuses(both(in_loops(st_note(k, "n")), store(ij(1, 0, 0), ex_const(k, 0))),
                  "outside of it"));
    Affine bad[3] = {ij(1, 1, 0), ij(1, 1, 0), ij(1, 1, 0)};
    bad[0].coef[0] = 0;
    bad[1].loop[1] = i;
    bad[2].coef[5] = 1;
    for (size_t n = 0; n < COUNT_OF(bad); n++)
        CHECK(refuses(in_loops(store(bad[n], ex_const(k, 0))), "not canonical"));
    CHECK(refuses(st_for(k, i, store(affine_const(0), ex_index(k, ij(0, 1, 0)))), "outside of it"));
    CHECK(refuses(guard(ij(1, 0, 0), 3, st_note(k, "n")), "outside of it"));
}

static void test_buffers(void)
{
    start();
    CHECK(
        refuses(st_store(k, x, affine_const(0), ASSIGN, ex_const(k, 0)), "x, which is no output"));
    CHECK(
        refuses(st_store(k, w, affine_const(0), ASSIGN, ex_const(k, 0)), "w, which is no output"));
    CHECK(refuses(st_store(k, 9, affine_const(0), ASSIGN, ex_const(k, 0)), "buffer 9"));
    Expr *load = altered(ex_load(k, x, affine_const(0)));
    load->buffer = 9;
    CHECK(refuses(store(affine_const(0), load), "buffer 9"));
    BufferId q = kernel_buffer(k, "q", I8, BUF_OUT, 4, 0);
    CHECK(accepts(
        st_store(k, q, affine_const(0), ASSIGN, ex_cast(k, I8, ex_load(k, x, affine_const(0))))));
    CHECK(refuses(st_store(k, q, affine_const(0), ASSIGN, ex_const(k, 0)), "q holds i8"));
    CHECK(refuses(st_store(k, q, affine_const(0), ASSIGN_ADD, ex_cast(k, I8, ex_const(k, 1))),
                  "not f32"));
    CHECK(refuses(st_store(k, q, affine_const(4), ASSIGN, ex_cast(k, I8, ex_const(k, 1))),
                  "q has 4"));
    k->buffers[w].count = 13;
    CHECK(refuses(st_note(k, "n"), "its view does not have its 13 elements"));
    k->buffers[w].view.n_dims = 1;
    k->buffers[w].view.extent[0] = 13;
    CHECK(accepts(st_note(k, "n")));
    k->buffers[w].view.padded[0] = 11;
    CHECK(refuses(st_note(k, "n"), "its view"));
    k->buffers[w].view.tensor = NULL;
    CHECK(refuses(st_note(k, "n"), "its view"));
    start();
    k->buffers[x].count = 0;
    CHECK(refuses(st_note(k, "n"), "has no name, type or elements"));
}

/* A local array is stored to before it is read, and bound to nothing. */
static void test_locals(void)
{
    start();
    BufferId h = kernel_buffer(k, "h", F32, BUF_LOCAL, 4, 0);
    Stmt    *write = st_for(k, i, st_store(k, h, ij(1, 0, 0), ASSIGN, ex_const(k, 1)));
    Stmt    *read = store(affine_const(0), ex_load(k, h, affine_const(3)));
    CHECK(accepts(both(write, read)));
    CHECK(refuses(both(read, write), "h is local and read before it is written"));
    CHECK(refuses(st_store(k, h, affine_const(0), ASSIGN_ADD, ex_const(k, 1)), "h is local"));
    CHECK(refuses(st_store(k, h, affine_const(4), ASSIGN, ex_const(k, 1)), "h has 4 elements"));
    k->buffers[h].elem = I8;
    CHECK(refuses(st_note(k, "n"), "not f32"));
    k->buffers[h].elem = F32;
    k->buffers[h].value = 1;
    CHECK(refuses(st_note(k, "n"), "bound to a value"));
}

/* ---- loops and temporaries -------------------------------------------------------------- */

static void test_loops(void)
{
    start();
    CHECK(refuses(st_for(k, i, st_for(k, i, st_note(k, "n"))), "is around it already"));
    CHECK(accepts(both(st_for(k, i, st_note(k, "n")), st_for(k, i, st_note(k, "n")))));
    CHECK(refuses(st_for(k, 9, st_note(k, "n")), "loop 9, which does not exist"));
    k->loops[i].extent = 0;
    CHECK(refuses(st_note(k, "n"), "no iterations"));
    start();
    k->body = st_note(k, "n");
    Text why = text_new(arena);
    CHECK(!kernel_verify(k, &why) && strstr(why.data, "body is no block"));
    Stmt *deep = st_note(k, "n");
    for (int n = 0; n < 300; n++)
        deep = st_for(k, kernel_loop(k, "l", 2, PARALLEL, AXIS_NONE), deep);
    CHECK(refuses(deep, "nest deeper"));
}

static Stmt *use(TempId temp)
{
    return store(affine_const(0), ex_temp(k, temp));
}

static void test_definitions(void)
{
    start();
    const Expr *one = ex_const(k, 1);
    CHECK(accepts(both(st_let(k, t, one), use(t))));
    CHECK(accepts(both(st_set(k, t, ASSIGN, one), use(t))));
    CHECK(refuses(use(t), "t is read before it is defined"));
    CHECK(refuses(both(use(t), st_let(k, t, one)), "t is read before"));
    CHECK(refuses(both(st_set(k, t, ASSIGN_ADD, one), use(t)), "t is read before"));
    CHECK(refuses(both(st_set(k, t, ASSIGN_MAX, one), use(t)), "t is read before"));
    CHECK(refuses(st_let(k, t, ex_temp(k, t)), "t is read before"));
    CHECK(refuses(both(st_let(k, t, one), st_let(k, t, one)), "t is defined twice"));
    CHECK(accepts(both(st_let(k, t, one), both(st_set(k, t, ASSIGN, one), use(t)))));
    /* Gone with the loop, or not certain to have run. */
    CHECK(refuses(both(st_for(k, i, st_let(k, t, one)), use(t)), "t is read before"));
    CHECK(refuses(st_for(k, i, both(guard(ij(1, 0, 0), 3, st_let(k, t, one)), use(t))),
                  "t is read before"));
    CHECK(accepts(
        both(st_let(k, t, one), both(st_for(k, i, st_set(k, t, ASSIGN_ADD, one)), use(t)))));
    CHECK(accepts(both(st_for(k, i, st_let(k, t, one)), st_for(k, i, st_let(k, t, one)))));
    CHECK(refuses(st_let(k, 9, one), "temporary 9 does not exist"));
    Expr *unknown = altered(ex_temp(k, t));
    unknown->temp = 9;
    CHECK(refuses(store(affine_const(0), unknown), "temporary 9 does not exist"));
}

static void test_expanded(void)
{
    start();
    const Expr *one = ex_const(k, 1);
    k->temps[t].n_expand = 1;
    k->temps[t].expand[0] = i;
    CHECK(accepts(both(st_for(k, i, st_let(k, t, one)), st_for(k, i, use(t)))));
    CHECK(refuses(both(st_let(k, t, one), st_for(k, i, use(t))),
                  "outside loop 1 it is expanded over"));
    CHECK(refuses(both(st_for(k, i, st_let(k, t, one)), use(t)),
                  "outside loop 1 it is expanded over"));
    CHECK(refuses(both(st_for(k, j, st_for(k, i, st_let(k, t, one))), st_for(k, i, use(t))),
                  "t is read"));
    CHECK(accepts(st_for(k, j, both(st_for(k, i, st_let(k, t, one)), st_for(k, i, use(t))))));
    k->temps[t].expand[0] = 9;
    CHECK(refuses(st_note(k, "n"), "expanded over loop 9"));
    k->temps[t].n_expand = MAX_EXPAND + 1;
    CHECK(refuses(st_note(k, "n"), "expanded over 7 loops"));
    k->temps[t].n_expand = 2;
    k->temps[t].expand[0] = k->temps[t].expand[1] = i;
    CHECK(refuses(st_note(k, "n"), "expanded over loop 1"));
}

/* ---- types ------------------------------------------------------------------------------ */

static void test_types(void)
{
    start();
    const char *wrong = "wrong type or operands";
    Affine      zero = affine_const(0);
    const Expr *s = ex_load(k, x, zero), *v = ex_splat(k, 4, s), *n = ex_cast(k, I32, s);
    CHECK(accepts(store(zero, v)));
    CHECK(accepts(store(zero, ex_binary(k, B_ADD, v, v))));
    CHECK(refuses(store(zero, ex_binary(k, B_ADD, v, s)), wrong));
    CHECK(refuses(store(zero, ex_fma(k, v, v, s)), wrong));
    CHECK(refuses(store(zero, ex_splat(k, 8, v)), wrong));
    CHECK(refuses(store(zero, ex_splat(k, MAX_LANES + 1, s)), wrong));
    CHECK(refuses(store(zero, ex_binary(k, B_EQ, v, v)), wrong));
    CHECK(accepts(store(zero, ex_binary(k, B_EQ, s, s))));
    CHECK(refuses(store(zero, ex_cast(k, F32, ex_binary(k, B_ADD, n, n))), wrong));
    CHECK(accepts(store(zero, ex_cast(k, F32, n))));
    CHECK(refuses(store(zero, ex_unary(k, B_ADD, s)), wrong));
    CHECK(refuses(store(zero, ex_binary(k, U_NEG, s, s)), wrong));
    CHECK(refuses(store(zero, n), "y holds f32 and is accessed as i32"));
    CHECK(refuses(st_let(k, t, v), "t is set to a value of another type"));
    Expr *stale = altered(ex_temp(k, t));
    stale->type.lanes = 4;
    CHECK(refuses(both(st_let(k, t, s), store(zero, stale)), "t is read as another type"));
    TempId m = kernel_temp(k, "m", vtype(I32, 1));
    CHECK(refuses(both(st_let(k, m, n), st_set(k, m, ASSIGN_ADD, n)),
                  "m accumulates, and is not f32"));
    Expr *odd = altered(ex_const(k, 1));
    odd->type.elem = I8;
    odd->number = 200;
    CHECK(refuses(st_let(k, kernel_temp(k, "q", vtype(I8, 1)), odd), wrong));
    CHECK(refuses(st_let(k, t, NULL), "without a value"));
    k->temps[t].type.lanes = 0;
    CHECK(refuses(st_note(k, "n"), "has no name or type"));
}

/* A pick takes a lane that every group has, of vectors that are whole groups. */
static void test_picks(void)
{
    start();
    const char *wrong = "wrong type or operands";
    const Expr *s = ex_load(k, x, affine_const(0)), *v = ex_splat(k, 4, s);
    Affine      two = affine_const(2), zero = affine_const(0);
    CHECK(accepts(store(zero, ex_pick(k, v, 4, two))));
    CHECK(refuses(store(zero, ex_pick(k, v, 2, two)), wrong));
    CHECK(refuses(store(zero, ex_pick(k, v, 4, affine_const(-1))), wrong));
    CHECK(refuses(store(zero, ex_pick(k, v, 3, two)), wrong));
    CHECK(refuses(store(zero, ex_pick(k, v, 8, two)), wrong));
    CHECK(refuses(store(zero, ex_pick(k, v, 1, zero)), wrong));
    CHECK(refuses(store(zero, ex_pick(k, s, 4, two)), wrong));
    CHECK(refuses(store(zero, ex_pick(k, v, 4, ij(1, 0, 0))), "outside of it"));
    CHECK(accepts(in_loops(store(zero, ex_pick(k, v, 4, ij(1, 0, 0))))));
    Expr *scalar = altered(ex_pick(k, v, 4, two));
    scalar->type.lanes = 1;
    CHECK(refuses(store(zero, scalar), wrong));
}

/* Lanes are swapped within a vector whose lanes are a power of two. */
static void test_swaps(void)
{
    start();
    const char *wrong = "wrong type or operands";
    const Expr *s = ex_load(k, x, affine_const(0)), *v = ex_splat(k, 4, s);
    Affine      two = affine_const(2), zero = affine_const(0);
    CHECK(accepts(store(zero, ex_swap(k, v, two))));
    CHECK(accepts(store(zero, ex_swap(k, v, affine_const(3)))));
    CHECK(refuses(store(zero, ex_swap(k, v, affine_const(4))), wrong));
    CHECK(refuses(store(zero, ex_swap(k, v, affine_const(-1))), wrong));
    CHECK(refuses(store(zero, ex_swap(k, ex_splat(k, 3, s), zero)), wrong));
    CHECK(refuses(store(zero, ex_swap(k, v, ij(1, 0, 0))), "outside of it"));
    CHECK(accepts(in_loops(store(zero, ex_swap(k, v, ij(1, 0, 0))))));
    Expr *scalar = altered(ex_swap(k, v, two));
    scalar->type.lanes = 1;
    CHECK(refuses(store(zero, scalar), wrong));
}

/* Many mistakes: few lines. */
/* A half is loaded from a constant, for a cast to f32, and goes nowhere else. */
static void test_halves(void)
{
    start();
    BufferId    h = kernel_weight(k, "h", tensor_new(arena, F16, 1, (int64_t[]){12}), NULL, 0);
    const Expr *load = ex_load(k, h, ij(3, 1, 0));
    CHECK(accepts(in_loops(store(ij(3, 1, 0), ex_cast(k, F32, load)))));
    CHECK(refuses(in_loops(store(ij(3, 1, 0), load)), "y holds f32"));
    CHECK(refuses(in_loops(store(ij(3, 1, 0), ex_binary(k, B_ADD, load, load))), "wrong type"));
    Expr *to_integer = altered(ex_cast(k, F32, load));
    to_integer->type.elem = I32;
    CHECK(refuses(in_loops(store(ij(3, 1, 0), to_integer)), "wrong type"));
    CHECK(refuses(in_loops(store(ij(3, 1, 0), ex_splat(k, 4, load))), "wrong type"));
    TempId half = kernel_temp(k, "half", vtype(F16, 1));
    CHECK(refuses(in_loops(st_let(k, half, load)), "no name or type"));
    start();
    kernel_buffer(k, "z", F16, BUF_OUT, 12, 0);
    CHECK(refuses(st_note(k, "n"), "no name, type or elements"));
}

/* BF16 may be stored. Pairs of it are summed, where a temporary accumulates and nowhere else. */
static void test_pairs(void)
{
    start();
    BufferId z = kernel_buffer(k, "z", BF16, BUF_OUT, 12, 0);
    BufferId p = kernel_buffer(k, "p", BF16, BUF_IN, 32, 0);
    TempId   sum = kernel_temp(k, "sum", vtype(F32, 16));
    Expr    *pairs = altered(ex_load(k, p, affine_const(0)));
    Expr    *one = altered(pairs);
    pairs->type.lanes = 32;
    one->type.lanes = 2;
    const Expr *dot = ex_dot(k, ex_splat(k, 32, one), pairs);
    Stmt       *zero = st_set(k, sum, ASSIGN, ex_splat(k, 16, ex_const(k, 0)));
    Stmt       *both = st_block(k);
    st_add(k, both, zero);
    st_add(k, both, st_set(k, sum, ASSIGN_ADD, dot));
    CHECK(accepts(both));
    CHECK(accepts(st_store(k, z, affine_const(3), ASSIGN, ex_cast(k, BF16, ex_const(k, 1)))));
    CHECK(refuses(st_store(k, z, affine_const(3), ASSIGN, ex_const(k, 1)), "z holds bf16"));
    CHECK(refuses(st_set(k, sum, ASSIGN, dot), "no temporary accumulates"));
    Expr *short_one = altered(dot);
    short_one->a = one;
    Stmt *mixed = st_block(k);
    st_add(k, mixed, zero);
    st_add(k, mixed, st_set(k, sum, ASSIGN_ADD, short_one));
    CHECK(refuses(mixed, "wrong type"));
}

static void test_limit(void)
{
    start();
    Stmt *b = st_block(k);
    for (int n = 0; n < 1000; n++)
        st_add(k, b, use(t));
    Text why = text_new(arena);
    k->body = b;
    CHECK(!kernel_verify(k, &why));
    int lines = 0;
    for (const char *c = why.data; *c; c++)
        lines += *c == '\n';
    CHECK(lines == 10);
}

int main(void)
{
    test_ranges();
    test_guards();
    test_guards_are_sound();
    test_indices();
    test_buffers();
    test_locals();
    test_loops();
    test_definitions();
    test_expanded();
    test_types();
    test_halves();
    test_picks();
    test_swaps();
    test_pairs();
    test_limit();
    arena_free(arena);
    return check_end();
}
