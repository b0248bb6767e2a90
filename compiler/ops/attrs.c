/* attrs.c - attributes by their tables: defaults and bounds. */
#include "ops/ops.h"

#include <float.h>
#include <math.h>
#include <string.h>

void attr_set_default(const AttrSpec *spec, OpAttrs *out)
{
    void   *field = (char *)out + spec->offset;
    int     n = spec->kind == ATTR_INTS ? spec->count : spec->kind == ATTR_PADDING ? 4 : 1;
    int64_t whole = spec->kind == ATTR_FLOAT ? 0 : (int64_t)spec->fallback;
    int     choice = (int)whole;
    switch (spec->kind) {
    case ATTR_INT:
    case ATTR_INTS:
    case ATTR_PADDING:
        for (int i = 0; i < n; i++)
            ((int64_t *)field)[i] = spec->follows_kernel ? out->kernel[i] : whole;
        break;
    case ATTR_FLOAT: *(double *)field = spec->fallback; break;
    case ATTR_BOOL: *(bool *)field = whole != 0; break;
    case ATTR_ENUM: memcpy(field, &choice, sizeof choice); break;
    case ATTR_LIST: break;
    }
}

OpAttrs attrs_default(Op op)
{
    OpAttrs       attrs = {0};
    const OpInfo *info = op_info(op);
    for (int i = 0; i < info->n_attrs; i++)
        attr_set_default(&info->attrs[i], &attrs);
    return attrs;
}

static bool ints_equal(const int64_t *a, const int64_t *b, int n)
{
    for (int i = 0; i < n; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static bool attr_equal(const AttrSpec *s, const OpAttrs *a, const OpAttrs *b)
{
    const void *x = (const char *)a + s->offset, *y = (const char *)b + s->offset;
    if (s->flag &&
        *(const bool *)((const char *)a + s->flag) != *(const bool *)((const char *)b + s->flag))
        return false;
    switch (s->kind) {
    case ATTR_INT: return ints_equal(x, y, 1);
    case ATTR_INTS: return ints_equal(x, y, s->count);
    case ATTR_PADDING: return a->pad_rule == b->pad_rule && ints_equal(x, y, 4);
    case ATTR_FLOAT: return *(const double *)x == *(const double *)y;
    case ATTR_BOOL: return *(const bool *)x == *(const bool *)y;
    case ATTR_ENUM: return *(const int *)x == *(const int *)y;
    case ATTR_LIST:
        return ((const IntList *)x)->n == ((const IntList *)y)->n &&
               ints_equal(((const IntList *)x)->v, ((const IntList *)y)->v,
                          ((const IntList *)x)->n);
    }
    return false;
}

bool attrs_equal(Op op, const OpAttrs *a, const OpAttrs *b)
{
    const OpInfo *info = op_info(op);
    for (int i = 0; i < info->n_attrs; i++)
        if (!attr_equal(&info->attrs[i], a, b))
            return false;
    return true;
}

/* ints_are_default - whether each entry is the fallback, or the kernel's where that is the default. */
static bool ints_are_default(const AttrSpec *s, const OpAttrs *attrs, const int64_t *v, int n)
{
    for (int i = 0; i < n; i++) {
        if ((double)v[i] != (s->follows_kernel ? (double)attrs->kernel[i] : s->fallback))
            return false;
    }
    return true;
}

bool attr_is_default(const AttrSpec *s, const OpAttrs *attrs)
{
    const char *base = (const char *)attrs, *at = base + s->offset;
    if (s->flag)
        return !*(const bool *)(base + s->flag);
    if (s->required)
        return false;
    switch (s->kind) {
    case ATTR_INT: return (double)*(const int64_t *)at == s->fallback;
    case ATTR_INTS: return ints_are_default(s, attrs, (const int64_t *)at, s->count);
    case ATTR_FLOAT: return *(const double *)at == s->fallback;
    case ATTR_BOOL: return *(const bool *)at == (s->fallback != 0);
    case ATTR_LIST: return ((const IntList *)at)->n == 0;
    case ATTR_PADDING:
        return attrs->pad_rule == PAD_EXPLICIT &&
               ints_are_default(s, attrs, (const int64_t *)at, 4);
    case ATTR_ENUM: return *(const int *)at == (int)s->fallback;
    }
    return false;
}

/* number_fault - what is wrong with one number of attribute `s`, or NULL. */
static const char *number_fault(Arena *a, const AttrSpec *s, double v)
{
    bool is_bounded = s->min != 0 || s->max != 0;
    if (!(fabs(v) <= FLT_MAX))
        return arena_printf(a, "%s does not fit f32: %g", s->name, v);
    if (is_bounded && v < s->min)
        return arena_printf(a, "%s must be >= %.15g, got %.15g", s->name, s->min, v);
    if (is_bounded && v > s->max)
        return arena_printf(a, "%s must be <= %.15g, got %.15g", s->name, s->max, v);
    return NULL;
}

static const char *attr_fault(Arena *a, const AttrSpec *s, const OpAttrs *attrs)
{
    const void    *field = (const char *)attrs + s->offset;
    const int64_t *ints = field;
    int            n = 1;
    switch (s->kind) {
    case ATTR_FLOAT:
        if (*(const double *)field == s->fallback) /* clip's bounds may be infinite */
            return NULL;
        return number_fault(a, s, *(const double *)field);
    case ATTR_BOOL:
    case ATTR_ENUM: return NULL;
    case ATTR_INT: break;
    case ATTR_INTS: n = s->count; break;
    case ATTR_PADDING: n = 4; break;
    case ATTR_LIST:
        n = ((const IntList *)field)->n;
        ints = ((const IntList *)field)->v;
        if (n > MAX_RANK || (s->required && !s->may_be_empty && !n))
            return arena_printf(a, "%s must have %d to %d entries, got %d", s->name,
                                s->may_be_empty ? 0 : 1, MAX_RANK, n);
        break;
    }
    const char *fault = NULL;
    for (int i = 0; i < n && !fault; i++)
        fault = number_fault(a, s, (double)ints[i]);
    return fault;
}

const char *attrs_fault(Arena *a, Op op, const OpAttrs *attrs)
{
    const OpInfo *info = op_info(op);
    const char   *fault = NULL;
    for (int i = 0; i < info->n_attrs && !fault; i++)
        fault = attr_fault(a, &info->attrs[i], attrs);
    return fault;
}
