/* border.c - cut loops where a padding guard is always true, so that the interior has none.
 *
 * A test 0 <= oh*2 + kh - 1 < H holds for every kh when oh lies in [lo, hi). The loop over oh becomes
 * up to three pieces; in the first and last the test remains, or, where a piece is a single iteration,
 * oh is a constant and the loop over kh shrinks to the iterations for which the test holds:
 *
 *     for oh in 56 { for kh in 3 { if 0 <= oh + kh - 1 < 56 {..} } }
 *  becomes
 *     { for kh in 2 {..} }   for oh in 54 { for kh in 3 {..} }   { for kh in 2 {..} }
 *
 * Border iterations become single where there is one of them, and up to MAX_SINGLE of them on the axis
 * of the register tile, since there the test would otherwise stand in the innermost loop. */
#include "kernel/kernel.h"
#include "target/target.h"

#define MAX_SINGLE 3

/* ---- where a loop can be cut ------------------------------------------------------------- */

typedef struct Cut {
    LoopId  loop;
    int64_t lo, hi; /* the interior, [lo, hi) */
} Cut;

/* Shrink the interior to the iterations for which `test` holds whatever the other loops do. */
static void cut_by_test(const Kernel *k, Cut *cut, const Test *test)
{
    int64_t c = affine_coef(&test->index, cut->loop);
    if (c <= 0)
        return;
    Affine  zero = affine_const(0), rest = affine_subst(&test->index, cut->loop, &zero);
    Range   r = affine_range(k, &rest);
    int64_t lo = -floor_div(r.min, c), hi = floor_div(test->bound - 1 - r.max, c) + 1;
    if (lo > cut->lo)
        cut->lo = lo;
    if (hi < cut->hi)
        cut->hi = hi;
}

/* Only tests around the steps of a sum: one around a store is as cheap as the store. */
static void collect_cut(const Kernel *k, const Stmt *s, bool in_sum, Cut *cut)
{
    for (int i = 0; in_sum && s->kind == S_GUARD && i < s->n_tests; i++)
        cut_by_test(k, cut, &s->tests[i]);
    if (s->kind == S_FOR)
        collect_cut(k, s->body, in_sum || k->loops[s->loop].role == REDUCE, cut);
    if (s->kind == S_GUARD)
        collect_cut(k, s->body, in_sum, cut);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        collect_cut(k, s->items[i], in_sum, cut);
}

/* ---- simplifying guards ------------------------------------------------------------------ */

static void shrink_by_test(const Test *t, LoopId l, int64_t *first, int64_t *last)
{
    const Affine *a = &t->index;
    if (a->n_terms != 1 || a->loop[0] != l || a->coef[0] <= 0)
        return;
    int64_t lo = -floor_div(a->constant, a->coef[0]);
    int64_t hi = floor_div(t->bound - 1 - a->constant, a->coef[0]) + 1;
    *first = lo > *first ? lo : *first;
    *last = hi < *last ? hi : *last;
}

/* The iterations of reduce loop `l` for which all tests around everything inside it that depend on no
 * other loop hold, as [first, last). */
static void shrink(const Kernel *k, const Stmt *body, LoopId l, int64_t *first, int64_t *last)
{
    *first = 0;
    *last = k->loops[l].extent;
    for (; body->kind == S_GUARD || body->kind == S_FOR; body = body->body)
        for (int i = 0; body->kind == S_GUARD && i < body->n_tests; i++)
            shrink_by_test(&body->tests[i], l, first, last);
}

static Stmt *drop_true_tests(Kernel *k, Stmt *s)
{
    Test *kept = arena_array(k->arena, Test, (size_t)s->n_tests);
    int   n = 0;
    for (int i = 0; i < s->n_tests; i++) {
        Range r = affine_range(k, &s->tests[i].index);
        if (r.max < 0 || r.min >= s->tests[i].bound)
            return NULL; /* never true: nothing is done */
        if (r.min < 0 || r.max >= s->tests[i].bound)
            kept[n++] = s->tests[i];
    }
    return st_guard(k, kept, n, s->body);
}

