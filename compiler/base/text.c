/* text.c - growing text, checked arithmetic, names made safe to show or to compile. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

/* ---- growing text ----------------------------------------------------------------------- */

Text text_new(Arena *a)
{
    return (Text){.arena = a};
}

/* text_reserve - room for `more` bytes and the NUL behind them. */
static void text_reserve(Text *t, size_t more)
{
    size_t need = t->len + more + 1;
    if (need <= t->cap)
        return;
    size_t cap = t->cap ? 2 * t->cap : 64;
    if (cap < need)
        cap = need;
    char *data = arena_alloc(t->arena, cap);
    if (t->len)
        memcpy(data, t->data, t->len);
    t->data = data;
    t->cap = cap;
}

void text_add_bytes(Text *t, const void *s, size_t n)
{
    text_reserve(t, n);
    if (n)
        memcpy(t->data + t->len, s, n);
    t->len += n;
    t->data[t->len] = 0;
}

void text_add(Text *t, const char *s)
{
    text_add_bytes(t, s, strlen(s));
}

void text_vprintf(Text *t, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return;
    text_reserve(t, (size_t)n);
    vsnprintf(t->data + t->len, (size_t)n + 1, fmt, args);
    t->len += (size_t)n;
}

void text_printf(Text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    text_vprintf(t, fmt, args);
    va_end(args);
}

void text_number(Text *t, double v, bool is_float)
{
    static const int digits[] = {6, 9, 15, 17};
    char             form[40];
    for (size_t i = 0; i < COUNT_OF(digits); i++) {
        snprintf(form, sizeof form, "%.*g", digits[i], v);
        double back = strtod(form, NULL);
        if (back == v || (is_float && (float)back == (float)v))
            break;
    }
    text_add(t, form);
}

/* ---- checked arithmetic ----------------------------------------------------------------- */

bool mul_ok(int64_t a, int64_t b, int64_t *out)
{
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* ---- names ------------------------------------------------------------------------------ */

/* Tests of our own: those of ctype.h follow the locale. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

char *text_identifier(Arena *a, const char *name)
{
    Text t = text_new(a);
    if (is_digit(name[0]) || !name[0])
        text_add(&t, "_");
    for (const char *s = name; *s; s++)
        text_add_bytes(&t, is_letter(*s) || is_digit(*s) ? s : "_", 1);
    return t.data;
}

/* must_escape - whether `c`, written behind `before`, could end or open something: a quote, an
 * escape, a comment, a trigraph; or is not plain ASCII (bidi controls are not). */
static bool must_escape(char before, char c)
{
    if (c < 0x20 || c > 0x7e)
        return true;
    if (c == '"' || c == '\'' || c == '\\' || c == '`')
        return true;
    return (before == '*' && c == '/') || (before == '/' && (c == '*' || c == '/')) ||
           (before == '?' && c == '?');
}

char *text_printable(Arena *a, const char *name)
{
    enum { LONGEST = 80 };
    static const char dots[] = "...";
    Text              t = text_new(a);
    size_t            cut = 0; /* where the dots go if the rest does not fit */
    text_add(&t, "");
    for (const char *s = name; *s; s++) {
        if (must_escape(s > name ? s[-1] : 0, *s))
            text_printf(&t, "\\x%02x", (unsigned)(unsigned char)*s);
        else
            text_add_bytes(&t, s, 1);
        if (t.len > LONGEST) {
            t.len = cut;
            text_add(&t, dots);
            break;
        }
        if (t.len + sizeof dots - 1 <= LONGEST)
            cut = t.len;
    }
    return t.data;
}

/* ---- JSON ------------------------------------------------------------------------------- */

bool utf8_is_valid(const char *s)
{
    const unsigned char *at = (const unsigned char *)s, *end = at + strlen(s);
    while (at < end) {
        size_t n = utf8_length(at, (size_t)(end - at));
        if (!n)
            return false;
        at += n;
    }
    return true;
}

void text_json_string(Text *t, const char *s)
{
    text_add(t, "\"");
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            text_printf(t, "\\%c", *s);
        else if ((unsigned char)*s < 0x20 || *s == 0x7f)
            text_printf(t, "\\u%04x", (unsigned)*s);
        else
            text_add_bytes(t, s, 1);
    }
    text_add(t, "\"");
}
