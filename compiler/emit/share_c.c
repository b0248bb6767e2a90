/* share_c.c - the statements of a kernel that threads share, as C. */
#include "emit/emit.h"

#include <math.h>

enum { MAX_SHARED = 4 }; /* loops that are taken as one */

/* shared_loops - `s` and loops that stand directly in one another inside it: as many as it takes for parts
 * of equal size. */
static int shared_loops(const Kernel *k, const Stmt *s, const Stmt *loops[], int64_t *extent)
{
    enum { ENOUGH = 256 };
    int n = 0;
    *extent = 1;
    do {
        loops[n++] = s;
        *extent *= k->loops[s->loop].extent;
        s = share_within(k, s);
    } while (s && n < MAX_SHARED && *extent < ENOUGH);
    return n;
}

/* print_iterations - the part of the iterations of `loops`, taken as one, that begins and ends so. */
static void print_iterations(KernelPrinter *p, const Stmt *const loops[], int n, int64_t extent,
                             const char *begin, const char *end)
{
    size_t      n_scope = p->n_scope;
    const char *type = p->is_wide ? "ptrdiff_t" : "int";
    const char *i = n == 1 ? NULL : c_name(p, "i");
    for (int l = 0; l < n; l++)
        p->loops[loops[l]->loop] = c_name(p, p->k->loops[loops[l]->loop].name);
    i = i ? i : p->loops[loops[0]->loop];
    w_open(&p->w, "for (%s %s = (%s)%s; %s < (%s)%s; %s++)", type, i, type, begin, i, type, end, i);
    for (int l = 0; n > 1 && l < n; l++) {
        const Loop *loop = &p->k->loops[loops[l]->loop];
        const char *name = p->loops[loops[l]->loop];
        const char *whole = c_count(p, arena_printf(p->arena, "n_%s", name), loop->extent);
        extent /= loop->extent;
        const char *each = c_count(p, arena_printf(p->arena, "each_%s", name), extent);
        w_line(&p->w, "const %s %s = %s%s%s%s%s;", type, name, i, extent > 1 ? " / " : "",
               extent > 1 ? each : "", l ? " % " : "", l ? whole : "");
    }
    block_c(p, loops[n - 1]->body);
    w_close(&p->w, "");
    for (int l = 0; l < n; l++)
        p->loops[loops[l]->loop] = NULL;
    p->n_scope = n_scope;
}

/* is_claimed - whether threads claim a loop piece by piece: not where each would have just two or three, by which
 * LeNet-5 lost 3 %. */
static bool is_claimed(const KernelPrinter *p, const ShareItem *item)
{
    return item->pieces >= 4.0 * p->sharing->threads;
}

/* open_part - the iterations that are a thread's: a part that is always the same, or, where that is work enough,
 * pieces that it claims. */
static void open_part(KernelPrinter *p, const ShareItem *item, int64_t extent, const char *begin,
                      const char *end)
{
    if (!is_claimed(p, item)) {
        w_line(&p->w, "int64_t %s, %s;", begin, end);
        w_line(&p->w, "kiln_share(%s, part, n_parts, &%s, &%s);", c_count(p, "n_parted", extent),
               begin, end);
        return;
    }
    w_line(&p->w, "int64_t %s = 0, %s = 0;", begin, end);
    w_open(&p->w, "while (kiln_pool_claim(%s, %s, part, n_parts, &%s, &%s))",
           c_count(p, "n_claimed", extent),
           c_count(p, "n_at_once", (int64_t)ceil((double)extent / item->pieces)), begin, end);
}

/* print_part - a nest of which each thread runs pieces: all of the outer loops, and some iterations of those
 * inside. */
static void print_part(KernelPrinter *p, const Stmt *s, const ShareItem *item)
{
    const Stmt *inner = s, *loops[MAX_SHARED];
    int64_t     extent;
    for (int i = 0; i < item->n_outer; i++)
        inner = share_within(p->k, inner);
    int         n = shared_loops(p->k, inner, loops, &extent);
    const char *begin = c_name(p, "begin"), *end = c_name(p, "end"); /* they stay in scope */
    size_t      n_scope = p->n_scope;
    open_part(p, item, extent, begin, end);
    for (const Stmt *outer = s; outer != inner; outer = share_within(p->k, outer))
        for_open_c(p, outer);
    print_iterations(p, loops, n, extent, begin, end);
    for (const Stmt *outer = s; outer != inner; outer = share_within(p->k, outer)) {
        w_close(&p->w, "");
        p->loops[outer->loop] = NULL;
    }
    if (is_claimed(p, item))
        w_close(&p->w, "");
    p->n_scope = n_scope;
}

/* print_alone - what one thread does: the last, whose parts are the smallest. */
static void print_alone(KernelPrinter *p, const ShareItem *item)
{
    Stmt run = {
        .kind = S_BLOCK, .items = (Stmt **)(uintptr_t)item->stmts, .n_items = item->n_stmts};
    w_open(&p->w, "if (part == n_parts - 1)");
    block_c(p, &run);
    w_close(&p->w, "");
}

/* shared_c - statements that threads share. */
void shared_c(KernelPrinter *p, const Stmt *s)
{
    const ShareItem *item = share_item(p->sharing, s);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        shared_c(p, s->items[i]);
    if (!item)
        return;
    if (item->meets)
        w_line(&p->w, "kiln_pool_meet(n_parts);");
    switch (item->how) {
    case SHARE_PARTS: print_part(p, s, item); break;
    case SHARE_INSIDE: for_c(p, s, shared_c); break;
    case SHARE_ALONE: print_alone(p, item); break;
    }
}
