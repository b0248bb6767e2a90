/* announce.c - hints that memory will be read soon (prefetches).
 *
 * Weights too large to stay in the cache come from memory in the order they are read, but hardware stops
 * prefetching at the end of a page: each such load announces one that comes later. Memory serves
 * several places side by side half as fast again as one (measured: 4 to 8 places, 16 against 10.5 GB/s).
 * So the weights of the next tile are announced during this one in Schedule.streams parts at once: of
 * steps 0, 1, 2, 3, 4 .. the lines 0, S/4, S/2, 3S/4, 1 .. of S. Where the columns of a tile lie apart
 * they are streams already, and each announces its own PREFETCH_BYTES / columns ahead, to the second-level
 * cache: as far apart as they are they may share sets of the first and push each other out. VGG-11/8's linear
 * layers, 4096 channels: 0.67 of the time on an EPYC of family 25, 26 in place of 17 GB/s.
 *
 *     for oc { for ow0 in 7 { for ic { for il0 in 4 {         a round: one iteration of il0
 *         prefetch x[the pixels of a quarter of the tile, for the next ic]
 *         prefetch w[the next oc, one line of part il0]
 *         for il1 in 4 { wv = w[..] .. } } } } }
 *
 * Where a tile's weights serve as many tiles of rows as there are streams, each of these announces its share,
 * once a round and not in every step: any `streams` of them in turn have announced everything, so it matters
 * little which of them a thread does. Announced by each, lines that are there already take a load's place in
 * every step: SqueezeNet's last layer 0.945 of the time, ResNet-50's 256 -> 1024 at 14x14 0.98.
 *
 * A round also announces, to the first-level cache, its share of the pixels that the next block of channels
 * needs, where the pixels of all channels are too many to stay there: all of a tile's lines are met for the
 * first time in one step, and hardware does not see the jump from block to block. ResNet-50's 1024 -> 256 at
 * 14x14: 0.96. All of them at once, before the block's first step, gain a third of that. */
#include "kernel/kernel.h"
#include "target/target.h"

enum { MAX_AROUND = 200 }; /* the verifier lets nothing nest deeper */

/* Far enough for memory's latency, near enough to stay in the cache; 16 to 64 KiB measure the same. */
#define PREFETCH_BYTES 16384

#define LINE_BYTES 64

typedef struct Walk {
    Kernel *k;
    LoopId  around[MAX_AROUND]; /* the loops around a statement, outermost first */
    int     n;
    int     round; /* the place among them of the loop whose iterations are rounds; -1: none */
    Stmt   *hints; /* BLOCK of what a round announces */
    bool    changed;
} Walk;

/* ---- weights ----------------------------------------------------------------------------- */

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

/* The index in which the reductions of `index` visit the next tile's weights in as many parts as `part` has
 * iterations. They do it `sharers` times slower than they visit those of this tile. */
static Affine next_tile(const Kernel *k, const Affine *index, const Slab *slab, LoopId part,
                        int64_t sharers)
{
    int64_t parts = k->loops[part].extent;
    Affine  at = affine_const(index->constant + slab->all);
    for (int i = 0; i < index->n_terms; i++) {
        LoopId  l = index->loop[i];
        int64_t coef = index->coef[i];
        if (l == part)
            coef = slab->all / parts;
        else if (l == slab->inner)
            coef = 0;
        else if (k->loops[l].role == REDUCE)
            coef /= parts * sharers;
        at = affine_add(at, affine_scale(affine_loop(l), coef));
    }
    return at;
}

/* The loop over rows whose iterations all use the weights at `index`, and are enough to share the
 * announcement of the next ones: right around the reductions. 0: there is none. */
static LoopId sharers_of(const Walk *w, const Affine *index)
{
    const Kernel *k = w->k;
    int           i = 0;
    while (i < w->n && k->loops[w->around[i]].role != REDUCE)
        i++;
    if (w->round < 0 || i == 0)
        return 0;
    LoopId rows = w->around[i - 1];
    return k->loops[rows].extent >= k->schedule.streams && !affine_coef(index, rows) ? rows : 0;
}

