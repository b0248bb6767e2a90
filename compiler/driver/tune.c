/* tune.c - kiln tune: schedules found by building and timing. */
#include "driver/tuner.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A choice has to gain that much to be kept: less is within what two runs of the same code differ. */
#define WORTH_KEEPING 0.98

enum { CHECKS = 2 };

/* ---- rounds ------------------------------------------------------------------------------ */

static bool same_choice(const Choice *a, const Choice *b)
{
    return a->algorithm == b->algorithm && a->winograd == b->winograd &&
           regtile_equal(a->tile, b->tile);
}

static void show_round(const Tune *t)
{
    double best = 1;
    for (size_t i = 0; i < t->at; i++)
        best = t->rounds[i].whole < best ? t->rounds[i].whole : best;
    progress_task(arena_printf(t->arena, "%s: round %zu of %d, %d layers, best build %.3f",
                               t->network, t->at + 1, t->planned, t->n_layers, best));
}

/* known_round - the round at hand, where an earlier run has it. False: it is of another kind, which is
 * reported. */
static bool known_round(Tune *t, RoundKind kind, Round **r)
{
    *r = t->at < t->n_rounds ? &t->rounds[t->at] : NULL;
    if (!*r || (*r)->kind == kind)
        return true;
    diag_error(t->diag, (Span){.source = &(Source){.path = t->state}},
               "round %zu is of another kind; remove the file to begin anew", t->at + 1);
    return false;
}

/* run_round - `now` against program `a`, which has the choices of `base`. NULL: reported. */
static const Round *run_round(Tune *t, RoundKind kind, const Built *a)
{
    Round *known, r = {.kind = kind};
    Built  b;
    if (!known_round(t, kind, &known))
        return NULL;
    if (!known) {
        r.ratios = arena_array(t->arena, double, (size_t)t->n_layers + 1);
        if (!tune_build(t, "program_b", &b) || !tune_compare(t, a, &b, &r))
            return NULL;
        for (int i = 0; i < t->n_layers; i++)
            if (t->layers[i].refused || same_choice(&t->layers[i].now, &t->layers[i].base))
                r.ratios[i] = 0;
        t->rounds = arena_grow(t->arena, t->rounds, t->n_rounds, &t->cap_rounds, sizeof *t->rounds);
        t->rounds[t->n_rounds++] = r;
        if (!state_save(t))
            return NULL;
    }
    return &t->rounds[t->at++];
}

/* base_program - the one to compare with in the rounds ahead, unless all of them are known. */
static bool base_program(Tune *t, Compilation *c, size_t rounds, Built *a)
{
    if (t->at + rounds <= t->n_rounds)
        return true;
    show_round(t);
    return tune_finish(t, c, "program_a", a);
}

static bool run_rounds(Tune *t, RoundKind kind, int rounds, const Built *a)
{
    Arena  *scratch = arena_new();
    double *least = arena_array(scratch, double, (size_t)t->n_layers + 1);
    bool    ok = true;
    for (int i = 0; i < t->n_layers; i++)
        least[i] = WORTH_KEEPING;
    for (int k = 0; k < rounds && ok; k++) {
        for (int i = 0; i < t->n_layers; i++) {
            TuneLayer *l = &t->layers[i];
            l->now = k < l->n_candidates ? l->candidates[k] : l->base;
        }
        show_round(t);
        const Round *r = run_round(t, kind, a);
        ok = r != NULL;
        for (int i = 0; i < t->n_layers && ok; i++) {
            TuneLayer *l = &t->layers[i];
            if (k >= l->n_candidates || !(r->ratios[i] > 0) || r->ratios[i] > least[i])
                continue;
            least[i] = r->ratios[i];
            l->best = l->candidates[k];
        }
    }
    arena_free(scratch);
    return ok;
}

/* phase - each candidate of each layer against what was best before. */
static bool phase(Tune *t, RoundKind kind, void (*plan)(Tune *t, Compilation *c))
{
    Compilation c = {0};
    Built       a = {0};
    for (int i = 0; i < t->n_layers; i++)
        t->layers[i].now = t->layers[i].base = t->layers[i].best;
    if (!tune_compile(t, &c))
        return tune_gave_up(t, &c);
    plan(t, &c);
    int rounds = plan_rounds(t);
    t->planned = (int)t->at + rounds + (kind == ROUND_ALGORITHMS ? MOST_TILES : 0) + CHECKS;
    if (rounds && !base_program(t, &c, (size_t)rounds, &a))
        return tune_gave_up(t, &c);
    arena_free(c.arena);
    return !rounds || run_rounds(t, kind, rounds, &a);
}

/* ---- the check --------------------------------------------------------------------------- */

