/* fuse_epilogue.c - elementwise nodes into the node that makes their input. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <string.h>

/* All steps become one expression, and each operand a register and a pointer of the kernel. */
#define MOST_STEPS 16

/* An elementwise node and the node that is to compute it. */
typedef struct Fusion {
    NodeId host;
    int    through; /* the elementwise node reads the host as in[through] */
} Fusion;

static bool takes_operand(Op op)
{
    return (op_info(op)->flags & OPF_BINARY) || op == OP_prelu;
}

/* operand_fits - whether `v` can be read element by element beside an output of type `out`. */
static bool operand_fits(const Value *v, const Type *out)
{
    return v->constant || v->type.rank == out->rank;
}

/* host_through - the node that makes in[i] of elementwise node `n` and can compute `n` behind it;
 * 0 when there is none. */
static NodeId host_through(const Graph *g, NodeId n, int i)
{
    const Node  *node = node_get(g, n);
    const Value *acc = graph_input(g, node, i);
    if (!acc || !acc->producer || graph_only_user(g, node->in[i]) != n)
        return 0;
    const Node *host = node_get(g, acc->producer);
    const Type *out = &value_get(g, node->out)->type;
    int64_t     nchw[4];
    if (!(op_info(host->op)->flags & OPF_EPILOGUE) || host->epilogue.n_steps >= MOST_STEPS ||
        !type_same_shape(&acc->type, out) || acc->type.elem != out->elem || !dims_nchw(out, nchw))
        return 0;
    if (takes_operand(node->op) && !operand_fits(graph_input(g, node, 1 - i), out))
        return 0;
    return acc->producer;
}

/* find_fusion - of two nodes that could host `n`, the one later in the order: the other's value is
 * there before it. */
static Fusion find_fusion(const Graph *g, NodeId n, const uint32_t *position)
{
    const Node *node = node_get(g, n);
    unsigned    flags = op_info(node->op)->flags;
    if ((!takes_operand(node->op) && !(flags & OPF_UNARY)) || node->epilogue.n_steps)
        return (Fusion){0};
    NodeId first = host_through(g, n, 0), second = flags & OPF_BINARY ? host_through(g, n, 1) : 0;
    if (second && (!first || position[second] > position[first]))
        return (Fusion){second, 1};
    return (Fusion){first, 0};
}

/* prelu_slope - the slope as a constant that broadcasts: [C, 1, 1] where x is [N, C, H, W]. */
static ValueId prelu_slope(Graph *g, ValueId v, const Type *x)
{
    const Tensor *slope = value_get(g, v)->constant;
    int64_t       count = type_count(&slope->type), dims[MAX_RANK];
    int           rank = x->rank > 1 ? x->rank - 1 : x->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = i ? 1 : count;
    Type shaped = type_plain(slope->type.elem, rank, dims);
    if (type_same_shape(&shaped, &slope->type))
        return v;
    Tensor *t = arena_struct(g->arena, Tensor);
    *t = (Tensor){shaped, slope->data};
    return graph_add_constant(g, graph_fresh_name(g, value_get(g, v)->name), t);
}

static void push_step(Graph *g, Epilogue *e, EpilogueStep step)
{
    EpilogueStep *steps = arena_array(g->arena, EpilogueStep, (size_t)e->n_steps + 1);
    if (e->n_steps)
        memcpy(steps, e->steps, (size_t)e->n_steps * sizeof *steps);
    steps[e->n_steps++] = step;
    e->steps = steps;
}

/* stands_after - whether `v` is made behind `host`, which then has to move. */
static bool stands_after(const Graph *g, ValueId v, NodeId host, const uint32_t *position)
{
    NodeId producer = value_get(g, v)->producer;
    return producer && position[producer] > position[host];
}

static void fuse(Graph *g, NodeId n, Fusion f, uint32_t *position)
{
    Node         node = *node_get(g, n);
    EpilogueStep step = {.op = node.op, .attrs = node.attrs, .operand = -1};
    if (takes_operand(node.op)) {
        ValueId operand = node.in[1 - f.through];
        if (node.op == OP_prelu)
            operand = prelu_slope(g, operand, &value_get(g, node.out)->type);
        if (stands_after(g, operand, f.host, position)) {
            graph_move_before(g, f.host, n);
            position[f.host] = position[n];
        }
        step.operand = graph_append_input(g, f.host, operand);
        step.swapped = f.through == 1 && node.op != OP_add && node.op != OP_mul;
    }
    push_step(g, &node_at(g, f.host)->epilogue, step);
    ValueId     acc = node.in[f.through];
    const char *name = value_get(g, node.out)->name;
    graph_replace_uses(g, node.out, acc);
    graph_remove(g, n);
    graph_rename_value(g, acc, name);
}

/* pass_fuse_epilogue - compute elementwise nodes where their input is made.
 *
 *     conv2d(x, w) -> add(r) -> relu   becomes   conv2d(x, w) then add(r), relu
 *
 * Applies when the node before has an epilogue (OPF_EPILOGUE), no other user, and the shape of the
 * result. Where both inputs of an add come from such nodes the later one takes it; where the
 * operand is made later still, the host moves down to it. The fused value has the name of the last
 * step. Needs shapes. Returns true if the graph changed. */
bool pass_fuse_epilogue(Graph *g, const PassContext *c)
{
    (void)c;
    Arena    *scratch = arena_new();
    uint32_t *position = arena_array(scratch, uint32_t, g->n_nodes);
    uint32_t  count = 0;
    bool      changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        position[n] = ++count;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        Fusion f = find_fusion(g, n, position);
        if (!f.host)
            continue;
        fuse(g, n, f, position);
        changed = true;
    }
    arena_free(scratch);
    return changed;
}
