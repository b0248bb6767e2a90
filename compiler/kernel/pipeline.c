/* pipeline.c - the kernel passes in order. */
#include "kernel/kernel.h"

#include <string.h>

const KernelPass kernel_passes[] = {
    {"merge",
     kpass_merge,
     {NULL},
     "needs the canonical nest; first, because fewer and longer loops give every later choice more "
     "to work with"},
    {"schedule",
     kpass_schedule,
     {NULL},
     "counts the iterations of the loops as merged; before any pass that acts on the numbers"},
    {"pair",
     kpass_pair,
     {NULL},
     "the schedule counts products; before tile, which keeps a pair inside the loops that it pushes, "
     "where pack then finds its weights to lie side by side"},
    {"border",
     kpass_border,
     {NULL},
     "needs whole loops: once they are split, a cut would go through the middle of a tile"},
    {"tile",
     kpass_tile,
     {"pack", "vectorize", "unroll"},
     "needs the schedule, and border's interior nests, which it splits exactly like any other; makes "
     "loops that only the later passes turn into code worth having"},
    {"pack",
     kpass_pack,
     {NULL},
     "needs the final order of the loops, and loads that still name each loop they depend on"},
    {"vectorize",
     kpass_vectorize,
     {"unroll"},
     "needs constants that pack has given unit stride along the lanes; a loop over others stays scalar. "
     "The lane that a pick takes is a constant once unroll has run"},
    {"turn",
     kpass_turn,
     {"unroll"},
     "needs vectors, and the loop over the lane that is picked; before promote, which shares what "
     "the sums of a pixel read"},
    {"matrix",
     kpass_matrix,
     {"unroll"},
     "needs dot products in vectors, and the loops of the tile as they are; before promote, which then "
     "shares the matrices"},
    {"promote",
     kpass_promote,
     {NULL},
     "needs vector loads as they are, to see which ones the copies of a tile have in common"},
    {"announce",
     kpass_announce,
     {NULL},
     "sees what a step loads once promote has shared it, and the loops of the tile while they are loops"},
    {"unroll",
     kpass_unroll,
     {NULL},
     "afterwards there are no tile loops, nor VECTOR loops that vectorize has left, and every "
     "element of a temporary has its own name"},
    {"reuse",
     kpass_reuse,
     {NULL},
     "last: which sums take the same vector shows when each has its own statement"},
};

const int n_kernel_passes = (int)COUNT_OF(kernel_passes);

static bool is_disabled(const char *name, const char *const *disabled, int n_disabled)
{
    for (int i = 0; i < n_disabled; i++)
        if (disabled[i] && !strcmp(disabled[i], name))
            return true;
    return false;
}

bool kernel_pass_runs(int i, const char *const *disabled, int n_disabled)
{
    const KernelPass *p = &kernel_passes[i];
    for (size_t j = 0; j < COUNT_OF(p->finished_by) && p->finished_by[j]; j++)
        if (is_disabled(p->finished_by[j], disabled, n_disabled))
            return false;
    return !is_disabled(p->name, disabled, n_disabled);
}
