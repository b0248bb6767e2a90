/* attr.c - the attributes of a node. */
#include "onnx/importer.h"

#include <string.h>

typedef Onnx__AttributeProto Attr;

/* Kinds as rows.def calls them, by ONNX's number. */
static const char *const kind_names[] = {
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT] = "float",
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT] = "int",
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING] = "string",
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR] = "tensor",
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS] = "floats",
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS] = "ints",
    [ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS] = "strings",
};

const Attr *attr_find(const OnnxNode *n, const char *name)
{
    for (size_t i = 0; i < n->proto->n_attribute; i++)
        if (!strcmp(n->proto->attribute[i]->name, name))
            return n->proto->attribute[i];
    return NULL;
}

bool attr_given(const OnnxNode *n, const char *name)
{
    return attr_find(n, name) != NULL;
}

int64_t attr_int(const OnnxNode *n, const char *name, int64_t fallback)
{
    const Attr *a = attr_find(n, name);
    return a ? a->i : fallback;
}

double attr_float(const OnnxNode *n, const char *name, double fallback)
{
    const Attr *a = attr_find(n, name);
    return a ? (double)a->f : fallback;
}

const char *attr_string(Importer *im, const OnnxNode *n, const char *name, const char *fallback)
{
    const Attr *a = attr_find(n, name);
    if (!a)
        return fallback;
    return a->s.len ? arena_strndup(im->arena, (const char *)a->s.data, a->s.len) : "";
}

int attr_ints(Importer *im, const OnnxNode *n, const char *name, int64_t *out, int max)
{
    const Attr *a = attr_find(n, name);
    if (!a)
        return 0;
    if (a->n_ints > (size_t)max) {
        node_error(im, n, "%s has %zu entries, expected at most %d", name, a->n_ints, max);
        return -1;
    }
    for (size_t i = 0; i < a->n_ints; i++)
        out[i] = a->ints[i];
    return (int)a->n_ints;
}

/* ---- checking --------------------------------------------------------------------------- */

/* kind_name - "" for one that no operator we read has. Old files leave the kind to be seen. */
static const char *kind_name(const Attr *a)
{
    size_t type = a->has_type ? (size_t)a->type : 0;
    if (!a->has_type)
        type = a->has_f       ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT
               : a->has_i     ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT
               : a->has_s     ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING
               : a->t         ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR
               : a->n_floats  ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS
               : a->n_ints    ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS
               : a->n_strings ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS
                              : 0;
    return type < COUNT_OF(kind_names) && kind_names[type] ? kind_names[type] : "";
}

/* row_kind - the kind that the row gives to attribute `name`; NULL: it has none of that name. */
static const char *row_kind(Arena *arena, const char *attrs, const char *name, Guess *guess)
{
    for (const char *s = attrs; *s;) {
        size_t      n_name = strcspn(s, ":"), n_all = strcspn(s, " ");
        const char *known = arena_strndup(arena, s, n_name);
        if (!strcmp(known, name))
            return arena_strndup(arena, s + n_name + 1, n_all - n_name - 1);
        guess_try(guess, known);
        s += n_all;
        s += *s == ' ';
    }
    return NULL;
}

static bool check_attr(Importer *im, const OnnxNode *n, const Attr *a)
{
    const char *name = text_printable(im->arena, a->name), *kind = kind_name(a);
    Guess       guess = guess_new(a->name);
    const char *expected = row_kind(im->arena, n->row->attrs, a->name, &guess);
    if (!expected)
        return node_error(im, n, "opset %lld: attribute '%s' is not known%s", (long long)im->opset,
                          name, guess_text(im->arena, &guess));
    if (strcmp(kind, expected) != 0)
        return node_error(im, n, "attribute '%s' must be of kind %s%s%s", name, expected,
                          *kind ? ", got " : "", kind);
    if (!strcmp(kind, "tensor") && !a->t)
        return node_error(im, n, "attribute '%s' is empty", name);
    if (a->ref_attr_name && *a->ref_attr_name)
        return node_error(im, n, "attribute '%s' refers to one of a function", name);
    return attr_find(n, a->name) == a || node_error(im, n, "attribute '%s' is given twice", name);
}

bool attrs_check(Importer *im, const OnnxNode *n)
{
    bool ok = true;
    for (size_t i = 0; i < n->proto->n_attribute && !diag_full(im->diag); i++)
        ok &= check_attr(im, n, n->proto->attribute[i]);
    return ok;
}
