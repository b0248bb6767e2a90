/* tune_build.c - a choice for each layer as a program, and two programs against the clock. */
#include "driver/tuner.h"

#include <string.h>

enum { TURNS = 9, LEAST_RUNS = 3, MOST_RUNS = 20000 };

/* ---- building ---------------------------------------------------------------------------- */

/* is_done - whether node `n` is computed as the choice says. */
static bool is_done(const Choice *c, const Node *n)
{
    return c->algorithm == (int)n->algorithm && c->winograd == n->winograd;
}

/* drop_refused - layers whose layouts do not allow the algorithm are as by default; true: some. */
static bool drop_refused(Tune *t, const Graph *g)
{
    bool any = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        int i = plan_layer(t, node_get(g, n)->name);
        if (i < 0 || !choice_algorithm(&t->layers[i].now) ||
            is_done(&t->layers[i].now, node_get(g, n)))
            continue;
        t->layers[i].now = by_default;
        t->layers[i].refused = true;
        any = true;
    }
    return any;
}

bool tune_compile(Tune *t, Compilation *c)
{
    bool ok;
    for (int i = 0; i < t->n_layers; i++)
        t->layers[i].refused = false;
    do {
        arena_free(c->arena);
        *c = (Compilation){.arena = arena_new()};
        c->diag = diag_new(c->arena);
        Text text = plan_text(t, c->arena);
        c->schedules =
            schedule_parse(c->arena, c->diag, (Source){"(schedule)", text.data, text.len});
        ok = c->schedules && model_read(c, t->o) && model_passes(c, t->o);
    } while (ok && drop_refused(t, c->graph));
    return ok && model_program(c, t->o);
}

/* keep_files - program and weights under names of their own, for the next build takes theirs. */
static bool keep_files(Tune *t, Compilation *c, const char *tag, Built *b)
{
    const char *weights = temp_file(t->arena, "model.weights.bin");
    b->weights = temp_file(t->arena, arena_printf(t->arena, "%s.weights.bin", tag));
    if (weights_held(c->program, &c->program->options) == HELD_NONE)
        b->weights = NULL;
    else if (rename(weights, b->weights)) {
        diag_system(c->diag, "cannot rename '%s'", weights);
        return false;
    }
    return true;
}

bool tune_finish(Tune *t, Compilation *c, const char *tag, Built *b)
{
    *b = (Built){.program = temp_file(t->arena, tag)};
    if (!build_program(c, t->o, t->dir, b->program) || !keep_files(t, c, tag, b))
        return false;
    b->n_steps = c->program->n_steps;
    b->layer = arena_array(t->arena, int, (size_t)b->n_steps + 1);
    for (int i = 0; i < b->n_steps; i++)
        b->layer[i] = plan_layer(t, node_get(c->graph, c->program->steps[i].node)->name);
    return true;
}

bool tune_gave_up(Tune *t, Compilation *c)
{
    progress_task(NULL);
    diag_print(c->diag, stderr);
    t->status = diag_status(c->diag);
    arena_free(c->arena);
    return false;
}

bool tune_build(Tune *t, const char *tag, Built *b)
{
    Compilation c = {0};
    if (!tune_compile(t, &c) || !tune_finish(t, &c, tag, b))
        return tune_gave_up(t, &c);
    arena_free(c.arena);
    return true;
}

/* ---- timing ------------------------------------------------------------------------------ */

/* layer_times - milliseconds of each distinct layer, and of the whole. */
static bool layer_times(Tune *t, const Built *b, int64_t runs, double *layers, double *whole)
{
    Times       times;
    Compilation c = {.arena = arena_new()};
    c.diag = t->diag;
    bool ok = time_program(&c, t->o, b->program, b->weights, runs, b->n_steps, &times);
    memset(layers, 0, (size_t)t->n_layers * sizeof *layers);
    for (int i = 0; ok && i < b->n_steps; i++)
        if (b->layer[i] >= 0)
            layers[b->layer[i]] += times.layers[i];
    *whole = ok ? times.median : 0;
    arena_free(c.arena);
    return ok;
}

static int64_t runs_for(const Tune *t, double ms)
{
    double seconds = t->o->seconds > 0 ? t->o->seconds : 3;
    double runs = seconds * 1000 / (2 * TURNS) / (ms > 1e-6 ? ms : 1e-6);
    return runs < LEAST_RUNS ? LEAST_RUNS : runs > MOST_RUNS ? MOST_RUNS : (int64_t)runs;
}

bool tune_compare(Tune *t, const Built *a, const Built *b, Round *r)
{
    Arena  *scratch = arena_new();
    size_t  n = (size_t)t->n_layers;
    double *ratios = arena_array(scratch, double, (n + 1) * TURNS);
    double *in_a = arena_array(scratch, double, n + 1), *in_b = arena_array(scratch, double, n + 1);
    double  whole_a, whole_b;
    bool    ok = layer_times(t, a, 1, in_a, &whole_a);
    int64_t runs = ok ? runs_for(t, whole_a) : 0;
    for (int turn = 0; turn < TURNS && ok; turn++) {
        ok = layer_times(t, a, runs, in_a, &whole_a) && layer_times(t, b, runs, in_b, &whole_b);
        for (size_t i = 0; i < n && ok; i++)
            ratios[i * TURNS + (size_t)turn] = in_a[i] > 0 && in_b[i] > 0 ? in_b[i] / in_a[i] : 1;
        ratios[n * TURNS + (size_t)turn] = ok && whole_a > 0 ? whole_b / whole_a : 1;
    }
    for (size_t i = 0; i < n && ok; i++)
        r->ratios[i] = median(&ratios[i * TURNS], TURNS);
    r->whole = ok ? median(&ratios[n * TURNS], TURNS) : 0;
    arena_free(scratch);
    return ok;
}
