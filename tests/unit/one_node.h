/* one_node.h - graphs of a single node, for testing ops. */
#ifndef ONE_NODE_H
#define ONE_NODE_H

#include "check.h"

#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPERANDS 6

typedef struct OneNode {
    Arena *arena;
    Diag  *diag;
    Graph *graph;
    NodeId node;
} OneNode;

/* one_type - "i8 1 3 8 8" or, for f32, just "1 3 8 8". */
static inline Type one_type(const char *text)
{
    Type t = type_plain(F32, 0, NULL);
    char word[8] = "";
    if (sscanf(text, "%7[a-z0-9]", word) == 1 && elem_from_name(word, &t.elem))
        text += strlen(word);
    char *end;
    for (long long v = strtoll(text, &end, 10); end != text; v = strtoll(text, &end, 10)) {
        t.dims[t.rank++] = v;
        text = end;
    }
    return t;
}

/* one_fill - zeros that the op's table does not allow become 1: strides, dilations, groups. */
static inline void one_fill(Op op, OpAttrs *attrs)
{
    const OpInfo *info = op_info(op);
    for (int i = 0; i < info->n_attrs; i++) {
        const AttrSpec *s = &info->attrs[i];
        int64_t        *at = (int64_t *)((char *)attrs + s->offset);
        int             count = s->kind == ATTR_INT ? 1 : s->kind == ATTR_INTS ? s->count : 0;
        for (int j = 0; j < count; j++)
            at[j] = at[j] == 0 && s->min >= 1 ? 1 : at[j];
    }
}

/* one_constant - random contents; scales and variances are positive, numbers of integer types
 * small. */
static inline const Tensor *one_constant(Arena *a, const Slot *slot, const Type *t)
{
    Tensor *c = tensor_new(a, t->elem, t->rank, t->dims);
    bool    positive = strcmp(slot->name, "var") == 0 || strcmp(slot->name, "scale") == 0;
    for (int64_t i = 0; i < type_count(t); i++) {
        double v = (double)random_float();
        if (!elem_is_float(t->elem))
            v = (double)random_between(t->elem == U8 ? 0 : -5, 5);
        tensor_set(c, i, positive ? 0.05 + v * v : v);
    }
    return c;
}

/* one_node - `op` on inputs of these types, comma-separated ("1 3 8 8, 4 3 3 3, -" leaves the third
 * out); those of param slots are constants. Its shape rule has not been run. */
static inline OneNode one_node(Op op, const char *types, const OpAttrs *attrs)
{
    OneNode       o = {.arena = arena_new()};
    const OpInfo *info = op_info(op);
    ValueId       in[MAX_OPERANDS];
    int           n = 0;
    o.diag = diag_new(o.arena);
    o.graph = graph_new(o.arena, o.diag);
    o.graph->name = "test";
    for (char *rest = arena_strdup(o.arena, types), *one = strsep(&rest, ","); one;
         one = strsep(&rest, ",")) {
        const Slot *slot = &info->slots[n < info->n_slots ? n : info->n_slots - 1];
        char       *name = arena_printf(o.arena, "in%d", n);
        Type        t = one_type(one + strspn(one, " "));
        if (strchr(one, '-'))
            in[n++] = 0;
        else if (slot->is_param)
            in[n++] = graph_add_constant(o.graph, name, one_constant(o.arena, slot, &t));
        else
            in[n++] = graph_add_value(o.graph, name, t);
    }
    OpAttrs given = *attrs;
    one_fill(op, &given);
    o.node = graph_add(o.graph, op, "node", (Span){0}, n, in, &given, 0);
    return o;
}

static inline bool one_shape(OneNode *o)
{
    return op_info(node_get(o->graph, o->node)->op)->shape(o->graph, o->node);
}

static inline const Type *one_output(const OneNode *o)
{
    return &value_get(o->graph, node_get(o->graph, o->node)->out)->type;
}

