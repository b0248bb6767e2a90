/* conv_transpose.c - transposed convolution.
 *
 * As it is defined, each input is multiplied by the whole kernel and added to the output at
 * ih * stride + kh * dilation - pad. Seen from the output, row oh takes the taps for which
 * oh + pad - kh * dilation is a multiple of the stride. They depend on (oh + pad) % stride alone:
 *
 *     stride 2, kernel 4      even rows: taps 0 and 2      odd rows: taps 1 and 3
 *
 * So the rows of one phase are an ordinary convolution by every stride-th tap, backwards,
 * without stride; nothing is scattered. Small strides have a nest for each phase (and each pair
 * of phases of rows and columns); large ones a loop over phases, their taps filled up with zeros
 * to be equally many. */
#include "ops/ops.h"

#include <inttypes.h>

#define FEW_PHASES 4    /* strides up to this have a nest for each phase */
#define MOST_PARTS 1024 /* nests of one node */

const AttrSpec attrs_conv_transpose[] = {
    ATTR(strides, ATTR_INTS, .count = 2, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
    ATTR(padding, ATTR_INTS, .count = 4, .min = 0, .max = ATTR_MAX_INT),
    ATTR(dilations, ATTR_INTS, .count = 2, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
    ATTR(groups, ATTR_INT, .fallback = 1, .min = 1, .max = ATTR_MAX_INT),
    ATTR(output_padding, ATTR_INTS, .count = 2, .min = 0, .max = ATTR_MAX_INT),
};
ATTRS_END(conv_transpose);

/* ---- shape ------------------------------------------------------------------------------ */

static bool weight_fits(Graph *g, NodeId n, const Type *x, const Type *w)
{
    int64_t groups = node_get(g, n)->attrs.groups;
    if (w->rank != 4)
        return shape_error(g, n, "weight is %s, expected rank 4: [I, O/groups, KH, KW]",
                           type_text(g->arena, w));
    if (w->dims[0] != x->dims[1])
        return shape_error(g, n,
                           "weight is %s and the input %s: the weight's first dimension must be "
                           "%" PRId64 ", the input's channels",
                           type_text(g->arena, w), type_text(g->arena, x), x->dims[1]);
    if (x->dims[1] % groups != 0)
        return shape_error(g, n,
                           "the input's %" PRId64 " channels do not divide into %" PRId64 " groups",
                           x->dims[1], groups);
    return true;
}

/* The nests one axis makes, at most: see axis_parts. */
static int64_t count_parts(const OpAttrs *a, int i)
{
    return a->dilations[i] == 1 && a->strides[i] > FEW_PHASES ? 6 : a->strides[i];
}

/* (in - 1) * stride + (kernel - 1) * dilation + 1 + output_padding - padding */
static bool output_extent(Graph *g, NodeId n, int i, int64_t in, int64_t *out)
{
    const OpAttrs *a = &node_get(g, n)->attrs;
    const char    *axis = i ? "columns" : "rows";
    int64_t        steps, reach;
    if (!mul_ok(in - 1, a->strides[i], &steps) || steps > INT64_MAX / 4 ||
        !mul_ok(a->kernel[i] - 1, a->dilations[i], &reach) || reach > INT64_MAX / 4)
        return shape_error(g, n, "the output has more than 2^61 %s", axis);
    *out = steps + reach + 1 + a->output_padding[i] - a->padding[i] - a->padding[i + 2];
    if (*out < 1)
        return shape_error(g, n, "the padding leaves %" PRId64 " %s of the output", *out, axis);
    return true;
}

bool shape_conv_transpose(Graph *g, NodeId n)
{
    if (!shape_floats(g, n) || !shape_rank(g, n, 4))
        return false;
    Type     x = *shape_in(g, n, 0), w = *shape_in(g, n, 1);
    int64_t  out[2], parts;
    OpAttrs *a = &node_at(g, n)->attrs;
    if (!weight_fits(g, n, &x, &w))
        return false;
    if (w.dims[1] > INT64_MAX / a->groups)
        return shape_error(g, n, "the output has more than 2^63 channels");
    int64_t channels = w.dims[1] * a->groups;
    if (!shape_vector(g, n, 2, channels, "output channel"))
        return false;
    a->kernel[0] = w.dims[2];
    a->kernel[1] = w.dims[3];
    if (!mul_ok(count_parts(a, 0), count_parts(a, 1), &parts) || parts > MOST_PARTS)
        return shape_error(g, n,
                           "strides %" PRId64 "x%" PRId64 " with dilations %" PRId64 "x%" PRId64
                           ": strides above %d cannot be large with dilation",
                           a->strides[0], a->strides[1], a->dilations[0], a->dilations[1],
                           FEW_PHASES);
    return output_extent(g, n, 0, x.dims[2], &out[0]) &&
           output_extent(g, n, 1, x.dims[3], &out[1]) &&
           shape_set(g, n, F32, 4, (int64_t[]){x.dims[0], channels, out[0], out[1]});
}

/* ---- evaluator -------------------------------------------------------------------------- */

/* y += v * kernel, with its first tap at y[top, left]; what falls outside is dropped. */
static void add_kernel(const OpAttrs *a, double v, const double *kernel, int64_t top, int64_t left,
                       double *y, const int64_t out[2])
{
    for (int64_t kh = 0; kh < a->kernel[0]; kh++)
        for (int64_t kw = 0; kw < a->kernel[1]; kw++) {
            int64_t oh = top + kh * a->dilations[0], ow = left + kw * a->dilations[1];
            if (oh >= 0 && oh < out[0] && ow >= 0 && ow < out[1])
                y[oh * out[1] + ow] += v * kernel[kh * a->kernel[1] + kw];
        }
}

/* One plane of the output: image n, channel oc. */
static void transposed_plane(const OpAttrs *a, const Array *x, const Array *w, double bias,
                             int64_t n, int64_t oc, Array *out)
{
    const int64_t *xd = x->type.dims, *wd = w->type.dims, *yd = out->type.dims;
    int64_t        pixels = yd[2] * yd[3], icg = xd[1] / a->groups, first_ic = oc / wd[1] * icg;
    double        *y = out->data + (n * yd[1] + oc) * pixels;
    for (int64_t i = 0; i < pixels; i++)
        y[i] = bias;
    for (int64_t ic = first_ic; ic < first_ic + icg; ic++) {
        const double *plane = x->data + (n * xd[1] + ic) * xd[2] * xd[3];
        const double *kernel = w->data + (ic * wd[1] + oc % wd[1]) * wd[2] * wd[3];
        for (int64_t ih = 0; ih < xd[2]; ih++)
            for (int64_t iw = 0; iw < xd[3]; iw++)
                add_kernel(a, *plane++, kernel, ih * a->strides[0] - a->padding[0],
                           iw * a->strides[1] - a->padding[1], y, yd + 2);
    }
}

void eval_conv_transpose(const Node *n, const Array *const in[], Array *out)
{
    const Array *bias = n->n_own > 2 ? in[2] : NULL;
    for (int64_t image = 0; image < out->type.dims[0]; image++)
        for (int64_t oc = 0; oc < out->type.dims[1]; oc++)
            transposed_plane(&n->attrs, in[0], in[1], bias ? bias->data[oc] : 0, image, oc, out);
}

/* ---- one axis, cut into phases ---------------------------------------------------------- */

/* A part of an axis, and where its weights come from: entry e of the part is tap
 * first + ((taps - 1) - e / phases) * step + e % phases  of the kernel; past its end it is zero. */
typedef struct AxisPart {
    ConvAxis axis;
    int64_t  first, step;
} AxisPart;

/* The first tap that meets phase r, kh * dilation = r modulo stride; the kernel's size when none
 * does. */
static int64_t first_tap(int64_t kernel, int64_t dilation, int64_t stride, int64_t r)
{
    for (int64_t kh = 0; kh < kernel && kh < stride; kh++)
        if (kh * (dilation % stride) % stride == r)
            return kh;
    return kernel;
}

/* Phases [r, r + phases) of rows (or columns) q0 to q0 + count - 1: q * stride + phase - pad.
 * With several phases there is no dilation, and all of them have taps or none. */
static AxisPart phase_part(const OpAttrs *a, int i, int64_t r, int64_t phases, int64_t q0,
                           int64_t count)
{
    int64_t s = a->strides[i], d = a->dilations[i];
    int64_t common = greatest_divisor(d, s), step = s / common, d_in = d / common;
    int64_t first = first_tap(a->kernel[i], d, s, r);
    int64_t taps = first < a->kernel[i] ? (a->kernel[i] - 1 - first) / step + 1 : 0;
    return (AxisPart){.axis = {.count = count,
                               .phases = phases,
                               .taps = taps,
                               .stride = 1,
                               .dilation = d_in,
                               .offset = q0 + (r - first * d) / s - (taps - 1) * d_in,
                               .out_stride = s,
                               .out_offset = q0 * s + r - a->padding[i]},
                      .first = first,
                      .step = step};
}

/* The parts for phases [r0, r1) of an output of `out` rows: those of which all rows are there, and
 * what is left at both ends. Their number. */
static int run_parts(const OpAttrs *a, int i, int64_t out, int64_t r0, int64_t r1, AxisPart *parts)
{
    int64_t s = a->strides[i], top = a->padding[i], bottom = top + out;
    int64_t q0 = -floor_div(r0 - top, s), q1 = floor_div(bottom - r1, s) + 1; /* whole: [q0, q1) */
    int64_t at_ends[2] = {q0 - 1, q1 > q0 - 1 ? q1 : q0};
    int     n = 0;
    if (r0 == r1)
        return 0;
    if (q1 > q0)
        parts[n++] = phase_part(a, i, r0, r1 - r0, q0, q1 - q0);
    for (int e = 0; e < 2; e++) {
        int64_t q = at_ends[e], low = top - q * s, high = bottom - q * s;
        low = low > r0 ? low : r0;
        high = high < r1 ? high : r1;
        if (low < high)
            parts[n++] = phase_part(a, i, low, high - low, q, 1);
    }
    return n;
}

/* A few phases each by itself; of many, those with taps together and those without. Their
 * number. */
static int axis_parts(const OpAttrs *a, int i, int64_t in, int64_t out, AxisPart *parts)
{
    OpAttrs one = *a;
    int     n = 0;
    if (in == 1) /* what the stride would step over is not there */
        one.strides[i] = 1;
    int64_t s = one.strides[i], with_taps = s < a->kernel[i] ? s : a->kernel[i];
    if (one.dilations[i] == 1 && s > FEW_PHASES) {
        n = run_parts(&one, i, out, 0, with_taps, parts);
        return n + run_parts(&one, i, out, with_taps, s, parts + n);
    }
    for (int64_t r = 0; r < s; r++)
        n += run_parts(&one, i, out, r, r + 1, parts + n);
    return n;
}

/* ---- lowering --------------------------------------------------------------------------- */

/* The tap behind entry `e` of a part; -1: none. */
static int64_t part_tap(const AxisPart *p, int64_t e, int64_t kernel)
{
    int64_t tap = p->first + (p->axis.taps - 1 - e / p->axis.phases) * p->step + e % p->axis.phases;
    return tap < kernel ? tap : -1;
}

/* The weights of a part as those of a convolution: [I, O/groups, KH, KW] becomes [O, I/groups,
 * entries, entries]. */
static const Tensor *part_weight(Arena *a, const Tensor *w, int64_t groups, const AxisPart *rows,
                                 const AxisPart *columns)
{
    const int64_t *d = w->type.dims;
    int64_t        icg = d[0] / groups, ocg = d[1], at = 0;
    int64_t        kh = rows->axis.taps * rows->axis.phases,
            kw = columns->axis.taps * columns->axis.phases;
    Tensor *t = tensor_new(a, w->type.elem, 4, (int64_t[]){ocg * groups, icg, kh, kw});
    for (int64_t o = 0; o < ocg * groups; o++)
        for (int64_t i = 0; i < icg; i++) {
            int64_t plane = ((o / ocg * icg + i) * ocg + o % ocg) * d[2];
            for (int64_t h = 0; h < kh; h++)
                for (int64_t v = 0; v < kw; v++, at++) {
                    int64_t row = part_tap(rows, h, d[2]), column = part_tap(columns, v, d[3]);
                    if (row >= 0 && column >= 0)
                        tensor_set(t, at, tensor_get(w, (plane + row) * d[3] + column));
                }
        }
    return t;
}

void lower_conv_transpose(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *x = &value_get(g, n->in[0])->type, *y = &value_get(g, n->out)->type;
    const Tensor *w = value_get(g, n->in[1])->constant;
    AxisPart     *rows = arena_array(k->arena, AxisPart, (size_t)count_parts(&n->attrs, 0));
    AxisPart     *columns = arena_array(k->arena, AxisPart, (size_t)count_parts(&n->attrs, 1));
    int           n_rows = axis_parts(&n->attrs, 0, x->dims[2], y->dims[2], rows);
    int           n_columns = axis_parts(&n->attrs, 1, x->dims[3], y->dims[3], columns);
    k->macs = type_count(x) * w->type.dims[1] * w->type.dims[2] * w->type.dims[3];
    lower_zero_halo(g, k, n->out);
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_columns; j++) {
            const ConvAxis axis[2] = {rows[i].axis, columns[j].axis};
            const Tensor  *part = NULL;
            if (axis[0].taps && axis[1].taps)
                part = part_weight(k->arena, w, n->attrs.groups, &rows[i], &columns[j]);
            lower_conv_part(g, k, n, axis, part);
        }
}
