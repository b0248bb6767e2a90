/* arena.c - memory that is handed out in pieces and released as a whole. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer every block is its own allocation, so that the sanitizer sees each end. */
#if defined(__SANITIZE_ADDRESS__)
#define FIRST_CHUNK_BYTES 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIRST_CHUNK_BYTES 0
#endif
#endif
#ifndef FIRST_CHUNK_BYTES
#define FIRST_CHUNK_BYTES ((size_t)16 << 10)
#endif
#define LAST_CHUNK_BYTES ((size_t)1 << 20)
#define BLOCK_ALIGN      ((size_t)16)

/* A chunk's blocks follow its header, which takes a multiple of BLOCK_ALIGN. */
typedef struct Chunk {
    struct Chunk *next;
    size_t        used, size; /* bytes behind the header */
} Chunk;

#define HEADER_BYTES ((sizeof(Chunk) + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN)

struct Arena {
    Chunk *chunks;      /* the one being filled is first */
    size_t chunk_bytes; /* size of the next one */
    size_t total;
};

static void (*out_of_memory_hook)(void);

void arena_on_out_of_memory(void (*hook)(void))
{
    out_of_memory_hook = hook;
}

static void out_of_memory(void)
{
    if (out_of_memory_hook)
        out_of_memory_hook();
    abort();
}

Arena *arena_new(void)
{
    Arena *a = calloc(1, sizeof *a);
    if (!a)
        out_of_memory();
    a->chunk_bytes = FIRST_CHUNK_BYTES;
    return a;
}

void arena_free(Arena *a)
{
    if (!a)
        return;
    for (Chunk *c = a->chunks; c;) {
        Chunk *next = c->next;
        free(c);
        c = next;
    }
    free(a);
}

/* calloc gives large chunks straight from the system, zero and untouched: memory that is never
 * written costs nothing. */
static Chunk *chunk_new(size_t size)
{
    Chunk *c = size <= SIZE_MAX - HEADER_BYTES ? calloc(1, HEADER_BYTES + size) : NULL;
    if (!c)
        out_of_memory();
    c->size = size;
    return c;
}

void *arena_alloc(Arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        out_of_memory();
    size_t size = (bytes + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN;
    if (FIRST_CHUNK_BYTES == 0)
        size = bytes;
    a->total += bytes;
    Chunk *c = a->chunks;
    if (!c || c->size - c->used < size) {
        if (size >= a->chunk_bytes / 4) { /* its own chunk, behind the one being filled */
            Chunk *own = chunk_new(size);
            own->used = size;
            own->next = c ? c->next : NULL;
            *(c ? &c->next : &a->chunks) = own;
            return (char *)own + HEADER_BYTES;
        }
        Chunk *fresh = chunk_new(a->chunk_bytes);
        fresh->next = c;
        a->chunks = c = fresh;
        if (a->chunk_bytes < LAST_CHUNK_BYTES)
            a->chunk_bytes *= 2;
    }
    void *block = (char *)c + HEADER_BYTES + c->used;
    c->used += size;
    return block;
}

void *arena_array_(Arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory();
    return arena_alloc(a, count * size);
}

char *arena_strndup(Arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);
    memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(Arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        return arena_strdup(a, "");
    char *s = arena_alloc(a, (size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, args);
    va_end(args);
    return s;
}

void *arena_grow(Arena *a, void *items, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return items;
    size_t wanted = count < 8 ? 8 : 2 * count; /* count <= memory / size, so this cannot wrap */
    void  *grown = arena_array_(a, wanted, size);
    if (items && *cap)
        memcpy(grown, items, *cap * size);
    *cap = wanted;
    return grown;
}

size_t arena_bytes(const Arena *a)
{
    return a->total;
}
