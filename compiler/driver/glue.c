/* glue.c - the table that tells the runtime's main about a model, as C. */
#include "driver/driver.h"

#include <string.h>

/* c_string - `s` as a C string literal. Octal escapes have a fixed length, so what follows is safe. */
static const char *c_string(Arena *a, const char *s)
{
    Text t = text_new(a);
    text_add(&t, "\"");
    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;
        if (ch < 0x20 || ch > 0x7e || strchr("\"\\?", ch))
            text_printf(&t, "\\%03o", (unsigned)ch);
        else
            text_add_bytes(&t, s, 1);
    }
    text_add(&t, "\"");
    return t.data;
}

static const char *elem_constant(Elem e)
{
    switch (npy_elem(e)) {
    case KILN_I8: return "KILN_I8";
    case KILN_U8: return "KILN_U8";
    case KILN_I32: return "KILN_I32";
    default: return "KILN_F32";
    }
}

static void add_ports(const Graph *g, Text *t, const char *what, const Port *ports, int n)
{
    for (int i = 0; i < n; i++) {
        Type type = port_type(g, &ports[i]);
        text_printf(t, "static const int64_t %s_%d_dims[] = {", what, i);
        for (int k = 0; k < type.rank; k++)
            text_printf(t, "%lld, ", (long long)type.dims[k]);
        text_add(t, "1};\n"); /* the 1 is past the rank: C has no empty array */
    }
    text_printf(t, "static const kiln_port %s[] = {\n", what);
    for (int i = 0; i < n; i++) {
        Type type = port_type(g, &ports[i]);
        text_printf(t, "    {%s, %s, %s, %s, %d, %s_%d_dims, %lld},\n",
                    c_string(t->arena, ports[i].name),
                    c_string(t->arena, text_printable(t->arena, ports[i].name)),
                    c_string(t->arena, port_file(t->arena, &ports[i])), elem_constant(type.elem),
                    type.rank, what, i, (long long)type_count(&type));
    }
    text_printf(t, "    {\"\", \"\", \"\", KILN_F32, 0, 0, 0},\n};\n\n");
}

/* add_run - the call of the emitted function, its arguments taken from two arrays. */
static void add_run(const Graph *g, Text *t, const EmitOptions *e, const char *name)
{
    const char *comma = "";
    if (e->arena_by_caller)
        text_add(t, "static void *arena;\n\n");
    text_printf(t,
                "static void run(const void *const *in, void *const *out)\n{\n"
                "    (void)in;\n    %s_%s(",
                name, e->arena_by_caller ? "infer_in" : "infer");
    if (e->arena_by_caller) {
        text_add(t, "arena");
        comma = ", ";
    }
    for (int i = 0; i < g->n_inputs; i++, comma = ", ")
        text_printf(t, "%sin[%d]", comma, i);
    for (int i = 0; i < g->n_outputs; i++, comma = ", ")
        text_printf(t, "%sout[%d]", comma, i);
    text_add(t, ");\n}\n\n");
}

static int64_t count_macs(const Program *p)
{
    int64_t macs = 0;
    for (int i = 0; i < p->n_steps; i++)
        macs += p->steps[i].macs;
    return macs;
}

Text glue_text(Compilation *c, const EmitOptions *e)
{
    const Graph *g = c->graph;
    Names        names = names_choose(c->program, e->prefix, c->arena);
    Text         t = text_new(c->arena);
    const char  *name = names.lower, *macro = names.upper;
    text_printf(&t,
                "/* What the program knows of its model. */\n#include \"program.h\"\n"
                "#include \"%s.h\"\n\n",
                e->stem);
    add_ports(g, &t, "inputs", g->inputs, g->n_inputs);
    add_ports(g, &t, "outputs", g->outputs, g->n_outputs);
    add_run(g, &t, e, name);
    text_printf(&t,
                "const kiln_model kiln_program_model = {\n"
                "    .name = %s,\n    .how = %s,\n"
                "    .n_inputs = %d,\n    .n_outputs = %d,\n"
                "    .inputs = inputs,\n    .outputs = outputs,\n"
                "    .arena_bytes = %s_ARENA_BYTES,\n    .weight_bytes = %s_WEIGHT_BYTES,\n"
                "    .macs = %lldu,\n    .run = run,\n",
                c_string(t.arena, text_printable(t.arena, g->name)), c_string(t.arena, e->command),
                g->n_inputs, g->n_outputs, macro, macro, (long long)count_macs(c->program));
    if (e->arena_by_caller)
        text_add(&t, "    .arena = &arena,\n");
    if (e->threads || packs_bytes(c->program->packs))
        text_printf(&t, "    .init = %s_init,\n", name);
    if (packs_bytes(c->program->packs))
        text_printf(&t, "    .packed_bytes = %s_PACKED_BYTES,\n", macro);
    if (e->threads)
        text_printf(&t, "    .set_threads = %s_set_threads,\n", name);
    if (e->weights == WEIGHTS_FILE)
        text_printf(&t, "    .load_weights = %s_load_weights,\n", name);
    if (e->self_test)
        text_printf(&t, "    .self_test = %s_self_test,\n", name);
    if (e->profile)
        text_printf(&t, "    .steps = %s_steps,\n    .n_steps = %d,\n", name, c->program->n_steps);
    text_add(&t, "};\n");
    return t;
}
