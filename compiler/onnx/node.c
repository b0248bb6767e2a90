/* node.c - graph nodes for an ONNX node, typed as they are made; complaints about it. */
#include "onnx/importer.h"

#include <math.h>
#include <string.h>

bool node_error(Importer *im, const OnnxNode *n, const char *fmt, ...)
{
    Text    message = text_new(im->arena);
    va_list args;
    va_start(args, fmt);
    text_vprintf(&message, fmt, args);
    va_end(args);
    diag_error(im->diag, n->where, "%s '%s': %s", text_printable(im->arena, n->proto->op_type),
               text_printable(im->arena, n->name), message.data);
    return false;
}

Type node_type(const Importer *im, ValueId v)
{
    return value_get(im->graph, v)->type;
}

/* ---- constants ---------------------------------------------------------------------------- */

static bool is_finite(const Tensor *t)
{
    int64_t count = type_count(&t->type);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(tensor_get(t, i)))
            return false;
    return true;
}

/* NaN and infinity in weights are damage, and C has no plain way to write them. */
ValueId node_constant_named(Importer *im, OnnxNode *n, const char *name, const Tensor *t)
{
    if (is_finite(t))
        return graph_add_constant(im->graph, name, t);
    node_error(im, n, "the constant '%s' holds NaN or an infinity",
               text_printable(im->arena, name));
    return 0;
}

ValueId node_constant_made(Importer *im, OnnxNode *n, const char *stem, const Tensor *t)
{
    im->fold.elements -= type_count(&t->type);
    if (im->fold.elements >= 0)
        return node_constant_named(im, n, graph_fresh_name(im->graph, stem), t);
    node_error(im, n, "the model asks for more constants than are made for a file of this size");
    return 0;
}

ValueId node_constant(Importer *im, OnnxNode *n, const char *what, const Tensor *t)
{
    return node_constant_made(im, n, arena_printf(im->arena, "%s.%s", n->name, what), t);
}

ValueId node_scalar(Importer *im, OnnxNode *n, double number)
{
    Tensor *t = tensor_new(im->arena, F32, 0, NULL);
    tensor_set(t, 0, number);
    return node_constant(im, n, "number", t);
}

/* ---- making ----------------------------------------------------------------------------- */

/* fold - the node's value as a constant, in place of the node, where all its inputs are; else 0. */
static ValueId fold(Importer *im, NodeId id)
{
    const Tensor *t = node_fold(im->graph, id, &im->fold);
    if (!t || !is_finite(t))
        return 0;
    const char *name = value_get(im->graph, node_get(im->graph, id)->out)->name;
    graph_remove(im->graph, id);
    return graph_add_constant(im->graph, name, t);
}

ValueId node_add(Importer *im, OnnxNode *n, Op op, int n_in, const ValueId *in,
                 const OpAttrs *attrs)
{
    Graph        *g = im->graph;
    const OpInfo *info = op_info(op);
    OpAttrs       defaults = attrs_default(op);
    for (int i = 0; i < n_in; i++)
        if (!in[i] && !(i < info->n_slots && info->slots[i].optional))
            return 0;
    const char *fault = attrs ? attrs_fault(im->arena, op, attrs) : NULL;
    if (fault) {
        node_error(im, n, "%s", fault);
        return 0;
    }
    const char *name = graph_fresh_name(g, n->name);
    NodeId      id = graph_add(g, op, name, n->where, n_in, in, attrs ? attrs : &defaults, 0);
    name = node_get(g, id)->name;
    node_at(g, id)->name = n->name; /* for complaints of the shape rule */
    if (!info->shape(g, id))
        return 0;
    node_at(g, id)->name = name;
    ValueId constant = fold(im, id);
    return constant ? constant : node_get(g, id)->out;
}

/* ---- results ---------------------------------------------------------------------------- */

static OnnxValue *output(const OnnxNode *n, int i)
{
    return (size_t)i < n->proto->n_output ? n->out[i] : NULL;
}

bool node_has_output(const Importer *im, const OnnxNode *n, int i)
{
    (void)im;
    const OnnxValue *out = output(n, i);
    return out && out->is_used;
}

/* tensor_to_known - the contents of a constant of the graph; NULL for types that ONNX lacks. */
static const Known *tensor_to_known(Importer *im, const Tensor *t)
{
    if (t->type.elem == F32)
        return known_floats(im->arena, t);
    if (t->type.elem != I32)
        return NULL;
    int64_t  count = type_count(&t->type);
    int64_t *ints = arena_array(im->arena, int64_t, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        ints[i] = ((const int32_t *)t->data)[i];
    return known_ints(im->arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, t->type.rank, t->type.dims,
                      ints);
}

/* take_name - the value and its node get their names in the model, if they have none yet. */
static void take_name(Importer *im, OnnxNode *n, const OnnxValue *out, ValueId v)
{
    Graph *g = im->graph;
    if (name_find(im, value_get(g, v)->name))
        return;
    graph_rename_value(g, v, out->name);
    NodeId producer = value_get(g, v)->producer;
    if (!producer)
        return;
    /* The name of another output is that one's to give. */
    bool is_taken = strcmp(n->name, out->name) != 0 && name_find(im, n->name);
    node_at(g, producer)->name = n->is_named || is_taken ? value_get(g, v)->name : n->name;
    n->is_named |= !is_taken;
}

bool node_result(Importer *im, OnnxNode *n, int i, ValueId v)
{
    OnnxValue *out = output(n, i);
    if (!v)
        return false;
    if (!out)
        return true;
    take_name(im, n, out, v);
    const Tensor *constant = value_get(im->graph, v)->constant;
    out->value = v;
    out->known = constant ? tensor_to_known(im, constant) : NULL;
    return true;
}

bool node_result_known(Importer *im, OnnxNode *n, int i, const Known *k)
{
    (void)im;
    OnnxValue *out = output(n, i);
    if (k && out)
        out->known = k;
    return k != NULL;
}
