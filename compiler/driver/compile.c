/* compile.c - kiln compile. */
#include "driver/driver.h"

#include <math.h>
#include <string.h>

/* write_text - to the file of -o, or to standard output. */
static int write_text(Compilation *c, const Options *o, const Text *text)
{
    OutFile *f =
        file_create(c->arena, c->diag, o->out && strcmp(o->out, "-") != 0 ? o->out : "/dev/stdout");
    if (!f)
        return EXIT_MACHINE;
    signals_hold(true);
    file_write(f, text->data, text->len);
    bool ok = file_commit(f);
    signals_hold(false);
    return ok ? EXIT_DONE : EXIT_MACHINE;
}

static int compile_graph(Compilation *c, const Options *o)
{
    Text text = text_new(c->arena);
    if (!model_graph(c, o))
        return diag_status(c->diag);
    if (!strcmp(o->emit, "dot"))
        graph_print_dot(c->graph, &text);
    else
        graph_print(c->graph, &text);
    return write_text(c, o, &text);
}

static int compile_loops(Compilation *c, const Options *o)
{
    Text text = text_new(c->arena);
    if (!model_compile(c, o))
        return diag_status(c->diag);
    program_print(c->program, &text);
    return write_text(c, o, &text);
}

/* describe_loss - what --store and --fp fast cost the weights; verify says what they cost the outputs. */
static void describe_loss(const Compilation *c, const Options *o)
{
    const StoreLoss *loss = &c->loss;
    if (loss->n_weights)
        fprintf(stderr, "%lld weights kept in %s, off by %.2g of their size (root mean square)\n",
                (long long)loss->n_weights, rounded_name(o),
                loss->squares > 0 ? sqrt(loss->error / loss->squares) : 0.0);
}

static void describe_result(Compilation *c, const char *path)
{
    Text text = text_new(c->arena);
    plan_print(c->graph, c->graph->plan, &text);
    fprintf(stderr, "%s%s: %d steps, %d kernels, %lld bytes of weights, %lld bytes of arena\n",
            text.data ? text.data : "", path, c->program->n_steps, c->program->n_kernels,
            (long long)blob_bytes(c->program->blob), (long long)c->graph->plan->bytes);
    if (packs_bytes(c->program->packs))
        fprintf(stderr, "%s: %lld bytes of weights laid out at start\n", path,
                (long long)packs_bytes(c->program->packs));
}

static int compile_c(Compilation *c, const Options *o)
{
    size_t n = o->out ? strlen(o->out) : 0;
    if (o->out && (n < 3 || strcmp(o->out + n - 2, ".c") != 0)) {
        fprintf(stderr, "kiln: error: -o '%s': the output is a .c file, with a .h file beside it\n",
                o->out);
        return EXIT_USAGE;
    }
    if (!model_compile(c, o))
        return diag_status(c->diag);
    const char *name = name_prefix(c->arena, o->name ? o->name : c->graph->name);
    const char *path = o->out ? o->out : arena_printf(c->arena, "%s.c", name);
    if (!model_emit(c, o, path))
        return diag_status(c->diag);
    if (o->verbose) {
        describe_result(c, path);
        describe_loss(c, o);
    }
    return EXIT_DONE;
}

int command_compile(Compilation *c, const Options *o)
{
    if (!strcmp(o->emit, "c"))
        return compile_c(c, o);
    return strcmp(o->emit, "loops") ? compile_graph(c, o) : compile_loops(c, o);
}
