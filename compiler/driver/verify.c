/* verify.c - kiln verify: the built program against the evaluator, on seeded inputs. */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

typedef struct Verify {
    Compilation   *c;
    const Options *o;
    const char    *program;
    Table         *table;
    const Graph   *rounded; /* what the evaluator runs                           */
    const Graph   *written; /* with f32 throughout; NULL: the same, nothing is rounded */
    bool           past_bound;
} Verify;

static void show_nodes(int done, int total)
{
    progress("evaluator", done, total);
}

/* ---- inputs ----------------------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 32;
}

/* normal - the sum of twelve uniforms less six has variance 1. */
static double normal(uint64_t *state)
{
    double sum = 0;
    for (int i = 0; i < 12; i++)
        sum += (double)next_random(state) * 0x1p-32;
    return sum - 6;
}

static double random_element(Elem e, uint64_t *state)
{
    switch (e) {
    case U8: return (double)(next_random(state) & 255);
    case I8:
    case I32: return (double)(next_random(state) & 255) - 128;
    default: return (double)(float)normal(state);
    }
}

/* write_input - a seeded array, in the caller's order; also its file's path. */
static bool write_input(Verify *v, int i, uint64_t *state, Array *in, const char **path)
{
    Compilation *c = v->c;
    const Port  *port = &c->graph->inputs[i];
    const Type  *t = &value_get(c->graph, port->value)->type;
    Type         outside = port_type(c->graph, port);
    int64_t      n = type_count(t);
    double      *data = arena_array(c->arena, double, (size_t)n);
    for (int64_t k = 0; k < n; k++)
        data[k] = random_element(t->elem, state);
    *in = (Array){*t, arena_array(c->arena, double, (size_t)n)};
    port_in(c->graph, port, data, in->data);
    *path = temp_file(c->arena, arena_printf(c->arena, "input_%d", i));
    return npy_write(c->arena, c->diag, *path, &outside, 0, data, t->elem);
}

/* run_program - on the files written; its results are found beside them. */
static bool run_program(Verify *v, const char *dir, const char *const *paths)
{
    Compilation *c = v->c;
    const Graph *g = c->graph;
    const char **argv = arena_array(c->arena, const char *, (size_t)(24 + 2 * g->n_inputs));
    int          n = build_runner(c, v->o, v->program, argv), status;
    Text         said;
    if (!n)
        return false;
    for (int i = 0; i < g->n_inputs; i++) {
        argv[n++] = "--in";
        argv[n++] = arena_printf(c->arena, "%s=%s", g->inputs[i].name, paths[i]);
    }
    argv[n++] = "--out";
    argv[n++] = dir;
    if (v->o->weights == WEIGHTS_FILE) {
        argv[n++] = "--weights";
        argv[n++] = temp_file(c->arena, "model.weights.bin");
    }
    for (int i = 0; i < g->n_outputs; i++) {
        char *file = port_file(c->arena, &g->outputs[i]);
        temp_file(c->arena, file);
        temp_file(c->arena, arena_printf(c->arena, "%s.partial", file));
    }
    if (!process_run(c->arena, c->diag, argv, &status, NULL, &said))
        return false;
    if (status)
        diag_error(c->diag, (Span){0}, "the built program failed with status %d: %s", status,
                   said.data ? said.data : "");
    return status == 0;
}

/* ---- comparison ------------------------------------------------------------------------- */

typedef struct Difference {
    double  absolute, relative; /* largest */
    double  deviation;          /* standard deviation of the exact output */
    int64_t where;              /* of the largest */
} Difference;

static double difference_of(double got, double want)
{
    if (got == want || (isnan(got) && isnan(want)))
        return 0;
    double d = fabs(got - want);
    return isnan(d) ? INFINITY : d;
}

/* compare - relative errors are to the element, or to the output's root mean square where that is
 * more: next to zero they would say nothing. */
static Difference compare(const Npy *got, const double *want, int64_t n)
{
    Difference d = {0, 0, 0, 0};
    double     sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += want[i];
        squares += want[i] * want[i];
    }
    double rms = sqrt(squares / (double)n);
    d.deviation = sqrt(fmax(0, squares / (double)n - sum / (double)n * (sum / (double)n)));
    for (int64_t i = 0; i < n; i++) {
        double e = difference_of(npy_get(got, i), want[i]);
        if (e > d.absolute) {
            d.absolute = e;
            d.where = i;
        }
        if (e > 0)
            d.relative = fmax(d.relative, e / fmax(fabs(want[i]), rms));
    }
    return d;
}

static double ratio(double a, double b)
{
    return a > 0 ? a / b : 0;
}

static void add_row(Verify *v, int64_t run, const Port *port, const Difference *d,
                    const Rounding *r, double cost)
{
    bool past = !(d->absolute <= r->bound);
    table_cell(v->table, "%lld", (long long)run);
    table_cell(v->table, "%s", text_printable(v->c->arena, port->name));
    table_cell(v->table, "%.3g", d->deviation);
    table_cell(v->table, "%.2e", d->absolute);
    table_cell(v->table, "%.2e", d->relative);
    table_cell(v->table, "%.2e", ratio(d->absolute, d->deviation));
    table_cell(v->table, "%.2f", ratio(d->absolute, r->direct));
    table_cell(v->table, "%.2e", r->bound);
    table_cell(v->table, "%.3f", ratio(d->absolute, r->bound));
    if (v->written)
        table_cell(v->table, "%.2e", ratio(cost, d->deviation));
    table_cell(v->table, "%s", past ? "FAILED" : "ok");
    if (past)
        diag_error(v->c->diag, port->where,
                   "output '%s' is off by %.3g at element %lld, past the bound %.3g",
                   text_printable(v->c->arena, port->name), d->absolute, (long long)d->where,
                   r->bound);
    v->past_bound |= past;
}

