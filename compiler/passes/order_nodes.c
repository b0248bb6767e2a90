/* order_nodes.c - the order of execution with the lowest peak of live bytes.
 *
 * Where all paths run through one node, what comes before it and what comes behind it can be ordered
 * apart. Between two such bottlenecks the search is exact, within a bound on its states; where that is
 * not enough, the better of the present order and a greedy one is kept. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <stdlib.h>
#include <string.h>

/* ---- the model -------------------------------------------------------------------------- */

/* Rows of integers of different lengths, built in order. */
typedef struct Rows {
    Arena *arena;
    int   *items, *at;
    size_t n_items, cap_items;
    int    n_rows;
} Rows;

static Rows rows_new(Arena *a, int n)
{
    enum { FIRST_ITEMS = 64 };
    return (Rows){.arena = a,
                  .items = arena_array(a, int, FIRST_ITEMS),
                  .cap_items = FIRST_ITEMS,
                  .at = arena_array(a, int, (size_t)n + 1)};
}

static void row_add(Rows *r, int item)
{
    r->items = arena_grow(r->arena, r->items, r->n_items, &r->cap_items, sizeof *r->items);
    r->items[r->n_items++] = item;
}

static void row_end(Rows *r)
{
    r->at[++r->n_rows] = (int)r->n_items;
}

typedef struct Maker {
    const Graph  *g;
    OrderModel   *m;
    const NodeId *node;     /* at each position */
    int          *position; /* of each node */
    int          *home;     /* of each value that is a home in the arena; -1 */
    int          *toucher;  /* of each home: the node that touched it last */
    int64_t       align;
    Rows          touch, reuse, user;
} Maker;

/* home_index - the home of `v` in the model; -1: not in the arena. */
static int home_index(Maker *k, ValueId v)
{
    OrderModel *m = k->m;
    if (!v || !value_in_arena(k->g, v))
        return -1;
    ValueId home = value_home(k->g, v, NULL);
    if (k->home[home] < 0) {
        k->toucher[m->n_homes] = -1;
        k->home[home] = m->n_homes;
        m->bytes[m->n_homes++] = (storage_bytes(k->g, home) + k->align - 1) / k->align * k->align;
    }
    return k->home[home];
}

static void touch(Maker *k, int i, int home)
{
    if (home < 0 || k->toucher[home] == i)
        return;
    k->toucher[home] = i;
    k->m->total[home]++;
    row_add(&k->touch, home);
}

static void add_node(Maker *k, int i)
{
    OrderModel  *m = k->m;
    const Node  *n = node_get(k->g, k->node[i]);
    const Value *out = value_get(k->g, n->out);
    m->own[i] = home_index(k, n->out);
    touch(k, i, m->own[i]);
    touch(k, i, home_index(k, n->scratch));
    for (int j = 0; j < n->n_in; j++) {
        int home = home_index(k, n->in[j]);
        touch(k, i, home);
        if (home >= 0 && storage_takeover(k->g, k->node[i], j))
            row_add(&k->reuse, home);
        m->pending[i] += n->in[j] && value_get(k->g, n->in[j])->producer;
    }
    for (size_t u = 0; u < out->n_users; u++)
        row_add(&k->user, k->position[out->users[u]]);
    row_end(&k->touch);
    row_end(&k->reuse);
    row_end(&k->user);
}

