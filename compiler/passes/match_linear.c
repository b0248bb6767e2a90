/* match_linear.c - products by constant matrices are linear layers. */
#include "passes/passes.h"
#include "ops/ops.h"

static bool is_linear(const Graph *g, const Node *n)
{
    if (n->op != OP_matmul || n->epilogue.n_steps)
        return false;
    const Value *a = graph_input(g, n, 0), *b = graph_input(g, n, 1);
    return !a->constant && a->type.rank == 2 && b->constant && b->type.rank == 2;
}

static const Tensor *transposed(Arena *a, const Tensor *t)
{
    int64_t rows = t->type.dims[0], columns = t->type.dims[1];
    Tensor *out = tensor_new(a, t->type.elem, 2, (int64_t[]){columns, rows});
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            tensor_set(out, j * rows + i, tensor_get(t, i * columns + j));
    return out;
}

/* pass_match_linear - a matmul by a constant matrix becomes a linear.
 *
 *     matmul(x, @b)   becomes   linear(x, @b transposed)
 *
 * A linear takes factors and summands behind it into its weights and bias, reads a flattened
 * image as it is stored, and has its weights laid out for vectors. Refuses constants on the
 * left, batches and vectors. Needs shapes. Returns true if the graph changed. */
bool pass_match_linear(Graph *g, const PassContext *c)
{
    (void)c;
    bool changed = false;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        const Node *node = node_get(g, n);
        if (!is_linear(g, node))
            continue;
        const Value  *b = graph_input(g, node, 1);
        const char   *name = graph_fresh_name(g, b->name);
        const Tensor *weight = transposed(g->arena, b->constant);
        graph_set_input(g, n, 1, graph_add_constant(g, name, weight));
        node_at(g, n)->op = OP_linear;
        changed = true;
    }
    return changed;
}
