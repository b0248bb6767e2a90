/* arm.c - aarch64: 128-bit NEON, with fused multiply-add.
 *
 * Intrinsics as in Arm's "Arm C Language Extensions" (ACLE), section Advanced SIMD. */
#include "target/target.h"

static const Support support[] = {
    /* vmaxq_f32 returns NaN when either operand is one; the comparison picks b, as plain C does. */
    {"max_4", "static inline float32x4_t max_4(float32x4_t a, float32x4_t b)\n"
              "{\n"
              "    return vbslq_f32(vcgtq_f32(a, b), a, b);\n"
              "}\n"},
    {"min_4", "static inline float32x4_t min_4(float32x4_t a, float32x4_t b)\n"
              "{\n"
              "    return vbslq_f32(vcltq_f32(a, b), a, b);\n"
              "}\n"},
    {"pick_2_4", "static inline float32x4_t pick_2_4(float32x4_t a, int lane)\n"
                 "{\n"
                 "    return lane ? vtrn2q_f32(a, a) : vtrn1q_f32(a, a);\n"
                 "}\n"},
    /* 2^b, built from its exponent bits. */
    {"pow2_4", "static inline float32x4_t pow2_4(float32x4_t b)\n"
               "{\n"
               "    const int32x4_t biased = vaddq_s32(vcvtq_s32_f32(b), vdupq_n_s32(127));\n"
               "    return vreinterpretq_f32_s32(vshlq_n_s32(biased, 23));\n"
               "}\n"},
    {"exponent_4", "static inline float32x4_t exponent_4(float32x4_t a)\n"
                   "{\n"
                   "    const int32x4_t biased = vshrq_n_s32(vreinterpretq_s32_f32(a), 23);\n"
                   "    return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));\n"
                   "}\n"},
    {"floor_f32", "static inline float floor_f32(float a)\n"
                  "{\n"
                  "    return vget_lane_f32(vrndm_f32(vdup_n_f32(a)), 0);\n"
                  "}\n"},
    {"sqrt_f32", "static inline float sqrt_f32(float a)\n"
                 "{\n"
                 "    return vget_lane_f32(vsqrt_f32(vdup_n_f32(a)), 0);\n"
                 "}\n"},
};

/* clang-format off */
static const Instr instrs[] = {
    /* kind     elem lanes  C text */
    {I_PREFETCH, F32, 4, "__builtin_prefetch(%a)"},
    {I_PREFETCH_L2, F32, 4, "__builtin_prefetch(%a, 0, 2)"},
    {I_LOAD,     F32, 4, "vld1q_f32(%a)"},
    {I_STORE,    F32, 4, "vst1q_f32(%a, %b)"},
    {I_LOAD,     F16, 4, "vld1_u16(%a)"},
    {I_WIDEN,    F16, 4, "vcvt_f32_f16(vreinterpret_f16_u16(%a))"},
    {I_LOAD,    BF16, 4, "vld1_u16(%a)"},
    {I_WIDEN,   BF16, 4, "vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(%a), 16))"},
    {I_SPLAT,    F32, 4, "vdupq_n_f32(%a)"},
    {I_PICK_2,   F32, 4, "pick_2_4(%a, %b)"},
    {I_ADD,      F32, 4, "vaddq_f32(%a, %b)"},
    {I_SUB,      F32, 4, "vsubq_f32(%a, %b)"},
    {I_MUL,      F32, 4, "vmulq_f32(%a, %b)"},
    {I_DIV,      F32, 4, "vdivq_f32(%a, %b)"},
    {I_MAX,      F32, 4, "max_4(%a, %b)"},
    {I_MIN,      F32, 4, "min_4(%a, %b)"},
    {I_FMA,      F32, 4, "vfmaq_f32(%c, %a, %b)"},
    {I_NEG,      F32, 4, "vnegq_f32(%a)"},
    {I_ABS,      F32, 4, "vabsq_f32(%a)"},
    {I_FLOOR,    F32, 4, "vrndmq_f32(%a)"},
    {I_ROUND,    F32, 4, "vrndnq_f32(%a)"},
    {I_SQRT,     F32, 4, "vsqrtq_f32(%a)"},
    {I_LDEXP,    F32, 4, "vmulq_f32(%a, pow2_4(%b))"},
    {I_EXPONENT, F32, 4, "exponent_4(%a)"},
    {I_FMA,      F32, 1, "__builtin_fmaf(%a, %b, %c)"},
    {I_ABS,      F32, 1, "__builtin_fabsf(%a)"},
    {I_FLOOR,    F32, 1, "floor_f32(%a)"},
    {I_ROUND,    F32, 1, "vrndns_f32(%a)"},
    {I_SQRT,     F32, 1, "sqrt_f32(%a)"},
};
/* clang-format on */

const Target target_aarch64 = {
    .name = "aarch64",
    .about = "64-bit Arm with NEON, 128-bit vectors, fused multiply-add",
    .lanes = 4,
    .vector_regs = 32,
    .has_fma = true,
    .vector_type = "float32x4_t",
    .half_type = "uint16x4_t",
    .header = "arm_neon.h",
    .guard = "defined(__aarch64__) && defined(__ARM_NEON)",
    .guard_hint = "compile for 64-bit Arm with NEON, the default of aarch64 compilers",
    .c_flags = "-O2",
    .cross_cc = "aarch64-linux-gnu-gcc",
    .machine = "aarch64",
    .emulator = "qemu-aarch64 -L /usr/aarch64-linux-gnu",
    .byte_order = BYTES_LITTLE,
    .halo = true,
    .l1_bytes = 32 << 10,
    .l2_bytes = 512 << 10,
    .l3_bytes = 4 << 20,
    .instrs = instrs,
    .n_instrs = (int)COUNT_OF(instrs),
    .support = support,
    .n_support = (int)COUNT_OF(support),
};
