/* stmt_c.c - the statements of a kernel as C. */
#include "emit/emit.h"

#include <assert.h>
#include <string.h>

/* block_c - what the block names goes out of scope with it. */
void block_c(KernelPrinter *p, const Stmt *s)
{
    size_t       n_scope = p->n_scope, n_bases = p->n_bases;
    const char **temps = arena_array(p->arena, const char *, p->k->n_temps);
    Matrices     outside = p->matrices;
    for (TempId t = 1; t < p->k->n_temps; t++)
        temps[t] = p->temps[t];
    c_bases(p, s);
    stmt_c(p, s);
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

/* fills_vectors - whether it stores one vector constant over and over, and does nothing else. */
static bool fills_vectors(const KernelPrinter *p, const Stmt *s)
{
    if (s->kind == S_FOR)
        return fills_vectors(p, s->body);
    if (s->kind == S_BLOCK)
        return s->n_items == 1 && fills_vectors(p, s->items[0]);
    if (s->kind != S_STORE || s->value->type.lanes == 1)
        return false;
    ExprNodes nodes = expr_nodes(p->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD || nodes.items[i]->kind == E_TEMP)
            return false;
    return true;
}

/* stays_rolled - a reduction around a register tile does: copies of it let the compiler share loads
 * between them, run out of registers and spill the accumulators. So do zeros around a plane: gcc -O3 would
 * spend half its time on copies that are no faster. */
static bool stays_rolled(const KernelPrinter *p, const Loop *l, const Stmt *body)
{
    return l->mark == ROLLED || (l->role == REDUCE && sums_vectors(p->k, body)) ||
           fills_vectors(p, body);
}

static bool has_loop(const Stmt *s)
{
    if (s->kind == S_GUARD)
        return has_loop(s->body);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        if (has_loop(s->items[i]))
            return true;
    return s->kind == S_FOR;
}

/* only_loop - the loop that is all there is in `s` but for announcements of what memory will be read; NULL. */
static const Stmt *only_loop(const Stmt *s)
{
    const Stmt *found = NULL;
    if (s->kind != S_BLOCK)
        return s->kind == S_FOR ? s : NULL;
    for (int i = 0; i < s->n_items; i++) {
        if (s->items[i]->kind == S_PREFETCH)
            continue;
        const Stmt *loop = found ? NULL : only_loop(s->items[i]);
        if (!loop)
            return NULL;
        found = loop;
    }
    return found;
}

/* rolled_copies - of the body of a loop that stays rolled: one. Two where it runs twice and is a short loop
 * itself, which makes two loops and shares nothing; gcc does so unasked. Jumping back to the same four steps
 * costs clang's code a fifth of the time. */
static int rolled_copies(const Loop *l, const Stmt *body)
{
    const Stmt *inner = only_loop(body);
    return l->role == REDUCE && l->extent == 2 && inner && !has_loop(inner->body) ? 2 : 1;
}

void for_open_c(KernelPrinter *p, const Stmt *s)
{
    const Loop *l = &p->k->loops[s->loop];
    const char *type = p->is_wide ? "ptrdiff_t" : "int";
    const char *name = p->loops[s->loop] = c_name(p, l->name);
    if (stays_rolled(p, l, s->body))
        w_line(&p->w, "#pragma GCC unroll %d", rolled_copies(l, s->body));
    w_open(&p->w, "for (%s %s = 0; %s < %s; %s++)", type, name, name,
           c_count(p, arena_printf(p->arena, "n_%s", l->name), l->extent), name);
}

void for_c(KernelPrinter *p, const Stmt *s, void (*print_body)(KernelPrinter *, const Stmt *))
{
    size_t n_scope = p->n_scope;
    for_open_c(p, s);
    print_body(p, s->body);
    w_close(&p->w, "");
    p->loops[s->loop] = NULL;
    p->n_scope = n_scope;
}

/* print_guard - only the half of each test that can fail. */
static void print_guard(KernelPrinter *p, const Stmt *s)
{
    Text t = text_new(p->arena);
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
        stmt_c(p, s->body);
        return;
    }
    w_open(&p->w, "if (%s)", t.data);
    block_c(p, s->body);
    w_close(&p->w, "");
}

