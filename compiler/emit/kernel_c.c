/* kernel_c.c - one kernel as the text of a C function.
 *
 * A temporary is declared where the kernel defines it: blocks of the kernel are blocks of C. An
 * input that is an output's own memory (the node works in place) is read through the output's
 * pointer; where buffers share a block of the arena otherwise, their pointers are not restrict. */
#include "emit/emit.h"

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
    KernelPrinter p = {.k = k,
                       .arena = a,
                       .w = {.text = text_new(a), .depth = 1, .is_draft = true},
                       .is_wide = u.is_wide,
                       .assigned = u.assigned,
                       .sharing = &sharing};
    p.loops = arena_array(a, const char *, k->n_loops);
    p.temps = arena_array(a, const char *, k->n_temps);
    p.buffers = arena_array(a, const char *, k->n_buffers);
    p.matrices.of = arena_array(a, int, k->n_temps);
    name_params(&p, &u, aliases, &out);
    if (out.is_shared) {
        c_name(&p, "part");
        c_name(&p, "n_parts");
    }
    text_add(&p.w.text, "");
    declare_locals(&p, &u);
    for (BufferId i = 1; out.is_shared && i < k->n_buffers; i++)
        if (k->buffers[i].copies > 1)
            w_line(&p.w, "%s += part * %lld; /* each thread has its own */", p.buffers[i],
                   (long long)k->buffers[i].count);
    if (out.is_shared)
        shared_c(&p, k->body);
    else
        block_c(&p, k->body);
    take_numbers(&out, matrix_frame(&p, p.w.text.data), a);
    return out;
}
