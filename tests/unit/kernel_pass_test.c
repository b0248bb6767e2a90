/* kernel_pass_test - every kernel pass leaves what a kernel computes as it was.
 *
 * Nests of random shape, for each target and for chosen and random schedules, go through the pipeline.
 * After each pass the verifier must be content and the interpreter give the same bits as before: no
 * pass reorders a sum. At the end nothing may be left to unroll or to turn into vectors.
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
    printf("---- before %s, target %s\n%s---- after\n%s", last_pass, k->target->name, before, now.data);
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
    if (mark == UNROLL || mark == VECTOR)
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
    for (int i = 0; i < n_kernel_passes; i++)
        if (!step(k, &kernel_passes[i], memory, &expected, a))
            return;
    CHECK(is_finished(k));
}

static Kernel *random_kernel(Arena *a, const Target *t)
{
    Shape   s = random_shape(random_below(4) ? t->lanes : 1);
    Tensor *w = random_tensor(a, 4, (int64_t[]){s.o, s.i, s.kh, s.kw});
    Tensor *b = random_tensor(a, 1, (int64_t[]){s.o}), *scale = random_tensor(a, 1, (int64_t[]){s.i});
    switch (random_below(4)) {
    case 0:
        return elementwise_nest(a, &s, t, scale);
    case 1:
        return pool_nest(a, &s, t);
    default:
        return conv_nest(a, &s, t, w, b);
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
    check_seed += argc > 2 ? (uint64_t)atoi(argv[2]) : 0;
    for (int i = 0; i < rounds && check_failed == 0; i++) {
        Arena  *a = arena_new();
        Kernel *k = random_kernel(a, target_nth(i % target_count()));
        if (random_below(2)) {
            k->schedule.tile_m = (int)random_below(7);
            k->schedule.tile_n = (int)random_below(4);
            k->schedule.unroll_k = (int)random_below(5);
        }
        test_kernel(k, a);
        arena_free(a);
    }
    return check_end();
}
