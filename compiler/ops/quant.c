/* quant.c - quantize and dequantize, per tensor or along an axis. */
#include "ops/ops.h"

#include <inttypes.h>
#include <math.h>

#define QUANT_AXIS                                                                                 \
    ATTR(axis, ATTR_INT, .flag = offsetof(OpAttrs, has_axis), .min = -MAX_RANK, .max = MAX_RANK - 1)

const AttrSpec attrs_quantize[] = {QUANT_AXIS};
ATTRS_END(quantize);

const AttrSpec attrs_dequantize[] = {QUANT_AXIS};
ATTRS_END(dequantize);

/* ---- shapes ----------------------------------------------------------------------------- */

/* Whether scale and zero_point have one entry or, with an axis, one for each index along it; and
 * scales are positive. */
static bool params_fit(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n);
    Type        x = *shape_in(g, n, 0), scale = *shape_in(g, n, 1), zero = *shape_in(g, n, 2);
    int64_t     entries = 1;
    int         axis;
    if (node->attrs.has_axis) {
        if (!shape_axis(g, n, node->attrs.axis, x.rank, x.rank, &axis))
            return false;
        entries = x.dims[axis];
    }
    for (int i = 1; i <= 2; i++) {
        const Type *t = i == 1 ? &scale : &zero;
        if (type_count(t) != entries || t->rank > 1)
            return shape_error(g, n, "%s is %s, expected %" PRId64 " entr%s",
                               i == 1 ? "scale" : "zero_point", type_text(g->arena, t), entries,
                               entries == 1 ? "y" : "ies");
    }
    if (!elem_is_float(scale.elem))
        return shape_error(g, n, "scale is %s, expected f32", type_text(g->arena, &scale));
    const Tensor *scales = graph_input(g, node, 1)->constant;
    for (int64_t i = 0; scales && i < entries; i++)
        if (!(tensor_get(scales, i) > 0) || isinf(tensor_get(scales, i)))
            return shape_error(g, n, "scale %" PRId64 " is %g, expected a positive number", i,
                               tensor_get(scales, i));
    return true;
}

bool shape_quantize(Graph *g, NodeId n)
{
    Type x = *shape_in(g, n, 0), zero = *shape_in(g, n, 2);
    if (x.elem != F32)
        return shape_error(g, n, "input has element type %s, expected f32", elem_name(x.elem));
    if (zero.elem != I8 && zero.elem != U8)
        return shape_error(g, n, "zero_point has element type %s, expected i8 or u8: the output's",
                           elem_name(zero.elem));
    return params_fit(g, n) && shape_set(g, n, zero.elem, x.rank, x.dims);
}

bool shape_dequantize(Graph *g, NodeId n)
{
    Type x = *shape_in(g, n, 0), zero = *shape_in(g, n, 2);
    if (x.elem != I8 && x.elem != U8 && x.elem != I32)
        return shape_error(g, n, "input has element type %s, expected i8, u8 or i32",
                           elem_name(x.elem));
    if (zero.elem != x.elem)
        return shape_error(g, n, "zero_point has element type %s, expected %s as the input's",
                           elem_name(zero.elem), elem_name(x.elem));
    return params_fit(g, n) && shape_set(g, n, F32, x.rank, x.dims);
}

/* ---- evaluators ------------------------------------------------------------------------- */

/* Which scale and zero point element `i` has. */
static int64_t param_index(const Node *n, const Type *x, int64_t i)
{
    int64_t outer, extent, inner;
    if (!n->attrs.has_axis)
        return 0;
    axis_spans(x, axis_from_end(n->attrs.axis, x->rank), &outer, &extent, &inner);
    return i / inner % extent;
}

/* The quotient is rounded to f32, as ONNX has it: which integer is nearest may hang on that. */
void eval_quantize(const Node *n, const Array *const in[], Array *out)
{
    double low = out->type.elem == I8 ? INT8_MIN : 0,
           high = out->type.elem == I8 ? INT8_MAX : UINT8_MAX;
    int64_t count = type_count(&out->type);
    for (int64_t i = 0; i < count; i++) {
        int64_t p = param_index(n, &out->type, i);
        float   quotient = (float)in[0]->data[i] / (float)in[1]->data[p];
        double  q = nearbyint((double)quotient) + in[2]->data[p];
        out->data[i] = isnan(q) ? 0 : q < low ? low : q > high ? high : q;
    }
}

void eval_dequantize(const Node *n, const Array *const in[], Array *out)
{
    int64_t count = type_count(&out->type);
    for (int64_t i = 0; i < count; i++) {
        int64_t p = param_index(n, &out->type, i);
        out->data[i] = (in[0]->data[i] - in[2]->data[p]) * in[1]->data[p];
    }
}

/* ---- lowerings -------------------------------------------------------------------------- */

/* x, scale and zero point of the element, as f32. */
typedef struct Operands {
    const Expr *x, *scale, *zero;
} Operands;

static Operands load_operands(Graph *g, Kernel *k, const Node *n, const Element *e)
{
    const Type *y = &value_get(g, n->out)->type;
    int         axis = n->attrs.has_axis ? axis_from_end(n->attrs.axis, y->rank) : 0;
    return (Operands){ex_cast(k, F32, element_load(g, k, n->in[0], y, e)),
                      ex_cast(k, F32, element_load_along(g, k, n->in[1], y, axis, e)),
                      ex_cast(k, F32, element_load_along(g, k, n->in[2], y, axis, e))};
}

void lower_quantize(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    Element     e = element_loops(g, k, n->out);
    Operands    o = load_operands(g, k, n, &e);
    const Expr *q = ex_unary(k, U_ROUND, ex_binary(k, B_DIV, o.x, o.scale));
    q = ex_binary(k, B_ADD, q, o.zero);
    element_store(g, k, n, &e, ex_cast(k, value_get(g, n->out)->type.elem, q));
}

void lower_dequantize(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    Element     e = element_loops(g, k, n->out);
    Operands    o = load_operands(g, k, n, &e);
    const Expr *y = ex_binary(k, B_MUL, ex_binary(k, B_SUB, o.x, o.zero), o.scale);
    element_store(g, k, n, &e, y);
}
