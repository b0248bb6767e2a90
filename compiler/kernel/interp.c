/* interp.c - runs a kernel.
 *
 * Statements are first resolved: each value becomes a list of operations in the order expr_nodes
 * gives, with the results of all of them side by side in `values`. Lanes are held as doubles, which
 * represent every F32, F16, BF16, I32, I8 and U8; F32 operations round to float one by one. */
#include "kernel/kernel.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* One node of an expression. a, b, c and to are positions in Machine.values. */
typedef struct Operation {
    const Expr *e;
    size_t      a, b, c, to;
} Operation;

/* A statement made ready to run. */
typedef struct Code Code;
struct Code {
    const Stmt *s;
    Code       *items; /* BLOCK: its items; FOR, GUARD: the body */
    int         n_items;
    Operation  *ops; /* LET, SET, STORE: the last is the value */
    size_t      n_ops;
};

/* Storage of a temporary: its first lane of the current element is values[place]. */
typedef struct Place {
    double *values;
    Affine  place;
} Place;

typedef struct Machine {
    const Kernel *k;
    Arena        *arena;
    int64_t      *loops; /* current values */
    Place        *temps;
    char        **memory;
    double       *values;
    size_t        n_values; /* the most any statement needs */
} Machine;

/* ---- preparation ------------------------------------------------------------------------ */

static void prepare_value(Machine *m, Code *c, const Expr *value)
{
    ExprNodes nodes = expr_nodes(m->arena, value);
    size_t    used = 0;
    c->ops = arena_array(m->arena, Operation, nodes.n);
    c->n_ops = nodes.n;
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i];
        c->ops[i] = (Operation){
            .e = e,
            .a = e->a ? c->ops[expr_position(&nodes, e->a)].to : 0,
            .b = e->b ? c->ops[expr_position(&nodes, e->b)].to : 0,
            .c = e->c ? c->ops[expr_position(&nodes, e->c)].to : 0,
            .to = used,
        };
        used += (size_t)vtype_count(e->type);
    }
    if (used > m->n_values)
        m->n_values = used;
}

static void prepare(Machine *m, Code *c, const Stmt *s)
{
    c->s = s;
    switch (s->kind) {
    case S_BLOCK:
        c->n_items = s->n_items;
        c->items = arena_array(m->arena, Code, (size_t)s->n_items);
        for (int i = 0; i < s->n_items; i++)
            prepare(m, &c->items[i], s->items[i]);
        break;
    case S_FOR:
    case S_GUARD:
        c->n_items = 1;
        c->items = arena_struct(m->arena, Code);
        prepare(m, c->items, s->body);
        break;
    case S_LET:
    case S_SET:
    case S_STORE: prepare_value(m, c, s->value); break;
    case S_PREFETCH:
    case S_NOTE: break;
    }
}

/* prepare_temps - an expanded temporary is an array over its loops, row-major. What was never set
 * reads as NaN, so that a pass that loses an initialization is seen. */
