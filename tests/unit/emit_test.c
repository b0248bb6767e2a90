/* emit_test - the parts of emission one by one: lines, names, string literals, constants, helpers. */
#include "check.h"

#include "emit/emit.h"
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/emit_test_XXXXXX";

static int PRINTF_LIKE(1, 2) run(const char *fmt, ...)
{
    char    command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    return system(command);
}

static const char *path_here(Arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", dir, name);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static size_t longest_line(const char *text)
{
    size_t longest = 0;
    for (const char *s = text; *s; s += strcspn(s, "\n") + 1)
        longest = strcspn(s, "\n") > longest ? strcspn(s, "\n") : longest;
    return longest;
}

static void test_writer(Arena *a)
{
    Writer w = {.text = text_new(a)};
    w_open(&w, "void f(void)");
    w_open(&w, "for (;;)");
    w_line(&w, "g(%s, %s, %s);", "a_rather_long_argument_of_thirty",
           "another_argument_as_long_as_that", "the_third_argument_is_past_the_edge");
    w_close(&w, "");
    w_close(&w, "");
    CHECK(!strcmp(w.text.data, "void f(void)\n{\n    for (;;) {\n"
                               "        g(a_rather_long_argument_of_thirty, "
                               "another_argument_as_long_as_that,\n"
                               "            the_third_argument_is_past_the_edge);\n    }\n}\n"));

    /* A string is never broken, whatever it holds. */
    Writer s = {.text = text_new(a), .depth = 1};
    w_line(&s,
           "print(%s, \"one two three four five six seven \\\" eight nine ten eleven twelve "
           "thirteen fourteen fifteen sixteen seventeen\");",
           "1");
    CHECK(strstr(s.text.data, "sixteen seventeen\");") != NULL);
    CHECK(strstr(s.text.data,
                 "\"one two three four five six seven \\\" eight nine ten eleven twelve "
                 "thirteen fourteen fifteen sixteen seventeen\"") != NULL);

    Writer c = {.text = text_new(a), .depth = 2};
    w_comment(&c, arena_printf(a, "first\n\n%0200d %s", 7,
                               "words words words words words words words "
                               "words words words words words words words words words words"));
    CHECK(longest_line(c.text.data) <= 100);
    CHECK(!strncmp(c.text.data, "        /* first\n         *\n", 25));
    CHECK(!strcmp(c.text.data + c.text.len - 4, " */\n"));
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool is_identifier(const char *s)
{
    if (!*s || *s == '_' || (*s >= '0' && *s <= '9'))
        return false;
    for (; *s; s++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *s))
            return false;
    return true;
}

static void test_names(Arena *a)
{
    static const char *const given[] = {
        "image",   "Image", "IMAGE",    "int", "arena",  "conv2d_1",  "a b",
        "a_b",     "a.b",   "7",        "",    "*/ x",   "\"\n;",     "\xe2\x80\xae",
        "INT_MAX", "__x",   "_",        "i",   "memcpy", "net_infer", "class",
        "max_f32", "a-b",   "restrict", "EOF", "part",   "call"};
    enum { N = COUNT_OF(given) };
    Graph  *g = graph_new(a, diag_new(a));
    Port    ports[N];
    Kernel *k = kernel_new(a, "conv2d_1", target_by_name("x86-avx512"), FP_STRICT);
    Program p = {.graph = g, .kernels = &k, .n_kernels = 1};
    for (int i = 0; i < N; i++)
        ports[i] = (Port){.name = given[i]};
    g->inputs = ports;
    g->n_inputs = N / 2;
    g->outputs = ports + N / 2;
    g->n_outputs = N - N / 2;
    Names n = names_choose(&p, "Net", a);
    CHECK(!strcmp(n.lower, "net") && !strcmp(n.upper, "NET"));
    CHECK(!strcmp(n.inputs[0], "image"));
    for (int i = 0; i < N; i++) {
        CHECK(is_identifier(n.inputs[i]));
        CHECK(strcmp(n.inputs[i], "conv2d_1") && strcmp(n.inputs[i], "int") &&
              strcmp(n.inputs[i], "class") && strcmp(n.inputs[i], "memcpy") &&
              strcmp(n.inputs[i], "net_infer") && strcmp(n.inputs[i], "EOF"));
        for (int j = 0; j < i; j++)
            CHECK(strcmp(name_upper(a, n.inputs[i]), name_upper(a, n.inputs[j])) != 0);
    }
    CHECK(is_identifier(name_prefix(a, "")) && is_identifier(name_prefix(a, "3d-net")));
    CHECK(!strcmp(name_prefix(a, "LeNet5"), "lenet5"));
}

/* ---- string literals ------------------------------------------------------------------------ */

/* Bytes whose escapes depend on each other: octal digits behind octal escapes, question marks. */
static unsigned char awkward_byte(void)
{
    static const char some[] = "0178?????\"\\/<'\n%";
    return random_below(2) ? (unsigned char)random_below(256)
                           : (unsigned char)some[random_below(sizeof some)];
}

static void test_literal(Arena *a)
{
    enum { N = 50000 };
    unsigned char *bytes = arena_alloc(a, N);
    for (int i = 0; i < N; i++)
        bytes[i] = awkward_byte();
    for (int i = 0; i < 256 * 256 && 2 * i + 1 < N / 2; i++) { /* every pair, as far as it goes */
        bytes[2 * i] = (unsigned char)(i / 97);
        bytes[2 * i + 1] = (unsigned char)i;
    }
    bytes[N - 1] = 0; /* left to the string's own end */
    Diag      *d = diag_new(a);
    OutFile   *f = file_create(a, d, path_here(a, "literal.c"));
    const char head[] = "#include <stdio.h>\nstatic const char bytes[50000] =\n";
    const char tail[] =
        ";\nint main(void)\n{\n    return fwrite(bytes, sizeof bytes, 1, stdout) != 1;\n}\n";
    file_write(f, head, sizeof head - 1);
    Literal *l = literal_new(a, f);
    literal_bytes(l, bytes, 12345); /* in pieces, as the blob comes */
    literal_bytes(l, bytes + 12345, N - 12345);
    literal_end(l);
    file_write(f, tail, sizeof tail - 1);
    CHECK(file_commit(f));
    for (int gnu = 0; gnu < 2; gnu++) { /* -std=c99 has trigraphs */
        CHECK(
            run("cd %s && cc -std=%s -Wall -Wextra -Werror literal.c -o literal && ./literal > bytes",
                dir, gnu ? "gnu99" : "c99") == 0);
        Bytes got = {NULL, 0};
        CHECK(file_map(d, path_here(a, "bytes"), &got) && got.len == N &&
              !memcmp(got.data, bytes, N));
    }
}

/* ---- constants ------------------------------------------------------------------------------ */

typedef struct Gathered {
    unsigned char bytes[4096];
    size_t        n;
} Gathered;

static void gather(void *ctx, const BlobEntry *e, const void *bytes, size_t n)
{
    Gathered *g = ctx;
    (void)e;
    memcpy(g->bytes + g->n, bytes, n);
    g->n += n;
}

static Buffer buffer_of(Kernel *k, const Tensor *t)
{
    BufferId b = kernel_constant(k, "c", t, NULL);
    return k->buffers[b];
}

static void test_blob(Arena *a)
{
    Kernel *k = kernel_new(a, "k", target_by_name("c99"), FP_STRICT);
    Tensor *x = tensor_new(a, F32, 1, (int64_t[]){5}),
           *same = tensor_new(a, F32, 2, (int64_t[]){5, 1});
    Tensor *other = tensor_new(a, F32, 1, (int64_t[]){5}),
           *bytes = tensor_new(a, I8, 1, (int64_t[]){3});
    for (int i = 0; i < 5; i++) {
        tensor_set(x, i, i + 1);
        tensor_set(same, i, i + 1);
        tensor_set(other, i, i == 4 ? -1 : i + 1);
    }
    for (int i = 0; i < 3; i++)
        tensor_set(bytes, i, -i);
    Blob  *blob = blob_new(a, 64);
    Buffer b[] = {buffer_of(k, x), buffer_of(k, bytes), buffer_of(k, same), buffer_of(k, other)};
    CHECK(blob_add(blob, &b[0]) == 0);
    CHECK(blob_add(blob, &b[1]) == 64);
    CHECK(blob_add(blob, &b[2]) == 0); /* equal contents, another shape */
    CHECK(blob_add(blob, &b[3]) == 128);
    CHECK(blob_bytes(blob) == 192 && blob_n_entries(blob) == 3);
    CHECK(blob_at(blob, 64)->buffer.elem == I8 && blob_at(blob, 128)->index == 16);
    CHECK(!blob_has_odd_numbers(blob) && blob_ends_with_zero(blob));
    Gathered all = {.n = 0};
    blob_each(blob, gather, &all);
    CHECK(all.n == 192 && !memcmp(all.bytes, x->data, 20) &&
          !memcmp(all.bytes + 64, bytes->data, 3) && !memcmp(all.bytes + 128, other->data, 20) &&
          all.bytes[20] == 0 && all.bytes[191] == 0);
    tensor_set(x, 0, INFINITY);
    CHECK(blob_add(blob, &b[0]) == 192 && blob_has_odd_numbers(blob));
}

/* Filters that are transformed when they are read: shared where they and the way they are laid out agree. */
static void test_transformed(Arena *a)
{
    Kernel  *k = kernel_new(a, "k", target_by_name("c99"), FP_STRICT);
    Winograd w = {.m = 2, .k = 3, .stride = 1};
    Tensor  *filters[3];
    Buffer   b[4];
    for (int i = 0; i < 4; i++) {
        Tensor *u = arena_struct(a, Tensor);
        if (i < 3)
            filters[i] = tensor_new(a, F32, 4, (int64_t[]){2, 3, 3, 3});
        for (int j = 0; i < 3 && j < 54; j++)
            tensor_set(filters[i], j, j % 7 - (i == 2 && j == 53 ? 9 : 0));
        u->type = winograd_type(filters[i % 3], w);
        b[i] = buffer_of(k, u);
        b[i].view.winograd = w;
        b[i].view.plain = filters[i % 3];
        b[i].view.make = winograd_weights;
    }
    b[3].view.n_dims = 1; /* the first filters' first numbers alone */
    b[3].view.extent[0] = b[3].count = 16;
    b[3].view.stride[0] = 1;
    Blob *blob = blob_new(a, 64);
    CHECK(blob_add(blob, &b[0]) == 0 && blob_add(blob, &b[1]) == 0);
    CHECK(blob_add(blob, &b[2]) == 384 && blob_add(blob, &b[3]) == 768);
    CHECK(blob_bytes(blob) == 832 && blob_n_entries(blob) == 3);
    Gathered all = {.n = 0};
    blob_each(blob, gather, &all);
    CHECK(all.n == 832 && !memcmp(all.bytes, winograd_weights(a, &b[0].view)->data, 384) &&
          !memcmp(all.bytes + 384, winograd_weights(a, &b[2].view)->data, 384) &&
          !memcmp(all.bytes + 768, all.bytes, 64));

    Blob *other = blob_new(a, 64), *again = blob_new(a, 64);
    blob_add(other, &b[2]);
    blob_add(again, &b[0]);
    CHECK(blob_hash(again) != blob_hash(other) && blob_hash(again) != blob_hash(blob));
    blob_add(again, &b[2]);
    blob_add(again, &b[3]);
    CHECK(blob_hash(again) == blob_hash(blob));
    b[1].view.winograd.m =
        4; /* equal sizes alone are not enough: another transform of the same filters */
    CHECK(blob_add(again, &b[1]) == 832);
}

static void test_numbers(Arena *a)
{
    CHECK(!strcmp(c_number(a, 1, F32), "1.0f") && !strcmp(c_number(a, 0.1f, F32), "0.1f"));
    CHECK(!strcmp(c_number(a, -0.0, F32), "-0.0f") && !strcmp(c_number(a, 1e30f, F32), "1e+30f"));
    CHECK(!strcmp(c_number(a, -5, I32), "-5") && strchr(c_number(a, INT32_MIN, I32), '('));
    for (int i = 0; i < 20000; i++) {
        uint32_t bits = (uint32_t)random_below((int64_t)1 << 32);
        float    f;
        memcpy(&f, &bits, sizeof f);
        if (isfinite(f) && strtof(c_number(a, (double)f, F32), NULL) != f)
            CHECK(!"a float reads back as it was");
    }
}

/* ---- helpers -------------------------------------------------------------------------------- */

/* Each helper with what the kernel interpreter does in its place. */
static float expected(int which, float x, float y, float z)
{
    switch (which) {
    case 0: return eval_unary(U_ROUND, x);
    case 1: return eval_unary(U_FLOOR, x);
    case 2: return isnormal(x) && x > 0 ? eval_unary(U_EXPONENT, x) : 0;
    case 3: return eval_binary(B_LDEXP, x, floorf(fmodf(y, 126)));
    case 4: return eval_binary(B_MAX, x, y);
    case 5: return eval_binary(B_MIN, x, y);
    case 6: return eval_binary(B_EQ, x, y);
    case 7: return eval_unary(U_ABS, x);
    case 8: return (float)(int64_t)eval_cast(I32, (double)x);
    case 9: return (float)(int64_t)eval_cast(I8, (double)x);
    case 10: return (float)(int64_t)eval_cast(U8, (double)x);
    case 11: return eval_unary(U_SQRT, x);
    default: return fmaf(x, y, z);
    }
}

static const char helper_calls[] =
    "#include <stdio.h>\n#include <math.h>\n"
    "int main(void)\n{\n    float v[3];\n"
    "    while (fread(v, sizeof v, 1, stdin)) {\n"
    "        const float x = v[0], y = v[1], z = v[2];\n"
    "        const float out[13] = {round_f32(x), floor_f32(x),\n"
    "            isnormal(x) && x > 0 ? exponent_f32(x) : 0, ldexp_f32(x, floorf(fmodf(y, 126))),\n"
    "            max_f32(x, y), min_f32(x, y), equal_f32(x, y), abs_f32(x), (float)f32_to_i32(x),\n"
    "            (float)f32_to_i8(x), (float)f32_to_u8(x), sqrt_f32(x), fma_f32(x, y, z)};\n"
    "        fwrite(out, sizeof out, 1, stdout);\n    }\n    return 0;\n}\n";

static float any_float(void)
{
    static const float special[] = {0.0f,          -0.0f,          0.5f,    1.5f,       -2.5f,
                                    127.5f,        255.5f,         -128.5f, 8388607.5f, 8388609.0f,
                                    2147483648.0f, -2147483648.0f, 1e-42f,  3e38f};
    uint32_t           bits = (uint32_t)random_below((int64_t)1 << 32);
    float              f;
    memcpy(&f, &bits, sizeof f);
    switch (random_below(4)) {
    case 0: return special[random_below(COUNT_OF(special))];
    case 1: return random_float() * 300;
    case 2: return random_below(40) ? f : random_below(2) ? INFINITY : NAN;
    default: return f;
    }
}

static void test_helpers(Arena *a)
{
    enum { N = 20000, HELPERS = 13 };
    float(*in)[3] = arena_alloc(a, sizeof(float[N][3]));
    const Target *t = target_by_name("c99");
    Needs         n = needs_new(t, a);
    Writer        w = {.text = text_new(a)};
    w_line(&w, "#include <stdint.h>");
    needs_scan(&n, t, helper_calls);
    helpers_c(&w, t, &n);
    FILE *c = fopen(path_here(a, "helpers.c"), "w"), *f = fopen(path_here(a, "in"), "wb");
    fputs(w.text.data, c);
    fputs(helper_calls, c);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < 3; j++)
            in[i][j] = any_float();
    fwrite(in, sizeof(float[3]), N, f);
    fclose(c);
    fclose(f);
    CHECK(
        run("cd %s && cc -std=c99 -O2 -Wall -Wextra -Wconversion -pedantic -Werror helpers.c -lm -o "
            "helpers && ./helpers < in > out",
            dir) == 0);
    Bytes got = {NULL, 0};
    CHECK(file_map(diag_new(a), path_here(a, "out"), &got) && got.len == sizeof(float[N][HELPERS]));
    int wrong = 0;
    for (int i = 0; i < N && got.len == sizeof(float[N][HELPERS]); i++)
        for (int h = 0; h < HELPERS; h++) {
            float is, want = expected(h, in[i][0], in[i][1], in[i][2]);
            memcpy(&is, got.data + ((size_t)i * HELPERS + (size_t)h) * sizeof is, sizeof is);
            if ((isnan(is) && isnan(want)) || !memcmp(&is, &want, sizeof is))
                continue;
            if (wrong++ < 5)
                printf("helper %d of (%a, %a, %a): %a, expected %a\n", h, (double)in[i][0],
                       (double)in[i][1], (double)in[i][2], (double)is, (double)want);
        }
    CHECK(wrong == 0);
}

int main(void)
{
    Arena *a = arena_new();
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    test_writer(a);
    test_names(a);
    test_literal(a);
    test_blob(a);
    test_transformed(a);
    test_numbers(a);
    test_helpers(a);
    run("rm -rf %s", dir);
    arena_free(a);
    return check_end();
}
