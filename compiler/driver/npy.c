/* npy.c - .npy files, mapped for reading and written whole. */
#include "driver/driver.h"

#include <string.h>

bool npy_open(Diag *d, const char *path, Npy *out)
{
    Source source = {path, NULL, 0};
    Span   where = {.source = &source};
    Bytes  file;
    if (!file_map(d, path, &file))
        return false;
    unsigned char first[KILN_NPY_PREFIX] = {0};
    memcpy(first, file.data, file.len < sizeof first ? file.len : sizeof first);
    size_t      header = kiln_npy_header_bytes(first);
    const char *problem = "is not a .npy file";
    if (header)
        problem = kiln_npy_parse(&out->head, file.data, header, file.len);
    if (problem) {
        diag_error(d, where, "%s", problem);
        return false;
    }
    out->data = file.data + header;
    return true;
}

double npy_get(const Npy *n, int64_t i)
{
    return kiln_npy_get(&n->head, n->data, i);
}

kiln_elem npy_elem(Elem e)
{
    switch (e) {
    case F64: return KILN_F64;
    case I8: return KILN_I8;
    case U8: return KILN_U8;
    case I32: return KILN_I32;
    default: return KILN_F32;
    }
}

/* put - `v` as an element in this machine's byte order; the values fit by construction. */
static void put(unsigned char *at, kiln_elem e, double v)
{
    switch (e) {
    case KILN_F64: memcpy(at, &v, sizeof v); break;
    case KILN_I8: *at = (unsigned char)(int8_t)v; break;
    case KILN_U8: *at = (unsigned char)v; break;
    case KILN_I32: memcpy(at, &(int32_t){(int32_t)v}, sizeof(int32_t)); break;
    default: memcpy(at, &(float){(float)v}, sizeof(float)); break;
    }
}

bool npy_write(Arena *a, Diag *d, const char *path, const Type *shape, int64_t lead,
               const double *data, Elem as)
{
    kiln_elem     e = npy_elem(as);
    unsigned char header[KILN_NPY_OUT_HEADER], buffer[4096];
    int64_t       dims[KILN_NPY_MAX_RANK], count = type_count(shape) * (lead ? lead : 1);
    size_t        bytes = kiln_elem_bytes(e), used = 0;
    int           rank = 0;
    if (lead)
        dims[rank++] = lead;
    for (int i = 0; i < shape->rank; i++)
        dims[rank++] = shape->dims[i];
    OutFile *f = file_create(a, d, path);
    if (!f)
        return false;
    signals_hold(true);
    size_t n = kiln_npy_make_header(header, e, rank, dims);
    file_write(f, header, n);
    for (int64_t i = 0; i < count; i++) {
        put(buffer + used, e, data[i]);
        used += bytes;
        if (used + sizeof(double) > sizeof buffer || i + 1 == count) {
            file_write(f, buffer, used);
            used = 0;
        }
    }
    bool ok = file_commit(f);
    signals_hold(false);
    return ok;
}
