/* The thread pool: every part runs once, in any number of threads, however often that changes; parts
 * that meet wait for each other. */
#include "kiln.h"

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

int main(void)
{
    static const int threads[] = {1, 2, 7, 3, 16, 1, 4};
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        test_jobs(threads[i], ITEMS);
        test_jobs(threads[i], 5);
    }
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
        test_meetings(threads[i]);
    expect(kiln_pool_start(0) != 0, "no threads is refused");
    expect(kiln_pool_start(KILN_MAX_THREADS + 1) != 0, "too many threads are refused");
    expect(kiln_pool_threads() == 4, "a refusal changes nothing");
    kiln_pool_stop();
    expect(kiln_pool_threads() == 1, "a stopped pool has one thread");
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed > 0;
}
