/* infer_shapes.c - types of all values. */
#include "passes/passes.h"
#include "ops/ops.h"

/* has_types - whether all inputs have types. One that has none was reported where it is made. */
static bool has_types(const Graph *g, const Node *n)
{
    for (int i = 0; i < n->n_in; i++) {
        const Value *in = graph_input(g, n, i);
        if (in && in->type.elem == ELEM_POISON)
            return false;
    }
    return true;
}

/* pass_infer_shapes - the type of each node's output from the types of its inputs.
 *
 * Also settles attributes that depend on shapes: padding "same" and "valid" become numbers. What
 * does not fit is reported; a node whose input has no type stays without one, silently. Needs
 * nothing. Returns true. */
bool pass_infer_shapes(Graph *g, const PassContext *c)
{
    (void)c;
    for (NodeId n = graph_first(g); n && !diag_full(g->diag); n = graph_next(g, n)) {
        const Node *node = node_get(g, n);
        if (has_types(g, node))
            op_info(node->op)->shape(g, n);
    }
    return true;
}
