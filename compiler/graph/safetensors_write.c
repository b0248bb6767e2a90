/* safetensors_write.c - tensors as a weights file; safetensors.c describes the format. */
#include "graph/graph.h"

#include <inttypes.h>

enum { ALIGN = 8 }; /* the contents begin at a multiple of it */

static const char *const dtypes[] = {
    [F32] = "F32", [F16] = "F16", [BF16] = "BF16", [I8] = "I8", [U8] = "U8", [I32] = "I32"};

static int64_t tensor_bytes(const Tensor *t)
{
    return type_count(&t->type) * (int64_t)elem_bytes(t->type.elem);
}

static void write_entry(const NamedTensor *t, int64_t begin, Text *out)
{
    const Type *type = &t->tensor->type;
    text_json_string(out, t->name);
    text_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", dtypes[type->elem]);
    for (int i = 0; i < type->rank; i++)
        text_printf(out, "%s%" PRId64, i ? "," : "", type->dims[i]);
    text_printf(out, "],\"data_offsets\":[%" PRId64 ",%" PRId64 "]}", begin,
                begin + tensor_bytes(t->tensor));
}

/* write_contents - elements as little-endian bytes. */
static void write_contents(OutFile *f, const Tensor *t)
{
    const unsigned char *bytes = t->data;
    int64_t              n = tensor_bytes(t);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    int64_t size = (int64_t)elem_bytes(t->type.elem);
    for (int64_t i = 0; i < n; i++)
        file_write(f, bytes + i / size * size + (size - 1 - i % size), 1);
#else
    file_write(f, bytes, (size_t)n);
#endif
}

/* by_width - wide elements first, so that each begins at a multiple of its size. */
static const NamedTensor **by_width(Arena *a, const NamedTensor *tensors, size_t n)
{
    const NamedTensor **sorted = arena_array(a, const NamedTensor *, n);
    size_t              done = 0;
    for (size_t size = 4; size; size /= 2)
        for (size_t i = 0; i < n; i++)
            if (elem_bytes(tensors[i].tensor->type.elem) == size)
                sorted[done++] = &tensors[i];
    return sorted;
}

void safetensors_write(OutFile *f, const NamedTensor *tensors, size_t n)
{
    Arena              *a = arena_new();
    Text                header = text_new(a);
    int64_t             end = 0;
    unsigned char       length[8];
    const NamedTensor **sorted = by_width(a, tensors, n);
    text_add(&header, "{");
    for (size_t i = 0; i < n; i++) {
        text_add(&header, i ? "," : "");
        write_entry(sorted[i], end, &header);
        end += tensor_bytes(sorted[i]->tensor);
    }
    text_add(&header, "}");
    while (header.len % ALIGN)
        text_add(&header, " ");
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.len >> 8 * i);
    file_write(f, length, sizeof length);
    file_write(f, header.data, header.len);
    for (size_t i = 0; i < n; i++)
        write_contents(f, sorted[i]->tensor);
    arena_free(a);
}
