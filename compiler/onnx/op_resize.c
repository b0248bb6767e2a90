/* op_resize.c - Resize and Upsample. Along each axis, an entry of the result is a sum of entries of the input
 * by constant weights: one entry by the nearest pixel, two by linear and four by cubic interpolation. */
#include "onnx/importer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef enum { FLOOR, CEIL, ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL } Nearest;
typedef enum {
    ASYMMETRIC,
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE
} Coordinates;

static const char *const nearest_names[] = {"floor", "ceil", "round_prefer_floor",
                                            "round_prefer_ceil", NULL};
static const char *const coordinate_names[] = {
    "asymmetric",    "half_pixel",           "half_pixel_symmetric", "pytorch_half_pixel",
    "align_corners", "tf_half_pixel_for_nn", "tf_crop_and_resize",   NULL};

/* How one axis is resized. */
typedef struct Axis {
    int64_t in, out;
    double  scale;
    double  start, end; /* the region of interest, as a share of the axis */
} Axis;

#define MAX_TAPS 4

typedef struct Resize {
    int         n_taps; /* 1: nearest, 2: linear, 4: cubic */
    Nearest     nearest;
    Coordinates coordinates;
    double      cubic;     /* the coefficient a of cubic interpolation */
    double      outside;   /* what stands where TF_CROP_AND_RESIZE leaves the input */
    bool excludes_outside; /* taps past the edge have no weight, in place of the edge's entry */
    Axis axes[MAX_RANK];
} Resize;

/* Entry i of a resized axis is the sum over taps t of weight[t][i] * x[index[t][i]], and plus[i]. */
typedef struct Taps {
    int64_t *index[MAX_TAPS];
    double  *weight[MAX_TAPS], *plus;
} Taps;

/* ---- reading ---------------------------------------------------------------------------- */

