/* read_param.c - constants: from the weights file, seeded random, or by formula. */
#include "graph/read.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- the model's "weights" -------------------------------------------------------------- */

static void open_weights(Reader *r, const Json *j)
{
    if (path_has_controls(j->string)) {
        read_error(r, j, "the weights' file name has control characters: %s",
                   read_value_text(r->arena, j));
        return;
    }
    if (!path_is_plain(j->string)) {
        read_error(r, j,
                   "the weights must lie beside the model: a relative path without '..', got %s",
                   read_value_text(r->arena, j));
        return;
    }
    const char *path = path_beside(r->arena, r->source->path, j->string);
    r->weights = safetensors_open(r->arena, r->diag, path);
    if (r->weights)
        r->weights_kind = WEIGHTS_FILE;
    else
        diag_note(r->diag, read_span(r, j), "the model names this file here");
}

/* read_seed - an integer from 0 to 2^53. */
static bool read_seed(Reader *r, const Json *j, uint64_t *seed)
{
    int64_t v;
    if (!json_int(j, &v) || v < 0)
        return read_error(r, j, "a seed must be an integer from 0 to 2^53, got %s",
                          read_value_text(r->arena, j));
    *seed = (uint64_t)v;
    return true;
}

void read_weights(Reader *r)
{
    static const char *const keys[] = {"random", NULL};
    const Json              *j = json_get(r->root, "weights");
    if (!j)
        return;
    r->weights_kind = WEIGHTS_BAD;
    if (j->kind == JSON_STRING) {
        open_weights(r, j);
    } else if (j->kind == JSON_OBJECT) {
        read_keys(r, j, "\"weights\"", keys);
        const Json *seed = read_member(r, j, "random", JSON_NUMBER, true);
        if (seed && read_seed(r, seed, &r->seed))
            r->weights_kind = WEIGHTS_RANDOM;
    } else {
        read_error(r, j, "\"weights\" must be a file name or {\"random\": seed}, got %s",
                   read_value_text(r->arena, j));
    }
}

/* ---- formulas --------------------------------------------------------------------------- */

/* fits - whether `v` is a value of `t`'s type; reported at `at` otherwise. */
static bool fits(Reader *r, const Json *at, const Tensor *t, double v)
{
    double low = -FLT_MAX, high = FLT_MAX;
    if (t->type.elem == I8)
        low = INT8_MIN, high = INT8_MAX;
    else if (t->type.elem == U8)
        low = 0, high = UINT8_MAX;
    else if (t->type.elem == I32)
        low = INT32_MIN, high = INT32_MAX;
    if (v >= low && v <= high && (t->type.elem == F32 || v == nearbyint(v)))
        return true;
    return read_error(r, at, "%g is not a value of type %s", v, elem_name(t->type.elem));
}

/* number_at - item `i` of an array, checked to be a number. */
static bool number_at(Reader *r, const Json *array, size_t i, double *out)
{
    const Json *j = &array->items[i];
    if (j->kind != JSON_NUMBER)
        return read_error(r, j, "expected a number, got %s", read_value_text(r->arena, j));
    *out = j->number;
    return true;
}

static bool fill_splat(Reader *r, const Json *j, Tensor *t)
{
    if (j->kind != JSON_NUMBER)
        return read_error(r, j, "\"splat\" must be a number, got %s", read_value_text(r->arena, j));
    if (!fits(r, j, t, j->number))
        return false;
    int64_t n = type_count(&t->type);
    for (int64_t i = 0; i < n; i++)
        tensor_set(t, i, j->number);
    return true;
}

static bool fill_iota(Reader *r, const Json *j, Tensor *t)
{
    double  start = 0, step = 0;
    int64_t n = type_count(&t->type);
    if (j->kind != JSON_ARRAY || j->n_items != 2)
        return read_error(r, j, "\"iota\" must be [start, step], got %s",
                          read_value_text(r->arena, j));
    if (!number_at(r, j, 0, &start) || !number_at(r, j, 1, &step))
        return false;
    bool integral = step == nearbyint(step) || t->type.elem == F32;
    if (!integral)
        return read_error(r, &j->items[1], "%g is not a value of type %s", step,
                          elem_name(t->type.elem));
    double last = (double)(n - 1) * step; /* both ends fit, so all between do */
    if (!fits(r, j, t, start) || !fits(r, j, t, start + last))
        return false;
    for (int64_t i = 0; i < n; i++) {
        double offset = (double)i * step;
        tensor_set(t, i, start + offset);
    }
    return true;
}

static bool fill_values(Reader *r, const Json *j, Tensor *t)
{
    int64_t n = type_count(&t->type);
    if (j->kind != JSON_ARRAY)
        return read_error(r, j, "\"values\" must be an array, got %s",
                          read_value_text(r->arena, j));
    if ((int64_t)j->n_items != n)
        return read_error(r, j, "\"values\" must have the shape's %lld elements, got %zu",
                          (long long)n, j->n_items);
    for (size_t i = 0; i < j->n_items; i++) {
        double v = 0;
        if (!number_at(r, j, i, &v) || !fits(r, &j->items[i], t, v))
            return false;
        tensor_set(t, (int64_t)i, v);
    }
    return true;
}

