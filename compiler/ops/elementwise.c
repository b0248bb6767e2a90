/* elementwise.c - the scalar functions of elementwise ops, twice: in double for the evaluator, and
 * as expressions for lowerings and epilogues. Comparisons stand so that NaN stays NaN. */
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>

/* ---- in double -------------------------------------------------------------------------- */

static double at_least(double low, double x)
{
    return low > x ? low : x;
}

static double at_most(double high, double x)
{
    return high < x ? high : x;
}

static double eval_gelu_of(const OpAttrs *a, double x)
{
    if (a->tanh_form)
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    return 0.5 * x * erfc(-x / M_SQRT2);
}

double eval_elementwise(Op op, const OpAttrs *attrs, double a, double b)
{
    switch (op) {
    case OP_relu: return at_least(0, a);
    case OP_relu6: return at_most(6, at_least(0, a));
    case OP_sigmoid: return 1 / (1 + exp(-a));
    case OP_tanh: return tanh(a);
    case OP_hard_swish: return a * at_most(1, at_least(0, a / 6 + 0.5));
    case OP_silu: return a / (1 + exp(-a));
    case OP_leaky_relu: return a < 0 ? attrs->alpha * a : a;
    case OP_elu: return a < 0 ? attrs->alpha * expm1(a) : a;
    case OP_hard_sigmoid: return at_most(1, at_least(0, attrs->alpha * a + attrs->beta));
    case OP_gelu: return eval_gelu_of(attrs, a);
    case OP_clip: return at_most(attrs->max, at_least(attrs->min, a));
    case OP_exp: return exp(a);
    case OP_log: return log(a);
    case OP_sqrt: return sqrt(a);
    case OP_abs: return fabs(a);
    case OP_neg: return -a;
    case OP_erf: return erf(a);
    case OP_softplus: return at_least(0, a) + log1p(exp(-fabs(a)));
    case OP_softsign: return a / (1 + fabs(a));
    case OP_floor: return floor(a);
    case OP_ceil: return ceil(a);
    case OP_round: return nearbyint(a);
    case OP_prelu: return a < 0 ? b * a : a;
    case OP_add: return a + b;
    case OP_sub: return a - b;
    case OP_mul: return a * b;
    case OP_div: return a / b;
    case OP_max: return at_least(b, a);
    case OP_min: return at_most(b, a);
    case OP_pow: return pow(a, b);
    case OP_identity:
    case OP_dropout: return a;
    default: return NAN; /* not elementwise */
    }
}

/* ---- as expressions --------------------------------------------------------------------- */

static const Expr *low_end(Kernel *k, double low, const Expr *x)
{
    return ex_binary(k, B_MAX, ex_const(k, low), x);
}

static const Expr *high_end(Kernel *k, double high, const Expr *x)
{
    return ex_binary(k, B_MIN, ex_const(k, high), x);
}

static const Expr *times(Kernel *k, double c, const Expr *x)
{
    return ex_binary(k, B_MUL, ex_const(k, c), x);
}

/* scale * x + offset, kept within [0, 1] */
static const Expr *ramp(Kernel *k, double scale, double offset, const Expr *x)
{
    const Expr *line = ex_binary(k, B_ADD, times(k, scale, x), ex_const(k, offset));
    return high_end(k, 1, low_end(k, 0, line));
}

/* x < 0 ? slope * x : x, whatever the slope: one of the two terms is zero. */
static const Expr *two_slopes(Kernel *k, const Expr *slope, const Expr *x)
{
    const Expr *below = ex_binary(k, B_MUL, slope, high_end(k, 0, x));
    return ex_binary(k, B_ADD, low_end(k, 0, x), below);
}

static const Expr *leaky(Kernel *k, double alpha, const Expr *x)
{
    if (alpha > 0 && alpha <= 1)
        return ex_binary(k, B_MAX, times(k, alpha, x), x);
    return two_slopes(k, ex_const(k, alpha), x);
}

static const Expr *elu(Kernel *k, double alpha, const Expr *x)
{
    const Expr *below = times(k, alpha, math_expm1(k, high_end(k, 0, x)));
    return ex_binary(k, B_ADD, low_end(k, 0, x), below);
}

/* x * sigmoid(x). Far below zero the product is as good as 0, though x alone may be huge. */
static const Expr *silu(Kernel *k, const Expr *x)
{
    const Expr *z = low_end(k, -88, x);
    return ex_binary(k, B_MUL, z, math_sigmoid(k, z));
}

