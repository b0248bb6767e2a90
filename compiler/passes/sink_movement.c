/* sink_movement.c - transposes and views move behind elementwise nodes and reductions, and into
 * weights.
 */
#include "passes/passes.h"
#include "ops/ops.h"

/* movement_before - the transpose or view that makes in[i] of `n` for nobody else; 0: none. */
static NodeId movement_before(const Graph *g, NodeId n, int i)
{
    ValueId v = node_get(g, n)->in[i];
    if (!v || graph_only_user(g, v) != n || !value_get(g, v)->producer)
        return 0;
    const Node *m = node_get(g, value_get(g, v)->producer);
    return m->op == OP_transpose || (op_info(m->op)->flags & OPF_VIEW) ? value_get(g, v)->producer
                                                                       : 0;
}

/* ---- behind elementwise nodes ----------------------------------------------------------- */

/* is_same_movement - whether two movements do the same to values of one shape. */
static bool is_same_movement(const Graph *g, const Node *a, const Node *b)
{
    if (a->op == OP_transpose && b->op == OP_transpose) {
        for (int i = 0; i < a->attrs.list.n; i++) {
            if (a->attrs.list.v[i] != b->attrs.list.v[i])
                return false;
        }
        return a->attrs.list.n == b->attrs.list.n;
    }
    return a->op != OP_transpose && b->op != OP_transpose &&
           type_same_shape(&graph_input(g, a, 0)->type, &graph_input(g, b, 0)->type) &&
           type_same_shape(&value_get(g, a->out)->type, &value_get(g, b->out)->type);
}

/* moved_dims - the shape constant `t` must have to meet, before movement `m`, the same elements it
 * meets behind it. Its elements stay in their order, so at most one extent may differ from 1. */
static bool moved_dims(const Graph *g, const Node *m, const Type *t, Type *out)
{
    const Type *x = &graph_input(g, m, 0)->type, *y = &value_get(g, m->out)->type;
    int64_t     count = type_count(t), dims[MAX_RANK];
    if (t->rank > y->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        dims[i] = 1;
    for (int i = 0; i < t->rank && count > 1; i++) {
        if (t->dims[i] == 1)
            continue;
        if (t->dims[i] != count || m->op != OP_transpose)
            return false;
        dims[m->attrs.list.v[y->rank - t->rank + i]] = count;
    }
    *out = type_plain(t->elem, x->rank, dims);
    return true;
}

/* What elementwise node `n` is to read instead of what movement `m` makes. */
typedef struct Sinking {
    NodeId m;       /* is to follow n */
    NodeId twin;    /* the other input's movement, which does the same; 0: none */
    int    through; /* n reads m as in[through] */
    bool   is_binary;
    Type   moved; /* of the constant beside it, where there is no twin */
} Sinking;

static bool find_sinking(const Graph *g, NodeId n, int through, Sinking *out)
{
    const Node *node = node_get(g, n);
    *out = (Sinking){.m = movement_before(g, n, through), .through = through};
    if (!out->m ||
        !type_same_shape(&graph_input(g, node, through)->type, &value_get(g, node->out)->type))
        return false;
    if (op_info(node->op)->flags & OPF_UNARY)
        return true;
    const Value *other = graph_input(g, node, 1 - through);
    out->is_binary = true;
    if (other->constant)
        return moved_dims(g, node_get(g, out->m), &other->type, &out->moved);
    out->twin = movement_before(g, n, 1 - through);
    return out->twin && is_same_movement(g, node_get(g, out->m), node_get(g, out->twin));
}

/* moved_operand - what `n` reads beside the unmoved value. */
static ValueId moved_operand(Graph *g, const Node *n, const Sinking *s)
{
    if (s->twin)
        return node_get(g, s->twin)->in[0];
    const Value *other = graph_input(g, n, 1 - s->through);
    if (type_same_shape(&other->type, &s->moved))
        return n->in[1 - s->through];
    Tensor *t = arena_struct(g->arena, Tensor);
    *t = (Tensor){s->moved, other->constant->data};
    return graph_add_constant(g, graph_fresh_name(g, other->name), t);
}

static void sink(Graph *g, NodeId n, const Sinking *s)
{
    Node        m = *node_get(g, s->m);
    ValueId     out = node_get(g, n)->out;
    const char *name = graph_fresh_name(g, value_get(g, out)->name);
    NodeId      after = graph_add(g, m.op, name, m.where, 1, m.in, &m.attrs, graph_next(g, n));
    graph_replace_uses(g, out, node_get(g, after)->out);
    graph_set_input(g, after, 0, out);
    if (s->is_binary)
        graph_set_input(g, n, 1 - s->through, moved_operand(g, node_get(g, n), s));
    graph_set_input(g, n, s->through, m.in[0]);
    op_info(node_get(g, n)->op)->shape(g, n);
    op_info(m.op)->shape(g, after);
    graph_remove(g, s->m);
    if (s->twin)
        graph_remove(g, s->twin);
}

/* ---- behind reductions ------------------------------------------------------------------- */

static bool is_reduction(Op op)
{
    return op == OP_reduce_mean || op == OP_reduce_sum || op == OP_reduce_max ||
           op == OP_reduce_min;
}

/* reduced_axes - over which dimensions of x to reduce as `n` reduces transpose(x). Where `n`
 * drops them, the others must come in the order they have in x. */
static bool reduced_axes(const Graph *g, const Node *n, const Node *transpose, IntList *out)
{
    const IntList *perm = &transpose->attrs.list;
    bool           is_reduced[MAX_RANK];
    int            rank = graph_input(g, n, 0)->type.rank;
    *out = (IntList){0};
    for (int i = 0; i < rank; i++)
        is_reduced[i] = n->attrs.list.n == 0; /* no axes: all of them */
    for (int i = 0; i < n->attrs.list.n; i++)
        is_reduced[axis_from_end(n->attrs.list.v[i], rank)] = true;
    int64_t before = -1;
    for (int i = 0; i < rank; i++) {
        if (is_reduced[i])
            out->v[out->n++] = perm->v[i];
        else if (!n->attrs.keepdims && perm->v[i] < before)
            return false;
        else
            before = perm->v[i];
    }
    return true;
}

/* sink_reduction - reduce_mean(transpose(x)) takes the mean of x; what it keeps is transposed
 * later. The sum in another order is as good. */
static bool sink_reduction(Graph *g, NodeId n)
{
    NodeId  m = movement_before(g, n, 0);
    IntList axes;
    if (!m || node_get(g, m)->op != OP_transpose ||
        !reduced_axes(g, node_get(g, n), node_get(g, m), &axes))
        return false;
    node_at(g, n)->attrs.list = axes;
    if (node_get(g, n)->attrs.keepdims) {
        sink(g, n, &(Sinking){.m = m});
        return true;
    }
    graph_set_input(g, n, 0, node_get(g, m)->in[0]);
    graph_remove(g, m);
    return true;
}

bool sink_movement(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n);
    Sinking     s;
    if (node->epilogue.n_steps)
        return false;
    if (is_reduction(node->op))
        return sink_reduction(g, n);
    bool is_binary = op_info(node->op)->flags & OPF_BINARY;
    if (!is_binary && !(op_info(node->op)->flags & OPF_UNARY))
        return false;
    if (!find_sinking(g, n, 0, &s) && !(is_binary && find_sinking(g, n, 1, &s)))
        return false;
    sink(g, n, &s);
    return true;
}

