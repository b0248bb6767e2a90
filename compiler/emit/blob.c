/* blob.c - the constants of a program, one behind the other, equal contents once.
 *
 * Contents stay views of the model's tensors and are evaluated when they are written, in pieces: the blob costs no
 * memory of its own. Equality is found by a hash of the tensors behind the views, which is read once and in order,
 * and proven by comparing. */
#include "emit/emit.h"

#include <string.h>

enum { PIECE = 1 << 16 }; /* elements evaluated at a time */

struct Blob {
    Arena     *arena;
    int64_t    align, bytes;
    int64_t    count[F64 + 1]; /* elements of each type, padding included */
    BlobEntry *entries;
    size_t     n, cap;
    uint32_t  *slots; /* hash table: position + 1 */
    size_t     n_slots;
};

Blob *blob_new(Arena *a, int64_t align)
{
    Blob *b = arena_struct(a, Blob);
    b->arena = a;
    b->align = align;
    b->n_slots = 64;
    b->slots = arena_array(a, uint32_t, b->n_slots);
    return b;
}

/* ---- contents ---------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t hash_bytes(uint64_t h, const unsigned char *bytes, size_t n)
{
    uint64_t word = 0;
    for (; n >= 8; bytes += 8, n -= 8) {
        memcpy(&word, bytes, 8);
        h = mix(h, word);
    }
    word = n;
    for (size_t i = 0; i < n; i++)
        word = word << 8 | bytes[i];
    return mix(h, word);
}

static int64_t piece_size(const Buffer *buffer, int64_t at)
{
    return buffer->count - at < PIECE ? buffer->count - at : PIECE;
}

/* How contents are made from the numbers of the tensor behind them. */
typedef struct Recipe {
    int64_t at[13 + 2 * MAX_TERMS + 2 * MAX_RANK];
    size_t  n;
} Recipe;

static void recipe_add(Recipe *r, const int64_t *numbers, int n)
{
    memcpy(r->at + r->n, numbers, (size_t)n * sizeof *numbers);
    r->n += (size_t)n;
}

static Recipe recipe_of(const Buffer *b)
{
    const View *v = &b->view;
    const Type *source = &view_source(v)->type, *t = &v->tensor->type;
    int64_t     fill,
        own[] = {(int64_t)b->elem, b->count,        source->rank,       (int64_t)source->elem,
                 v->n_dims,        v->offset,       v->winograd.m,      v->winograd.k,
                 v->turned_group,  v->turned_lanes, v->winograd.stride, v->block};
    Recipe r = {.n = 0};
    memcpy(&fill, &v->fill, sizeof fill);
    recipe_add(&r, &fill, 1);
    recipe_add(&r, own, (int)COUNT_OF(own));
    recipe_add(&r, source->dims, source->rank);
    recipe_add(&r, v->padded, t->rank);
    recipe_add(&r, v->extent, v->n_dims);
    recipe_add(&r, v->stride, v->n_dims);
    return r;
}

static size_t source_bytes(const Tensor *t)
{
    return (size_t)type_count(&t->type) * elem_bytes(t->type.elem);
}

/* hash_source - of the tensor's numbers, and of how many the contents are. */
static uint64_t hash_source(const Buffer *b)
{
    const Tensor *t = view_source(&b->view);
    uint64_t      h = mix((uint64_t)b->elem, (uint64_t)b->count);
    return hash_bytes(h, t->data, source_bytes(t));
}

static bool same_read(const Buffer *x, const Buffer *y)
{
    Arena *scratch = arena_new();
    void  *piece_x = arena_array(scratch, float, PIECE);
    void  *piece_y = arena_array(scratch, float, PIECE);
    bool   same = true;
    for (int64_t at = 0, n; same && at < x->count; at += n) {
        n = piece_size(x, at);
        view_read(x, at, n, piece_x);
        view_read(y, at, n, piece_y);
        same = memcmp(piece_x, piece_y, (size_t)n * elem_bytes(x->elem)) == 0;
    }
    arena_free(scratch);
    return same;
}

/* same_contents - of two buffers whose tensors are likely to be the same. False may be wrong for transformed
 * filters. */
static bool same_contents(const Buffer *x, const Buffer *y)
{
    Recipe        how_x = recipe_of(x), how_y = recipe_of(y);
    const Tensor *of_x = view_source(&x->view), *of_y = view_source(&y->view);
    if (how_x.n == how_y.n && !memcmp(how_x.at, how_y.at, how_x.n * sizeof *how_x.at))
        return of_x->data == of_y->data || !memcmp(of_x->data, of_y->data, source_bytes(of_x));
    return x->elem == y->elem && x->count == y->count && !x->view.plain && !y->view.plain &&
           same_read(x, y);
}

/* ---- adding ------------------------------------------------------------------------------ */

