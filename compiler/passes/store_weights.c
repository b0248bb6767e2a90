/* store_weights.c - weights rounded to the type they are kept in. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <math.h>

/* Fewer weights than these are not worth the widening. */
#define FEWEST 256

/* is_weight - whether `v` is a constant that convolutions and linear layers multiply by, and nothing
 * else reads. */
static bool is_weight(const Graph *g, const Value *v)
{
    if (!v->constant || v->constant->type.elem != F32 || v->is_output || !v->n_users)
        return false;
    for (size_t i = 0; i < v->n_users; i++) {
        const Node *n = node_get(g, v->users[i]);
        bool        multiplies = op_is_conv(n->op) || n->op == OP_linear;
        if (!multiplies || v->slots[i] != 1)
            return false;
    }
    return type_count(&v->type) >= FEWEST;
}

/* round_to - `from` as elements of type `e`. False: a number is too large for it, *large. */
static bool round_to(Arena *a, Elem e, const Tensor *from, const Tensor **out, StoreLoss *loss,
                     double *large)
{
    Tensor *t = tensor_new(a, e, from->type.rank, from->type.dims);
    int64_t n = type_count(&from->type);
    for (int64_t i = 0; i < n; i++) {
        double exact = tensor_get(from, i);
        tensor_set(t, i, exact);
        double kept = tensor_get(t, i);
        if (isfinite(exact) && !isfinite(kept)) {
            *large = exact;
            return false;
        }
        if (!isfinite(exact))
            continue;
        loss->squares += exact * exact;
        loss->error += (kept - exact) * (kept - exact);
    }
    loss->n_weights += n;
    *out = t;
    return true;
}

bool weight_round(Graph *g, ValueId v, Elem e, StoreLoss *loss)
{
    const Value  *value = value_get(g, v);
    const Tensor *rounded;
    double        large;
    if (!round_to(g->arena, e, value->constant, &rounded, loss, &large)) {
        const Node *n = node_get(g, value->users[0]);
        diag_error(g->diag, n->where, "%s '%s': the weight %g is too large for %s",
                   op_info(n->op)->name, text_printable(g->arena, n->name), large, elem_name(e));
        return false;
    }
    value_at(g, v)->constant = rounded;
    value_at(g, v)->type.elem = e;
    return true;
}

/* pass_store_weights - round the weights of convolutions and linear layers to PassContext.store; small
 * ones and biases stay as they are.
 *
 * From here on the weights are what the emitted code multiplies by: the evaluator run on this graph
 * says what it computes. A weight too large for the type is an error. What rounding cost is added
 * up in *PassContext.loss. Needs shapes. Returns true when weights changed. */
bool pass_store_weights(Graph *g, const PassContext *c)
{
    StoreLoss unused = {0}, *loss = c->loss ? c->loss : &unused;
    bool      changed = false;
    *loss = (StoreLoss){0};
    for (ValueId v = 1; elem_is_half(c->store) && v < g->n_values; v++)
        if (is_weight(g, value_get(g, v)))
            changed |= weight_round(g, v, c->store, loss);
    return changed;
}
