/* tune_state.c - the rounds that are done, kept in OUT.json.partial, and the finished schedule.
 *
 *     {"key": "83a4...", "rounds": [
 *       {"kind": "algorithms", "whole": 0.98, "ratios": {"conv1": 0.91, "conv3": 1.2}}, ... ]}
 *
 * The same command on the same model makes the same rounds, so that their results are all it takes to go
 * on. The key says whether it is the same. */
#include "driver/tuner.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

static const char *const kinds[] = {"algorithms", "tiles", "check"};

/* ---- writing ----------------------------------------------------------------------------- */

static void add_round(const Tune *t, Text *text, const Round *r)
{
    bool first = true;
    text_printf(text, "  {\"kind\": \"%s\", \"whole\": %.6f, \"ratios\": {", kinds[r->kind],
                r->whole);
    for (int i = 0; i < t->n_layers; i++) {
        if (!(r->ratios[i] > 0))
            continue;
        text_add(text, first ? "" : ", ");
        text_json_string(text, t->layers[i].name);
        text_printf(text, ": %.6f", r->ratios[i]);
        first = false;
    }
    text_add(text, "}}");
}

static bool save(Tune *t, const char *path, const Text *text)
{
    OutFile *f = file_create(t->arena, t->diag, path);
    if (!f)
        return false;
    signals_hold(true);
    file_write(f, text->data, text->len);
    bool ok = file_commit(f);
    signals_hold(false);
    return ok;
}

bool state_save(Tune *t)
{
    Arena *a = arena_new();
    Text   text = text_new(a);
    text_printf(&text,
                "// kiln tune goes on from here\n{\"key\": \"%016" PRIx64 "\", \"rounds\": [\n",
                t->key);
    for (size_t i = 0; i < t->n_rounds; i++) {
        add_round(t, &text, &t->rounds[i]);
        text_add(&text, i + 1 < t->n_rounds ? ",\n" : "\n");
    }
    text_add(&text, "]}\n");
    bool ok = save(t, t->state, &text);
    arena_free(a);
    return ok;
}

bool schedule_save(Tune *t, const char *path)
{
    Text text = plan_text(t, t->arena);
    if (!save(t, path, &text))
        return false;
    unlink(t->state);
    return true;
}

/* ---- reading ----------------------------------------------------------------------------- */

static bool PRINTF_LIKE(4, 5)
    wrong(Tune *t, const Source *source, const Json *at, const char *fmt, ...)
{
    va_list args;
    Text    text = text_new(t->arena);
    va_start(args, fmt);
    text_vprintf(&text, fmt, args);
    va_end(args);
    diag_error(t->diag, (Span){.source = source, .at = at}, "%s; remove the file to begin anew",
               text.data);
    return false;
}

static bool read_ratio(Tune *t, const Source *s, const Json *j, double *out)
{
    if (!j || j->kind != JSON_NUMBER || !(j->number >= 1e-6) || !(j->number <= 1e6))
        return wrong(t, s, j, "expected a ratio of times");
    *out = j->number;
    return true;
}

static int layer_by_name(const Tune *t, const char *name)
{
    for (int i = 0; i < t->n_layers; i++)
        if (!strcmp(t->layers[i].name, name))
            return i;
    return -1;
}

static bool read_kind(Tune *t, const Source *s, const Json *j, const Json *round, RoundKind *out)
{
    for (size_t i = 0; j && j->kind == JSON_STRING && i < COUNT_OF(kinds); i++)
        if (!strcmp(kinds[i], j->string)) {
            *out = (RoundKind)i;
            return true;
        }
    return wrong(t, s, j ? j : round, "a round is of kind algorithms, tiles or check");
}

static bool read_round(Tune *t, const Source *s, const Json *j)
{
    const Json *ratios = json_get(j, "ratios"), *whole = json_get(j, "whole");
    Round       r = {.ratios = arena_array(t->arena, double, (size_t)t->n_layers + 1)};
    if (!read_kind(t, s, json_get(j, "kind"), j, &r.kind))
        return false;
    if (!ratios || ratios->kind != JSON_OBJECT || !whole)
        return wrong(t, s, j, "a round has whole and ratios");
    if (!read_ratio(t, s, whole, &r.whole))
        return false;
    for (size_t i = 0; i < ratios->n_items; i++) {
        const Json *item = &ratios->items[i];
        int         layer = layer_by_name(t, item->key);
        if (layer < 0)
            return wrong(t, s, item, "there is no such layer");
        if (!read_ratio(t, s, item, &r.ratios[layer]))
            return false;
    }
    t->rounds = arena_grow(t->arena, t->rounds, t->n_rounds, &t->cap_rounds, sizeof *t->rounds);
    t->rounds[t->n_rounds++] = r;
    return true;
}

bool state_load(Tune *t)
{
    Bytes   bytes;
    Source *s = arena_struct(t->arena, Source);
    if (access(t->state, F_OK))
        return true;
    if (!file_map(t->diag, t->state, &bytes))
        return false;
    *s = (Source){t->state, (const char *)bytes.data, bytes.len};
    const Json *root = json_parse(t->arena, t->diag, s);
    if (!root)
        return false;
    const Json *key = json_get(root, "key"), *rounds = json_get(root, "rounds");
    if (!key || key->kind != JSON_STRING || !rounds || rounds->kind != JSON_ARRAY)
        return wrong(t, s, root, "expected key and rounds");
    if (rounds->n_items && strcmp(key->string, arena_printf(t->arena, "%016" PRIx64, t->key)) != 0)
        return wrong(t, s, key, "these rounds are of another model, kiln or other options");
    for (size_t i = 0; i < rounds->n_items; i++)
        if (!read_round(t, s, &rounds->items[i]))
            return false;
    return true;
}
