/* explain.c - kiln explain: why each layer is computed as it is. */
#include "driver/driver.h"

#include "ops/ops.h"

#include <string.h>

/* ---- all layers -------------------------------------------------------------------------- */

static const char *cycles_text(Arena *a, double cycles)
{
    return grouped(a, (int64_t)(cycles + 0.5));
}

static void print_layers(Compilation *c, const Layer *layers)
{
    static const char *const titles[] = {"layer",   "op",   "algorithm", "tile",
                                         ">cycles", "next", ">cycles"};
    Table                   *t = table_new(c->arena, titles, COUNT_OF(titles));
    double                   all = 0;
    for (int i = 0; i < c->program->n_steps; i++) {
        const Layer *l = &layers[i];
        bool         has_cost = l->n_costs > 0, has_next = has_cost && l->next >= 0;
        table_cell(t, "%s", text_printable(c->arena, l->name));
        table_cell(t, "%s", op_info(node_get(c->graph, l->node)->op)->name);
        table_cell(t, "%s", layer_algorithm(c->arena, l, l->chosen));
        table_cell(t, "%s", layer_tile(c->arena, l));
        table_cell(t, "%s", has_cost ? cycles_text(c->arena, l->costs[l->chosen].cycles) : "");
        table_cell(t, "%s", has_next ? layer_algorithm(c->arena, l, l->next) : "");
        table_cell(t, "%s", has_next ? cycles_text(c->arena, l->costs[l->next].cycles) : "");
        all += has_cost ? l->costs[l->chosen].cycles : 0;
    }
    table_rule(t);
    table_cell(t, "total");
    for (int i = 1; i < (int)COUNT_OF(titles); i++)
        table_cell(t, "%s", i == 4 ? cycles_text(c->arena, all) : "");
    table_print(t, stdout);
}

/* ---- one layer --------------------------------------------------------------------------- */

static void print_algorithms(Compilation *c, const Layer *l)
{
    static const char *const titles[] = {"algorithm",     ">sums",   ">weights",
                                         ">transforms",   ">cycles", ">share of direct",
                                         ">weight bytes", ""};
    Table                   *t = table_new(c->arena, titles, COUNT_OF(titles));
    for (int i = 0; i < l->n_costs; i++) {
        const AlgorithmCost *cost = &l->costs[i];
        table_cell(t, "%s", layer_algorithm(c->arena, l, i));
        if (cost->why_not) {
            for (int k = 0; k < 6; k++)
                table_cell(t, "-");
            table_cell(t, "does not apply: %s", cost->why_not);
            continue;
        }
        table_cell(t, "%s", cycles_text(c->arena, cost->sums));
        table_cell(t, "%s", cycles_text(c->arena, cost->stream));
        table_cell(t, "%s", cycles_text(c->arena, cost->transforms));
        table_cell(t, "%s", cycles_text(c->arena, cost->cycles));
        table_cell(t, "%.2f", cost->cycles / l->costs[0].cycles);
        table_cell(t, "%s", cycles_text(c->arena, cost->weight_bytes));
        table_cell(t, "%s", i == l->chosen ? "chosen" : "");
    }
    table_print(t, stdout);
}

/* print_reason - why not the one with the fewest cycles, where it is not. */
static void print_reason(Compilation *c, const Options *o, const Layer *l)
{
    Span        where;
    int         tile;
    PassContext context = model_context(c, o);
    bool        is_fixed = schedule_algorithm(c->schedules, l->name, &tile, &where) >= 0;
    if (is_fixed || l->next < 0 || l->costs[l->next].cycles >= l->costs[l->chosen].cycles)
        return;
    else if (!passes_include("choose-algorithm", &o->passes))
        printf("the pass choose-algorithm did not run\n");
    else if (!choose_pays(l->costs, &l->costs[l->next]))
        printf("not %s: it saves too little to be worth its memory\n",
               layer_algorithm(c->arena, l, l->next));
    else if (l->costs[l->next].added_bytes > choose_room(c->graph, &context))
        printf("not %s: transformed weights would make the C text too large "
               "(--weights file or asm, or --pack start, has no such limit)\n",
               layer_algorithm(c->arena, l, l->next));
    else
        printf("not %s: other layers gain more from the room for inline weights, or the layouts\n"
               "around this one do not allow it\n",
               layer_algorithm(c->arena, l, l->next));
}

