/* ops_math_test - how far the expressions of math.c are from the functions they stand for, over
 * dense samples, and what they do with infinities, huge arguments and NaN. */
#include "check.h"

#include "ops/ops.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define N_SAMPLES 40001

static float x[N_SAMPLES], y[N_SAMPLES];

typedef const Expr *(*Build)(Kernel *k, const Expr *x);

/* run - y[i] = the expression at x[i], for the first n samples, through the interpreter. */
static void run(Build build, int64_t n)
{
    Arena   *a = arena_new();
    Kernel  *k = kernel_new(a, "math", NULL, FP_STRICT);
    BufferId in = kernel_buffer(k, "x", F32, BUF_IN, n, 0);
    BufferId out = kernel_buffer(k, "y", F32, BUF_OUT, n, 0);
    LoopId   i = kernel_loop_if(k, "i", n, PARALLEL, AXIS_LANE);
    TempId   t = kernel_temp(k, "t", vtype(F32, 1));
    Stmt    *body = st_block(k);
    st_add(k, body, st_let(k, t, ex_load(k, in, affine_loop(i))));
    st_add(k, body, st_store(k, out, affine_loop(i), ASSIGN, build(k, ex_temp(k, t))));
    st_add(k, k->body, st_for(k, i, body));
    Text why = text_new(a);
    if (!CHECK(kernel_verify(k, &why)))
        printf("%s", why.data);
    void *memory[] = {NULL, x, y};
    kernel_interp(k, memory, a);
    arena_free(a);
}

typedef struct Errors {
    double absolute, relative; /* largest over the samples; relative in units of 2^-24 */
} Errors;

/* measure - against `exact`, at evenly spaced points of [low, high]. */
static Errors measure(Build build, double (*exact)(double), double low, double high)
{
    Errors e = {0, 0};
    for (int i = 0; i < N_SAMPLES; i++)
        x[i] = (float)(low + (high - low) * i / (N_SAMPLES - 1));
    run(build, N_SAMPLES);
    for (int i = 0; i < N_SAMPLES; i++) {
        double want = exact((double)x[i]), error = fabs((double)y[i] - want);
        e.absolute = fmax(e.absolute, error);
        if (fabs(want) >= FLT_MIN)
            e.relative = fmax(e.relative, error / fabs(want) * 0x1p24);
        if (!isfinite(y[i]) || isnan(want))
            e.absolute = e.relative = INFINITY;
    }
    return e;
}

/* within - report what was measured where it is past the bounds. */
static bool within(const char *name, Errors e, double absolute, double relative)
{
    bool ok = e.absolute <= absolute && e.relative <= relative;
    if (!ok || getenv("VERBOSE"))
        printf("%-10s absolute %.3g, relative %.3g * 2^-24\n", name, e.absolute, e.relative);
    return ok;
}

static float at(Build build, float v)
{
    x[0] = v;
    run(build, 1);
    return y[0];
}

/* ---- exp and what is made of it ---------------------------------------------------------- */

static double exact_sigmoid(double v)
{
    return 1 / (1 + exp(-v));
}

static void test_exp(void)
{
    CHECK(within("exp", measure(math_exp, exp, -69, 88), INFINITY, 3));
    CHECK(within("exp", measure(math_exp, exp, -89, -69), 1e-37, INFINITY));
    CHECK(within("exp", measure(math_exp, exp, -1, 1), 1, 3));
    CHECK(at(math_exp, 0) == 1);
    CHECK(at(math_exp, -87.4f) == 0);
    CHECK(at(math_exp, -1e30f) == 0);
    CHECK(at(math_exp, -INFINITY) == 0);
    CHECK(at(math_exp, 1e30f) > 1e38f);
    CHECK(isnan(at(math_exp, NAN)));
}

static void test_exp_all(void)
{
    CHECK(within("exp_all", measure(math_exp_all, exp, -87, 88.7), INFINITY, 3));
    CHECK(within("exp_all", measure(math_exp_all, exp, -104, -87), 2e-45, INFINITY));
    CHECK(at(math_exp_all, 0) == 1);
    CHECK(at(math_exp_all, 88.73f) == INFINITY);
    CHECK(at(math_exp_all, INFINITY) == INFINITY);
    CHECK(at(math_exp_all, -104) == 0);
    CHECK(at(math_exp_all, -INFINITY) == 0);
    CHECK(isnan(at(math_exp_all, NAN)));
}

static void test_expm1(void)
{
    CHECK(within("expm1", measure(math_expm1, expm1, -80, 88), INFINITY, 4));
    CHECK(within("expm1", measure(math_expm1, expm1, -2, 2), 1, 4));
    CHECK(within("expm1", measure(math_expm1, expm1, -1e-3, 1e-3), 1, 3));
    CHECK(at(math_expm1, 0) == 0);
    CHECK(at(math_expm1, -1e30f) == -1);
    CHECK(isnan(at(math_expm1, NAN)));
}

