/* Building and editing graphs; the verifier, which must notice each kind of damage; the evaluator.
 */
#include "graph/graph.h"
#include "ops/ops.h"
#include "check.h"

#include <math.h>
#include <string.h>

static Arena *arena;

static const int64_t shape[2] = {2, 3};

/* A graph with one input of shape [2, 3]. */
static Graph *graph_with_input(void)
{
    Graph *g = graph_new(arena, diag_new(arena));
    g->inputs = arena_array(arena, Port, 1);
    g->outputs = arena_array(arena, Port, 4);
    g->inputs[0] = (Port){.value = graph_add_value(g, "x", type_plain(F32, 2, shape)), .name = "x"};
    value_at(g, g->inputs[0].value)->is_input = true;
    g->n_inputs = 1;
    return g;
}

static ValueId add(Graph *g, Op op, const char *name, ValueId a, ValueId b)
{
    NodeId n = graph_add(g, op, name, (Span){0}, b ? 2 : 1, (ValueId[]){a, b}, NULL, 0);
    op_info(op)->shape(g, n);
    return node_get(g, n)->out;
}

static void make_output(Graph *g, ValueId v)
{
    g->outputs[g->n_outputs++] = (Port){.value = v, .name = value_get(g, v)->name};
    value_at(g, v)->is_output = true;
}

static bool is_sound(const Graph *g)
{
    Text why = text_new(arena);
    bool ok = graph_verify(g, true, &why);
    if (!ok)
        printf("%s\n", why.data);
    return ok;
}

/* x -> a = relu(x) -> b = tanh(a), s = a + b; s is the output. */
static Graph *diamond(ValueId v[4])
{
    Graph *g = graph_with_input();
    v[0] = g->inputs[0].value;
    v[1] = add(g, OP_relu, "a", v[0], 0);
    v[2] = add(g, OP_tanh, "b", v[1], 0);
    v[3] = add(g, OP_add, "s", v[1], v[2]);
    make_output(g, v[3]);
    return g;
}

static const char *order(const Graph *g)
{
    Text t = text_new(arena);
    text_add(&t, "");
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        text_add(&t, node_get(g, n)->name);
    return t.data;
}

static void test_uses(void)
{
    ValueId v[4];
    Graph  *g = diamond(v);
    NodeId  sum = value_get(g, v[3])->producer, tanh_node = value_get(g, v[2])->producer;
    CHECK(is_sound(g));
    CHECK(value_get(g, v[1])->n_users == 2 && graph_only_user(g, v[1]) == 0);
    CHECK(graph_only_user(g, v[2]) == sum);
    CHECK(graph_only_user(g, v[3]) == 0);
    graph_set_input(g, sum, 0, v[2]); /* read twice by one node */
    CHECK(is_sound(g) && value_get(g, v[2])->n_users == 2 && graph_only_user(g, v[2]) == 0);
    CHECK(graph_only_user(g, v[1]) == tanh_node);
    graph_replace_uses(g, v[2], v[1]);
    CHECK(is_sound(g) && value_get(g, v[1])->n_users == 3 && value_get(g, v[2])->n_users == 0);
    graph_remove(g, tanh_node);
    CHECK(is_sound(g) && !strcmp(order(g), "as") && value_get(g, v[1])->n_users == 2);
    graph_replace_uses(g, v[3], v[1]); /* outputs move too; s reads a still */
    CHECK(g->outputs[0].value == v[1] && !value_get(g, v[3])->is_output);
    graph_remove(g, sum);
    CHECK(is_sound(g) && !strcmp(order(g), "a"));
}

static void test_order(void)
{
    ValueId v[4];
    Graph  *g = diamond(v);
    NodeId  sum = value_get(g, v[3])->producer;
    NodeId  n = graph_add(g, OP_relu, "r", (Span){0}, 1, &v[0], NULL, graph_first(g));
    op_info(OP_relu)->shape(g, n);
    CHECK(!strcmp(order(g), "rabs") && is_sound(g));
    graph_move_before(g, n, sum);
    CHECK(!strcmp(order(g), "abrs") && is_sound(g));
    graph_move_before(g, n, 0);
    CHECK(!strcmp(order(g), "absr") && g->last == n && is_sound(g));
    graph_move_before(g, n, n);
    CHECK(!strcmp(order(g), "absr"));
    graph_move_before(g, n, graph_first(g));
    CHECK(!strcmp(order(g), "rabs") && g->first == n && is_sound(g));
}

static void test_many_inputs(void)
{
    Graph  *g = graph_with_input();
    ValueId x = g->inputs[0].value;
    NodeId  n = graph_add(g, OP_concat, "c", (Span){0}, 1, &x, &(OpAttrs){.axis = 1}, 0);
    for (int i = 1; i < 100; i++) {
        CHECK(graph_append_input(g, n, i % 3 ? x : 0) == i);
        graph_set_input(g, n, i, x);
    }
    node_at(g, n)->n_own = 100;
    CHECK(value_get(g, x)->n_users == 100);
    op_info(OP_concat)->shape(g, n);
    CHECK(is_sound(g));
    ValueId y = add(g, OP_relu, "y", x, 0);
    graph_move_before(g, n, 0);
    for (int i = 0; i < 100; i += 2)
        graph_set_input(g, n, i, y);
    CHECK(is_sound(g) && value_get(g, x)->n_users == 51 && value_get(g, y)->n_users == 50);
    graph_remove(g, n);
    CHECK(is_sound(g) && value_get(g, x)->n_users == 1 && value_get(g, y)->n_users == 0);
}

