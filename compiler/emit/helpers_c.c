/* helpers_c.c - small functions a kernel may need where neither C nor the target has an operator.
 *
 * C99 without libm, branch-free where that lets the compiler make vectors of them, and the same
 * bits as the kernel interpreter. Emitted only when used. */
#include "emit/emit.h"

#include <string.h>

/* A function or a macro; its text may use those listed before it. */
typedef struct Helper {
    const char *name;
    const char *text;
} Helper;

static const Helper helpers[] = {
    {"INFINITY_F32", "#if defined(__GNUC__)\n"
                     "#define INFINITY_F32 __builtin_inff()\n"
                     "#else\n"
                     "#include <math.h>\n"
                     "#define INFINITY_F32 INFINITY\n"
                     "#endif\n"},
    {"NAN_F32", "#if defined(__GNUC__)\n"
                "#define NAN_F32 __builtin_nanf(\"\")\n"
                "#else\n"
                "#include <math.h>\n"
                "#define NAN_F32 NAN\n"
                "#endif\n"},
    {"f16_to_f32",
     "/* The exponent moves from a bias of 15 to one of 127; below 2^-14 it is no exponent. */\n"
     "static inline float f16_to_f32(uint16_t h)\n"
     "{\n"
     "    const uint32_t size = h & 0x7fffu;\n"
     "    union { uint32_t bits; float f; } u;\n"
     "    if (size >= 0x7c00u)\n"
     "        u.bits = 0x7f800000u | size << 13;\n"
     "    else if (size >= 0x400u)\n"
     "        u.bits = (size << 13) + 0x38000000u;\n"
     "    else\n"
     "        u.f = (float)size * 5.9604645e-8f;\n"
     "    u.bits |= (h & 0x8000u) << 16;\n"
     "    return u.f;\n"
     "}\n"},
    {"bf16_to_f32", "/* The upper half of a float. */\n"
                    "static inline float bf16_to_f32(uint16_t h)\n"
                    "{\n"
                    "    const union { uint32_t bits; float f; } u = {(uint32_t)h << 16};\n"
                    "    return u.f;\n"
                    "}\n"},
    {"f32_to_bf16", "/* The upper half of a float, rounded to nearest even. */\n"
                    "static inline uint16_t f32_to_bf16(float a)\n"
                    "{\n"
                    "    const union { float f; uint32_t bits; } u = {a};\n"
                    "    const uint32_t rounded = u.bits + 0x7fffu + (u.bits >> 16 & 1u);\n"
                    "    return (uint16_t)(a == a ? rounded >> 16 : 0x7fc0u);\n"
                    "}\n"},
    {"max_f32", "static inline float max_f32(float a, float b)\n"
                "{\n"
                "    return a > b ? a : b;\n"
                "}\n"},
    {"min_f32", "static inline float min_f32(float a, float b)\n"
                "{\n"
                "    return a < b ? a : b;\n"
                "}\n"},
    {"equal_f32", "static inline float equal_f32(float a, float b)\n"
                  "{\n"
                  "    return a == b ? 1.0f : 0.0f;\n"
                  "}\n"},
    {"abs_f32", "static inline float abs_f32(float a)\n"
                "{\n"
                "    return a < 0.0f ? -a : a + 0.0f;\n"
                "}\n"},
    {"round_f32",
     "/* To the nearest integer, ties to even: below 2^23, adding and taking away 2^23 does\n"
     " * that; from there on every float is an integer. */\n"
     "static inline float round_f32(float a)\n"
     "{\n"
     "    union { float f; uint32_t bits; } size = {a}, nearest;\n"
     "    const uint32_t sign = size.bits & 0x80000000u;\n"
     "    size.bits ^= sign;\n"
     "    const float shifted = size.f + 8388608.0f;\n"
     "    nearest.f = shifted - 8388608.0f;\n"
     "    nearest.bits |= sign;\n"
     "    return size.f < 8388608.0f ? nearest.f : a;\n"
     "}\n"},
    {"floor_f32", "static inline float floor_f32(float a)\n"
                  "{\n"
                  "    const float nearest = round_f32(a);\n"
                  "    return nearest > a ? nearest - 1.0f : nearest;\n"
                  "}\n"},
    {"sqrt_f32",
     "/* Rounded once. x = n * 2^(2 h - 48) with n in [2^48, 2^50): the root of n is found bit by\n"
     " * bit, one bit longer than a float's; n is even and so the root never halfway. */\n"
     "static inline float sqrt_f32(float x)\n"
     "{\n"
     "    const int is_tiny = x < 1.17549435e-38f;\n"
     "    union { float f; uint32_t bits; } u;\n"
     "    u.f = is_tiny ? x * 16777216.0f : x;\n"
     "    if (!(x > 0.0f) || u.bits >= 0x7f800000u)\n"
     "        return x < 0.0f ? NAN_F32 : x;\n"
     "    const int32_t exponent = (int32_t)(u.bits >> 23) - 127;\n"
     "    const int32_t odd = exponent & 1;\n"
     "    const uint64_t n = (uint64_t)((u.bits & 0x7fffffu) | 0x800000u) << (25 + odd);\n"
     "    uint32_t root = 0;\n"
     "    for (uint32_t bit = 1u << 24; bit; bit >>= 1) {\n"
     "        const uint64_t longer = root | bit;\n"
     "        root = longer * longer <= n ? root | bit : root;\n"
     "    }\n"
     "    const int32_t h = (exponent - odd) / 2 - (is_tiny ? 12 : 0);\n"
     "    u.bits = ((root + 1) >> 1) + ((uint32_t)(h + 126) << 23);\n"
     "    return u.f;\n"
     "}\n"},
    {"exponent_f32", "/* floor(log2(a)) of a normal positive number: its exponent bits. */\n"
                     "static inline float exponent_f32(float a)\n"
                     "{\n"
                     "    const union { float f; uint32_t bits; } u = {a};\n"
                     "    return (float)((int32_t)(u.bits >> 23 & 255u) - 127);\n"
                     "}\n"},
    {"ldexp_f32", "/* a * 2^b, b an integer in [-126, 127]. */\n"
                  "static inline float ldexp_f32(float a, float b)\n"
                  "{\n"
                  "    const int32_t n = b >= -126.0f && b <= 127.0f ? (int32_t)b : 0;\n"
                  "    union { uint32_t bits; float f; } power;\n"
                  "    power.bits = (uint32_t)(n + 127) << 23;\n"
                  "    return a * power.f;\n"
                  "}\n"},
    {"fma_f32",
     "/* a * b + c, rounded once: the product is exact in double; a sum that is not gets an odd\n"
     " * last bit, so that rounding it again to float cannot go wrong (Boldo and Melquiond,\n"
     " * \"Emulation of FMA and correctly rounded sums\", 2008). */\n"
     "static inline float fma_f32(float a, float b, float c)\n"
     "{\n"
     "    const double product = (double)a * (double)b;\n"
     "    union { double d; uint64_t bits; } sum = {product + (double)c};\n"
     "    const double back = sum.d - product;\n"
     "    const double lost = (product - (sum.d - back)) + ((double)c - back);\n"
     "    if ((lost > 0.0 || lost < 0.0) && !(sum.bits & 1u))\n"
     "        sum.bits += (lost > 0.0) == (sum.d > 0.0) ? 1u : -(uint64_t)1;\n"
     "    return (float)sum.d;\n"
     "}\n"},
    {"f32_to_i32", "/* Rounded to nearest even, saturated; NaN becomes 0. */\n"
                   "static inline int32_t f32_to_i32(float a)\n"
                   "{\n"
                   "    const float r = round_f32(a);\n"
                   "    if (r >= 2147483648.0f)\n"
                   "        return 2147483647;\n"
                   "    if (r <= -2147483648.0f)\n"
                   "        return -2147483647 - 1;\n"
                   "    return r == r ? (int32_t)r : 0;\n"
                   "}\n"},
    {"f32_to_i8", "/* Rounded to nearest even, saturated; NaN becomes 0. */\n"
                  "static inline int8_t f32_to_i8(float a)\n"
                  "{\n"
                  "    const float r = round_f32(a);\n"
                  "    const float low = r > -128.0f ? r : -128.0f;\n"
                  "    const float both = low < 127.0f ? low : 127.0f;\n"
                  "    return (int8_t)(r == r ? (int32_t)both : 0);\n"
                  "}\n"},
    {"f32_to_u8", "/* Rounded to nearest even, saturated; NaN becomes 0. */\n"
                  "static inline uint8_t f32_to_u8(float a)\n"
                  "{\n"
                  "    const float r = round_f32(a);\n"
                  "    const float low = r > 0.0f ? r : 0.0f;\n"
                  "    return (uint8_t)(int32_t)(low < 255.0f ? low : 255.0f);\n"
                  "}\n"},
};

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* has_word - whether `word` stands in `text` as a whole word. */
static bool has_word(const char *text, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = strstr(text, word); s; s = strstr(s + 1, word))
        if ((s == text || !is_word(s[-1])) && !is_word(s[n]))
            return true;
    return false;
}

