/* plan_memory.c - in-place reuse, and an offset in one arena for every value. */
#include "passes/passes.h"
#include "ops/ops.h"

/* When the memory of a home is in use: from the first write into it to the last read, in steps. */
typedef struct Life {
    int first, last;
} Life;

static void life_add(Life *l, int step)
{
    l->first = l->first < step ? l->first : step;
    l->last = l->last > step ? l->last : step;
}

/* The lives of homes, by value; first > last where nothing is written. */
static Life *find_lives(const Graph *g, Arena *scratch, int *n_steps)
{
    Life *lives = arena_array(scratch, Life, g->n_values);
    int   step = 0;
    for (ValueId v = 0; v < g->n_values; v++)
        lives[v] = (Life){INT32_MAX, -1};
    for (NodeId id = graph_first(g); id; id = graph_next(g, id), step++) {
        const Node *n = node_get(g, id);
        for (int i = 0; i < n->n_in; i++) {
            if (n->in[i])
                life_add(&lives[value_home(g, n->in[i], NULL)], step);
        }
        life_add(&lives[value_home(g, n->out, NULL)], step);
        if (n->scratch)
            life_add(&lives[n->scratch], step);
    }
    *n_steps = step;
    return lives;
}

/* take_over - let the node of step `step` write over an input that ends there. Without it both would
 * be alive at this step, with it one: that is never worse. */
static void take_over(Graph *g, NodeId id, int step, Life *lives)
{
    const Node *n = node_get(g, id);
    for (int i = 0; i < n->n_in; i++) {
        if (!storage_takeover(g, id, i))
            continue;
        ValueId home = value_home(g, n->in[i], NULL);
        if (lives[home].last != step)
            continue;
        lives[home].last = lives[n->out].last;
        lives[n->out] = (Life){INT32_MAX, -1};
        value_at(g, n->out)->base = home;
        return;
    }
}

static void add_block(const Graph *g, MemoryPlan *p, ValueId home, Life *l)
{
    if (l->first > l->last || !value_in_arena(g, home))
        return;
    p->blocks[p->n_blocks++] = (PlanBlock){
        .value = home, .bytes = storage_bytes(g, home), .first = l->first, .last = l->last};
    *l = (Life){INT32_MAX, -1};
}

/* add_blocks - a block for each home in the arena, in the order in which they come to life. */
static void add_blocks(const Graph *g, MemoryPlan *p, Life *lives)
{
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        ValueId     home = value_home(g, n->out, NULL);
        add_block(g, p, home, &lives[home]);
        if (n->scratch)
            add_block(g, p, n->scratch, &lives[n->scratch]);
    }
}

/* fits_machine - whether all blocks together stay far from overflow. */
static bool fits_machine(Graph *g, const MemoryPlan *p)
{
    int64_t total = 0;
    for (int i = 0; i < p->n_blocks; i++) {
        if (p->blocks[i].bytes <= (INT64_MAX >> 2) - total - p->align) {
            total += p->blocks[i].bytes + p->align;
            continue;
        }
        diag_error(g->diag, (Span){0}, "the values of the model take more than 2^61 bytes");
        return false;
    }
    return true;
}

/* set_offsets - every value in the arena learns its place. */
static void set_offsets(Graph *g, const MemoryPlan *p)
{
    for (int i = 0; i < p->n_blocks; i++)
        value_at(g, p->blocks[i].value)->offset = p->blocks[i].offset;
    storage_settle(g);
    for (ValueId v = 1; v < g->n_values; v++) {
        Value *value = value_at(g, v);
        if (value->base && value_in_arena(g, v))
            value->offset = value_get(g, value->base)->offset +
                            value->base_offset * (int64_t)elem_bytes(value->type.elem);
    }
}

/* States visited per second of the time a search may take, on a slow machine. The limit is a count,
 * so that the same model gives the same plan everywhere. */
#define STATES_PER_SECOND 200000

static void check_plan(Graph *g, const MemoryPlan *p)
{
    Text why = text_new(g->arena);
    if (!plan_check(p, &why) || !plan_replay(g, &why))
        diag_error(g->diag, (Span){0}, "kiln made a mistake, please report it: the memory plan: %s",
                   why.data);
}

/* pass_plan_memory - a place for every value that a node makes.
 *
 * Model inputs and outputs live with the caller: the node that makes an output writes it there.
 * Everything else shares one arena. Views live in their inputs; elementwise nodes and fused operands
 * write over an input that nobody needs any more. What remains are blocks with fixed lives, and
 * plan_place gives them offsets. The result is checked twice, as numbers (plan_check) and by running
 * the order on it (plan_replay).
 * Needs shapes. Fills g->plan. Returns true. */
bool pass_plan_memory(Graph *g, const PassContext *c)
{
    Arena      *scratch = arena_new();
    MemoryPlan *p = arena_struct(g->arena, MemoryPlan);
    storage_alias_views(g);
    storage_settle(g);
    Life *lives = find_lives(g, scratch, &p->n_steps);
    int   step = 0;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        take_over(g, n, step++, lives);
    p->align = plan_align(c->target);
    p->blocks = arena_array(g->arena, PlanBlock, 2 * (size_t)p->n_steps + 1);
    p->order_optimal = g->order_optimal;
    add_blocks(g, p, lives);
    if (fits_machine(g, p)) {
        double seconds = c->seconds > 0 && c->seconds < 3600 ? c->seconds : 1;
        plan_place(p, scratch, (int64_t)(seconds * STATES_PER_SECOND));
        set_offsets(g, p);
        g->plan = p;
        check_plan(g, p);
    }
    arena_free(scratch);
    return true;
}
