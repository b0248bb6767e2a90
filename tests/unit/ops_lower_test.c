/* ops_lower_test - each op's loops, run by the kernel interpreter, against its evaluator: random
 * shapes, attributes, layouts and epilogues. Halos of inputs are zeros and their padding channels
 * junk; outputs start as NaN, and every element must be written, halos with zeros, padding channels
 * with numbers. */
#include "one_node.h"

#include "target/target.h"

#include <math.h>

#define JUNK 1000.0

/* ---- values in memory ------------------------------------------------------------------- */

/* stored_at - the index of a logical element, and whether it is one. */
static bool logical_at(const Type *t, int64_t stored, int64_t *element, bool *in_halo)
{
    const Layout *l = &t->layout;
    int64_t       d[4];
    *in_halo = false;
    *element = stored;
    if (!dims_nchw(t, d))
        return true;
    int64_t height = l->top + d[2] + l->bottom, width = l->left + d[3] + l->right;
    int64_t lane = stored % l->block, w = stored / l->block % width - l->left;
    int64_t row = stored / l->block / width, h = row % height - l->top;
    int64_t plane = row / height; /* planes of all images lie in each block of channels */
    int64_t c = l->block > 1 ? plane / d[0] * l->block + lane : plane % d[1];
    int64_t n = l->block > 1 ? plane % d[0] : plane / d[1];
    *in_halo = h < 0 || h >= d[2] || w < 0 || w >= d[3];
    *element = ((n * d[1] + c) * d[2] + h) * d[3] + w;
    return !*in_halo && c < d[1];
}

static void put(Elem e, void *memory, int64_t i, double v)
{
    if (e == I8)
        ((int8_t *)memory)[i] = (int8_t)v;
    else if (e == U8)
        ((uint8_t *)memory)[i] = (uint8_t)v;
    else if (e == I32)
        ((int32_t *)memory)[i] = (int32_t)v;
    else
        ((float *)memory)[i] = (float)v;
}

static double get(Elem e, const void *memory, int64_t i)
{
    if (e == I8)
        return ((const int8_t *)memory)[i];
    if (e == U8)
        return ((const uint8_t *)memory)[i];
    if (e == I32)
        return ((const int32_t *)memory)[i];
    return (double)((const float *)memory)[i];
}

/* store - memory of exactly the stored size, from malloc so that sanitizers see its ends. */
static void *store(const Type *t, const Array *x)
{
    int64_t count = type_stored_count(t), element;
    void   *memory = malloc((size_t)count * elem_bytes(t->elem));
    bool    in_halo;
    for (int64_t i = 0; i < count; i++) {
        bool   is_element = logical_at(t, i, &element, &in_halo);
        double other = x && in_halo ? 0 : x ? JUNK : NAN;
        if (!x && t->elem != F32)
            other = 77;
        put(t->elem, memory, i, is_element && x ? x->data[element] : other);
    }
    return memory;
}

/* agrees - whether stored `memory` holds `want`, within a bound for sums of some length. */
static bool agrees(const Type *t, const void *memory, const Array *want)
{
    int64_t count = type_stored_count(t), element;
    double  largest = 1;
    bool    in_halo, ok = true;
    for (int64_t i = 0; i < type_count(t); i++)
        largest = fmax(largest, fabs(want->data[i]));
    for (int64_t i = 0; i < count; i++) {
        double v = get(t->elem, memory, i);
        if (logical_at(t, i, &element, &in_halo))
            ok &= t->elem != F32 ? v == want->data[element]
                                 : fabs(v - want->data[element]) <= 4e-6 * largest;
        else
            ok &= in_halo ? v == 0 : isfinite(v);
    }
    return ok;
}

/* ---- one random case -------------------------------------------------------------------- */

/* random_layout - for a value of a node that takes blocks, all of `block`. */
static void random_layout(OneNode *o, ValueId v, int64_t block)
{
    Type   *t = &value_at(o->graph, v)->type;
    int64_t d[4];
    if (t->elem != F32 || !dims_nchw(t, d) || t->rank < 2 || value_get(o->graph, v)->constant)
        return;
    t->layout.block = (int32_t)block;
    if (t->rank == 4 && random_below(2))
        t->layout = (Layout){(int32_t)block, (int32_t)random_below(3), (int32_t)random_below(3),
                             (int32_t)random_below(3), (int32_t)random_below(3)};
}

