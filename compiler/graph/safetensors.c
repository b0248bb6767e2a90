/* safetensors.c - the weights file: https://github.com/huggingface/safetensors
 *
 *     8 bytes   n, little endian
 *     n bytes   JSON: {"name": {"dtype": "F32", "shape": [64, 3], "data_offsets": [0, 768]}, ...}
 *     the rest  contents, row-major, little endian; offsets count from here
 *
 * The whole table is checked when the file is opened, so that a tensor found later is sound: sizes
 * agree, and the tensors cover the rest of the file without a gap and without overlap. Types kiln
 * does not take are no error until such a tensor is used. */
#include "graph/graph.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX_BYTES = 8 };
static const uint64_t max_header_bytes = 100000000;

typedef struct Entry {
    const char   *name;
    const Json   *at, *shape;
    const char   *dtype;
    int64_t       count, begin, end; /* begin, end: bytes of the data */
    const Tensor *tensor;            /* once it was found */
    bool          failed;            /* it was found unusable, and reported */
} Entry;

struct WeightsFile {
    Arena  *arena;
    Diag   *diag;
    Source *source;
    Bytes   data;
    size_t  n;
    Entry  *entries; /* by name */
};

/* Element types of the format; ELEM_POISON: none of kiln's. */
static const struct {
    const char *name;
    int         bytes;
    Elem        elem;
} dtypes[] = {
    {"F32", 4, F32},
    {"F16", 2, F16},
    {"BF16", 2, BF16},
    {"I8", 1, I8},
    {"U8", 1, U8},
    {"I32", 4, I32},
    {"I64", 8, I32},
    {"F64", 8, ELEM_POISON},
    {"U64", 8, ELEM_POISON},
    {"U32", 4, ELEM_POISON},
    {"I16", 2, ELEM_POISON},
    {"U16", 2, ELEM_POISON},
    {"BOOL", 1, ELEM_POISON},
    {"F8_E4M3", 1, ELEM_POISON},
    {"F8_E5M2", 1, ELEM_POISON},
};

/* dtype_find - index into dtypes, -1: none. */
static int dtype_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(dtypes); i++)
        if (!strcmp(dtypes[i].name, name))
            return (int)i;
    return -1;
}

/* ---- the header ------------------------------------------------------------------------- */

static bool PRINTF_LIKE(4, 5)
    fail(WeightsFile *f, const Json *at, const char *tensor, const char *fmt, ...)
{
    Text t = text_new(f->arena);
    if (tensor)
        text_printf(&t, "tensor '%s': ", text_printable(f->arena, tensor));
    va_list args;
    va_start(args, fmt);
    text_vprintf(&t, fmt, args);
    va_end(args);
    diag_error(f->diag, (Span){.source = f->source, .at = at}, "%s", t.data);
    return false;
}

/* read_count - the number of elements of a shape. */
static bool read_count(WeightsFile *f, Entry *e)
{
    e->count = 1;
    for (size_t i = 0; i < e->shape->n_items; i++) {
        const Json *dim = &e->shape->items[i];
        int64_t     v;
        if (!json_int(dim, &v) || v < 0)
            return fail(f, dim, e->name, "a dimension must be an integer >= 0");
        if (!mul_ok(e->count, v, &e->count))
            return fail(f, e->shape, e->name, "the shape has more than 2^63 elements");
    }
    return true;
}

static bool read_offsets(WeightsFile *f, Entry *e, const Json *offsets)
{
    if (offsets->n_items != 2 || !json_int(&offsets->items[0], &e->begin) ||
        !json_int(&offsets->items[1], &e->end))
        return fail(f, offsets, e->name, "data_offsets must be two integers");
    if (e->begin < 0 || e->end < e->begin)
        return fail(f, offsets, e->name, "data_offsets must be 0 <= begin <= end");
    if ((uint64_t)e->end > f->data.len)
        return fail(f, offsets, e->name,
                    "data_offsets end at byte %lld, but the file has %zu bytes of data",
                    (long long)e->end, f->data.len);
    return true;
}

