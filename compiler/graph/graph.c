/* graph.c - nodes, values and who uses what: building and editing.
 *
 * A use is known from both sides: in[i] of a node is users[place[i]] of the value, and slots[]
 * leads back. So every edit takes constant time a use, whatever the fan-out. */
#include "graph/graph.h"

#include <assert.h>
#include <string.h>

Graph *graph_new(Arena *a, Diag *d)
{
    Graph *g = arena_struct(a, Graph);
    g->arena = a;
    g->diag = d;
    g->name = "";
    g->nodes = arena_grow(a, NULL, 0, &g->cap_nodes, sizeof *g->nodes);
    g->values = arena_grow(a, NULL, 0, &g->cap_values, sizeof *g->values);
    g->n_nodes = g->n_values = 1; /* entry 0 is no node, no value */
    g->n_fresh = 1;
    return g;
}

Node *node_at(Graph *g, NodeId n)
{
    assert(n > 0 && n < g->n_nodes);
    return &g->nodes[n];
}

Value *value_at(Graph *g, ValueId v)
{
    assert(v > 0 && v < g->n_values);
    return &g->values[v];
}

const Node *node_get(const Graph *g, NodeId n)
{
    assert(n > 0 && n < g->n_nodes);
    return &g->nodes[n];
}

const Value *value_get(const Graph *g, ValueId v)
{
    assert(v > 0 && v < g->n_values);
    return &g->values[v];
}

NodeId graph_first(const Graph *g)
{
    return g->first;
}

NodeId graph_next(const Graph *g, NodeId n)
{
    return node_get(g, n)->next;
}

const Value *graph_input(const Graph *g, const Node *n, int i)
{
    if (i < 0 || i >= n->n_in || !n->in[i])
        return NULL;
    return value_get(g, n->in[i]);
}

/* ---- values ----------------------------------------------------------------------------- */

/* Only a name that ends in '#' and a number matters; numbers of over 18 digits are out of reach. */
void graph_reserve_name(Graph *g, const char *name)
{
    enum { MOST_DIGITS = 18 };
    const char *hash = strrchr(name, '#');
    if (!hash || strlen(hash + 1) > MOST_DIGITS)
        return;
    uint64_t number = 0;
    for (const char *s = hash + 1; *s; s++) {
        if (*s < '0' || *s > '9')
            return;
        number = 10 * number + (uint64_t)(*s - '0');
    }
    if (number >= g->n_fresh)
        g->n_fresh = number + 1;
}

void graph_rename_value(Graph *g, ValueId v, const char *name)
{
    graph_reserve_name(g, name);
    value_at(g, v)->name = arena_strdup(g->arena, name);
}

ValueId graph_add_value(Graph *g, const char *name, Type type)
{
    g->values = arena_grow(g->arena, g->values, g->n_values, &g->cap_values, sizeof *g->values);
    ValueId v = g->n_values++;
    g->values[v] = (Value){.type = type};
    graph_rename_value(g, v, name);
    return v;
}

ValueId graph_add_constant(Graph *g, const char *name, const Tensor *t)
{
    ValueId v = graph_add_value(g, name, t->type);
    value_at(g, v)->constant = t;
    return v;
}

char *graph_fresh_name(Graph *g, const char *stem)
{
    size_t len = strlen(stem);
    size_t cut = len;
    while (cut > 0 && stem[cut - 1] >= '0' && stem[cut - 1] <= '9')
        cut--;
    if (cut > 1 && cut < len &&
        stem[cut - 1] == '#') /* made from a made-up name: one number is enough */
        len = cut - 1;
    if (len > 1000)
        len = 1000;
    return arena_printf(g->arena, "%.*s#%llu", (int)len, stem, (unsigned long long)g->n_fresh++);
}

/* ---- uses ------------------------------------------------------------------------------- */

/* use_add - node `n` reads `v` as its input `i`; 0 is the absent input. */
static void use_add(Graph *g, NodeId n, int i, ValueId v)
{
    Node *node = node_at(g, n);
    node->in[i] = v;
    if (!v)
        return;
    Value *value = value_at(g, v);
    size_t k = value->n_users++, cap = value->cap_users;
    value->users = arena_grow(g->arena, value->users, k, &cap, sizeof *value->users);
    value->slots = arena_grow(g->arena, value->slots, k, &value->cap_users, sizeof *value->slots);
    value->users[k] = n;
    value->slots[k] = (uint32_t)i;
    node->place[i] = (uint32_t)k;
}

/* use_drop - node `n` no longer reads its input `i`; the value's last user takes the place. */
static void use_drop(Graph *g, NodeId n, int i)
{
    Node *node = node_at(g, n);
    if (!node->in[i])
        return;
    Value   *value = value_at(g, node->in[i]);
    uint32_t k = node->place[i];
    size_t   last = --value->n_users;
    value->users[k] = value->users[last];
    value->slots[k] = value->slots[last];
    node_at(g, value->users[k])->place[value->slots[k]] = k;
    node->in[i] = 0;
}

