/* vectorize.c - the VECTOR loop becomes vector expressions.
 *
 *     for ol in 16 { acc[ol] += x[..] * w[.. + ol] }     ->     acc += splat(x[..]) * w[.. : 16]
 *
 * The loop's extent is the number of lanes; every load has stride 0 (one scalar for all lanes) or 1, every
 * store stride 1. tile.c asks vectorize_can before it marks a loop.
 *
 * Where groups of channels share a vector there are two loops, and one lane of x serves a group (lanes.c):
 *
 *     acc += pick(x[.. : 16], s of 4) * w[.. : 16]
 *
 * The instruction has s in it, so the loop over s is unrolled.
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
    Lanes lanes;
    bool  ok;
} Check;

static bool is_same(const Check *c, const Affine *index)
{
    return !affine_coef(index, c->lanes.loop) && !affine_coef(index, c->lanes.within);
}

static const Expr *check_expr(Rewrite *r, const Expr *e)
{
    Check  *c = r->ctx;
    Kernel *k = r->k;
    Affine  lane;
    switch (e->kind) {
    case E_LOAD:
        c->ok &= e->type.elem == F32 ||
                 (elem_is_half(e->type.elem) &&
                  target_find(k->target, I_WIDEN, e->type.elem, k->target->lanes));
        c->ok &= k->buffers[e->buffer].kind == BUF_CONST ||
                 lanes_step(k, &c->lanes, &e->index, &lane) != LANES_ODD;
        break;
    case E_INDEX: c->ok &= is_same(c, &e->index); break;
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
    case E_PICK:
    case E_SWAP:
    case E_ROW:
    case E_DOT: c->ok = false; break; /* made here and later, not met */
    }
    c->ok &= (e->type.elem == F32 || e->kind == E_LOAD || e->kind == E_CAST) && e->type.lanes == 1;
    return e;
}

static Stmt *check_stmt(Rewrite *r, Stmt *s)
{
    Check *c = r->ctx;
    Affine lane;
    for (int i = 0; s->kind == S_GUARD && i < s->n_tests; i++)
        c->ok &= is_same(c, &s->tests[i].index);
    if (s->kind == S_STORE)
        c->ok &= lanes_step(r->k, &c->lanes, &s->index, &lane) == LANES_APART;
    return s;
}

bool vectorize_can(const Kernel *k, const Stmt *s)
{
    const Target *t = k->target;
    Check         c = {lanes_of(k, s), true};
    int64_t       count = lanes_count(k, &c.lanes);
    if (t->lanes == 1 || count < t->lanes || (c.lanes.within && count != t->lanes))
        return false;
    Rewrite r = {.k = (Kernel *)(uintptr_t)k, .ctx = &c, .expr = check_expr, .stmt = check_stmt};
    rewrite_stmt(&r, lanes_body(&c.lanes, s));
    return c.ok;
}

/* ---- doing it ---------------------------------------------------------------------------- */

typedef struct Vectorize {
    Lanes loops;
    int   lanes;
} Vectorize;

static const Expr *widen(Kernel *k, const Expr *e, int lanes)
{
    return e->type.lanes == lanes ? e : ex_splat(k, lanes, e);
}

/* A load that moves along the lanes. */
static const Expr *vector_load(Kernel *k, const Vectorize *v, const Expr *e)
{
    Affine   lane;
    LaneStep step = lanes_step(k, &v->loops, &e->index, &lane);
    Expr    *wide = arena_struct(k->arena, Expr);
    *wide = *e;
    wide->index = lanes_first(&v->loops, &e->index);
    wide->type.lanes *= v->lanes;
    if (step != LANES_PICKED)
        return wide;
    wide->index = affine_add(wide->index, affine_scale(lane, -1));
    for (int64_t i = 0; i < lane.n_terms; i++)
        k->loops[lane.loop[i]].mark = UNROLL;
    return ex_pick(k, wide, (int)k->loops[v->loops.within].extent, lane);
}

static const Expr *vector_node(Rewrite *r, const Expr *e)
{
    const Vectorize *v = r->ctx;
    Kernel          *k = r->k;
    if (e->kind == E_LOAD && affine_coef(&e->index, v->loops.loop))
        return vector_load(k, v, e);
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
        s->value = widen(k, s->value, v->lanes);
        s->index = lanes_first(&v->loops, &s->index);
    }
    if (s->kind == S_SET || s->kind == S_LET)
        s->value = widen(k, s->value, k->temps[s->temp].type.lanes);
    return s;
}

/* pairs_fit - whether an index along the lanes, `pair` inside, is of one vector of pairs or of one pair. */
static bool pairs_fit(const Expr *e, LoopId loop, LoopId pair)
{
    int64_t coef = affine_coef(&e->index, loop);
    return (!coef || coef == 2) && (e->kind != E_LOAD || affine_coef(&e->index, pair) == 1);
}

/* loads_fit - whether every load of a value is one vector or one scalar for the lanes, or where it stands in
 * a loop over a `pair`, one vector of pairs or one pair. */
static bool loads_fit(const Kernel *k, const Expr *value, const Lanes *lanes, LoopId pair)
{
    ExprNodes nodes = expr_nodes(k->arena, value);
    for (size_t i = 0; i < nodes.n; i++) {
        Affine lane;
        if (pair ? !pairs_fit(nodes.items[i], lanes->loop, pair)
                 : lanes_step(k, lanes, &nodes.items[i]->index, &lane) == LANES_ODD)
            return false;
    }
    return true;
}

/* strides_fit - the same for all statements inside. */
static bool strides_fit(const Kernel *k, const Stmt *s, const Lanes *lanes, LoopId pair)
{
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (!strides_fit(k, s->items[i], lanes, pair))
            return false;
    if (s->kind == S_FOR && k->loops[s->loop].mark == PAIRS)
        pair = s->loop;
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return strides_fit(k, s->body, lanes, pair);
    return !s->value || loads_fit(k, s->value, lanes, pair);
}

/* has_unit_strides - whether that holds under `loop` wherever the kernel runs it. It does not for a
 * constant that pack did not lay out. */
static bool has_unit_strides(const Kernel *k, const Stmt *s, LoopId loop)
{
    Lanes lanes = s->kind == S_FOR ? lanes_of(k, s) : (Lanes){0, 0};
    if (s->kind == S_FOR && s->loop == loop)
        return strides_fit(k, lanes_body(&lanes, s), &lanes, 0);
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
    Vectorize v = {.loops = lanes_of(k, s)};
    v.lanes = (int)lanes_count(k, &v.loops);
    for (TempId t = 1; t < k->n_temps; t++) {
        widen_temp(k, t, v.loops.loop, v.lanes);
        widen_temp(k, t, v.loops.within, v.lanes);
    }
    Rewrite pairs = {.k = k, .stmt = dot_stmt};
    Rewrite inside = {.k = k, .ctx = &v, .expr = vector_node, .stmt = vector_stmt};
    return rewrite_stmt(&inside, rewrite_stmt(&pairs, lanes_body(&v.loops, s)));
}

bool kpass_vectorize(Kernel *k)
{
    bool    changed = false;
    Rewrite r = {.k = k, .ctx = &changed, .stmt = find_vector};
    k->body = rewrite_stmt(&r, k->body);
    return changed;
}