static void random_layouts(OneNode *o)
{
    const Node *n = node_get(o->graph, o->node);
    bool        is_channels = n->op == OP_slice && n->attrs.axes.n == 1;
    bool is_copy = n->op == OP_concat || n->op == OP_pad || n->op == OP_relayout || is_channels;
    bool is_view = op_info(n->op)->flags & OPF_VIEW,
         is_blocked = is_channels || (op_info(n->op)->flags & OPF_BLOCKED);
    int64_t block = random_below(2) ? 1 : 4;
    for (int i = 0; i < n->n_in && (is_blocked || is_view); i++) {
        bool same_rank = graph_input(o->graph, n, i)->type.rank == one_output(o)->rank;
        if (is_copy || is_view)
            block = (int64_t[]){1, 2, 4, 6}[random_below(4)];
        if (n->in[i])
            random_layout(o, n->in[i], same_rank || is_view ? block : 1);
    }
    /* Blocks only where all that is read beside the output has its rank. */
    for (int i = 0; i < n->n_in; i++) {
        const Value *v = graph_input(o->graph, n, i);
        if (v && !v->constant && v->type.rank != one_output(o)->rank && !is_view)
            block = 1;
    }
    for (int i = 0; i < n->n_in && block == 1 && !is_copy && !is_view; i++)
        if (n->in[i])
            value_at(o->graph, n->in[i])->type.layout.block = 1;
    if (is_blocked)
        random_layout(o, n->out, is_copy ? (int64_t[]){1, 2, 4, 6}[random_below(4)] : block);
}

/* A relu, and a sum with a constant or with a value of the same shape. */
static void random_epilogue(OneNode *o)
{
    Graph *g = o->graph;
    Type   t = *one_output(o);
    if (!(op_info(node_get(g, o->node)->op)->flags & OPF_EPILOGUE) || t.elem != F32 ||
        random_below(2))
        return;
    EpilogueStep *steps = arena_array(o->arena, EpilogueStep, 2);
    Slot          slot = {.name = "b"};
    Type          per_column = type_plain(F32, 1, &t.dims[t.rank ? t.rank - 1 : 0]);
    ValueId       operand =
        random_below(2) || t.rank < 1
                  ? graph_add_value(g, "operand", t)
                  : graph_add_constant(g, "operand", one_constant(o->arena, &slot, &per_column));
    steps[0] = (EpilogueStep){.op = OP_sub,
                              .operand = graph_append_input(g, o->node, operand),
                              .swapped = random_below(2)};
    steps[1] = (EpilogueStep){.op = OP_relu, .operand = -1};
    node_at(g, o->node)->epilogue = (Epilogue){2, steps};
}

static bool is_sound(const Kernel *k, const char *op, const char *after, Arena *a)
{
    Text why = text_new(a);
    bool ok = CHECK(kernel_verify(k, &why));
    if (!ok)
        printf("%s after %s: %s", op, after, why.data);
    return ok;
}

/* interpret - lower; for a target, run the kernel passes; run: the stored output. Verified
 * throughout. */
static void *interpret(OneNode *o, Array *const in[])
{
    const Node *n = node_get(o->graph, o->node);
    const char *name = op_info(n->op)->name;
    const char *targets[] = {NULL, "c99", "x86-64", "x86-avx2"}, *on = targets[random_below(4)];
    Kernel     *k = kernel_new(o->arena, name, on ? target_by_name(on) : NULL, FP_STRICT);
    k->node = o->node;
    op_info(n->op)->lower(o->graph, o->node, k);
    bool ok = is_sound(k, name, "lowering", o->arena);
    for (int i = 0; i < n_kernel_passes && ok && on; i++) {
        kernel_passes[i].run(k);
        ok = is_sound(k, name, kernel_passes[i].name, o->arena);
    }
    void **memory = arena_array(o->arena, void *, k->n_buffers);
    void  *out = store(one_output(o), NULL);
    for (BufferId b = 1; b < k->n_buffers; b++) {
        if (k->buffers[b].kind == BUF_OUT)
            memory[b] = out;
        for (int i = 0; i < n->n_in && k->buffers[b].kind == BUF_IN && !memory[b]; i++)
            if (n->in[i] == k->buffers[b].value)
                memory[b] = store(&value_get(o->graph, n->in[i])->type, in[i]);
    }
    kernel_interp(k, memory, o->arena);
    for (BufferId b = 1; b < k->n_buffers; b++)
        if (k->buffers[b].kind == BUF_IN)
            free(memory[b]);
    return out;
}

