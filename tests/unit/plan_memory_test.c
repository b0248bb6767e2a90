/* Random graphs, planned for targets with different lanes, and run on the planned memory: each node's
 * loops are interpreted in an arena that starts as NaN, and the outputs compared with the evaluator.
 * So a wrong layout, alias, take-over or offset shows as a wrong number. Then, orders against brute
 * force, and damage that plan_replay must notice. */
#include "passes/passes.h"
#include "kernel/kernel.h"
#include "random_graph.h"

#include <math.h>

/* Two lanes and halos: with small shapes all rules about blocks come into play. */
static Target small_target(int lanes, bool halo)
{
    Target t = *target_by_name("c99");
    t.lanes = lanes;
    t.halo = halo;
    return t;
}

static bool run_passes(Graph *g, const PassContext *c, Arena *a)
{
    Text why = text_new(a);
    for (int i = 1; i < n_passes; i++) {
        passes[i].run(g, c);
        if (!CHECK(graph_verify(g, true, &why)) || !CHECK(diag_errors(g->diag) == 0)) {
            printf("%s: %s\n", passes[i].name, why.data ? why.data : "an error");
            diag_print(g->diag, stdout);
            return false;
        }
    }
    return true;
}

/* ---- graphs ----------------------------------------------------------------------------- */

static void add_branch_conv(Maker *m, ValueId x, bool padded)
{
    int64_t channels = type_of(m, x)->dims[1], kernel = padded ? 3 : 1, pad = padded;
    bool    grouped = random_below(4) == 0;
    int64_t groups = grouped ? (channels % 2 || random_below(2) ? channels : 2) : 1;
    int64_t dims[4] = {grouped ? channels : random_between(1, 8), channels / groups, kernel,
                       kernel};
    OpAttrs attrs = {
        .groups = groups, .strides = {1, 1}, .dilations = {1, 1}, .padding = {pad, pad, pad, pad}};
    add(m, OP_conv2d, 2, (ValueId[]){x, constant(m, 4, dims, -0.5, 0.5)}, &attrs);
}

/* One concat after the other, each of all parts so far: what dense networks look like. */
static void add_dense(Maker *m, ValueId x)
{
    ValueId parts[4] = {x};
    for (int n = 1; n < 4 && m->n_pool < 60; n++) {
        add_branch_conv(m, parts[n - 1], random_below(2));
        parts[n] = m->pool[m->n_pool - 1];
        if (random_below(4))
            add(m, OP_concat, n + 1, parts, &(OpAttrs){.axis = 1});
    }
}

/* Branches that meet in sums and concats, all of one plane size so that much can share; nothing is
 * left unused: one last concat reads all that nothing else does. */
static Graph *branching_graph(Arena *a, int n_nodes)
{
    Maker m = {.arena = a, .g = graph_new(a, diag_new(a))};
    m.g->inputs = arena_array(a, Port, 2);
    m.g->outputs = arena_array(a, Port, 3);
    m.g->name = "branches";
    add_input(&m, 4);
    int64_t *dims = value_at(m.g, m.pool[0])->type.dims;
    dims[0] = random_below(4) ? 1 : 2;
    while (m.n_pool <= n_nodes) {
        ValueId x = pick(&m, 4), y = m.pool[random_below(m.n_pool)];
        int64_t kind = random_below(8);
        if (!x)
            continue;
        if (kind < 3)
            add_branch_conv(&m, x, kind == 0);
        else if (kind == 3)
            add(&m, OP_concat, 2, (ValueId[]){x, y}, &(OpAttrs){.axis = 1});
        else if (kind == 4 && n_nodes > 10)
            add_dense(&m, x);
        else if (kind < 7 && x != y && type_same_shape(type_of(&m, x), type_of(&m, y)))
            add(&m, OP_add, 2, (ValueId[]){x, y}, NULL);
        else
            add(&m, OP_relu, 1, &x, NULL);
    }
    ValueId ends[64];
    int     n_ends = 0;
    for (int i = 0; i < m.n_pool; i++) {
        if (!value_get(m.g, m.pool[i])->n_users)
            ends[n_ends++] = m.pool[i];
    }
    OpAttrs along = {.axis = 1};
    NodeId  last = graph_add(m.g, OP_concat, "last", (Span){0}, n_ends, ends, &along, 0);
    CHECK(op_info(OP_concat)->shape(m.g, last));
    ValueId out = node_get(m.g, last)->out;
    value_at(m.g, out)->is_output = true;
    m.g->outputs[m.g->n_outputs++] = (Port){.value = out, .name = "last"};
    return m.g;
}

/* ---- running a plan --------------------------------------------------------------------- */

typedef struct Machine {
    Arena          *arena;
    Graph          *g;
    unsigned char  *memory; /* the arena */
    unsigned char **own;    /* of values that live with the caller */
} Machine;

