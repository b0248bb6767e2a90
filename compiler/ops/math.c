/* math.c - exp, log, tanh, erf as expressions of adds and multiplies: no libm, so the same bits on
 * every target. Arguments are clamped with x as the second operand of max and min, which keeps NaN.
 *
 * Coefficients are minimax fits over the stated intervals (Lawson's algorithm in double precision);
 * tests/unit/ops_math_test.c measures the errors. */
#include "ops/ops.h"

#include <float.h>
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

/* Of x + low, x clamped already so that n is not below `least`; low is small, or NULL. */
static ExpParts exp_parts(Kernel *k, const Expr *x, const Expr *low, double least)
{
    /* (expm1(f) - f) / f^2, within 0.23 * 2^-24 / f */
    static const double r[] = {0.500000006, 0.16666543, 0.0416662821, 0.00836657852, 0.00139464414};
    const Expr         *n = ex_unary(k, U_ROUND, mul(k, x, number(k, M_LOG2E)));
    n = ex_binary(k, B_MAX, n, number(k, least)); /* an integer for NaN, too */
    const Expr *f = ex_binary(k, B_SUB, x, mul(k, n, number(k, LN2_HIGH)));
    f = ex_binary(k, B_SUB, f, mul(k, n, number(k, LN2_LOW)));
    if (low)
        f = add(k, f, low);
    const Expr *square = mul(k, f, f);
    return (ExpParts){n, add(k, mul(k, square, polynomial(k, r, 5, f)), f)};
}

/* What exp gives at the lower clamp is taken off, so that below it the result is 0 and not 2^-126.
 */
const Expr *math_exp(Kernel *k, const Expr *x)
{
    ExpParts    p = exp_parts(k, clamp(k, EXP_LOW, EXP_HIGH, x), NULL, -126);
    const Expr *y = ex_binary(k, B_LDEXP, add(k, p.q, number(k, 1)), p.n);
    return ex_binary(k, B_MAX, number(k, 0), ex_binary(k, B_SUB, y, number(k, 1.19e-38)));
}

/* 2^n * q + (2^n - 1): near 0 n is 0 and nothing cancels. */
const Expr *math_expm1(Kernel *k, const Expr *x)
{
    ExpParts    p = exp_parts(k, clamp(k, EXP_LOW, EXP_HIGH, x), NULL, -126);
    const Expr *scale = ex_binary(k, B_LDEXP, number(k, 1), p.n);
    return add(k, mul(k, scale, p.q), ex_binary(k, B_SUB, scale, number(k, 1)));
}

/* exp(x + low), low of at most 1/4 or NULL. 2^n is two factors: the first keeps the product normal, the
 * second takes it to infinity, to a denormal or to 0. */
static const Expr *exp_of_sum(Kernel *k, const Expr *x, const Expr *low)
{
    ExpParts    p = exp_parts(k, clamp(k, -105, 89, x), low, -152);
    const Expr *half = ex_unary(k, U_FLOOR, mul(k, p.n, number(k, 0.5)));
    const Expr *y = ex_binary(k, B_LDEXP, add(k, p.q, number(k, 1)), half);
    return ex_binary(k, B_LDEXP, y, ex_binary(k, B_SUB, p.n, half));
}

const Expr *math_exp_all(Kernel *k, const Expr *x)
{
    return exp_of_sum(k, x, NULL);
}

/* ---- log -------------------------------------------------------------------------------- */

/* (log(m) - 2 s) / s^3 in s^2, where s = (m - 1) / (m + 1), for m in [sqrt(1/2), sqrt(2)) */
static const double log_tail[] = {0.666666656, 0.400003409, 0.285369194, 0.235899895};

/* x = 2^e * m with m in [sqrt(1/2), sqrt(2)). */
typedef struct LogParts {
    const Expr *e, *m;
} LogParts;

/* For normal x below 2^126; other numbers give finite parts, NaN a NaN. */
static LogParts log_parts(Kernel *k, const Expr *x)
{
    const Expr *e = ex_unary(k, U_EXPONENT, mul(k, x, number(k, M_SQRT2)));
    e = ex_binary(k, B_MAX, e, number(k, -126)); /* in the range of ldexp for any x, NaN included */
    e = ex_binary(k, B_MIN, e, number(k, 126));
    return (LogParts){e, ex_binary(k, B_LDEXP, x, ex_unary(k, U_NEG, e))};
}

