/* verify.c - what must hold after every pass. A failure is a mistake in kiln, not in a model. */
#include "graph/graph.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

typedef struct Verifier {
    const Graph *g;
    Text        *why;
    int          n_failures;
    uint32_t    *position; /* of each node in the order, from 1; 0: not in it */
    Arena       *scratch;
} Verifier;

static void PRINTF_LIKE(2, 3) fail(Verifier *v, const char *fmt, ...)
{
    enum { MOST_SHOWN = 5 };
    if (v->n_failures++ >= MOST_SHOWN)
        return;
    if (v->n_failures > 1)
        text_add(v->why, "; ");
    va_list args;
    va_start(args, fmt);
    text_vprintf(v->why, fmt, args);
    va_end(args);
}

static const char *node_label(Verifier *v, const Node *n)
{
    return arena_printf(v->scratch, "%s '%s'", n->op < N_OPS ? op_info(n->op)->name : "?",
                        n->name ? text_printable(v->scratch, n->name) : "");
}

static const char *value_label(Verifier *v, const Value *value)
{
    return text_printable(v->scratch, value->name);
}

/* verify_order - the list of nodes runs both ways and ends; notes where each node stands in it. */
static bool verify_order(Verifier *v)
{
    const Graph *g = v->g;
    NodeId       before = 0;
    uint32_t     position = 0;
    for (NodeId n = g->first; n; n = g->nodes[n].next) {
        if (n >= g->n_nodes || v->position[n] || g->nodes[n].prev != before) {
            fail(v, "the order of nodes is broken at node %u", (unsigned)n);
            return false;
        }
        v->position[n] = ++position;
        before = n;
    }
    if (g->last != before)
        fail(v, "the last node is %u, expected %u", (unsigned)g->last, (unsigned)before);
    return g->last == before;
}

/* verify_arity - as many own inputs as the op's slots ask for, constants where it wants them. */
static void verify_arity(Verifier *v, const Node *n)
{
    const OpInfo *info = op_info(n->op);
    const Slot   *last = &info->slots[info->n_slots - 1];
    if (n->n_own > n->n_in || (n->n_own > info->n_slots && !last->many)) {
        fail(v, "%s has %d inputs of its own", node_label(v, n), n->n_own);
        return;
    }
    for (int i = 0; i < n->n_own || i < info->n_slots; i++) {
        const Slot  *slot = i < info->n_slots ? &info->slots[i] : last;
        const Value *in = i < n->n_own ? graph_input(v->g, n, i) : NULL;
        if (!in && !slot->optional)
            fail(v, "%s lacks its input '%s'", node_label(v, n), slot->name);
        if (in && slot->is_param && !in->constant)
            fail(v, "%s: '%s' is not constant", node_label(v, n), slot->name);
    }
}

/* verify_input - the value knows its user, and is there before it. */
static void verify_input(Verifier *v, NodeId id, int i)
{
    const Graph *g = v->g;
    const Node  *n = node_get(g, id);
    ValueId      in = n->in[i];
    if (!in)
        return;
    if (in >= g->n_values) {
        fail(v, "%s reads value %u, which does not exist", node_label(v, n), (unsigned)in);
        return;
    }
    const Value *value = value_get(g, in);
    uint32_t     k = n->place[i];
    if (k >= value->n_users || value->users[k] != id || value->slots[k] != (uint32_t)i)
        fail(v, "%s is not among the users of its input %d", node_label(v, n), i);
    if (!value->producer && !value->is_input && !value->constant)
        fail(v, "%s reads input %d, which nothing makes", node_label(v, n), i);
    if (value->producer &&
        (!v->position[value->producer] || v->position[value->producer] >= v->position[id]))
        fail(v, "%s stands before what makes its input %d", node_label(v, n), i);
}

/* broadcasts_to - whether a value of type `t` may be an operand where the result has type `out`. */
static bool broadcasts_to(const Type *t, const Type *out)
{
    if (t->rank > out->rank)
        return false;
    for (int i = 1; i <= t->rank; i++) {
        int64_t extent = t->dims[t->rank - i];
        if (extent != 1 && extent != out->dims[out->rank - i])
            return false;
    }
    return true;
}

static void verify_epilogue(Verifier *v, const Node *n, bool typed)
{
    if (n->epilogue.n_steps && !(op_info(n->op)->flags & OPF_EPILOGUE))
        fail(v, "%s cannot have an epilogue", node_label(v, n));
    for (int i = 0; i < n->epilogue.n_steps; i++) {
        const EpilogueStep *s = &n->epilogue.steps[i];
        bool                binary = (op_info(s->op)->flags & OPF_BINARY) || s->op == OP_prelu;
        if (!binary && !(op_info(s->op)->flags & OPF_UNARY))
            fail(v, "%s: step %d is no elementwise op", node_label(v, n), i);
        if (binary != (s->operand >= 0) ||
            (binary && (s->operand < n->n_own || s->operand >= n->n_in)))
            fail(v, "%s: step %d has operand %d", node_label(v, n), i, s->operand);
        else if (binary && typed && graph_input(v->g, n, s->operand) &&
                 !broadcasts_to(&graph_input(v->g, n, s->operand)->type,
                                &value_get(v->g, n->out)->type))
            fail(v, "%s: the operand of step %d does not broadcast", node_label(v, n), i);
    }
}

