/* verify.c - what must hold after every pass.
 *
 * - Ids are in range; indices are canonical; every loop stands in at most one FOR of itself, and is used only there.
 * - Operands have the types their operation needs; arithmetic is F32, and a scalar meets a vector only
 *   through SPLAT. F16 is a type of constants, loaded by a CAST to F32; BF16 one of memory, of pairs for
 *   a DOT, and of what a CAST makes for a store.
 * - A temporary is defined before it is read, by a LET or a plain SET that is certain to have run. The
 *   definition holds until the end of the innermost GUARD around it, or FOR it is not expanded over.
 * - A local array is f32, and no read of it stands before all its stores.
 * - Every access lies within its buffer. Where the plain range of an index is too wide, each guard test
 *   around it may explain part of it: with 0 <= t < bound,
 *
 *       index = factor * t + rest      lies in      factor * [0, bound) + range(rest)
 *
 *   for any factor. The factor tried for a test is the one that cancels a loop of `rest` and narrows it most. Sound
 *   whatever factors are chosen, and exact where each test is one digit of the index and has loops of its own, as
 *   padding tests do. Under a test whose own range lies outside [0, bound) nothing is run. */
#include "kernel/kernel.h"

#include <string.h>

enum { MAX_COMPLAINTS = 10, MAX_DEPTH = 200, MAX_ROWS = 64 };

typedef struct Verifier {
    const Kernel *k;
    Arena        *arena;
    Text         *why;
    int           n_complaints;
    int           depth;
    bool         *inside;  /* by loop: a FOR of it is around */
    bool         *defined; /* by temp */
    bool         *stored;  /* by buffer: a store stands before */
    const Test  **tests;   /* of the guards around, outermost first */
    int           n_tests;
    size_t        cap_tests;
    int           n_dead; /* of the guards around: those that never hold */
} Verifier;

static void PRINTF_LIKE(2, 3) complain(Verifier *v, const char *fmt, ...)
{
    if (v->n_complaints++ >= MAX_COMPLAINTS)
        return;
    text_printf(v->why, "kernel %s: ", v->k->name);
    va_list args;
    va_start(args, fmt);
    text_vprintf(v->why, fmt, args);
    va_end(args);
    text_add(v->why, "\n");
}

/* ---- tables ----------------------------------------------------------------------------- */

static bool type_ok(VType t)
{
    bool elem = t.elem == F32 || t.elem == I32 || t.elem == I8 || t.elem == U8 || t.elem == BF16;
    return elem && t.lanes >= 1 && t.lanes <= MAX_LANES && t.rows >= 0 && t.rows <= MAX_ROWS;
}

static bool type_same(VType a, VType b)
{
    return a.elem == b.elem && a.lanes == b.lanes && a.rows == b.rows;
}

static void verify_view(Verifier *v, const Buffer *b)
{
    const View *view = &b->view;
    int64_t     count = 1;
    bool        ok = view->tensor && view->n_dims >= 0 && view->n_dims <= MAX_TERMS;
    for (int i = 0; ok && i < view->tensor->type.rank; i++)
        ok = view->padded[i] >= view->tensor->type.dims[i];
    for (int i = 0; ok && view->n_dims == 0 && i < view->tensor->type.rank; i++)
        ok = mul_ok(count, view->padded[i], &count);
    for (int i = 0; ok && i < view->n_dims; i++)
        ok = view->extent[i] >= 1 && mul_ok(count, view->extent[i], &count);
    if (!ok || count != b->count || !view_turns(view, count))
        complain(v, "constant %s: its view does not have its %lld elements", b->name,
                 (long long)b->count);
}

static void verify_buffers(Verifier *v)
{
    for (BufferId b = 1; b < v->k->n_buffers; b++) {
        const Buffer *buffer = &v->k->buffers[b];
        bool          typed = type_ok(vtype(buffer->elem, 1)) ||
                     (elem_is_half(buffer->elem) && buffer->kind == BUF_CONST);
        if (!buffer->name || !typed || buffer->count < 1)
            complain(v, "buffer %u has no name, type or elements", b);
        else if (buffer->kind == BUF_CONST)
            verify_view(v, buffer);
        else if (buffer->kind == BUF_LOCAL && (buffer->elem != F32 || buffer->value))
            complain(v, "%s is local, and not f32 or bound to a value", buffer->name);
    }
}

