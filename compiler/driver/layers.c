/* layers.c - what kiln decided for each layer, and what it expects of that: for explain, bench and tune. */
#include "driver/driver.h"

#include "ops/ops.h"

#include <string.h>

/* is_done - whether node `n` is computed so. */
static bool is_done(const AlgorithmCost *c, const Node *n)
{
    return c->algorithm == n->algorithm && c->tile == n->winograd;
}

static Layer layer_of(const Compilation *c, const CostContext *costs, const Step *s)
{
    const Node *n = node_get(c->graph, s->node);
    Layer       l = {.node = s->node,
                     .name = n->name,
                     .kernel = s->kernel,
                     .schedule = c->program->kernels[s->kernel]->schedule,
                     .macs = s->macs,
                     .weight_bytes = s->weight_bytes};
    l.n_costs = cost_algorithms(c->graph, s->node, costs, l.costs);
    l.next = -1;
    for (int i = 0; i < l.n_costs; i++) {
        if (l.costs[i].why_not)
            continue;
        if (is_done(&l.costs[i], n))
            l.chosen = i;
        else if (l.next < 0 || l.costs[i].cycles < l.costs[l.next].cycles)
            l.next = i;
    }
    return l;
}

Layer *model_layers(Compilation *c, const Options *o)
{
    PassContext context = model_context(c, o);
    CostContext costs = cost_context(&context);
    Layer      *layers = arena_array(c->arena, Layer, (size_t)c->program->n_steps + 1);
    for (int i = 0; i < c->program->n_steps; i++)
        layers[i] = layer_of(c, &costs, &c->program->steps[i]);
    return layers;
}

const char *layer_algorithm(Arena *a, const Layer *l, int cost)
{
    if (!l->n_costs)
        return "";
    const AlgorithmCost *c = &l->costs[cost];
    if (c->tile)
        return arena_printf(a, "winograd %dx%d", c->tile, c->tile);
    return algorithm_name(c->algorithm);
}

const char *layer_tile(Arena *a, const Layer *l)
{
    return l->macs ? arena_printf(a, "%dx%dx%d", l->schedule.tile.h, l->schedule.tile.m,
                                  l->schedule.tile.n)
                   : "";
}

int layer_tiles(Compilation *c, const Options *o, NodeId n, TileCost *out, TileCost *chosen)
{
    Arena      *a = arena_new();
    EmitOptions e;
    model_emit_options(c, o, "", &e);
    Kernel *k = program_lower(c->graph, n, &e, a);
    for (int i = 0; strcmp(kernel_passes[i].name, "schedule") != 0; i++)
        if (kernel_pass_runs(i, e.disabled, e.n_disabled))
            kernel_passes[i].run(k);
    int count = schedule_tiles(k, out);
    kpass_schedule(k);
    if (count)
        schedule_tile_cost(k, k->schedule.tile, chosen);
    arena_free(a);
    return count;
}