void graph_set_input(Graph *g, NodeId n, int i, ValueId v)
{
    assert(i >= 0 && i < node_at(g, n)->n_in);
    use_drop(g, n, i);
    use_add(g, n, i, v);
}

/* input_room - how many inputs a node with `n_in` of them has room for: a power of two. */
static size_t input_room(int n_in)
{
    size_t room = 4;
    while (room < (size_t)n_in)
        room *= 2;
    return room;
}

int graph_append_input(Graph *g, NodeId n, ValueId v)
{
    Node  *node = node_at(g, n);
    size_t count = (size_t)node->n_in;
    if (count == input_room(node->n_in)) {
        ValueId  *in = arena_array(g->arena, ValueId, 2 * count);
        uint32_t *place = arena_array(g->arena, uint32_t, 2 * count);
        memcpy(in, node->in, count * sizeof *in);
        memcpy(place, node->place, count * sizeof *place);
        node->in = in;
        node->place = place;
    }
    int i = node->n_in++;
    use_add(g, n, i, v);
    return i;
}

void graph_replace_uses(Graph *g, ValueId old, ValueId with)
{
    assert(old != with);
    Value *from = value_at(g, old);
    for (size_t k = 0; k < from->n_users; k++)
        use_add(g, from->users[k], (int)from->slots[k], with);
    from->n_users = 0;
    if (!from->is_output)
        return;
    for (int i = 0; i < g->n_outputs; i++) {
        if (g->outputs[i].value == old)
            g->outputs[i].value = with;
    }
    from->is_output = false;
    value_at(g, with)->is_output = true;
}

Type node_computed(const Graph *g, const Node *n)
{
    Type t = value_get(g, n->out)->type;
    for (int i = 0; n->pooled[0] && i < 2; i++)
        t.dims[2 + i] = n->pooled[i];
    return t;
}

const char *algorithm_name(Algorithm a)
{
    static const char *const names[] = {"direct", "winograd", "strassen", "inner"};
    return names[a];
}

Winograd node_winograd(const Graph *g, const Node *n, int m)
{
    const Type *w = &value_get(g, n->in[1])->type;
    return (Winograd){m, (int)w->dims[2], (int)n->attrs.strides[0]};
}

int winograd_edge(Winograd w)
{
    return (w.m - 1) * w.stride + w.k;
}

Type node_reads(const Graph *g, const Node *n)
{
    return n->expansion ? n->expansion->type : value_get(g, n->in[0])->type;
}

NodeId graph_only_user(const Graph *g, ValueId v)
{
    const Value *value = value_get(g, v);
    return value->n_users == 1 && !value->is_output ? value->users[0] : 0;
}

/* ---- nodes and their order -------------------------------------------------------------- */

static void unlink_node(Graph *g, NodeId n)
{
    Node *node = node_at(g, n);
    *(node->prev ? &g->nodes[node->prev].next : &g->first) = node->next;
    *(node->next ? &g->nodes[node->next].prev : &g->last) = node->prev;
    node->prev = node->next = 0;
}

static void link_before(Graph *g, NodeId n, NodeId before)
{
    Node *node = node_at(g, n);
    node->next = before;
    node->prev = before ? node_at(g, before)->prev : g->last;
    *(node->prev ? &g->nodes[node->prev].next : &g->first) = n;
    *(before ? &g->nodes[before].prev : &g->last) = n;
}

NodeId graph_add(Graph *g, Op op, const char *name, Span where, int n_in, const ValueId *in,
                 const OpAttrs *attrs, NodeId before)
{
    g->nodes = arena_grow(g->arena, g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes);
    NodeId  n = g->n_nodes++;
    ValueId out = graph_add_value(g, name, (Type){.elem = ELEM_POISON});
    value_at(g, out)->producer = n;
    Node *node = node_at(g, n);
    *node = (Node){.op = op,
                   .name = value_at(g, out)->name,
                   .where = where,
                   .n_in = n_in,
                   .n_own = n_in,
                   .out = out};
    if (attrs)
        node->attrs = *attrs;
    node->in = arena_array(g->arena, ValueId, input_room(n_in));
    node->place = arena_array(g->arena, uint32_t, input_room(n_in));
    for (int i = 0; i < n_in; i++)
        use_add(g, n, i, in[i]);
    link_before(g, n, before);
    return n;
}

int64_t graph_constant_bytes(const Graph *g)
{
    int64_t total = 0;
    for (ValueId v = 1; v < g->n_values; v++) {
        const Value *value = value_get(g, v);
        if (value->constant && value->n_users)
            total += type_count(&value->type) * (int64_t)elem_bytes(value->type.elem);
    }
    return total;
}

void graph_remove(Graph *g, NodeId n)
{
    Node  *node = node_at(g, n);
    Value *out = value_at(g, node->out);
    assert(out->n_users == 0 && !out->is_output);
    for (int i = node->n_in - 1; i >= 0; i--)
        use_drop(g, n, i);
    unlink_node(g, n);
    out->producer = 0;
    *node = (Node){.op = OP_NONE};
}

void graph_move_before(Graph *g, NodeId n, NodeId before)
{
    if (n == before)
        return;
    unlink_node(g, n);
    link_before(g, n, before);
}
