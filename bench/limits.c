/* limits.c - what one core of this machine can do at most: multiply-adds a second, bytes read a second.
 *
 * Prints lines "NAME VALUE": vector_bits; fma, GF/s on vectors of that width, the widest that the compiler
 * may use; l2, l3 and memory, GB/s. Each is the best of several repetitions. `limits fed` prints the GF/s of
 * multiply-adds that read an operand each, nothing else, in a few milliseconds; `limits together P Q` what
 * processors P and Q do of them at the same time, as a multiple of what the better one does alone. Compile it
 * with -O3 -march=native -ffp-contract=fast -pthread, and with -mno-avx512f as well for narrower vectors. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { REPEATS = 7, SUMS = 12 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined __AVX512F__
enum { VECTOR_BYTES = 64 };
#elif defined __AVX__
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif

typedef float    Floats __attribute__((vector_size(VECTOR_BYTES)));
typedef uint32_t Block __attribute__((vector_size(VECTOR_BYTES)));

/* Results go here, so that none can be left out. */
static volatile float    float_sink;
static volatile uint32_t sink;

/* multiply_adds - GF/s of multiply-adds on vectors, in as many independent sums as hide the latency of
 * one and fit 16 registers. */
static double multiply_adds(void)
{
    enum { STEPS = 2000000 };
    double best = 0;
    for (int r = 0; r < REPEATS; r++) {
        Floats sum[SUMS], scale = (Floats){0} + 0.5f, step = (Floats){0} + (float)r;
        for (int i = 0; i < SUMS; i++)
            sum[i] = (Floats){0} + (float)i;
        double start = now();
        for (int k = 0; k < STEPS; k++)
            for (int i = 0; i < SUMS; i++)
                sum[i] = sum[i] * scale + step;
        double rate = 2.0 * STEPS * SUMS * (VECTOR_BYTES / 4) / (now() - start) * 1e-9;
        for (int i = 0; i < SUMS; i++)
            float_sink = sum[i][0];
        best = rate > best ? rate : best;
    }
    return best;
}

/* fed - GF/s of multiply-adds that each read a vector from the first-level cache. Who else computes on this
 * core, on its other hardware thread, shows here more than in what stays in registers. */
static double fed(void)
{
    enum { STEPS = 400000, ROWS = 16 };
    static Floats rows[ROWS][SUMS];
    Floats        sum[SUMS], scale = (Floats){0} + 0.5f;
    for (int i = 0; i < SUMS; i++)
        sum[i] = (Floats){0} + (float)i;
    double start = now();
    for (int k = 0; k < STEPS; k++)
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * scale + rows[k % ROWS][i];
    double rate = 2.0 * STEPS * SUMS * (VECTOR_BYTES / 4) / (now() - start) * 1e-9;
    for (int i = 0; i < SUMS; i++)
        float_sink = sum[i][0];
    return rate;
}

/* One of two processors, and what it did. */
typedef struct Side {
    int                processor;
    pthread_barrier_t *start; /* NULL: it is to compute alone */
    double             rate;
} Side;

static void *compute(void *argument)
{
    Side     *s = argument;
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(s->processor, &only);
    pthread_setaffinity_np(pthread_self(), sizeof only, &only);
    fed(); /* wakes the vector units */
    if (s->start)
        pthread_barrier_wait(s->start);
    s->rate = fed();
    return NULL;
}

/* together - what processors `p` and `q` do at the same time, of what the better one does alone. */
static double together(int p, int q)
{
    pthread_barrier_t start;
    pthread_t         thread;
    double            alone[2];
    Side              sides[2] = {{p, NULL, 0}, {q, NULL, 0}};
    pthread_barrier_init(&start, NULL, 2);
    for (int i = 0; i < 2; i++) {
        compute(&sides[i]);
        alone[i] = sides[i].rate;
        sides[i].start = &start;
    }
    if (pthread_create(&thread, NULL, compute, &sides[0]))
        return 0;
    compute(&sides[1]);
    pthread_join(thread, NULL);
    return (sides[0].rate + sides[1].rate) / (alone[0] > alone[1] ? alone[0] : alone[1]);
}

enum { STREAMS = 8 };

static uint32_t read_once(const Block *data, size_t n_blocks)
{
    Block sum[STREAMS] = {0};
    for (size_t i = 0; i + STREAMS <= n_blocks; i += STREAMS)
        for (int s = 0; s < STREAMS; s++)
            sum[s] ^= data[i + (size_t)s];
    for (int s = 1; s < STREAMS; s++)
        sum[0] ^= sum[s];
    return sum[0][0];
}

/* bandwidth - GB/s of reading `bytes` over and over, each repetition of at least 256 MiB. */
static double bandwidth(const Block *data, size_t bytes)
{
    size_t passes = ((size_t)256 << 20) / bytes + 1;
    double best = 0;
    for (int r = 0; r < REPEATS; r++) {
        double start = now();
        for (size_t p = 0; p < passes; p++)
            sink = read_once(data, bytes / sizeof *data);
        double rate = (double)passes * (double)bytes / (now() - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "fed")) {
        fed(); /* wakes the vector units */
        printf("fed %.1f\n", fed());
        return 0;
    }
    if (argc > 3 && !strcmp(argv[1], "together")) {
        printf("together %.2f\n", together(atoi(argv[2]), atoi(argv[3])));
        return 0;
    }
    size_t memory = (size_t)1 << 30;
    long   l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);
    size_t second = l2 > 0 ? (size_t)l2 : (size_t)1 << 20;
    Block *data = mmap(NULL, memory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) {
        fputs("limits: out of memory\n", stderr);
        return 1;
    }
    madvise(data, memory, MADV_HUGEPAGE);
    for (size_t i = 0; i < memory / sizeof *data; i++)
        data[i][0] = (uint32_t)i;
    printf("vector_bits %d\n", VECTOR_BYTES * 8);
    printf("fma %.1f\n", multiply_adds());
    printf("l2 %.1f\n", bandwidth(data, second / 2));
    printf("l3 %.1f\n", bandwidth(data, second * 4));
    printf("memory %.1f\n", bandwidth(data, memory));
    return 0;
}