static void verify_temps(Verifier *v)
{
    for (TempId t = 1; t < v->k->n_temps; t++) {
        const Temp *temp = &v->k->temps[t];
        if (!temp->name || !type_ok(temp->type))
            complain(v, "temporary %u has no name or type", t);
        if (temp->n_expand < 0 || temp->n_expand > MAX_EXPAND) {
            complain(v, "temporary %u is expanded over %d loops", t, temp->n_expand);
            continue;
        }
        for (int i = 0; i < temp->n_expand; i++) {
            bool ok = temp->expand[i] > 0 && temp->expand[i] < v->k->n_loops;
            for (int j = 0; j < i; j++)
                ok = ok && temp->expand[j] != temp->expand[i];
            if (!ok)
                complain(v, "temporary %s: expanded over loop %u", temp->name, temp->expand[i]);
        }
    }
}

static void verify_loops(Verifier *v)
{
    for (LoopId l = 1; l < v->k->n_loops; l++)
        if (!v->k->loops[l].name || v->k->loops[l].extent < 1)
            complain(v, "loop %u has no name or no iterations", l);
}

/* ---- indices ---------------------------------------------------------------------------- */

static bool is_canonical(const Affine *a)
{
    if (a->n_terms < 0 || a->n_terms > MAX_TERMS)
        return false;
    for (int64_t i = 0; i < MAX_TERMS; i++) {
        if (i >= a->n_terms && (a->loop[i] || a->coef[i]))
            return false;
        if (i < a->n_terms && (!a->coef[i] || a->loop[i] <= (i ? a->loop[i - 1] : 0)))
            return false;
    }
    return true;
}

/* index_ok - canonical, and over loops that are around it. */
static bool index_ok(Verifier *v, const Affine *a)
{
    if (!is_canonical(a)) {
        complain(v, "an index is not canonical");
        return false;
    }
    for (int64_t i = 0; i < a->n_terms; i++) {
        LoopId l = a->loop[i];
        if (l < v->k->n_loops && v->inside[l])
            continue;
        complain(v, "an index uses loop %u (%s) outside of it", l,
                 l < v->k->n_loops ? v->k->loops[l].name : "unknown");
        return false;
    }
    return true;
}

/* explain - take the part of *rest that `t` bounds out of it, adding its range to *known. */
static void explain(const Verifier *v, const Test *t, Affine *rest, Range *known)
{
    Affine  best = *rest;
    int64_t factor = 0;
    Range   narrow = affine_range(v->k, rest);
    for (int64_t i = 0; i < t->index.n_terms; i++) {
        int64_t of_test = t->index.coef[i], of_rest = affine_coef(rest, t->index.loop[i]);
        int64_t f = of_rest / of_test;
        if (of_rest % of_test || !f || f == INT64_MIN)
            continue;
        Affine left = affine_add(*rest, affine_scale(t->index, -f));
        Range  r = affine_range(v->k, &left);
        /* Differences as doubles: ranges may span more than an int64_t. */
        if ((double)r.max - (double)r.min >= (double)narrow.max - (double)narrow.min)
            continue;
        best = left;
        narrow = r;
        factor = f;
    }
    if (!factor)
        return;
    /* Affine arithmetic saturates; that of int64_t would not. */
    Affine part = affine_scale(affine_const(t->bound - 1), factor);
    *rest = best;
    if (factor < 0)
        known->min = affine_offset(part, known->min).constant;
    else
        known->max = affine_offset(part, known->max).constant;
}

