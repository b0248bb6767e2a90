/* op_norm.c - normalisations, LRN, Softmax. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- BatchNormalization ----------------------------------------------------------------- */

static const char *const norm_inputs[] = {"X", "scale", "B", "mean", "var"};

/* Statistics of the batch are made while training; so is every output but the first. */
static bool is_inference(Importer *im, const OnnxNode *n)
{
    if (attr_int(n, "training_mode", 0) != 0)
        return node_error(im, n,
                          "training_mode is 1, which is not supported; export the model for "
                          "inference");
    for (int i = 1; i < (int)n->proto->n_output; i++)
        if (node_has_output(im, n, i))
            return node_error(im, n,
                              "output %d, made while training, is not supported; export the "
                              "model for inference",
                              i);
    return true;
}

/* (x - mean) / sqrt(var + epsilon) * scale + b by tensors that broadcast to x, as x * factor + offset. */
static ValueId make_norm(Importer *im, OnnxNode *n, ValueId x, const ValueId param[5],
                         double epsilon)
{
    ValueId root = make_unary(im, n, OP_sqrt, make_scalar(im, n, OP_add, param[4], epsilon));
    ValueId factor = make_binary(im, n, OP_div, param[1], root);
    ValueId shift = make_binary(im, n, OP_mul, param[3], factor);
    ValueId offset = make_binary(im, n, OP_sub, param[2], shift);
    return make_binary(im, n, OP_add, make_binary(im, n, OP_mul, x, factor), offset);
}

/* spatial = 0: params of shape [C, H, W], one entry for each element of an image. */
static ValueId make_elementwise_norm(Importer *im, OnnxNode *n, ValueId x, double epsilon)
{
    ValueId param[5] = {0};
    Type    type = node_type(im, x);
    for (int i = 1; i < 5; i++) {
        param[i] = arg_value(im, n, i, norm_inputs[i]);
        Type t = param[i] ? node_type(im, param[i]) : type;
        if (!param[i])
            return 0;
        bool fits = t.rank == type.rank - 1;
        for (int d = 0; fits && d < t.rank; d++)
            fits = t.dims[d] == type.dims[d + 1];
        if (!fits)
            return node_error(im, n,
                              "%s is %s, expected the shape of X without its first dimension",
                              norm_inputs[i], type_text(im->arena, &t));
    }
    return make_norm(im, n, x, param, epsilon);
}

/* Statistics computed at run time, per channel. */
static ValueId make_run_time_norm(Importer *im, OnnxNode *n, ValueId x, double epsilon)
{
    ValueId param[5] = {0};
    Type    type = node_type(im, x);
    int64_t dims[MAX_RANK] = {type.dims[1], 1, 1, 1, 1, 1, 1, 1};
    for (int i = 1; i < 5; i++)
        param[i] = make_reshape(im, n, arg_value(im, n, i, norm_inputs[i]), type.rank - 1, dims);
    return make_norm(im, n, x, param, epsilon);
}

static ValueId make_batch_norm(Importer *im, OnnxNode *n, ValueId x, double epsilon)
{
    ValueId in[5] = {x};
    OpAttrs a = attrs_default(OP_batch_norm);
    a.epsilon = epsilon;
    for (int i = 1; i < 5; i++) {
        const Tensor *t = arg_tensor(im, n, i, norm_inputs[i]);
        in[i] = t ? node_constant(im, n, norm_inputs[i], t) : 0;
    }
    return node_add(im, n, OP_batch_norm, 5, in, &a);
}

ONNX_IMPORT(batch_norm)
{
    double  epsilon;
    ValueId x = arg_value(im, n, 0, "X");
    if (!x || !is_inference(im, n) || !attr_finite(im, n, "epsilon", 1e-5, &epsilon))
        return false;
    Type type = node_type(im, x);
    if (type.rank < 2)
        return node_error(im, n, "X is %s, expected at least rank 2: [N, C, ...]",
                          type_text(im->arena, &type));
    bool are_known = true;
    for (int i = 1; i < 5; i++)
        are_known = are_known && arg_is_known(n, i);
    if (im->opset < 9 && attr_int(n, "spatial", 1) == 0 && arg_type(im, n, 1).rank > 1)
        return node_result(im, n, 0, make_elementwise_norm(im, n, x, epsilon));
    ValueId y =
        are_known ? make_batch_norm(im, n, x, epsilon) : make_run_time_norm(im, n, x, epsilon);
    return node_result(im, n, 0, y);
}

