/* op_matmul.c - Gemm and MatMul: linear where the right side is a constant matrix. */
#include "onnx/importer.h"

#include <string.h>

/* ---- weights --------------------------------------------------------------------------------- */

/* scaled - the tensor times `factor`, or itself. */
static const Tensor *scaled(Importer *im, const Tensor *t, double factor)
{
    if (factor == 1)
        return t;
    Tensor *out = tensor_new(im->arena, F32, t->type.rank, t->type.dims);
    int64_t count = type_count(&t->type);
    for (int64_t i = 0; i < count; i++)
        tensor_set(out, i, factor * tensor_get(t, i));
    return out;
}

/* transposed - a [k, o] matrix as linear wants it, [o, k]. */
static const Tensor *transposed(Importer *im, const Tensor *t)
{
    int64_t      rows = t->type.dims[0], columns = t->type.dims[1];
    Tensor      *out = tensor_new(im->arena, F32, 2, (int64_t[]){columns, rows});
    const float *from = t->data;
    for (int64_t o = 0; o < columns; o++)
        for (int64_t k = 0; k < rows; k++)
            tensor_set(out, o * rows + k, (double)from[k * columns + o]);
    return out;
}

/* weight_value - the constant matrix of input 1 as linear's weight, times `alpha`; 0: reported. */
static ValueId weight_value(Importer *im, OnnxNode *n, const Tensor *b, bool is_transposed,
                            double alpha)
{
    OnnxValue *in = n->in[1];
    if (is_transposed && alpha == 1)
        return arg_value(im, n, 1, "B");
    if (alpha != 1)
        return arg_derived(im, n, 1, scaled(im, is_transposed ? b : transposed(im, b), alpha));
    if (!in->turned)
        in->turned = arg_derived(im, n, 1, transposed(im, b));
    return in->turned;
}

/* constant_matrix - input `i` where it is a known matrix, else NULL. */
static const Tensor *constant_matrix(const OnnxNode *n, int i)
{
    const Known *k = arg_is_known(n, i);
    return k && k->floats && k->rank == 2 ? k->floats : NULL;
}

static ValueId matrix_transposed(Importer *im, OnnxNode *n, ValueId x)
{
    return make_transpose(im, n, x, &(IntList){2, {1, 0}});
}

/* ---- Gemm ------------------------------------------------------------------------------------ */

/* bias_tensor - beta * C as a vector of `outputs`, where C is a constant that is the same for all rows;
 * else NULL. */
static const Tensor *bias_tensor(Importer *im, const OnnxNode *n, int64_t outputs, double beta)
{
    const Known *c = arg_is_known(n, 2);
    if (!c || !c->floats || c->rank > 2 || (c->rank == 2 && c->dims[0] != 1) ||
        (c->count != 1 && c->count != outputs))
        return NULL;
    Tensor *bias = tensor_new(im->arena, F32, 1, &outputs);
    for (int64_t i = 0; i < outputs; i++)
        tensor_set(bias, i, beta * tensor_get(c->floats, c->count == 1 ? 0 : i));
    return bias;
}

/* add_summand - y + beta * C, which may not change the shape. */
static ValueId add_summand(Importer *im, OnnxNode *n, ValueId y, double beta)
{
    ValueId c = y ? arg_value(im, n, 2, "C") : 0;
    if (c && beta != 1)
        c = make_scalar(im, n, OP_mul, c, beta);
    ValueId sum = make_binary(im, n, OP_add, y, c);
    if (!sum)
        return 0;
    Type product = node_type(im, y), result = node_type(im, sum);
    if (type_same_shape(&product, &result))
        return sum;
    node_error(im, n, "C makes %s of the product's %s", type_text(im->arena, &result),
               type_text(im->arena, &product));
    return 0;
}

