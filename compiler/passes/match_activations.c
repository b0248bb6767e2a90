/* match_activations.c - activations that come in pieces get their name. */
#include "passes/passes.h"
#include "ops/ops.h"

#include <math.h>

/* Exporters round their constants to single precision. */
static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fmax(fabs(b), b == 0);
}

static bool is_poly(const Graph *g, ValueId v, ValueId x, double c0, double c1, double c3)
{
    enum { DEEPEST = 6 };
    Polynomial p;
    return match_polynomial(g, v, x, DEEPEST, &p) && is_near(p.c[0], c0) && is_near(p.c[1], c1) &&
           is_near(p.c[2], 0) && is_near(p.c[3], c3);
}

/* ---- what a node could be ----------------------------------------------------------------- */

typedef struct Match {
    Op      op; /* OP_NONE: no match */
    ValueId x;
    OpAttrs attrs;
} Match;

/* min(max(x, low), high) */
static bool is_clip(const Node *n, double *low, double *high)
{
    *low = 0;
    *high = n->op == OP_relu6 ? 6 : INFINITY;
    if (n->op == OP_clip) {
        *low = n->attrs.min;
        *high = n->attrs.max;
    }
    return n->op == OP_relu || n->op == OP_relu6 || n->op == OP_clip;
}

/* A product: a number times at most two values. */
typedef struct Factors {
    double  number;
    int     n;
    ValueId value[2];
} Factors;

/* Takes apart what nobody else reads, a product once; false where there are more than two
 * values. */
static bool add_factor(const Graph *g, ValueId v, bool may_be_product, Factors *f)
{
    MatchScaled s = match_scaled(g, v);
    if (s.b == 0) {
        f->number *= s.a;
        v = s.t;
    }
    const Node *n = match_own_maker(g, v);
    if (may_be_product && n && n->op == OP_mul)
        return add_factor(g, n->in[0], false, f) && add_factor(g, n->in[1], false, f);
    if (f->n == 2)
        return false;
    f->value[f->n++] = v;
    return true;
}

static bool factors_of(const Graph *g, const Node *n, Factors *f)
{
    ValueId inner;
    double  a, b;
    *f = (Factors){.number = 1};
    if (match_affine_step(g, n, &inner, &a, &b)) {
        f->number = a;
        return b == 0 && add_factor(g, inner, true, f);
    }
    return n->op == OP_mul && add_factor(g, n->in[0], false, f) &&
           add_factor(g, n->in[1], false, f);
}

/* number * clip(alpha / number * x + beta / number, 0, 1 / number): whether `n` is such a clip. */
static bool is_ramp(const Graph *g, const Node *n, double number, ValueId x, double *alpha,
                    double *beta)
{
    enum { DEEPEST = 4 };
    Polynomial p;
    double     low, high;
    if (!is_clip(n, &low, &high) || low != 0 || !is_near(number * high, 1) ||
        !match_polynomial(g, n->in[0], x, DEEPEST, &p) || p.c[2] != 0 || p.c[3] != 0)
        return false;
    *alpha = is_near(number * p.c[1], 1.0 / 6) ? 1.0 / 6 : number * p.c[1];
    *beta = number * p.c[0];
    return number > 0;
}

/* What number * x * gate is, gate being a function of x. */
static Match match_gated(const Graph *g, double number, ValueId x, ValueId gate)
{
    const double cubic = sqrt(2 / M_PI);
    Match        none = {0}, m = {.x = x};
    MatchScaled  s = match_scaled(g, gate);
    const Node  *n = match_own_maker(g, s.t);
    double       alpha, beta;
    number *= s.a;
    if (!n || !n->n_own)
        return none;
    if (n->op == OP_erf || n->op == OP_tanh) { /* a * f + a */
        m.op = OP_gelu;
        m.attrs.tanh_form = n->op == OP_tanh;
        bool fits = m.attrs.tanh_form ? is_poly(g, n->in[0], x, 0, cubic, 0.044715 * cubic)
                                      : is_poly(g, n->in[0], x, 0, M_SQRT1_2, 0);
        return fits && is_near(s.b, s.a) && is_near(number, 0.5) ? m : none;
    }
    if (s.b != 0)
        return none;
    m.op = n->op == OP_sigmoid ? OP_silu : OP_hard_swish;
    if (n->op == OP_sigmoid)
        return n->in[0] == x && is_near(number, 1) ? m : none;
    if (n->op == OP_hard_sigmoid && n->in[0] == x && is_near(number, 1)) {
        alpha = n->attrs.alpha;
        beta = n->attrs.beta;
    } else if (!is_ramp(g, n, number, x, &alpha, &beta)) {
        return none;
    }
    return is_near(alpha, 1.0 / 6) && is_near(beta, 0.5) ? m : none;
}

