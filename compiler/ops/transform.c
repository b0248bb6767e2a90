/* transform.c - small constant matrices times expressions, as in Winograd's and Strassen's algorithms. */
#include "ops/ops.h"
#include "target/target.h"

#include <math.h>

const Expr *lower_let(Kernel *k, Stmt *out, const char *name, const Expr *e)
{
    TempId t = kernel_temp(k, name, vtype(F32, 1));
    st_add(k, out, st_let(k, t, e));
    return ex_temp(k, t);
}

/* acc + factor * x, without the multiplication where the factor is 1 or -1. acc NULL is 0. */
static const Expr *add_term(Kernel *k, const Expr *acc, double factor, const Expr *x)
{
    double size = fabs(factor);
    if (acc && size != 1 && k->target->has_fma)
        return ex_fma(k, ex_const(k, factor), x, acc);
    if (size != 1)
        x = ex_binary(k, B_MUL, ex_const(k, size), x);
    if (!acc)
        return factor < 0 ? ex_unary(k, U_NEG, x) : x;
    return ex_binary(k, factor < 0 ? B_SUB : B_ADD, acc, x);
}

/* The sum of row[i] * in[i] over those i for which mask has a bit; positive terms first. */
static const Expr *row_sum(Kernel *k, const double *row, const Expr *const *in, int n,
                           unsigned mask)
{
    const Expr *sum = NULL;
    for (int sign = 1; sign >= -1; sign -= 2)
        for (int i = 0; i < n; i++)
            if ((mask >> i & 1) && row[i] * sign > 0)
                sum = add_term(k, sum, row[i], in[i]);
    return sum;
}

/* The columns on which rows p and q agree, and those on which they are opposite. False: neither holds for
 * some column. */
static bool rows_pair(const TransformMatrix *m, int p, int q, unsigned *same, unsigned *opposite)
{
    *same = *opposite = 0;
    for (int i = 0; i < m->columns; i++) {
        double a = m->at[p][i], b = m->at[q][i];
        if (a != b && a != -b)
            return false;
        if (a != 0)
            *(a == b ? same : opposite) |= 1u << i;
    }
    return *same && *opposite;
}

/* Columns j and j + 1 that are alike in every row but for the sign: those of the points p and -p in A^T. */
static bool columns_pair(const TransformMatrix *m, int j)
{
    bool same = false, opposite = false;
    for (int r = 0; r < m->rows && j + 1 < m->columns; r++) {
        double a = m->at[r][j], b = m->at[r][j + 1];
        if (a != b && a != -b)
            return false;
        same |= a != 0 && a == b;
        opposite |= a != 0 && a != b;
    }
    return same && opposite;
}

/* pair_columns - the sums and the differences of inputs whose columns pair take their places, and *m gets
 * the matrix that is left: one of the two columns is zero in each row. */
static TransformMatrix pair_columns(Kernel *k, Stmt *block, const TransformMatrix *m,
                                    const Expr **in)
{
    TransformMatrix left = *m;
    for (int j = 0; j < m->columns; j++) {
        if (!columns_pair(m, j))
            continue;
        const Expr *p = in[j], *q = in[j + 1];
        in[j] = lower_let(k, block, "s", ex_binary(k, B_ADD, p, q));
        in[j + 1] = lower_let(k, block, "d", ex_binary(k, B_SUB, p, q));
        for (int r = 0; r < m->rows; r++) {
            bool is_sum = m->at[r][j] == m->at[r][j + 1];
            left.at[r][j] = is_sum ? m->at[r][j] : 0;
            left.at[r][j + 1] = is_sum ? 0 : m->at[r][j];
        }
        j++;
    }
    return left;
}

/* out = m in. Points p and -p share most of their work: in A^T the sum and the difference of their inputs,
 * in B^T the even and the odd part of their rows. */
void transform_apply(Kernel *k, Stmt *block, const TransformMatrix *matrix, const Expr **in,
                     const Expr **out)
{
    TransformMatrix m = pair_columns(k, block, matrix, in);
    for (int r = 0; r < m.rows; r++) {
        unsigned same, opposite, all = (1u << m.columns) - 1;
        if (r + 1 < m.rows && rows_pair(&m, r, r + 1, &same, &opposite)) {
            const Expr *even = lower_let(k, block, "e", row_sum(k, m.at[r], in, m.columns, same));
            const Expr *odd =
                lower_let(k, block, "o", row_sum(k, m.at[r], in, m.columns, opposite));
            out[r] = lower_let(k, block, "t", ex_binary(k, B_ADD, even, odd));
            out[r + 1] = lower_let(k, block, "t", ex_binary(k, B_SUB, even, odd));
            r++;
            continue;
        }
        out[r] = lower_let(k, block, "t", row_sum(k, m.at[r], in, m.columns, all));
    }
}
