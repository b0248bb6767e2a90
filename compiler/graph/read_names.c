/* read_names.c - which name means which value, and the order of execution. */
#include "graph/read.h"

#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------ */

void names_add(Reader *r, const char *name, const Json *at, ItemId item)
{
    r->names = arena_grow(r->arena, r->names, r->n_names, &r->cap_names, sizeof *r->names);
    r->names[r->n_names++] = (Name){.name = name, .at = at, .item = item};
}

/* By name, then by place in the file. */
static int compare_names(const void *a, const void *b)
{
    const Name *x = a, *y = b;
    int         order = strcmp(x->name, y->name);
    return order ? order : (x->at->offset > y->at->offset) - (x->at->offset < y->at->offset);
}

/* Sorting rather than hashing: no choice of names makes it slow. */
void names_sort(Reader *r)
{
    if (!r->n_names)
        return;
    qsort(r->names, r->n_names, sizeof *r->names, compare_names);
    size_t first = 0;
    for (size_t i = 1; i < r->n_names; i++) {
        if (strcmp(r->names[i].name, r->names[first].name)) {
            first = i;
            continue;
        }
        read_error(r, r->names[i].at, "the name '%s' is taken",
                   text_printable(r->arena, r->names[i].name));
        diag_note(r->diag, read_span(r, r->names[first].at), "by this one");
    }
}

/* The first of several alike is the one that counts. */
const Name *names_find(const Reader *r, const char *name)
{
    size_t low = 0, high = r->n_names;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(r->names[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->n_names && !strcmp(r->names[low].name, name) ? &r->names[low] : NULL;
}

/* other_name - "; its value is called 'x'" for the node declared at `at`. */
static const char *other_name(Reader *r, const Json *at)
{
    for (size_t i = 0; i < r->n_names; i++) {
        const Json *outputs = r->names[i].at->parent;
        if (r->names[i].item != NO_ITEM && outputs && outputs->parent == at->parent)
            return arena_printf(r->arena, "; its value is called '%s'",
                                text_printable(r->arena, r->names[i].name));
    }
    return "";
}

ItemId names_resolve(Reader *r, const Json *j, const char *what)
{
    const char *wanted = read_name(r, j, what);
    if (!wanted)
        return NO_ITEM;
    const Name *name = names_find(r, wanted);
    if (name && name->item != NO_ITEM)
        return name->item;
    if (diag_full(r->diag)) { /* guessing takes time; this one is only counted */
        read_error(r, j, "no value");
        return NO_ITEM;
    }
    if (name) {
        read_error(r, j, "'%s' is a node, not a value%s", text_printable(r->arena, wanted),
                   other_name(r, name->at));
        return NO_ITEM;
    }
    Guess guess = guess_new(wanted);
    for (size_t i = 0; i < r->n_names; i++)
        if (r->names[i].item != NO_ITEM)
            guess_try(&guess, r->names[i].name);
    read_error(r, j, "there is no value called '%s'%s", text_printable(r->arena, wanted),
               guess_text(r->arena, &guess));
    return NO_ITEM;
}

/* ---- order ------------------------------------------------------------------------------ */

/* report_cycle - `stack` holds nodes each of which reads the next, and the last reads the first. */
static void report_cycle(Reader *r, const uint32_t *stack, size_t n)
{
    enum { MOST = 8 };
    Text text = text_new(r->arena);
    /* In the direction of the data: from the first to the last, then back down. */
    text_printf(&text, "'%s'", text_printable(r->arena, r->decls[stack[0]].name));
    for (size_t i = n; i-- > 0;) {
        if (n > MOST && i >= MOST / 2 && i < n - MOST / 2) {
            text_printf(&text, " -> (%zu more)", n - MOST);
            i = MOST / 2;
            continue;
        }
        text_printf(&text, " -> '%s'", text_printable(r->arena, r->decls[stack[i]].name));
    }
    read_error(r, r->decls[stack[0]].json, "%s in a circle: %s",
               n > 1 ? "these nodes read each other" : "this node reads itself", text.data);
}

/* One walk along inputs, with a stack of its own: chains are as deep as the model has nodes. */
typedef struct Walk {
    enum { NEW, OPEN, DONE } * state;
    size_t   *cursor; /* the next input to look at */
    uint32_t *stack;
    size_t    depth;
    uint32_t *order;
    size_t    n_order;
    bool      has_cycle;
} Walk;

/* step - look at the next input of the node on top of the stack, or finish it. */
static void step(Reader *r, Walk *w)
{
    uint32_t    top = w->stack[w->depth - 1];
    const Decl *decl = &r->decls[top];
    if (w->cursor[top] == decl->n_refs) {
        w->state[top] = DONE;
        w->order[w->n_order++] = top;
        w->depth--;
        return;
    }
    ItemId ref = decl->refs[w->cursor[top]++];
    if (ref == NO_ITEM || ref < r->n_inputs)
        return;
    uint32_t next = ref - r->n_inputs;
    if (w->state[next] == NEW) {
        w->state[next] = OPEN;
        w->stack[w->depth++] = next;
    } else if (w->state[next] == OPEN) {
        size_t start = w->depth;
        while (w->stack[--start] != next)
            ;
        report_cycle(r, w->stack + start, w->depth - start);
        w->has_cycle = true;
    }
}

const uint32_t *read_order(Reader *r)
{
    uint32_t n = r->n_decls;
    Walk     w = {
            .state = arena_array_(r->arena, n, sizeof *w.state),
            .cursor = arena_array(r->arena, size_t, n),
            .stack = arena_array(r->arena, uint32_t, n),
            .order = arena_array(r->arena, uint32_t, n),
    };
    for (uint32_t i = 0; i < n; i++) {
        if (w.state[i] != NEW)
            continue;
        w.state[i] = OPEN;
        w.stack[w.depth++] = i;
        while (w.depth) {
            step(r, &w);
            if (w.has_cycle && diag_full(r->diag))
                return NULL;
        }
    }
    return w.has_cycle ? NULL : w.order;
}
