/* ops_test - the op table, what shape rules give and refuse, and evaluators on cases small enough
 * to be computed by hand. */
#include "one_node.h"

#include <math.h>

/* ---- the table -------------------------------------------------------------------------- */

static void test_table(void)
{
    for (int op = OP_NONE + 1; op < N_OPS; op++) {
        const OpInfo *info = op_info((Op)op);
        CHECK(info->n_slots >= 1 && info->slots[0].name[0]);
        CHECK(!info->slots[0].is_param);
        CHECK(op_from_name(info->name) == (info->flags & OPF_INTERNAL ? OP_NONE : (Op)op));
        for (int i = 0; i < info->n_attrs; i++) {
            const AttrSpec *s = &info->attrs[i];
            CHECK(s->name && s->offset < sizeof(OpAttrs));
            CHECK((s->kind == ATTR_ENUM) <= (s->names != NULL));
            CHECK((s->kind == ATTR_INTS) <= (s->count == 2 || s->count == 4));
            CHECK(s->min <= s->max);
        }
    }
    CHECK(op_from_name("relu7") == OP_NONE);
    const OpInfo *conv = op_info(OP_conv2d);
    CHECK(conv->n_slots == 3 && conv->slots[1].is_param && !conv->slots[1].optional);
    CHECK(strcmp(conv->slots[2].name, "bias") == 0 && conv->slots[2].is_param &&
          conv->slots[2].optional);
    CHECK(op_info(OP_add)->slots[1].either && op_info(OP_concat)->slots[0].many);
}

/* ---- shapes ----------------------------------------------------------------------------- */

/* gives - whether `op` on these inputs makes a value of this type. */
static bool gives(Op op, const char *in, OpAttrs attrs, const char *out)
{
    OneNode o = one_node(op, in, &attrs);
    Type    want = one_type(out);
    bool    ok = one_shape(&o) && type_same_shape(one_output(&o), &want) &&
              one_output(&o)->elem == want.elem && type_is_plain(one_output(&o)) &&
              diag_errors(o.diag) == 0;
    if (!ok) {
        printf("%s(%s) gives %s, not %s\n", op_info(op)->name, in,
               type_text(o.arena, one_output(&o)), out);
        diag_print(o.diag, stdout);
    }
    one_free(&o);
    return ok;
}

/* refuses - whether it reports one error that says `message`. */
static bool refuses(Op op, const char *in, OpAttrs attrs, const char *message)
{
    OneNode o = one_node(op, in, &attrs);
    char   *text = NULL;
    size_t  len;
    bool    ok = !one_shape(&o) && diag_errors(o.diag) == 1 && one_output(&o)->elem == ELEM_POISON;
    FILE   *f = open_memstream(&text, &len);
    diag_print(o.diag, f);
    fclose(f);
    ok = ok && strstr(text, message) && strstr(text, op_info(op)->name);
    if (!ok)
        printf("%s(%s) says: %s, not: %s\n", op_info(op)->name, in, text, message);
    free(text);
    one_free(&o);
    return ok;
}

#define CONV(...) ((OpAttrs){__VA_ARGS__})

