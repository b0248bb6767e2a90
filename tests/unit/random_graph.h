/* random_graph.h - graphs of random ops on small shapes, for tests that compare a graph with what a
 * pass makes of it. */
#ifndef RANDOM_GRAPH_H
#define RANDOM_GRAPH_H

#include "graph/graph.h"
#include "ops/ops.h"
#include "check.h"

#include <string.h>

typedef struct Maker {
    Arena  *arena;
    Graph  *g;
    ValueId pool[64]; /* values made so far, the model's inputs first */
    int     n_pool;
} Maker;

static inline const Type *type_of(const Maker *m, ValueId v)
{
    return &value_get(m->g, v)->type;
}

/* pick - a value of this rank, rather a late one; 0: none. */
static inline ValueId pick(const Maker *m, int rank)
{
    for (int tries = 0; tries < 8; tries++) {
        int64_t back = random_below(2) ? random_below(2) : random_below(m->n_pool);
        if (back >= m->n_pool)
            continue;
        ValueId v = m->pool[m->n_pool - 1 - back];
        if (rank < 0 || type_of(m, v)->rank == rank)
            return v;
    }
    return 0;
}

static inline ValueId constant(Maker *m, int rank, const int64_t *dims, double low, double high)
{
    Tensor *t = tensor_new(m->arena, F32, rank, dims);
    double  same = low + (high - low) * (random_float() + 1) / 2;
    bool    is_splat = random_below(4) == 0;
    for (int64_t i = 0; i < type_count(&t->type); i++)
        tensor_set(t, i, is_splat ? same : low + (high - low) * (random_float() + 1) / 2);
    return graph_add_constant(m->g, graph_fresh_name(m->g, "k"), t);
}

/* add - a node, unless its shapes do not fit. */
static inline void add(Maker *m, Op op, int n_in, const ValueId *in, const OpAttrs *attrs)
{
    const char *name = arena_printf(m->arena, "%s%u", op_info(op)->name, (unsigned)m->g->n_values);
    NodeId      n = graph_add(m->g, op, name, (Span){0}, n_in, in, attrs, 0);
    ValueId     out = node_get(m->g, n)->out;
    if (!op_info(op)->shape(m->g, n) || type_count(type_of(m, out)) > 4000)
        graph_remove(m->g, n);
    else if (m->n_pool < (int)COUNT_OF(m->pool))
        m->pool[m->n_pool++] = out;
}

static inline void random_ints(int64_t *v, int n, int64_t min, int64_t max)
{
    for (int i = 0; i < n; i++)
        v[i] = random_between(min, max);
}

static inline void add_conv(Maker *m)
{
    ValueId x = pick(m, 4);
    if (!x)
        return;
    int64_t channels = type_of(m, x)->dims[1];
    OpAttrs a = {.groups = random_below(3) ? 1 : random_below(2) ? channels : 2};
    int64_t dims[4] = {a.groups * random_between(1, 3), channels / a.groups, random_between(1, 3),
                       random_between(1, 3)};
    random_ints(a.strides, 2, 1, 2);
    random_ints(a.dilations, 2, 1, 2);
    if (random_below(2))
        random_ints(a.padding, 4, 0, 2);
    if (channels % a.groups)
        return;
    ValueId w = constant(m, 4, dims, -0.5, 0.5);
    ValueId b = random_below(2) ? constant(m, 1, dims, -1, 1) : 0;
    add(m, OP_conv2d, random_below(2) || b ? 3 : 2, (ValueId[]){x, w, b}, &a);
}

static inline void add_conv_transpose(Maker *m)
{
    ValueId x = pick(m, 4);
    if (!x)
        return;
    int64_t channels = type_of(m, x)->dims[1];
    OpAttrs a = {.groups = channels % 2 == 0 && random_below(2) ? 2 : 1};
    int64_t dims[4] = {channels, random_between(1, 3), random_between(1, 3), random_between(1, 3)};
    random_ints(a.strides, 2, 1, 3);
    random_ints(a.dilations, 2, 1, random_below(3) ? 1 : 2);
    random_ints(a.padding, 4, 0, 1);
    random_ints(a.output_padding, 2, 0, 1);
    add(m, OP_conv_transpose, 2, (ValueId[]){x, constant(m, 4, dims, -0.5, 0.5)}, &a);
}

static inline void add_matmul(Maker *m)
{
    ValueId x = pick(m, -1), y = pick(m, -1);
    if (!x || type_of(m, x)->rank == 0)
        return;
    int64_t dims[2] = {type_of(m, x)->dims[type_of(m, x)->rank - 1], random_between(1, 4)};
    if (!y || random_below(2))
        y = constant(m, 2, dims, -0.5, 0.5);
    add(m, OP_matmul, 2, (ValueId[]){x, y}, NULL);
}

static inline void add_linear(Maker *m)
{
    ValueId x = pick(m, 2);
    if (!x)
        return;
    int64_t dims[2] = {random_between(1, 6), type_of(m, x)->dims[1]};
    ValueId w = constant(m, 2, dims, -0.5, 0.5), b = constant(m, 1, dims, -1, 1);
    add(m, OP_linear, random_below(2) ? 2 : 3, (ValueId[]){x, w, b}, NULL);
}

