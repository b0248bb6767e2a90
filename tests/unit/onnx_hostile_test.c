/* onnx_hostile_test.c - broken ONNX models, thousands of them: none may crash the reader, and each ends as a
 * sound graph or as at least one error.
 *
 * Half the rounds damage bytes of a right file: bits flip, bytes come and go, the file is cut. The other half
 * damage its messages, so that the file stays one that protobuf reads: numbers become extreme, names change
 * places, entries of lists come and go. */
#include "hostile.h"
#include "onnx/importer.h"

#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 3000 };

/* ---- right models ------------------------------------------------------------------------ */

typedef struct Maker {
    Arena           *arena;
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
} Maker;

#define NEW(m, T, init)          ((T *)memcpy(arena_struct((m)->arena, T), &(T)init, sizeof(T)))
#define APPEND(m, list, n, item) ((list) = append((m)->arena, (void **)(list), (n), (item)), (n)++)

static void *append(Arena *a, void **list, size_t n, void *item)
{
    void **longer = arena_array(a, void *, n + 1);
    if (n)
        memcpy(longer, list, n * sizeof *list);
    longer[n] = item;
    return longer;
}

/* words - append the words of `text` to a list of strings; "-" is an empty one. */
static void words(Maker *m, const char *text, char ***list, size_t *n)
{
    for (const char *s = text; *s; s += strcspn(s, " "), s += *s == ' ') {
        char *word = arena_strndup(m->arena, s, strcspn(s, " "));
        *list = append(m->arena, (void **)*list, *n, strcmp(word, "-") ? word : "");
        (*n)++;
    }
}

static Onnx__NodeProto *node(Maker *m, const char *op, const char *in, const char *out)
{
    Onnx__NodeProto *n = NEW(m, Onnx__NodeProto, ONNX__NODE_PROTO__INIT);
    n->op_type = arena_strdup(m->arena, op);
    words(m, in, &n->input, &n->n_input);
    words(m, out, &n->output, &n->n_output);
    APPEND(m, m->graph.node, m->graph.n_node, n);
    return n;
}

static Onnx__AttributeProto *attr(Maker *m, Onnx__NodeProto *n, const char *name, int type)
{
    Onnx__AttributeProto *a = NEW(m, Onnx__AttributeProto, ONNX__ATTRIBUTE_PROTO__INIT);
    a->name = arena_strdup(m->arena, name);
    a->has_type = true;
    a->type = (Onnx__AttributeProto__AttributeType)type;
    APPEND(m, n->attribute, n->n_attribute, a);
    return a;
}

