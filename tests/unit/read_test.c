/* read_test.c - what the model reader makes of right models: order, names, layouts, constants. */
#include "graph/graph.h"
#include "ops/ops.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char   folder[] = "/tmp/kiln-read-test-XXXXXX";
static Arena *arena;

static void write_file(const char *name, const void *data, size_t n)
{
    FILE *f = fopen(arena_printf(arena, "%s/%s", folder, name), "wb");
    CHECK(f && fwrite(data, 1, n, f) == n);
    if (f)
        fclose(f);
}

/* read_text - the graph of a model given as text, its messages printed. */
static Graph *read_text(const char *text, int64_t batch)
{
    Diag *d = diag_new(arena);
    write_file("m.json", text, strlen(text));
    Graph *g = graph_read(arena, d, arena_printf(arena, "%s/m.json", folder),
                          &(ReadOptions){.batch = batch});
    CHECK((g == NULL) == (diag_status(d) != 0));
    diag_print(d, stdout);
    return g;
}

/* order - the names of the graph's nodes as they run, with spaces between. */
static const char *order(const Graph *g)
{
    Text t = text_new(arena);
    for (NodeId n = g ? graph_first(g) : 0; n; n = graph_next(g, n))
        text_printf(&t, "%s%s", t.len ? " " : "", node_get(g, n)->name);
    return t.len ? t.data : "";
}

static const Node *node_called(const Graph *g, const char *name)
{
    for (NodeId n = graph_first(g); n; n = graph_next(g, n))
        if (!strcmp(node_get(g, n)->name, name))
            return node_get(g, n);
    return NULL;
}

#define HEAD "{\"format\": \"kiln-graph\", \"version\": 1, "
#define X    "\"inputs\": [{\"name\": \"x\", \"shape\": [1, 4]}], "

static void test_order(void)
{
    Graph *g = read_text(HEAD X "\"nodes\": ["
                                "{\"name\": \"a\", \"op\": \"relu\", \"inputs\": [\"x\"]},"
                                "{\"name\": \"b\", \"op\": \"relu\", \"inputs\": [\"x\"]},"
                                "{\"name\": \"c\", \"op\": \"add\", \"inputs\": [\"b\", \"a\"]}],"
                                "\"outputs\": [\"c\"]}",
                         0);
    CHECK(!strcmp(order(g), "a b c")); /* an order that works is kept */
    CHECK(g && !strcmp(g->name, "m"));

    g = read_text(HEAD X "\"name\": \"net\", \"nodes\": ["
                         "{\"name\": \"c\", \"op\": \"add\", \"inputs\": [\"B\", \"a\"]},"
                         "{\"name\": \"d\", \"op\": \"relu\", \"inputs\": [\"x\"]},"
                         "{\"name\": \"b\", \"op\": \"relu\", \"inputs\": [\"a\"],"
                         " \"outputs\": [\"B\"]},"
                         "{\"name\": \"a\", \"op\": \"relu\", \"inputs\": [\"x\"]}],"
                         "\"outputs\": [\"c\", \"B\", \"x\"]}",
                  0);
    if (!CHECK(g != NULL))
        return;
    CHECK(!strcmp(order(g), "a b c d") && !strcmp(g->name, "net"));
    const Node *c = node_called(g, "c");
    CHECK(!strcmp(value_get(g, c->in[0])->name, "B"));
    CHECK(value_get(g, c->in[0])->producer && value_get(g, c->in[0])->is_output);
    CHECK(g->n_outputs == 3 && !strcmp(g->outputs[1].name, "B"));
    CHECK(value_get(g, g->outputs[2].value)->is_input);
    Text why = text_new(arena);
    CHECK(graph_verify(g, false, &why));
}

static void test_inputs(void)
{
    Graph *g = read_text(HEAD "\"inputs\": ["
                              "{\"name\": \"a\", \"shape\": [1, 5, 7, 3], \"layout\": \"NHWC\"},"
                              "{\"name\": \"b\", \"shape\": [1, 3, 5, 7], \"type\": \"u8\"}],"
                              "\"nodes\": [], \"outputs\": [\"a\"]}",
                         6);
    if (!CHECK(g && g->n_inputs == 2))
        return;
    const Type *a = &value_get(g, g->inputs[0].value)->type;
    const Type *b = &value_get(g, g->inputs[1].value)->type;
    CHECK(g->inputs[0].nhwc && !g->inputs[1].nhwc);
    CHECK(a->elem == F32 && b->elem == U8 && type_same_shape(a, b));
    CHECK(a->dims[0] == 6 && a->dims[1] == 3 && a->dims[2] == 5 && a->dims[3] == 7);
}

