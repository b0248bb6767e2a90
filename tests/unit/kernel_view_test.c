/* kernel_view_test - contents of constant buffers against an evaluator that follows kernel.h word for
 * word, for views of random shape, read whole and in random pieces. */
#include "check.h"

#include "kernel/kernel.h"

#include <string.h>

/* plain_element - element i of the buffer, one digit at a time. */
static double plain_element(const View *v, int64_t i)
{
    int64_t linear = v->offset;
    for (int d = v->n_dims - 1; d >= 0; d--) {
        linear += i % v->extent[d] * v->stride[d];
        i /= v->extent[d];
    }
    if (v->n_dims == 0)
        linear += i;
    int64_t coordinate[MAX_RANK], index = 0;
    if (linear < 0)
        return v->fill;
    for (int d = v->tensor->type.rank - 1; d >= 0; d--) {
        coordinate[d] = linear % v->padded[d];
        linear /= v->padded[d];
    }
    if (linear)
        return v->fill;
    for (int d = 0; d < v->tensor->type.rank; d++) {
        if (coordinate[d] >= v->tensor->type.dims[d])
            return v->fill;
        index = index * v->tensor->type.dims[d] + coordinate[d];
    }
    return tensor_get(v->tensor, index);
}

static double stored(const Buffer *b, const void *data, int64_t i)
{
    switch (b->elem) {
    case I8: return ((const int8_t *)data)[i];
    case U8: return ((const uint8_t *)data)[i];
    case I32: return ((const int32_t *)data)[i];
    default: return (double)((const float *)data)[i];
    }
}

static const Tensor *random_tensor(Arena *a)
{
    static const Elem elems[] = {F32, F32, F16, BF16, I8, U8, I32};
    int64_t           dims[4];
    int               rank = (int)random_below(5);
    for (int i = 0; i < rank; i++)
        dims[i] = random_between(1, 6);
    Tensor *t = tensor_new(a, elems[random_below(COUNT_OF(elems))], rank, dims);
    for (int64_t i = 0; i < type_count(&t->type); i++)
        tensor_set(t, i, (double)random_between(-120, 120));
    return t;
}

/* random_view - digits of any stride; some reach past the tensor, a few before it. */
static void random_view(View *v, int64_t *count)
{
    int64_t total = *count;
    v->n_dims = (int)random_below(5);
    if (v->n_dims == 0)
        return;
    *count = 1;
    for (int i = 0; i < v->n_dims; i++) {
        v->extent[i] = random_between(1, 5);
        v->stride[i] = random_below(3) ? random_between(0, total) : random_between(-2, 2);
        *count *= v->extent[i];
    }
    if (random_below(2))
        v->stride[v->n_dims - 1] = 1;
    v->offset = random_between(-2, 4);
    v->fill = (double)random_between(0, 100);
}

static void test_random(Arena *a)
{
    const Tensor *t = random_tensor(a);
    int64_t       padded[4];
    for (int i = 0; i < t->type.rank; i++)
        padded[i] = t->type.dims[i] + random_below(2) * random_below(4);
    Kernel  *k = kernel_new(a, "test", NULL, FP_STRICT);
    BufferId id = kernel_constant(k, "w", t, random_below(2) ? padded : NULL);
    Buffer  *b = &k->buffers[id];
    random_view(&b->view, &b->count);

    char *data = arena_array_(a, (size_t)b->count, elem_bytes(b->elem));
    view_read(b, 0, b->count, data);
    bool agree = true;
    for (int64_t i = 0; i < b->count; i++)
        agree &= stored(b, data, i) == plain_element(&b->view, i);
    CHECK(agree);

    int64_t first = random_below(b->count), n = random_between(0, b->count - first);
    char *piece = arena_array_(a, (size_t)n, elem_bytes(b->elem)); /* exactly: asan sees one more */
    view_read(b, first, n, piece);
    size_t bytes = elem_bytes(b->elem);
    CHECK(memcmp(piece, data + (size_t)first * bytes, (size_t)n * bytes) == 0);
}

/* A [2, 3] tensor grown to [2, 4], its columns read before its rows:  1 4 2 5 3 6 0 0. */
static void test_by_hand(Arena *a)
{
    Tensor *t = tensor_new(a, F32, 2, (int64_t[]){2, 3});
    for (int i = 0; i < 6; i++)
        tensor_set(t, i, i + 1);
    Kernel  *k = kernel_new(a, "test", NULL, FP_STRICT);
    BufferId id = kernel_constant(k, "w", t, (int64_t[]){2, 4});
    Buffer  *b = &k->buffers[id];
    b->view.n_dims = 2;
    memcpy(b->view.extent, (int64_t[]){4, 2}, 2 * sizeof(int64_t));
    memcpy(b->view.stride, (int64_t[]){1, 4}, 2 * sizeof(int64_t));
    float out[8], expected[8] = {1, 4, 2, 5, 3, 6, 0, 0};
    view_read(b, 0, 8, out);
    CHECK(memcmp(out, expected, sizeof out) == 0);
}

/* Groups of 4 of 8 lanes. Row t of step ip holds, in lane l, what channel 2 * (l % 4 / 2) + ip of l's group
 * contributes to output l ^ 2t: of a constant whose element [channel][lane] is 10 * channel + lane. */
static void test_turned(Arena *a)
{
    Tensor *t = tensor_new(a, F32, 3, (int64_t[]){2, 4, 8});
    for (int i = 0; i < 64; i++)
        tensor_set(t, i, i / 32 * 100 + i / 8 % 4 * 10 + i % 8);
    Kernel  *k = kernel_new(a, "test", NULL, FP_STRICT);
    BufferId id = kernel_constant(k, "w", t, NULL);
    Buffer  *b = &k->buffers[id];
    b->view.turned_group = 4;
    b->view.turned_lanes = 8;
    float out[64], whole[64];
    for (int i = 0; i < 64; i++) {
        int ip = i / 16 % 2, turn = i / 8 % 2, lane = i % 8;
        whole[i] = (float)(i / 32 * 100 + (lane % 4 / 2 * 2 + ip) * 10 + (lane ^ (2 * turn)));
    }
    for (int first = 0; first < 64; first++)
        for (int n = 0; n <= 64 - first; n++) {
            view_read(b, first, n, out);
            CHECK(memcmp(out, whole + first, (size_t)n * sizeof *out) == 0);
        }
}

int main(void)
{
    for (int i = 0; i < 3000; i++) {
        Arena *a = arena_new();
        test_random(a);
        if (i == 0) {
            test_by_hand(a);
            test_turned(a);
        }
        arena_free(a);
    }
    return check_end();
}
