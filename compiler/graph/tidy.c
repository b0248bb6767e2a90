/* tidy.c - the graph as readers hand it over: ids in the order of execution, every constant named.
 *
 * Passes break ties by id, and made-up names count on from the largest there is. So that a model means
 * the same bytes of C whichever format it is read from, nothing may depend on how it was read. */
#include "graph/graph.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

/* Where a constant of the new graph comes from. */
typedef struct Slotted {
    const Tensor *tensor;
    ValueId       value;
} Slotted;

typedef struct Tidy {
    const Graph *from;
    Graph       *to;
    ValueId     *value;     /* of `to`, by value of `from`; 0: none yet */
    Slotted     *constants; /* hash table by tensor: nodes that read one tensor share a value */
    size_t       n_slots;
} Tidy;

static void copy_inputs(Tidy *t)
{
    const Graph *g = t->from;
    t->to->inputs = arena_array(g->arena, Port, (size_t)g->n_inputs);
    t->to->n_inputs = g->n_inputs;
    for (int i = 0; i < g->n_inputs; i++) {
        Port        *port = &t->to->inputs[i];
        const Value *old = value_get(g, g->inputs[i].value);
        *port = g->inputs[i];
        port->value = graph_add_value(t->to, old->name, old->type);
        value_at(t->to, port->value)->is_input = true;
        t->value[g->inputs[i].value] = port->value;
    }
}

static ValueId constant_for(Tidy *t, const Value *old)
{
    const Tensor *tensor = old->constant;
    size_t        at = ((uintptr_t)tensor >> 4) & (t->n_slots - 1);
    while (t->constants[at].tensor && t->constants[at].tensor != tensor)
        at = (at + 1) & (t->n_slots - 1);
    Slotted *s = &t->constants[at];
    if (!s->tensor)
        *s = (Slotted){tensor, graph_add_constant(t->to, old->name, tensor)};
    return s->value;
}

/* copy_node - absent inputs at the end are there as zeros, as many as the op can have. */
static void copy_node(Tidy *t, const Node *n)
{
    int      n_slots = op_info(n->op)->n_slots, n_in = n->n_in > n_slots ? n->n_in : n_slots;
    ValueId *in = arena_array(t->to->arena, ValueId, (size_t)n_in);
    for (int i = 0; i < n->n_in; i++) {
        const Value *v = graph_input(t->from, n, i);
        if (v)
            in[i] = v->constant ? constant_for(t, v) : t->value[n->in[i]];
    }
    const Value *out = value_get(t->from, n->out);
    NodeId       id = graph_add(t->to, n->op, out->name, n->where, n_in, in, &n->attrs, 0);
    ValueId      value = node_get(t->to, id)->out;
    node_at(t->to, id)->name = n->name;
    graph_reserve_name(t->to, n->name);
    value_at(t->to, value)->type = out->type;
    t->value[n->out] = value;
}

static void copy_outputs(Tidy *t)
{
    const Graph *g = t->from;
    t->to->outputs = arena_array(g->arena, Port, (size_t)g->n_outputs);
    t->to->n_outputs = g->n_outputs;
    for (int i = 0; i < g->n_outputs; i++) {
        Port *port = &t->to->outputs[i];
        *port = g->outputs[i];
        port->value = t->value[g->outputs[i].value];
        value_at(t->to, port->value)->is_output = true;
    }
}

/* ---- names of constants -------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names_of - the names of values, nodes and, as far as they have any, constants, sorted; their number
 * in *n. */
static const char **names_of(const Graph *g, size_t *n)
{
    const char **names = arena_array(g->arena, const char *, (size_t)g->n_values + g->n_nodes);
    *n = 0;
    for (ValueId v = 1; v < g->n_values; v++)
        names[(*n)++] = value_get(g, v)->name;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id))
        names[(*n)++] = node_get(g, id)->name;
    qsort(names, *n, sizeof *names, by_text);
    return names;
}

/* is_there - whether `name` is among the sorted names, more than once if `twice`. */
static bool is_there(const char **names, size_t n, const char *name, bool twice)
{
    const char **at = bsearch(&name, names, n, sizeof *names, by_text);
    if (!at || !twice)
        return at;
    return (at > names && !strcmp(at[-1], name)) || (at + 1 < names + n && !strcmp(at[1], name));
}

/* constant_name - NODE.SLOT; the second and further entries of a list have their number behind it. */
static const char *constant_name(const Graph *g, const Node *n, int i)
{
    const OpInfo *op = op_info(n->op);
    int           s = i < op->n_slots ? i : op->n_slots - 1;
    if (i == s)
        return arena_printf(g->arena, "%s.%s", n->name, op->slots[s].name);
    return arena_printf(g->arena, "%s.%s%d", n->name, op->slots[s].name, i - s + 1);
}

/* name_constants - by use where they have no name; apart from all others where they share theirs. */
static void name_constants(Graph *g)
{
    size_t       n_names;
    const char **names = names_of(g, &n_names);
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        for (int i = 0; i < n->n_in; i++) {
            const Value *v = graph_input(g, n, i);
            if (!v || !v->constant)
                continue;
            bool        is_named = v->name[0];
            const char *name = is_named ? v->name : constant_name(g, n, i);
            while (is_there(names, n_names, name, is_named && name == v->name))
                name = graph_fresh_name(g, name);
            if (name != v->name)
                graph_rename_value(g, n->in[i], name);
        }
    }
}

Graph *graph_tidy(const Graph *g)
{
    size_t n_uses = 0;
    Tidy   t = {.from = g, .to = graph_new(g->arena, g->diag), .n_slots = 16};
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        n_uses += (size_t)node_get(g, n)->n_in;
    while (t.n_slots < 2 * n_uses)
        t.n_slots *= 2;
    t.value = arena_array(g->arena, ValueId, g->n_values);
    t.constants = arena_array(g->arena, Slotted, t.n_slots);
    t.to->name = g->name;
    copy_inputs(&t);
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        copy_node(&t, node_get(g, n));
    copy_outputs(&t);
    name_constants(t.to);
    return t.to;
}
