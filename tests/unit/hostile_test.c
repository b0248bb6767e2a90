/* hostile_test.c - broken models and weights files, thousands of them: none may crash the reader or
 * the shape rules, and each ends as a sound graph or as at least one error.
 *
 * A mutation takes a right file and damages it a few times: bits flip, bytes come and go, the file
 * is cut, numbers and names change places. The sanitizers look on. */
#include "hostile.h"

#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 2500 };

static char folder[] = "/tmp/kiln-hostile-test-XXXXXX";
static char model_path[64], weights_path[64];

static Blob blob_text(const char *text)
{
    Blob b = {.len = strlen(text)};
    memcpy(b.data, text, b.len);
    return b;
}

/* blob_weights - a safetensors file of this header and `n` bytes of data. */
static Blob blob_weights(const char *header, size_t n)
{
    Blob b = {.len = 8 + strlen(header) + n};
    b.data[0] = (char)(strlen(header) & 0xff);
    b.data[1] = (char)(strlen(header) >> 8);
    memcpy(b.data + 8, header, strlen(header));
    return b;
}

static const char *const models[] = {
    "{\"format\": \"kiln-graph\", \"version\": 1, \"name\": \"m\", \"weights\": \"w\", // comment\n"
    " \"inputs\": [{\"name\": \"x\", \"shape\": [1, 2, 4, 4], \"type\": \"f32\"}],\n"
    " \"nodes\": [\n"
    "  {\"name\": \"c\", \"op\": \"conv2d\", \"inputs\": [\"x\"],\n"
    "   \"params\": {\"weight\": \"c.w\", \"bias\": \"c.b\"},\n"
    "   \"attrs\": {\"strides\": [1, 1], \"padding\": [1, 1, 1, 1], \"groups\": 1}},\n"
    "  {\"name\": \"r\", \"op\": \"relu\", \"inputs\": [\"c\"]},\n"
    "  {\"name\": \"p\", \"op\": \"max_pool\", \"inputs\": [\"r\"],\n"
    "   \"attrs\": {\"kernel\": [2, 2], \"padding\": \"same\", \"ceil_mode\": true}},\n"
    "  {\"name\": \"a\", \"op\": \"add\", \"inputs\": [\"p\", \"p\"], \"outputs\": [\"sum\"]}],\n"
    " \"outputs\": [\"sum\", \"r\"]}\n",

    "{\"format\": \"kiln-graph\", \"version\": 1, \"weights\": {\"random\": 42},\n"
    " \"inputs\": [{\"name\": \"x\", \"shape\": [1, 3, 5, 2], \"layout\": \"NHWC\"},\n"
    "              {\"name\": \"y\", \"shape\": [1, 6], \"type\": \"u8\"}],\n"
    " \"nodes\": [\n"
    "  {\"name\": \"t\", \"op\": \"concat\", \"inputs\": [\"n\", \"x\", \"x\"],\n"
    "   \"attrs\": {\"axis\": 1}},\n"
    "  {\"name\": \"n\", \"op\": \"batch_norm\", \"inputs\": [\"x\"], \"params\": {\n"
    "   \"scale\": {\"shape\": [2]}, \"bias\": {\"splat\": 0.5, \"shape\": [2]},\n"
    "   \"mean\": {\"values\": [1, -2], \"shape\": [2]},\n"
    "   \"var\": {\"iota\": [1, 0.25], \"shape\": [2]}},\n"
    "   \"attrs\": {\"epsilon\": 1e-5}},\n"
    "  {\"name\": \"b\", \"op\": \"mul\", \"inputs\": [\"t\"],\n"
    "   \"params\": {\"b\": {\"random\": 7, \"shape\": [1, 6, 1, 1], \"type\": \"f32\"}}},\n"
    "  {\"name\": \"s\", \"op\": \"reshape\", \"inputs\": [\"b\"],\n"
    "   \"attrs\": {\"shape\": [0, -1]}},\n"
    "  {\"name\": \"g\", \"op\": \"gelu\", \"inputs\": [\"s\"],\n"
    "   \"attrs\": {\"approximate\": \"tanh\"}}],\n"
    " \"outputs\": [\"g\"]}\n",
};

static const char weights_header[] =
    "{\"__metadata__\": {\"k\": \"v\"},"
    " \"c.w\": {\"dtype\": \"F16\", \"shape\": [3, 2, 3, 3], \"data_offsets\": [0, 108]},"
    " \"c.b\": {\"dtype\": \"F32\", \"shape\": [3], \"data_offsets\": [108, 120]},"
    " \"odd\": {\"dtype\": \"I8\", \"shape\": [1], \"data_offsets\": [120, 121]},"
    " \"wide\": {\"dtype\": \"I64\", \"shape\": [], \"data_offsets\": [121, 129]}}";

/* ---- damage ----------------------------------------------------------------------------- */

