/* Types, layouts, and numbers in every element type. */
#include "graph/graph.h"
#include "check.h"

#include <math.h>
#include <string.h>

static void test_types(Arena *a)
{
    Type t = type_plain(F32, 4, (int64_t[]){1, 20, 6, 5});
    CHECK(!strcmp(type_text(a, &t), "f32[1, 20, 6, 5]"));
    CHECK(type_count(&t) == 600 && type_stored_count(&t) == 600 && type_is_plain(&t));
    t.layout.block = 16;
    CHECK(!strcmp(type_text(a, &t), "f32[1, 20, 6, 5]:c16"));
    CHECK(type_count(&t) == 600 && type_stored_count(&t) == 2 * 6 * 5 * 16 && !type_is_plain(&t));
    t.layout = (Layout){16, 1, 2, 3, 4};
    CHECK(!strcmp(type_text(a, &t), "f32[1, 20, 6, 5]:c16+1.2.3.4"));
    CHECK(type_stored_count(&t) == 2 * (1 + 6 + 3) * (2 + 5 + 4) * 16);
    Type v = type_plain(U8, 2, (int64_t[]){3, 17});
    v.layout.block = 8;
    CHECK(type_stored_count(&v) == 3 * 3 * 8);
    Type scalar = type_plain(I32, 0, NULL);
    CHECK(!strcmp(type_text(a, &scalar), "i32[]") && type_count(&scalar) == 1);
    Elem e;
    CHECK(elem_from_name("BF16", &e) && e == BF16 && elem_from_name("u8", &e) && e == U8);
    CHECK(!elem_from_name("f64", &e) && !elem_from_name("?", &e) && !elem_from_name("", &e));
}

/* Each 16-bit float survives the way to f32 and back, and has the value its bits say. */
static void test_small_floats(void)
{
    int n_wrong = 0;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = f16_to_f32((uint16_t)h), b = bf16_to_f32((uint16_t)h);
        int   exponent = h >> 10 & 31, mantissa = h & 1023;
        float value = exponent ? ldexpf((float)(1024 + mantissa), exponent - 25)
                               : ldexpf((float)mantissa, -24);
        if (exponent == 31)
            value = mantissa ? NAN : INFINITY;
        if (h & 0x8000)
            value = -value;
        n_wrong += isnan(value) ? !isnan(f) : f != value || f32_to_f16(f) != h;
        n_wrong += isnan(b) ? !isnan(bf16_to_f32(f32_to_bf16(b))) : f32_to_bf16(b) != h;
    }
    CHECK(n_wrong == 0);
}

/* Halfway goes to the even neighbour; what is just off it does not. */
static void test_rounding(void)
{
    for (uint16_t h = 0; h < 0x7bff; h++) {
        float below = f16_to_f32(h), above = f16_to_f32(h + 1), middle = (below + above) / 2;
        CHECK(f32_to_f16(middle) == (h & 1 ? h + 1 : h));
        CHECK(f32_to_f16(nextafterf(middle, 0)) == h);
        CHECK(f32_to_f16(nextafterf(middle, INFINITY)) == h + 1);
        CHECK(f32_to_f16(-middle) == (0x8000 | (h & 1 ? h + 1 : h)));
    }
    CHECK(f32_to_f16(65519.996f) == 0x7bff && f32_to_f16(65520) == 0x7c00);
    CHECK(f32_to_f16(1e30f) == 0x7c00 && f32_to_f16(-INFINITY) == 0xfc00);
    CHECK(f32_to_bf16(0x1.01p0f) == 0x3f80 && f32_to_bf16(0x1.03p0f) == 0x3f82);
    CHECK(f32_to_bf16(3.4e38f) == 0x7f80);
}

static void test_contents(Arena *a)
{
    const struct {
        Elem   elem;
        double in, out;
    } cases[] = {{F32, 0.1, 0.1f},
                 {F16, 2049, 2048},
                 {BF16, 257, 256},
                 {I8, 200, 127},
                 {I8, -2.5, -2},
                 {I8, 3.5, 4},
                 {U8, -3, 0},
                 {U8, 255.4, 255},
                 {I32, 3e10, 2147483647},
                 {I32, -3e10, -2147483648.0},
                 {F64, 0.1, 0.1},
                 /* once, not first to f32: that would make it the middle, then even */
                 {F16, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t three = 3;
        Tensor *t = tensor_new(a, cases[i].elem, 1, &three);
        tensor_set(t, 1, cases[i].in);
        CHECK(tensor_get(t, 0) == 0 && tensor_get(t, 1) == cases[i].out && tensor_get(t, 2) == 0);
        const Tensor *f = tensor_as_f32(a, t);
        CHECK(f->type.elem == F32 && tensor_get(f, 1) == (float)cases[i].out);
        CHECK((f == t) == (cases[i].elem == F32));
    }
    int64_t one = 1;
    Tensor *t = tensor_new(a, I8, 1, &one);
    tensor_set(t, 0, NAN);
    CHECK(tensor_get(t, 0) == 0);
}

int main(void)
{
    Arena *a = arena_new();
    test_types(a);
    test_small_floats();
    test_rounding();
    test_contents(a);
    arena_free(a);
    return check_end();
}