static void attr_number(Maker *m, Onnx__NodeProto *n, const char *name, int64_t v)
{
    Onnx__AttributeProto *a = attr(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = true;
    a->i = v;
}

static void attr_list(Maker *m, Onnx__NodeProto *n, const char *name, size_t count,
                      const int64_t *v)
{
    Onnx__AttributeProto *a = attr(m, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->n_ints = count;
    a->ints = arena_array(m->arena, int64_t, count);
    memcpy(a->ints, v, count * sizeof *v);
}

#define LIST(m, n, name, ...)                                                                      \
    attr_list(m, n, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                      \
              (int64_t[]){__VA_ARGS__})

/* constant - an initializer: raw floats 0, 1/8, 2/8 ..., or the integers given. */
static Onnx__TensorProto *constant(Maker *m, const char *name, size_t rank, const int64_t *dims,
                                   const int64_t *ints)
{
    Onnx__TensorProto *t = NEW(m, Onnx__TensorProto, ONNX__TENSOR_PROTO__INIT);
    size_t             count = 1;
    t->name = arena_strdup(m->arena, name);
    t->n_dims = rank;
    t->dims = arena_array(m->arena, int64_t, rank);
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)(t->dims[i] = dims[i]);
    t->has_data_type = true;
    t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    if (ints) {
        t->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__INT64;
        t->n_int64_data = count;
        t->int64_data = arena_array(m->arena, int64_t, count);
        memcpy(t->int64_data, ints, count * sizeof *ints);
    } else {
        float *floats = arena_array(m->arena, float, count);
        for (size_t i = 0; i < count; i++)
            floats[i] = (float)i / 8;
        t->has_raw_data = true;
        t->raw_data = (ProtobufCBinaryData){count * sizeof *floats, (uint8_t *)floats};
    }
    APPEND(m, m->graph.initializer, m->graph.n_initializer, t);
    return t;
}

#define FLOATS(m, name, ...)                                                                       \
    constant(m, name, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                          \
             (int64_t[]){__VA_ARGS__}, NULL)
#define INTS(m, name, count, ...) constant(m, name, 1, &(int64_t){count}, (int64_t[]){__VA_ARGS__})

static Onnx__ValueInfoProto *port(Maker *m, const char *name, size_t rank, const int64_t *dims)
{
    Onnx__ValueInfoProto   *v = NEW(m, Onnx__ValueInfoProto, ONNX__VALUE_INFO_PROTO__INIT);
    Onnx__TypeProto__Tensor tensor = ONNX__TYPE_PROTO__TENSOR__INIT;
    v->name = arena_strdup(m->arena, name);
    v->type = NEW(m, Onnx__TypeProto, ONNX__TYPE_PROTO__INIT);
    v->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    tensor.has_elem_type = true;
    tensor.elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor.shape = NEW(m, Onnx__TensorShapeProto, ONNX__TENSOR_SHAPE_PROTO__INIT);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension d = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__INIT;
        d.value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        d.dim_value = dims[i];
        void *copy =
            memcpy(arena_struct(m->arena, Onnx__TensorShapeProto__Dimension), &d, sizeof d);
        APPEND(m, tensor.shape->dim, tensor.shape->n_dim, copy);
    }
    v->type->tensor_type =
        memcpy(arena_struct(m->arena, Onnx__TypeProto__Tensor), &tensor, sizeof tensor);
    return v;
}

/* A network as exporters write it. */
static void make_network(Maker *m)
{
    FLOATS(m, "w", 4, 2, 3, 3);
    FLOATS(m, "b", 4);
    FLOATS(m, "fc", 5, 16);
    FLOATS(m, "scale", 4);
    INTS(m, "minus", 1, -1);
    Onnx__NodeProto *n = node(m, "Conv", "x w b", "conv");
    LIST(m, n, "pads", 1, 1, 1, 1);
    LIST(m, n, "strides", 1, 1);
    LIST(m, n, "dilations", 1, 1);
    attr_number(m, n, "group", 1);
    node(m, "BatchNormalization", "conv scale b b scale", "norm");
    node(m, "Relu", "norm", "relu");
    n = node(m, "MaxPool", "relu", "pool -");
    LIST(m, n, "kernel_shape", 2, 2);
    LIST(m, n, "strides", 2, 2);
    attr_number(m, n, "ceil_mode", 1);
    n = node(m, "AveragePool", "relu", "mean");
    LIST(m, n, "kernel_shape", 3, 3);
    LIST(m, n, "pads", 0, 1, 2, 1);
    node(m, "Shape", "pool", "shape");
    n = node(m, "Slice", "shape zero one", "batch");
    INTS(m, "zero", 1, 0);
    INTS(m, "one", 1, 1);
    n = node(m, "Concat", "batch minus", "to");
    attr_number(m, n, "axis", 0);
    node(m, "Reshape", "pool to", "flat");
    n = node(m, "Gemm", "flat fc bias", "y");
    FLOATS(m, "bias", 5);
    attr_number(m, n, "transB", 1);
    APPEND(m, m->graph.input, m->graph.n_input, port(m, "x", 4, (int64_t[]){1, 2, 4, 4}));
    APPEND(m, m->graph.output, m->graph.n_output, port(m, "y", 0, NULL));
    APPEND(m, m->graph.output, m->graph.n_output, port(m, "mean", 0, NULL));
}

