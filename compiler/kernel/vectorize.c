/* vectorize.c - the VECTOR loop becomes vector expressions.
 *
 *     for ol in 16 { acc[ol] += x[..] * w[.. + ol] }     ->     acc += splat(x[..]) * w[.. : 16]
 *
 * The loop's extent is the number of lanes; every load has stride 0 (one scalar for all lanes) or 1, every
 * store stride 1. tile.c asks vectorize_can before it marks a loop.
 *
 * A loop over a pair inside it goes with it. There the strides are 0 (one pair for all lanes) or 2, and 1
 * along the pair:
 *
 *     for ol in 16 { for pair in 2 { acc[ol] += f32(x[.. + pair]) * f32(w[.. + 2*ol + pair]) } }
 *  becomes
 *     acc += dot(splat(x[..:2]), w[..:32]) */
#include "kernel/kernel.h"
#include "target/target.h"

/* ---- what can be ------------------------------------------------------------------------- */

static InstrKind instr_of(Operator op)
{
    switch (op) {
    case U_NEG: return I_NEG;
    case U_ABS: return I_ABS;
    case U_FLOOR: return I_FLOOR;
    case U_ROUND: return I_ROUND;
    case U_SQRT: return I_SQRT;
    case U_EXPONENT: return I_EXPONENT;
    case B_ADD: return I_ADD;
    case B_SUB: return I_SUB;
    case B_MUL: return I_MUL;
    case B_DIV: return I_DIV;
    case B_MAX: return I_MAX;
    case B_MIN: return I_MIN;
    case B_LDEXP: return I_LDEXP;
    case B_EQ: break;
    }
    return I_NONE;
}

typedef struct Check {
    LoopId loop;
    bool   ok;
} Check;

static const Expr *check_expr(Rewrite *r, const Expr *e)
{
    Check  *c = r->ctx;
    Kernel *k = r->k;
    int64_t coef = affine_coef(&e->index, c->loop);
    switch (e->kind) {
    case E_LOAD:
        c->ok &= e->type.elem == F32 ||
                 (elem_is_half(e->type.elem) &&
                  target_find(k->target, I_WIDEN, e->type.elem, k->target->lanes));
        c->ok &= coef == 0 || coef == 1 || k->buffers[e->buffer].kind == BUF_CONST;
        break;
    case E_INDEX: c->ok &= coef == 0; break;
    case E_UNARY:
    case E_BINARY:
        c->ok &= target_find(k->target, instr_of(e->op), F32, k->target->lanes) != NULL;
        break;
    case E_FMA: c->ok &= target_find(k->target, I_FMA, F32, k->target->lanes) != NULL; break;
    case E_CONST:
    case E_TEMP:
    case E_SPLAT: break;
    case E_CAST:
        c->ok &= e->type.elem == F32
                     ? elem_is_half(e->a->type.elem)
                     : target_find(k->target, I_NARROW, e->type.elem, k->target->lanes) != NULL;
        break;
    case E_ROW:
    case E_DOT: c->ok = false; break; /* made here and later, not met */
    }
    c->ok &= (e->type.elem == F32 || e->kind == E_LOAD || e->kind == E_CAST) && e->type.lanes == 1;
    return e;
}

static Stmt *check_stmt(Rewrite *r, Stmt *s)
{
    Check *c = r->ctx;
    for (int i = 0; s->kind == S_GUARD && i < s->n_tests; i++)
        c->ok &= affine_coef(&s->tests[i].index, c->loop) == 0;
    if (s->kind == S_STORE)
        c->ok &= affine_coef(&s->index, c->loop) == 1;
    return s;
}

bool vectorize_can(const Kernel *k, const Stmt *body, LoopId l)
{
    const Target *t = k->target;
    if (t->lanes == 1 || k->loops[l].extent < t->lanes)
        return false;
    Check   c = {l, true};
    Rewrite r = {.k = (Kernel *)(uintptr_t)k, .ctx = &c, .expr = check_expr, .stmt = check_stmt};
    rewrite_stmt(&r, body);
    return c.ok;
}

/* ---- doing it ---------------------------------------------------------------------------- */

typedef struct Vectorize {
    LoopId loop;
    int    lanes;
} Vectorize;

static const Expr *widen(Kernel *k, const Expr *e, int lanes)
{
    return e->type.lanes == lanes ? e : ex_splat(k, lanes, e);
}

static const Expr *vector_node(Rewrite *r, const Expr *e)
{
    const Vectorize *v = r->ctx;
    Kernel          *k = r->k;
    if (e->kind == E_LOAD && affine_coef(&e->index, v->loop)) {
        Affine zero = affine_const(0);
        Expr  *wide = arena_struct(k->arena, Expr);
        *wide = *e;
        wide->index = affine_subst(&e->index, v->loop, &zero);
        wide->type.lanes *= v->lanes;
        return wide;
    }
    if (e->kind == E_TEMP)
        return ex_temp(k, e->temp); /* its type may have become a vector */
    if (e->kind == E_DOT)
        return ex_with(k, e, widen(k, e->a, 2 * v->lanes), widen(k, e->b, 2 * v->lanes), NULL);
    if ((e->kind != E_BINARY && e->kind != E_FMA) || e->type.lanes == 1)
        return e;
    const Expr *a = widen(k, e->a, v->lanes), *b = widen(k, e->b, v->lanes);
    return ex_with(k, e, a, b, e->c ? widen(k, e->c, v->lanes) : NULL);
}

