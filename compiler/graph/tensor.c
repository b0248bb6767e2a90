/* tensor.c - element types, layouts, and the contents of constants as numbers. */
#include "graph/graph.h"

#include <math.h>
#include <string.h>

/* ---- element types ---------------------------------------------------------------------- */

static const struct {
    const char *name, *stored; /* in the model file; in safetensors and in messages about them */
    size_t      bytes;
    bool        is_float;
} elems[] = {
    [ELEM_POISON] = {"?", "?", 0, false}, [F32] = {"f32", "F32", 4, true},
    [F16] = {"f16", "F16", 2, true},      [BF16] = {"bf16", "BF16", 2, true},
    [I8] = {"i8", "I8", 1, false},        [U8] = {"u8", "U8", 1, false},
    [I32] = {"i32", "I32", 4, false},     [F64] = {"f64", "F64", 8, true},
};

size_t elem_bytes(Elem e)
{
    return elems[e].bytes;
}

const char *elem_name(Elem e)
{
    return elems[e].name;
}

bool elem_from_name(const char *s, Elem *out)
{
    for (size_t e = F32; e < F64; e++) { /* F64 is not for models */
        if (strcmp(s, elems[e].name) == 0 || strcmp(s, elems[e].stored) == 0) {
            *out = (Elem)e;
            return true;
        }
    }
    return false;
}

bool elem_is_float(Elem e)
{
    return elems[e].is_float;
}

bool elem_is_half(Elem e)
{
    return e == F16 || e == BF16;
}

/* ---- types ------------------------------------------------------------------------------ */

Type type_plain(Elem e, int rank, const int64_t *dims)
{
    Type t = {.elem = e, .rank = rank, .layout = {.block = 1}};
    for (int i = 0; i < rank; i++)
        t.dims[i] = dims[i];
    return t;
}

int64_t type_count(const Type *t)
{
    int64_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= t->dims[i];
    return count;
}

bool type_is_plain(const Type *t)
{
    return layout_same(t->layout, (Layout){.block = 1});
}

int64_t type_stored_count(const Type *t)
{
    if (type_is_plain(t) || (t->rank != 2 && t->rank != 4))
        return type_count(t);
    const Layout *l = &t->layout;
    int64_t       rows = t->rank == 4 ? t->dims[2] : 1;
    int64_t       columns = t->rank == 4 ? t->dims[3] : 1;
    int64_t       blocks = (t->dims[1] + l->block - 1) / l->block;
    return t->dims[0] * blocks * (l->top + rows + l->bottom) * (l->left + columns + l->right) *
           l->block;
}

bool type_same_shape(const Type *a, const Type *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i])
            return false;
    }
    return true;
}

bool layout_same(Layout a, Layout b)
{
    return a.block == b.block && a.top == b.top && a.left == b.left && a.bottom == b.bottom &&
           a.right == b.right;
}

bool layout_has_halo(Layout l)
{
    return l.top || l.left || l.bottom || l.right;
}

char *type_text(Arena *a, const Type *t)
{
    Text text = text_new(a);
    text_add(&text, elem_name(t->elem));
    if (t->elem == ELEM_POISON)
        return text.data;
    for (int i = 0; i < t->rank; i++)
        text_printf(&text, "%s%lld", i ? ", " : "[", (long long)t->dims[i]);
    text_add(&text, t->rank ? "]" : "[]");
    if (type_is_plain(t))
        return text.data;
    const Layout *l = &t->layout;
    text_printf(&text, ":c%d", (int)l->block);
    if (layout_has_halo(*l))
        text_printf(&text, "+%d.%d.%d.%d", (int)l->top, (int)l->left, (int)l->bottom,
                    (int)l->right);
    return text.data;
}

/* ---- 16-bit floats ---------------------------------------------------------------------- */

/* small_float - `v` as sign, exponent and `m` bits of mantissa, rounded to nearest even; too large
 * a number becomes infinity. `bias` is that of the exponent, whose largest value is 2 * bias + 1.
 */
