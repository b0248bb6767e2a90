/* kernel_build_test - building kernels, folding, walking and rewriting. */
#include "check.h"

#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

static Arena  *arena;
static Kernel *k;

static void test_ids(void)
{
    CHECK(kernel_loop(k, "i", 4, PARALLEL, AXIS_M) == 1);
    CHECK(kernel_loop_if(k, "j", 1, REDUCE, AXIS_NONE) == 0);
    CHECK(kernel_loop_if(k, "j", 2, REDUCE, AXIS_NONE) == 2);
    CHECK(k->loops[1].extent == 4 && k->loops[1].axis == AXIS_M && k->loops[2].role == REDUCE);
    for (uint32_t i = 1; i < 100; i++) {
        CHECK(kernel_temp(k, "t", vtype(F32, 1)) == i);
        CHECK(kernel_buffer(k, "x", F32, BUF_IN, i, 0) == i);
    }
    CHECK(k->buffers[57].count == 57 && k->n_buffers == 100 && k->n_temps == 100);
}

static void test_blocks(void)
{
    Stmt *outer = st_block(k), *inner = st_block(k);
    for (int i = 0; i < 9; i++)
        st_add(k, inner, st_note(k, "note"));
    st_add(k, outer, inner);
    st_add(k, outer, NULL);
    st_add(k, outer, st_note(k, "last */"));
    CHECK(outer->n_items == 10);
    CHECK(!strstr(outer->items[9]->note, "*/"));
    CHECK(st_for(k, 0, inner) == inner);
    CHECK(st_for(k, 1, NULL) == NULL);
    CHECK(st_guard(k, NULL, 0, inner) == inner);
}

static void test_constants(void)
{
    int64_t       dims[2] = {3, 5}, padded[2] = {4, 8};
    const Tensor *t = tensor_new(arena, F32, 2, dims);
    BufferId plain = kernel_constant(k, "w", t, NULL), grown = kernel_constant(k, "w", t, padded);
    CHECK(k->buffers[plain].count == 15 && k->buffers[grown].count == 32);
    CHECK(k->buffers[grown].view.padded[1] == 8 && k->buffers[grown].kind == BUF_CONST);
    const Tensor *half = tensor_new(arena, F16, 0, NULL);
    BufferId      one = kernel_constant(k, "h", half, NULL);
    CHECK(k->buffers[one].count == 1 && k->buffers[one].elem == F32);
    one = kernel_weight(k, "h", half, NULL, 7);
    CHECK(k->buffers[one].elem == F16 && k->buffers[one].value == 7);
}

/* ---- folding ---------------------------------------------------------------------------- */

static bool is_const(const Expr *e, float v)
{
    return e->kind == E_CONST && e->number == (double)v && !signbit(e->number) == !signbit(v);
}

static void test_folding(void)
{
    TempId      t = kernel_temp(k, "t", vtype(F32, 1));
    const Expr *x = ex_temp(k, t), *one = ex_const(k, 1), *zero = ex_const(k, 0);
    CHECK(is_const(ex_const(k, 0.1), 0.1f));
    CHECK(is_const(ex_binary(k, B_ADD, ex_const(k, 0.1), ex_const(k, 0.2)), 0.1f + 0.2f));
    CHECK(is_const(ex_binary(k, B_DIV, one, ex_const(k, 3)), 1.0f / 3.0f));
    CHECK(is_const(ex_unary(k, U_ROUND, ex_const(k, 2.5)), 2));
    CHECK(is_const(ex_unary(k, U_EXPONENT, ex_const(k, 0.75)), -1));
    CHECK(is_const(ex_binary(k, B_LDEXP, ex_const(k, 3), ex_const(k, -1)), 1.5f));
    CHECK(is_const(ex_unary(k, U_NEG, zero), -0.0f));
    CHECK(isnan(ex_binary(k, B_MAX, zero, ex_const(k, (double)NAN))->number));
    CHECK(is_const(ex_binary(k, B_MAX, ex_const(k, (double)NAN), zero), 0));
    CHECK(ex_binary(k, B_MUL, x, one) == x && ex_binary(k, B_MUL, one, x) == x);
    CHECK(ex_binary(k, B_DIV, x, one) == x && ex_binary(k, B_SUB, x, zero) == x);
    /* -0 + 0 is 0, and 0 * NaN is NaN: these stay. */
    CHECK(ex_binary(k, B_ADD, x, zero) != x && ex_binary(k, B_ADD, zero, x) != x);
    CHECK(ex_binary(k, B_SUB, x, ex_const(k, -0.0)) != x);
    CHECK(ex_binary(k, B_MUL, x, zero)->kind == E_BINARY);
    CHECK(ex_index(k, affine_const(5))->kind == E_CONST);
    CHECK(ex_cast(k, F32, x) == x && ex_splat(k, 1, x) == x);
    CHECK(ex_cast(k, I8, ex_const(k, 300))->number == 127);
    CHECK(ex_cast(k, I8, ex_const(k, -2.5))->number == -2);
    CHECK(ex_cast(k, U8, ex_const(k, -7))->number == 0);
    CHECK(ex_cast(k, I32, ex_const(k, (double)NAN))->number == 0);
    CHECK(ex_binary(k, B_ADD, ex_splat(k, 8, x), x)->type.lanes == 8);
}