static bool read_entry(WeightsFile *f, const Json *j, Entry *e)
{
    static const JsonKind    kinds[] = {JSON_STRING, JSON_ARRAY, JSON_ARRAY};
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    const Json              *members[COUNT_OF(keys)];
    *e = (Entry){.name = j->key, .at = j};
    if (j->kind != JSON_OBJECT)
        return fail(f, j, j->key, "expected an object, got %s", json_kind_name(j->kind));
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        members[i] = json_get(j, keys[i]);
        if (!members[i] || members[i]->kind != kinds[i])
            return fail(f, members[i] ? members[i] : j, j->key, "%s must be %s", keys[i],
                        json_kind_name(kinds[i]));
    }
    if (j->n_items != COUNT_OF(keys))
        return fail(f, j, j->key, "expected dtype, shape and data_offsets alone");
    e->dtype = members[0]->string;
    e->shape = members[1];
    int dtype = dtype_find(e->dtype);
    if (dtype < 0)
        return fail(f, members[0], e->name, "unknown dtype '%s'",
                    text_printable(f->arena, e->dtype));
    if (!read_count(f, e) || !read_offsets(f, e, members[2]))
        return false;
    int64_t bytes;
    if (!mul_ok(e->count, dtypes[dtype].bytes, &bytes) || bytes != e->end - e->begin)
        return fail(f, j, e->name, "%lld elements of %s do not take the %lld bytes of data_offsets",
                    (long long)e->count, e->dtype, (long long)(e->end - e->begin));
    return true;
}

static int by_place(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end)
        return x->end < y->end ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

/* check_cover - each byte of the data belongs to exactly one tensor. */
static bool check_cover(WeightsFile *f, const Json *root)
{
    int64_t covered = 0;
    if (f->n)
        qsort(f->entries, f->n, sizeof *f->entries, by_place);
    for (size_t i = 0; i < f->n; i++) {
        const Entry *e = &f->entries[i];
        if (e->begin < covered) /* covered > 0 says that there is an entry before */
            return fail(f, e->at, e->name, "its data overlaps that of tensor '%s'",
                        text_printable(f->arena, f->entries[i - 1].name));
        if (e->begin > covered)
            return fail(f, e->at, e->name, "%lld bytes before its data belong to no tensor",
                        (long long)(e->begin - covered));
        covered = e->end;
    }
    if ((uint64_t)covered != f->data.len)
        return fail(f, root, NULL, "%lld bytes at the end of the file belong to no tensor",
                    (long long)f->data.len - (long long)covered);
    if (f->n)
        qsort(f->entries, f->n, sizeof *f->entries, by_name);
    return true;
}

static bool read_table(WeightsFile *f, const Json *root)
{
    bool ok = true;
    if (root->kind != JSON_OBJECT)
        return fail(f, root, NULL, "the header must be an object, got %s",
                    json_kind_name(root->kind));
    f->entries = arena_array(f->arena, Entry, root->n_items);
    for (size_t i = 0; i < root->n_items; i++) {
        const Json *j = &root->items[i];
        if (strcmp(j->key, "__metadata__")) {
            ok = read_entry(f, j, &f->entries[f->n++]) && ok;
            continue;
        }
        for (size_t k = 0; k < j->n_items; k++)
            if (j->items[k].kind != JSON_STRING)
                ok = fail(f, &j->items[k], NULL, "metadata must be strings");
        if (j->kind != JSON_OBJECT)
            ok = fail(f, j, NULL, "metadata must be an object");
    }
    return ok && check_cover(f, root);
}

/* header_bytes - the number the file starts with, checked against the file. */
static bool header_bytes(WeightsFile *f, Bytes file, size_t *out)
{
    uint64_t n = 0;
    if (file.len < PREFIX_BYTES)
        return fail(f, NULL, NULL, "not a safetensors file: it has only %zu bytes", file.len);
    for (int i = 0; i < PREFIX_BYTES; i++)
        n |= (uint64_t)file.data[i] << 8 * i;
    if (n > file.len - PREFIX_BYTES)
        return fail(f, NULL, NULL,
                    "not a safetensors file, or cut short: a header of %llu bytes in a file of %zu",
                    (unsigned long long)n, file.len);
    if (n > max_header_bytes)
        return fail(f, NULL, NULL, "the header of %llu bytes is longer than 100 MB",
                    (unsigned long long)n);
    if (n == 0 || file.data[PREFIX_BYTES] != '{')
        return fail(f, NULL, NULL, "not a safetensors file: its header must start with '{'");
    *out = (size_t)n;
    return true;
}

WeightsFile *safetensors_open(Arena *a, Diag *d, const char *path)
{
    Bytes  file;
    size_t n = 0;
    if (!file_map(d, path, &file))
        return NULL;
    WeightsFile *f = arena_struct(a, WeightsFile);
    f->arena = a;
    f->diag = d;
    f->source = arena_struct(a, Source);
    f->source->path = arena_strdup(a, path);
    if (!header_bytes(f, file, &n))
        return NULL;
    f->source->text = (const char *)file.data + PREFIX_BYTES;
    f->source->len = n;
    f->data = (Bytes){file.data + PREFIX_BYTES + n, file.len - PREFIX_BYTES - n};
    const Json *root = json_parse(a, d, f->source);
    return root && read_table(f, root) ? f : NULL;
}

