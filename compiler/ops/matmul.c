/* matmul.c - products of matrices, batches of them broadcast as NumPy does.
 *
 *     for batch, m, n
 *         acc = 0
 *         for k:  acc += a[.., m, k] * b[.., k, n]
 *         y[.., m, n] = epilogue(acc)
 *
 * Columns of the result are the lanes of vectors: in b they lie side by side. What is left of them
 * behind the last whole vector is a nest of its own. */
#include "ops/ops.h"

#include "target/target.h"

#include <inttypes.h>

NO_ATTRS(matmul);

/* Both operands as matrices: a vector a is a row, a vector b a column, and the result lacks that
 * dimension. */
typedef struct Product {
    int64_t m, k, n;
    bool    has_m, has_n; /* whether the result has the dimension */
    int     n_batch;
    int64_t batch[MAX_RANK]; /* of the result */
} Product;

static int64_t from_end(const Type *t, int i)
{
    return i <= t->rank ? t->dims[t->rank - i] : 1;
}

/* Dimension `i` of the batches, counted from the last one, as the operand has it. */
static int64_t batch_extent(const Type *t, int i)
{
    return from_end(t, i + 2);
}

/* False where the batches do not broadcast. */
static bool make_product(const Type *a, const Type *b, Product *p)
{
    *p = (Product){.k = from_end(a, 1), .has_m = a->rank > 1, .has_n = b->rank > 1};
    p->m = p->has_m ? from_end(a, 2) : 1;
    p->n = p->has_n ? from_end(b, 1) : 1;
    p->n_batch = (a->rank > b->rank ? a->rank : b->rank) - 2;
    p->n_batch = p->n_batch > 0 ? p->n_batch : 0;
    for (int i = 1; i <= p->n_batch; i++) {
        int64_t in_a = batch_extent(a, i), in_b = batch_extent(b, i);
        if (in_a != in_b && in_a != 1 && in_b != 1)
            return false;
        p->batch[p->n_batch - i] = in_a > in_b ? in_a : in_b;
    }
    return true;
}

bool shape_matmul(Graph *g, NodeId n)
{
    if (!shape_floats(g, n))
        return false;
    Type    a = *shape_in(g, n, 0), b = *shape_in(g, n, 1);
    int64_t dims[MAX_RANK], rank = 0;
    Product p;
    if (a.rank == 0 || b.rank == 0)
        return shape_error(g, n, "an operand of rank 0, expected at least rank 1");
    if (from_end(&a, 1) != from_end(&b, b.rank > 1 ? 2 : 1))
        return shape_error(g, n,
                           "%s by %s: rows of the first have %" PRId64
                           " entries, columns of the second %" PRId64,
                           type_text(g->arena, &a), type_text(g->arena, &b), from_end(&a, 1),
                           from_end(&b, b.rank > 1 ? 2 : 1));
    if (!make_product(&a, &b, &p))
        return shape_error(g, n, "%s by %s: the leading dimensions do not broadcast",
                           type_text(g->arena, &a), type_text(g->arena, &b));
    for (int i = 0; i < p.n_batch; i++)
        dims[rank++] = p.batch[i];
    if (p.has_m)
        dims[rank++] = p.m;
    if (p.has_n)
        dims[rank++] = p.n;
    return shape_set(g, n, F32, (int)rank, dims);
}

/* Where the matrix for batch number `i` of the result begins in an operand. */
static int64_t matrix_offset(const Product *p, const Type *t, int64_t i, int64_t elements)
{
    int64_t at = 0, stride = elements;
    for (int d = 1; d <= p->n_batch; d++) {
        int64_t extent = batch_extent(t, d);
        if (extent > 1)
            at += i % p->batch[p->n_batch - d] * stride;
        stride *= extent;
        i /= p->batch[p->n_batch - d];
    }
    return at;
}

void eval_matmul(const Node *n, const Array *const in[], Array *out)
{
    Product p;
    double *y = out->data;
    (void)n;
    make_product(&in[0]->type, &in[1]->type, &p);
    int64_t batches = type_count(&out->type) / (p.m * p.n);
    for (int64_t i = 0; i < batches; i++) {
        const double *a = in[0]->data + matrix_offset(&p, &in[0]->type, i, p.m * p.k);
        const double *b = in[1]->data + matrix_offset(&p, &in[1]->type, i, p.k * p.n);
        for (int64_t row = 0; row < p.m; row++)
            for (int64_t column = 0; column < p.n; column++) {
                double sum = 0;
                for (int64_t k = 0; k < p.k; k++)
                    sum += a[row * p.k + k] * b[k * p.n + column];
                *y++ = sum;
            }
    }
}

