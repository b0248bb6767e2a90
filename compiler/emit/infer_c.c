/* infer_c.c - the arena, the infer function and what else callers call. */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

/* The least that a system with virtual memory hands out at once. */
#define PAGE_BYTES 4096

int64_t arena_size(const Program *p)
{
    int64_t bytes = p->graph->plan ? p->graph->plan->bytes : 0;
    return (bytes + 3) / 4 * 4; /* the size of a union with floats in it */
}

/* ---- where values are --------------------------------------------------------------------- */

static const Elem arena_elems[] = {F32, BF16, I32, I8, U8};

static Elem stored_elem(const Graph *g, ValueId v)
{
    Elem e = value_get(g, v)->type.elem;
    return elem_is_float(e) && e != BF16 ? F32 : e;
}

/* port_of - the parameter that holds `home`; NULL: it lives in the arena. */
static const char *port_of(const Program *p, const Names *names, ValueId home)
{
    const Graph *g = p->graph;
    for (int i = 0; i < g->n_inputs; i++)
        if (g->inputs[i].value == home)
            return names->inputs[i];
    for (int i = 0; i < g->n_outputs; i++)
        if (g->outputs[i].value == home)
            return names->outputs[i];
    return NULL;
}

/* pointer - C text for the address of a value. */
static const char *pointer(const Program *p, const Names *names, ValueId v, Arena *a)
{
    const Graph *g = p->graph;
    int64_t      at;
    ValueId      home = value_home(g, v, &at);
    Elem         e = stored_elem(g, v);
    const char  *base = port_of(p, names, home);
    if (base) {
        base = arena_printf(a, "%s%s", names->via, base);
    } else {
        base = arena_printf(a, "arena_%s", elem_name(e));
        at += value_get(g, home)->offset / (int64_t)elem_bytes(e);
    }
    return at ? arena_printf(a, "%s + %" PRId64, base, at) : base;
}

/* uses_arena - whether a step's argument of this element type lives in the arena. */
static bool uses_arena(const Program *p, const Names *names, Elem e)
{
    for (int i = 0; i < p->n_steps; i++) {
        const Step *s = &p->steps[i];
        for (int j = 0; j < s->n_args; j++) {
            int64_t at;
            if (stored_elem(p->graph, s->args[j]) == e &&
                !port_of(p, names, value_home(p->graph, s->args[j], &at)))
                return true;
        }
    }
    return false;
}

const char *port_type_c(Elem e)
{
    return c_type(NULL, vtype(e, 1));
}

/* mixes_types - whether floats and wider integers than bytes take turns in the arena. Compilers hold
 * that pointers to the two never meet, and could move an access from one step to another. */
static bool mixes_types(const Program *p, const Names *names)
{
    return uses_arena(p, names, F32) && (uses_arena(p, names, I32) || uses_arena(p, names, BF16));
}

static void keep_order_c(Writer *w)
{
    w_comment(w, "Floats and integers take turns in the arena: no access moves past this.");
    w_line(w, "#if defined(__GNUC__)");
    w_line(w, "#define KEEP_ORDER __asm__ volatile(\"\" ::: \"memory\")");
    w_line(w, "#else");
    w_line(w, "#define KEEP_ORDER (void)0");
    w_line(w, "#endif");
    w_blank(w);
}

/* ---- the function ------------------------------------------------------------------------- */

const char *infer_params(const Program *p, const EmitOptions *o, const Names *names, Arena *a)
{
    const Graph *g = p->graph;
    Text         t = text_new(a);
    text_add(&t, o->arena_by_caller ? "void *arena" : "");
    for (int i = 0; i < g->n_inputs; i++)
        text_printf(&t, "%sconst %s *%s", t.len ? ", " : "",
                    port_type_c(stored_elem(g, g->inputs[i].value)), names->inputs[i]);
    for (int i = 0; i < g->n_outputs; i++)
        text_printf(&t, "%s%s *%s", t.len ? ", " : "",
                    port_type_c(stored_elem(g, g->outputs[i].value)), names->outputs[i]);
    return t.len ? t.data : "void";
}

