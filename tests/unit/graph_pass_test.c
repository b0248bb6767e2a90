/* Graph passes keep the numbers: each model of the pass tests, and random graphs, are evaluated
 * before and after each pass. */
#include "passes/passes.h"
#include "random_graph.h"

#include <glob.h>
#include <math.h>

/* Weights that fold_norm and split_norm make are rounded to f32; so are constants. Elsewhere the
 * evaluator computes the same products, added up in another order at most. */
static double tolerance(const Pass *p)
{
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
    double largest = 1;
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

/* check_passes - run all passes on a graph with types, comparing the outputs after each. */
static void check_passes(Graph *g, const char *name, Arena *a)
{
    PassContext c = {.target = target_by_name(random_below(2) ? "c99" : "x86-avx512"),
                     .seconds = 1};
    Array *inputs = random_inputs(g, a), *before = run(g, inputs, a);
    for (int i = 1; i < n_passes; i++) {
        Text why = text_new(a), was = text_new(a);
        graph_print(g, &was);
        passes[i].run(g, &c);
        bool ok = CHECK(graph_verify(g, true, &why));
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
    int n_checked = 0;
    CHECK(glob(pattern, 0, NULL, &found) == 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        Arena *a = arena_new();
        Diag *d = diag_new(a);
        Graph *g = graph_read(a, d, found.gl_pathv[i], 0);
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
        Text why = text_new(a);
        CHECK(graph_verify(g, true, &why));
        check_passes(g, arena_printf(a, "random graph %d", i), a);
        arena_free(a);
    }
}

int main(void)
{
    test_models("tests/passes/*.test");
    test_random(1500);
    return check_end();
}