Needs needs_new(const Target *t, Arena *a)
{
    return (Needs){arena_array(a, bool, COUNT_OF(helpers)),
                   arena_array(a, bool, (size_t)target_n_support(t) + 1)};
}

/* is_support - whether the target has a function of that name: it takes the helper's place. */
static bool is_support(const Target *t, const char *name)
{
    for (int i = 0; i < target_n_support(t); i++) {
        const Support *s = target_nth_support(t, i);
        if (s && !strcmp(name, s->name))
            return true;
    }
    return false;
}

void needs_scan(Needs *n, const Target *t, const char *text)
{
    target_support(t, text, n->support);
    for (int i = (int)COUNT_OF(helpers) - 1; i >= 0; i--) {
        if (is_support(t, helpers[i].name))
            continue;
        n->helpers[i] |= has_word(text, helpers[i].name);
        if (!n->helpers[i])
            continue;
        target_support(t, helpers[i].text, n->support);
        for (int j = 0; j < i; j++)
            n->helpers[j] |=
                has_word(helpers[i].text, helpers[j].name) && !is_support(t, helpers[j].name);
    }
}

void helpers_c(Writer *w, const Target *t, const Needs *n)
{
    for (int i = 0; i < target_n_support(t); i++) {
        const Support *s = target_nth_support(t, i);
        if (!n->support[i] || !s)
            continue;
        w_raw(w, s->text, strlen(s->text));
        w_blank(w);
    }
    for (size_t i = 0; i < COUNT_OF(helpers); i++) {
        if (!n->helpers[i])
            continue;
        w_raw(w, helpers[i].text, strlen(helpers[i].text));
        w_blank(w);
    }
}

bool is_helper_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(helpers); i++)
        if (!strcmp(helpers[i].name, name))
            return true;
    return false;
}