/* ---- norms by the statistics of x itself ------------------------------------------------ */

typedef struct Centred {
    ValueId mean, x, deviation; /* x less its mean; sqrt(mean of squares + epsilon) + extra */
} Centred;

static Centred centre(Importer *im, OnnxNode *n, ValueId x, const IntList *axes, double epsilon)
{
    Centred c;
    c.mean = make_reduce(im, n, OP_reduce_mean, x, axes);
    c.x = make_binary(im, n, OP_sub, x, c.mean);
    ValueId square = make_binary(im, n, OP_mul, c.x, c.x);
    ValueId variance = make_reduce(im, n, OP_reduce_mean, square, axes);
    if (epsilon != 0)
        variance = make_scalar(im, n, OP_add, variance, epsilon);
    c.deviation = make_unary(im, n, OP_sqrt, variance);
    return c;
}

static IntList axes_from(int first, int rank)
{
    IntList axes = {0};
    for (int i = first; i < rank; i++)
        axes.v[axes.n++] = i;
    return axes;
}

/* Input `i`, a vector, as [count, 1, ...] of this rank, so that it belongs to a dimension of x. */
static ValueId vector_at(Importer *im, OnnxNode *n, int i, const char *what, int64_t count,
                         int rank)
{
    int64_t dims[MAX_RANK] = {count, 1, 1, 1, 1, 1, 1, 1};
    return make_reshape(im, n, arg_value(im, n, i, what), rank, dims);
}

/* x / deviation * scale + b, the small quotient scale / deviation first */
static ValueId scaled(Importer *im, OnnxNode *n, const Centred *c, ValueId scale, ValueId b)
{
    ValueId factor = make_binary(im, n, OP_div, scale, c->deviation);
    ValueId y = make_binary(im, n, OP_mul, c->x, factor);
    return make_binary(im, n, OP_add, y, b);
}

ONNX_IMPORT(instance_norm)
{
    double  epsilon;
    ValueId x = arg_value(im, n, 0, "input");
    if (!x || !attr_finite(im, n, "epsilon", 1e-5, &epsilon))
        return false;
    Type type = node_type(im, x);
    if (type.rank < 3)
        return node_error(im, n, "input is %s, expected at least rank 3: [N, C, ...]",
                          type_text(im->arena, &type));
    IntList axes = axes_from(2, type.rank);
    ValueId scale = vector_at(im, n, 1, "scale", type.dims[1], type.rank - 1);
    ValueId b = vector_at(im, n, 2, "B", type.dims[1], type.rank - 1);
    Centred c = centre(im, n, x, &axes, epsilon);
    return node_result(im, n, 0, scaled(im, n, &c, scale, b));
}

/* Up to opset 20, scale and bias have one entry a group; from 21 on, one a channel. */
ONNX_IMPORT(group_norm)
{
    double  epsilon;
    int64_t groups = attr_int(n, "num_groups", 0);
    ValueId x = arg_value(im, n, 0, "X");
    if (!x || !attr_finite(im, n, "epsilon", 1e-5, &epsilon))
        return false;
    Type type = node_type(im, x);
    if (type.rank < 2 || groups < 1 || type.dims[1] % groups != 0)
        return node_error(im, n,
                          "X is %s, num_groups %" PRId64 ": the channels do not divide into "
                          "groups",
                          type_text(im->arena, &type), groups);
    int64_t grouped[3] = {type.dims[0], groups, type_count(&type) / type.dims[0] / groups};
    IntList axes = axes_from(2, 3);
    Centred c = centre(im, n, make_reshape(im, n, x, 3, grouped), &axes, epsilon);
    if (im->opset < 21) {
        ValueId y = scaled(im, n, &c, vector_at(im, n, 1, "scale", groups, 2),
                           vector_at(im, n, 2, "bias", groups, 2));
        return node_result(im, n, 0, make_reshape(im, n, y, type.rank, type.dims));
    }
    ValueId y = make_binary(im, n, OP_div, c.x, c.deviation);
    y = make_reshape(im, n, y, type.rank, type.dims);
    int rank = type.rank - 1;
    y = make_binary(im, n, OP_mul, y, vector_at(im, n, 1, "scale", type.dims[1], rank));
    y = make_binary(im, n, OP_add, y, vector_at(im, n, 2, "bias", type.dims[1], rank));
    return node_result(im, n, 0, y);
}