/* drop_losers - layers that gain too little beside the default program. */
static void drop_losers(Tune *t, const Round *r)
{
    for (int i = 0; i < t->n_layers; i++) {
        TuneLayer *l = &t->layers[i];
        l->ratio = r->ratios[i];
        if (same_choice(&l->best, &by_default) ||
            (r->ratios[i] > 0 && r->ratios[i] <= WORTH_KEEPING))
            continue;
        l->best = by_default;
    }
}

/* check - the winners all together against the default program, twice: chance picks winners too. *whole:
 * what the last check found. */
static bool check(Tune *t, double *whole)
{
    Compilation c = {0};
    Built       a = {0};
    for (int i = 0; i < t->n_layers; i++)
        t->layers[i].now = t->layers[i].base = by_default;
    if (!tune_compile(t, &c) || !base_program(t, &c, CHECKS, &a))
        return tune_gave_up(t, &c);
    arena_free(c.arena);
    for (int k = 0; k < CHECKS; k++) {
        bool any = false;
        for (int i = 0; i < t->n_layers; i++) {
            t->layers[i].now = t->layers[i].best;
            any |= !same_choice(&t->layers[i].best, &by_default);
        }
        *whole = 1;
        if (!any)
            break;
        show_round(t);
        const Round *r = run_round(t, ROUND_CHECK, &a);
        if (!r)
            return false;
        *whole = r->whole;
        drop_losers(t, r);
    }
    if (*whole >= 1) {
        for (int i = 0; i < t->n_layers; i++)
            t->layers[i].best = by_default;
        *whole = 1;
    }
    return true;
}

/* ---- the command ------------------------------------------------------------------------- */

static void report(const Tune *t, double whole)
{
    static const char *const titles[] = {"layer", ">layers", "default", "tuned", ">ratio"};
    Table                   *table = table_new(t->arena, titles, COUNT_OF(titles));
    for (int i = 0; i < t->n_layers; i++) {
        const TuneLayer *l = &t->layers[i];
        bool             kept = !same_choice(&l->best, &by_default);
        table_cell(table, "%s", text_printable(t->arena, l->name));
        table_cell(table, "%d", l->n_nodes);
        table_cell(table, "%s", l->was);
        table_cell(table, "%s", kept ? choice_text(t->arena, &l->best) : "-");
        table_cell(table, kept ? "%.3f" : "-", l->ratio);
    }
    table_print(table, stdout);
    printf("\n%s on %s: %.3f of the default's time\n", t->network, t->o->target->name, whole);
}

/* model_key - of the graph that is compiled by default, the options and the compiler. */
static uint64_t model_key(const Tune *t, const Graph *g)
{
    Text     text = text_new(t->arena);
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    text_printf(&text, "%s\n%s\n%s\n", KILN_VERSION, t->o->how, t->o->cc ? t->o->cc : "");
    graph_print(g, &text);
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ (unsigned char)text.data[i]) * 1099511628211u;
    return h;
}

static bool start(Tune *t, const char *out)
{
    Compilation c = {0};
    t->state = arena_printf(t->arena, "%s.partial", out);
    if (!tune_compile(t, &c))
        return tune_gave_up(t, &c);
    t->network = arena_strdup(t->arena, text_printable(c.arena, c.graph->name));
    plan_layers(t, &c);
    t->key = model_key(t, c.graph);
    arena_free(c.arena);
    if (!state_load(t))
        return false;
    if (t->n_rounds && !t->o->quiet)
        fprintf(stderr, "%s: going on after round %zu\n", t->state, t->n_rounds);
    /* A folder that cannot be written to is better known now than after a round. */
    return t->saved = state_save(t);
}

static bool tune(Tune *t, const char *out, double *whole)
{
    if (!start(t, out) || !phase(t, ROUND_ALGORITHMS, plan_algorithms) ||
        !phase(t, ROUND_TILES, plan_tiles) || !check(t, whole))
        return false;
    for (int i = 0; i < t->n_layers; i++)
        t->layers[i].now = t->layers[i].best;
    return schedule_save(t, out);
}

int command_tune(Compilation *c, const Options *o)
{
    Options with = *o;
    double  whole = 1;
    with.profile = with.layers = true;
    with.weights = WEIGHTS_FILE;
    Tune t = {.arena = c->arena, .diag = c->diag, .o = &with};
    if (!target_runs_here(o->target)) {
        diag_system(c->diag,
                    "this machine does not run code for target %s itself, so there is nothing "
                    "to time",
                    o->target->name);
        return diag_status(c->diag);
    }
    if (!(t.dir = temp_folder(c->arena, c->diag)))
        return diag_status(c->diag);
    bool ok = tune(&t, o->out, &whole);
    progress_task(NULL);
    if (!ok && !t.n_rounds && t.saved)
        unlink(t.state);
    if (ok && !o->quiet)
        report(&t, whole);
    return t.status ? t.status : diag_status(c->diag);
}
