/* fold_constants.c - nodes whose inputs are all constant. */
#include "passes/passes.h"

/* pass_fold_constants - compute nodes whose inputs are all constant.
 *
 *     transpose(@w) {perm = [1, 0]}   becomes   @w#1
 *
 * Evaluated in double, stored in the element type of the value. Refuses nodes whose value is a
 * model output, and those too large to compute while compiling. Needs shapes. Returns true if the
 * graph changed. */
bool pass_fold_constants(Graph *g, const PassContext *c)
{
    (void)c;
    FoldBudget left = fold_budget(g);
    bool       changed = false;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        ValueId       out = node_get(g, n)->out;
        bool          is_output = value_get(g, out)->is_output; /* the model must still write it */
        const Tensor *value = is_output ? NULL : node_fold(g, n, &left);
        if (!value)
            continue;
        const char *name = graph_fresh_name(g, value_get(g, out)->name);
        graph_replace_uses(g, out, graph_add_constant(g, name, value));
        graph_remove(g, n);
        changed = true;
    }
    return changed;
}