static inline void one_free(OneNode *o)
{
    arena_free(o->arena);
}

/* one_array - the contents of input `i`: those of a constant, else `data`, else random numbers. */
static inline Array *one_array(const OneNode *o, int i, const double *data)
{
    const Node  *n = node_get(o->graph, o->node);
    const Value *v = graph_input(o->graph, n, i);
    if (!v)
        return NULL;
    int64_t count = type_count(&v->type);
    Array  *x = arena_struct(o->arena, Array);
    *x = (Array){v->type, arena_array(o->arena, double, (size_t)count)};
    for (int64_t j = 0; j < count; j++) {
        if (v->constant)
            x->data[j] = tensor_get(v->constant, j);
        else if (data)
            x->data[j] = data[j];
        else if (v->type.elem == F32)
            x->data[j] = (double)random_float();
        else
            x->data[j] = (double)random_between(v->type.elem == U8 ? 0 : -100, 100);
    }
    return x;
}

/* one_eval - the node's output with its epilogue; in[i] as one_array made them. */
static inline Array one_eval(const OneNode *o, const Array *const in[])
{
    Array out = {*one_output(o), NULL};
    out.type = type_plain(out.type.elem, out.type.rank, out.type.dims);
    out.data = arena_array(o->arena, double, (size_t)type_count(&out.type));
    node_eval(node_get(o->graph, o->node), in, &out);
    return out;
}

/* gives - whether `op` on these inputs makes a value of this type. */
static inline bool gives(Op op, const char *in, OpAttrs attrs, const char *out)
{
    OneNode o = one_node(op, in, &attrs);
    Type    want = one_type(out);
    bool    ok = one_shape(&o) && type_same_shape(one_output(&o), &want) &&
              one_output(&o)->elem == want.elem && type_is_plain(one_output(&o)) &&
              diag_errors(o.diag) == 0;
    if (!ok) {
        printf("%s(%s) gives %s, not %s\n", op_info(op)->name, in,
               type_text(o.arena, one_output(&o)), out);
        diag_print(o.diag, stdout);
    }
    one_free(&o);
    return ok;
}

/* refuses - whether it reports one error that says `message`. */
static inline bool refuses(Op op, const char *in, OpAttrs attrs, const char *message)
{
    OneNode o = one_node(op, in, &attrs);
    char   *text = NULL;
    size_t  len;
    bool    ok = !one_shape(&o) && diag_errors(o.diag) == 1 && one_output(&o)->elem == ELEM_POISON;
    FILE   *f = open_memstream(&text, &len);
    diag_print(o.diag, f);
    fclose(f);
    ok = ok && strstr(text, message) && strstr(text, op_info(op)->name);
    if (!ok)
        printf("%s(%s) says: %s, not: %s\n", op_info(op)->name, in, text, message);
    free(text);
    one_free(&o);
    return ok;
}

/* computes - whether `op` on x = 1, 2, 3, ... gives these numbers. */
static inline bool computes(Op op, const char *types, OpAttrs attrs, const double *want)
{
    OneNode      o = one_node(op, types, &attrs);
    double       count[1000];
    const Array *in[MAX_OPERANDS] = {0};
    bool         ok = one_shape(&o);
    for (int i = 0; i < 1000; i++)
        count[i] = i + 1;
    for (int i = 0; ok && i < node_get(o.graph, o.node)->n_in; i++)
        in[i] = one_array(&o, i, count);
    if (ok) {
        Array out = one_eval(&o, in);
        for (int64_t i = 0; i < type_count(&out.type); i++) {
            bool same = fabs(out.data[i] - want[i]) < 1e-9 || out.data[i] == want[i];
            if (!same)
                printf("%s(%s): element %d is %g, not %g\n", op_info(op)->name, types, (int)i,
                       out.data[i], want[i]);
            ok &= same;
        }
    }
    one_free(&o);
    return ok;
}

#define NUMBERS(...) ((const double[]){__VA_ARGS__})

#endif