/* ---- walking ---------------------------------------------------------------------------- */

/* 2^40 paths and 41 nodes; then 100,000 levels. */
static void test_walking(void)
{
    const Expr *x = ex_temp(k, 1), *e = x;
    for (int i = 0; i < 40; i++)
        e = ex_binary(k, B_ADD, e, e);
    ExprNodes nodes = expr_nodes(arena, e);
    CHECK(nodes.n == 41 && nodes.items[0] == x && nodes.items[40] == e);
    bool in_order = true;
    for (size_t i = 0; i < nodes.n; i++) {
        in_order &= expr_position(&nodes, nodes.items[i]) == i;
        if (nodes.items[i]->a)
            in_order &= expr_position(&nodes, nodes.items[i]->a) < i;
    }
    CHECK(in_order);
    for (int i = 0; i < 100000; i++)
        e = ex_unary(k, U_NEG, e);
    nodes = expr_nodes(arena, e);
    CHECK(nodes.n == 100041);
}

/* ---- rewriting -------------------------------------------------------------------------- */

static Affine plus_one(Rewrite *r, const Affine *a)
{
    (void)r;
    return affine_offset(*a, 1);
}

static int calls;

static const Expr *double_loads(Rewrite *r, const Expr *e)
{
    calls++;
    return e->kind == E_LOAD ? ex_binary(r->k, B_ADD, e, e) : e;
}

static Stmt *drop_stores(Rewrite *r, Stmt *s)
{
    (void)r;
    return s->kind == S_STORE ? NULL : s;
}

static void test_rewrite_expr(void)
{
    BufferId    x = kernel_buffer(k, "x", F32, BUF_IN, 8, 0);
    const Expr *load = ex_load(k, x, affine_const(0)), *t = ex_temp(k, 1);
    const Expr *same = ex_binary(k, B_MUL, t, ex_unary(k, U_NEG, t));
    const Expr *e = ex_binary(k, B_SUB, load, same);
    Rewrite     r = {.k = k, .expr = double_loads};
    CHECK(rewrite_expr(&r, same) == same);
    const Expr *out = rewrite_expr(&r, e);
    CHECK(out->kind == E_BINARY && out->op == B_SUB && out->b == same);
    CHECK(out->a->op == B_ADD && out->a->a == load && e->a == load);
    const Expr *shared = load;
    for (int i = 0; i < 30; i++)
        shared = ex_binary(k, B_MAX, shared, shared);
    calls = 0;
    rewrite_expr(&r, shared);
    CHECK(calls == 31);
    Rewrite     move = {.k = k, .index = plus_one};
    const Expr *moved = rewrite_expr(&move, e);
    CHECK(moved->a->index.constant == 1 && load->index.constant == 0 && moved->b == same);
    const Expr *index = ex_index(k, affine_loop(1)), *still = rewrite_expr(&move, index);
    CHECK(still->kind == E_INDEX && still->index.constant == 1);
}

