/* merge.c - adjacent loops that walk memory as one become one.
 *
 *     for oh in 14 { for ow in 14 { y[oh*14 + ow] = f(x[oh*14 + ow]) } }
 *  becomes
 *     for oh_ow in 196 { y[oh_ow] = f(x[oh_ow]) }
 *
 * Applies to perfectly nested loops of one role when every index moves by the inner loop's extent times
 * its stride for each step of the outer one. The order of iterations is unchanged, so sums keep theirs.
 * This is what lets a 1x1 convolution tile its rows as one, and elementwise work run flat. */
#include "kernel/kernel.h"

typedef struct MergeScan {
    LoopId  outer, inner;
    int64_t extent; /* of the inner loop */
    bool    lines_up;
} MergeScan;

static Affine scan_index(Rewrite *r, const Affine *a)
{
    MergeScan *m = r->ctx;
    if (affine_coef(a, m->outer) != affine_coef(a, m->inner) * m->extent)
        m->lines_up = false;
    return *a;
}

static Stmt *see_reduce(Rewrite *r, Stmt *s)
{
    if (s->kind == S_FOR && r->k->loops[s->loop].role == REDUCE)
        *(bool *)r->ctx = true;
    return s;
}

/* The axes of a register tile are worth more apart than merged, where there is a sum to tile. */
static bool axes_stay_apart(Kernel *k, const Loop *o, const Loop *i, const Stmt *body)
{
    if (o->axis == AXIS_NONE || i->axis == AXIS_NONE || o->axis == i->axis)
        return false;
    if (o->axis == AXIS_H && i->axis == AXIS_M)
        return false; /* all pixels as one row: tiles of any size */
    bool    sums = false;
    Rewrite r = {.k = k, .ctx = &sums, .stmt = see_reduce};
    rewrite_stmt(&r, body);
    return sums;
}

static bool can_merge(Kernel *k, LoopId outer, LoopId inner, const Stmt *body)
{
    const Loop *o = &k->loops[outer], *i = &k->loops[inner];
    if (o->role != i->role || o->mark != SERIAL || i->mark != SERIAL)
        return false;
    int64_t product;
    if (axes_stay_apart(k, o, i, body))
        return false;
    if (!mul_ok(o->extent, i->extent, &product))
        return false;
    MergeScan m = {outer, inner, i->extent, true};
    Rewrite   r = {.k = k, .ctx = &m, .index = scan_index};
    rewrite_stmt(&r, body);
    return m.lines_up;
}

static Stmt *merge_pair(Kernel *k, LoopId outer, LoopId inner, const Stmt *body)
{
    const Loop *o = &k->loops[outer], *i = &k->loops[inner];
    LoopAxis    axis = i->axis != AXIS_NONE ? i->axis : o->axis;
    char       *name = arena_printf(k->arena, "%s_%s", o->name, i->name);
    LoopId      merged = kernel_loop(k, name, o->extent * i->extent, i->role, axis);
    Affine      zero = affine_const(0), all = affine_loop(merged);
    Stmt       *s = stmt_subst(k, stmt_subst(k, body, outer, &zero), inner, &all);
    return st_for(k, merged, s);
}

static Stmt *merge_stmt(Rewrite *r, Stmt *s)
{
    if (s->kind != S_FOR || s->body->kind != S_FOR)
        return s;
    if (!can_merge(r->k, s->loop, s->body->loop, s->body->body))
        return s;
    *(bool *)r->ctx = true;
    return merge_pair(r->k, s->loop, s->body->loop, s->body->body);
}

bool kpass_merge(Kernel *k)
{
    bool    changed = false;
    Rewrite r = {.k = k, .ctx = &changed, .stmt = merge_stmt};
    k->body =
        rewrite_stmt(&r, k->body); /* bottom-up: a merged pair meets its own outer loop next */
    return changed;
}