/* Attribute `name` as an index into `names`; -1: reported. */
static int read_choice(Importer *im, OnnxNode *n, const char *name, const char *fallback,
                       const char *const *names)
{
    const char *text = attr_string(im, n, name, fallback);
    for (int i = 0; text && names[i]; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    if (text)
        node_error(im, n, "%s '%s' is not supported", name, text_printable(im->arena, text));
    return -1;
}

static bool read_mode(Importer *im, OnnxNode *n, Resize *r)
{
    static const char *const names[] = {"nearest", "linear", "cubic", NULL};
    static const int         taps[] = {1, 2, 4};
    int                      mode = read_choice(im, n, "mode", "nearest", names);
    const char              *policy = attr_string(im, n, "keep_aspect_ratio_policy", "stretch");
    if (mode < 0 || !policy || !attr_finite(im, n, "cubic_coeff_a", -0.75, &r->cubic) ||
        !attr_finite(im, n, "extrapolation_value", 0, &r->outside))
        return false;
    if (strcmp(policy, "stretch") != 0)
        return node_error(im, n,
                          "keep_aspect_ratio_policy '%s' is not supported; expected 'stretch'",
                          text_printable(im->arena, policy));
    if (attr_int(n, "antialias", 0) != 0 && mode > 0)
        return node_error(im, n, "antialias is not supported");
    r->n_taps = taps[mode];
    r->excludes_outside = attr_int(n, "exclude_outside", 0) != 0;
    return true;
}

/* Upsample and the first Resize (opset 10) count from the first pixel and drop the fraction; the first
 * Resize rounds up where it makes the axis smaller. */
static bool read_rule(Importer *im, OnnxNode *n, Resize *r)
{
    bool is_old = im->opset < 11;
    int  coordinates = read_choice(im, n, "coordinate_transformation_mode",
                                  is_old ? "asymmetric" : "half_pixel", coordinate_names);
    int  nearest =
        read_choice(im, n, "nearest_mode", is_old ? "floor" : "round_prefer_floor", nearest_names);
    if (!read_mode(im, n, r) || coordinates < 0 || nearest < 0)
        return false;
    r->coordinates = (Coordinates)coordinates;
    r->nearest = (Nearest)nearest;
    return true;
}

/* Numbers of input `i` into out[axes[..]]; false: reported. */
static bool read_numbers(Importer *im, OnnxNode *n, int i, const char *what, int count, double *out)
{
    const Known *k = arg_known(im, n, i, what);
    if (!k)
        return false;
    if (k->rank > 1 || k->count != count)
        return node_error(im, n, "%s has %" PRId64 " entries, expected %d, one per axis", what,
                          k->count, count);
    for (int j = 0; j < count; j++)
        out[j] = known_number(k, j);
    return true;
}

static bool set_scale(Importer *im, OnnxNode *n, int axis, double scale, Axis *a)
{
    double out = floorf((float)a->in * (float)scale); /* 49 * (1 / 49) is 1 in f32 alone */
    a->scale = scale;
    if (!(scale > 0) || !(out >= 1) || out > MAKE_MAX_INDICES)
        return node_error(im, n,
                          "scale %g of axis %d, of extent %" PRId64 ", gives no extent from 1 to "
                          "%d",
                          scale, axis, a->in, MAKE_MAX_INDICES);
    a->out = (int64_t)out;
    return true;
}

static bool set_size(Importer *im, OnnxNode *n, int axis, double size, Axis *a)
{
    if (!(size >= 1) || size > MAKE_MAX_INDICES)
        return node_error(im, n, "size %g of axis %d is not supported, expected 1 to %d", size,
                          axis, MAKE_MAX_INDICES);
    a->out = (int64_t)size;
    a->scale = size / (double)a->in;
    return true;
}

/* Scales or sizes for these axes. Upsample has scales as an attribute up to opset 8, then as an input. */
static bool read_extents(Importer *im, OnnxNode *n, int count, const int64_t *axes, Resize *r)
{
    bool   is_new = im->opset >= 11 && strcmp(n->row->name, "Resize") == 0;
    double numbers[MAX_RANK] = {0};
    int    scales = is_new ? 2 : 1;
    bool   has_scales =
        arg_present(n, scales) && !(arg_is_known(n, scales) && arg_is_known(n, scales)->count == 0);
    bool                        by_size = is_new && !has_scales;
    const Onnx__AttributeProto *given = im->opset < 9 ? attr_find(n, "scales") : NULL;
    if (given && given->n_floats == (size_t)count) {
        for (int i = 0; i < count; i++)
            numbers[i] = given->floats[i];
    } else if (given) {
        return node_error(im, n, "scales has %zu entries, expected %d, one per axis",
                          given->n_floats, count);
    } else if (!read_numbers(im, n, by_size ? 3 : scales, by_size ? "sizes" : "scales", count,
                             numbers)) {
        return false;
    }
    for (int i = 0; i < count; i++) {
        Axis *a = &r->axes[axes[i]];
        if (by_size ? !set_size(im, n, (int)axes[i], numbers[i], a)
                    : !set_scale(im, n, (int)axes[i], numbers[i], a))
            return false;
    }
    return true;
}

/* The specification counts corners by the extent of the result, its tests by the extent before that is rounded
 * down. Where the two differ it is better to ask. */
static bool check_corners(Importer *im, OnnxNode *n, int rank, const Resize *r)
{
    for (int d = 0; d < rank; d++) {
        const Axis *a = &r->axes[d];
        double      exact = (double)a->in * a->scale, extent = (double)a->out;
        if (r->coordinates == ALIGN_CORNERS && fabs(exact - extent) > 1e-6 * extent)
            return node_error(im, n,
                              "align_corners with scale %g of axis %d, of extent %" PRId64
                              ", is not supported: give sizes, or a scale to a whole extent",
                              a->scale, d, a->in);
    }
    return true;
}

/* The region of interest: all starts, then all ends. */
static bool read_region(Importer *im, OnnxNode *n, int count, const int64_t *axes, Resize *r)
{
    double region[2 * MAX_RANK] = {0};
    if (r->coordinates != TF_CROP_AND_RESIZE)
        return true;
    if (!read_numbers(im, n, 1, "roi", 2 * count, region))
        return false;
    for (int i = 0; i < count; i++) {
        r->axes[axes[i]].start = region[i];
        r->axes[axes[i]].end = region[count + i];
    }
    return true;
}

/* ---- which pixel ------------------------------------------------------------------------ */

/* Where entry `i` of the result is in the input, between its entries. */
static double source_of(Coordinates c, const Axis *a, int64_t i)
{
    double in = (double)a->in, out = (double)a->out, x = (double)i;
    switch (c) {
    case ASYMMETRIC: return x / a->scale;
    case TF_HALF_PIXEL_FOR_NN: return (x + 0.5) / a->scale;
    case PYTORCH_HALF_PIXEL: return a->out > 1 ? (x + 0.5) / a->scale - 0.5 : 0;
    case ALIGN_CORNERS: return a->out > 1 ? x * (in - 1) / (out - 1) : 0;
    case HALF_PIXEL_SYMMETRIC: {
        /* What whole pixels add or leave out is shared between both ends. */
        double adjust = out / (in * a->scale);
        return in / 2 * (1 - adjust) + (x + 0.5) / a->scale - 0.5;
    }
    case TF_CROP_AND_RESIZE:
        if (a->out == 1)
            return 0.5 * (a->start + a->end) * (in - 1);
        return a->start * (in - 1) + x * (a->end - a->start) * (in - 1) / (out - 1);
    case HALF_PIXEL: break;
    }
    return (x + 0.5) / a->scale - 0.5;
}

static double nearest_to(Nearest rule, double x)
{
    switch (rule) {
    case FLOOR: return floor(x);
    case CEIL: return ceil(x);
    case ROUND_PREFER_FLOOR: return ceil(x - 0.5);
    case ROUND_PREFER_CEIL: break;
    }
    return floor(x + 0.5);
}

/* The weights of the taps around a place `r` behind the one at or before it. The two middle taps of four are
 * next to it. */
static void tap_weights(const Resize *resize, double r, double weight[MAX_TAPS])
{
    double a = resize->cubic, l = 1 - r, far_l = r + 1, far_r = l + 1;
    switch (resize->n_taps) {
    case 1: weight[0] = 1; break;
    case 2:
        weight[0] = l;
        weight[1] = r;
        break;
    default: /* Keys 1981, equation 15 */
        weight[0] = ((a * far_l - 5 * a) * far_l + 8 * a) * far_l - 4 * a;
        weight[1] = ((a + 2) * r - (a + 3)) * r * r + 1;
        weight[2] = ((a + 2) * l - (a + 3)) * l * l + 1;
        weight[3] = ((a * far_r - 5 * a) * far_r + 8 * a) * far_r - 4 * a;
    }
}

/* Entry `i` of an axis. */
static void set_taps(const Resize *r, const Axis *a, Nearest rule, int64_t i, Taps *taps)
{
    double at = source_of(r->coordinates, a, i), last = (double)(a->in - 1), sum = 0;
    double first = r->n_taps == 1 ? nearest_to(rule, at) : floor(at) - (r->n_taps / 2 - 1);
    double weight[MAX_TAPS];
    bool   is_outside = r->coordinates == TF_CROP_AND_RESIZE && !(at >= 0 && at <= last);
    tap_weights(r, at - floor(at), weight);
    for (int t = 0; t < r->n_taps; t++) {
        double place = first + t, nearest = place > 0 ? place : 0;
        if (is_outside || (r->excludes_outside && r->n_taps > 1 && (place < 0 || place > last)))
            weight[t] = 0;
        taps->index[t][i] = (int64_t)(nearest < last ? nearest : last);
        sum += weight[t];
    }
    for (int t = 0; t < r->n_taps; t++)
        taps->weight[t][i] = is_outside ? 0 : r->excludes_outside ? weight[t] / sum : weight[t];
    taps->plus[i] = is_outside ? r->outside : 0;
}

static Taps make_taps(Importer *im, int axis, const Resize *r)
{
    const Axis *a = &r->axes[axis];
    Nearest     rule = im->opset == 10 && a->scale < 1 ? CEIL : r->nearest;
    Taps        taps = {.plus = arena_array(im->arena, double, (size_t)a->out)};
    for (int t = 0; t < r->n_taps; t++) {
        taps.index[t] = arena_array(im->arena, int64_t, (size_t)a->out);
        taps.weight[t] = arena_array(im->arena, double, (size_t)a->out);
    }
    for (int64_t i = 0; i < a->out; i++)
        set_taps(r, a, rule, i, &taps);
    return taps;
}

/* ---- as nodes --------------------------------------------------------------------------- */

static bool all_are(const double *v, int64_t n, double what)
{
    for (int64_t i = 0; i < n; i++)
        if (v[i] != what)
            return false;
    return true;
}

/* op(x, v), with v along one axis of x */
static ValueId with_vector(Importer *im, OnnxNode *n, Op op, ValueId x, int axis, const double *v)
{
    if (!x)
        return 0;
    Type    t = node_type(im, x);
    int64_t dims[MAX_RANK] = {t.dims[axis], 1, 1, 1, 1, 1, 1, 1};
    Tensor *vector = tensor_new(im->arena, F32, t.rank - axis, dims);
    for (int64_t i = 0; i < dims[0]; i++)
        tensor_set(vector, i, v[i]);
    return make_binary(im, n, op, x, node_constant(im, n, "weights", vector));
}

static ValueId resize_axis(Importer *im, OnnxNode *n, ValueId x, int axis, const Resize *r)
{
    Taps    taps = make_taps(im, axis, r);
    int64_t out = r->axes[axis].out;
    ValueId y = 0;
    for (int t = 0; t < r->n_taps; t++) {
        if (all_are(taps.weight[t], out, 0) && (y || t + 1 < r->n_taps))
            continue;
        ValueId term = make_gather(im, n, x, axis, out, taps.index[t]);
        if (!all_are(taps.weight[t], out, 1))
            term = with_vector(im, n, OP_mul, term, axis, taps.weight[t]);
        y = y ? make_binary(im, n, OP_add, y, term) : term;
        if (!y)
            return 0;
    }
    return all_are(taps.plus, out, 0) ? y : with_vector(im, n, OP_add, y, axis, taps.plus);
}

/* Whether entry i of the result is entry i / factor of the input. */
static bool is_repetition(Importer *im, int axis, const Resize *r, int64_t *factor)
{
    const Axis *a = &r->axes[axis];
    *factor = a->out / a->in;
    if (r->n_taps != 1 || a->out % a->in != 0)
        return false;
    Taps taps = make_taps(im, axis, r);
    for (int64_t i = 0; i < a->out; i++)
        if (taps.index[0][i] != i / *factor || taps.weight[0][i] != 1)
            return false;
    return true;
}

/* Rows and columns that are repeated a whole number of times are an upsample. */
static ValueId make_resize(Importer *im, OnnxNode *n, ValueId x, const Resize *r)
{
    int     rank = node_type(im, x).rank;
    OpAttrs a = attrs_default(OP_upsample);
    if (rank == 4 && is_repetition(im, 2, r, &a.scales[0]) &&
        is_repetition(im, 3, r, &a.scales[1])) {
        if (a.scales[0] != 1 || a.scales[1] != 1)
            x = node_add(im, n, OP_upsample, 1, &x, &a);
        rank = 2;
    }
    for (int d = 0; x && d < rank; d++)
        x = resize_axis(im, n, x, d, r);
    return x;
}

/* ---- the rows --------------------------------------------------------------------------- */

ONNX_IMPORT(resize)
{
    Resize  r = {0};
    ValueId x = arg_value(im, n, 0, "X");
    int64_t axes[MAX_RANK];
    if (!x || !read_rule(im, n, &r))
        return false;
    Type t = node_type(im, x);
    int  count = attr_ints(im, n, "axes", axes, MAX_RANK);
    if (count < 0 || !node_axes(im, n, t.rank, count, axes))
        return false;
    for (int d = 0; d < t.rank; d++) {
        r.axes[d] = (Axis){.in = t.dims[d], .out = t.dims[d], .scale = 1, .end = 1};
        if (!attr_given(n, "axes"))
            axes[count++] = d;
    }
    if (!read_extents(im, n, count, axes, &r) || !read_region(im, n, count, axes, &r) ||
        !check_corners(im, n, t.rank, &r))
        return false;
    return node_result(im, n, 0, make_resize(im, n, x, &r));
}
