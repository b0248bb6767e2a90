/* tensor.c - TensorProto -> Known; external data. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

static const struct {
    const char *name;
    size_t      bytes; /* of an element as raw data; 0: a type that is not read */
    bool        is_integer;
} types[] = {
    [TYPE(UNDEFINED)] = {"undefined", 0, false}, [TYPE(FLOAT)] = {"float", 4, false},
    [TYPE(UINT8)] = {"uint8", 1, true},          [TYPE(INT8)] = {"int8", 1, true},
    [TYPE(UINT16)] = {"uint16", 2, true},        [TYPE(INT16)] = {"int16", 2, true},
    [TYPE(INT32)] = {"int32", 4, true},          [TYPE(INT64)] = {"int64", 8, true},
    [TYPE(STRING)] = {"string", 0, false},       [TYPE(BOOL)] = {"bool", 1, true},
    [TYPE(FLOAT16)] = {"float16", 2, false},     [TYPE(DOUBLE)] = {"double", 8, false},
    [TYPE(UINT32)] = {"uint32", 4, true},        [TYPE(UINT64)] = {"uint64", 8, true},
    [TYPE(COMPLEX64)] = {"complex64", 0, false}, [TYPE(COMPLEX128)] = {"complex128", 0, false},
    [TYPE(BFLOAT16)] = {"bfloat16", 2, false},
};

const char *onnx_type_name(Arena *a, int32_t type)
{
    if (type >= 0 && (size_t)type < COUNT_OF(types))
        return types[type].name;
    return arena_printf(a, "number %" PRId32, type);
}

bool known_is_integer(int32_t type)
{
    return type >= 0 && (size_t)type < COUNT_OF(types) && types[type].is_integer;
}

bool onnx_is_float(int32_t type)
{
    return type >= 0 && (size_t)type < COUNT_OF(types) && types[type].bytes &&
           !types[type].is_integer;
}

/* A tensor being read: either `raw`, little endian, or one of the lists of numbers. */
typedef struct Reading {
    Importer                *im;
    const Onnx__TensorProto *t;
    Span                     where;
    Known                   *known;
    const uint8_t           *raw;
} Reading;

static bool PRINTF_LIKE(2, 3) complain(Reading *r, const char *fmt, ...)
{
    Text    text = text_new(r->im->arena);
    va_list args;
    va_start(args, fmt);
    text_vprintf(&text, fmt, args);
    va_end(args);
    const char *name = r->t->name ? r->t->name : "";
    diag_error(r->im->diag, r->where, "tensor%s%s%s: %s", *name ? " '" : "",
               text_printable(r->im->arena, name), *name ? "'" : "", text.data);
    return false;
}

static bool read_dims(Reading *r)
{
    Known *k = r->known;
    if (r->t->n_dims > MAX_RANK)
        return complain(r, "%zu dimensions, expected at most %d", r->t->n_dims, MAX_RANK);
    k->rank = (int)r->t->n_dims;
    k->count = 1;
    for (int i = 0; i < k->rank; i++) {
        k->dims[i] = r->t->dims[i];
        if (k->dims[i] < 0)
            return complain(r, "dimension %d is %" PRId64 ", expected >= 0", i, k->dims[i]);
        if (k->dims[i] > KNOWN_MAX_DIM || !mul_ok(k->count, k->dims[i], &k->count) ||
            k->count > KNOWN_MAX_DIM)
            return complain(r, "more than 2^40 elements");
    }
    return true;
}

/* ---- external data ------------------------------------------------------------------------- */

enum { MAX_FILES = 10000 };

struct ExternalFile {
    struct ExternalFile *next;
    const char          *location;
    Bytes                bytes;
};

