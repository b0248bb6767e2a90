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
