/* Passes take time in proportion to the graph: 50,000 nodes, in the shapes that are hard on
 * careless lists of users. Quadratic time would show. */
#include "passes/passes.h"
#include "ops/ops.h"
#include "check.h"

#define N_NODES 50000

typedef ValueId (*Step)(Graph *g, ValueId v, int i);

static ValueId add(Graph *g, Op op, int n_in, const ValueId *in, const OpAttrs *attrs)
{
    return node_get(g, graph_add(g, op, graph_fresh_name(g, "v"), (Span){0}, n_in, in, attrs, 0))
        ->out;
}

static ValueId identity(Graph *g, ValueId v, int i)
{
    (void)i;
    return add(g, OP_identity, 1, &v, NULL);
}

static ValueId relu(Graph *g, ValueId v, int i)
{
    (void)i;
    return add(g, OP_relu, 1, &v, NULL);
}

static ValueId transpose(Graph *g, ValueId v, int i)
{
    OpAttrs a = {.list = {4, {0, 2, 3, 1}}};
    return i % 2 ? relu(g, v, i) : add(g, OP_transpose, 1, &v, &a);
}

static ValueId pad(Graph *g, ValueId v, int i)
{
    (void)i;
    return add(g, OP_pad, 1, &v, &(OpAttrs){.padding = {0}});
}

static ValueId scale(Graph *g, ValueId v, int i)
{
    Tensor *t = tensor_new(g->arena, F32, 0, NULL);
    tensor_set(t, 0, i % 2 ? 0.5 : 2);
    return add(g, OP_mul, 2, (ValueId[]){v, graph_add_constant(g, graph_fresh_name(g, "k"), t)},
               NULL);
}

static ValueId read_input(Graph *g, ValueId v, int i)
{
    (void)v;
    return add(g, i % 2 ? OP_identity : OP_tanh, 1, &g->inputs[0].value, NULL);
}

static ValueId twice(Graph *g, ValueId v, int i)
{
    (void)i;
    return add(g, OP_add, 2, (ValueId[]){v, g->inputs[0].value}, NULL);
}

static void test_chain(Step step)
{
    Arena *a = arena_new();
    Graph *g = graph_new(a, diag_new(a));
    Port   in = {.name = "x"}, out = {.name = "y"};
    in.value = graph_add_value(g, "x", type_plain(F32, 4, (int64_t[]){1, 1, 1, 1}));
    g->inputs = &in;
    g->outputs = &out;
    g->n_inputs = g->n_outputs = 1;
    value_at(g, in.value)->is_input = true;
    int64_t one[4] = {1, 1, 1, 1};
    Tensor *w = tensor_new(a, F32, 4, one);
    ValueId v = add(g, OP_conv2d, 2, (ValueId[]){in.value, graph_add_constant(g, "w", w)},
                    &(OpAttrs){.strides = {1, 1}, .dilations = {1, 1}, .groups = 1});
    for (int i = 0; i < N_NODES; i++)
        v = step(g, v, i);
    out.value = v;
    value_at(g, v)->is_output = true;
    PassOptions o = {.only = "infer-shapes,fold-constants,remove-dead,fold-movement,merge-common,"
                             "merge-pad,fold-norm,split-norm,fuse-epilogue"};
    CHECK(passes_run(g, &(PassContext){0}, &o));
    diag_print(g->diag, stdout);
    Text t = text_new(a);
    graph_print(g, &t);
    CHECK(t.len > 0);
    arena_free(a);
}

int main(void)
{
    static const Step steps[] = {identity, relu, transpose, pad, scale, read_input, twice};
    for (size_t i = 0; i < COUNT_OF(steps); i++)
        test_chain(steps[i]);
    return check_end();
}