/* tame - numbers for which the comparison is fair: no quotient of a number near 0, no root or
 * logarithm of a negative one; and quotients of scales that are often halfway between integers,
 * exactly. */
static void tame(Op op, Array *const in[])
{
    bool above_0 = op == OP_sqrt || op == OP_log || op == OP_pow;
    for (int64_t i = 0; above_0 && i < type_count(&in[0]->type); i++)
        in[0]->data[i] = fabs(in[0]->data[i]) + 0.0625;
    int64_t count = op == OP_div ? type_count(&in[1]->type) : 0;
    for (int64_t i = 0; i < count; i++)
        in[1]->data[i] += in[1]->data[i] < 0 ? -0.25 : 0.25;
    count = op == OP_quantize ? type_count(&in[0]->type) : 0;
    for (int64_t i = 0; i < count; i++)
        in[0]->data[i] = (double)random_between(-700, 700) / 4;
}

/* halve_scales - to 1/2, in the constant itself. */
static void halve_scales(const OneNode *o)
{
    const Node   *n = node_get(o->graph, o->node);
    const Tensor *scale = n->op == OP_quantize ? value_get(o->graph, n->in[1])->constant : NULL;
    for (int64_t i = 0; scale && i < type_count(&scale->type); i++)
        tensor_set((Tensor *)(uintptr_t)scale, i, 0.5);
}

static bool lowers(Op op, const char *types, OpAttrs attrs)
{
    OneNode o = one_node(op, types, &attrs);
    Array  *in[MAX_OPERANDS + 2] = {0};
    if (!one_shape(&o)) {
        diag_print(o.diag, stdout);
        one_free(&o);
        return false;
    }
    random_epilogue(&o);
    random_layouts(&o);
    const Node *n = node_get(o.graph, o.node);
    halve_scales(&o);
    for (int i = 0; i < n->n_in; i++)
        in[i] = one_array(&o, i, NULL);
    tame(op, in);
    Array want = one_eval(&o, (const Array *const *)in);
    void *got = interpret(&o, in);
    bool  ok = agrees(one_output(&o), got, &want);
    if (!ok)
        printf("%s(%s) -> %s differs\n", op_info(op)->name, types,
               type_text(o.arena, one_output(&o)));
    free(got);
    one_free(&o);
    return ok;
}

/* ---- random shapes and attributes ------------------------------------------------------- */

static char text[200];

/* dims - "N C H W", with room for windows. */
static const char *dims(int64_t min_plane)
{
    snprintf(text, sizeof text, "%d %d %d %d", (int)random_between(1, 2), (int)random_between(1, 9),
             (int)random_between(min_plane, 7), (int)random_between(min_plane, 9));
    return text;
}

static const char *any_rank(void)
{
    static const char *const shapes[] = {"5",         "3 7",     "2 3 4", "2 5 3 4",
                                         "2 3 1 2 3", "1 4 1 1", "1"};
    return shapes[random_below(COUNT_OF(shapes))];
}

