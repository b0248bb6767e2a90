/* expr.c - expressions: building with exact folding, and walking them.
 *
 * An expression is a graph, not a tree: exp(x) uses x several times. Whoever walks one goes through
 * expr_nodes, so that work stays in proportion to the nodes and no depth exhausts the stack. */
#include "kernel/kernel.h"

#include <assert.h>
#include <math.h>

/* ---- building --------------------------------------------------------------------------- */

VType vtype(Elem e, int lanes)
{
    return (VType){e, lanes, 0};
}

static Expr *expr_new(Kernel *k, ExprKind kind, VType type)
{
    Expr *e = arena_struct(k->arena, Expr);
    e->kind = kind;
    e->type = type;
    return e;
}

static const Expr *constant(Kernel *k, Elem elem, double v)
{
    Expr *e = expr_new(k, E_CONST, vtype(elem, 1));
    e->number = v;
    return e;
}

/* is_number - a constant F32 of exactly these bits: -0 is not 0. */
static bool is_number(const Expr *e, float v)
{
    return e->kind == E_CONST && e->type.elem == F32 && e->number == (double)v &&
           !signbit(e->number) == !signbit(v);
}

static bool is_f32_const(const Expr *e)
{
    return e->kind == E_CONST && e->type.elem == F32;
}

const Expr *ex_const(Kernel *k, double v)
{
    return constant(k, F32, (double)(float)v);
}

const Expr *ex_index(Kernel *k, Affine a)
{
    if (a.n_terms == 0)
        return ex_const(k, (double)(float)a.constant);
    Expr *e = expr_new(k, E_INDEX, vtype(F32, 1));
    e->index = a;
    return e;
}

const Expr *ex_temp(Kernel *k, TempId t)
{
    Expr *e = expr_new(k, E_TEMP, k->temps[t].type);
    e->temp = t;
    return e;
}

const Expr *ex_load(Kernel *k, BufferId b, Affine index)
{
    Expr *e = expr_new(k, E_LOAD, vtype(k->buffers[b].elem, 1));
    e->buffer = b;
    e->index = index;
    return e;
}

const Expr *ex_unary(Kernel *k, Operator op, const Expr *a)
{
    if (is_f32_const(a))
        return ex_const(k, (double)eval_unary(op, (float)a->number));
    Expr *e = expr_new(k, E_UNARY, a->type);
    e->op = op;
    e->a = a;
    return e;
}

/* wider - the type of an operation on both: where one is a vector, so is the result. */
static VType wider(VType a, VType b)
{
    return a.lanes >= b.lanes ? a : b;
}

const Expr *ex_binary(Kernel *k, Operator op, const Expr *a, const Expr *b)
{
    if (is_f32_const(a) && is_f32_const(b))
        return ex_const(k, (double)eval_binary(op, (float)a->number, (float)b->number));
    /* Only what holds for every x, infinities, NaN and -0 included. */
    if ((op == B_MUL || op == B_DIV) && is_number(b, 1))
        return a;
    if (op == B_MUL && is_number(a, 1))
        return b;
    if (op == B_SUB && is_number(b, 0))
        return a;
    Expr *e = expr_new(k, E_BINARY, wider(a->type, b->type));
    e->op = op;
    e->a = a;
    e->b = b;
    return e;
}

const Expr *ex_fma(Kernel *k, const Expr *a, const Expr *b, const Expr *c)
{
    if (is_f32_const(a) && is_f32_const(b) && is_f32_const(c))
        return ex_const(k, (double)fmaf((float)a->number, (float)b->number, (float)c->number));
    Expr *e = expr_new(k, E_FMA, wider(wider(a->type, b->type), c->type));
    e->a = a;
    e->b = b;
    e->c = c;
    return e;
}

const Expr *ex_dot(Kernel *k, const Expr *a, const Expr *b)
{
    VType type = {F32, wider(a->type, b->type).lanes / 2, a->type.rows};
    Expr *e = expr_new(k, E_DOT, type);
    e->a = a;
    e->b = b;
    return e;
}

const Expr *ex_cast(Kernel *k, Elem elem, const Expr *a)
{
    if (a->type.elem == elem)
        return a;
    if (a->kind == E_CONST)
        return constant(k, elem, eval_cast(elem, a->number));
    Expr *e = expr_new(k, E_CAST, vtype(elem, a->type.lanes));
    e->a = a;
    return e;
}

const Expr *ex_splat(Kernel *k, int lanes, const Expr *a)
{
    if (lanes == 1)
        return a;
    Expr *e = expr_new(k, E_SPLAT, vtype(a->type.elem, lanes));
    e->a = a;
    return e;
}

int vtype_count(VType t)
{
    return t.lanes * (t.rows ? t.rows : 1);
}

const Expr *ex_pick(Kernel *k, const Expr *a, int group, Affine lane)
{
    Expr *e = expr_new(k, E_PICK, a->type);
    e->a = a;
    e->group = group;
    e->index = lane;
    return e;
}

const Expr *ex_swap(Kernel *k, const Expr *a, Affine by)
{
    Expr *e = expr_new(k, E_SWAP, a->type);
    e->a = a;
    e->group = a->type.lanes;
    e->index = by;
    return e;
}

