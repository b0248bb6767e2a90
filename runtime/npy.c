/* npy.c - .npy headers, without any library. */
#include "npy.h"

/* Element types by their code; bool is kept as a byte of 0 or 1. */
static const struct {
    char      kind, size;
    kiln_elem elem;
} codes[] = {
    {'f', 4, KILN_F32}, {'f', 8, KILN_F64}, {'f', 2, KILN_F16}, {'i', 1, KILN_I8},
    {'u', 1, KILN_U8},  {'i', 2, KILN_I16}, {'u', 2, KILN_U16}, {'i', 4, KILN_I32},
    {'u', 4, KILN_U32}, {'i', 8, KILN_I64}, {'b', 1, KILN_U8},
};
enum { N_CODES = sizeof codes / sizeof codes[0] };

size_t kiln_elem_bytes(kiln_elem e)
{
    for (int i = 0; i < N_CODES; i++)
        if (codes[i].elem == e)
            return (size_t)codes[i].size;
    return 0;
}

size_t kiln_npy_header_bytes(const unsigned char *first)
{
    static const unsigned char magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    for (size_t i = 0; i < sizeof magic; i++)
        if (first[i] != magic[i])
            return 0;
    uint32_t low = first[8] | (uint32_t)first[9] << 8;
    uint32_t high = first[10] | (uint32_t)first[11] << 8;
    size_t   bytes;
    if (first[6] == 1)
        bytes = 10 + (size_t)low;
    else if ((first[6] == 2 || first[6] == 3) && high <= 1)
        bytes = 12 + (size_t)(low | high << 16);
    else
        return 0;
    return bytes >= KILN_NPY_PREFIX && bytes <= KILN_NPY_MAX_HEADER ? bytes : 0;
}

/* ---- the dictionary --------------------------------------------------------------------- */

/* Text being read: a Python dictionary of three known keys. */
typedef struct Reader {
    const unsigned char *at, *end;
} Reader;

static void skip_spaces(Reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r'))
        r->at++;
}

static int take(Reader *r, char c)
{
    skip_spaces(r);
    if (r->at == r->end || *r->at != (unsigned char)c)
        return 0;
    r->at++;
    return 1;
}

static int take_word(Reader *r, const char *word)
{
    skip_spaces(r);
    const unsigned char *at = r->at;
    for (; *word; word++, at++)
        if (at == r->end || *at != (unsigned char)*word)
            return 0;
    r->at = at;
    return 1;
}

/* take_text - a short quoted text without escapes. */
static int take_text(Reader *r, char *out, int room)
{
    int  n = 0;
    char quote = '\'';
    if (!take(r, quote)) {
        quote = '"';
        if (!take(r, quote))
            return 0;
    }
    for (; r->at < r->end && *r->at != (unsigned char)quote; r->at++) {
        if (n + 1 >= room)
            return 0;
        out[n++] = (char)*r->at;
    }
    out[n] = 0;
    return take(r, quote);
}

static int take_number(Reader *r, int64_t *out)
{
    int64_t v = 0;
    skip_spaces(r);
    const unsigned char *start = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++) {
        if (v > (INT64_MAX - 9) / 10)
            return 0;
        v = 10 * v + (*r->at - '0');
    }
    *out = v;
    return r->at > start;
}

static const char *take_shape(Reader *r, kiln_npy *out)
{
    static const char bad[] = "the shape in the header is malformed";
    if (!take(r, '('))
        return bad;
    out->rank = 0;
    while (!take(r, ')')) {
        if (out->rank == KILN_NPY_MAX_RANK)
            return "the array has too many dimensions";
        if (!take_number(r, &out->dims[out->rank++]))
            return bad;
        if (!take(r, ',')) {
            if (!take(r, ')'))
                return bad;
            break;
        }
    }
    return NULL;
}

static const char *take_descr(Reader *r, kiln_npy *out)
{
    char text[8];
    if (!take_text(r, text, sizeof text))
        return "the element type is not supported";
    const char order = text[0];
    for (int i = 0; i < N_CODES; i++) {
        if (text[1] != codes[i].kind || text[2] != '0' + codes[i].size || text[3])
            continue;
        if (order != '<' && order != '>' && order != '|' && order != '=')
            break;
        out->elem = codes[i].elem;
        out->big_endian = order == '>' || (order == '=' && KILN_BIG_ENDIAN);
        return NULL;
    }
    return "the element type is not supported";
}

static int equal(const char *a, const char *b)
{
    for (; *a && *a == *b; a++)
        b++;
    return *a == *b;
}