static void test_elementwise(void)
{
    static const char *const pairs[] = {
        "2 5 3 4, 2 5 3 4",   "2 5 3 4, 1 5 1 1", "2 5 3 4, 5 1 1", "2 5 3 4, 4",
        "2 5 3 4, 3 4",       "2 1 3 4, 2 5 1 1", "3 7, 3 7",       "3 7, 7",
        "3 7, 3 1",           "2 3 4, 3 1",       "5, 2 3 4 5 5",   "5, 1",
        "2 3 4 5, 2 2 3 4 5", "2 5 3 4, 2 1 1 4", "4, 2 5 3 4"};
    for (int op = OP_NONE + 1; op < N_OPS; op++) {
        OpAttrs a = {
            .alpha = 0.3, .beta = 0.5, .min = -0.5, .max = 0.25, .tanh_form = random_below(2)};
        if (op_info((Op)op)->flags & OPF_UNARY)
            CHECK(lowers((Op)op, any_rank(), a));
        if (op_info((Op)op)->flags & OPF_BINARY)
            CHECK(lowers((Op)op, pairs[random_below(COUNT_OF(pairs))], (OpAttrs){0}));
    }
    static const char *const slopes[] = {"2 5 3 4, 5",   "2 5 3 4, 1", "2 5 3 4, 5 1 1",
                                         "3 7, 7",       "2 3 4, 3",   "5, 5",
                                         "2 3 4 1 2, 3", "2 3 4, 3 1"};
    CHECK(lowers(OP_prelu, slopes[random_below(COUNT_OF(slopes))], (OpAttrs){0}));
}

static void test_matmul(void)
{
    static const char *const pairs[] = {
        "3 7, 7 5",       "1 4, 4 37",     "9 3, 3 8",           "2 3 4 5, 5 6",
        "2 3 4 5, 3 5 9", "4 5, 2 3 5 17", "2 1 4 5, 3 5 2",     "5, 5",
        "5, 2 5 3",       "3 2 5, 5",      "2 3 2 3 4, 3 1 4 9", "1 1, 1 1"};
    CHECK(lowers(OP_matmul, pairs[random_below(COUNT_OF(pairs))], (OpAttrs){0}));
}

/* Group sizes as they may meet blocks of 4: none, single channels, whole blocks, halves of one. Those are
 * picked or, on c99 and without a target, made dense. */
static void test_conv(void)
{
    static const int groups[] = {1, 1, 5, 2, 4}, in[] = {3, 8, 5, 8, 8}, out[] = {5, 4, 5, 16, 8};
    OpAttrs          a = {0};
    int64_t          pick = random_below(COUNT_OF(groups)), kernel[2];
    a.groups = groups[pick];
    for (int i = 0; i < 2; i++) {
        kernel[i] = random_between(1, random_below(4) ? 4 : 13);
        a.strides[i] = random_between(1, random_below(4) ? 3 : 7);
        a.dilations[i] = a.strides[i] > 4 ? 1 : random_between(1, 3);
    }
    for (int i = 0; i < 4; i++)
        a.padding[i] = random_below(kernel[i % 2]);
    char types[100];
    snprintf(types, sizeof types, "2 %d 26 25, %d %d %d %d, %d", in[pick], out[pick],
             in[pick] / groups[pick], (int)kernel[0], (int)kernel[1], out[pick]);
    OpAttrs plain = a;
    for (int i = 0; i < 2; i++)
        plain.dilations[i] = random_between(1, 2);
    CHECK(lowers(OP_conv2d, types, plain));
    for (int i = 0; i < 2; i++)
        a.output_padding[i] = random_below(a.strides[i]);
    snprintf(types, sizeof types, "2 %d %d %d, %d %d %d %d, %d", in[pick],
             (int)random_between(1, 6), (int)random_between(4, 6), in[pick],
             out[pick] / groups[pick], (int)kernel[0], (int)kernel[1], out[pick]);
    for (int i = 0; i < 4; i += 2)
        a.padding[i] = 0; /* rows may be one */
    CHECK(lowers(OP_conv_transpose, types, a));
}

static void test_norm(void)
{
    static const char *const norms[] = {"2 5 3 4, 5, 5, 5, 5", "3 7, 7, 7, 7, 7",
                                        "2 3 4, 3, 3, 3, 3"};
    CHECK(lowers(OP_batch_norm, norms[random_below(COUNT_OF(norms))], (OpAttrs){.epsilon = 1e-5}));
    OpAttrs lrn = {.size = random_between(1, 30), .alpha = 0.5, .beta = 0.75, .bias = 1.5};
    CHECK(lowers(OP_lrn, dims(1), lrn));
}

