/* expr_c.c - expressions and indices as C, through the target's table.
 *
 * A scalar operation is C's operator where there is one, else the table's scalar row, else a helper
 * function. A vector operation is the table's row. A node that is used twice, or that tops a deep
 * expression, gets a line and a name, so the text stays in proportion to the nodes. */
#include "emit/emit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------ */

static bool in_scope(const KernelPrinter *p, const char *name)
{
    for (size_t i = 0; i < p->n_scope; i++)
        if (!strcmp(p->scope[i], name))
            return true;
    return false;
}

const char *c_name(KernelPrinter *p, const char *stem)
{
    const char *name = stem = text_identifier(p->arena, stem);
    const char *end = stem + strlen(stem) - 1;
    const bool  is_numbered =
        *end >= '0' && *end <= '9'; /* acc_0: the next is acc_0b, not acc_0_2 */
    for (int i = 2; in_scope(p, name); i++)
        name = is_numbered && i <= 26 ? arena_printf(p->arena, "%s%c", stem, 'a' + i - 1)
                                      : arena_printf(p->arena, "%s_%d", stem, i);
    p->scope = arena_grow(p->arena, p->scope, p->n_scope, &p->cap_scope, sizeof *p->scope);
    p->scope[p->n_scope++] = name;
    return name;
}

const char *c_type(const Target *t, VType type)
{
    if (type.lanes > 1 && !elem_is_half(type.elem))
        return t->vector_type;
    if (type.lanes > 1)
        return type.lanes == t->lanes ? t->half_type : t->pair_type;
    switch (type.elem) {
    case F16:
    case BF16: return "uint16_t";
    case I32: return "int32_t";
    case I8: return "int8_t";
    case U8: return "uint8_t";
    default: return "float";
    }
}

/* ---- numbers and indices ---------------------------------------------------------------- */

/* float_text - the shortest decimal that reads back as the same float. */
static const char *float_text(Arena *a, float f)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)f);
        if (strtof(text, NULL) == f)
            break;
    }
    const char *point = strpbrk(text, ".e") ? "" : ".0";
    return arena_printf(a, "%s%sf", text, point);
}

const char *c_number(Arena *a, double v, Elem e)
{
    if (e != F32) /* the smallest int32_t has no literal of its own type */
        return v == INT32_MIN ? "(-2147483647 - 1)" : arena_printf(a, "%.0f", v);
    if (isnan(v))
        return "NAN_F32";
    if (isinf(v))
        return v > 0 ? "INFINITY_F32" : "-INFINITY_F32";
    return float_text(a, (float)v);
}

/* The terms of an index, widest step first. */
static int sorted_terms(const Affine *a, int order[MAX_TERMS])
{
    int n = (int)a->n_terms;
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && llabs(a->coef[order[at - 1]]) < llabs(a->coef[i]); at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return n;
}

const char *c_index(KernelPrinter *p, const Affine *a)
{
    Text t = text_new(p->arena);
    int  order[MAX_TERMS], n = sorted_terms(a, order);
    text_add(&t, "");
    for (int sign = 1; sign >= -1; sign -= 2) { /* what is added first: no partial sum overflows */
        for (int i = 0; i < n; i++) {
            int64_t coef = a->coef[order[i]];
            if ((coef > 0) != (sign > 0))
                continue;
            text_add(&t, t.len ? (sign > 0 ? " + " : " - ") : (sign > 0 ? "" : "-"));
            const char *loop = p->loops[a->loop[order[i]]];
            text_add(&t, loop);
            if (llabs(coef) != 1)
                text_printf(&t, " * %s",
                            c_count(p, arena_printf(p->arena, "%s_step", loop), llabs(coef)));
        }
    }
    if (!t.len)
        text_printf(&t, "%lld", (long long)a->constant);
    else if (a->constant)
        text_printf(&t, " %c %lld", a->constant > 0 ? '+' : '-', llabs(a->constant));
    return t.data;
}

/* index_binds - how tightly c_index's text binds. */
static int index_binds(const Affine *a)
{
    if (a->n_terms == 0)
        return a->constant < 0 ? BIND_UNARY : BIND_PRIMARY;
    if (a->n_terms == 1 && !a->constant)
        return a->coef[0] == 1 ? BIND_PRIMARY : BIND_PRODUCT;
    return BIND_SUM;
}

/* ---- one node --------------------------------------------------------------------------- */

/* Text of a node, and how tightly it binds. */
typedef struct CText {
    const char *text;
    int         binds;
} CText;

/* The nodes of one statement's value, with their text so far. */
typedef struct ValueText {
    ExprNodes nodes;
    CText    *text; /* by position */
} ValueText;

static const char *operand(KernelPrinter *p, const ValueText *v, const Expr *e, int binding)
{
    CText t = v->text[expr_position(&v->nodes, e)];
    return t.binds >= binding ? t.text : arena_printf(p->arena, "(%s)", t.text);
}

