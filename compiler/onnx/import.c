/* import.c - the walk: opset, inputs and their dimensions, initializers, nodes, outputs.
 *
 * What no output needs is not looked at: needs are marked from the last node to the first, which the
 * order of execution makes one pass. A node that cannot be imported breaks its outputs, and what reads
 * those is passed over in silence. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <string.h>

enum { LEAST_IR = 3, LEAST_OPSET = 7 };

Span place_in(Importer *im, const char *list, size_t i)
{
    return (Span){.source = im->source,
                  .pointer = arena_printf(im->arena, "/graph/%s/%zu", list, i)};
}

static const char *shown(Importer *im, const char *name)
{
    return text_printable(im->arena, name);
}

/* ---- the model's head ---------------------------------------------------------------------- */

static bool is_default_domain(const char *domain)
{
    return !*domain || !strcmp(domain, "ai.onnx");
}

static void read_opset(Importer *im)
{
    const Onnx__ModelProto *m = im->model;
    Span                    where = {.source = im->source, .pointer = "/opset_import"};
    int                     n = 0;
    for (size_t i = 0; i < m->n_opset_import; i++) {
        if (!is_default_domain(m->opset_import[i]->domain))
            continue;
        im->opset = m->opset_import[i]->version;
        n++;
    }
    if (n != 1)
        diag_error(im->diag, where,
                   "the opset of ONNX's own operators is given %d times, expected "
                   "once",
                   n);
    else if (im->opset < LEAST_OPSET)
        diag_error(im->diag, where,
                   "opset %" PRId64 " is not supported, expected %d or newer; the "
                   "version converter of ONNX raises it",
                   im->opset, LEAST_OPSET);
    else if (im->opset > ONNX_NEWEST_OPSET)
        diag_note(im->diag, where,
                  "opset %" PRId64 " is newer than %d, the newest one known; its "
                  "operators are read as those of %d",
                  im->opset, ONNX_NEWEST_OPSET, ONNX_NEWEST_OPSET);
}

/* model_name - the graph's, unless it is what exporters call every graph: then the file's. */
static const char *model_name(const Importer *im)
{
    static const char *const general[] = {"", "torch_jit", "torch-jit-export", "main_graph",
                                          "tf2onnx"};
    const char              *name = im->model->graph->name;
    for (size_t i = 0; i < COUNT_OF(general); i++)
        if (!strcmp(name, general[i]))
            return path_stem(im->arena, im->source->path);
    return arena_strdup(im->arena, name);
}

static bool read_head(Importer *im)
{
    const Onnx__ModelProto *m = im->model;
    Span                    where = {.source = im->source};
    if (!m->graph) {
        diag_error(im->diag, where, "the model has no graph");
        return false;
    }
    if (m->ir_version < LEAST_IR)
        diag_error(im->diag, (Span){.source = im->source, .pointer = "/ir_version"},
                   "IR version %" PRId64 " is not supported, expected %d or newer", m->ir_version,
                   LEAST_IR);
    read_opset(im);
    if (m->graph->n_sparse_initializer)
        diag_error(im->diag, place_in(im, "sparse_initializer", 0),
                   "sparse tensors are not supported; store them dense");
    im->graph->name = model_name(im);
    return true;
}

/* ---- initializers --------------------------------------------------------------------------- */

static void read_initializers(Importer *im)
{
    const Onnx__GraphProto *g = im->model->graph;
    for (size_t i = 0; i < g->n_initializer; i++) {
        OnnxValue *v = name_find(im, g->initializer[i]->name);
        if (!v) {
            diag_error(im->diag, place_in(im, "initializer", i), "the tensor has no name");
            continue;
        }
        if (!v->is_used || v->known || diag_full(im->diag))
            continue;
        v->known = tensor_known(im, g->initializer[i], place_in(im, "initializer", i));
        v->is_broken = !v->known;
        if (v->known && v->known->floats)
            im->fold.elements += 4 * v->known->count;
    }
}

/* ---- operators that are not supported ------------------------------------------------------------ */

/* A kind of node that cannot be imported. */
typedef struct Refusal {
    size_t first;
    int    count;
} Refusal;

static bool is_used(const Importer *im, const Onnx__NodeProto *n)
{
    for (size_t k = 0; k < n->n_output; k++) {
        const OnnxValue *v = name_find(im, n->output[k]);
        if (v && v->is_used)
            return true;
    }
    return false;
}

