/* tile.c - split loops by the schedule and push the tile into init, step and finish.
 *
 *     for oc in 4 { for ow in 56 { for ol in 16 {       acc = b[..]
 *         for ic { acc += x[..] * w[..] }               y[..] = acc } } }
 *  with tile_n 2, tile_m 14 becomes
 *     for oc0 in 2 { for ow0 in 4 {
 *         for ow1 in 14 { for oc1 in 2 { for ol in 16 { acc[ow1][oc1][ol] = b[..] } } }
 *         for ic { for ow1 { for oc1 { for ol { acc[ow1][oc1][ol] += x[..] * w[..] } } } }
 *         for ow1 { for oc1 { for ol { y[..] = acc[ow1][oc1][ol] } } } } }
 *
 * The inner loops are to be unrolled (H, M, N) or to become vectors (LANE, or GROUP and LANE); a loop over a
 * PAIR stays inside them. An extent that the tile does not divide is cut evenly into tiles of t and t-1 (56 by at
 * most 6: six of 6 and four of 5), so there is no short tail; a LANE loop is cut into whole
 * vectors and a scalar rest. */
#include "kernel/kernel.h"
#include "target/target.h"

#define MAX_PENDING 5

/* Inner loops on their way to the statements. */
typedef struct Pending {
    int    n;
    LoopId loop[MAX_PENDING];
} Pending;

typedef struct Tiler {
    Kernel *k;
    bool    changed;
} Tiler;

/* ---- pushing ----------------------------------------------------------------------------- */

/* x is loaded once for all vectors of channels, so N runs inside H and M; lanes are innermost. */
static int push_rank(LoopAxis axis)
{
    static const LoopAxis order[] = {AXIS_H, AXIS_M, AXIS_N};
    int                   rank = 0;
    while (rank < (int)COUNT_OF(order) && order[rank] != axis)
        rank++;
    return rank;
}

static Pending pending_with(const Kernel *k, Pending p, LoopId l)
{
    int i = p.n++;
    for (; i > 0 && push_rank(k->loops[p.loop[i - 1]].axis) > push_rank(k->loops[l].axis); i--)
        p.loop[i] = p.loop[i - 1];
    p.loop[i] = l;
    return p;
}

static Stmt *wrap(Kernel *k, const Pending *p, Stmt *s)
{
    for (int i = p->n - 1; i >= 0; i--)
        s = st_for(k, p->loop[i], s);
    return s;
}

static bool guard_depends(const Stmt *s, const Pending *p)
{
    for (int t = 0; t < s->n_tests; t++)
        for (int i = 0; i < p->n; i++)
            if (affine_coef(&s->tests[t].index, p->loop[i]))
                return true;
    return false;
}

/* A temporary that was one value an iteration becomes an array over the loops pushed past it. */
static void expand_temp(Kernel *k, TempId id, const Pending *p)
{
    Temp *t = &k->temps[id];
    for (int i = 0; i < p->n; i++) {
        bool known = false;
        for (int j = 0; j < t->n_expand; j++)
            known |= t->expand[j] == p->loop[i];
        if (!known)
            t->expand[t->n_expand++] = p->loop[i];
    }
}

static void expand_inside(Kernel *k, const Stmt *s, const Pending *p)
{
    if (s->kind == S_LET || s->kind == S_SET)
        expand_temp(k, s->temp, p);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        expand_inside(k, s->body, p);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        expand_inside(k, s->items[i], p);
}

static Stmt *push(Kernel *k, Stmt *s, const Pending *p)
{
    Stmt *out;
    switch (s->kind) {
    case S_BLOCK:
        out = st_block(k);
        for (int i = 0; i < s->n_items; i++)
            st_add(k, out, push(k, s->items[i], p));
        return out;
    case S_FOR:
        if (k->loops[s->loop].mark == PAIRS)
            break;
        return st_for(k, s->loop, push(k, s->body, p));
    case S_GUARD:
        if (guard_depends(s, p))
            break;
        return st_guard(k, s->tests, s->n_tests, push(k, s->body, p));
    case S_PREFETCH:
    case S_NOTE: return s;
    case S_LET:
    case S_SET:
    case S_STORE: break;
    }
    expand_inside(k, s, p);
    return wrap(k, p, s);
}

/* ---- splitting --------------------------------------------------------------------------- */

static Stmt *tile_stmt(Tiler *t, Stmt *s, Pending p);

/* `count` tiles of `size` iterations, from iteration `first` of FOR `s` on. */
static Stmt *tiles(Tiler *t, const Stmt *s, int64_t first, int64_t count, int64_t size,
                   LoopMark mark, Pending p)
{
    Kernel    *k = t->k;
    const Loop old = k->loops[s->loop];
    LoopId     o =
        kernel_loop_if(k, arena_printf(k->arena, "%s0", old.name), count, old.role, AXIS_NONE);
    LoopId i = kernel_loop_if(k, arena_printf(k->arena, "%s1", old.name), size, old.role, old.axis);
    t->changed = true;
    Affine by = affine_add(affine_scale(affine_loop(o), size), affine_loop(i));
    by = affine_offset(by, first);
    Stmt *body = stmt_fresh(k, stmt_subst(k, s->body, s->loop, &by));
    if (i) {
        k->loops[i].mark = mark;
        p = pending_with(k, p, i);
    }
    return st_for(k, o, tile_stmt(t, body, p));
}

