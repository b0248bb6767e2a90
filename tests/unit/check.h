/* check.h - what unit tests share: counting, and seeded random numbers.
 *
 * A test program calls CHECK(claim) as often as it likes and returns check_end() from main, which prints
 * `N passed, N failed`. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static int check_passed, check_failed;

static inline bool check_claim(bool ok, const char *file, int line, const char *claim)
{
    if (ok)
        check_passed++;
    else
        check_failed++;
    if (!ok)
        printf("%s:%d: FAIL: %s\n", file, line, claim);
    return ok;
}

#define CHECK(claim) check_claim((claim), __FILE__, __LINE__, #claim)

static inline int check_end(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed != 0;
}

static uint64_t check_seed = 88172645463325252u;

/* random_below - 0 <= result < n. */
static inline int64_t random_below(int64_t n)
{
    check_seed ^= check_seed << 13;
    check_seed ^= check_seed >> 7;
    check_seed ^= check_seed << 17;
    return (int64_t)(check_seed >> 11) % n;
}

/* random_between - min <= result <= max. */
static inline int64_t random_between(int64_t min, int64_t max)
{
    return min + random_below(max - min + 1);
}

/* random_float - in [-1, 1), a multiple of 2^-20: sums of a few are not exact, each one is. */
static inline float random_float(void)
{
    return (float)(random_below(1 << 21) - (1 << 20)) / (float)(1 << 20);
}

#endif