static void test_attrs(void)
{
    Graph *g = read_text(
        HEAD "\"inputs\": [{\"name\": \"x\", \"shape\": [1, 2, 8, 8]}], \"nodes\": ["
             "{\"name\": \"c\", \"op\": \"conv2d\", \"inputs\": [\"x\"], \"params\": {\"weight\":"
             " {\"splat\": 1, \"shape\": [2, 2, 3, 3]}}, \"attrs\": {\"padding\": [1, 2, 3, 4]}},"
             "{\"name\": \"p\", \"op\": \"max_pool\", \"inputs\": [\"c\"],"
             " \"attrs\": {\"kernel\": [3, 2], \"padding\": \"same\", \"ceil_mode\": true}},"
             "{\"name\": \"g\", \"op\": \"gelu\", \"inputs\": [\"p\"],"
             " \"attrs\": {\"approximate\": \"tanh\"}},"
             "{\"name\": \"t\", \"op\": \"transpose\", \"inputs\": [\"g\"],"
             " \"attrs\": {\"perm\": [0, 3, 1, 2]}},"
             "{\"name\": \"m\", \"op\": \"pad\", \"inputs\": [\"t\"],"
             " \"attrs\": {\"padding\": [0, 1, 0, 1], \"mode\": \"edge\"}}],"
             "\"outputs\": [\"m\"]}",
        0);
    if (!CHECK(g != NULL))
        return;
    const OpAttrs *c = &node_called(g, "c")->attrs, *p = &node_called(g, "p")->attrs;
    CHECK(c->padding[0] == 1 && c->padding[3] == 4 && c->pad_rule == PAD_EXPLICIT);
    CHECK(c->strides[0] == 1 && c->strides[1] == 1 && c->dilations[1] == 1 && c->groups == 1);
    CHECK(node_called(g, "c")->n_in == 3 && !node_called(g, "c")->in[2]); /* no bias */
    CHECK(p->strides[0] == 3 && p->strides[1] == 2);                      /* the kernel's */
    CHECK(p->pad_rule == PAD_SAME && p->ceil_mode);
    CHECK(node_called(g, "g")->attrs.tanh_form);
    CHECK(node_called(g, "t")->attrs.list.n == 4 && node_called(g, "t")->attrs.list.v[1] == 3);
    CHECK(node_called(g, "m")->attrs.mode == PAD_MODE_EDGE);
}

/* param - the constant `b` of an add in a model of its own. */
static const Tensor *param(const char *b)
{
    Graph              *g = read_text(arena_printf(arena,
                                                   HEAD X "\"weights\": \"w\", \"nodes\": [{\"name\": \"a\","
                                                                       " \"op\": \"add\", \"inputs\": [\"x\"],"
                                                                       " \"params\": {\"b\": %s}}], \"outputs\": [\"a\"]}",
                                                   b),
                                      0);
    const Tensor       *t = g ? value_get(g, node_called(g, "a")->in[1])->constant : NULL;
    static const double nothing[1];
    static const Tensor none = {{.elem = F64, .rank = 0}, nothing};
    return CHECK(t != NULL) ? t : &none;
}

static bool holds(const Tensor *t, Elem elem, int n, const double *values)
{
    if (t->type.elem != elem || type_count(&t->type) != n)
        return false;
    for (int i = 0; i < n; i++)
        if (tensor_get(t, i) != values[i])
            return false;
    return true;
}

#define HOLDS(t, elem, ...)                                                                        \
    holds((t), (elem), COUNT_OF(((double[]){__VA_ARGS__})), (double[]){__VA_ARGS__})

