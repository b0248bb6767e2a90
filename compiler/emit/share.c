/* share.c - whether threads can share a kernel.
 *
 * A kernel is shared when each of its nests is a parallel loop whose iterations store to places of
 * their own, and no nest reads or writes what another one writes: then threads need not wait for
 * each other inside it. That nests keep apart is found by marking who writes each element. */
#include "emit/emit.h"

#include <string.h>

/* ---- one nest ----------------------------------------------------------------------------- */

/* stores_apart - whether every store inside moves with loop `l`: what does not is memory that the
 * iterations use one after the other. */
static bool stores_apart(const Stmt *s, LoopId l)
{
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return stores_apart(s->body, l);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (!stores_apart(s->items[i], l))
            return false;
    return s->kind != S_STORE || affine_coef(&s->index, l) != 0;
}

bool share_loop(const Kernel *k, const Stmt *s)
{
    return s->kind == S_FOR && k->loops[s->loop].role == PARALLEL && stores_apart(s->body, s->loop);
}

/* ---- what nests touch ----------------------------------------------------------------------- */

typedef struct Marks {
    const Kernel   *k;
    const Aliases  *aliases;
    Arena          *arena;
    unsigned char **writer; /* by buffer and element: number of the nest that writes it, from 1 */
    int             nest;
    bool            writing; /* marks are made, else looked at */
    bool            clash;
} Marks;

/* mark - the elements that `index` runs over, `lanes` at each place. */
static void mark(Marks *m, BufferId b, const Affine *index, int lanes)
{
    BufferId       home = m->aliases->same[b] ? m->aliases->same[b] : b;
    unsigned char *writer = m->writer[home];
    const int64_t  last = m->k->buffers[home].count - lanes; /* a guard keeps off what is past it */
    int64_t        digit[MAX_TERMS] = {0}, at = index->constant;
    int            n = (int)index->n_terms, i;
    if (!writer)
        return;
    do {
        for (int lane = 0; lane < lanes && at >= 0 && at <= last; lane++) {
            m->clash |= writer[at + lane] && writer[at + lane] != m->nest;
            if (m->writing)
                writer[at + lane] = (unsigned char)m->nest;
        }
        for (i = 0; i < n; i++) { /* an odometer over the loops of the index */
            at += index->coef[i];
            if (++digit[i] < m->k->loops[index->loop[i]].extent)
                break;
            at -= digit[i] * index->coef[i];
            digit[i] = 0;
        }
    } while (i < n);
}

static void mark_stmt(Marks *m, const Stmt *s)
{
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        mark_stmt(m, s->items[i]);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        mark_stmt(m, s->body);
    if (s->kind == S_STORE && (m->writing || s->op != ASSIGN))
        mark(m, s->buffer, &s->index, s->value->type.lanes);
    if (m->writing || (s->kind != S_LET && s->kind != S_SET && s->kind != S_STORE))
        return;
    ExprNodes nodes = expr_nodes(m->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD)
            mark(m, nodes.items[i]->buffer, &nodes.items[i]->index, nodes.items[i]->type.lanes);
}

/* nests_keep_apart - whether no nest touches what another one writes. Guards are taken as open: the
 * answer errs on the safe side. */
static bool nests_keep_apart(const Kernel *k, const Aliases *aliases, const Stmt *body)
{
    const int64_t most = (int64_t)1 << 28;
    Arena        *a = arena_new();
    Marks         m = {.k = k, .aliases = aliases, .arena = a};
    m.writer = arena_array(a, unsigned char *, k->n_buffers);
    for (BufferId b = 1; b < k->n_buffers; b++) {
        m.clash |= k->buffers[b].count > most;
        if (k->buffers[b].kind == BUF_OUT && !m.clash)
            m.writer[b] = arena_array(a, unsigned char, (size_t)k->buffers[b].count);
    }
    for (int pass = 0; pass < 2; pass++) {
        m.writing = pass == 0;
        for (int i = 0; i < body->n_items && !m.clash; i++) {
            m.nest = i + 1;
            mark_stmt(&m, body->items[i]);
        }
    }
    arena_free(a);
    return !m.clash;
}

/* ---- the kernel ----------------------------------------------------------------------------- */

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

bool share_kernel(const Kernel *k, const Aliases *aliases)
{
    enum { MOST_NESTS = 200, WORTH_IT = 1 << 15 };
    const Stmt *body = k->body;
    if (body->kind != S_BLOCK || body->n_items > MOST_NESTS || count_work(k, body) < WORTH_IT)
        return false;
    for (int i = 0; i < body->n_items; i++)
        if (body->items[i]->kind != S_NOTE && !share_loop(k, body->items[i]))
            return false;
    return body->n_items < 2 || nests_keep_apart(k, aliases, body);
}
