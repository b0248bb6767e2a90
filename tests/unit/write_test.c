/* write_test.c - what graph_write writes, graph_read reads as the same graph: ids, names, attributes,
 * contents; and passes make the same of both. */
#include "random_graph.h"
#include "passes/passes.h"

#include <glob.h>
#include <stdlib.h>
#include <unistd.h>

static char folder[] = "/tmp/write_test_XXXXXX";

static const char *text_of(const Graph *g)
{
    Text t = text_new(g->arena);
    graph_print(g, &t);
    for (ValueId v = 1; v < g->n_values; v++)
        text_printf(&t, "%u %s\n", (unsigned)v, value_get(g, v)->name);
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        text_printf(&t, "%u %s\n", (unsigned)n, node_get(g, n)->name);
    return t.data;
}

static bool same_constants(const Graph *g, const Graph *h)
{
    if (g->n_values != h->n_values)
        return false;
    for (ValueId v = 1; v < g->n_values; v++) {
        const Tensor *x = value_get(g, v)->constant, *y = value_get(h, v)->constant;
        if (!x != !y)
            return false;
        if (x && (x->type.elem != y->type.elem || !type_same_shape(&x->type, &y->type) ||
                  memcmp(x->data, y->data,
                         (size_t)type_count(&x->type) * elem_bytes(x->type.elem)) != 0))
            return false;
    }
    return true;
}

static bool same_text(const char *what, const char *x, const char *y)
{
    if (strcmp(x, y) == 0)
        return true;
    printf("%s, before:\n%s\nand after:\n%s\n", what, x, y);
    return false;
}

/* check_round_trip - `g` as a reader returns it. */
static void check_round_trip(Graph *g, const char *what)
{
    const char *path = arena_printf(g->arena, "%s/m.json", folder);
    PassContext c = {.target = target_by_name(random_below(2) ? "c99" : "x86-avx512"),
                     .seconds = 0.01};
    PassOptions all = {0};
    if (!CHECK(graph_write(g, path)))
        return;
    Graph *h = graph_read(g->arena, g->diag, path, &(ReadOptions){0});
    diag_print(g->diag, stdout);
    if (!CHECK(h) || !CHECK(same_constants(g, h)))
        return;
    pass_infer_shapes(g, &c);
    pass_infer_shapes(h, &c);
    CHECK(same_text(what, text_of(g), text_of(h)));
    if (passes_run(g, &c, &all) && CHECK(passes_run(h, &c, &all)))
        CHECK(same_text(what, text_of(g), text_of(h)));
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
        if (g)
            check_round_trip(g, found.gl_pathv[i]);
        n_checked += g != NULL;
        arena_free(a);
    }
    CHECK(n_checked > 3);
    globfree(&found);
}

/* hostile_name - quotes, ends of lines and of comments, other alphabets, names that kiln makes up. */
static const char *hostile_name(Arena *a, unsigned i)
{
    static const char *const parts[] = {
        "\"", "\\",          "\n", "*/", "\t", "\x01", "\x7f",    "\xc3\xa9",         "#12",
        "/",  "?",           ".",  "{}", "//", "k",    ".weight", "\xf0\x9f\x90\x88", "weight",
        "#0", "\xe2\x80\xae"};
    Text t = text_new(a);
    for (int64_t n = random_between(1, 4); n; n--)
        text_add(&t, parts[random_below(COUNT_OF(parts))]);
    text_printf(&t, "%u", i); /* apart from the others */
    return t.data;
}

static void rename_all(Graph *g)
{
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        const char *name = hostile_name(g->arena, n);
        graph_rename_value(g, node_get(g, n)->out, name);
        node_at(g, n)->name = random_below(2) ? name : arena_printf(g->arena, "%s'", name);
    }
    for (int i = 0; i < g->n_outputs; i++)
        g->outputs[i].name = value_get(g, g->outputs[i].value)->name;
    /* Constants called like nodes, or not at all. */
    for (ValueId v = 1; v < g->n_values; v++)
        if (value_get(g, v)->constant && random_below(2))
            graph_rename_value(g, v,
                               random_below(2) ? "" : value_get(g, g->outputs[0].value)->name);
    if (random_below(2))
        g->name = hostile_name(g->arena, 0);
}

static void test_random(int n_graphs)
{
    for (int i = 0; i < n_graphs && !check_failed; i++) {
        Arena *a = arena_new();
        Graph *g = random_graph(a, (int)random_between(1, 30));
        if (i % 2)
            rename_all(g);
        check_round_trip(graph_tidy(g), arena_printf(a, "random graph %d", i));
        arena_free(a);
    }
}

/* tiny - y = op(x, constant). */
static Graph *tiny(Arena *a, Op op, const Tensor *constant, const char *name)
{
    int64_t dims[] = {1, 2};
    Graph  *g = graph_new(a, diag_new(a));
    g->name = "tiny";
    g->inputs = arena_array(a, Port, 1);
    g->outputs = arena_array(a, Port, 1);
    ValueId x = graph_add_value(g, "x", type_plain(F32, 2, dims));
    value_at(g, x)->is_input = true;
    g->inputs[g->n_inputs++] = (Port){.value = x, .name = "x"};
    ValueId in[] = {x, graph_add_constant(g, "", constant)};
    OpAttrs attrs = attrs_default(op);
    ValueId y = node_get(g, graph_add(g, op, name, (Span){0}, 2, in, &attrs, 0))->out;
    value_at(g, y)->is_output = true;
    g->outputs[g->n_outputs++] = (Port){.value = y, .name = name};
    return graph_tidy(g);
}

/* Element types of all widths in one file, and no element at an odd place. */
static void test_types(void)
{
    static const Elem elems[] = {U8, F32, I8, I32};
    for (size_t i = 0; i < COUNT_OF(elems); i++) {
        Arena  *a = arena_new();
        Tensor *t = tensor_new(a, elems[i], 0, NULL);
        tensor_set(t, 0, 77);
        check_round_trip(tiny(a, OP_concat, t, "y"), elem_name(elems[i]));
        arena_free(a);
    }
}

/* What JSON and the format cannot hold is refused, and no file is made. */
static void test_refused(const char *name, float number, const char *complaint)
{
    Arena  *a = arena_new();
    Tensor *t = tensor_new(a, F32, 0, NULL);
    char   *said = NULL;
    size_t  n = 0;
    FILE   *out = open_memstream(&said, &n);
    tensor_set(t, 0, number);
    Graph      *g = tiny(a, OP_add, t, name);
    const char *path = arena_printf(a, "%s/refused.json", folder);
    CHECK(!graph_write(g, path));
    CHECK(diag_status(g->diag) == 1);
    CHECK(access(path, F_OK) != 0);
    diag_print(g->diag, out);
    fclose(out);
    CHECK(strstr(said, complaint) != NULL);
    free(said);
    arena_free(a);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    test_models("models/*.json");
    test_models("tests/passes/*.test");
    test_models("tests/kernel/*.test");
    test_random(200);
    test_types();
    test_refused("bad\xff", 1, "the name 'bad\\xff' is not UTF-8");
    test_refused("y", (float)(1 / 0.0f), "constant 'y.b': element 0 is infinite");
    test_refused("y", (float)(0 / 0.0f), "constant 'y.b': element 0 is NaN");
    Arena *a = arena_new();
    unlink(arena_printf(a, "%s/m.json", folder));
    unlink(arena_printf(a, "%s/m.safetensors", folder));
    arena_free(a);
    CHECK(rmdir(folder) == 0);
    return check_end();
}
