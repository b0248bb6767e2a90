/* model.c - read, run the passes, compile, emit: what the commands share. */
#include "driver/driver.h"
#include "onnx/onnx.h"
#include "ops/ops.h"

#include <assert.h>
#include <string.h>

/* Each exact search of a pass ends after this long on a slow machine; see PassContext. */
#define SEARCH_SECONDS 3.0

Graph *model_read(Compilation *c, const Options *o)
{
    ReadOptions options = {.batch = o->batch, .shapes = o->shapes, .n_shapes = o->n_shapes};
    Bytes       file;
    c->graph = NULL;
    if (!file_map(c->diag, o->model, &file))
        return NULL;
    if (onnx_is_model(file))
        c->graph = onnx_read(c->arena, c->diag, o->model, &options);
    else
        c->graph = graph_read(c->arena, c->diag, o->model, &options);
    return c->graph;
}

/* is_kernel_pass - --disable-pass and --print-after name passes of both levels. */
static bool is_kernel_pass(const char *name)
{
    for (int i = 0; i < n_kernel_passes; i++)
        if (!strcmp(kernel_passes[i].name, name))
            return true;
    return false;
}

/* show_printed - what --print-after asked for, to standard error as compilers do. */
static void show_printed(Compilation *c)
{
    if (c->printed.len)
        fwrite(c->printed.data, 1, c->printed.len, stderr);
    c->printed = text_new(c->arena);
}

Elem store_elem(const Options *o)
{
    static const Elem stores[] = {F32, F16, BF16};
    return stores[o->store];
}

const char *rounded_name(const Options *o)
{
    return o->store ? elem_name(store_elem(o)) : elem_name(BF16);
}

static Pack pack_of(const Options *o)
{
    if (!o->pack)
        return PACK_EITHER;
    return strcmp(o->pack, "start") ? PACK_BUILD : PACK_START;
}

PassContext model_context(Compilation *c, const Options *o)
{
    return (PassContext){.target = o->target,
                         .seconds = SEARCH_SECONDS,
                         .exact = o->fp == FP_EXACT,
                         .threads = o->threads ? (int)o->threads : 1,
                         .fast = o->fp == FP_FAST,
                         .weights_inline = o->weights == WEIGHTS_INLINE,
                         .pack = pack_of(o),
                         .store = store_elem(o),
                         .loss = &c->loss,
                         .schedules = c->schedules};
}

bool model_passes(Compilation *c, const Options *o)
{
    PassContext context = model_context(c, o);
    PassOptions p = {.only = o->passes.only, .last = o->passes.last, .printed = &c->printed};
    c->printed = text_new(c->arena);
    if (o->passes.print_after && !is_kernel_pass(o->passes.print_after))
        p.print_after = o->passes.print_after;
    for (int i = 0; i < o->passes.n_disabled; i++)
        if (!is_kernel_pass(o->passes.disabled[i]))
            p.disabled[p.n_disabled++] = o->passes.disabled[i];
    bool ok = passes_run(c->graph, &context, &p);
    show_printed(c);
    c->packs_at_start = ok && packs_at_start(c->graph, &context);
    return ok;
}

void model_emit_options(Compilation *c, const Options *o, const char *stem, EmitOptions *e)
{
    const char **disabled = arena_array(c->arena, const char *, COUNT_OF(o->passes.disabled));
    *e = (EmitOptions){
        .target = o->target,
        .fp = o->fp,
        .weights = o->weights,
        .packs_at_start = c->packs_at_start,
        .weights_cold = graph_constant_bytes(c->graph) > o->target->l3_bytes,
        .arena_by_caller = o->arena_by_caller,
        .threads = (int)o->threads,
        .self_test = o->self_test,
        .profile = o->profile,
        .prefix = name_prefix(c->arena, o->name ? o->name : c->graph->name),
        .command = o->how,
        .stem = stem,
        .schedules = c->schedules,
        .printed = &c->printed,
        .disabled = disabled,
    };
    const char *after = o->passes.print_after;
    if (after && (is_kernel_pass(after) || !strcmp(after, "all")))
        e->print_after = after;
    for (int i = 0; i < o->passes.n_disabled; i++)
        if (is_kernel_pass(o->passes.disabled[i]))
            disabled[e->n_disabled++] = o->passes.disabled[i];
}

/* check_algorithms - nodes that are not computed as the schedule file says. */
static void check_algorithms(Compilation *c, const Options *o)
{
    Span where;
    bool chosen = passes_include("choose-algorithm", &o->passes);
    for (NodeId id = graph_first(c->graph); id; id = graph_next(c->graph, id)) {
        const Node *n = node_get(c->graph, id);
        int         tile, asked = schedule_algorithm(c->schedules, n->name, &tile, &where);
        if (asked >= 0 && (asked != (int)n->algorithm || tile != n->winograd))
            diag_error(c->diag, where, "%s '%s': %s", op_info(n->op)->name,
                       text_printable(c->arena, n->name),
                       chosen ? "the layouts around it do not allow this algorithm"
                              : "the pass choose-algorithm is not to run");
    }
}

bool model_program(Compilation *c, const Options *o)
{
    EmitOptions e;
    assert(c->graph->plan);
    model_emit_options(c, o, "", &e);
    c->program = program_compile(c->graph, &e);
    show_printed(c);
    if (c->program && c->schedules) {
        schedule_check_used(c->schedules, c->diag);
        check_algorithms(c, o);
    }
    return c->program && !diag_errors(c->diag);
}

bool model_graph(Compilation *c, const Options *o)
{
    if (o->schedule && !(c->schedules = schedule_read(c->arena, c->diag, o->schedule)))
        return false;
    return model_read(c, o) && model_passes(c, o);
}

bool model_compile(Compilation *c, const Options *o)
{
    return model_graph(c, o) && model_program(c, o);
}

bool model_emit(Compilation *c, const Options *o, const char *path)
{
    EmitOptions e;
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    model_emit_options(c, o, arena_strndup(c->arena, file, strlen(file) - strlen(".c")), &e);
    signals_hold(true);
    bool ok = emit_model(c->program, &e, path, c->diag);
    signals_hold(false);
    return ok;
}

int64_t model_macs(const Graph *g, const Node *n)
{
    const Type out = node_computed(g, n), *x = &graph_input(g, n, 0)->type, *weight;
    int64_t    expansion = n->expansion ? type_count(&n->expansion->type) * x->dims[1] : 0;
    switch (n->op) {
    case OP_conv2d:
    case OP_linear:
        weight = &graph_input(g, n, 1)->type;
        return type_count(&out) * (type_count(weight) / weight->dims[0]) + expansion;
    case OP_conv_transpose: /* each input meets the whole kernel, also where padding cuts it off */
        weight = &graph_input(g, n, 1)->type;
        return type_count(x) * (type_count(weight) / weight->dims[0]);
    case OP_matmul: return type_count(&out) * x->dims[x->rank - 1];
    default: return 0;
    }
}
