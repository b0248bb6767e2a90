/* ops_eval_test - evaluators on cases small enough to be computed by hand. */
#include "one_node.h"

#include <math.h>

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

static void test_eval_functions(void)
{
    CHECK(computes(OP_neg, "2", (OpAttrs){0}, NUMBERS(-1, -2)));
    CHECK(computes(OP_sqrt, "4", (OpAttrs){0}, NUMBERS(1, sqrt(2), sqrt(3), 2)));
    CHECK(computes(OP_softsign, "3", (OpAttrs){0}, NUMBERS(0.5, 2.0 / 3, 0.75)));
    CHECK(computes(OP_log, "2", (OpAttrs){0}, NUMBERS(0, log(2))));
    CHECK(computes(OP_pow, "3, 3", (OpAttrs){0}, NUMBERS(1, 4, 27)));
    CHECK(computes(OP_max, "2 1, 1 3", (OpAttrs){0}, NUMBERS(1, 2, 3, 2, 2, 3)));
    CHECK(computes(OP_min, "2 1, 1 3", (OpAttrs){0}, NUMBERS(1, 1, 1, 1, 2, 2)));
}

static void test_eval_reduce(void)
{
    OpAttrs a = {.list = {1, {0}}};
    CHECK(computes(OP_reduce_sum, "2 3", a, NUMBERS(5, 7, 9)));
    CHECK(computes(OP_reduce_max, "2 3", a, NUMBERS(4, 5, 6)));
    CHECK(computes(OP_reduce_min, "2 3", a, NUMBERS(1, 2, 3)));
    CHECK(computes(OP_reduce_mean, "2 3", (OpAttrs){0}, NUMBERS(3.5)));
}

static void test_eval_matmul(void)
{
    CHECK(computes(OP_matmul, "2 2, 2 3", (OpAttrs){0}, NUMBERS(9, 12, 15, 19, 26, 33)));
    CHECK(computes(OP_matmul, "2, 2", (OpAttrs){0}, NUMBERS(5)));
    CHECK(computes(OP_matmul, "2 1 2, 2", (OpAttrs){0}, NUMBERS(5, 11)));
}

static void test_eval_movement(void)
{
    /* Eight channels of one pixel become two squares: every second of them, or the first four. */
    OpAttrs depth = {.block = 2};
    CHECK(computes(OP_depth_to_space, "1 8 1 1", depth, NUMBERS(1, 3, 5, 7, 2, 4, 6, 8)));
    CHECK(computes(OP_space_to_depth, "1 2 2 2", depth, NUMBERS(1, 5, 2, 6, 3, 7, 4, 8)));
    depth.channels_first = true;
    CHECK(computes(OP_depth_to_space, "1 8 1 1", depth, NUMBERS(1, 2, 3, 4, 5, 6, 7, 8)));
    CHECK(computes(OP_space_to_depth, "1 2 2 2", depth, NUMBERS(1, 2, 3, 4, 5, 6, 7, 8)));
    CHECK(computes(OP_transpose, "2 3", (OpAttrs){.list = {2, {1, 0}}}, NUMBERS(1, 4, 2, 5, 3, 6)));
    CHECK(computes(OP_channel_shuffle, "1 4 1", (OpAttrs){.groups = 2}, NUMBERS(1, 3, 2, 4)));
    CHECK(computes(OP_upsample, "1 1 1 2", (OpAttrs){.scales = {2, 2}},
                   NUMBERS(1, 1, 2, 2, 1, 1, 2, 2)));
    OpAttrs slice = {.axes = {1, {0}}, .starts = {1, {-1}}, .ends = {1, {-5}}, .steps = {1, {-2}}};
    CHECK(computes(OP_slice, "5", slice, NUMBERS(5, 3)));
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
    OpAttrs      a = {.padding = {1, 0, 0, 0}, .strides = {1, 2}, .dilations = {1, 2}};
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
    test_eval_functions();
    test_eval_reduce();
    test_eval_matmul();
    test_eval_pool();
    test_eval_axis();
    test_eval_movement();
    test_eval_conv();
    test_eval_quant();
    return check_end();
}
