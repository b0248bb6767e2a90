/* promote.c - loads shared by a tile move into temporaries.
 *
 *     for ow1 in 14 { for oc1 in 2 { acc[ow1][oc1] += splat(x[.. + ow1]) * w[.. + oc1*16 : 16] } }
 *  becomes
 *     for oc1 in 2 { wv[oc1] = w[.. + oc1*16 : 16] }
 *     for ow1 in 14 {
 *         xv = splat(x[.. + ow1])
 *         for oc1 in 2 { acc[ow1][oc1] += xv * wv[oc1] } }
 *
 * An operand that does not depend on all loops of the tile is read once, before the first loop it does
 * not depend on. The tile then costs rows + columns loads in place of rows * columns, and in this order
 * only one operand of a row is alive at a time: accumulators, columns and one more register.
 *
 * Weights too large to stay in the cache come from memory in the order they are read, but hardware stops
 * prefetching at the end of a page: each such load announces one that comes later. Memory serves
 * several places side by side half as fast again as one (measured: 4 to 8 places, 16 against 10.5 GB/s).
 * So the weights of the next tile are announced during this one in Schedule.streams parts at once: of
 * steps 0, 1, 2, 3, 4 .. the lines 0, S/4, S/2, 3S/4, 1 .. of S. Where the columns of a tile lie apart
 * they are streams already, and each announces its own PREFETCH_BYTES / columns ahead. */
#include "kernel/kernel.h"
#include "target/target.h"

#define MAX_CHAIN 4

/* Far enough for memory's latency, near enough to stay in the cache; 16 to 64 KiB measure the same. */
#define PREFETCH_BYTES 16384

/* The unrolled loops of a tile, outermost first, around one statement. */
typedef struct Chain {
    Kernel     *k;
    int         n;
    LoopId      loop[MAX_CHAIN];
    Stmt       *before[MAX_CHAIN]; /* BLOCK of what stands before loop i; NULL: nothing */
    const Expr *found[8];          /* promoted operands and their temporaries */
    TempId      temp[8];
    int         n_found;
} Chain;

static bool depends(const Kernel *k, const Expr *e, LoopId l)
{
    ExprNodes nodes = expr_nodes(k->arena, e);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *x = nodes.items[i];
        if (affine_coef(&x->index, l))
            return true;
        const Temp *t = x->kind == E_TEMP ? &k->temps[x->temp] : NULL;
        for (int j = 0; t && j < t->n_expand; j++)
            if (t->expand[j] == l)
                return true;
    }
    return false;
}

static const Expr *first_load(const Kernel *k, const Expr *e)
{
    ExprNodes nodes = expr_nodes(k->arena, e);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD)
            return nodes.items[i];
    return NULL;
}

static bool reads_temp(const Kernel *k, const Expr *e)
{
    ExprNodes nodes = expr_nodes(k->arena, e);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_TEMP)
            return true;
    return false;
}

/* The index in which the reductions of `index` visit the next tile's weights in `streams` parts: `all`
 * elements of weights, the innermost reduction having been split by streams. */
static Affine next_tile(const Kernel *k, const Affine *index, LoopId stream, int64_t all)
{
    Affine at = affine_const(index->constant + all);
    for (int i = 0; i < index->n_terms; i++) {
        LoopId  l = index->loop[i];
        int64_t coef = index->coef[i];
        if (l == stream)
            coef = all / k->schedule.streams;
        else if (k->loops[l].role == REDUCE)
            coef /= k->schedule.streams;
        at = affine_add(at, affine_scale(affine_loop(l), coef));
    }
    return at;
}

/* The reductions of a weight's index: the innermost, and the elements that all of them cover, those of one
 * tile. */
typedef struct Slab {
    LoopId  inner; /* 0: there is none */
    int64_t all;
} Slab;

static Slab slab_of(const Kernel *k, const Affine *index)
{
    Slab    slab = {0, 0};
    int64_t least = INT64_MAX;
    for (int i = 0; i < index->n_terms; i++) {
        const Loop *l = &k->loops[index->loop[i]];
        if (l->role != REDUCE)
            continue;
        slab.all = index->coef[i] * l->extent > slab.all ? index->coef[i] * l->extent : slab.all;
        if (index->coef[i] < least) {
            least = index->coef[i];
            slab.inner = index->loop[i];
        }
    }
    return slab;
}

/* The announcement of the load `e`. What is announced a tile ahead would push this tile's operands out of
 * the first-level cache, and be gone itself when it is needed, where it fills much of that. */
