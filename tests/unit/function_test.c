/* function_test - kernels that differ in numbers only become functions: which, with which parameters. */
#include "check.h"

#include "emit/emit.h"

#include <string.h>

enum { MOST = 16 };

/* A program of kernels whose text is `marked`, as c_count leaves it. */
typedef struct Case {
    Program program;
    Arena  *arena;
    int     n;
} Case;

static Case case_new(Arena *a)
{
    Case c = {.arena = a};
    c.program.kernels = arena_array(a, Kernel *, MOST);
    c.program.texts = arena_array(a, KernelText, MOST);
    return c;
}

/* add - a kernel; `alike` is the one before it that has the same text but for numbers, -1: none. */
static void add(Case *c, int alike, const char *marked)
{
    int i = c->program.n_kernels++;
    c->program.kernels[i] =
        kernel_new(c->arena, arena_printf(c->arena, "k_%d", i), target_by_name("c99"), FP_STRICT);
    KernelText *t = &c->program.texts[i];
    *t = (KernelText){.params = "float *y", .next_alike = -1};
    take_numbers(t, marked, c->arena);
    if (alike >= 0)
        c->program.texts[alike].next_alike = i;
}

static const char *printed(const Case *c, int kernel)
{
    Writer w = {.text = text_new(c->arena)};
    function_c(&w, &c->program, c->program.functions[kernel]);
    return w.text.data;
}

static const char *args(const Case *c, int kernel)
{
    return function_args(&c->program, kernel, c->arena);
}

/* two - a text of two numbers. */
static const char *two(const Case *c, long long a, long long b)
{
    return arena_printf(c->arena, "    y[i * \1step=%lld\1] = \1n=%lld\1;\n", a, b);
}

/* Numbers that change become parameters, the others stay; those that change together are one. */
static void test_params(Arena *a)
{
    Case c = case_new(a);
    add(&c, -1, two(&c, 5, 7));
    add(&c, 0, two(&c, 6, 7));
    add(&c, -1, "    y[0] = \1n=1\1 + \1m=1\1 + \1m=3\1;\n");
    add(&c, 2, "    y[0] = \1n=2\1 + \1m=2\1 + \1m=4\1;\n");
    add(&c, 3, "    y[0] = \1n=9\1 + \1m=9\1 + \1m=9\1;\n");
    functions_choose(&c.program, a);
    CHECK(c.program.n_functions == 2);
    CHECK(c.program.functions[0] == c.program.functions[1]);
    CHECK(c.program.functions[0] != c.program.functions[2]);
    CHECK(!strcmp(printed(&c, 0), "static void k_0(float *y, int step)\n{\n"
                                  "    y[i * step] = 7;\n}\n\n"));
    CHECK(!strcmp(args(&c, 0), ", 5"));
    CHECK(!strcmp(args(&c, 1), ", 6"));
    CHECK(strstr(printed(&c, 4), "k_2(float *y, int n, int m)") != NULL);
    CHECK(strstr(printed(&c, 4), "y[0] = n + n + m;") != NULL);
    CHECK(!strcmp(args(&c, 4), ", 9, 9"));
}

/* A kernel that is alone has no parameters, and one that would need too many begins a function. */
static void test_split(Arena *a)
{
    Case        c = case_new(a);
    const char *five = "    y[0] = \1a=%d\1 + \1b=%d\1 + \1c=%d\1 + \1d=%d\1 + \1e=%d\1;\n";
    add(&c, -1, arena_printf(a, five, 1, 2, 3, 4, 5));
    add(&c, 0, arena_printf(a, five, 6, 7, 8, 9, 5)); /* four numbers differ */
    add(&c, 1, arena_printf(a, five, 1, 2, 3, 4, 6)); /* the fifth does too  */
    add(&c, 2, arena_printf(a, five, 1, 2, 3, 4, 7));
    add(&c, -1, "    y[1] = \1n=3\1;\n");
    functions_choose(&c.program, a);
    CHECK(c.program.n_functions == 3);
    CHECK(c.program.functions[0] == c.program.functions[1]);
    CHECK(c.program.functions[1] != c.program.functions[2]);
    CHECK(c.program.functions[2] == c.program.functions[3]);
    CHECK(!strcmp(args(&c, 1), ", 6, 7, 8, 9"));
    CHECK(!strcmp(args(&c, 3), ", 7"));
    CHECK(!strcmp(args(&c, 4), ""));
    CHECK(!strcmp(printed(&c, 4), "static void k_4(float *y)\n{\n    y[1] = 3;\n}\n\n"));
}

/* A parameter is named as nothing else in the function, and has room for its numbers. */
static void test_names(Arena *a)
{
    Case c = case_new(a);
    add(&c, -1, "    n_2 = n + \1n=1\1 + \1y=1\1 + \1n=2\1 + n_4x;\n");
    add(&c, 0, "    n_2 = n + \1n=2\1 + \1y=3\1 + \1n=5000000000\1 + n_4x;\n");
    functions_choose(&c.program, a);
    CHECK(strstr(printed(&c, 0), "(float *y, int n_3, int y_2, int64_t n_4)") != NULL);
    CHECK(strstr(printed(&c, 0), "    n_2 = n + n_3 + y_2 + n_4 + n_4x;") != NULL);
    CHECK(!strcmp(args(&c, 1), ", 2, 3, 5000000000"));
}

/* Lines are as long as their numbers make them, then wrapped; part and n_parts come last. */
static void test_lines(Arena *a)
{
    const char *name = "a_name_of_forty_characters_which_is_long";
    Case        c = case_new(a);
    for (int i = 0; i < 2; i++)
        add(&c, i - 1,
            arena_printf(a, "        y[0] = f(\1%s=%d\1, \1%s=%d\1, \1n=3\1);\n     * odd\n\n",
                         name, i, name, 5 - i));
    c.program.texts[0].is_shared = c.program.texts[1].is_shared = true;
    functions_choose(&c.program, a);
    CHECK(strstr(printed(&c, 0), "        y[0] = f(a_name_of_forty_characters_which_is_long,\n"
                                 "            a_name_of_forty_characters_which_is_long_2, 3);\n"
                                 "     * odd\n\n") != NULL);
    CHECK(strstr(printed(&c, 0), "int part, int n_parts)\n") != NULL);
    CHECK(!strcmp(args(&c, 1), ", 1, 4, part, n_parts"));
    c.program.functions[0]->as = NULL;
    CHECK(strstr(printed(&c, 0), "        y[0] = f(0, 5, 3);\n") != NULL);
}

int main(void)
{
    Arena *a = arena_new();
    test_params(a);
    test_split(a);
    test_names(a);
    test_lines(a);
    arena_free(a);
    return check_end();
}
