/* pipeline.c - the kernel passes in order. */
#include "kernel/kernel.h"

const KernelPass kernel_passes[] = {
    {"merge", kpass_merge, NULL,
     "needs the canonical nest; first, because fewer and longer loops give every later choice more "
     "to work with"},
    {"schedule", kpass_schedule, NULL,
     "counts the iterations of the loops as merged; before any pass that acts on the numbers"},
    {"border", kpass_border, NULL,
     "needs whole loops: once they are split, a cut would go through the middle of a tile"},
    {"tile", kpass_tile, "unroll",
     "needs the schedule, and border's interior nests, which it splits exactly like any other"},
    {"pack", kpass_pack, NULL,
     "needs the final order of the loops, and loads that still name each loop they depend on"},
    {"vectorize", kpass_vectorize, NULL,
     "needs constants that pack has given unit stride along the lanes; a loop over others stays scalar"},
    {"promote", kpass_promote, NULL,
     "needs vector loads as they are, to see which ones the copies of a tile have in common"},
    {"unroll", kpass_unroll, NULL,
     "last: afterwards there are no tile loops, nor VECTOR loops that vectorize has left, and every "
     "element of a temporary has its own name"},
};

const int n_kernel_passes = (int)COUNT_OF(kernel_passes);