static void test_conv_shapes(void)
{
    CHECK(gives(OP_conv2d, "1 3 8 9, 4 3 3 3", ((OpAttrs){0}), "1 4 6 7"));
    CHECK(gives(OP_conv2d, "2 4 8 9, 6 2 3 1, 6", CONV(.groups = 2, .padding = {1, 2, 3, 4}),
                "2 6 10 15"));
    CHECK(gives(OP_conv2d, "1 1 7 7, 1 1 3 3", CONV(.strides = {2, 3}, .dilations = {3, 2}),
                "1 1 1 1"));
    CHECK(gives(OP_conv2d, "1 1 5 6, 1 1 2 3", CONV(.pad_rule = PAD_SAME, .strides = {2, 2}),
                "1 1 3 3"));
    CHECK(gives(OP_conv2d, "1 1 5 6, 1 1 2 3", CONV(.pad_rule = PAD_VALID), "1 1 4 4"));
    CHECK(refuses(OP_conv2d, "1 3 8, 4 3 3 3", ((OpAttrs){0}),
                  "rank 3 (f32[1, 3, 8]), expected rank 4"));
    CHECK(refuses(OP_conv2d, "i8 1 3 8 8, 4 3 3 3", ((OpAttrs){0}),
                  "'x' has element type i8, expected f32"));
    CHECK(
        refuses(OP_conv2d, "1 3 8 8, i8 4 3 3 3", ((OpAttrs){0}), "'weight' has element type i8"));
    CHECK(refuses(OP_conv2d, "1 3 8 8, 4 3 3", ((OpAttrs){0}),
                  "expected rank 4: [O, I/groups, KH, KW]"));
    CHECK(refuses(OP_conv2d, "1 3 8 8, 4 2 3 3", ((OpAttrs){0}), "must be 3"));
    CHECK(refuses(OP_conv2d, "1 3 8 8, 4 3 3 3", CONV(.groups = 2),
                  "3 channels do not divide into 2"));
    CHECK(refuses(OP_conv2d, "1 4 8 8, 3 2 3 3", CONV(.groups = 2),
                  "3 output channels do not divide"));
    CHECK(refuses(OP_conv2d, "1 3 8 8, 4 3 3 3, 5", ((OpAttrs){0}),
                  "expected shape [4], one entry per output"));
    CHECK(refuses(OP_conv2d, "1 3 2 8, 4 3 3 3", ((OpAttrs){0}),
                  "spans 3 rows, more than the padded input"));
    CHECK(refuses(OP_conv2d, "1 3 8 4, 4 3 3 3", CONV(.dilations = {1, 2}), "spans 5 columns"));
    CHECK(refuses(OP_conv2d, "1 3 8 8, 4 3 3 3",
                  CONV(.padding = {1LL << 31, 1LL << 31, 1LL << 31, 1LL << 31}), "2^40 elements"));
    CHECK(refuses(OP_conv2d, "1 1 8 8, 1 1 1 3",
                  CONV(.pad_rule = PAD_SAME, .dilations = {1, 1LL << 33}),
                  "2^31 columns of padding"));
    CHECK(gives(OP_linear, "2 6, 3 6, 3", (OpAttrs){0}, "2 3"));
    CHECK(refuses(OP_linear, "2 5, 3 6", (OpAttrs){0}, "expected [N, 6]"));
    CHECK(refuses(OP_linear, "2 6, 3 6 1", (OpAttrs){0}, "expected rank 2: [O, I]"));
    CHECK(refuses(OP_linear, "6, 3 6", (OpAttrs){0}, "expected [N, 6]"));
    CHECK(refuses(OP_linear, "2 6, 3 6, 2", (OpAttrs){0}, "expected shape [3]"));
}

/* 3x3 by steps of 2 */
#define POOL(...) ((OpAttrs){.kernel = {3, 3}, .strides = {2, 2}, __VA_ARGS__})

