/* known_arith.c - arithmetic on what is known while importing. */
#include "onnx/importer.h"

#include <math.h>
#include <string.h>

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

typedef enum { ADD, SUB, MUL, DIV, MOD, MIN, MAX, AND, OR, XOR, EQUAL, LESS, LESS_EQUAL } Arith;

/* As unsigned numbers: what does not fit wraps. */
static int64_t wrapped(Arith what, int64_t a, int64_t b)
{
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    return (int64_t)(what == ADD ? x + y : what == SUB ? x - y : x * y);
}

/* ---- casts ----------------------------------------------------------------------------------- */

/* narrowed - `v` as an integer of the type holds it. */
static int64_t narrowed(int32_t type, int64_t v)
{
    switch (type) {
    case TYPE(BOOL): return v != 0;
    case TYPE(UINT8): return (uint8_t)v;
    case TYPE(INT8): return (int8_t)v;
    case TYPE(UINT16): return (uint16_t)v;
    case TYPE(INT16): return (int16_t)v;
    case TYPE(UINT32): return (uint32_t)v;
    case TYPE(INT32): return (int32_t)v;
    default: return v;
    }
}

/* truncated - towards zero; what does not fit becomes the nearest that does. */
static int64_t truncated(double v)
{
    if (isnan(v))
        return 0;
    return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 ? INT64_MIN : (int64_t)v;
}

static bool cast_to_ints(Importer *im, OnnxNode *n, const Known *k, int32_t to)
{
    if (!known_afford(im, k->rank, k->dims))
        return false;
    int64_t *ints = arena_array(im->arena, int64_t, (size_t)k->count);
    for (int64_t i = 0; i < k->count; i++) {
        double v = k->ints ? 0 : known_number(k, i);
        ints[i] = k->ints ? k->ints[i] : to == TYPE(BOOL) ? v != 0 : truncated(v);
        ints[i] = narrowed(to, ints[i]);
    }
    return node_result_known(im, n, 0, known_ints(im->arena, to, k->rank, k->dims, ints));
}

static bool cast(Importer *im, OnnxNode *n, int which)
{
    (void)which;
    const Known *k = n->in[0]->known;
    int64_t      to = attr_int(n, "to", 0);
    if (to < 0 || to > INT32_MAX)
        return false;
    if (known_is_integer((int32_t)to))
        return cast_to_ints(im, n, k, (int32_t)to);
    if (!onnx_is_float((int32_t)to) || !k->ints)
        return false;
    Known *floats = known_ints(im->arena, TYPE(FLOAT), k->rank, k->dims, NULL);
    if (!known_afford(im, k->rank, k->dims))
        return false;
    if (k->count) {
        Tensor *t = tensor_new(im->arena, F32, k->rank, k->dims);
        for (int64_t i = 0; i < k->count; i++)
            tensor_set(t, i, (double)k->ints[i]);
        floats->floats = t;
    }
    return node_result_known(im, n, 0, floats);
}

/* ---- two operands ---------------------------------------------------------------------------- */

/* modulo - with the divisor's sign, as Python has it, or with the dividend's, as C has it. */
static int64_t modulo(int64_t a, int64_t b, bool as_c)
{
    if (b == -1)
        return 0;
    int64_t rest = a % b;
    return rest && !as_c && (rest < 0) != (b < 0) ? rest + b : rest;
}

static int64_t compute(Arith what, int64_t a, int64_t b, bool as_c)
{
    switch (what) {
    case ADD:
    case SUB:
    case MUL: return wrapped(what, a, b);
    case DIV: return b == -1 ? wrapped(SUB, 0, a) : a / b;
    case MOD: return modulo(a, b, as_c);
    case MIN: return a < b ? a : b;
    case MAX: return a > b ? a : b;
    case AND: return a && b;
    case OR: return a || b;
    case XOR: return !a != !b;
    case EQUAL: return a == b;
    case LESS: return a < b;
    case LESS_EQUAL: return a <= b;
    }
    return 0;
}

static int64_t compare(Arith what, double a, double b)
{
    return what == EQUAL ? a == b : what == LESS ? a < b : a <= b;
}

static bool has_zero(const Known *k)
{
    for (int64_t i = 0; i < k->count; i++)
        if (!k->ints[i])
            return true;
    return false;
}