/* Hand `hint`, which stands inside the loops of the tile, to the round. */
static void add_to_round(Walk *w, Stmt *hint)
{
    for (int i = w->n - 1; i > w->round + 1; i--)
        if (affine_coef(&hint->index, w->around[i]))
            hint = st_for(w->k, w->around[i], hint);
    st_add(w->k, w->hints, hint);
}

/* The announcement of what the load `e` will read of the next tile's weights; NULL: the round makes it. It
 * would push this tile's operands out of the first-level cache, and be gone itself when it is needed, where
 * it fills much of that. */
static Stmt *announce_tile(Walk *w, const Expr *e, const Slab *slab)
{
    Kernel *k = w->k;
    LoopId  rows = sharers_of(w, &e->index);
    bool    outer =
        slab->all * (int64_t)elem_bytes(k->buffers[e->buffer].elem) > k->target->l1_bytes / 2;
    if (!rows)
        return st_prefetch(k, e->buffer, next_tile(k, &e->index, slab, slab->inner, 1), outer);
    LoopId  part = w->around[w->round];
    int64_t sharers = k->schedule.streams, share = slab->all / k->loops[part].extent / sharers;
    Affine  at = affine_add(next_tile(k, &e->index, slab, part, sharers),
                            affine_scale(affine_loop(rows), share));
    add_to_round(w, st_prefetch(k, e->buffer, at, outer));
    return NULL;
}

/* The announcement that belongs right before the load `e`; NULL: none. */
static Stmt *announce_weights(Walk *w, const Expr *e)
{
    Kernel *k = w->k;
    int64_t ahead = PREFETCH_BYTES / (int64_t)elem_bytes(k->buffers[e->buffer].elem);
    Slab    slab = slab_of(k, &e->index);
    bool    apart = kernel_columns_apart(k);
    if (apart)
        ahead = ahead / k->schedule.tile.n / e->type.lanes * e->type.lanes;
    else if (k->schedule.streams > 1 && slab.inner && k->loops[slab.inner].axis == AXIS_K &&
             k->loops[slab.inner].extent == k->schedule.streams)
        return announce_tile(w, e, &slab);
    return st_prefetch(k, e->buffer, affine_offset(e->index, ahead), apart);
}

/* ---- pixels ------------------------------------------------------------------------------ */

/* The pixels of a tile, where they lie in memory evenly, one behind the other. */
typedef struct Row {
    int64_t count, step; /* elements from one to the next */
} Row;

/* The row of which the index inside the tile's loops reads one pixel; count 0: it is none. */
static Row row_of(const Walk *w, const Affine *index)
{
    Row row = {1, 0};
    for (int i = w->n - 1; i > w->round + 1; i--) {
        int64_t coef = affine_coef(index, w->around[i]);
        if (coef && row.step && coef != row.step * row.count)
            return (Row){0, 0};
        if (coef && !row.step)
            row.step = coef;
        if (coef)
            row.count *= w->k->loops[w->around[i]].extent;
    }
    return row.step > 0 ? row : (Row){0, 0};
}

/* Elements that one pixel has in all iterations of the reductions. */
static int64_t depth_of(const Walk *w)
{
    int64_t depth = 1;
    for (int i = 0; i < w->n; i++)
        if (w->k->loops[w->around[i]].role == REDUCE)
            depth *= w->k->loops[w->around[i]].extent;
    return depth;
}

/* Announce the pixels of which `e` reads one, as the loop around the rounds reads them next: in each round
 * as many lines as it takes for all of them. */
