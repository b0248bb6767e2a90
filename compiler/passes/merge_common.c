/* merge_common.c - common subexpressions. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <string.h>

/* What a node computes, as text: equal text, equal values. Kept in an open hash table. */
typedef struct Entry {
    uint64_t    hash;
    const char *key; /* NULL: free */
    NodeId      node;
} Entry;

typedef struct Table {
    Arena *arena;
    Entry *entries;
    size_t room; /* a power of two, at least twice the nodes */
} Table;

static Table table_for(const Graph *g)
{
    Table t = {.arena = arena_new(), .room = 16};
    while (t.room < 2 * (size_t)g->n_nodes)
        t.room *= 2;
    t.entries = arena_array(t.arena, Entry, t.room);
    return t;
}

/* constant_key - small constants are equal when their elements are, large ones when they are the
 * same memory: one tensor of the weights file. */
static void constant_key(const Tensor *t, Text *key)
{
    enum { SMALL = 64 };
    int64_t count = type_count(&t->type);
    text_printf(key, " %s", type_text(key->arena, &t->type));
    if (count > SMALL)
        text_printf(key, "%p", t->data);
    for (int64_t i = 0; count <= SMALL && i < count; i++)
        text_printf(key, " %a", tensor_get(t, i));
}

static char *node_key(Arena *a, const Graph *g, const Node *n)
{
    Text key = text_new(a);
    text_printf(&key, "%d %d", (int)n->op, n->n_own);
    for (int i = 0; i < n->n_in; i++) {
        const Value *in = graph_input(g, n, i);
        if (in && in->constant)
            constant_key(in->constant, &key);
        else
            text_printf(&key, " %u", (unsigned)n->in[i]);
    }
    attrs_print(n->op, &n->attrs, &key);
    for (int i = 0; i < n->epilogue.n_steps; i++) {
        const EpilogueStep *s = &n->epilogue.steps[i];
        text_printf(&key, " then %d %d %d", (int)s->op, s->operand, (int)s->swapped);
        attrs_print(s->op, &s->attrs, &key);
    }
    return key.data;
}

static uint64_t hash_text(const char *s)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *s; s++)
        hash = (hash ^ (unsigned char)*s) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

/* table_find - the entry with this key, or the free one where it belongs. */
static Entry *table_find(Table *t, uint64_t hash, const char *key)
{
    size_t i = (size_t)hash & (t->room - 1);
    while (t->entries[i].key && (t->entries[i].hash != hash || strcmp(t->entries[i].key, key) != 0))
        i = (i + 1) & (t->room - 1);
    return &t->entries[i];
}

/* pass_merge_common - compute equal nodes once.
 *
 *     %a = relu(%x)   %b = relu(%x)   becomes   %a = relu(%x), read in place of %b
 *
 * Equal means: same op, inputs, attributes and epilogue. In order, so that what reads merged nodes
 * merges too. Two model outputs stay two nodes: each has memory of its own.
 * Needs shapes. Returns true if the graph changed. */
bool pass_merge_common(Graph *g, const PassContext *c)
{
    (void)c;
    Table table = table_for(g);
    bool  changed = false;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        char    *key = node_key(table.arena, g, node_get(g, n));
        uint64_t hash = hash_text(key);
        Entry   *entry = table_find(&table, hash, key);
        if (!entry->key) {
            *entry = (Entry){hash, key, n};
            continue;
        }
        ValueId out = node_get(g, n)->out, same = node_get(g, entry->node)->out;
        if (value_get(g, out)->is_output && value_get(g, same)->is_output)
            continue;
        graph_replace_uses(g, out, same);
        graph_remove(g, n);
        changed = true;
    }
    arena_free(table.arena);
    return changed;
}
