/* meet.c - where threads that share a kernel wait for each other.
 *
 * They meet before a nest that touches what another one has written, or writes what it has read, since they
 * met last. Which those are is found by running through the nests and marking each element with the time at
 * which it was touched. */
#include "emit/emit.h"

#include <limits.h>

/* Time counts the nests as they are run, from 1. */
typedef struct Marks {
    const Kernel   *k;
    const Aliases  *aliases;
    Arena          *arena;
    unsigned char **writer, **reader; /* by buffer and element: when it was written, read last */
    int             time, met;        /* now, and when the threads met last */
    bool            marking;          /* marks are made, else looked at */
    bool            clash;
} Marks;

static void touch(Marks *m, BufferId home, int64_t at, bool is_store)
{
    unsigned char *written = &m->writer[home][at], *read = &m->reader[home][at];
    if (m->marking)
        *(is_store ? written : read) = (unsigned char)m->time;
    else
        m->clash |= (*written >= m->met) || (is_store && *read >= m->met);
}

/* mark - the elements that `index` runs over, `lanes` at each place. */
static void mark(Marks *m, BufferId b, const Affine *index, int lanes, bool is_store)
{
    BufferId      home = m->aliases->same[b] ? m->aliases->same[b] : b;
    const int64_t last = m->k->buffers[home].count - lanes; /* a guard keeps off what is past it */
    int64_t       digit[MAX_TERMS] = {0}, at = index->constant;
    int           n = (int)index->n_terms, i;
    if (!m->writer[home])
        return;
    do {
        for (int lane = 0; lane < lanes && at >= 0 && at <= last; lane++)
            touch(m, home, at + lane, is_store);
        for (i = 0; i < n && !m->clash; i++) { /* an odometer over the loops of the index */
            at += index->coef[i];
            if (++digit[i] < m->k->loops[index->loop[i]].extent)
                break;
            at -= digit[i] * index->coef[i];
            digit[i] = 0;
        }
    } while (i < n && !m->clash);
}

static void mark_stmt(Marks *m, const Stmt *s)
{
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        mark_stmt(m, s->items[i]);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        mark_stmt(m, s->body);
    if (s->kind == S_STORE)
        mark(m, s->buffer, &s->index, s->value->type.lanes, true);
    if (s->kind != S_LET && s->kind != S_SET && s->kind != S_STORE)
        return;
    ExprNodes nodes = expr_nodes(m->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD)
            mark(m, nodes.items[i]->buffer, &nodes.items[i]->index, nodes.items[i]->type.lanes,
                 false);
    if (s->kind == S_STORE && s->op != ASSIGN)
        mark(m, s->buffer, &s->index, s->value->type.lanes, false);
}

/* run_item - see whether the threads have to meet before it. Guards are taken as open and loops as run in
 * full: the answer errs on the safe side. */
static void run_item(Marks *m, ShareItem *item)
{
    m->time++;
    m->clash = false;
    m->marking = false;
    for (int i = 0; i < item->n_stmts && !item->meets; i++)
        mark_stmt(m, item->stmts[i]);
    item->meets |= m->clash;
    if (item->meets)
        m->met = m->time;
    m->clash = false;
    m->marking = true;
    for (int i = 0; i < item->n_stmts; i++)
        mark_stmt(m, item->stmts[i]);
}

/* run_items - the items [first, end); a loop is run twice, so that each nest in it comes after every other
 * one. False: they are too many. */
static bool run_items(Marks *m, SharePlan *plan, int first, int end)
{
    for (int i = first; i < end; i += 1 + plan->items[i].n_inside) {
        ShareItem *item = &plan->items[i];
        if (m->time == UCHAR_MAX)
            return false;
        if (item->how != SHARE_INSIDE)
            run_item(m, item);
        for (int times = 0; item->how == SHARE_INSIDE && times < 2; times++)
            if (!run_items(m, plan, i + 1, i + 1 + item->n_inside))
                return false;
    }
    return true;
}

bool share_meetings(SharePlan *plan, const Kernel *k, const Aliases *aliases)
{
    const int64_t most = (int64_t)1 << 28;
    Arena        *a = arena_new();
    Marks         m = {.k = k, .aliases = aliases, .arena = a, .met = 1};
    bool          ok = true;
    m.writer = arena_array(a, unsigned char *, k->n_buffers);
    m.reader = arena_array(a, unsigned char *, k->n_buffers);
    for (BufferId b = 1; b < k->n_buffers; b++) {
        ok &= k->buffers[b].count <= most;
        if (k->buffers[b].kind != BUF_OUT || k->buffers[b].copies > 1 || !ok)
            continue;
        m.writer[b] = arena_array(a, unsigned char, (size_t)k->buffers[b].count);
        m.reader[b] = arena_array(a, unsigned char, (size_t)k->buffers[b].count);
    }
    ok = ok && run_items(&m, plan, 0, plan->n_items);
    arena_free(a);
    return ok;
}
