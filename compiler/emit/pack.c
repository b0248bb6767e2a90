/* pack.c - a constant laid out or transformed at start: the loops that do it, as C.
 *
 * A packed constant is a view (kernel.h): a tensor, grown with zeros, read through the digits of the
 * loops that use it. Here those digits become loops again:
 *
 *     for oc0, ic, kh, kw, il, ol
 *         packed[..] = w[(oc0 * 16 + ol) * 576 + (ic * 16 + il) * 9 + kh * 3 + kw]
 *
 * That works where no digit carries into the next dimension of the tensor; then each dimension has a
 * coordinate, and what was grown is where a coordinate lies past the tensor's own. Filters to be
 * transformed by Winograd's method are taken whole: the digit of the positions is inside the call. */
#include "emit/emit.h"

#include "ops/ops.h"

#include <inttypes.h>
#include <string.h>

/* ---- views as loops ----------------------------------------------------------------------- */

/* Neighbouring dimensions of a tensor between which no zeros were put: one coordinate. */
typedef struct Part {
    int64_t own, grown; /* extent */
    int64_t stride, to; /* of the coordinate in the tensor; in the grown one */
    Affine  at;         /* the coordinate; loop i + 1 is digit i */
    int64_t last;       /* its largest value */
} Part;

typedef struct Loops {
    const View *view;
    Part        parts[MAX_RANK]; /* innermost first */
    int         n_parts;
    int64_t     packed[MAX_TERMS]; /* stride of each digit in the result */
    int         position;          /* the digit that is inside the call; -1: none */
} Loops;

/* find_parts - of dims [first, rank) of the view's tensor. */
static void find_parts(Loops *l, int first)
{
    const View *v = l->view;
    int64_t     stride = 1, to = 1;
    for (int i = v->tensor->type.rank - 1; i >= first; i--) {
        int64_t own = v->tensor->type.dims[i], grown = v->padded[i];
        Part   *inner = l->n_parts ? &l->parts[l->n_parts - 1] : NULL;
        if (inner && inner->own == inner->grown) {
            inner->own *= own;
            inner->grown *= grown;
        } else {
            l->parts[l->n_parts++] = (Part){.own = own, .grown = grown, .stride = stride, .to = to};
        }
        stride *= own;
        to *= grown;
    }
}

/* add_digit - to the coordinate it moves. False: to none alone. */
static bool add_digit(Loops *l, int digit)
{
    const View *v = l->view;
    int         i = l->n_parts - 1;
    while (i > 0 && l->parts[i].to > v->stride[digit])
        i--;
    Part *p = &l->parts[i];
    if (v->stride[digit] % p->to != 0)
        return false;
    int64_t step = v->stride[digit] / p->to;
    p->at = affine_add(p->at, affine_scale(affine_loop((LoopId)digit + 1), step));
    p->last += (v->extent[digit] - 1) * step;
    return p->last < p->grown;
}

/* add_offset - what the view begins with. */
static bool add_offset(Loops *l)
{
    int64_t rest = l->view->offset;
    for (int i = l->n_parts - 1; i >= 0; i--) {
        Part *p = &l->parts[i];
        p->at = affine_const(rest / p->to);
        p->last = rest / p->to;
        rest %= p->to;
    }
    return l->view->offset >= 0;
}

/* find_position - the digit that is the position in a transformed filter, all of it. */
static bool find_position(Loops *l)
{
    const View *v = l->view;
    int64_t     positions = v->tensor->type.dims[0], to = v->padded[1] * v->padded[2];
    for (int i = 0; i < v->n_dims; i++)
        if (v->stride[i] == to && v->extent[i] == positions)
            l->position = i;
    return l->position >= 0 && v->padded[0] == positions;
}

/* find_loops - false: the view cannot be written as loops that move one coordinate each. */
static bool find_loops(const View *v, Loops *l)
{
    int64_t count = 1;
    *l = (Loops){.view = v, .position = -1};
    if (v->n_dims == 0 || v->fill != 0 || (v->winograd && !find_position(l)))
        return false;
    find_parts(l, v->winograd ? 1 : 0);
    bool ok = add_offset(l);
    for (int i = v->n_dims - 1; i >= 0; i--) {
        l->packed[i] = count;
        count *= v->extent[i];
        ok = ok && (i == l->position || add_digit(l, i));
    }
    return ok;
}

