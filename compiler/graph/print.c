/* print.c - a graph as text (--emit graph) and as a drawing (--emit dot). */
#include "graph/graph.h"
#include "ops/ops.h"

#include <inttypes.h>
#include <string.h>

/* ---- attributes ------------------------------------------------------------------------- */

static void print_ints(const int64_t *v, int n, Text *out)
{
    text_add(out, "[");
    for (int i = 0; i < n; i++)
        text_printf(out, "%s%" PRId64, i ? ", " : "", v[i]);
    text_add(out, "]");
}

static void print_padding(const OpAttrs *attrs, const int64_t *padding, Text *out)
{
    if (attrs->pad_rule == PAD_EXPLICIT)
        print_ints(padding, 4, out);
    else
        text_add(out, attrs->pad_rule == PAD_SAME ? "same" : "valid");
}

static void print_attr(const AttrSpec *s, const OpAttrs *attrs, Text *out)
{
    const char *at = (const char *)attrs + s->offset;
    text_printf(out, "%s = ", s->name);
    switch (s->kind) {
    case ATTR_INT: text_printf(out, "%" PRId64, *(const int64_t *)at); break;
    case ATTR_INTS: print_ints((const int64_t *)at, s->count, out); break;
    case ATTR_FLOAT: text_number(out, *(const double *)at, false); break;
    case ATTR_BOOL:
        if (s->names)
            text_add(out, s->names[*(const bool *)at]);
        else
            text_add(out, *(const bool *)at ? "true" : "false");
        break;
    case ATTR_LIST: print_ints(((const IntList *)at)->v, ((const IntList *)at)->n, out); break;
    case ATTR_PADDING: print_padding(attrs, (const int64_t *)at, out); break;
    case ATTR_ENUM: text_add(out, s->names[*(const int *)at]); break;
    }
}

void attrs_print(Op op, const OpAttrs *attrs, Text *out)
{
    const OpInfo *info = op_info(op);
    bool          any = false;
    for (int i = 0; i < info->n_attrs; i++) {
        if (attr_is_default(&info->attrs[i], attrs))
            continue;
        text_add(out, any ? ", " : " {");
        print_attr(&info->attrs[i], attrs, out);
        any = true;
    }
    if (any)
        text_add(out, "}");
}

/* ---- names ------------------------------------------------------------------------------ */