/* take_entry - one key with its value; *seen gets its bit. */
static const char *take_entry(Reader *r, kiln_npy *out, unsigned *seen)
{
    char key[16];
    if (!take_text(r, key, sizeof key) || !take(r, ':'))
        return "the header is malformed";
    if (equal(key, "descr")) {
        *seen |= 1;
        return take_descr(r, out);
    }
    if (equal(key, "shape")) {
        *seen |= 2;
        return take_shape(r, out);
    }
    if (!equal(key, "fortran_order"))
        return "the header has an unknown key";
    *seen |= 4;
    if (take_word(r, "True"))
        return "the array is in Fortran order; save it with numpy.ascontiguousarray";
    return take_word(r, "False") ? NULL : "the header is malformed";
}

static const char *take_dictionary(Reader *r, kiln_npy *out)
{
    unsigned seen = 0;
    if (!take(r, '{'))
        return "the header is malformed";
    while (!take(r, '}')) {
        const char *problem = take_entry(r, out, &seen);
        if (problem)
            return problem;
        if (!take(r, ',')) {
            if (!take(r, '}'))
                return "the header is malformed";
            break;
        }
    }
    skip_spaces(r);
    return seen == 7 && r->at == r->end ? NULL : "the header is malformed";
}

const char *kiln_npy_parse(kiln_npy *out, const unsigned char *data, size_t header_bytes,
                           uint64_t file_bytes)
{
    size_t skip = data[6] == 1 ? 10 : 12;
    if (header_bytes > file_bytes)
        return "the file is cut short";
    Reader      r = {data + skip, data + header_bytes};
    const char *problem = take_dictionary(&r, out);
    if (problem)
        return problem;
    uint64_t limit = (file_bytes - header_bytes) / kiln_elem_bytes(out->elem);
    uint64_t count = 1;
    for (int i = 0; i < out->rank; i++) {
        if (out->dims[i] == 0)
            return "the array is empty";
        if (count > limit / (uint64_t)out->dims[i])
            return "the file is cut short";
        count *= (uint64_t)out->dims[i];
    }
    if (count > limit)
        return "the file is cut short";
    out->count = (int64_t)count;
    out->header_bytes = header_bytes;
    return NULL;
}

int64_t kiln_npy_runs(const kiln_npy *n, int rank, const int64_t *dims)
{
    int extra = n->rank - rank; /* dimensions in front of those of the type */
    if (extra < -1 || extra > 1 || rank == 0)
        return extra == 0 || extra == 1 ? n->count : 0;
    for (int i = 1; i < rank; i++)
        if (n->dims[i + extra] != dims[i])
            return 0;
    if (extra == 0)
        return n->dims[0] % dims[0] == 0 ? n->dims[0] / dims[0] : 0;
    if (extra == 1)
        return n->dims[1] == dims[0] ? n->dims[0] : 0;
    return dims[0] == 1;
}

/* ---- writing ---------------------------------------------------------------------------- */

static size_t put(unsigned char *out, size_t at, const char *text)
{
    while (*text)
        out[at++] = (unsigned char)*text++;
    return at;
}

static size_t put_number(unsigned char *out, size_t at, int64_t v)
{
    char digits[24];
    int  n = sizeof digits - 1;
    digits[n] = 0;
    do
        digits[--n] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    return put(out, at, digits + n);
}

size_t kiln_npy_make_header(unsigned char out[KILN_NPY_OUT_HEADER], kiln_elem e, int rank,
                            const int64_t *dims)
{
    char code[4] = "|?0";
    for (int i = N_CODES - 1; i >= 0; i--)
        if (codes[i].elem == e) {
            code[1] = codes[i].kind;
            code[2] = (char)('0' + codes[i].size);
        }
    if (code[2] != '1')
        code[0] = KILN_BIG_ENDIAN ? '>' : '<';
    size_t at = put(out, 0, "\x93NUMPY\x01");
    out[at] = 0;
    at = put(out, 10, "{'descr': '");
    at = put(out, at, code);
    at = put(out, at, "', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++) {
        at = put_number(out, at, dims[i]);
        at = put(out, at, i + 1 < rank ? ", " : rank == 1 ? "," : "");
    }
    at = put(out, at, "), }");
    while ((at + 1) % 64 != 0)
        out[at++] = ' ';
    out[at++] = '\n';
    out[8] = (unsigned char)((at - 10) & 255);
    out[9] = (unsigned char)((at - 10) >> 8);
    return at;
}
