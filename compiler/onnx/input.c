/* input.c - the model's inputs and their dimensions. */
#include "onnx/importer.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

typedef Onnx__TypeProto__Tensor           TensorType;
typedef Onnx__TensorShapeProto__Dimension Dimension;

/* read_elem - poison, and reported, where kiln takes no input of that type. */
static Elem read_elem(Importer *im, Span where, const char *name, int32_t type)
{
    if (type == TYPE(UINT8))
        return U8;
    if (type == TYPE(INT8))
        return I8;
    if (type == TYPE(INT32))
        return I32;
    if (!onnx_is_float(type)) {
        diag_error(im->diag, where,
                   "input '%s' has elements of type %s, expected float, int32, int8 "
                   "or uint8",
                   name, onnx_type_name(im->arena, type));
        return ELEM_POISON;
    }
    if (type != TYPE(FLOAT))
        diag_note(im->diag, where,
                  "input '%s' is %s in the model; the compiled network takes float", name,
                  onnx_type_name(im->arena, type));
    return F32;
}

/* report_open - complain about dimensions without a number, and say how to fix them. */
static void report_open(Importer *im, Span where, const char *name, const TensorType *type,
                        int rank, const int64_t *dims)
{
    Text open = text_new(im->arena), shape = text_new(im->arena);
    int  n_open = 0;
    for (int i = 0; i < rank; i++) {
        text_add(&shape, i ? "x" : "");
        if (dims[i] >= 0) {
            text_printf(&shape, "%lld", (long long)dims[i]);
            continue;
        }
        text_add(&shape, "?");
        text_printf(&open, "%s%d", n_open++ ? ", " : "", i);
        const Dimension *d = type->shape->dim[i];
        if (d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && *d->dim_param)
            text_printf(&open, " ('%s')", text_printable(im->arena, d->dim_param));
    }
    diag_error(im->diag, where,
               "dimension%s %s of input '%s' %s no fixed size; give %s with %s"
               "--shape %s=%s",
               n_open > 1 ? "s" : "", open.data, name, n_open > 1 ? "have" : "has",
               n_open > 1 ? "them" : "it", n_open == 1 && dims[0] < 0 ? "--batch N or " : "", name,
               shape.data);
}

/* read_dims - -1 for those without a number; the rank, -1 where the model has no shape, -2: reported. */
static int read_dims(Importer *im, Span where, const char *name, const TensorType *type,
                     int64_t *dims)
{
    if (!type->shape)
        return -1;
    if (type->shape->n_dim > MAX_RANK) {
        diag_error(im->diag, where, "input '%s' has %zu dimensions, expected at most %d", name,
                   type->shape->n_dim, MAX_RANK);
        return -2;
    }
    for (size_t i = 0; i < type->shape->n_dim; i++) {
        const Dimension *d = type->shape->dim[i];
        dims[i] = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE
                      ? d->dim_value
                      : -1;
        /* Some exporters write 0 or a negative number for a dimension they do not know. */
        if (dims[i] < 1)
            dims[i] = -1;
    }
    return (int)type->shape->n_dim;
}

/* read_type - poison: reported. */
static Type read_type(Importer *im, Span where, const char *name, const char *shown,
                      const TensorType *type)
{
    Type    poison = {.elem = ELEM_POISON};
    int64_t dims[MAX_RANK];
    Elem    elem = read_elem(im, where, shown, type->elem_type);
    int     rank = read_dims(im, where, shown, type, dims);
    if (rank == -2 || !input_shape_fix(im->diag, where, im->options, name, &rank, dims))
        return poison;
    if (rank < 1) {
        diag_error(im->diag, where,
                   "input '%s' has no %s; give a shape with --shape %s=1x3x224x224", shown,
                   rank ? "shape" : "dimensions", shown);
        return poison;
    }
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            report_open(im, where, shown, type, rank, dims);
            return poison;
        }
    }
    return type_plain(elem, rank, dims);
}

static void read_input(Importer *im, size_t i)
{
    const Onnx__ValueInfoProto *info = im->model->graph->input[i];
    Graph                      *g = im->graph;
    Span                        where = place_in(im, "input", i);
    OnnxValue                  *v = name_find(im, info->name);
    const char                 *shown = text_printable(im->arena, info->name);
    Type                        type = {.elem = ELEM_POISON};
    if (v && v->node == BY_INITIALIZER)
        return;
    if (!v)
        diag_error(im->diag, where, "the input has no name");
    else if (!info->type || info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        diag_error(im->diag, where, "input '%s' is no tensor", shown);
    else
        type = read_type(im, where, info->name, shown, info->type->tensor_type);
    ValueId value = graph_add_value(g, info->name, type);
    value_at(g, value)->is_input = true;
    g->inputs[g->n_inputs++] =
        (Port){.value = value, .name = value_get(g, value)->name, .where = where};
    if (!v)
        return;
    v->value = value;
    v->is_broken = type.elem == ELEM_POISON;
}

void inputs_read(Importer *im)
{
    size_t n = im->model->graph->n_input;
    im->graph->inputs = arena_array(im->arena, Port, n);
    for (size_t i = 0; i < n; i++)
        read_input(im, i);
    Span where = {.source = im->source, .pointer = "/graph/input"};
    if (!im->graph->n_inputs)
        diag_error(im->diag, where, "a model needs at least one input");
    input_shapes_check(im->graph, (Span){.source = im->source}, im->options);
}
