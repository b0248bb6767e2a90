/* read.c - the JSON model format -> Graph. docs/format.md describes the format.
 *
 * The model is read in file order: inputs, then the names of all nodes, then each node whole, with
 * references to values that may come later in the file; then nodes are put in an order in which
 * they can run. Errors are reported and reading goes on, so that one run shows them all. */
#include "graph/read.h"

#include <string.h>

/* ---- the model's head ------------------------------------------------------------------- */

static void read_head(Reader *r)
{
    static const char *const keys[] = {"format", "version", "name",    "weights",
                                       "inputs", "nodes",   "outputs", NULL};
    const Json              *root = r->root;
    int64_t                  version;
    read_keys(r, root, "a model", keys);
    const Json *format = read_member(r, root, "format", JSON_STRING, true);
    if (format && strcmp(format->string, "kiln-graph"))
        read_error(r, format, "the format must be 'kiln-graph', got %s",
                   read_value_text(r->arena, format));
    const Json *number = read_member(r, root, "version", JSON_NUMBER, true);
    if (number && (!json_int(number, &version) || version != 1))
        read_error(r, number, "this kiln reads version 1 of the format, got %s",
                   read_value_text(r->arena, number));
    const Json *name = json_get(root, "name");
    const char *given = name ? read_name(r, name, "the model's name") : NULL;
    r->graph->name = given ? given : path_stem(r->arena, r->source->path);
}

/* ---- inputs ----------------------------------------------------------------------------- */

/* read_layout - whether the input is NHWC outside. */
static bool read_layout(Reader *r, const Json *input, int rank)
{
    const Json *j = json_get(input, "layout");
    if (!j)
        return false;
    bool nhwc = j->kind == JSON_STRING && !strcmp(j->string, "NHWC");
    if (!nhwc && !(j->kind == JSON_STRING && !strcmp(j->string, "NCHW")))
        return read_error(r, j, "the layout must be 'NCHW' or 'NHWC', got %s",
                          read_value_text(r->arena, j));
    if (nhwc && rank != 4)
        return read_error(r, j, "an NHWC input has 4 dimensions, got %d", rank);
    return nhwc;
}

static Elem read_input_type(Reader *r, const Json *input)
{
    const Json *j = json_get(input, "type");
    Elem        elem = F32;
    if (!j)
        return F32;
    if (j->kind == JSON_STRING && elem_from_name(j->string, &elem) &&
        (elem == F32 || elem == I8 || elem == U8 || elem == I32))
        return elem;
    read_error(r, j, "an input's type must be f32, i8, u8 or i32, got %s",
               read_value_text(r->arena, j));
    return ELEM_POISON;
}

static void read_input(Reader *r, const Json *j, ItemId item)
{
    static const char *const keys[] = {"name", "shape", "type", "layout", NULL};
    Port                    *port = &r->graph->inputs[item];
    int64_t                  dims[MAX_RANK];
    int                      rank = 0;
    *port = (Port){.name = "", .where = read_span(r, j)};
    if (!read_keys(r, j, "an input", keys))
        return;
    const Json *name = read_member(r, j, "name", JSON_STRING, true);
    const char *given = name ? read_name(r, name, "an input's name") : NULL;
    if (given) {
        port->name = given;
        names_add(r, given, name, item);
    }
    Type        type = {0};
    Elem        elem = read_input_type(r, j);
    const Json *shape = read_member(r, j, "shape", JSON_ARRAY, true);
    if (shape && read_shape(r, shape, 1, &rank, dims) &&
        input_shape_fix(r->diag, read_span(r, shape), r->options, port->name, &rank, dims)) {
        port->nhwc = read_layout(r, j, rank);
        if (port->nhwc) {
            int64_t c = dims[3];
            dims[3] = dims[2];
            dims[2] = dims[1];
            dims[1] = c;
        }
        type = type_plain(elem, rank, dims);
    }
    port->value = graph_add_value(r->graph, port->name, type);
    value_at(r->graph, port->value)->is_input = true;
}

static void read_inputs(Reader *r)
{
    const Json *inputs = read_member(r, r->root, "inputs", JSON_ARRAY, true);
    if (!inputs)
        return;
    if (!inputs->n_items)
        read_error(r, inputs, "a model needs at least one input");
    r->n_inputs = (uint32_t)inputs->n_items;
    r->graph->inputs = arena_array(r->arena, Port, r->n_inputs);
    r->graph->n_inputs = (int)r->n_inputs;
    for (uint32_t i = 0; i < r->n_inputs; i++)
        read_input(r, &inputs->items[i], i);
    input_shapes_check(r->graph, read_span(r, inputs), r->options);
}

/* ---- names of nodes ----------------------------------------------------------------------- */

/* value_name - the one string under "outputs", which renames the node's value; NULL: none. */
static const Json *value_name(Reader *r, const Json *node)
{
    const Json *outputs = read_member(r, node, "outputs", JSON_ARRAY, false);
    if (!outputs)
        return NULL;
    if (outputs->n_items != 1) {
        read_error(r, outputs, "every op has one output, got %zu names", outputs->n_items);
        return NULL;
    }
    return read_name(r, &outputs->items[0], "an output's name") ? &outputs->items[0] : NULL;
}

