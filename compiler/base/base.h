/* base.h - what the rest of kiln stands on: memory, messages, text, files, JSON.
 *
 *   arena.c  memory that lives as long as one compilation
 *   diag.c   errors, warnings and notes, each with its place in the model file
 *   text.c   growing text, checked arithmetic
 *   guess.c  did you mean ...?
 *   file.c   files mapped for reading, files written whole or not at all
 *   json.c, json_check.c   JSON with // comments, every value with its place
 *
 * Nothing here calls exit, abort or printf; the one exception is the arena's out-of-memory hook. */
#ifndef KILN_BASE_H
#define KILN_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define KILN_VERSION "0.1.0"

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT_OF(array)        (sizeof(array) / sizeof((array)[0]))

/* ---- arena.c ---------------------------------------------------------------------------- */

/* A region of memory released as a whole. Blocks are zeroed and aligned to 16 bytes. */
typedef struct Arena Arena;

Arena *arena_new(void);
void   arena_free(Arena *a); /* NULL is allowed */

/* arena_alloc - `bytes` zeroed bytes, never NULL: when memory runs out the hook is called, which
 * must not return. */
void *arena_alloc(Arena *a, size_t bytes);
/* arena_array_ - room for `count` items of `size` bytes; too large a product is out of memory. */
void *arena_array_(Arena *a, size_t count, size_t size);
#define arena_array(a, T, count) ((T *)arena_array_((a), (count), sizeof(T)))
#define arena_struct(a, T)       ((T *)arena_alloc((a), sizeof(T)))