/* find_token - the next number or string at or behind a random place; false: there is none. */
static bool find_token(const Blob *b, size_t *at, size_t *n)
{
    size_t i = (size_t)random_below((int64_t)b->len);
    while (i < b->len && !strchr("0123456789-\"", b->data[i]))
        i++;
    if (i == b->len)
        return false;
    *at = i;
    if (b->data[i] == '"') {
        for (i++; i < b->len && b->data[i] != '"'; i++)
            ;
        i += i < b->len;
    } else {
        while (i < b->len && b->data[i] && strchr("0123456789-+.eE", b->data[i]))
            i++;
    }
    *n = i - *at;
    return *n > 0;
}

static void swap_tokens(Blob *b)
{
    size_t at, n, from, n_from;
    if (!find_token(b, &at, &n) || !find_token(b, &from, &n_from))
        return;
    char   copy[MOST_BYTES];
    size_t n_copy = n_from;
    memcpy(copy, b->data + from, n_copy);
    splice(b, at, n, copy, n_copy);
}

static void replace_token(Blob *b)
{
    static const char *const tokens[] = {
        "0",
        "-1",
        "1",
        "2",
        "3",
        "7",
        "0.5",
        "1e308",
        "-1e-320",
        "2147483648",
        "4294967296",
        "9007199254740992",
        "9223372036854775808",
        "1e999",
        "01",
        "null",
        "true",
        "[]",
        "{}",
        "[1, 2, 3, 4, 5, 6, 7, 8, 9]",
        "\"\"",
        "\"x\"",
        "\"F64\"",
        "\"same\"",
        "\"i8\"",
        "\"*/\"",
        "\"\\u202e\\\"\\n\"",
        "\"../w\"",
        "\"\\ud83d\\ude00\"",
        "{\"shape\": [2]}",
        "[[[[[[[[[[1]]]]]]]]]]",
        "\"conv2d\"",
        "\"add\"",
        "\"attrs\"",
    };
    size_t      at, n;
    const char *token = tokens[random_below(COUNT_OF(tokens))];
    if (find_token(b, &at, &n))
        splice(b, at, n, token, strlen(token));
}

static void damage(Blob *b)
{
    static const char bytes[] = "{}[]\",:\\/-.e0\n\t \x7f\xff";
    if (!b->len)
        return;
    size_t at = (size_t)random_below((int64_t)b->len), rest = b->len - at;
    char   byte = bytes[random_below(sizeof bytes)]; /* the NUL too */
    switch (random_below(9)) {
    case 0: b->data[at] = (char)(b->data[at] ^ 1 << random_below(8)); break;
    case 1: b->len = at; break;
    case 2: splice(b, at, (size_t)random_below((int64_t)(rest < 20 ? rest : 20)), "", 0); break;
    case 3: splice(b, at, 0, &byte, 1); break;
    case 4: b->data[at] = byte; break;
    case 5:
    case 6: swap_tokens(b); break;
    default: replace_token(b);
    }
}

/* ---- trial ------------------------------------------------------------------------------ */

static Outcome read_model(void)
{
    Arena *a = arena_new();
    Diag  *d = diag_new(a);
    return judge(a, d, graph_read(a, d, model_path, &(ReadOptions){0}));
}

static void keep_evidence(const Blob *model, const Blob *weights, int round)
{
    char path[64];
    snprintf(path, sizeof path, "/tmp/kiln-hostile-%d.json", round);
    write_blob(path, model);
    printf("    kept as %s", path);
    snprintf(path, sizeof path, "/tmp/kiln-hostile-%d.w", round);
    write_blob(path, weights);
    printf(" and %s\n", path);
}

/* An argument is another seed, for longer hunts. */
int main(int argc, char **argv)
{
    int n_refused = 0;
    if (!mkdtemp(folder))
        return 1;
    if (argc > 1)
        check_seed += strtoull(argv[1], NULL, 0);
    snprintf(model_path, sizeof model_path, "%s/m.json", folder);
    snprintf(weights_path, sizeof weights_path, "%s/w", folder);
    for (int round = 0; round < ROUNDS; round++) {
        Blob model = blob_text(models[round % COUNT_OF(models)]);
        Blob weights = blob_weights(weights_header, 129);
        bool in_weights = round % 4 == 0; /* a round whose model reads them */
        bool undamaged = round < (int)COUNT_OF(models);
        for (int64_t n = undamaged ? 0 : random_between(1, 3); n > 0; n--)
            damage(in_weights ? &weights : &model);
        write_blob(model_path, &model);
        write_blob(weights_path, &weights);
        Outcome outcome = read_model();
        if (!CHECK(outcome != MISHANDLED))
            keep_evidence(&model, &weights, round);
        CHECK(!undamaged || outcome == ACCEPTED);
        n_refused += outcome == REFUSED;
    }
    CHECK(n_refused > ROUNDS / 2 && n_refused < ROUNDS);
    unlink(model_path);
    unlink(weights_path);
    rmdir(folder);
    return check_end();
}