static void prepare_temps(Machine *m)
{
    m->temps = arena_array(m->arena, Place, m->k->n_temps);
    for (TempId t = 1; t < m->k->n_temps; t++) {
        const Temp *temp = &m->k->temps[t];
        int64_t     count = vtype_count(temp->type);
        Affine      place = affine_const(0);
        for (int i = temp->n_expand - 1; i >= 0; i--) {
            place = affine_add(place, affine_scale(affine_loop(temp->expand[i]), count));
            count *= m->k->loops[temp->expand[i]].extent;
        }
        m->temps[t].place = place;
        m->temps[t].values = arena_array(m->arena, double, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            m->temps[t].values[i] = NAN;
    }
}

static void prepare_memory(Machine *m, void *const *memory)
{
    m->memory = arena_array(m->arena, char *, m->k->n_buffers);
    for (BufferId b = 1; b < m->k->n_buffers; b++) {
        const Buffer *buffer = &m->k->buffers[b];
        if (buffer->kind == BUF_IN || buffer->kind == BUF_OUT) {
            m->memory[b] = memory[b];
            continue;
        }
        void *own = arena_array_(m->arena, (size_t)buffer->count, elem_bytes(buffer->elem));
        m->memory[b] = own;
        if (buffer->kind == BUF_CONST) {
            Buffer made = view_made(m->arena, buffer);
            view_read(&made, 0, made.count, own);
        }
        for (int64_t i = 0; buffer->kind == BUF_LOCAL && i < buffer->count; i++)
            ((float *)own)[i] = NAN;
    }
}

/* ---- memory ----------------------------------------------------------------------------- */

static int64_t index_now(const Machine *m, const Affine *a)
{
    int64_t at = a->constant;
    for (int64_t i = 0; i < a->n_terms; i++)
        at += a->coef[i] * m->loops[a->loop[i]];
    return at;
}

/* element - the address of `lanes` elements of a buffer. */
static void *element(const Machine *m, BufferId b, const Affine *index, int lanes)
{
    int64_t at = index_now(m, index);
    assert(at >= 0 && at <= m->k->buffers[b].count - lanes);
    return m->memory[b] + (size_t)at * elem_bytes(m->k->buffers[b].elem);
}

static void read_lanes(Elem e, const void *from, int lanes, double *out)
{
    for (int i = 0; i < lanes; i++) {
        switch (e) {
        case F16: out[i] = (double)f16_to_f32(((const uint16_t *)from)[i]); break;
        case BF16: out[i] = (double)bf16_to_f32(((const uint16_t *)from)[i]); break;
        case I32: out[i] = ((const int32_t *)from)[i]; break;
        case I8: out[i] = ((const int8_t *)from)[i]; break;
        case U8: out[i] = ((const uint8_t *)from)[i]; break;
        default: out[i] = (double)((const float *)from)[i]; break;
        }
    }
}

static void write_lanes(Elem e, void *to, int lanes, const double *v)
{
    for (int i = 0; i < lanes; i++) {
        switch (e) {
        case BF16: ((uint16_t *)to)[i] = f32_to_bf16((float)v[i]); break;
        case I32: ((int32_t *)to)[i] = (int32_t)v[i]; break;
        case I8: ((int8_t *)to)[i] = (int8_t)v[i]; break;
        case U8: ((uint8_t *)to)[i] = (uint8_t)v[i]; break;
        default: ((float *)to)[i] = (float)v[i]; break;
        }
    }
}

/* ---- running ---------------------------------------------------------------------------- */

static double *temp_now(const Machine *m, TempId t)
{
    return m->temps[t].values + index_now(m, &m->temps[t].place);
}

/* load_rows - a matrix, row after row. */
static void load_rows(const Machine *m, const Expr *e, double *to)
{
    for (int r = 0; r < e->type.rows; r++) {
        Affine at = affine_offset(e->index, r * e->row_stride);
        read_lanes(e->type.elem, element(m, e->buffer, &at, e->type.lanes), e->type.lanes,
                   to + r * e->type.lanes);
    }
}

/* dot_rows - the sums of a product of matrices. */
static void dot_rows(const Expr *e, const double *a, const double *b, double *to)
{
    int lanes = e->type.lanes, pairs = e->b->type.rows;
    for (int at = 0; at < e->type.rows * lanes; at++) {
        float sum = 0;
        for (int i = 0; i < 2 * pairs; i++) {
            double w = b[i / 2 * 2 * lanes + at % lanes * 2 + i % 2];
            sum += (float)(a[at / lanes * 2 * pairs + i] * w);
        }
        to[at] = (double)sum;
    }
}

static void evaluate_op(const Machine *m, const Operation *o)
{
    const Expr   *e = o->e;
    double       *to = m->values + o->to;
    const double *a = m->values + o->a, *b = m->values + o->b, *c = m->values + o->c;
    int           lanes = e->kind == E_SPLAT ? vtype_count(e->type) : e->type.lanes;

    if (e->kind == E_TEMP) {
        memcpy(to, temp_now(m, e->temp), (size_t)vtype_count(e->type) * sizeof *to);
        return;
    }
    if (e->kind == E_LOAD && e->type.rows) {
        load_rows(m, e, to);
        return;
    }
    if (e->kind == E_DOT && e->type.rows) {
        dot_rows(e, a, b, to);
        return;
    }
    if (e->kind == E_LOAD) {
        read_lanes(e->type.elem, element(m, e->buffer, &e->index, lanes), lanes, to);
        return;
    }
    for (int i = 0; i < lanes; i++) {
        switch (e->kind) {
        case E_CONST: to[i] = e->number; break;
        case E_INDEX: to[i] = (double)(float)index_now(m, &e->index); break;
        case E_SPLAT: to[i] = a[i % e->a->type.lanes]; break;
        case E_PICK: to[i] = a[i / e->group * e->group + index_now(m, &e->index)]; break;
        case E_SWAP: to[i] = a[i ^ index_now(m, &e->index)]; break;
        case E_CAST: to[i] = eval_cast(e->type.elem, a[i]); break;
        case E_UNARY: to[i] = (double)eval_unary(e->op, (float)a[i]); break;
        case E_BINARY: to[i] = (double)eval_binary(e->op, (float)a[i], (float)b[i]); break;
        case E_FMA: to[i] = (double)fmaf((float)a[i], (float)b[i], (float)c[i]); break;
        case E_ROW: to[i] = a[index_now(m, &e->index) * lanes + i]; break;
        case E_DOT:
            to[i] = (double)(float)(a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
            break;
        case E_TEMP:
        case E_LOAD: break;
        }
    }
}

/* evaluate - the lanes of a statement's value. */
static const double *evaluate(const Machine *m, const Code *c)
{
    for (size_t i = 0; i < c->n_ops; i++)
        evaluate_op(m, &c->ops[i]);
    return m->values + c->ops[c->n_ops - 1].to;
}

/* assign - combine `v` into `to`. */
static void assign(AssignOp op, int lanes, const double *v, double *to)
{
    for (int i = 0; i < lanes; i++) {
        if (op == ASSIGN_ADD)
            to[i] = (double)((float)to[i] + (float)v[i]);
        else if (op == ASSIGN || v[i] > to[i])
            to[i] = v[i];
    }
}

static void store(const Machine *m, const Code *c)
{
    VType  type = c->s->value->type;
    void  *to = element(m, c->s->buffer, &c->s->index, type.lanes);
    double now[MAX_LANES];
    assert(type.lanes <= MAX_LANES);
    read_lanes(type.elem, to, type.lanes, now);
    assign(c->s->op, type.lanes, evaluate(m, c), now);
    write_lanes(type.elem, to, type.lanes, now);
}

static bool holds(const Machine *m, const Stmt *guard)
{
    for (int i = 0; i < guard->n_tests; i++) {
        int64_t v = index_now(m, &guard->tests[i].index);
        if (v < 0 || v >= guard->tests[i].bound)
            return false;
    }
    return true;
}

static void run(Machine *m, const Code *c)
{
    const Stmt *s = c->s;
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < c->n_items; i++)
            run(m, &c->items[i]);
        break;
    case S_FOR:
        for (int64_t i = 0; i < m->k->loops[s->loop].extent; i++) {
            m->loops[s->loop] = i;
            run(m, c->items);
        }
        m->loops[s->loop] = 0;
        break;
    case S_GUARD:
        if (holds(m, s))
            run(m, c->items);
        break;
    case S_LET:
        assign(ASSIGN, vtype_count(s->value->type), evaluate(m, c), temp_now(m, s->temp));
        break;
    case S_SET:
        assign(s->op, vtype_count(s->value->type), evaluate(m, c), temp_now(m, s->temp));
        break;
    case S_STORE: store(m, c); break;
    case S_PREFETCH:
    case S_NOTE: break;
    }
}

void kernel_interp(const Kernel *k, void *const *memory, Arena *a)
{
    Machine m = {.k = k, .arena = a, .loops = arena_array(a, int64_t, k->n_loops)};
    Code    body = {0};
    prepare(&m, &body, k->body);
    prepare_temps(&m);
    prepare_memory(&m, memory);
    m.values = arena_array(a, double, m.n_values);
    run(&m, &body);
}
