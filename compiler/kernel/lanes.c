/* lanes.c - the loops that become the lanes of a vector, and how an index moves along them.
 *
 * One loop over all lanes; or, where several groups of channels share a vector, one over groups with one over
 * the channels of a group right inside:
 *
 *     for og in 4 { for ol in 4 { acc += x[.. + 4*og + s] * w[.. + 4*og + ol] } }
 *
 * There w is a vector, and x the same in all lanes of a group: lane s of each group of the vector x[.. : 16]. */
#include "kernel/kernel.h"
#include "target/target.h"

Lanes lanes_of(const Kernel *k, const Stmt *s)
{
    const Stmt *in = s->body;
    bool        two = k->loops[s->loop].axis == AXIS_GROUP && in->kind == S_FOR &&
               k->loops[in->loop].axis == AXIS_LANE;
    return (Lanes){s->loop, two ? in->loop : 0};
}

const Stmt *lanes_body(const Lanes *l, const Stmt *s)
{
    return l->within ? s->body->body : s->body;
}

int64_t lanes_count(const Kernel *k, const Lanes *l)
{
    return k->loops[l->loop].extent * (l->within ? k->loops[l->within].extent : 1);
}

Affine lanes_first(const Lanes *l, const Affine *index)
{
    Affine zero = affine_const(0), at = affine_subst(index, l->loop, &zero);
    return affine_subst(&at, l->within, &zero);
}

/* The part of an index that a step from group to group is no divisor of. */
static Affine within_group(const Affine *index, int64_t group)
{
    int64_t rest = index->constant - floor_div(index->constant, group) * group;
    Affine  lane = affine_const(rest);
    for (int64_t i = 0; i < index->n_terms; i++)
        if (index->coef[i] % group)
            lane = affine_add(lane, affine_scale(affine_loop(index->loop[i]), index->coef[i]));
    return lane;
}

LaneStep lanes_step(const Kernel *k, const Lanes *l, const Affine *index, Affine *lane)
{
    int64_t outer = affine_coef(index, l->loop), inner = affine_coef(index, l->within);
    if (!outer && !inner)
        return LANES_SAME;
    if (!l->within)
        return outer == 1 ? LANES_APART : LANES_ODD;
    int64_t group = k->loops[l->within].extent;
    if (outer != group || inner > 1 || inner < 0)
        return LANES_ODD;
    if (inner)
        return LANES_APART;
    *lane = within_group(index, group);
    Range r = affine_range(k, lane);
    bool  can = target_find(k->target, target_pick(group), F32, k->target->lanes);
    return can && r.min >= 0 && r.max < group ? LANES_PICKED : LANES_ODD;
}
