/* order_search.c - the order of a few dozen nodes with the lowest peak of live bytes.
 *
 * What is alive depends on the set of nodes executed, not on their order. So the search walks sets,
 * each visited once, and asks whether all nodes can be executed without passing a limit; the limit
 * rises from the least conceivable one to the lowest that was in the way, until the answer is yes.
 *
 * A ready node that stays within the limit and leaves no more alive than before is executed at once:
 * moving it to the front of any order makes nothing worse. */
#include "passes/passes.h"

#include <string.h>

#define MOST_NODES 512 /* of a segment: a set is a key of up to 64 bytes */

/* ---- running nodes ---------------------------------------------------------------------- */

int64_t order_peak_at(const OrderModel *m, int i, int64_t *after)
{
    int64_t begins = 0, ends = 0, saved = 0;
    for (int k = m->touch_at[i]; k < m->touch_at[i + 1]; k++) {
        int h = m->touch[k];
        begins += m->left[h] == m->total[h] ? m->bytes[h] : 0;
        ends += m->left[h] == 1 ? m->bytes[h] : 0;
    }
    /* Written over an input that ends here, the output takes no room of its own. */
    bool is_new = m->own[i] >= 0 && m->left[m->own[i]] == m->total[m->own[i]];
    for (int k = m->reuse_at[i]; k < m->reuse_at[i + 1] && is_new; k++) {
        if (m->left[m->reuse[k]] == 1)
            saved = m->bytes[m->own[i]];
    }
    if (after)
        *after = m->live + begins - ends;
    return m->live + begins - saved;
}

void order_run(OrderModel *m, int i)
{
    for (int k = m->touch_at[i]; k < m->touch_at[i + 1]; k++) {
        int h = m->touch[k];
        m->live += m->left[h] == m->total[h] ? m->bytes[h] : 0;
        m->live -= --m->left[h] == 0 ? m->bytes[h] : 0;
    }
    for (int k = m->user_at[i]; k < m->user_at[i + 1]; k++)
        m->pending[m->user[k]]--;
    m->is_done[i] = true;
}

void order_undo(OrderModel *m, int i)
{
    for (int k = m->touch_at[i]; k < m->touch_at[i + 1]; k++) {
        int h = m->touch[k];
        m->live += m->left[h]++ == 0 ? m->bytes[h] : 0;
        m->live -= m->left[h] == m->total[h] ? m->bytes[h] : 0;
    }
    for (int k = m->user_at[i]; k < m->user_at[i + 1]; k++)
        m->pending[m->user[k]]++;
    m->is_done[i] = false;
}

/* ---- the search ------------------------------------------------------------------------- */

/* Sets known to be dead ends, in a table of chains. */
typedef struct Known {
    struct Known *next;
    uint64_t      set[];
} Known;

typedef struct Ready {
    int     node;
    int64_t after;
} Ready;

typedef struct Walk {
    OrderModel *m;
    Arena      *arena;
    int         first, n, n_done;
    int64_t     limit, next; /* the lowest peak past the limit that was met */
    int        *order;
    uint64_t   *set;
    size_t      n_words, n_buckets;
    Known     **buckets;
    Ready      *ready; /* a stack of lists, one a level */
    size_t      n_ready;
    int64_t    *states;
} Walk;

static Known **bucket_of(const Walk *w)
{
    uint64_t hash = 0;
    for (size_t i = 0; i < w->n_words; i++)
        hash = (hash ^ w->set[i]) * 0x9e3779b97f4a7c15u, hash ^= hash >> 32;
    return &w->buckets[hash % w->n_buckets];
}

/* seen - whether the present set was here before; it is from now on. */
static bool seen(Walk *w)
{
    Known **bucket = bucket_of(w);
    size_t  bytes = w->n_words * sizeof *w->set;
    for (Known *k = *bucket; k; k = k->next) {
        if (memcmp(k->set, w->set, bytes) == 0)
            return true;
    }
    Known *k = arena_alloc(w->arena, sizeof *k + bytes);
    memcpy(k->set, w->set, bytes);
    k->next = *bucket;
    *bucket = k;
    return false;
}

static void step(Walk *w, int i)
{
    order_run(w->m, i);
    w->set[(i - w->first) / 64] |= (uint64_t)1 << ((i - w->first) % 64);
    w->order[w->n_done++] = i;
}

static void step_back(Walk *w)
{
    int i = w->order[--w->n_done];
    w->set[(i - w->first) / 64] &= ~((uint64_t)1 << ((i - w->first) % 64));
    order_undo(w->m, i);
}

/* ready_nodes - those that may be next, least memory behind them first; just one, when it costs
 * nothing. */
static int ready_nodes(Walk *w, Ready *ready)
{
    const OrderModel *m = w->m;
    int               n = 0;
    for (int i = w->first; i < w->first + w->n; i++) {
        if (m->is_done[i] || m->pending[i])
            continue;
        int64_t after, peak = order_peak_at(m, i, &after);
        if (peak > w->limit) {
            w->next = peak < w->next ? peak : w->next;
            continue;
        }
        if (after <= m->live) {
            ready[0] = (Ready){i, after};
            return 1;
        }
        int at = n++;
        for (; at > 0 && ready[at - 1].after > after; at--)
            ready[at] = ready[at - 1];
        ready[at] = (Ready){i, after};
    }
    return n;
}

/* walk - true when all nodes were executed, in w->order; else the state is as before. */
static bool walk(Walk *w)
{
    if (w->n_done == w->n)
        return true;
    if (*w->states <= 0 || seen(w))
        return false;
    --*w->states;
    Ready *ready = w->ready + w->n_ready;
    int    n = ready_nodes(w, ready);
    bool   done = false;
    w->n_ready += (size_t)n;
    for (int i = 0; i < n && !done; i++) {
        step(w, ready[i].node);
        done = walk(w);
        if (!done)
            step_back(w);
    }
    w->n_ready -= (size_t)n;
    return done;
}

/* attempt - one walk under w->limit, into order[] when it succeeds. */
static bool attempt(Walk *w, int *order)
{
    size_t n = (size_t)w->n;
    w->arena = arena_new();
    w->order = arena_array(w->arena, int, n);
    w->set = arena_array(w->arena, uint64_t, w->n_words);
    w->buckets = arena_array(w->arena, Known *, w->n_buckets);
    w->ready = arena_array(w->arena, Ready, n * (n + 1) / 2);
    w->next = INT64_MAX;
    bool done = walk(w);
    if (done)
        memcpy(order, w->order, n * sizeof *order);
    while (w->n_done > 0)
        step_back(w);
    arena_free(w->arena);
    return done;
}

int64_t order_search(OrderModel *m, int first, int last, int64_t least, int64_t known, int *order,
                     int64_t *proven, int64_t *states)
{
    Walk w = {.m = m, .first = first, .n = last - first + 1, .limit = least, .n_buckets = 4096};
    w.states = states;
    w.n_words = ((size_t)w.n + 63) / 64;
    while (w.n <= MOST_NODES && w.limit<known && * states> 0) {
        if (attempt(&w, order))
            return w.limit;
        if (*states <= 0)
            break;
        *proven = w.next > *proven ? w.next : *proven;
        w.limit = w.next;
    }
    return known;
}
