/* layout_halo.c - zeros around the planes that padded convolutions read.
 *
 * A convolution reads its padding from the halo without a test. Values that are to share memory must
 * agree on it: the parts of a concat and the concat, the operands of an elementwise step and its
 * result. They form groups, and a group has the largest halo any of its readers needs: in a residual
 * network the sums of a stage, read by the next convolution and by the next sum. */
#include "passes/passes.h"
#include "ops/ops.h"

typedef struct Halo {
    int64_t side[4]; /* top, left, bottom, right, as in padding */
} Halo;

static bool halo_is_empty(const Halo *h)
{
    return !(h->side[0] | h->side[1] | h->side[2] | h->side[3]);
}

/* The padding that windows reach into. */
static Halo conv_halo(const Graph *g, const Node *n)
{
    const OpAttrs *a = &n->attrs;
    const Type    *x = &graph_input(g, n, 0)->type, *y = &value_get(g, n->out)->type;
    Halo           h = {0};
    if (n->winograd) {
        winograd_halo(g, n, h.side);
        return h;
    }
    for (int i = 0; i < 2; i++) {
        int64_t dilation = a->dilations[i] > 1 ? a->dilations[i] : 1;
        int64_t reach = (y->dims[2 + i] - 1) * a->strides[i] + (a->kernel[i] - 1) * dilation + 1;
        int64_t after = reach - x->dims[2 + i] - a->padding[i];
        h.side[i] = a->padding[i];
        h.side[2 + i] = after > 0 ? after : 0;
    }
    return h;
}

static void set_halo(Layout *l, const Halo *h)
{
    l->top = (int32_t)h->side[0];
    l->left = (int32_t)h->side[1];
    l->bottom = (int32_t)h->side[2];
    l->right = (int32_t)h->side[3];
}

/* pays - whether the zeros stay in proportion to the plane: padding may be as wide as a model says. */
static bool pays(const Type *x, const Halo *h)
{
    enum { WIDEST = 1 << 16, MOST_TIMES = 4, ALWAYS = 64 };
    for (int i = 0; i < 4; i++) {
        if (h->side[i] > WIDEST)
            return false;
    }
    int64_t rows = x->dims[2], columns = x->dims[3];
    return (h->side[0] + rows + h->side[2]) * (h->side[1] + columns + h->side[3]) <=
           MOST_TIMES * rows * columns + ALWAYS;
}

/* wanted_halo - what node `n` would like around in[0]; empty for most. */
static Halo wanted_halo(const Graph *g, const Node *n)
{
    if (n->op != OP_conv2d || graph_input(g, n, 0)->constant)
        return (Halo){0};
    Halo h = conv_halo(g, n);
    return pays(&graph_input(g, n, 0)->type, &h) ? h : (Halo){0};
}

bool layout_pads(const Graph *g, const Node *n, Layout *l)
{
    Halo h = conv_halo(g, n);
    set_halo(l, &h);
    return pays(&graph_input(g, n, 0)->type, &h);
}

/* can_have_halo - whether what makes `v` stores it through its layout. */
static bool can_have_halo(const Graph *g, ValueId v)
{
    const Value *value = value_get(g, v);
    return value->producer && !value->constant && value->type.rank == 4 &&
           (op_info(node_get(g, value->producer)->op)->flags & OPF_BLOCKED);
}

/* ---- groups ----------------------------------------------------------------------------- */

typedef struct Groups {
    ValueId *up;   /* towards the group's representative; itself at the top */
    Halo    *halo; /* of the representative */
} Groups;

static ValueId group_of(Groups *s, ValueId v)
{
    while (s->up[v] != v) {
        s->up[v] = s->up[s->up[v]];
        v = s->up[v];
    }
    return v;
}

/* shares - whether in[i] and the output may come to share memory. */
static bool shares(const Graph *g, const Node *n, int i)
{
    const Type *x = &graph_input(g, n, i)->type, *y = &value_get(g, n->out)->type;
    unsigned    flags = op_info(n->op)->flags;
    if (x->elem != y->elem || x->layout.block != y->layout.block || !can_have_halo(g, n->in[i]))
        return false;
    if (n->op == OP_concat)
        return axis_from_end(n->attrs.axis, y->rank) == 1;
    bool elementwise = i >= n->n_own || (flags & (OPF_UNARY | OPF_BINARY)) || n->op == OP_prelu ||
                       n->op == OP_batch_norm;
    return elementwise && type_same_shape(x, y);
}

static Groups find_groups(const Graph *g, Arena *scratch)
{
    Groups s = {arena_array(scratch, ValueId, g->n_values),
                arena_array(scratch, Halo, g->n_values)};
    for (ValueId v = 0; v < g->n_values; v++)
        s.up[v] = v;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        for (int i = 0; i < n->n_in && can_have_halo(g, n->out); i++) {
            if (graph_input(g, n, i) && shares(g, n, i))
                s.up[group_of(&s, n->in[i])] = group_of(&s, n->out);
        }
    }
    return s;
}

/* choose_halos - halos for the inputs of padded convolutions. Values that cannot have one, such as
 * model inputs, are copied into one that can. */
void choose_halos(LayoutCopies *c)
{
    Graph *g = c->g;
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        Halo        h = wanted_halo(g, n);
        if (!halo_is_empty(&h) && !can_have_halo(g, n->in[0]))
            graph_set_input(g, id, 0, layout_copy(c, n->in[0], NEED_ONE, n->where, id));
    }
    Arena *scratch = arena_new();
    Groups s = find_groups(g, scratch);
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        Halo        h = wanted_halo(g, n);
        if (halo_is_empty(&h))
            continue;
        Halo *all = &s.halo[group_of(&s, n->in[0])];
        for (int i = 0; i < 4; i++)
            all->side[i] = all->side[i] > h.side[i] ? all->side[i] : h.side[i];
    }
    for (ValueId v = 1; v < g->n_values; v++) {
        const Halo *h = &s.halo[group_of(&s, v)];
        if (!halo_is_empty(h) && can_have_halo(g, v))
            set_halo(&value_at(g, v)->type.layout, h);
    }
    arena_free(scratch);
}