static void test_pool(void)
{
    OpAttrs a = {.ceil_mode = random_below(2), .count_include_pad = random_below(2)};
    int64_t reach[2];
    bool    is_max = random_below(2);
    for (int i = 0; i < 2; i++) {
        a.kernel[i] = random_between(1, 4);
        a.strides[i] = random_between(1, 4);
        a.dilations[i] = is_max ? random_between(1, 2) : 0;
        reach[i] = (a.kernel[i] - 1) * (is_max ? a.dilations[i] : 1) + 1;
    }
    for (int i = 0; i < 4; i++)
        a.padding[i] = random_below(reach[i % 2]);
    CHECK(lowers(is_max ? OP_max_pool : OP_avg_pool, dims(7), a));
    CHECK(lowers(random_below(2) ? OP_global_avg_pool : OP_global_max_pool, dims(1), (OpAttrs){0}));
    OpAttrs adaptive = {.list = {2, {random_between(1, 9), random_between(1, 9)}}};
    CHECK(lowers(OP_adaptive_avg_pool, dims(1), adaptive));
}

/* Padding wider than the input, and a kernel of which most never meets it. */
static void test_wide_pool(void)
{
    OpAttrs a = {.kernel = {9, 20}, .strides = {3, 1}, .padding = {8, 19, 8, 19}};
    CHECK(lowers(OP_max_pool, "1 3 1 2", a));
    CHECK(lowers(OP_avg_pool, "1 3 1 2", a));
    a = (OpAttrs){.kernel = {1 << 30, 2}, .strides = {1, 1}, .padding = {(1 << 30) - 1, 0, 0, 0}};
    CHECK(lowers(OP_max_pool, "1 1 2 2", a));
    CHECK(lowers(OP_avg_pool, "1 1 2 2", a));
}

static void test_axis(void)
{
    static const char *const shapes[] = {"5", "3 7", "2 3 4", "2 5 3 4", "2 3 1 2 3"};
    static const int         ranks[] = {1, 2, 3, 4, 5};
    static const Op          ops[] = {OP_softmax, OP_log_softmax, OP_arg_max};
    for (size_t i = 0; i < COUNT_OF(ops); i++) {
        int64_t s = random_below(COUNT_OF(shapes));
        OpAttrs a = {.axis = random_between(-ranks[s], ranks[s] - 1),
                     .keepdims = random_below(2),
                     .select_last_index = random_below(2)};
        CHECK(lowers(ops[i], shapes[s], a));
    }
    int64_t s = random_below(COUNT_OF(shapes));
    OpAttrs mean = {.keepdims = random_below(2)};
    for (int i = 0; i < ranks[s]; i++)
        if (random_below(2))
            mean.list.v[mean.list.n++] = random_below(2) ? i : i - ranks[s];
    static const Op reductions[] = {OP_reduce_mean, OP_reduce_sum, OP_reduce_max, OP_reduce_min};
    for (size_t i = 0; i < COUNT_OF(reductions); i++)
        CHECK(lowers(reductions[i], shapes[s], mean));
}