/* range_within - whether the index stays in [0, last] given the guards around. */
static bool range_within(const Verifier *v, const Affine *index, int64_t last)
{
    Range r = affine_range(v->k, index);
    if (r.min >= 0 && r.max <= last)
        return true;
    Affine rest = *index;
    Range  known = {0, 0};
    for (int i = v->n_tests - 1; i >= 0; i--) {
        explain(v, v->tests[i], &rest, &known);
        if (known.min < -last || known.max > last)
            return false; /* past the buffer by itself; also keeps the sums from overflowing */
    }
    r = affine_range(v->k, &rest);
    return r.min >= -known.min && r.max <= last - known.max;
}

static void verify_access(Verifier *v, BufferId b, const Affine *index, VType type)
{
    if (b == 0 || b >= v->k->n_buffers) {
        complain(v, "an access to buffer %u, which does not exist", b);
        return;
    }
    const Buffer *buffer = &v->k->buffers[b];
    if (type.elem != buffer->elem)
        complain(v, "%s holds %s and is accessed as %s", buffer->name, elem_name(buffer->elem),
                 elem_name(type.elem));
    if (!index_ok(v, index) || v->n_dead || range_within(v, index, buffer->count - type.lanes))
        return;
    Range r = affine_range(v->k, index);
    complain(v, "%s has %lld elements and is accessed at %lld..%lld, %d wide", buffer->name,
             (long long)buffer->count, (long long)r.min, (long long)r.max, type.lanes);
}

/* ---- expressions ------------------------------------------------------------------------ */

/* verify_temp - whether `t` may be mentioned here: it exists, and all loops it is expanded over are
 * around. */
static bool verify_temp(Verifier *v, TempId t)
{
    if (t == 0 || t >= v->k->n_temps) {
        complain(v, "temporary %u does not exist", t);
        return false;
    }
    const Temp *temp = &v->k->temps[t];
    for (int i = 0; i < temp->n_expand && i < MAX_EXPAND; i++) {
        LoopId l = temp->expand[i];
        if (l < v->k->n_loops && v->inside[l])
            continue;
        complain(v, "temporary %s is used outside loop %u it is expanded over", temp->name, l);
        return false;
    }
    return true;
}

static void verify_read(Verifier *v, const Expr *e)
{
    if (!verify_temp(v, e->temp))
        return;
    const Temp *t = &v->k->temps[e->temp];
    if (!type_same(e->type, t->type))
        complain(v, "temporary %s is read as another type than its own", t->name);
    if (!v->defined[e->temp])
        complain(v, "temporary %s is read before it is defined", t->name);
}

/* operands_are - whether e has exactly `n` operands, each an F32 with the lanes of `e`. */
static bool operands_are(const Expr *e, int n)
{
    const Expr *operand[] = {e->a, e->b, e->c};
    for (int i = 0; i < 3; i++) {
        if ((operand[i] != NULL) != (i < n))
            return false;
        if (operand[i] && !type_same(operand[i]->type, e->type))
            return false;
    }
    return e->type.elem == F32;
}

/* verify_written - a local array is written, at least in part, before it is read. */
static void verify_written(Verifier *v, BufferId b)
{
    if (b < v->k->n_buffers && v->k->buffers[b].kind == BUF_LOCAL && !v->stored[b])
        complain(v, "%s is local and read before it is written", v->k->buffers[b].name);
}

static bool are_pairs(const Expr *dot)
{
    if (dot->type.rows && dot->a && dot->b) {
        int k = dot->b->type.rows;
        return !dot->c && type_same(dot->a->type, (VType){BF16, 2 * k, dot->type.rows}) &&
               type_same(dot->b->type, (VType){BF16, 2 * dot->type.lanes, k});
    }
    VType pairs = vtype(BF16, 2 * dot->type.lanes);
    return dot->a && dot->b && !dot->c && type_same(dot->a->type, pairs) &&
           type_same(dot->b->type, pairs);
}

