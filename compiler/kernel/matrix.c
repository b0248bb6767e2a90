/* matrix.c - sums of a tile's rows become products of small matrices.
 *
 *     for il in 8 { for ow1 in 14 { for oc1 in 2 {
 *         acc[ow1][oc1] += dot(splat(x[.. + ow1*s + il*2:2]), w[.. + oc1*32 + il*64:32]) } } }
 *  becomes
 *     for oc1 in 2 { m[oc1] += dot(x[.. :16 x 14], w[.. + oc1*32:32 x 8]) }
 *
 * with m set to 0 before the reductions, and added to acc row by row behind them. Rows may lie any number of
 * elements apart. Where there is one alone, or more than fit, the dot products of vectors remain. */
#include "kernel/kernel.h"
#include "target/target.h"

/* What was made of the sums of one step. */
typedef struct Product {
    TempId acc, matrix;
    LoopId rows, columns; /* 0: no such loop */
} Product;

typedef struct Matrices {
    Kernel *k;
    Product now; /* of the reduction that is being rewritten; acc 0: none */
    int64_t heights[MATRIX_HEIGHTS];
    int     n_heights;
    bool    changed;
} Matrices;

static bool is_inner(const Kernel *k, const Stmt *s, LoopAxis axis)
{
    return s->kind == S_FOR && k->loops[s->loop].mark == UNROLL && k->loops[s->loop].axis == axis;
}

/* fits - whether the dot product `e` of step `il` is one of rows over `p` with the target's matrices. */
static bool fits(const Kernel *k, const Expr *e, LoopId il, const Product *p)
{
    if (e->kind != E_DOT || e->a->kind != E_SPLAT || e->a->a->kind != E_LOAD ||
        e->b->kind != E_LOAD)
        return false;
    const Affine *x = &e->a->a->index, *w = &e->b->index;
    int64_t       pairs = k->loops[il].extent, rows = p->rows ? k->loops[p->rows].extent : 0;
    return rows > 1 && rows <= k->target->matrix_rows && pairs <= k->target->matrix_rows &&
           affine_coef(x, il) == 2 && affine_coef(w, il) >= e->b->type.lanes &&
           !affine_coef(w, p->rows) && !(p->columns && affine_coef(x, p->columns));
}

/* has_room - whether registers are left for such products, or they continue those of this reduction. */
static bool has_room(Matrices *m, const Product *p)
{
    const Loop *loops = m->k->loops;
    if (m->now.acc &&
        (m->now.acc != p->acc || m->now.rows != p->rows || m->now.columns != p->columns))
        return false;
    if (p->columns && loops[p->columns].extent > MATRIX_COLUMNS)
        return false;
    for (int i = 0; i < m->n_heights; i++)
        if (m->heights[i] == loops[p->rows].extent)
            return true;
    if (m->n_heights == MATRIX_HEIGHTS)
        return false;
    m->heights[m->n_heights++] = loops[p->rows].extent;
    return true;
}

static Affine without(const Affine *a, LoopId l)
{
    Affine zero = affine_const(0);
    return affine_subst(a, l, &zero);
}

static TempId new_matrix(Kernel *k, const char *name, int rows, LoopId columns)
{
    TempId t = kernel_temp(k, name, (VType){F32, k->target->lanes, rows});
    if (columns)
        k->temps[t].expand[k->temps[t].n_expand++] = columns;
    return t;
}

/* Step `s`, a loop over pairs around the loops of the tile. */
static Stmt *product_of(Rewrite *r, Stmt *s)
{
    Matrices *m = r->ctx;
    Kernel   *k = r->k;
    Product   p = {0};
    if (s->kind != S_FOR || k->loops[s->loop].role != REDUCE)
        return s;
    const Stmt *set = s->body;
    if (is_inner(k, set, AXIS_M)) {
        p.rows = set->loop;
        set = set->body;
    }
    if (is_inner(k, set, AXIS_N)) {
        p.columns = set->loop;
        set = set->body;
    }
    p.acc = set->temp;
    if (set->kind != S_SET || set->op != ASSIGN_ADD || !fits(k, set->value, s->loop, &p) ||
        !has_room(m, &p))
        return s;
    const Expr *x = set->value->a->a, *w = set->value->b;
    int         rows = (int)k->loops[p.rows].extent, pairs = (int)k->loops[s->loop].extent;
    Expr        xs = *x, ws = *w;
    xs.index = without(&xs.index, s->loop);
    xs.index = without(&xs.index, p.rows);
    ws.index = without(&ws.index, s->loop);
    p.matrix = m->now.acc ? m->now.matrix : new_matrix(k, "m", rows, p.columns);
    m->now = p;
    const Expr *dot =
        ex_dot(k, ex_matrix(k, &xs, 2 * pairs, rows, affine_coef(&x->index, p.rows)),
               ex_matrix(k, &ws, w->type.lanes, pairs, affine_coef(&w->index, s->loop)));
    return st_for(k, p.columns, st_set(k, p.matrix, ASSIGN_ADD, dot));
}

/* around - the reductions `s`, between zeros and the sums of rows. */
static Stmt *around(Kernel *k, const Product *p, Stmt *s)
{
    Stmt       *out = st_block(k);
    VType       type = k->temps[p->matrix].type;
    TempId      sums = new_matrix(k, "rows", type.rows, p->columns);
    const Expr *zero = ex_const(k, 0), *all = ex_splat(k, type.lanes, zero);
    Expr       *none = arena_struct(k->arena, Expr);
    *none = *all;
    none->type = type;
    st_add(k, out, st_for(k, p->columns, st_set(k, p->matrix, ASSIGN, none)));
    st_add(k, out, s);
    st_add(k, out, st_for(k, p->columns, st_let(k, sums, ex_temp(k, p->matrix))));
    const Expr *row = ex_row(k, ex_temp(k, sums), affine_loop(p->rows));
    Stmt       *add = st_set(k, p->acc, ASSIGN_ADD, row);
    st_add(k, out, st_for(k, p->rows, st_for(k, p->columns, add)));
    return out;
}

static Stmt *multiply_in(void *ctx, Stmt *reduction)
{
    Matrices *m = ctx;
    Rewrite   r = {.k = m->k, .ctx = m, .stmt = product_of};
    m->now = (Product){0};
    reduction = rewrite_stmt(&r, reduction);
    m->changed |= m->now.acc != 0;
    return m->now.acc ? around(m->k, &m->now, reduction) : reduction;
}

bool kpass_matrix(Kernel *k)
{
    Matrices m = {.k = k};
    if (k->target->matrix_rows)
        k->body = rewrite_reductions(k, k->body, multiply_in, &m);
    return m.changed;
}
