/* diag.c - errors, warnings and notes, each with its place in the model file. */
#include "base/base.h"

#include <string.h>

typedef struct Message {
    struct Message *next;
    const char     *text;
} Message;

struct Diag {
    Arena   *arena;
    Message *first, **end;
    int      n_errors; /* all of them, kept or not */
    int      n_warnings;
    bool     machine;   /* at least one is the machine's fault */
    bool     last_kept; /* notes share the fate of what they follow */
    bool     said_more; /* "more errors" was printed */
};

Diag *diag_new(Arena *a)
{
    Diag *d = arena_struct(a, Diag);
    d->arena = a;
    d->end = &d->first;
    d->last_kept = true;
    return d;
}

static void keep(Diag *d, const char *text)
{
    Message *m = arena_struct(d->arena, Message);
    m->text = text;
    *d->end = m;
    d->end = &m->next;
}

/* add_line_column - ":LINE:COL" of a byte offset, both counted from 1, the column in bytes. */
static void add_line_column(Text *t, const Source *source, size_t offset)
{
    size_t line = 1, line_start = 0;
    if (offset > source->len)
        offset = source->len;
    for (const char *s = source->text, *stop = s + offset; s < stop;) {
        const char *newline = memchr(s, '\n', (size_t)(stop - s));
        if (!newline)
            break;
        line++;
        s = newline + 1;
        line_start = (size_t)(s - source->text);
    }
    text_printf(t, ":%zu:%zu", line, offset - line_start + 1);
}

/* add_place - "FILE:LINE:COL: " as far as it is known; the program's name where nothing is. */
static void add_place(Text *t, Span where)
{
    if (!where.source) {
        text_add(t, "kiln: ");
        return;
    }
    text_add(t, where.source->path);
    if (where.source->text && where.at)
        add_line_column(t, where.source, where.at->offset);
    text_add(t, ": ");
}

static void add_pointer(Text *t, Span where)
{
    const char *pointer = where.at ? json_pointer(t->arena, where.at) : where.pointer;
    if (pointer && *pointer)
        text_printf(t, "%s: ", text_printable(t->arena, pointer));
}

static void PRINTF_LIKE(4, 0) say(Diag *d, DiagKind kind, Span where, const char *fmt, va_list args)
{
    static const char *const words[] = {[DIAG_NOTE] = "note",
                                        [DIAG_WARNING] = "warning",
                                        [DIAG_ERROR] = "error",
                                        [DIAG_SYSTEM] = "error"};
    Text                     t = text_new(d->arena);
    add_place(&t, where);
    text_printf(&t, "%s: ", words[kind]);
    add_pointer(&t, where);
    text_vprintf(&t, fmt, args);
    keep(d, t.data);
}

void diag_error(Diag *d, Span where, const char *fmt, ...)
{
    d->last_kept = d->n_errors < DIAG_MAX_ERRORS;
    d->n_errors++;
    if (!d->last_kept)
        return;
    va_list args;
    va_start(args, fmt);
    say(d, DIAG_ERROR, where, fmt, args);
    va_end(args);
}

/* Warnings have the same limit as errors: a hostile file earns no flood. */
void diag_warning(Diag *d, Span where, const char *fmt, ...)
{
    d->last_kept = d->n_warnings < DIAG_MAX_ERRORS;
    d->n_warnings++;
    if (!d->last_kept)
        return;
    va_list args;
    va_start(args, fmt);
    say(d, DIAG_WARNING, where, fmt, args);
    va_end(args);
}

void diag_note(Diag *d, Span where, const char *fmt, ...)
{
    if (!d->last_kept)
        return;
    va_list args;
    va_start(args, fmt);
    say(d, DIAG_NOTE, where, fmt, args);
    va_end(args);
}

void diag_system(Diag *d, const char *fmt, ...)
{
    d->machine = true;
    d->last_kept = d->n_errors < DIAG_MAX_ERRORS;
    d->n_errors++;
    if (!d->last_kept)
        return;
    va_list args;
    va_start(args, fmt);
    say(d, DIAG_SYSTEM, (Span){0}, fmt, args);
    va_end(args);
}

bool diag_full(const Diag *d)
{
    return d->n_errors >= DIAG_MAX_ERRORS;
}

int diag_errors(const Diag *d)
{
    return d->n_errors;
}

int diag_status(const Diag *d)
{
    if (d->machine)
        return 3;
    return d->n_errors ? 1 : 0;
}

void diag_print(Diag *d, FILE *out)
{
    for (const Message *m = d->first; m; m = m->next)
        fprintf(out, "%s\n", m->text);
    d->first = NULL;
    d->end = &d->first;
    if (d->n_errors > DIAG_MAX_ERRORS && !d->said_more) {
        fprintf(out, "kiln: note: only the first %d errors are shown\n", DIAG_MAX_ERRORS);
        d->said_more = true;
    }
}
