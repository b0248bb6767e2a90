/* file.c - schedules as JSON, by node name:
 *
 *     { "conv1": {"winograd": 4, "tile_m": 7, "tile_n": 2, "unroll_k": 1}, ... }
 *
 * What is not given is decided as without the file. */
#include "schedule/schedule.h"

#include <stdlib.h>
#include <string.h>

/* What the file may give a node; -1 where it does not. */
typedef struct Given {
    int algorithm[INNER + 1]; /* 1, of WINOGRAD the output tile; 0: not so. [DIRECT] is not used */
    Schedule schedule;
} Given;

typedef struct Override {
    const char *node;
    const Json *json;
    Given       given;
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
    {"winograd", offsetof(Given, algorithm[WINOGRAD]), 0, 6},
    {"strassen", offsetof(Given, algorithm[STRASSEN]), 0, 1},
    {"inner", offsetof(Given, algorithm[INNER]), 0, 1},
    {"tile_h", offsetof(Given, schedule.tile.h), 0, 64},
    {"tile_m", offsetof(Given, schedule.tile.m), 0, 64},
    {"tile_n", offsetof(Given, schedule.tile.n), 0, 64},
    {"unroll_k", offsetof(Given, schedule.unroll_k), 1, 64},
    {"streams", offsetof(Given, schedule.streams), 1, 16},
};

static int *member_of(Given *g, size_t i)
{
    return (int *)((char *)g + members[i].offset);
}

/* take - a member of the schedule, unless the file is silent on it. */
static void take(int given, int *to)
{
    if (given >= 0)
        *to = given;
}

static void read_member(Arena *a, Diag *d, const Source *source, const Json *j, Given *out)
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
            *member_of(out, i) = (int)v;
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

ScheduleFile *schedule_parse(Arena *a, Diag *d, Source source)
{
    ScheduleFile *f = arena_struct(a, ScheduleFile);
    f->source = source;
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

ScheduleFile *schedule_read(Arena *a, Diag *d, const char *path)
{
    Bytes bytes;
    if (!file_map(d, path, &bytes))
        return NULL;
    return schedule_parse(a, d, (Source){path, (const char *)bytes.data, bytes.len});
}

static Override *find(const ScheduleFile *f, const char *node)
{
    Override key = {.node = node};
    return f && f->n ? bsearch(&key, f->items, f->n, sizeof key, by_name) : NULL;
}

bool schedule_override(ScheduleFile *f, const char *node, Schedule *s)
{
    Override *o = find(f, node);
    if (!o)
        return false;
    o->used = true;
    take(o->given.schedule.tile.h, &s->tile.h);
    take(o->given.schedule.tile.m, &s->tile.m);
    take(o->given.schedule.tile.n, &s->tile.n);
    take(o->given.schedule.unroll_k, &s->unroll_k);
    take(o->given.schedule.streams, &s->streams);
    return true;
}

int schedule_algorithm(const ScheduleFile *f, const char *node, int *tile, Span *where)
{
    const Override *o = find(f, node);
    int             found = -1;
    *tile = 0;
    for (int i = WINOGRAD; o && i <= INNER; i++) {
        int given = o->given.algorithm[i];
        if (given < 0 || (given == 0 && found >= 0))
            continue;
        found = given ? i : DIRECT;
        *tile = i == WINOGRAD ? given : 0;
        *where =
            (Span){.source = &f->source, .at = json_get(o->json, algorithm_name((Algorithm)i))};
        if (given)
            break;
    }
    return found;
}

const char *schedule_given(const ScheduleFile *f, const char *node, Arena *a)
{
    Override *o = find(f, node);
    Text      t = text_new(a);
    text_add(&t, "");
    for (size_t i = 0; o && i < COUNT_OF(members); i++)
        if (*member_of(&o->given, i) >= 0)
            text_printf(&t, "%s%s %d", t.len ? ", " : "", members[i].name,
                        *member_of(&o->given, i));
    return t.data;
}

void schedule_check_used(ScheduleFile *f, Diag *d)
{
    for (size_t i = 0; i < f->n; i++)
        if (!f->items[i].used)
            diag_error(d, (Span){.source = &f->source, .at = f->items[i].json},
                       "no node of this name is left after the graph passes");
}