static void test_sigmoid(void)
{
    CHECK(within("sigmoid", measure(math_sigmoid, exact_sigmoid, -80, 80), 1.2e-7, 5));
    CHECK(at(math_sigmoid, 0) == 0.5f);
    CHECK(at(math_sigmoid, 100) == 1);
    CHECK(at(math_sigmoid, INFINITY) == 1);
    CHECK(at(math_sigmoid, -INFINITY) < 1e-37f);
    CHECK(isnan(at(math_sigmoid, NAN)));
}

static void test_tanh(void)
{
    CHECK(within("tanh", measure(math_tanh, tanh, -12, 12), 2e-7, 6));
    CHECK(within("tanh", measure(math_tanh, tanh, -1e-3, 1e-3), 1, 6));
    CHECK(at(math_tanh, 50) == 1);
    CHECK(at(math_tanh, -50) == -1);
    CHECK(at(math_tanh, INFINITY) == 1);
    CHECK(isnan(at(math_tanh, NAN)));
}

/* ---- log, pow, erf ----------------------------------------------------------------------- */

static const Expr *power(Kernel *k, const Expr *v)
{
    return math_pow(k, v, -0.75);
}

static double exact_power(double v)
{
    return pow(v, -0.75);
}

static void test_log(void)
{
    CHECK(within("log", measure(math_log, log, 1e-3, 10), 1e-6, 4));
    CHECK(within("log", measure(math_log, log, 1, 1.01), 1, 4));
    CHECK(within("log", measure(math_log, log, 1, 1e6), 2e-6, 4));
    CHECK(fabsf(at(math_log, FLT_MIN) + 87.33654f) < 1e-5f);
    CHECK(at(math_log, 1) == 0);
    CHECK(isnan(at(math_log, NAN)));
    CHECK(within("pow", measure(power, exact_power, 1, 1000), 1, 20));
    CHECK(at(power, 1) == 1);
    CHECK(isnan(at(power, NAN)));
}

static void test_log_all(void)
{
    CHECK(within("log_all", measure(math_log_all, log, 1e-3, 10), 1e-6, 4));
    CHECK(within("log_all", measure(math_log_all, log, 0x1p-149, 0x1p-126), 1e-5, 4));
    CHECK(within("log_all", measure(math_log_all, log, 0x1p-112, 0x1p-108), 1e-5, 4));
    CHECK(within("log_all", measure(math_log_all, log, 1, 3.4e38), 1e-5, 4));
    CHECK(at(math_log_all, 1) == 0);
    CHECK(at(math_log_all, 0) == -INFINITY);
    CHECK(at(math_log_all, -0.0f) == -INFINITY);
    CHECK(at(math_log_all, INFINITY) == INFINITY);
    CHECK(isnan(at(math_log_all, -1e-45f)));
    CHECK(isnan(at(math_log_all, -1)));
    CHECK(isnan(at(math_log_all, -INFINITY)));
    CHECK(isnan(at(math_log_all, NAN)));
}

static double exact_softplus(double v)
{
    return fmax(0, v) + log1p(exp(-fabs(v)));
}

static double exponent;

static const Expr *power_of(Kernel *k, const Expr *v)
{
    return math_power(k, v, ex_const(k, exponent));
}

static double exact_power_of(double v)
{
    return pow(v, (double)(float)exponent);
}

static void test_power(void)
{
    static const double exponents[] = {0,    1,     2,   -1,       0.5,   -0.5, 1.0 / 3, 3,
                                       2.75, -7.25, 100, 0x1p-100, -1e10, 1e38, 0.45,    -1};
    for (size_t i = 0; i < COUNT_OF(exponents); i++) {
        exponent = exponents[i];
        double reach = fmin(exp(87 / fabs(exponent)), 3e38); /* where the result is normal */
        CHECK(within("power", measure(power_of, exact_power_of, 1 / reach, reach), INFINITY, 4));
        CHECK(within("power", measure(power_of, exact_power_of, 0.9999, 1.0001), INFINITY,
                     fabs(exponent) < 1e5 ? 4 : INFINITY));
        CHECK(at(power_of, 1) == 1);
        CHECK(at(power_of, 0) == powf(0, (float)exponent) || fabs(exponent) < 1e-20);
        CHECK(at(power_of, INFINITY) == powf(INFINITY, (float)exponent) || fabs(exponent) < 1e-20);
        float below = at(power_of, -1), want = powf(-1, (float)exponent);
        CHECK(below == want || (isnan(below) && isnan(want)));
        CHECK(isnan(at(power_of, NAN)));
    }
    exponent = INFINITY;
    CHECK(at(power_of, 2) == INFINITY && at(power_of, 0.5f) == 0);
    exponent = NAN;
    CHECK(isnan(at(power_of, 2)));
    exponent = 3;
    CHECK(within("cube", measure(power_of, exact_power_of, -100, 0), INFINITY, 4));
    CHECK(within("cube", measure(power_of, exact_power_of, 0, 1e-12), 1e-43, 4));
}

