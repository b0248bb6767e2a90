/* x86.c - x86-64 with 128- and 256-bit vectors: SSE2 (every such processor), AVX2 with FMA.
 *
 * MAXPS and MINPS return their second operand when either is NaN: exactly a > b ? a : b.
 * Intrinsics as in Intel's Intrinsics Guide. */
#include "target/target.h"

/* ---- SSE2 ------------------------------------------------------------------------------- */

static const Support sse2_support[] = {
    {"halves_4", "static inline __m128i halves_4(const uint16_t *p)\n"
                 "{\n"
                 "    return _mm_loadl_epi64((const __m128i *)(const void *)p);\n"
                 "}\n"},
    {"negate_4", "static inline __m128 negate_4(__m128 a)\n"
                 "{\n"
                 "    return _mm_xor_ps(a, _mm_set1_ps(-0.0f));\n"
                 "}\n"},
    {"pick_2_4", "static inline __m128 pick_2_4(__m128 a, int lane)\n"
                 "{\n"
                 "    return lane ? _mm_shuffle_ps(a, a, 0xf5) : _mm_shuffle_ps(a, a, 0xa0);\n"
                 "}\n"},
    /* There is no rounding instruction. Below 2^23 adding and taking away 2^23 leaves the nearest
     * integer, ties to even; from there on every float is one. The sign is kept for -0. */
    {"round_4", "static inline __m128 round_4(__m128 a)\n"
                "{\n"
                "    const __m128 sign = _mm_and_ps(a, _mm_set1_ps(-0.0f));\n"
                "    const __m128 size = _mm_andnot_ps(_mm_set1_ps(-0.0f), a);\n"
                "    const __m128 two23 = _mm_set1_ps(8388608.0f);\n"
                "    const __m128 nearest = _mm_sub_ps(_mm_add_ps(size, two23), two23);\n"
                "    const __m128 below = _mm_cmplt_ps(size, two23);\n"
                "    return _mm_or_ps(_mm_and_ps(below, _mm_or_ps(nearest, sign)),\n"
                "                     _mm_andnot_ps(below, a));\n"
                "}\n"},
    {"floor_4", "static inline __m128 floor_4(__m128 a)\n"
                "{\n"
                "    const __m128 nearest = round_4(a);\n"
                "    const __m128 above = _mm_cmpgt_ps(nearest, a);\n"
                "    return _mm_sub_ps(nearest, _mm_and_ps(above, _mm_set1_ps(1.0f)));\n"
                "}\n"},
    /* 2^b, built from its exponent bits. */
    {"pow2_4",
     "static inline __m128 pow2_4(__m128 b)\n"
     "{\n"
     "    const __m128i biased = _mm_add_epi32(_mm_cvtps_epi32(b), _mm_set1_epi32(127));\n"
     "    return _mm_castsi128_ps(_mm_slli_epi32(biased, 23));\n"
     "}\n"},
    {"exponent_4", "static inline __m128 exponent_4(__m128 a)\n"
                   "{\n"
                   "    const __m128i biased = _mm_srli_epi32(_mm_castps_si128(a), 23);\n"
                   "    return _mm_cvtepi32_ps(_mm_sub_epi32(biased, _mm_set1_epi32(127)));\n"
                   "}\n"},
    /* The exponent moves from a bias of 15 to one of 127, twice for infinities and NaN. Numbers too
     * small to be normal get an exponent bit that is taken away again as a number. */
    {"widen_f16_4",
     "static inline __m128 widen_f16_4(__m128i a)\n"
     "{\n"
     "    const __m128i bits = _mm_unpacklo_epi16(a, _mm_setzero_si128());\n"
     "    const __m128i size = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7fff)), 13);\n"
     "    const __m128i sign = _mm_slli_epi32(_mm_srli_epi32(bits, 15), 31);\n"
     "    const __m128i bias = _mm_set1_epi32(112 << 23), tiny = _mm_set1_epi32(113 << 23);\n"
     "    const __m128i is_odd = _mm_cmpgt_epi32(size, _mm_set1_epi32((31 << 23) - 1));\n"
     "    const __m128i is_tiny = _mm_cmplt_epi32(size, _mm_set1_epi32(1 << 23));\n"
     "    const __m128i shift = _mm_add_epi32(bias, _mm_and_si128(is_odd, bias));\n"
     "    const __m128 normal = _mm_castsi128_ps(_mm_add_epi32(size, shift));\n"
     "    const __m128 small = _mm_sub_ps(_mm_castsi128_ps(_mm_add_epi32(size, tiny)),\n"
     "                                    _mm_castsi128_ps(tiny));\n"
     "    const __m128 select = _mm_castsi128_ps(is_tiny);\n"
     "    const __m128 value = _mm_or_ps(_mm_and_ps(select, small), _mm_andnot_ps(select, normal));\n"
     "    return _mm_or_ps(value, _mm_castsi128_ps(sign));\n"
     "}\n"},
};

