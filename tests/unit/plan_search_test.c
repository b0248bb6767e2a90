/* Offsets for blocks: against brute force on small instances; on larger ones every plan is checked,
 * and most must come with a proof. And plan_check must notice each kind of damage. */
#include "check.h"

#include "passes/passes.h"

#include <string.h>

#define STATES 100000

/* Blocks with random lives of up to `life` steps and sizes of up to `size` bytes. */
static MemoryPlan random_plan(Arena *a, int n, int steps, int life, int64_t size, int64_t align)
{
    MemoryPlan p = {.n_blocks = n, .n_steps = steps, .align = align};
    p.blocks = arena_array(a, PlanBlock, (size_t)n);
    for (int i = 0; i < n; i++) {
        int first = (int)random_below(steps);
        int last = first + (int)random_below(life);
        p.blocks[i] = (PlanBlock){.value = (ValueId)i + 1,
                                  .bytes = random_between(1, size),
                                  .first = first,
                                  .last = last < steps ? last : steps - 1};
    }
    return p;
}

static bool meet(const PlanBlock *x, const PlanBlock *y)
{
    return x->first <= y->last && y->first <= x->last;
}

/* Whether blocks i and later can be given offsets below `size`, trying all of them. */
static bool brute_fits(MemoryPlan *p, int i, int64_t size)
{
    if (i == p->n_blocks)
        return true;
    PlanBlock *b = &p->blocks[i];
    for (b->offset = 0; b->offset + b->bytes <= size; b->offset += p->align) {
        bool clear = true;
        for (int k = 0; k < i && clear; k++) {
            const PlanBlock *o = &p->blocks[k];
            clear = !meet(b, o) || b->offset + b->bytes <= o->offset ||
                    o->offset + o->bytes <= b->offset;
        }
        if (clear && brute_fits(p, i + 1, size))
            return true;
    }
    return false;
}

static int64_t brute_force(Arena *a, const MemoryPlan *p)
{
    MemoryPlan copy = *p;
    copy.blocks = arena_array(a, PlanBlock, (size_t)p->n_blocks);
    memcpy(copy.blocks, p->blocks, (size_t)p->n_blocks * sizeof *p->blocks);
    int64_t size = 0;
    while (!brute_fits(&copy, 0, size))
        size += p->align;
    return size;
}

static bool is_sound(Arena *a, const MemoryPlan *p)
{
    Text why = text_new(a);
    bool ok = plan_check(p, &why);
    if (!ok)
        printf("plan_check: %s\n", why.data);
    return ok;
}

static void test_small(void)
{
    for (int round = 0; round < 1000; round++) {
        Arena     *a = arena_new();
        int64_t    align = round % 3 == 0 ? 4 : 1;
        int        steps = (int)random_between(1, 9);
        MemoryPlan p = random_plan(a, (int)random_between(1, 7), steps, 5, 4 * align, align);
        plan_place(&p, a, STATES);
        CHECK(is_sound(a, &p));
        CHECK(p.proof != PROOF_NONE);
        CHECK(p.bytes == brute_force(a, &p));
        arena_free(a);
    }
}

/* Seven and eight blocks that no arena of the bound's size can hold. */
static void test_above_bound(void)
{
    Arena     *a = arena_new();
    PlanBlock  b[] = {{.bytes = 1, .first = 2, .last = 5}, {.bytes = 3, .first = 3, .last = 6},
                      {.bytes = 4, .first = 7, .last = 8}, {.bytes = 4, .first = 1, .last = 1},
                      {.bytes = 3, .first = 0, .last = 3}, {.bytes = 1, .first = 4, .last = 6},
                      {.bytes = 3, .first = 6, .last = 7}};
    PlanBlock  c[] = {{.bytes = 3, .first = 6, .last = 7}, {.bytes = 4, .first = 0, .last = 4},
                      {.bytes = 3, .first = 0, .last = 0}, {.bytes = 1, .first = 2, .last = 6},
                      {.bytes = 2, .first = 5, .last = 6}, {.bytes = 1, .first = 6, .last = 7},
                      {.bytes = 3, .first = 7, .last = 7}, {.bytes = 2, .first = 2, .last = 5}};
    MemoryPlan plans[] = {{.blocks = b, .n_blocks = 7, .n_steps = 9, .align = 1},
                          {.blocks = c, .n_blocks = 8, .n_steps = 8, .align = 1}};
    for (int i = 0; i < 2; i++) {
        MemoryPlan *p = &plans[i];
        plan_place(p, a, STATES);
        CHECK(is_sound(a, p));
        CHECK(p->lower_bound == 7 && p->bytes == 8 && p->proof == PROOF_EXHAUSTED);
        CHECK(brute_force(a, p) == 8);
        plan_place(p, a, 3); /* cut off: no claim */
        CHECK(is_sound(a, p));
        CHECK(p->bytes >= 8 && p->proof == PROOF_NONE);
    }
    arena_free(a);
}