/* gemm_linear - alpha * A * B + beta * C with a constant B, and C too where that is a vector. */
static ValueId gemm_linear(Importer *im, OnnxNode *n, ValueId a, const Tensor *b, double alpha,
                           double beta)
{
    bool          trans_b = attr_int(n, "transB", 0) != 0;
    int64_t       outputs = b->type.dims[trans_b ? 0 : 1];
    const Tensor *bias = beta != 0 ? bias_tensor(im, n, outputs, beta) : NULL;
    ValueId       in[3] = {a, weight_value(im, n, b, trans_b, alpha), 0};
    bool          as_stored =
        bias && beta == 1 && arg_is_known(n, 2)->rank == 1 && arg_is_known(n, 2)->count == outputs;
    if (bias)
        in[2] = as_stored ? arg_value(im, n, 2, "C") : arg_derived(im, n, 2, bias);
    if (bias && !in[2])
        return 0;
    ValueId y = node_add(im, n, OP_linear, bias ? 3 : 2, in, NULL);
    return bias || beta == 0 || !arg_present(n, 2) ? y : add_summand(im, n, y, beta);
}

static ValueId gemm_product(Importer *im, OnnxNode *n, ValueId a, double alpha, double beta)
{
    ValueId b = arg_value(im, n, 1, "B");
    if (!b)
        return 0;
    if (node_type(im, b).rank != 2) {
        node_error(im, n, "B has rank %d, expected 2", node_type(im, b).rank);
        return 0;
    }
    if (attr_int(n, "transB", 0))
        b = matrix_transposed(im, n, b);
    ValueId y = make_binary(im, n, OP_matmul, a, b);
    if (alpha != 1)
        y = make_scalar(im, n, OP_mul, y, alpha);
    return beta == 0 || !arg_present(n, 2) ? y : add_summand(im, n, y, beta);
}

ONNX_IMPORT(gemm)
{
    double  alpha, beta;
    ValueId a = arg_value(im, n, 0, "A");
    if (!a || !attr_finite(im, n, "alpha", 1, &alpha) || !attr_finite(im, n, "beta", 1, &beta))
        return false;
    if (node_type(im, a).rank != 2)
        return node_error(im, n, "A has rank %d, expected 2", node_type(im, a).rank);
    if (attr_int(n, "transA", 0))
        a = matrix_transposed(im, n, a);
    const Tensor *b = constant_matrix(n, 1);
    return node_result(
        im, n, 0, b ? gemm_linear(im, n, a, b, alpha, beta) : gemm_product(im, n, a, alpha, beta));
}

/* ---- MatMul ---------------------------------------------------------------------------------- */

/* matmul_linear - every row of A, whatever its rank, times a constant matrix. */
static ValueId matmul_linear(Importer *im, OnnxNode *n, ValueId a, const Tensor *b)
{
    Type    t = node_type(im, a);
    int64_t inputs = t.rank ? t.dims[t.rank - 1] : 0;
    if (inputs < 1 || inputs != b->type.dims[0]) {
        node_error(im, n, "A is %s and B %s: the last dimension of A must be %lld",
                   type_text(im->arena, &t), type_text(im->arena, &b->type),
                   (long long)b->type.dims[0]);
        return 0;
    }
    int64_t rows[2] = {type_count(&t) / inputs, inputs};
    ValueId in[2] = {make_reshape(im, n, a, 2, rows), weight_value(im, n, b, false, 1)};
    ValueId y = node_add(im, n, OP_linear, 2, in, NULL);
    t.dims[t.rank - 1] = b->type.dims[1];
    return make_reshape(im, n, y, t.rank, t.dims);
}

ONNX_IMPORT(matmul)
{
    const Tensor *b = constant_matrix(n, 1);
    ValueId       x = arg_value(im, n, 0, "A"), y = b || !x ? 0 : arg_value(im, n, 1, "B");
    if (!x || (!b && !y))
        return false;
    return node_result(im, n, 0,
                       b ? matmul_linear(im, n, x, b) : make_binary(im, n, OP_matmul, x, y));
}