static void test_fresh_names(void)
{
    Graph *g = graph_with_input();
    CHECK(!strcmp(graph_fresh_name(g, "a"), "a#1"));
    CHECK(!strcmp(graph_fresh_name(g, "a#1"), "a#2"));
    add(g, OP_relu, "a#3", g->inputs[0].value, 0); /* a name of the model's may look made up */
    CHECK(!strcmp(graph_fresh_name(g, "a"), "a#4"));
    add(g, OP_relu, "b#77", g->inputs[0].value, 0);
    CHECK(!strcmp(graph_fresh_name(g, "#5"), "#5#78"));
    add(g, OP_relu, "c#99999999999999999999999", g->inputs[0].value, 0);
    add(g, OP_relu, "c#12x", g->inputs[0].value, 0);
    CHECK(!strcmp(graph_fresh_name(g, "c#x"), "c#x#79"));
}

/* Each damages a sound graph in one way. */
static void lose_user(Graph *g, const ValueId *v)
{
    value_at(g, v[1])->n_users--;
}
static void change_input(Graph *g, const ValueId *v)
{
    node_at(g, value_get(g, v[3])->producer)->in[1] = v[0];
}
static void use_before(Graph *g, const ValueId *v)
{
    graph_move_before(g, value_get(g, v[1])->producer, 0);
}
static void break_order(Graph *g, const ValueId *v)
{
    node_at(g, value_get(g, v[3])->producer)->next = value_get(g, v[1])->producer;
}
static void drop_input(Graph *g, const ValueId *v)
{
    graph_set_input(g, value_get(g, v[3])->producer, 1, 0);
}
static void lose_type(Graph *g, const ValueId *v)
{
    value_at(g, v[2])->type.elem = ELEM_POISON;
}
static void bad_extent(Graph *g, const ValueId *v)
{
    value_at(g, v[2])->type.dims[0] = 0;
}
static void same_name(Graph *g, const ValueId *v)
{
    graph_rename_value(g, v[2], "a");
}
static void lost_output(Graph *g, const ValueId *v)
{
    value_at(g, v[3])->is_output = false;
}
static void false_output(Graph *g, const ValueId *v)
{
    value_at(g, v[1])->is_output = true;
}
static void false_step(Graph *g, const ValueId *v)
{
    static EpilogueStep step = {.op = OP_softmax, .operand = -1};
    node_at(g, value_get(g, v[1])->producer)->epilogue = (Epilogue){1, &step};
}
static void no_operand(Graph *g, const ValueId *v)
{
    static EpilogueStep step = {.op = OP_add, .operand = 5};
    node_at(g, value_get(g, v[1])->producer)->epilogue = (Epilogue){1, &step};
}
static void variable_weight(Graph *g, const ValueId *v)
{
    add(g, OP_linear, "l", v[0], v[1]);
}

static void test_verify(void)
{
    static void (*const damages[])(Graph *, const ValueId *) = {
        lose_user, change_input, use_before,   break_order, drop_input, lose_type,      bad_extent,
        same_name, lost_output,  false_output, false_step,  no_operand, variable_weight};
    for (size_t i = 0; i < COUNT_OF(damages); i++) {
        ValueId v[4];
        Graph  *g = diamond(v);
        Text    why = text_new(arena);
        CHECK(graph_verify(g, true, &why));
        damages[i](g, v);
        if (!CHECK(!graph_verify(g, true, &why) && why.len > 0))
            printf("damage %zu went unnoticed\n", i);
    }
}

/* A fused graph, an unused node, an output read by another, and a constant as operand. */
static void test_eval(void)
{
    ValueId v[4];
    Graph  *g = diamond(v);
    Tensor *t = tensor_new(arena, F16, 1, &shape[1]);
    for (int i = 0; i < 3; i++)
        tensor_set(t, i, i + 0.5);
    NodeId       a = value_get(g, v[1])->producer;
    int          operand = graph_append_input(g, a, graph_add_constant(g, "k", t));
    EpilogueStep steps[] = {{.op = OP_sub, .operand = operand, .swapped = true},
                            {.op = OP_relu6, .operand = -1}};
    node_at(g, a)->epilogue = (Epilogue){2, steps};
    add(g, OP_sigmoid, "unused", v[1], 0);
    make_output(g, v[1]);
    make_output(g, v[0]);
    CHECK(is_sound(g));
    double data[6] = {-1, 0.25, 2, 0.5, 1, 3};
    Array  input = {type_plain(F32, 2, shape), data}, out[3];
    graph_eval(g, &input, out, arena, NULL);
    for (int i = 0; i < 6; i++) {
        double acc = fmin(6, fmax(0, i % 3 + 0.5 - fmax(0, data[i])));
        CHECK(out[1].data[i] == acc);
        CHECK(out[0].data[i] == acc + tanh(acc));
        CHECK(out[2].data[i] == data[i]);
    }
}

int main(void)
{
    arena = arena_new();
    test_uses();
    test_order();
    test_many_inputs();
    test_fresh_names();
    test_verify();
    test_eval();
    arena_free(arena);
    return check_end();
}