static void test_pool_shapes(void)
{
    CHECK(gives(OP_max_pool, "1 2 7 8", POOL(.groups = 0), "1 2 3 3"));
    CHECK(gives(OP_max_pool, "1 2 7 8", POOL(.ceil_mode = true), "1 2 3 4"));
    /* The last window would start in the right padding. */
    OpAttrs wide_steps = {
        .kernel = {2, 2}, .strides = {3, 3}, .padding = {1, 1, 1, 1}, .ceil_mode = true};
    CHECK(gives(OP_max_pool, "1 2 5 5", wide_steps, "1 2 2 2"));
    CHECK(gives(OP_avg_pool, "1 2 7 8", POOL(.padding = {1, 1, 1, 1}), "1 2 4 4"));
    CHECK(gives(OP_avg_pool, "1 2 8 8", POOL(.pad_rule = PAD_SAME), "1 2 4 4"));
    CHECK(
        refuses(OP_max_pool, "1 2 7 8", POOL(.padding = {3, 0, 0, 0}), "padding 3 is not smaller"));
    CHECK(refuses(OP_avg_pool, "1 2 7 8", POOL(.padding = {0, 0, 0, 5}), "spans 3 columns"));
    CHECK(refuses(OP_max_pool, "1 2 2 8", POOL(.groups = 0),
                  "spans 3 rows, more than the padded input"));
    CHECK(refuses(OP_max_pool, "2 7 8", POOL(.groups = 0), "expected rank 4"));
    CHECK(gives(OP_global_avg_pool, "2 5 7 8", (OpAttrs){0}, "2 5 1 1"));
    CHECK(gives(OP_adaptive_avg_pool, "2 5 7 8", (OpAttrs){.list = {2, {3, 16}}}, "2 5 3 16"));
    CHECK(refuses(OP_adaptive_avg_pool, "2 5 7 8", (OpAttrs){.list = {1, {3}}},
                  "1 entries, expected 2"));
    CHECK(refuses(OP_adaptive_avg_pool, "1 1 1013 1013", (OpAttrs){.list = {2, {1000, 1000}}},
                  "1000x1000 windows of different size"));
}

static void test_elementwise_shapes(void)
{
    CHECK(gives(OP_relu, "2 3 4 5 6", (OpAttrs){0}, "2 3 4 5 6"));
    CHECK(gives(OP_identity, "i32 4", (OpAttrs){0}, "i32 4"));
    CHECK(refuses(OP_relu, "i8 4", (OpAttrs){0}, "i8, expected f32"));
    CHECK(gives(OP_add, "2 1 4, 3 1", (OpAttrs){0}, "2 3 4"));
    CHECK(gives(OP_div, "4, 2 3 4", (OpAttrs){0}, "2 3 4"));
    CHECK(refuses(OP_mul, "2 3 4, 2 4", (OpAttrs){0}, "do not broadcast: extents 3 and 2"));
    CHECK(gives(OP_prelu, "1 3 4 5, 3", (OpAttrs){0}, "1 3 4 5"));
    CHECK(gives(OP_prelu, "1 3 4 5, 3 1 1", (OpAttrs){0}, "1 3 4 5"));
    CHECK(gives(OP_prelu, "1 3 4 5, 1", (OpAttrs){0}, "1 3 4 5"));
    CHECK(refuses(OP_prelu, "1 3 4 5, 5", (OpAttrs){0}, "expected 1 value or 3"));
    CHECK(refuses(OP_prelu, "1 3 4 5, 1 3", (OpAttrs){0}, "expected 1 value or 3"));
    CHECK(gives(OP_batch_norm, "1 3 4, 3, 3, 3, 3", (OpAttrs){0}, "1 3 4"));
    CHECK(refuses(OP_batch_norm, "3, 3, 3, 3, 3", (OpAttrs){0}, "at least rank 2"));
    CHECK(refuses(OP_batch_norm, "1 3 4, 3, 3, 4, 3", (OpAttrs){0}, "mean is f32[4]"));
    CHECK(gives(OP_lrn, "1 3 4 4", (OpAttrs){.size = 5}, "1 3 4 4"));
    CHECK(refuses(OP_lrn, "1 3 4", (OpAttrs){.size = 5}, "expected rank 4"));
}

