/* box.c - copies of boxes between layouts.
 *
 * Channel c of a value with block b is stored in block c / b at lane c % b, which is no affine
 * index. So channels are cut into runs that stay within one block of both sides. The cuts repeat
 * with the least common multiple of both blocks:
 *
 *     x, block 4          |0 1 2 3|4 5 6 7|8 ...
 *     y, block 4, from 6    |6 7|8 9 . .|. . . .|        runs of 2 and 2, period 4 */
#include "ops/ops.h"

/* A run of channels: `count` of them from x0 and y0, and the same again each `period`, `repeats`
 * times. */
typedef struct Run {
    int64_t x0, y0, count, period, repeats;
} Run;

static int64_t least_multiple(int64_t a, int64_t b)
{
    int64_t m = a;
    while (m % b != 0)
        m += a;
    return m;
}

/* The position at channel c0 + cl + period * p: cl stays within one block. */
static void at_channels(At *at, int64_t block, int64_t c0, int64_t period, LoopId p, LoopId cl)
{
    at->block = block;
    at->cb = affine_offset(affine_scale(affine_loop(p), period / block), c0 / block);
    if (block > 1)
        at->cl = affine_offset(affine_loop(cl), c0 % block);
    else
        at->cb = affine_add(at->cb, affine_loop(cl));
}

/* The innermost loop may become vectors, where its steps are neighbours in memory on both sides. */
static void mark_lane(Kernel *k, const Box *box, const LoopId loops[5])
{
    LoopId lane = loops[4];
    if (!lane && box->extent[3] > 1)
        lane = loops[3];
    else if (!lane && box->extent[2] == 1)
        lane = loops[1];
    if (lane)
        k->loops[lane].axis = AXIS_LANE;
}

static void copy_run(Graph *g, Kernel *k, ValueId xv, ValueId yv, const Box *box, const Run *run)
{
    const Type  *xt = &value_get(g, xv)->type, *yt = &value_get(g, yv)->type;
    const LoopId loops[5] = {kernel_loop_if(k, "n", box->extent[0], PARALLEL, AXIS_NONE),
                             kernel_loop_if(k, "c", run->repeats, PARALLEL, AXIS_NONE),
                             kernel_loop_if(k, "h", box->extent[2], PARALLEL, AXIS_NONE),
                             kernel_loop_if(k, "w", box->extent[3], PARALLEL, AXIS_NONE),
                             kernel_loop_if(k, "cl", run->count, PARALLEL, AXIS_NONE)};
    Affine       from[4], to[4];
    for (int i = 0; i < 4; i++) {
        Affine l = affine_loop(loops[i]);
        from[i] = affine_offset(affine_scale(l, box->step[i]), box->from[i]);
        to[i] = affine_offset(l, box->to[i]);
    }
    At x = {.n = from[0], .h = from[2], .w = from[3]}, y = {.n = to[0], .h = to[2], .w = to[3]};
    at_channels(&x, xt->layout.block, run->x0, run->period, loops[1], loops[4]);
    at_channels(&y, yt->layout.block, run->y0, run->period, loops[1], loops[4]);
    mark_lane(k, box, loops);
    Stmt *store = lower_store(g, k, yv, &y, lower_load(g, k, xv, xt, &x));
    st_add(k, k->body, lower_nest(k, loops, 5, store));
}

/* Channels to the end of the block that ends first; with both plain there are no blocks, and the
 * channels of a period of 1 are counted by the loop over periods. */
static int64_t run_length(int64_t x, int64_t bx, int64_t y, int64_t by)
{
    int64_t in_x = bx > 1 ? bx - x % bx : INT64_MAX, in_y = by > 1 ? by - y % by : INT64_MAX;
    int64_t shorter = in_x < in_y ? in_x : in_y;
    return shorter == INT64_MAX ? 1 : shorter;
}

