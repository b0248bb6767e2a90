/* conv.c - conv2d and linear: attributes, shapes, evaluators. Their loops are in conv_lower.c. */
#include "ops/ops.h"

#include <inttypes.h>

/* ---- conv2d ----------------------------------------------------------------------------- */

const AttrSpec attrs_conv2d[] = {
    ATTR(strides, ATTR_INTS, .count = 2, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
    ATTR(padding, ATTR_PADDING, .count = 4, .min = 0, .max = ATTR_MAX_INT),
    ATTR(dilations, ATTR_INTS, .count = 2, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
    ATTR(groups, ATTR_INT, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
};
ATTRS_END(conv2d);

/* Whether x [N, I, H, W] and weight [O, I / groups, KH, KW] fit each other. */
static bool conv_weight_fits(Graph *g, NodeId n, const Type *x, const Type *w)
{
    int64_t groups = node_get(g, n)->attrs.groups;
    if (w->rank != 4)
        return shape_error(g, n, "weight is %s, expected rank 4: [O, I/groups, KH, KW]",
                           type_text(g->arena, w));
    if (x->dims[1] % groups != 0)
        return shape_error(g, n,
                           "the input's %" PRId64 " channels do not divide into %" PRId64 " groups",
                           x->dims[1], groups);
    if (w->dims[0] % groups != 0)
        return shape_error(
            g, n, "the weight's %" PRId64 " output channels do not divide into %" PRId64 " groups",
            w->dims[0], groups);
    if (w->dims[1] != x->dims[1] / groups)
        return shape_error(g, n,
                           "weight is %s and the input %s: with %" PRId64
                           " group%s the weight's second dimension must be %" PRId64,
                           type_text(g->arena, w), type_text(g->arena, x), groups,
                           groups == 1 ? "" : "s", x->dims[1] / groups);
    return true;
}

bool shape_conv2d(Graph *g, NodeId n)
{
    if (!shape_floats(g, n) || !shape_rank(g, n, 4))
        return false;
    Type    x = *shape_in(g, n, 0), w = *shape_in(g, n, 1);
    int64_t out[2];
    if (!conv_weight_fits(g, n, &x, &w) || !shape_vector(g, n, 2, w.dims[0], "output channel"))
        return false;
    OpAttrs *a = &node_at(g, n)->attrs;
    a->kernel[0] = w.dims[2];
    a->kernel[1] = w.dims[3];
    if (!shape_window(g, n, &x.dims[2], false, out))
        return false;
    return shape_set(g, n, F32, 4, (int64_t[]){x.dims[0], w.dims[0], out[0], out[1]});
}

/* The outputs o in [first, last) for which 0 <= o * stride + offset < extent, of `count`. */
static void valid_outputs(int64_t count, int64_t stride, int64_t offset, int64_t extent,
                          int64_t *first, int64_t *last)
{
    *first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    *last = extent > offset ? (extent - offset - 1) / stride + 1 : 0;
    *last = *last < count ? *last : count;
}

/* y += weight * x over one output plane, for one tap of the kernel that reads x at
 * [oh * stride + off_h, ow * stride + off_w]. */
static void add_tap(const OpAttrs *a, double weight, const double *x, const int64_t in[2],
                    int64_t off_h, int64_t off_w, double *y, const int64_t out[2])
{
    int64_t oh0, oh1, ow0, ow1;
    valid_outputs(out[0], a->strides[0], off_h, in[0], &oh0, &oh1);
    valid_outputs(out[1], a->strides[1], off_w, in[1], &ow0, &ow1);
    for (int64_t oh = oh0; oh < oh1; oh++) {
        const double *row = x + (oh * a->strides[0] + off_h) * in[1];
        for (int64_t ow = ow0; ow < ow1; ow++)
            y[oh * out[1] + ow] += weight * row[ow * a->strides[1] + off_w];
    }
}

/* One plane of the output: image n, channel oc. */
static void conv_plane(const OpAttrs *a, const Array *x, const Array *w, double bias, int64_t n,
                       int64_t oc, Array *out)
{
    const int64_t *xd = x->type.dims, *wd = w->type.dims, *yd = out->type.dims;
    int64_t        pixels = yd[2] * yd[3], first_ic = oc / (wd[0] / a->groups) * wd[1];
    double        *y = out->data + (n * yd[1] + oc) * pixels;
    for (int64_t i = 0; i < pixels; i++)
        y[i] = bias;
    const double *weight = w->data + oc * wd[1] * wd[2] * wd[3];
    for (int64_t ic = 0; ic < wd[1]; ic++) {
        const double *plane = x->data + (n * xd[1] + first_ic + ic) * xd[2] * xd[3];
        for (int64_t kh = 0; kh < wd[2]; kh++)
            for (int64_t kw = 0; kw < wd[3]; kw++)
                add_tap(a, *weight++, plane, xd + 2, kh * a->dilations[0] - a->padding[0],
                        kw * a->dilations[1] - a->padding[1], y, yd + 2);
    }
}

void eval_conv2d(const Node *n, const Array *const in[], Array *out)
{
    const Array *bias = n->n_own > 2 ? in[2] : NULL;
    for (int64_t image = 0; image < out->type.dims[0]; image++)
        for (int64_t oc = 0; oc < out->type.dims[1]; oc++)
            conv_plane(&n->attrs, in[0], in[1], bias ? bias->data[oc] : 0, image, oc, out);
}

/* ---- linear ----------------------------------------------------------------------------- */

NO_ATTRS(linear);

/* x is [N, I], or [N, ...] read as [N, product of the rest] where a flatten was folded away. */
bool shape_linear(Graph *g, NodeId n)
{
    if (!shape_floats(g, n))
        return false;
    Type x = *shape_in(g, n, 0), w = *shape_in(g, n, 1);
    if (w.rank != 2)
        return shape_error(g, n, "weight is %s, expected rank 2: [O, I]", type_text(g->arena, &w));
    if (x.rank != 2 && x.rank != 4)
        return shape_error(g, n, "input is %s, expected [N, %" PRId64 "]", type_text(g->arena, &x),
                           w.dims[1]);
    if (type_count(&x) / x.dims[0] != w.dims[1])
        return shape_error(g, n, "weight is %s and the input %s: expected [N, %" PRId64 "]",
                           type_text(g->arena, &w), type_text(g->arena, &x), w.dims[1]);
    return shape_vector(g, n, 2, w.dims[0], "output") &&
           shape_set(g, n, F32, 2, (int64_t[]){x.dims[0], w.dims[0]});
}

void eval_linear(const Node *n, const Array *const in[], Array *out)
{
    const Array *bias = n->n_own > 2 ? in[2] : NULL;
    int64_t      outputs = out->type.dims[1], inputs = in[1]->type.dims[1];
    for (int64_t i = 0; i < out->type.dims[0]; i++) {
        const double *x = in[0]->data + i * inputs;
        for (int64_t o = 0; o < outputs; o++) {
            const double *w = in[1]->data + o * inputs;
            double        sum = bias ? bias->data[o] : 0;
            for (int64_t j = 0; j < inputs; j++)
                sum += x[j] * w[j];
            out->data[i * outputs + o] = sum;
        }
    }
}
