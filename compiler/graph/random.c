/* random.c - the seeded generator of "weights": {"random": N}.
 *
 * Element e of constant `index` comes from one 64-bit hash: output e of the SplitMix64 generator
 * (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014) that starts at a
 * state made of seed and index. Everything after the hash is exact or a single correctly rounded
 * operation, so the bits are the same on every machine. docs/format.md states the formulas. */
#include "graph/graph.h"

#include <math.h>
#include <string.h>

static const uint64_t golden = 0x9e3779b97f4a7c15u;

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* bell - the sum of four 16-bit uniforms less its mean: an integer in [-131070, 131070] with
 * variance (2^32 - 1) / 3. */
static int32_t bell(uint64_t h)
{
    uint32_t sum = (uint32_t)(h & 0xffff) + (uint32_t)(h >> 16 & 0xffff) +
                   (uint32_t)(h >> 32 & 0xffff) + (uint32_t)(h >> 48);
    return (int32_t)sum - 131070;
}

/* fill_bell - normal with mean 0 and this standard deviation, nearly. */
static void fill_bell(float *out, int64_t n, uint64_t state, double deviation)
{
    static const double bell_deviation = 37837.22723720648; /* sqrt((2^32 - 1) / 3) */
    double              scale = deviation / bell_deviation;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(scale * bell(mix(state += golden)));
}

/* fill_uniform - 65536 equal steps over [width / 2, 3 width / 2), `width` a power of two. */
static void fill_uniform(float *out, int64_t n, uint64_t state, double width)
{
    double step = width / 65536;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(step * (32768 + (int32_t)(mix(state += golden) >> 48)));
}

static void fill_f32(Tensor *t, uint64_t state, const char *role)
{
    float  *out = (float *)t->data;
    int64_t n = type_count(&t->type);
    if (!strcmp(role, "weight")) {
        int64_t fan_in = 1;
        for (int i = 1; i < t->type.rank; i++)
            fan_in *= t->type.dims[i];
        fill_bell(out, n, state, sqrt(2.0 / (double)fan_in));
    } else if (!strcmp(role, "bias") || !strcmp(role, "mean")) {
        fill_bell(out, n, state, 0.1);
    } else if (!strcmp(role, "scale") || !strcmp(role, "var")) {
        fill_uniform(out, n, state, 1);
    } else if (!strcmp(role, "slope")) {
        fill_uniform(out, n, state, 0.25);
    } else {
        fill_bell(out, n, state, 1);
    }
}

/* Integers: 8 bits over the whole type, 32 bits over 16 of them; a zero point near the middle. */
static void fill_int(Tensor *t, uint64_t state, const char *role)
{
    bool    near_middle = !strcmp(role, "zero_point");
    int64_t n = type_count(&t->type);
    for (int64_t i = 0; i < n; i++) {
        int32_t u = (int32_t)(mix(state += golden) >> 48); /* [0, 65536) */
        if (near_middle)
            u = (u >> 12) - 8 + (t->type.elem == U8 ? 128 : 0);
        else if (t->type.elem == U8)
            u >>= 8;
        else if (t->type.elem == I8)
            u = (u >> 8) - 128;
        else
            u -= 32768;
        tensor_set(t, i, u);
    }
}

void random_fill(Tensor *t, uint64_t seed, uint64_t index, const char *role)
{
    uint64_t state = mix(mix(seed + golden) + (index + 1) * golden);
    if (t->type.elem == F32)
        fill_f32(t, state, role);
    else
        fill_int(t, state, role);
}