/* A file with a tensor of each type; h starts at an odd byte, so that f and the rest do too. */
static void write_weights(void)
{
    static const char header[] =
        "{\"__metadata__\": {\"by\": \"hand\"},"
        "\"u\": {\"dtype\": \"U8\", \"shape\": [3], \"data_offsets\": [0, 3]},"
        "\"h\": {\"dtype\": \"F16\", \"shape\": [2], \"data_offsets\": [3, 7]},"
        "\"b\": {\"dtype\": \"BF16\", \"shape\": [1], \"data_offsets\": [7, 9]},"
        "\"f\": {\"dtype\": \"F32\", \"shape\": [1, 2], \"data_offsets\": [9, 17]},"
        "\"l\": {\"dtype\": \"I64\", \"shape\": [], \"data_offsets\": [17, 25]},"
        "\"i\": {\"dtype\": \"I32\", \"shape\": [1], \"data_offsets\": [25, 29]},"
        "\"s\": {\"dtype\": \"I8\", \"shape\": [1], \"data_offsets\": [29, 30]},"
        "\"unused\": {\"dtype\": \"F64\", \"shape\": [0], \"data_offsets\": [30, 30]}}  ";
    static const unsigned char data[30] = {
        1,    2,    255,                                /* u */
        0x00, 0x3c, 0x00, 0xc0,                         /* h: 1, -2 */
        0x80, 0x3f,                                     /* b: 1 */
        0x00, 0x00, 0x00, 0x3f, 0x00, 0x00, 0x80, 0xbf, /* f: 0.5, -1 */
        0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* l: -5 */
        0x00, 0x00, 0x00, 0x80,                         /* i: -2^31 */
        0x80,                                           /* s: -128 */
    };
    unsigned char file[8 + sizeof header - 1 + sizeof data] = {0};
    file[0] = (sizeof header - 1) & 0xff;
    file[1] = (sizeof header - 1) >> 8;
    memcpy(file + 8, header, sizeof header - 1);
    memcpy(file + 8 + sizeof header - 1, data, sizeof data);
    write_file("w", file, sizeof file);
}

static void test_weights_file(void)
{
    CHECK(HOLDS(param("\"u\""), U8, 1, 2, 255));
    CHECK(HOLDS(param("\"h\""), F32, 1, -2));
    CHECK(HOLDS(param("\"b\""), F32, 1));
    CHECK(HOLDS(param("\"f\""), F32, 0.5, -1) && param("\"f\"")->type.rank == 2);
    CHECK(HOLDS(param("\"l\""), I32, -5) && param("\"l\"")->type.rank == 0);
    CHECK(HOLDS(param("\"i\""), I32, -2147483648.0));
    CHECK(HOLDS(param("\"s\""), I8, -128));
}

static void test_formulas(void)
{
    CHECK(HOLDS(param("{\"splat\": 0.5, \"shape\": [2]}"), F32, 0.5, 0.5));
    CHECK(HOLDS(param("{\"splat\": -3, \"shape\": [], \"type\": \"i8\"}"), I8, -3));
    CHECK(HOLDS(param("{\"iota\": [1, -0.25], \"shape\": [1, 3]}"), F32, 1, 0.75, 0.5));
    CHECK(HOLDS(param("{\"iota\": [254, 1], \"shape\": [2], \"type\": \"u8\"}"), U8, 254, 255));
    CHECK(HOLDS(param("{\"values\": [3, 1, 2], \"shape\": [3], \"type\": \"i32\"}"), I32, 3, 1, 2));
    CHECK(HOLDS(param("{\"values\": [0.1], \"shape\": [1]}"), F32, 0.1f));
}

/* mean and standard deviation of `role` over a tensor of 64 x 9 x 3 x 3. */
static void statistics(const char *role, double *mean, double *deviation)
{
    Tensor *t = tensor_new(arena, F32, 4, (int64_t[]){64, 9, 3, 3});
    int64_t n = type_count(&t->type);
    double  sum = 0, squares = 0;
    random_fill(t, 42, 3, role);
    for (int64_t i = 0; i < n; i++)
        sum += tensor_get(t, i);
    for (int64_t i = 0; i < n; i++)
        squares += (tensor_get(t, i) - sum / (double)n) * (tensor_get(t, i) - sum / (double)n);
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n);
}

static bool near_to(double value, double expected)
{
    return fabs(value - expected) < 0.03;
}