/* number * clip(a * x + b, 0, 1 / number) */
static Match match_ramp(const Graph *g, double number, const Node *n)
{
    Match m = {.op = OP_hard_sigmoid};
    if (!n || n->n_own != 1)
        return (Match){0};
    m.x = match_scaled(g, n->in[0]).t;
    bool is_hard = m.x != n->in[0] && is_ramp(g, n, number, m.x, &m.attrs.alpha, &m.attrs.beta);
    return is_hard ? m : (Match){0};
}

/* The larger or smaller of a value and a number. */
static Match match_limit(const Graph *g, const Node *n)
{
    double limit;
    if ((n->op != OP_max && n->op != OP_min) || !match_number(g, n->in[1], &limit))
        return (Match){0};
    Match m = {.op = OP_clip, .x = n->in[0], .attrs = {.min = -INFINITY, .max = INFINITY}};
    *(n->op == OP_max ? &m.attrs.min : &m.attrs.max) = limit;
    return m;
}

/* Two limits one behind the other are one, where neither is beyond the other's reach. */
static Match match_clips(const Graph *g, const Node *n)
{
    double      low, high, low_before, high_before;
    const Node *before = match_own_maker(g, n->in[0]);
    if (!is_clip(n, &low, &high) || !before || !is_clip(before, &low_before, &high_before) ||
        low > high_before || low_before > high)
        return (Match){0};
    return (Match){.op = OP_clip,
                   .x = before->in[0],
                   .attrs = {.min = fmax(low, low_before), .max = fmin(high, high_before)}};
}

static Match match_node(const Graph *g, const Node *n)
{
    Match   m = match_limit(g, n);
    Factors f;
    if (m.op == OP_NONE)
        m = match_clips(g, n);
    if (m.op == OP_NONE)
        m = match_ramp(g, 1, n);
    if (m.op != OP_NONE || !factors_of(g, n, &f) || !f.n)
        return m;
    if (f.n == 1)
        return match_ramp(g, f.number, match_own_maker(g, f.value[0]));
    m = match_gated(g, f.number, f.value[0], f.value[1]);
    return m.op != OP_NONE ? m : match_gated(g, f.number, f.value[1], f.value[0]);
}

/* ---- rewriting ---------------------------------------------------------------------------- */

/* Clips between 0 and 6, or 0 and infinity, have names. */
static void name_clip(Match *m)
{
    if (m->op != OP_clip || m->attrs.min != 0 || (m->attrs.max != 6 && m->attrs.max < INFINITY))
        return;
    m->op = m->attrs.max == 6 ? OP_relu6 : OP_relu;
    m->attrs = (OpAttrs){0};
}

/* The node that takes the place of `n`. */
static NodeId rewrite(Graph *g, NodeId n, const Match *m)
{
    Node        old = *node_get(g, n);
    const char *name = value_get(g, old.out)->name;
    NodeId  by = graph_add(g, m->op, graph_fresh_name(g, name), old.where, 1, &m->x, &m->attrs, n);
    ValueId out = node_get(g, by)->out;
    node_at(g, by)->name = old.name;
    op_info(m->op)->shape(g, by);
    graph_replace_uses(g, old.out, out);
    graph_remove(g, n);
    graph_rename_value(g, out, name);
    return by;
}

/* is_match - a match of the node's shape, and more than the node is already. */
static bool is_match(const Graph *g, const Node *n, Match *m)
{
    *m = match_node(g, n);
    if (m->op == OP_NONE && n->op == OP_clip)
        *m = (Match){.op = OP_clip, .x = n->in[0], .attrs = n->attrs};
    name_clip(m);
    if (m->op == OP_NONE || (m->op == OP_clip && n->op == OP_clip && m->x == n->in[0]))
        return false;
    const Type *x = &value_get(g, m->x)->type;
    return x->elem == F32 && type_same_shape(x, &value_get(g, n->out)->type);
}

/* pass_match_activations - one node for an activation that came as several.
 *
 *     x * sigmoid(x)                                     becomes   silu(x)
 *     x * hard_sigmoid(x), x * clip(x + 3, 0, 6) / 6     becomes   hard_swish(x)
 *     clip(x + 3, 0, 6) / 6, clip(a * x + b, 0, 1)       becomes   hard_sigmoid(x)
 *     x / 2 * (1 + erf(x / sqrt(2))), or the tanh form   becomes   gelu(x)
 *     min(max(x, 0), 6), clip(x, 0, 6); clip(x, 0)       becomes   relu6(x); relu(x)
 *
 * Factors may stand in any order and place, division may stand for multiplication; constants
 * agree within 1e-6. Refuses where what lies between is read by another node. Needs shapes.
 * Returns true if the graph changed. */
bool pass_match_activations(Graph *g, const PassContext *c)
{
    bool changed = false;
    for (NodeId n = graph_first(g), next; n; n = next) {
        next = graph_next(g, n);
        const Node *node = node_get(g, n);
        Match       m;
        if (node->epilogue.n_steps || !is_match(g, node, &m))
            continue;
        next = rewrite(g, n, &m); /* a match may be part of another */
        changed = true;
    }
    return changed && (pass_remove_dead(g, c) || changed);
}
