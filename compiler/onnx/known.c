/* known.c - what is known while importing: shapes, axes, scales. */
#include "onnx/importer.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

Known *known_ints(Arena *a, int32_t type, int rank, const int64_t *dims, const int64_t *ints)
{
    Known *k = arena_struct(a, Known);
    *k = (Known){.type = type, .rank = rank, .count = 1, .ints = ints};
    for (int i = 0; i < rank; i++) {
        k->dims[i] = dims[i];
        k->count *= dims[i];
    }
    return k;
}

Known *known_floats(Arena *a, const Tensor *t)
{
    Known *k = known_ints(a, TYPE(FLOAT), t->type.rank, t->type.dims, NULL);
    k->floats = t;
    return k;
}

double known_number(const Known *k, int64_t i)
{
    return k->ints ? (double)k->ints[i] : tensor_get(k->floats, i);
}

bool known_afford(Importer *im, int rank, const int64_t *dims)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++)
        if (dims[i] > KNOWN_MAX_DIM || !mul_ok(count, dims[i], &count))
            return false;
    if (rank > MAX_RANK || count > KNOWN_MAX_COUNT || count > im->fold.elements)
        return false;
    im->fold.elements -= count;
    return true;
}

Type known_shape(const Known *k)
{
    return type_plain(I32, k->rank, k->dims);
}

bool known_broadcast(const Type *a, const Type *b, Type *out)
{
    int     rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[MAX_RANK];
    for (int i = 1; i <= rank; i++) {
        int64_t da = i <= a->rank ? a->dims[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dims[b->rank - i] : 1;
        if ((da != db && da != 1 && db != 1) || da < 0 || db < 0)
            return false;
        dims[rank - i] = da == 1 ? db : da;
    }
    *out = type_plain(I32, rank, dims);
    return true;
}

Known *known_reshaped(Arena *a, const Known *k, int rank, const int64_t *dims)
{
    Known *same = known_ints(a, k->type, rank, dims, k->ints);
    if (k->floats) {
        Tensor *t = arena_struct(a, Tensor);
        *t = (Tensor){type_plain(F32, rank, dims), k->floats->data};
        same->floats = t;
    }
    return same;
}

bool known_fold(Importer *im, OnnxNode *n)
{
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] && !n->in[i]->known)
            return false;
    for (int i = 0; i < n->row->min_in; i++)
        if (!arg_present(n, i))
            return false;
    if (!n->n_in)
        return false;
    return known_move(im, n) || known_arith(im, n);
}