static Stmt *announce(Kernel *k, const Expr *e)
{
    int64_t bytes = (int64_t)elem_bytes(k->buffers[e->buffer].elem);
    int64_t ahead = PREFETCH_BYTES / bytes;
    Slab    slab = slab_of(k, &e->index);
    if (kernel_columns_apart(k)) {
        Affine at =
            affine_offset(e->index, ahead / k->schedule.tile.n / e->type.lanes * e->type.lanes);
        return st_prefetch(k, e->buffer, at, false);
    }
    if (k->schedule.streams > 1 && slab.inner && k->loops[slab.inner].axis == AXIS_K &&
        k->loops[slab.inner].extent == k->schedule.streams)
        return st_prefetch(k, e->buffer, next_tile(k, &e->index, slab.inner, slab.all),
                           slab.all * bytes > k->target->l1_bytes / 2);
    return st_prefetch(k, e->buffer, affine_offset(e->index, ahead), false);
}

/* A hint for the load `e` of a large constant, widened or not; NULL where it needs none. */
static Stmt *prefetch_for(Kernel *k, const Expr *e)
{
    e = e->kind == E_CAST ? e->a : e;
    if (e->kind != E_LOAD || !kernel_is_streamed(k, e->buffer))
        return NULL;
    if (e->type.lanes == 1 || !target_find(k->target, I_PREFETCH, F32, k->target->lanes))
        return NULL;
    return announce(k, e);
}

/* Read `e` into a temporary before loop number `p`, once for each iteration of the later loops that it
 * does depend on. */
static const Expr *promote_expr(Chain *c, const Expr *e, const Expr *load, int p)
{
    Kernel *k = c->k;
    char   *name = arena_printf(k->arena, "%sv", k->buffers[load->buffer].name);
    TempId  t = kernel_temp(k, name, e->type);
    Stmt   *let = st_block(k);
    st_add(k, let, prefetch_for(k, e));
    st_add(k, let, st_let(k, t, e));
    for (int i = c->n - 1; i > p; i--) {
        if (!depends(k, e, c->loop[i]))
            continue;
        let = st_for(k, c->loop[i], let);
        Temp *temp = &k->temps[t];
        temp->expand[temp->n_expand++] = c->loop[i];
    }
    if (!c->before[p])
        c->before[p] = st_block(k);
    st_add(k, c->before[p], let);
    c->found[c->n_found] = e;
    c->temp[c->n_found++] = t;
    return ex_temp(k, t);
}

static const Expr *promote_value(Chain *c, const Expr *e)
{
    Kernel *k = c->k;
    for (int i = 0; i < c->n_found; i++)
        if (c->found[i] == e)
            return ex_temp(k, c->temp[i]);
    const Expr *load = first_load(k, e);
    if (!load)
        return e;
    int p = 0;
    while (p < c->n && depends(k, e, c->loop[p]))
        p++;
    bool room = c->n_found < (int)COUNT_OF(c->found);
    if (p < c->n && room && !reads_temp(k, e))
        return promote_expr(c, e, load, p);
    if (e->kind == E_LOAD)
        return e;
    const Expr *a = e->a ? promote_value(c, e->a) : NULL;
    const Expr *b = e->b ? promote_value(c, e->b) : NULL;
    const Expr *d = e->c ? promote_value(c, e->c) : NULL;
    return ex_with(k, e, a, b, d);
}

/* Hints for the loads that no loop of the tile shares. */
static void prefetch_rest(Kernel *k, Stmt *out, const Expr *value)
{
    ExprNodes nodes = expr_nodes(k->arena, value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD)
            st_add(k, out, prefetch_for(k, nodes.items[i]));
}

static bool is_tile_loop(const Kernel *k, const Stmt *s)
{
    return s->kind == S_FOR && k->loops[s->loop].mark == UNROLL &&
           k->loops[s->loop].role == PARALLEL;
}

static Stmt *promote_chain(Kernel *k, Stmt *s)
{
    Chain c = {.k = k};
    Stmt *inner = s;
    while (c.n < MAX_CHAIN && is_tile_loop(k, inner)) {
        c.loop[c.n++] = inner->loop;
        inner = inner->body;
    }
    if (inner->kind != S_SET || inner->op == ASSIGN)
        return s;
    Stmt       *out = st_block(k);
    const Expr *value = promote_value(&c, inner->value);
    prefetch_rest(k, out, value);
    st_add(k, out, st_set(k, inner->temp, inner->op, value));
    for (int i = c.n - 1; i >= 0; i--) {
        out = st_for(k, c.loop[i], out);
        if (!c.before[i])
            continue;
        st_add(k, c.before[i], out);
        out = c.before[i];
    }
    return out;
}

static Stmt *promote_stmt(Kernel *k, Stmt *s, bool *changed)
{
    if (is_tile_loop(k, s)) {
        Stmt *out = promote_chain(k, s);
        *changed |= out != s;
        return out;
    }
    if (s->kind == S_FOR || s->kind == S_GUARD)
        s->body = promote_stmt(k, s->body, changed);
    if (s->kind != S_BLOCK)
        return s;
    Stmt *out = st_block(k);
    for (int i = 0; i < s->n_items; i++)
        st_add(k, out, promote_stmt(k, s->items[i], changed));
    return out;
}

bool kpass_promote(Kernel *k)
{
    bool changed = false;
    k->body = promote_stmt(k, k->body, &changed);
    return changed;
}