static void test_axis_shapes(void)
{
    CHECK(gives(OP_softmax, "2 3", (OpAttrs){.axis = -2}, "2 3"));
    CHECK(refuses(OP_softmax, "2 3", (OpAttrs){.axis = 2},
                  "axis 2 is out of range, expected -2 to 1"));
    CHECK(refuses(OP_log_softmax, "2 3", (OpAttrs){.axis = -3}, "axis -3 is out of range"));
    CHECK(gives(OP_arg_max, "2 3 4", (OpAttrs){.axis = 1}, "i32 2 4"));
    CHECK(gives(OP_arg_max, "2 3 4", (OpAttrs){.axis = 1, .keepdims = true}, "i32 2 1 4"));
    CHECK(gives(OP_arg_max, "7", (OpAttrs){.axis = 0}, "i32 1"));
    CHECK(refuses(OP_arg_max, "1 16777217", (OpAttrs){.axis = 1}, "at most 16777216"));
    CHECK(gives(OP_reduce_mean, "2 3 4 5", (OpAttrs){.list = {2, {-1, 1}}}, "2 4"));
    CHECK(gives(OP_reduce_mean, "2 3 4", (OpAttrs){.keepdims = true}, "1 1 1"));
    CHECK(
        refuses(OP_reduce_mean, "2 3 4", (OpAttrs){.list = {2, {-1, 2}}}, "axis 2 is given twice"));
    CHECK(gives(OP_concat, "2 3, 2 4, 2 1", (OpAttrs){.axis = 1}, "2 8"));
    CHECK(refuses(OP_concat, "2 3, 1 3", (OpAttrs){.axis = 1}, "input 1 is f32[1, 3]"));
    CHECK(refuses(OP_concat, "2 3, i8 2 3", (OpAttrs){.axis = 1}, "the same but for axis 1"));
    CHECK(refuses(OP_concat, "2 3", (OpAttrs){.axis = 2}, "axis 2 is out of range"));
    CHECK(gives(OP_flatten, "2 3 4", (OpAttrs){.axis = 1}, "2 12"));
    CHECK(gives(OP_flatten, "2 3 4", (OpAttrs){.axis = 3}, "24 1"));
    CHECK(gives(OP_flatten, "2 3 4", (OpAttrs){.axis = -1}, "6 4"));
    CHECK(refuses(OP_flatten, "2 3 4", (OpAttrs){.axis = 4}, "axis 4 is out of range"));
}

static void test_movement_shapes(void)
{
    CHECK(gives(OP_reshape, "2 3 4", (OpAttrs){.list = {3, {0, -1, 2}}}, "2 6 2"));
    CHECK(gives(OP_reshape, "i8 2 3 4", (OpAttrs){.list = {1, {24}}}, "i8 24"));
    CHECK(refuses(OP_reshape, "2 3 4", (OpAttrs){.list = {2, {-1, -1}}}, "two entries -1"));
    CHECK(refuses(OP_reshape, "2 3 4", (OpAttrs){.list = {2, {5, -1}}}, "has 24 elements"));
    CHECK(refuses(OP_reshape, "2 3 4", (OpAttrs){.list = {2, {5, 5}}}, "multiply to 25"));
    CHECK(refuses(OP_reshape, "2", (OpAttrs){.list = {2, {2, 0}}}, "entry 1 of shape is 0 (copy)"));
    CHECK(refuses(OP_reshape, "2", (OpAttrs){.list = {3, {1LL << 40, 1LL << 40, 2}}}, "2^63"));
    CHECK(gives(OP_transpose, "2 3 4", (OpAttrs){.list = {3, {2, 0, 1}}}, "4 2 3"));
    CHECK(refuses(OP_transpose, "2 3 4", (OpAttrs){.list = {2, {1, 0}}},
                  "perm has 2 entries, expected 3"));
    CHECK(refuses(OP_transpose, "2 3", (OpAttrs){.list = {2, {1, 1}}}, "entry 1 is 1"));
    CHECK(gives(OP_upsample, "1 2 3 4", (OpAttrs){.scales = {2, 3}}, "1 2 6 12"));
    CHECK(refuses(OP_upsample, "1 2 3 4", (OpAttrs){.scales = {1LL << 31, 1LL << 31}},
                  "2^40 elements"));
    CHECK(gives(OP_channel_shuffle, "1 6 3 4", (OpAttrs){.groups = 3}, "1 6 3 4"));
    CHECK(refuses(OP_channel_shuffle, "1 6 3 4", (OpAttrs){.groups = 4},
                  "6 channels do not divide into 4"));
    CHECK(gives(OP_pad, "1 2 3 4", (OpAttrs){.padding = {1, 2, 3, 4}}, "1 2 7 10"));
    CHECK(refuses(OP_pad, "1 2 3 4", (OpAttrs){.padding = {3, 0, 0, 0}, .mode = PAD_MODE_REFLECT},
                  "padding 3 by reflection of 3 rows"));
    CHECK(
        refuses(OP_pad, "1 2 3 4", (OpAttrs){.padding = {0, -1, 0, 0}}, "padding -1 is negative"));
    CHECK(refuses(OP_pad, "i8 1 2 3 4", (OpAttrs){.value = 200},
                  "value 200 is not a number of type i8"));
}