static OrderModel make_model(const Graph *g, const NodeId *node, int n, int64_t align, Arena *a)
{
    size_t     count = (size_t)n, n_values = g->n_values;
    OrderModel m = {.n = n};
    Maker      k = {.g = g, .m = &m, .node = node, .align = align};
    m.bytes = arena_array(a, int64_t, n_values);
    m.total = arena_array(a, int, n_values);
    m.left = arena_array(a, int, n_values);
    m.own = arena_array(a, int, count);
    m.pending = arena_array(a, int, count);
    m.is_done = arena_array(a, bool, count);
    k.position = arena_array(a, int, g->n_nodes);
    k.home = arena_array(a, int, n_values);
    k.toucher = arena_array(a, int, n_values);
    k.touch = rows_new(a, n);
    k.reuse = rows_new(a, n);
    k.user = rows_new(a, n);
    for (size_t v = 0; v < n_values; v++)
        k.home[v] = -1;
    for (int i = 0; i < n; i++)
        k.position[node[i]] = i;
    for (int i = 0; i < n; i++)
        add_node(&k, i);
    memcpy(m.left, m.total, n_values * sizeof *m.left);
    m.touch = k.touch.items, m.touch_at = k.touch.at;
    m.reuse = k.reuse.items, m.reuse_at = k.reuse.at;
    m.user = k.user.items, m.user_at = k.user.at;
    return m;
}

/* run_all - the peak of nodes order[0..n), which are executed. */
static int64_t run_all(OrderModel *m, const int *order, int n)
{
    int64_t peak = 0;
    for (int i = 0; i < n; i++) {
        int64_t here = order_peak_at(m, order[i], NULL);
        peak = here > peak ? here : peak;
        order_run(m, order[i]);
    }
    return peak;
}

static void undo_all(OrderModel *m, const int *order, int n)
{
    while (n-- > 0)
        order_undo(m, order[n]);
}

/* ---- a segment between two bottlenecks -------------------------------------------------- */

/* greedy - always the ready node with the lowest peak, then with the least behind it. False where the
 * segment is too long for that. */
static bool greedy(OrderModel *m, int first, int n, int *order)
{
    enum { LONGEST = 3000 };
    if (n > LONGEST)
        return false;
    for (int k = 0; k < n; k++) {
        int     best = -1;
        int64_t best_peak = 0, best_after = 0;
        for (int i = first; i < first + n; i++) {
            if (m->is_done[i] || m->pending[i])
                continue;
            int64_t after, peak = order_peak_at(m, i, &after);
            bool    is_free = after <= m->live;
            if (best < 0 || peak < best_peak || (peak == best_peak && after < best_after) ||
                is_free) {
                best = i;
                best_peak = peak;
                best_after = after;
            }
            if (is_free)
                break;
        }
        order[k] = best;
        order_run(m, best);
    }
    undo_all(m, order, n);
    return true;
}

typedef struct Hunt {
    OrderModel *m;
    int        *order; /* of all nodes */
    int        *trial;
    int64_t     peak;   /* of the segments so far */
    int64_t     proven; /* no order of the graph has a lower one */
    int64_t     states; /* left to visit */
} Hunt;

/* order_segment - order nodes [first, last] and execute them. */
static void order_segment(Hunt *h, int first, int last)
{
    OrderModel *m = h->m;
    int         n = last - first + 1, *order = h->order + first;
    int64_t     known = run_all(m, order, n);
    undo_all(m, order, n);
    int64_t least = h->peak > h->proven ? h->peak : h->proven;
    if (known > least && greedy(m, first, n, h->trial)) {
        int64_t peak = run_all(m, h->trial, n);
        undo_all(m, h->trial, n);
        if (peak < known) {
            known = peak;
            memcpy(order, h->trial, (size_t)n * sizeof *order);
        }
    }
    if (known > least) {
        int64_t found =
            order_search(m, first, last, least, known, h->trial, &h->proven, &h->states);
        if (found < known)
            memcpy(order, h->trial, (size_t)n * sizeof *order);
    }
    int64_t peak = run_all(m, order, n);
    h->peak = peak > h->peak ? peak : h->peak;
}

/* ---- bottlenecks ------------------------------------------------------------------------ */

/* find_bottlenecks - nodes that depend on all nodes before them and that all nodes behind them depend
 * on. Position p is one if it is the only node up to p that nothing up to p reads, and the only one
 * from p on that reads nothing from p on. */
