/* kiln.c - the thread pool, the clock and aligned memory.
 *
 * A job starts by raising `generation` and ends when `pending` is 0; its parts meet by raising `round`,
 * which the last to arrive does. Whoever waits spins first, for about as long as waking a thread would
 * take, and then sleeps on a condition. A sleeper counts itself before it looks for the last time, and a
 * waker looks for sleepers after it has made its change, both in the one order of sequentially consistent
 * atomics: so no wake-up is lost. */
#include "kiln.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SPINS = 4000 };

/* A number that threads wait for to be raised. */
typedef struct Counter {
    atomic_uint    value;
    atomic_int     sleepers; /* on `raised` */
    pthread_cond_t raised;
} Counter;

/* What has been claimed of a part's share of a loop: the number of the loop in this job, counted from 1, times
 * MOST_PIECES, plus the pieces taken of it. So nobody has to clear it between loops. A line of its own, for all
 * parts look at it. */
typedef struct Claims {
    _Alignas(64) atomic_uint taken;
    unsigned loop; /* loops that this part itself is through with */
} Claims;

enum { MOST_PIECES = 256 }; /* of a share: halving ends long before */

static struct {
    pthread_t       threads[KILN_MAX_THREADS]; /* [1, n) */
    unsigned        seen[KILN_MAX_THREADS];    /* the generation each thread starts from */
    int             n;                         /* parts of a job; 0: not started, counts as 1 */
    kiln_task      *task;                      /* NULL: threads past `n` are to end */
    void           *context;
    Counter         generation;    /* of jobs */
    Counter         round;         /* of meetings inside jobs */
    atomic_int      arrived;       /* at the next meeting */
    atomic_int      pending;       /* parts not yet done, part 0 aside */
    atomic_int      caller_sleeps; /* on `finished` */
    pthread_mutex_t mutex;
    pthread_cond_t  finished;
    Claims          claims[KILN_MAX_THREADS];
} pool = {.generation = {.raised = PTHREAD_COND_INITIALIZER},
          .round = {.raised = PTHREAD_COND_INITIALIZER},
          .mutex = PTHREAD_MUTEX_INITIALIZER,
          .finished = PTHREAD_COND_INITIALIZER};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* ---- counters --------------------------------------------------------------------------- */

/* wait_past - wait until the counter is no longer `seen`; what it is then. */
static unsigned wait_past(Counter *c, unsigned seen)
{
    unsigned now;
    for (int i = 0; i < SPINS; i++) {
        now = atomic_load_explicit(&c->value, memory_order_acquire);
        if (now != seen)
            return now;
        relax();
    }
    pthread_mutex_lock(&pool.mutex);
    atomic_fetch_add(&c->sleepers, 1);
    while ((now = atomic_load(&c->value)) == seen)
        pthread_cond_wait(&c->raised, &pool.mutex);
    atomic_fetch_sub(&c->sleepers, 1);
    pthread_mutex_unlock(&pool.mutex);
    return now;
}

static void raise_counter(Counter *c)
{
    atomic_fetch_add(&c->value, 1);
    if (atomic_load(&c->sleepers) == 0)
        return;
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_broadcast(&c->raised);
    pthread_mutex_unlock(&pool.mutex);
}

/* ---- threads ---------------------------------------------------------------------------- */

static void finish_part(void)
{
    if (atomic_fetch_sub(&pool.pending, 1) != 1 || !atomic_load(&pool.caller_sleeps))
        return;
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_signal(&pool.finished);
    pthread_mutex_unlock(&pool.mutex);
}

static void *worker(void *argument)
{
    const int part = (int)(intptr_t)argument;
    unsigned  seen = pool.seen[part];
    for (;;) {
        seen = wait_past(&pool.generation, seen);
        if (pool.task)
            pool.task(pool.context, part, pool.n);
        else if (part >= pool.n)
            break;
        finish_part();
    }
    finish_part();
    return NULL;
}

/* ---- jobs ------------------------------------------------------------------------------- */

static void start_job(kiln_task *task, void *context, int others)
{
    pool.task = task;
    pool.context = context;
    atomic_store(&pool.pending, others);
    raise_counter(&pool.generation);
}

static void wait_for_parts(void)
{
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool.pending, memory_order_acquire) == 0)
            return;
        relax();
    }
    pthread_mutex_lock(&pool.mutex);
    atomic_store(&pool.caller_sleeps, 1);
    while (atomic_load(&pool.pending) != 0)
        pthread_cond_wait(&pool.finished, &pool.mutex);
    atomic_store(&pool.caller_sleeps, 0);
    pthread_mutex_unlock(&pool.mutex);
}

int kiln_pool_threads(void)
{
    return pool.n > 1 ? pool.n : 1;
}