/* ---- into weights ----------------------------------------------------------------------- */

/* move_columns - `w` [O, I] for a flattened x, given one for the flattened transpose(x). Walks the
 * columns in the transposed order; `at` is the index in each dimension of x. */
static const Tensor *move_columns(Arena *a, const Tensor *w, const Type *x, const IntList *perm)
{
    Tensor *moved = tensor_new(a, w->type.elem, 2, w->type.dims);
    int64_t rows = w->type.dims[0], columns = w->type.dims[1];
    int64_t stride[MAX_RANK], at[MAX_RANK] = {0};
    stride[x->rank - 1] = 1;
    for (int i = x->rank - 1; i > 1; i--)
        stride[i - 1] = stride[i] * x->dims[i];
    for (int64_t from = 0; from < columns; from++) {
        int64_t to = 0;
        for (int i = 1; i < x->rank; i++)
            to += at[i] * stride[i];
        for (int64_t o = 0; o < rows; o++)
            tensor_set(moved, o * columns + to, tensor_get(w, o * columns + from));
        for (int i = x->rank - 1; i > 0 && ++at[perm->v[i]] == x->dims[perm->v[i]]; i--)
            at[perm->v[i]] = 0;
    }
    return moved;
}

bool sink_into_weights(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n);
    NodeId      flatten = node->op == OP_linear ? movement_before(g, n, 0) : 0;
    if (!flatten || node_get(g, flatten)->op != OP_flatten || node_get(g, flatten)->attrs.axis != 1)
        return false;
    NodeId m = movement_before(g, flatten, 0);
    if (!m || node_get(g, m)->op != OP_transpose || node_get(g, m)->attrs.list.v[0] != 0)
        return false;
    ValueId       x = node_get(g, m)->in[0];
    const Value  *weight = graph_input(g, node, 1);
    const Tensor *moved = move_columns(g->arena, weight->constant, &value_get(g, x)->type,
                                       &node_get(g, m)->attrs.list);
    graph_set_input(g, n, 1, graph_add_constant(g, graph_fresh_name(g, weight->name), moved));
    graph_set_input(g, flatten, 0, x);
    graph_remove(g, m);
    return true;
}
