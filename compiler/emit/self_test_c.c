/* self_test_c.c - a test vector inside the emitted code.
 *
 * Inputs come from a formula both sides compute without rounding; the outputs expected are the
 * reference evaluator's. Long outputs are sampled at even distances. What single precision may
 * be off by grows with the root of the terms summed one after the other, and with the size of
 * the output (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., 2.8). */
#include "emit/emit.h"

#include <inttypes.h>
#include <math.h>

enum { MOST_SAMPLES = 1024 };

/* ---- inputs ------------------------------------------------------------------------------- */

static uint32_t scramble(uint32_t i)
{
    i = (i + 1u) * 2654435761u;
    i ^= i >> 15;
    i *= 2246822519u;
    return i ^ i >> 13;
}

static const char scramble_c[] = "static uint32_t scramble(uint32_t i)\n"
                                 "{\n"
                                 "    i = (i + 1u) * 2654435761u;\n"
                                 "    i ^= i >> 15;\n"
                                 "    i *= 2246822519u;\n"
                                 "    return i ^ i >> 13;\n"
                                 "}\n";

/* test_input - element `i` of the test vector of an input: numbers from -1 to 1, or any integers
 * of the type's lower seven bits. */
static double test_input(Elem e, uint32_t i)
{
    uint32_t bits = scramble(i);
    return elem_is_float(e) ? (double)(bits >> 8) * 0x1p-23 - 1.0 : (double)(bits >> 25);
}

static int64_t port_count(const Graph *g, const Port *p)
{
    return type_count(&value_get(g, p->value)->type);
}

/* evaluate - the outputs of the test vector. */
static Array *evaluate(const Graph *g, Arena *a)
{
    Array *in = arena_array(a, Array, (size_t)g->n_inputs + 1);
    Array *out = arena_array(a, Array, (size_t)g->n_outputs + 1);
    for (int i = 0; i < g->n_inputs; i++) {
        const Type *t = &value_get(g, g->inputs[i].value)->type;
        int64_t     n = type_count(t);
        in[i].type = *t;
        in[i].data = arena_array(a, double, (size_t)n);
        for (int64_t k = 0; k < n; k++)
            in[i].data[k] = test_input(t->elem, (uint32_t)k);
    }
    graph_eval(g, in, out, a, NULL);
    return out;
}

/* ---- how far results may be off ------------------------------------------------------------ */

static double terms_in_a_row(const Program *p)
{
    double terms = 32; /* what functions at the end take */
    for (int i = 0; i < p->n_steps; i++) {
        const Node *n = node_get(p->graph, p->steps[i].node);
        Type        computed = node_computed(p->graph, n);
        terms += 1 + (double)p->steps[i].macs / (double)type_count(&computed);
    }
    return terms;
}

static double tolerance(const Program *p, const Array *out)
{
    const double factor = 16, unit = 0x1p-24;
    double       most = 0;
    for (int64_t i = 0; i < type_count(&out->type); i++)
        most = fmax(most, fabs(out->data[i]));
    return elem_is_float(out->type.elem) ? factor * unit * sqrt(terms_in_a_row(p)) * most : 0;
}

/* ---- text ---------------------------------------------------------------------------------- */

static int64_t sample_step(int64_t count)
{
    return (count + MOST_SAMPLES - 1) / MOST_SAMPLES;
}

static void expected_c(Writer *w, int i, const Array *out)
{
    Arena  *a = w->text.arena;
    Text    t = text_new(a);
    int64_t n = type_count(&out->type), step = sample_step(n), n_samples = 0;
    for (int64_t k = 0; k < n; k += step, n_samples++)
        text_printf(&t, "%s%s", k ? ", " : "", c_number(a, (double)(float)out->data[k], F32));
    w_line(w, "static const float expected_%d[%" PRId64 "] = {%s};", i, n_samples, t.data);
}

static void fill_c(Writer *w, const Program *p, const Names *names, int i)
{
    const Graph *g = p->graph;
    Elem         e = value_get(g, g->inputs[i].value)->type.elem;
    const char  *size = arena_printf(w->text.arena, "%s_%s_SIZE", names->upper,
                                     name_upper(w->text.arena, names->inputs[i]));
    w_line(w, "for (uint32_t i = 0; i < %s; i++)", size);
    w->depth++;
    if (elem_is_float(e))
        w_line(w, "%s[i] = (float)(scramble(i) >> 8) * 1.1920929e-7f - 1.0f;", names->inputs[i]);
    else
        w_line(w, "%s[i] = (%s)(scramble(i) >> 25);", names->inputs[i], port_type_c(e));
    w->depth--;
}

static void compare_c(Writer *w, const Program *p, const Names *names, int i, const Array *out)
{
    Arena      *a = w->text.arena;
    int64_t     n = type_count(&out->type), step = sample_step(n);
    const char *at = step == 1 ? "i" : arena_printf(a, "i * %" PRId64, step);
    w_open(w, "for (uint32_t i = 0; i < %" PRId64 "; i++)", (n + step - 1) / step);
    w_line(w, "const float off = (float)%s[%s] - expected_%d[i];", names->outputs[i], at, i);
    const char *bound = c_number(a, (double)(float)tolerance(p, out), F32);
    w_line(w, "if (!(off <= %s && off >= -%s))", bound, bound);
    w_line(w, "    return %d;", i + 1);
    w_close(w, "");
}

static void buffers_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const Graph *g = p->graph;
    for (int i = 0; i < g->n_inputs + g->n_outputs; i++) {
        bool        is_input = i < g->n_inputs;
        const Port *port = is_input ? &g->inputs[i] : &g->outputs[i - g->n_inputs];
        const char *name = is_input ? names->inputs[i] : names->outputs[i - g->n_inputs];
        w_line(w, "static %s %s[%" PRId64 "];", port_type_c(value_get(g, port->value)->type.elem),
               name, port_count(g, port));
    }
    if (o->arena_by_caller)
        w_line(w, "static union { float f32[%" PRId64 "]; } arena;", arena_size(p) / 4 + 1);
}

void self_test_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const Graph *g = p->graph;
    Arena       *a = arena_new();
    Array       *out = evaluate(g, a);
    Text         args = text_new(a);
    text_add(&args, o->arena_by_caller ? "&arena" : "");
    for (int i = 0; i < g->n_inputs; i++)
        text_printf(&args, "%s%s", args.len ? ", " : "", names->inputs[i]);
    for (int i = 0; i < g->n_outputs; i++)
        text_printf(&args, "%s%s", args.len ? ", " : "", names->outputs[i]);
    w_blank(w);
    w_raw(w, scramble_c, sizeof scramble_c - 1);
    w_blank(w);
    w_open(w, "int %s_self_test(void)", names->lower);
    buffers_c(w, p, o, names);
    for (int i = 0; i < g->n_outputs; i++)
        expected_c(w, i, &out[i]);
    for (int i = 0; i < g->n_inputs; i++)
        fill_c(w, p, names, i);
    w_line(w, "%s_infer%s(%s);", names->lower, o->arena_by_caller ? "_in" : "", args.data);
    for (int i = 0; i < g->n_outputs; i++)
        compare_c(w, p, names, i, &out[i]);
    w_line(w, "return 0;");
    w_close(w, "");
    arena_free(a);
}
