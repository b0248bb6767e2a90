/* kernel_affine_test - the algebra of indices, against evaluation at every point. */
#include "check.h"

#include "kernel/kernel.h"

enum { LOOPS = 5, LARGEST = 5 };

static Kernel *k;

static Kernel *random_loops(Arena *a)
{
    Kernel *fresh = kernel_new(a, "test", NULL, FP_STRICT);
    for (int i = 0; i < LOOPS; i++)
        kernel_loop(fresh, "i", random_between(1, LARGEST), PARALLEL, AXIS_NONE);
    return fresh;
}

static Affine random_affine(void)
{
    Affine a = affine_const(random_between(-9, 9));
    for (int n = (int)random_below(6); n > 0; n--) {
        Affine term = affine_loop((LoopId)random_between(1, LOOPS));
        a = affine_add(a, affine_scale(term, random_between(-4, 4)));
    }
    return a;
}

static int64_t at(const Affine *a, const int64_t *point)
{
    int64_t v = a->constant;
    for (int64_t i = 0; i < a->n_terms; i++)
        v += a->coef[i] * point[a->loop[i]];
    return v;
}

/* next_point - step through all values of the loops; false after the last. */
static bool next_point(int64_t *point)
{
    for (LoopId l = 1; l <= LOOPS; l++) {
        if (++point[l] < k->loops[l].extent)
            return true;
        point[l] = 0;
    }
    return false;
}

static bool is_canonical(const Affine *a)
{
    Affine clean = affine_const(a->constant);
    for (int64_t i = 0; i < a->n_terms; i++) {
        if (a->coef[i] == 0 || (i && a->loop[i] <= a->loop[i - 1]))
            return false;
        clean = affine_add(clean, affine_scale(affine_loop(a->loop[i]), a->coef[i]));
    }
    return affine_equal(&clean, a);
}

static void test_algebra(void)
{
    Affine  a = random_affine(), b = random_affine();
    int64_t s = random_between(-3, 3);
    LoopId  l = (LoopId)random_between(1, LOOPS);
    Affine  sum = affine_add(a, b), swapped = affine_add(b, a), scaled = affine_scale(a, s);
    Affine  moved = affine_offset(a, 7), subst = affine_subst(&a, l, &b);
    Affine  none = affine_add(a, affine_scale(a, -1)), zero = affine_const(0);
    int64_t point[LOOPS + 1] = {0};
    bool    agree = true;
    do {
        int64_t old = point[l], inner = at(&b, point);
        agree &= at(&sum, point) == at(&a, point) + at(&b, point);
        agree &= at(&scaled, point) == s * at(&a, point);
        agree &= at(&moved, point) == at(&a, point) + 7;
        int64_t got = at(&subst, point);
        point[l] = inner;
        agree &= got == at(&a, point);
        point[l] = old;
    } while (next_point(point));
    CHECK(agree);
    CHECK(affine_equal(&sum, &swapped));
    CHECK(affine_equal(&none, &zero));
    CHECK(is_canonical(&a) && is_canonical(&sum) && is_canonical(&scaled) && is_canonical(&subst));
}

static void test_range(void)
{
    Affine  a = random_affine();
    Range   claimed = affine_range(k, &a);
    int64_t point[LOOPS + 1] = {0};
    Range   seen = {at(&a, point), at(&a, point)};
    while (next_point(point)) {
        int64_t v = at(&a, point);
        seen.min = v < seen.min ? v : seen.min;
        seen.max = v > seen.max ? v : seen.max;
    }
    CHECK(seen.min == claimed.min && seen.max == claimed.max);
}

static void test_small_cases(void)
{
    Affine none = affine_loop(0), zero = affine_const(0), i = affine_loop(1);
    CHECK(affine_equal(&none, &zero));
    CHECK(affine_coef(&i, 1) == 1 && affine_coef(&i, 2) == 0);
    Affine by_itself = affine_offset(affine_scale(i, 2), 1); /* i := 2 i + 1 */
    Affine twice = affine_subst(&by_itself, 1, &by_itself);
    CHECK(affine_coef(&twice, 1) == 4 && twice.constant == 3);
}

/* What does not fit stays at the end of the range, where no buffer reaches. */
static void test_saturation(void)
{
    Affine huge = affine_scale(affine_scale(affine_loop(1), INT64_MAX / 2), 8);
    CHECK(affine_coef(&huge, 1) == INT64_MAX);
    Affine low = affine_offset(affine_const(INT64_MIN), -1);
    CHECK(low.constant == INT64_MIN);
    Affine product = affine_scale(affine_const(INT64_MIN), -1);
    CHECK(product.constant == INT64_MAX);
    k->loops[1].extent = 1000;
    CHECK(affine_range(k, &huge).max == INT64_MAX);
}

int main(void)
{
    for (int i = 0; i < 300; i++) {
        Arena *a = arena_new();
        k = random_loops(a);
        test_algebra();
        test_range();
        if (i == 0) {
            test_small_cases();
            test_saturation();
        }
        arena_free(a);
    }
    return check_end();
}
