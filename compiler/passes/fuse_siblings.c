/* fuse_siblings.c - convolutions of one input as one, whose output they are parts of. */
#include "ops/ops.h"
#include "passes/passes.h"
#include "target/target.h"

#include <string.h>

enum { MOST_PARTS = 8, MOST_SIBLINGS = 32 };

/* Convolutions in the order of their channels; all but the last make whole blocks. */
typedef struct Family {
    int    n;
    NodeId part[MOST_PARTS];
} Family;

/* ---- which may be one ------------------------------------------------------------------- */

static int64_t n_channels(const Graph *g, NodeId id)
{
    return value_get(g, node_get(g, id)->out)->type.dims[1];
}

static bool fills_blocks(const Graph *g, NodeId id)
{
    return n_channels(g, id) % value_get(g, node_get(g, id)->out)->type.layout.block == 0;
}

/* feeds_concat - whether `v` is to be made inside the output of a concat: as part of something else it
 * would have to be copied there. */
static bool feeds_concat(const Graph *g, ValueId v)
{
    const Value *value = value_get(g, v);
    for (size_t u = 0; u < value->n_users; u++)
        if (node_get(g, value->users[u])->op == OP_concat)
            return true;
    return false;
}

/* is_named - whether the schedule file says how `n` itself is to be computed. */
static bool is_named(const Graph *g, const Node *n, const PassContext *c)
{
    return *schedule_given(c->schedules, n->name, g->arena) != 0;
}

/* can_join - whether `id` may be a part at all: direct sums over all channels, in blocks, with nothing
 * in the epilogue that differs from channel to channel or pixel to pixel. */
static bool can_join(const Graph *g, NodeId id, const PassContext *c)
{
    const Node *n = node_get(g, id);
    if (n->op != OP_conv2d || n->algorithm != DIRECT || n->attrs.groups != 1 || n->n_in != n->n_own)
        return false;
    const Value *weights = graph_input(g, n, 1), *bias = graph_input(g, n, 2);
    return value_get(g, n->out)->type.layout.block > 1 && weights->constant &&
           (!bias || bias->constant) && !feeds_concat(g, n->out) && !is_named(g, n, c);
}

static bool same_epilogue(const Epilogue *a, const Epilogue *b)
{
    if (a->n_steps != b->n_steps)
        return false;
    for (int i = 0; i < a->n_steps; i++) {
        const EpilogueStep *x = &a->steps[i], *y = &b->steps[i];
        if (x->op != y->op || !attrs_equal(x->op, &x->attrs, &y->attrs))
            return false;
    }
    return true;
}

/* are_alike - whether two that may be parts differ in their weights alone. */
static bool are_alike(const Graph *g, NodeId a, NodeId b)
{
    const Node *x = node_get(g, a), *y = node_get(g, b);
    if (x->in[0] != y->in[0] || !attrs_equal(x->op, &x->attrs, &y->attrs) ||
        !same_epilogue(&x->epilogue, &y->epilogue))
        return false;
    const Value *xb = graph_input(g, x, 2), *yb = graph_input(g, y, 2);
    const Type  *xw = &graph_input(g, x, 1)->type, *yw = &graph_input(g, y, 1)->type;
    const Type  *xt = &value_get(g, x->out)->type, *yt = &value_get(g, y->out)->type;
    if (!xb != !yb || (xb && xb->type.elem != yb->type.elem))
        return false;
    return xw->elem == yw->elem && xw->dims[2] == yw->dims[2] && xw->dims[3] == yw->dims[3] &&
           xt->elem == yt->elem && layout_has_halo(xt->layout) == layout_has_halo(yt->layout);
}

/* joined - `f` with `id` before its last part, which may be the one that ends within a block, or behind
 * it. False: two would, or there are enough. */
static bool joined(const Graph *g, const Family *f, NodeId id, Family *out)
{
    NodeId last = f->part[f->n - 1];
    if (f->n == MOST_PARTS || (!fills_blocks(g, last) && !fills_blocks(g, id)))
        return false;
    *out = *f;
    bool before = !fills_blocks(g, last);
    out->part[f->n] = before ? last : id;
    out->part[f->n - before] = id;
    out->n++;
    return true;
}

