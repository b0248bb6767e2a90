/* blob.c - the constants of a program, one behind the other, equal contents once.
 *
 * Contents stay views of the model's tensors and are evaluated whenever they are needed, in
 * pieces: the blob costs no memory of its own. Equality is found by hash and proven by
 * comparing. */
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
    bool       has_odd_numbers;
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

static bool has_odd(const float *v, int64_t n)
{
    uint32_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &v[i], sizeof bits);
        bits &= 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    return most >= 0x7f800000u;
}

static int64_t piece_size(const Buffer *buffer, int64_t at)
{
    return buffer->count - at < PIECE ? buffer->count - at : PIECE;
}

static uint64_t hash_contents(Blob *b, const Buffer *buffer, void *piece)
{
    uint64_t h = mix((uint64_t)buffer->elem, (uint64_t)buffer->count);
    for (int64_t at = 0, n; at < buffer->count; at += n) {
        n = piece_size(buffer, at);
        view_read(buffer, at, n, piece);
        h = hash_bytes(h, piece, (size_t)n * elem_bytes(buffer->elem));
        b->has_odd_numbers |= buffer->elem == F32 && has_odd(piece, n);
    }
    return h;
}

static bool same_contents(const Buffer *x, const Buffer *y, void *piece_x, void *piece_y)
{
    if (x->elem != y->elem || x->count != y->count)
        return false;
    for (int64_t at = 0, n; at < x->count; at += n) {
        n = piece_size(x, at);
        view_read(x, at, n, piece_x);
        view_read(y, at, n, piece_y);
        if (memcmp(piece_x, piece_y, (size_t)n * elem_bytes(x->elem)) != 0)
            return false;
    }
    return true;
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
    Arena *scratch = arena_new();
    void  *piece = arena_array(scratch, float, PIECE), *other = arena_array(scratch, float, PIECE);
    uint64_t hash = hash_contents(b, buffer, piece);
    int64_t  offset = -1;
    for (size_t at = hash & (b->n_slots - 1); b->slots[at]; at = (at + 1) & (b->n_slots - 1)) {
        const BlobEntry *e = &b->entries[b->slots[at] - 1];
        if (e->hash == hash && same_contents(&e->buffer, buffer, piece, other)) {
            offset = e->offset;
            break;
        }
    }
    arena_free(scratch);
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
    view_read(&e->buffer, e->buffer.count - 1, 1, last);
    return last[size - 1] == 0;
}

bool blob_has_odd_numbers(const Blob *b)
{
    return b->has_odd_numbers;
}

uint64_t blob_hash(const Blob *b)
{
    uint64_t h = (uint64_t)b->bytes;
    for (size_t i = 0; i < b->n; i++)
        h = mix(h, b->entries[i].hash);
    return h;
}

void blob_each(const Blob *b, void (*piece)(void *ctx, const void *bytes, size_t n), void *ctx)
{
    Arena *scratch = arena_new();
    void  *bytes = arena_array(scratch, float, PIECE);
    for (size_t i = 0; i < b->n; i++) {
        const Buffer *buffer = &b->entries[i].buffer;
        size_t        size = elem_bytes(buffer->elem);
        for (int64_t at = 0, n; at < buffer->count; at += n) {
            n = piece_size(buffer, at);
            view_read(buffer, at, n, bytes);
            piece(ctx, bytes, (size_t)n * size);
        }
        int64_t next = i + 1 < b->n ? b->entries[i + 1].offset : b->bytes;
        int64_t padding = next - b->entries[i].offset - buffer->count * (int64_t)size;
        memset(bytes, 0, (size_t)padding);
        piece(ctx, bytes, (size_t)padding);
    }
    arena_free(scratch);
}
