/* kiln.h - what emitted code may need from outside itself: threads, and the time of each layer.
 *
 * Code emitted without --threads and --profile does not include it. The same header serves the
 * programs made by `kiln build`; see program.h for those. */
#ifndef KILN_RUNTIME_H
#define KILN_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

/* Emitted code refuses to compile against another version. */
#define KILN_RUNTIME_VERSION 3

#ifdef __cplusplus
extern "C" {
#endif

/* ---- threads ---------------------------------------------------------------------------- */

#define KILN_MAX_THREADS 256

/* One part of a job; the calls for part 0 .. n_parts-1 run at the same time, part 0 on the thread
 * that asked. */
typedef void kiln_task(void *context, int part, int n_parts);

/* kiln_pool_start - have `n` threads, the caller's included, ready; also changes their number.
 * 0, or an errno value: then the number is what it was before. Not to be called inside a task. */
int kiln_pool_start(int n);
/* kiln_pool_run - run every part of a job and wait for all of them. Without kiln_pool_start there is
 * one part. Jobs are started by one thread at a time; a task starts none. What was written before
 * the call is seen by every part, and what the parts wrote is seen after it. */
void kiln_pool_run(kiln_task *task, void *context);
/* kiln_pool_meet - inside a task: wait until all its `n_parts` parts are here. What each wrote before is
 * seen by all after. Every part meets equally often. */
void kiln_pool_meet(int n_parts);
/* kiln_pool_threads - parts a job has. */
int kiln_pool_threads(void);
/* kiln_pool_stop - end the threads; jobs then have one part again. */
void kiln_pool_stop(void);

/* kiln_share - the part [*begin, *end) of [0, n) that is part `part` of `n_parts`: parts differ by at
 * most one, in order, always the same. */
static inline void kiln_share(int64_t n, int part, int n_parts, int64_t *begin, int64_t *end)
{
    int64_t each = n / n_parts, rest = n % n_parts;
    *begin = part * each + (part < rest ? part : rest);
    *end = *begin + each + (part < rest);
}

/* kiln_pool_claim - inside a task: the next piece [*begin, *end) of the iterations [0, n) of a loop that all
 * `n_parts` parts share, for this part to do; 0: none is left for it to begin, but others may still be at theirs.
 * Every part asks until then, of the same loops in the same order, each time from *begin = *end = 0.
 *
 *     int64_t begin = 0, end = 0;
 *     while (kiln_pool_claim(56, 4, part, n_parts, &begin, &end))
 *         ...
 *
 * Each part has an equal share of the iterations, neighbours, and begins with its own; then it takes what is left of
 * others', for a core may be slower than another for a while. A piece is half of what is left of a share, but at
 * least `least` iterations: the pieces depend on these numbers alone, who does them on the moment. */
int kiln_pool_claim(int64_t n, int64_t least, int part, int n_parts, int64_t *begin, int64_t *end);

/* ---- the time of each layer ------------------------------------------------------------- */

/* One call of the infer function. The emitted table NAME_steps has one row a call, in order. */
typedef struct kiln_step {
    const char *name;      /* the nodes it computes */
    const char *kernel;    /* the function that does */
    uint64_t    macs;      /* multiply-accumulates of one call */
    uint64_t    ns, calls; /* so far */
} kiln_step;

/* kiln_clock - nanoseconds of a clock that never goes back. */
uint64_t kiln_clock(void);
/* kiln_lap - charge the time since `start` to `s`; returns the time now, the start of the next. */
uint64_t kiln_lap(kiln_step *s, uint64_t start);

/* ---- memory ----------------------------------------------------------------------------- */

/* kiln_alloc - zeroed memory aligned to 64 bytes, or NULL; kiln_free gives it back. For callers:
 * emitted code allocates nothing. */
void *kiln_alloc(size_t bytes);
void  kiln_free(void *memory);

#ifdef __cplusplus
}
#endif
#endif