/* read_type - the "type" of a formula: f32 where there is none. */
static bool read_type(Reader *r, const Json *object, Elem *out)
{
    const Json *j = json_get(object, "type");
    *out = F32;
    if (!j)
        return true;
    if (j->kind == JSON_STRING && elem_from_name(j->string, out) &&
        (*out == F32 || *out == I8 || *out == U8 || *out == I32))
        return true;
    return read_error(r, j, "a constant's type must be f32, i8, u8 or i32, got %s",
                      read_value_text(r->arena, j));
}

/* new_tensor - a tensor of the object's shape and type. A short file can ask for much memory, so
 * there is a limit on what all of a model's formulas make. */
static Tensor *new_tensor(Reader *r, const Json *object)
{
    static const int64_t most = (int64_t)1 << 30;
    int64_t              dims[MAX_RANK];
    int                  rank;
    Elem                 elem;
    const Json          *shape = read_member(r, object, "shape", JSON_ARRAY, true);
    if (!shape || !read_shape(r, shape, 0, &rank, dims) || !read_type(r, object, &elem))
        return NULL;
    Type    type = type_plain(elem, rank, dims);
    int64_t n = type_count(&type);
    if (n > most - r->made_elements) {
        read_error(r, shape, "constants made by formula take more than 2^30 elements");
        return NULL;
    }
    r->made_elements += n;
    return tensor_new(r->arena, elem, rank, dims);
}

/* the_formula - the one member that says how to fill the tensor; NULL for {"shape": ...} alone. */
static bool the_formula(Reader *r, const Json *object, const Json **out)
{
    static const char *const names[] = {"splat", "iota", "random", "values"};
    *out = NULL;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const Json *j = json_get(object, names[i]);
        if (j && *out)
            return read_error(r, j, "a constant is either \"%s\" or \"%s\"", (*out)->key, j->key);
        if (j)
            *out = j;
    }
    if (*out || r->weights_kind == WEIGHTS_RANDOM)
        return true;
    if (r->weights_kind == WEIGHTS_BAD)
        return false;
    return read_error(r, object,
                      "expected \"splat\", \"iota\", \"random\" or \"values\" beside the shape "
                      "(a shape alone needs \"weights\": {\"random\": seed})");
}

static const Tensor *read_formula(Reader *r, const Json *object, const Slot *slot, uint64_t place)
{
    static const char *const keys[] = {"splat", "iota", "random", "values", "shape", "type", NULL};
    const Json              *formula;
    uint64_t                 seed = r->seed;
    read_keys(r, object, "a constant", keys);
    if (!the_formula(r, object, &formula))
        return NULL;
    Tensor *t = new_tensor(r, object);
    if (!t)
        return NULL;
    bool ok = true;
    if (!formula)
        random_fill(t, seed, place, slot->name);
    else if (!strcmp(formula->key, "splat"))
        ok = fill_splat(r, formula, t);
    else if (!strcmp(formula->key, "iota"))
        ok = fill_iota(r, formula, t);
    else if (!strcmp(formula->key, "values"))
        ok = fill_values(r, formula, t);
    else if ((ok = read_seed(r, formula, &seed)))
        random_fill(t, seed, 0, slot->name);
    return ok ? t : NULL;
}

/* ---- params ----------------------------------------------------------------------------- */

static const Tensor *find_tensor(Reader *r, const Json *j)
{
    const char *name = text_printable(r->arena, j->string);
    if (r->weights_kind == WEIGHTS_NONE)
        read_error(r, j, "tensor '%s' is in no file: the model has no \"weights\"", name);
    if (r->weights_kind == WEIGHTS_RANDOM)
        read_error(r, j, "with random weights a param is written {\"shape\": [...]}, got '%s'",
                   name);
    if (r->weights_kind != WEIGHTS_FILE)
        return NULL;
    const Tensor *t = safetensors_find(r->weights, j->string);
    if (t || safetensors_has(r->weights, j->string))
        return t;
    Guess guess = guess_new(j->string);
    if (!diag_full(r->diag))
        safetensors_guess(r->weights, &guess);
    read_error(r, j, "the weights file has no tensor '%s'%s", name, guess_text(r->arena, &guess));
    return NULL;
}

/* read_named - {"tensor": "conv1.weight"}. */
static const Tensor *read_named(Reader *r, const Json *object)
{
    static const char *const keys[] = {"tensor", NULL};
    const Json              *name = read_member(r, object, "tensor", JSON_STRING, true);
    read_keys(r, object, "a named constant", keys);
    return name ? find_tensor(r, name) : NULL;
}

const Tensor *read_param(Reader *r, const Json *j, const Slot *slot, uint64_t place)
{
    if (j->kind == JSON_STRING)
        return find_tensor(r, j);
    if (json_get(j, "tensor"))
        return read_named(r, j);
    if (j->kind == JSON_OBJECT)
        return read_formula(r, j, slot, place);
    read_error(r, j, "a param must be the name of a tensor or a formula, got %s",
               read_value_text(r->arena, j));
    return NULL;
}
