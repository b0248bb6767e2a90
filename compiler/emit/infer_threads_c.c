/* infer_threads_c.c - the infer function of code for several threads.
 *
 * Each step is a job of the runtime's pool, shared by all threads or, where it is small or its
 * parts would wait for each other, done by the caller's. The end of a job is where threads meet. */
#include "emit/emit.h"

#include <inttypes.h>

static bool is_shared(const Program *p, int step)
{
    return p->texts[p->steps[step].kernel].is_shared;
}

/* call_c - what a job is told: the step, and the caller's pointers. */
static void call_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const Graph *g = p->graph;
    w_line(w, "typedef struct {");
    w->depth++;
    w_line(w, "int step;");
    if (o->arena_by_caller)
        w_line(w, "void *arena;");
    for (int i = 0; i < g->n_inputs; i++)
        w_line(w, "const %s *%s;", port_type_c(value_get(g, g->inputs[i].value)->type.elem),
               names->inputs[i]);
    for (int i = 0; i < g->n_outputs; i++)
        w_line(w, "%s *%s;", port_type_c(value_get(g, g->outputs[i].value)->type.elem),
               names->outputs[i]);
    w->depth--;
    w_line(w, "} %s_call;", names->lower);
    w_blank(w);
}

/* step_function_c - one function for all steps, so that a job needs no more than their number. */
static void step_function_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    Names inside = *names; /* the caller's pointers come with the call */
    bool  any = false;
    inside.via = "call->";
    for (int i = 0; i < p->n_steps; i++)
        any |= is_shared(p, i);
    w_open(w, "static void %s_step(void *context, int part, int n_parts)", names->lower);
    w_line(w, "const %s_call *const call = context;", names->lower);
    if (any) { /* more would need scratch memory that is not there */
        w_line(w, "if (part >= %d)", o->threads);
        w_line(w, "    return;");
        w_line(w, "n_parts = n_parts < %d ? n_parts : %d;", o->threads, o->threads);
    }
    infer_locals(w, p, o, &inside);
    if (!any) {
        w_line(w, "(void)part;");
        w_line(w, "(void)n_parts;");
    }
    w_open(w, "switch (call->step)");
    for (int i = 0; i < p->n_steps; i++) {
        w->depth--;
        w_line(w, "case %d:", i);
        w->depth++;
        infer_step(w, p, o, &inside, i);
        w_line(w, "break;");
    }
    w->depth--;
    w_line(w, "default:");
    w->depth++;
    infer_copies(w, p, o, &inside);
    w_line(w, "break;");
    w_close(w, "");
    w_close(w, "");
    w_blank(w);
}

static void shared_table_c(Writer *w, const Program *p)
{
    Text t = text_new(w->text.arena);
    for (int i = 0; i < p->n_steps; i++)
        text_printf(&t, "%d, ", is_shared(p, i));
    w_line(w, "static const unsigned char is_shared[] = {%s0};", t.len ? t.data : "");
}

static void set_threads_c(Writer *w, const Names *names)
{
    w_open(w, "int %s_set_threads(int n)", names->lower);
    w_line(w, "return kiln_pool_start(n);");
    w_close(w, "");
    w_blank(w);
}

void infer_threads_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const Graph *g = p->graph;
    bool         copies = false;
    Text         call = text_new(w->text.arena);
    text_add(&call, o->arena_by_caller ? "0, arena" : "0");
    for (int i = 0; i < g->n_inputs; i++)
        text_printf(&call, ", %s", names->inputs[i]);
    for (int i = 0; i < g->n_outputs; i++)
        text_printf(&call, ", %s", names->outputs[i]);
    for (int i = 0; i < g->n_outputs; i++)
        copies |= output_source(p, o, names, i, w->text.arena) != NULL;
    set_threads_c(w, names);
    call_c(w, p, o, names);
    step_function_c(w, p, o, names);
    w_open(w, "void %s_infer%s(%s)", names->lower, o->arena_by_caller ? "_in" : "",
           infer_params(p, o, names, w->text.arena));
    shared_table_c(w, p);
    infer_start(w, p, names);
    w_line(w, "%s_call call = {%s};", names->lower, call.data);
    if (o->profile)
        w_line(w, "uint64_t begin_ns = kiln_clock();");
    /* The step behind the last one copies outputs. */
    w_open(w, "for (; call.step < %d; call.step++)", p->n_steps + (copies ? 1 : 0));
    w_open(w, "if (is_shared[call.step])");
    w_line(w, "kiln_pool_run(%s_step, &call);", names->lower);
    w_close(w, " else {");
    w->depth++;
    w_line(w, "%s_step(&call, 0, 1);", names->lower);
    w_close(w, "");
    if (o->profile)
        w_line(w, "begin_ns = kiln_lap(&%s_steps[call.step], begin_ns);", names->lower);
    w_close(w, "");
    w_close(w, "");
}
