/* header_c.c - the .h file. */
#include "emit/emit.h"

#include <inttypes.h>

static void port_macros(Writer *w, const Program *p, const Names *names)
{
    const Graph *g = p->graph;
    for (int i = 0; i < g->n_inputs + g->n_outputs; i++) {
        bool        is_input = i < g->n_inputs;
        const Port *port = is_input ? &g->inputs[i] : &g->outputs[i - g->n_inputs];
        const char *name = is_input ? names->inputs[i] : names->outputs[i - g->n_inputs];
        w_line(w, "#define %s_%s_SIZE %" PRId64 " /* %s: %s */", names->upper,
               name_upper(w->text.arena, name), type_count(&value_get(g, port->value)->type),
               is_input ? "input" : "output", describe_port(g, port, w->text.arena));
    }
}

static void load_weights(Writer *w, const EmitOptions *o, const Names *names)
{
    if (o->weights != WEIGHTS_FILE)
        return;
    const char *file = text_printable(w->text.arena, emit_basename(o->stem));
    w_comment(
        w, arena_printf(w->text.arena,
                        "Call it first, with the whole contents of %s.weights.bin, %s_WEIGHT_BYTES "
                        "long; they must stay where they are. 0: done; 1: another length; 2: the "
                        "address is no multiple of 4; 3: not the weights of this model.",
                        file, names->upper));
    w_line(w, "int %s_load_weights(const void *blob, size_t bytes);", names->lower);
    w_blank(w);
}

static void init(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    Text t = text_new(w->text.arena);
    bool packs = packs_bytes(p->packs) > 0;
    if (!packs && !o->threads)
        return;
    if (packs)
        text_printf(&t,
                    "Lay the weights out as the kernels read them, in %s_PACKED_BYTES of static "
                    "memory. Call it before calls that run at the same time; where nobody has, the "
                    "first call of infer does that part itself. ",
                    names->upper);
    if (o->threads)
        text_printf(&t, "Start %d threads. ", o->threads);
    text_printf(&t, "0%s%s.",
                packs && o->weights == WEIGHTS_FILE ? "; -1: the weights are not loaded" : "",
                o->threads ? "; or an errno value" : "");
    w_comment(w, t.data);
    w_line(w, "int %s_init(void);", names->lower);
    w_blank(w);
}

static void infer(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const char *params = infer_params(p, o, names, w->text.arena);
    w_comment(w,
              "Inputs, then outputs, row-major; pointers need the alignment of their elements, and "
              "outputs must not overlap inputs.");
    if (o->arena_by_caller) {
        w_comment(
            w, arena_printf(w->text.arena,
                            "`arena` is %s_ARENA_BYTES of memory, best aligned to 64 bytes; its "
                            "contents do not matter. Reentrant: calls with arenas of their own may "
                            "run at the same time.",
                            names->upper));
        w_line(w, "void %s_infer_in(%s);", names->lower, params);
    } else {
        w_line(w, "void %s_infer(%s);", names->lower, params);
    }
    w_blank(w);
}

static void extras(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    if (o->threads > 0) {
        w_comment(w,
                  "Run on `n` threads from now on, the caller's included. 0, or an errno value.");
        w_line(w, "int %s_set_threads(int n);", names->lower);
        w_blank(w);
    }
    if (o->self_test) {
        w_comment(w, "0 when every output of a built-in test vector matches.");
        w_line(w, "int %s_self_test(void);", names->lower);
        w_blank(w);
    }
    if (o->profile) {
        w_comment(w, "The time of each step, added up over calls.");
        w_line(w, "#define %s_STEPS %d", names->upper, p->n_steps);
        w_line(w, "extern kiln_step %s_steps[];", names->lower);
        w_blank(w);
    }
}

void header_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    Arena *a = w->text.arena;
    w_comment(w, arena_printf(a, "%s - made by kiln from model '%s': see %s.c.", names->lower,
                              text_printable(a, p->graph->name),
                              text_printable(a, emit_basename(o->stem))));
    w_line(w, "#ifndef %s_H", names->upper);
    w_line(w, "#define %s_H", names->upper);
    w_blank(w);
    w_line(w, "#include <stddef.h>");
    w_line(w, "#include <stdint.h>");
    if (o->profile)
        w_line(w, "#include \"kiln.h\"");
    w_blank(w);
    w_line(w, "#define %s_ARENA_BYTES %" PRId64 " /* activations */", names->upper, arena_size(p));
    w_line(w, "#define %s_WEIGHT_BYTES %" PRId64, names->upper, weights_bytes(p, o));
    if (packs_bytes(p->packs))
        w_line(w, "#define %s_PACKED_BYTES %" PRId64 " /* weights as %s_init lays them out */",
               names->upper, packs_bytes(p->packs), names->lower);
    port_macros(w, p, names);
    w_blank(w);
    w_line(w, "#ifdef __cplusplus");
    w_line(w, "extern \"C\" {");
    w_line(w, "#endif");
    w_blank(w);
    load_weights(w, o, names);
    init(w, p, o, names);
    infer(w, p, o, names);
    extras(w, p, o, names);
    w_line(w, "#ifdef __cplusplus");
    w_line(w, "}");
    w_line(w, "#endif");
    w_line(w, "#endif");
}