/* The tanh form is x * sigmoid(2u): no cancellation where tanh(u) is near -1. */
static const Expr *gelu(Kernel *k, bool tanh_form, const Expr *x)
{
    const Expr *z = low_end(k, tanh_form ? -12 : -6, x); /* below, gelu is 0 to f32's precision */
    if (!tanh_form) {
        const Expr *erf_z = math_erf(k, times(k, M_SQRT1_2, z));
        return ex_binary(k, B_MUL, times(k, 0.5, z), ex_binary(k, B_ADD, ex_const(k, 1), erf_z));
    }
    const Expr *square = ex_binary(k, B_MUL, z, z);
    const Expr *factor = ex_binary(k, B_ADD, ex_const(k, 1), times(k, 0.044715, square));
    const Expr *u2 = times(k, 2 * sqrt(2 / M_PI), ex_binary(k, B_MUL, z, factor));
    return ex_binary(k, B_MUL, z, math_sigmoid(k, u2));
}

static const Expr *clip(Kernel *k, const OpAttrs *attrs, const Expr *x)
{
    if (attrs->min > -INFINITY)
        x = low_end(k, attrs->min, x);
    return attrs->max < INFINITY ? high_end(k, attrs->max, x) : x;
}

static const Expr *softsign(Kernel *k, const Expr *x)
{
    const Expr *size = ex_binary(k, B_ADD, ex_const(k, 1), ex_unary(k, U_ABS, x));
    return ex_binary(k, B_DIV, x, size);
}

/* is_number - whether `e` is the same number for every element. */
static bool is_number(const Kernel *k, const Expr *e, double *out)
{
    const Buffer *b = e->kind == E_LOAD ? &k->buffers[e->buffer] : NULL;
    if (e->kind == E_CONST)
        *out = e->number;
    else if (b && b->kind == BUF_CONST && type_count(&b->view.tensor->type) == 1)
        *out = tensor_get(b->view.tensor, 0);
    else
        return false;
    return true;
}

/* x^(twice / 2) by multiplications and a square root. */
static const Expr *half_power(Kernel *k, const Expr *x, int twice)
{
    const Expr *y = twice % 2 ? ex_unary(k, U_SQRT, x) : ex_const(k, 1), *square = x;
    for (int n = abs(twice) / 2; n; n /= 2) {
        if (n % 2)
            y = ex_binary(k, B_MUL, y, square);
        square = ex_binary(k, B_MUL, square, square);
    }
    return twice < 0 ? ex_binary(k, B_DIV, ex_const(k, 1), y) : y;
}

static const Expr *power(Kernel *k, const Expr *x, const Expr *y)
{
    enum { MOST = 8 };
    double exponent;
    if (!is_number(k, y, &exponent))
        return math_power(k, x, y);
    if (fabs(exponent) <= MOST && 2 * exponent == rint(2 * exponent))
        return half_power(k, x, (int)(2 * exponent));
    return math_power(k, x, ex_const(k, exponent));
}

const Expr *lower_elementwise(Kernel *k, Op op, const OpAttrs *attrs, const Expr *a, const Expr *b)
{
    switch (op) {
    case OP_relu: return low_end(k, 0, a);
    case OP_relu6: return high_end(k, 6, low_end(k, 0, a));
    case OP_sigmoid: return math_sigmoid(k, a);
    case OP_tanh: return math_tanh(k, a);
    case OP_hard_swish: return ex_binary(k, B_MUL, a, ramp(k, 1.0 / 6, 0.5, a));
    case OP_silu: return silu(k, a);
    case OP_leaky_relu: return leaky(k, attrs->alpha, a);
    case OP_elu: return elu(k, attrs->alpha, a);
    case OP_hard_sigmoid: return ramp(k, attrs->alpha, attrs->beta, a);
    case OP_gelu: return gelu(k, attrs->tanh_form, a);
    case OP_clip: return clip(k, attrs, a);
    case OP_exp: return math_exp_all(k, a);
    case OP_log: return math_log_all(k, a);
    case OP_sqrt: return ex_unary(k, U_SQRT, a);
    case OP_abs: return ex_unary(k, U_ABS, a);
    case OP_neg: return ex_unary(k, U_NEG, a);
    case OP_erf: return math_erf(k, a);
    case OP_softplus: return math_softplus(k, a);
    case OP_softsign: return softsign(k, a);
    case OP_floor: return ex_unary(k, U_FLOOR, a);
    case OP_ceil: return ex_unary(k, U_NEG, ex_unary(k, U_FLOOR, ex_unary(k, U_NEG, a)));
    case OP_round: return ex_unary(k, U_ROUND, a);
    case OP_prelu: return two_slopes(k, b, a);
    case OP_add: return ex_binary(k, B_ADD, a, b);
    case OP_sub: return ex_binary(k, B_SUB, a, b);
    case OP_mul: return ex_binary(k, B_MUL, a, b);
    case OP_div: return ex_binary(k, B_DIV, a, b);
    case OP_max: return ex_binary(k, B_MAX, b, a);
    case OP_min: return ex_binary(k, B_MIN, b, a);
    case OP_pow: return power(k, a, b);
    default: return a; /* identity, dropout */
    }
}