static void test_medium(void)
{
    int proven = 0, total = 20;
    for (int round = 0; round < total; round++) {
        Arena     *a = arena_new();
        MemoryPlan p = random_plan(a, 80, 60, (int)random_between(3, 12), 1 << 20, 64);
        plan_place(&p, a, STATES);
        CHECK(is_sound(a, &p));
        proven += p.proof != PROOF_NONE;
        CHECK((double)p.bytes <= 1.05 * (double)p.lower_bound);
        arena_free(a);
    }
    printf("%d of %d medium instances proven\n", proven, total);
    CHECK(proven * 10 >= total * 8);
}

/* Many steps, few blocks alive at a time; and all blocks alive at once. */
static void test_large(void)
{
    Arena     *a = arena_new();
    MemoryPlan chain = random_plan(a, 10000, 10000, 4, 1 << 16, 64);
    plan_place(&chain, a, STATES);
    CHECK(is_sound(a, &chain));
    CHECK(chain.proof != PROOF_NONE);
    MemoryPlan crowd = random_plan(a, 20000, 20000, 20000, 1 << 16, 64);
    plan_place(&crowd, a, STATES);
    CHECK(is_sound(a, &crowd));
    MemoryPlan all = random_plan(a, 5000, 1, 1, 1000, 64);
    plan_place(&all, a, STATES);
    CHECK(is_sound(a, &all));
    CHECK(all.proof == PROOF_BOUND);
    MemoryPlan none = {.align = 64};
    plan_place(&none, a, STATES);
    CHECK(is_sound(a, &none));
    arena_free(a);
}

static void test_deterministic(void)
{
    Arena     *a = arena_new();
    MemoryPlan p = random_plan(a, 60, 30, 10, 5000, 4), q = p;
    q.blocks = arena_array(a, PlanBlock, 60);
    memcpy(q.blocks, p.blocks, 60 * sizeof *p.blocks);
    plan_place(&p, a, 1000);
    plan_place(&q, a, 1000);
    CHECK(memcmp(p.blocks, q.blocks, 60 * sizeof *p.blocks) == 0);
    CHECK(p.bytes == q.bytes && p.proof == q.proof && p.searched == q.searched);
    arena_free(a);
}

/* Each kind of damage, done to sound plans. */
static void test_damage(void)
{
    Arena *a = arena_new();
    Text   why = text_new(a);
    for (int round = 0; round < 200; round++) {
        MemoryPlan good = random_plan(a, 12, 8, 6, 100, 8), p = good;
        plan_place(&good, a, STATES);
        PlanBlock *b = arena_array(a, PlanBlock, 12);
#define DAMAGE(what)                                                                               \
    p = good;                                                                                      \
    memcpy(b, good.blocks, 12 * sizeof *b);                                                        \
    p.blocks = b;                                                                                  \
    what;                                                                                          \
    CHECK(!plan_check(&p, &why));
        DAMAGE(p.bytes -= 8)
        DAMAGE(p.bytes += 8)
        DAMAGE(p.lower_bound -= 8)
        DAMAGE(p.lower_bound += 8)
        DAMAGE(p.bound_step = -1)
        DAMAGE(p.proof = p.proof == PROOF_BOUND ? PROOF_NONE : PROOF_BOUND)
        DAMAGE(b[round % 12].offset += 4)
        DAMAGE(b[round % 12].offset = -8)
        DAMAGE(b[round % 12].offset = p.bytes)
        DAMAGE(b[round % 12].bytes = -1)
        DAMAGE(b[round % 12].bytes = INT64_MAX)
        DAMAGE(b[round % 12].last = p.n_steps)
        DAMAGE(b[round % 12].first = -1)
        for (int i = 0; i < 12; i++) {
            for (int k = 0; k < 12; k++) {
                if (i == k || !meet(&good.blocks[i], &good.blocks[k]))
                    continue;
                DAMAGE(b[i].offset = b[k].offset)
            }
        }
    }
    arena_free(a);
}

int main(void)
{
    test_small();
    test_above_bound();
    test_medium();
    test_large();
    test_deterministic();
    test_damage();
    return check_end();
}
