/* tiny - model 'tiny' as C, made by kiln:
 *
 *     kiln compile MODEL --target c99
 *
 * Compile it with:  cc -std=c99 -O2 -c tiny.c
 *
 * target c99: portable C99, no vectors, no extensions; floating point: strict
 * 9920 multiply-accumulates in 5 steps by 5 functions
 * 2048 bytes of activations, static
 * 1420 bytes of weights, inline */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize ("no-tree-loop-distribute-patterns", "no-ipa-cp", \
                      "no-predictive-commoning")
#endif

#include "tiny.h"

#if defined(__GNUC__)
#define INFINITY_F32 __builtin_inff()
#else
#include <math.h>
#define INFINITY_F32 INFINITY
#endif

static inline float max_f32(float a, float b)
{
    return a > b ? a : b;
}

static inline float equal_f32(float a, float b)
{
    return a == b ? 1.0f : 0.0f;
}

/* To the nearest integer, ties to even: below 2^23, adding and taking away 2^23 does
 * that; from there on every float is an integer. */
static inline float round_f32(float a)
{
    union { float f; uint32_t bits; } size = {a}, nearest;
    const uint32_t sign = size.bits & 0x80000000u;
    size.bits ^= sign;
    const float shifted = size.f + 8388608.0f;
    nearest.f = shifted - 8388608.0f;
    nearest.bits |= sign;
    return size.f < 8388608.0f ? nearest.f : a;
}

/* Rounded to nearest even, saturated; NaN becomes 0. */
static inline int32_t f32_to_i32(float a)
{
    const float r = round_f32(a);
    if (r >= 2147483648.0f)
        return 2147483647;
    if (r <= -2147483648.0f)
        return -2147483647 - 1;
    return r == r ? (int32_t)r : 0;
}

