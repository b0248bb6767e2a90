/* math.c - exp, log, tanh, erf as expressions of adds and multiplies: no libm, so the same bits on
 * every target. Arguments are clamped with x as the second operand of max and min, which keeps NaN.
 *
 * Coefficients are minimax fits over the stated intervals (Lawson's algorithm in double precision);
 * tests/unit/ops_math_test.c measures the errors. */
#include "ops/ops.h"

#include <math.h>

static const Expr *number(Kernel *k, double v)
{
    return ex_const(k, v);
}

static const Expr *add(Kernel *k, const Expr *a, const Expr *b)
{
    return ex_binary(k, B_ADD, a, b);
}

static const Expr *mul(Kernel *k, const Expr *a, const Expr *b)
{
    return ex_binary(k, B_MUL, a, b);
}

static const Expr *clamp(Kernel *k, double low, double high, const Expr *x)
{
    x = ex_binary(k, B_MAX, number(k, low), x);
    return ex_binary(k, B_MIN, number(k, high), x);
}

/* Horner: c[0] + x * (c[1] + x * (...)) */
static const Expr *polynomial(Kernel *k, const double *c, int n, const Expr *x)
{
    const Expr *p = number(k, c[n - 1]);
    for (int i = n - 2; i >= 0; i--)
        p = add(k, mul(k, p, x), number(k, c[i]));
    return p;
}

/* ---- exp -------------------------------------------------------------------------------- */

/* exp(x) = 2^n * (1 + q) with n an integer and q = expm1(f), |f| <= ln(2) / 2. */
typedef struct ExpParts {
    const Expr *n, *q;
} ExpParts;

#define EXP_LOW  (-87.33) /* exp of it is just above 2^-126, the smallest normal number */
#define EXP_HIGH 88.3     /* n is 127 */

/* ln(2) as a sum whose first part times n is exact */
#define LN2_HIGH 0.693359375
#define LN2_LOW  (-2.12194440e-4)

static ExpParts exp_parts(Kernel *k, const Expr *x)
{
    /* (expm1(f) - f) / f^2, within 0.23 * 2^-24 / f */
    static const double r[] = {0.500000006, 0.16666543, 0.0416662821, 0.00836657852, 0.00139464414};
    x = clamp(k, EXP_LOW, EXP_HIGH, x);
    const Expr *n = ex_unary(k, U_ROUND, mul(k, x, number(k, M_LOG2E)));
    n = ex_binary(k, B_MAX, n, number(k, -126)); /* an integer for NaN, too */
    const Expr *f = ex_binary(k, B_SUB, x, mul(k, n, number(k, LN2_HIGH)));
    f = ex_binary(k, B_SUB, f, mul(k, n, number(k, LN2_LOW)));
    const Expr *square = mul(k, f, f);
    return (ExpParts){n, add(k, mul(k, square, polynomial(k, r, 5, f)), f)};
}

/* What exp gives at the lower clamp is taken off, so that below it the result is 0 and not 2^-126.
 */
const Expr *math_exp(Kernel *k, const Expr *x)
{
    ExpParts    p = exp_parts(k, x);
    const Expr *y = ex_binary(k, B_LDEXP, add(k, p.q, number(k, 1)), p.n);
    return ex_binary(k, B_MAX, number(k, 0), ex_binary(k, B_SUB, y, number(k, 1.19e-38)));
}

/* 2^n * q + (2^n - 1): near 0 n is 0 and nothing cancels. */
const Expr *math_expm1(Kernel *k, const Expr *x)
{
    ExpParts    p = exp_parts(k, x);
    const Expr *scale = ex_binary(k, B_LDEXP, number(k, 1), p.n);
    return add(k, mul(k, scale, p.q), ex_binary(k, B_SUB, scale, number(k, 1)));
}

/* ---- log, pow --------------------------------------------------------------------------- */

/* x = 2^e * m with m in [sqrt(1/2), sqrt(2)); with s = (m - 1) / (m + 1)
 *
 *     log(m) = 2 s + s^3 * p(s^2)
 *
 * For normal x below 2^126. */
const Expr *math_log(Kernel *k, const Expr *x)
{
    static const double p[] = {0.666666656, 0.400003409, 0.285369194, 0.235899895};
    const Expr         *e = ex_unary(k, U_EXPONENT, mul(k, x, number(k, M_SQRT2)));
    e = ex_binary(k, B_MAX, e, number(k, -126)); /* in the range of ldexp for any x, NaN included */
    e = ex_binary(k, B_MIN, e, number(k, 126));
    const Expr *m = ex_binary(k, B_LDEXP, x, ex_unary(k, U_NEG, e));
    const Expr *r = ex_binary(k, B_SUB, m, number(k, 1));
    const Expr *s = ex_binary(k, B_DIV, r, add(k, r, number(k, 2)));
    const Expr *square = mul(k, s, s);
    const Expr *tail = mul(k, mul(k, s, square), polynomial(k, p, 4, square));
    const Expr *low = add(k, tail, mul(k, e, number(k, LN2_LOW)));
    return add(k, add(k, low, add(k, s, s)), mul(k, e, number(k, LN2_HIGH)));
}

/* The relative error grows with |exponent * log(x)|, about 1e-7 for each unit. */
const Expr *math_pow(Kernel *k, const Expr *x, double exponent)
{
    return math_exp(k, mul(k, number(k, exponent), math_log(k, x)));
}

/* ---- tanh, sigmoid ---------------------------------------------------------------------- */

/* tanh(x) = t / (t + 2) with t = exp(2 x) - 1; beyond 10 it is 1 in f32. */
const Expr *math_tanh(Kernel *k, const Expr *x)
{
    const Expr *z = clamp(k, -10, 10, x);
    const Expr *t = math_expm1(k, add(k, z, z));
    return ex_binary(k, B_DIV, t, add(k, t, number(k, 2)));
}

const Expr *math_sigmoid(Kernel *k, const Expr *x)
{
    const Expr *e = math_exp(k, ex_unary(k, U_NEG, x));
    return ex_binary(k, B_DIV, number(k, 1), add(k, e, number(k, 1)));
}

/* ---- erf -------------------------------------------------------------------------------- */

/* For x >= 0: erf(x) = 1 - exp(-x * g(x)), g a polynomial on [0, 4]; beyond 4 it is 1 in f32.
 * Errors of g vanish where erf nears 1, and expm1 keeps the relative error small near 0. The sign
 * comes back as a factor that is exactly 1 or -1 unless x is tiny beyond measure. */
const Expr *math_erf(Kernel *k, const Expr *x)
{
    static const double g[] = {1.12837917,      0.636619371,     0.10277791,
                               -0.0191533259,   -0.000159951095, 0.00166661123,
                               -0.000632621297, 0.000117583624,  -9.25008011e-06};
    const Expr         *z = ex_binary(k, B_MIN, number(k, 4), ex_unary(k, U_ABS, x));
    const Expr         *power = mul(k, ex_unary(k, U_NEG, z), polynomial(k, g, 9, z));
    const Expr         *minus_sign = clamp(k, -1, 1, mul(k, x, number(k, -0x1p100)));
    return mul(k, minus_sign, math_expm1(k, power));
}
