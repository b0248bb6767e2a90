/* reuse.c - a vector with picked lanes is made once for all sums that take it.
 *
 *     acc_0 += pick(x[32:16], 0 of 4) * wv_1         let xv = pick(x[32:16], 0 of 4)
 *     ..                                       ->    acc_0 += xv * wv_1
 *     acc_1 += pick(x[32:16], 0 of 4) * wv_0         acc_1 += xv * wv_0
 *
 * Picking keeps a unit busy that multiply-adds need, so one pick a sum would halve their rate. Neighbouring pixels
 * of a tile take the same input through different taps, and where those are unrolled as well (Schedule.unroll_k)
 * each input pixel is picked once. Sums move to the first one that takes the same vector, each accumulator's in
 * the order they had, and definitions to where they are first read. */
#include "kernel/kernel.h"

/* Statements items[first, last) of a block: definitions that read memory alone, and sums of those. */
typedef struct Run {
    Kernel      *k;
    Stmt *const *items;
    int          first, last;
    const Expr **pick; /* by item: what it picks; NULL: nothing */
    int         *same; /* by item: the first one that picks the same */
    TempId      *temp; /* by item that is a first one: what holds its pick by now; 0: nothing yet */
    bool        *done; /* by item: it stands in its new place */
    Stmt        *out;
} Run;

static const Expr *find_pick(const Kernel *k, const Expr *value)
{
    ExprNodes nodes = expr_nodes(k->arena, value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_PICK && nodes.items[i]->a->kind == E_LOAD)
            return nodes.items[i];
    return NULL;
}

static bool same_pick(const Expr *a, const Expr *b)
{
    return a->group == b->group && a->a->buffer == b->a->buffer &&
           affine_equal(&a->index, &b->index) && affine_equal(&a->a->index, &b->a->index);
}

/* definition - the item of the run that defines `t`; -1: none. */
static int definition(const Run *r, TempId t)
{
    for (int i = r->first; i < r->last; i++)
        if (r->items[i]->kind == S_LET && r->items[i]->temp == t)
            return i;
    return -1;
}

/* joins - whether `s` may stand in the run. */
static bool joins(const Run *r, const Stmt *s)
{
    bool is_sum = s->kind == S_SET && s->op == ASSIGN_ADD;
    if (!is_sum && s->kind != S_LET)
        return s->kind == S_PREFETCH;
    ExprNodes nodes = expr_nodes(r->k->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_TEMP && (!is_sum || definition(r, nodes.items[i]->temp) < 0))
            return false;
    return true;
}

/* take_run - the longest one that begins with r->first; whether two of its sums pick the same. */
static bool take_run(Run *r, int n_items)
{
    bool shared = false;
    for (r->last = r->first; r->last < n_items && joins(r, r->items[r->last]); r->last++) {
        int i = r->same[r->last] = r->last;
        if (r->items[i]->kind != S_SET || !(r->pick[i] = find_pick(r->k, r->items[i]->value)))
            continue;
        for (int j = r->first; j < i && r->same[i] == i; j++)
            if (r->pick[j] && same_pick(r->pick[i], r->pick[j]))
                r->same[i] = j;
        shared |= r->same[i] != i;
    }
    return shared;
}

/* ---- the new order ----------------------------------------------------------------------- */

typedef struct Replace {
    const Expr *what, *by;
} Replace;

static const Expr *replace_expr(Rewrite *r, const Expr *e)
{
    const Replace *p = r->ctx;
    return e == p->what ? p->by : e;
}

static void put(Run *r, int i, Stmt *s)
{
    st_add(r->k, r->out, s);
    r->done[i] = true;
}

/* Sum `i` of what it picks, which gets a name the first time. */
static Stmt *sum_of_named(Run *r, int i)
{
    Kernel *k = r->k;
    TempId *t = &r->temp[r->same[i]];
    if (!*t) {
        const char *stem = k->buffers[r->pick[i]->a->buffer].name;
        *t = kernel_temp(k, arena_printf(k->arena, "%sv", stem), r->pick[i]->type);
        st_add(k, r->out, st_let(k, *t, r->pick[i]));
    }
    Replace replace = {r->pick[i], ex_temp(k, *t)};
    Rewrite rewrite = {.k = k, .ctx = &replace, .expr = replace_expr};
    return rewrite_stmt(&rewrite, r->items[i]);
}

/* Sum `i`, behind the earlier ones of its accumulator and the definitions that they read. */
static void put_sum(Run *r, int i)
{
    Stmt *s = r->items[i];
    for (int j = r->first; j < i; j++)
        if (r->items[j]->kind == S_SET && r->items[j]->temp == s->temp && !r->done[j])
            put_sum(r, j);
    ExprNodes nodes = expr_nodes(r->k->arena, s->value);
    for (size_t n = 0; n < nodes.n; n++) {
        int let = nodes.items[n]->kind == E_TEMP ? definition(r, nodes.items[n]->temp) : -1;
        if (let >= 0 && !r->done[let])
            put(r, let, r->items[let]);
    }
    put(r, i, r->pick[i] ? sum_of_named(r, i) : s);
}

static void put_run(Run *r)
{
    for (int i = r->first; i < r->last; i++) {
        if (r->items[i]->kind == S_PREFETCH)
            put(r, i, r->items[i]);
        for (int j = i; r->items[i]->kind == S_SET && j < r->last; j++)
            if (!r->done[j] && (j == i || (r->pick[i] && r->same[j] == r->same[i])))
                put_sum(r, j);
    }
    for (int i = r->first; i < r->last; i++) /* definitions that are read behind the run */
        if (!r->done[i])
            put(r, i, r->items[i]);
}

static Stmt *reuse_stmt(Rewrite *rewrite, Stmt *s)
{
    Kernel *k = rewrite->k;
    if (s->kind != S_BLOCK || !s->n_items)
        return s;
    Run    r = {.k = k, .items = s->items, .out = st_block(k)};
    size_t n = (size_t)s->n_items;
    r.pick = arena_array(k->arena, const Expr *, n);
    r.same = arena_array(k->arena, int, n);
    r.temp = arena_array(k->arena, TempId, n);
    r.done = arena_array(k->arena, bool, n);
    for (; r.first < s->n_items; r.first = r.last + 1) {
        bool shared = take_run(&r, s->n_items);
        *(bool *)rewrite->ctx |= shared;
        if (shared)
            put_run(&r);
        for (int i = shared ? r.last : r.first; i <= r.last && i < s->n_items; i++)
            st_add(k, r.out, s->items[i]);
    }
    return r.out;
}

bool kpass_reuse(Kernel *k)
{
    bool    changed = false;
    Rewrite r = {.k = k, .ctx = &changed, .stmt = reuse_stmt};
    k->body = rewrite_stmt(&r, k->body);
    return changed;
}