static void verify_expr(Verifier *v, const Expr *e)
{
    bool ok = type_ok(e->type), scalar = e->type.lanes == 1;
    switch (e->kind) {
    case E_CONST:
        ok = ok && scalar &&
             (e->type.elem == F32 || eval_cast(e->type.elem, e->number) == e->number);
        break;
    case E_INDEX:
        ok = ok && scalar && e->type.elem == F32;
        index_ok(v, &e->index);
        break;
    case E_TEMP: verify_read(v, e); break;
    case E_LOAD:
        ok = e->type.lanes >= 1 && e->type.lanes <= MAX_LANES;
        verify_access(v, e->buffer, &e->index, e->type);
        verify_written(v, e->buffer);
        if (e->type.rows) {
            Affine last = affine_offset(e->index, (e->type.rows - 1) * e->row_stride);
            verify_access(v, e->buffer, &last, e->type);
        }
        break;
    case E_ROW:
        ok = ok && e->a && !e->b && e->a->kind == E_TEMP && e->a->type.rows > 0 &&
             type_same(e->type, vtype(e->a->type.elem, e->a->type.lanes));
        index_ok(v, &e->index);
        ok = ok && range_within(v, &e->index, e->a->type.rows - 1);
        break;
    case E_SPLAT:
        ok = ok && e->a && !e->b && e->a->type.lanes <= (e->type.elem == BF16 ? 2 : 1) &&
             e->a->type.elem == e->type.elem;
        break;
    case E_PICK:
    case E_SWAP:
        ok = ok && e->a && !e->b && !e->type.rows && type_same(e->type, e->a->type) &&
             e->group > 1 && !(e->group & (e->group - 1)) && e->type.lanes % e->group == 0 &&
             index_ok(v, &e->index) && range_within(v, &e->index, e->group - 1);
        break;
    case E_CAST:
        ok = ok && e->a && !e->b && e->a->type.lanes == e->type.lanes &&
             (e->type.elem == F32 || !elem_is_half(e->a->type.elem)) &&
             (e->type.elem != BF16 || e->a->type.elem == F32);
        break;
    case E_UNARY: ok = ok && e->op <= U_EXPONENT && operands_are(e, 1); break;
    case E_BINARY:
        ok = ok && e->op >= B_ADD && e->op <= B_LDEXP && operands_are(e, 2) &&
             (e->op != B_EQ || scalar);
        break;
    case E_FMA: ok = ok && operands_are(e, 3); break;
    case E_DOT: ok = ok && e->type.elem == F32 && are_pairs(e); break;
    default: ok = false;
    }
    if (!ok)
        complain(v, "an expression of kind %d, operator %d has the wrong type or operands",
                 (int)e->kind, (int)e->op);
}

/* ---- statements ------------------------------------------------------------------------- */

static void verify_stmt(Verifier *v, const Stmt *s);

static bool is_expanded_over(const Temp *t, LoopId l)
{
    for (int i = 0; i < t->n_expand; i++)
        if (t->expand[i] == l)
            return true;
    return false;
}

/* verify_inner - the body of a FOR over `l`, or of a GUARD (l = 0): what it defines ends with it,
 * except for what is expanded over the loop. */
static void verify_inner(Verifier *v, const Stmt *body, LoopId l)
{
    uint32_t n = v->k->n_temps;
    bool    *before = arena_array(v->arena, bool, n);
    memcpy(before, v->defined, n * sizeof *before);
    verify_stmt(v, body);
    for (TempId t = 1; t < n; t++)
        if (!before[t] && !(l && is_expanded_over(&v->k->temps[t], l)))
            v->defined[t] = false;
}

static void verify_for(Verifier *v, const Stmt *s)
{
    if (s->loop == 0 || s->loop >= v->k->n_loops || v->inside[s->loop]) {
        complain(v, "a FOR over loop %u, which does not exist or is around it already", s->loop);
        return;
    }
    v->inside[s->loop] = true;
    verify_inner(v, s->body, s->loop);
    v->inside[s->loop] = false;
}

static void verify_guard(Verifier *v, const Stmt *s)
{
    int before = v->n_tests, dead = v->n_dead;
    if (s->n_tests < 1)
        complain(v, "a guard has no tests");
    for (int i = 0; i < s->n_tests; i++) {
        if (!index_ok(v, &s->tests[i].index))
            continue;
        Range r = affine_range(v->k, &s->tests[i].index);
        v->n_dead += r.max < 0 || r.min >= s->tests[i].bound;
        v->tests =
            arena_grow(v->arena, v->tests, (size_t)v->n_tests, &v->cap_tests, sizeof *v->tests);
        v->tests[v->n_tests++] = &s->tests[i];
    }
    verify_inner(v, s->body, 0);
    v->n_tests = before;
    v->n_dead = dead;
}