static const float tiny_weights_f32[355] = {
    /* stem.bias */
    0.017178848f, 0.052720565f, -0.020239327f, 0.10525084f,
    /* stem.weight */
    -0.58989525f, -1.1283067f, -0.84353435f, 2.4486465f, 0.39796785f, 0.16552481f, 0.51251113f,
    -0.80124795f,
    /* conv1.bias#2 */
    -0.32493505f, -0.34891504f, -0.15090089f, -0.040135663f,
    /* conv1.weight#1 */
    -0.4950782f, 0.23548456f, 0.21167481f, -0.23045917f, 0.03313752f, -0.33959576f, 0.2973284f,
    0.2957468f, -0.4451883f, -0.28751686f, 0.15940173f, 0.031283453f, 0.34102264f, 0.031442974f,
    0.30407578f, 0.35737905f, -0.30162063f, -0.12903264f, 0.21505876f, -0.097447f, -0.23564927f,
    0.063712776f, 0.028194996f, -0.0003474308f, 0.1458983f, 0.3261335f, 0.24963118f, -0.18154971f,
    -0.119011156f, -0.22862534f, 0.13315901f, 0.049486864f, 0.078231946f, -0.7559007f, 0.35531446f,
    0.17390624f, 0.18226342f, -0.30655733f, -0.16171022f, 0.21403204f, 0.09800711f, 0.29541254f,
    0.19511813f, 0.13477379f, 0.26057303f, 0.17101483f, 0.5246557f, -0.3409715f, -0.32301313f,
    -0.051426727f, -0.32714686f, -0.21299955f, -0.23369294f, -0.44368362f, -0.2609681f, 0.42950276f,
    -0.100408375f, -0.31063327f, 0.31989947f, 0.22025645f, -0.38317198f, -0.45890436f, 0.27142134f,
    0.033495262f, 0.50432307f, -0.74448806f, 0.27601093f, 0.05576998f, 0.06368308f, 0.036380682f,
    0.254666f, 0.16676678f, -0.098593295f, 0.09208132f, 0.4860828f, 0.15799293f, 0.06897294f,
    -0.29698467f, 0.2104692f, 0.15635854f, 0.16740379f, -1.0493568f, 0.16753279f, -0.10775247f,
    0.26193613f, -0.018330088f, -0.52324456f, 0.12614673f, 0.14753681f, 0.6946102f, -0.0060349344f,
    0.10374969f, 0.14371598f, -0.013904781f, -0.078988455f, -0.13472974f, -0.48444197f,
    -0.14385742f, 0.17417054f, -0.070851415f, -0.60680073f, -0.42118445f, -0.25547433f,
    -0.37837172f, 0.06946731f, 0.33984032f, -0.07011073f, 0.24092615f, 0.48334023f, 0.48676053f,
    0.09379151f, -0.09281785f, 0.31185427f, 0.042052064f, -0.14204359f, 0.32918334f, -0.34988615f,
    0.49718323f, -0.09842218f, -0.17666122f, 0.6118081f, 0.57588387f, -0.4032583f, -0.14428166f,
    -0.24012694f, -0.2902885f, -0.11577347f, -0.23600826f, -0.059855174f, 0.32981348f, 0.16051145f,
    0.2818398f, -0.30990502f, 0.16721839f, 0.24646644f, 0.19758047f, 0.22543682f, -0.049260657f,
    0.2146135f, 0.42960554f, -0.4254202f, -0.6949479f, -0.39680552f, -0.13393213f,
    /* scores.bias */
    -0.08551895f, 0.042896908f, 0.007994772f,
    /* scores.weight */
    -0.022720085f, -0.3710994f, 0.088235974f, -0.295847f, 0.24258587f, -0.27981728f, 0.030798027f,
    -0.22545353f, -0.100364566f, 0.25050962f, -0.0056484854f, 0.03558219f, -0.002420112f,
    0.011684749f, -0.23342869f, 0.018393787f, 0.01306767f, 0.043650784f, -0.17495821f, 0.1956413f,
    -0.0033825503f, 0.132097f, 0.06289955f, -0.42619202f, -0.028443323f, 0.18325575f, 0.1274203f,
    -0.14833698f, 0.010885832f, 0.05822752f, 0.03262012f, -0.005601765f, -0.13916111f, 0.21112908f,
    -0.08375083f, -0.048799362f, -0.09684186f, 0.011941711f, 0.20307916f, 0.09996277f,
    -0.030302793f, 0.09233335f, -0.01125025f, -0.20461626f, 0.1913804f, 0.21845014f, 0.06210998f,
    0.12643917f, 0.017440692f, -0.1336341f, -0.16458163f, -0.17872387f, -0.045047723f, 0.03484868f,
    0.12835003f, -0.19941163f, -0.47818238f, -0.12540199f, 0.07392555f, -0.11864623f, -0.04173058f,
    0.007830324f, -0.22154303f, -0.17504232f, 0.034815975f, -0.25553674f, 0.2527709f, -0.037236087f,
    0.07850881f, -0.089600205f, -0.02095406f, -0.25832593f, -0.16539456f, -0.11312389f, 0.14481895f,
    0.047995772f, -0.21060114f, -0.024308577f, -0.07268278f, -0.19527687f, 0.07813037f, -0.2957162f,
    0.056139123f, 0.04451044f, -0.18604027f, 0.12820053f, 0.35384095f, 0.06202121f, 0.29228693f,
    0.12537862f, -0.06163343f, 0.18444711f, -0.1388294f, 0.27101517f, -0.04908903f, -0.20562543f,
    -0.06563269f, -0.15418169f, -0.10814817f, 0.11327339f, 0.264194f, 0.23353614f, 0.0008129334f,
    -0.19548711f, -0.059960846f, 0.1455945f, 0.045201898f, 0.13376959f, 0.008675962f, -0.20291097f,
    0.30260745f, -0.20482184f, 0.004961697f, -0.13977315f, -0.23851185f, -0.063254625f, 0.22147763f,
    -0.11719322f, 0.04989729f, 0.09509919f, -0.2600826f, -0.10434981f, 0.13412467f, 0.0053634914f,
    0.086227f, -0.14949565f, 0.17409389f, -0.041300755f, -0.40363544f, -0.25509757f, -0.22711676f,
    0.001812748f, 0.30983976f, -0.1598769f, -0.051817495f, 0.42151532f, -0.19716437f, 0.3022617f,
    -0.09363684f, 0.029714117f, -0.02999911f, -0.098547146f, 0.30411652f, 0.039492678f,
    -0.036712818f, 0.107671626f, 0.057405245f, -0.20119634f, -0.045841966f, -0.12555616f,
    -0.19993956f, 0.06056821f, 0.29712248f, -0.15138315f, 0.18975453f, -0.24898654f, -0.29468834f,
    -0.04686047f, -0.14839305f, -0.014899107f, -0.11869294f, 0.12214091f, 0.029616004f, 0.15382195f,
    0.23398465f, 0.23600765f, 0.08376017f, -0.072168864f, -0.091940895f, -0.14768289f, 0.26141882f,
    -0.09521599f, 0.14595892f, 0.29267937f, -0.10152791f, -0.04907034f, -0.18012081f, -0.030746635f,
    0.03195669f, -0.013805851f, 0.066483f, -0.23102258f, 0.07339761f, -0.28212994f, 0.048346177f,
    0.1853348f, 0.08951144f, -0.18993208f, 0.16162424f, 0.17263155f, -0.15028521f, -0.15214469f,
};

