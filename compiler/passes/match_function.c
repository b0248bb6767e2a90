/* match_function.c - values as functions of others: a number, a * t + b, a polynomial. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <math.h>

bool match_number(const Graph *g, ValueId v, double *out)
{
    const Tensor *t = v ? value_get(g, v)->constant : NULL;
    if (!t || type_count(&t->type) != 1 || !elem_is_float(t->type.elem))
        return false;
    *out = tensor_get(t, 0);
    return isfinite(*out);
}

const Node *match_maker(const Graph *g, ValueId v)
{
    NodeId n = v ? value_get(g, v)->producer : 0;
    return n && !node_get(g, n)->epilogue.n_steps ? node_get(g, n) : NULL;
}

const Node *match_own_maker(const Graph *g, ValueId v)
{
    return v && graph_only_user(g, v) ? match_maker(g, v) : NULL;
}

bool match_affine_step(const Graph *g, const Node *n, ValueId *inner, double *a, double *b)
{
    double c;
    *a = 1;
    *b = 0;
    *inner = n->in[0];
    if (n->op == OP_neg) {
        *a = -1;
        return true;
    }
    if (n->op != OP_add && n->op != OP_sub && n->op != OP_mul && n->op != OP_div)
        return false;
    bool swapped = n->op != OP_div && match_number(g, n->in[0], &c);
    if (!swapped && !match_number(g, n->in[1], &c))
        return false;
    *inner = n->in[swapped];
    switch (n->op) {
    case OP_mul: *a = c; break;
    case OP_div: *a = 1 / c; break;
    case OP_add: *b = c; break;
    default: /* t - c or c - t */
        *a = swapped ? -1 : 1;
        *b = swapped ? c : -c;
        break;
    }
    return isfinite(*a);
}

MatchScaled match_scaled(const Graph *g, ValueId v)
{
    enum { MOST = 6 };
    MatchScaled s = {v, 1, 0};
    ValueId     inner;
    double      a, b;
    for (int i = 0; i < MOST; i++) {
        const Node *n = match_own_maker(g, s.t);
        if (!n || !match_affine_step(g, n, &inner, &a, &b))
            break;
        s.b += s.a * b;
        s.a *= a;
        s.t = inner;
    }
    return s;
}

enum { DEGREE = (int)COUNT_OF(((Polynomial *)0)->c) - 1 };

/* Of two others than *out. */
static bool poly_product(const Polynomial *p, const Polynomial *q, Polynomial *out)
{
    *out = (Polynomial){{0}};
    for (int i = 0; i <= DEGREE; i++)
        for (int j = 0; j <= DEGREE; j++) {
            double c = p->c[i] * q->c[j];
            if (c != 0 && i + j > DEGREE)
                return false;
            if (c != 0)
                out->c[i + j] += c;
        }
    return true;
}

static bool poly_power(const Polynomial *p, double exponent, Polynomial *out)
{
    *out = *p;
    for (int i = 1; i < exponent; i++) {
        Polynomial so_far = *out;
        if (!poly_product(&so_far, p, out))
            return false;
    }
    return exponent == 2 || exponent == 3;
}

static bool poly_quotient(const Polynomial *p, const Polynomial *q, Polynomial *out)
{
    if (q->c[0] == 0 || q->c[1] != 0 || q->c[2] != 0 || q->c[3] != 0)
        return false;
    return poly_product(p, &(Polynomial){{1 / q->c[0]}}, out);
}

bool match_polynomial(const Graph *g, ValueId v, ValueId x, int depth, Polynomial *out)
{
    const Node *n = match_maker(g, v);
    Polynomial  a, b = {{-1}};
    double      exponent;
    *out = (Polynomial){{0}};
    if (v == x)
        out->c[1] = 1;
    if (v == x || match_number(g, v, &out->c[0]))
        return true;
    if (!n || depth == 0 || !(op_info(n->op)->flags & (OPF_UNARY | OPF_BINARY)) ||
        !match_polynomial(g, n->in[0], x, depth - 1, &a) ||
        (n->n_own == 2 && !match_polynomial(g, n->in[1], x, depth - 1, &b)))
        return false;
    switch (n->op) {
    case OP_neg:
    case OP_mul: return poly_product(&a, &b, out);
    case OP_div: return poly_quotient(&a, &b, out);
    case OP_pow: return match_number(g, n->in[1], &exponent) && poly_power(&a, exponent, out);
    case OP_add:
    case OP_sub:
        for (int i = 0; i <= DEGREE; i++)
            out->c[i] = n->op == OP_add ? a.c[i] + b.c[i] : a.c[i] - b.c[i];
        return true;
    default: return false;
    }
}
