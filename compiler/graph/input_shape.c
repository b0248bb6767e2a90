/* input_shape.c - shapes of inputs from the command line: --shape and --batch. */
#include "graph/graph.h"

#include <string.h>

#define MAX_ELEMENTS ((int64_t)1 << 40)

static const InputShape *given_for(const ReadOptions *o, const char *name)
{
    for (int i = 0; i < o->n_shapes; i++)
        if (!strcmp(o->shapes[i].name, name))
            return &o->shapes[i];
    return NULL;
}

bool input_shape_fix(Diag *d, Span where, const ReadOptions *o, const char *name, int *rank,
                     int64_t *dims)
{
    const InputShape *given = given_for(o, name);
    int64_t           count = 1;
    if (given && *rank >= 0 && *rank != given->rank) {
        diag_error(d, where, "--shape gives %d dimensions, but the input has %d", given->rank,
                   *rank);
        return false;
    }
    if (given) {
        *rank = given->rank;
        memcpy(dims, given->dims, (size_t)given->rank * sizeof *dims);
    }
    if (o->batch > 0 && *rank > 0)
        dims[0] = o->batch;
    for (int i = 0; i < *rank; i++) {
        if (dims[i] < 0 || (mul_ok(count, dims[i], &count) && count <= MAX_ELEMENTS))
            continue;
        if (o->batch > 0)
            diag_error(d, where, "a batch of %lld makes more than 2^40 elements",
                       (long long)o->batch);
        else
            diag_error(d, where, "the shape has more than 2^40 elements");
        return false;
    }
    return true;
}

void input_shapes_check(const Graph *g, Span where, const ReadOptions *o)
{
    for (int i = 0; i < o->n_shapes; i++) {
        const char *name = o->shapes[i].name;
        Guess       guess = guess_new(name);
        bool        found = false;
        for (int k = 0; k < g->n_inputs && !found; k++) {
            found = !strcmp(g->inputs[k].name, name);
            guess_try(&guess, g->inputs[k].name);
        }
        if (!found)
            diag_error(g->diag, where, "--shape: the model has no input '%s'%s",
                       text_printable(g->arena, name), guess_text(g->arena, &guess));
    }
}
