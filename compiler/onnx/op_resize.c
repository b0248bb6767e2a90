/* op_resize.c - Resize and Upsample by the nearest pixel: along each axis, a table that says which entry of
 * the input each entry of the result is. */
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

typedef struct Resize {
    Nearest     nearest;
    Coordinates coordinates;
    Axis        axes[MAX_RANK];
} Resize;

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

static bool read_mode(Importer *im, OnnxNode *n)
{
    const char *mode = attr_string(im, n, "mode", "nearest");
    const char *policy = attr_string(im, n, "keep_aspect_ratio_policy", "stretch");
    if (!mode || !policy)
        return false;
    if (strcmp(mode, "nearest") != 0)
        return node_error(im, n, "mode '%s' is not supported; expected 'nearest'",
                          text_printable(im->arena, mode));
    if (strcmp(policy, "stretch") != 0)
        return node_error(im, n,
                          "keep_aspect_ratio_policy '%s' is not supported; expected 'stretch'",
                          text_printable(im->arena, policy));
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
    if (!read_mode(im, n) || coordinates < 0 || nearest < 0)
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
    double out = floor((double)a->in * scale);
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
    double numbers[MAX_RANK];
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

/* The region of interest: all starts, then all ends. */
static bool read_region(Importer *im, OnnxNode *n, int count, const int64_t *axes, Resize *r)
{
    double region[2 * MAX_RANK];
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

/* The table of one axis; NULL: reported. */
static const int64_t *make_table(Importer *im, OnnxNode *n, int axis, const Resize *r)
{
    const Axis *a = &r->axes[axis];
    bool        is_crop = r->coordinates == TF_CROP_AND_RESIZE;
    Nearest     rule = im->opset == 10 && a->scale < 1 ? CEIL : r->nearest;
    int64_t    *table = arena_array(im->arena, int64_t, (size_t)a->out);
    for (int64_t i = 0; i < a->out; i++) {
        double at = source_of(r->coordinates, a, i), last = (double)(a->in - 1);
        if (isnan(at) || (is_crop && (at < 0 || at > last))) {
            node_error(im, n, "the region of interest leaves axis %d, which is not supported",
                       axis);
            return NULL;
        }
        double nearest = nearest_to(rule, at);
        table[i] = (int64_t)(nearest < 0 ? 0 : nearest > last ? last : nearest);
    }
    return table;
}

/* Whether entry i of the result is entry i / factor of the input. */
static bool is_repetition(const Axis *a, const int64_t *table, int64_t *factor)
{
    *factor = a->out / a->in;
    if (a->out % a->in != 0)
        return false;
    for (int64_t i = 0; i < a->out; i++)
        if (table[i] != i / *factor)
            return false;
    return true;
}

/* Rows and columns that are repeated a whole number of times are an upsample. */
static ValueId make_resize(Importer *im, OnnxNode *n, ValueId x, const Resize *r)
{
    int            rank = node_type(im, x).rank;
    const int64_t *tables[MAX_RANK];
    OpAttrs        a = attrs_default(OP_upsample);
    for (int d = 0; d < rank; d++)
        if (!(tables[d] = make_table(im, n, d, r)))
            return 0;
    if (rank == 4 && is_repetition(&r->axes[2], tables[2], &a.scales[0]) &&
        is_repetition(&r->axes[3], tables[3], &a.scales[1])) {
        if (a.scales[0] != 1 || a.scales[1] != 1)
            x = node_add(im, n, OP_upsample, 1, &x, &a);
        rank = 2;
    }
    for (int d = 0; d < rank; d++)
        x = make_gather(im, n, x, d, r->axes[d].out, tables[d]);
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
    if (!read_extents(im, n, count, axes, &r) || !read_region(im, n, count, axes, &r))
        return false;
    return node_result(im, n, 0, make_resize(im, n, x, &r));
}