static bool *find_bottlenecks(const Graph *g, const OrderModel *m, const NodeId *node, Arena *a)
{
    size_t n = (size_t)m->n;
    int   *ends = arena_array(a, int, n + 1), *starts = arena_array(a, int, n + 1);
    int   *position = arena_array(a, int, g->n_nodes);
    bool  *is_bottleneck = arena_array(a, bool, n + 1);
    for (int i = 0; i < m->n; i++)
        position[node[i]] = i;
    for (int i = 0; i < m->n; i++) {
        const Node *d = node_get(g, node[i]);
        int         first_user = m->n, last_maker = -1;
        for (int k = m->user_at[i]; k < m->user_at[i + 1]; k++)
            first_user = m->user[k] < first_user ? m->user[k] : first_user;
        for (int k = 0; k < d->n_in; k++) {
            NodeId maker = d->in[k] ? value_get(g, d->in[k])->producer : 0;
            if (maker && position[maker] > last_maker)
                last_maker = position[maker];
        }
        ends[i]++, ends[first_user]--; /* unread up to p, for p in [i, first_user) */
        starts[last_maker + 1]++,
            starts[i + 1]--; /* reads nothing from p on, p in (last_maker, i] */
    }
    int unread = 0, unfed = 0;
    for (int p = 0; p < m->n; p++) {
        unread += ends[p];
        unfed += starts[p];
        is_bottleneck[p] = unread == 1 && unfed == 1;
    }
    return is_bottleneck;
}

/* least_peak - what must be alive at some node in any order: all it touches. */
static int64_t least_peak(const OrderModel *m)
{
    int64_t least = 0;
    for (int i = 0; i < m->n; i++) {
        int64_t touched = 0, saved = 0;
        for (int k = m->touch_at[i]; k < m->touch_at[i + 1]; k++)
            touched += m->bytes[m->touch[k]];
        if (m->reuse_at[i] < m->reuse_at[i + 1])
            saved = m->bytes[m->own[i]];
        least = touched - saved > least ? touched - saved : least;
    }
    return least;
}

/* ---- the pass --------------------------------------------------------------------------- */

static bool apply(Graph *g, const NodeId *node, const int *order, int n)
{
    bool changed = false;
    for (int i = 0; i < n; i++)
        changed |= order[i] != i;
    for (int i = 0; changed && i < n; i++)
        graph_move_before(g, node[order[i]], 0);
    return changed;
}

/* pass_order_nodes - reorder nodes so that the largest sum of live bytes is as small as possible.
 *
 * Counts what plan_memory will: one home for a concat and its parts, none for values the caller holds,
 * and no room for an output written over an input that ends there. Sets g->order_optimal when no order
 * has a lower peak.
 * Needs shapes, layouts and aliases. Returns true if the order changed. */
bool pass_order_nodes(Graph *g, const PassContext *c)
{
    enum { STATES = 200000 };
    Arena  *a = arena_new();
    NodeId *node = arena_array(a, NodeId, g->n_nodes);
    int     n = 0, start = 0;
    storage_alias_views(g);
    storage_settle(g);
    for (NodeId id = graph_first(g); id; id = graph_next(g, id))
        node[n++] = id;
    OrderModel m = make_model(g, node, n, plan_align(c->target), a);
    Hunt       h = {.m = &m, .proven = least_peak(&m), .states = STATES};
    h.order = arena_array(a, int, (size_t)n + 1);
    h.trial = arena_array(a, int, (size_t)n + 1);
    const bool *is_bottleneck = find_bottlenecks(g, &m, node, a);
    for (int i = 0; i < n; i++)
        h.order[i] = i;
    for (int i = 0; i < n; i++) {
        if (!is_bottleneck[i] && i + 1 < n)
            continue;
        order_segment(&h, start, i);
        start = i + 1;
    }
    bool changed = apply(g, node, h.order, n);
    g->order_optimal = h.peak <= h.proven;
    arena_free(a);
    return changed;
}
