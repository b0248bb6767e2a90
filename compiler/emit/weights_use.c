/* weights_use.c - how the code refers to constants: pointers it declares, places behind them. */
#include "emit/emit.h"

#include <inttypes.h>

/* is_read - whether the code (NAME_pack, or infer) takes constants of type `e` out of the blob. */
static bool is_read(const Program *p, Elem e, bool packing)
{
    if (packing)
        return packs_read(p->packs, p->blob, e);
    for (int i = 0; i < p->n_steps; i++)
        for (int k = 0; k < p->steps[i].n_weights; k++) {
            const Weight *at = &p->steps[i].weights[k];
            if (!at->is_packed && blob_at(p->blob, at->offset)->buffer.elem == e)
                return true;
        }
    for (int i = 0; i < p->graph->n_outputs; i++)
        if (p->output_weights[i] >= 0 && blob_at(p->blob, p->output_weights[i])->buffer.elem == e)
            return true;
    return false;
}

void weights_locals(Writer *w, const Program *p, const EmitOptions *o, const Names *names,
                    bool packing)
{
    Held held = weights_held(p, o);
    for (int i = 0; i < n_held_types; i++) {
        const HeldType *t = &held_types[i];
        if (packs_use(p->packs, t->elem))
            w_line(w, "%s%s *const packed_%s = %s_packed.%s;", packing ? "" : "const ", t->c,
                   t->name, names->lower, t->name);
        if (!is_read(p, t->elem, packing))
            continue;
        if (held == HELD_NUMBERS)
            w_line(w, "const %s *const weights_%s = %s_weights_%s;", t->c, t->name, names->lower,
                   t->name);
        else if (held == HELD_FILE)
            w_line(w, "const %s *const weights_%s = (const %s *)(const void *)%s_weights;", t->c,
                   t->name, t->c, names->lower);
        else
            w_line(w, "const %s *const weights_%s = %s_weights.%s;", t->c, t->name, names->lower,
                   t->name);
    }
}

const char *weights_pointer(const Program *p, const EmitOptions *o, Weight weight, Arena *a)
{
    if (weight.is_packed)
        return packs_pointer(p->packs, weight.offset, a);
    const BlobEntry *e = blob_at(p->blob, weight.offset);
    int64_t          at = weight.offset / (int64_t)elem_bytes(e->buffer.elem);
    if (weights_held(p, o) == HELD_NUMBERS)
        at = e->index;
    for (int i = 0; i < n_held_types; i++)
        if (held_types[i].elem == e->buffer.elem)
            return at ? arena_printf(a, "weights_%s + %" PRId64, held_types[i].name, at)
                      : arena_printf(a, "weights_%s", held_types[i].name);
    return "0";
}