static void place_slot(Blob *b, size_t entry)
{
    size_t at = b->entries[entry].hash & (b->n_slots - 1);
    while (b->slots[at])
        at = (at + 1) & (b->n_slots - 1);
    b->slots[at] = (uint32_t)entry + 1;
}

static void add_entry(Blob *b, const Buffer *buffer, uint64_t hash)
{
    b->entries = arena_grow(b->arena, b->entries, b->n, &b->cap, sizeof *b->entries);
    BlobEntry *e = &b->entries[b->n++];
    int64_t    size = (int64_t)elem_bytes(buffer->elem);
    int64_t    bytes = (buffer->count * size + b->align - 1) / b->align * b->align;
    *e = (BlobEntry){*buffer, hash, b->bytes, b->count[buffer->elem]};
    b->bytes += bytes;
    b->count[buffer->elem] += bytes / size;
    if (2 * b->n > b->n_slots) {
        b->n_slots *= 2;
        b->slots = arena_array(b->arena, uint32_t, b->n_slots);
        for (size_t i = 0; i < b->n; i++)
            place_slot(b, i);
    } else {
        place_slot(b, b->n - 1);
    }
}

int64_t blob_add(Blob *b, const Buffer *buffer)
{
    uint64_t hash = hash_source(buffer);
    int64_t  offset = -1;
    for (size_t at = hash & (b->n_slots - 1); b->slots[at]; at = (at + 1) & (b->n_slots - 1)) {
        const BlobEntry *e = &b->entries[b->slots[at] - 1];
        if (e->hash == hash && same_contents(&e->buffer, buffer)) {
            offset = e->offset;
            break;
        }
    }
    if (offset < 0) {
        offset = b->bytes;
        add_entry(b, buffer, hash);
    }
    return offset;
}

void blob_keep(Blob *b, const Tensor *t)
{
    b->entries[b->n - 1].buffer.view.tensor = t;
}

/* ---- reading ----------------------------------------------------------------------------- */

int64_t blob_bytes(const Blob *b)
{
    return b->bytes;
}

int64_t blob_count(const Blob *b, Elem e)
{
    return b->count[e];
}

int blob_n_entries(const Blob *b)
{
    return (int)b->n;
}

const BlobEntry *blob_entry(const Blob *b, int i)
{
    return &b->entries[i];
}

const BlobEntry *blob_at(const Blob *b, int64_t offset)
{
    size_t low = 0, high = b->n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (b->entries[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return &b->entries[low];
}

bool blob_ends_with_zero(const Blob *b)
{
    const BlobEntry *e = b->n ? &b->entries[b->n - 1] : NULL;
    unsigned char    last[8] = {0};
    size_t           size = e ? elem_bytes(e->buffer.elem) : 0;
    if (!e || e->offset + e->buffer.count * (int64_t)size < b->bytes)
        return true;
    Arena *scratch = arena_new();
    Buffer made = view_made(scratch, &e->buffer);
    view_read(&made, made.count - 1, 1, last);
    arena_free(scratch);
    return last[size - 1] == 0;
}

static void look_for_odd(void *ctx, const BlobEntry *e, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    uint32_t             most = 0, bits;
    for (; e->buffer.elem == F32 && n >= sizeof bits; at += sizeof bits, n -= sizeof bits) {
        memcpy(&bits, at, sizeof bits);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    *(bool *)ctx |= most >= 0x7f800000u;
}

bool blob_has_odd_numbers(const Blob *b)
{
    bool has = false;
    blob_each(b, look_for_odd, &has);
    return has;
}

uint64_t blob_hash(const Blob *b)
{
    uint64_t h =
        hash_bytes((uint64_t)b->bytes, (const unsigned char *)KILN_VERSION, sizeof KILN_VERSION);
    for (size_t i = 0; i < b->n; i++) {
        Recipe how = recipe_of(&b->entries[i].buffer);
        h = hash_bytes(h, (const unsigned char *)how.at, how.n * sizeof *how.at);
        h = mix(h, b->entries[i].hash);
    }
    return h;
}

void blob_each(const Blob *b, BlobPiece *piece, void *ctx)
{
    for (size_t i = 0; i < b->n; i++) {
        const BlobEntry *e = &b->entries[i];
        Arena           *scratch = arena_new();
        Buffer           buffer = view_made(scratch, &e->buffer);
        void            *bytes = arena_array(scratch, float, PIECE);
        size_t           size = elem_bytes(buffer.elem);
        for (int64_t at = 0, n; at < buffer.count; at += n) {
            n = piece_size(&buffer, at);
            view_read(&buffer, at, n, bytes);
            piece(ctx, e, bytes, (size_t)n * size);
        }
        int64_t next = i + 1 < b->n ? e[1].offset : b->bytes;
        int64_t padding = next - e->offset - buffer.count * (int64_t)size;
        memset(bytes, 0, (size_t)padding);
        piece(ctx, e, bytes, (size_t)padding);
        arena_free(scratch);
    }
}
