/* op_binary.c - arithmetic of two or more inputs, broadcast as in NumPy. */
#include "onnx/importer.h"

#include <string.h>

/* Input `i` as a number of floating type: an integer constant, such as the exponent 2, is one too. */
static ValueId float_value(Importer *im, OnnxNode *n, int i, const char *what)
{
    const Known *k = arg_is_known(n, i);
    if (!k || !k->ints || k->count < 1)
        return arg_value(im, n, i, what);
    Tensor *t = tensor_new(im->arena, F32, k->rank, k->dims);
    for (int64_t e = 0; e < k->count; e++)
        tensor_set(t, e, (double)k->ints[e]);
    return node_constant(im, n, what, t);
}

static Op op_of(const char *name)
{
    static const struct {
        const char *name;
        Op          op;
    } table[] = {{"Add", OP_add}, {"Sub", OP_sub},  {"Mul", OP_mul},
                 {"Div", OP_div}, {"Max", OP_max},  {"Min", OP_min},
                 {"Sum", OP_add}, {"Mean", OP_add}, {"Pow", OP_pow}};
    for (size_t i = 0; i < COUNT_OF(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].op;
    return OP_NONE;
}

ONNX_IMPORT(binary)
{
    ValueId a = arg_value(im, n, 0, "A"), b = arg_value(im, n, 1, "B");
    return node_result(im, n, 0, make_binary(im, n, op_of(n->row->name), a, b));
}

/* The exponent may have another type than the base. */
ONNX_IMPORT(pow)
{
    ValueId base = float_value(im, n, 0, "X"), exponent = float_value(im, n, 1, "Y");
    return node_result(im, n, 0, make_binary(im, n, OP_pow, base, exponent));
}

/* Sum, Mean, Max, Min: from the left. */
ONNX_IMPORT(variadic)
{
    ValueId y = arg_value(im, n, 0, "an input");
    for (int i = 1; i < n->n_in; i++)
        y = make_binary(im, n, op_of(n->row->name), y, arg_value(im, n, i, "an input"));
    if (strcmp(n->row->name, "Mean") == 0 && n->n_in > 1)
        y = make_scalar(im, n, OP_div, y, n->n_in);
    return node_result(im, n, 0, y);
}