/* log(m) = 2 s + s^3 * p(s^2) */
static const Expr *log_of_parts(Kernel *k, LogParts p)
{
    const Expr *r = ex_binary(k, B_SUB, p.m, number(k, 1));
    const Expr *s = ex_binary(k, B_DIV, r, add(k, r, number(k, 2)));
    const Expr *square = mul(k, s, s);
    const Expr *tail = mul(k, mul(k, s, square), polynomial(k, log_tail, 4, square));
    const Expr *low = add(k, tail, mul(k, p.e, number(k, LN2_LOW)));
    return add(k, add(k, low, add(k, s, s)), mul(k, p.e, number(k, LN2_HIGH)));
}

const Expr *math_log(Kernel *k, const Expr *x)
{
    return log_of_parts(k, log_parts(k, x));
}

/* The relative error grows with |exponent * log(x)|, about 1e-7 for each unit. */
const Expr *math_pow(Kernel *k, const Expr *x, double exponent)
{
    return math_exp(k, mul(k, number(k, exponent), math_log(k, x)));
}

/* A number from 0 to infinity, made fit for log_parts. */
typedef struct Lifted {
    LogParts    parts;
    const Expr *is_zero, *is_infinite; /* 1 or 0 */
} Lifted;

/* Times 2^64 below 2^-110, which makes denormals normal; else times 1/4, which leaves room above. */
static Lifted lift(Kernel *k, const Expr *x)
{
    const Expr *scaled = mul(k, x, number(k, 0x1p110));
    scaled = ex_binary(k, B_MAX, scaled, number(k, 0)); /* 0 for NaN, too */
    const Expr *is_large = ex_unary(k, U_FLOOR, ex_binary(k, B_MIN, scaled, number(k, 1)));
    const Expr *by = ex_binary(k, B_SUB, number(k, 64), mul(k, is_large, number(k, 66)));
    const Expr *lifted = ex_binary(k, B_MIN, number(k, 0x1p126), ex_binary(k, B_LDEXP, x, by));
    LogParts    p = log_parts(k, lifted);
    p.e = ex_binary(k, B_SUB, p.e, by);
    const Expr *not_zero = ex_binary(k, B_MIN, number(k, 1), mul(k, lifted, number(k, 0x1p112)));
    const Expr *past = ex_binary(k, B_SUB, x, number(k, FLT_MAX));
    return (Lifted){p, ex_binary(k, B_SUB, number(k, 1), not_zero), clamp(k, 0, 1, past)};
}

/* Infinite summands come as products that are 0 elsewhere. */
const Expr *math_log_all(Kernel *k, const Expr *x)
{
    Lifted      l = lift(k, x);
    const Expr *nan_below = ex_unary(k, U_SQRT, ex_binary(k, B_MIN, number(k, 0), x));
    const Expr *ends = ex_binary(k, B_SUB, l.is_infinite, l.is_zero);
    ends = mul(k, mul(k, ends, number(k, 0x1p127)), number(k, 2));
    return add(k, add(k, log_of_parts(k, l.parts), nan_below), ends);
}

/* ---- pow -------------------------------------------------------------------------------- */

/* The upper 11 bits of v. By scaling and rounding to an integer: sums that cancel would be undone
 * by a compiler that fuses them with a product. */
static const Expr *upper_bits(Kernel *k, const Expr *v)
{
    const Expr *e = ex_unary(k, U_EXPONENT, ex_unary(k, U_ABS, v));
    e = ex_binary(k, B_MAX, e, number(k, -100)); /* NaN becomes a number, too */
    e = ex_binary(k, B_MIN, e, number(k, 100));
    const Expr *up = ex_binary(k, B_SUB, number(k, 10), e);
    const Expr *bits = ex_unary(k, U_ROUND, ex_binary(k, B_LDEXP, v, up));
    return ex_binary(k, B_LDEXP, bits, ex_unary(k, U_NEG, up));
}

/* A number as a sum: few bits, so that products of two such are exact, and the rest. */
typedef struct Split {
    const Expr *high, *low;
} Split;

/* log(m) with some 35 bits: s = (m - 1) / (m + 1) is divided out in two steps, the second of which
 * takes up the exact remainder of the first. */