/* stem: conv2d 1x1, 2 -> 4, 8x8
 * 512 multiply-accumulates; schedule: direct, tile 1x4x4, unroll_k 1
 * tile 1x4x4: 21 of 32 registers */
static void conv2d_1(const float *restrict x, const float *restrict b, const float *restrict w,
    float *restrict y)
{
    for (int oh_ow0 = 0; oh_ow0 < 16; oh_ow0++) {
        float *const yp = &y[oh_ow0 * 4];
        float acc_0_0 = b[0];
        float acc_1_0 = b[1];
        float acc_2_0 = b[2];
        float acc_3_0 = b[3];
        float acc_0_1 = b[0];
        float acc_1_1 = b[1];
        float acc_2_1 = b[2];
        float acc_3_1 = b[3];
        float acc_0_2 = b[0];
        float acc_1_2 = b[1];
        float acc_2_2 = b[2];
        float acc_3_2 = b[3];
        float acc_0_3 = b[0];
        float acc_1_3 = b[1];
        float acc_2_3 = b[2];
        float acc_3_3 = b[3];
        for (int ic = 0; ic < 2; ic++) {
            const float *const wp = &w[ic * 4];
            const float *const xp = &x[ic * 64 + oh_ow0 * 4];
            const float wv_0 = wp[0];
            const float wv_1 = wp[1];
            const float wv_2 = wp[2];
            const float wv_3 = wp[3];
            const float xv_0 = xp[0];
            acc_0_0 += xv_0 * wv_0;
            acc_1_0 += xv_0 * wv_1;
            acc_2_0 += xv_0 * wv_2;
            acc_3_0 += xv_0 * wv_3;
            const float xv_1 = xp[1];
            acc_0_1 += xv_1 * wv_0;
            acc_1_1 += xv_1 * wv_1;
            acc_2_1 += xv_1 * wv_2;
            acc_3_1 += xv_1 * wv_3;
            const float xv_2 = xp[2];
            acc_0_2 += xv_2 * wv_0;
            acc_1_2 += xv_2 * wv_1;
            acc_2_2 += xv_2 * wv_2;
            acc_3_2 += xv_2 * wv_3;
            const float xv_3 = xp[3];
            acc_0_3 += xv_3 * wv_0;
            acc_1_3 += xv_3 * wv_1;
            acc_2_3 += xv_3 * wv_2;
            acc_3_3 += xv_3 * wv_3;
        }
        yp[0] = acc_0_0;
        yp[64] = acc_1_0;
        yp[128] = acc_2_0;
        yp[192] = acc_3_0;
        yp[1] = acc_0_1;
        yp[65] = acc_1_1;
        yp[129] = acc_2_1;
        yp[193] = acc_3_1;
        yp[2] = acc_0_2;
        yp[66] = acc_1_2;
        yp[130] = acc_2_2;
        yp[194] = acc_3_2;
        yp[3] = acc_0_3;
        yp[67] = acc_1_3;
        yp[131] = acc_2_3;
        yp[195] = acc_3_3;
    }
}