/* Movements and arithmetic on shapes. */
static void make_movements(Maker *m)
{
    FLOATS(m, "m", 5, 3);
    FLOATS(m, "v", 3);
    INTS(m, "axes", 2, 0, 3);
    INTS(m, "starts", 2, 1, -1);
    INTS(m, "ends", 2, INT64_MAX, INT64_MIN);
    INTS(m, "along", 2, 1, 2);
    INTS(m, "steps", 2, 1, -2);
    INTS(m, "pads", 8, 0, 0, 1, 0, 0, 0, 0, 2);
    INTS(m, "two", 1, 2);
    node(m, "Identity", "x", "same");
    node(m, "Dropout", "same", "kept -");
    node(m, "Slice", "kept starts ends along steps", "part");
    node(m, "Pad", "part pads", "padded");
    Onnx__NodeProto *n = node(m, "Transpose", "padded", "turned");
    LIST(m, n, "perm", 0, 2, 3, 1);
    node(m, "Shape", "turned", "shape");
    node(m, "Mul", "shape two", "doubled");
    node(m, "Div", "doubled two", "halved");
    node(m, "Equal", "halved two", "claim");
    node(m, "Where", "claim two halved", "chosen");
    n = node(m, "Cast", "chosen", "as_long");
    attr_number(m, n, "to", ONNX__TENSOR_PROTO__DATA_TYPE__INT64);
    node(m, "Reshape", "turned as_long", "shaped");
    node(m, "MatMul", "shaped m", "product");
    node(m, "Add", "product v", "sum");
    node(m, "Unsqueeze", "sum axes", "wide");
    node(m, "Squeeze", "wide axes", "narrow");
    n = node(m, "Softmax", "narrow", "y");
    attr_number(m, n, "axis", -1);
    node(m, "ConstantOfShape", "two", "zeros");
    node(m, "Range", "r0 r1 r2", "r");
    constant(m, "r0", 0, NULL, (int64_t[]){0});
    constant(m, "r1", 0, NULL, (int64_t[]){9});
    constant(m, "r2", 0, NULL, (int64_t[]){4});
    APPEND(m, m->graph.input, m->graph.n_input, port(m, "x", 4, (int64_t[]){1, 6, 4, 5}));
    static const char *const outputs[] = {"y", "zeros", "r", "kept"};
    for (size_t i = 0; i < COUNT_OF(outputs); i++)
        APPEND(m, m->graph.output, m->graph.n_output, port(m, outputs[i], 0, NULL));
}

static Onnx__ModelProto *make_model(Arena *a, int which)
{
    Maker *m = arena_struct(a, Maker);
    *m = (Maker){a, ONNX__MODEL_PROTO__INIT, ONNX__GRAPH_PROTO__INIT};
    Onnx__OperatorSetIdProto *opset =
        NEW(m, Onnx__OperatorSetIdProto, ONNX__OPERATOR_SET_ID_PROTO__INIT);
    opset->domain = "";
    opset->has_version = true;
    opset->version = 13;
    m->model.has_ir_version = true;
    m->model.ir_version = 7;
    APPEND(m, m->model.opset_import, m->model.n_opset_import, opset);
    m->model.graph = &m->graph;
    m->graph.name = "m";
    (which ? make_movements : make_network)(m);
    return &m->model;
}

/* ---- damage to messages -------------------------------------------------------------------- */

/* A field of a message that is given. */
typedef struct Place {
    ProtobufCMessage               *message;
    const ProtobufCFieldDescriptor *field;
} Place;

typedef struct Places {
    Arena *arena;
    Place *items;
    size_t n, cap;
} Places;

static void *member(const Place *p)
{
    return (char *)p->message + p->field->offset;
}

static size_t *quantity(const Place *p)
{
    return (size_t *)((char *)p->message + p->field->quantifier_offset);
}

static bool is_list(const Place *p)
{
    return p->field->label == PROTOBUF_C_LABEL_REPEATED;
}

static bool is_chosen(const Place *p)
{
    bool one_of = p->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    return !one_of || *(uint32_t *)quantity(p) == p->field->id;
}