static uint16_t small_float(double v, int m, int bias)
{
    uint16_t sign = signbit(v) ? 0x8000 : 0;
    uint16_t infinity = (uint16_t)((2 * bias + 1) << m);
    if (isnan(v))
        return (uint16_t)(sign | infinity | 1 << (m - 1));
    if (isinf(v))
        return sign | infinity;
    int exponent; /* v = f * 2^exponent with f in [1/2, 1) */
    frexp(v, &exponent);
    int e = exponent - 1 < 1 - bias || v == 0 ? 1 - bias : exponent - 1;
    if (e > bias)
        return sign | infinity;
    /* In units of the last place; a carry out of the mantissa moves on into the exponent. */
    int64_t units = (int64_t)rint(ldexp(fabs(v), m - e));
    int64_t bits = ((int64_t)(e + bias - 1) << m) + units;
    return sign | (uint16_t)(bits < infinity ? bits : infinity);
}

float f16_to_f32(uint16_t h)
{
    uint32_t exponent = h >> 10 & 0x1f, mantissa = h & 0x3ff;
    if (exponent == 0) {
        float magnitude = (float)mantissa * 0x1p-24f;
        return h & 0x8000 ? -magnitude : magnitude;
    }
    exponent = exponent == 0x1f ? 0xff : exponent + 127 - 15;
    uint32_t bits = (uint32_t)(h & 0x8000) << 16 | exponent << 23 | mantissa << 13;
    float    f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t f32_to_f16(float f)
{
    return small_float(f, 10, 15);
}

float bf16_to_f32(uint16_t h)
{
    uint32_t bits = (uint32_t)h << 16;
    float    f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t f32_to_bf16(float f)
{
    return small_float(f, 7, 127);
}

/* ---- contents --------------------------------------------------------------------------- */

Tensor *tensor_new(Arena *a, Elem e, int rank, const int64_t *dims)
{
    Tensor *t = arena_struct(a, Tensor);
    t->type = type_plain(e, rank, dims);
    t->data = arena_array_(a, (size_t)type_count(&t->type), elem_bytes(e));
    return t;
}

double tensor_get(const Tensor *t, int64_t i)
{
    switch (t->type.elem) {
    case F32: return ((const float *)t->data)[i];
    case F16: return f16_to_f32(((const uint16_t *)t->data)[i]);
    case BF16: return bf16_to_f32(((const uint16_t *)t->data)[i]);
    case I8: return ((const int8_t *)t->data)[i];
    case U8: return ((const uint8_t *)t->data)[i];
    case I32: return ((const int32_t *)t->data)[i];
    case F64: return ((const double *)t->data)[i];
    case ELEM_POISON: break;
    }
    return 0;
}

/* to_integer - `v` rounded to nearest even and saturated; not a number becomes 0. */
static int32_t to_integer(double v, double least, double most)
{
    if (isnan(v))
        return 0;
    return (int32_t)rint(v < least ? least : v > most ? most : v);
}

void tensor_set(Tensor *t, int64_t i, double v)
{
    void *data = (void *)(uintptr_t)t->data; /* const for readers; a tensor in the making is ours */
    switch (t->type.elem) {
    case F32: ((float *)data)[i] = (float)v; break;
    case F16: ((uint16_t *)data)[i] = small_float(v, 10, 15); break;
    case BF16: ((uint16_t *)data)[i] = small_float(v, 7, 127); break;
    case I8: ((int8_t *)data)[i] = (int8_t)to_integer(v, INT8_MIN, INT8_MAX); break;
    case U8: ((uint8_t *)data)[i] = (uint8_t)to_integer(v, 0, UINT8_MAX); break;
    case I32: ((int32_t *)data)[i] = to_integer(v, INT32_MIN, INT32_MAX); break;
    case F64: ((double *)data)[i] = v; break;
    case ELEM_POISON: break;
    }
}

const Tensor *tensor_as_f32(Arena *a, const Tensor *t)
{
    if (t->type.elem == F32)
        return t;
    Tensor *copy = tensor_new(a, F32, t->type.rank, t->type.dims);
    int64_t count = type_count(&t->type);
    for (int64_t i = 0; i < count; i++)
        tensor_set(copy, i, tensor_get(t, i));
    return copy;
}