/* clang-format off */
static const Instr sse2[] = {
    /* kind     elem lanes  C text */
    {I_PREFETCH, F32, 4, "_mm_prefetch((const char *)(%a), _MM_HINT_T0)"},
    {I_PREFETCH_L2, F32, 4, "_mm_prefetch((const char *)(%a), _MM_HINT_T1)"},
    {I_LOAD,     F32, 4, "_mm_loadu_ps(%a)"},
    {I_STORE,    F32, 4, "_mm_storeu_ps(%a, %b)"},
    {I_LOAD,     F16, 4, "halves_4(%a)"},
    {I_WIDEN,    F16, 4, "widen_f16_4(%a)"},
    {I_LOAD,    BF16, 4, "halves_4(%a)"},
    {I_WIDEN,   BF16, 4, "_mm_castsi128_ps(_mm_unpacklo_epi16(_mm_setzero_si128(), %a))"},
    {I_SPLAT,    F32, 4, "_mm_set1_ps(%a)"},
    {I_PICK_2,   F32, 4, "pick_2_4(%a, %b)"},
    {I_ADD,      F32, 4, "_mm_add_ps(%a, %b)"},
    {I_SUB,      F32, 4, "_mm_sub_ps(%a, %b)"},
    {I_MUL,      F32, 4, "_mm_mul_ps(%a, %b)"},
    {I_DIV,      F32, 4, "_mm_div_ps(%a, %b)"},
    {I_MAX,      F32, 4, "_mm_max_ps(%a, %b)"},
    {I_MIN,      F32, 4, "_mm_min_ps(%a, %b)"},
    {I_NEG,      F32, 4, "negate_4(%a)"},
    {I_ABS,      F32, 4, "_mm_andnot_ps(_mm_set1_ps(-0.0f), %a)"},
    {I_FLOOR,    F32, 4, "floor_4(%a)"},
    {I_ROUND,    F32, 4, "round_4(%a)"},
    {I_SQRT,     F32, 4, "_mm_sqrt_ps(%a)"},
    {I_LDEXP,    F32, 4, "_mm_mul_ps(%a, pow2_4(%b))"},
    {I_EXPONENT, F32, 4, "exponent_4(%a)"},
    {I_ABS,      F32, 1, "__builtin_fabsf(%a)"},
    {I_SQRT,     F32, 1, "_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(%a)))"},
};
/* clang-format on */

const Target target_x86_64 = {
    .name = "x86-64",
    .about = "any 64-bit x86: SSE2, 128-bit vectors",
    .lanes = 4,
    .vector_regs = 16,
    .has_fma = false,
    .vector_type = "__m128",
    .half_type = "__m128i",
    .header = "emmintrin.h",
    .guard = "defined(__SSE2__)",
    .guard_hint = "compile for x86-64, or with -msse2",
    .c_flags = "-O2",
    .cross_cc = "x86_64-linux-gnu-gcc",
    .machine = "x86_64",
    .emulator = "qemu-x86_64",
    .byte_order = BYTES_LITTLE,
    .halo = true,
    .l1_bytes = 32 << 10,
    .l2_bytes = 256 << 10,
    .l3_bytes = 8 << 20,
    .instrs = sse2,
    .n_instrs = (int)COUNT_OF(sse2),
    .support = sse2_support,
    .n_support = (int)COUNT_OF(sse2_support),
};