static bool is_simple(const char *name)
{
    static const char others[] = "_.-/#$:+";
    for (const char *s = name; *s; s++) {
        bool alnum =
            (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
        if (!alnum && !strchr(others, *s))
            return false;
    }
    return *name;
}

/* print_name - quoted where it could be taken for something else. A name cut for its length gets
 * the number of its value, so that it stays apart from others that begin alike. */
static void print_name(const char *name, ValueId id, Text *out)
{
    char  *shown = text_printable(out->arena, name);
    size_t len = strlen(shown);
    bool   is_cut = len >= 3 && strcmp(shown + len - 3, "...") == 0;
    text_printf(out, is_simple(shown) && !is_cut ? "%s" : "\"%s\"", shown);
    if (is_cut)
        text_printf(out, "~%u", (unsigned)id);
}

static void print_value(const Graph *g, ValueId v, Text *out)
{
    if (!v) {
        text_add(out, "_");
        return;
    }
    const Value *value = value_get(g, v);
    text_add(out, value->constant ? "@" : "%");
    print_name(value->name, v, out);
}

/* ---- as text ---------------------------------------------------------------------------- */

static void print_type(const Graph *g, ValueId v, Text *out)
{
    text_printf(out, " : %s", type_text(out->arena, &value_get(g, v)->type));
}

/* print_port_name - what the caller calls it, where the value has another name. */
static void print_port_name(const Graph *g, const Port *p, Text *out)
{
    if (p->name && strcmp(p->name, value_get(g, p->value)->name) != 0) {
        text_add(out, " as ");
        print_name(p->name, p->value, out);
    }
    if (p->nhwc)
        text_add(out, " nhwc");
}

/* print_algorithm - how a convolution's sums are made, where it is not the plain way. */
static void print_algorithm(const Node *n, Text *out)
{
    if (n->algorithm != DIRECT)
        text_printf(out, " by %s", algorithm_name(n->algorithm));
    if (n->algorithm == WINOGRAD)
        text_printf(out, " %dx%d", n->winograd, n->winograd);
}

static void print_epilogue(const Graph *g, const Node *n, const Epilogue *e, Text *out)
{
    for (int i = 0; i < e->n_steps; i++) {
        const EpilogueStep *s = &e->steps[i];
        text_printf(out, "%s %s", i ? "," : " then", op_info(s->op)->name);
        if (s->operand >= 0) {
            text_add(out, "(");
            print_value(g, n->in[s->operand], out);
            text_add(out, s->swapped ? ", acc)" : ")");
        }
        attrs_print(s->op, &s->attrs, out);
    }
}

static void print_pooling(const Node *n, Text *out)
{
    if (n->pooled[0])
        text_printf(out, "%s max_pool 2x2", n->epilogue.n_steps ? "," : " then");
}

/* print_expansion - what the node reads first, as the node it was. */
static void print_expansion(const Graph *g, const Node *n, Text *out)
{
    const Expansion *e = n->expansion;
    text_printf(out, "%s(", op_info(n->op)->name);
    print_value(g, n->in[0], out);
    for (int i = 0; i < 2 && n->in[e->weight + i]; i++) {
        text_add(out, ", ");
        print_value(g, n->in[e->weight + i], out);
    }
    text_add(out, ")");
    print_epilogue(g, n, &e->epilogue, out);
    text_printf(out, " : %s", type_text(out->arena, &e->type));
}

static void print_inputs(const Graph *g, const Node *n, Text *out)
{
    int count = n->n_own;
    while (count > 0 && !n->in[count - 1])
        count--;
    text_add(out, "(");
    for (int i = 0; i < count; i++) {
        text_add(out, i ? ", " : "");
        if (i == 0 && n->expansion)
            print_expansion(g, n, out);
        else
            print_value(g, n->in[i], out);
    }
    text_add(out, ")");
}

static void print_node(const Graph *g, const Node *n, Text *out)
{
    text_add(out, "    ");
    print_value(g, n->out, out);
    text_printf(out, " = %s", op_info(n->op)->name);
    print_inputs(g, n, out);
    attrs_print(n->op, &n->attrs, out);
    print_algorithm(n, out);
    print_epilogue(g, n, &n->epilogue, out);
    print_pooling(n, out);
    print_type(g, n->out, out);
    if (n->scratch) {
        text_add(out, " scratch ");
        print_value(g, n->scratch, out);
        print_type(g, n->scratch, out);
    }
    const Value *value = value_get(g, n->out);
    if (value->base) {
        text_add(out, " in ");
        print_value(g, value->base, out);
        text_printf(out, " + %" PRId64, value->base_offset);
    }
    text_add(out, "\n");
}

/* print_contents - the elements of a small constant, or the one they all equal. */
static void print_contents(const Tensor *t, Text *out)
{
    enum { MOST_SHOWN = 8 };
    int64_t count = type_count(&t->type), same = 1;
    double  first = tensor_get(t, 0);
    while (same < count && tensor_get(t, same) == first)
        same++;
    if (same == count) {
        text_add(out, count == 1 ? " = " : " = splat ");
        text_number(out, first, true);
    } else if (count <= MOST_SHOWN) {
        for (int64_t i = 0; i < count; i++) {
            text_add(out, i ? ", " : " = [");
            text_number(out, tensor_get(t, i), true);
        }
        text_add(out, "]");
    }
}

void graph_print(const Graph *g, Text *out)
{
    text_add(out, "graph @");
    print_name(g->name, 0, out);
    text_add(out, "\n");
    for (int i = 0; i < g->n_inputs; i++) {
        text_add(out, "    input  ");
        print_value(g, g->inputs[i].value, out);
        print_type(g, g->inputs[i].value, out);
        print_port_name(g, &g->inputs[i], out);
        text_add(out, "\n");
    }
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        print_node(g, node_get(g, n), out);
    for (int i = 0; i < g->n_outputs; i++) {
        text_add(out, "    output ");
        print_value(g, g->outputs[i].value, out);
        print_port_name(g, &g->outputs[i], out);
        text_add(out, "\n");
    }
    for (ValueId v = 1; v < g->n_values; v++) {
        const Value *value = value_get(g, v);
        if (!value->constant || (!value->n_users && !value->is_output))
            continue;
        text_add(out, "    const  ");
        print_value(g, v, out);
        print_type(g, v, out);
        print_contents(value->constant, out);
        text_add(out, "\n");
    }
}

/* ---- as a drawing ----------------------------------------------------------------------- */

/* dot_text - inside a quoted string of the dot language; "\n" starts a line there. */
static void dot_text(const char *s, Text *out)
{
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            text_add(out, "\\");
        text_add_bytes(out, s, 1);
    }
}

static void dot_node(const Graph *g, const Node *n, Text *out)
{
    Text label = text_new(out->arena);
    if (n->expansion) {
        text_printf(&label, "%s 1x1", op_info(n->op)->name);
        print_epilogue(g, n, &n->expansion->epilogue, &label);
        text_add(&label, ", ");
    }
    text_add(&label, op_info(n->op)->name);
    attrs_print(n->op, &n->attrs, &label);
    print_algorithm(n, &label);
    print_epilogue(g, n, &n->epilogue, &label);
    print_pooling(n, &label);
    text_printf(out, "    v%u [shape=box, label=\"", (unsigned)n->out);
    dot_text(text_printable(out->arena, value_get(g, n->out)->name), out);
    text_add(out, "\\n");
    dot_text(label.data, out);
    text_add(out, "\"];\n");
    for (int i = 0; i < n->n_in; i++) {
        const Value *in = graph_input(g, n, i);
        if (in && !in->constant)
            text_printf(out, "    v%u -> v%u [label=\"%s\"];\n", (unsigned)n->in[i],
                        (unsigned)n->out, type_text(out->arena, &in->type));
    }
}

void graph_print_dot(const Graph *g, Text *out)
{
    text_add(out, "digraph \"");
    dot_text(text_printable(out->arena, g->name), out);
    text_add(out, "\" {\n    node [fontname=\"sans-serif\"];\n");
    for (int i = 0; i < g->n_inputs; i++) {
        text_printf(out, "    v%u [shape=ellipse, label=\"", (unsigned)g->inputs[i].value);
        dot_text(text_printable(out->arena, g->inputs[i].name), out);
        text_add(out, "\"];\n");
    }
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        dot_node(g, node_get(g, n), out);
    for (int i = 0; i < g->n_outputs; i++) {
        text_printf(out, "    o%d [shape=ellipse, label=\"", i);
        dot_text(text_printable(out->arena, g->outputs[i].name), out);
        text_printf(out, "\"];\n    v%u -> o%d;\n", (unsigned)g->outputs[i].value, i);
    }
    text_add(out, "}\n");
}