/* Over the dimensions from `axis` on. Outputs 1 and 2 are the mean and 1 / deviation. */
ONNX_IMPORT(layer_norm)
{
    double  epsilon;
    ValueId x = arg_value(im, n, 0, "X"), scale = arg_value(im, n, 1, "Scale");
    ValueId b = arg_present(n, 2) ? arg_value(im, n, 2, "B") : 0;
    if (!x || !scale || (arg_present(n, 2) && !b) || !attr_finite(im, n, "epsilon", 1e-5, &epsilon))
        return false;
    Type type = node_type(im, x);
    int  axis = node_axis(im, n, attr_int(n, "axis", -1), type.rank);
    if (axis < 0)
        return false;
    IntList axes = axes_from(axis, type.rank);
    Centred c = centre(im, n, x, &axes, epsilon);
    ValueId inverse = make_binary(im, n, OP_div, node_scalar(im, n, 1), c.deviation);
    ValueId y = make_binary(im, n, OP_mul, make_binary(im, n, OP_mul, c.x, inverse), scale);
    if (b)
        y = make_binary(im, n, OP_add, y, b);
    if (node_has_output(im, n, 1) && !node_result(im, n, 1, c.mean))
        return false;
    if (node_has_output(im, n, 2) && !node_result(im, n, 2, inverse))
        return false;
    return node_result(im, n, 0, y);
}

/* (x - mean) / (deviation + 1e-9) */
ONNX_IMPORT(mean_variance_norm)
{
    IntList axes = {3, {0, 2, 3}};
    ValueId x = arg_value(im, n, 0, "X");
    int     count = attr_ints(im, n, "axes", axes.v, MAX_RANK);
    if (!x || count < 0)
        return false;
    axes.n = count ? count : 3;
    Centred c = centre(im, n, x, &axes, 0);
    ValueId deviation = make_scalar(im, n, OP_add, c.deviation, 1e-9);
    return node_result(im, n, 0, make_binary(im, n, OP_div, c.x, deviation));
}

/* ---- LRN -------------------------------------------------------------------------------- */

/* Across channels; how the rest of a plane is arranged does not matter. */
ONNX_IMPORT(lrn)
{
    OpAttrs a = attrs_default(OP_lrn);
    ValueId x = arg_value(im, n, 0, "X");
    if (!x || !attr_finite(im, n, "alpha", 1e-4, &a.alpha) ||
        !attr_finite(im, n, "beta", 0.75, &a.beta) || !attr_finite(im, n, "bias", 1, &a.bias))
        return false;
    if (!attr_given(n, "size"))
        return node_error(im, n, "the attribute size is missing");
    a.size = attr_int(n, "size", 0);
    Type type = node_type(im, x);
    if (type.rank < 2)
        return node_error(im, n, "X is %s, expected at least rank 2: [N, C, ...]",
                          type_text(im->arena, &type));
    int64_t plane = type_count(&type) / type.dims[0] / type.dims[1];
    int64_t dims[4] = {type.dims[0], type.dims[1], plane, 1};
    ValueId planes = type.rank == 4 ? x : make_reshape(im, n, x, 4, dims);
    ValueId y = node_add(im, n, OP_lrn, 1, &planes, &a);
    return node_result(im, n, 0, make_reshape(im, n, y, type.rank, type.dims));
}

/* ---- Softmax, LogSoftmax ---------------------------------------------------------------- */

/* From opset 13 on along one axis. Before, x is a matrix whose columns are the dimensions from `axis` on;
 * where all but one of these have extent 1, that is the same. */
ONNX_IMPORT(softmax)
{
    Op      op = strcmp(n->row->name, "Softmax") == 0 ? OP_softmax : OP_log_softmax;
    OpAttrs a = attrs_default(op);
    ValueId x = arg_value(im, n, 0, "input");
    if (!x)
        return false;
    Type type = node_type(im, x);
    int  axis = node_axis(im, n, attr_int(n, "axis", im->opset < 13 ? 1 : -1), type.rank);
    if (axis < 0)
        return false;
    int64_t columns = 1;
    for (int i = axis; i < type.rank; i++)
        columns *= type.dims[i];
    a.axis = axis;
    if (im->opset >= 13 || columns == type.dims[axis])
        return node_result(im, n, 0, node_add(im, n, op, 1, &x, &a));
    a.axis = 1;
    ValueId matrix = make_reshape(im, n, x, 2, (int64_t[]){type_count(&type) / columns, columns});
    ValueId y = node_add(im, n, op, 1, &matrix, &a);
    return node_result(im, n, 0, make_reshape(im, n, y, type.rank, type.dims));
}
