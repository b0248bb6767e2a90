/* timing.c - a built program against the clock: what bench and tune stand on. */
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_size);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void add(Arena *a, double **items, size_t *n, size_t *cap, double v)
{
    *items = arena_grow(a, *items, *n, cap, sizeof **items);
    (*items)[(*n)++] = v;
}

/* layer_time - the last of the five fields of a layer's line: layer, name, kernel, MACs, ms. */
static bool layer_time(const char *line, double *ms)
{
    for (int i = 0; i < 4; i++) {
        line = strchr(line, '\t');
        if (!line++)
            return false;
    }
    *ms = strtod(line, NULL);
    return true;
}

/* take_output - lines with the time of one run, then one of each layer. */
static void take_output(Arena *a, Times *t, char *text)
{
    size_t cap = 0, cap_layers = 0;
    for (char *line; (line = strsep(&text, "\n")) != NULL;) {
        char  *end;
        double ms = strtod(line, &end);
        if (!strncmp(line, "layer\t", strlen("layer\t"))) {
            if (layer_time(line, &ms))
                add(a, &t->layers, &t->n_layers, &cap_layers, ms);
        } else if (end > line && !*end) {
            add(a, &t->ms, &t->n, &cap, ms);
        }
    }
}

bool time_program(Compilation *c, const Options *o, const char *program, const char *weights,
                  int64_t runs, int n_layers, Times *t)
{
    const char *argv[24];
    int         n = build_runner(c, o, program, argv), status;
    Text        out, err;
    if (!n)
        return false;
    argv[n++] = "--bench";
    argv[n++] = arena_printf(c->arena, "%lld", (long long)runs);
    if (n_layers)
        argv[n++] = "--layers";
    if (weights) {
        argv[n++] = "--weights";
        argv[n++] = weights;
    }
    argv[n] = NULL;
    *t = (Times){0};
    if (!process_run(c->arena, c->diag, argv, &status, &out, &err))
        return false;
    if (status == 0 && out.data)
        take_output(c->arena, t, out.data);
    if (!t->n || t->n_layers != (size_t)n_layers) {
        diag_error(c->diag, (Span){0}, "the built program failed with status %d: %s", status,
                   err.data ? err.data : "");
        return false;
    }
    t->median = median(t->ms, t->n);
    return true;
}
