/* rounding.c - how far single precision may take a model's outputs from exact ones.
 *
 * A sum of K terms in single precision is off by about u * sqrt(K) * s, where u = 2^-24 and s is the
 * size of its partial sums, as long as rounding errors do not conspire (Higham, "Accuracy and
 * Stability of Numerical Algorithms", 2nd ed., 2.8 and 4.2). How such an error grows on its way to an
 * output depends on everything behind it; so it is followed rather than bounded: the graph is run in
 * double once as it is, and TRIALS times with an error of exactly that size and a random sign put on
 * every element of every node's result and of the inputs. The largest change seen in an output is what
 * direct sums are off by; its bound is FACTOR times that.
 *
 * A convolution by Winograd's or Strassen's algorithm may be off by more: by FAST_SHARE of its output's standard
 * deviation. Where the compiled graph has any, further trials put an error of that size divided by
 * FACTOR on their results too, and the bound is FACTOR times the largest change in those.
 *
 * A value kept in BF16 (--fp fast) is rounded in every way of running the graph, after the error: where
 * single precision leaves it near the middle of two such numbers, it becomes the other one. So that this
 * is seen also where there are few of them, one element more takes such a step in each trial.
 *
 * Nothing here looks at the program's results: the bound follows from the model, the inputs, the
 * lengths of the sums and the algorithms chosen. */
#include "driver/driver.h"
#include "ops/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FACTOR     4.0
#define FAST_SHARE 2e-4
#define U          0x1p-24
#define STEP       0x1p-7 /* the largest between numbers of BF16, to the smaller one */

/* ---- one node --------------------------------------------------------------------------- */

static int64_t window(const Type *in, const Type *out)
{
    return (in->dims[2] / out->dims[2] + 1) * (in->dims[3] / out->dims[3] + 1);
}

/* sum_length - terms whose rounding the result carries; 0 where the result is exact. Functions count
 * as the sums of their series, generously. */
static double sum_length(const Graph *g, const Node *n)
{
    const Type  *out = &value_get(g, n->out)->type;
    const Value *first = graph_input(g, n, 0);
    const Type  *in = first ? &first->type : out;
    switch (n->op) {
    case OP_conv2d:
    case OP_conv_transpose:
    case OP_linear:
    case OP_matmul: return (double)model_macs(g, n) / (double)type_count(out) + 1;
    case OP_avg_pool: return (double)(n->attrs.kernel[0] * n->attrs.kernel[1]);
    case OP_adaptive_avg_pool: return (double)window(in, out);
    case OP_global_avg_pool:
    case OP_reduce_sum:
    case OP_reduce_mean: return (double)type_count(in) / (double)type_count(out);
    case OP_softmax:
    case OP_log_softmax: {
        int64_t axis = n->attrs.axis < 0 ? n->attrs.axis + in->rank : n->attrs.axis;
        return (double)in->dims[axis] + 32;
    }
    case OP_lrn: return (double)n->attrs.size + 64;
    case OP_sigmoid:
    case OP_tanh:
    case OP_silu:
    case OP_elu:
    case OP_gelu:
    case OP_exp:
    case OP_log:
    case OP_pow:
    case OP_erf:
    case OP_softplus: return 32;
    case OP_batch_norm: return 8;
    case OP_hard_swish:
    case OP_hard_sigmoid:
    case OP_softsign: return 4;
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_div:
    case OP_leaky_relu:
    case OP_prelu:
    case OP_sqrt:
    case OP_dequantize: return 1;
    default: return 0;
    }
}

static double rms(const Array *a)
{
    int64_t n = type_count(&a->type);
    double  sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a->data[i] * a->data[i];
    return sqrt(sum / (double)n);
}

/* sum_size - what partial sums are like at least, also where the result happens to be near 0: the
 * root of the result's mean square; and for sums of products, K independent products of typical
 * size. */