static void arena_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    if (o->arena_by_caller || !arena_size(p))
        return;
    w_line(w, "static union {");
    w->depth++;
    w_line(w, "unsigned char bytes[%s_ARENA_BYTES];", names->upper);
    for (size_t i = 0; i < COUNT_OF(arena_elems); i++)
        if (arena_elems[i] == F32 || uses_arena(p, names, arena_elems[i]))
            w_line(w, "%s %s[%s_ARENA_BYTES / %zu];", port_type_c(arena_elems[i]),
                   elem_name(arena_elems[i]), names->upper, elem_bytes(arena_elems[i]));
    w->depth--;
    w_line(w, "} %s%s_arena;", o->target->lanes > 1 ? "__attribute__((aligned(64))) " : "",
           names->lower);
    w_blank(w);
}

void infer_locals(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    for (size_t i = 0; i < COUNT_OF(arena_elems); i++) {
        const char *name = elem_name(arena_elems[i]), *type = port_type_c(arena_elems[i]);
        if (!uses_arena(p, names, arena_elems[i]))
            continue;
        if (o->arena_by_caller)
            w_line(w, "%s *const arena_%s = (%s *)%sarena;", type, name, type, names->via);
        else
            w_line(w, "%s *const arena_%s = %s_arena.%s;", type, name, names->lower, name);
    }
    if (o->arena_by_caller && !arena_size(p))
        w_line(w, "(void)%sarena;", names->via);
    weights_locals(w, p, o, names, false);
}

/* step_args - inputs, constants, outputs, as kernel_c puts them. */
static const char *step_args(const Program *p, const EmitOptions *o, const Names *names,
                             const Step *s, Arena *a)
{
    Text t = text_new(a);
    int  n_inputs = p->texts[s->kernel].n_inputs;
    text_add(&t, "");
    for (int i = 0; i < n_inputs; i++)
        text_printf(&t, "%s%s", t.len ? ", " : "", pointer(p, names, s->args[i], a));
    for (int i = 0; i < s->n_weights; i++)
        text_printf(&t, "%s%s", t.len ? ", " : "", weights_pointer(p, o, s->weights[i], a));
    for (int i = n_inputs; i < s->n_args; i++)
        text_printf(&t, "%s%s", t.len ? ", " : "", pointer(p, names, s->args[i], a));
    return t.data;
}

void infer_step(Writer *w, const Program *p, const EmitOptions *o, const Names *names, int i)
{
    Arena      *a = arena_new();
    const Step *s = &p->steps[i];
    const Node *n = node_get(p->graph, s->node);
    w_comment(w, arena_printf(a, "%s: %s", text_printable(a, n->name),
                              describe_dims(&value_get(p->graph, n->out)->type, a)));
    w_line(w, "%s(%s%s);", p->functions[s->kernel]->name, step_args(p, o, names, s, a),
           function_args(p, s->kernel, a));
    if (names->keep_order)
        w_line(w, "KEEP_ORDER;");
    arena_free(a);
}

const char *output_source(const Program *p, const EmitOptions *o, const Names *names, int i,
                          Arena *a)
{
    ValueId      v = p->graph->outputs[i].value;
    const Weight constant = {false, p->output_weights[i]};
    const char  *from =
        constant.offset >= 0 ? weights_pointer(p, o, constant, a) : pointer(p, names, v, a);
    const char *own = arena_printf(a, "%s%s", names->via, names->outputs[i]);
    return strcmp(from, own) ? from : NULL;
}

bool infer_copies(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const Graph *g = p->graph;
    bool         any = false;
    for (int i = 0; i < g->n_outputs; i++) {
        const char *from = output_source(p, o, names, i, w->text.arena);
        if (!from)
            continue;
        any = true;
        w_line(w, "memcpy(%s%s, %s, %s_%s_SIZE * sizeof(%s));", names->via, names->outputs[i], from,
               names->upper, name_upper(w->text.arena, names->outputs[i]),
               port_type_c(stored_elem(g, g->outputs[i].value)));
    }
    return any;
}

