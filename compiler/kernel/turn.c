/* turn.c - groups that share a vector are summed without picking a lane at a time.
 *
 *     for il in 4 { for ow1 in 14 { acc[ow1] += pick(x[.. + ow1*16:16], il of 4) * w[.. + il*16:16] } }
 *  becomes
 *     for ip in 2 { for ow1 in 14 { for t in 2 {
 *         turned[ow1][t] += pick(x[.. + ow1*16:16], ip of 2) * w[.. + ip*32 + t*16:16] } } }
 *
 * Picking one lane of four keeps a unit busy that multiply-adds need, picking one of each two is a part of reading
 * the vector. Then each pair of lanes has the channels of its own pair alone. Sum t has in its place what they
 * make for the pair 2t lanes away, in the sense of xor: in the end, once for all taps,
 *
 *     acc[ow1] += swap(turned[ow1][t], 2 * t)
 *
 * There are as many products as before, and each vector read serves all t. The weights are laid out for that:
 * those of sum t and lane l are channel 2 * (l / 2) + ip of output l ^ 2t (View.turned_group). */
#include "kernel/kernel.h"
#include "target/target.h"

#include <string.h>

#define MAX_TILE_LOOPS 3

/* What takes the place of the sums of `acc`. */
typedef struct Turn {
    int    group;
    TempId acc, sums;
    LoopId turns;
    LoopId tile[MAX_TILE_LOOPS]; /* outermost first */
    int    n_tile;
} Turn;

typedef struct Turner {
    Kernel   *k;
    Turn      now;    /* of the reduction that is being rewritten; acc 0: none */
    BufferId *turned; /* by buffer: the same with its weights turned; 0: none yet */
    bool      changed;
} Turner;

static const Expr *weight_load(const Expr *product)
{
    const Expr *w = product->b;
    return w && w->kind == E_CAST ? w->a : w;
}

/* is_chunk - whether the weights of all channels of a group, `all` elements, are a piece that an index finds at
 * once but for the step `il` of `lanes`. */
static bool is_chunk(const Affine *index, LoopId il, int lanes, int64_t all)
{
    for (int64_t i = 0; i < index->n_terms; i++)
        if (index->loop[i] == il ? index->coef[i] != lanes : index->coef[i] % all != 0)
            return false;
    return affine_coef(index, il) == lanes && index->constant % all == 0;
}

/* picks_all - whether `e` is a product of lane `il` of each group, for all channels of the group. */
static bool picks_all(const Kernel *k, const Expr *e, LoopId il)
{
    if (e->kind != E_BINARY || e->op != B_MUL || e->a->kind != E_PICK || e->a->a->kind != E_LOAD)
        return false;
    const Expr *pick = e->a, *w = weight_load(e);
    Affine      lane = affine_loop(il);
    int64_t     all = (int64_t)pick->group * pick->type.lanes;
    return affine_equal(&pick->index, &lane) && k->loops[il].extent == pick->group &&
           target_turns(k->target, pick->group) > 1 && w->kind == E_LOAD &&
           k->buffers[w->buffer].kind == BUF_CONST &&
           is_chunk(&w->index, il, pick->type.lanes, all);
}

static BufferId turned_buffer(Turner *t, BufferId b, int group)
{
    Kernel *k = t->k;
    if (!t->turned[b]) {
        const Buffer old = k->buffers[b];
        t->turned[b] = kernel_buffer(k, old.name, old.elem, BUF_CONST, old.count, old.value);
        k->buffers[t->turned[b]].view = old.view;
        k->buffers[t->turned[b]].view.turned_group = group;
        k->buffers[t->turned[b]].view.turned_lanes = k->target->lanes;
    }
    return t->turned[b];
}

/* product_of - what step `ip` adds to sum `turns`, where lane `il` of each group was picked. */
static const Expr *product_of(Turner *t, const Expr *e, LoopId il, LoopId ip)
{
    Kernel     *k = t->k;
    const Expr *old = weight_load(e);
    Affine      step = affine_scale(affine_loop(ip), t->now.group / 2);
    Expr       *w = arena_struct(k->arena, Expr);
    *w = *old;
    step = affine_add(step, affine_loop(t->now.turns));
    w->index = affine_subst(&w->index, il, &step);
    w->buffer = turned_buffer(t, old->buffer, t->now.group);
    const Expr *weight = e->b == old ? w : ex_with(k, e->b, w, NULL, NULL);
    return ex_with(k, e, ex_pick(k, e->a->a, 2, affine_loop(ip)), weight, NULL);
}

