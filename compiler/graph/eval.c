/* eval.c - the reference evaluator: every node in double precision, one after the other. */
#include "graph/graph.h"
#include "ops/ops.h"

#include <math.h>
#include <string.h>

/* ---- one node --------------------------------------------------------------------------- */

/* eval_step - acc = step(acc) over the whole array; `operand` broadcasts to it. */
static void eval_step(const EpilogueStep *s, const Array *operand, Array *acc)
{
    int64_t count = type_count(&acc->type);
    for (int64_t i = 0; i < count; i++) {
        double a = acc->data[i], b = 0;
        if (operand)
            b = operand->data[broadcast_index(&acc->type, &operand->type, i)];
        acc->data[i] = s->swapped ? eval_elementwise(s->op, &s->attrs, b, a)
                                  : eval_elementwise(s->op, &s->attrs, a, b);
    }
}

static void eval_epilogue(const Epilogue *e, const Array *const in[], Array *out)
{
    for (int i = 0; i < e->n_steps; i++) {
        const EpilogueStep *s = &e->steps[i];
        eval_step(s, s->operand >= 0 ? in[s->operand] : NULL, out);
    }
}

/* eval_expanded - the node on what its expansion makes of in[0]. */
static void eval_expanded(const Node *n, const Array *const in[], Array *out)
{
    const Expansion *e = n->expansion;
    Arena           *scratch = arena_new();
    Array            whole = {.type = e->type};
    Node             expansion = expansion_node(n, scratch);
    whole.data = arena_array(scratch, double, (size_t)type_count(&whole.type));
    op_info(n->op)->eval(&expansion, (const Array *[]){in[0], in[e->weight], in[e->weight + 1]},
                         &whole);
    eval_epilogue(&e->epilogue, in, &whole);
    op_info(n->op)->eval(n, (const Array *[]){&whole, in[1], in[2]}, out);
    arena_free(scratch);
}

/* eval_computed - the node without its pooling. */
static void eval_computed(const Node *n, const Array *const in[], Array *out)
{
    if (n->expansion)
        eval_expanded(n, in, out);
    else
        op_info(n->op)->eval(n, in, out);
    eval_epilogue(&n->epilogue, in, out);
}

void array_round(Array *a)
{
    for (int64_t i = 0; a->type.elem == BF16 && i < type_count(&a->type); i++)
        a->data[i] = (double)bf16_to_f32(f32_to_bf16((float)a->data[i]));
}

/* pool_pairs - the maximum of each 2x2 of `x`; a last row or column without a partner is left out. */
static void pool_pairs(const Array *x, Array *y)
{
    const int64_t *d = y->type.dims, rows = x->type.dims[2], columns = x->type.dims[3];
    double        *out = y->data;
    for (int64_t plane = 0; plane < d[0] * d[1]; plane++)
        for (int64_t h = 0; h < d[2]; h++)
            for (int64_t w = 0; w < d[3]; w++) {
                const double *p = x->data + (plane * rows + 2 * h) * columns + 2 * w;
                *out++ = fmax(fmax(p[0], p[1]), fmax(p[columns], p[columns + 1]));
            }
}

void node_eval(const Node *n, const Array *const in[], Array *out)
{
    if (!n->pooled[0]) {
        eval_computed(n, in, out);
        return;
    }
    Arena *scratch = arena_new();
    Array  whole = {.type = out->type};
    whole.type.dims[2] = n->pooled[0];
    whole.type.dims[3] = n->pooled[1];
    whole.data = arena_array(scratch, double, (size_t)type_count(&whole.type));
    eval_computed(n, in, &whole);
    pool_pairs(&whole, out);
    arena_free(scratch);
}

/* ---- a graph ---------------------------------------------------------------------------- */

/* The contents of a value while something still reads them. */
typedef struct Live {
    Array  array;
    Arena *arena;  /* of its own, so that it can go alone; NULL: the caller's memory */
    size_t unread; /* uses still to come */
} Live;

static Live *live_all(const Graph *g, const Array *inputs, Arena *a)
{
    Live *live = arena_array(a, Live, g->n_values);
    for (ValueId v = 1; v < g->n_values; v++) {
        live[v].array.type = value_get(g, v)->type;
        live[v].unread = value_get(g, v)->n_users;
    }
    for (int i = 0; i < g->n_inputs; i++)
        live[g->inputs[i].value].array.data = inputs[i].data;
    return live;
}

static void live_make(Live *l)
{
    l->arena = arena_new();
    l->array.data = arena_array(l->arena, double, (size_t)type_count(&l->array.type));
}

/* live_read - the contents of `v`; those of a constant are converted when first asked for. */
static const Array *live_read(const Graph *g, Live *live, ValueId v)
{
    if (!v)
        return NULL;
    const Tensor *constant = value_get(g, v)->constant;
    if (constant && !live[v].array.data) {
        live_make(&live[v]);
        int64_t count = type_count(&constant->type);
        for (int64_t i = 0; i < count; i++)
            live[v].array.data[i] = tensor_get(constant, i);
    }
    return &live[v].array;
}

static void live_drop(Live *l)
{
    arena_free(l->arena);
    l->arena = NULL;
    l->array.data = NULL;
}

/* live_done - one use of `v` is behind us. Outputs stay until they are handed over. */
static void live_done(const Graph *g, Live *live, ValueId v)
{
    if (v && --live[v].unread == 0 && !value_get(g, v)->is_output && live[v].arena)
        live_drop(&live[v]);
}

static void eval_live(const Graph *g, const Node *n, Live *live)
{
    Arena        *scratch = arena_new();
    const Array **in = arena_array(scratch, const Array *, (size_t)n->n_in + 1);
    for (int i = 0; i < n->n_in; i++)
        in[i] = live_read(g, live, n->in[i]);
    live_make(&live[n->out]);
    node_eval(n, in, &live[n->out].array);
    array_round(&live[n->out].array);
    for (int i = 0; i < n->n_in; i++)
        live_done(g, live, n->in[i]);
    const Value *out = value_get(g, n->out);
    if (out->n_users == 0 && !out->is_output)
        live_drop(&live[n->out]);
    arena_free(scratch);
}

static Array array_copy(Arena *a, const Array *from)
{
    size_t count = (size_t)type_count(&from->type);
    Array  copy = {from->type, arena_array(a, double, count)};
    memcpy(copy.data, from->data, count * sizeof *copy.data);
    return copy;
}

void graph_eval(const Graph *g, const Array *inputs, Array *outputs, Arena *a,
                void (*progress)(int done, int total))
{
    Arena *scratch = arena_new();
    Live  *live = live_all(g, inputs, scratch);
    int    total = 0, done = 0;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        total++;
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        eval_live(g, node_get(g, n), live);
        if (progress)
            progress(++done, total);
    }
    for (int i = 0; i < g->n_outputs; i++)
        outputs[i] = array_copy(a, live_read(g, live, g->outputs[i].value));
    for (ValueId v = 1; v < g->n_values; v++)
        arena_free(live[v].arena);
    arena_free(scratch);
}
