/* The thread pool: every part runs once, in any number of threads, however often that changes; parts
 * that meet wait for each other; of loops that they share every iteration is claimed once, and what a slow
 * part has not begun is done by others. */
#include "kiln.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { ITEMS = 1000 };

static int counts[ITEMS];
static int n_passed, n_failed;

static void expect(int ok, const char *what)
{
    if (ok)
        n_passed++;
    else
        n_failed++;
    if (!ok)
        printf("pool: %s\n", what);
}

static void count_items(void *context, int part, int n_parts)
{
    int64_t begin, end;
    kiln_share(*(const int *)context, part, n_parts, &begin, &end);
    for (int64_t i = begin; i < end; i++)
        counts[i]++;
}

static int all_are(int n, int want)
{
    for (int i = 0; i < n; i++)
        if (counts[i] != want)
            return 0;
    return 1;
}

static void test_jobs(int threads, int items)
{
    int before = counts[0];
    for (int i = 0; i < ITEMS; i++)
        counts[i] = before;
    expect(kiln_pool_start(threads) == 0, "the pool starts");
    expect(kiln_pool_threads() == threads, "the pool has the threads asked for");
    for (int job = 0; job < 200; job++) {
        kiln_pool_run(count_items, &items);
        if (job % 50 == 0)
            usleep(2000); /* long enough for the threads to fall asleep */
    }
    expect(all_are(items, before + 200), "every part ran once a job");
}

enum { ROUNDS = 300 };

/* Each part adds what all have written in the round before: wrong as soon as one is ahead. */
static void add_rounds(void *context, int part, int n_parts)
{
    int(*sums)[KILN_MAX_THREADS] = context;
    for (int round = 1; round <= ROUNDS; round++) {
        sums[round][part] = 1;
        for (int i = 0; i < n_parts; i++)
            sums[round][part] += sums[round - 1][i] % 1000;
        if (round % 100 == part)
            usleep(1500); /* the others fall asleep */
        kiln_pool_meet(n_parts);
    }
}

static void test_meetings(int threads)
{
    static int sums[ROUNDS + 1][KILN_MAX_THREADS];
    kiln_pool_start(threads);
    for (int i = 0; i < KILN_MAX_THREADS; i++)
        sums[0][i] = 1;
    kiln_pool_run(add_rounds, sums);
    int want = 1, ok = 1;
    for (int round = 1; round <= ROUNDS; round++) {
        want = 1 + threads * (want % 1000);
        for (int i = 0; i < threads; i++)
            ok &= sums[round][i] == want;
    }
    expect(ok, "what is written before a meeting is seen after it");
}

/* ---- claims ----------------------------------------------------------------------------- */

enum { LOOPS = 40 };

enum { NOBODY = -1, NOW_AND_THEN = -2 }; /* parts that sleep: none, any */

typedef struct Claimed {
    int64_t    n, least;
    int        slow; /* a part that sleeps in its first piece of a loop; or one of the above */
    atomic_int times[LOOPS][ITEMS]; /* that an iteration was claimed */
    atomic_int begins[ITEMS + 1];   /* times a piece began here */
    atomic_int of_slow;             /* iterations that it did itself */
} Claimed;

static void claim_items(void *context, int part, int n_parts)
{
    Claimed *c = context;
    for (int loop = 0; loop < LOOPS; loop++) {
        int     is_slow = part == c->slow;
        int64_t begin = 0, end = 0;
        while (kiln_pool_claim(c->n, c->least, part, n_parts, &begin, &end)) {
            atomic_fetch_add(&c->begins[begin], 1);
            for (int64_t i = begin; i < end; i++)
                atomic_fetch_add(&c->times[loop][i], 1);
            if (part == c->slow)
                atomic_fetch_add(&c->of_slow, (int)(end - begin));
            if (is_slow)
                usleep(1500);
            if (c->slow == NOW_AND_THEN && (loop * 7 + part * 3 + begin) % 5 == 0)
                usleep((unsigned)(loop * 37 + part * 91) % 300);
            is_slow = 0;
        }
        if (loop % 3 == 0)
            kiln_pool_meet(n_parts); /* else parts are at different loops */
    }
}

/* pieces_same - whether every loop was cut at the same places. */
static int pieces_same(const Claimed *c)
{
    for (int i = 0; i <= ITEMS; i++)
        if (c->begins[i] != 0 && c->begins[i] != LOOPS)
            return 0;
    return 1;
}

static void test_claims(int threads, int64_t n, int64_t least, int slow)
{
    static Claimed c;
    c = (Claimed){.n = n, .least = least, .slow = slow};
    kiln_pool_start(threads);
    kiln_pool_run(claim_items, &c);
    int once = 1;
    for (int loop = 0; loop < LOOPS; loop++)
        for (int i = 0; i < ITEMS; i++)
            once &= c.times[loop][i] == (i < n);
    expect(once, "every iteration is claimed once");
    expect(pieces_same(&c), "the pieces are the same in every loop");
    if (slow >= 0 && slow < threads && threads > 1)
        expect(c.of_slow < LOOPS * (n / threads) * 3 / 4,
               "what a slow part has not begun, others do");
}

/* test_fewer_parts - code for fewer threads than there are leaves the last ones out. */
static void claim_of_two(void *context, int part, int n_parts)
{
    (void)n_parts;
    if (part < 2)
        claim_items(context, part, 2);
}

static void test_fewer_parts(void)
{
    static Claimed c;
    c = (Claimed){.n = 100, .least = 3, .slow = NOW_AND_THEN};
    kiln_pool_start(5);
    kiln_pool_run(claim_of_two, &c);
    int once = 1;
    for (int i = 0; i < LOOPS * 100; i++)
        once &= c.times[i / 100][i % 100] == 1;
    expect(once, "two parts of five claim all there is");
}

static void test_all_claims(void)
{
    static const int threads[] = {2, 1, 7, 3, 2};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        test_claims(threads[i], ITEMS, 1, NOBODY);
        test_claims(threads[i], 5, 1, NOBODY);
        test_claims(threads[i], 0, 1, NOBODY);
        test_claims(threads[i], 300, 8, NOW_AND_THEN);
        test_claims(threads[i], 997, 20, 0);
        test_claims(threads[i], 997, 20, threads[i] - 1);
        test_claims(threads[i], ITEMS, ITEMS, NOBODY);
        test_fewer_parts();
        test_claims(5, 997, 20, 1); /* by all five again */
    }
}

int main(void)
{
    static const int threads[] = {1, 2, 7, 3, 16, 1, 4};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        test_jobs(threads[i], ITEMS);
        test_jobs(threads[i], 5);
    }
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        test_meetings(threads[i]);
    test_all_claims();
    kiln_pool_start(4);
    expect(kiln_pool_start(0) != 0, "no threads is refused");
    expect(kiln_pool_start(KILN_MAX_THREADS + 1) != 0, "too many threads are refused");
    expect(kiln_pool_threads() == 4, "a refusal changes nothing");
    kiln_pool_stop();
    expect(kiln_pool_threads() == 1, "a stopped pool has one thread");
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed > 0;
}