/* has_avx2 - asked of the processor at hand where that is an x86. */
static bool has_avx2(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

/* ---- AVX2 ------------------------------------------------------------------------------- */

static const Support avx2_support[] = {
    PLAIN_POINTER,
    {"halves_8", "static inline __m128i halves_8(const uint16_t *p)\n"
                 "{\n"
                 "    return _mm_loadu_si128((const __m128i *)(const void *)p);\n"
                 "}\n"},
    {"widen_f16_8", "#if !defined(__F16C__)\n"
                    "#error \"this file has weights in f16: compile with -mavx2 -mfma -mf16c\"\n"
                    "#endif\n"
                    "static inline __m256 widen_f16_8(__m128i a)\n"
                    "{\n"
                    "    return _mm256_cvtph_ps(a);\n"
                    "}\n"},
    {"widen_bf16_8",
     "static inline __m256 widen_bf16_8(__m128i a)\n"
     "{\n"
     "    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));\n"
     "}\n"},
    {"pow2_8", "static inline __m256 pow2_8(__m256 b)\n"
               "{\n"
               "    const __m256i n = _mm256_cvtps_epi32(b);\n"
               "    const __m256i biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));\n"
               "    return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));\n"
               "}\n"},
    {"exponent_8",
     "static inline __m256 exponent_8(__m256 a)\n"
     "{\n"
     "    const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(a), 23);\n"
     "    return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));\n"
     "}\n"},
    /* The first operand of ROUNDSS only gives the lanes that are dropped. */
    {"round_f32", "static inline float round_f32(float a)\n"
                  "{\n"
                  "    const __m128 v = _mm_set_ss(a);\n"
                  "    return _mm_cvtss_f32(_mm_round_ss(v, v, _MM_FROUND_TO_NEAREST_INT));\n"
                  "}\n"},
    {"floor_f32", "static inline float floor_f32(float a)\n"
                  "{\n"
                  "    const __m128 v = _mm_set_ss(a);\n"
                  "    return _mm_cvtss_f32(_mm_floor_ss(v, v));\n"
                  "}\n"},
};

/* clang-format off */
static const Instr avx2[] = {
    /* kind     elem lanes  C text */
    {I_PREFETCH, F32, 8, "_mm_prefetch((const char *)(%a), _MM_HINT_T0)"},
    {I_PREFETCH_L2, F32, 8, "_mm_prefetch((const char *)(%a), _MM_HINT_T1)"},
    {I_LOAD,     F32, 8, "_mm256_loadu_ps(%a)"},
    {I_STORE,    F32, 8, "_mm256_storeu_ps(%a, %b)"},
    {I_LOAD,     F16, 8, "halves_8(%a)"},
    {I_WIDEN,    F16, 8, "widen_f16_8(%a)"},
    {I_LOAD,    BF16, 8, "halves_8(%a)"},
    {I_WIDEN,   BF16, 8, "widen_bf16_8(%a)"},
    {I_SPLAT,    F32, 8, "_mm256_set1_ps(%a)"},
    {I_PICK_2,   F32, 8, "_mm256_permute_ps(%a, 0xa0 + 0x55 * %b)"},
    {I_PICK_4,   F32, 8, "_mm256_permute_ps(%a, 0x55 * %b)"},
    {I_ADD,      F32, 8, "_mm256_add_ps(%a, %b)"},
    {I_SUB,      F32, 8, "_mm256_sub_ps(%a, %b)"},
    {I_MUL,      F32, 8, "_mm256_mul_ps(%a, %b)"},
    {I_DIV,      F32, 8, "_mm256_div_ps(%a, %b)"},
    {I_MAX,      F32, 8, "_mm256_max_ps(%a, %b)"},
    {I_MIN,      F32, 8, "_mm256_min_ps(%a, %b)"},
    {I_FMA,      F32, 8, "_mm256_fmadd_ps(%a, %b, %c)"},
    {I_NEG,      F32, 8, "_mm256_xor_ps(%a, _mm256_set1_ps(-0.0f))"},
    {I_ABS,      F32, 8, "_mm256_andnot_ps(_mm256_set1_ps(-0.0f), %a)"},
    {I_FLOOR,    F32, 8, "_mm256_floor_ps(%a)"},
    {I_ROUND,    F32, 8, "_mm256_round_ps(%a, _MM_FROUND_TO_NEAREST_INT)"},
    {I_SQRT,     F32, 8, "_mm256_sqrt_ps(%a)"},
    {I_LDEXP,    F32, 8, "_mm256_mul_ps(%a, pow2_8(%b))"},
    {I_EXPONENT, F32, 8, "exponent_8(%a)"},
    {I_FMA,      F32, 1, "__builtin_fmaf(%a, %b, %c)"},
    {I_ABS,      F32, 1, "__builtin_fabsf(%a)"},
    {I_FLOOR,    F32, 1, "floor_f32(%a)"},
    {I_ROUND,    F32, 1, "round_f32(%a)"},
    {I_SQRT,     F32, 1, "_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(%a)))"},
};
/* clang-format on */

const Target target_x86_avx2 = {
    .name = "x86-avx2",
    .about = "x86 since 2013: AVX2 and FMA, 256-bit vectors",
    .lanes = 8,
    .vector_regs = 16,
    .has_fma = true,
    .plain_pointer = "plain_pointer",
    .vector_type = "__m256",
    .half_type = "__m128i",
    .header = "immintrin.h",
    .guard = "defined(__AVX2__) && defined(__FMA__)",
    .guard_hint = "compile with -mavx2 -mfma",
    .c_flags = "-O2 -mavx2 -mfma -mf16c -mtune=haswell",
    .cross_cc = "x86_64-linux-gnu-gcc",
    .machine = "x86_64",
    .cpu_has = has_avx2,
    .byte_order = BYTES_LITTLE,
    .halo = true,
    .l1_bytes = 32 << 10,
    .l2_bytes = 256 << 10,
    .l3_bytes = 8 << 20,
    .instrs = avx2,
    .n_instrs = (int)COUNT_OF(avx2),
    .support = avx2_support,
    .n_support = (int)COUNT_OF(avx2_support),
};