static void collect(Places *all, ProtobufCMessage *m)
{
    for (unsigned i = 0; m && i < m->descriptor->n_fields; i++) {
        Place p = {m, &m->descriptor->fields[i]};
        bool  is_message = p.field->type == PROTOBUF_C_TYPE_MESSAGE;
        bool  is_string = p.field->type == PROTOBUF_C_TYPE_STRING;
        if (!is_chosen(&p) || (is_list(&p) && !*quantity(&p)))
            continue;
        if (!is_list(&p) && (is_message || is_string) && !*(void **)member(&p))
            continue;
        all->items = arena_grow(all->arena, all->items, all->n, &all->cap, sizeof *all->items);
        all->items[all->n++] = p;
        for (size_t k = 0; is_message && k < (is_list(&p) ? *quantity(&p) : 1); k++)
            collect(all, is_list(&p) ? (*(ProtobufCMessage ***)member(&p))[k]
                                     : *(ProtobufCMessage **)member(&p));
    }
}

static int64_t extreme_int(void)
{
    static const int64_t numbers[] = {0,
                                      1,
                                      -1,
                                      2,
                                      3,
                                      4,
                                      5,
                                      6,
                                      7,
                                      9,
                                      10,
                                      11,
                                      13,
                                      16,
                                      -2,
                                      INT32_MAX,
                                      INT32_MIN,
                                      INT64_MAX,
                                      INT64_MIN,
                                      (int64_t)1 << 32,
                                      (int64_t)1 << 40};
    return numbers[random_below(COUNT_OF(numbers))];
}

static float extreme_float(void)
{
    static const float numbers[] = {0, -0.0f, 1, -1, 0.5f, 3e38f, 1e-40f, INFINITY, -INFINITY, NAN};
    return numbers[random_below(COUNT_OF(numbers))];
}

static char *other_name(void)
{
    static char *const names[] = {
        "x",       "y",       "w",       "b",          "conv",         "shape",        "two",
        "minus",   "",        "Conv",    "Gemm",       "MatMul",       "Add",          "Slice",
        "Pad",     "MaxPool", "Reshape", "Concat",     "Flatten",      "Transpose",    "Split",
        "Clip",    "axes",    "pads",    "perm",       "kernel_shape", "group",        "Constant",
        "value",   "Cast",    "If",      "*/",         "\x1b[0m",      "\xe2\x80\xae", "Squeeze",
        "Resize",  "Dropout", "Shape",   "ReduceMean", "Softmax",      "#1",           "y#1",
        "ai.onnx",
    };
    return names[random_below(COUNT_OF(names))];
}

/* set_scalar - a new value for the scalar at `at`. */
static void set_scalar(ProtobufCType type, void *at)
{
    int64_t v = extreme_int();
    switch (type) {
    case PROTOBUF_C_TYPE_STRING: *(char **)at = other_name(); break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64: memcpy(at, &v, sizeof v); break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM: *(int32_t *)at = (int32_t)v; break;
    case PROTOBUF_C_TYPE_FLOAT: *(float *)at = extreme_float(); break;
    case PROTOBUF_C_TYPE_DOUBLE: *(double *)at = (double)extreme_float(); break;
    case PROTOBUF_C_TYPE_BYTES: ((ProtobufCBinaryData *)at)->len /= 2; break;
    default: break;
    }
}

static size_t scalar_bytes(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_ENUM:
    case PROTOBUF_C_TYPE_FLOAT: return 4;
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 8; /* numbers and pointers */
    }
}

/* damage_list - an entry goes, comes twice, changes places or changes. */
static void damage_list(Arena *a, const Place *p)
{
    size_t n = *quantity(p), size = scalar_bytes(p->field->type);
    char  *list = arena_alloc(a, (n + 1) * size);
    memcpy(list, *(void **)member(p), n * size);
    size_t at = (size_t)random_below((int64_t)n), with = (size_t)random_below((int64_t)n);
    switch (random_below(p->field->type == PROTOBUF_C_TYPE_MESSAGE ? 3 : 6)) {
    case 0:
        memmove(list + at * size, list + (at + 1) * size, (n - at - 1) * size);
        (*quantity(p))--;
        break;
    case 1:
        memcpy(list + n * size, list + at * size, size);
        (*quantity(p))++;
        break;
    case 2: memmove(list + at * size, list + with * size, size); break;
    default: set_scalar(p->field->type, list + at * size);
    }
    *(void **)member(p) = list;
}