static void *nans(Arena *a, int64_t bytes)
{
    float *f = arena_alloc(a, (size_t)bytes + sizeof(float));
    for (int64_t i = 0; i < (bytes + 3) / 4; i++)
        f[i] = NAN;
    return f;
}

static Machine machine_new(Graph *g, const Array *inputs, Arena *a)
{
    Machine m = {a, g, nans(a, g->plan->bytes), arena_array(a, unsigned char *, g->n_values)};
    for (ValueId v = 1; v < g->n_values; v++) {
        if (value_get(g, v)->is_input || value_get(g, v)->is_output)
            m.own[v] = nans(a, storage_bytes(g, v));
    }
    for (int i = 0; i < g->n_inputs; i++) {
        float *to = (float *)m.own[g->inputs[i].value];
        for (int64_t k = 0; k < type_count(&inputs[i].type); k++)
            to[k] = (float)inputs[i].data[k];
    }
    return m;
}

static void *address(const Machine *m, ValueId v)
{
    int64_t in_home;
    ValueId home = value_home(m->g, v, &in_home);
    if (value_in_arena(m->g, v))
        return m->memory + value_get(m->g, v)->offset;
    return m->own[home] + in_home * (int64_t)elem_bytes(value_get(m->g, v)->type.elem);
}

static bool run_node(const Machine *m, NodeId id, const Target *t)
{
    Kernel *k = kernel_new(m->arena, "test", t, FP_STRICT);
    Text    why = text_new(m->arena);
    k->node = id;
    op_info(node_get(m->g, id)->op)->lower(m->g, id, k);
    if (!CHECK(kernel_verify(k, &why))) {
        printf("%s: %s\n", node_get(m->g, id)->name, why.data);
        return false;
    }
    void **memory = arena_array(m->arena, void *, k->n_buffers + 1);
    for (BufferId b = 1; b < k->n_buffers; b++) {
        if (k->buffers[b].value && k->buffers[b].kind != BUF_CONST)
            memory[b] = address(m, k->buffers[b].value);
    }
    kernel_interp(k, memory, m->arena);
    return true;
}

static bool close_to(const Array *want, const float *got)
{
    int64_t count = type_count(&want->type);
    double  largest = 1;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(want->data[i]));
    for (int64_t i = 0; i < count; i++) {
        bool both_lost = !isfinite(want->data[i]) && !isfinite(got[i]);
        if (!both_lost && !(fabs(want->data[i] - (double)got[i]) <= 1e-4 * largest))
            return false;
    }
    return true;
}

static bool run_plan(Graph *g, const Array *inputs, const Array *want, const Target *t, Arena *a)
{
    Machine m = machine_new(g, inputs, a);
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        if (!run_node(&m, n, t))
            return false;
    }
    bool ok = true;
    for (int i = 0; i < g->n_outputs; i++) {
        const Value *v = value_get(g, g->outputs[i].value);
        if (v->producer)
            ok &= CHECK(type_is_plain(&v->type)) &&
                  CHECK(close_to(&want[i], address(&m, g->outputs[i].value)));
    }
    return ok;
}

static Array *random_inputs(const Graph *g, Arena *a)
{
    Array *inputs = arena_array(a, Array, (size_t)g->n_inputs + 1);
    for (int i = 0; i < g->n_inputs; i++) {
        inputs[i].type = value_get(g, g->inputs[i].value)->type;
        inputs[i].data = arena_array(a, double, (size_t)type_count(&inputs[i].type));
        for (int64_t k = 0; k < type_count(&inputs[i].type); k++)
            inputs[i].data[k] = random_float();
    }
    return inputs;
}

static void test_numbers(int n_graphs)
{
    int n_shared = 0, n_halos = 0, n_blocks = 0, n_moved = 0;
    for (int i = 0; i < n_graphs && !check_failed; i++) {
        Arena      *a = arena_new();
        Graph      *g = i % 2 ? random_graph(a, (int)random_between(1, 30))
                              : branching_graph(a, (int)random_between(1, 30));
        Target      t = small_target(1 << random_below(3), random_below(2));
        PassContext c = {.target = &t, .seconds = 0.01};
        Array      *inputs = random_inputs(g, a), *want = arena_array(a, Array, 4);
        Text        before = text_new(a), after = text_new(a);
        graph_print(g, &before);
        graph_eval(g, inputs, want, a, NULL);
        bool ok = run_passes(g, &c, a);
        graph_print(g, &after);
        if (!ok || !run_plan(g, inputs, want, &t, a))
            printf("graph %d, %d lanes:\n%safter:\n%s", i, t.lanes, before.data, after.data);
        for (ValueId v = 1; v < g->n_values; v++) {
            n_shared += value_get(g, v)->base != 0;
            n_halos += value_get(g, v)->type.layout.top > 0;
            n_blocks += value_get(g, v)->type.layout.block > 1;
        }
        n_moved += g->order_optimal;
        arena_free(a);
    }
    printf("%d shared, %d with halo, %d with blocks, %d orders proven\n", n_shared, n_halos,
           n_blocks, n_moved);
    CHECK(n_shared > n_graphs && n_halos > n_graphs && n_blocks > n_graphs);
}