#define SLICE(axis, from, to, by)                                                                  \
    ((OpAttrs){.axes = {1, {axis}}, .starts = {1, {from}}, .ends = {1, {to}}, .steps = {1, {by}}})

static void test_slice_shapes(void)
{
    CHECK(gives(OP_slice, "9", SLICE(0, 2, 7, 2), "3"));
    CHECK(gives(OP_slice, "9", SLICE(-1, -3, INT64_MAX, 1), "3"));
    CHECK(gives(OP_slice, "9", SLICE(0, -1, INT64_MIN, -1), "9"));
    CHECK(gives(OP_slice, "9", SLICE(0, INT64_MAX, INT64_MIN, INT64_MIN), "1"));
    CHECK(gives(OP_slice, "9", SLICE(0, INT64_MIN, INT64_MAX, INT64_MAX), "1"));
    CHECK(gives(OP_slice, "9", SLICE(0, 7, 2, -2), "3"));
    CHECK(refuses(OP_slice, "9", SLICE(0, 7, 2, 1), "nothing is left of axis 0"));
    CHECK(refuses(OP_slice, "9", SLICE(0, 9, 20, 3), "nothing is left of axis 0"));
    CHECK(refuses(OP_slice, "9", SLICE(0, 1, 2, 0), "step 0 is 0"));
    CHECK(refuses(OP_slice, "9", SLICE(1, 1, 2, 1), "axis 1 is out of range"));
    OpAttrs two = {.axes = {2, {0, -2}}, .starts = {2, {0, 0}}, .ends = {2, {1, 1}}};
    CHECK(refuses(OP_slice, "9 9", two, "axis -2 is given twice"));
    two.ends.n = 1;
    CHECK(refuses(OP_slice, "9 9", two, "2 axes, 2 starts, 1 ends"));
}

static void test_quant_shapes(void)
{
    OpAttrs per_axis = {.axis = -2, .has_axis = true};
    CHECK(gives(OP_quantize, "2 3 4, 1, i8 1", (OpAttrs){0}, "i8 2 3 4"));
    CHECK(gives(OP_quantize, "2 3 4, 3, u8 3", per_axis, "u8 2 3 4"));
    CHECK(gives(OP_dequantize, "i32 2 3 4, 3, i32 3", per_axis, "2 3 4"));
    CHECK(
        refuses(OP_quantize, "2 3 4, 3, u8 3", (OpAttrs){0}, "scale is f32[3], expected 1 entry"));
    CHECK(refuses(OP_quantize, "2 3 4, 3, u8 1", per_axis,
                  "zero_point is u8[1], expected 3 entries"));
    CHECK(refuses(OP_quantize, "2 3 4, 1, i32 1", (OpAttrs){0}, "i32, expected i8 or u8"));
    CHECK(refuses(OP_quantize, "i8 2, 1, i8 1", (OpAttrs){0}, "i8, expected f32"));
    CHECK(refuses(OP_dequantize, "i8 2, 1, u8 1", (OpAttrs){0}, "u8, expected i8 as the input's"));
    CHECK(refuses(OP_dequantize, "2, 1, u8 1", (OpAttrs){0}, "f32, expected i8, u8 or i32"));
    CHECK(refuses(OP_dequantize, "i8 2, i8 1, i8 1", (OpAttrs){0}, "scale is i8[1], expected f32"));
}

/* ---- evaluators ------------------------------------------------------------------------- */