static void test_movement(void)
{
    static const char *const parts[] = {
        "2 3 4 5, 2 4 4 5, 2 7 4 5", "2 8 1 1, 2 4 1 1", "1 5, 1 6, 1 1", "2 3 4, 2 1 4",
        "i8 2 3 4 5, i8 2 1 4 5",    "2 3 4 5"};
    CHECK(lowers(OP_concat, parts[random_below(COUNT_OF(parts))], (OpAttrs){.axis = 1}));
    CHECK(lowers(OP_concat, "2 3 4 5, 2 3 1 5, 2 3 2 5", (OpAttrs){.axis = -2}));
    CHECK(lowers(OP_concat, "2 3 4 5, 2 3 4 1", (OpAttrs){.axis = 3}));
    CHECK(lowers(OP_concat, "2 3 4 5, 1 3 4 5", (OpAttrs){.axis = 0}));
    CHECK(lowers(OP_concat, "2, 3, 1", (OpAttrs){.axis = 0}));
    CHECK(lowers(OP_flatten, dims(1), (OpAttrs){.axis = random_between(0, 4)}));
    CHECK(lowers(OP_reshape, dims(1), (OpAttrs){.list = {1, {-1}}}));
    CHECK(lowers(OP_transpose, "2 3 4 5", (OpAttrs){.list = {4, {3, 0, 2, 1}}}));
    CHECK(lowers(OP_transpose, "i8 2 3 4", (OpAttrs){.list = {3, {2, 0, 1}}}));
    CHECK(lowers(OP_relayout, dims(1), (OpAttrs){0}));
    CHECK(lowers(OP_relayout, "3 7", (OpAttrs){0}));
    CHECK(lowers(OP_upsample, dims(1),
                 (OpAttrs){.scales = {random_between(1, 3), random_between(1, 3)}}));
    CHECK(lowers(OP_gather, "7, i32 3", (OpAttrs){.axis = 0}));
    CHECK(lowers(OP_gather, "2 3 6 5, i32 11", (OpAttrs){.axis = -2}));
    CHECK(lowers(OP_gather, "2 7 3, i32 2 3", (OpAttrs){.axis = 1}));
    CHECK(lowers(OP_gather, "u8 2 6, i32", (OpAttrs){.axis = 1}));
    OpAttrs depth = {.block = random_between(1, 3), .channels_first = random_below(2)};
    int64_t square = depth.block * depth.block;
    char    shape[64];
    snprintf(shape, sizeof shape, "2 %d 3 4", (int)(square * random_between(1, 3)));
    CHECK(lowers(OP_depth_to_space, shape, depth));
    snprintf(shape, sizeof shape, "i8 2 3 %d %d", (int)depth.block * 2, (int)depth.block * 5);
    CHECK(lowers(OP_space_to_depth, shape, depth));
    CHECK(lowers(OP_channel_shuffle, "2 6 3 2", (OpAttrs){.groups = random_between(1, 3)}));
}

static void test_slice_pad(void)
{
    static const char *const modes[] = {"constant", "reflect", "edge"};
    OpAttrs                  a = {.mode = (PadMode)random_below(COUNT_OF(modes)), .value = 0.5};
    for (int i = 0; i < 4; i++)
        a.padding[i] = random_below(4);
    CHECK(lowers(OP_pad, dims(4), a));
    a.value = -7;
    CHECK(lowers(OP_pad, "i8 1 2 4 5", a));
    OpAttrs s = {.axes = {2, {1, -1}},
                 .starts = {2, {0, -1}},
                 .ends = {2, {100, -9}},
                 .steps = {2, {2, -1}}};
    CHECK(lowers(OP_slice, dims(1), s));
    CHECK(lowers(OP_slice, "u8 2 5 4", s));
}

/* In any layouts. */
static void test_slice_channels(void)
{
    int64_t first = random_between(0, 10), end = first + random_between(1, 5);
    OpAttrs a = {.axes = {1, {1}}, .starts = {1, {first}}, .ends = {1, {end}}};
    CHECK(lowers(OP_slice, "2 11 3 2", a));
}

static void test_quant(void)
{
    OpAttrs axis = {.axis = random_between(-3, 3), .has_axis = true};
    CHECK(lowers(OP_quantize, "2 2 2 2, 2, i8 2", axis));
    CHECK(lowers(OP_quantize, "3 7, 1, u8 1", (OpAttrs){0}));
    CHECK(lowers(OP_dequantize, "i8 2 2 2 2, 2, i8 2", axis));
    CHECK(lowers(OP_dequantize, "u8 3 7 2, 1, u8 1", (OpAttrs){0}));
    CHECK(lowers(OP_dequantize, "i32 5, 1, i32 1", (OpAttrs){0}));
}

int main(void)
{
    test_wide_pool();
    for (int i = 0; i < 40; i++) {
        test_elementwise();
        test_conv();
        test_matmul();
        test_norm();
        test_pool();
        test_axis();
        test_movement();
        test_slice_pad();
        test_quant();
    }
    for (int i = 0; i < 40; i++)
        test_slice_channels();
    return check_end();
}