/* ---- orders ----------------------------------------------------------------------------- */

#define MOST_NODES 8

typedef struct Brute {
    Graph  *g;
    Arena  *arena;
    NodeId  node[MOST_NODES], order[MOST_NODES];
    int     n;
    bool    used[MOST_NODES];
    Value  *saved; /* without take-overs */
    int64_t best;
} Brute;

/* The peak of the present order, as plan_memory finds it; nothing of the plan is kept. */
static int64_t peak_of_order(Brute *b)
{
    for (int i = 0; i < b->n; i++)
        graph_move_before(b->g, b->order[i], 0);
    pass_plan_memory(b->g, &(PassContext){.seconds = 1e-4});
    for (ValueId v = 1; v < b->g->n_values; v++) {
        value_at(b->g, v)->base = b->saved[v].base;
        value_at(b->g, v)->base_offset = b->saved[v].base_offset;
    }
    return b->g->plan->lower_bound;
}

static bool is_ready(const Brute *b, const Node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        NodeId p = n->in[i] ? value_get(b->g, n->in[i])->producer : 0;
        for (int k = 0; k < b->n; k++) {
            if (b->node[k] == p && !b->used[k])
                return false;
        }
    }
    return true;
}

static void try_orders(Brute *b, int at)
{
    if (at == b->n) {
        int64_t peak = peak_of_order(b);
        b->best = peak < b->best ? peak : b->best;
        return;
    }
    for (int i = 0; i < b->n; i++) {
        if (b->used[i] || !is_ready(b, node_get(b->g, b->node[i])))
            continue;
        b->used[i] = true;
        b->order[at] = b->node[i];
        try_orders(b, at + 1);
        b->used[i] = false;
    }
}

static void test_orders(int n_graphs)
{
    int n_better = 0;
    for (int i = 0; i < n_graphs && !check_failed; i++) {
        Arena      *a = arena_new();
        Brute       b = {.arena = a, .best = INT64_MAX, .g = branching_graph(a, MOST_NODES - 2)};
        PassContext c = {.seconds = 1e-4};
        pass_alias_concat(b.g, &c);
        for (NodeId n = graph_first(b.g); n; n = graph_next(b.g, n))
            b.order[b.n] = b.node[b.n] = n, b.n++;
        b.saved = arena_array(a, Value, b.g->n_values);
        memcpy(b.saved, b.g->values, b.g->n_values * sizeof *b.saved);
        int64_t given = peak_of_order(&b);
        try_orders(&b, 0);
        memcpy(b.order, b.node, sizeof b.order);
        peak_of_order(&b);
        pass_order_nodes(b.g, &c);
        pass_plan_memory(b.g, &c);
        CHECK(diag_errors(b.g->diag) == 0);
        CHECK(b.g->order_optimal);
        if (!CHECK(b.g->plan->lower_bound == b.best)) {
            Text t = text_new(a);
            graph_print(b.g, &t);
            printf("graph %d: peak %lld, best %lld\n%s", i, (long long)b.g->plan->lower_bound,
                   (long long)b.best, t.data);
        }
        n_better += b.best < given;
        arena_free(a);
    }
    printf("%d of %d orders were made better\n", n_better, n_graphs);
    CHECK(n_better > n_graphs / 20);
}

/* ---- damage ----------------------------------------------------------------------------- */

/* Move one value onto another that is alive with it: the replay must see it, unless what was there is
 * not read any more. Counts how often it does. */
static void test_damage(int n_graphs)
{
    int n_noticed = 0, n_done = 0;
    for (int i = 0; i < n_graphs && !check_failed; i++) {
        Arena *a = arena_new();
        Graph *g = branching_graph(a, 20);
        Target t = small_target(2, true);
        run_passes(g, &(PassContext){.target = &t, .seconds = 0.01}, a);
        MemoryPlan *p = g->plan;
        for (int x = 0; x < p->n_blocks; x++) {
            for (int y = 0; y < p->n_blocks; y++) {
                const PlanBlock *bx = &p->blocks[x], *by = &p->blocks[y];
                /* x is written while y waits for a reader behind it */
                if (x == y || by->first >= bx->first || by->last <= bx->first)
                    continue;
                Text why = text_new(a);
                CHECK(plan_replay(g, &why));
                int64_t was = value_get(g, bx->value)->offset;
                value_at(g, bx->value)->offset = value_get(g, by->value)->offset;
                n_noticed += !plan_replay(g, &why);
                n_done++;
                value_at(g, bx->value)->offset = was;
            }
        }
        arena_free(a);
    }
    printf("%d of %d damages noticed\n", n_noticed, n_done);
    CHECK(n_done > 100 && n_noticed * 10 >= n_done * 9);
}

int main(void)
{
    test_numbers(1500);
    test_orders(60);
    test_damage(40);
    return check_end();
}