static double sum_size(const Node *n, const Array *const in[], const Array *out, double length)
{
    double size = rms(out);
    bool   is_product = op_is_conv(n->op) || n->op == OP_linear || n->op == OP_matmul;
    if (is_product)
        size = fmax(size, sqrt(length) * rms(in[0]) * rms(in[1]));
    else if (length > 1 && n->n_own == 1)
        size = fmax(size, rms(in[0]) / sqrt(length));
    return isfinite(size) ? size : 0;
}

/* ---- errors of random sign -------------------------------------------------------------- */

static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* shake - an error of random sign on every element: `error` of its own size or of `size`, whichever
 * is more, and not less than `least`. */
static void shake(Array *a, double error, double size, double least, uint64_t *state)
{
    int64_t  n = type_count(&a->type);
    uint64_t bits = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i % 64 == 0)
            bits = next_random(state);
        double e = fmax(error * fmax(fabs(a->data[i]), size), least);
        a->data[i] += bits >> i % 64 & 1 ? e : -e;
    }
}

/* step_one - one element takes the step to a neighbour; near 0, that of a number of size `size`. */
static void step_one(Array *a, double size, uint64_t *state)
{
    uint64_t at = next_random(state) % (uint64_t)type_count(&a->type);
    a->data[at] += STEP * fmax(fabs(a->data[at]), size);
}

/* ---- the graph, exact and shaken side by side ------------------------------------------- */

/* Way 0 is exact; then come trials with the errors of direct sums, then those with Winograd's. */
enum { TRIALS = 2, WAYS = 1 + 2 * TRIALS };

typedef struct Kept {
    Arena *arena; /* of the contents; freed after the last use */
    Array  way[WAYS];
    size_t uses;
    double own; /* what its own sum may be off by */
} Kept;

typedef struct Walk {
    const Graph *g;
    Kept        *held; /* by value */
    int          n_ways;
    const char **fast; /* names of nodes, sorted */
    size_t       n_fast;
    uint64_t     state;
} Walk;

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* find_fast - the nodes of the compiled graph that are not computed by direct sums. They keep their names. */
static void find_fast(Walk *w, const Graph *compiled, Arena *a)
{
    size_t cap = 0;
    for (NodeId n = graph_first(compiled); n; n = graph_next(compiled, n)) {
        if (node_get(compiled, n)->algorithm == DIRECT)
            continue;
        w->fast = arena_grow(a, w->fast, w->n_fast, &cap, sizeof *w->fast);
        w->fast[w->n_fast++] = node_get(compiled, n)->name;
    }
    if (w->n_fast)
        qsort(w->fast, w->n_fast, sizeof *w->fast, by_name);
    w->n_ways = w->n_fast ? WAYS : 1 + TRIALS;
}

static bool is_fast(const Walk *w, const Node *n)
{
    return w->n_fast && bsearch(&n->name, w->fast, w->n_fast, sizeof *w->fast, by_name);
}

static double deviation(const Array *a)
{
    int64_t n = type_count(&a->type);
    double  sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a->data[i];
    for (int64_t i = 0; i < n; i++)
        squares += (a->data[i] - sum / (double)n) * (a->data[i] - sum / (double)n);
    return sqrt(squares / (double)n);
}

static Array array_new(Arena *a, const Type *t)
{
    Type plain = type_plain(t->elem, t->rank, t->dims);
    return (Array){plain, arena_array(a, double, (size_t)type_count(t))};
}

static Array copy_of(Arena *a, const Array *from)
{
    Array copy = array_new(a, &from->type);
    for (int64_t i = 0; i < type_count(&from->type); i++)
        copy.data[i] = from->data[i];
    return copy;
}

static void release(Kept *h)
{
    if (h->uses && --h->uses == 0) {
        arena_free(h->arena);
        h->arena = NULL;
    }
}

/* hold - start keeping a value for as many uses as it will see. */
static Kept *hold(Walk *w, ValueId v)
{
    Kept *h = &w->held[v];
    h->arena = arena_new();
    h->uses = value_get(w->g, v)->n_users + value_get(w->g, v)->is_output;
    return h;
}