static const OnnxRow *row_of(const Onnx__NodeProto *n)
{
    return is_default_domain(n->domain) ? onnx_row(n->op_type) : NULL;
}

static bool same_kind(const Onnx__NodeProto *a, const Onnx__NodeProto *b)
{
    return !strcmp(a->op_type, b->op_type) && !strcmp(a->domain, b->domain);
}

/* add_refusal - count the node's kind; false: there are too many kinds to go on. */
static bool add_refusal(const Onnx__GraphProto *g, size_t i, Refusal *kinds, int *n_kinds)
{
    for (int k = 0; k < *n_kinds; k++) {
        if (!same_kind(g->node[i], g->node[kinds[k].first]))
            continue;
        kinds[k].count++;
        return true;
    }
    if (*n_kinds == DIAG_MAX_ERRORS)
        return false;
    kinds[(*n_kinds)++] = (Refusal){i, 1};
    return true;
}

static const char *why_not(Importer *im, const Onnx__NodeProto *n)
{
    for (size_t i = 0; i < im->model->n_functions; i++)
        if (!strcmp(im->model->functions[i]->name, n->op_type))
            return "a function of the model is not supported; expand functions with onnx.inliner";
    if (!is_default_domain(n->domain))
        return arena_printf(im->arena,
                            "operators of the domain '%s' are not supported; export with those of "
                            "ONNX alone, before a runtime optimizes or quantizes",
                            shown(im, n->domain));
    return arena_printf(im->arena, "the operator is not supported (opset %" PRId64 ")%s", im->opset,
                        onnx_instead(im->arena, n->op_type));
}

/* refuse - one complaint for each kind of node that no row imports. */
static void refuse(Importer *im, const char *const *names)
{
    const Onnx__GraphProto *g = im->model->graph;
    Refusal                 kinds[DIAG_MAX_ERRORS];
    int                     n_kinds = 0;
    for (size_t i = 0; i < g->n_node; i++)
        if (!row_of(g->node[i]) && is_used(im, g->node[i]) && !add_refusal(g, i, kinds, &n_kinds))
            break;
    for (int k = 0; k < n_kinds; k++) {
        size_t                 i = kinds[k].first;
        const Onnx__NodeProto *n = g->node[i];
        const char            *more = "";
        if (kinds[k].count > 1)
            more = arena_printf(im->arena, "; %d nodes in all", kinds[k].count);
        diag_error(im->diag, place_in(im, "node", i), "%s '%s': %s%s", shown(im, n->op_type),
                   shown(im, names[i]), why_not(im, n), more);
    }
}

/* ---- nodes ------------------------------------------------------------------------------------------ */

/* find_inputs - false: one of them is broken, or is not defined before the node, which is reported. */
static bool find_inputs(Importer *im, OnnxNode *n, size_t index)
{
    n->n_in = (int)n->proto->n_input;
    n->in = arena_array(im->arena, OnnxValue *, n->proto->n_input);
    for (int i = 0; i < n->n_in; i++) {
        const char *name = n->proto->input[i];
        OnnxValue  *v = *name ? name_find(im, name) : NULL;
        if (*name && !v)
            return node_error(im, n, "there is no value called '%s'%s", shown(im, name),
                              names_guess(im, name));
        if (v && v->node >= (int)index)
            return node_error(im, n, "'%s' is computed by %s, expected an order of execution",
                              shown(im, name),
                              v->node > (int)index ? "a later node" : "the node itself");
        if (v && v->is_broken)
            return false;
        n->in[i] = v;
    }
    return true;
}

static bool check_row(Importer *im, const OnnxNode *n)
{
    const OnnxRow *row = n->row;
    if (im->opset < row->since)
        return node_error(im, n, "opset %" PRId64 " does not have it; it came with opset %d",
                          im->opset, row->since);
    if (row->until && im->opset > row->until)
        return node_error(
            im, n, "known up to opset %d, the model has %" PRId64 "; export with an older one",
            row->until, im->opset);
    if (n->n_in < row->min_in || (row->max_in >= 0 && n->n_in > row->max_in))
        return node_error(im, n, "%d inputs, expected %d%s", n->n_in, row->min_in,
                          row->max_in < 0 ? " or more"
                          : row->max_in > row->min_in
                              ? arena_printf(im->arena, " to %d", row->max_in)
                              : "");
    return attrs_check(im, n);
}