static void verify_assign(Verifier *v, const Stmt *s)
{
    if (!verify_temp(v, s->temp))
        return;
    const Temp *t = &v->k->temps[s->temp];
    if (!type_same(s->value->type, t->type))
        complain(v, "temporary %s is set to a value of another type", t->name);
    if (s->kind == S_LET && v->defined[s->temp])
        complain(v, "temporary %s is defined twice", t->name);
    if (s->kind == S_SET && s->op != ASSIGN && !v->defined[s->temp])
        complain(v, "temporary %s is read before it is defined", t->name);
    if (s->op != ASSIGN && t->type.elem != F32)
        complain(v, "temporary %s accumulates, and is not f32", t->name);
    v->defined[s->temp] = true;
}

static void verify_store(Verifier *v, const Stmt *s)
{
    verify_access(v, s->buffer, &s->index, s->value->type);
    if (!type_ok(s->value->type))
        complain(v, "a store of a type no output has");
    if (s->buffer >= v->k->n_buffers)
        return;
    const Buffer *b = &v->k->buffers[s->buffer];
    if (b->kind != BUF_OUT && b->kind != BUF_LOCAL)
        complain(v, "a store to %s, which is no output", b->name);
    if (s->op != ASSIGN)
        verify_written(v, s->buffer);
    v->stored[s->buffer] = true;
    if (s->op != ASSIGN && s->value->type.elem != F32)
        complain(v, "a store accumulates, and is not f32");
}

static void verify_value(Verifier *v, const Stmt *s)
{
    if (!s->value || s->op > ASSIGN_MAX) {
        complain(v, "an assignment without a value or with an unknown operator");
        return;
    }
    ExprNodes nodes = expr_nodes(v->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i];
        verify_expr(v, e);
        if (e->kind == E_DOT && (e != s->value || s->kind != S_SET || s->op != ASSIGN_ADD))
            complain(v, "a dot product that no temporary accumulates");
    }
    if (s->kind == S_STORE)
        verify_store(v, s);
    else
        verify_assign(v, s);
}

static void verify_stmt(Verifier *v, const Stmt *s)
{
    if (!s) {
        complain(v, "a statement is missing");
        return;
    }
    if (++v->depth > MAX_DEPTH) {
        complain(v, "statements nest deeper than %d", MAX_DEPTH);
        v->depth--;
        return;
    }
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < s->n_items; i++)
            verify_stmt(v, s->items[i]);
        break;
    case S_FOR: verify_for(v, s); break;
    case S_GUARD: verify_guard(v, s); break;
    case S_LET:
    case S_SET:
    case S_STORE: verify_value(v, s); break;
    case S_PREFETCH:
        if (!s->buffer || s->buffer >= v->k->n_buffers)
            complain(v, "a prefetch from buffer %u, which does not exist", (unsigned)s->buffer);
        break;
    case S_NOTE:
        if (!s->note)
            complain(v, "a note without text");
        break;
    default: complain(v, "a statement of unknown kind %d", (int)s->kind);
    }
    v->depth--;
}

bool kernel_verify(const Kernel *k, Text *why)
{
    Arena   *a = arena_new();
    Verifier v = {.k = k, .arena = a, .why = why};
    v.inside = arena_array(a, bool, k->n_loops);
    v.defined = arena_array(a, bool, k->n_temps);
    v.stored = arena_array(a, bool, k->n_buffers);
    verify_loops(&v);
    verify_temps(&v);
    verify_buffers(&v);
    if (v.n_complaints == 0) {
        if (!k->body || k->body->kind != S_BLOCK)
            complain(&v, "the body is no block");
        else
            verify_stmt(&v, k->body);
    }
    arena_free(a);
    return v.n_complaints == 0;
}
