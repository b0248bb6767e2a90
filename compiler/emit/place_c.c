/* place_c.c - elements of buffers as C.
 *
 * Where the statements of a block read or write several elements at the same distance from each
 * other, as the copies of an unrolled tile do, they share a pointer:
 *
 *     const float *const xp = &x[ic * 3364 + oh * 58 + ow0 * 14];
 *     ... xp[0] ... xp[1] ... xp[2] */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

/* Accesses of one block that differ by constants only. */
typedef struct Group {
    Base base;
    bool differ;
    bool is_scalar; /* none is a vector, none a store */
} Group;

typedef struct Groups {
    KernelPrinter *p;
    Group         *items;
    size_t         n, cap;
} Groups;

/* ---- bases in scope ----------------------------------------------------------------------- */

static bool same_terms(const Affine *a, const Affine *b)
{
    Affine moved = affine_offset(*b, a->constant - b->constant);
    return affine_equal(a, &moved);
}

/* is_base - whether an access of `b` at `index` can go through the base. Names are compared: an
 * input may be an output's own memory. */
static bool is_base(const KernelPrinter *p, const Base *base, BufferId b, const Affine *index)
{
    return p->buffers[base->buffer] == p->buffers[b] && same_terms(&base->index, index);
}

/* find_base - the innermost base in scope that the access can go through; NULL: none. */
static Base *find_base(const KernelPrinter *p, BufferId b, const Affine *index)
{
    for (size_t i = p->n_bases; i-- > 0;)
        if (is_base(p, &p->bases[i], b, index) && index->constant >= p->bases[i].index.constant)
            return &p->bases[i];
    return NULL;
}

const char *c_place(KernelPrinter *p, BufferId b, const Affine *index)
{
    const Base *base = find_base(p, b, index);
    if (!base)
        return arena_printf(p->arena, "%s[%s]", p->buffers[b], c_index(p, index));
    return arena_printf(p->arena, "%s[%" PRId64 "]", base->name,
                        index->constant - base->index.constant);
}

const char *c_address(KernelPrinter *p, BufferId b, const Affine *index)
{
    const Base *base = find_base(p, b, index);
    if (!base)
        return arena_printf(p->arena, "&%s[%s]", p->buffers[b], c_index(p, index));
    int64_t at = index->constant - base->index.constant;
    return at ? arena_printf(p->arena, "%s + %" PRId64, base->name, at) : base->name;
}

/* ---- making them -------------------------------------------------------------------------- */

static void add_use(Groups *g, BufferId b, const Affine *index, bool is_scalar)
{
    if (index->n_terms == 0)
        return;
    for (size_t i = 0; i < g->n; i++) {
        Group *group = &g->items[i];
        if (!is_base(g->p, &group->base, b, index))
            continue;
        group->differ |= group->base.index.constant != index->constant;
        group->is_scalar &= is_scalar;
        if (index->constant < group->base.index.constant)
            group->base.index = *index;
        if (g->p->k->buffers[b].kind == BUF_OUT)
            group->base.buffer = b;
        return;
    }
    g->items = arena_grow(g->p->arena, g->items, g->n, &g->cap, sizeof *g->items);
    g->items[g->n++] = (Group){{b, *index, NULL, 0}, false, is_scalar};
}

static void add_uses(Groups *g, const Stmt *s)
{
    if (s->kind != S_LET && s->kind != S_SET && s->kind != S_STORE)
        return;
    ExprNodes nodes = expr_nodes(g->p->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++)
        if (nodes.items[i]->kind == E_LOAD)
            add_use(g, nodes.items[i]->buffer, &nodes.items[i]->index,
                    nodes.items[i]->type.lanes == 1);
    if (s->kind == S_STORE)
        add_use(g, s->buffer, &s->index, false);
}

static bool is_written(const Buffer *b)
{
    return b->kind == BUF_OUT || b->kind == BUF_LOCAL;
}

/* is_step - whether the block adds products to the vectors of a tile and does nothing else, and each sum
 * has a scalar of its own. */
static bool is_step(const Kernel *k, const Stmt *block)
{
    bool sums = false;
    for (int i = 0; block->kind == S_BLOCK && i < block->n_items; i++) {
        const Stmt *s = block->items[i];
        if (s->kind != S_LET && s->kind != S_SET && s->kind != S_PREFETCH)
            return false;
        sums |= s->kind == S_SET && s->op == ASSIGN_ADD && s->value->type.lanes > 1;
    }
    return sums && k->schedule.tile.n == 1;
}

static void put_in_scope(KernelPrinter *p, const Base *base)
{
    p->bases = arena_grow(p->arena, p->bases, p->n_bases, &p->cap_bases, sizeof *p->bases);
    p->bases[p->n_bases++] = *base;
}

/* declare - plain: the scalars at it are operands of instructions (Target.plain_pointer). */
static void declare(KernelPrinter *p, Base *base, bool plain)
{
    const Buffer *b = &p->k->buffers[base->buffer];
    const char   *at =
        arena_printf(p->arena, "&%s[%s]", p->buffers[base->buffer], c_index(p, &base->index));
    if (plain)
        at = arena_printf(p->arena, "%s(%s)", p->k->target->plain_pointer, at);
    base->name = c_name(p, arena_printf(p->arena, "%sp", p->buffers[base->buffer]));
    w_line(&p->w, "%s%s *const %s = %s;", plain || !is_written(b) ? "const " : "",
           c_type(p->k->target, vtype(b->elem, 1)), base->name, at);
    put_in_scope(p, base);
}

void c_bases(KernelPrinter *p, const Stmt *block)
{
    Groups     g = {.p = p};
    const bool has_operands = p->k->target->splats_operands && is_step(p->k, block);
    for (int i = 0; block->kind == S_BLOCK && i < block->n_items; i++)
        add_uses(&g, block->items[i]);
    for (size_t i = 0; i < g.n; i++) {
        Base *base = &g.items[i].base;
        bool  is_f32 = p->k->buffers[base->buffer].elem == F32;
        if (g.items[i].differ)
            declare(p, base, has_operands && is_f32 && g.items[i].is_scalar);
    }
}

/* The lanes of a vector are picked in turn, each for the whole tile. Known to be the same, the tile's vectors
 * would be kept from turn to turn, for which there are no registers. */
static void renew(KernelPrinter *p, const Base *old, int64_t picked)
{
    const Target *t = p->k->target;
    Base          base = *old;
    base.name = c_name(p, arena_printf(p->arena, "%sp", p->buffers[base.buffer]));
    base.picked = picked;
    w_line(&p->w, "const %s *const %s = %s(%s);",
           c_type(t, vtype(p->k->buffers[base.buffer].elem, 1)), base.name, t->plain_pointer,
           old->name);
    put_in_scope(p, &base);
}

void c_renew_bases(KernelPrinter *p, const Stmt *s)
{
    if (!p->k->target->plain_pointer)
        return;
    ExprNodes nodes = expr_nodes(p->arena, s->value);
    for (size_t i = 0; i < nodes.n; i++) {
        const Expr *e = nodes.items[i], *load = e->a;
        if (e->kind != E_PICK || load->kind != E_LOAD)
            continue;
        Base   *base = find_base(p, load->buffer, &load->index);
        int64_t picked = 1 + e->index.constant;
        if (base && base->picked && base->picked != picked)
            renew(p, base, picked);
        else if (base)
            base->picked = picked;
    }
}