const char *c_instr(KernelPrinter *p, InstrKind kind, VType type, const char *a, const char *b,
                    const char *c)
{
    const Instr *row = target_find(p->k->target, kind, type.elem, type.lanes);
    if (!row)
        return NULL;
    Text t = text_new(p->arena);
    for (const char *s = row->text; *s; s++) {
        if (*s == '%' && s[1] >= 'a' && s[1] <= 'c')
            text_add(&t, *++s == 'a' ? a : *s == 'b' ? b : c);
        else
            text_add_bytes(&t, s, 1);
    }
    return t.data;
}

/* What an operator is called: its row, its helper function, its C operator. */
typedef struct OperatorText {
    InstrKind   kind;
    const char *helper;
    const char *infix;
    int         binds; /* of the infix form */
} OperatorText;

static const OperatorText operators[] = {
    [U_NEG] = {I_NEG, NULL, "-", BIND_UNARY},
    [U_ABS] = {I_ABS, "abs_f32", NULL, 0},
    [U_FLOOR] = {I_FLOOR, "floor_f32", NULL, 0},
    [U_ROUND] = {I_ROUND, "round_f32", NULL, 0},
    [U_SQRT] = {I_SQRT, "sqrt_f32", NULL, 0},
    [U_EXPONENT] = {I_EXPONENT, "exponent_f32", NULL, 0},
    [B_ADD] = {I_ADD, NULL, " + ", BIND_SUM},
    [B_SUB] = {I_SUB, NULL, " - ", BIND_SUM},
    [B_MUL] = {I_MUL, NULL, " * ", BIND_PRODUCT},
    [B_DIV] = {I_DIV, NULL, " / ", BIND_PRODUCT},
    [B_MAX] = {I_MAX, "max_f32", NULL, 0},
    [B_MIN] = {I_MIN, "min_f32", NULL, 0},
    [B_EQ] = {I_NONE, "equal_f32", NULL, 0},
    [B_LDEXP] = {I_LDEXP, "ldexp_f32", NULL, 0},
};

/* operation - a unary, binary or fused operation: by operator, by row, or by helper. */
static CText operation(KernelPrinter *p, const ValueText *v, const Expr *e)
{
    OperatorText o =
        e->kind == E_FMA ? (OperatorText){I_FMA, "fma_f32", NULL, 0} : operators[e->op];
    if (e->type.lanes == 1 && e->kind == E_UNARY && o.infix)
        return (CText){arena_printf(p->arena, "-%s", operand(p, v, e->a, BIND_PRIMARY)), o.binds};
    if (e->type.lanes == 1 && o.infix) {
        const char *a = operand(p, v, e->a, o.binds), *b = operand(p, v, e->b, o.binds + 1);
        return (CText){arena_printf(p->arena, "%s%s%s", a, o.infix, b), o.binds};
    }
    const char *a = operand(p, v, e->a, BIND_ANY);
    const char *b = e->b ? operand(p, v, e->b, BIND_ANY) : NULL;
    const char *c = e->c ? operand(p, v, e->c, BIND_ANY) : NULL;
    const char *row = c_instr(p, o.kind, e->type, a, b, c);
    if (row)
        return (CText){row, BIND_PRIMARY};
    assert(e->type.lanes == 1 && o.helper); /* the vectorizer asked for the row */
    const char *call = arena_printf(p->arena, "%s(%s%s%s%s%s)", o.helper, a, b ? ", " : "",
                                    b ? b : "", c ? ", " : "", c ? c : "");
    return (CText){call, BIND_PRIMARY};
}

/* widen - a vector by its row, a scalar by a helper. */
static CText widen(KernelPrinter *p, const ValueText *v, const Expr *e)
{
    const char *a = operand(p, v, e->a, BIND_ANY);
    const char *helper = e->a->type.elem == F16 ? "f16_to_f32" : "bf16_to_f32";
    const char *t = c_instr(p, I_WIDEN, e->a->type, a, NULL, NULL);
    return (CText){t ? t : arena_printf(p->arena, "%s(%s)", helper, a), BIND_PRIMARY};
}

/* narrow - to BF16, in the same way. */
static CText narrow(KernelPrinter *p, const ValueText *v, const Expr *e)
{
    const char *a = operand(p, v, e->a, BIND_ANY);
    const char *t = c_instr(p, I_NARROW, e->type, a, NULL, NULL);
    return (CText){t ? t : arena_printf(p->arena, "f32_to_bf16(%s)", a), BIND_PRIMARY};
}

