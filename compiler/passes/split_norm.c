/* split_norm.c - a batch_norm left over becomes mul and add per channel. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <math.h>

/* The two factors of a batch_norm, shaped to broadcast: [C, 1, 1] where x is [N, C, H, W]. */
typedef struct Split {
    const Tensor *scale, *shift;
} Split;

/* split_norm - what scales and what shifts; false where a number does not fit into f32. */
static bool split_norm(Graph *g, const Node *n, Split *out)
{
    const Tensor *param[5];
    for (int i = 1; i < 5; i++)
        param[i] = graph_input(g, n, i)->constant;
    const Type *x = &graph_input(g, n, 0)->type;
    int64_t     dims[MAX_RANK], channels = x->dims[1];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i ? 1 : channels;
    Tensor *scale = tensor_new(g->arena, F32, x->rank - 1, dims);
    Tensor *shift = tensor_new(g->arena, F32, x->rank - 1, dims);
    for (int64_t c = 0; c < channels; c++) {
        double k = tensor_get(param[1], c) / sqrt(tensor_get(param[4], c) + n->attrs.epsilon);
        tensor_set(scale, c, k);
        tensor_set(shift, c, tensor_get(param[2], c) - tensor_get(param[3], c) * k);
        if (!isfinite(tensor_get(scale, c)) || !isfinite(tensor_get(shift, c)))
            return false;
    }
    *out = (Split){scale, shift};
    return true;
}

/* add_step - op(x, @constant) before node `n`; the constant is named after `like`. */
static ValueId add_step(Graph *g, NodeId n, Op op, const char *name, ValueId x, const Tensor *t,
                        ValueId like)
{
    const char *constant = graph_fresh_name(g, value_get(g, like)->name);
    ValueId     in[2] = {x, graph_add_constant(g, constant, t)};
    NodeId      step = graph_add(g, op, name, node_get(g, n)->where, 2, in, NULL, n);
    op_info(op)->shape(g, step);
    return node_get(g, step)->out;
}

static void replace_norm(Graph *g, NodeId n, const Split *s)
{
    Node        norm = *node_get(g, n);
    const char *name = value_get(g, norm.out)->name;
    ValueId y = add_step(g, n, OP_mul, graph_fresh_name(g, name), norm.in[0], s->scale, norm.in[1]);
    y = add_step(g, n, OP_add, name, y, s->shift, norm.in[2]);
    graph_replace_uses(g, norm.out, y);
    graph_remove(g, n);
}

/* pass_split_norm - a batch_norm that fold_norm left over becomes mul and add per channel.
 *
 *     batch_norm(x, g, s, m, v)   becomes   x * k + (s - m * k)
 *     with k = g / sqrt(v + epsilon)
 *
 * Two elementwise nodes can become the epilogue of what computes x, a batch_norm cannot. Refuses
 * factors that are not finite.
 * Needs shapes. Returns true if the graph changed. */
bool pass_split_norm(Graph *g, const PassContext *c)
{
    (void)c;
    bool changed = false;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        const Node *node = node_get(g, n);
        Split       split;
        if (node->op != OP_batch_norm || node->epilogue.n_steps || !split_norm(g, node, &split))
            continue;
        replace_norm(g, n, &split);
        changed = true;
    }
    return changed;
}
