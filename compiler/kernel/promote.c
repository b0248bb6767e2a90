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
 * only one operand of a row is alive at a time: accumulators, columns and one more register. */
#include "kernel/kernel.h"

#define MAX_CHAIN 4

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

/* Read `e` into a temporary before loop number `p`, once for each iteration of the later loops that it
 * does depend on. */
static const Expr *promote_expr(Chain *c, const Expr *e, const Expr *load, int p)
{
    Kernel *k = c->k;
    char   *name = arena_printf(k->arena, "%sv", k->buffers[load->buffer].name);
    TempId  t = kernel_temp(k, name, e->type);
    Stmt   *let = st_let(k, t, e);
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

static Stmt *promote_chain(Kernel *k, Stmt *s)
{
    Chain c = {.k = k};
    Stmt *inner = s;
    while (c.n < MAX_CHAIN && kernel_is_tile_loop(k, inner)) {
        c.loop[c.n++] = inner->loop;
        inner = inner->body;
    }
    if (inner->kind != S_SET || inner->op == ASSIGN)
        return s;
    const Expr *value = promote_value(&c, inner->value);
    Stmt       *out = st_set(k, inner->temp, inner->op, value);
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
    if (kernel_is_tile_loop(k, s)) {
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
