/* norm.c - batch_norm and lrn. */
#include "ops/ops.h"

#include <float.h>
#include <math.h>

/* ---- batch_norm ------------------------------------------------------------------------- */

const AttrSpec attrs_batch_norm[] = {
    ATTR(epsilon, ATTR_FLOAT, .fallback = 1e-5, .min = 0, .max = FLT_MAX),
};
ATTRS_END(batch_norm);

bool shape_batch_norm(Graph *g, NodeId n)
{
    const Type *x = shape_in(g, n, 0);
    if (x->rank < 2)
        return shape_error(g, n, "input is %s, expected at least rank 2: [N, C, ...]",
                           type_text(g->arena, x));
    for (int i = 1; i <= 4; i++)
        if (!shape_vector(g, n, i, x->dims[1], "channel"))
            return false;
    return shape_floats(g, n) && shape_copy(g, n);
}

void eval_batch_norm(const Node *n, const Array *const in[], Array *out)
{
    int64_t outer, channels, inner;
    axis_spans(&out->type, 1, &outer, &channels, &inner);
    for (int64_t i = 0; i < outer * channels * inner; i++) {
        int64_t c = i / inner % channels;
        double  deviation = sqrt(in[4]->data[c] + n->attrs.epsilon);
        out->data[i] =
            (in[0]->data[i] - in[3]->data[c]) / deviation * in[1]->data[c] + in[2]->data[c];
    }
}

/* y = x * factor[c] + offset[c]: the square roots are taken at compile time. */
void lower_batch_norm(Graph *g, NodeId id, Kernel *k)
{
    const Node   *n = node_get(g, id);
    const Type   *y = &value_get(g, n->out)->type;
    const Tensor *p[5] = {0};
    for (int i = 1; i <= 4; i++)
        p[i] = value_get(g, n->in[i])->constant;
    Tensor *factor = tensor_new(k->arena, F32, 1, &y->dims[1]);
    Tensor *offset = tensor_new(k->arena, F32, 1, &y->dims[1]);
    for (int64_t c = 0; c < y->dims[1]; c++) {
        double f = tensor_get(p[1], c) / sqrt(tensor_get(p[4], c) + n->attrs.epsilon);
        tensor_set(factor, c, f);
        tensor_set(offset, c, tensor_get(p[2], c) - tensor_get(p[3], c) * f);
    }
    Element     e = element_loops(g, k, n->out);
    const Expr *x = element_load(g, k, n->in[0], y, &e);
    const Expr *scaled = ex_binary(k, B_MUL, x, element_vector(k, "factor", factor, y, 1, &e));
    const Expr *sum = ex_binary(k, B_ADD, scaled, element_vector(k, "offset", offset, y, 1, &e));
    element_store(g, k, n, &e, sum);
}

/* ---- lrn -------------------------------------------------------------------------------- */

const AttrSpec attrs_lrn[] = {
    ATTR(size, ATTR_INT, .required = true, .min = 1, .max = ATTR_MAX_INT),
    ATTR(alpha, ATTR_FLOAT, .fallback = 1e-4, .min = -FLT_MAX, .max = FLT_MAX),
    ATTR(beta, ATTR_FLOAT, .fallback = 0.75, .min = -FLT_MAX, .max = FLT_MAX),
    ATTR(bias, ATTR_FLOAT, .fallback = 1, .min = -FLT_MAX, .max = FLT_MAX),
};
ATTRS_END(lrn);

bool shape_lrn(Graph *g, NodeId n)
{
    return shape_floats(g, n) && shape_rank(g, n, 4) && shape_copy(g, n);
}

/* The channels summed for channel c are [c - before, c - before + size), as ONNX has it. */
static int64_t lrn_before(const OpAttrs *a)
{
    return (a->size - 1) / 2;
}

void eval_lrn(const Node *n, const Array *const in[], Array *out)
{
    const OpAttrs *a = &n->attrs;
    int64_t        outer, channels, inner;
    axis_spans(&out->type, 1, &outer, &channels, &inner);
    for (int64_t i = 0; i < outer * channels * inner; i++) {
        int64_t c = i / inner % channels, first = c - lrn_before(a), last = first + a->size;
        double  sum = 0;
        for (int64_t j = first > 0 ? first : 0; j < last && j < channels; j++) {
            double x = in[0]->data[i + (j - c) * inner];
            sum += x * x;
        }
        double base = a->bias + a->alpha / (double)a->size * sum;
        out->data[i] = in[0]->data[i] * pow(base, -a->beta);
    }
}

/* for n, c, h, w
 *     sum = 0
 *     for j in the window: sum += x[n, c + j - before, h, w] ^ 2
 *     y = x * (bias + alpha / size * sum) ^ -beta                  */
void lower_lrn(Graph *g, NodeId id, Kernel *k)
{
    const Node    *n = node_get(g, id);
    const OpAttrs *a = &n->attrs;
    const Type    *x = &value_get(g, n->in[0])->type;
    int64_t        channels = x->dims[1], before = lrn_before(a), after = a->size - 1 - before;
    At             at;
    LoopId         loops[5];
    lower_loops(g, k, n->out, &at, loops);
    /* No window reaches further than all channels. */
    before = before < channels ? before : channels - 1;
    after = after < channels ? after : channels - 1;
    LoopId j = kernel_loop_if(k, "j", before + after + 1, REDUCE, AXIS_NONE);
    At     other = at;
    other.cb = affine_offset(affine_add(at.cb, affine_loop(j)), -before);
    TempId      sum = kernel_temp(k, "sum", vtype(F32, 1));
    const Expr *v = lower_load(g, k, n->in[0], x, &other);
    Stmt       *add = st_set(k, sum, ASSIGN_ADD, ex_binary(k, B_MUL, v, v));
    const Expr *scaled =
        ex_binary(k, B_MUL, ex_const(k, a->alpha / (double)a->size), ex_temp(k, sum));
    const Expr *base = ex_binary(k, B_ADD, ex_const(k, a->bias), scaled);
    const Expr *y =
        ex_binary(k, B_MUL, lower_load(g, k, n->in[0], x, &at), math_pow(k, base, -a->beta));
    Stmt *body = st_block(k);
    st_add(k, body, st_set(k, sum, ASSIGN, ex_const(k, 0)));
    st_add(k, body, st_for(k, j, st_guard(k, &(Test){other.cb, channels}, 1, add)));
    st_add(k, body, lower_store(g, k, n->out, &at, lower_epilogue(g, k, n, y, &at)));
    st_add(k, k->body, lower_nest(k, loops, 5, body));
}
