/* json.c - JSON with // comments, every value with its place.
 *
 * Four steps: blank the comments; check the text, which finds every mistake at its byte
 * (json_check.c); let cJSON read it; copy cJSON's tree into the arena, walking the checked text
 * beside it for the offsets. */
#include "base/base.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The walk over the text, which json_check has found to be right. */
typedef struct Parser {
    Arena        *arena;
    Diag         *diag;
    const Source *source;
    const char   *text; /* comments blanked, NUL at its end */
    size_t        pos;
} Parser;

/* ---- comments --------------------------------------------------------------------------- */

/* blank_comments - a copy of the text in which // comments outside strings are spaces, so that
 * offsets stay. Strings end at a newline at the latest: a forgotten quote spoils one line. */
static char *blank_comments(Arena *a, const Source *source)
{
    char *text = arena_strndup(a, source->text, source->len);
    bool  in_string = false;
    for (size_t i = 0; i < source->len; i++) {
        if (in_string) {
            if (text[i] == '\\' && i + 1 < source->len)
                i++;
            else if (text[i] == '"' || text[i] == '\n')
                in_string = false;
        } else if (text[i] == '"') {
            in_string = true;
        } else if (text[i] == '/' && i + 1 < source->len && text[i + 1] == '/') {
            while (i < source->len && text[i] != '\n' && text[i] != '\r')
                text[i++] = ' ';
        }
    }
    return text;
}

/* ---- copying ---------------------------------------------------------------------------- */

static void skip_blanks(Parser *p)
{
    p->pos += strspn(p->text + p->pos, " \t\r\n");
}

static void skip_string(Parser *p)
{
    for (p->pos++; p->text[p->pos] != '"'; p->pos++)
        if (p->text[p->pos] == '\\')
            p->pos++;
    p->pos++;
}

static void skip_scalar(Parser *p)
{
    if (p->text[p->pos] == '"')
        skip_string(p);
    else
        p->pos += strcspn(p->text + p->pos, " \t\r\n,]}");
}

static int compare_keys(const void *a, const void *b)
{
    const Json *x = *(const Json *const *)a, *y = *(const Json *const *)b;
    int         order = strcmp(x->key, y->key);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

/* check_keys - report the first key that an object has twice. Sorting bears any choice of keys. */
static bool check_keys(Parser *p, const Json *object)
{
    if (object->n_items < 2)
        return true;
    const Json **sorted = malloc(object->n_items * sizeof *sorted);
    const Json  *twin = NULL, *first = NULL;
    if (!sorted) {
        diag_system(p->diag, "out of memory");
        return false;
    }
    for (size_t i = 0; i < object->n_items; i++)
        sorted[i] = &object->items[i];
    qsort(sorted, object->n_items, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < object->n_items; i++)
        if (!strcmp(sorted[i - 1]->key, sorted[i]->key) &&
            (!twin || sorted[i]->index < twin->index)) {
            first = sorted[i - 1];
            twin = sorted[i];
        }
    free(sorted);
    if (!twin)
        return true;
    diag_error(p->diag, (Span){.source = p->source, .at = twin}, "the key '%s' is here twice",
               text_printable(p->arena, twin->key));
    diag_note(p->diag, (Span){.source = p->source, .at = first}, "the first one is here");
    return false;
}

static bool copy_value(Parser *p, const cJSON *c, Json *out);

/* copy_children - the same walk as check_children, over text that is known to be right. */
static bool copy_children(Parser *p, const cJSON *c, Json *out)
{
    for (const cJSON *child = c->child; child; child = child->next)
        out->n_items++;
    out->items = arena_array(p->arena, Json, out->n_items);
    p->pos++;
    uint32_t i = 0;
    for (const cJSON *child = c->child; child; child = child->next, i++) {
        Json *item = &out->items[i];
        item->parent = out;
        item->index = i;
        if (out->kind == JSON_OBJECT) {
            skip_blanks(p);
            skip_string(p);
            skip_blanks(p);
            p->pos++; /* : */
            item->key = arena_strdup(p->arena, child->string);
        }
        if (!copy_value(p, child, item))
            return false;
        skip_blanks(p);
        if (child->next)
            p->pos++; /* , */
    }
    skip_blanks(p);
    p->pos++; /* the closing bracket */
    return out->kind != JSON_OBJECT || check_keys(p, out);
}

static bool copy_value(Parser *p, const cJSON *c, Json *out)
{
    skip_blanks(p);
    out->offset = p->pos;
    if (cJSON_IsArray(c) || cJSON_IsObject(c)) {
        out->kind = cJSON_IsArray(c) ? JSON_ARRAY : JSON_OBJECT;
        return copy_children(p, c, out);
    }
    skip_scalar(p);
    if (cJSON_IsString(c)) {
        out->kind = JSON_STRING;
        out->string = arena_strdup(p->arena, c->valuestring);
    } else if (cJSON_IsNumber(c)) {
        out->kind = JSON_NUMBER;
        out->number = c->valuedouble;
    } else if (cJSON_IsBool(c)) {
        out->kind = JSON_BOOL;
        out->boolean = cJSON_IsTrue(c);
    }
    return true;
}

const Json *json_parse(Arena *a, Diag *d, const Source *source)
{
    Parser p = {.arena = a, .diag = d, .source = source, .text = blank_comments(a, source)};
    size_t start = 0;
    if (source->len >= 3 && !memcmp(source->text, "\xef\xbb\xbf", 3))
        start = 3; /* a byte order mark, as some editors leave it */
    if (!json_check(a, d, source, p.text, start))
        return NULL;

    cJSON *tree = cJSON_ParseWithLength(p.text + start, source->len - start);
    if (!tree) {
        diag_system(d, "out of memory reading '%s'", source->path);
        return NULL;
    }
    Json *root = arena_struct(a, Json);
    p.pos = start;
    bool ok = copy_value(&p, tree, root);
    cJSON_Delete(tree);
    return ok ? root : NULL;
}

/* ---- looking ---------------------------------------------------------------------------- */

const Json *json_get(const Json *object, const char *key)
{
    if (!object || object->kind != JSON_OBJECT)
        return NULL;
    for (size_t i = 0; i < object->n_items; i++)
        if (!strcmp(object->items[i].key, key))
            return &object->items[i];
    return NULL;
}

/* add_pointer - depth is at most MAX_DEPTH, so recursion is bounded. */
static void add_pointer(Text *t, const Json *at)
{
    if (!at->parent)
        return;
    add_pointer(t, at->parent);
    if (!at->key) {
        text_printf(t, "/%u", (unsigned)at->index);
        return;
    }
    text_add(t, "/");
    for (const char *s = at->key; *s; s++) {
        if (*s == '~')
            text_add(t, "~0");
        else if (*s == '/')
            text_add(t, "~1");
        else
            text_add_bytes(t, s, 1);
    }
}

char *json_pointer(Arena *a, const Json *at)
{
    Text t = text_new(a);
    text_add(&t, "");
    add_pointer(&t, at);
    return t.data;
}

bool json_int(const Json *j, int64_t *out)
{
    static const double limit = 9007199254740992.0; /* 2^53 */
    if (!j || j->kind != JSON_NUMBER || !(fabs(j->number) <= limit) ||
        j->number != nearbyint(j->number))
        return false;
    *out = (int64_t)j->number;
    return true;
}

const char *json_kind_name(JsonKind kind)
{
    static const char *const names[] = {"null",     "true or false", "a number",
                                        "a string", "an array",      "an object"};
    return names[kind];
}
