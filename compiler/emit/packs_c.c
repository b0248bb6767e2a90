/* packs_c.c - the weights laid out at start: the memory they go to, the functions that fill it, and
 * NAME_pack, which calls them. */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

/* A constant made at start. */
typedef struct Packing {
    int64_t from;   /* in the blob, bytes */
    int64_t offset; /* bytes from the start of the memory */
    Elem    elem;
    ValueId value;
    int     text;
} Packing;

struct Packs {
    Arena        *arena;
    const Target *target;
    Packing      *items;
    PackText     *texts;
    size_t        n, cap, n_texts, cap_texts;
    int64_t       bytes;
    const char  **filters; /* functions that transform one filter */
    size_t        n_filters, cap_filters;
};

static void add_filter(Packs *p, const View *v)
{
    Arena      *a = arena_new();
    const char *text = filter_c(a, v->winograd, v->plain->type.elem);
    bool        known = false;
    for (size_t i = 0; i < p->n_filters && !known; i++)
        known = !strcmp(p->filters[i], text);
    if (!known) {
        p->filters =
            arena_grow(p->arena, p->filters, p->n_filters, &p->cap_filters, sizeof *p->filters);
        p->filters[p->n_filters++] = arena_strdup(p->arena, text);
    }
    arena_free(a);
}

/* ---- adding --------------------------------------------------------------------------------- */

Packs *packs_new(Arena *a, const Target *t)
{
    Packs *p = arena_struct(a, Packs);
    p->arena = a;
    p->target = t;
    return p;
}

/* number_of - of an equal function, or of a new one. */
static int number_of(Packs *p, PackText text)
{
    for (size_t i = 0; i < p->n_texts; i++)
        if (!strcmp(p->texts[i].params, text.params) && !strcmp(p->texts[i].body, text.body))
            return (int)i;
    p->texts = arena_grow(p->arena, p->texts, p->n_texts, &p->cap_texts, sizeof *p->texts);
    p->texts[p->n_texts] =
        (PackText){arena_strdup(p->arena, text.params), arena_strdup(p->arena, text.body)};
    return (int)p->n_texts++;
}

int64_t packs_add(Packs *p, const Buffer *b, const Buffer *plain, int64_t from)
{
    enum { ALIGN = 64 };
    Arena *a = arena_new();
    int    text = number_of(p, pack_text(b, plain, a));
    arena_free(a);
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].from == from && p->items[i].text == text)
            return p->items[i].offset;
    if (b->view.winograd.m)
        add_filter(p, &b->view);
    p->items = arena_grow(p->arena, p->items, p->n, &p->cap, sizeof *p->items);
    p->items[p->n++] = (Packing){from, p->bytes, b->elem, b->value, text};
    p->bytes += (b->count * (int64_t)elem_bytes(b->elem) + ALIGN - 1) / ALIGN * ALIGN;
    return p->items[p->n - 1].offset;
}

int64_t packs_bytes(const Packs *p)
{
    return p->bytes;
}

bool packs_use(const Packs *p, Elem e)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->items[i].elem == e)
            return true;
    return false;
}

bool packs_read(const Packs *p, const Blob *b, Elem e)
{
    for (size_t i = 0; i < p->n; i++)
        if (blob_at(b, p->items[i].from)->buffer.elem == e)
            return true;
    return false;
}

const char *packs_pointer(const Packs *p, int64_t offset, Arena *a)
{
    for (size_t i = 0; i < p->n; i++) {
        const Packing *item = &p->items[i];
        if (item->offset != offset)
            continue;
        int64_t at = offset / (int64_t)elem_bytes(item->elem);
        return at ? arena_printf(a, "packed_%s + %" PRId64, elem_name(item->elem), at)
                  : arena_printf(a, "packed_%s", elem_name(item->elem));
    }
    return "0";
}

void packs_scan(const Packs *p, Needs *n)
{
    for (size_t i = 0; i < p->n_filters; i++)
        needs_scan(n, p->target, p->filters[i]);
}

/* ---- definitions ------------------------------------------------------------------------------ */

void packs_memory_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    if (!packs_bytes(p->packs))
        return;
    w_comment(w, "Weights as the kernels read them; zero where nothing is written.");
    w_line(w, "static union {");
    w->depth++;
    for (int i = 0; i < n_held_types; i++)
        if (packs_use(p->packs, held_types[i].elem))
            w_line(w, "%s %s[%s_PACKED_BYTES / %zu];", held_types[i].c, held_types[i].name,
                   names->upper, elem_bytes(held_types[i].elem));
    w->depth--;
    w_line(w, "} %s%s_packed;", o->target->lanes > 1 ? "__attribute__((aligned(64))) " : "",
           names->lower);
    w_line(w, "static int %s_is_packed;", names->lower);
    w_blank(w);
}

void packs_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const Packs *packs = p->packs;
    Arena       *a = w->text.arena;
    for (size_t i = 0; i < packs->n_filters; i++) {
        w_raw(w, packs->filters[i], strlen(packs->filters[i]));
        w_blank(w);
    }
    for (size_t i = 0; i < packs->n_texts; i++) {
        w_open(w, "static void pack_%zu(%s)", i + 1, packs->texts[i].params);
        w_raw(w, packs->texts[i].body, strlen(packs->texts[i].body));
        w_close(w, "");
        w_blank(w);
    }
    if (!packs->n)
        return;
    w_open(w, "static void %s_pack(void)", names->lower);
    weights_locals(w, p, o, names, true);
    for (size_t i = 0; i < packs->n; i++) {
        const Packing *item = &packs->items[i];
        if (item->value)
            w_comment(w, text_printable(a, value_get(p->graph, item->value)->name));
        w_line(w, "pack_%d(%s, %s);", item->text + 1,
               weights_pointer(p, o, (Weight){false, item->from}, a),
               packs_pointer(packs, item->offset, a));
    }
    w_line(w, "%s_is_packed = 1;", names->lower);
    w_close(w, "");
    w_blank(w);
}