const Expr *ex_row(Kernel *k, const Expr *matrix, Affine row)
{
    Expr *e = expr_new(k, E_ROW, vtype(matrix->type.elem, matrix->type.lanes));
    e->a = matrix;
    e->index = row;
    return e;
}

const Expr *ex_matrix(Kernel *k, const Expr *load, int lanes, int rows, int64_t stride)
{
    Expr *e = expr_new(k, E_LOAD, (VType){load->type.elem, lanes, rows});
    e->buffer = load->buffer;
    e->index = load->index;
    e->row_stride = stride;
    return e;
}

const Expr *ex_with(Kernel *k, const Expr *e, const Expr *a, const Expr *b, const Expr *c)
{
    Expr *copy = arena_struct(k->arena, Expr);
    *copy = *e;
    copy->a = a;
    copy->b = b;
    copy->c = c;
    switch (e->kind) {
    case E_UNARY: copy->type = a->type; break;
    case E_BINARY: copy->type = wider(a->type, b->type); break;
    case E_FMA: copy->type = wider(wider(a->type, b->type), c->type); break;
    case E_CAST: copy->type.lanes = a->type.lanes; break;
    case E_DOT: copy->type = (VType){F32, wider(a->type, b->type).lanes / 2, a->type.rows}; break;
    default: break;
    }
    return copy;
}

/* ---- what operators compute ------------------------------------------------------------- */

float eval_unary(Operator op, float a)
{
    switch (op) {
    case U_NEG: return -a;
    case U_ABS: return fabsf(a);
    case U_FLOOR: return floorf(a);
    case U_ROUND: return nearbyintf(a);
    case U_SQRT: return sqrtf(a);
    case U_EXPONENT: return logbf(a);
    default: assert(!"a unary operator"); return 0;
    }
}

float eval_binary(Operator op, float a, float b)
{
    switch (op) {
    case B_ADD: return a + b;
    case B_SUB: return a - b;
    case B_MUL: return a * b;
    case B_DIV: return a / b;
    case B_MAX: return a > b ? a : b;
    case B_MIN: return a < b ? a : b;
    case B_EQ: return a == b;
    case B_LDEXP: /* past the documented range the answer only has to be one and the same */
        return b >= -1000 && b <= 1000 ? ldexpf(a, (int)b) : a;
    default: assert(!"a binary operator"); return 0;
    }
}

double eval_cast(Elem to, double v)
{
    double low = to == I32 ? INT32_MIN : to == I8 ? INT8_MIN : 0;
    double high = to == I32 ? INT32_MAX : to == I8 ? INT8_MAX : UINT8_MAX;
    if (to == F32)
        return (double)(float)v;
    if (to == BF16)
        return (double)bf16_to_f32(f32_to_bf16((float)v));
    if (isnan(v))
        return 0;
    double nearest = nearbyint(v);
    return nearest < low ? low : nearest > high ? high : nearest;
}

/* ---- walking ---------------------------------------------------------------------------- */

/* slot_of - where `e` is in the table of positions, or the free place it would take. */
static size_t slot_of(const ExprNodes *nodes, const Expr *e)
{
    size_t mask = nodes->n_slots - 1;
    size_t at = ((uintptr_t)e >> 4) * (size_t)0x9E3779B97F4A7C15u >> 20 & mask;
    while (nodes->slots[at] && nodes->items[nodes->slots[at] - 1] != e)
        at = (at + 1) & mask;
    return at;
}

static void add_node(Arena *a, ExprNodes *nodes, const Expr *e)
{
    nodes->items = arena_grow(a, nodes->items, nodes->n, &nodes->cap, sizeof *nodes->items);
    nodes->items[nodes->n++] = e;
    if (2 * nodes->n > nodes->n_slots) { /* the table stays at most half full */
        nodes->n_slots *= 2;
        nodes->slots = arena_array(a, uint32_t, nodes->n_slots);
        for (size_t i = 0; i < nodes->n; i++)
            nodes->slots[slot_of(nodes, nodes->items[i])] = (uint32_t)i + 1;
    } else {
        nodes->slots[slot_of(nodes, e)] = (uint32_t)nodes->n;
    }
}

ExprNodes expr_nodes(Arena *a, const Expr *root)
{
    ExprNodes    nodes = {.n_slots = 16, .slots = arena_array(a, uint32_t, 16)};
    const Expr **stack = NULL;
    size_t       depth = 0, cap = 0;
    stack = arena_grow(a, stack, depth, &cap, sizeof *stack);
    stack[depth++] = root;
    while (depth) {
        const Expr *e = stack[depth - 1];
        const Expr *children[] = {e->c, e->b, e->a};
        size_t      before = depth;
        if (!nodes.slots[slot_of(&nodes, e)]) {
            for (size_t i = 0; i < COUNT_OF(children); i++) {
                if (!children[i] || nodes.slots[slot_of(&nodes, children[i])])
                    continue;
                stack = arena_grow(a, stack, depth, &cap, sizeof *stack);
                stack[depth++] = children[i];
            }
            if (depth > before)
                continue;
            add_node(a, &nodes, e);
        }
        depth--;
    }
    return nodes;
}

size_t expr_position(const ExprNodes *nodes, const Expr *e)
{
    assert(nodes->slots[slot_of(nodes, e)]);
    return nodes->slots[slot_of(nodes, e)] - 1;
}
