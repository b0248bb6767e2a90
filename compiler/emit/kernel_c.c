/* kernel_c.c - one kernel as a C function.
 *
 * A temporary is declared where the kernel defines it: blocks of the kernel are blocks of C. An
 * input that is an output's own memory (the node works in place) is read through the output's
 * pointer; where buffers share a block of the arena otherwise, their pointers are not restrict. */
#include "emit/emit.h"

#include <assert.h>
#include <string.h>

/* ---- what the body uses ----------------------------------------------------------------- */

typedef struct Usage {
    const Kernel *k;
    Arena        *arena;
    bool         *buffers;  /* read or written       */
    bool         *assigned; /* temps with a SET      */
    bool          is_wide;  /* an index may leave int */
} Usage;

/* use_index - sums are formed term by term, those with a plus first: neither their sum nor the rest
 * may leave the range of int. */
static void use_index(Usage *u, const Affine *a)
{
    int64_t up = a->constant > 0 ? a->constant : 0, down = a->constant < 0 ? a->constant : 0;
    for (int64_t i = 0; i < a->n_terms; i++) {
        int64_t last = u->k->loops[a->loop[i]].extent - 1, reach;
        u->is_wide |= a->coef[i] > INT32_MAX || a->coef[i] < -INT32_MAX || last >= INT32_MAX;
        if (__builtin_mul_overflow(a->coef[i], last, &reach) ||
            __builtin_add_overflow(reach > 0 ? up : down, reach, reach > 0 ? &up : &down))
            u->is_wide = true;
    }
    u->is_wide |= up > INT32_MAX || down < -INT32_MAX;
}

static void use_value(Usage *u, const Expr *value)
{
    ExprNodes nodes = expr_nodes(u->arena, value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i];
        if (e->kind == E_LOAD)
            u->buffers[e->buffer] = true;
        if (e->kind == E_LOAD || e->kind == E_INDEX)
            use_index(u, &e->index);
    }
}

static void use_stmt(Usage *u, const Stmt *s)
{
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        use_stmt(u, s->items[i]);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        use_stmt(u, s->body);
    if (s->kind == S_FOR)
        u->is_wide |= u->k->loops[s->loop].extent > INT32_MAX;
    for (int i = 0; s->kind == S_GUARD && i < s->n_tests; i++)
        use_index(u, &s->tests[i].index);
    if (s->kind == S_LET || s->kind == S_SET || s->kind == S_STORE)
        use_value(u, s->value);
    if (s->kind == S_SET)
        u->assigned[s->temp] = true;
    if (s->kind == S_STORE || s->kind == S_PREFETCH) {
        u->buffers[s->buffer] = true;
        use_index(u, &s->index);
    }
}

/* ---- statements ------------------------------------------------------------------------- */

enum { MAX_SHARED = 4 }; /* loops that threads share */

typedef struct Body {
    KernelPrinter p;
    const Usage  *use;
    SharePlan     sharing;
} Body;

static void print_stmt(Body *b, const Stmt *s);

/* print_block - what the block names goes out of scope with it. */
static void print_block(Body *b, const Stmt *s)
{
    KernelPrinter *p = &b->p;
    size_t         n_scope = p->n_scope, n_bases = p->n_bases;
    const char   **temps = arena_array(p->arena, const char *, p->k->n_temps);
    Matrices       outside = p->matrices;
    for (TempId t = 1; t < p->k->n_temps; t++)
        temps[t] = p->temps[t];
    c_bases(p, s);
    print_stmt(b, s);
    p->temps = temps;
    memcpy(p->matrices.busy, outside.busy, sizeof outside.busy);
    p->n_scope = n_scope;
    p->n_bases = n_bases;
}

/* sums_vectors - whether a vector accumulates somewhere inside. */
static bool sums_vectors(const Kernel *k, const Stmt *s)
{
    if (s->kind == S_FOR || s->kind == S_GUARD)
        return sums_vectors(k, s->body);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (sums_vectors(k, s->items[i]))
            return true;
    return s->kind == S_SET && s->op != ASSIGN && k->temps[s->temp].type.lanes > 1;
}

/* stays_rolled - a reduction around a register tile does: copies of it let the compiler share loads
 * between them, run out of registers and spill the accumulators. */
static bool stays_rolled(const Kernel *k, const Loop *l, const Stmt *body)
{
    return l->mark == ROLLED || (l->role == REDUCE && sums_vectors(k, body));
}