static void damage_message(Arena *a, ProtobufCMessage *m)
{
    Places all = {.arena = a};
    collect(&all, m);
    const Place *p = &all.items[random_below((int64_t)all.n)];
    if (is_list(p))
        damage_list(a, p);
    else if (p->field->type != PROTOBUF_C_TYPE_MESSAGE)
        set_scalar(p->field->type, member(p));
    else if (random_below(4) == 0 && !(p->field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        *(void **)member(p) = NULL;
}

/* ---- damage to bytes ------------------------------------------------------------------------ */

static void damage_bytes(Blob *b)
{
    if (!b->len)
        return;
    size_t at = (size_t)random_below((int64_t)b->len), rest = b->len - at;
    char   piece[20];
    size_t n = (size_t)random_below((int64_t)(rest < sizeof piece ? rest : sizeof piece));
    char   byte = (char)random_below(256);
    memcpy(piece, b->data + random_below((int64_t)(b->len - n)), n);
    switch (random_below(6)) {
    case 0: b->data[at] = (char)(b->data[at] ^ 1 << random_below(8)); break;
    case 1: b->len = at; break;
    case 2: splice(b, at, n, "", 0); break;
    case 3: splice(b, at, 0, &byte, 1); break;
    case 4: b->data[at] = byte; break;
    default: splice(b, at, n, piece, n);
    }
}

/* ---- trials --------------------------------------------------------------------------------- */

static Outcome read_model(const char *path, bool with_shape)
{
    Arena      *a = arena_new();
    Diag       *d = diag_new(a);
    InputShape  shape = {"x", 4, {1, 2, 4, 4}};
    ReadOptions options = {.shapes = &shape, .n_shapes = with_shape};
    return judge(a, d, onnx_read(a, d, path, &options));
}

/* make_blob - a model of the round, damaged. */
static bool make_blob(Arena *a, int round, bool is_damaged, Blob *b)
{
    Onnx__ModelProto *model = make_model(a, round % 2);
    bool              in_messages = round / 2 % 2;
    for (int64_t n = is_damaged && in_messages ? random_between(1, 3) : 0; n > 0; n--)
        damage_message(a, &model->base);
    b->len = onnx__model_proto__get_packed_size(model);
    if (b->len > MOST_BYTES)
        return false;
    onnx__model_proto__pack(model, (uint8_t *)b->data);
    for (int64_t n = is_damaged && !in_messages ? random_between(1, 3) : 0; n > 0; n--)
        damage_bytes(b);
    return true;
}

/* An argument is another seed, for longer hunts. */
int main(int argc, char **argv)
{
    char path[] = "/tmp/kiln-onnx-hostile-XXXXXX";
    int  n_refused = 0, fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    if (argc > 1)
        check_seed += strtoull(argv[1], NULL, 0);
    for (int round = 0; round < ROUNDS; round++) {
        Arena *a = arena_new();
        Blob   blob;
        bool   is_damaged = round >= 4;
        if (!make_blob(a, round, is_damaged, &blob)) {
            arena_free(a);
            continue;
        }
        write_blob(path, &blob);
        Outcome outcome = read_model(path, is_damaged && round % 8 == 7);
        if (!CHECK(outcome != MISHANDLED)) {
            const char *kept = arena_printf(a, "/tmp/kiln-onnx-hostile-%d.onnx", round);
            write_blob(kept, &blob);
            printf("    kept as %s\n", kept);
        }
        CHECK(is_damaged || outcome == ACCEPTED);
        n_refused += outcome == REFUSED;
        arena_free(a);
    }
    CHECK(n_refused > ROUNDS / 2 && n_refused < ROUNDS);
    unlink(path);
    return check_end();
}