static void test_random(void)
{
    double mean, deviation;
    statistics("weight", &mean, &deviation);
    CHECK(fabs(mean) < 0.01 && fabs(deviation - sqrt(2.0 / 81)) < 0.005);
    statistics("bias", &mean, &deviation);
    CHECK(fabs(mean) < 0.01 && fabs(deviation - 0.1) < 0.003);
    statistics("var", &mean, &deviation);
    CHECK(near_to(mean, 1) && near_to(deviation, sqrt(1.0 / 12)));
    statistics("slope", &mean, &deviation);
    CHECK(near_to(mean, 0.25) && near_to(deviation, 0.25 * sqrt(1.0 / 12)));
    statistics("b", &mean, &deviation);
    CHECK(near_to(mean, 0) && near_to(deviation, 1));

    /* The documented generator: the same bits everywhere, for good. */
    static const uint32_t expected[] = {0x3f526ac8, 0x3fd011c2, 0xbfa56085, 0xbf1c9851};
    Tensor               *t = tensor_new(arena, F32, 2, (int64_t[]){2, 2});
    Tensor               *u = tensor_new(arena, U8, 1, (int64_t[]){4});
    random_fill(t, 42, 0, "weight");
    CHECK(!memcmp(t->data, expected, sizeof expected));
    random_fill(u, 42, 0, "b");
    CHECK(HOLDS(u, U8, 99, 235, 21, 154));
    Tensor *other = tensor_new(arena, F32, 2, (int64_t[]){2, 2});
    random_fill(other, 42, 1, "weight");
    CHECK(memcmp(t->data, other->data, sizeof expected) != 0);
    random_fill(other, 43, 0, "weight");
    CHECK(memcmp(t->data, other->data, sizeof expected) != 0);
}

/* With random weights, what a param holds depends on its place among all params of the file. */
static void test_random_place(void)
{
    Graph *g = read_text(
        HEAD X "\"weights\": {\"random\": 42}, \"nodes\": ["
               "{\"name\": \"l\", \"op\": \"linear\", \"inputs\": [\"k\"],"
               " \"params\": {\"bias\": {\"shape\": [4]}, \"weight\": {\"shape\": [4, 4]}}},"
               "{\"name\": \"k\", \"op\": \"linear\", \"inputs\": [\"x\"],"
               " \"params\": {\"weight\": {\"shape\": [4, 4]}}}], \"outputs\": [\"l\"]}",
        0);
    if (!CHECK(g != NULL))
        return;
    const Node *l = node_called(g, "l"), *k = node_called(g, "k");
    Tensor     *t = tensor_new(arena, F32, 2, (int64_t[]){4, 4});
    random_fill(t, 42, 1, "weight");
    CHECK(!memcmp(t->data, value_get(g, l->in[1])->constant->data, 64));
    random_fill(t, 42, 2, "weight");
    CHECK(!memcmp(t->data, value_get(g, k->in[1])->constant->data, 64));
    t = tensor_new(arena, F32, 1, (int64_t[]){4});
    random_fill(t, 42, 0, "bias");
    CHECK(!memcmp(t->data, value_get(g, l->in[2])->constant->data, 16));
}

/* Chains as deep as the model has nodes, written from the end. */
static void test_deep(void)
{
    enum { N = 100000 };
    Text t = text_new(arena);
    text_add(&t, HEAD X "\"outputs\": [\"n1\"], \"nodes\": [");
    for (int i = 1; i <= N; i++)
        text_printf(&t, "{\"name\": \"n%d\", \"op\": \"relu\", \"inputs\": [\"n%d\"]},\n", i,
                    i + 1);
    text_printf(&t, "{\"name\": \"n%d\", \"op\": \"relu\", \"inputs\": [\"x\"]}]}", N + 1);
    Graph *g = read_text(t.data, 0);
    CHECK(g && !strcmp(node_get(g, graph_first(g))->name, "n100001"));
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    arena = arena_new();
    write_weights();
    test_order();
    test_inputs();
    test_attrs();
    test_weights_file();
    test_formulas();
    test_random();
    test_random_place();
    test_deep();
    CHECK(!unlink(arena_printf(arena, "%s/m.json", folder)));
    CHECK(!unlink(arena_printf(arena, "%s/w", folder)) && !rmdir(folder));
    arena_free(arena);
    return check_end();
}
