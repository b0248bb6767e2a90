/* names.c - what the model defines and what of it is needed; names of nodes. */
#include "onnx/importer.h"

#include <stdlib.h>
#include <string.h>

/* ---- names ------------------------------------------------------------------------------------ */

static int compare_values(const void *a, const void *b)
{
    const OnnxValue *x = a, *y = b;
    int              order = strcmp(x->name, y->name);
    return order ? order : (x->node > y->node) - (x->node < y->node);
}

OnnxValue *name_find(const Importer *im, const char *name)
{
    size_t low = 0, high = im->n_names;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(im->names[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < im->n_names && !strcmp(im->names[low].name, name) ? &im->names[low] : NULL;
}

static void name_add(Importer *im, const char *name, int node)
{
    if (!*name)
        return;
    im->names[im->n_names++] = (OnnxValue){.name = name, .node = node};
    graph_reserve_name(im->graph, name);
}

/* drop_doubles - of names that stand there twice the first stays. An initializer may be listed as an input
 * also, and is a constant then; all else is a mistake. */
static void drop_doubles(Importer *im)
{
    OnnxValue *names = im->names;
    size_t     n = 0;
    for (size_t i = 0; i < im->n_names; i++) {
        const OnnxValue *v = &names[i], *first = n ? &names[n - 1] : NULL;
        if (!first || strcmp(first->name, v->name)) {
            names[n++] = *v;
            continue;
        }
        if (first->node == BY_INITIALIZER && v->node == BY_INPUT)
            continue;
        Span where = {.source = im->source, .pointer = "/graph"};
        if (v->node >= 0)
            where = place_in(im, "node", (size_t)v->node);
        diag_error(im->diag, where, "the name '%s' is taken", text_printable(im->arena, v->name));
    }
    im->n_names = n;
}

/* collect_names - all that the model defines. Sorting rather than hashing: no choice of names makes it
 * slow. */
bool names_collect(Importer *im)
{
    int                     errors_before = diag_errors(im->diag);
    const Onnx__GraphProto *g = im->model->graph;
    size_t                  n = g->n_initializer + g->n_input;
    for (size_t i = 0; i < g->n_node; i++)
        n += g->node[i]->n_output;
    im->names = arena_array(im->arena, OnnxValue, n);
    for (size_t i = 0; i < g->n_initializer; i++)
        name_add(im, g->initializer[i]->name, BY_INITIALIZER);
    for (size_t i = 0; i < g->n_input; i++)
        name_add(im, g->input[i]->name, BY_INPUT);
    for (size_t i = 0; i < g->n_node; i++)
        for (size_t k = 0; k < g->node[i]->n_output; k++)
            name_add(im, g->node[i]->output[k], (int)i);
    if (im->n_names)
        qsort(im->names, im->n_names, sizeof *im->names, compare_values);
    drop_doubles(im);
    return diag_errors(im->diag) == errors_before;
}

/* mark_used - what the outputs need, directly or through other nodes. */
void names_mark_used(Importer *im)
{
    const Onnx__GraphProto *g = im->model->graph;
    OnnxValue              *v;
    for (size_t i = 0; i < g->n_output; i++)
        if ((v = name_find(im, g->output[i]->name)) != NULL)
            v->is_used = true;
    for (size_t i = g->n_node; i-- > 0;) {
        const Onnx__NodeProto *n = g->node[i];
        bool                   is_used = false;
        for (size_t k = 0; k < n->n_output; k++)
            is_used |= (v = name_find(im, n->output[k])) != NULL && v->is_used;
        for (size_t k = 0; is_used && k < n->n_input; k++)
            if ((v = name_find(im, n->input[k])) != NULL)
                v->is_used = true;
    }
}

const char *names_guess(Importer *im, const char *wrong)
{
    Guess guess = guess_new(wrong);
    for (size_t i = 0; i < im->n_names && !diag_full(im->diag); i++)
        guess_try(&guess, im->names[i].name);
    return guess_text(im->arena, &guess);
}

/* ---- names of nodes --------------------------------------------------------------------------- */

typedef struct NodeName {
    const char *name;
    size_t      node;
} NodeName;

static int compare_node_names(const void *a, const void *b)
{
    const NodeName *x = a, *y = b;
    int             order = strcmp(x->name, y->name);
    return order ? order : (x->node > y->node) - (x->node < y->node);
}

/* first_output - the first output that is there. */
static const char *first_output(const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < n->n_output; i++)
        if (*n->output[i])
            return n->output[i];
    return "";
}

/* is_free - whether the node may be called that among the values; its first output may be too. */
static bool is_free(const Importer *im, const Onnx__NodeProto *n)
{
    return *n->name && (!name_find(im, n->name) || strcmp(n->name, first_output(n)) == 0);
}

const char **names_of_nodes(Importer *im)
{
    const Onnx__GraphProto *g = im->model->graph;
    const char            **names = arena_array(im->arena, const char *, g->n_node);
    NodeName               *sorted = arena_array(im->arena, NodeName, g->n_node);
    size_t                  n = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        const Onnx__NodeProto *node = g->node[i];
        names[i] = first_output(node);
        if (is_free(im, node))
            sorted[n++] = (NodeName){node->name, i};
        graph_reserve_name(im->graph, node->name);
    }
    if (n)
        qsort(sorted, n, sizeof *sorted, compare_node_names);
    for (size_t i = 0; i < n; i++)
        if (!i || strcmp(sorted[i].name, sorted[i - 1].name) != 0)
            names[sorted[i].node] = sorted[i].name;
    return names;
}
