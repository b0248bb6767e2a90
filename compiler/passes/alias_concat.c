/* alias_concat.c - concat written in place by its producers. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <stdlib.h>

static int concat_axis(const Graph *g, const Node *n)
{
    return axis_from_end(n->attrs.axis, value_get(g, n->out)->type.rank);
}

/* is_run - whether a part of type `t`, `before` along the axis, is one run of the output's memory:
 * nothing but the axis varies outside it, and it is stored as the output is. Blocks of channels are
 * outermost, with all images in each. A block that two parts share would be written by both, so only the
 * last part may end within one. */
static bool is_run(const Type *t, const Type *out, int axis, int64_t before)
{
    for (int i = 0; i < axis && out->layout.block == 1; i++) {
        if (out->dims[i] != 1)
            return false;
    }
    if (t->elem != out->elem || !layout_same(t->layout, out->layout))
        return false;
    if (axis != 1)
        return axis == 0 ? out->layout.block == 1 : type_is_plain(out);
    return before % out->layout.block == 0 &&
           (t->dims[1] % out->layout.block == 0 || before + t->dims[1] == out->dims[1]);
}

/* run_offset - elements of the output ahead of such a part. */
static int64_t run_offset(const Type *out, int axis, int64_t before)
{
    Type ahead = *out;
    ahead.dims[axis] = before;
    return before ? type_stored_count(&ahead) : 0;
}

/* may_move - whether `v` has no place yet and could be given one. */
static bool may_move(const Graph *g, ValueId v)
{
    const Value *value = value_get(g, v);
    return value->producer && !value->constant && !value->is_output && !value->base;
}

/* ---- inputs inside concats -------------------------------------------------------------- */

static bool place_inputs(Graph *g, NodeId id)
{
    const Node *n = node_get(g, id);
    const Type *out = &value_get(g, n->out)->type;
    int         axis = concat_axis(g, n);
    bool        changed = false;
    int64_t     before = 0;
    for (int i = 0; i < n->n_own; i++) {
        Value *x = value_at(g, n->in[i]);
        /* The output may live inside the input already, through a concat of one. */
        if (may_move(g, n->in[i]) && is_run(&x->type, out, axis, before) &&
            value_home(g, n->out, NULL) != n->in[i]) {
            x->base = n->out;
            x->base_offset = run_offset(out, axis, before);
            changed = true;
        }
        before += x->type.dims[axis];
    }
    return changed;
}

/* copies_nothing - whether all inputs of concat `n` are in place. */
static bool copies_nothing(const Graph *g, const Node *n)
{
    const Type *out = &value_get(g, n->out)->type;
    int         axis = concat_axis(g, n);
    int64_t     before = 0;
    for (int i = 0; i < n->n_own; i++) {
        const Type *t = &value_get(g, n->in[i])->type;
        if (!is_run(t, out, axis, before) ||
            !value_is_placed(g, n->in[i], n->out, run_offset(out, axis, before)))
            return false;
        before += t->dims[axis];
    }
    return true;
}

/* ---- concats inside larger ones --------------------------------------------------------- */

/* part_place - how far along the axis of `large` the inputs of `small` stand in a row, as one run; -1
 * where they do not. */
static int64_t part_place(const Graph *g, const Node *small, const Node *large)
{
    const Type *t = &value_get(g, small->out)->type, *out = &value_get(g, large->out)->type;
    int         axis = concat_axis(g, large);
    int64_t     before = 0;
    if (t->rank != out->rank || axis != concat_axis(g, small))
        return -1;
    for (int at = 0; at + small->n_own <= large->n_own; at++) {
        int same = 0;
        while (same < small->n_own && small->in[same] == large->in[at + same])
            same++;
        if (same == small->n_own && is_run(t, out, axis, before))
            return before;
        before += value_get(g, large->in[at])->type.dims[axis];
    }
    return -1;
}

/* Put the output of concat `id`, which copies nothing, inside the next larger concat of its inputs:
 *
 *     c1 = concat(a, b)    c2 = concat(a, b, c)    c3 = concat(a, b, c, d)
 *
 * c1 becomes the beginning of c2, and c2 that of c3: a densely connected network copies nothing. */
static bool place_in_larger(Graph *g, NodeId id)
{
    enum { MOST_USERS = 64 }; /* looked at, so that a wide fan-out costs linear time */
    const Node *n = node_get(g, id), *best = NULL;
    int64_t     best_before = 0;
    if (!may_move(g, n->out) || !copies_nothing(g, n))
        return false;
    const Value *first = value_get(g, n->in[0]);
    for (size_t u = 0; u < first->n_users && u < MOST_USERS; u++) {
        const Node *large = node_get(g, first->users[u]);
        if (large->op != OP_concat || large->n_own <= n->n_own ||
            (best && large->n_own >= best->n_own))
            continue;
        int64_t before = part_place(g, n, large);
        if (before < 0 || value_home(g, large->out, NULL) == n->out)
            continue;
        best = large;
        best_before = before;
    }
    if (!best)
        return false;
    Value *out = value_at(g, n->out);
    out->base = best->out;
    out->base_offset =
        run_offset(&value_get(g, best->out)->type, concat_axis(g, best), best_before);
    return true;
}

/* ---- the pass --------------------------------------------------------------------------- */

typedef struct Sized {
    int    n_in, position;
    NodeId node;
} Sized;

static int compare_sized(const void *a, const void *b)
{
    const Sized *x = a, *y = b;
    if (x->n_in != y->n_in)
        return x->n_in - y->n_in;
    return x->position - y->position;
}

/* Concats by their number of inputs, so that a smaller one gets its inputs before a larger one. */
static Sized *find_concats(const Graph *g, Arena *scratch, int *count)
{
    Sized *concats = arena_array(scratch, Sized, g->n_nodes);
    int    n = 0;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        if (node_get(g, id)->op == OP_concat)
            concats[n] = (Sized){node_get(g, id)->n_own, n, id}, n++;
    }
    qsort(concats, (size_t)n, sizeof *concats, compare_sized);
    *count = n;
    return concats;
}

/* pass_alias_concat - let the producers of a concat's inputs write into its output.
 *
 *     y = concat(a, b)      a lives in y at 0, b lives in y behind it; the concat copies nothing
 *
 * Applies to each input that a node makes, that is no model output, has no other place yet, and would
 * be one run of the output's memory: the layouts agree, and all dims before the axis are 1 or channels
 * are in blocks. An input
 * that stands in a concat twice, or in several, is copied to all places but one - unless one concat
 * is a part of the other. Lowerings ask value_is_placed what is left to copy.
 * Views and relayouts that move no byte get their input's memory here too.
 * Needs shapes, and layouts where the target has them. Returns true if the graph changed. */
bool pass_alias_concat(Graph *g, const PassContext *c)
{
    (void)c;
    Arena *scratch = arena_new();
    bool   changed = false;
    int    n;
    Sized *concats = find_concats(g, scratch, &n);
    for (int i = 0; i < n; i++)
        changed |= place_inputs(g, concats[i].node);
    for (int i = 0; i < n; i++)
        changed |= place_in_larger(g, concats[i].node);
    changed |= storage_alias_views(g);
    storage_settle(g);
    arena_free(scratch);
    return changed;
}