static void test_rewrite_stmt(void)
{
    LoopId   i = kernel_loop(k, "i", 4, PARALLEL, AXIS_NONE);
    BufferId y = kernel_buffer(k, "y", F32, BUF_OUT, 8, 0);
    Test     test = {affine_loop(i), 3};
    Stmt    *store = st_store(k, y, affine_loop(i), ASSIGN, ex_const(k, 1));
    Stmt    *nest = st_for(k, i, st_guard(k, &test, 1, store)), *block = st_block(k);
    st_add(k, block, nest);
    st_add(k, block, st_note(k, "kept"));
    Rewrite drop = {.k = k, .stmt = drop_stores};
    CHECK(rewrite_stmt(&drop, nest) == NULL);
    Stmt *out = rewrite_stmt(&drop, block);
    CHECK(out != block && out->n_items == 1 && out->items[0]->kind == S_NOTE &&
          block->n_items == 2);
    Affine by = affine_scale(affine_loop(1), 2);
    Stmt  *moved = stmt_subst(k, nest->body, i, &by);
    CHECK(moved->tests[0].index.coef[0] == 2 && moved->body->index.coef[0] == 2);
    CHECK(nest->body->tests[0].index.coef[0] == 1 && store->index.coef[0] == 1);
    Stmt *emptied = st_block(k);
    CHECK(rewrite_stmt(&drop, st_for(k, i, emptied)) != NULL);
}

/* for i { a[i] = outer;  for j { let b = a[i] + j;  outer += b } } */
static void test_fresh(void)
{
    LoopId i = kernel_loop(k, "i", 4, PARALLEL, AXIS_N), j = kernel_loop(k, "j", 2, REDUCE, AXIS_K);
    TempId a = kernel_temp(k, "a", vtype(F32, 1)), b = kernel_temp(k, "b", vtype(F32, 1));
    TempId outer = kernel_temp(k, "outer", vtype(F32, 1));
    k->loops[i].mark = UNROLL;
    k->temps[a].n_expand = 1;
    k->temps[a].expand[0] = i;
    Stmt       *inner = st_block(k), *body = st_block(k);
    const Expr *sum = ex_binary(k, B_ADD, ex_temp(k, a), ex_index(k, affine_loop(j)));
    st_add(k, inner, st_let(k, b, sum));
    st_add(k, inner, st_set(k, outer, ASSIGN_ADD, ex_temp(k, b)));
    st_add(k, body, st_set(k, a, ASSIGN, ex_temp(k, outer)));
    st_add(k, body, st_for(k, j, inner));
    Stmt *copy = stmt_fresh(k, st_for(k, i, body));

    LoopId i2 = copy->loop, j2 = copy->body->items[1]->loop;
    Stmt **in = copy->body->items[1]->body->items;
    TempId a2 = copy->body->items[0]->temp, b2 = in[0]->temp;
    CHECK(i2 != i && j2 != j && a2 != a && b2 != b && a2 != b2);
    CHECK(k->loops[i2].extent == 4 && k->loops[i2].mark == UNROLL && k->loops[j2].role == REDUCE);
    CHECK(k->temps[a2].n_expand == 1 && k->temps[a2].expand[0] == i2 && k->temps[a].expand[0] == i);
    CHECK(in[1]->temp == outer && copy->body->items[0]->value->temp == outer);
    CHECK(in[0]->value->a->temp == a2 && in[0]->value->b->index.loop[0] == j2);
    CHECK(in[1]->value->temp == b2 && inner->items[0]->temp == b);
}

int main(void)
{
    void (*const tests[])(void) = {test_ids,     test_blocks,       test_constants,    test_folding,
                                   test_walking, test_rewrite_expr, test_rewrite_stmt, test_fresh};
    for (size_t i = 0; i < COUNT_OF(tests); i++) {
        arena = arena_new();
        k = kernel_new(arena, "test", NULL, FP_STRICT);
        if (tests[i] != test_ids)
            kernel_temp(k, "t", vtype(F32, 1));
        if (tests[i] != test_ids)
            kernel_loop(k, "l", 4, PARALLEL, AXIS_NONE);
        tests[i]();
        arena_free(arena);
    }
    return check_end();
}
