/* op_constant.c - what is a constant or becomes one: Constant, ConstantOfShape, Shape, Size, Cast ...; and
 * what passes its input on: Identity, Dropout. */
#include "onnx/importer.h"

#include <string.h>

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

/* ---- constants ----------------------------------------------------------------------------- */

static Tensor *float_list(Importer *im, int rank, int64_t count, const float *numbers)
{
    Tensor *t = tensor_new(im->arena, F32, rank, &count);
    for (int64_t i = 0; i < count; i++)
        tensor_set(t, i, (double)numbers[i]);
    return t;
}

static const Known *constant_known(Importer *im, OnnxNode *n, const Onnx__AttributeProto *a)
{
    int64_t n_ints = (int64_t)a->n_ints, n_floats = (int64_t)a->n_floats;
    if (!strcmp(a->name, "value"))
        return tensor_known(im, a->t, n->where);
    if (!strcmp(a->name, "value_int"))
        return known_ints(im->arena, TYPE(INT64), 0, NULL, &a->i);
    if (!strcmp(a->name, "value_ints"))
        return known_ints(im->arena, TYPE(INT64), 1, &n_ints, a->n_ints ? a->ints : &a->i);
    if (!strcmp(a->name, "value_float"))
        return known_floats(im->arena, float_list(im, 0, 1, &a->f));
    if (n_floats)
        return known_floats(im->arena, float_list(im, 1, n_floats, a->floats));
    return known_ints(im->arena, TYPE(FLOAT), 1, &n_floats, NULL);
}

ONNX_IMPORT(constant)
{
    if (n->proto->n_attribute != 1)
        return node_error(im, n, "%zu attributes, expected one that gives the value",
                          n->proto->n_attribute);
    const Known *k = constant_known(im, n, n->proto->attribute[0]);
    if (k && k->floats)
        im->fold.elements += 4 * k->count;
    return node_result_known(im, n, 0, k);
}

/* constant_splat - a tensor of one number; its type as `value` has it. */
static const Known *constant_splat(Importer *im, const Known *value, int rank, const int64_t *dims,
                                   int64_t count)
{
    if (value && value->ints) {
        int64_t *ints = arena_array(im->arena, int64_t, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            ints[i] = value->ints[0];
        return known_ints(im->arena, value->type, rank, dims, ints);
    }
    Known *k = known_ints(im->arena, TYPE(FLOAT), rank, dims, NULL);
    if (!count)
        return k;
    Tensor *t = tensor_new(im->arena, F32, rank, dims);
    for (int64_t i = 0; i < count; i++)
        tensor_set(t, i, value ? known_number(value, 0) : 0);
    k->floats = t;
    return k;
}

ONNX_IMPORT(constant_of_shape)
{
    int64_t      dims[MAX_RANK], count = 1;
    int          rank = arg_ints(im, n, 0, "the shape", dims, MAX_RANK);
    const Known *value = NULL;
    if (rank < 0)
        return false;
    for (int i = 0; i < rank; i++)
        if (dims[i] < 0 || dims[i] > KNOWN_MAX_DIM)
            return node_error(im, n, "dimension %d is %lld", i, (long long)dims[i]);
    if (!known_afford(im, rank, dims))
        return node_error(im, n, "more elements than are computed while compiling");
    if (attr_given(n, "value") && !(value = tensor_known(im, attr_find(n, "value")->t, n->where)))
        return false;
    if (value && value->count != 1)
        return node_error(im, n, "the value has %lld elements, expected one",
                          (long long)value->count);
    for (int i = 0; i < rank; i++)
        count *= dims[i];
    return node_result_known(im, n, 0, constant_splat(im, value, rank, dims, count));
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* shape_of_input - dims of input 0; empty tensors have one too. False: reported. */
static bool shape_of_input(Importer *im, OnnxNode *n, Type *out)
{
    const Known *k = arg_is_known(n, 0);
    if (!arg_present(n, 0))
        return node_error(im, n, "its input is missing");
    *out = k ? known_shape(k) : arg_type(im, n, 0);
    return true;
}

static int64_t clamped(int64_t v, int rank)
{
    v = v < 0 ? v + rank : v;
    return v < 0 ? 0 : v > rank ? rank : v;
}

ONNX_IMPORT(shape)
{
    Type t = {.rank = 0};
    if (!shape_of_input(im, n, &t))
        return false;
    int64_t  start = clamped(attr_int(n, "start", 0), t.rank);
    int64_t  end = clamped(attr_int(n, "end", t.rank), t.rank);
    int64_t  count = end > start ? end - start : 0;
    int64_t *dims = arena_array(im->arena, int64_t, MAX_RANK);
    memcpy(dims, t.dims + start, (size_t)count * sizeof *dims);
    return node_result_known(im, n, 0, known_ints(im->arena, TYPE(INT64), 1, &count, dims));
}

ONNX_IMPORT(size)
{
    Type     t = {.rank = 0};
    int64_t *count = arena_struct(im->arena, int64_t);
    if (!shape_of_input(im, n, &t))
        return false;
    *count = type_count(&t);
    return node_result_known(im, n, 0, known_ints(im->arena, TYPE(INT64), 0, NULL, count));
}

/* ---- what is folded or not at all -------------------------------------------------------------- */

/* Gets here only where known_fold could not. */
ONNX_IMPORT(folded)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->known)
            return node_error(im, n,
                              "kiln computes this only of constants and shapes, but '%s' is "
                              "computed when the network runs",
                              text_printable(im->arena, n->in[i]->name));
    return node_error(im, n,
                      "these constants cannot be computed: their shapes, types or values do "
                      "not fit, or there are too many elements");
}

/* ---- what passes its input on ------------------------------------------------------------------ */

/* pass_on - output 0 is input 0, whatever it is. */
static bool pass_on(Importer *im, OnnxNode *n)
{
    const Known *k = arg_is_known(n, 0);
    return k ? node_result_known(im, n, 0, k) : node_result(im, n, 0, arg_value(im, n, 0, "input"));
}

ONNX_IMPORT(identity)
{
    return pass_on(im, n);
}

/* In training a dropout drops; opset 12 has that as an input. */
ONNX_IMPORT(dropout)
{
    double training = 0;
    if (arg_present(n, 2) && !arg_number(im, n, 2, "training_mode", &training))
        return false;
    if (training != 0)
        return node_error(im, n, "it is in training mode; export the network for inference");
    return pass_on(im, n);
}

/* cast_from_bytes - x as float: (x - 0) * 1. */
static ValueId cast_from_bytes(Importer *im, OnnxNode *n, ValueId x)
{
    Tensor *zero = tensor_new(im->arena, node_type(im, x).elem, 0, NULL);
    ValueId in[3] = {x, node_scalar(im, n, 1), node_constant(im, n, "zero", zero)};
    return node_add(im, n, OP_dequantize, 3, in, NULL);
}

/* Constants were folded. Floating types are all float here; indices are 32 bits wide. */
ONNX_IMPORT(cast)
{
    int32_t to = (int32_t)attr_int(n, "to", 0);
    ValueId x = arg_value(im, n, 0, "input");
    if (!x)
        return false;
    Elem from = node_type(im, x).elem;
    bool is_same =
        from == F32 ? onnx_is_float(to) : from == I32 && (to == TYPE(INT32) || to == TYPE(INT64));
    if (is_same)
        return node_result(im, n, 0, x);
    if (onnx_is_float(to) && (from == U8 || from == I8))
        return node_result(im, n, 0, cast_from_bytes(im, n, x));
    return node_error(im, n, "a cast from %s to %s is not supported", elem_name(from),
                      onnx_type_name(im->arena, to));
}