/* add_text - `target` + `value`; a vector product goes into a fused multiply-add where the
 * target has one and the rounding may differ, a dot product into the instruction it is made for. */
static const char *add_text(KernelPrinter *p, const char *target, const Expr *value)
{
    VType type = value->type;
    bool  is_product = value->kind == E_BINARY && value->op == B_MUL;
    is_product &= p->k->fp != FP_EXACT && target_find(p->k->target, I_FMA, F32, type.lanes);
    if (!is_product && value->kind != E_DOT)
        return c_instr(p, I_ADD, type, target, c_value(p, value, BIND_ANY), NULL);
    const char *x = c_value(p, value->a, BIND_ANY), *y = c_value(p, value->b, BIND_ANY);
    return is_product ? c_instr(p, I_FMA, type, x, y, target)
                      : c_instr(p, I_DOT, vtype(BF16, type.lanes), x, y, target);
}

static const char *max_text(KernelPrinter *p, const char *target, const Expr *value)
{
    const char *v = c_value(p, value, BIND_ANY);
    const char *row = c_instr(p, I_MAX, value->type, v, target, NULL);
    return row ? row : arena_printf(p->arena, "max_f32(%s, %s)", v, target);
}

/* print_set - a definition, an assignment, or an accumulation. */
static void print_set(KernelPrinter *p, const Stmt *s)
{
    VType       type = p->k->temps[s->temp].type;
    const char *name = p->temps[s->temp];
    if (type.rows) {
        matrix_set(p, s);
        return;
    }
    c_renew_bases(p, s);
    if (!name) {
        assert(s->kind == S_LET || s->op == ASSIGN);
        const char *value = c_value(p, s->value, BIND_ANY);
        name = p->temps[s->temp] = c_name(p, p->k->temps[s->temp].name);
        w_line(&p->w, "%s%s %s = %s;", p->assigned[s->temp] ? "" : "const ",
               c_type(p->k->target, type), name, value);
    } else if (s->op == ASSIGN_MAX) {
        w_line(&p->w, "%s = %s;", name, max_text(p, name, s->value));
    } else if (s->op == ASSIGN_ADD && type.lanes > 1) {
        w_line(&p->w, "%s = %s;", name, add_text(p, name, s->value));
    } else {
        w_line(&p->w, "%s %s= %s;", name, s->op == ASSIGN_ADD ? "+" : "",
               c_value(p, s->value, BIND_ANY));
    }
}

static void print_store(KernelPrinter *p, const Stmt *s)
{
    VType       type = s->value->type;
    int         lanes = type.lanes;
    const char *place = c_place(p, s->buffer, &s->index);
    if (lanes == 1 && s->op != ASSIGN_MAX) {
        w_line(&p->w, "%s %s= %s;", place, s->op == ASSIGN_ADD ? "+" : "",
               c_value(p, s->value, BIND_ANY));
        return;
    }
    const char *address = c_address(p, s->buffer, &s->index);
    const char *old = lanes == 1 ? place : c_instr(p, I_LOAD, type, address, NULL, NULL);
    const char *value = s->op == ASSIGN       ? c_value(p, s->value, BIND_ANY)
                        : s->op == ASSIGN_ADD ? add_text(p, old, s->value)
                                              : max_text(p, old, s->value);
    if (lanes == 1)
        w_line(&p->w, "%s = %s;", place, value);
    else
        w_line(&p->w, "%s;", c_instr(p, I_STORE, type, address, value, NULL));
}

void stmt_c(KernelPrinter *p, const Stmt *s)
{
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < s->n_items; i++)
            stmt_c(p, s->items[i]);
        break;
    case S_FOR: for_c(p, s, block_c); break;
    case S_GUARD: print_guard(p, s); break;
    case S_LET:
    case S_SET: print_set(p, s); break;
    case S_STORE: print_store(p, s); break;
    case S_PREFETCH:
        w_line(&p->w, "%s;",
               c_instr(p, s->outer ? I_PREFETCH_L2 : I_PREFETCH, vtype(F32, p->k->target->lanes),
                       c_address(p, s->buffer, &s->index), NULL, NULL));
        break;
    case S_NOTE: w_comment(&p->w, s->note); break;
    }
}
