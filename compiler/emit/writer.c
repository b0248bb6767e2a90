/* writer.c - lines of C: indentation, wrapping at the 100th column, comments.
 *
 * A line that is too long is broken at a space, best behind a comma, never inside a string, and
 * goes on one level deeper. Preprocessor lines are left alone. */
#include "emit/emit.h"

#include <string.h>

enum { WIDTH = 100, INDENT = 4 };

/* is_sum - whether the operator behind the space at `s` binds loosely: a line may well begin
 * with it. */
static bool is_sum(const char *s)
{
    return !strncmp(s, " + ", 3) || !strncmp(s, " - ", 3) || !strncmp(s, " && ", 4);
}

/* find_break - where to cut `s`, whose first `room` characters fit: behind the last comma, else
 * before a sum's operator, else at the last space, of those outside strings; the space itself is
 * dropped. 0: nowhere. */
static size_t find_break(const char *s, size_t room)
{
    size_t space = 0, sum = 0, comma = 0;
    char   quote = 0;
    for (size_t i = 0; s[i] && i <= room; i++) {
        if (quote) {
            if (s[i] == '\\' && s[i + 1])
                i++;
            else if (s[i] == quote)
                quote = 0;
        } else if (s[i] == '"' || s[i] == '\'') {
            quote = s[i];
        } else if (s[i] == ' ' && i) {
            space = i;
            comma = s[i - 1] == ',' ? i : comma;
            sum = is_sum(s + i) ? i : sum;
        }
    }
    return comma > room / 2 ? comma : sum > room / 2 ? sum : space;
}

static void add_line(Writer *w, int indent, const char *s, size_t n)
{
    text_printf(&w->text, "%*s", indent, "");
    text_add_bytes(&w->text, s, n);
    text_add(&w->text, "\n");
}

static void write_wrapped(Writer *w, const char *s)
{
    int indent = INDENT * w->depth;
    for (;;) {
        size_t room = indent < WIDTH / 2 ? (size_t)(WIDTH - indent) : WIDTH / 2;
        size_t n = strlen(s);
        size_t cut = n <= room || *s == '#' || w->is_draft ? 0 : find_break(s, room);
        if (!cut) {
            add_line(w, n ? indent : 0, s, n);
            return;
        }
        add_line(w, indent, s, cut);
        s += cut + 1;
        indent = INDENT * (w->depth + 1);
    }
}

/* format - the text of a line, in the writer's arena. */
static char *PRINTF_LIKE(2, 0) format(Writer *w, const char *fmt, va_list args)
{
    Text t = text_new(w->text.arena);
    text_add(&t, "");
    text_vprintf(&t, fmt, args);
    return t.data;
}

void w_line(Writer *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_wrapped(w, format(w, fmt, args));
    va_end(args);
}

void w_indented(Writer *w, const char *line)
{
    int spaces = (int)strspn(line, " "), outside = w->depth;
    w->depth = spaces / INDENT;
    write_wrapped(w, line + w->depth * INDENT);
    w->depth = outside;
}

void w_blank(Writer *w)
{
    text_add(&w->text, "\n");
}

void w_open(Writer *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const char *line = format(w, fmt, args);
    va_end(args);
    if (w->depth == 0) { /* functions have their brace on its own line */
        write_wrapped(w, line);
        write_wrapped(w, "{");
    } else {
        write_wrapped(w, arena_printf(w->text.arena, "%s {", line));
    }
    w->depth++;
}

void w_close(Writer *w, const char *after)
{
    w->depth--;
    w_line(w, "}%s", after);
}

/* comment_piece - how many characters of `s` go on one comment line of `room` characters. */
static size_t comment_piece(const char *s, size_t room)
{
    size_t n = strcspn(s, "\n");
    if (n <= room)
        return n;
    for (size_t i = room; i > room / 2; i--)
        if (s[i] == ' ')
            return i;
    return room;
}

void w_comment(Writer *w, const char *text)
{
    enum { AROUND = 6 }; /* slash star, space; space, star slash */
    size_t room = (size_t)(WIDTH - AROUND - INDENT * w->depth);
    for (const char *s = text, *start = "/*"; s; start = " *") {
        size_t      n = comment_piece(s, room);
        const char *next = s[n] ? s + n + 1 : NULL;
        char       *line = arena_strndup(w->text.arena, s, n);
        const char *end = next ? "" : " */";
        line = arena_printf(w->text.arena, "%s%s%s%s", start, n ? " " : "", line, end);
        add_line(w, INDENT * w->depth, line, strlen(line));
        s = next;
    }
}

void w_raw(Writer *w, const char *text, size_t n)
{
    text_add_bytes(&w->text, text, n);
}

void writer_flush(Writer *w, OutFile *f)
{
    file_write(f, w->text.data, w->text.len);
    w->text.len = 0;
}