/* ---- the one ---------------------------------------------------------------------------- */

/* join_constants - input `i` of all parts, one behind the other; 0: they have none. */
static ValueId join_constants(Graph *g, const Family *f, int i)
{
    const Value *first = graph_input(g, node_get(g, f->part[0]), i);
    if (!first)
        return 0;
    Type t = first->type;
    t.dims[0] = 0;
    for (int p = 0; p < f->n; p++)
        t.dims[0] += graph_input(g, node_get(g, f->part[p]), i)->type.dims[0];
    char *data = arena_alloc(g->arena, (size_t)type_count(&t) * elem_bytes(t.elem)), *at = data;
    for (int p = 0; p < f->n; p++) {
        const Tensor *part = graph_input(g, node_get(g, f->part[p]), i)->constant;
        size_t        bytes = (size_t)type_count(&part->type) * elem_bytes(t.elem);
        memcpy(at, part->data, bytes);
        at += bytes;
    }
    Tensor *all = arena_struct(g->arena, Tensor);
    *all = (Tensor){t, data};
    return graph_add_constant(g, graph_fresh_name(g, first->name), all);
}

static int32_t wider(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* joined_layout - blocks, with zeros around the planes for the reader of any part. */
static Layout joined_layout(const Graph *g, const Family *f)
{
    Layout all = {0};
    for (int p = 0; p < f->n; p++) {
        const Layout *l = &value_get(g, node_get(g, f->part[p])->out)->type.layout;
        all = (Layout){l->block, wider(all.top, l->top), wider(all.left, l->left),
                       wider(all.bottom, l->bottom), wider(all.right, l->right)};
    }
    return all;
}

/* join - a convolution that computes what all parts do, right behind what they read; they stay as they
 * are. */
static NodeId join(Graph *g, const Family *f)
{
    const Node *first = node_get(g, f->part[0]);
    Text        name = text_new(g->arena);
    int64_t     channels = 0;
    for (int p = 0; p < f->n; p++) {
        text_printf(&name, "%s%s", p ? "+" : "", node_get(g, f->part[p])->name);
        channels += n_channels(g, f->part[p]);
    }
    ValueId  in[] = {first->in[0], join_constants(g, f, 1), join_constants(g, f, 2)};
    OpAttrs  attrs = first->attrs;
    Epilogue epilogue = first->epilogue;
    Type     t = value_get(g, first->out)->type;
    t.dims[1] = channels;
    t.layout = joined_layout(g, f);
    NodeId maker = value_get(g, first->in[0])->producer;
    NodeId before = maker ? graph_next(g, maker) : graph_first(g);
    char  *fresh = graph_fresh_name(g, value_get(g, first->out)->name);
    NodeId all = graph_add(g, OP_conv2d, fresh, first->where, first->n_own, in, &attrs, before);
    node_at(g, all)->name = name.data;
    node_at(g, all)->epilogue = epilogue;
    value_at(g, node_get(g, all)->out)->type = t;
    return all;
}

/* ---- whether it pays -------------------------------------------------------------------- */

/* What estimates depend on, besides the convolution. */
typedef struct Chooser {
    const PassContext *c;
    bool               weights_cold;
} Chooser;

/* cycles - estimated, of the register tile that will be chosen. Thin convolutions have too few vectors of
 * output channels to fill one. */
static double cycles(Graph *g, NodeId id, const Chooser *s)
{
    TileCost tiles[MAX_TILES];
    Arena   *scratch = arena_new();
    Kernel  *k = kernel_new(scratch, "cost", s->c->target, s->c->exact ? FP_EXACT : FP_STRICT);
    k->node = id;
    k->weights_cold = s->weights_cold;
    op_info(OP_conv2d)->lower(g, id, k);
    kpass_merge(k);
    double least = schedule_tiles(k, tiles) ? tiles[0].cycles : 0;
    arena_free(scratch);
    return least;
}

/* join_if_cheaper - the one of `f` and `id` in place of the one of `f` (`all`; 0: `f` is a single part),
 * where that takes fewer cycles than the two. */
static NodeId join_if_cheaper(Graph *g, Family *f, NodeId all, NodeId id, const Chooser *s)
{
    Family larger;
    if (!joined(g, f, id, &larger))
        return all;
    double apart = cycles(g, all ? all : f->part[0], s) + cycles(g, id, s);
    NodeId one = join(g, &larger);
    if (cycles(g, one, s) >= apart) {
        graph_remove(g, one);
        return all;
    }
    if (all)
        graph_remove(g, all);
    *f = larger;
    return one;
}

/* ---- the parts -------------------------------------------------------------------------- */

/* cut_out - channels from `first` on of what `all` computes, in place of what `part` does. */
static void cut_out(Graph *g, NodeId all, NodeId part, int64_t first)
{
    ValueId     whole = node_get(g, all)->out, old = node_get(g, part)->out;
    Type        t = value_get(g, old)->type;
    Span        where = node_get(g, part)->where;
    const char *name = node_get(g, part)->name, *value = value_get(g, old)->name;
    OpAttrs attrs = {.axes = {1, {1}}, .starts = {1, {first}}, .ends = {1, {first + t.dims[1]}}};
    NodeId cut = graph_add(g, OP_slice, graph_fresh_name(g, value), where, 1, &whole, &attrs, part);
    ValueId out = node_get(g, cut)->out;
    t.layout = value_get(g, whole)->type.layout;
    value_at(g, out)->type = t;
    node_at(g, cut)->name = name;
    graph_replace_uses(g, old, out);
    graph_remove(g, part);
    graph_rename_value(g, out, value);
}

/* siblings_of - those that may be one with `first`, at most MOST_SIBLINGS; their number. */
static int siblings_of(const Graph *g, NodeId first, const PassContext *c, NodeId *out)
{
    const Value *x = graph_input(g, node_get(g, first), 0);
    int          n = 0;
    for (size_t u = 0; u < x->n_users && n < MOST_SIBLINGS; u++)
        if (x->users[u] != first && can_join(g, x->users[u], c) && are_alike(g, first, x->users[u]))
            out[n++] = x->users[u];
    return n;
}

/* fuse - `first` and those that gain by being computed with it. */
static bool fuse(Graph *g, NodeId first, const Chooser *s)
{
    NodeId siblings[MOST_SIBLINGS], all = 0;
    Family f = {1, {first}};
    int    n = siblings_of(g, first, s->c, siblings);
    for (int i = 0; i < n; i++)
        all = join_if_cheaper(g, &f, all, siblings[i], s);
    int64_t before = 0;
    for (int p = 0; p < f.n && all; p++) {
        int64_t channels = n_channels(g, f.part[p]);
        cut_out(g, all, f.part[p], before);
        before += channels;
    }
    return all != 0;
}

/* pass_fuse_siblings - convolutions that read one value, as one.
 *
 *     a = conv2d(x, v) then relu          y = conv2d(x, v w) then relu
 *     b = conv2d(x, w) then relu          a = slice(y), b = slice(y)
 *
 * The slices are views: each begins at a block of channels, so only the last may end within one. Applies
 * to direct sums over all channels that differ in their weights alone, where the estimate for the one is
 * below that of those apart. Not to what a concat reads, which would have to be copied there, nor to nodes
 * that the schedule file names. Halos grow to that of the part with the widest; values with none stay
 * apart from those, as zeros would be written that nobody reads.
 * Needs layouts, in blocks. Returns true if the graph changed. */
bool pass_fuse_siblings(Graph *g, const PassContext *c)
{
    if (!c->target || c->target->lanes <= 1)
        return false;
    Chooser s = {c, graph_constant_bytes(g) > c->target->l3_bytes};
    bool    changed = false;
    for (NodeId id = 1, end = g->n_nodes; id < end; id++)
        changed |= can_join(g, id, c) && fuse(g, id, &s);
    return changed;
}
