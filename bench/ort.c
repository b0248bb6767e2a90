/* ort.c - one ONNX model in ONNX Runtime, resident, through the C interface of its shared library.
 *
 *     ort LIBRARY MODEL.onnx INPUT.f32 1x3x224x224 OUT.f32 THREADS [KEY=VALUE ...]
 *
 * Writes the first result to OUT.f32 and prints "ready", the milliseconds of making the session and
 * of the first run, and the peak of memory in MB. After that each line "U N" on standard input makes
 * U runs and then N timed ones, whose milliseconds are one line on standard output. KEY=VALUE are
 * entries of the session's configuration; execution_mode=parallel sets the mode of that name.
 *
 * The package has no header. Its interface is a table of functions that only ever grows, so a place
 * in the table says which function it is; they are the places of version 8. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { VERSION = 8, WARNING = 2, PARALLEL = 1, ALL_OPTIMIZATIONS = 99, FLOAT = 1, MAX_RANK = 8 };

typedef void *Status; /* NULL: done */

typedef struct Base {
    void *const *(*table)(uint32_t version);
    const char *(*version)(void);
} Base;

static void *const *table;

/* Calls the function at a place of the table; the types of its arguments follow. */
#define AT(place, types) ((Status(*) types)table[place])

#define create_env          AT(3, (int, const char *, void **))
#define create_session      AT(7, (void *, const char *, void *, void **))
#define create_options      AT(10, (void **))
#define set_execution_mode  AT(13, (void *, int))
#define set_optimization    AT(23, (void *, int))
#define set_threads         AT(24, (void *, int))
#define set_threads_between AT(25, (void *, int))
#define get_input_name      AT(36, (void *, size_t, void *, char **))
#define get_output_name     AT(37, (void *, size_t, void *, char **))
#define create_tensor       AT(49, (void *, void *, size_t, int64_t *, size_t, int, void **))
#define tensor_data         AT(51, (void *, void **))
#define element_count       AT(64, (void *, size_t *))
#define tensor_info         AT(65, (void *, void **))
#define create_memory_info  AT(69, (int, int, void **))
#define default_allocator   AT(78, (void **))
#define add_config          AT(130, (void *, const char *, const char *))

#define run_session                                                                                \
    AT(9, (void *, void *, const char *const *, void *const *, size_t, const char *const *,        \
           size_t, void **))

static void release_value(void *value)
{
    ((void (*)(void *))table[96])(value);
}

static void check(Status status)
{
    if (!status)
        return;
    fprintf(stderr, "ort: %s\n", ((const char *(*)(void *))table[2])(status));
    exit(1);
}

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "ort: %s '%s'\n", what, name);
    exit(1);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static double peak_mb(void)
{
    char  line[256];
    long  kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && !kib && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6))
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    return (double)kib / 1024;
}

static void open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW);
    if (!library)
        fail("cannot load", path);
    const Base *(*base)(void) = (const Base *(*)(void))dlsym(library, "OrtGetApiBase");
    if (!base || !(table = base()->table(VERSION)))
        fail("no interface of that version in", path);
}

static void set_entry(void *options, char *entry)
{
    char *value = strchr(entry, '=');
    if (!value)
        fail("not KEY=VALUE:", entry);
    *value++ = 0;
    if (!strcmp(entry, "execution_mode"))
        check(set_execution_mode(options, strcmp(value, "parallel") ? 0 : PARALLEL));
    else
        check(add_config(options, entry, value));
}

static void *make_session(const char *model, int threads, char **entries, int n_entries)
{
    void *env, *options, *session;
    check(create_env(WARNING, "bench", &env));
    check(create_options(&options));
    check(set_optimization(options, ALL_OPTIMIZATIONS));
    check(set_threads(options, threads));
    check(set_threads_between(options, threads));
    for (int i = 0; i < n_entries; i++)
        set_entry(options, entries[i]);
    check(create_session(env, model, options, &session));
    return session;
}

/* read_input - the numbers of a file as a tensor of the shape "1x3x224x224". */
static void *read_input(const char *path, const char *shape)
{
    int64_t dims[MAX_RANK];
    size_t  rank = 0, count = 1;
    while (rank < MAX_RANK) {
        char *end;
        dims[rank] = strtoll(shape, &end, 10);
        count *= (size_t)dims[rank++];
        if (*end != 'x')
            break;
        shape = end + 1;
    }
    float *data = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    FILE  *f = fopen(path, "rb");
    if (!data || !f || fread(data, sizeof(float), count, f) != count)
        fail("cannot read", path);
    fclose(f);
    void *memory, *tensor;
    check(create_memory_info(0, 0, &memory));
    check(create_tensor(memory, data, count * sizeof(float), dims, rank, FLOAT, &tensor));
    return tensor;
}

static void write_output(const char *path, void *value)
{
    void  *data, *info;
    size_t count;
    check(tensor_info(value, &info));
    check(element_count(info, &count));
    check(tensor_data(value, &data));
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, sizeof(float), count, f) != count || fclose(f))
        fail("cannot write", path);
}

/* Session, input and names: what a run needs. */
typedef struct Run {
    void *session, *input;
    char *input_name, *output_name;
} Run;

static void *run(const Run *r)
{
    void *output = NULL;
    check(run_session(r->session, NULL, (const char *const *)&r->input_name, &r->input, 1,
                      (const char *const *)&r->output_name, 1, &output));
    return output;
}

static void serve(const Run *r)
{
    int untimed, timed;
    while (scanf("%d %d", &untimed, &timed) == 2) {
        for (int i = 0; i < untimed; i++)
            release_value(run(r));
        for (int i = 0; i < timed; i++) {
            double start = now_ms();
            release_value(run(r));
            printf("%.6f ", now_ms() - start);
        }
        puts("");
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fputs("usage: ort LIBRARY MODEL.onnx INPUT.f32 SHAPE OUT.f32 THREADS [KEY=VALUE ...]\n",
              stderr);
        return 2;
    }
    open_library(argv[1]);
    Run    r = {.input = read_input(argv[3], argv[4])};
    double start = now_ms();
    void  *allocator;
    r.session = make_session(argv[2], atoi(argv[6]), argv + 7, argc - 7);
    check(default_allocator(&allocator));
    check(get_input_name(r.session, 0, allocator, &r.input_name));
    check(get_output_name(r.session, 0, allocator, &r.output_name));
    double made = now_ms();
    void  *output = run(&r);
    double first = now_ms();
    write_output(argv[5], output);
    release_value(output);
    printf("ready %.3f %.3f %.1f\n", made - start, first - made, peak_mb());
    fflush(stdout);
    serve(&r);
    return 0;
}