/* verify_pooling - of Winograd convolutions alone; what the epilogue reads has no pixels. */
static void verify_pooling(Verifier *v, const Node *n, bool typed)
{
    const Type *out = &value_get(v->g, n->out)->type;
    if (!n->winograd)
        fail(v, "%s pools and is no convolution by Winograd's method", node_label(v, n));
    if (typed &&
        (out->rank != 4 || out->dims[2] != n->pooled[0] / 2 || out->dims[3] != n->pooled[1] / 2))
        fail(v, "%s pools to another size than its output's", node_label(v, n));
    for (int i = n->n_own; i < n->n_in; i++)
        if (!graph_input(v->g, n, i) || !graph_input(v->g, n, i)->constant)
            fail(v, "%s pools what it adds to another value", node_label(v, n));
}

/* verify_expansion - of depthwise convolutions alone, by constants. */
static void verify_expansion(Verifier *v, const Node *n)
{
    const Expansion *e = n->expansion;
    const Type      *out = &value_get(v->g, n->out)->type;
    if (n->op != OP_conv2d || n->attrs.groups != e->type.dims[1] || out->dims[1] != e->type.dims[1])
        fail(v, "%s expands and is no depthwise convolution", node_label(v, n));
    if (!n->scratch || e->blocks < 1 || e->copies < 1)
        fail(v, "%s expands to nowhere", node_label(v, n));
    if (e->weight < n->n_own || e->weight + 1 >= n->n_in ||
        !value_get(v->g, n->in[e->weight])->constant)
        fail(v, "%s expands without weights", node_label(v, n));
    for (int i = 0; i < e->epilogue.n_steps; i++) {
        int operand = e->epilogue.steps[i].operand;
        if (operand >= n->n_in || (operand >= 0 && !value_get(v->g, n->in[operand])->constant))
            fail(v, "%s: step %d of its expansion has operand %d", node_label(v, n), i, operand);
    }
}

static void verify_node(Verifier *v, NodeId id, bool typed)
{
    const Node *n = node_get(v->g, id);
    if (n->op <= OP_NONE || n->op >= N_OPS) {
        fail(v, "node %u has no op", (unsigned)id);
        return;
    }
    verify_arity(v, n);
    for (int i = 0; i < n->n_in; i++)
        verify_input(v, id, i);
    if (!n->out || n->out >= v->g->n_values || value_get(v->g, n->out)->producer != id)
        fail(v, "%s does not produce its output", node_label(v, n));
    else
        verify_epilogue(v, n, typed);
    if (n->pooled[0] && n->out && n->out < v->g->n_values)
        verify_pooling(v, n, typed);
    if (n->expansion && n->out && n->out < v->g->n_values)
        verify_expansion(v, n);
}

/* is_alive - whether the value takes part in the graph; removed nodes leave theirs behind. */
static bool is_alive(const Value *value)
{
    return value->producer || value->is_input || value->n_users || value->is_output;
}

static void verify_value(Verifier *v, ValueId id, bool typed)
{
    const Graph *g = v->g;
    const Value *value = value_get(g, id);
    for (size_t k = 0; k < value->n_users; k++) {
        const Node *n = value->users[k] < g->n_nodes ? &g->nodes[value->users[k]] : &g->nodes[0];
        if (value->slots[k] >= (uint32_t)n->n_in || n->in[value->slots[k]] != id)
            fail(v, "value '%s' lists a user that does not read it", value_label(v, value));
    }
    const Type *t = &value->type;
    int64_t     count = 1;
    bool        sound = t->elem != ELEM_POISON && t->rank >= 0 && t->rank <= MAX_RANK;
    for (int i = 0; sound && i < t->rank; i++)
        sound = t->dims[i] >= 1 && mul_ok(count, t->dims[i], &count);
    if (typed && is_alive(value) && !sound)
        fail(v, "value '%s' has no type", value_label(v, value));
    if (typed && sound && t->layout.block < 1)
        fail(v, "value '%s' has block %d", value_label(v, value), (int)t->layout.block);
}

static void verify_outputs(Verifier *v)
{
    const Graph *g = v->g;
    size_t       n_flagged = 0, n_ports = 0;
    bool        *seen = arena_array(v->scratch, bool, g->n_values);
    for (ValueId id = 1; id < g->n_values; id++)
        n_flagged += value_get(g, id)->is_output;
    for (int i = 0; i < g->n_outputs; i++) {
        ValueId id = g->outputs[i].value;
        if (!id || id >= g->n_values || !value_get(g, id)->is_output) {
            fail(v, "output %d names a value that does not know it", i);
            return;
        }
        n_ports += !seen[id];
        seen[id] = true;
        if (!value_get(g, id)->producer && !value_get(g, id)->constant &&
            !value_get(g, id)->is_input)
            fail(v, "output %d is made by nothing", i);
    }
    if (n_flagged != n_ports)
        fail(v, "%zu values say they are outputs, %zu are", n_flagged, n_ports);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* verify_names - no two values that nodes make or the model takes have one name. */
static void verify_names(Verifier *v)
{
    const char **names = arena_array(v->scratch, const char *, v->g->n_values);
    size_t       count = 0;
    for (ValueId id = 1; id < v->g->n_values; id++) {
        const Value *value = value_get(v->g, id);
        if (value->producer || value->is_input)
            names[count++] = value->name;
    }
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            fail(v, "two values are called '%s'", text_printable(v->scratch, names[i]));
    }
}

bool graph_verify(const Graph *g, bool typed, Text *why)
{
    Verifier v = {.g = g, .why = why, .scratch = arena_new()};
    v.position = arena_array(v.scratch, uint32_t, g->n_nodes);
    if (verify_order(&v)) {
        for (NodeId n = graph_first(g); n; n = graph_next(g, n))
            verify_node(&v, n, typed);
        for (ValueId id = 1; id < g->n_values; id++)
            verify_value(&v, id, typed);
        verify_outputs(&v);
        verify_names(&v);
    }
    arena_free(v.scratch);
    return v.n_failures == 0;
}