/* largest_difference - between two results of the evaluator. */
static double largest_difference(const Array *a, const Array *b)
{
    double most = 0;
    for (int64_t i = 0; i < type_count(&a->type); i++)
        most = fmax(most, difference_of(a->data[i], b->data[i]));
    return most;
}

/* check_outputs - `exact` are those of f32 weights, where the program's are rounded. */
static bool check_outputs(Verify *v, int64_t run, const char *dir, const Rounding *outputs,
                          const Array *exact)
{
    Compilation *c = v->c;
    const Graph *g = c->graph;
    for (int i = 0; i < g->n_outputs; i++) {
        const Port *port = &g->outputs[i];
        int64_t     n = type_count(&outputs[i].exact.type);
        double     *want = arena_array(c->arena, double, (size_t)n);
        Npy         got;
        if (!npy_open(c->diag, arena_printf(c->arena, "%s/%s", dir, port_file(c->arena, port)),
                      &got))
            return false;
        if (got.head.count != n) {
            diag_error(c->diag, port->where, "the program wrote %lld elements of '%s', not %lld",
                       (long long)got.head.count, text_printable(c->arena, port->name),
                       (long long)n);
            return false;
        }
        port_out(g, port, outputs[i].exact.data, want);
        Difference d = compare(&got, want, n);
        double     cost = exact ? largest_difference(&exact[i], &outputs[i].exact) : 0;
        add_row(v, run, port, &d, &outputs[i], cost);
    }
    return true;
}

static bool verify_run(Verify *v, const char *dir, int64_t run)
{
    Compilation *c = v->c;
    const Graph *g = v->rounded;
    uint64_t     state = (uint64_t)(v->o->seed + run);
    Array       *in = arena_array(c->arena, Array, (size_t)g->n_inputs);
    Rounding    *outputs = arena_array(c->arena, Rounding, (size_t)g->n_outputs);
    const char **paths = arena_array(c->arena, const char *, (size_t)g->n_inputs);
    Array       *exact = v->written ? arena_array(c->arena, Array, (size_t)g->n_outputs) : NULL;
    for (int i = 0; i < g->n_inputs; i++)
        if (!write_input(v, i, &state, &in[i], &paths[i]))
            return false;
    if (!run_program(v, dir, paths))
        return false;
    rounding_bounds(g, c->program->graph, in, state, outputs, c->arena, show_nodes);
    if (exact)
        graph_eval(v->written, in, exact, c->arena, show_nodes);
    progress_end();
    return check_outputs(v, run, dir, outputs, exact);
}

/* ---- the command ------------------------------------------------------------------------ */

/* read_written - the graph as the model has it, shapes inferred: what the evaluator runs. */
static Graph *read_written(Compilation *c, const Options *o)
{
    Options shapes = *o;
    shapes.passes = (PassOptions){.only = "infer-shapes"};
    return model_read(c, o) && model_passes(c, &shapes) ? c->graph : NULL;
}

/* read_rounded - the graph with its weights rounded as --store says, and what --fp fast multiplies, and no
 * layouts: what the evaluator runs in place of the one above. */
static Graph *read_rounded(Compilation *c, const Options *o)
{
    Options rounded = *o;
    rounded.passes.last = "round-products";
    rounded.passes.print_after = NULL;
    return model_read(c, o) && model_passes(c, &rounded) ? c->graph : NULL;
}

int command_verify(Compilation *c, const Options *o)
{
    const char *titles[] = {">run",
                            "output",
                            ">std",
                            ">max abs error",
                            ">max rel error",
                            ">error/std",
                            ">error/fp32",
                            ">bound",
                            ">error/bound",
                            "",
                            ""};
    int         n_titles = COUNT_OF(titles) - 1;
    const char *dir = temp_folder(c->arena, c->diag);
    if (!dir || !model_compile(c, o))
        return diag_status(c->diag);
    bool rounds = c->loss.n_weights > 0;
    if (rounds)
        titles[n_titles++ - 1] = arena_printf(c->arena, ">%s/std", rounded_name(o));
    Verify v = {.c = c, .o = o, .program = temp_file(c->arena, "program")};
    v.table = table_new(c->arena, titles, n_titles);
    if (!build_program(c, o, dir, v.program))
        return diag_status(c->diag);
    v.rounded = read_written(c, o);
    if (rounds) {
        v.written = v.rounded;
        v.rounded = read_rounded(c, o);
    }
    for (int64_t run = 0; v.rounded && run < (o->runs ? o->runs : 1); run++)
        if (!verify_run(&v, dir, run))
            return diag_status(c->diag);
    if (!o->quiet)
        table_print(v.table, stdout);
    return diag_status(c->diag);
}