/* computes - whether `op` on x = 1, 2, 3, ... gives these numbers. */
static bool computes(Op op, const char *types, OpAttrs attrs, const double *want)
{
    OneNode      o = one_node(op, types, &attrs);
    double       count[1000];
    const Array *in[MAX_OPERANDS] = {0};
    bool         ok = one_shape(&o);
    for (int i = 0; i < 1000; i++)
        count[i] = i + 1;
    for (int i = 0; ok && i < node_get(o.graph, o.node)->n_in; i++)
        in[i] = one_array(&o, i, count);
    if (ok) {
        Array out = one_eval(&o, in);
        for (int64_t i = 0; i < type_count(&out.type); i++) {
            bool same = fabs(out.data[i] - want[i]) < 1e-9 || out.data[i] == want[i];
            if (!same)
                printf("%s(%s): element %d is %g, not %g\n", op_info(op)->name, types, (int)i,
                       out.data[i], want[i]);
            ok &= same;
        }
    }
    one_free(&o);
    return ok;
}

#define NUMBERS(...) ((const double[]){__VA_ARGS__})

static void test_eval_pool(void)
{
    /* 1 2 3
     * 4 5 6   under 2x2 windows with one row and column of padding before, stride 2 */
    OpAttrs p = {.kernel = {2, 2}, .strides = {2, 2}, .padding = {1, 1, 0, 0}, .ceil_mode = true};
    CHECK(computes(OP_max_pool, "1 1 2 3", p, NUMBERS(1, 3, 4, 6)));
    CHECK(computes(OP_avg_pool, "1 1 2 3", p, NUMBERS(1, 2.5, 4, 5.5)));
    p.count_include_pad = true;
    /* The lower windows reach one row past the padded input, which does not count. */
    CHECK(computes(OP_avg_pool, "1 1 2 3", p, NUMBERS(0.25, 1.25, 2, 5.5)));
    p = (OpAttrs){.kernel = {1, 2}, .strides = {1, 2}, .padding = {0, 0, 0, 1}};
    CHECK(computes(OP_avg_pool, "1 1 1 3", p, NUMBERS(1.5, 3)));
    p.count_include_pad = true;
    CHECK(computes(OP_avg_pool, "1 1 1 3", p, NUMBERS(1.5, 1.5)));
    CHECK(computes(OP_global_avg_pool, "1 2 1 2", (OpAttrs){0}, NUMBERS(1.5, 3.5)));
    CHECK(computes(OP_global_max_pool, "1 2 1 2", (OpAttrs){0}, NUMBERS(2, 4)));
    OpAttrs adaptive = {.list = {2, {1, 2}}};
    CHECK(computes(OP_adaptive_avg_pool, "1 1 1 3", adaptive, NUMBERS(1.5, 2.5)));
}

static void test_eval_axis(void)
{
    double e1 = exp(-1), e2 = exp(-2), sum = 1 + e1;
    CHECK(computes(OP_softmax, "1 2", (OpAttrs){.axis = -1}, NUMBERS(e1 / sum, 1 / sum)));
    sum = 1 + e2;
    CHECK(computes(OP_log_softmax, "2 2", (OpAttrs){.axis = 0},
                   NUMBERS(-2 - log(sum), -2 - log(sum), -log(sum), -log(sum))));
    CHECK(computes(OP_arg_max, "2 3", (OpAttrs){.axis = 1}, NUMBERS(2, 2)));
    CHECK(computes(OP_reduce_mean, "2 2 2", (OpAttrs){.list = {2, {0, 2}}}, NUMBERS(3.5, 5.5)));
    CHECK(computes(OP_concat, "2 1, 2 2", (OpAttrs){.axis = 1}, NUMBERS(1, 1, 2, 2, 3, 4)));
    OpAttrs lrn = {.size = 3, .alpha = 3, .beta = 1, .bias = 1};
    CHECK(computes(OP_lrn, "1 3 1 1", lrn, NUMBERS(1.0 / 6, 2.0 / 15, 3.0 / 14)));
    lrn.size = 2; /* the channel itself and the next */
    lrn.alpha = 2;
    CHECK(computes(OP_lrn, "1 2 1 1", lrn, NUMBERS(1.0 / 6, 2.0 / 5)));
}

