/* print.c - a kernel as text.
 *
 *     kernel conv2d {
 *         in x: f32[3136]
 *         const w: f32[4608] from f32[16, 3, 3, 3]
 *         out y: f32[50176]
 *         for oc in 0..16 parallel axis n {
 *             let acc = b[oc]
 *             for ic in 0..3 reduce {
 *                 if 0 <= oh + kh - 1 < 56 {
 *                     acc += x[ic * 3136 + oh * 56 + kh * 56 - 56] * w[oc * 27 + ic * 9 + kh * 3]
 *
 * A node that an expression uses twice is named on a line of its own, %1 = ..., so the text stays in
 * proportion to the nodes. Constants that nothing reads are left out. Ids out of range print as ?: what
 * the verifier refuses can be looked at. */
#include "kernel/kernel.h"

#include <string.h>

typedef struct Printer {
    const Kernel *k;
    Text         *out;
    Arena        *arena;
    int           depth;
    const char  **used; /* names given so far */
    size_t        n_used, cap_used;
    const char  **loops, **temps, **buffers;
    bool         *read;  /* by buffer */
    ExprNodes     nodes; /* of the statement being printed */
    uint32_t     *named; /* by position: number of the line that holds it, 0: printed in place */
} Printer;

/* ---- names ------------------------------------------------------------------------------ */

static bool is_used(const Printer *p, const char *name)
{
    for (size_t i = 0; i < p->n_used; i++)
        if (!strcmp(p->used[i], name))
            return true;
    return false;
}

/* give_name - `stem`, or stem_2, stem_3 ... where that is taken. */
static void give_name(Printer *p, const char **slot, const char *stem)
{
    if (*slot)
        return;
    const char *name = stem && *stem ? stem : "unnamed";
    for (int i = 2; is_used(p, name); i++)
        name = arena_printf(p->arena, "%s_%d", stem, i);
    p->used = arena_grow(p->arena, p->used, p->n_used, &p->cap_used, sizeof *p->used);
    p->used[p->n_used++] = name;
    *slot = name;
}

/* find_reads - which buffers the kernel reads. */
static void find_reads(Printer *p, const Stmt *s)
{
    if (s->kind == S_FOR || s->kind == S_GUARD)
        find_reads(p, s->body);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        find_reads(p, s->items[i]);
    if (s->kind != S_LET && s->kind != S_SET && s->kind != S_STORE)
        return;
    ExprNodes nodes = expr_nodes(p->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD && nodes.items[i]->buffer < p->k->n_buffers)
            p->read[nodes.items[i]->buffer] = true;
}

/* name_buffers - all but the constants that a pass has left without readers. */
static void name_buffers(Printer *p)
{
    find_reads(p, p->k->body);
    for (BufferId b = 1; b < p->k->n_buffers; b++)
        if (p->read[b] || p->k->buffers[b].kind != BUF_CONST)
            give_name(p, &p->buffers[b], p->k->buffers[b].name);
}

/* name_all - in the order of first appearance, so that what passes left behind takes no names. */
static void name_all(Printer *p, const Stmt *s)
{
    if (s->kind == S_FOR && s->loop < p->k->n_loops)
        give_name(p, &p->loops[s->loop], p->k->loops[s->loop].name);
    if ((s->kind == S_LET || s->kind == S_SET) && s->temp < p->k->n_temps)
        give_name(p, &p->temps[s->temp], p->k->temps[s->temp].name);
    if (s->kind == S_FOR || s->kind == S_GUARD)
        name_all(p, s->body);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        name_all(p, s->items[i]);
}

static const char *name_of(const char **names, uint32_t n, uint32_t id)
{
    return id < n && names[id] ? names[id] : "?";
}

/* ---- indices ---------------------------------------------------------------------------- */

