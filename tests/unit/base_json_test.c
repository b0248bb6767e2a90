/* base_json_test.c - the JSON reader: values, places, refusals, and time on large files. */
#include "base/base.h"
#include "check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const Json *parse(Arena *a, const char *text)
{
    Diag   *d = diag_new(a);
    Source *source = arena_struct(a, Source);
    *source = (Source){"t.json", text, strlen(text)};
    const Json *j = json_parse(a, d, source);
    if ((j == NULL) != (diag_status(d) == 1)) /* refused if and only if there is a message */
        return NULL;
    return j;
}

static void test_values(void)
{
    Arena      *a = arena_new();
    static char text[] = "\xef\xbb\xbf{ // head: \"not a string\n"
                         "  \"n\": null, \"t\": true, \"f\": false,\n"
                         "  \"i\": -12, \"x\": 2.5e-3, \"s\": \"a\\u00e9\\ud83d\\ude00//\\\"\",\n"
                         "  \"e\": [], \"o\": {\"a/b\": [10, {\"~\": \"deep\"}]} // tail\n"
                         "} // end";
    const Json *j = parse(a, text);
    if (!CHECK(j && j->kind == JSON_OBJECT && j->n_items == 8))
        return;
    CHECK(json_get(j, "n")->kind == JSON_NULL);
    CHECK(json_get(j, "t")->boolean && !json_get(j, "f")->boolean);
    int64_t i;
    CHECK(json_int(json_get(j, "i"), &i) && i == -12);
    CHECK(json_get(j, "x")->number == 2.5e-3 && !json_int(json_get(j, "x"), &i));
    CHECK(!strcmp(json_get(j, "s")->string, "a\xc3\xa9\xf0\x9f\x98\x80//\""));
    CHECK(json_get(j, "e")->n_items == 0 && !json_get(j, "none") && !json_get(NULL, "x"));

    const Json *deep = json_get(&json_get(json_get(j, "o"), "a/b")->items[1], "~");
    CHECK(!strcmp(json_pointer(a, deep), "/o/a~1b/1/~0"));
    CHECK(!strncmp(text + deep->offset, "\"deep\"", 6));
    CHECK(!strncmp(text + json_get(j, "x")->offset, "2.5e-3", 6));
    CHECK(!strcmp(json_pointer(a, j), "") && j->offset == 3);
    arena_free(a);
}

static void test_refusals(void)
{
    static const char *const wrong[] = {
        "",
        " ",
        "//",
        "{",
        "}",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "1 2",
        "01",
        "-01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "-",
        "--1",
        "0x10",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "-Infinity",
        "nan",
        "tru",
        "True",
        "nulll",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"a\nb\"",
        "\"\t\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xe2\x82\"",
        "'a'",
        "[1]]",
        "/* */1",
        "\v1",
        "1\f",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "1234567890123456789012345678901234567890123456789012345678901234",
    };
    Arena *a = arena_new();
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (!CHECK(!parse(a, wrong[i])))
            printf("    accepted: %s\n", wrong[i]);

    static const char *const right[] = {"0",    "-0", "1e5",     "1E-5",    "0.0",   "\"\"",
                                        "[[]]", "{}", " 1 // x", "\"\\/\"", "1e-999"};
    for (size_t i = 0; i < COUNT_OF(right); i++)
        if (!CHECK(parse(a, right[i])))
            printf("    refused: %s\n", right[i]);
    arena_free(a);
}

static void test_integers(void)
{
    Arena  *a = arena_new();
    int64_t v = 0;
    CHECK(json_int(parse(a, "9007199254740992"), &v) && v == 9007199254740992);
    CHECK(json_int(parse(a, "-9007199254740992"), &v) && v == -9007199254740992);
    CHECK(!json_int(parse(a, "9007199254740994"), &v));
    CHECK(!json_int(parse(a, "9223372036854775808"), &v));
    CHECK(json_int(parse(a, "1e3"), &v) && v == 1000);
    CHECK(!json_int(parse(a, "0.5"), &v) && !json_int(parse(a, "\"1\""), &v));
    arena_free(a);
}

static void test_depth(void)
{
    Arena *a = arena_new();
    for (int depth = 199; depth <= 202; depth++) {
        Text t = text_new(a);
        for (int i = 0; i < depth; i++)
            text_add(&t, i % 2 ? "{\"a\":" : "[");
        text_add(&t, "1");
        for (int i = depth; i-- > 0;)
            text_add(&t, i % 2 ? "}" : "]");
        CHECK((parse(a, t.data) != NULL) == (depth <= 200));
    }
    Text t = text_new(a);
    for (int i = 0; i < 1000000; i++)
        text_add(&t, "[");
    CHECK(!parse(a, t.data));
    arena_free(a);
}

static void test_zero_byte(void)
{
    static const char in_string[] = "[\"a\0b\"]", outside[] = "[1]\0";
    Arena            *a = arena_new();
    Diag             *d = diag_new(a);
    CHECK(!json_parse(a, d, &(Source){"z", in_string, sizeof in_string - 1}));
    CHECK(!json_parse(a, d, &(Source){"z", outside, sizeof outside - 1}));
    CHECK(diag_errors(d) == 2);
    arena_free(a);
}

/* A file of n nodes, and an object of n keys: time must grow with n, not with its square. */
static double seconds_for(int n)
{
    Arena *a = arena_new();
    Text   t = text_new(a);
    text_add(&t, "{\"nodes\": [0");
    for (int i = 0; i < n; i++)
        text_printf(&t, ",\n{\"name\": \"n%d\", \"inputs\": [\"n%d\"], \"attrs\": {\"axis\": 1}}",
                    i, i);
    text_add(&t, "], \"keys\": {\"k\": 0");
    for (int i = 0; i < n; i++)
        text_printf(&t, ", \"k%d\": %d", i, i);
    text_add(&t, "}}");
    clock_t     start = clock();
    const Json *j = parse(a, t.data);
    double      seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    CHECK(j && j->items[0].n_items == (size_t)n + 1 && j->items[1].n_items == (size_t)n + 1);
    arena_free(a);
    return seconds;
}

static void test_time(void)
{
    double small = seconds_for(10000), large = seconds_for(100000);
    CHECK(large < 40 * small + 0.5);
}

int main(void)
{
    test_values();
    test_refusals();
    test_integers();
    test_depth();
    test_zero_byte();
    test_time();
    return check_end();
}
