/* share.c - how threads share a kernel.
 *
 * A parallel loop whose iterations store to places of their own is run in parts, one a thread. A loop
 * that uses memory again in each iteration, as one over the blocks of Winograd's method does, is run by
 * all threads together, and they share the nests inside it. What is neither is done by one thread. */
#include "emit/emit.h"

#include "schedule/machine.h"

/* ---- one nest ----------------------------------------------------------------------------- */

/* stores_apart - whether every store inside moves with loop `l`: what does not is memory that the
 * iterations use one after the other. Each thread may have a copy of that, and has local arrays. */
static bool stores_apart(const Kernel *k, const Stmt *s, LoopId l)
{
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return stores_apart(k, s->body, l);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (!stores_apart(k, s->items[i], l))
            return false;
    const Buffer *b = s->kind == S_STORE ? &k->buffers[s->buffer] : NULL;
    return !b || b->copies > 1 || b->kind == BUF_LOCAL || affine_coef(&s->index, l) != 0;
}

/* is_nest - whether the iterations of `s` may run in any order. Those of a rolled loop leave what the next
 * one reads in a local array, which no other thread sees. */
static bool is_nest(const Kernel *k, const Stmt *s)
{
    return s->kind == S_FOR && k->loops[s->loop].role == PARALLEL &&
           k->loops[s->loop].mark != ROLLED;
}

/* share_loop - whether `s` is a loop whose iterations can run at the same time. */
static bool share_loop(const Kernel *k, const Stmt *s)
{
    return is_nest(k, s) && stores_apart(k, s->body, s->loop);
}

/* count_work - statements executed, in elements. */
static double count_work(const Kernel *k, const Stmt *s)
{
    double work = 0;
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        work += count_work(k, s->items[i]);
    if (s->kind == S_FOR)
        return (double)k->loops[s->loop].extent * count_work(k, s->body);
    if (s->kind == S_GUARD)
        return count_work(k, s->body);
    return s->kind == S_SET || s->kind == S_STORE ? work + s->value->type.lanes : work;
}

/* count_pieces - how many times the work that is worth claiming by itself: a microsecond or so, where a claim takes
 * some tenths of one. With pieces eight times as large GoogLeNet and MobileNet-v2 were 3 % slower. */
static double count_pieces(const Kernel *k, const Stmt *s)
{
    const double cycles = 2500;
    return count_work(k, s) / (cycles * PIPES * k->target->lanes);
}

/* ---- what runs how ------------------------------------------------------------------------- */

enum {
    MOST_ITEMS = 64,
    WORTH_IT = 1 << 15, /* work that pays for waking the threads, or for a meeting of theirs */
};

/* Statements one after the other: those of a block, or a single one. */
typedef struct Sequence {
    Stmt *const *items;
    int          n;
} Sequence;

static Sequence sequence(Stmt *const *s)
{
    bool is_block = (*s)->kind == S_BLOCK;
    return (Sequence){is_block ? (*s)->items : s, is_block ? (*s)->n_items : 1};
}

/* end_of_run - the statements from `first` on up to the next parallel loop: temporaries may pass between
 * them, so one thread does them all. */
static int end_of_run(const Kernel *k, Sequence s, int first)
{
    int end = first + 1;
    while (end < s.n && !is_nest(k, s.items[first]) && !is_nest(k, s.items[end]))
        end++;
    return end;
}

/* own_temps - make run number `run` the owner of what `s` mentions. False: another one is. */
static bool own_temps(const Stmt *s, int run, int *owner, Arena *a)
{
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return own_temps(s->body, run, owner, a);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (!own_temps(s->items[i], run, owner, a))
            return false;
    if (s->kind != S_LET && s->kind != S_SET && s->kind != S_STORE)
        return true;
    bool ok = true;
    if (s->kind != S_STORE) {
        ok = !owner[s->temp] || owner[s->temp] == run;
        owner[s->temp] = run;
    }
    ExprNodes nodes = expr_nodes(a, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_TEMP)
            ok &= owner[nodes.items[i]->temp] == run;
    return ok;
}

/* runs_apart - whether no temporary passes from one run to another. */
static bool runs_apart(const Kernel *k, Sequence s)
{
    Arena *a = arena_new();
    int   *owner = arena_array(a, int, k->n_temps);
    bool   ok = true;
    for (int i = 0, end; i < s.n; i = end) {
        end = end_of_run(k, s, i);
        for (int j = i; j < end; j++)
            ok = ok && own_temps(s.items[j], i + 1, owner, a);
    }
    arena_free(a);
    return ok;
}

/* ---- which loop of a nest ------------------------------------------------------------------- */

/* see_loads - the buffers that `s` reads, and those of them of which it reads other elements in another
 * iteration of `l`. */
