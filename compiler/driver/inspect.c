/* inspect.c - kiln inspect: the layers of a model as written, and what it needs on a target. */
#include "driver/driver.h"

#include "ops/ops.h"

typedef struct Totals {
    int64_t params, macs, bytes;
} Totals;

static const char *shape_text(Arena *a, const Type *t)
{
    Text text = text_new(a);
    text_add(&text, "");
    for (int i = 0; i < t->rank; i++)
        text_printf(&text, "%s%lld", i ? "x" : "", (long long)t->dims[i]);
    return text.data;
}

/* grouped - a number with a comma every three digits. */
static const char *grouped(Arena *a, int64_t v)
{
    char digits[32];
    int  n = snprintf(digits, sizeof digits, "%lld", (long long)v);
    Text text = text_new(a);
    for (int i = 0; i < n; i++)
        text_printf(&text, "%s%c", i && (n - i) % 3 == 0 ? "," : "", digits[i]);
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
        t->bytes += count * (int64_t)elem_bytes(e);
    }
}

static void add_row(Arena *a, Table *table, const Graph *g, const Node *n, Totals *sum)
{
    const Type *out = &value_get(g, n->out)->type;
    Totals      t = {.macs = model_macs(g, n)};
    count_constants(g, n, &t);
    table_cell(table, "%s", text_printable(a, n->name));
    table_cell(table, "%s", op_info(n->op)->name);
    table_cell(table, "%s", shape_text(a, out));
    table_cell(table, "%s", grouped_or_blank(a, t.params));
    table_cell(table, "%s", grouped_or_blank(a, t.macs));
    table_cell(table, "%s", grouped_or_blank(a, t.bytes));
    sum->params += t.params;
    sum->macs += t.macs;
    sum->bytes += t.bytes;
}

static Table *layer_table(Compilation *c)
{
    static const char *const titles[] = {"layer",   "op",    "output",
                                         ">params", ">MACs", ">weight bytes"};
    const Graph             *g = c->graph;
    Table                   *table = table_new(c->arena, titles, COUNT_OF(titles));
    Totals                   sum = {0};
    for (int i = 0; i < g->n_inputs; i++) {
        Type t = port_type(g, &g->inputs[i]);
        table_cell(table, "%s", text_printable(c->arena, g->inputs[i].name));
        table_cell(table, "input");
        table_cell(table, "%s", shape_text(c->arena, &t));
        for (int k = 0; k < 3; k++)
            table_cell(table, "%s", "");
    }
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        add_row(c->arena, table, g, node_get(g, n), &sum);
    table_rule(table);
    table_cell(table, "total");
    table_cell(table, "%s", "");
    table_cell(table, "%s", "");
    table_cell(table, "%s", grouped(c->arena, sum.params));
    table_cell(table, "%s", grouped(c->arena, sum.macs));
    table_cell(table, "%s", grouped(c->arena, sum.bytes));
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

int command_inspect(Compilation *c, const Options *o)
{
    Options shapes = *o;
    shapes.passes = (PassOptions){.only = "infer-shapes"};
    if (!model_read(c, o) || !model_passes(c, &shapes))
        return diag_status(c->diag);
    Table *table = layer_table(c);
    if (!model_passes(c, o))
        return diag_status(c->diag);
    table_print(table, stdout);
    const MemoryPlan *plan = c->graph->plan;
    if (plan)
        printf("arena on %s: %s bytes, %s\n", o->target->name, grouped(c->arena, plan->bytes),
               proof_text(c->arena, plan));
    return EXIT_DONE;
}
