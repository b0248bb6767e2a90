/* conv_cut.c - how the channels of a convolution are cut into blocks and groups.
 *
 * Narrow groups that share a block of L lanes: with 4 channels a group, 4 groups share a vector of 16, and
 * output lane l needs channel s of its own group, l/4*4 + s, at step s of 4. Where the target has an instruction
 * that picks that lane in each group, it takes as many steps as a group has channels, and the weights are what
 * they are. Otherwise they are made dense: between the groups of a block they are zero, a block becomes a group
 * of L, and L/4 times as much is multiplied. */
#include "ops/ops.h"
#include "target/target.h"

#include <string.h>

int64_t whole_blocks(int64_t channels, int64_t lanes)
{
    return (channels + lanes - 1) / lanes * lanes;
}

/* Weights of one block of `lanes` channels as a full matrix, zero between the groups inside it:
 * [O, cg, KH, KW] becomes [O, lanes, KH, KW]. */
static const Tensor *dense_groups(Arena *a, const Tensor *w, int64_t lanes)
{
    const int64_t *d = w->type.dims;
    int64_t        cg = d[1], taps = d[2] * d[3];
    Tensor        *t = tensor_new(a, w->type.elem, 4, (int64_t[]){d[0], lanes, d[2], d[3]});
    const size_t   size = elem_bytes(w->type.elem);
    const char    *from = w->data;
    char          *to = (char *)(uintptr_t)t->data;
    for (int64_t o = 0; o < d[0]; o++) {
        int64_t first = o % lanes / cg * cg; /* the group's first channel within the block */
        memcpy(to + (size_t)((o * lanes + first) * taps) * size,
               from + (size_t)(o * cg * taps) * size, (size_t)(cg * taps) * size);
    }
    return t;
}

/* Groups of `cg` channels on both sides, parts of a block: a block is a group. */
static ConvCut cut_narrow(const Kernel *k, ConvCut c, int64_t cg, int64_t channels)
{
    c.groups = channels / c.by;
    c.oc = c.ic = c.by;
    c.icb = 1;
    if (k->target && target_picks(k->target, cg))
        c.picked = c.il = c.ic = cg;
    else
        c.weight = c.weight ? dense_groups(k->arena, c.weight, c.by) : NULL;
    return c;
}

ConvCut conv_cut(const Graph *g, const Kernel *k, const Node *n, const Tensor *w)
{
    const Type *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    int64_t     groups = n->attrs.groups, ocg = y->dims[1] / groups, icg = x->dims[1] / groups;
    int64_t     by = y->layout.block, bx = x->layout.block;
    int64_t     il = icg < bx && groups == 1 ? icg : bx;
    if (bx > 1 && x->elem == BF16)
        il += il % 2; /* they are multiplied in pairs */
    ConvCut c = {groups, ocg, icg, by, bx, icg / bx, il, 0, false, w};
    if (by == 1)
        return c;
    if (groups > 1 && ocg == 1 && icg == 1) {
        c.depthwise = true;
        c.groups = whole_blocks(y->dims[1], by) / by;
        c.oc = by;
        c.ic = c.icb = c.il = 1;
        return c;
    }
    if (groups > 1 && icg % bx != 0)
        return cut_narrow(k, c, icg, y->dims[1]);
    c.oc = whole_blocks(ocg, by);
    c.ic = whole_blocks(icg, bx);
    c.icb = c.ic / bx;
    return c;
}
