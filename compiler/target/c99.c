/* c99.c - portable C: one lane, no extension. The baseline, and what firmware is made from.
 *
 * The table is empty: plain C has an operator for what a scalar kernel needs, and emission brings
 * small functions for the rest. Byte order is unknown, so that the same file compiles anywhere. */
#include "target/target.h"

const Target target_c99 = {
    .name = "c99",
    .about = "portable C99, no vectors, no extensions",
    .lanes = 1,
    .vector_regs = 32,
    .has_fma = false,
    .c_flags = "-std=c99 -O2",
    .byte_order = BYTES_UNKNOWN,
    .halo = false,
    .l1_bytes = 32 << 10,
    .l2_bytes = 256 << 10,
    .l3_bytes = 2 << 20,
};
