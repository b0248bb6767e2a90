/* literal.c - any bytes as one C string literal.
 *
 * Printable characters stand for themselves, others are the shortest escape. The literal is cut
 * into quoted pieces, one a line, which the compiler joins. */
#include "emit/emit.h"

#include <string.h>

/* Two pieces fill one of gcc's 8000-byte buffers for tokens; a little longer, and each takes one of
 * its own, which is 5 bytes of memory for each byte of weights. */
enum { PIECE = 3968, LONGEST_ESCAPE = 4 };

/* How a byte is written can depend on the next one, so each waits for it. */
struct Literal {
    OutFile *f;
    char     text[PIECE + 2 * LONGEST_ESCAPE];
    size_t   n;
    int      waiting; /* -1: none */
    bool     after_question;
};

Literal *literal_new(Arena *a, OutFile *f)
{
    Literal *l = arena_struct(a, Literal);
    l->f = f;
    l->waiting = -1;
    return l;
}

/* escape_of - the two characters behind which C hides some bytes; NULL: none for this one. */
static const char *escape_of(int c)
{
    switch (c) {
    case '\a': return "\\a";
    case '\b': return "\\b";
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\v': return "\\v";
    case '\f': return "\\f";
    case '\r': return "\\r";
    case '"': return "\\\"";
    case '\\': return "\\\\";
    default: return NULL;
    }
}

static void put_octal(Literal *l, int c, bool whole)
{
    l->text[l->n++] = '\\';
    if (whole || c >= 64)
        l->text[l->n++] = (char)('0' + (c >> 6));
    if (whole || c >= 8)
        l->text[l->n++] = (char)('0' + (c >> 3 & 7));
    l->text[l->n++] = (char)('0' + (c & 7));
}

/* put_char - byte `c`, `next` behind it (-1: nothing). An octal escape ends with its third
 * digit, or before what is no octal digit. A question mark behind another is escaped, whether that
 * one is or not: `??` could begin a trigraph, which is looked for before escapes are. */
static void put_char(Literal *l, int c, int next)
{
    const char *escape = escape_of(c);
    if (escape || (c == '?' && l->after_question)) {
        memcpy(l->text + l->n, escape ? escape : "\\?", 2);
        l->n += 2;
    } else if (c >= 0x20 && c < 0x7f) {
        l->text[l->n++] = (char)c;
    } else {
        put_octal(l, c, next >= '0' && next <= '7');
    }
    l->after_question = c == '?';
}

static void end_piece(Literal *l)
{
    memcpy(l->text + l->n, "\"\n", 2);
    file_write(l->f, l->text, l->n + 2);
    l->n = 0;
    l->after_question = false;
}

void literal_bytes(Literal *l, const void *bytes, size_t n)
{
    const unsigned char *b = bytes;
    for (size_t i = 0; i < n; i++) {
        if (l->waiting >= 0)
            put_char(l, l->waiting, b[i]);
        if (l->n >= PIECE)
            end_piece(l);
        if (l->n == 0)
            l->text[l->n++] = '"';
        l->waiting = b[i];
    }
}

void literal_end(Literal *l)
{
    if (l->n == 0)
        l->text[l->n++] = '"';
    if (l->waiting > 0)
        put_char(l, l->waiting, -1);
    end_piece(l);
}