/* Exponents that are multiples of 1/2 take multiplications alone. */
static void test_half_powers(void)
{
    static const double exact[] = {0.25, 0, 6.25, 39.0625, 2.5, 0.4};
    static const double exponents[] = {-1, 0, 2, 4, 1, -0.5};
    static const float  bases[] = {4, 0, 2.5f, 2.5f, 2.5f, 6.25f};
    for (size_t i = 0; i < COUNT_OF(exact); i++) {
        Arena      *a = arena_new();
        Kernel     *k = kernel_new(a, "math", NULL, FP_STRICT);
        const Expr *by = ex_const(k, exponents[i]);
        const Expr *e = lower_elementwise(k, OP_pow, NULL, ex_const(k, (double)bases[i]), by);
        CHECK(e->kind == E_CONST && (float)e->number == (float)(i == 1 ? 1 : exact[i]));
        arena_free(a);
    }
}

static void test_softplus(void)
{
    CHECK(within("softplus", measure(math_softplus, exact_softplus, -87, 87), 1e-5, 6));
    CHECK(within("softplus", measure(math_softplus, exact_softplus, -2, 2), 1, 6));
    CHECK(at(math_softplus, -INFINITY) == 0);
    CHECK(at(math_softplus, 1e30f) == 1e30f);
    CHECK(at(math_softplus, INFINITY) == INFINITY);
    CHECK(isnan(at(math_softplus, NAN)));
}

static void test_erf(void)
{
    CHECK(within("erf", measure(math_erf, erf, -5, 5), 1.5e-7, 6));
    CHECK(within("erf", measure(math_erf, erf, -1e-3, 1e-3), 1, 5));
    CHECK(at(math_erf, 0) == 0);
    CHECK(at(math_erf, 1e20f) == 1);
    CHECK(at(math_erf, -1e20f) == -1);
    CHECK(at(math_erf, -INFINITY) == -1);
    CHECK(isnan(at(math_erf, NAN)));
}

/* ---- the scalar functions of elementwise ops against their double twins -------------------- */

static Op      the_op;
static OpAttrs the_attrs;

static const Expr *build_op(Kernel *k, const Expr *v)
{
    return lower_elementwise(k, the_op, &the_attrs, v, ex_const(k, -0.25));
}

static double exact_op(double v)
{
    return eval_elementwise(the_op, &the_attrs, v, -0.25);
}

static bool is_elementwise(Op op)
{
    return op_info(op)->flags & (OPF_UNARY | OPF_BINARY) || op == OP_prelu;
}

static void test_elementwise(void)
{
    for (int op = OP_NONE + 1; op < N_OPS; op++)
        for (int form = 0; is_elementwise((Op)op) && form < 3; form++) {
            static const double alphas[] = {0.01, 1.5, -0.5};
            the_op = (Op)op;
            the_attrs = (OpAttrs){.alpha = alphas[form],
                                  .beta = 0.5,
                                  .tanh_form = form == 1,
                                  .min = form == 1 ? -INFINITY : -0.5,
                                  .max = form == 2 ? INFINITY : 2};
            const char *name = op_info(the_op)->name;
            bool        by_size = op == OP_exp || op == OP_pow;
            bool        above_0 = op == OP_log || op == OP_sqrt || op == OP_pow;
            CHECK(within(name, measure(build_op, exact_op, above_0 ? 1e-3 : -10, 10),
                         by_size ? INFINITY : 2e-6, by_size ? 4 : INFINITY));
            CHECK(within(name, measure(build_op, exact_op, above_0 ? 0.5 : -1, 1), 3e-7, INFINITY));
            CHECK(isnan(at(build_op, NAN)));
        }
}

/* Where x alone would drown the vanishing factor. */
static void test_far_out(void)
{
    static const Op ops[] = {OP_silu, OP_gelu, OP_hard_swish};
    for (size_t i = 0; i < COUNT_OF(ops); i++)
        for (int form = 0; form < 2; form++) {
            the_op = ops[i];
            the_attrs = (OpAttrs){.tanh_form = form == 1};
            CHECK(fabsf(at(build_op, -100)) < 1e-6f);
            CHECK(fabsf(at(build_op, -1e30f)) < 1e-6f);
            CHECK(at(build_op, 100) == 100);
            CHECK(at(build_op, 1e30f) == 1e30f);
        }
}

int main(void)
{
    test_exp();
    test_exp_all();
    test_expm1();
    test_sigmoid();
    test_tanh();
    test_log();
    test_log_all();
    test_power();
    test_half_powers();
    test_softplus();
    test_erf();
    test_elementwise();
    test_far_out();
    return check_end();
}
