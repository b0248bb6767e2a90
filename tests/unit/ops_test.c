/* ops_test - the op table, and what shape rules give and refuse. */
#include "one_node.h"

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

static void test_transposed_shapes(void)
{
    OpAttrs a = {.strides = {2, 3}, .padding = {1, 0, 0, 2}, .output_padding = {1, 0}};
    CHECK(gives(OP_conv_transpose, "1 3 4 5, 3 6 3 2, 6", a, "1 6 9 12"));
    CHECK(gives(OP_conv_transpose, "2 4 1 1, 4 3 5 5", CONV(.groups = 2, .dilations = {2, 1}),
                "2 6 9 5"));
    CHECK(refuses(OP_conv_transpose, "1 3 4, 3 6 3 3", CONV(.groups = 1), "expected rank 4"));
    CHECK(refuses(OP_conv_transpose, "i8 1 3 4 4, 3 6 3 3", CONV(.groups = 1), "i8, expected f32"));
    CHECK(refuses(OP_conv_transpose, "1 3 4 4, 6 3 3 3", CONV(.groups = 1), "must be 3"));
    CHECK(refuses(OP_conv_transpose, "1 3 4 4, 3 6 3", CONV(.groups = 1), "[I, O/groups, KH, KW]"));
    CHECK(refuses(OP_conv_transpose, "1 3 4 4, 3 6 3 3", CONV(.groups = 2), "do not divide"));
    CHECK(
        refuses(OP_conv_transpose, "1 3 4 4, 3 6 3 3, 3", CONV(.groups = 1), "expected shape [6]"));
    CHECK(refuses(OP_conv_transpose, "1 1 1 4, 1 1 3 3", CONV(.padding = {2, 0, 1, 0}),
                  "the padding leaves 0 rows"));
    CHECK(refuses(OP_conv_transpose, "1 1 2 4, 1 1 3 3",
                  CONV(.strides = {1LL << 30, 1}, .dilations = {2, 1}), "cannot be large"));
    CHECK(refuses(OP_conv_transpose, "1 1 2048 2, 1 1 1 1", CONV(.strides = {1LL << 31, 1LL << 31}),
                  "2^40 elements"));
}

static void test_matmul_shapes(void)
{
    CHECK(gives(OP_matmul, "2 3, 3 4", (OpAttrs){0}, "2 4"));
    CHECK(gives(OP_matmul, "5 1 2 3, 4 3 7", (OpAttrs){0}, "5 4 2 7"));
    CHECK(gives(OP_matmul, "3, 2 3 4", (OpAttrs){0}, "2 4"));
    CHECK(gives(OP_matmul, "2 4 3, 3", (OpAttrs){0}, "2 4"));
    CHECK(gives(OP_matmul, "3, 3", (OpAttrs){0}, ""));
    CHECK(refuses(OP_matmul, "2 3, 4 3", (OpAttrs){0}, "have 3 entries, columns of the second 4"));
    CHECK(refuses(OP_matmul, "2 2 3, 5 3 4", (OpAttrs){0}, "dimensions do not broadcast"));
    CHECK(refuses(OP_matmul, "2 3, i32 3 4", (OpAttrs){0}, "i32, expected f32"));
}

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

static void test_depth_shapes(void)
{
    OpAttrs a = {.block = 2};
    CHECK(gives(OP_depth_to_space, "u8 1 12 3 5", a, "u8 1 3 6 10"));
    CHECK(gives(OP_space_to_depth, "1 3 6 10", a, "1 12 3 5"));
    CHECK(refuses(OP_depth_to_space, "1 6 3 5", a, "6 channels do not divide by 2 x 2"));
    CHECK(refuses(OP_space_to_depth, "1 3 6 5", a, "5 columns do not divide by 2"));
    CHECK(refuses(OP_space_to_depth, "1 3 6", a, "expected rank 4"));
}

static void test_gather_shapes(void)
{
    CHECK(gives(OP_gather, "2 9 4, i32 3", (OpAttrs){.axis = 1}, "2 3 4"));
    CHECK(gives(OP_gather, "2 4 9, i32 2 3", (OpAttrs){.axis = -1}, "2 4 2 3"));
    CHECK(gives(OP_gather, "i8 9, i32", (OpAttrs){.axis = 0}, "i8"));
    CHECK(refuses(OP_gather, "2 9, i32 3", (OpAttrs){.axis = 2}, "axis 2 is out of range"));
    CHECK(refuses(OP_gather, "2 9, 3", (OpAttrs){.axis = 1}, "element type f32, expected i32"));
    CHECK(refuses(OP_gather, "2 1, i32 40", (OpAttrs){.axis = 1},
                  "out of range for axis 1 of extent 1"));
    CHECK(refuses(OP_gather, "11, i32 20000", (OpAttrs){.axis = 0}, "more than 4096 progressions"));
}

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

int main(void)
{
    test_table();
    test_conv_shapes();
    test_transposed_shapes();
    test_matmul_shapes();
    test_pool_shapes();
    test_elementwise_shapes();
    test_axis_shapes();
    test_movement_shapes();
    test_depth_shapes();
    test_gather_shapes();
    test_slice_shapes();
    test_quant_shapes();
    return check_end();
}