static void see_loads(const Stmt *s, LoopId l, bool *read, bool *moves, Arena *a)
{
    if (s->kind == S_FOR || s->kind == S_GUARD)
        see_loads(s->body, l, read, moves, a);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        see_loads(s->items[i], l, read, moves, a);
    if (s->kind != S_LET && s->kind != S_SET && s->kind != S_STORE)
        return;
    ExprNodes nodes = expr_nodes(a, s->value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i];
        if (e->kind != E_LOAD)
            continue;
        read[e->buffer] = true;
        moves[e->buffer] |= affine_coef(&e->index, l) != 0;
    }
}

/* bytes_of_one - what each of the threads reads where they share the iterations of `s`. */
static double bytes_of_one(const Kernel *k, const Stmt *s, int threads)
{
    Arena *a = arena_new();
    bool  *read = arena_array(a, bool, k->n_buffers), *moves = arena_array(a, bool, k->n_buffers);
    double bytes = 0;
    see_loads(s->body, s->loop, read, moves, a);
    for (BufferId b = 1; b < k->n_buffers; b++)
        if (read[b])
            bytes += (double)k->buffers[b].count * (double)elem_bytes(k->buffers[b].elem) /
                     (moves[b] ? threads : 1);
    arena_free(a);
    return bytes;
}

const Stmt *share_within(const Kernel *k, const Stmt *s)
{
    s = s->body;
    while (s->kind == S_BLOCK && s->n_items == 1)
        s = s->items[0];
    return share_loop(k, s) ? s : NULL;
}

/* outer_loops - how many loops of a nest all threads run, so that what they share is a loop further inside:
 * rows of an image in place of channels, where the image is larger than the weights. Inner ones have to
 * have iterations enough for parts of about equal size. */
static int outer_loops(const Kernel *k, const Stmt *s, int threads)
{
    enum { ENOUGH = 8 };
    double least = bytes_of_one(k, s, threads);
    int    best = 0;
    for (int depth = 1; (s = share_within(k, s)); depth++) {
        double bytes = bytes_of_one(k, s, threads);
        if (k->loops[s->loop].extent < (int64_t)ENOUGH * threads || bytes >= 0.9 * least)
            continue;
        least = bytes;
        best = depth;
    }
    return best;
}

/* ---- the items ------------------------------------------------------------------------------ */

static bool add_items(SharePlan *plan, const Kernel *k, Sequence s);

static ShareItem *add_item(SharePlan *plan, Stmt *const *stmts, int n, Sharing how)
{
    plan->items[plan->n_items] = (ShareItem){.stmts = stmts, .n_stmts = n, .how = how};
    return &plan->items[plan->n_items++];
}

/* add_nest - false: there are too many items. */
static bool add_nest(SharePlan *plan, const Kernel *k, Stmt *const *s)
{
    Sequence body = sequence(&(*s)->body);
    int      first = plan->n_items;
    if (share_loop(k, *s)) {
        ShareItem *item = add_item(plan, s, 1, SHARE_PARTS);
        item->n_outer = outer_loops(k, *s, plan->threads);
        item->pieces = count_pieces(k, *s);
        plan->any_parts = true;
        return true;
    }
    if (runs_apart(k, body)) {
        SharePlan  before = *plan;
        ShareItem *loop = add_item(plan, s, 1, SHARE_INSIDE);
        plan->any_parts = false;
        if (!add_items(plan, k, body))
            return false;
        loop->n_inside = plan->n_items - first - 1;
        if (plan->any_parts && count_work(k, (*s)->body) >= (double)loop->n_inside * WORTH_IT)
            return true;
        *plan = before;
    }
    add_item(plan, s, 1, SHARE_ALONE);
    return true;
}

static bool add_items(SharePlan *plan, const Kernel *k, Sequence s)
{
    for (int i = 0, end; i < s.n; i = end) {
        end = end_of_run(k, s, i);
        if (plan->n_items == MOST_ITEMS)
            return false;
        if (!is_nest(k, s.items[i]))
            add_item(plan, s.items + i, end - i, SHARE_ALONE);
        else if (!add_nest(plan, k, s.items + i))
            return false;
    }
    return true;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

SharePlan share_kernel(const Kernel *k, const Aliases *aliases, int threads, Arena *a)
{
    SharePlan plan = {.threads = threads, .items = arena_array(a, ShareItem, MOST_ITEMS)};
    Sequence  body = sequence(&k->body);
    plan.is_shared = count_work(k, k->body) >= WORTH_IT && runs_apart(k, body) &&
                     add_items(&plan, k, body) && plan.any_parts;
    if (plan.is_shared && plan.n_items > 1)
        plan.is_shared = share_meetings(&plan, k, aliases);
    return plan;
}

const ShareItem *share_item(const SharePlan *plan, const Stmt *s)
{
    int i = 0;
    while (i < plan->n_items && plan->items[i].stmts[0] != s)
        i++;
    return i < plan->n_items ? &plan->items[i] : NULL;
}