/* clear_claims - after a job: all parts have gone through the same loops. */
static void clear_claims(int n)
{
    if (pool.claims[0].loop == 0)
        return; /* the job had none */
    for (int i = 0; i < n; i++) {
        atomic_store_explicit(&pool.claims[i].taken, 0, memory_order_relaxed);
        pool.claims[i].loop = 0;
    }
}

void kiln_pool_run(kiln_task *task, void *context)
{
    int n = kiln_pool_threads();
    if (n == 1) {
        task(context, 0, 1);
        return;
    }
    start_job(task, context, n - 1);
    task(context, 0, n);
    wait_for_parts();
    clear_claims(n);
}

/* No part can be at the next meeting before the last one of this has raised `round`, so `arrived` is 0
 * again by then. */
void kiln_pool_meet(int n_parts)
{
    if (n_parts == 1)
        return;
    unsigned round = atomic_load(&pool.round.value);
    if (atomic_fetch_add(&pool.arrived, 1) + 1 < n_parts) {
        wait_past(&pool.round, round);
        return;
    }
    atomic_store(&pool.arrived, 0);
    raise_counter(&pool.round);
}

/* ---- sharing a loop --------------------------------------------------------------------- */

/* nth_piece - piece number `k` of the iterations [*begin, *end). */
static void nth_piece(unsigned k, int64_t least, int64_t *begin, int64_t *end)
{
    const int64_t last = *end;
    for (*end = *begin;; k--) {
        int64_t left = last - *end, size = left / 2 > least ? left / 2 : least;
        *begin = *end;
        *end += size < left ? size : left;
        if (k == 0)
            return;
    }
}

/* claim_of - the next piece of what part `of` has of loop number `loop`. Nobody is at a later loop before all of
 * this one is claimed. */
static int claim_of(int of, unsigned loop, int64_t least, int64_t *begin, int64_t *end)
{
    const int64_t first = *begin, last = *end;
    atomic_uint  *taken = &pool.claims[of].taken;
    unsigned      seen = atomic_load_explicit(taken, memory_order_relaxed), now;
    do {
        now = seen / MOST_PIECES < loop ? loop * MOST_PIECES : seen;
        *begin = first;
        *end = last;
        if (now / MOST_PIECES > loop)
            return 0;
        nth_piece(now % MOST_PIECES, least, begin, end);
        if (*begin == *end)
            return 0;
    } while (!atomic_compare_exchange_weak_explicit(taken, &seen, now + 1, memory_order_relaxed,
                                                    memory_order_relaxed));
    return 1;
}

/* Claims put nothing in order but themselves: what the iterations read and write is ordered by the beginning and
 * end of a job and by meetings. */
int kiln_pool_claim(int64_t n, int64_t least, int part, int n_parts, int64_t *begin, int64_t *end)
{
    if (n_parts == 1) { /* also where several threads do each a job of one part */
        *begin = *end;
        *end = n;
        return *begin < n;
    }
    unsigned loop = pool.claims[part].loop + 1;
    for (int i = 0; i < n_parts; i++) {
        int of = part + i < n_parts ? part + i : part + i - n_parts;
        kiln_share(n, of, n_parts, begin, end);
        if (claim_of(of, loop, least, begin, end))
            return 1;
    }
    pool.claims[part].loop = loop;
    return 0;
}

/* ---- their number ----------------------------------------------------------------------- */

/* shrink - end the threads from `n` up to `running`. */
static void shrink(int n, int running)
{
    pool.n = n;
    start_job(NULL, NULL, running - 1);
    wait_for_parts();
    for (int i = n; i < running; i++)
        pthread_join(pool.threads[i], NULL);
}

int kiln_pool_start(int n)
{
    int running = kiln_pool_threads();
    if (n < 1 || n > KILN_MAX_THREADS)
        return EINVAL;
    if (n < running)
        shrink(n, running);
    for (int i = running; i < n; i++) {
        pool.seen[i] = atomic_load(&pool.generation.value);
        int cause = pthread_create(&pool.threads[i], NULL, worker, (void *)(intptr_t)i);
        if (cause) {
            if (i > running)
                shrink(running, i);
            return cause;
        }
    }
    pool.n = n;
    return 0;
}

void kiln_pool_stop(void)
{
    kiln_pool_start(1);
}

/* ---- the clock, memory ------------------------------------------------------------------ */

uint64_t kiln_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t kiln_lap(kiln_step *s, uint64_t start)
{
    uint64_t now = kiln_clock();
    s->ns += now - start;
    s->calls++;
    return now;
}

void *kiln_alloc(size_t bytes)
{
    enum { ALIGN = 64 };
    void *memory = NULL;
    if (bytes > SIZE_MAX - ALIGN || posix_memalign(&memory, ALIGN, bytes ? bytes : 1))
        return NULL;
    return memset(memory, 0, bytes);
}

void kiln_free(void *memory)
{
    free(memory);
}