/* begin - the turned sums of `acc`, or true where they have begun with another tap of the same. */
static bool begin(Turner *t, const Turn *found)
{
    Kernel *k = t->k;
    if (t->now.acc)
        return t->now.acc == found->acc && t->now.group == found->group &&
               t->now.n_tile == found->n_tile &&
               !memcmp(t->now.tile, found->tile, sizeof found->tile);
    t->now = *found;
    t->now.turns = kernel_loop(k, "t", found->group / 2, PARALLEL, AXIS_N);
    k->loops[t->now.turns].mark = UNROLL;
    t->now.sums = kernel_temp(k, "turned", k->temps[found->acc].type);
    Temp *sums = &k->temps[t->now.sums];
    for (int i = 0; i < found->n_tile; i++)
        sums->expand[sums->n_expand++] = found->tile[i];
    sums->expand[sums->n_expand++] = t->now.turns;
    return true;
}

/* in_tile - `s` once for each sum of the tile. */
static Stmt *in_tile(Kernel *k, const Turn *t, Stmt *s)
{
    s = st_for(k, t->turns, s);
    for (int i = t->n_tile - 1; i >= 0; i--)
        s = st_for(k, t->tile[i], s);
    return s;
}

/* Step `s`, a loop over the channels of a group around those of the tile. */
static Stmt *turn_step(Rewrite *r, Stmt *s)
{
    Turner *t = r->ctx;
    Kernel *k = t->k;
    Turn    found = {0};
    if (s->kind != S_FOR || k->loops[s->loop].role != REDUCE)
        return s;
    const Stmt *set = s->body;
    for (; kernel_is_tile_loop(k, set) && found.n_tile < MAX_TILE_LOOPS; set = set->body)
        found.tile[found.n_tile++] = set->loop;
    if (set->kind != S_SET || set->op != ASSIGN_ADD || !picks_all(k, set->value, s->loop))
        return s;
    found.acc = set->temp;
    found.group = set->value->a->group;
    if (!begin(t, &found))
        return s;
    LoopId ip = kernel_loop(k, "ip", 2, REDUCE, AXIS_NONE);
    k->loops[ip].mark = UNROLL;
    const Expr *product = product_of(t, set->value, s->loop, ip);
    return st_for(k, ip, in_tile(k, &t->now, st_set(k, t->now.sums, ASSIGN_ADD, product)));
}

/* around - the reductions `s`, between zeros and the sums in their places. */
static Stmt *around(Kernel *k, const Turn *t, Stmt *s)
{
    int         lanes = k->temps[t->sums].type.lanes;
    const Expr *zero = ex_splat(k, lanes, ex_const(k, 0)), *sum = ex_temp(k, t->sums);
    const Expr *placed = ex_swap(k, sum, affine_scale(affine_loop(t->turns), 2));
    Stmt       *out = st_block(k);
    st_add(k, out, in_tile(k, t, st_set(k, t->sums, ASSIGN, zero)));
    st_add(k, out, s);
    st_add(k, out, in_tile(k, t, st_set(k, t->acc, ASSIGN_ADD, placed)));
    return out;
}

static Stmt *turn_in(void *ctx, Stmt *reduction)
{
    Turner *t = ctx;
    Rewrite r = {.k = t->k, .ctx = t, .stmt = turn_step};
    t->now = (Turn){0};
    reduction = rewrite_stmt(&r, reduction);
    t->changed |= t->now.acc != 0;
    return t->now.acc ? around(t->k, &t->now, reduction) : reduction;
}

bool kpass_turn(Kernel *k)
{
    Turner t = {.k = k};
    if (k->fp == FP_EXACT)
        return false;
    t.turned = arena_array(k->arena, BufferId, k->n_buffers);
    k->body = rewrite_reductions(k, k->body, turn_in, &t);
    return t.changed;
}
