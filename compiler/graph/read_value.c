/* read_value.c - members of the model's objects: names, shapes, attributes. */
#include "graph/read.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- messages --------------------------------------------------------------------------- */

Span read_span(const Reader *r, const Json *at)
{
    return (Span){.source = r->source, .at = at};
}

bool read_error(Reader *r, const Json *at, const char *fmt, ...)
{
    Text t = text_new(r->arena);
    if (r->op_name && r->node_name[0])
        text_printf(&t, "%s '%s': ", r->op_name, text_printable(r->arena, r->node_name));
    va_list args;
    va_start(args, fmt);
    text_vprintf(&t, fmt, args);
    va_end(args);
    diag_error(r->diag, read_span(r, at), "%s", t.data);
    return false;
}

/* number_text - integers in full, others short. */
static const char *number_text(Arena *a, double v)
{
    return arena_printf(a, fabs(v) <= 1e15 && v == nearbyint(v) ? "%.0f" : "%g", v);
}

const char *read_value_text(Arena *a, const Json *j)
{
    if (j->kind == JSON_NUMBER)
        return number_text(a, j->number);
    if (j->kind == JSON_STRING)
        return arena_printf(a, "'%s'", text_printable(a, j->string));
    if (j->kind == JSON_BOOL)
        return j->boolean ? "true" : "false";
    if (j->kind == JSON_ARRAY)
        return arena_printf(a, "an array of %zu", j->n_items);
    return json_kind_name(j->kind);
}

/* ---- members ---------------------------------------------------------------------------- */

bool read_keys(Reader *r, const Json *j, const char *what, const char *const *keys)
{
    if (j->kind != JSON_OBJECT)
        return read_error(r, j, "%s must be an object, got %s", what, read_value_text(r->arena, j));
    for (size_t i = 0; i < j->n_items; i++) {
        const char *key = j->items[i].key;
        Guess       guess = guess_new(key);
        bool        known = false;
        for (const char *const *k = keys; *k && !known; k++) {
            known = !strcmp(*k, key);
            guess_try(&guess, *k);
        }
        if (!known)
            read_error(r, &j->items[i], "%s has no key '%s'%s", what, text_printable(r->arena, key),
                       guess_text(r->arena, &guess));
    }
    return true;
}

const Json *read_member(Reader *r, const Json *object, const char *key, JsonKind kind,
                        bool required)
{
    const Json *j = json_get(object, key);
    if (!j) {
        if (required)
            read_error(r, object, "the key '%s' is missing", key);
        return NULL;
    }
    if (j->kind == kind)
        return j;
    read_error(r, j, "'%s' must be %s, got %s", key, json_kind_name(kind),
               read_value_text(r->arena, j));
    return NULL;
}

const char *read_name(Reader *r, const Json *j, const char *what)
{
    if (j->kind == JSON_STRING && j->string[0])
        return j->string;
    if (j->kind == JSON_STRING)
        read_error(r, j, "%s may not be empty", what);
    else
        read_error(r, j, "%s must be a string, got %s", what, read_value_text(r->arena, j));
    return NULL;
}

bool read_shape(Reader *r, const Json *j, int min_rank, int *rank, int64_t *dims)
{
    int64_t count = 1;
    if (j->kind != JSON_ARRAY)
        return read_error(r, j, "a shape must be an array, got %s", read_value_text(r->arena, j));
    if (j->n_items < (size_t)min_rank || j->n_items > MAX_RANK)
        return read_error(r, j, "a shape must have %d to %d dimensions, got %zu", min_rank,
                          MAX_RANK, j->n_items);
    for (size_t i = 0; i < j->n_items; i++) {
        const Json *dim = &j->items[i];
        if (!json_int(dim, &dims[i]))
            return read_error(r, dim, "a dimension must be an integer, got %s",
                              read_value_text(r->arena, dim));
        if (dims[i] < 1)
            return read_error(r, dim, "a dimension must be >= 1, got %lld", (long long)dims[i]);
        if (!mul_ok(count, dims[i], &count) || count > MAX_ELEMENTS)
            return read_error(r, j, "the shape has more than 2^40 elements");
    }
    *rank = (int)j->n_items;
    return true;
}

/* ---- attributes ------------------------------------------------------------------------- */

/* check_bounds - `label` is the attribute's name, with an index for one of a list. */
static bool check_bounds(Reader *r, const Json *j, const char *label, const AttrSpec *spec)
{
    double v = j->number;
    bool   bounded = spec->min != 0 || spec->max != 0;
    if (bounded && v < spec->min)
        return read_error(r, j, "%s must be >= %s, got %s", label, number_text(r->arena, spec->min),
                          number_text(r->arena, v));
    if (bounded && v > spec->max)
        return read_error(r, j, "%s must be <= %s, got %s", label, number_text(r->arena, spec->max),
                          number_text(r->arena, v));
    return true;
}

static bool read_int(Reader *r, const Json *j, const char *label, const AttrSpec *spec,
                     int64_t *out)
{
    int64_t v;
    if (!json_int(j, &v))
        return read_error(r, j, "%s must be an integer, got %s", label,
                          read_value_text(r->arena, j));
    if (!check_bounds(r, j, label, spec))
        return false;
    *out = v;
    return true;
}