/* external_file - the file at `location` beside the model, mapped once; NULL: reported. */
static const Bytes *external_file(Reading *r, const char *location)
{
    Importer *im = r->im;
    int       n_files = 0;
    for (struct ExternalFile *f = im->files; f; f = f->next, n_files++)
        if (!strcmp(f->location, location))
            return &f->bytes;
    if (n_files == MAX_FILES) {
        complain(r, "more than %d files of external data", MAX_FILES);
        return NULL;
    }
    struct ExternalFile *f = arena_struct(im->arena, struct ExternalFile);
    const char          *path = path_beside(im->arena, im->source->path, location);
    f->location = location;
    if (path_has_controls(location) || !path_is_plain(location)) {
        complain(r,
                 "external data must lie beside the model: a relative path without '..', got '%s'",
                 text_printable(im->arena, location));
        return NULL;
    }
    if (!file_map(im->diag, path, &f->bytes)) {
        diag_note(im->diag, r->where, "the model names this file here");
        return NULL;
    }
    if (!path_stays(im->source->path, path)) {
        complain(r, "external data must lie beside the model, but '%s' leads out of its folder",
                 text_printable(im->arena, location));
        return NULL;
    }
    f->next = im->files;
    im->files = f;
    return &f->bytes;
}

/* entry - the value of `key`; NULL: not given. */
static const char *entry(const Onnx__TensorProto *t, const char *key)
{
    for (size_t i = 0; i < t->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = t->external_data[i];
        if (e->key && e->value && !strcmp(e->key, key))
            return e->value;
    }
    return NULL;
}

/* entry_number - a decimal number; where it is not given, *out stays. */
static bool entry_number(Reading *r, const char *key, uint64_t *out)
{
    enum { MOST_DIGITS = 18 };
    const char *text = entry(r->t, key);
    if (!text)
        return true;
    size_t n = strspn(text, "0123456789");
    if (!n || text[n] || n > MOST_DIGITS)
        return complain(r, "external data: %s '%s' is not a number of bytes", key,
                        text_printable(r->im->arena, text));
    *out = strtoull(text, NULL, 10);
    return true;
}

static bool find_external(Reading *r, uint64_t bytes)
{
    const char *location = entry(r->t, "location");
    uint64_t    offset = 0, length = bytes;
    if (!location)
        return complain(r, "external data without a location");
    if (!entry_number(r, "offset", &offset) || !entry_number(r, "length", &length))
        return false;
    if (length != bytes)
        return complain(r, "%" PRIu64 " bytes of external data, expected %" PRIu64, length, bytes);
    const Bytes *file = external_file(r, location);
    if (!file)
        return false;
    if (offset > file->len || bytes > file->len - offset)
        return complain(r, "bytes %" PRIu64 " to %" PRIu64 " of '%s', which has only %zu", offset,
                        offset + bytes, text_printable(r->im->arena, location), file->len);
    r->raw = file->data + offset;
    return true;
}

/* ---- contents -------------------------------------------------------------------------------- */

/* listed - how many numbers stand in the list that belongs to the type. */
static size_t listed(const Onnx__TensorProto *t)
{
    switch (t->data_type) {
    case TYPE(FLOAT): return t->n_float_data;
    case TYPE(DOUBLE): return t->n_double_data;
    case TYPE(INT64): return t->n_int64_data;
    case TYPE(UINT32):
    case TYPE(UINT64): return t->n_uint64_data;
    default: return t->n_int32_data;
    }
}

