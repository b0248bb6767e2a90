/* runs.c - the model on files, or against the clock. */
#include "program.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* Memory of one run's inputs and outputs. */
typedef struct Buffers {
    void **in, **out;
} Buffers;

static void **alloc_ports(const kiln_port *ports, int n)
{
    void **all = program_alloc((size_t)(n + 1) * sizeof *all);
    for (int i = 0; i < n; i++)
        all[i] = program_alloc((size_t)ports[i].count * kiln_elem_bytes(ports[i].elem));
    return all;
}

static Buffers buffers(void)
{
    return (Buffers){alloc_ports(MODEL->inputs, MODEL->n_inputs),
                     alloc_ports(MODEL->outputs, MODEL->n_outputs)};
}

static void infer(const Buffers *b)
{
    MODEL->run((const void *const *)b->in, b->out);
}

/* peak_memory - of this program, in MB. The kernel's own figure for processes counts what their parent
 * held when it made them, so /proc is asked first. */
static double peak_memory(void)
{
    struct rusage usage;
    char          line[256];
    long          kib = 0;
    FILE         *f = fopen("/proc/self/status", "r");
    while (f && !kib && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6))
            kib = strtol(line + 6, NULL, 10);
    if (f)
        fclose(f);
    if (!kib) {
        getrusage(RUSAGE_SELF, &usage);
        kib = usage.ru_maxrss;
    }
    return (double)kib / 1024.0;
}

static void print_speed(int64_t images, double seconds)
{
    printf("%lld images, %.4g images/s, peak memory %.1f MB\n", (long long)images,
           (double)images / seconds, peak_memory());
}

static InFile *open_inputs(const Arguments *a, int64_t *runs)
{
    InFile *files = program_alloc((size_t)(MODEL->n_inputs + 1) * sizeof *files);
    *runs = 1;
    for (int i = 0; i < MODEL->n_inputs; i++) {
        if (!a->in[i])
            program_fail(KILN_USAGE, "no file for input '%s': --in NAME=FILE.npy",
                         MODEL->inputs[i].shown);
        in_open(&files[i], a->in[i]);
        int64_t n = in_runs(&files[i], &MODEL->inputs[i]);
        if (i && n != *runs)
            program_fail(KILN_DATA, "the files hold different numbers of inputs: %lld and %lld",
                         (long long)*runs, (long long)n);
        *runs = n;
    }
    return files;
}

static void open_labels(Scores *s, InFile *file, const char *path, int64_t runs)
{
    static const int64_t   one = 1;
    static const kiln_port port = {"labels", "labels", NULL, KILN_I32, 1, &one, 1};
    in_open(file, path);
    in_runs(file, &port);
    int64_t images = runs * (s->port->rank > 1 ? s->port->dims[0] : 1);
    if (file->npy.count != images)
        program_fail(KILN_DATA, "%s: %lld labels for %lld images", path, (long long)file->npy.count,
                     (long long)images);
    s->labels = file;
}

void runs_files(const Arguments *a)
{
    Buffers  b = buffers();
    int64_t  runs;
    InFile  *in = open_inputs(a, &runs), labels;
    OutFile *out = program_alloc((size_t)(MODEL->n_outputs + 1) * sizeof *out);
    Scores   scores = {.port = &MODEL->outputs[0], .top = a->top};
    uint64_t ns = 0;
    int      scored = a->labels || a->top;
    if (a->labels)
        open_labels(&scores, &labels, a->labels, runs);
    for (int i = 0; a->out && i < MODEL->n_outputs; i++)
        out_open(&out[i], a->out, &MODEL->outputs[i], runs);
    for (int64_t r = 0; r < runs; r++) {
        for (int i = 0; i < MODEL->n_inputs; i++)
            in_read(&in[i], &MODEL->inputs[i], b.in[i]);
        uint64_t start = kiln_clock();
        infer(&b);
        ns += kiln_clock() - start;
        for (int i = 0; a->out && i < MODEL->n_outputs; i++)
            out_write(&out[i], &MODEL->outputs[i], b.out[i]);
        if (scored)
            scores_add(&scores, b.out[0]);
    }
    for (int i = 0; a->out && i < MODEL->n_outputs; i++)
        out_close(&out[i]);
    scores_print(&scores);
    if (scored)
        print_speed(scores.images, (double)ns * 1e-9);
}

/* ---- times ------------------------------------------------------------------------------ */

/* fill - numbers in [-1, 1) for floats, small ones for integers: the same every time. */
static void fill(const kiln_port *port, void *to)
{
    uint64_t state = 1;
    for (int64_t i = 0; i < port->count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t bits = (uint32_t)(state >> 32);
        if (port->elem == KILN_F32)
            ((float *)to)[i] = (float)bits / 2147483648.0f - 1.0f;
        else if (port->elem == KILN_I32)
            ((int32_t *)to)[i] = (int32_t)(bits % 256);
        else
            ((unsigned char *)to)[i] = (unsigned char)(bits % 128);
    }
}

/* print_safely - a name from the model: nothing that steers a terminal, or ends the line or the field. */
static void print_safely(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c > 0x7e)
            printf("\\x%02x", (unsigned)c);
        else
            putchar(c);
    }
}

/* The time of each step in the last runs, in ns: a median leaves out what the machine did besides. */
enum { KEPT = 1024 };
static uint64_t *laps, *seen; /* [step][KEPT]; [step], its ns so far */
static long      n_laps;

static void start_laps(void)
{
    size_t n = (size_t)MODEL->n_steps;
    laps = program_alloc((n * KEPT + 1) * sizeof *laps);
    seen = program_alloc((n + 1) * sizeof *seen);
    for (int i = 0; i < MODEL->n_steps; i++)
        MODEL->steps[i].ns = MODEL->steps[i].calls = 0;
}

static void keep_laps(void)
{
    for (int i = 0; i < MODEL->n_steps; i++) {
        laps[i * KEPT + n_laps % KEPT] = MODEL->steps[i].ns - seen[i];
        seen[i] = MODEL->steps[i].ns;
    }
    n_laps++;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* step_ns - the median of what was kept, or the mean of all calls. */
static double step_ns(int i)
{
    const kiln_step *s = &MODEL->steps[i];
    size_t           n = (size_t)(n_laps < KEPT ? n_laps : KEPT);
    if (!n)
        return s->calls ? (double)s->ns / (double)s->calls : 0;
    uint64_t *own = &laps[i * KEPT];
    qsort(own, n, sizeof *own, by_size);
    return (double)(own[(n - 1) / 2] + own[n / 2]) / 2;
}

void runs_print_layers(void)
{
    for (int i = 0; i < MODEL->n_steps; i++) {
        const kiln_step *s = &MODEL->steps[i];
        printf("layer\t");
        print_safely(s->name);
        printf("\t%s\t%llu\t%.6f\n", s->kernel, (unsigned long long)s->macs, step_ns(i) * 1e-6);
    }
}

void runs_time(const Arguments *a)
{
    Buffers b = buffers();
    for (int i = 0; i < MODEL->n_inputs; i++) {
        InFile f;
        if (!a->in[i]) {
            fill(&MODEL->inputs[i], b.in[i]);
            continue;
        }
        in_open(&f, a->in[i]);
        in_runs(&f, &MODEL->inputs[i]);
        in_read(&f, &MODEL->inputs[i], b.in[i]);
    }
    infer(&b); /* pages and caches warm up */
    start_laps();
    for (long i = 0; i < a->bench; i++) {
        uint64_t start = kiln_clock();
        infer(&b);
        printf("%.6f\n", (double)(kiln_clock() - start) * 1e-6);
        keep_laps();
    }
}
