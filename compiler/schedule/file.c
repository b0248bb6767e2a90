/* file.c - schedules as JSON:
 *
 *     { "conv1": {"tile_m": 7, "tile_n": 2, "unroll_k": 1}, ... }
 *
 * Members that are not given keep what schedule_choose found. */
#include "schedule/schedule.h"

#include <stdlib.h>
#include <string.h>

typedef struct Override {
    const char *node;
    const Json *json;
    Schedule    given; /* -1 where a member is absent */
    bool        used;
} Override;

struct ScheduleFile {
    Source    source;
    Override *items; /* by node name */
    size_t    n;
};

static const struct {
    const char *name;
    size_t      offset;
    int         min, max;
} members[] = {
    {"tile_m", offsetof(Schedule, tile_m), 0, 64},
    {"tile_n", offsetof(Schedule, tile_n), 0, 64},
    {"unroll_k", offsetof(Schedule, unroll_k), 1, 64},
};

static int *member_of(Schedule *s, size_t i)
{
    return (int *)((char *)s + members[i].offset);
}

static void read_member(Arena *a, Diag *d, const Source *source, const Json *j, Schedule *s)
{
    Span    where = {.source = source, .at = j};
    int64_t v;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (strcmp(members[i].name, j->key) != 0)
            continue;
        if (!json_int(j, &v) || v < members[i].min || v > members[i].max)
            diag_error(d, where, "expected a whole number from %d to %d", members[i].min,
                       members[i].max);
        else
            *member_of(s, i) = (int)v;
        return;
    }
    diag_error(d, where, "a schedule has no member '%s'", text_printable(a, j->key));
}

static void read_override(Arena *a, Diag *d, const Source *source, const Json *j, Override *out)
{
    *out = (Override){.node = arena_strdup(a, j->key), .json = j};
    for (size_t i = 0; i < COUNT_OF(members); i++)
        *member_of(&out->given, i) = -1;
    if (j->kind != JSON_OBJECT) {
        diag_error(d, (Span){.source = source, .at = j}, "expected an object, got %s",
                   json_kind_name(j->kind));
        return;
    }
    for (size_t i = 0; i < j->n_items; i++)
        read_member(a, d, source, &j->items[i], &out->given);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const Override *)a)->node, ((const Override *)b)->node);
}

ScheduleFile *schedule_read(Arena *a, Diag *d, const char *path)
{
    Bytes bytes;
    if (!file_map(d, path, &bytes))
        return NULL;
    ScheduleFile *f = arena_struct(a, ScheduleFile);
    f->source = (Source){path, (const char *)bytes.data, bytes.len};
    const Json *root = json_parse(a, d, &f->source);
    if (!root)
        return NULL;
    if (root->kind != JSON_OBJECT) {
        diag_error(d, (Span){.source = &f->source, .at = root},
                   "expected an object of schedules by node name, got %s",
                   json_kind_name(root->kind));
        return NULL;
    }
    int before = diag_errors(d);
    f->n = root->n_items;
    f->items = arena_array(a, Override, f->n);
    for (size_t i = 0; i < f->n; i++)
        read_override(a, d, &f->source, &root->items[i], &f->items[i]);
    qsort(f->items, f->n, sizeof *f->items, by_name);
    return diag_errors(d) == before ? f : NULL;
}

bool schedule_override(ScheduleFile *f, const char *node, Schedule *s)
{
    Override  key = {.node = node};
    Override *o = f->n ? bsearch(&key, f->items, f->n, sizeof key, by_name) : NULL;
    if (!o)
        return false;
    o->used = true;
    for (size_t k = 0; k < COUNT_OF(members); k++)
        if (*member_of(&o->given, k) >= 0)
            *member_of(s, k) = *member_of(&o->given, k);
    return true;
}

void schedule_check_used(ScheduleFile *f, Diag *d)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->items[i].used)
            diag_error(d, (Span){.source = &f->source, .at = f->items[i].json},
                       "no node of this name is left after the graph passes");
}
