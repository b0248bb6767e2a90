/* plan_storage.c - which values share memory, and which may take over another's. */
#include "passes/passes.h"
#include "ops/ops.h"

int64_t plan_align(const Target *t)
{
    enum { CACHE_LINE = 64, WORD = 4 };
    return t && t->lanes > 1 ? CACHE_LINE : WORD;
}

int64_t storage_bytes(const Graph *g, ValueId v)
{
    const Type *t = &value_get(g, v)->type;
    return type_stored_count(t) * (int64_t)elem_bytes(t->elem);
}

/* ---- views ------------------------------------------------------------------------------ */

/* Whether x, as stored, begins with the bytes of y as stored, y being x in another layout: with
 * single pixels of one image the channels stand in order whatever the block, up to the padding behind
 * them. */
static bool relayout_keeps_bytes(const Type *x, const Type *y)
{
    int64_t d[4], bx = x->layout.block, by = y->layout.block;
    if (layout_has_halo(x->layout) || layout_has_halo(y->layout) || !dims_nchw(x, d) ||
        d[0] * d[2] * d[3] != 1)
        return false;
    return (d[1] % bx == 0 && d[1] % by == 0) || type_stored_count(y) <= type_stored_count(x);
}

static bool keeps_bytes(const Graph *g, const Node *n)
{
    const Type *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    if (n->epilogue.n_steps)
        return false;
    if (n->op == OP_relayout)
        return relayout_keeps_bytes(x, y);
    return (op_info(n->op)->flags & OPF_VIEW) && type_is_plain(x) && type_is_plain(y);
}

/* alias_slice - channels that are whole blocks are read where they are. */
static bool alias_slice(Graph *g, const Node *n)
{
    int64_t      place = slice_place(g, n);
    const Value *x = graph_input(g, n, 0);
    Value       *y = value_at(g, n->out);
    if (place < 0 || x->is_input || x->constant || y->is_output || y->base)
        return false;
    y->base = n->in[0];
    y->base_offset = place;
    return true;
}

/* Inside its input: unless one of the two has its place by the caller, or is part of a concat. */
static bool alias_view(Graph *g, NodeId id)
{
    const Node *n = node_get(g, id);
    if (n->op == OP_slice)
        return alias_slice(g, n);
    if (!keeps_bytes(g, n))
        return false;
    ValueId in = n->in[0], out = n->out;
    Value  *x = value_at(g, in), *y = value_at(g, out);
    if (x->is_input || x->constant || y->is_output)
        return false;
    if (!y->base) {
        y->base = in;
        return true;
    }
    /* Placed elsewhere: then x may be made right there, if it has no place yet and is no larger. */
    if (x->base || x->is_output || storage_bytes(g, in) != storage_bytes(g, out) ||
        value_home(g, out, NULL) == in)
        return false;
    x->base = out;
    return true;
}

bool storage_alias_views(Graph *g)
{
    bool changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        changed |= alias_view(g, n);
    return changed;
}

/* ---- taking over ------------------------------------------------------------------------ */

/* reads_elementwise - whether the node reads in[i] only at the element it is about to write. */
static bool reads_elementwise(const Node *n, int i)
{
    unsigned flags = op_info(n->op)->flags;
    if (i < n->n_own)
        return (flags & (OPF_UNARY | OPF_BINARY)) ||
               (i == 0 && (n->op == OP_prelu || n->op == OP_batch_norm));
    return flags & OPF_EPILOGUE;
}

/* Another input that lives with in[i] must be the same value, read in the same way. */
static bool others_allow(const Graph *g, const Node *n, int i, ValueId home)
{
    for (int k = 0; k < n->n_in; k++) {
        if (!n->in[k] || value_home(g, n->in[k], NULL) != home)
            continue;
        if (n->in[k] != n->in[i] || !reads_elementwise(n, k))
            return false;
    }
    return true;
}

bool storage_takeover(const Graph *g, NodeId id, int i)
{
    const Node  *n = node_get(g, id);
    const Value *x = graph_input(g, n, i), *y = value_get(g, n->out);
    if (!x || !value_in_arena(g, n->in[i]) || y->is_output || y->base || !reads_elementwise(n, i))
        return false;
    ValueId home = value_home(g, n->in[i], NULL);
    return type_same_shape(&x->type, &y->type) && x->type.elem == y->type.elem &&
           layout_same(x->type.layout, y->type.layout) && home != n->out &&
           storage_bytes(g, home) == storage_bytes(g, n->out) && others_allow(g, n, i, home);
}

void storage_settle(Graph *g)
{
    Arena   *scratch = arena_new();
    ValueId *path = arena_array(scratch, ValueId, g->n_values);
    for (ValueId v = 1; v < g->n_values; v++) {
        int n = 0;
        for (ValueId at = v; value_get(g, at)->base; at = value_get(g, at)->base)
            path[n++] = at;
        /* From the end nearest to the home: each base then is a home already, or settled. */
        for (int i = n - 2; i >= 0; i--) {
            Value       *value = value_at(g, path[i]);
            const Value *base = value_get(g, value->base);
            value->base_offset += base->base_offset;
            value->base = base->base;
        }
    }
    arena_free(scratch);
}