static Stmt *simplify(Rewrite *r, Stmt *s)
{
    Kernel *k = r->k;
    if (s->kind == S_GUARD)
        return drop_true_tests(k, s);
    if (s->kind != S_FOR || k->loops[s->loop].role != REDUCE)
        return s;
    int64_t first, last;
    shrink(k, s->body, s->loop, &first, &last);
    if (first >= last)
        return NULL;
    const Loop old = k->loops[s->loop];
    if (first == 0 && last == old.extent)
        return s;
    LoopId  l = last - first > 1 ? kernel_loop(k, old.name, last - first, old.role, old.axis) : 0;
    Affine  by = affine_offset(affine_loop(l), first);
    Rewrite again = {.k = k, .stmt = simplify};
    return st_for(k, l, rewrite_stmt(&again, stmt_subst(k, s->body, s->loop, &by)));
}

/* ---- cutting ----------------------------------------------------------------------------- */

static Stmt *cut_stmt(Kernel *k, Stmt *s, bool *changed);

/* The iterations [first, first + n) of FOR `s` as a loop of their own. */
static void add_piece(Kernel *k, Stmt *out, const Stmt *s, int64_t first, int64_t n, bool *changed)
{
    if (n <= 0)
        return;
    const Loop old = k->loops[s->loop];
    LoopId     l = n > 1 ? kernel_loop(k, old.name, n, old.role, old.axis) : 0;
    Affine     by = affine_offset(affine_loop(l), first);
    Rewrite    r = {.k = k, .stmt = simplify};
    Stmt      *body = stmt_fresh(k, stmt_subst(k, s->body, s->loop, &by));
    body = rewrite_stmt(&r, body);
    if (body)
        st_add(k, out, st_for(k, l, cut_stmt(k, body, changed)));
}

static Stmt *forget_rows(Rewrite *r, Stmt *s)
{
    if (s->kind == S_FOR && r->k->loops[s->loop].axis == AXIS_M)
        r->k->loops[s->loop].axis = AXIS_NONE;
    return s;
}

/* Border pieces of scalar code are not tiled: it is few pixels, and as much code as the interior. */
static const Stmt *untiled(Kernel *k, const Stmt *s)
{
    if (k->target->lanes > 1)
        return s;
    Rewrite r = {.k = k, .stmt = forget_rows};
    return rewrite_stmt(&r, stmt_fresh(k, s));
}

static void add_border(Kernel *k, Stmt *out, const Stmt *s, int64_t first, int64_t n, bool *changed)
{
    int64_t singles = k->loops[s->loop].axis == AXIS_M ? MAX_SINGLE : 1;
    if (n > 0)
        s = untiled(k, s);
    if (n > singles) {
        add_piece(k, out, s, first, n, changed);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        add_piece(k, out, s, first + i, 1, changed);
}

static Stmt *cut_for(Kernel *k, Stmt *s, bool *changed)
{
    int64_t extent = k->loops[s->loop].extent;
    Cut     cut = {s->loop, 0, extent};
    collect_cut(k, s->body, false, &cut);
    if (cut.lo == 0 && cut.hi == extent)
        return st_for(k, s->loop, cut_stmt(k, s->body, changed));
    *changed = true;
    if (cut.lo >= cut.hi) { /* no interior */
        cut.lo = cut.lo < extent ? cut.lo : extent;
        cut.hi = cut.lo;
    }
    Stmt *out = st_block(k);
    add_border(k, out, s, 0, cut.lo, changed);
    add_piece(k, out, s, cut.lo, cut.hi - cut.lo, changed);
    add_border(k, out, s, cut.hi, extent - cut.hi, changed);
    return out;
}

static Stmt *cut_stmt(Kernel *k, Stmt *s, bool *changed)
{
    if (s->kind == S_FOR && k->loops[s->loop].role == PARALLEL)
        return cut_for(k, s, changed);
    if (s->kind != S_BLOCK)
        return s;
    Stmt *out = st_block(k);
    for (int i = 0; i < s->n_items; i++)
        st_add(k, out, cut_stmt(k, s->items[i], changed));
    return out;
}

bool kpass_border(Kernel *k)
{
    bool changed = false;
    k->body = cut_stmt(k, k->body, &changed);
    return changed;
}