static Split log_of_m(Kernel *k, const Expr *m)
{
    const Expr *r = ex_binary(k, B_SUB, m, number(k, 1)), *d = add(k, r, number(k, 2));
    const Expr *s = upper_bits(k, ex_binary(k, B_DIV, r, d));
    const Expr *d_high = upper_bits(k, d);
    const Expr *d_low = ex_binary(k, B_SUB, r, ex_binary(k, B_SUB, d_high, number(k, 2)));
    const Expr *rest = ex_binary(k, B_SUB, r, mul(k, s, d_high));
    rest = ex_binary(k, B_SUB, rest, mul(k, s, d_low));
    const Expr *s_low = ex_binary(k, B_DIV, rest, d);
    const Expr *both = add(k, s, s_low), *square = mul(k, both, both);
    const Expr *tail = mul(k, mul(k, both, square), polynomial(k, log_tail, 4, square));
    return (Split){add(k, s, s), add(k, tail, add(k, s_low, s_low))};
}

/* log of the lifted number, with bounds far outside exp's range for 0 and infinity. */
static Split log_split(Kernel *k, const Lifted *l)
{
    Split       m = log_of_m(k, l->parts.m);
    const Expr *whole = mul(k, l->parts.e, number(k, LN2_HIGH)); /* exact; 0 or the larger one */
    const Expr *sum = add(k, whole, m.high);
    const Expr *lost = ex_binary(k, B_SUB, m.high, ex_binary(k, B_SUB, sum, whole));
    const Expr *low = add(k, lost, add(k, m.low, mul(k, l->parts.e, number(k, LN2_LOW))));
    const Expr *ends = ex_binary(k, B_SUB, l->is_infinite, l->is_zero);
    sum = add(k, sum, mul(k, ends, number(k, 0x1p80)));
    const Expr *high = upper_bits(k, add(k, sum, low));
    return (Split){high, add(k, ex_binary(k, B_SUB, sum, high), low)};
}

/* What |x|^y is to be multiplied by: -1 for negative x and odd y, NaN for negative x and a y that is
 * no integer, else 1. */
static const Expr *sign_of_power(Kernel *k, const Expr *x, const Expr *y)
{
    const Expr *below = mul(k, mul(k, x, number(k, -0x1p100)), number(k, 0x1p100));
    below = ex_binary(k, B_MIN, ex_binary(k, B_MAX, below, number(k, 0)), number(k, 1));
    const Expr *half = ex_unary(k, U_FLOOR, mul(k, y, number(k, 0.5)));
    const Expr *odd = ex_binary(k, B_SUB, y, add(k, half, half));
    const Expr *part = ex_binary(k, B_SUB, y, ex_unary(k, U_FLOOR, y));
    const Expr *minus = mul(k, mul(k, below, odd), number(k, 2));
    const Expr *none = ex_unary(k, U_SQRT, ex_unary(k, U_NEG, mul(k, below, part)));
    return add(k, ex_binary(k, B_SUB, number(k, 1), minus), none);
}

/* exp(y * log|x|), the product as a sum of an exact part and a small one. */
const Expr *math_power(Kernel *k, const Expr *x, const Expr *y)
{
    Lifted      l = lift(k, ex_unary(k, U_ABS, x));
    Split       log = log_split(k, &l);
    const Expr *z = clamp(k, -0x1p40, 0x1p40, y); /* beyond, everything but 1 overflows */
    const Expr *y_high = upper_bits(k, z), *y_low = ex_binary(k, B_SUB, z, y_high);
    const Expr *low = add(k, mul(k, z, log.low), mul(k, y_low, log.high));
    const Expr *size = exp_of_sum(k, mul(k, y_high, log.high), clamp(k, -0.25, 0.25, low));
    return mul(k, size, sign_of_power(k, x, z));
}

/* ---- softplus --------------------------------------------------------------------------- */

/* log(1 + exp(x)) = max(0, x) + log(1 + u) with u = exp(-|x|); with s = u / (u + 2), at most 1/3,
 * log(1 + u) = 2 s + s^3 * p(s^2), so a small u is not lost beside the 1. */
const Expr *math_softplus(Kernel *k, const Expr *x)
{
    static const double p[] = {0.66666676, 0.39998878, 0.28616885, 0.21427658, 0.24300934};
    const Expr         *u = math_exp_all(k, ex_unary(k, U_NEG, ex_unary(k, U_ABS, x)));
    const Expr         *s = ex_binary(k, B_DIV, u, add(k, u, number(k, 2)));
    const Expr         *square = mul(k, s, s);
    const Expr         *tail = mul(k, mul(k, s, square), polynomial(k, p, 5, square));
    return add(k, ex_binary(k, B_MAX, number(k, 0), x), add(k, tail, add(k, s, s)));
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