static void open_for(Body *b, const Stmt *s)
{
    KernelPrinter *p = &b->p;
    const Loop    *l = &p->k->loops[s->loop];
    const char    *type = p->is_wide ? "ptrdiff_t" : "int";
    const char    *name = p->loops[s->loop] = c_name(p, l->name);
    if (stays_rolled(p->k, l, s->body))
        w_line(&p->w, "#pragma GCC unroll 1");
    w_open(&p->w, "for (%s %s = 0; %s < %lld; %s++)", type, name, name, (long long)l->extent, name);
}

static void print_for(Body *b, const Stmt *s, void (*print_body)(Body *, const Stmt *))
{
    size_t n_scope = b->p.n_scope;
    open_for(b, s);
    print_body(b, s->body);
    w_close(&b->p.w, "");
    b->p.loops[s->loop] = NULL;
    b->p.n_scope = n_scope;
}

/* print_guard - only the half of each test that can fail. */
static void print_guard(Body *b, const Stmt *s)
{
    KernelPrinter *p = &b->p;
    Text           t = text_new(p->arena);
    text_add(&t, "");
    for (int i = 0; i < s->n_tests; i++) {
        const Test *test = &s->tests[i];
        const char *index = c_index(p, &test->index);
        Range       r = affine_range(p->k, &test->index);
        if (r.min < 0)
            text_printf(&t, "%s%s >= 0", t.len ? " && " : "", index);
        if (r.max >= test->bound)
            text_printf(&t, "%s%s < %lld", t.len ? " && " : "", index, (long long)test->bound);
    }
    if (!t.len) {
        print_stmt(b, s->body);
        return;
    }
    w_open(&p->w, "if (%s)", t.data);
    print_block(b, s->body);
    w_close(&p->w, "");
}

/* add_text - `target` + `value`; a vector product goes into a fused multiply-add where the
 * target has one and the rounding may differ, a dot product into the instruction it is made for. */
static const char *add_text(Body *b, const char *target, const Expr *value)
{
    KernelPrinter *p = &b->p;
    VType          type = value->type;
    bool           is_product = value->kind == E_BINARY && value->op == B_MUL;
    is_product &= p->k->fp != FP_EXACT && target_find(p->k->target, I_FMA, F32, type.lanes);
    if (!is_product && value->kind != E_DOT)
        return c_instr(p, I_ADD, type, target, c_value(p, value, BIND_ANY), NULL);
    const char *x = c_value(p, value->a, BIND_ANY), *y = c_value(p, value->b, BIND_ANY);
    return is_product ? c_instr(p, I_FMA, type, x, y, target)
                      : c_instr(p, I_DOT, vtype(BF16, type.lanes), x, y, target);
}

static const char *max_text(Body *b, const char *target, const Expr *value)
{
    KernelPrinter *p = &b->p;
    const char    *v = c_value(p, value, BIND_ANY);
    const char    *row = c_instr(p, I_MAX, value->type, v, target, NULL);
    return row ? row : arena_printf(p->arena, "max_f32(%s, %s)", v, target);
}

/* print_set - a definition, an assignment, or an accumulation. */
static void print_set(Body *b, const Stmt *s)
{
    KernelPrinter *p = &b->p;
    VType          type = p->k->temps[s->temp].type;
    const char    *name = p->temps[s->temp];
    if (type.rows) {
        matrix_set(p, s);
        return;
    }
    if (!name) {
        assert(s->kind == S_LET || s->op == ASSIGN);
        const char *value = c_value(p, s->value, BIND_ANY);
        name = p->temps[s->temp] = c_name(p, p->k->temps[s->temp].name);
        w_line(&p->w, "%s%s %s = %s;", b->use->assigned[s->temp] ? "" : "const ",
               c_type(p->k->target, type), name, value);
    } else if (s->op == ASSIGN_MAX) {
        w_line(&p->w, "%s = %s;", name, max_text(b, name, s->value));
    } else if (s->op == ASSIGN_ADD && type.lanes > 1) {
        w_line(&p->w, "%s = %s;", name, add_text(b, name, s->value));
    } else {
        w_line(&p->w, "%s %s= %s;", name, s->op == ASSIGN_ADD ? "+" : "",
               c_value(p, s->value, BIND_ANY));
    }
}