static void widen_temp(Kernel *k, TempId id, LoopId l, int lanes)
{
    Temp *t = &k->temps[id];
    for (int i = 0; i < t->n_expand; i++) {
        if (t->expand[i] != l)
            continue;
        t->type.lanes = lanes;
        t->n_expand--;
        for (int j = i; j < t->n_expand; j++)
            t->expand[j] = t->expand[j + 1];
        return;
    }
}

static Stmt *vector_stmt(Rewrite *r, Stmt *s)
{
    Vectorize *v = r->ctx;
    Kernel    *k = r->k;
    if (s->kind == S_STORE) {
        Affine zero = affine_const(0);
        s->value = widen(k, s->value, v->lanes);
        s->index = affine_subst(&s->index, v->loop, &zero);
    }
    if (s->kind == S_SET || s->kind == S_LET)
        s->value = widen(k, s->value, k->temps[s->temp].type.lanes);
    return s;
}

/* loads_fit - whether every load of a value is one vector or one scalar for `loop`, or where it stands in
 * a loop over a `pair`, one vector of pairs or one pair. */
static bool loads_fit(const Kernel *k, const Expr *value, LoopId loop, LoopId pair)
{
    ExprNodes nodes = expr_nodes(k->arena, value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Affine *at = &nodes.items[i]->index;
        int64_t       coef = affine_coef(at, loop);
        if ((coef && coef != (pair ? 2 : 1)) ||
            (pair && nodes.items[i]->kind == E_LOAD && affine_coef(at, pair) != 1))
            return false;
    }
    return true;
}

/* strides_fit - the same for all statements inside. */
static bool strides_fit(const Kernel *k, const Stmt *s, LoopId loop, LoopId pair)
{
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (!strides_fit(k, s->items[i], loop, pair))
            return false;
    if (s->kind == S_FOR && k->loops[s->loop].mark == PAIRS)
        pair = s->loop;
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return strides_fit(k, s->body, loop, pair);
    return !s->value || loads_fit(k, s->value, loop, pair);
}

/* has_unit_strides - whether that holds under `loop` wherever the kernel runs it. It does not for a
 * constant that pack did not lay out. */
static bool has_unit_strides(const Kernel *k, const Stmt *s, LoopId loop)
{
    if (s->kind == S_FOR && s->loop == loop)
        return strides_fit(k, s->body, loop, 0);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return has_unit_strides(k, s->body, loop);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (!has_unit_strides(k, s->items[i], loop))
            return false;
    return true;
}

/* A pair of elements: what stands behind the cast, without the loop over the two. */
static const Expr *load_pair(Kernel *k, const Expr *cast, LoopId pair)
{
    Affine zero = affine_const(0);
    Expr  *load = arena_struct(k->arena, Expr);
    *load = *cast->a;
    load->index = affine_subst(&load->index, pair, &zero);
    load->type.lanes = 2;
    return load;
}

static Stmt *dot_stmt(Rewrite *r, Stmt *s)
{
    Kernel *k = r->k;
    if (s->kind != S_FOR || k->loops[s->loop].mark != PAIRS)
        return s;
    const Expr *product = s->body->value;
    const Expr *dot =
        ex_dot(k, load_pair(k, product->a, s->loop), load_pair(k, product->b, s->loop));
    return st_set(k, s->body->temp, ASSIGN_ADD, dot);
}

static Stmt *find_vector(Rewrite *r, Stmt *s)
{
    Kernel *k = r->k;
    if (s->kind != S_FOR || k->loops[s->loop].mark != VECTOR)
        return s;
    if (!has_unit_strides(k, k->body, s->loop))
        return s;
    *(bool *)r->ctx = true;
    Vectorize v = {s->loop, (int)k->loops[s->loop].extent};
    for (TempId t = 1; t < k->n_temps; t++)
        widen_temp(k, t, v.loop, v.lanes);
    Rewrite pairs = {.k = k, .stmt = dot_stmt};
    Rewrite inside = {.k = k, .ctx = &v, .expr = vector_node, .stmt = vector_stmt};
    return rewrite_stmt(&inside, rewrite_stmt(&pairs, s->body));
}

bool kpass_vectorize(Kernel *k)
{
    bool    changed = false;
    Rewrite r = {.k = k, .ctx = &changed, .stmt = find_vector};
    k->body = rewrite_stmt(&r, k->body);
    return changed;
}