/* cast - to float, or to a wider integer, C's own; else rounded and saturated by a helper. */
static CText cast(KernelPrinter *p, const ValueText *v, const Expr *e)
{
    if (elem_is_half(e->a->type.elem))
        return widen(p, v, e);
    if (e->type.elem == BF16)
        return narrow(p, v, e);
    Elem        to = e->type.elem, from = e->a->type.elem;
    const char *a = operand(p, v, e->a, BIND_UNARY);
    if (to == F32 || (to == I32 && from != F32))
        return (CText){arena_printf(p->arena, "(%s)%s", c_type(p->k->target, e->type), a),
                       BIND_UNARY};
    const char *helper = to == I32 ? "f32_to_i32" : to == I8 ? "f32_to_i8" : "f32_to_u8";
    a = operand(p, v, e->a, from == F32 ? BIND_ANY : BIND_UNARY);
    a = arena_printf(p->arena, "%s(%s%s)", helper, from == F32 ? "" : "(float)", a);
    return (CText){a, BIND_PRIMARY};
}

static CText node_text(KernelPrinter *p, const ValueText *v, const Expr *e)
{
    Arena      *a = p->arena;
    const char *t;
    switch (e->kind) {
    case E_CONST:
        t = e->type.elem == BF16 ? arena_printf(a, "%u", (unsigned)f32_to_bf16((float)e->number))
                                 : c_number(a, e->number, e->type.elem);
        return (CText){t, *t == '-' ? BIND_UNARY : BIND_PRIMARY};
    case E_INDEX:
        t = c_index(p, &e->index);
        t = arena_printf(a, index_binds(&e->index) >= BIND_UNARY ? "(float)%s" : "(float)(%s)", t);
        return (CText){t, BIND_UNARY};
    case E_TEMP: return (CText){p->temps[e->temp], BIND_PRIMARY};
    case E_LOAD:
        t = e->type.lanes == 1
                ? c_place(p, e->buffer, &e->index)
                : c_instr(p, I_LOAD, e->type, c_address(p, e->buffer, &e->index), NULL, NULL);
        return (CText){t, BIND_PRIMARY};
    case E_SPLAT:
        t = c_instr(p, I_SPLAT, e->type, operand(p, v, e->a, BIND_ANY), NULL, NULL);
        return (CText){t, BIND_PRIMARY};
    case E_PICK:
        t = operand(p, v, e->a, BIND_ANY);
        t = c_instr(p, target_pick(e->group), e->type, t, c_index(p, &e->index), NULL);
        return (CText){t, BIND_PRIMARY};
    case E_SWAP:
        t = operand(p, v, e->a, BIND_ANY);
        if (e->index.constant)
            t = c_instr(p, I_SWAP, e->type, t, c_index(p, &e->index), NULL);
        return (CText){t, BIND_PRIMARY};
    case E_ROW:
        t = arena_printf(a, "%s[%s]", p->temps[e->a->temp], c_index(p, &e->index));
        return (CText){c_instr(p, I_LOAD, e->type, t, NULL, NULL), BIND_PRIMARY};
    case E_CAST: return cast(p, v, e);
    default: return operation(p, v, e);
    }
}

/* ---- a value ---------------------------------------------------------------------------- */

/* is_leaf - too small to be worth a name, however often it is used. */
static bool is_leaf(const Expr *e)
{
    return e->kind == E_CONST || e->kind == E_TEMP || (e->kind == E_SPLAT && is_leaf(e->a));
}

static void count_uses(const ValueText *v, uint32_t *uses)
{
    for (size_t i = 0; i < v->nodes.n; i++) {
        const Expr *child[] = {v->nodes.items[i]->a, v->nodes.items[i]->b, v->nodes.items[i]->c};
        for (size_t j = 0; j < COUNT_OF(child); j++)
            if (child[j])
                uses[expr_position(&v->nodes, child[j])]++;
    }
}

static uint32_t node_height(const ValueText *v, const uint32_t *height, const Expr *e)
{
    const Expr *child[] = {e->a, e->b, e->c};
    uint32_t    most = 0;
    for (size_t j = 0; j < COUNT_OF(child); j++) {
        uint32_t h = child[j] ? height[expr_position(&v->nodes, child[j])] + 1 : 0;
        most = h > most ? h : most;
    }
    return most;
}

const char *c_value(KernelPrinter *p, const Expr *root, int binding)
{
    enum { DEEPEST = 8 }; /* levels of one line */
    ValueText v = {.nodes = expr_nodes(p->arena, root)};
    v.text = arena_array(p->arena, CText, v.nodes.n);
    uint32_t *uses = arena_array(p->arena, uint32_t, v.nodes.n);
    uint32_t *height = arena_array(p->arena, uint32_t, v.nodes.n);
    count_uses(&v, uses);
    for (size_t i = 0; i < v.nodes.n; i++) {
        const Expr *e = v.nodes.items[i];
        v.text[i] = node_text(p, &v, e);
        height[i] = node_height(&v, height, e);
        if (e == root || is_leaf(e) || (uses[i] < 2 && height[i] < DEEPEST))
            continue;
        const char *name = c_name(p, "t");
        w_line(&p->w, "const %s %s = %s;", c_type(p->k->target, e->type), name, v.text[i].text);
        v.text[i] = (CText){name, BIND_PRIMARY};
        height[i] = 0;
    }
    return operand(p, &v, root, binding);
}