static int64_t at_most(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The runs of `count` channels from the box's first, repeated. */
static void copy_runs(Graph *g, Kernel *k, ValueId x, ValueId y, const Box *box, Run run)
{
    int64_t bx = value_get(g, x)->type.layout.block, by = value_get(g, y)->type.layout.block;
    int64_t left = run.count;
    while (left > 0) {
        run.count = at_most(left, run_length(run.x0, bx, run.y0, by));
        copy_run(g, k, x, y, box, &run);
        run.x0 += run.count;
        run.y0 += run.count;
        left -= run.count;
    }
}

void box_copy(Graph *g, Kernel *k, ValueId x, ValueId y, const Box *box)
{
    for (int i = 0; i < 4; i++)
        if (box->extent[i] < 1)
            return;
    int64_t period =
        least_multiple(value_get(g, x)->type.layout.block, value_get(g, y)->type.layout.block);
    Run     whole = {box->from[1], box->to[1], period, period, box->extent[1] / period};
    int64_t done = whole.repeats * period;
    if (whole.repeats > 0)
        copy_runs(g, k, x, y, box, whole);
    Run rest = {box->from[1] + done, box->to[1] + done, box->extent[1] - done, period, 1};
    copy_runs(g, k, x, y, box, rest);
}

void box_fill(Graph *g, Kernel *k, ValueId y, const Box *box, double value)
{
    const Type *t = &value_get(g, y)->type;
    int64_t     block = t->layout.block, channels = (box->extent[1] + block - 1) / block;
    if (box->extent[0] < 1 || channels < 1 || box->extent[2] < 1 || box->extent[3] < 1)
        return;
    LoopAxis    w_axis = block == 1 ? AXIS_LANE : AXIS_NONE;
    LoopId      loops[5] = {kernel_loop_if(k, "n", box->extent[0], PARALLEL, AXIS_NONE),
                            kernel_loop_if(k, "c", channels, PARALLEL, AXIS_NONE),
                            kernel_loop_if(k, "h", box->extent[2], PARALLEL, AXIS_NONE),
                            kernel_loop_if(k, "w", box->extent[3], PARALLEL, w_axis),
                            kernel_loop_if(k, "cl", block, PARALLEL, AXIS_LANE)};
    At          at = {.block = block,
                      .n = affine_offset(affine_loop(loops[0]), box->to[0]),
                      .cb = affine_offset(affine_loop(loops[1]), box->to[1] / block),
                      .cl = affine_loop(loops[4]),
                      .h = affine_offset(affine_loop(loops[2]), box->to[2]),
                      .w = affine_offset(affine_loop(loops[3]), box->to[3])};
    const Expr *e = ex_cast(k, t->elem, ex_const(k, value));
    st_add(k, k->body, lower_nest(k, loops, 5, lower_store(g, k, y, &at, e)));
}

void box_zero_channels(Graph *g, Kernel *k, ValueId y)
{
    const Type *t = &value_get(g, y)->type;
    int64_t     d[4], block = t->layout.block;
    if (!dims_nchw(t, d) || d[1] % block == 0)
        return;
    LoopId      loops[4] = {kernel_loop_if(k, "n", d[0], PARALLEL, AXIS_NONE),
                            kernel_loop_if(k, "h", d[2], PARALLEL, AXIS_NONE),
                            kernel_loop_if(k, "w", d[3], PARALLEL, AXIS_NONE),
                            kernel_loop_if(k, "cl", block - d[1] % block, PARALLEL, AXIS_NONE)};
    At          at = {.block = block,
                      .n = affine_loop(loops[0]),
                      .cb = affine_const(d[1] / block),
                      .cl = affine_offset(affine_loop(loops[3]), d[1] % block),
                      .h = affine_loop(loops[1]),
                      .w = affine_loop(loops[2])};
    const Expr *zero = ex_cast(k, t->elem, ex_const(k, 0));
    st_add(k, k->body, lower_nest(k, loops, 4, lower_store(g, k, y, &at, zero)));
}