/* has_results - whether the import left no output open that something needs. */
static bool has_results(Importer *im, const OnnxNode *n)
{
    for (size_t i = 0; i < n->proto->n_output; i++) {
        const OnnxValue *out = n->out[i];
        if (out && out->is_used && !out->value && !out->known)
            return node_error(im, n, "its output %zu, '%s', is not supported", i,
                              shown(im, out->name));
    }
    return true;
}

static void import_node(Importer *im, size_t index, const char *name)
{
    const Onnx__NodeProto *proto = im->model->graph->node[index];
    OnnxNode               n = {.proto = proto, .row = row_of(proto), .name = name};
    if (!is_used(im, proto))
        return;
    n.where = place_in(im, "node", index);
    n.out = arena_array(im->arena, OnnxValue *, proto->n_output);
    for (size_t i = 0; i < proto->n_output; i++)
        n.out[i] = *proto->output[i] ? name_find(im, proto->output[i]) : NULL;
    bool ok = n.row && find_inputs(im, &n, index) && check_row(im, &n) &&
              (known_fold(im, &n) || n.row->import(im, &n)) && has_results(im, &n);
    for (size_t i = 0; i < proto->n_output && !ok; i++)
        if (n.out[i])
            n.out[i]->is_broken = true;
}

/* ---- outputs ---------------------------------------------------------------------------------------- */

/* output_value - the value as one that a node makes, or an input, under the output's own name: a constant
 * and a second name for a value get an identity. */
static ValueId output_value(Importer *im, OnnxNode *n, OnnxValue *v)
{
    Graph  *g = im->graph;
    ValueId value = arg_value(im, n, 0, "the output");
    if (!value)
        return 0;
    bool has_name = !strcmp(value_get(g, value)->name, v->name);
    if (has_name && !value_get(g, value)->constant)
        return value;
    if (has_name)
        graph_rename_value(g, value, graph_fresh_name(g, v->name));
    NodeId id = graph_add(g, OP_identity, v->name, n->where, 1, &value, NULL, 0);
    return op_info(OP_identity)->shape(g, id) ? node_get(g, id)->out : 0;
}

static void read_output(Importer *im, size_t i)
{
    Onnx__NodeProto proto = {.op_type = (char[]){"output"}};
    Graph          *g = im->graph;
    const char     *name = im->model->graph->output[i]->name;
    OnnxValue      *v = name_find(im, name);
    OnnxNode        n = {
               .proto = &proto, .name = name, .where = place_in(im, "output", i), .n_in = 1, .in = &v};
    if (!v) {
        diag_error(im->diag, n.where, "there is no value called '%s'%s", shown(im, name),
                   names_guess(im, name));
        return;
    }
    if (v->is_broken)
        return;
    if (v->is_output) {
        diag_error(im->diag, n.where, "'%s' is an output already", shown(im, name));
        return;
    }
    v->is_output = true;
    ValueId value = output_value(im, &n, v);
    if (!value)
        return;
    value_at(g, value)->is_output = true;
    g->outputs[g->n_outputs++] =
        (Port){.value = value, .name = value_get(g, value)->name, .where = n.where};
}

static void read_outputs(Importer *im)
{
    size_t n = im->model->graph->n_output;
    im->graph->outputs = arena_array(im->arena, Port, n);
    if (!n)
        diag_error(im->diag, (Span){.source = im->source, .pointer = "/graph/output"},
                   "a model needs at least one output");
    for (size_t i = 0; i < n; i++)
        read_output(im, i);
}

/* ---- the walk ---------------------------------------------------------------------------------------- */

static void read_model(Importer *im)
{
    if (!read_head(im) || !names_collect(im))
        return;
    const char **names = names_of_nodes(im);
    names_mark_used(im);
    refuse(im, names);
    read_initializers(im);
    inputs_read(im);
    for (size_t i = 0; i < im->model->graph->n_node && !diag_full(im->diag); i++)
        import_node(im, i, names[i]);
    read_outputs(im);
}

Graph *onnx_read(Arena *a, Diag *d, const char *path, const ReadOptions *options)
{
    Bytes file;
    if (!file_map(d, path, &file))
        return NULL;
    int     errors_before = diag_errors(d);
    Source *source = arena_struct(a, Source);
    *source = (Source){.path = arena_strdup(a, path)};
    Importer im = {
        .arena = a, .diag = d, .graph = graph_new(a, d), .source = source, .options = options};
    im.model = onnx_load(a, d, source, file);
    im.fold = fold_budget(im.graph);
    if (im.model)
        read_model(&im);
    return diag_errors(d) == errors_before ? graph_tidy(im.graph) : NULL;
}