/* read_ints - an array of `at_least` to `at_most` integers. */
static void read_ints(Reader *r, const Json *j, const AttrSpec *spec, int at_least, int at_most,
                      int64_t *out)
{
    if (j->kind != JSON_ARRAY || j->n_items < (size_t)at_least || j->n_items > (size_t)at_most) {
        const char *n = at_least == at_most ? arena_printf(r->arena, "%d", at_least)
                                            : arena_printf(r->arena, "%d to %d", at_least, at_most);
        read_error(r, j, "%s must be an array of %s integers, got %s", spec->name, n,
                   read_value_text(r->arena, j));
        return;
    }
    for (size_t i = 0; i < j->n_items; i++)
        if (!read_int(r, &j->items[i], arena_printf(r->arena, "%s[%zu]", spec->name, i), spec,
                      &out[i]))
            return;
}

static void read_float(Reader *r, const Json *j, const AttrSpec *spec, double *out)
{
    if (j->kind != JSON_NUMBER)
        read_error(r, j, "%s must be a number, got %s", spec->name, read_value_text(r->arena, j));
    else if (fabs(j->number) > FLT_MAX)
        read_error(r, j, "%s does not fit f32: %s", spec->name, number_text(r->arena, j->number));
    else if (check_bounds(r, j, spec->name, spec))
        *out = j->number;
}

/* read_choice - the index of a string among spec->names; -1: none of them, reported. */
static int read_choice(Reader *r, const Json *j, const AttrSpec *spec)
{
    Guess guess = guess_new(j->kind == JSON_STRING ? j->string : "");
    Text  choices = text_new(r->arena);
    for (int i = 0; spec->names[i]; i++) {
        if (j->kind == JSON_STRING && !strcmp(spec->names[i], j->string))
            return i;
        guess_try(&guess, spec->names[i]);
        const char *before = i == 0 ? "" : spec->names[i + 1] ? ", " : " or ";
        text_printf(&choices, "%s'%s'", before, spec->names[i]);
    }
    read_error(r, j, "%s must be %s, got %s%s", spec->name, choices.data,
               read_value_text(r->arena, j), guess_text(r->arena, &guess));
    return -1;
}

static void read_bool(Reader *r, const Json *j, const AttrSpec *spec, bool *out)
{
    if (spec->names) {
        int choice = read_choice(r, j, spec);
        *out = choice > 0;
    } else if (j->kind == JSON_BOOL) {
        *out = j->boolean;
    } else {
        read_error(r, j, "%s must be true or false, got %s", spec->name,
                   read_value_text(r->arena, j));
    }
}

static void read_padding(Reader *r, const Json *j, const AttrSpec *spec, int64_t *out,
                         PadRule *rule)
{
    if (j->kind == JSON_STRING && !strcmp(j->string, "same"))
        *rule = PAD_SAME;
    else if (j->kind == JSON_STRING && !strcmp(j->string, "valid"))
        *rule = PAD_VALID;
    else if (j->kind == JSON_ARRAY)
        read_ints(r, j, spec, 4, 4, out);
    else
        read_error(r, j, "%s must be [top, left, bottom, right], 'same' or 'valid', got %s",
                   spec->name, read_value_text(r->arena, j));
}

static void read_attr(Reader *r, const Json *j, const AttrSpec *spec, OpAttrs *out)
{
    void *field = (char *)out + spec->offset;
    int   choice;
    switch (spec->kind) {
    case ATTR_INT: read_int(r, j, spec->name, spec, field); break;
    case ATTR_INTS: read_ints(r, j, spec, spec->count, spec->count, field); break;
    case ATTR_FLOAT: read_float(r, j, spec, field); break;
    case ATTR_BOOL: read_bool(r, j, spec, field); break;
    case ATTR_LIST:
        read_ints(r, j, spec, spec->may_be_empty ? 0 : 1, MAX_RANK, ((IntList *)field)->v);
        if (j->kind == JSON_ARRAY && j->n_items <= MAX_RANK)
            ((IntList *)field)->n = (int)j->n_items;
        break;
    case ATTR_PADDING: read_padding(r, j, spec, field, &out->pad_rule); break;
    case ATTR_ENUM:
        choice = read_choice(r, j, spec);
        if (choice >= 0)
            memcpy(field, &choice, sizeof choice);
        break;
    }
    if (spec->flag)
        *(bool *)((char *)out + spec->flag) = true;
}

/* check_attr_names - report the attributes that `op` does not have. */
static void check_attr_names(Reader *r, const Json *j, const OpInfo *op)
{
    for (size_t i = 0; i < j->n_items; i++) {
        const char *key = j->items[i].key;
        Guess       guess = guess_new(key);
        bool        known = false;
        for (int k = 0; k < op->n_attrs && !known; k++) {
            known = !strcmp(op->attrs[k].name, key);
            guess_try(&guess, op->attrs[k].name);
        }
        if (!known)
            read_error(r, &j->items[i], "unknown attribute '%s'%s", text_printable(r->arena, key),
                       guess_text(r->arena, &guess));
    }
}

void read_attrs(Reader *r, const Json *node, const Json *j, const OpInfo *op, OpAttrs *out)
{
    *out = (OpAttrs){0};
    if (j)
        check_attr_names(r, j, op);
    for (int i = 0; i < op->n_attrs; i++) {
        const AttrSpec *spec = &op->attrs[i];
        const Json     *given = json_get(j, spec->name);
        if (given)
            read_attr(r, given, spec, out);
        else if (spec->required)
            read_error(r, j ? j : node, "the attribute '%s' is missing", spec->name);
    }
    /* Defaults come second: strides follow the kernel, wherever that stands in the table. */
    for (int i = 0; i < op->n_attrs; i++)
        if (!json_get(j, op->attrs[i].name))
            attr_set_default(&op->attrs[i], out);
}
