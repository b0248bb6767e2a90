/* rewrite.c - copies of statements with something changed. */
#include "kernel/kernel.h"

#include <string.h>

/* ---- the general rewrite ---------------------------------------------------------------- */

/* rewrite_node - `e` with its children as they came out (a, b, c). */
static const Expr *rewrite_node(Rewrite *r, const Expr *e, const Expr *a, const Expr *b,
                                const Expr *c)
{
    if (r->index && (e->kind == E_LOAD || e->kind == E_INDEX || e->kind == E_ROW ||
                     e->kind == E_PICK || e->kind == E_SWAP)) {
        Affine index = r->index(r, &e->index);
        if (!affine_equal(&index, &e->index)) {
            Expr *moved = arena_struct(r->k->arena, Expr);
            *moved = *e;
            moved->index = index;
            e = e->kind == E_INDEX ? ex_index(r->k, index) : moved;
        }
    }
    if (a != e->a || b != e->b || c != e->c)
        e = ex_with(r->k, e, a, b, c);
    return r->expr ? r->expr(r, e) : e;
}

const Expr *rewrite_expr(Rewrite *r, const Expr *e)
{
    if (!r->index && !r->expr)
        return e;
    ExprNodes    nodes = expr_nodes(r->k->arena, e);
    const Expr **now = arena_array(r->k->arena, const Expr *, nodes.n);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *n = nodes.items[i];
        now[i] = rewrite_node(r, n, n->a ? now[expr_position(&nodes, n->a)] : NULL,
                              n->b ? now[expr_position(&nodes, n->b)] : NULL,
                              n->c ? now[expr_position(&nodes, n->c)] : NULL);
    }
    return now[nodes.n - 1];
}

/* rewrite_tests - a fresh copy of a guard's tests. */
static Test *rewrite_tests(Rewrite *r, const Stmt *s)
{
    Test *tests = arena_array(r->k->arena, Test, (size_t)s->n_tests);
    for (int i = 0; i < s->n_tests; i++) {
        tests[i] = s->tests[i];
        if (r->index)
            tests[i].index = r->index(r, &s->tests[i].index);
    }
    return tests;
}

Stmt *rewrite_stmt(Rewrite *r, const Stmt *s)
{
    Stmt *copy = arena_struct(r->k->arena, Stmt);
    *copy = *s;
    switch (s->kind) {
    case S_BLOCK:
        copy->items = NULL;
        copy->n_items = copy->cap_items = 0;
        for (int i = 0; i < s->n_items; i++)
            st_add(r->k, copy, rewrite_stmt(r, s->items[i]));
        break;
    case S_GUARD:
        copy->tests = rewrite_tests(r, s);
        /* fall through */
    case S_FOR:
        copy->body = rewrite_stmt(r, s->body);
        if (!copy->body)
            return NULL;
        break;
    case S_PREFETCH:
        if (r->index)
            copy->index = r->index(r, &s->index);
        break;
    case S_STORE:
        if (r->index)
            copy->index = r->index(r, &s->index);
        /* fall through */
    case S_LET:
    case S_SET: copy->value = rewrite_expr(r, s->value); break;
    case S_NOTE: break;
    }
    return r->stmt ? r->stmt(r, copy) : copy;
}

Stmt *rewrite_reductions(Kernel *k, Stmt *s, Stmt *(*outermost)(void *ctx, Stmt *reduction),
                         void *ctx)
{
    if (s->kind == S_FOR && k->loops[s->loop].role == REDUCE)
        return outermost(ctx, s);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        s->body = rewrite_reductions(k, s->body, outermost, ctx);
    if (s->kind != S_BLOCK)
        return s;
    Stmt *out = st_block(k);
    for (int i = 0; i < s->n_items; i++)
        st_add(k, out, rewrite_reductions(k, s->items[i], outermost, ctx));
    return out;
}

/* ---- substitution ----------------------------------------------------------------------- */

typedef struct Subst {
    LoopId        loop;
    const Affine *by;
} Subst;

static Affine subst_index(Rewrite *r, const Affine *a)
{
    const Subst *s = r->ctx;
    return affine_subst(a, s->loop, s->by);
}

Stmt *stmt_subst(Kernel *k, const Stmt *s, LoopId l, const Affine *by)
{
    Subst   subst = {l, by};
    Rewrite r = {.k = k, .ctx = &subst, .index = subst_index};
    return rewrite_stmt(&r, s);
}