/* Evenly: n tiles of at most `tile`, the last `short_ones` of them one iteration shorter. */
static Stmt *split_even(Tiler *t, const Stmt *s, int64_t tile, Pending p)
{
    int64_t extent = t->k->loops[s->loop].extent;
    int64_t n = (extent + tile - 1) / tile, size = (extent + n - 1) / n;
    int64_t short_ones = n * size - extent, full = n - short_ones;
    Stmt   *out = st_block(t->k);
    st_add(t->k, out, tiles(t, s, 0, full, size, UNROLL, p));
    if (short_ones)
        st_add(t->k, out, tiles(t, s, full * size, short_ones, size - 1, UNROLL, p));
    return out->n_items == 1 ? out->items[0] : out;
}

/* Whole vectors, then single elements. */
static Stmt *split_lanes(Tiler *t, const Stmt *s, int64_t lanes, Pending p)
{
    Kernel    *k = t->k;
    const Loop old = k->loops[s->loop];
    int64_t    whole = old.extent / lanes, rest = old.extent % lanes;
    Stmt      *out = st_block(k);
    if (whole)
        st_add(k, out, tiles(t, s, 0, whole, lanes, VECTOR, p));
    if (rest) {
        LoopId l = kernel_loop_if(k, old.name, rest, old.role, AXIS_NONE);
        Affine by = affine_offset(affine_loop(l), whole * lanes);
        Stmt  *body = stmt_fresh(k, stmt_subst(k, s->body, s->loop, &by));
        st_add(k, out, st_for(k, l, tile_stmt(t, body, p)));
    }
    return out->n_items == 1 ? out->items[0] : out;
}

/* The lanes of several groups as one vector. */
static Stmt *join_lanes(Tiler *t, const Stmt *s, const Lanes *l, Pending p)
{
    Kernel *k = t->k;
    t->changed = true;
    k->loops[l->loop].mark = VECTOR;
    k->loops[l->within].mark = JOINED;
    p = pending_with(k, pending_with(k, p, l->loop), l->within);
    Stmt *body = rewrite_stmt(&(Rewrite){.k = k}, lanes_body(l, s));
    return tile_stmt(t, body, p);
}

/* ---- the walk ---------------------------------------------------------------------------- */

static int schedule_tile(const Schedule *s, LoopAxis axis)
{
    switch (axis) {
    case AXIS_H: return s->tile.h;
    case AXIS_M: return s->tile.m;
    case AXIS_N: return s->tile.n;
    case AXIS_NONE:
    case AXIS_K:
    case AXIS_LANE:
    case AXIS_GROUP: break;
    }
    return 1;
}

static Stmt *tile_for(Tiler *t, Stmt *s, Pending p)
{
    Kernel     *k = t->k;
    const Loop *l = &k->loops[s->loop];
    int64_t     tile = schedule_tile(&k->schedule, l->axis);
    Lanes       lanes = lanes_of(k, s);
    if (lanes.within && vectorize_can(k, s))
        return join_lanes(t, s, &lanes, p);
    if (l->axis == AXIS_LANE && vectorize_can(k, s))
        return split_lanes(t, s, k->target->lanes, p);
    if (tile > 1)
        return split_even(t, s, tile, p);
    return st_for(k, s->loop, tile_stmt(t, s->body, p));
}

static bool holds_parallel_loop(const Kernel *k, const Stmt *s)
{
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (holds_parallel_loop(k, s->items[i]))
            return true;
    return s->kind == S_FOR && k->loops[s->loop].role == PARALLEL;
}

/* Down through parallel loops; what lies under them is a leaf, and receives the pending loops. */
static Stmt *tile_stmt(Tiler *t, Stmt *s, Pending p)
{
    if (s->kind == S_FOR && t->k->loops[s->loop].role == PARALLEL)
        return tile_for(t, s, p);
    if (s->kind != S_BLOCK || !holds_parallel_loop(t->k, s))
        return p.n ? push(t->k, s, &p) : s;
    Stmt *out = st_block(t->k);
    for (int i = 0; i < s->n_items; i++)
        st_add(t->k, out, tile_stmt(t, s->items[i], p));
    return out;
}

/* ---- copies of the reduction step -------------------------------------------------------- */

/* Copies, or where there are none an inner loop with an iteration for each stream of weights
 * (announce.c). */
static Stmt *split_k(Rewrite *r, Stmt *s)
{
    Kernel    *k = r->k;
    Tiler     *t = r->ctx;
    const Loop old = s->kind == S_FOR ? k->loops[s->loop] : (Loop){0};
    bool       unroll = k->schedule.unroll_k > 1;
    int64_t    copies = unroll                    ? k->schedule.unroll_k
                        : kernel_columns_apart(k) ? 1
                                                  : k->schedule.streams;
    if (old.role != REDUCE || old.axis != AXIS_K || copies <= 1 || old.extent % copies)
        return s;
    t->changed = true;
    LoopId o = kernel_loop_if(k, arena_printf(k->arena, "%s0", old.name), old.extent / copies,
                              REDUCE, AXIS_NONE);
    LoopId i = kernel_loop(k, arena_printf(k->arena, "%s1", old.name), copies, REDUCE,
                           unroll ? AXIS_NONE : AXIS_K);
    k->loops[i].mark = unroll ? UNROLL : SERIAL;
    Affine by = affine_add(affine_scale(affine_loop(o), copies), affine_loop(i));
    return st_for(k, o, st_for(k, i, stmt_subst(k, s->body, s->loop, &by)));
}

bool kpass_tile(Kernel *k)
{
    Tiler   t = {k, false};
    Rewrite r = {.k = k, .ctx = &t, .stmt = split_k};
    k->body = rewrite_stmt(&r, tile_stmt(&t, k->body, (Pending){0}));
    return t.changed;
}
