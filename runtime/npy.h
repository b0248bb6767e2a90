/* npy.h - the .npy format.
 *
 *   npy.c           headers read and written
 *   npy_elements.c  elements of any number type as a number
 *
 * Format: numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3. Needs no
 * library, so that the compiler, the programs it builds and bare-metal images share it. */
#ifndef KILN_NPY_H
#define KILN_NPY_H

#include <stddef.h>
#include <stdint.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define KILN_BIG_ENDIAN 1
#else
#define KILN_BIG_ENDIAN 0
#endif

enum {
    KILN_NPY_MAX_RANK = 9,
    KILN_NPY_PREFIX = 12, /* bytes that kiln_npy_header_bytes wants to see */
    KILN_NPY_MAX_HEADER = 65536,
    KILN_NPY_OUT_HEADER = 320, /* room for the header kiln_npy_make_header writes */
};

typedef enum kiln_elem {
    KILN_F32,
    KILN_F64,
    KILN_F16,
    KILN_I8,
    KILN_U8,
    KILN_I16,
    KILN_U16,
    KILN_I32,
    KILN_U32,
    KILN_I64
} kiln_elem;

typedef struct kiln_npy {
    kiln_elem elem;
    int       big_endian;
    int       rank;
    int64_t   dims[KILN_NPY_MAX_RANK];
    int64_t   count;        /* elements */
    size_t    header_bytes; /* the elements follow */
} kiln_npy;

size_t kiln_elem_bytes(kiln_elem e);

/* kiln_npy_header_bytes - length of the whole header from the first KILN_NPY_PREFIX bytes (less of
 * them, zero-filled, where the file is shorter); 0 when it is no .npy file or one whose header is
 * past KILN_NPY_MAX_HEADER. */
size_t kiln_npy_header_bytes(const unsigned char *first);

/* kiln_npy_parse - the header in data[0..header_bytes) of a file of `file_bytes` bytes. NULL, or what
 * is wrong with it: then *out is unspecified. Afterwards count elements are known to be in the file. */
const char *kiln_npy_parse(kiln_npy *out, const unsigned char *data, size_t header_bytes,
                           uint64_t file_bytes);

/* kiln_npy_runs - how many inputs of shape dims[rank] an array holds, one after the other: its shape
 * is that, but the first dimension may be a multiple, or one more dimension may stand in front, or a
 * leading 1 may be missing. 0: the shape does not fit. */
int64_t kiln_npy_runs(const kiln_npy *n, int rank, const int64_t *dims);

/* kiln_npy_make_header - a version 1 header for elements in this machine's byte order: its length, a
 * multiple of 64. rank <= KILN_NPY_MAX_RANK. */
size_t kiln_npy_make_header(unsigned char out[KILN_NPY_OUT_HEADER], kiln_elem e, int rank,
                            const int64_t *dims);

/* ---- npy_elements.c --------------------------------------------------------------------- */

/* kiln_npy_get - element i of the elements at `data`, as a number. */
double kiln_npy_get(const kiln_npy *n, const unsigned char *data, int64_t i);
/* kiln_npy_native - whether the elements are stored the way this machine has them in memory. */
int kiln_npy_native(const kiln_npy *n);
/* kiln_npy_fits - whether such elements can be an input of type `to` (F32, I8, U8 or I32): anything
 * becomes F32, integers become I32, the rest must be equal. */
int kiln_npy_fits(const kiln_npy *n, kiln_elem to);
/* kiln_npy_load - `count` elements at `data` as an array of `to`, which fits. 0: one of them is out of
 * range. */
int kiln_npy_load(const kiln_npy *n, const unsigned char *data, int64_t count, kiln_elem to,
                  void *out);

#endif
