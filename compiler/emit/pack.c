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
 * transformed by Winograd's method are taken whole: the digit of the positions is inside the call. Weights for
 * Strassen's algorithm are not made at start. */
#include "emit/emit.h"

#include "ops/ops.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* ---- views as loops ----------------------------------------------------------------------- */

/* Neighbouring dimensions of a tensor between which no zeros were put: one coordinate. */
typedef struct Part {
    int64_t own, grown; /* extent                                                 */
    int64_t unit;       /* of it, what belongs to all dimensions but the first    */
    int64_t stride, to; /* of the coordinate in the tensor; in the grown one      */
    Affine  at;         /* the coordinate; loop i + 1 is digit i                  */
    int64_t last;       /* its largest value                                      */
} Part;

/* A loop: neighbouring digits of the view that walk the tensor as one. */
typedef struct Digit {
    int64_t extent, stride;
    int64_t packed;      /* stride in the result  */
    int     first, last; /* of the view's digits  */
} Digit;

typedef struct Loops {
    const View *view;
    Part        parts[MAX_RANK]; /* innermost first */
    int         n_parts;
    Digit       digits[MAX_TERMS]; /* outermost first */
    int         n_digits;
    int         position; /* the digit that is inside the call; -1: none */
} Loops;

/* find_digits - merged where they can be; the position stays by itself. */
static void find_digits(Loops *l)
{
    const View *v = l->view;
    int64_t     packed = 1;
    bool        is_position = false, was_position;
    for (int i = 0; i < v->n_dims; i++) {
        Digit *outer = l->n_digits ? &l->digits[l->n_digits - 1] : NULL;
        was_position = is_position;
        is_position = v->winograd.m && v->stride[i] == v->padded[1] * v->padded[2] &&
                      v->extent[i] == v->padded[0];
        if (outer && !is_position && !was_position &&
            outer->stride == v->stride[i] * v->extent[i]) {
            outer->extent *= v->extent[i];
            outer->stride = v->stride[i];
            outer->last = i;
            continue;
        }
        if (is_position)
            l->position = l->n_digits;
        l->digits[l->n_digits++] = (Digit){v->extent[i], v->stride[i], 0, i, i};
    }
    for (int i = l->n_digits - 1; i >= 0; i--) {
        l->digits[i].packed = packed;
        packed *= l->digits[i].extent;
    }
}