/* conv1: conv2d 3x3, 4 -> 4, 8x8, add, relu
 * 9216 multiply-accumulates; schedule: direct, tile 1x4x4, unroll_k 1
 * tile 1x4x4: 21 of 32 registers */
static void conv2d_2(const float *restrict x, const float *restrict b, const float *restrict w,
    float *restrict y)
{
    float acc_0 = b[0];
    float acc_1 = b[1];
    float acc_2 = b[2];
    float acc_3 = b[3];
    for (int ic = 0; ic < 4; ic++) {
        for (int kh = 0; kh < 2; kh++) {
            for (int kw = 0; kw < 2; kw++) {
                const float *const wp = &w[ic * 36 + kh * 12 + kw * 4 + 16];
                const float xv = x[ic * 64 + kh * 8 + kw];
                acc_0 += xv * wp[0];
                acc_1 += xv * wp[1];
                acc_2 += xv * wp[2];
                acc_3 += xv * wp[3];
            }
        }
    }
    y[0] = max_f32(0.0f, acc_0 + x[0]);
    y[64] = max_f32(0.0f, acc_1 + x[64]);
    y[128] = max_f32(0.0f, acc_2 + x[128]);
    y[192] = max_f32(0.0f, acc_3 + x[192]);
    for (int ow = 0; ow < 6; ow++) {
        const float *const xp = &x[ow + 1];
        float *const yp = &y[ow + 1];
        float acc_0b = b[0];
        float acc_1b = b[1];
        float acc_2b = b[2];
        float acc_3b = b[3];
        for (int ic = 0; ic < 4; ic++) {
            for (int kh = 0; kh < 2; kh++) {
                for (int kw = 0; kw < 3; kw++) {
                    const float *const wp = &w[ic * 36 + kh * 12 + kw * 4 + 12];
                    const float xv = x[ic * 64 + kh * 8 + ow + kw];
                    acc_0b += xv * wp[0];
                    acc_1b += xv * wp[1];
                    acc_2b += xv * wp[2];
                    acc_3b += xv * wp[3];
                }
            }
        }
        yp[0] = max_f32(0.0f, acc_0b + xp[0]);
        yp[64] = max_f32(0.0f, acc_1b + xp[64]);
        yp[128] = max_f32(0.0f, acc_2b + xp[128]);
        yp[192] = max_f32(0.0f, acc_3b + xp[192]);
    }
    float acc_0b = b[0];
    float acc_1b = b[1];
    float acc_2b = b[2];
    float acc_3b = b[3];
    for (int ic = 0; ic < 4; ic++) {
        for (int kh = 0; kh < 2; kh++) {
            for (int kw = 0; kw < 2; kw++) {
                const float *const wp = &w[ic * 36 + kh * 12 + kw * 4 + 12];
                const float xv = x[ic * 64 + kh * 8 + kw + 6];
                acc_0b += xv * wp[0];
                acc_1b += xv * wp[1];
                acc_2b += xv * wp[2];
                acc_3b += xv * wp[3];
            }
        }
    }
    y[7] = max_f32(0.0f, acc_0b + x[7]);
    y[71] = max_f32(0.0f, acc_1b + x[71]);
    y[135] = max_f32(0.0f, acc_2b + x[135]);
    y[199] = max_f32(0.0f, acc_3b + x[199]);
    for (int oh = 0; oh < 6; oh++) {
        const float *const xp = &x[oh * 8 + 8];
        float *const yp = &y[oh * 8 + 8];
        float acc_0c = b[0];
        float acc_1c = b[1];
        float acc_2c = b[2];
        float acc_3c = b[3];
        for (int ic = 0; ic < 4; ic++) {
            for (int kh = 0; kh < 3; kh++) {
                for (int kw = 0; kw < 2; kw++) {
                    const float *const wp = &w[ic * 36 + kh * 12 + kw * 4 + 4];
                    const float xv = x[ic * 64 + oh * 8 + kh * 8 + kw];
                    acc_0c += xv * wp[0];
                    acc_1c += xv * wp[1];
                    acc_2c += xv * wp[2];
                    acc_3c += xv * wp[3];
                }
            }
        }
        yp[0] = max_f32(0.0f, acc_0c + xp[0]);
        yp[64] = max_f32(0.0f, acc_1c + xp[64]);
        yp[128] = max_f32(0.0f, acc_2c + xp[128]);
        yp[192] = max_f32(0.0f, acc_3c + xp[192]);
        for (int ow0 = 0; ow0 < 2; ow0++) {
            const float *const xp_2 = &x[oh * 8 + ow0 * 3 + 9];
            float *const yp_2 = &y[oh * 8 + ow0 * 3 + 9];
            float acc_0_0 = b[0];
            float acc_1_0 = b[1];
            float acc_2_0 = b[2];
            float acc_3_0 = b[3];
            float acc_0_1 = b[0];
            float acc_1_1 = b[1];
            float acc_2_1 = b[2];
            float acc_3_1 = b[3];
            float acc_0_2 = b[0];
            float acc_1_2 = b[1];
            float acc_2_2 = b[2];
            float acc_3_2 = b[3];
            for (int ic = 0; ic < 4; ic++) {
                for (int kh = 0; kh < 3; kh++) {
                    for (int kw = 0; kw < 3; kw++) {
                        const float *const wp = &w[ic * 36 + kh * 12 + kw * 4];
                        const float *const xp_3 = &x[ic * 64 + oh * 8 + kh * 8 + ow0 * 3 + kw];
                        const float wv_0 = wp[0];
                        const float wv_1 = wp[1];
                        const float wv_2 = wp[2];
                        const float wv_3 = wp[3];
                        const float xv_0 = xp_3[0];
                        acc_0_0 += xv_0 * wv_0;
                        acc_1_0 += xv_0 * wv_1;
                        acc_2_0 += xv_0 * wv_2;
                        acc_3_0 += xv_0 * wv_3;
                        const float xv_1 = xp_3[1];
                        acc_0_1 += xv_1 * wv_0;
                        acc_1_1 += xv_1 * wv_1;
                        acc_2_1 += xv_1 * wv_2;
                        acc_3_1 += xv_1 * wv_3;
                        const float xv_2 = xp_3[2];
                        acc_0_2 += xv_2 * wv_0;
                        acc_1_2 += xv_2 * wv_1;
                        acc_2_2 += xv_2 * wv_2;
                        acc_3_2 += xv_2 * wv_3;
                    }
                }
            }
            yp_2[0] = max_f32(0.0f, acc_0_0 + xp_2[0]);
            yp_2[64] = max_f32(0.0f, acc_1_0 + xp_2[64]);
            yp_2[128] = max_f32(0.0f, acc_2_0 + xp_2[128]);
            yp_2[192] = max_f32(0.0f, acc_3_0 + xp_2[192]);
            yp_2[1] = max_f32(0.0f, acc_0_1 + xp_2[1]);
            yp_2[65] = max_f32(0.0f, acc_1_1 + xp_2[65]);
            yp_2[129] = max_f32(0.0f, acc_2_1 + xp_2[129]);
            yp_2[193] = max_f32(0.0f, acc_3_1 + xp_2[193]);
            yp_2[2] = max_f32(0.0f, acc_0_2 + xp_2[2]);
            yp_2[66] = max_f32(0.0f, acc_1_2 + xp_2[66]);
            yp_2[130] = max_f32(0.0f, acc_2_2 + xp_2[130]);
            yp_2[194] = max_f32(0.0f, acc_3_2 + xp_2[194]);
        }
        float acc_0d = b[0];
        float acc_1d = b[1];
        float acc_2d = b[2];
        float acc_3d = b[3];
        for (int ic = 0; ic < 4; ic++) {
            for (int kh = 0; kh < 3; kh++) {
                for (int kw = 0; kw < 2; kw++) {
                    const float *const wp = &w[ic * 36 + kh * 12 + kw * 4];
                    const float xv = x[ic * 64 + oh * 8 + kh * 8 + kw + 6];
                    acc_0d += xv * wp[0];
                    acc_1d += xv * wp[1];
                    acc_2d += xv * wp[2];
                    acc_3d += xv * wp[3];
                }
            }
        }
        yp[7] = max_f32(0.0f, acc_0d + xp[7]);
        yp[71] = max_f32(0.0f, acc_1d + xp[71]);
        yp[135] = max_f32(0.0f, acc_2d + xp[135]);
        yp[199] = max_f32(0.0f, acc_3d + xp[199]);
    }
    float acc_0c = b[0];
    float acc_1c = b[1];
    float acc_2c = b[2];
    float acc_3c = b[3];
    for (int ic = 0; ic < 4; ic++) {
        for (int kh = 0; kh < 2; kh++) {
            for (int kw = 0; kw < 2; kw++) {
                const float *const wp = &w[ic * 36 + kh * 12 + kw * 4 + 4];
                const float xv = x[ic * 64 + kh * 8 + kw + 48];
                acc_0c += xv * wp[0];
                acc_1c += xv * wp[1];
                acc_2c += xv * wp[2];
                acc_3c += xv * wp[3];
            }
        }
    }
    y[56] = max_f32(0.0f, acc_0c + x[56]);
    y[120] = max_f32(0.0f, acc_1c + x[120]);
    y[184] = max_f32(0.0f, acc_2c + x[184]);
    y[248] = max_f32(0.0f, acc_3c + x[248]);
    for (int ow = 0; ow < 6; ow++) {
        const float *const xp = &x[ow + 57];
        float *const yp = &y[ow + 57];
        float acc_0d = b[0];
        float acc_1d = b[1];
        float acc_2d = b[2];
        float acc_3d = b[3];
        for (int ic = 0; ic < 4; ic++) {
            for (int kh = 0; kh < 2; kh++) {
                for (int kw = 0; kw < 3; kw++) {
                    const float *const wp = &w[ic * 36 + kh * 12 + kw * 4];
                    const float xv = x[ic * 64 + kh * 8 + ow + kw + 48];
                    acc_0d += xv * wp[0];
                    acc_1d += xv * wp[1];
                    acc_2d += xv * wp[2];
                    acc_3d += xv * wp[3];
                }
            }
        }
        yp[0] = max_f32(0.0f, acc_0d + xp[0]);
        yp[64] = max_f32(0.0f, acc_1d + xp[64]);
        yp[128] = max_f32(0.0f, acc_2d + xp[128]);
        yp[192] = max_f32(0.0f, acc_3d + xp[192]);
    }
    float acc_0d = b[0];
    float acc_1d = b[1];
    float acc_2d = b[2];
    float acc_3d = b[3];
    for (int ic = 0; ic < 4; ic++) {
        for (int kh = 0; kh < 2; kh++) {
            for (int kw = 0; kw < 2; kw++) {
                const float *const wp = &w[ic * 36 + kh * 12 + kw * 4];
                const float xv = x[ic * 64 + kh * 8 + kw + 54];
                acc_0d += xv * wp[0];
                acc_1d += xv * wp[1];
                acc_2d += xv * wp[2];
                acc_3d += xv * wp[3];
            }
        }
    }
    y[63] = max_f32(0.0f, acc_0d + x[63]);
    y[127] = max_f32(0.0f, acc_1d + x[127]);
    y[191] = max_f32(0.0f, acc_2d + x[191]);
    y[255] = max_f32(0.0f, acc_3d + x[255]);
}