static void hold_constant(Walk *w, ValueId v)
{
    const Value *value = value_get(w->g, v);
    if (w->held[v].arena)
        return;
    Kept *h = hold(w, v);
    h->way[0] = array_new(h->arena, &value->type);
    for (int64_t i = 0; i < type_count(&value->type); i++)
        h->way[0].data[i] = tensor_get(value->constant, i);
    for (int i = 1; i < w->n_ways; i++)
        h->way[i] = h->way[0];
}

static void hold_input(Walk *w, ValueId v, const Array *contents)
{
    Kept *h = hold(w, v);
    for (int i = 0; i < w->n_ways; i++) {
        h->way[i] = copy_of(h->arena, contents);
        if (i && elem_is_float(contents->type.elem))
            shake(&h->way[i], U, 0, 0, &w->state);
    }
}

/* makes_integers - then an error of any size may be a whole step. */
static bool makes_integers(Op op)
{
    return op == OP_quantize || op == OP_floor || op == OP_ceil || op == OP_round;
}

static void run_node(Walk *w, const Node *n)
{
    Arena        *scratch = arena_new();
    const Array **in = arena_array(scratch, const Array *, (size_t)n->n_in);
    Kept         *h = hold(w, n->out);
    double        length = sum_length(w->g, n);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && value_get(w->g, n->in[i])->constant)
            hold_constant(w, n->in[i]);
    double size = 0, fast = 0;
    for (int k = 0; k < w->n_ways; k++) {
        for (int i = 0; i < n->n_in; i++)
            in[i] = n->in[i] ? &w->held[n->in[i]].way[k] : NULL;
        h->way[k] = array_new(h->arena, &value_get(w->g, n->out)->type);
        node_eval(n, in, &h->way[k]);
        if (k == 0) {
            size = sum_size(n, in, &h->way[0], length);
            fast = is_fast(w, n) ? FAST_SHARE / FACTOR * deviation(&h->way[0]) : 0;
        } else if (length > 0)
            shake(&h->way[k], U * sqrt(length), size, k > TRIALS ? fast : 0, &w->state);
        array_round(&h->way[k]);
        if (k > 0 && h->way[k].type.elem == BF16)
            step_one(&h->way[k], size, &w->state);
    }
    h->own = makes_integers(n->op) ? 1 / FACTOR : U * sqrt(length) * size;
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i])
            release(&w->held[n->in[i]]);
    arena_free(scratch);
}

/* largest_change - between exact and shaken, over all elements of the ways [begin, end). */
static double largest_change(const Kept *h, int begin, int end)
{
    double change = h->own;
    for (int k = begin; k < end; k++)
        for (int64_t i = 0; i < type_count(&h->way[0].type); i++)
            change = fmax(change, fabs(h->way[k].data[i] - h->way[0].data[i]));
    return change;
}

static void take_output(Walk *w, int i, Rounding *r, Arena *a)
{
    ValueId v = w->g->outputs[i].value;
    if (value_get(w->g, v)->constant)
        hold_constant(w, v);
    r->exact = copy_of(a, &w->held[v].way[0]);
    r->direct = largest_change(&w->held[v], 1, 1 + TRIALS);
    r->bound = FACTOR * largest_change(&w->held[v], 1, w->n_ways);
}

void rounding_bounds(const Graph *g, const Graph *compiled, const Array *inputs, uint64_t seed,
                     Rounding *outputs, Arena *a, void (*step)(int done, int total))
{
    Walk w = {.g = g, .held = arena_array(a, Kept, g->n_values), .state = seed};
    int  done = 0, total = (int)g->n_nodes - 1;
    find_fast(&w, compiled, a);
    for (int i = 0; i < g->n_inputs; i++)
        hold_input(&w, g->inputs[i].value, &inputs[i]);
    for (NodeId n = graph_first(g); n; n = graph_next(g, n)) {
        run_node(&w, node_get(g, n));
        if (step)
            step(++done, total);
    }
    for (int i = 0; i < g->n_outputs; i++)
        take_output(&w, i, &outputs[i], a);
    for (ValueId v = 1; v < g->n_values; v++)
        arena_free(w.held[v].arena);
}