bool pack_plain(const Buffer *b, Buffer *plain)
{
    Loops l;
    if (b->view.tensor->type.rank < 2 || (b->elem != F32 && !elem_is_half(b->elem)))
        return false; /* vectors are too small to be worth it */
    if (!find_loops(&b->view, &l))
        return false;
    const Tensor *t = b->view.winograd ? b->view.plain : b->view.tensor;
    *plain = (Buffer){.name = b->name, .elem = b->elem, .kind = BUF_CONST, .value = b->value};
    plain->elem = t->type.elem;
    plain->count = type_count(&t->type);
    plain->view = (View){.tensor = t};
    memcpy(plain->view.padded, t->type.dims, sizeof plain->view.padded);
    return true;
}

/* ---- loops as C ------------------------------------------------------------------------------ */

/* guard_text - where all coordinates are the tensor's own; "": everywhere. */
static const char *guard_text(KernelPrinter *p, const Loops *l)
{
    Text t = text_new(p->arena);
    text_add(&t, "");
    for (int i = l->n_parts - 1; i >= 0; i--)
        if (l->parts[i].last >= l->parts[i].own)
            text_printf(&t, "%s%s < %" PRId64, t.len ? " && " : "", c_index(p, &l->parts[i].at),
                        l->parts[i].own);
    return t.data;
}

/* leaf_c - one element, or one filter. Memory that nothing is written to stays zero. */
static void leaf_c(KernelPrinter *p, const Loops *l)
{
    const View *v = l->view;
    int64_t     taps = v->winograd ? v->plain->type.dims[2] * v->plain->type.dims[3] : 1;
    Affine      from = affine_const(0), to = affine_const(0);
    for (int i = 0; i < l->n_parts; i++)
        from = affine_add(from, affine_scale(l->parts[i].at, l->parts[i].stride * taps));
    for (int i = 0; i < v->n_dims; i++)
        if (i != l->position)
            to = affine_add(to, affine_scale(affine_loop((LoopId)i + 1), l->packed[i]));
    const char *guard = guard_text(p, l), *x = c_index(p, &from), *y = c_index(p, &to);
    if (*guard) {
        w_line(&p->w, "if (%s)", guard);
        p->w.depth++;
    }
    if (v->winograd)
        w_line(&p->w, "%s(&w[%s], &packed[%s], %" PRId64 ");",
               filter_name(p->arena, v->winograd, (int)v->plain->type.dims[2], v->plain->type.elem),
               x, y, l->packed[l->position]);
    else
        w_line(&p->w, "packed[%s] = w[%s];", y, x);
    if (*guard)
        p->w.depth--;
}

PackText pack_text(const Buffer *b, const Buffer *plain, Arena *a)
{
    Loops         l;
    const View   *v = &b->view;
    KernelPrinter p = {.arena = a, .w = {.text = text_new(a), .depth = 1}};
    bool          wide = b->count > INT32_MAX || plain->count > INT32_MAX;
    find_loops(v, &l);
    p.loops = arena_array(a, const char *, MAX_TERMS + 1);
    c_name(&p, "w");
    c_name(&p, "packed");
    for (int i = 0; i < v->n_dims; i++) {
        const char *type = wide ? "ptrdiff_t" : "int";
        if (i == l.position)
            continue;
        const char *name = p.loops[i + 1] = c_name(&p, v->name[i] ? v->name[i] : "i");
        w_open(&p.w, "for (%s %s = 0; %s < %" PRId64 "; %s++)", type, name, name, v->extent[i],
               name);
    }
    leaf_c(&p, &l);
    while (p.w.depth > 1)
        w_close(&p.w, "");
    const char *params =
        arena_printf(a, "const %s *restrict w, %s *restrict packed",
                     c_type(NULL, (VType){plain->elem, 1}), c_type(NULL, (VType){b->elem, 1}));
    return (PackText){params, p.w.text.data};
}