/* ---- contents --------------------------------------------------------------------------- */

static Entry *entry_find(const WeightsFile *f, const char *name)
{
    Entry key = {.name = name};
    return f->n ? bsearch(&key, f->entries, f->n, sizeof key, by_name) : NULL;
}

static bool entry_type(WeightsFile *f, const Entry *e, Elem elem, Type *out)
{
    int64_t dims[MAX_RANK] = {0};
    size_t  rank = e->shape->n_items;
    if (elem == ELEM_POISON)
        return fail(f, e->at, e->name, "kiln does not take %s: use F32, F16, BF16, I8, U8 or I32",
                    e->dtype);
    if (rank > MAX_RANK)
        return fail(f, e->shape, e->name, "at most %d dimensions, got %zu", MAX_RANK, rank);
    if (e->count == 0)
        return fail(f, e->shape, e->name, "a tensor without elements");
    for (size_t i = 0; i < rank; i++)
        dims[i] = (int64_t)e->shape->items[i].number;
    *out = type_plain(elem, (int)rank, dims);
    return true;
}

/* copy_elements - contents in an aligned place and the machine's byte order. */
static const void *copy_elements(WeightsFile *f, const unsigned char *from, int64_t count,
                                 size_t size)
{
    unsigned char *to = arena_array_(f->arena, (size_t)count, size);
    memcpy(to, from, (size_t)count * size);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    for (int64_t i = 0; i < count; i++)
        for (size_t low = 0, high = size - 1; low < high; low++, high--) {
            unsigned char byte = to[i * size + low];
            to[i * size + low] = to[i * size + high];
            to[i * size + high] = byte;
        }
#endif
    return to;
}

/* elements - the entry's contents as an array of its element type. */
static const void *elements(WeightsFile *f, const Entry *e, size_t size)
{
    const unsigned char *from = f->data.data + e->begin;
    bool                 little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    if ((little && (uintptr_t)from % size == 0) || size == 1)
        return from;
    return copy_elements(f, from, e->count, size);
}

static const Tensor *narrow_i64(WeightsFile *f, const Entry *e, const Type *type)
{
    const int64_t *from = elements(f, e, sizeof *from);
    Tensor        *t = tensor_new(f->arena, I32, type->rank, type->dims);
    for (int64_t i = 0; i < e->count; i++) {
        if (from[i] < INT32_MIN || from[i] > INT32_MAX) {
            fail(f, e->at, e->name, "element %lld, %lld, does not fit I32", (long long)i,
                 (long long)from[i]);
            return NULL;
        }
        tensor_set(t, i, (double)from[i]);
    }
    return t;
}

/* check_finite - NaN and infinity in weights are damage, and C has no plain way to write them. */
static bool check_finite(WeightsFile *f, const Entry *e, const Tensor *t)
{
    const float *v = t->data;
    for (int64_t i = 0; i < e->count; i++)
        if (!isfinite(v[i]))
            return fail(f, e->at, e->name, "element %lld is %s", (long long)i,
                        isnan(v[i]) ? "NaN" : "infinite");
    return true;
}

static const Tensor *load(WeightsFile *f, const Entry *e)
{
    int  dtype = dtype_find(e->dtype);
    Type type = {0};
    if (!entry_type(f, e, dtypes[dtype].elem, &type))
        return NULL;
    if (!strcmp(e->dtype, "I64"))
        return narrow_i64(f, e, &type);
    Tensor *t = arena_struct(f->arena, Tensor);
    t->type = type;
    t->data = elements(f, e, elem_bytes(type.elem));
    if (!elem_is_float(type.elem))
        return t;
    const Tensor *wide = tensor_as_f32(f->arena, t);
    return check_finite(f, e, wide) ? wide : NULL;
}

const Tensor *safetensors_find(WeightsFile *f, const char *name)
{
    Entry *e = entry_find(f, name);
    if (!e || e->failed)
        return NULL;
    if (!e->tensor) {
        e->tensor = load(f, e);
        e->failed = !e->tensor;
    }
    return e->tensor;
}

bool safetensors_has(const WeightsFile *f, const char *name)
{
    return entry_find(f, name);
}

void safetensors_guess(const WeightsFile *f, Guess *g)
{
    for (size_t i = 0; i < f->n; i++)
        guess_try(g, f->entries[i].name);
}