static inline void add_norm(Maker *m)
{
    ValueId x = pick(m, random_below(4) ? 4 : 2);
    if (!x)
        return;
    const int64_t *channels = &type_of(m, x)->dims[1];
    ValueId        scale = constant(m, 1, channels, -2, 2), bias = constant(m, 1, channels, -1, 1);
    ValueId        mean = constant(m, 1, channels, -1, 1), var = constant(m, 1, channels, 0.5, 2);
    add(m, OP_batch_norm, 5, (ValueId[]){x, scale, bias, mean, var}, &(OpAttrs){.epsilon = 1e-5});
}

static inline void add_unary(Maker *m)
{
    static const Op ops[] = {OP_relu,    OP_relu,         OP_relu,     OP_relu6,
                             OP_sigmoid, OP_tanh,         OP_dropout,  OP_leaky_relu,
                             OP_clip,    OP_hard_sigmoid, OP_identity, OP_abs,
                             OP_neg,     OP_erf,          OP_softplus, OP_softsign};
    OpAttrs         a = {.alpha = 0.25, .beta = 0.5, .min = -0.75, .max = 1.5};
    ValueId         x = pick(m, -1);
    if (x)
        add(m, ops[random_below(COUNT_OF(ops))], 1, &x, &a);
}

/* add_scaled - with a constant: one number, one a channel, or any part of the shape. */
static inline void add_scaled(Maker *m)
{
    static const Op ops[] = {OP_add, OP_add, OP_sub, OP_mul, OP_mul, OP_div, OP_max, OP_min};
    ValueId         x = pick(m, -1), in[2] = {x, 0};
    if (!x)
        return;
    Type t = *type_of(m, x);
    int  rank = (int)random_between(0, t.rank), form = (int)random_below(3);
    if (form == 1)
        rank = t.rank ? t.rank - 1 : 0;
    int64_t dims[MAX_RANK] = {0};
    for (int i = 0; i < rank; i++) {
        int axis = t.rank - rank + i;
        dims[i] = form == 2 ? (random_below(2) ? t.dims[axis] : 1) : axis == 1 ? t.dims[axis] : 1;
    }
    in[1] = constant(m, rank, dims, 0.5, 1.5);
    Op  op = ops[random_below(COUNT_OF(ops))];
    int through = op != OP_div && random_below(4) == 0; /* nothing is divided by what may be 0 */
    add(m, op, 2, (ValueId[]){in[through], in[!through]}, NULL);
}

static inline void add_prelu(Maker *m)
{
    ValueId x = pick(m, random_below(3) ? 4 : 2);
    int64_t one = 1;
    if (x)
        add(m, OP_prelu, 2,
            (ValueId[]){x, constant(m, 1, random_below(3) ? &type_of(m, x)->dims[1] : &one, -1, 1)},
            NULL);
}

static inline void add_pair(Maker *m)
{
    static const Op ops[] = {OP_add, OP_add, OP_sub, OP_mul, OP_max, OP_concat};
    ValueId         x = pick(m, -1), y = x;
    if (!x)
        return;
    for (int tries = 0; tries < 20 && !(y != x && type_same_shape(type_of(m, x), type_of(m, y)));
         tries++) {
        ValueId other = pick(m, type_of(m, x)->rank);
        y = other ? other : x;
    }
    add(m, ops[random_below(COUNT_OF(ops))], 2, (ValueId[]){x, y}, &(OpAttrs){.axis = 1});
}

static inline void add_pad(Maker *m)
{
    OpAttrs a = {.value = random_below(3) ? 0 : random_float(), .mode = (PadMode)random_below(3)};
    if (random_below(3))
        a.mode = PAD_MODE_CONSTANT;
    random_ints(a.padding, 4, 0, random_below(2) ? 1 : 2);
    ValueId x = pick(m, 4);
    if (x)
        add(m, OP_pad, 1, &x, &a);
}

static inline void add_pool(Maker *m)
{
    ValueId x = pick(m, 4);
    if (!x)
        return;
    bool    is_max = random_below(2);
    OpAttrs a = {.ceil_mode = random_below(4) == 0,
                 .count_include_pad = !is_max && random_below(2)};
    random_ints(a.kernel, 2, 1, 3);
    random_ints(a.strides, 2, 1, 3);
    if (random_below(2))
        random_ints(a.padding, 4, 0, 1);
    if (is_max)
        random_ints(a.dilations, 2, 1, random_below(3) ? 1 : 2);
    for (int i = 0; i < 2 && random_below(4) == 0; i++)
        a.kernel[i] = type_of(m, x)->dims[2 + i];
    add(m, is_max ? OP_max_pool : OP_avg_pool, 1, &x, &a);
}

