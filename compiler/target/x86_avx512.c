/* x86_avx512.c - x86 with 512-bit vectors: AVX-512F with FMA, and AVX512-BF16 and AMX-BF16 beside it.
 *
 * The targets share one table; the last rows of it, and the last functions, are AVX512-BF16's, and the
 * last of those AMX's.
 *
 * Processors differ in how often they issue a dot product. AMD's since Zen 4 do as often as a
 * multiply-add, so the products take half the time (github.com/iree-org/iree/pull/15089 measured
 * twice the speed of f32); Intel's Xeons of 2023 a quarter as often: 0.56 of the products a second,
 * measured. AMX multiplies 16 rows of pairs by 16 columns: on one core of such a Xeon 2.2 to 2.7 TF/s,
 * 0.5 to 1.0 with what is around it, beside 0.14 of multiply-adds. Hence targets of their own, and
 * `native` is none of them.
 *
 * Of VMAXPS and VMINPS as of intrinsics: see x86.c. */
#include "target/target.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* has_avx512, has_zen4, has_bf16 - asked of the processor at hand where that is an x86. */
static bool has_avx512(void)
{
#ifdef __x86_64__
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

static bool has_zen4(void)
{
#ifdef __x86_64__
    return has_avx512() && __builtin_cpu_is("amd");
#else
    return false;
#endif
}

static bool has_bf16(void)
{
#ifdef __x86_64__
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

/* has_amx - the processor says so (leaf 7, EDX bit 22), and the system lets us. */
static bool has_amx(void)
{
#if defined(__x86_64__) && defined(__linux__)
    unsigned a, b, c, d;
    long     answer = 158; /* arch_prctl(ARCH_REQ_XCOMP_PERM, 18) */
    if (!has_bf16() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d >> 22 & 1))
        return false;
    __asm__ volatile("syscall" : "+a"(answer) : "D"(0x1023L), "S"(18L) : "rcx", "r11", "memory");
    return answer == 0;
#else
    return false;
#endif
}

/* Without optimization gcc has these two as macros, with a sign conversion in them that
 * -Wconversion would lay at the caller's door. */
#define QUIET(text)                                                                                \
    "#pragma GCC diagnostic push\n"                                                                \
    "#pragma GCC diagnostic ignored \"-Wsign-conversion\"\n" text "#pragma GCC diagnostic pop\n"

static const Support avx512_support[] = {
    PLAIN_POINTER,
    {"halves_16", "static inline __m256i halves_16(const uint16_t *p)\n"
                  "{\n"
                  "    return _mm256_loadu_si256((const __m256i *)(const void *)p);\n"
                  "}\n"},
    {"widen_bf16_16",
     QUIET("static inline __m512 widen_bf16_16(__m256i a)\n"
           "{\n"
           "    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));\n"
           "}\n")},
    {"pick_8_16",
     QUIET("static inline __m512 pick_8_16(__m512 a, int lane)\n"
           "{\n"
           "    const __m512i first = _mm512_set_epi32(8, 8, 8, 8, 8, 8, 8, 8, 0, 0, 0, 0, "
           "0, 0, 0, 0);\n"
           "    return _mm512_permutexvar_ps(_mm512_add_epi32(first, "
           "_mm512_set1_epi32(lane)), a);\n"
           "}\n")},
    {"pick_2_16", QUIET("static inline __m512 pick_2_16(__m512 a, int lane)\n"
                        "{\n"
                        "    return lane ? _mm512_movehdup_ps(a) : _mm512_moveldup_ps(a);\n"
                        "}\n")},
    {"swap_16", QUIET("static inline __m512 swap_16(__m512 a, int lanes)\n"
                      "{\n"
                      "    const __m512 b = lanes & 2 ? _mm512_permute_ps(a, 0x4e) : a;\n"
                      "    return lanes & 4 ? _mm512_shuffle_f32x4(b, b, 0xb1) : b;\n"
                      "}\n")},
    {"round_f326", QUIET("static inline __m512 round_f326(__m512 a)\n"
                         "{\n"
                         "    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT);\n"
                         "}\n")},
    {"exponent_16", QUIET("static inline __m512 exponent_16(__m512 a)\n"
                          "{\n"
                          "    return _mm512_getexp_ps(a);\n"
                          "}\n")},
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
    {"pair_2", "static inline int32_t pair_2(const uint16_t *p)\n"
               "{\n"
               "    int32_t pair;\n"
               "    __builtin_memcpy(&pair, p, sizeof pair);\n"
               "    return pair;\n"
               "}\n"},
    {"pairs_32", "static inline __m512i pairs_32(const uint16_t *p)\n"
                 "{\n"
                 "    return _mm512_loadu_si512((const void *)p);\n"
                 "}\n"},
    {"store_halves_16", "static inline void store_halves_16(uint16_t *p, __m256i a)\n"
                        "{\n"
                        "    _mm256_storeu_si256((__m256i *)(void *)p, a);\n"
                        "}\n"},
    /* Linux gives a process the registers when it asks for them: arch_prctl(ARCH_REQ_XCOMP_PERM, 18). */
    {"matrix_begin",
     "#if !defined(__linux__)\n"
     "#error \"products of matrices are for Linux, which has to be asked for them\"\n"
     "#endif\n"
     "static inline void matrix_begin(const unsigned char *shapes)\n"
     "{\n"
     "    static int asked;\n"
     "    if (!asked) {\n"
     "        long done = 158;\n"
     "        __asm__ volatile(\"syscall\"\n"
     "                         : \"+a\"(done)\n"
     "                         : \"D\"(0x1023L), \"S\"(18L)\n"
     "                         : \"rcx\", \"r11\", \"memory\");\n"
     "        asked = 1;\n"
     "    }\n"
     "    _tile_loadconfig(shapes);\n"
     "}\n"},
};
enum { AMX_SUPPORT = 1, AMX_ROWS = 6, BF16_SUPPORT = 3 + AMX_SUPPORT, BF16_ROWS = 6 + AMX_ROWS };

/* clang-format off */
static const Instr avx512[] = {
    /* kind     elem lanes  C text */
    {I_PREFETCH, F32, 16, "_mm_prefetch((const char *)(%a), _MM_HINT_T0)"},
    {I_PREFETCH_L2, F32, 16, "_mm_prefetch((const char *)(%a), _MM_HINT_T1)"},
    {I_LOAD,     F32, 16, "_mm512_loadu_ps(%a)"},
    {I_STORE,    F32, 16, "_mm512_storeu_ps(%a, %b)"},
    {I_LOAD,     F16, 16, "halves_16(%a)"},
    {I_WIDEN,    F16, 16, "_mm512_cvtph_ps(%a)"},
    {I_LOAD,    BF16, 16, "halves_16(%a)"},
    {I_WIDEN,   BF16, 16, "widen_bf16_16(%a)"},
    {I_SPLAT,    F32, 16, "_mm512_set1_ps(%a)"},
    {I_PICK_2,   F32, 16, "pick_2_16(%a, %b)"},
    {I_PICK_4,   F32, 16, "_mm512_permute_ps(%a, 0x55 * %b)"},
    {I_PICK_8,   F32, 16, "pick_8_16(%a, %b)"},
    {I_SWAP,     F32, 16, "swap_16(%a, %b)"},
    {I_ADD,      F32, 16, "_mm512_add_ps(%a, %b)"},
    {I_SUB,      F32, 16, "_mm512_sub_ps(%a, %b)"},
    {I_MUL,      F32, 16, "_mm512_mul_ps(%a, %b)"},
    {I_DIV,      F32, 16, "_mm512_div_ps(%a, %b)"},
    {I_MAX,      F32, 16, "_mm512_max_ps(%a, %b)"},
    {I_MIN,      F32, 16, "_mm512_min_ps(%a, %b)"},
    {I_FMA,      F32, 16, "_mm512_fmadd_ps(%a, %b, %c)"},
    /* The bitwise forms need AVX-512DQ; -0 - a is -a for zeros of either sign too. */
    {I_NEG,      F32, 16, "_mm512_sub_ps(_mm512_set1_ps(-0.0f), %a)"},
    {I_ABS,      F32, 16, "_mm512_abs_ps(%a)"},
    {I_FLOOR,    F32, 16, "_mm512_floor_ps(%a)"},
    {I_ROUND,    F32, 16, "round_f326(%a)"},
    {I_SQRT,     F32, 16, "_mm512_sqrt_ps(%a)"},
    {I_LDEXP,    F32, 16, "_mm512_scalef_ps(%a, %b)"},
    {I_EXPONENT, F32, 16, "exponent_16(%a)"},
    {I_FMA,      F32, 1,  "__builtin_fmaf(%a, %b, %c)"},
    {I_ABS,      F32, 1,  "__builtin_fabsf(%a)"},
    {I_FLOOR,    F32, 1,  "floor_f32(%a)"},
    {I_ROUND,    F32, 1,  "round_f32(%a)"},
    {I_SQRT,     F32, 1,  "_mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(%a)))"},
    {I_LOAD,    BF16, 2,  "pair_2(%a)"},
    {I_LOAD,    BF16, 32, "pairs_32(%a)"},
    {I_SPLAT,   BF16, 32, "_mm512_set1_epi32(%a)"},
    {I_DOT,     BF16, 16, "_mm512_dpbf16_ps(%c, (__m512bh)%a, (__m512bh)%b)"},
    {I_NARROW,  BF16, 16, "(__m256i)_mm512_cvtneps_pbh(%a)"},
    {I_STORE,   BF16, 16, "store_halves_16(%a, %b)"},
    {I_MATRIX_BEGIN, F32, 16, "matrix_begin(%a)"},
    {I_MATRIX_END,   F32, 16, "_tile_release()"},
    {I_MATRIX_ZERO,  F32, 16, "_tile_zero(%a)"},
    {I_MATRIX_LOAD, BF16, 16, "_tile_loadd(%a, %b, %c)"},
    {I_MATRIX_STORE, F32, 16, "_tile_stored(%a, %b, %c)"},
    {I_MATRIX_DOT,  BF16, 16, "_tile_dpbf16ps(%a, %b, %c)"},
};
/* clang-format on */

/* What the three have in common. */
#define AVX512                                                                                     \
    .lanes = 16, .vector_regs = 32, .has_fma = true, .splats_operands = true,                      \
    .plain_pointer = "plain_pointer", .vector_type = "__m512", .half_type = "__m256i",             \
    .header = "immintrin.h", .cross_cc = "x86_64-linux-gnu-gcc", .machine = "x86_64",              \
    .byte_order = BYTES_LITTLE, .halo = true, .l1_bytes = 32 << 10, .l2_bytes = 1 << 20,           \
    .l3_bytes = 16 << 20, .instrs = avx512, .support = avx512_support

/* Without pairs or matrices. What is kept in vectors of 256 bits gets 32 registers too (AVX-512VL): LeNet-5 0.94. */
#define AVX512_PLAIN                                                                               \
    AVX512, .narrow = &target_x86_avx2, .guard = "defined(__AVX512F__) && defined(__FMA__)",       \
            .guard_hint = "compile with -mavx512f -mfma",                                          \
            .c_flags = "-O2 -mavx512f -mavx512vl -mfma -mf16c",                                    \
            .n_instrs = (int)COUNT_OF(avx512) - BF16_ROWS,                                         \
            .n_support = (int)COUNT_OF(avx512_support) - BF16_SUPPORT

const Target target_x86_avx512 = {
    .name = "x86-avx512",
    .about = "x86 with AVX-512F and FMA, 512-bit vectors",
    AVX512_PLAIN,
    .cpu_has = has_avx512,
};

/* AMD's cores since Zen 4 start a vector of multiply-adds and one of additions in each cycle (Zen 5: two of each);
 * Intel's with 512 bits start either. */
const Target target_x86_zen4 = {
    .name = "x86-zen4",
    .about = "AMD since Zen 4: AVX-512F and FMA, with additions beside multiplications",
    AVX512_PLAIN,
    .adders = true,
    .cpu_has = has_zen4,
};

const Target target_x86_avx512_bf16 = {
    .name = "x86-avx512-bf16",
    .about = "x86 with AVX-512F, FMA and AVX512-BF16, for --fp fast",
    AVX512,
    .pair_type = "__m512i",
    .dot_gain = 2,
    .guard = "defined(__AVX512BF16__) && defined(__FMA__)",
    .guard_hint = "compile with -mavx512bf16 -mfma",
    .c_flags = "-O2 -mavx512bf16 -mfma",
    .cpu_has = has_bf16,
    .n_instrs = (int)COUNT_OF(avx512) - AMX_ROWS,
    .n_support = (int)COUNT_OF(avx512_support) - AMX_SUPPORT,
};

const Target target_x86_amx = {
    .name = "x86-amx",
    .about = "x86 with AVX-512F, FMA and AMX-BF16, for --fp fast",
    AVX512,
    .pair_type = "__m512i",
    .dot_gain = 5,
    .matrix_rows = 16,
    .guard = "defined(__AVX512BF16__) && defined(__FMA__) && "
             "(defined(__AMX_BF16__) || defined(__AMXBF16__))",
    .guard_hint = "compile with -mavx512bf16 -mamx-tile -mamx-bf16 -mfma",
    .c_flags = "-O2 -mavx512bf16 -mamx-tile -mamx-bf16 -mfma",
    .cpu_has = has_amx,
    .n_instrs = (int)COUNT_OF(avx512),
    .n_support = (int)COUNT_OF(avx512_support),
};