/* find_parts - of dims [first, rank) of the view's tensor. */
static void find_parts(Loops *l, int first)
{
    const View *v = l->view;
    int64_t     stride = 1, to = 1;
    for (int i = v->tensor->type.rank - 1; i >= first; i--) {
        int64_t own = v->tensor->type.dims[i], grown = v->padded[i];
        Part   *inner = l->n_parts ? &l->parts[l->n_parts - 1] : NULL;
        if (inner && inner->own == inner->grown) {
            inner->unit = inner->own;
            inner->own *= own;
            inner->grown *= grown;
        } else {
            l->parts[l->n_parts++] =
                (Part){.own = own, .grown = grown, .unit = 1, .stride = stride, .to = to};
        }
        stride *= own;
        to *= grown;
    }
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

/* add_digit - to the coordinate it moves. False: to none alone. */
static bool add_digit(Loops *l, int digit)
{
    const Digit *d = &l->digits[digit];
    int          i = l->n_parts - 1;
    while (i > 0 && l->parts[i].to > d->stride)
        i--;
    Part *p = &l->parts[i];
    assert(p->to > 0);
    int64_t step = d->stride / p->to;
    if (d->stride % p->to != 0)
        return false;
    p->at = affine_add(p->at, affine_scale(affine_loop((LoopId)digit + 1), step));
    p->last += (d->extent - 1) * step;
    return p->last < p->grown;
}

/* find_loops - false: the view cannot be written as loops that move one coordinate each. */
static bool find_loops(const View *v, Loops *l)
{
    *l = (Loops){.view = v, .position = -1};
    if (v->n_dims == 0 || v->fill != 0 || v->turned_group || (v->plain && !v->winograd.m))
        return false;
    find_digits(l);
    if (v->winograd.m && l->position < 0)
        return false;
    find_parts(l, v->winograd.m ? 1 : 0);
    bool ok = add_offset(l);
    for (int i = 0; i < l->n_digits; i++)
        ok = ok && (i == l->position || add_digit(l, i));
    return ok;
}

bool pack_plain(const Buffer *b, Buffer *plain)
{
    Loops l;
    if (b->view.tensor->type.rank < 2 || (b->elem != F32 && !elem_is_half(b->elem)))
        return false; /* vectors are too small to be worth it */
    if (!find_loops(&b->view, &l))
        return false;
    const Tensor *t = view_source(&b->view);
    *plain = (Buffer){.name = b->name, .elem = b->elem, .kind = BUF_CONST, .value = b->value};
    plain->elem = t->type.elem;
    plain->count = type_count(&t->type);
    plain->view = (View){.tensor = t};
    memcpy(plain->view.padded, t->type.dims, sizeof plain->view.padded);
    return true;
}

/* ---- loops as C ------------------------------------------------------------------------------ */

/* inside_text - where the coordinate is the tensor's own: that of the first dimension tells, unless
 * loops carry into it. */
static const char *inside_text(KernelPrinter *p, const Loops *l, const Part *part)
{
    Affine  first = affine_const(part->at.constant / part->unit);
    int64_t rest = part->at.constant % part->unit;
    for (int64_t i = 0; i < part->at.n_terms; i++) {
        LoopId  loop = part->at.loop[i];
        int64_t step = part->at.coef[i];
        if (step % part->unit == 0)
            first = affine_add(first, affine_scale(affine_loop(loop), step / part->unit));
        else
            rest += step * (l->digits[loop - 1].extent - 1);
    }
    if (rest >= part->unit)
        return arena_printf(p->arena, "%s < %" PRId64, c_index(p, &part->at), part->own);
    return arena_printf(p->arena, "%s < %" PRId64, c_index(p, &first), part->own / part->unit);
}

/* leaf_c - one element, or one filter. Memory that nothing is written to stays zero. */
static void leaf_c(KernelPrinter *p, const Loops *l)
{
    const View *v = l->view;
    int64_t     taps = v->winograd.m ? (int64_t)v->winograd.k * v->winograd.k : 1;
    Affine      from = affine_const(0), to = affine_const(0);
    Text        guard = text_new(p->arena);
    for (int i = l->n_parts - 1; i >= 0; i--) {
        from = affine_add(from, affine_scale(l->parts[i].at, l->parts[i].stride * taps));
        if (l->parts[i].last >= l->parts[i].own)
            text_printf(&guard, "%s%s", guard.len ? " && " : "", inside_text(p, l, &l->parts[i]));
    }
    for (int i = 0; i < l->n_digits; i++)
        if (i != l->position)
            to = affine_add(to, affine_scale(affine_loop((LoopId)i + 1), l->digits[i].packed));
    if (guard.len)
        w_line(&p->w, "if (%s)", guard.data);
    p->w.depth += guard.len != 0;
    const char *x = c_index(p, &from), *y = c_index(p, &to);
    if (v->winograd.m)
        w_line(&p->w, "%s(&w[%s], &packed[%s], %" PRId64 ");",
               filter_name(p->arena, v->winograd, v->plain->type.elem), x, y,
               l->digits[l->position].packed);
    else
        w_line(&p->w, "packed[%s] = w[%s];", y, x);
    p->w.depth -= guard.len != 0;
}

/* digit_name - after the loops of the kernel that it stands for. */
static const char *digit_name(KernelPrinter *p, const Loops *l, int digit)
{
    Text t = text_new(p->arena);
    for (int i = l->digits[digit].first; i <= l->digits[digit].last; i++)
        if (l->view->name[i])
            text_printf(&t, "%s%s", t.len ? "_" : "", l->view->name[i]);
    return c_name(p, t.len ? t.data : "i");
}

PackText pack_text(const Buffer *b, const Buffer *plain, Arena *a)
{
    Loops         l;
    KernelPrinter p = {.arena = a, .w = {.text = text_new(a), .depth = 1}};
    const char   *type = b->count > INT32_MAX || plain->count > INT32_MAX ? "ptrdiff_t" : "int";
    find_loops(&b->view, &l);
    p.loops = arena_array(a, const char *, MAX_TERMS + 1);
    c_name(&p, "w");
    c_name(&p, "packed");
    for (int i = 0; i < l.n_digits; i++) {
        if (i == l.position)
            continue;
        const char *name = p.loops[i + 1] = digit_name(&p, &l, i);
        w_open(&p.w, "for (%s %s = 0; %s < %" PRId64 "; %s++)", type, name, name,
               l.digits[i].extent, name);
    }
    leaf_c(&p, &l);
    while (p.w.depth > 1)
        w_close(&p.w, "");
    const char *params =
        arena_printf(a, "const %s *restrict w, %s *restrict packed",
                     c_type(NULL, vtype(plain->elem, 1)), c_type(NULL, vtype(b->elem, 1)));
    return (PackText){params, p.w.text.data};
}