/* print_tiles - the register tile and those that come closest. */
static void print_tiles(Compilation *c, const Options *o, const Layer *l)
{
    enum { SHOWN = 5 };
    static const char *const titles[] = {"tile", ">registers", ">share of peak", ">cycles", ""};
    TileCost                 all[MAX_TILES], chosen;
    int                      n = layer_tiles(c, o, l->node, all, &chosen), shown = 0;
    double                   peak = l->n_costs ? l->costs[l->chosen].peak : 0;
    if (!n)
        return;
    Table *t = table_new(c->arena, titles, COUNT_OF(titles));
    for (int i = -1; i < n && shown < SHOWN; i++) {
        const TileCost *tile = i < 0 ? &chosen : &all[i];
        bool            is_chosen = regtile_equal(tile->tile, chosen.tile);
        if (i >= 0 && is_chosen)
            continue;
        table_cell(t, "%dx%dx%d", tile->tile.h, tile->tile.m, tile->tile.n);
        table_cell(t, "%d of %d", tile->registers, o->target->vector_regs);
        table_cell(t, "%.0f %%", 100 * tile->share);
        table_cell(t, "%s", peak > 0 ? cycles_text(c->arena, peak / tile->share) : "");
        table_cell(t, "%s", is_chosen ? "chosen" : "");
        shown++;
    }
    printf(
        "\nregister tiles, image rows x pixels x vectors, by the estimated cycles of their sums\n\n");
    table_print(t, stdout);
}

static void print_blocks(Compilation *c, const Node *n)
{
    if (n->algorithm == DIRECT)
        return;
    BlockShape b = n->block;
    int64_t    bytes =
        (type_count(&value_get(c->graph, n->scratch)->type) / b.copies) * (int64_t)sizeof(float);
    printf("\nblocks of ");
    if (b.images > 1)
        printf("%lld images, ", (long long)b.images);
    printf("%lld x %lld %s, %s bytes of scratch memory%s\n", (long long)b.rows,
           (long long)b.columns,
           n->algorithm == WINOGRAD   ? "tiles"
           : n->algorithm == STRASSEN ? "pairs of pixels"
                                      : "pixels",
           grouped(c->arena, bytes), b.copies > 1 ? " a thread" : "");
}

static void print_planes(Compilation *c, const Node *n)
{
    const Expansion *e = n->expansion;
    if (!e)
        return;
    int64_t channels = e->blocks * e->type.layout.block;
    printf("\n%lld channel%s of '%s' at a time, %s bytes of scratch memory%s\n",
           (long long)channels, channels == 1 ? "" : "s", text_printable(c->arena, e->name),
           grouped(c->arena, expansion_scratch(e) * (int64_t)sizeof(float)),
           e->copies > 1 ? " a thread" : "");
}

static void print_layer(Compilation *c, const Options *o, const Layer *l)
{
    const Node *n = node_get(c->graph, l->node);
    printf("%s: %s, on %s\n", text_printable(c->arena, l->name),
           describe_node(c->graph, l->node, c->arena), o->target->name);
    if (l->n_costs) {
        printf("\n");
        print_algorithms(c, l);
        print_reason(c, o, l);
    } else {
        printf("there is one way to compute it\n");
    }
    print_tiles(c, o, l);
    print_blocks(c, n);
    print_planes(c, n);
    const char *given = schedule_given(c->schedules, l->name, c->arena);
    if (*given)
        printf("\nfixed by the schedule file: %s\n", given);
}

/* ---- which ------------------------------------------------------------------------------- */

/* find_layer - by the node's name, or by that of its value: the last node fused into it. */
static const Layer *find_layer(Compilation *c, const Layer *layers, const char *name)
{
    for (int i = 0; i < c->program->n_steps; i++)
        if (!strcmp(layers[i].name, name))
            return &layers[i];
    for (int i = 0; i < c->program->n_steps; i++)
        if (!strcmp(value_get(c->graph, node_get(c->graph, layers[i].node)->out)->name, name))
            return &layers[i];
    return NULL;
}

static void complain(Compilation *c, const char *path, const Layer *layers, const char *name)
{
    Guess guess = guess_new(name);
    for (int i = 0; i < c->program->n_steps; i++)
        guess_try(&guess, layers[i].name);
    Source model = {.path = path};
    diag_error(c->diag, (Span){.source = &model}, "no node '%s' is left after the graph passes%s",
               text_printable(c->arena, name), guess_text(c->arena, &guess));
}

int command_explain(Compilation *c, const Options *o)
{
    if (!model_compile(c, o))
        return diag_status(c->diag);
    const Layer *layers = model_layers(c, o), *one;
    if (!o->node)
        print_layers(c, layers);
    else if ((one = find_layer(c, layers, o->node)) != NULL)
        print_layer(c, o, one);
    else
        complain(c, o->model, layers, o->node);
    return diag_status(c->diag);
}
