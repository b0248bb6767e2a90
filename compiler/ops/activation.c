/* activation.c - elementwise ops of one input, and prelu. What they compute is in elementwise.c. */
#include "ops/ops.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

NO_ATTRS(relu);
NO_ATTRS(relu6);
NO_ATTRS(sigmoid);
NO_ATTRS(tanh);
NO_ATTRS(hard_swish);
NO_ATTRS(silu);
NO_ATTRS(identity);
NO_ATTRS(dropout);
NO_ATTRS(exp);
NO_ATTRS(log);
NO_ATTRS(sqrt);
NO_ATTRS(abs);
NO_ATTRS(neg);
NO_ATTRS(erf);
NO_ATTRS(softplus);
NO_ATTRS(softsign);
NO_ATTRS(floor);
NO_ATTRS(ceil);
NO_ATTRS(round);
NO_ATTRS(prelu);

#define ANY_FLOAT .min = -FLT_MAX, .max = FLT_MAX

const AttrSpec attrs_leaky_relu[] = {ATTR(alpha, ATTR_FLOAT, .fallback = 0.01, ANY_FLOAT)};
ATTRS_END(leaky_relu);

const AttrSpec attrs_elu[] = {ATTR(alpha, ATTR_FLOAT, .fallback = 1, ANY_FLOAT)};
ATTRS_END(elu);

const AttrSpec attrs_hard_sigmoid[] = {
    ATTR(alpha, ATTR_FLOAT, .fallback = 1.0 / 6, ANY_FLOAT),
    ATTR(beta, ATTR_FLOAT, .fallback = 0.5, ANY_FLOAT),
};
ATTRS_END(hard_sigmoid);

static const char *const gelu_forms[] = {"none", "tanh", NULL};

const AttrSpec attrs_gelu[] = {
    ATTR_NAMED("approximate", tanh_form, ATTR_BOOL, .names = gelu_forms),
};
ATTRS_END(gelu);

/* A bound that is not given is infinite. */
const AttrSpec attrs_clip[] = {
    ATTR(min, ATTR_FLOAT, .fallback = -INFINITY, ANY_FLOAT),
    ATTR(max, ATTR_FLOAT, .fallback = INFINITY, ANY_FLOAT),
};
ATTRS_END(clip);

/* ---- one input -------------------------------------------------------------------------- */

static bool shape_unary(Graph *g, NodeId n)
{
    return shape_floats(g, n) && shape_copy(g, n);
}

/* identity and dropout compute nothing, so they take any element type. */
static bool shape_same(Graph *g, NodeId n)
{
    return shape_copy(g, n);
}

static void eval_unary_op(const Node *n, const Array *const in[], Array *out)
{
    int64_t count = type_count(&out->type);
    for (int64_t i = 0; i < count; i++)
        out->data[i] = eval_elementwise(n->op, &n->attrs, in[0]->data[i], 0);
}

static void lower_unary(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    Element     e = element_loops(g, k, n->out);
    const Expr *x = element_load(g, k, n->in[0], &value_get(g, n->out)->type, &e);
    element_store(g, k, n, &e, lower_elementwise(k, n->op, &n->attrs, x, NULL));
}

#define UNARY(op, shape_rule)                                                                      \
    bool shape_##op(Graph *g, NodeId n)                                                            \
    {                                                                                              \
        return shape_rule(g, n);                                                                   \
    }                                                                                              \
    void eval_##op(const Node *n, const Array *const in[], Array *out)                             \
    {                                                                                              \
        eval_unary_op(n, in, out);                                                                 \
    }                                                                                              \
    void lower_##op(Graph *g, NodeId n, Kernel *k)                                                 \
    {                                                                                              \
        lower_unary(g, n, k);                                                                      \
    }

UNARY(relu, shape_unary)
UNARY(relu6, shape_unary)
UNARY(sigmoid, shape_unary)
UNARY(tanh, shape_unary)
UNARY(hard_swish, shape_unary)
UNARY(silu, shape_unary)
UNARY(identity, shape_same)
UNARY(dropout, shape_same)
UNARY(leaky_relu, shape_unary)
UNARY(elu, shape_unary)
UNARY(hard_sigmoid, shape_unary)
UNARY(gelu, shape_unary)
UNARY(clip, shape_unary)
UNARY(exp, shape_unary)
UNARY(log, shape_unary)
UNARY(sqrt, shape_unary)
UNARY(abs, shape_unary)
UNARY(neg, shape_unary)
UNARY(erf, shape_unary)
UNARY(softplus, shape_unary)
UNARY(softsign, shape_unary)
UNARY(floor, shape_unary)
UNARY(ceil, shape_unary)
UNARY(round, shape_unary)

/* ---- prelu ------------------------------------------------------------------------------ */

/* Channels of x: dimension 1, of a vector dimension 0. */
static int prelu_axis(const Type *x)
{
    return x->rank > 1 ? 1 : 0;
}

/* The slope is one number or one a channel: [C], or [C, 1, 1] as ONNX writes it. */
bool shape_prelu(Graph *g, NodeId n)
{
    const Type *x = shape_in(g, n, 0), *slope = shape_in(g, n, 1);
    int64_t     channels = x->rank ? x->dims[prelu_axis(x)] : 1;
    bool        fits = type_count(slope) == 1;
    if (slope->rank == 1 && slope->dims[0] == channels)
        fits = true;
    int from_end = x->rank - prelu_axis(x); /* where C stands, counted from the last dimension */
    if (slope->rank >= from_end && slope->rank <= x->rank &&
        slope->dims[slope->rank - from_end] == type_count(slope) && type_count(slope) == channels)
        fits = true;
    if (!fits)
        return shape_error(g, n, "slope is %s, expected 1 value or %" PRId64 ", one per channel",
                           type_text(g->arena, slope), channels);
    return shape_floats(g, n) && shape_copy(g, n);
}

void eval_prelu(const Node *n, const Array *const in[], Array *out)
{
    int64_t outer = 1, channels = 1, inner = 1, slopes = type_count(&in[1]->type);
    if (out->type.rank)
        axis_spans(&out->type, prelu_axis(&out->type), &outer, &channels, &inner);
    int64_t count = outer * channels * inner;
    for (int64_t i = 0; i < count; i++) {
        double slope = in[1]->data[slopes > 1 ? i / inner % channels : 0];
        out->data[i] = eval_elementwise(n->op, &n->attrs, in[0]->data[i], slope);
    }
}

void lower_prelu(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    const Type *y = &value_get(g, n->out)->type;
    Element     e = element_loops(g, k, n->out);
    const Expr *x = element_load(g, k, n->in[0], y, &e);
    bool        is_vector = value_get(g, n->in[1])->type.rank == 1;
    const Expr *slope = is_vector ? element_load_along(g, k, n->in[1], y, prelu_axis(y), &e)
                                  : element_load(g, k, n->in[1], y, &e);
    element_store(g, k, n, &e, lower_elementwise(k, OP_prelu, &n->attrs, x, slope));
}