static void announce_pixels(Walk *w, const Expr *e)
{
    Kernel *k = w->k;
    if (w->round < 1 || k->buffers[e->buffer].kind == BUF_CONST)
        return;
    LoopId  next = w->around[w->round - 1], round = w->around[w->round];
    int64_t jump = affine_coef(&e->index, next), bytes = (int64_t)elem_bytes(e->type.elem);
    Row     row = row_of(w, &e->index);
    int64_t covered = row.count * row.step;
    if (!row.count || k->loops[next].role != REDUCE || jump < covered ||
        row.count * depth_of(w) * bytes <= k->target->l1_bytes / 2)
        return;
    int64_t line = row.step * bytes < LINE_BYTES ? LINE_BYTES / bytes : row.step;
    int64_t lines = (covered + line - 1) / line, rounds = k->loops[round].extent;
    int64_t share = (lines + rounds - 1) / rounds;
    Affine  at = affine_offset(e->index, jump), zero = affine_const(0);
    for (int i = w->round; i < w->n; i++)
        at = affine_subst(&at, w->around[i], &zero);
    at = affine_add(at, affine_scale(affine_loop(round), share * line));
    for (int64_t i = 0; i < share; i++)
        st_add(k, w->hints, st_prefetch(k, e->buffer, affine_offset(at, i * line), false));
}

/* ---- the walk ---------------------------------------------------------------------------- */

/* Whether the iterations of FOR `s` are rounds: each of as many steps as there are streams. */
static bool has_rounds(const Kernel *k, const Stmt *s)
{
    int         streams = k->schedule.streams;
    const Loop *l = &k->loops[s->loop];
    const Loop *inner = s->body->kind == S_FOR ? &k->loops[s->body->loop] : NULL;
    return streams > 1 && inner && inner->role == REDUCE && inner->axis == AXIS_K &&
           inner->extent == streams && l->role == REDUCE && l->extent <= streams;
}

static Stmt *announce_stmt(Walk *w, Stmt *s);

static Stmt *announce_for(Walk *w, Stmt *s)
{
    bool rounds = has_rounds(w->k, s);
    if (rounds) {
        w->round = w->n;
        w->hints = st_block(w->k);
    }
    w->around[w->n++] = s->loop;
    s->body = announce_stmt(w, s->body);
    w->n--;
    if (rounds) {
        w->changed |= w->hints->n_items > 0;
        st_add(w->k, w->hints, s->body);
        s->body = w->hints;
        w->round = -1;
    }
    return s;
}

static Stmt *announce_loads(Walk *w, Stmt *s)
{
    Kernel   *k = w->k;
    Stmt     *out = st_block(k);
    ExprNodes nodes = expr_nodes(k->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i];
        if (e->kind != E_LOAD)
            continue;
        if (e->type.lanes == 1)
            announce_pixels(w, e);
        else if (kernel_is_streamed(k, e->buffer))
            st_add(k, out, announce_weights(w, e));
    }
    w->changed |= out->n_items > 0;
    st_add(k, out, s);
    return out;
}

static bool in_reduction(const Walk *w)
{
    bool found = false;
    for (int i = 0; i < w->n; i++)
        found |= w->k->loops[w->around[i]].role == REDUCE;
    return found;
}

static Stmt *announce_stmt(Walk *w, Stmt *s)
{
    Stmt *out;
    switch (s->kind) {
    case S_BLOCK:
        out = st_block(w->k);
        for (int i = 0; i < s->n_items; i++)
            st_add(w->k, out, announce_stmt(w, s->items[i]));
        return out;
    case S_FOR: return announce_for(w, s);
    case S_GUARD: s->body = announce_stmt(w, s->body); return s;
    case S_LET:
    case S_SET: return in_reduction(w) ? announce_loads(w, s) : s;
    case S_STORE:
    case S_PREFETCH:
    case S_NOTE: break;
    }
    return s;
}

bool kpass_announce(Kernel *k)
{
    if (!target_find(k->target, I_PREFETCH, F32, k->target->lanes))
        return false;
    Walk w = {.k = k, .round = -1};
    k->body = announce_stmt(&w, k->body);
    return w.changed;
}
