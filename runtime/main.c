/* main.c - the program around a model: its command line. */
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *program;

_Noreturn void program_fail(int code, const char *fmt, ...)
{
    va_list args;
    fflush(stdout);
    fprintf(stderr, "%s: error: ", program);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    if (code == KILN_USAGE)
        fprintf(stderr, "Try '%s --help'.\n", program);
    files_abandon();
    exit(code);
}

void *program_alloc(size_t bytes)
{
    void *memory = kiln_alloc(bytes);
    if (!memory)
        program_fail(KILN_MACHINE, "out of memory");
    return memory;
}

/* finish - the way out when all went well: what was printed has to have arrived. */
_Noreturn static void finish(int code)
{
    if (fflush(stdout) || ferror(stdout))
        program_fail(KILN_MACHINE, "cannot write to standard output");
    exit(code);
}

static void on_signal(int number)
{
    files_abandon();
    signal(number, SIG_DFL);
    raise(number);
}

/* ---- arguments -------------------------------------------------------------------------- */

static void print_help(void)
{
    printf("Usage: %s --in NAME=FILE.npy ... [--out DIR]\n\n"
           "  --in NAME=FILE.npy  contents of an input; once for each. A leading batch is run one\n"
           "                      after the other\n"
           "  --out DIR           write DIR/NAME.npy for each output\n"
           "  --labels FILE.npy   print how many images the first output puts in their class\n"
           "  --top K             print the K best classes of each image\n"
           "  --bench N           print the times of N runs in ms, one a line\n"
           "  --info              print what the model is\n",
           program);
    if (MODEL->steps)
        printf("  --layers            print the time of each layer\n");
    if (MODEL->set_threads)
        printf("  --threads N         run on N threads\n");
    if (MODEL->load_weights)
        printf("  --weights FILE      the weights (default: %s.weights.bin)\n", program);
    if (MODEL->self_test)
        printf("  --self-test         run the test vector inside\n");
}

/* take_input - NAME=FILE; a name may hold '=' itself. */
static void take_input(Arguments *a, const char *value)
{
    for (int i = 0; i < MODEL->n_inputs; i++) {
        size_t n = strlen(MODEL->inputs[i].name);
        if (!strncmp(value, MODEL->inputs[i].name, n) && value[n] == '=') {
            a->in[i] = value + n + 1;
            return;
        }
    }
    program_fail(KILN_USAGE, "--in: the model has no such input: '%s'", value);
}

static long take_number(const char *option, const char *value, long most)
{
    char *end;
    errno = 0;
    long v = strtol(value, &end, 10);
    if (errno || end == value || *end || v < 1 || v > most)
        program_fail(KILN_USAGE, "%s: '%s' is not a number from 1 to %ld", option, value, most);
    return v;
}

/* take_value - an option with an argument; 0: no such option. */
static int take_value(Arguments *a, const char *option, const char *value)
{
    if (!strcmp(option, "--in"))
        take_input(a, value);
    else if (!strcmp(option, "--out"))
        a->out = value;
    else if (!strcmp(option, "--labels"))
        a->labels = value;
    else if (!strcmp(option, "--weights") && MODEL->load_weights)
        a->weights = value;
    else if (!strcmp(option, "--top"))
        a->top = (int)take_number(option, value, 100);
    else if (!strcmp(option, "--bench"))
        a->bench = take_number(option, value, 1000000000);
    else if (!strcmp(option, "--threads") && MODEL->set_threads)
        a->threads = (int)take_number(option, value, KILN_MAX_THREADS);
    else
        return 0;
    return 1;
}

static int takes_value(const char *option)
{
    static const char *const all[] = {"--in",  "--out",   "--labels", "--weights",
                                      "--top", "--bench", "--threads"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(option, all[i]))
            return 1;
    return 0;
}

static void parse(Arguments *a, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (!strcmp(option, "--help") || !strcmp(option, "-h")) {
            print_help();
            finish(KILN_DONE);
        }
        if (!strcmp(option, "--info"))
            a->info = 1;
        else if (!strcmp(option, "--self-test") && MODEL->self_test)
            a->self_test = 1;
        else if (!strcmp(option, "--layers") && MODEL->steps)
            a->layers = 1;
        else if (takes_value(option) && i + 1 == argc)
            program_fail(KILN_USAGE, "%s: the argument is missing", option);
        else if (!takes_value(option) || !take_value(a, option, argv[++i]))
            program_fail(KILN_USAGE, "unknown option '%s'", option);
    }
}

/* ---- the model -------------------------------------------------------------------------- */

static void load_weights(const char *path)
{
    size_t bytes, n = strlen(program) + sizeof ".weights.bin";
    char  *beside = program_alloc(n);
    snprintf(beside, n, "%s.weights.bin", program);
    /* The memory stays: the model reads its weights from there. */
    const void *blob = pages_of_file(path ? path : beside, &bytes);
    if (MODEL->load_weights(blob, bytes))
        program_fail(KILN_DATA, "%s: these are not the weights of this program",
                     path ? path : beside);
}

static void start_model(const Arguments *a)
{
    int problem = 0;
    if (MODEL->load_weights)
        load_weights(a->weights);
    if (MODEL->arena)
        *MODEL->arena = pages_new(MODEL->arena_bytes);
    if (MODEL->init && (problem = MODEL->init()) != 0)
        program_fail(KILN_MACHINE, "the model cannot be started: %s", strerror(problem));
    if (a->threads && (problem = MODEL->set_threads(a->threads)) != 0)
        program_fail(KILN_MACHINE, "cannot start %d threads: %s", a->threads, strerror(problem));
}

static void print_ports(const char *what, const kiln_port *ports, int n)
{
    static const char *const names[] = {
        [KILN_F32] = "f32", [KILN_I8] = "i8", [KILN_U8] = "u8", [KILN_I32] = "i32"};
    for (int i = 0; i < n; i++) {
        printf("%-10s%s: %s[", what, ports[i].shown, names[ports[i].elem]);
        for (int k = 0; k < ports[i].rank; k++)
            printf("%s%lld", k ? ", " : "", (long long)ports[i].dims[k]);
        printf("]\n");
    }
}

static void print_info(void)
{
    printf("model     %s\nmade by   %s\n", MODEL->name, MODEL->how);
    print_ports("input", MODEL->inputs, MODEL->n_inputs);
    print_ports("output", MODEL->outputs, MODEL->n_outputs);
    printf("weights   %zu bytes\n", MODEL->weight_bytes);
    if (MODEL->packed_bytes)
        printf("          %zu bytes laid out at start\n", MODEL->packed_bytes);
    printf("arena     %zu bytes\nMACs      %llu\n", MODEL->arena_bytes,
           (unsigned long long)MODEL->macs);
}

/* ---- main ------------------------------------------------------------------------------ */

static int self_test(void)
{
    int problem = MODEL->self_test();
    printf("self test: %s\n", problem ? "FAILED" : "passed");
    return problem ? KILN_DATA : KILN_DONE;
}

int main(int argc, char **argv)
{
    Arguments a = {0};
    program = argc > 0 ? argv[0] : "program";
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    a.in = program_alloc((size_t)(MODEL->n_inputs + 1) * sizeof *a.in);
    parse(&a, argc, argv);
    if (a.info) {
        print_info();
        finish(KILN_DONE);
    }
    start_model(&a);
    if (a.self_test)
        finish(self_test());
    if (a.bench)
        runs_time(&a);
    else
        runs_files(&a);
    if (a.layers)
        runs_print_layers();
    finish(KILN_DONE);
}
