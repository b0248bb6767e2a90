/* announce.c - hints that memory will be read soon (prefetches).
 *
 * Weights too large to stay in the cache come from memory in the order they are read, but hardware stops
 * prefetching at the end of a page: each such load announces one that comes later. Memory serves
 * several places side by side half as fast again as one (measured: 4 to 8 places, 16 against 10.5 GB/s).
 * So the weights of the next tile are announced during this one in Schedule.streams parts at once: of
 * steps 0, 1, 2, 3, 4 .. the lines 0, S/4, S/2, 3S/4, 1 .. of S. Where the columns of a tile lie apart
 * they are streams already, and each announces its own PREFETCH_BYTES / columns ahead. */
#include "kernel/kernel.h"
#include "target/target.h"

/* Far enough for memory's latency, near enough to stay in the cache; 16 to 64 KiB measure the same. */
#define PREFETCH_BYTES 16384

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

/* The index in which the reductions of `index` visit the next tile's weights in Schedule.streams parts, the
 * innermost reduction having been split by streams. */
static Affine next_tile(const Kernel *k, const Affine *index, const Slab *slab)
{
    int64_t streams = k->schedule.streams;
    Affine  at = affine_const(index->constant + slab->all);
    for (int i = 0; i < index->n_terms; i++) {
        LoopId  l = index->loop[i];
        int64_t coef = index->coef[i];
        if (l == slab->inner)
            coef = slab->all / streams;
        else if (k->loops[l].role == REDUCE)
            coef /= streams;
        at = affine_add(at, affine_scale(affine_loop(l), coef));
    }
    return at;
}

/* The announcement of the load `e`. What is announced a tile ahead would push this tile's operands out of
 * the first-level cache, and be gone itself when it is needed, where it fills much of that. */
static Stmt *announce_weights(Kernel *k, const Expr *e)
{
    int64_t bytes = (int64_t)elem_bytes(k->buffers[e->buffer].elem);
    int64_t ahead = PREFETCH_BYTES / bytes;
    Slab    slab = slab_of(k, &e->index);
    if (kernel_columns_apart(k))
        ahead = ahead / k->schedule.tile.n / e->type.lanes * e->type.lanes;
    else if (k->schedule.streams > 1 && slab.inner && k->loops[slab.inner].axis == AXIS_K &&
             k->loops[slab.inner].extent == k->schedule.streams)
        return st_prefetch(k, e->buffer, next_tile(k, &e->index, &slab),
                           slab.all * bytes > k->target->l1_bytes / 2);
    return st_prefetch(k, e->buffer, affine_offset(e->index, ahead), false);
}

static Stmt *announce_loads(Kernel *k, Stmt *s)
{
    Stmt     *out = st_block(k);
    ExprNodes nodes = expr_nodes(k->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i];
        if (e->kind == E_LOAD && e->type.lanes > 1 && kernel_is_streamed(k, e->buffer))
            st_add(k, out, announce_weights(k, e));
    }
    st_add(k, out, s);
    return out;
}

/* `s`, which stands in a reduction or not, with what its loads announce. */
static Stmt *announce_stmt(Kernel *k, Stmt *s, bool reduces)
{
    Stmt *out;
    switch (s->kind) {
    case S_BLOCK:
        out = st_block(k);
        for (int i = 0; i < s->n_items; i++)
            st_add(k, out, announce_stmt(k, s->items[i], reduces));
        return out;
    case S_FOR:
        s->body = announce_stmt(k, s->body, reduces || k->loops[s->loop].role == REDUCE);
        return s;
    case S_GUARD: s->body = announce_stmt(k, s->body, reduces); return s;
    case S_LET:
    case S_SET: return reduces ? announce_loads(k, s) : s;
    case S_STORE:
    case S_PREFETCH:
    case S_NOTE: break;
    }
    return s;
}

bool kpass_announce(Kernel *k)
{
    bool found = false;
    for (BufferId b = 1; b < k->n_buffers; b++)
        found |= kernel_is_streamed(k, b);
    if (!found || !target_find(k->target, I_PREFETCH, F32, k->target->lanes))
        return false;
    k->body = announce_stmt(k, k->body, false);
    return true;
}
