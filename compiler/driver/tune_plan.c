/* tune_plan.c - distinct layers, and what is tried on each. */
#include "driver/tuner.h"

#include <string.h>

/* ---- layers ------------------------------------------------------------------------------ */

static TuneLayer *layer_of_kernel(Tune *t, int kernel)
{
    for (int i = 0; i < t->n_layers; i++)
        if (t->layers[i].kernel == kernel)
            return &t->layers[i];
    return NULL;
}

static void new_layer(Tune *t, const Layer *l, int n_steps)
{
    const char *algorithm = layer_algorithm(t->arena, l, l->chosen);
    TuneLayer  *d = &t->layers[t->n_layers++];
    *d = (TuneLayer){.name = arena_strdup(t->arena, l->name),
                     .kernel = l->kernel,
                     .best = by_default,
                     .base = by_default,
                     .now = by_default,
                     .ratio = 1};
    d->nodes = arena_array(t->arena, const char *, (size_t)n_steps);
    d->was = arena_printf(t->arena, "%s%stile %s", algorithm, *algorithm ? ", " : "",
                          layer_tile(t->arena, l));
}

void plan_layers(Tune *t, Compilation *c)
{
    const Layer *layers = model_layers(c, t->o);
    int          n = c->program->n_steps;
    t->layers = arena_array(t->arena, TuneLayer, (size_t)n + 1);
    for (int i = 0; i < n; i++) {
        if (!layers[i].macs)
            continue;
        if (!layer_of_kernel(t, layers[i].kernel))
            new_layer(t, &layers[i], n);
        TuneLayer *d = layer_of_kernel(t, layers[i].kernel);
        d->nodes[d->n_nodes++] = arena_strdup(t->arena, layers[i].name);
    }
}

int plan_layer(const Tune *t, const char *node)
{
    for (int i = 0; i < t->n_layers; i++)
        for (int k = 0; k < t->layers[i].n_nodes; k++)
            if (!strcmp(t->layers[i].nodes[k], node))
                return i;
    return -1;
}

/* ---- candidates -------------------------------------------------------------------------- */

/* Estimates are off by less than this. */
#define WORTH_TRYING 2.0

static double best_cycles(const Layer *l)
{
    double best = l->costs[0].cycles;
    for (int i = 1; i < l->n_costs; i++)
        if (!l->costs[i].why_not && l->costs[i].cycles < best)
            best = l->costs[i].cycles;
    return best;
}

static Choice choice_of(const AlgorithmCost *c)
{
    return (Choice){(int)c->algorithm, c->tile, {0, 0, 0}};
}

void plan_algorithms(Tune *t, Compilation *c)
{
    const Layer *layers = model_layers(c, t->o);
    for (int s = 0; s < c->program->n_steps; s++) {
        const Layer *l = &layers[s];
        TuneLayer   *d = layer_of_kernel(t, l->kernel);
        if (!d || strcmp(d->name, l->name) != 0)
            continue;
        for (int i = 0; i < l->n_costs; i++)
            if (!l->costs[i].why_not && i != l->chosen &&
                l->costs[i].cycles < WORTH_TRYING * best_cycles(l))
                d->candidates[d->n_candidates++] = choice_of(&l->costs[i]);
    }
}

/* Tiles with as many columns differ little: a few of each kind tell more than the best of one. */
enum { OF_A_KIND = 2 };

static void add_tiles(Tune *t, Compilation *c, TuneLayer *d, NodeId node)
{
    TileCost all[MAX_TILES], chosen;
    int      n = layer_tiles(c, t->o, node, all, &chosen), kinds[MAX_TILES] = {0};
    for (int i = 0; i < n && d->n_candidates < MOST_TILES; i++) {
        bool is_chosen = regtile_equal(all[i].tile, chosen.tile);
        if (is_chosen || all[i].cycles > WORTH_TRYING * all[0].cycles ||
            kinds[all[i].tile.n]++ >= OF_A_KIND)
            continue;
        d->candidates[d->n_candidates++] =
            (Choice){d->best.algorithm, d->best.winograd, all[i].tile};
    }
}

void plan_tiles(Tune *t, Compilation *c)
{
    for (int i = 0; i < t->n_layers; i++)
        t->layers[i].n_candidates = 0;
    for (int s = 0; s < c->program->n_steps; s++) {
        NodeId      node = c->program->steps[s].node;
        const char *name = node_get(c->graph, node)->name;
        int         i = plan_layer(t, name);
        if (i >= 0 && !strcmp(t->layers[i].name, name))
            add_tiles(t, c, &t->layers[i], node);
    }
}

int plan_rounds(const Tune *t)
{
    int most = 0;
    for (int i = 0; i < t->n_layers; i++)
        if (t->layers[i].n_candidates > most)
            most = t->layers[i].n_candidates;
    return most;
}

/* ---- as text ----------------------------------------------------------------------------- */

static void add_member(Text *t, const char *name, int value, bool *first)
{
    text_printf(t, "%s\"%s\": %d", *first ? "" : ", ", name, value);
    *first = false;
}

static void add_node(Text *t, const char *node, const Choice *c)
{
    bool first = true;
    text_add(t, "  ");
    text_json_string(t, node);
    text_add(t, ": {");
    if (c->algorithm == DIRECT || c->algorithm == WINOGRAD)
        add_member(t, algorithm_name(WINOGRAD), c->winograd, &first);
    else if (c->algorithm > 0)
        add_member(t, algorithm_name((Algorithm)c->algorithm), 1, &first);
    if (c->tile.m) {
        add_member(t, "tile_h", c->tile.h, &first);
        add_member(t, "tile_m", c->tile.m, &first);
        add_member(t, "tile_n", c->tile.n, &first);
    }
    text_add(t, "}");
}

Text plan_text(const Tune *t, Arena *a)
{
    Text text = text_new(a);
    bool first = true;
    text_printf(&text, "// %s\n{", t->o->how);
    for (int i = 0; i < t->n_layers; i++) {
        const TuneLayer *l = &t->layers[i];
        for (int k = 0; k < l->n_nodes && (choice_algorithm(&l->now) || l->now.tile.m); k++) {
            text_add(&text, first ? "\n" : ",\n");
            add_node(&text, l->nodes[k], &l->now);
            first = false;
        }
    }
    text_add(&text, first ? "}\n" : "\n}\n");
    return text;
}

bool choice_algorithm(const Choice *c)
{
    return c->algorithm >= 0;
}

const char *choice_text(Arena *a, const Choice *c)
{
    const char *algorithm = c->winograd
                                ? arena_printf(a, "winograd %dx%d", c->winograd, c->winograd)
                            : c->algorithm < 0 ? ""
                                               : algorithm_name((Algorithm)c->algorithm);
    if (!c->tile.m)
        return algorithm;
    return arena_printf(a, "%s%stile %dx%dx%d", algorithm, *algorithm ? ", " : "", c->tile.h,
                        c->tile.m, c->tile.n);
}
