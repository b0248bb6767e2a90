/* view.c - contents of constant buffers, evaluated when asked for. */
#include "kernel/kernel.h"

#include <assert.h>
#include <string.h>

/* Where the elements of a run come from: every `stride`th of the grown tensor, from `at` on. */
typedef struct Run {
    int64_t at, stride, n;
} Run;

static void put(Elem e, void *out, double v)
{
    switch (e) {
    case F32: memcpy(out, &(float){(float)v}, sizeof(float)); break;
    case F16: memcpy(out, &(uint16_t){f32_to_f16((float)v)}, sizeof(uint16_t)); break;
    case BF16: memcpy(out, &(uint16_t){f32_to_bf16((float)v)}, sizeof(uint16_t)); break;
    case I32: memcpy(out, &(int32_t){(int32_t)v}, sizeof(int32_t)); break;
    case I8: *(int8_t *)out = (int8_t)v; break;
    case U8: *(uint8_t *)out = (uint8_t)v; break;
    default: assert(!"an element type of buffers");
    }
}

/* is_grown - whether the padded dims differ from the tensor's own. */
static bool is_grown(const View *v)
{
    for (int i = 0; i < v->tensor->type.rank; i++)
        if (v->padded[i] != v->tensor->type.dims[i])
            return true;
    return false;
}

/* own_index - the tensor's own index of element `at` of the grown tensor; -1: it is padding.
 * The digits of `at` in the radix of the grown dims are the coordinates. */
static int64_t own_index(const View *v, int64_t at)
{
    const Type *t = &v->tensor->type;
    int64_t     index = 0, scale = 1;
    if (at < 0)
        return -1;
    for (int i = t->rank - 1; i >= 0; i--) {
        int64_t digit = at % v->padded[i];
        if (digit >= t->dims[i])
            return -1;
        index += digit * scale;
        scale *= t->dims[i];
        at /= v->padded[i];
    }
    return at ? -1 : index;
}

/* read_any - a run of any kind, element by element. */
static void read_any(const Buffer *b, Run r, char *out)
{
    const View *v = &b->view;
    size_t      bytes = elem_bytes(b->elem);
    for (int64_t i = 0; i < r.n; i++, r.at += r.stride, out += bytes) {
        int64_t from = own_index(v, r.at);
        put(b->elem, out, from < 0 ? v->fill : tensor_get(v->tensor, from));
    }
}

/* read_own - a run within a tensor that is neither grown nor of another type. */
static void read_own(const Buffer *b, Run r, char *out)
{
    size_t      bytes = elem_bytes(b->elem);
    const char *from = (const char *)b->view.tensor->data + (size_t)r.at * bytes;
    if (r.stride == 1) {
        memcpy(out, from, (size_t)r.n * bytes);
    } else if (bytes == 4) {
        for (int64_t i = 0; i < r.n; i++)
            memcpy(out + 4 * i, from + 4 * i * r.stride, 4);
    } else if (bytes == 2) {
        for (int64_t i = 0; i < r.n; i++)
            memcpy(out + 2 * i, from + 2 * i * r.stride, 2);
    } else {
        assert(bytes == 1);
        for (int64_t i = 0; i < r.n; i++)
            out[i] = from[i * r.stride];
    }
}

/* is_own - whether read_own may read the run; `count` is the tensor's. */
static bool is_own(const Run *r, int64_t count)
{
    int64_t last;
    return !__builtin_mul_overflow(r->stride, r->n - 1, &last) &&
           !__builtin_add_overflow(last, r->at, &last) && r->at >= 0 && r->at < count &&
           last >= 0 && last < count;
}

/* read_packed - of the view but for the turning. */
static void read_packed(const Buffer *b, int64_t first, int64_t n, void *out)
{
    const View *v = &b->view;
    size_t      bytes = elem_bytes(b->elem);
    int64_t     count =
        is_grown(v) || b->elem != v->tensor->type.elem ? 0 : type_count(&v->tensor->type);
    int64_t digit[MAX_TERMS] = {0}, rest = first;
    Run     r = {.at = v->offset, .stride = 1};
    int     inner = v->n_dims - 1;

    assert(first >= 0 && n >= 0 && n <= b->count - first);
    for (int i = inner; i >= 0; i--) {
        digit[i] = rest % v->extent[i];
        rest /= v->extent[i];
        r.at += digit[i] * v->stride[i];
    }
    if (v->n_dims == 0)
        r.at += first;
    else
        r.stride = v->stride[inner];
    for (char *to = out; n > 0; to += (size_t)r.n * bytes, n -= r.n) {
        r.n =
            v->n_dims && v->extent[inner] - digit[inner] < n ? v->extent[inner] - digit[inner] : n;
        (is_own(&r, count) ? read_own : read_any)(b, r, to);
        if (v->n_dims == 0)
            continue;
        r.at -= digit[inner] * v->stride[inner];
        digit[inner] = 0;
        for (int i = inner - 1; i >= 0; i--) { /* carry */
            r.at += v->stride[i];
            if (++digit[i] < v->extent[i])
                break;
            r.at -= digit[i] * v->stride[i];
            digit[i] = 0;
        }
    }
}

Buffer view_made(Arena *a, const Buffer *b)
{
    Buffer made = *b;
    if (b->view.plain)
        made.view.tensor = b->view.make(a, &b->view);
    return made;
}

const Tensor *view_source(const View *v)
{
    return v->plain ? v->plain : v->tensor;
}

/* turned_index - where element `i` of a chunk, the weights of all channels of a vector's groups, comes from. It is
 * element [ip][t][lane], for step ip of sum t; without turning [channel of the group][lane]. The lane has the
 * channels of its own pair, and sum t is that of the output 2t lanes away (turn.c). */
static int64_t turned_index(const View *v, int64_t i)
{
    int64_t lanes = v->turned_lanes, lane = i % lanes, turns = v->turned_group / 2;
    int64_t t = i / lanes % turns, ip = i / lanes / turns;
    int64_t channel = lane % v->turned_group / 2 * 2 + ip;
    return channel * lanes + (lane ^ (2 * t));
}

bool view_turns(const View *v, int64_t count)
{
    int group = v->turned_group, lanes = v->turned_lanes;
    return !group || (group > 2 && lanes <= MAX_LANES && lanes % group == 0 &&
                      count % ((int64_t)group * lanes) == 0);
}

void view_read(const Buffer *b, int64_t first, int64_t n, void *out)
{
    const View *v = &b->view;
    if (!v->turned_group) {
        read_packed(b, first, n, out);
        return;
    }
    uint32_t chunk[MAX_LANES * MAX_LANES]; /* elements of at most four bytes */
    size_t   bytes = elem_bytes(b->elem);
    int64_t  all = (int64_t)v->turned_group * v->turned_lanes, loaded = -1;
    for (int64_t i = first; i < first + n; i++) {
        int64_t from = i / all * all;
        if (from != loaded)
            read_packed(b, from, all, chunk);
        loaded = from;
        memcpy((char *)out + (size_t)(i - first) * bytes,
               (const char *)chunk + (size_t)turned_index(v, i - from) * bytes, bytes);
    }
}
