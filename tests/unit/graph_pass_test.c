/* Graph passes keep the numbers: each model of the pass tests, and random graphs, are evaluated
 * before and after each pass. */
#include "passes/passes.h"
#include "random_graph.h"

#include <glob.h>
#include <math.h>

/* Weights that fold_norm and split_norm make are rounded to f32; so are constants. match_activations
 * takes the f32 next to 1/6 or to sqrt(1/2) for the number itself. Elsewhere the evaluator computes the
 * same products, added up in another order at most. */
static double tolerance(const Pass *p)
{
    if (p->run == pass_match_activations)
        return 1e-6;
    bool rounds = p->run == pass_fold_norm || p->run == pass_split_norm;
    return rounds || p->run == pass_fold_constants ? 1e-5 : 1e-9;
}

static Array *random_inputs(const Graph *g, Arena *a)
{
    Array *inputs = arena_array(a, Array, (size_t)g->n_inputs + 1);
    for (int i = 0; i < g->n_inputs; i++) {
        inputs[i].type = value_get(g, g->inputs[i].value)->type;
        int64_t count = type_count(&inputs[i].type);
        inputs[i].data = arena_array(a, double, (size_t)count);
        for (int64_t k = 0; k < count; k++)
            inputs[i].data[k] = random_float();
    }
    return inputs;
}

static Array *run(const Graph *g, const Array *inputs, Arena *a)
{
    Array *outputs = arena_array(a, Array, (size_t)g->n_outputs + 1);
    graph_eval(g, inputs, outputs, a, NULL);
    return outputs;
}

static bool is_same(const Array *x, const Array *y, double allowed)
{
    if (!type_same_shape(&x->type, &y->type) || x->type.elem != y->type.elem)
        return false;
    int64_t count = type_count(&x->type);
    double  largest = 1;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(x->data[i]));
    for (int64_t i = 0; i < count; i++) {
        bool equal = x->data[i] == y->data[i] || (isnan(x->data[i]) && isnan(y->data[i]));
        if (!equal && !(fabs(x->data[i] - y->data[i]) <= allowed * largest))
            return false;
    }
    return true;
}

static void show(const Graph *g, const char *when, const Pass *p, Arena *a)
{
    Text t = text_new(a);
    graph_print(g, &t);
    printf("%s %s:\n%s", when, p->name, t.data);
}

/* follow_ports - choose_layout lets a model take NHWC where its port says so: turn those inputs. */
static void follow_ports(const Graph *g, Array *inputs, Arena *a)
{
    for (int i = 0; i < g->n_inputs; i++) {
        const Type *now = &value_get(g, g->inputs[i].value)->type, was = inputs[i].type;
        if (type_same_shape(now, &was))
            continue;
        double *data = arena_array(a, double, (size_t)type_count(now));
        int64_t pixels = was.dims[2] * was.dims[3], channels = was.dims[1];
        for (int64_t k = 0; k < type_count(now); k++) {
            int64_t image = k / (pixels * channels), at = k % (pixels * channels);
            data[k] = inputs[i].data[(image * channels + at % channels) * pixels + at / channels];
        }
        inputs[i] = (Array){*now, data};
    }
}

/* check_passes - run all passes on a graph with types, comparing the outputs after each. */
static void check_passes(Graph *g, const char *name, Arena *a)
{
    PassContext c = {.target = target_by_name(random_below(2) ? "c99" : "x86-avx512"),
                     .seconds = 1};
    Array      *inputs = random_inputs(g, a), *before = run(g, inputs, a);
    for (int i = 1; i < n_passes; i++) {
        Text why = text_new(a), was = text_new(a);
        graph_print(g, &was);
        passes[i].run(g, &c);
        follow_ports(g, inputs, a);
        bool   ok = CHECK(graph_verify(g, true, &why));
        Array *after = ok ? run(g, inputs, a) : before;
        for (int k = 0; ok && k < g->n_outputs; k++)
            ok = CHECK(is_same(&before[k], &after[k], tolerance(&passes[i])));
        if (!ok) {
            printf("%s: %s\nbefore %s:\n%s", name, why.data ? why.data : "other numbers",
                   passes[i].name, was.data);
            show(g, "after", &passes[i], a);
            return;
        }
        before = after;
    }
}

static void test_models(const char *pattern)
{
    glob_t found = {0};
    int    n_checked = 0;
    CHECK(glob(pattern, 0, NULL, &found) == 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        Arena *a = arena_new();
        Diag  *d = diag_new(a);
        Graph *g = graph_read(a, d, found.gl_pathv[i], &(ReadOptions){0});
        if (g && pass_infer_shapes(g, &(PassContext){0}) && !diag_errors(d)) {
            check_passes(g, found.gl_pathv[i], a);
            n_checked++;
        }
        arena_free(a);
    }
    CHECK(n_checked > 15);
    globfree(&found);
}

static void test_random(int n_graphs)
{
    for (int i = 0; i < n_graphs && !check_failed; i++) {
        Arena *a = arena_new();
        Graph *g = random_graph(a, (int)random_between(1, 30));
        Text   why = text_new(a);
        CHECK(graph_verify(g, true, &why));
        check_passes(g, arena_printf(a, "random graph %d", i), a);
        arena_free(a);
    }
}

/* What is constant is computed; but a model output is written by a node, and what would fill the
 * memory stays. */
static void test_fold_constants(void)
{
    Arena  *a = arena_new();
    int64_t dims[2] = {2, 3}, column[2] = {1 << 13, 1}, row[2] = {1, 1 << 13};
    Maker   m = {.arena = a, .g = graph_new(a, diag_new(a))};
    m.g->inputs = arena_array(a, Port, 2);
    m.g->outputs = arena_array(a, Port, 3);
    ValueId x = add_input(&m, 2), k = constant(&m, 2, dims, -1, 1);
    value_at(m.g, x)->type = type_plain(F32, 2, (int64_t[]){3, 2});
    add(&m, OP_transpose, 1, &k, &(OpAttrs){.list = {2, {1, 0}}});
    ValueId turned = m.pool[1];
    add(&m, OP_add, 2, (ValueId[]){x, turned}, NULL);
    add(&m, OP_relu, 1, &k, NULL);
    ValueId sum = m.pool[2], output = m.pool[3];
    m.g->outputs[m.g->n_outputs++] = (Port){.value = output, .name = "relu"};
    value_at(m.g, output)->is_output = true;
    ValueId wide[2] = {constant(&m, 2, column, 0, 1), constant(&m, 2, row, 0, 1)};
    NodeId  huge = graph_add(m.g, OP_mul, "huge", (Span){0}, 2, wide, NULL, 0);
    CHECK(op_info(OP_mul)->shape(m.g, huge));
    CHECK(pass_fold_constants(m.g, &(PassContext){0}));
    const Node   *add_node = node_get(m.g, value_get(m.g, sum)->producer);
    const Tensor *folded = graph_input(m.g, add_node, 1)->constant;
    CHECK(folded && !value_get(m.g, turned)->producer);
    const Tensor *was = value_get(m.g, k)->constant;
    for (int64_t i = 0; folded && i < 6; i++)
        CHECK(tensor_get(folded, i) == tensor_get(was, i % 2 * 3 + i / 2));
    CHECK(value_get(m.g, output)->producer && node_get(m.g, huge)->op == OP_mul);
    CHECK(!pass_fold_constants(m.g, &(PassContext){0}));
    arena_free(a);
}

int main(void)
{
    test_fold_constants();
    test_models("tests/passes/*.test");
    test_random(1500);
    return check_end();
}
