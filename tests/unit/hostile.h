/* hostile.h - what tests with damaged model files share: a file in the making, and the judgement. Each file
 * ends as a sound graph or as at least one error; the sanitizers look on. */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "check.h"
#include "passes/passes.h"

#include <math.h>
#include <string.h>

enum { MOST_BYTES = 8192 };

typedef struct Blob {
    size_t len;
    char   data[MOST_BYTES];
} Blob;

/* splice - replace `n` bytes at `at` by a text. */
static inline void splice(Blob *b, size_t at, size_t n, const char *with, size_t n_with)
{
    if (b->len - n + n_with > MOST_BYTES)
        return;
    memmove(b->data + at + n_with, b->data + at + n, b->len - at - n);
    memcpy(b->data + at, with, n_with);
    b->len = b->len - n + n_with;
}

static inline void write_blob(const char *path, const Blob *b)
{
    FILE *f = fopen(path, "wb");
    if (!CHECK(f && fwrite(b->data, 1, b->len, f) == b->len))
        return;
    fclose(f);
}

/* touch - read every constant from end to end: none may point past its file. */
static inline double touch(const Graph *g)
{
    double sum = 0;
    for (ValueId v = 1; v < g->n_values; v++) {
        const Tensor *t = value_get(g, v)->constant;
        for (int64_t i = 0; t && i < type_count(&t->type); i++)
            sum += tensor_get(t, i);
    }
    return sum;
}

typedef enum { ACCEPTED, REFUSED, MISHANDLED } Outcome;

/* all_printable - messages are plain text, whatever the file says. File names are shown as they
 * are, and may hold more than ASCII. */
static inline bool all_printable(const char *s)
{
    while (*s == '\n' || (*s >= 0x20 && *s != 0x7f) || *s & 0x80)
        s++;
    return !*s;
}

/* is_sound - whether shapes are found for the graph that was read, or an error is. */
static inline bool is_sound(Graph *g, const Diag *d)
{
    Text why = text_new(g->arena);
    if (diag_status(d) != 0 || !graph_verify(g, false, &why) || !isfinite(touch(g)))
        return false;
    pass_infer_shapes(g, &(PassContext){0});
    return diag_status(d) != 0 || graph_verify(g, true, &why);
}

/* judge - a sound graph, or at least one error; all else is a mistake. The arena goes with the graph. */
static inline Outcome judge(Arena *a, Diag *d, Graph *g)
{
    static char messages[1 << 16];
    FILE       *out = fmemopen(messages, sizeof messages, "w");
    bool        handled = g ? is_sound(g, d) : diag_status(d) != 0;
    Outcome     outcome = diag_status(d) ? REFUSED : ACCEPTED;
    diag_print(d, out);
    fclose(out);
    arena_free(a);
    return handled && all_printable(messages) ? outcome : MISHANDLED;
}

#endif