/* pool: max_pool 2x2 stride 2, [1, 4, 4, 4]
 * tile 1x4x1: 6 of 32 registers */
static void max_pool_1(const float *restrict x, float *restrict y)
{
    for (int c_h = 0; c_h < 16; c_h++) {
        float *const yp = &y[c_h * 4];
        float acc_0 = -INFINITY_F32;
        float acc_1 = -INFINITY_F32;
        float acc_2 = -INFINITY_F32;
        float acc_3 = -INFINITY_F32;
        for (int kh = 0; kh < 2; kh++) {
            for (int kw = 0; kw < 2; kw++) {
                const float *const xp = &x[c_h * 16 + kh * 8 + kw];
                acc_0 = max_f32(xp[0], acc_0);
                acc_1 = max_f32(xp[2], acc_1);
                acc_2 = max_f32(xp[4], acc_2);
                acc_3 = max_f32(xp[6], acc_3);
            }
        }
        yp[0] = acc_0;
        yp[1] = acc_1;
        yp[2] = acc_2;
        yp[3] = acc_3;
    }
}

/* scores: linear 64 -> 3
 * 192 multiply-accumulates; schedule: direct, tile 1x1x3, unroll_k 1
 * tile 1x1x3: 7 of 32 registers */
static void linear_1(const float *restrict x, const float *restrict b, const float *restrict w,
    float *restrict y)
{
    float acc_0 = b[0];
    float acc_1 = b[1];
    float acc_2 = b[2];
    for (int ic_ih_iw = 0; ic_ih_iw < 64; ic_ih_iw++) {
        const float *const wp = &w[ic_ih_iw * 3];
        const float xv = x[ic_ih_iw];
        acc_0 += xv * wp[0];
        acc_1 += xv * wp[1];
        acc_2 += xv * wp[2];
    }
    y[0] = acc_0;
    y[1] = acc_1;
    y[2] = acc_2;
}