static void declare_node(Reader *r, Decl *decl, ItemId item)
{
    static const char *const keys[] = {"name", "op", "inputs", "params", "attrs", "outputs", NULL};
    decl->name = decl->value_name = "";
    if (!read_keys(r, decl->json, "a node", keys))
        return;
    const Json *name = read_member(r, decl->json, "name", JSON_STRING, true);
    const char *given = name ? read_name(r, name, "a node's name") : NULL;
    const Json *value = value_name(r, decl->json);
    bool        renamed = value && !(given && !strcmp(value->string, given));
    if (given)
        names_add(r, given, name, renamed ? NO_ITEM : item);
    if (renamed)
        names_add(r, value->string, value, item);
    decl->name = given ? given : "";
    decl->value_name = renamed ? value->string : decl->name;
}

/* count_constants - those among the node's inputs, and its params. */
static uint64_t count_constants(const Json *node)
{
    const Json *inputs = json_get(node, "inputs"), *params = json_get(node, "params");
    uint64_t    n = params ? params->n_items : 0;
    for (size_t i = 0; inputs && i < inputs->n_items; i++)
        n += inputs->items[i].kind == JSON_OBJECT;
    return n;
}

static void declare_nodes(Reader *r)
{
    const Json *nodes = read_member(r, r->root, "nodes", JSON_ARRAY, true);
    uint64_t    n_params = 0;
    if (!nodes)
        return;
    r->n_decls = (uint32_t)nodes->n_items;
    r->decls = arena_array(r->arena, Decl, r->n_decls);
    for (uint32_t i = 0; i < r->n_decls; i++) {
        Decl *decl = &r->decls[i];
        decl->json = &nodes->items[i];
        decl->first_param = n_params;
        n_params += count_constants(decl->json);
        declare_node(r, decl, r->n_inputs + i);
    }
}

/* ---- outputs and order ------------------------------------------------------------------ */

static ValueId item_value(const Reader *r, ItemId item)
{
    if (item < r->n_inputs)
        return r->graph->inputs[item].value;
    NodeId node = r->decls[item - r->n_inputs].node;
    return node ? node_get(r->graph, node)->out : 0; /* 0: its op is unknown */
}

static void read_outputs(Reader *r)
{
    const Json *outputs = read_member(r, r->root, "outputs", JSON_ARRAY, true);
    Graph      *g = r->graph;
    if (!outputs)
        return;
    if (!outputs->n_items)
        read_error(r, outputs, "a model needs at least one output");
    const Json **first = arena_array(r->arena, const Json *, r->n_inputs + r->n_decls);
    g->outputs = arena_array(r->arena, Port, outputs->n_items);
    for (size_t i = 0; i < outputs->n_items; i++) {
        const Json *j = &outputs->items[i];
        ItemId      item = names_resolve(r, j, "an output");
        if (item == NO_ITEM)
            continue;
        if (first[item]) {
            read_error(r, j, "'%s' is an output already", text_printable(r->arena, j->string));
            diag_note(r->diag, read_span(r, first[item]), "by this entry");
            continue;
        }
        first[item] = j;
        ValueId value = item_value(r, item);
        if (!value)
            continue;
        value_at(g, value)->is_output = true;
        g->outputs[g->n_outputs++] =
            (Port){.value = value, .name = value_get(g, value)->name, .where = read_span(r, j)};
    }
}

/* connect - now that every value exists, give the nodes their inputs. */
static void connect(Reader *r)
{
    for (uint32_t i = 0; i < r->n_decls; i++)
        for (size_t k = 0; k < r->decls[i].n_refs; k++)
            if (r->decls[i].refs[k] != NO_ITEM)
                graph_set_input(r->graph, r->decls[i].node, (int)k,
                                item_value(r, r->decls[i].refs[k]));
}

static void put_in_order(Reader *r, const uint32_t *order)
{
    bool moves = false;
    for (uint32_t i = 0; i < r->n_decls; i++) {
        moves = moves || order[i] != i; /* from here on the file's order is not the order */
        if (moves)
            graph_move_before(r->graph, r->decls[order[i]].node, 0);
    }
}

static void read_model(Reader *r)
{
    read_head(r);
    read_weights(r);
    read_inputs(r);
    declare_nodes(r);
    names_sort(r);
    for (uint32_t i = 0; i < r->n_decls; i++)
        read_node(r, &r->decls[i]);
    read_outputs(r);
    const uint32_t *order = read_order(r);
    if (diag_errors(r->diag) > r->errors_before)
        return;
    connect(r);
    put_in_order(r, order);
}

Graph *graph_read(Arena *a, Diag *d, const char *path, const ReadOptions *options)
{
    Bytes file;
    if (!file_map(d, path, &file))
        return NULL;
    Source *source = arena_struct(a, Source);
    *source = (Source){arena_strdup(a, path), (const char *)file.data, file.len};
    const Json *root = json_parse(a, d, source);
    if (!root)
        return NULL;
    Reader r = {.arena = a,
                .diag = d,
                .graph = graph_new(a, d),
                .source = source,
                .root = root,
                .options = options,
                .errors_before = diag_errors(d)};
    if (root->kind != JSON_OBJECT)
        read_error(&r, root, "a model must be an object, got %s", read_value_text(a, root));
    else
        read_model(&r);
    return diag_errors(d) == r.errors_before ? graph_tidy(r.graph) : NULL;
}