/* operands - `a` and `b` broadcast to `out`, computed into ints; Greater is Less with them swapped. */
static bool operands(Importer *im, OnnxNode *n, Arith what, const Known *a, const Known *b)
{
    Type ta = known_shape(a), tb = known_shape(b), out;
    bool is_claim = what >= EQUAL, ints = a->ints && b->ints;
    if ((!ints && !(is_claim && !a->ints && !b->ints)) || !known_broadcast(&ta, &tb, &out))
        return false;
    if (((what == DIV || what == MOD) && has_zero(b)) || !known_afford(im, out.rank, out.dims))
        return false;
    bool     as_c = attr_int(n, "fmod", 0) != 0;
    int64_t  count = type_count(&out);
    int64_t *result = arena_array(im->arena, int64_t, (size_t)count);
    for (int64_t i = 0; i < count; i++) {
        int64_t ia = broadcast_index(&out, &ta, i), ib = broadcast_index(&out, &tb, i);
        result[i] = ints ? compute(what, a->ints[ia], b->ints[ib], as_c)
                         : compare(what, known_number(a, ia), known_number(b, ib));
        if (ints && !is_claim)
            result[i] = narrowed(a->type, result[i]);
    }
    int32_t type = is_claim ? TYPE(BOOL) : a->type;
    return node_result_known(im, n, 0, known_ints(im->arena, type, out.rank, out.dims, result));
}

static bool binary(Importer *im, OnnxNode *n, int which)
{
    return n->n_in == 2 && n->in[1] &&
           operands(im, n, (Arith)which, n->in[0]->known, n->in[1]->known);
}

static bool binary_swapped(Importer *im, OnnxNode *n, int which)
{
    return n->n_in == 2 && n->in[1] &&
           operands(im, n, (Arith)which, n->in[1]->known, n->in[0]->known);
}

/* ---- one operand ----------------------------------------------------------------------------- */

typedef enum { NEG, ABS, NOT, SIGN } Unary;

static bool unary(Importer *im, OnnxNode *n, int which)
{
    const Known *k = n->in[0]->known;
    if (!k->ints || !known_afford(im, k->rank, k->dims))
        return false;
    int64_t *ints = arena_array(im->arena, int64_t, (size_t)k->count);
    for (int64_t i = 0; i < k->count; i++) {
        int64_t v = k->ints[i], minus = wrapped(SUB, 0, v);
        ints[i] = which == NEG   ? minus
                  : which == ABS ? (v < 0 ? minus : v)
                  : which == NOT ? !v
                                 : (v > 0) - (v < 0);
        ints[i] = narrowed(k->type, ints[i]);
    }
    return node_result_known(im, n, 0, known_ints(im->arena, k->type, k->rank, k->dims, ints));
}

/* ---- reductions and sequences ------------------------------------------------------------------ */

/* reduced_dims - the shape of a reduction, with extents 1 for what is gone; false: axes out of range.
 * Without axes, all are reduced. */
static bool reduced_dims(const OnnxNode *n, const Known *k, Type *kept, bool *gone)
{
    const Onnx__AttributeProto *a = attr_find(n, "axes");
    const Known                *given = arg_is_known(n, 1);
    const int64_t              *axes = given ? given->ints : a ? a->ints : NULL;
    int64_t                     count = given ? given->count : a ? (int64_t)a->n_ints : 0;
    *kept = known_shape(k);
    if (!count && attr_int(n, "noop_with_empty_axes", 0))
        return false;
    if (count && !axes)
        return false;
    for (int64_t i = 0; i < (count ? count : k->rank); i++) {
        int64_t axis = count ? axes[i] : i;
        if (axis < -k->rank || axis >= k->rank)
            return false;
        gone[axis_from_end(axis, k->rank)] = true;
        kept->dims[axis_from_end(axis, k->rank)] = 1;
    }
    return true;
}

