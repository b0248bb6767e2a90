/* run.c - kiln run: the reference evaluator on files. */
#include "driver/driver.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* What one run of the model reads and makes; data of all runs one after the other in `results`. */
typedef struct Runs {
    Compilation *c;
    const Npy   *files;
    int64_t      n;
    double     **results; /* one array an output, in the caller's order */
} Runs;

static void show_nodes(int done, int total)
{
    progress("run", done, total);
}

/* check_elements - integers from a file that are past the input's type are an error, not a wrap. */
static bool check_element(Compilation *c, const Port *port, Elem e, double v)
{
    if (e != I32 || (v >= INT32_MIN && v <= INT32_MAX))
        return true;
    diag_error(c->diag, port->where, "an element for input '%s' does not fit i32: %.0f",
               text_printable(c->arena, port->name), v);
    return false;
}

/* load - the elements of run `r` of input `i`. Floats are what f32 makes of them, as in emitted C. */
static bool load(const Runs *runs, int i, int64_t r, Array *in, Arena *scratch)
{
    const Graph *g = runs->c->graph;
    const Port  *port = &g->inputs[i];
    int64_t      count = type_count(&value_get(g, port->value)->type);
    double      *outside = arena_array(scratch, double, (size_t)count);
    Elem         e = value_get(g, port->value)->type.elem;
    for (int64_t k = 0; k < count; k++) {
        double v = npy_get(&runs->files[i], r * count + k);
        if (!check_element(runs->c, port, e, v))
            return false;
        outside[k] = elem_is_float(e) ? (double)(float)v : v;
    }
    *in = (Array){value_get(g, port->value)->type, arena_array(scratch, double, (size_t)count)};
    port_in(g, port, outside, in->data);
    return true;
}

static bool run_once(const Runs *runs, int64_t r)
{
    const Graph *g = runs->c->graph;
    Arena       *scratch = arena_new();
    Array       *in = arena_array(scratch, Array, (size_t)g->n_inputs);
    Array       *out = arena_array(scratch, Array, (size_t)g->n_outputs);
    bool         ok = true;
    for (int i = 0; i < g->n_inputs && ok; i++)
        ok = load(runs, i, r, &in[i], scratch);
    if (ok) {
        graph_eval(g, in, out, scratch, runs->n == 1 ? show_nodes : NULL);
        for (int i = 0; i < g->n_outputs; i++)
            port_out(g, &g->outputs[i], out[i].data,
                     runs->results[i] + r * type_count(&out[i].type));
    }
    arena_free(scratch);
    return ok;
}

static bool run_all(Runs *runs)
{
    Compilation *c = runs->c;
    const Graph *g = c->graph;
    runs->results = arena_array(c->arena, double *, (size_t)g->n_outputs);
    for (int i = 0; i < g->n_outputs; i++) {
        int64_t count;
        if (!mul_ok(type_count(&value_get(g, g->outputs[i].value)->type), runs->n, &count)) {
            diag_error(c->diag, (Span){0}, "the results of %lld runs do not fit in memory",
                       (long long)runs->n);
            return false;
        }
        runs->results[i] = arena_array(c->arena, double, (size_t)count);
    }
    for (int64_t r = 0; r < runs->n; r++) {
        if (!run_once(runs, r))
            return false;
        progress("run", r + 1, runs->n);
    }
    progress_end();
    return true;
}

/* write_results - runs are joined along the first dimension. */
static bool write_results(const Runs *runs, const char *folder)
{
    Compilation *c = runs->c;
    const Graph *g = c->graph;
    for (int i = 0; i < g->n_outputs; i++) {
        Type    t = port_type(g, &g->outputs[i]);
        char   *path = arena_printf(c->arena, "%s/%s", folder, port_file(c->arena, &g->outputs[i]));
        int64_t lead = 0;
        if (t.rank > 0)
            t.dims[0] *= runs->n;
        else if (runs->n > 1)
            lead = runs->n;
        if (!npy_write(c->arena, c->diag, path, &t, lead, runs->results[i], t.elem))
            return false;
    }
    return true;
}

int command_run(Compilation *c, const Options *o)
{
    Options shapes = *o;
    int64_t n;
    shapes.target = target_by_name("c99");
    shapes.passes = (PassOptions){.only = "infer-shapes"};
    if (!model_read(c, o) || !model_passes(c, &shapes))
        return diag_status(c->diag);
    Npy *files = arena_array(c->arena, Npy, (size_t)c->graph->n_inputs);
    if (!port_files(c, o, files, &n))
        return diag_status(c->diag);
    Runs runs = {c, files, n, NULL};
    if (!run_all(&runs))
        return diag_status(c->diag);
    if (mkdir(o->out, 0777) && errno != EEXIST) {
        diag_system(c->diag, "cannot make the folder '%s': %s", o->out, strerror(errno));
        return EXIT_MACHINE;
    }
    write_results(&runs, o->out);
    return diag_status(c->diag);
}