static void test_eval_movement(void)
{
    CHECK(computes(OP_transpose, "2 3", (OpAttrs){.list = {2, {1, 0}}}, NUMBERS(1, 4, 2, 5, 3, 6)));
    CHECK(computes(OP_channel_shuffle, "1 4 1", (OpAttrs){.groups = 2}, NUMBERS(1, 3, 2, 4)));
    CHECK(computes(OP_upsample, "1 1 1 2", (OpAttrs){.scales = {2, 2}},
                   NUMBERS(1, 1, 2, 2, 1, 1, 2, 2)));
    CHECK(computes(OP_slice, "5", SLICE(0, -1, -5, -2), NUMBERS(5, 3)));
    OpAttrs pad = {.padding = {0, 2, 1, 1}, .value = 9};
    CHECK(computes(OP_pad, "1 1 1 3", pad, NUMBERS(9, 9, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9)));
    pad = (OpAttrs){.padding = {0, 2, 0, 1}, .mode = PAD_MODE_REFLECT};
    CHECK(computes(OP_pad, "1 1 1 3", pad, NUMBERS(3, 2, 1, 2, 3, 2)));
    pad.mode = PAD_MODE_EDGE;
    CHECK(computes(OP_pad, "1 1 1 3", pad, NUMBERS(1, 1, 1, 2, 3, 3)));
    CHECK(computes(OP_sub, "2 1, 1 3", (OpAttrs){0}, NUMBERS(0, -1, -2, 1, 0, -1)));
}

/* A convolution with weights 1, 2, 3, 4, its parameters set here as one_node makes random ones. */
static void test_eval_conv(void)
{
    OpAttrs      a = CONV(.padding = {1, 0, 0, 0}, .strides = {1, 2}, .dilations = {1, 2});
    OneNode      o = one_node(OP_conv2d, "1 1 2 4, 1 1 2 2, 1", &a);
    const Array *in[3];
    CHECK(one_shape(&o));
    in[0] = one_array(&o, 0, NUMBERS(1, 2, 3, 4, 5, 6, 7, 8));
    in[1] = one_array(&o, 1, NULL);
    in[2] = one_array(&o, 2, NULL);
    memcpy(in[1]->data, NUMBERS(1, 2, 3, 4), 4 * sizeof(double));
    in[2]->data[0] = 0.5;
    Array out = one_eval(&o, in);
    /* Row 0 meets the padding above; columns 0 and 2 of one window, the second would not fit. */
    CHECK(type_count(&out.type) == 2);
    CHECK(out.data[0] == 0.5 + 3 * 1 + 4 * 3);
    CHECK(out.data[1] == 0.5 + 1 * 1 + 2 * 3 + 3 * 5 + 4 * 7);
    one_free(&o);
}

static void test_eval_quant(void)
{
    OneNode o = one_node(OP_quantize, "4, 1, u8 1", &(OpAttrs){0});
    CHECK(one_shape(&o));
    const Array *in[3] = {one_array(&o, 0, NUMBERS(0.25, 0.75, -100, 1000)), one_array(&o, 1, NULL),
                          one_array(&o, 2, NULL)};
    in[1]->data[0] = 0.5;
    in[2]->data[0] = 3;
    Array out = one_eval(&o, in);
    CHECK(out.data[0] == 3 && out.data[1] == 5); /* halves to even, before the zero point */
    CHECK(out.data[2] == 0 && out.data[3] == 255);
    one_free(&o);
}

int main(void)
{
    test_table();
    test_conv_shapes();
    test_pool_shapes();
    test_elementwise_shapes();
    test_axis_shapes();
    test_movement_shapes();
    test_slice_shapes();
    test_quant_shapes();
    test_eval_pool();
    test_eval_axis();
    test_eval_movement();
    test_eval_conv();
    test_eval_quant();
    return check_end();
}
