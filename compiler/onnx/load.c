/* load.c - the file's bytes -> ModelProto by protobuf-c.
 *
 * The bytes are checked before protobuf-c sees them: it recurses as deep as messages are nested, copies
 * strings up to their first NUL, and merges fields that stand there twice. Its memory comes from the
 * arena, within a budget in proportion to the file. */
#include "onnx/importer.h"

#include <string.h>

enum { VARINT = 0, FIXED64 = 1, DELIMITED = 2, FIXED32 = 5 }; /* wire types */

/* ---- the checker ------------------------------------------------------------------------- */

enum { MAX_DEPTH = 100 };

typedef struct Checker {
    const uint8_t *start;
    const char    *problem; /* NULL: none yet */
    const uint8_t *where;
} Checker;

static bool fail_at(Checker *c, const uint8_t *where, const char *problem)
{
    c->problem = problem;
    c->where = where;
    return false;
}

/* read_varint - the number at *p, which moves behind it; false: cut off, or more than 64 bits. */
static bool read_varint(const uint8_t **p, const uint8_t *end, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        uint8_t byte = *(*p)++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* A field: its number, and where its contents are. */
typedef struct Field {
    uint64_t       number;
    unsigned       wire;
    const uint8_t *data;
    size_t         len;
} Field;

/* next_field - the field at *p, which moves behind it. */
static bool next_field(const uint8_t **p, const uint8_t *end, Field *f)
{
    uint64_t key, n;
    if (!read_varint(p, end, &key))
        return false;
    f->number = key >> 3;
    f->wire = key & 7;
    size_t len = f->wire == FIXED64 ? 8 : f->wire == FIXED32 ? 4 : 0;
    if (f->number == 0 || f->number > 0x1fffffff)
        return false;
    if (f->wire == DELIMITED) {
        if (!read_varint(p, end, &n) || n > (uint64_t)(end - *p))
            return false;
        len = (size_t)n;
    }
    f->data = *p;
    f->len = len;
    if (f->wire == VARINT)
        return read_varint(p, end, &n);
    if ((f->wire != FIXED64 && f->wire != FIXED32 && f->wire != DELIMITED) ||
        len > (size_t)(end - *p))
        return false;
    *p += len;
    return true;
}

static bool check_string(Checker *c, const Field *f)
{
    for (size_t i = 0; i < f->len;) {
        size_t n = utf8_length(f->data + i, f->len - i);
        if (!n || !f->data[i])
            return fail_at(c, f->data + i, n ? "a name holds a zero byte" : "a name is not UTF-8");
        i += n;
    }
    return true;
}

/* check_message - whether data[0..len) is a message of type `d`. Contents of fields that ONNX does not
 * have are not looked at. */
static bool check_message(Checker *c, const ProtobufCMessageDescriptor *d, const uint8_t *data,
                          size_t len, int depth)
{
    const uint8_t *p = data, *end = data + len;
    uint64_t       seen = 0; /* single submessages, by place among the fields */
    if (depth > MAX_DEPTH)
        return fail_at(c, data, "messages are nested too deeply");
    while (p < end) {
        const uint8_t *start = p;
        Field          f;
        if (!next_field(&p, end, &f))
            return fail_at(c, start, "the file is damaged or cut off");
        const ProtobufCFieldDescriptor *field =
            protobuf_c_message_descriptor_get_field(d, (unsigned)f.number);
        if (!field)
            continue;
        bool is_message = field->type == PROTOBUF_C_TYPE_MESSAGE;
        bool is_string = field->type == PROTOBUF_C_TYPE_STRING;
        if ((is_message || is_string) && f.wire != DELIMITED)
            return fail_at(c, start, "the file is damaged");
        if (is_string && strcmp(field->name, "doc_string") != 0 && !check_string(c, &f))
            return false;
        if (!is_message)
            continue;
        uint64_t bit = (uint64_t)1 << (field - d->fields) % 64;
        if (field->label != PROTOBUF_C_LABEL_REPEATED && (seen & bit))
            return fail_at(c, start, "a field that may stand there once does so twice");
        seen |= bit;
        if (!check_message(c, field->descriptor, f.data, f.len, depth + 1))
            return false;
    }
    return true;
}

/* ---- memory for protobuf-c ----------------------------------------------------------------- */

/* What the smallest fields need as structs and pointers is some tens of bytes for each of theirs. */
enum { BYTES_PER_BYTE = 64, BYTES_ANYWAY = 1 << 24 };

typedef struct Memory {
    Arena *arena;
    size_t left;
    bool   ran_out;
} Memory;

static void *take(void *data, size_t n)
{
    Memory *m = data;
    m->ran_out |= n > m->left;
    if (m->ran_out)
        return NULL;
    m->left -= n;
    return arena_alloc(m->arena, n);
}

/* Memory goes back with the arena. */
static void give_back(void *data, void *block)
{
    (void)data;
    (void)block;
}

/* ---- loading ------------------------------------------------------------------------------- */

bool onnx_is_model(Bytes file)
{
    /* The first byte is the key of one of ModelProto's fields 1 to 8 and 14 (ir_version, producer_name,
     * producer_version, domain, model_version, doc_string, graph, opset_import, metadata_props). None
     * of them begins a JSON object, but a JSON string or number may look alike. */
    static const char keys[] = "\x08\x12\x1a\x22\x28\x32\x3a\x42\x72";
    const uint8_t    *p = file.data;
    Field             f;
    return file.len > 0 && file.data[0] && strchr(keys, file.data[0]) &&
           next_field(&p, file.data + file.len, &f);
}

/* settle - a string that is not given is empty, not NULL. */
static void settle(char **s)
{
    static char empty[1];
    if (!*s)
        *s = empty;
}

static void settle_nodes(Onnx__GraphProto *g)
{
    for (size_t i = 0; i < g->n_node; i++) {
        Onnx__NodeProto *n = g->node[i];
        settle(&n->name);
        settle(&n->op_type);
        settle(&n->domain);
        for (size_t k = 0; k < n->n_attribute; k++)
            settle(&n->attribute[k]->name);
    }
}

/* settle_strings - those the importer looks at. */
static void settle_strings(Onnx__ModelProto *m)
{
    for (size_t i = 0; i < m->n_opset_import; i++)
        settle(&m->opset_import[i]->domain);
    for (size_t i = 0; i < m->n_functions; i++)
        settle(&m->functions[i]->name);
    if (!m->graph)
        return;
    settle(&m->graph->name);
    settle_nodes(m->graph);
    for (size_t i = 0; i < m->graph->n_initializer; i++)
        settle(&m->graph->initializer[i]->name);
    for (size_t i = 0; i < m->graph->n_input; i++)
        settle(&m->graph->input[i]->name);
    for (size_t i = 0; i < m->graph->n_output; i++)
        settle(&m->graph->output[i]->name);
}

const Onnx__ModelProto *onnx_load(Arena *a, Diag *d, const Source *source, Bytes file)
{
    Span    where = {.source = source};
    Checker c = {.start = file.data};
    if (!check_message(&c, &onnx__model_proto__descriptor, file.data, file.len, 0)) {
        diag_error(d, where, "byte %zu: %s", (size_t)(c.where - c.start), c.problem);
        return NULL;
    }
    size_t most = SIZE_MAX - BYTES_ANYWAY;
    Memory memory = {.arena = a, .left = BYTES_ANYWAY};
    memory.left += file.len < most / BYTES_PER_BYTE ? file.len * BYTES_PER_BYTE : most;
    ProtobufCAllocator allocator = {take, give_back, &memory};
    Onnx__ModelProto  *m = onnx__model_proto__unpack(&allocator, file.len, file.data);
    if (m)
        settle_strings(m);
    else if (memory.ran_out)
        diag_error(d, where, "the model unfolds to more than %d times its size", BYTES_PER_BYTE);
    else
        diag_error(d, where, "the file is damaged: a number or a list of numbers is not one");
    return m;
}