static void profile_c(Writer *w, const Program *p, const Names *names)
{
    w_line(w, "kiln_step %s_steps[%s_STEPS + 1] = {", names->lower, names->upper);
    w->depth++;
    for (int i = 0; i < p->n_steps; i++)
        w_line(w, "{\"%s\", \"%s\", %" PRId64 "u, 0, 0},",
               text_printable(w->text.arena, node_get(p->graph, p->steps[i].node)->name),
               p->functions[p->steps[i].kernel]->name, p->steps[i].macs);
    w_line(w, "{0, 0, 0, 0, 0},");
    w->depth--;
    w_line(w, "};");
    w_blank(w);
}

/* is_read - whether a step or an output needs what the caller passes as `input`. */
static bool is_read(const Program *p, ValueId input)
{
    const Graph *g = p->graph;
    int64_t      at;
    for (int i = 0; i < p->n_steps; i++)
        for (int j = 0; j < p->steps[i].n_args; j++)
            if (value_home(g, p->steps[i].args[j], &at) == input)
                return true;
    for (int i = 0; i < g->n_outputs; i++)
        if (value_home(g, g->outputs[i].value, &at) == input)
            return true;
    return false;
}

void infer_start(Writer *w, const Program *p, const Names *names)
{
    if (!packs_bytes(p->packs))
        return;
    w_line(w, "if (!%s_is_packed)", names->lower);
    w_line(w, "    %s_pack();", names->lower);
}

/* arena_pages_c - the system gives memory page by page when it is first written: before the first run,
 * rather than in it. Threads imply a system that does. */
static void arena_pages_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    if (!o->threads || o->arena_by_caller || !arena_size(p))
        return;
    w_line(w, "/* Every page is written once, so that the first run waits for none. */");
    w_line(w, "for (size_t i = 0; i < %s_ARENA_BYTES; i += %d)", names->upper, PAGE_BYTES);
    w_line(w, "    ((volatile unsigned char *)%s_arena.bytes)[i] = 0;", names->lower);
}

/* init_c - what is done once, where there is anything. */
static void init_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    bool packs = packs_bytes(p->packs) > 0;
    if (!packs && !o->threads)
        return;
    w_open(w, "int %s_init(void)", names->lower);
    if (packs && weights_held(p, o) == HELD_FILE) {
        w_line(w, "if (!%s_weights)", names->lower);
        w_line(w, "    return -1;");
    }
    if (packs)
        w_line(w, "%s_pack();", names->lower);
    arena_pages_c(w, p, o, names);
    if (o->threads)
        w_line(w, "return kiln_pool_start(%d);", o->threads);
    else
        w_line(w, "return 0;");
    w_close(w, "");
    w_blank(w);
}

/* one_thread_c - the function that calls the kernels one after the other. */
static void one_thread_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    w_open(w, "void %s_infer%s(%s)", names->lower, o->arena_by_caller ? "_in" : "",
           infer_params(p, o, names, w->text.arena));
    infer_start(w, p, names);
    infer_locals(w, p, o, names);
    for (int i = 0; i < p->graph->n_inputs; i++)
        if (!is_read(p, p->graph->inputs[i].value))
            w_line(w, "(void)%s;", names->inputs[i]);
    if (o->profile)
        w_line(w, "uint64_t begin_ns = kiln_clock();");
    for (int i = 0; i < p->n_steps; i++) {
        infer_step(w, p, o, names, i);
        if (o->profile)
            w_line(w, "begin_ns = kiln_lap(&%s_steps[%d], begin_ns);", names->lower, i);
    }
    infer_copies(w, p, o, names);
    w_close(w, "");
}

void infer_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    Names n = *names;
    n.keep_order = mixes_types(p, names);
    arena_c(w, p, o, names);
    if (n.keep_order)
        keep_order_c(w);
    if (o->profile)
        profile_c(w, p, names);
    packs_c(w, p, o, names);
    init_c(w, p, o, names);
    if (o->threads)
        infer_threads_c(w, p, o, &n);
    else
        one_thread_c(w, p, o, &n);
    if (o->self_test)
        self_test_c(w, p, o, names);
}
