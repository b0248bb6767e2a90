/* .npy headers and elements: what is written is read, what lies is refused. */
#include "check.h"
#include "npy.h"

#include <math.h>
#include <string.h>

/* parse - a header followed by `more` bytes that are not there: nothing may look at them. */
static const char *parse(kiln_npy *out, const unsigned char *file, size_t bytes, size_t more)
{
    unsigned char first[KILN_NPY_PREFIX] = {0};
    memcpy(first, file, bytes < sizeof first ? bytes : sizeof first);
    size_t header = kiln_npy_header_bytes(first);
    return header && header <= bytes ? kiln_npy_parse(out, file, header, bytes + more)
                                     : "no header";
}

static void test_round_trip(void)
{
    static const kiln_elem elems[] = {KILN_F32, KILN_F64, KILN_I8, KILN_U8, KILN_I32};
    for (size_t e = 0; e < sizeof elems / sizeof *elems; e++)
        for (int rank = 0; rank <= KILN_NPY_MAX_RANK; rank++) {
            unsigned char header[KILN_NPY_OUT_HEADER];
            int64_t       dims[KILN_NPY_MAX_RANK], count = 1;
            kiln_npy      n;
            for (int i = 0; i < rank; i++)
                count *= dims[i] = random_between(1, 4);
            size_t bytes = kiln_npy_make_header(header, elems[e], rank, dims);
            CHECK(bytes % 64 == 0 && bytes <= sizeof header);
            CHECK(!parse(&n, header, bytes, (size_t)count * kiln_elem_bytes(elems[e])));
            CHECK(n.elem == elems[e] && n.rank == rank && n.count == count);
            CHECK(kiln_npy_native(&n) && n.header_bytes == bytes);
            CHECK(!rank || !memcmp(n.dims, dims, (size_t)rank * sizeof *dims));
            CHECK(parse(&n, header, bytes, (size_t)count * kiln_elem_bytes(elems[e]) - 1));
        }
}

static void test_longest_header(void)
{
    unsigned char header[KILN_NPY_OUT_HEADER];
    int64_t       dims[KILN_NPY_MAX_RANK];
    for (int i = 0; i < KILN_NPY_MAX_RANK; i++)
        dims[i] = INT64_MAX;
    CHECK(kiln_npy_make_header(header, KILN_F32, KILN_NPY_MAX_RANK, dims) <= sizeof header);
}

/* test_hostile - random changes of a good header: refused, or of a size that is really there. */
static void test_hostile(void)
{
    static const char alphabet[] = "{}()[]',: <>|=fiub0123456789deschrpantoTFlsu_\"\\\n\t\xff";
    unsigned char     good[KILN_NPY_OUT_HEADER], bad[KILN_NPY_OUT_HEADER];
    const int64_t     dims[] = {3, 5};
    size_t            bytes = kiln_npy_make_header(good, KILN_F32, 2, dims);
    int               accepted = 0, oversized = 0;
    for (int trial = 0; trial < 200000; trial++) {
        kiln_npy n;
        memcpy(bad, good, bytes);
        for (int64_t k = random_between(1, 4); k > 0; k--)
            bad[random_below((int64_t)bytes)] =
                (unsigned char)alphabet[random_below((int64_t)sizeof alphabet)];
        size_t more = (size_t)random_below(200);
        if (parse(&n, bad, (size_t)random_between(1, (int64_t)bytes), more))
            continue;
        accepted++;
        oversized += n.count < 1 || (uint64_t)n.count * kiln_elem_bytes(n.elem) > bytes + more;
    }
    CHECK(accepted > 0);
    CHECK(oversized == 0);
}

static void test_elements(void)
{
    static const unsigned char halves[] = {0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc,
                                           0x01, 0x7e, 0x00, 0x80, 0xff, 0x7b};
    static const unsigned char big[] = {0xff, 0xff, 0xff, 0xfe, 0x7f, 0xff, 0xff, 0xff};
    kiln_npy                   n = {.elem = KILN_F16};
    CHECK(kiln_npy_get(&n, halves, 0) == 1.0);
    CHECK(kiln_npy_get(&n, halves, 1) == 0x1p-24);
    CHECK(kiln_npy_get(&n, halves, 2) == -INFINITY);
    CHECK(isnan(kiln_npy_get(&n, halves, 3)));
    CHECK(kiln_npy_get(&n, halves, 4) == 0 && signbit(kiln_npy_get(&n, halves, 4)));
    CHECK(kiln_npy_get(&n, halves, 5) == 65504);
    n = (kiln_npy){.elem = KILN_I32, .big_endian = 1};
    CHECK(kiln_npy_get(&n, big, 0) == -2);
    CHECK(kiln_npy_get(&n, big, 1) == INT32_MAX);
    n.elem = KILN_U16;
    CHECK(kiln_npy_get(&n, big, 0) == 65535);
    n.elem = KILN_I8;
    CHECK(kiln_npy_get(&n, big, 3) == -2);
}

static void test_load(void)
{
    const double  wide[] = {1.5, -2, 1e300};
    const int64_t longs[] = {7, -9, INT64_C(1) << 31};
    float         floats[3];
    int32_t       ints[3];
    kiln_npy      n = {.elem = KILN_F64, .big_endian = KILN_BIG_ENDIAN};
    CHECK(kiln_npy_fits(&n, KILN_F32) && !kiln_npy_fits(&n, KILN_I32));
    CHECK(kiln_npy_load(&n, (const unsigned char *)wide, 2, KILN_F32, floats));
    CHECK(floats[0] == 1.5f && floats[1] == -2);
    n.elem = KILN_I64;
    CHECK(kiln_npy_fits(&n, KILN_I32) && !kiln_npy_fits(&n, KILN_I8));
    CHECK(kiln_npy_load(&n, (const unsigned char *)longs, 2, KILN_I32, ints));
    CHECK(ints[0] == 7 && ints[1] == -9);
    CHECK(!kiln_npy_load(&n, (const unsigned char *)longs, 3, KILN_I32, ints));
}

static void test_runs(void)
{
    const int64_t shape[] = {2, 3, 4}, single[] = {1, 3, 4};
    kiln_npy      n = {.rank = 3, .dims = {6, 3, 4}, .count = 72};
    CHECK(kiln_npy_runs(&n, 3, shape) == 3);
    n.dims[0] = 5;
    CHECK(kiln_npy_runs(&n, 3, shape) == 0);
    n = (kiln_npy){.rank = 4, .dims = {7, 2, 3, 4}, .count = 168};
    CHECK(kiln_npy_runs(&n, 3, shape) == 7);
    n = (kiln_npy){.rank = 2, .dims = {3, 4}, .count = 12};
    CHECK(kiln_npy_runs(&n, 3, single) == 1 && kiln_npy_runs(&n, 3, shape) == 0);
    n = (kiln_npy){.rank = 1, .dims = {12}, .count = 12};
    CHECK(kiln_npy_runs(&n, 3, single) == 0);
    n = (kiln_npy){.rank = 0, .count = 1};
    CHECK(kiln_npy_runs(&n, 0, single) == 1 && kiln_npy_runs(&n, 1, single) == 1);
}

int main(void)
{
    test_round_trip();
    test_longest_header();
    test_hostile();
    test_elements();
    test_load();
    test_runs();
    return check_end();
}
