/* write.c - Graph -> the JSON model format, one node a line, and a weights file beside it.
 *
 * docs/format.md describes the format. The graph is one as readers make it: no passes ran yet, and
 * constants are named apart. */
#include "graph/graph.h"
#include "ops/ops.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* ---- what the format cannot hold ----------------------------------------------------------- */

static void check_name(const Graph *g, Span where, const char *name)
{
    if (!utf8_is_valid(name))
        diag_error(g->diag, where, "the name '%s' is not UTF-8, as JSON has to be",
                   text_printable(g->arena, name));
}

static void check_names(const Graph *g)
{
    check_name(g, (Span){0}, g->name);
    for (int i = 0; i < g->n_inputs; i++)
        check_name(g, g->inputs[i].where, g->inputs[i].name);
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        const Node *n = node_get(g, id);
        const char *value = value_get(g, n->out)->name;
        check_name(g, n->where, n->name);
        if (strcmp(value, n->name) != 0)
            check_name(g, n->where, value);
    }
}

static void check_constant(const Graph *g, const Value *v)
{
    if (v->constant->type.elem != F32)
        return;
    const float *data = v->constant->data;
    int64_t      n = type_count(&v->type);
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(data[i]))
            continue;
        diag_error(g->diag, (Span){0},
                   "constant '%s': element %" PRId64 " is %s, which the format "
                   "does not have",
                   text_printable(g->arena, v->name), i, isnan(data[i]) ? "NaN" : "infinite");
        return;
    }
}

/* ---- parts of lines ------------------------------------------------------------------------ */

/* write_int - within what JSON readers keep exact. Only the bounds of a slice, which are cut to the
 * dimension, may lie further out. */
static void write_int(int64_t v, Text *t)
{
    static const int64_t most = (int64_t)1 << 53;
    text_printf(t, "%" PRId64, v > most ? most : v < -most ? -most : v);
}

static void write_ints(const int64_t *v, int n, Text *t)
{
    text_add(t, "[");
    for (int i = 0; i < n; i++) {
        text_add(t, i ? ", " : "");
        write_int(v[i], t);
    }
    text_add(t, "]");
}

static void write_attr(const AttrSpec *s, const OpAttrs *attrs, Text *t)
{
    static const char *const rules[] = {[PAD_SAME] = "same", [PAD_VALID] = "valid"};
    const void              *at = (const char *)attrs + s->offset;
    text_json_string(t, s->name);
    text_add(t, ": ");
    switch (s->kind) {
    case ATTR_INT: write_int(*(const int64_t *)at, t); break;
    case ATTR_INTS: write_ints(at, s->count, t); break;
    case ATTR_FLOAT: text_number(t, *(const double *)at, false); break;
    case ATTR_BOOL:
        if (s->names)
            text_json_string(t, s->names[*(const bool *)at]);
        else
            text_add(t, *(const bool *)at ? "true" : "false");
        break;
    case ATTR_LIST: write_ints(((const IntList *)at)->v, ((const IntList *)at)->n, t); break;
    case ATTR_PADDING:
        if (attrs->pad_rule == PAD_EXPLICIT)
            write_ints(at, 4, t);
        else
            text_json_string(t, rules[attrs->pad_rule]);
        break;
    case ATTR_ENUM: text_json_string(t, s->names[*(const int *)at]); break;
    }
}

static void write_attrs(const Node *n, Text *t)
{
    const OpInfo *op = op_info(n->op);
    bool          any = false;
    for (int i = 0; i < op->n_attrs; i++) {
        if (attr_is_default(&op->attrs[i], &n->attrs))
            continue;
        text_add(t, any ? ", " : ", \"attrs\": {");
        write_attr(&op->attrs[i], &n->attrs, t);
        any = true;
    }
    text_add(t, any ? "}" : "");
}

/* slot_of - which of the op's inputs entry `i` belongs to. */
static const Slot *slot_of(const OpInfo *op, int i)
{
    return &op->slots[i < op->n_slots ? i : op->n_slots - 1];
}

/* is_param - whether entry `i` of the node stands under "params". */
static bool is_param(const Graph *g, const Node *n, int i)
{
    const Slot  *slot = slot_of(op_info(n->op), i);
    const Value *v = graph_input(g, n, i);
    return v && (slot->is_param || (slot->either && v->constant));
}

/* write_inputs - names of values; a constant in their midst is an object. */
static void write_inputs(const Graph *g, const Node *n, Text *t)
{
    const char *before = "";
    text_add(t, ", \"inputs\": [");
    for (int i = 0; i < n->n_in; i++) {
        const Value *v = graph_input(g, n, i);
        if (!v || is_param(g, n, i))
            continue;
        text_add(t, before);
        text_add(t, v->constant ? "{\"tensor\": " : "");
        text_json_string(t, v->name);
        text_add(t, v->constant ? "}" : "");
        before = ", ";
    }
    text_add(t, "]");
}