/* ---- lowering --------------------------------------------------------------------------- */

/* The positions of one nest. */
typedef struct Cell {
    Affine batch[MAX_RANK], m, n, k;
} Cell;

/* The element of operand `v` at row `r` and column `c`. */
static const Expr *load_operand(Graph *g, Kernel *k, ValueId v, const Product *p, const Cell *cell,
                                Affine r, Affine c)
{
    const Type *t = &value_get(g, v)->type;
    Affine      index[MAX_RANK];
    for (int i = 0; i < t->rank - 2; i++) {
        int at = p->n_batch - (t->rank - 2) + i;
        index[i] = t->dims[i] > 1 ? cell->batch[at] : affine_const(0);
    }
    if (t->rank > 1)
        index[t->rank - 2] = r;
    index[t->rank - 1] = c;
    return lower_load_plain(g, k, v, index);
}

/* The element of the result. */
static Element result_element(const Product *p, const Cell *cell, const Type *y)
{
    Element e = {0};
    int64_t nchw[4];
    int     rank = 0;
    for (int i = 0; i < p->n_batch; i++)
        e.index[rank++] = cell->batch[i];
    if (p->has_m)
        e.index[rank++] = cell->m;
    if (p->has_n)
        e.index[rank++] = cell->n;
    e.is_nchw = dims_nchw(y, nchw);
    e.at.block = 1;
    Affine *const by_dim[4] = {&e.at.n, &e.at.cb, &e.at.h, &e.at.w};
    for (int i = 0; i < rank && e.is_nchw; i++)
        *by_dim[rank == 1 ? 1 : i] = e.index[i];
    return e;
}

/* Columns [first, first + blocks * lanes). */
static void product_nest(Graph *g, Kernel *k, const Node *n, const Product *p, int64_t first,
                         int64_t blocks, int64_t lanes)
{
    const Type *y = &value_get(g, n->out)->type;
    Cell        cell = {0};
    LoopId      loops[MAX_RANK + 3];
    for (int i = 0; i < p->n_batch; i++) {
        loops[i] = kernel_loop_if(k, "i", p->batch[i], PARALLEL, AXIS_NONE);
        cell.batch[i] = affine_loop(loops[i]);
    }
    LoopId m = loops[p->n_batch] = kernel_loop_if(k, "m", p->m, PARALLEL, AXIS_M);
    LoopId nb = loops[p->n_batch + 1] = kernel_loop_if(k, "n", blocks, PARALLEL, AXIS_N);
    LoopId nl = loops[p->n_batch + 2] = kernel_loop_if(k, "nl", lanes, PARALLEL, AXIS_LANE);
    LoopId kk = kernel_loop_if(k, "k", p->k, REDUCE, AXIS_K);
    cell.m = affine_loop(m);
    cell.n = affine_add(affine_scale(affine_loop(nb), lanes), affine_loop(nl));
    cell.n = affine_offset(cell.n, first);
    cell.k = affine_loop(kk);
    Element     e = result_element(p, &cell, y);
    TempId      acc = kernel_temp(k, "acc", vtype(F32, 1));
    const Expr *a = load_operand(g, k, n->in[0], p, &cell, cell.m, cell.k);
    bool        is_vector = value_get(g, n->in[1])->type.rank == 1;
    const Expr *b = load_operand(g, k, n->in[1], p, &cell, cell.k, is_vector ? cell.k : cell.n);
    Stmt       *leaf = st_block(k);
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_const(k, 0)));
    st_add(k, leaf, st_for(k, kk, st_set(k, acc, ASSIGN_ADD, ex_binary(k, B_MUL, a, b))));
    st_add(k, leaf, element_write(g, k, n, &e, ex_temp(k, acc)));
    st_add(k, k->body, lower_nest(k, loops, p->n_batch + 3, leaf));
}

void lower_matmul(Graph *g, NodeId id, Kernel *k)
{
    const Node *n = node_get(g, id);
    int64_t     lanes = k->target ? k->target->lanes : 1;
    Product     p;
    make_product(&value_get(g, n->in[0])->type, &value_get(g, n->in[1])->type, &p);
    k->macs = type_count(&value_get(g, n->out)->type) * p.k;
    int64_t whole = p.n / lanes, rest = p.n % lanes;
    if (whole)
        product_nest(g, k, n, &p, 0, whole, lanes);
    if (rest)
        product_nest(g, k, n, &p, whole * lanes, rest, 1);
}
