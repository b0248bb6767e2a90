/* convert.c - kiln convert: any model as kiln JSON and safetensors. */
#include "driver/driver.h"

#include <string.h>

/* out_name_fits - whether -o names a .json file, and the model in it can name the weights beside it. */
static bool out_name_fits(const char *out)
{
    const char *slash = strrchr(out, '/'), *file = slash ? slash + 1 : out;
    size_t      n = strlen(file), suffix = strlen(".json");
    if (n <= suffix || strcmp(file + n - suffix, ".json") != 0) {
        fprintf(stderr,
                "kiln: error: -o '%s': the output is a .json file, with a .safetensors file beside "
                "it\n",
                out);
        return false;
    }
    if (path_has_controls(file) || !utf8_is_valid(file)) {
        fprintf(stderr, "kiln: error: -o: the name of a model file is UTF-8 without control "
                        "characters\n");
        return false;
    }
    return true;
}

/* shapes_fit - whether the model is one that compiles as far as shapes tell. A copy is looked at, since
 * what depends on shapes must stay open in the file: padding "same" under another --shape. */
static bool shapes_fit(Compilation *c, const Options *o)
{
    Graph  *as_read = c->graph;
    Options shapes = *o;
    shapes.passes = (PassOptions){.only = "infer-shapes"};
    c->graph = graph_tidy(as_read);
    bool ok = model_passes(c, &shapes);
    c->graph = as_read;
    return ok;
}

static void describe_result(const Graph *g, const char *out)
{
    int64_t bytes = 0;
    int     n = 0;
    for (ValueId v = 1; v < g->n_values; v++) {
        const Type *type = &value_get(g, v)->type;
        if (!value_get(g, v)->constant)
            continue;
        bytes += type_count(type) * (int64_t)elem_bytes(type->elem);
        n++;
    }
    fprintf(stderr, "%s: nodes: %u, constants: %d of %lld bytes\n", out, g->n_nodes - 1, n,
            (long long)bytes);
}

int command_convert(Compilation *c, const Options *o)
{
    if (!out_name_fits(o->out))
        return EXIT_USAGE;
    if (!model_read(c, o) || !shapes_fit(c, o))
        return diag_status(c->diag);
    signals_hold(true);
    bool ok = graph_write(c->graph, o->out);
    signals_hold(false);
    if (ok && o->verbose)
        describe_result(c->graph, o->out);
    return diag_status(c->diag);
}
