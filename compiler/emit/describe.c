/* describe.c - one line about a node, for comments in the emitted code. */
#include "emit/emit.h"

#include "ops/ops.h"

#include <inttypes.h>
#include <string.h>

const char *describe_dims(const Type *t, Arena *a)
{
    Text s = text_new(a);
    text_add(&s, "[");
    for (int i = 0; i < t->rank; i++)
        text_printf(&s, "%s%" PRId64, i ? ", " : "", t->dims[i]);
    text_add(&s, "]");
    return s.data;
}

static void add_pair(Text *s, const char *before, const int64_t v[2])
{
    text_printf(s, v[0] == v[1] ? "%s%" PRId64 : "%s%" PRId64 "x%" PRId64, before, v[0], v[1]);
}

/* add_window - kernel, strides and dilations that say something. */
static void add_window(Text *s, const Node *n, const int64_t kernel[2])
{
    text_printf(s, " %" PRId64 "x%" PRId64, kernel[0], kernel[1]);
    if (n->attrs.strides[0] != 1 || n->attrs.strides[1] != 1)
        add_pair(s, " stride ", n->attrs.strides);
    if (n->attrs.dilations[0] > 1 || n->attrs.dilations[1] > 1)
        add_pair(s, " dilation ", n->attrs.dilations);
    if (n->attrs.groups > 1)
        text_printf(s, " in %" PRId64 " groups", n->attrs.groups);
}

static void add_channels(Text *s, int64_t channels, const Type *y)
{
    text_printf(s, ", %" PRId64 " -> %" PRId64 ", %" PRId64 "x%" PRId64, channels, y->dims[1],
                y->dims[2], y->dims[3]);
}

static void add_epilogue(Text *s, const Epilogue *e)
{
    for (int i = 0; i < e->n_steps; i++)
        text_printf(s, ", %s", op_info(e->steps[i].op)->name);
}

/* add_expansion - "conv2d 1x1, 16 -> 96, 112x112, relu6 -> " */
static void add_expansion(Text *s, const Graph *g, const Node *n)
{
    text_printf(s, "%s 1x1", op_info(n->op)->name);
    add_channels(s, graph_input(g, n, 0)->type.dims[1], &n->expansion->type);
    add_epilogue(s, &n->expansion->epilogue);
    text_add(s, " -> ");
}

const char *describe_node(const Graph *g, NodeId id, Arena *a)
{
    const Node  *n = node_get(g, id);
    const Value *x = n->n_in ? graph_input(g, n, 0) : NULL,
                *w = n->n_in > 1 ? graph_input(g, n, 1) : NULL;
    const Type y = node_computed(g, n);
    Text       s = text_new(a);
    if (n->expansion)
        add_expansion(&s, g, n);
    text_add(&s, op_info(n->op)->name);
    bool is_conv = op_is_conv(n->op);
    if (is_conv && w)
        add_window(&s, n, w->type.dims + 2);
    if (n->op == OP_max_pool || n->op == OP_avg_pool)
        add_window(&s, n, n->attrs.kernel);
    if (is_conv && x)
        add_channels(&s, node_reads(g, n).dims[1], &y);
    else if (n->op == OP_linear && w)
        text_printf(&s, " %" PRId64 " -> %" PRId64, w->type.dims[1], w->type.dims[0]);
    else if (n->op == OP_matmul && x && w)
        text_printf(&s, " %s by %s", describe_dims(&x->type, a), describe_dims(&w->type, a));
    else
        text_printf(&s, ", %s", describe_dims(&y, a));
    add_epilogue(&s, &n->epilogue);
    text_add(&s, n->pooled[0] ? ", max_pool 2x2" : "");
    return s.data;
}

const char *describe_port(const Graph *g, const Port *p, Arena *a)
{
    Type t = value_get(g, p->value)->type;
    if (p->nhwc && t.rank == 4) {
        int64_t channels = t.dims[1];
        t.dims[1] = t.dims[2];
        t.dims[2] = t.dims[3];
        t.dims[3] = channels;
    }
    return arena_printf(a, "%s, %s%s", text_printable(a, p->name), describe_dims(&t, a),
                        p->nhwc && t.rank == 4 ? ", NHWC" : "");
}

const char *emit_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
