/* matrix_c.c - products of matrices as C, and the registers for them.
 *
 * C has no type for a matrix: instructions name registers by numbers. A temporary gets one that is free
 * and has its shape, or has none yet; with the block that defines it the register is free again. */
#include "emit/emit.h"

#include <assert.h>

/* take - a register for `rows` rows of `bytes` bytes. The schedule sees to it that there is one. */
static int take(Matrices *m, int rows, int bytes)
{
    for (int i = 0; i < MATRIX_REGISTERS; i++) {
        if (m->busy[i] || (m->bytes[i] && (m->rows[i] != rows || m->bytes[i] != bytes)))
            continue;
        m->busy[i] = true;
        m->rows[i] = rows;
        m->bytes[i] = bytes;
        return i;
    }
    assert(!"a free matrix register");
    return 0;
}

static int take_for(KernelPrinter *p, VType t)
{
    return take(&p->matrices, t.rows, t.lanes * (int)elem_bytes(t.elem));
}

static const char *number(const KernelPrinter *p, int n)
{
    return arena_printf(p->arena, "%d", n);
}

/* load - from memory into register `n`. */
static void load(KernelPrinter *p, int n, const Expr *e)
{
    const char *bytes = number(p, (int)(e->row_stride * (int64_t)elem_bytes(e->type.elem)));
    VType       vector = vtype(BF16, p->k->target->lanes);
    w_line(
        &p->w, "%s;",
        c_instr(p, I_MATRIX_LOAD, vector, number(p, n), c_address(p, e->buffer, &e->index), bytes));
}

/* operand - the register of a temporary, or one that is loaded for the moment. */
static int operand(KernelPrinter *p, const Expr *e)
{
    if (e->kind == E_TEMP)
        return p->matrices.of[e->temp];
    int n = take_for(p, e->type);
    load(p, n, e);
    return n;
}

static void multiply(KernelPrinter *p, int sum, const Expr *dot)
{
    int a = operand(p, dot->a), b = operand(p, dot->b);
    w_line(&p->w, "%s;",
           c_instr(p, I_MATRIX_DOT, vtype(BF16, dot->type.lanes), number(p, sum), number(p, a),
                   number(p, b)));
    p->matrices.busy[a] &= dot->a->kind == E_TEMP;
    p->matrices.busy[b] &= dot->b->kind == E_TEMP;
}

/* store - a matrix as an array of its rows, which are then read as vectors. */
static void store(KernelPrinter *p, TempId to, int from)
{
    VType       t = p->k->temps[to].type;
    const char *name = p->temps[to] = c_name(p, p->k->temps[to].name);
    w_line(&p->w, "float %s[%d][%d];", name, t.rows, t.lanes);
    w_line(&p->w, "%s;",
           c_instr(p, I_MATRIX_STORE, vtype(F32, t.lanes), number(p, from), name,
                   number(p, t.lanes * (int)elem_bytes(F32))));
}

void matrix_set(KernelPrinter *p, const Stmt *s)
{
    VType t = p->k->temps[s->temp].type;
    if (s->value->kind == E_TEMP) {
        store(p, s->temp, p->matrices.of[s->value->temp]);
        return;
    }
    if (s->op == ASSIGN_ADD) {
        multiply(p, p->matrices.of[s->temp], s->value);
        return;
    }
    int n = p->matrices.of[s->temp] = take_for(p, t);
    if (s->value->kind == E_LOAD)
        load(p, n, s->value);
    else
        w_line(&p->w, "%s;",
               c_instr(p, I_MATRIX_ZERO, vtype(F32, t.lanes), number(p, n), NULL, NULL));
}

/* shapes_text - all registers as the instruction takes them: a byte that is 1; from byte 16 on the bytes
 * of a row, two for each register; from 48 on their rows. */
static const char *shapes_text(const Matrices *m, Arena *a)
{
    enum { SHAPES = 64, BYTES_AT = 16, ROWS_AT = 48 };
    unsigned char shapes[SHAPES] = {1};
    Text          t = text_new(a);
    for (int i = 0; i < MATRIX_REGISTERS; i++) {
        shapes[BYTES_AT + 2 * i] = (unsigned char)m->bytes[i];
        shapes[ROWS_AT + i] = (unsigned char)m->rows[i];
    }
    for (int i = 0; i < SHAPES; i++)
        text_printf(&t, "%s%s%d", i ? "," : "", i % 16 ? " " : "\n        ", shapes[i]);
    return t.data;
}

const char *matrix_frame(KernelPrinter *p, const char *body)
{
    const Matrices *m = &p->matrices;
    VType           vector = vtype(F32, p->k->target->lanes);
    if (!m->bytes[0])
        return body;
    return arena_printf(
        p->arena, "    static const unsigned char shapes[64] = {%s};\n    %s;\n%s    %s;\n",
        shapes_text(m, p->arena), c_instr(p, I_MATRIX_BEGIN, vector, "shapes", NULL, NULL), body,
        c_instr(p, I_MATRIX_END, vector, NULL, NULL, NULL));
}