static void print_store(Body *b, const Stmt *s)
{
    KernelPrinter *p = &b->p;
    VType          type = s->value->type;
    int            lanes = type.lanes;
    const char    *place = c_place(p, s->buffer, &s->index);
    if (lanes == 1 && s->op != ASSIGN_MAX) {
        w_line(&p->w, "%s %s= %s;", place, s->op == ASSIGN_ADD ? "+" : "",
               c_value(p, s->value, BIND_ANY));
        return;
    }
    const char *address = c_address(p, s->buffer, &s->index);
    const char *old = lanes == 1 ? place : c_instr(p, I_LOAD, type, address, NULL, NULL);
    const char *value = s->op == ASSIGN       ? c_value(p, s->value, BIND_ANY)
                        : s->op == ASSIGN_ADD ? add_text(b, old, s->value)
                                              : max_text(b, old, s->value);
    if (lanes == 1)
        w_line(&p->w, "%s = %s;", place, value);
    else
        w_line(&p->w, "%s;", c_instr(p, I_STORE, type, address, value, NULL));
}

static void print_stmt(Body *b, const Stmt *s)
{
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < s->n_items; i++)
            print_stmt(b, s->items[i]);
        break;
    case S_FOR: print_for(b, s, print_block); break;
    case S_GUARD: print_guard(b, s); break;
    case S_LET:
    case S_SET: print_set(b, s); break;
    case S_STORE: print_store(b, s); break;
    case S_PREFETCH:
        w_line(&b->p.w, "%s;",
               c_instr(&b->p, I_PREFETCH, vtype(F32, b->p.k->target->lanes),
                       c_address(&b->p, s->buffer, &s->index), NULL, NULL));
        break;
    case S_NOTE: w_comment(&b->p.w, s->note); break;
    }
}

/* ---- what threads share ------------------------------------------------------------------ */

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
static void print_iterations(Body *b, const Stmt *const loops[], int n, int64_t extent,
                             const char *begin, const char *end)
{
    KernelPrinter *p = &b->p;
    size_t         n_scope = p->n_scope;
    const char    *type = p->is_wide ? "ptrdiff_t" : "int";
    const char    *i = n == 1 ? NULL : c_name(p, "i");
    for (int l = 0; l < n; l++)
        p->loops[loops[l]->loop] = c_name(p, p->k->loops[loops[l]->loop].name);
    i = i ? i : p->loops[loops[0]->loop];
    w_open(&p->w, "for (%s %s = (%s)%s; %s < (%s)%s; %s++)", type, i, type, begin, i, type, end, i);
    for (int l = 0; n > 1 && l < n; l++) {
        const Loop *loop = &p->k->loops[loops[l]->loop];
        const char *whole = l ? arena_printf(p->arena, " %% %lld", (long long)loop->extent) : "";
        extent /= loop->extent;
        w_line(&p->w, "const %s %s = %s%s%s;", type, p->loops[loops[l]->loop], i,
               extent > 1 ? arena_printf(p->arena, " / %lld", (long long)extent) : "", whole);
    }
    print_block(b, loops[n - 1]->body);
    w_close(&p->w, "");
    for (int l = 0; l < n; l++)
        p->loops[loops[l]->loop] = NULL;
    p->n_scope = n_scope;
}

/* print_part - a nest of which each thread runs its part: all of `n_outer` loops, and some iterations of
 * those inside. */
static void print_part(Body *b, const Stmt *s, int n_outer)
{
    KernelPrinter *p = &b->p;
    const Stmt    *inner = s, *loops[MAX_SHARED];
    int64_t        extent;
    for (int i = 0; i < n_outer; i++)
        inner = share_within(p->k, inner);
    int         n = shared_loops(p->k, inner, loops, &extent);
    const char *begin = c_name(p, "begin"), *end = c_name(p, "end"); /* they stay in scope */
    size_t      n_scope = p->n_scope;
    w_line(&p->w, "int64_t %s, %s;", begin, end);
    w_line(&p->w, "kiln_share(%lld, part, n_parts, &%s, &%s);", (long long)extent, begin, end);
    for (const Stmt *outer = s; outer != inner; outer = share_within(p->k, outer))
        open_for(b, outer);
    print_iterations(b, loops, n, extent, begin, end);
    for (const Stmt *outer = s; outer != inner; outer = share_within(p->k, outer)) {
        w_close(&p->w, "");
        p->loops[outer->loop] = NULL;
    }
    p->n_scope = n_scope;
}

/* print_alone - what one thread does: the last, whose parts are the smallest. */
static void print_alone(Body *b, const ShareItem *item)
{
    Stmt run = {
        .kind = S_BLOCK, .items = (Stmt **)(uintptr_t)item->stmts, .n_items = item->n_stmts};
    w_open(&b->p.w, "if (part == n_parts - 1)");
    print_block(b, &run);
    w_close(&b->p.w, "");
}