char *arena_strdup(Arena *a, const char *s);
char *arena_strndup(Arena *a, const char *s, size_t n);
char *arena_printf(Arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* arena_grow - make room for item `count` in a growing array: returns `items` itself, or a copy of
 * twice the capacity. Use: items = arena_grow(a, items, count, &cap, sizeof *items). */
void *arena_grow(Arena *a, void *items, size_t count, size_t *cap, size_t size);

size_t arena_bytes(const Arena *a); /* bytes handed out so far */
void   arena_on_out_of_memory(void (*hook)(void));

/* ---- text.c ----------------------------------------------------------------------------- */

/* Text that grows; `data` is always NUL-terminated once anything was added. */
typedef struct Text {
    Arena *arena;
    char  *data;
    size_t len, cap;
} Text;

Text text_new(Arena *a);
void text_add(Text *t, const char *s);
void text_add_bytes(Text *t, const void *s, size_t n);
void text_printf(Text *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void text_vprintf(Text *t, const char *fmt, va_list args) PRINTF_LIKE(2, 0);
/* text_number - the shortest of a few forms that reads back as the same number; as the same float where
 * it is one (`is_float`). */
void text_number(Text *t, double v, bool is_float);

/* mul_ok - *out = a * b for sizes; false (and *out untouched) when negative or past INT64_MAX. */
bool mul_ok(int64_t a, int64_t b, int64_t *out);

/* text_identifier - a C identifier for any bytes: letters, digits and _ stay, the rest becomes _;
 * a leading digit gets a _ before it; an empty name becomes "_". Not injective. Result in `a`. */
char *text_identifier(Arena *a, const char *name);
/* text_printable - `name` with control characters, bidi controls, quotes, backslashes and bytes
 * outside ASCII as \xNN, and no comment closer or opener: safe in a C comment, a terminal or a
 * message. Longer than 80 characters: cut with "...". */
char *text_printable(Arena *a, const char *name);

/* utf8_length - bytes of the UTF-8 sequence at `s` (Unicode 15, table 3-7), at most `left`; 0 where it is
 * none: overlong forms and surrogates are refused. */
size_t utf8_length(const unsigned char *s, size_t left);
bool   utf8_is_valid(const char *s); /* all of it */
/* text_json_string - `s`, which is UTF-8, as a JSON string, quotes and all. */
void text_json_string(Text *t, const char *s);

/* The name closest in spelling to a misspelt one. Use: guess = guess_new(wrong); guess_try for each
 * name there is; then guess_text, which is "; did you mean 'x'?", or "" when none comes close. */
typedef struct Guess {
    const char *wrong, *best;
    size_t      distance; /* of `best`, in edits */
} Guess;

Guess       guess_new(const char *wrong);
void        guess_try(Guess *g, const char *name);
const char *guess_text(Arena *a, const Guess *g);

/* ---- json.c ----------------------------------------------------------------------------- */

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonKind;

/* One JSON value. Children are an array in file order. */
typedef struct Json Json;
struct Json {
    JsonKind    kind;
    bool        boolean;
    double      number; /* finite */
    const char *string; /* no embedded NUL: such a file is refused */
    const char *key;    /* name in the parent object; NULL elsewhere */
    Json       *items;
    size_t      n_items;
    const Json *parent;
    uint32_t    index;  /* position among the parent's children */
    size_t      offset; /* byte offset in the file */
};

/* A file that diagnostics can point into. `text` may be NULL: then only the path is shown. */
typedef struct Source {
    const char *path;
    const char *text;
    size_t      len;
} Source;

/* Where something was said: a place in a file. {0} is nowhere. */
typedef struct Span {
    const Source *source;
    const Json   *at;      /* gives line, column and JSON pointer; NULL: see pointer */
    const char   *pointer; /* used where there is no JSON (ONNX); NULL: none */
} Span;

typedef struct Diag Diag;

/* json_parse - the value in `source`. // comments outside strings are blanked first (also in
 * safetensors headers: harmless). On a syntax error reports it with line and column through `d`
 * and returns NULL. Memory in proportion to the text; nesting past 200 levels is an error; so are
 * duplicate keys in one object, numbers that are not finite, \u0000, invalid UTF-8 and anything
 * after the value. */
const Json *json_parse(Arena *a, Diag *d, const Source *source);
/* json_check - whether text[start..source->len) is JSON as json_parse wants it, duplicate keys
 * aside; `text` is the source's text with its comments blanked. Reports the first mistake. */
bool        json_check(Arena *a, Diag *d, const Source *source, const char *text, size_t start);
const Json *json_get(const Json *object, const char *key); /* NULL: not there, or not an object */
/* json_pointer - RFC 6901 pointer of a value, such as /nodes/7/attrs/strides; "" for the root. */
char *json_pointer(Arena *a, const Json *at);
/* json_int - true when `j` is a number with an exact integer value within +-2^53. */
bool        json_int(const Json *j, int64_t *out);
const char *json_kind_name(JsonKind kind); /* "a number", "an object", ... for messages */

/* ---- diag.c ----------------------------------------------------------------------------- */

typedef enum { DIAG_NOTE, DIAG_WARNING, DIAG_ERROR, DIAG_SYSTEM } DiagKind;

#define DIAG_MAX_ERRORS 20

/* diag_new - an empty list of messages; their text lives in `a`. */
Diag *diag_new(Arena *a);
/* diag_error - the model or its data is at fault. Prints later as
 *     FILE:LINE:COL: error: /json/pointer: message
 * Names from the model must go through text_printable. After DIAG_MAX_ERRORS errors further ones
 * are counted, not kept. */
void diag_error(Diag *d, Span where, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_warning(Diag *d, Span where, const char *fmt, ...) PRINTF_LIKE(3, 4);
void diag_note(Diag *d, Span where, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* diag_system - the machine is at fault: no such file, no space, no compiler. */
void diag_system(Diag *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* diag_full - true once there are DIAG_MAX_ERRORS errors: time to stop looking for more. */
bool diag_full(const Diag *d);
int  diag_errors(const Diag *d);
/* diag_status - 0 without errors, 3 when the machine is at fault, else 1. */
int diag_status(const Diag *d);
/* diag_print - write and forget all messages so far, in order; the counts stay. */
void diag_print(Diag *d, FILE *out);

/* ---- file.c ----------------------------------------------------------------------------- */

typedef struct Bytes {
    const unsigned char *data;
    size_t               len;
} Bytes;

/* file_map - the file's bytes, mapped read-only until the process ends. False (reported with
 * diag_system) when it cannot be opened or is not a regular file. */
bool file_map(Diag *d, const char *path, Bytes *out);

/* A file in the making, written beside `path` and renamed by file_commit. */
typedef struct OutFile OutFile;
OutFile               *file_create(Arena *a, Diag *d, const char *path); /* NULL: reported */
void                   file_write(OutFile *f, const void *bytes, size_t n);
FILE                  *file_stream(OutFile *f);
/* file_commit - flush, close, rename. False (reported, nothing left behind) on any write error. */
bool file_commit(OutFile *f);
/* file_commit_all - several that belong together, some of which may be NULL: none is renamed unless all
 * could be written whole. */
bool file_commit_all(OutFile *const *files, int n);
void file_abandon(OutFile *f); /* close and remove; NULL is allowed */

/* path_beside - `name` in the folder of `path`. */
char *path_beside(Arena *a, const char *path, const char *name);
/* path_stem - the file's name without folder and extension. */
const char *path_stem(Arena *a, const char *path);
/* path_is_plain - relative and without "..": a model reads no file from elsewhere. */
bool path_is_plain(const char *path);
/* path_has_controls - control characters, or those that change the direction of text (in UTF-8): the
 * path will stand in messages. */
bool path_has_controls(const char *path);
/* path_stays - whether `path` lies in the folder of `model` or below it, links followed; false also where
 * it does not exist. */
bool path_stays(const char *model, const char *path);

#endif