static inline void add_plane(Maker *m)
{
    static const Op ops[] = {OP_global_avg_pool, OP_global_max_pool, OP_adaptive_avg_pool,
                             OP_upsample,        OP_reduce_mean,     OP_channel_shuffle,
                             OP_reduce_sum,      OP_reduce_max,      OP_reduce_min,
                             OP_depth_to_space,  OP_space_to_depth};
    OpAttrs         a = {.list = {.n = 2},
                         .keepdims = random_below(2),
                         .groups = random_between(1, 3),
                         .block = random_between(1, 2)};
    Op              op = ops[random_below(COUNT_OF(ops))];
    ValueId         x = pick(m, 4);
    random_ints(a.scales, 2, 1, 2);
    random_ints(a.list.v, 2, 1, 3);
    if (x)
        add(m, op, 1, &x, &a);
}

static inline void random_perm(IntList *perm, int rank)
{
    static const int64_t to_nhwc[] = {0, 2, 3, 1}, to_nchw[] = {0, 3, 1, 2};
    perm->n = rank;
    for (int i = 0; i < rank; i++)
        perm->v[i] = i;
    if (rank == 4 && random_below(4)) {
        memcpy(perm->v, random_below(2) ? to_nhwc : to_nchw, sizeof to_nhwc);
        return;
    }
    for (int i = rank - 1; i > 0; i--) {
        int64_t other = random_below(i + 1), v = perm->v[i];
        perm->v[i] = perm->v[other];
        perm->v[other] = v;
    }
}

static inline void add_movement(Maker *m)
{
    OpAttrs a = {.axis = random_below(3) ? 1 : random_below(3)};
    ValueId x = pick(m, random_below(2) ? 4 : -1);
    if (!x)
        return;
    Type t = *type_of(m, x);
    switch (random_below(4)) {
    case 0: add(m, OP_flatten, 1, &x, &a); return;
    case 1:
        random_perm(&a.list, t.rank);
        if (t.rank)
            add(m, OP_transpose, 1, &x, &a);
        return;
    case 2:
        a.list.n = (int)random_between(2, 5);
        for (int i = 0; i < a.list.n; i++)
            a.list.v[i] = i == a.list.n - 1 ? -1 : i == 0 ? 0 : random_between(1, 2);
        add(m, OP_reshape, 1, &x, &a);
        return;
    default:
        a.axes = (IntList){1, {1}};
        a.starts = (IntList){1, {0}};
        a.ends = (IntList){1, {random_between(1, 4)}};
        a.steps = (IntList){1, {1}};
        if (t.rank > 1)
            add(m, OP_slice, 1, &x, &a);
    }
}

static inline void add_constant(Maker *m)
{
    int64_t dims[4];
    int     rank = random_below(2) ? 4 : 2;
    random_ints(dims, rank, 1, 4);
    if (m->n_pool < (int)COUNT_OF(m->pool) && random_below(3) == 0)
        m->pool[m->n_pool++] = constant(m, rank, dims, -1, 1);
}

static inline ValueId add_input(Maker *m, int rank)
{
    int64_t dims[4];
    random_ints(dims, 4, 1, 5);
    char   *name = arena_printf(m->arena, "x%d", m->g->n_inputs);
    ValueId v = graph_add_value(m->g, name, type_plain(F32, rank, dims));
    value_at(m->g, v)->is_input = true;
    m->g->inputs[m->g->n_inputs++] = (Port){.value = v, .name = name};
    return m->pool[m->n_pool++] = v;
}

/* choose_outputs - the last value and a few others; all made by nodes. */
static inline void choose_outputs(Maker *m)
{
    Graph *g = m->g;
    for (int i = m->n_pool - 1; i >= g->n_inputs && g->n_outputs < 3; i--) {
        if (!value_get(g, m->pool[i])->producer || (g->n_outputs && random_below(4)))
            continue;
        value_at(g, m->pool[i])->is_output = true;
        g->outputs[g->n_outputs++] =
            (Port){.value = m->pool[i], .name = value_get(g, m->pool[i])->name};
    }
}

/* random_graph - about `n` nodes, shapes inferred. What does not fit is left out, silently. */
static inline Graph *random_graph(Arena *a, int n)
{
    static void (*const adders[])(Maker *) = {
        add_conv,           add_conv,  add_linear, add_norm,  add_norm,
        add_unary,          add_unary, add_unary,  add_pad,   add_pad,
        add_pool,           add_pair,  add_scaled, add_plane, add_movement,
        add_movement,       add_pair,  add_scaled, add_prelu, add_constant,
        add_conv_transpose, add_matmul};
    Maker m = {.arena = a, .g = graph_new(a, diag_new(a))};
    m.g->inputs = arena_array(a, Port, 2);
    m.g->outputs = arena_array(a, Port, 3);
    m.g->name = "random";
    add_input(&m, 4);
    if (random_below(3) == 0)
        add_input(&m, random_below(2) ? 4 : 2);
    for (int i = 0; i < n; i++)
        adders[random_below(COUNT_OF(adders))](&m);
    while (!m.g->last)
        add_unary(&m);
    choose_outputs(&m);
    m.g->diag = diag_new(a);
    return m.g;
}

#endif
