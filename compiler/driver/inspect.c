/* inspect.c - kiln inspect: the layers of a model as written, and what it needs on a target. */
#include "driver/driver.h"

#include "ops/ops.h"

typedef struct Totals {
    int64_t params, macs, weight_bytes, output_bytes;
} Totals;

static const char *shape_text(Arena *a, const Type *t)
{
    Text text = text_new(a);
    text_add(&text, "");
    for (int i = 0; i < t->rank; i++)
        text_printf(&text, "%s%lld", i ? "x" : "", (long long)t->dims[i]);
    return text.data;
}

static const char *grouped_or_blank(Arena *a, int64_t v)
{
    return v ? grouped(a, v) : "";
}

/* count_constants - parameters of a node; floats are kept as f32 whatever the file holds. A batch
 * norm's mean and variance were measured, not trained: bytes, not parameters. */
static void count_constants(const Graph *g, const Node *n, Totals *t)
{
    for (int i = 0; i < n->n_in; i++) {
        const Value *v = graph_input(g, n, i);
        if (!v || !v->constant)
            continue;
        int64_t count = type_count(&v->type);
        Elem    e = elem_is_float(v->type.elem) ? F32 : v->type.elem;
        if (n->op != OP_batch_norm || i < 3)
            t->params += count;
        t->weight_bytes += count * (int64_t)elem_bytes(e);
    }
}

static int64_t type_bytes(const Type *t)
{
    return type_count(t) * (int64_t)elem_bytes(t->elem);
}

static void add_totals(Arena *a, Table *table, const Totals *t)
{
    table_cell(table, "%s", grouped_or_blank(a, t->params));
    table_cell(table, "%s", grouped_or_blank(a, t->macs));
    table_cell(table, "%s", grouped_or_blank(a, t->weight_bytes));
    table_cell(table, "%s", grouped(a, t->output_bytes));
}

static void add_row(Arena *a, Table *table, const char *layer, const char *op, const Type *output,
                    const Totals *t)
{
    table_cell(table, "%s", text_printable(a, layer));
    table_cell(table, "%s", op);
    table_cell(table, "%s", shape_text(a, output));
    add_totals(a, table, t);
}

/* layer_totals - what one node has and makes; added to `sum`. */
static Totals layer_totals(const Graph *g, const Node *n, Totals *sum)
{
    Totals t = {.macs = model_macs(g, n), .output_bytes = type_bytes(&value_get(g, n->out)->type)};
    count_constants(g, n, &t);
    sum->params += t.params;
    sum->macs += t.macs;
    sum->weight_bytes += t.weight_bytes;
    sum->output_bytes += t.output_bytes;
    return t;
}

static Table *layer_table(Compilation *c)
{
    static const char *const titles[] = {
        "layer", "op", "output", ">params", ">MACs", ">weight bytes", ">output bytes"};
    const Graph *g = c->graph;
    Table       *table = table_new(c->arena, titles, COUNT_OF(titles));
    Totals       sum = {0};
    for (int i = 0; i < g->n_inputs; i++) {
        Type   type = port_type(g, &g->inputs[i]);
        Totals t = {.output_bytes = type_bytes(&type)};
        add_row(c->arena, table, g->inputs[i].name, "input", &type, &t);
    }
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        Totals      t = layer_totals(g, n, &sum);
        add_row(c->arena, table, n->name, op_info(n->op)->name, &value_get(g, n->out)->type, &t);
    }
    table_rule(table);
    table_cell(table, "total");
    table_cell(table, "%s", "");
    table_cell(table, "%s", "");
    add_totals(c->arena, table, &sum);
    return table;
}

/* proof_text - why no smaller arena will do, or by how much one might be. */
static const char *proof_text(Arena *a, const MemoryPlan *p)
{
    switch (p->proof) {
    case PROOF_BOUND:
        return arena_printf(a, "optimal: as many bytes are alive at step %d", p->bound_step);
    case PROOF_EXHAUSTED:
        return arena_printf(a, "optimal: every smaller size was searched, %lld states",
                            (long long)p->searched);
    case PROOF_NONE: break;
    }
    return arena_printf(a, "not proven: %s bytes are alive at step %d, gap %.1f %%",
                        grouped(a, p->lower_bound), p->bound_step,
                        100.0 * (double)(p->bytes - p->lower_bound) / (double)p->lower_bound);
}

/* ports_bytes - the memory of inputs and outputs, which is the caller's. */
static int64_t ports_bytes(const Graph *g)
{
    int64_t bytes = 0;
    for (int i = 0; i < g->n_inputs; i++)
        bytes += type_bytes(&value_get(g, g->inputs[i].value)->type);
    for (int i = 0; i < g->n_outputs; i++)
        bytes += type_bytes(&value_get(g, g->outputs[i].value)->type);
    return bytes;
}

/* print_memory - what a prediction needs on the target, as the emitted C will state it. */
static void print_memory(Compilation *c, const Options *o)
{
    EmitOptions e;
    model_emit_options(c, o, "", &e);
    const MemoryPlan *plan = c->graph->plan;
    int64_t           weights = weights_bytes(c->program, &e), ports = ports_bytes(c->graph);
    int64_t           packed = packs_bytes(c->program->packs);
    const char       *target = o->target->name;
    printf("arena on %s: %s bytes, %s\n", target, grouped(c->arena, plan->bytes),
           proof_text(c->arena, plan));
    printf("weights on %s: %s bytes\n", target, grouped(c->arena, weights));
    if (packed)
        printf("weights laid out at start: %s bytes\n", grouped(c->arena, packed));
    printf("inputs and outputs: %s bytes\n", grouped(c->arena, ports));
    printf("memory for prediction: %s bytes\n",
           grouped(c->arena, plan->bytes + weights + packed + ports));
}

int command_inspect(Compilation *c, const Options *o)
{
    Options shapes = *o;
    shapes.passes = (PassOptions){.only = "infer-shapes"};
    if (!model_read(c, o) || !model_passes(c, &shapes))
        return diag_status(c->diag);
    Table *table = layer_table(c);
    if (!model_passes(c, o) || (c->graph->plan && !model_program(c, o)))
        return diag_status(c->diag);
    table_print(table, stdout);
    if (c->graph->plan)
        print_memory(c, o);
    return EXIT_DONE;
}
