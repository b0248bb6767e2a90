/* json_check.c - the grammar of JSON (RFC 8259), checked byte by byte.
 *
 * The parser behind it forgives much: 01, 1., control characters, broken UTF-8. This checker does
 * not, and says what is wrong at the byte where it is. */
#include "base/base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 200,
    MAX_NUMBER_CHARS = 63, /* what cJSON takes */
    MAX_VALUES = 1 << 23,  /* each takes some 150 bytes of memory while it is read */
};

typedef struct Checker {
    Arena        *arena;
    Diag         *diag;
    const Source *source;
    const char   *text; /* NUL at text[len]: looking one byte ahead is safe */
    size_t        len, pos;
    int           depth;
    size_t        n_values;
} Checker;

/* fail_at - report a syntax error at byte `offset`; always false. */
static bool PRINTF_LIKE(3, 4) fail_at(Checker *p, size_t offset, const char *fmt, ...)
{
    Json *place = arena_struct(p->arena, Json); /* nothing but an offset */
    place->offset = offset;
    Text    what = text_new(p->arena);
    va_list args;
    va_start(args, fmt);
    text_vprintf(&what, fmt, args);
    va_end(args);
    diag_error(p->diag, (Span){.source = p->source, .at = place}, "%s", what.data);
    return false;
}

static void skip_blanks(Checker *p)
{
    p->pos += strspn(p->text + p->pos, " \t\r\n");
}

static bool unexpected(Checker *p, const char *wanted)
{
    if (p->pos >= p->len)
        return fail_at(p, p->len, "the file ends where %s should be", wanted);
    unsigned char c = (unsigned char)p->text[p->pos];
    if (c > 0x20 && c < 0x7f)
        return fail_at(p, p->pos, "unexpected '%c' where %s should be", c, wanted);
    return fail_at(p, p->pos, "unexpected byte 0x%02x where %s should be", c, wanted);
}

