/* npy_elements.c - elements of .npy files as numbers and as a model's inputs. */
#include "npy.h"

static double from_f16(uint32_t h)
{
    union {
        uint32_t u;
        float    f;
    } v;
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 1023u;
    if (exponent == 0) {
        float tiny = (float)fraction * (1.0f / 16777216.0f);
        return sign ? -tiny : tiny;
    }
    v.u = sign | (exponent == 31 ? 0xffu : exponent + 112u) << 23 | fraction << 13;
    return v.f;
}

double kiln_npy_get(const kiln_npy *n, const unsigned char *data, int64_t i)
{
    size_t bytes = kiln_elem_bytes(n->elem);
    union {
        uint64_t u;
        double   d;
    } v = {0};
    union {
        uint32_t u;
        float    f;
    } single;
    data += (size_t)i * bytes;
    for (size_t k = 0; k < bytes; k++)
        v.u |= (uint64_t)data[n->big_endian ? bytes - 1 - k : k] << 8 * k;
    switch (n->elem) {
    case KILN_F32: single.u = (uint32_t)v.u; return single.f;
    case KILN_F64: return v.d;
    case KILN_F16: return from_f16((uint32_t)v.u);
    case KILN_I8: return (int8_t)v.u;
    case KILN_I16: return (int16_t)v.u;
    case KILN_I32: return (int32_t)v.u;
    case KILN_I64: return (double)(int64_t)v.u;
    case KILN_U8:
    case KILN_U16:
    case KILN_U32: break;
    }
    return (double)v.u;
}

int kiln_npy_native(const kiln_npy *n)
{
    return kiln_elem_bytes(n->elem) == 1 || n->big_endian == KILN_BIG_ENDIAN;
}

/* ---- as a model's inputs ---------------------------------------------------------------- */

int kiln_npy_fits(const kiln_npy *n, kiln_elem to)
{
    if (n->elem == to || to == KILN_F32)
        return 1;
    return to == KILN_I32 && n->elem != KILN_F32 && n->elem != KILN_F64 && n->elem != KILN_F16;
}

/* is_plain - the bytes in the file are those wanted in memory. */
static int is_plain(const kiln_npy *n, kiln_elem to)
{
    return n->elem == to && kiln_npy_native(n);
}

static int store(void *out, int64_t i, kiln_elem to, double v)
{
    switch (to) {
    case KILN_I8: ((int8_t *)out)[i] = (int8_t)v; return 1;
    case KILN_U8: ((uint8_t *)out)[i] = (uint8_t)v; return 1;
    case KILN_I32:
        if (v < INT32_MIN || v > INT32_MAX)
            return 0;
        ((int32_t *)out)[i] = (int32_t)v;
        return 1;
    default: ((float *)out)[i] = (float)v; return 1;
    }
}

int kiln_npy_load(const kiln_npy *n, const unsigned char *data, int64_t count, kiln_elem to,
                  void *out)
{
    if (is_plain(n, to)) {
        __builtin_memcpy(out, data, (size_t)count * kiln_elem_bytes(to));
        return 1;
    }
    for (int64_t i = 0; i < count; i++)
        if (!store(out, i, to, kiln_npy_get(n, data, i)))
            return 0;
    return 1;
}