/* ---- fresh copies ----------------------------------------------------------------------- */

/* What becomes of each loop and temporary; 0: nothing seen yet, its own id: it stays. */
typedef struct Renaming {
    Kernel  *k;
    LoopId  *loops;
    TempId  *temps;
    uint32_t n_loops, n_temps; /* how many there were before */
} Renaming;

static void rename_loop(Renaming *n, LoopId l)
{
    if (n->loops[l])
        return;
    Loop   loop = n->k->loops[l];
    LoopId fresh = kernel_loop(n->k, loop.name, loop.extent, loop.role, loop.axis);
    n->k->loops[fresh].mark = loop.mark;
    n->loops[l] = fresh;
}

static void rename_temp(Renaming *n, TempId t)
{
    if (n->temps[t])
        return;
    TempId fresh = kernel_temp(n->k, n->k->temps[t].name, n->k->temps[t].type);
    n->k->temps[fresh] = n->k->temps[t];
    n->temps[t] = fresh;
}

/* keep_read - temporaries read before they are defined come from outside. */
static void keep_read(Renaming *n, const Expr *e)
{
    ExprNodes nodes = expr_nodes(n->k->arena, e);
    for (size_t i = 0; i < nodes.n; i++) {
        TempId t = nodes.items[i]->kind == E_TEMP ? nodes.items[i]->temp : 0;
        if (t && !n->temps[t])
            n->temps[t] = t;
    }
}

/* find_defined - walk in program order; the first mention decides. */
static void find_defined(Renaming *n, const Stmt *s)
{
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < s->n_items; i++)
            find_defined(n, s->items[i]);
        break;
    case S_FOR:
        rename_loop(n, s->loop);
        find_defined(n, s->body);
        break;
    case S_GUARD: find_defined(n, s->body); break;
    case S_LET:
    case S_SET:
        keep_read(n, s->value);
        if (s->op == ASSIGN || s->kind == S_LET)
            rename_temp(n, s->temp);
        else if (!n->temps[s->temp])
            n->temps[s->temp] = s->temp;
        break;
    case S_STORE: keep_read(n, s->value); break;
    case S_PREFETCH:
    case S_NOTE: break;
    }
}

static LoopId fresh_loop(const Renaming *n, LoopId l)
{
    return n->loops[l] ? n->loops[l] : l;
}

static Affine fresh_index(Rewrite *r, const Affine *a)
{
    const Renaming *n = r->ctx;
    Affine          out = affine_const(a->constant);
    for (int64_t i = 0; i < a->n_terms; i++) {
        Affine term = affine_loop(fresh_loop(n, a->loop[i]));
        out = affine_add(out, affine_scale(term, a->coef[i]));
    }
    return out;
}

static const Expr *fresh_expr(Rewrite *r, const Expr *e)
{
    const Renaming *n = r->ctx;
    if (e->kind != E_TEMP || n->temps[e->temp] == e->temp)
        return e;
    return ex_temp(r->k, n->temps[e->temp]);
}

static Stmt *fresh_stmt(Rewrite *r, Stmt *s)
{
    const Renaming *n = r->ctx;
    if (s->kind == S_FOR)
        s->loop = fresh_loop(n, s->loop);
    else if (s->kind == S_LET || s->kind == S_SET)
        s->temp = n->temps[s->temp];
    return s;
}

Stmt *stmt_fresh(Kernel *k, const Stmt *s)
{
    Renaming n = {.k = k,
                  .loops = arena_array(k->arena, LoopId, k->n_loops),
                  .temps = arena_array(k->arena, TempId, k->n_temps),
                  .n_loops = k->n_loops,
                  .n_temps = k->n_temps};
    find_defined(&n, s);
    for (TempId t = 1; t < n.n_temps; t++) {
        Temp *fresh = n.temps[t] != t ? &k->temps[n.temps[t]] : NULL;
        for (int i = 0; fresh && i < fresh->n_expand; i++)
            if (fresh->expand[i] < n.n_loops)
                fresh->expand[i] = fresh_loop(&n, fresh->expand[i]);
    }
    Rewrite r = {.k = k, .ctx = &n, .index = fresh_index, .expr = fresh_expr, .stmt = fresh_stmt};
    return rewrite_stmt(&r, s);
}