/* print_shared - statements that threads share. */
static void print_shared(Body *b, const Stmt *s)
{
    KernelPrinter   *p = &b->p;
    const ShareItem *item = share_item(&b->sharing, s);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        print_shared(b, s->items[i]);
    if (!item)
        return;
    if (item->meets)
        w_line(&p->w, "kiln_pool_meet(n_parts);");
    switch (item->how) {
    case SHARE_PARTS: print_part(b, s, item->n_outer); break;
    case SHARE_INSIDE: print_for(b, s, print_shared); break;
    case SHARE_ALONE: print_alone(b, item); break;
    }
}

/* ---- the function ----------------------------------------------------------------------- */

/* name_params - the pointer parameters: inputs, constants, outputs, those that are used. */
static void name_params(KernelPrinter *p, const Usage *u, const Aliases *aliases, KernelText *out)
{
    static const BufferKind order[] = {BUF_IN, BUF_CONST, BUF_OUT};
    const Kernel           *k = p->k;
    Text                    t = text_new(p->arena);
    out->args = arena_array(p->arena, BufferId, k->n_buffers);
    out->constants = arena_array(p->arena, BufferId, k->n_buffers);
    text_add(&t, "");
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        for (BufferId b = 1; b < k->n_buffers; b++) {
            const Buffer *buffer = &k->buffers[b];
            if (buffer->kind != order[i] || !u->buffers[b] || aliases->same[b])
                continue;
            p->buffers[b] = c_name(p, buffer->name);
            text_printf(&t, "%s%s%s *%s%s", t.len ? ", " : "", order[i] == BUF_OUT ? "" : "const ",
                        c_type(k->target, vtype(buffer->elem, 1)),
                        aliases->may_overlap[b] ? "" : "restrict ", p->buffers[b]);
            if (order[i] == BUF_CONST)
                out->constants[out->n_constants++] = b;
            else
                out->args[out->n_args++] = b;
            out->n_inputs += order[i] == BUF_IN;
        }
    }
    for (BufferId b = 1; b < k->n_buffers; b++)
        if (aliases->same[b])
            p->buffers[b] = p->buffers[aliases->same[b]];
    out->params = t.data;
}

/* declare_locals - arrays of the function's own, aligned as vectors are. */
static void declare_locals(KernelPrinter *p, const Usage *u)
{
    const Kernel *k = p->k;
    const char   *align = k->target->lanes > 1 ? "__attribute__((aligned(64))) " : "";
    for (BufferId b = 1; b < k->n_buffers; b++) {
        const Buffer *buffer = &k->buffers[b];
        if (buffer->kind != BUF_LOCAL || !u->buffers[b])
            continue;
        p->buffers[b] = c_name(p, buffer->name);
        w_line(&p->w, "%s%s %s[%lld];", align, c_type(k->target, vtype(buffer->elem, 1)),
               p->buffers[b], (long long)buffer->count);
    }
}

KernelText kernel_c(const Kernel *k, const Aliases *aliases, int threads, Arena *a)
{
    SharePlan  sharing = threads ? share_kernel(k, aliases, threads, a) : (SharePlan){0};
    KernelText out = {.is_shared = sharing.is_shared};
    Usage      u = {.k = k,
                    .arena = a,
                    .buffers = arena_array(a, bool, k->n_buffers),
                    .assigned = arena_array(a, bool, k->n_temps)};
    use_stmt(&u, k->body);
    for (BufferId b = 1; b < k->n_buffers; b++)
        if (aliases->same[b] && u.buffers[b])
            u.buffers[aliases->same[b]] = true;
    Body b = {
        .p = {.k = k, .arena = a, .w = {.text = text_new(a), .depth = 1}, .is_wide = u.is_wide},
        .use = &u,
        .sharing = sharing};
    b.p.loops = arena_array(a, const char *, k->n_loops);
    b.p.temps = arena_array(a, const char *, k->n_temps);
    b.p.buffers = arena_array(a, const char *, k->n_buffers);
    b.p.matrices.of = arena_array(a, int, k->n_temps);
    name_params(&b.p, &u, aliases, &out);
    if (out.is_shared) {
        out.params = arena_printf(a, "%s, int part, int n_parts", out.params);
        c_name(&b.p, "part");
        c_name(&b.p, "n_parts");
    }
    text_add(&b.p.w.text, "");
    declare_locals(&b.p, &u);
    for (BufferId i = 1; out.is_shared && i < k->n_buffers; i++)
        if (k->buffers[i].copies > 1)
            w_line(&b.p.w, "%s += part * %lld; /* each thread has its own */", b.p.buffers[i],
                   (long long)k->buffers[i].count);
    if (out.is_shared)
        print_shared(&b, k->body);
    else
        print_block(&b, k->body);
    out.body = matrix_frame(&b.p, b.p.w.text.data);
    return out;
}