static bool reduce(Importer *im, OnnxNode *n, int which)
{
    const Known *k = n->in[0]->known;
    Type         all = known_shape(k), kept, out = {.rank = 0};
    bool         gone[MAX_RANK] = {false};
    if (!k->ints || !k->count || !reduced_dims(n, k, &kept, gone) ||
        !known_afford(im, kept.rank, kept.dims))
        return false;
    int64_t *ints = arena_array(im->arena, int64_t, (size_t)type_count(&kept));
    bool    *begun = arena_array(im->arena, bool, (size_t)type_count(&kept));
    for (int64_t i = 0; i < k->count; i++) {
        int64_t at = broadcast_index(&all, &kept, i);
        ints[at] = begun[at] ? compute((Arith)which, ints[at], k->ints[i], false) : k->ints[i];
        ints[at] = narrowed(k->type, ints[at]);
        begun[at] = true;
    }
    bool keepdims = attr_int(n, "keepdims", 1) != 0;
    for (int i = 0; i < kept.rank; i++)
        if (keepdims || !gone[i])
            out.dims[out.rank++] = kept.dims[i];
    return node_result_known(im, n, 0, known_ints(im->arena, k->type, out.rank, out.dims, ints));
}

/* float_range - start, start + delta ... as long as they stay before the limit. */
static bool float_range(Importer *im, OnnxNode *n)
{
    double start = known_number(n->in[0]->known, 0), delta = known_number(n->in[2]->known, 0);
    double steps = ceil((known_number(n->in[1]->known, 0) - start) / delta);
    if (!(steps >= 1 && steps <= KNOWN_MAX_COUNT)) /* NaN and infinity among them */
        return false;
    int64_t count = (int64_t)steps;
    if (!known_afford(im, 1, &count))
        return false;
    Tensor *t = tensor_new(im->arena, F32, 1, &count);
    for (int64_t i = 0; i < count; i++)
        tensor_set(t, i, start + (double)i * delta);
    return node_result_known(im, n, 0, known_floats(im->arena, t));
}

static bool range(Importer *im, OnnxNode *n, int which)
{
    (void)which;
    int64_t v[3];
    int     n_ints = 0;
    for (int i = 0; i < 3; i++) {
        const Known *k = n->in[i]->known;
        if (k->count != 1)
            return false;
        v[i] = k->ints ? k->ints[0] : 0;
        n_ints += k->ints != NULL;
    }
    if (n_ints == 0)
        return float_range(im, n);
    if (n_ints < 3 || !v[2])
        return false;
    bool     up = v[2] > 0;
    uint64_t step = up ? (uint64_t)v[2] : 0 - (uint64_t)v[2];
    uint64_t distance = up ? (uint64_t)v[1] - (uint64_t)v[0] : (uint64_t)v[0] - (uint64_t)v[1];
    bool     is_empty = up ? v[1] <= v[0] : v[1] >= v[0];
    int64_t  count =
        is_empty || (distance - 1) / step >= INT64_MAX ? 0 : (int64_t)((distance - 1) / step) + 1;
    if ((!is_empty && !count) || !known_afford(im, 1, &count))
        return false;
    int64_t *ints = arena_array(im->arena, int64_t, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        ints[i] = wrapped(ADD, v[0], wrapped(MUL, i, v[2]));
    return node_result_known(im, n, 0,
                             known_ints(im->arena, n->in[0]->known->type, 1, &count, ints));
}

/* ---- the table --------------------------------------------------------------------------------- */

static const struct {
    const char *op;
    bool (*fold)(Importer *im, OnnxNode *n, int which);
    int which;
} folds[] = {
    {"Add", binary, ADD},
    {"Sub", binary, SUB},
    {"Mul", binary, MUL},
    {"Div", binary, DIV},
    {"Mod", binary, MOD},
    {"Min", binary, MIN},
    {"Max", binary, MAX},
    {"And", binary, AND},
    {"Or", binary, OR},
    {"Xor", binary, XOR},
    {"Equal", binary, EQUAL},
    {"Less", binary, LESS},
    {"LessOrEqual", binary, LESS_EQUAL},
    {"Greater", binary_swapped, LESS},
    {"GreaterOrEqual", binary_swapped, LESS_EQUAL},
    {"Neg", unary, NEG},
    {"Abs", unary, ABS},
    {"Not", unary, NOT},
    {"Sign", unary, SIGN},
    {"ReduceSum", reduce, ADD},
    {"ReduceProd", reduce, MUL},
    {"ReduceMin", reduce, MIN},
    {"ReduceMax", reduce, MAX},
    {"Range", range, 0},
    {"Cast", cast, 0},
};

bool known_arith(Importer *im, OnnxNode *n)
{
    for (size_t i = 0; i < COUNT_OF(folds); i++)
        if (!strcmp(n->row->name, folds[i].op))
            return folds[i].fold(im, n, folds[i].which);
    return false;
}
