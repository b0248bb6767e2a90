/* pack.c - constants are laid out in the order the loops read them.
 *
 * A weight read as w[o*I*9 + i*9 + kh*3 + kw] inside loops oc0, ic, kh, kw, oc1, ol moves to a buffer in
 * which those loops, in that order, are the digits of the index: the kernel then walks the weights from
 * front to back, and the lanes of a vector lie side by side. The buffer stays a view: nothing is copied
 * before the contents are written out.
 *
 * Several loads of one constant (the pieces of a cut border, tiles of two sizes) share a packed buffer
 * where the later load's loops fit the digits of the widest one; otherwise they get one of their own. */
#include "kernel/kernel.h"

#define MAX_STACK 32

/* A load of a constant, with the loops around it. */
typedef struct Site {
    BufferId buffer;
    Affine   index;
    int64_t  volume; /* product of the extents of the loops it depends on */
    int      n_order;
    LoopId   order[MAX_TERMS]; /* those loops, outermost first */
    BufferId packed;           /* 0: stays as it is */
    Affine   packed_index;
} Site;

typedef struct Packer {
    Kernel *k;
    LoopId  stack[MAX_STACK];
    int     depth;
    Site   *sites;
    size_t  n_sites, cap_sites;
    bool    apply, changed;
} Packer;

/* ---- finding and replacing loads ---------------------------------------------------------- */

bool kernel_columns_apart(const Kernel *k)
{
    const RegTile *t = &k->schedule.tile;
    return k->schedule.streams > 1 && t->h * t->m == 1 && t->n >= k->schedule.streams;
}

/* The loop goes before the reductions where columns are apart. */
static void order_add(const Kernel *k, Site *s, LoopId l)
{
    int at = s->n_order++;
    if (kernel_columns_apart(k) && k->loops[l].axis == AXIS_N)
        for (; at > 0 && k->loops[s->order[at - 1]].role == REDUCE; at--)
            s->order[at] = s->order[at - 1];
    s->order[at] = l;
}

static void site_order(const Packer *p, Site *s)
{
    s->volume = 1;
    s->n_order = 0;
    for (int i = 0; i < p->depth; i++) {
        if (!affine_coef(&s->index, p->stack[i]))
            continue;
        order_add(p->k, s, p->stack[i]);
        s->volume *= p->k->loops[p->stack[i]].extent;
    }
}

static Site *site_find(Packer *p, BufferId b, const Affine *index)
{
    for (size_t i = 0; i < p->n_sites; i++)
        if (p->sites[i].buffer == b && affine_equal(&p->sites[i].index, index))
            return &p->sites[i];
    return NULL;
}

static const Expr *visit_load(Rewrite *r, const Expr *e)
{
    Packer *p = r->ctx;
    if (e->kind != E_LOAD || p->k->buffers[e->buffer].kind != BUF_CONST)
        return e;
    Site *s = site_find(p, e->buffer, &e->index);
    if (p->apply) {
        if (!s || !s->packed)
            return e;
        p->changed = true;
        return ex_load(p->k, s->packed, s->packed_index);
    }
    if (!s) {
        p->sites = arena_grow(p->k->arena, p->sites, p->n_sites, &p->cap_sites, sizeof *p->sites);
        s = &p->sites[p->n_sites++];
        *s = (Site){.buffer = e->buffer, .index = e->index};
        site_order(p, s);
    }
    return e;
}

static void visit(Packer *p, Stmt *s)
{
    Rewrite r = {.k = p->k, .ctx = p, .expr = visit_load};
    switch (s->kind) {
    case S_BLOCK:
        for (int i = 0; i < s->n_items; i++)
            visit(p, s->items[i]);
        break;
    case S_FOR:
        p->stack[p->depth++] = s->loop;
        visit(p, s->body);
        p->depth--;
        break;
    case S_GUARD: visit(p, s->body); break;
    case S_LET:
    case S_SET:
    case S_STORE: s->value = rewrite_expr(&r, s->value); break;
    case S_PREFETCH:
    case S_NOTE: break;
    }
}

/* ---- digits ------------------------------------------------------------------------------ */

/* Sort terms by falling stride: a proper mixed radix when each stride exceeds what all smaller digits
 * reach together, so that no two positions share an element. */
static bool is_mixed_radix(const View *v)
{
    for (int i = 0; i < v->n_dims; i++) {
        int64_t reach = 0;
        for (int j = 0; j < v->n_dims; j++)
            if (v->stride[j] < v->stride[i] || (v->stride[j] == v->stride[i] && j > i))
                reach += (v->extent[j] - 1) * v->stride[j];
        if (v->stride[i] <= reach)
            return false;
    }
    return true;
}

