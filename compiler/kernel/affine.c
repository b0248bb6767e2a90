/* affine.c - sums of loop * coefficient.
 *
 * Arithmetic saturates at the ends of int64_t: an index that far out lies outside every buffer, so
 * the verifier refuses it; nothing wraps around into something that looks valid. */
#include "kernel/kernel.h"

#include <assert.h>
#include <string.h>

static int64_t sat_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return a < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static int64_t sat_mul(int64_t a, int64_t b)
{
    int64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    return product;
}

Affine affine_const(int64_t c)
{
    return (Affine){.constant = c};
}

Affine affine_loop(LoopId l)
{
    Affine a = {0};
    if (l) {
        a.n_terms = 1;
        a.loop[0] = l;
        a.coef[0] = 1;
    }
    return a;
}

/* push - append a term; loops come in rising order. */
static void push(Affine *a, LoopId l, int64_t coef)
{
    if (!coef)
        return;
    assert(a->n_terms < MAX_TERMS);
    a->loop[a->n_terms] = l;
    a->coef[a->n_terms] = coef;
    a->n_terms++;
}

Affine affine_add(Affine a, Affine b)
{
    Affine  sum = {.constant = sat_add(a.constant, b.constant)};
    int64_t i = 0, j = 0;
    while (i < a.n_terms || j < b.n_terms) {
        if (j == b.n_terms || (i < a.n_terms && a.loop[i] < b.loop[j])) {
            push(&sum, a.loop[i], a.coef[i]);
            i++;
        } else if (i == a.n_terms || b.loop[j] < a.loop[i]) {
            push(&sum, b.loop[j], b.coef[j]);
            j++;
        } else {
            push(&sum, a.loop[i], sat_add(a.coef[i], b.coef[j]));
            i++;
            j++;
        }
    }
    return sum;
}

Affine affine_scale(Affine a, int64_t s)
{
    Affine scaled = {.constant = sat_mul(a.constant, s)};
    for (int64_t i = 0; i < a.n_terms; i++)
        push(&scaled, a.loop[i], sat_mul(a.coef[i], s));
    return scaled;
}

Affine affine_offset(Affine a, int64_t c)
{
    a.constant = sat_add(a.constant, c);
    return a;
}

int64_t affine_coef(const Affine *a, LoopId l)
{
    for (int64_t i = 0; i < a->n_terms; i++)
        if (a->loop[i] == l)
            return a->coef[i];
    return 0;
}

bool affine_equal(const Affine *a, const Affine *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

Affine affine_subst(const Affine *a, LoopId l, const Affine *by)
{
    int64_t coef = affine_coef(a, l);
    if (!coef)
        return *a;
    Affine rest = {.constant = a->constant};
    for (int64_t i = 0; i < a->n_terms; i++)
        if (a->loop[i] != l)
            push(&rest, a->loop[i], a->coef[i]);
    return affine_add(rest, affine_scale(*by, coef));
}

int64_t floor_div(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((-a + b - 1) / b);
}

Range affine_range(const Kernel *k, const Affine *a)
{
    Range r = {a->constant, a->constant};
    for (int64_t i = 0; i < a->n_terms; i++) {
        int64_t last = sat_mul(a->coef[i], k->loops[a->loop[i]].extent - 1);
        if (last < 0)
            r.min = sat_add(r.min, last);
        else
            r.max = sat_add(r.max, last);
    }
    return r;
}