size_t utf8_length(const unsigned char *s, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t        n;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        n = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        n = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        n = 4;
    else
        return 0;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (n > left || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* hex4 - the code unit of four hex digits, -1 where they are not. Text ends in NUL, so looking
 * ahead is safe. */
static int hex4(const char *s)
{
    int unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        int  digit = c >= '0' && c <= '9'   ? c - '0'
                     : c >= 'a' && c <= 'f' ? c - 'a' + 10
                     : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                            : -1;
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* check_escape - the escape at p->pos, a backslash. */
static bool check_escape(Checker *p)
{
    size_t at = p->pos;
    char   c = p->text[at + 1];
    if (c && strchr("\"\\/bfnrt", c)) {
        p->pos += 2;
        return true;
    }
    int unit = c == 'u' ? hex4(p->text + at + 2) : -1;
    if (unit < 0)
        return fail_at(p, at, "bad escape in a string");
    if (unit == 0)
        return fail_at(p, at, "\\u0000 is not allowed in a string");
    p->pos += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    bool paired = unit < 0xdc00 && p->text[p->pos] == '\\' && p->text[p->pos + 1] == 'u';
    int  low = paired ? hex4(p->text + p->pos + 2) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return fail_at(p, at, "half of a surrogate pair in a string");
    p->pos += 6;
    return true;
}

static bool check_string(Checker *p, const char *wanted)
{
    size_t start = p->pos;
    if (p->pos >= p->len || p->text[p->pos] != '"')
        return unexpected(p, wanted);
    p->pos++;
    while (p->pos < p->len) {
        const unsigned char *s = (const unsigned char *)p->text + p->pos;
        if (*s == '"') {
            p->pos++;
            return true;
        }
        if (*s == '\n' || *s == '\r')
            return fail_at(p, start, "this string has no closing quote on its line");
        if (*s < 0x20)
            return fail_at(p, p->pos, "control character 0x%02x in a string", *s);
        if (*s == '\\') {
            if (!check_escape(p))
                return false;
            continue;
        }
        size_t n = utf8_length(s, p->len - p->pos);
        if (!n)
            return fail_at(p, p->pos, "byte 0x%02x is not valid UTF-8", *s);
        p->pos += n;
    }
    return fail_at(p, start, "this string has no closing quote");
}

static bool at_digit(const Checker *p)
{
    return p->text[p->pos] >= '0' && p->text[p->pos] <= '9';
}

static bool check_digits(Checker *p, const char *wanted)
{
    if (!at_digit(p))
        return unexpected(p, wanted);
    while (at_digit(p))
        p->pos++;
    return true;
}

static bool check_number(Checker *p)
{
    size_t start = p->pos;
    if (p->text[p->pos] == '-')
        p->pos++;
    if (p->text[p->pos] == '0') {
        p->pos++;
        if (at_digit(p))
            return fail_at(p, start, "a number may not start with 0");
    } else if (!check_digits(p, "a digit")) {
        return false;
    }
    if (p->text[p->pos] == '.') {
        p->pos++;
        if (!check_digits(p, "a digit of the fraction"))
            return false;
    }
    if (p->text[p->pos] == 'e' || p->text[p->pos] == 'E') {
        p->pos++;
        if (p->text[p->pos] == '+' || p->text[p->pos] == '-')
            p->pos++;
        if (!check_digits(p, "a digit of the exponent"))
            return false;
    }
    if (p->pos - start > MAX_NUMBER_CHARS)
        return fail_at(p, start, "a number of more than %d characters", MAX_NUMBER_CHARS);
    if (!isfinite(strtod(p->text + start, NULL)))
        return fail_at(p, start, "the number %.*s does not fit a double", (int)(p->pos - start),
                       p->text + start);
    return true;
}

static bool check_literal(Checker *p)
{
    static const char *const literals[] = {"null", "true", "false"};
    for (size_t i = 0; i < COUNT_OF(literals); i++) {
        size_t n = strlen(literals[i]);
        if (p->len - p->pos >= n && !memcmp(p->text + p->pos, literals[i], n)) {
            p->pos += n;
            return true;
        }
    }
    if (!strncmp(p->text + p->pos, "NaN", 3) || !strncmp(p->text + p->pos, "Infinity", 8))
        return fail_at(p, p->pos, "JSON has no NaN and no Infinity");
    return unexpected(p, "a value");
}

static bool check_value(Checker *p);

/* check_children - what stands between [ and ], or { and }. */
static bool check_children(Checker *p, char close)
{
    const char *next = close == ']' ? "',' or ']'" : "',' or '}'";
    if (++p->depth > MAX_DEPTH)
        return fail_at(p, p->pos, "nested deeper than %d levels", MAX_DEPTH);
    p->pos++;
    skip_blanks(p);
    if (p->text[p->pos] == close) {
        p->pos++;
        p->depth--;
        return true;
    }
    for (;;) {
        if (close == '}') {
            skip_blanks(p);
            if (!check_string(p, "a key in quotes"))
                return false;
            skip_blanks(p);
            if (p->text[p->pos] != ':')
                return unexpected(p, "':'");
            p->pos++;
        }
        if (!check_value(p))
            return false;
        skip_blanks(p);
        char c = p->text[p->pos];
        if (c != ',' && c != close)
            return unexpected(p, next);
        p->pos++;
        if (c == close)
            break;
    }
    p->depth--;
    return true;
}

static bool check_value(Checker *p)
{
    if (++p->n_values > MAX_VALUES)
        return fail_at(p, p->pos, "more than %d values in one file", MAX_VALUES);
    skip_blanks(p);
    if (p->pos >= p->len)
        return unexpected(p, "a value");
    char c = p->text[p->pos];
    if (c == '{')
        return check_children(p, '}');
    if (c == '[')
        return check_children(p, ']');
    if (c == '"')
        return check_string(p, "a string");
    if (c == '-' || at_digit(p))
        return check_number(p);
    return check_literal(p);
}

bool json_check(Arena *a, Diag *d, const Source *source, const char *text, size_t start)
{
    Checker c = {
        .arena = a, .diag = d, .source = source, .text = text, .len = source->len, .pos = start};
    if (!check_value(&c))
        return false;
    skip_blanks(&c);
    return c.pos >= c.len || unexpected(&c, "the end of the file");
}