/* find_contents - where the elements are, and that there are as many as the shape says. */
static bool find_contents(Reading *r)
{
    const Onnx__TensorProto *t = r->t;
    uint64_t                 bytes = (uint64_t)r->known->count * types[t->data_type].bytes;
    if (t->segment)
        return complain(r, "tensors in segments are not supported; store it in one piece");
    if (t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return find_external(r, bytes);
    if (t->has_raw_data) {
        r->raw = t->raw_data.data;
        return t->raw_data.len == bytes ||
               complain(r, "%zu bytes of data, expected %" PRIu64, t->raw_data.len, bytes);
    }
    return listed(t) == (uint64_t)r->known->count ||
           complain(r, "%zu elements of data, expected %" PRId64, listed(t), r->known->count);
}

/* raw_bits - element `i` of raw data, whatever the machine's byte order. */
static uint64_t raw_bits(const Reading *r, int64_t i)
{
    size_t         n = types[r->t->data_type].bytes;
    const uint8_t *p = r->raw + (size_t)i * n;
    uint64_t       bits = 0;
    for (size_t k = n; k-- > 0;)
        bits = bits << 8 | p[k];
    return bits;
}

static uint64_t element_bits(const Reading *r, int64_t i)
{
    if (r->raw)
        return raw_bits(r, i);
    switch (r->t->data_type) {
    case TYPE(INT64): return (uint64_t)r->t->int64_data[i];
    case TYPE(UINT32):
    case TYPE(UINT64): return r->t->uint64_data[i];
    default: return (uint64_t)r->t->int32_data[i];
    }
}

/* element_int - `bits` past those of the type are ignored. */
static int64_t element_int(const Reading *r, int64_t i)
{
    uint64_t bits = element_bits(r, i);
    switch (r->t->data_type) {
    case TYPE(BOOL): return (uint8_t)bits != 0;
    case TYPE(UINT8): return (uint8_t)bits;
    case TYPE(INT8): return (int8_t)bits;
    case TYPE(UINT16): return (uint16_t)bits;
    case TYPE(INT16): return (int16_t)bits;
    case TYPE(INT32): return (int32_t)bits;
    case TYPE(UINT32): return (uint32_t)bits;
    default: return (int64_t)bits;
    }
}

/* element_float - listed floats are in place already. */
static float element_float(const Reading *r, int64_t i)
{
    const Onnx__TensorProto *t = r->t;
    uint64_t                 bits;
    uint32_t                 half;
    float                    f;
    double                   d;
    switch (t->data_type) {
    case TYPE(FLOAT16): return f16_to_f32((uint16_t)element_bits(r, i));
    case TYPE(BFLOAT16): return bf16_to_f32((uint16_t)element_bits(r, i));
    case TYPE(DOUBLE):
        if (!r->raw)
            return (float)t->double_data[i];
        bits = raw_bits(r, i);
        memcpy(&d, &bits, sizeof d);
        return (float)d;
    default:
        half = (uint32_t)element_bits(r, i);
        memcpy(&f, &half, sizeof f);
        return f;
    }
}

static bool read_ints(Reading *r)
{
    int64_t *ints = arena_array(r->im->arena, int64_t, (size_t)r->known->count);
    for (int64_t i = 0; i < r->known->count; i++) {
        ints[i] = element_int(r, i);
        if (r->t->data_type == TYPE(UINT64) && ints[i] < 0)
            return complain(r, "element %" PRId64 " is past 2^63", i);
    }
    r->known->ints = ints;
    return true;
}

/* is_in_place - whether the elements are there as the compiler works with them. */
static bool is_in_place(const Reading *r)
{
    bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    return r->t->data_type == TYPE(FLOAT) &&
           (!r->raw || (little && (uintptr_t)r->raw % sizeof(float) == 0));
}

static void read_floats(Reading *r)
{
    Known *k = r->known;
    if (!k->count)
        return;
    const void *data = r->raw ? (const void *)r->raw : r->t->float_data;
    if (!is_in_place(r)) {
        float *floats = arena_array(r->im->arena, float, (size_t)k->count);
        for (int64_t i = 0; i < k->count; i++)
            floats[i] = element_float(r, i);
        data = floats;
    }
    Tensor *t = arena_struct(r->im->arena, Tensor);
    *t = (Tensor){type_plain(F32, k->rank, k->dims), data};
    k->floats = t;
}

const Known *tensor_known(Importer *im, const Onnx__TensorProto *t, Span where)
{
    Reading r = {.im = im, .t = t, .where = where, .known = arena_struct(im->arena, Known)};
    int32_t type = t->data_type;
    r.known->type = type;
    if (!onnx_is_float(type) && !known_is_integer(type)) {
        complain(&r, "elements of type %s are not supported", onnx_type_name(im->arena, type));
        return NULL;
    }
    if (!read_dims(&r) || !find_contents(&r))
        return NULL;
    if (!types[type].is_integer)
        read_floats(&r);
    else if (!read_ints(&r))
        return NULL;
    return r.known;
}