static uint64_t magnitude(int64_t v)
{
    return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

/* by_size - positions of the terms, largest coefficients first: the order of memory. */
static void by_size(const Affine *a, int64_t *order)
{
    for (int64_t i = 0; i < a->n_terms && i < MAX_TERMS; i++) {
        int64_t at = i;
        for (; at > 0 && magnitude(a->coef[order[at - 1]]) < magnitude(a->coef[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

static void print_index(Printer *p, const Affine *a)
{
    int64_t order[MAX_TERMS];
    by_size(a, order);
    for (int64_t i = 0; i < a->n_terms && i < MAX_TERMS; i++) {
        int64_t     coef = a->coef[order[i]];
        const char *minus = i ? " - " : "-";
        text_add(p->out, coef < 0 ? minus : i ? " + " : "");
        text_add(p->out, name_of(p->loops, p->k->n_loops, a->loop[order[i]]));
        if (magnitude(coef) != 1)
            text_printf(p->out, " * %llu", (unsigned long long)magnitude(coef));
    }
    if (a->n_terms == 0)
        text_printf(p->out, "%lld", (long long)a->constant);
    else if (a->constant)
        text_printf(p->out, " %c %llu", a->constant < 0 ? '-' : '+',
                    (unsigned long long)magnitude(a->constant));
}

static void print_access(Printer *p, BufferId b, const Affine *index, VType type)
{
    text_printf(p->out, "%s[", name_of(p->buffers, p->k->n_buffers, b));
    print_index(p, index);
    if (type.lanes > 1)
        text_printf(p->out, ":%d", type.lanes);
    if (type.rows)
        text_printf(p->out, " x %d", type.rows);
    text_add(p->out, "]");
}

static void print_temp(Printer *p, TempId t)
{
    text_add(p->out, name_of(p->temps, p->k->n_temps, t));
    if (t >= p->k->n_temps)
        return;
    const Temp *temp = &p->k->temps[t];
    for (int i = 0; i < temp->n_expand; i++)
        text_printf(p->out, "[%s]", name_of(p->loops, p->k->n_loops, temp->expand[i]));
}

/* ---- expressions ------------------------------------------------------------------------ */

enum { LOOSE, SUM, PRODUCT, TIGHT }; /* how tightly an operand must bind */

static void print_expr(Printer *p, const Expr *e, int binding);

static void print_call(Printer *p, const char *name, const Expr *a, const Expr *b, const Expr *c)
{
    text_printf(p->out, "%s(", name);
    print_expr(p, a, LOOSE);
    if (b) {
        text_add(p->out, ", ");
        print_expr(p, b, LOOSE);
    }
    if (c) {
        text_add(p->out, ", ");
        print_expr(p, c, LOOSE);
    }
    text_add(p->out, ")");
}

static void print_infix(Printer *p, const Expr *e, char sign, int own, int binding)
{
    if (own < binding)
        text_add(p->out, "(");
    print_expr(p, e->a, own);
    text_printf(p->out, " %c ", sign);
    print_expr(p, e->b, own + 1);
    if (own < binding)
        text_add(p->out, ")");
}

static void print_operation(Printer *p, const Expr *e, int binding)
{
    switch (e->op) {
    case U_NEG:
        text_add(p->out, "-");
        print_expr(p, e->a, TIGHT);
        break;
    case U_ABS: print_call(p, "abs", e->a, NULL, NULL); break;
    case U_FLOOR: print_call(p, "floor", e->a, NULL, NULL); break;
    case U_ROUND: print_call(p, "round", e->a, NULL, NULL); break;
    case U_SQRT: print_call(p, "sqrt", e->a, NULL, NULL); break;
    case U_EXPONENT: print_call(p, "exponent", e->a, NULL, NULL); break;
    case B_ADD: print_infix(p, e, '+', SUM, binding); break;
    case B_SUB: print_infix(p, e, '-', SUM, binding); break;
    case B_MUL: print_infix(p, e, '*', PRODUCT, binding); break;
    case B_DIV: print_infix(p, e, '/', PRODUCT, binding); break;
    case B_MAX: print_call(p, "max", e->a, e->b, NULL); break;
    case B_MIN: print_call(p, "min", e->a, e->b, NULL); break;
    case B_EQ: print_call(p, "eq", e->a, e->b, NULL); break;
    case B_LDEXP: print_call(p, "ldexp", e->a, e->b, NULL); break;
    }
}

/* print_indexed - name(operand, index) */
static void print_indexed(Printer *p, const char *name, const Expr *e)
{
    text_printf(p->out, "%s(", name);
    print_expr(p, e->a, LOOSE);
    text_add(p->out, ", ");
    print_index(p, &e->index);
    text_add(p->out, ")");
}

/* print_node - the node itself, even where it has a name. */
static void print_node(Printer *p, const Expr *e, int binding)
{
    switch (e->kind) {
    case E_CONST:
        text_printf(p->out, "%.9g", e->number);
        if (e->type.elem != F32)
            text_printf(p->out, ":%s", elem_name(e->type.elem));
        break;
    case E_INDEX:
        text_add(p->out, "index(");
        print_index(p, &e->index);
        text_add(p->out, ")");
        break;
    case E_TEMP: print_temp(p, e->temp); break;
    case E_LOAD: print_access(p, e->buffer, &e->index, e->type); break;
    case E_SPLAT: print_call(p, "splat", e->a, NULL, NULL); break;
    case E_CAST: print_call(p, elem_name(e->type.elem), e->a, NULL, NULL); break;
    case E_ROW: print_indexed(p, "row", e); break;
    case E_PICK:
        text_add(p->out, "pick(");
        print_expr(p, e->a, LOOSE);
        text_add(p->out, ", ");
        print_index(p, &e->index);
        text_printf(p->out, " of %d)", e->group);
        break;
    case E_SWAP: print_indexed(p, "swap", e); break;
    case E_FMA: print_call(p, "fma", e->a, e->b, e->c); break;
    case E_DOT: print_call(p, "dot", e->a, e->b, NULL); break;
    case E_UNARY:
    case E_BINARY: print_operation(p, e, binding); break;
    }
}

static void print_expr(Printer *p, const Expr *e, int binding)
{
    uint32_t name = p->named[expr_position(&p->nodes, e)];
    if (name)
        text_printf(p->out, "%%%u", name);
    else
        print_node(p, e, binding);
}

/* ---- statements ------------------------------------------------------------------------- */

static void indent(Printer *p)
{
    text_printf(p->out, "%*s", 4 * p->depth, "");
}

/* choose_names - number the nodes that get a line: those used more than once, and those at the top of
 * DEEPEST levels (recursion and line length stay bounded). Leaves are printed where they are used. */
static uint32_t *choose_names(Printer *p, const ExprNodes *nodes)
{
    enum { DEEPEST = 24 };
    uint32_t *named = arena_array(p->arena, uint32_t, nodes->n);
    uint32_t *uses = arena_array(p->arena, uint32_t, nodes->n);
    uint32_t *height = arena_array(p->arena, uint32_t, nodes->n);
    uint32_t  next = 1;
    for (size_t i = 0; i < nodes->n; i++) {
        const Expr *child[] = {nodes->items[i]->a, nodes->items[i]->b, nodes->items[i]->c};
        for (size_t j = 0; j < COUNT_OF(child); j++)
            if (child[j])
                uses[expr_position(nodes, child[j])]++;
    }
    for (size_t i = 0; i + 1 < nodes->n; i++) {
        const Expr *child[] = {nodes->items[i]->a, nodes->items[i]->b, nodes->items[i]->c};
        for (size_t j = 0; j < COUNT_OF(child); j++) {
            uint32_t h = child[j] ? height[expr_position(nodes, child[j])] + 1 : 0;
            height[i] = h > height[i] ? h : height[i];
        }
        if (!child[0] || (uses[i] < 2 && height[i] < DEEPEST))
            continue;
        named[i] = next++;
        height[i] = 0;
    }
    return named;
}

/* print_value_start - lines for the named nodes; then the statement's own line may begin. */
static void print_value_start(Printer *p, const Stmt *s)
{
    p->nodes = expr_nodes(p->arena, s->value);
    p->named = choose_names(p, &p->nodes);
    for (size_t i = 0; i < p->nodes.n; i++) {
        if (!p->named[i])
            continue;
        indent(p);
        text_printf(p->out, "%%%u = ", p->named[i]);
        print_node(p, p->nodes.items[i], LOOSE);
        text_add(p->out, "\n");
    }
    indent(p);
}

static void print_assignment(Printer *p, const Stmt *s)
{
    static const char *const ops[] = {" = ", " += ", " max= "};
    print_value_start(p, s);
    if (s->kind == S_STORE) {
        print_access(p, s->buffer, &s->index, s->value->type);
    } else {
        text_add(p->out, s->kind == S_LET ? "let " : "");
        print_temp(p, s->temp);
    }
    text_add(p->out, s->kind == S_LET ? ops[0] : ops[s->op]);
    print_expr(p, s->value, LOOSE);
    text_add(p->out, "\n");
}

static void print_for(Printer *p, LoopId l)
{
    static const char *const roles[] = {" parallel", " reduce"};
    static const char *const marks[] = {"",        " vector", " unroll", " threads",
                                        " rolled", " pairs",  " joined"};
    static const char *const axes[] = {"",        " axis h",    " axis m",    " axis n",
                                       " axis k", " axis lane", " axis group"};
    text_printf(p->out, "for %s", name_of(p->loops, p->k->n_loops, l));
    if (l < p->k->n_loops) {
        const Loop *loop = &p->k->loops[l];
        text_printf(p->out, " in 0..%lld%s%s%s", (long long)loop->extent, roles[loop->role],
                    marks[loop->mark], axes[loop->axis]);
    }
    text_add(p->out, " {\n");
}

static void print_guard(Printer *p, const Stmt *s)
{
    for (int i = 0; i < s->n_tests; i++) {
        text_add(p->out, i ? " and 0 <= " : "if 0 <= ");
        print_index(p, &s->tests[i].index);
        text_printf(p->out, " < %lld", (long long)s->tests[i].bound);
    }
    text_add(p->out, " {\n");
}

static void print_stmt(Printer *p, const Stmt *s)
{
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < s->n_items; i++)
            print_stmt(p, s->items[i]);
        break;
    case S_FOR:
    case S_GUARD:
        indent(p);
        if (s->kind == S_FOR)
            print_for(p, s->loop);
        else
            print_guard(p, s);
        p->depth++;
        print_stmt(p, s->body);
        p->depth--;
        indent(p);
        text_add(p->out, "}\n");
        break;
    case S_LET:
    case S_SET:
    case S_STORE: print_assignment(p, s); break;
    case S_PREFETCH:
        indent(p);
        text_add(p->out, "prefetch ");
        print_access(p, s->buffer, &s->index, vtype(F32, 1));
        text_add(p->out, s->outer ? " into l2\n" : "\n");
        break;
    case S_NOTE:
        indent(p);
        text_printf(p->out, "# %s\n", s->note);
        break;
    }
}

/* ---- the head --------------------------------------------------------------------------- */

/* print_view - where a constant comes from, and the order its elements are in when that is not the
 * tensor's own:  [3 x 9, 16 x 27] walks 3 times by 9, inside of that 16 times by 27. */
static void print_view(Printer *p, const View *v)
{
    const Type *t = &v->tensor->type;
    text_printf(p->out, " from %s[", elem_name(t->elem));
    for (int i = 0; i < t->rank; i++)
        text_printf(p->out, "%s%lld", i ? ", " : "", (long long)t->dims[i]);
    text_add(p->out, "]");
    if (memcmp(v->padded, t->dims, (size_t)t->rank * sizeof *v->padded) != 0) {
        text_add(p->out, " grown to [");
        for (int i = 0; i < t->rank; i++)
            text_printf(p->out, "%s%lld", i ? ", " : "", (long long)v->padded[i]);
        text_printf(p->out, "] with %.9g", v->fill);
    }
    if (v->n_dims == 0)
        return;
    text_add(p->out, " packed [");
    for (int i = 0; i < v->n_dims; i++)
        text_printf(p->out, "%s%lld x %lld", i ? ", " : "", (long long)v->extent[i],
                    (long long)v->stride[i]);
    text_add(p->out, "]");
    if (v->offset)
        text_printf(p->out, " from %lld", (long long)v->offset);
    if (v->turned_group)
        text_printf(p->out, " turned by %d of %d", v->turned_group, v->turned_lanes);
}

static void print_buffer(Printer *p, BufferId b)
{
    static const char *const kinds[] = {"in", "out", "const", "local"};
    const Buffer            *buffer = &p->k->buffers[b];
    indent(p);
    text_printf(p->out, "%s %s: %s[%lld]", kinds[buffer->kind], p->buffers[b],
                elem_name(buffer->elem), (long long)buffer->count);
    if (buffer->kind == BUF_CONST && buffer->view.tensor)
        print_view(p, &buffer->view);
    text_add(p->out, "\n");
}

static void print_schedule(Printer *p)
{
    const Schedule *s = &p->k->schedule;
    if (!s->tile.h && !s->tile.m && !s->tile.n && !s->unroll_k)
        return;
    indent(p);
    text_printf(p->out, "schedule tile_h %d, tile_m %d, tile_n %d, unroll_k %d", s->tile.h,
                s->tile.m, s->tile.n, s->unroll_k);
    text_printf(p->out, s->streams > 1 ? ", streams %d\n" : "\n", s->streams);
}

void kernel_print(const Kernel *k, Text *out)
{
    Arena  *a = arena_new();
    Printer p = {.k = k, .out = out, .arena = a};
    p.loops = arena_array(a, const char *, k->n_loops);
    p.temps = arena_array(a, const char *, k->n_temps);
    p.buffers = arena_array(a, const char *, k->n_buffers);
    p.read = arena_array(a, bool, k->n_buffers);
    name_buffers(&p);
    name_all(&p, k->body);

    text_printf(out, "kernel %s {\n", k->name);
    p.depth = 1;
    for (BufferId b = 1; b < k->n_buffers; b++)
        if (p.buffers[b])
            print_buffer(&p, b);
    print_schedule(&p);
    print_stmt(&p, k->body);
    text_add(out, "}\n");
    arena_free(a);
}