/* label: arg_max, [1] */
static void arg_max_1(const float *restrict x, int32_t *restrict y)
{
    float m = -INFINITY_F32;
    for (int c = 0; c < 3; c++) {
        m = max_f32(x[c], m);
    }
    float best = 1.0f;
    for (int c = 0; c < 3; c++) {
        best = max_f32(equal_f32(x[c], m) * (float)(-c + 3), best);
    }
    y[0] = f32_to_i32(3.0f - best);
}

static union {
    unsigned char bytes[TINY_ARENA_BYTES];
    float f32[TINY_ARENA_BYTES / 4];
} tiny_arena;

void tiny_infer(const float *image, float *scores, int32_t *label)
{
    float *const arena_f32 = tiny_arena.f32;
    const float *const weights_f32 = tiny_weights_f32;
    /* stem: [1, 4, 8, 8] */
    conv2d_1(image, weights_f32, weights_f32 + 4, arena_f32);
    /* conv1: [1, 4, 8, 8] */
    conv2d_2(arena_f32, weights_f32 + 12, weights_f32 + 16, arena_f32 + 256);
    /* pool: [1, 4, 4, 4] */
    max_pool_1(arena_f32 + 256, arena_f32);
    /* scores: [1, 3] */
    linear_1(arena_f32, weights_f32 + 160, weights_f32 + 163, scores);
    /* label: [1] */
    arg_max_1(scores, label);
}
