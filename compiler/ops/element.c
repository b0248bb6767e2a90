/* element.c - nests over the elements of a tensor of any rank, for ops that treat each alone. */
#include "ops/ops.h"

Element element_loops(Graph *g, Kernel *k, ValueId v)
{
    static const char *const names[MAX_RANK] = {"d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7"};
    Element                  e = {0};
    const Type              *t = &value_get(g, v)->type;
    int64_t                  nchw[4];
    e.is_nchw = dims_nchw(t, nchw);
    if (e.is_nchw) {
        lower_loops(g, k, v, &e.at, e.loops);
        e.n_loops = 5;
        return e;
    }
    e.n_loops = t->rank;
    for (int i = 0; i < t->rank; i++) {
        LoopAxis axis = i == t->rank - 1 ? AXIS_LANE : AXIS_NONE;
        e.loops[i] = kernel_loop_if(k, names[i], t->dims[i], PARALLEL, axis);
        e.index[i] = affine_loop(e.loops[i]);
    }
    return e;
}

static Affine at_channel(const At *at)
{
    return affine_add(affine_scale(at->cb, at->block), at->cl);
}

/* The element's index along dimension `axis` of `shape`. */
static Affine element_index(const Element *e, const Type *shape, int axis)
{
    if (!e->is_nchw)
        return e->index[axis];
    const Affine by_dim[4] = {e->at.n, at_channel(&e->at), e->at.h, e->at.w};
    return by_dim[shape->rank == 1 ? 1 : axis];
}

/* A value of another rank than `shape`, aligned with it at the last dimension; never in blocks,
 * though it may have a halo. */
static const Expr *load_aligned(Graph *g, Kernel *k, ValueId v, const Type *shape, const Element *e)
{
    const Type *t = &value_get(g, v)->type;
    Affine      index[MAX_RANK] = {{0}};
    int64_t     nchw[4];
    for (int i = 0; i < t->rank; i++) {
        Affine own = element_index(e, shape, shape->rank - t->rank + i);
        index[i] = t->dims[i] > 1 ? own : affine_const(0);
    }
    if (!dims_nchw(t, nchw))
        return lower_load_plain(g, k, v, index);
    bool is_vector = t->rank == 1; /* its one dimension is C */
    At   at = {.block = 1,
               .n = is_vector ? affine_const(0) : index[0],
               .cb = is_vector ? index[0] : index[1],
               .h = index[2],
               .w = index[3]};
    return lower_load(g, k, v, t, &at);
}

const Expr *element_load(Graph *g, Kernel *k, ValueId v, const Type *shape, const Element *e)
{
    const Value *val = value_get(g, v);
    bool         is_aligned = val->constant || val->type.rank == shape->rank;
    if (e->is_nchw && is_aligned)
        return lower_load(g, k, v, shape, &e->at);
    return load_aligned(g, k, v, shape, e);
}

const Expr *element_load_along(Graph *g, Kernel *k, ValueId v, const Type *shape, int axis,
                               const Element *e)
{
    const Type *t = &value_get(g, v)->type;
    if (type_count(t) == 1)
        return ex_load(k, lower_buffer(g, k, v), affine_const(0));
    if (e->is_nchw && shape->rank != 1 &&
        axis == 1) { /* through lower_load, which pads constants */
        Type per_channel = type_plain(t->elem, 1, &shape->dims[1]);
        return lower_load(g, k, v, &per_channel, &e->at);
    }
    return ex_load(k, lower_buffer(g, k, v), element_index(e, shape, axis));
}

const Expr *element_vector(Kernel *k, const char *name, const Tensor *t, const Type *shape,
                           int axis, const Element *e)
{
    int64_t block = e->is_nchw ? e->at.block : 1;
    int64_t padded = (t->type.dims[0] + block - 1) / block * block;
    return ex_load(k, kernel_constant(k, name, t, &padded), element_index(e, shape, axis));
}

/* The epilogue of a node whose value is not seen as N, C, H, W. */
static const Expr *plain_epilogue(Graph *g, Kernel *k, const Node *n, const Expr *acc,
                                  const Element *e)
{
    const Type *shape = &value_get(g, n->out)->type;
    for (int i = 0; i < n->epilogue.n_steps; i++) {
        const EpilogueStep *step = &n->epilogue.steps[i];
        const Expr         *other = NULL;
        if (step->operand >= 0)
            other = load_aligned(g, k, n->in[step->operand], shape, e);
        acc = step->swapped ? lower_elementwise(k, step->op, &step->attrs, other, acc)
                            : lower_elementwise(k, step->op, &step->attrs, acc, other);
    }
    return acc;
}

Stmt *element_write(Graph *g, Kernel *k, const Node *n, const Element *e, const Expr *value)
{
    if (e->is_nchw)
        return lower_store(g, k, n->out, &e->at, lower_epilogue(g, k, n, value, &e->at));
    return lower_store_plain(g, k, n->out, e->index, plain_epilogue(g, k, n, value, e));
}

void element_store(Graph *g, Kernel *k, const Node *n, const Element *e, const Expr *value)
{
    if (e->is_nchw)
        lower_zero_halo(g, k, n->out);
    st_add(k, k->body, lower_nest(k, e->loops, e->n_loops, element_write(g, k, n, e, value)));
}
