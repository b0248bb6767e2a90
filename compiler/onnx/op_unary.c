/* op_unary.c - activations and other elementwise operators of one input. What kiln has no op for is
 * composed of those it has. */
#include "onnx/importer.h"

#include <math.h>
#include <string.h>

/* ---- operators that are ops of kiln ----------------------------------------------------- */

static Op plain_op(const char *name)
{
    static const struct {
        const char *name;
        Op          op;
    } table[] = {
        {"Abs", OP_abs},           {"Ceil", OP_ceil},       {"Erf", OP_erf},
        {"Exp", OP_exp},           {"Floor", OP_floor},     {"HardSwish", OP_hard_swish},
        {"Log", OP_log},           {"Neg", OP_neg},         {"Relu", OP_relu},
        {"Round", OP_round},       {"Sigmoid", OP_sigmoid}, {"Softplus", OP_softplus},
        {"Softsign", OP_softsign}, {"Sqrt", OP_sqrt},       {"Tanh", OP_tanh},
    };
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].op;
    return OP_NONE;
}

ONNX_IMPORT(unary)
{
    ValueId x = arg_value(im, n, 0, "X");
    return node_result(im, n, 0, make_unary(im, n, plain_op(n->row->name), x));
}

ONNX_IMPORT(leaky_relu)
{
    OpAttrs a = attrs_default(OP_leaky_relu);
    if (!attr_finite(im, n, "alpha", 0.01, &a.alpha))
        return false;
    ValueId x = arg_value(im, n, 0, "X");
    return node_result(im, n, 0, node_add(im, n, OP_leaky_relu, 1, &x, &a));
}

static ValueId make_elu(Importer *im, OnnxNode *n, ValueId x, double alpha)
{
    OpAttrs a = attrs_default(OP_elu);
    a.alpha = alpha;
    return node_add(im, n, OP_elu, 1, &x, &a);
}

ONNX_IMPORT(elu)
{
    double alpha;
    if (!attr_finite(im, n, "alpha", 1, &alpha))
        return false;
    return node_result(im, n, 0, make_elu(im, n, arg_value(im, n, 0, "X"), alpha));
}

ONNX_IMPORT(hard_sigmoid)
{
    OpAttrs a = attrs_default(OP_hard_sigmoid);
    if (!attr_finite(im, n, "alpha", 0.2, &a.alpha) || !attr_finite(im, n, "beta", 0.5, &a.beta))
        return false;
    ValueId x = arg_value(im, n, 0, "X");
    return node_result(im, n, 0, node_add(im, n, OP_hard_sigmoid, 1, &x, &a));
}

ONNX_IMPORT(gelu)
{
    OpAttrs     a = attrs_default(OP_gelu);
    const char *form = attr_string(im, n, "approximate", "none");
    if (!form)
        return false;
    if (strcmp(form, "none") != 0 && strcmp(form, "tanh") != 0)
        return node_error(im, n, "approximate is '%s', expected 'none' or 'tanh'",
                          text_printable(im->arena, form));
    a.tanh_form = strcmp(form, "tanh") == 0;
    ValueId x = arg_value(im, n, 0, "X");
    return node_result(im, n, 0, node_add(im, n, OP_gelu, 1, &x, &a));
}

/* ---- composed --------------------------------------------------------------------------- */

/* gamma * elu(x) */
ONNX_IMPORT(selu)
{
    double alpha, gamma;
    if (!attr_finite(im, n, "alpha", 1.67326319217681884765625, &alpha) ||
        !attr_finite(im, n, "gamma", 1.05070102214813232421875, &gamma))
        return false;
    ValueId elu = make_elu(im, n, arg_value(im, n, 0, "X"), alpha);
    return node_result(im, n, 0, make_scalar(im, n, OP_mul, elu, gamma));
}

