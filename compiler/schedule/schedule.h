/* schedule.h - how a kernel is to run: a few small numbers.
 *
 *   choose.c   a schedule from the kernel's loops and the target's data, with reasons
 *   file.c     schedules as JSON (--schedule): overrides per node */
#ifndef KILN_SCHEDULE_H
#define KILN_SCHEDULE_H

#include "base/base.h"

struct Kernel;
struct Target;

typedef enum { DIRECT } Algorithm;

/* A member that is 0 is still to be decided. Tiles count iterations of the loop tagged with the axis: AXIS_M rows (pixels), AXIS_N vectors of
 * output channels (single channels where lanes is 1). */
typedef struct Schedule {
    Algorithm algorithm;
    int       tile_m, tile_n; /* accumulators: pixels x vectors; fits Target.vector_regs */
    int       unroll_k;       /* copies of the innermost reduction step; 1: rolled */
} Schedule;

/* The choice itself is the kernel pass kpass_schedule (kernel.h): from the loops and the target's data
 * it fills the members of Kernel.schedule that are still 0, and adds its reasons to the notes. */

/* Overrides by node name; applied between lowering and the kernel passes. */
typedef struct ScheduleFile ScheduleFile;
ScheduleFile               *schedule_read(Arena *a, Diag *d, const char *path);
/* schedule_override - change the members given for `node` in the file; true when there were any. */
bool schedule_override(ScheduleFile *f, const char *node, Schedule *s);
/* schedule_check_used - an error for each node named in the file that never came up. */
void schedule_check_used(ScheduleFile *f, Diag *d);

#endif