/* The view in which the loops of `s` are the digits. False: not a mixed radix; or it is the order the
 * buffer has already. */
static bool site_view(const Kernel *k, const Site *s, View *out)
{
    *out = k->buffers[s->buffer].view;
    if (out->n_dims || s->n_order == 0)
        return false;
    int64_t stride = 1;
    bool    same = s->index.constant == 0;
    out->n_dims = s->n_order;
    out->offset = s->index.constant;
    for (int i = s->n_order - 1; i >= 0; i--) {
        out->extent[i] = k->loops[s->order[i]].extent;
        out->stride[i] = affine_coef(&s->index, s->order[i]);
        out->name[i] = k->loops[s->order[i]].name;
        if (out->stride[i] < 0)
            return false;
        same &= out->stride[i] == stride;
        stride *= out->extent[i];
    }
    return !(same && stride == k->buffers[s->buffer].count) && is_mixed_radix(out);
}

/* The elements of the packed buffer between neighbours of digit i. */
static int64_t packed_stride(const View *v, int i)
{
    int64_t s = 1;
    for (int j = i + 1; j < v->n_dims; j++)
        s *= v->extent[j];
    return s;
}

static int widest_digit_at_most(const View *v, int64_t stride, const bool *done)
{
    int best = -1;
    for (int i = 0; i < v->n_dims; i++)
        if (!done[i] && v->stride[i] <= stride && (best < 0 || v->stride[i] > v->stride[best]))
            best = i;
    return best;
}

/* Write `s` in the digits of `v`: each loop must move exactly one digit, the rest of the index be a
 * position from which the loops do not overflow their digits. */
static bool site_in_view(const Kernel *k, const Site *s, const View *v, Affine *out)
{
    int64_t reach[MAX_TERMS] = {0};
    bool    done[MAX_TERMS] = {false};
    *out = affine_const(0);
    for (int t = 0; t < s->n_order; t++) {
        int64_t coef = affine_coef(&s->index, s->order[t]);
        int     d = widest_digit_at_most(v, coef, done);
        if (d < 0 || v->stride[d] != coef)
            return false;
        reach[d] += k->loops[s->order[t]].extent - 1;
        *out = affine_add(*out, affine_scale(affine_loop(s->order[t]), packed_stride(v, d)));
    }
    int64_t rest = s->index.constant - v->offset;
    if (rest < 0)
        return false;
    for (int n = 0; n < v->n_dims; n++) {
        int d = widest_digit_at_most(v, INT64_MAX, done);
        done[d] = true;
        int64_t digit = rest / v->stride[d];
        rest %= v->stride[d];
        if (digit + reach[d] >= v->extent[d])
            return false;
        *out = affine_offset(*out, digit * packed_stride(v, d));
    }
    return rest == 0;
}

/* ---- the pass ---------------------------------------------------------------------------- */

static Site *widest_site(Packer *p, BufferId b, const bool *settled)
{
    Site *best = NULL;
    for (size_t i = 0; i < p->n_sites; i++) {
        Site *s = &p->sites[i];
        if (s->buffer == b && !settled[i] && (!best || s->volume > best->volume))
            best = s;
    }
    return best;
}

static BufferId packed_buffer(Kernel *k, BufferId from, const View *view)
{
    const Buffer old = k->buffers[from];
    BufferId     b = kernel_buffer(k, old.name, old.elem, BUF_CONST, 0, old.value);
    k->buffers[b].view = *view;
    k->buffers[b].count = packed_stride(view, -1);
    return b;
}

static void pack_buffer(Packer *p, BufferId b)
{
    bool *settled = arena_array(p->k->arena, bool, p->n_sites);
    for (Site *w; (w = widest_site(p, b, settled)) != NULL;) {
        View view;
        settled[w - p->sites] = true;
        if (!site_view(p->k, w, &view))
            continue;
        BufferId packed = packed_buffer(p->k, b, &view);
        for (size_t i = 0; i < p->n_sites; i++) {
            Site *s = &p->sites[i];
            if (s->buffer != b || (settled[i] && s != w))
                continue;
            if (!site_in_view(p->k, s, &view, &s->packed_index))
                continue;
            s->packed = packed;
            settled[i] = true;
        }
    }
}

bool kpass_pack(Kernel *k)
{
    Packer p = {.k = k};
    visit(&p, k->body);
    uint32_t n = k->n_buffers;
    for (BufferId b = 1; b < n; b++)
        if (k->buffers[b].kind == BUF_CONST)
            pack_buffer(&p, b);
    p.apply = true;
    visit(&p, k->body);
    return p.changed;
}