static void write_params(const Graph *g, const Node *n, Text *t)
{
    bool any = false;
    for (int i = 0; i < n->n_in; i++) {
        if (!is_param(g, n, i))
            continue;
        text_add(t, any ? ", " : ", \"params\": {");
        text_json_string(t, slot_of(op_info(n->op), i)->name);
        text_add(t, ": ");
        text_json_string(t, graph_input(g, n, i)->name);
        any = true;
    }
    text_add(t, any ? "}" : "");
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void write_node(const Graph *g, const Node *n, Text *t)
{
    const char *value = value_get(g, n->out)->name;
    text_add(t, "    {\"name\": ");
    text_json_string(t, n->name);
    text_printf(t, ", \"op\": \"%s\"", op_info(n->op)->name);
    write_inputs(g, n, t);
    write_params(g, n, t);
    write_attrs(n, t);
    if (strcmp(value, n->name) != 0) {
        text_add(t, ", \"outputs\": [");
        text_json_string(t, value);
        text_add(t, "]");
    }
    text_add(t, "}");
}

static void write_input(const Graph *g, const Port *p, Text *t)
{
    const Type *type = &value_get(g, p->value)->type;
    int64_t     dims[MAX_RANK];
    for (int i = 0; i < type->rank; i++)
        dims[i] = type->dims[p->nhwc && i > 0 ? 1 + i % 3 : i];
    text_add(t, "    {\"name\": ");
    text_json_string(t, p->name);
    text_add(t, ", \"shape\": ");
    write_ints(dims, type->rank, t);
    text_printf(t, ", \"type\": \"%s\"%s}", elem_name(type->elem),
                p->nhwc ? ", \"layout\": \"NHWC\"" : "");
}

static void write_model(const Graph *g, const char *weights, Text *t)
{
    text_add(t, "{\n  \"format\": \"kiln-graph\", \"version\": 1,\n  \"name\": ");
    text_json_string(t, g->name);
    if (weights) {
        text_add(t, ",\n  \"weights\": ");
        text_json_string(t, weights);
    }
    text_add(t, ",\n  \"inputs\": [\n");
    for (int i = 0; i < g->n_inputs; i++) {
        write_input(g, &g->inputs[i], t);
        text_add(t, i + 1 < g->n_inputs ? ",\n" : "\n");
    }
    text_add(t, "  ],\n  \"nodes\": [\n");
    for (NodeId id = graph_first(g); id; id = graph_next(g, id)) {
        assert(!node_get(g, id)->epilogue.n_steps);
        write_node(g, node_get(g, id), t);
        text_add(t, graph_next(g, id) ? ",\n" : "\n");
    }
    text_add(t, "  ],\n  \"outputs\": [");
    for (int i = 0; i < g->n_outputs; i++) {
        text_add(t, i ? ", " : "");
        text_json_string(t, g->outputs[i].name);
    }
    text_add(t, "]\n}\n");
}

/* ---- files ----------------------------------------------------------------------------------- */

/* collect_constants - the constants that nodes read, in the order of values. */
static size_t collect_constants(const Graph *g, NamedTensor *out)
{
    size_t n = 0;
    for (ValueId id = 1; id < g->n_values; id++) {
        const Value *v = value_get(g, id);
        if (!v->constant || !v->n_users)
            continue;
        check_constant(g, v);
        out[n++] = (NamedTensor){v->name, v->constant};
    }
    return n;
}

/* weights_name - the file beside `path`, called after it. */
static const char *weights_name(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/'), *file = slash ? slash + 1 : path;
    size_t      n = strlen(file), suffix = strlen(".json");
    if (n > suffix && !strcmp(file + n - suffix, ".json"))
        n -= suffix;
    return arena_printf(a, "%.*s.safetensors", (int)n, file);
}

bool graph_write(const Graph *g, const char *path)
{
    enum { WEIGHTS, MODEL, N_FILES }; /* the model stands when both stand */
    Arena       *a = arena_new();
    OutFile     *files[N_FILES] = {NULL};
    Text         text = text_new(a);
    int          errors = diag_errors(g->diag);
    NamedTensor *tensors = arena_array(a, NamedTensor, g->n_values);
    size_t       n = collect_constants(g, tensors);
    const char  *weights = weights_name(a, path);
    check_names(g);
    write_model(g, n ? weights : NULL, &text);
    bool ok = diag_errors(g->diag) == errors;
    if (ok && n)
        ok = (files[WEIGHTS] = file_create(a, g->diag, path_beside(a, path, weights))) != NULL;
    if (ok)
        ok = (files[MODEL] = file_create(a, g->diag, path)) != NULL;
    if (ok) {
        if (n)
            safetensors_write(files[WEIGHTS], tensors, n);
        file_write(files[MODEL], text.data, text.len);
        ok = file_commit_all(files, N_FILES);
    } else {
        file_abandon(files[WEIGHTS]);
    }
    arena_free(a);
    return ok;
}
