/* pair.c - sums of bf16 products go two by two.
 *
 *     for il in 16 { acc += f32(x[.. + il]) * f32(w[.. + il * s]) }
 *  becomes
 *     for il in 8 { for pair in 2 { acc += f32(x[.. + 2*il + pair]) * f32(w[.. + (2*il + pair) * s]) } }
 *
 * The loop over a pair is what one instruction sums in every lane. pack lays the weights of a pair side by
 * side, vectorize makes an E_DOT of it; where either cannot, two iterations remain. */
#include "kernel/kernel.h"
#include "target/target.h"

/* is_bf16 - whether `e` is an element of BF16 as F32. */
static bool is_bf16(const Expr *e)
{
    return e->kind == E_CAST && e->a->kind == E_LOAD && e->a->type.elem == BF16;
}

/* is_dot - whether the body of loop `l` adds one product: elements that lie side by side, times
 * constants, which can be laid out so. */
static bool is_dot(const Kernel *k, const Stmt *body, LoopId l)
{
    const Expr *e = body->kind == S_SET && body->op == ASSIGN_ADD ? body->value : NULL;
    if (!e || e->kind != E_BINARY || e->op != B_MUL || !is_bf16(e->a) || !is_bf16(e->b))
        return false;
    return affine_coef(&e->a->a->index, l) == 1 && k->buffers[e->b->a->buffer].kind == BUF_CONST;
}

static Stmt *pair_stmt(Rewrite *r, Stmt *s)
{
    Kernel    *k = r->k;
    const Loop old = s->kind == S_FOR ? k->loops[s->loop] : (Loop){0};
    if (s->kind != S_FOR || old.role != REDUCE || old.extent % 2 || !is_dot(k, s->body, s->loop))
        return s;
    *(bool *)r->ctx = true;
    LoopId pairs = kernel_loop_if(k, old.name, old.extent / 2, REDUCE, old.axis);
    LoopId pair = kernel_loop(k, "pair", 2, REDUCE, AXIS_NONE);
    k->loops[pair].mark = PAIRS;
    Affine by = affine_add(affine_scale(affine_loop(pairs), 2), affine_loop(pair));
    return st_for(k, pairs, st_for(k, pair, stmt_subst(k, s->body, s->loop, &by)));
}

bool kpass_pair(Kernel *k)
{
    bool    changed = false;
    Rewrite r = {.k = k, .ctx = &changed, .stmt = pair_stmt};
    if (target_find(k->target, I_DOT, BF16, k->target->lanes))
        k->body = rewrite_stmt(&r, k->body);
    return changed;
}