/* alpha * (exp(x / alpha) - 1) below 0, x above: alpha * elu(x / alpha) */
ONNX_IMPORT(celu)
{
    double alpha;
    if (!attr_finite(im, n, "alpha", 1, &alpha))
        return false;
    if (alpha <= 0)
        return node_error(im, n, "alpha is %g, expected more than 0", alpha);
    ValueId x = arg_value(im, n, 0, "X");
    if (alpha == 1)
        return node_result(im, n, 0, make_elu(im, n, x, 1));
    ValueId elu = make_elu(im, n, make_scalar(im, n, OP_div, x, alpha), 1);
    return node_result(im, n, 0, make_scalar(im, n, OP_mul, elu, alpha));
}

/* 1 where x > limit, else 0; x and the limit may lie as close as they want */
static ValueId is_above(Importer *im, OnnxNode *n, ValueId x, double limit)
{
    ValueId above = limit != 0 ? make_scalar(im, n, OP_sub, x, limit) : x;
    return make_clip(im, n, make_unary(im, n, OP_ceil, above), 0, 1);
}

/* -1 where x < limit, else 0 */
static ValueId is_below(Importer *im, OnnxNode *n, ValueId x, double limit)
{
    ValueId above = limit != 0 ? make_scalar(im, n, OP_sub, x, limit) : x;
    return make_clip(im, n, make_unary(im, n, OP_floor, above), -1, 0);
}

ONNX_IMPORT(sign)
{
    ValueId x = arg_value(im, n, 0, "input");
    ValueId above = is_above(im, n, x, 0), below = is_below(im, n, x, 0);
    return node_result(im, n, 0, make_binary(im, n, OP_add, above, below));
}

/* x where x > alpha, else 0: max(x, alpha) * (x > alpha). The maximum is finite wherever the factor is
 * 0. */
ONNX_IMPORT(thresholded_relu)
{
    double alpha;
    if (!attr_finite(im, n, "alpha", 1, &alpha))
        return false;
    ValueId x = arg_value(im, n, 0, "X");
    ValueId limited = make_clip(im, n, x, alpha, INFINITY);
    return node_result(im, n, 0, make_binary(im, n, OP_mul, limited, is_above(im, n, x, alpha)));
}

/* x - bias where x > lambd, x + bias where x < -lambd, else 0: a sum of two terms, of which one is 0. */
ONNX_IMPORT(shrink)
{
    double bias, lambd;
    if (!attr_finite(im, n, "bias", 0, &bias) || !attr_finite(im, n, "lambd", 0.5, &lambd))
        return false;
    if (lambd < 0)
        return node_error(im, n, "lambd is %g, expected at least 0", lambd);
    ValueId x = arg_value(im, n, 0, "input");
    ValueId high = make_scalar(im, n, OP_sub, make_clip(im, n, x, lambd, INFINITY), bias);
    /* -bias - x: is_below is a factor of -1. */
    ValueId low = make_clip(im, n, x, -INFINITY, -lambd);
    low = make_scalar(im, n, OP_sub, make_unary(im, n, OP_neg, low), bias);
    high = make_binary(im, n, OP_mul, high, is_above(im, n, x, lambd));
    low = make_binary(im, n, OP_mul, low, is_below(im, n, x, -lambd));
    return node_result(im, n, 0, make_binary(im, n, OP_add, high, low));
}

/* x * tanh(log(1 + exp(x))) */
ONNX_IMPORT(mish)
{
    ValueId x = arg_value(im, n, 0, "X");
    ValueId factor = make_unary(im, n, OP_tanh, make_unary(im, n, OP_softplus, x));
    return node_result(im, n, 0, make_binary(im, n, OP_mul, x, factor));
}

/* x * sigmoid(alpha * x) */
ONNX_IMPORT(swish)
{
    double alpha;
    if (!attr_finite(im, n, "alpha", 1, &alpha))
        return false;
    ValueId x = arg_value(im, n, 0, "X");
    if (alpha == 1)
        return node_result(im, n, 0, make_unary(im, n, OP_silu, x));
    ValueId gate = make_unary(im, n, OP_sigmoid, make_scalar(im, n, OP_mul, x, alpha));
    return node_result(im, n, 0, make_binary(im, n, OP_mul, x, gate));
}

