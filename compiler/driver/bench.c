/* bench.c - kiln bench: the built program, timed. */
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A layer's line as the program prints it. */
typedef struct Layer {
    const char *name, *kernel;
    double      macs, ms;
} Layer;

typedef struct Times {
    double *ms;
    size_t  n, cap;
    Layer  *layers;
    size_t  n_layers, cap_layers;
} Times;

/* ---- running the program ---------------------------------------------------------------- */

static void take_layer(Arena *a, Times *t, char *line)
{
    char *fields[5], *rest = line;
    for (size_t i = 0; i < COUNT_OF(fields); i++)
        if (!(fields[i] = strsep(&rest, "\t")))
            return;
    t->layers = arena_grow(a, t->layers, t->n_layers, &t->cap_layers, sizeof *t->layers);
    t->layers[t->n_layers++] =
        (Layer){fields[1], fields[2], strtod(fields[3], NULL), strtod(fields[4], NULL)};
}

static void take_output(Arena *a, Times *t, char *text)
{
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        char  *end;
        double ms = strtod(line, &end);
        if (!strncmp(line, "layer\t", strlen("layer\t")))
            take_layer(a, t, line);
        else if (end > line && !*end) {
            t->ms = arena_grow(a, t->ms, t->n, &t->cap, sizeof *t->ms);
            t->ms[t->n++] = ms;
        }
    }
}

static bool time_runs(Compilation *c, const Options *o, const char *program, int64_t runs, Times *t)
{
    const char *argv[24];
    int         n = build_runner(c, o, program, argv), status;
    Text        out, err;
    if (!n)
        return false;
    argv[n++] = "--bench";
    argv[n++] = arena_printf(c->arena, "%lld", (long long)runs);
    if (o->layers)
        argv[n++] = "--layers";
    if (o->weights == WEIGHTS_FILE) {
        argv[n++] = "--weights";
        argv[n++] = temp_file(c->arena, "model.weights.bin");
    }
    argv[n] = NULL;
    *t = (Times){0};
    if (!process_run(c->arena, c->diag, argv, &status, &out, &err))
        return false;
    if (status == 0 && out.data)
        take_output(c->arena, t, out.data);
    if (!t->n) {
        diag_error(c->diag, (Span){0}, "the built program failed with status %d: %s", status,
                   err.data ? err.data : "");
        return false;
    }
    qsort(t->ms, t->n, sizeof *t->ms, by_size);
    return true;
}

/* choose_runs - as many as the time allows, from the time of one. */
static int64_t choose_runs(const Options *o, double ms)
{
    double seconds = o->seconds > 0 ? o->seconds : 2;
    double runs = seconds * 1000 / (ms > 1e-6 ? ms : 1e-6);
    return runs < 5 ? 5 : runs > 1000000 ? 1000000 : (int64_t)runs;
}

/* ---- tables ----------------------------------------------------------------------------- */

static double rate(double macs, double ms)
{
    return ms > 0 ? macs / ms * 1e-6 : 0;
}

static void print_total(Compilation *c, const Options *o, const Times *t)
{
    static const char *const titles[] = {"model",      "target",   ">runs", ">median ms",
                                         ">lowest ms", ">GMACs/s", ">MMACs"};
    Table                   *table = table_new(c->arena, titles, COUNT_OF(titles));
    double                   macs = 0, median = t->ms[t->n / 2];
    for (int i = 0; i < c->program->n_steps; i++)
        macs += (double)c->program->steps[i].macs;
    table_cell(table, "%s", text_printable(c->arena, c->graph->name));
    table_cell(table, "%s", o->target->name);
    table_cell(table, "%zu", t->n);
    table_cell(table, "%.4f", median);
    table_cell(table, "%.4f", t->ms[0]);
    table_cell(table, "%.1f", rate(macs, median));
    table_cell(table, "%.2f", macs * 1e-6);
    table_print(table, stdout);
}

static void print_layers(Compilation *c, const Times *t)
{
    static const char *const titles[] = {"layer", "kernel", ">mean ms", ">share", ">GMACs/s"};
    Table                   *table = table_new(c->arena, titles, COUNT_OF(titles));
    double                   all = 0;
    for (size_t i = 0; i < t->n_layers; i++)
        all += t->layers[i].ms;
    for (size_t i = 0; i < t->n_layers; i++) {
        const Layer *l = &t->layers[i];
        table_cell(table, "%s", l->name);
        table_cell(table, "%s", l->kernel);
        table_cell(table, "%.4f", l->ms);
        table_cell(table, "%.1f %%", all > 0 ? 100 * l->ms / all : 0);
        if (l->macs > 0)
            table_cell(table, "%.1f", rate(l->macs, l->ms));
        else
            table_cell(table, "%s", "");
    }
    table_print(table, stdout);
    printf("\n");
}

int command_bench(Compilation *c, const Options *o)
{
    Options     with_profile = *o;
    Times       t;
    const char *dir = temp_folder(c->arena, c->diag);
    with_profile.profile = o->layers;
    if (!dir || !model_compile(c, &with_profile))
        return diag_status(c->diag);
    const char *program = temp_file(c->arena, "program");
    if (!build_program(c, &with_profile, dir, program))
        return diag_status(c->diag);
    int64_t runs = o->runs;
    if (!runs) {
        if (!time_runs(c, o, program, 1, &t))
            return diag_status(c->diag);
        runs = choose_runs(o, t.ms[0]);
    }
    if (!time_runs(c, o, program, runs, &t))
        return diag_status(c->diag);
    if (o->layers)
        print_layers(c, &t);
    print_total(c, o, &t);
    return EXIT_DONE;
}
