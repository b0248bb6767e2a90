/* bench.c - kiln bench: the built program, timed. */
#include "driver/driver.h"

#include <string.h>

/* choose_runs - as many as the time allows, from the time of one. */
static int64_t choose_runs(const Options *o, double ms)
{
    double seconds = o->seconds > 0 ? o->seconds : 2;
    double runs = seconds * 1000 / (ms > 1e-6 ? ms : 1e-6);
    return runs < 5 ? 5 : runs > 1000000 ? 1000000 : (int64_t)runs;
}

/* ---- the whole --------------------------------------------------------------------------- */

static double rate(double count, double ms)
{
    return ms > 0 ? count / ms * 1e-6 : 0;
}

static void print_total(Compilation *c, const Options *o, const Times *t)
{
    static const char *const titles[] = {"model",      "target",   ">runs", ">median ms",
                                         ">lowest ms", ">GMACs/s", ">MMACs"};
    Table                   *table = table_new(c->arena, titles, COUNT_OF(titles));
    double                   macs = 0;
    for (int i = 0; i < c->program->n_steps; i++)
        macs += (double)c->program->steps[i].macs;
    table_cell(table, "%s", text_printable(c->arena, c->graph->name));
    table_cell(table, "%s", o->target->name);
    table_cell(table, "%zu", t->n);
    table_cell(table, "%.4f", t->median);
    table_cell(table, "%.4f", t->ms[0]);
    table_cell(table, "%.1f", rate(macs, t->median));
    table_cell(table, "%.2f", macs * 1e-6);
    table_print(table, stdout);
}

/* ---- layers ------------------------------------------------------------------------------ */

/* What a row of the table is made of; the total is the sum of all. */
typedef struct Row {
    double ms, macs, bytes;
    double cycles; /* estimated; 0: there is no estimate */
} Row;

static void add_number(Table *t, const char *fmt, double v) __attribute__((format(printf, 2, 0)));

/* add_number - a dash for 0, so that every row has all of its cells. */
static void add_number(Table *t, const char *fmt, double v)
{
    if (v > 0)
        table_cell(t, fmt, v);
    else
        table_cell(t, "-");
}

/* add_figures - `peak` in multiply-adds a second; estimates count two vectors of them a cycle. */
static void add_figures(Table *t, const Options *o, const Row *r, double all_ms, double peak)
{
    double pair = 2.0 * peak_lanes(o->target);
    table_cell(t, "%.4f", r->ms);
    table_cell(t, "%.1f %%", all_ms > 0 ? 100 * r->ms / all_ms : 0);
    add_number(t, "%.1f", rate(2 * r->macs, r->ms));
    add_number(t, "%.1f %%", 100 * rate(r->macs, r->ms) * 1e9 / peak);
    add_number(t, "%.2f", rate(r->bytes, r->ms));
    add_number(t, "%.4f", 1000 * r->cycles * pair / peak);
}

static void print_layers(Compilation *c, const Options *o, const Times *times, double peak)
{
    static const char *const titles[] = {"layer",  "kernel", "algorithm", "tile",  ">median ms",
                                         ">share", ">GF/s",  ">of peak",  ">GB/s", ">predicted"};
    Table                   *t = table_new(c->arena, titles, COUNT_OF(titles));
    const Layer             *layers = model_layers(c, o);
    Row                      sum = {0};
    for (size_t i = 0; i < times->n_layers; i++)
        sum.ms += times->layers[i];
    for (int i = 0; i < c->program->n_steps; i++) {
        const Layer *l = &layers[i];
        const char  *algorithm = layer_algorithm(c->arena, l, l->chosen);
        const char  *tile = layer_tile(c->arena, l);
        double       cycles = l->n_costs ? l->costs[l->chosen].cycles : 0;
        Row          r = {times->layers[i], (double)l->macs, (double)l->weight_bytes, cycles};
        table_cell(t, "%s", text_printable(c->arena, l->name));
        table_cell(t, "%s", c->program->functions[l->kernel]->name);
        table_cell(t, "%s", *algorithm ? algorithm : "-");
        table_cell(t, "%s", *tile ? tile : "-");
        add_figures(t, o, &r, sum.ms, peak);
        sum.macs += r.macs;
        sum.bytes += r.bytes;
        sum.cycles += r.cycles;
    }
    table_rule(t);
    table_cell(t, "total");
    for (int i = 0; i < 3; i++)
        table_cell(t, "-");
    add_figures(t, o, &sum, sum.ms, peak);
    table_print(t, stdout);
}

/* bench_layers - the peak is measured before and after: the better one counts. */
static bool bench_layers(Compilation *c, const Options *o, const char *program, const char *weights,
                         int64_t runs, Times *t)
{
    const char *peak_program = peak_build(c, o);
    double      before, after;
    if (!peak_program || !(before = peak_measure(c, o, peak_program)) ||
        !time_program(c, o, program, weights, runs, c->program->n_steps, t) ||
        !(after = peak_measure(c, o, peak_program)))
        return false;
    double peak = before > after ? before : after;
    print_layers(c, o, t, peak);
    printf("\npeak: %.1f GF/s before, %.1f after; a cycle of the predictions takes %.3f ns\n\n",
           2e-9 * before, 2e-9 * after, 2e9 * peak_lanes(o->target) / peak);
    return true;
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
    const char *weights =
        o->weights == WEIGHTS_FILE ? temp_file(c->arena, "model.weights.bin") : NULL;
    if (!build_program(c, &with_profile, dir, program))
        return diag_status(c->diag);
    int64_t runs = o->runs;
    if (!runs) {
        if (!time_program(c, o, program, weights, 1, 0, &t))
            return diag_status(c->diag);
        runs = choose_runs(o, t.median);
    }
    if (o->layers ? bench_layers(c, o, program, weights, runs, &t)
                  : time_program(c, o, program, weights, runs, 0, &t))
        print_total(c, o, &t);
    return diag_status(c->diag);
}