/* 1 / x */
ONNX_IMPORT(reciprocal)
{
    ValueId x = arg_value(im, n, 0, "X");
    return node_result(im, n, 0, make_binary(im, n, OP_div, node_scalar(im, n, 1), x));
}

/* ---- Clip ------------------------------------------------------------------------------- */

/* One bound: an attribute up to opset 10, an input from 11 on. Where the input is computed at run time,
 * `bound` is its value and `*number` the fallback. */
static bool clip_bound(Importer *im, OnnxNode *n, int i, const char *name, double fallback,
                       double *number, ValueId *bound)
{
    *bound = 0;
    *number = im->opset < 11 ? attr_float(n, name, fallback) : fallback;
    if (im->opset >= 11 && arg_present(n, i)) {
        if (!arg_is_known(n, i))
            return (*bound = arg_value(im, n, i, name)) != 0;
        if (!arg_number(im, n, i, name, number))
            return false;
    }
    if (isnan(*number) || *number == -fallback)
        return node_error(im, n, "%s is %g, expected a finite number", name, *number);
    return true;
}

/* min(max(x, min), max), which is max where min > max. */
ONNX_IMPORT(clip)
{
    double  min, max;
    ValueId low, high, x = arg_value(im, n, 0, "X");
    if (!clip_bound(im, n, 1, "min", -INFINITY, &min, &low) ||
        !clip_bound(im, n, 2, "max", INFINITY, &max, &high))
        return false;
    if (low)
        x = make_binary(im, n, OP_max, x, low);
    if (min > -INFINITY || max < INFINITY)
        x = make_clip(im, n, x, min, max);
    if (high)
        x = make_binary(im, n, OP_min, x, high);
    return node_result(im, n, 0, x);
}

/* ---- PRelu ------------------------------------------------------------------------------ */

/* Whether the slope has one entry for each channel of x: [C, 1, 1] for [N, C, H, W]. Some exporters write
 * [C], which would have to fit the last dimension. */
static bool is_per_channel(const Type *x, const Type *slope)
{
    if (x->rank < 2 || slope->rank < 1 || type_count(slope) != x->dims[1])
        return false;
    int from_end = x->rank - 1;
    if (slope->rank >= from_end && slope->dims[slope->rank - from_end] == x->dims[1])
        return true;
    return slope->rank == 1 && x->dims[x->rank - 1] != x->dims[1] && x->dims[x->rank - 1] != 1;
}

/* max(x, 0) + slope * min(x, 0), for slopes that are no constant or of another shape */
static ValueId make_prelu(Importer *im, OnnxNode *n, ValueId x, ValueId slope)
{
    ValueId below = make_clip(im, n, x, -INFINITY, 0);
    ValueId scaled = make_binary(im, n, OP_mul, below, slope);
    return make_binary(im, n, OP_add, make_unary(im, n, OP_relu, x), scaled);
}

static bool import_any_prelu(Importer *im, OnnxNode *n, ValueId x)
{
    ValueId y = make_prelu(im, n, x, arg_value(im, n, 1, "slope"));
    if (!y)
        return false;
    Type from = node_type(im, x), to = node_type(im, y);
    if (!type_same_shape(&from, &to))
        return node_error(im, n, "slope does not broadcast to X, which is %s",
                          type_text(im->arena, &from));
    return node_result(im, n, 0, y);
}

ONNX_IMPORT(prelu)
{
    ValueId x = arg_value(im, n, 0, "X");
    if (!x)
        return false;
    Type    type = node_type(im, x), slope = arg_type(im, n, 1);
    int64_t count = type_count(&slope);
    if (!arg_is_known(n, 1) || (count != 1 && !is_per_channel(&type, &slope)))
        return import_any_prelu(im, n, x);
    const Tensor *t = arg_tensor(im, n, 1, "slope");
    if (!t)
        return false;
    Tensor *vector = arena_struct(im->arena, Tensor);
    *vector = (Tensor){type_plain(F32, 1, &count), t->data};
    ValueId in[2] = {x, node_constant(im, n, "slope", vector)};
    return node_result(im, n, 0, node_add(im, n, OP_prelu, 2, in, NULL));
}
