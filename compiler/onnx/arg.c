/* arg.c - the inputs of a node, as graph values or as what is known of them. */
#include "onnx/importer.h"

bool arg_present(const OnnxNode *n, int i)
{
    return i < n->n_in && n->in[i];
}

const Known *arg_is_known(const OnnxNode *n, int i)
{
    return arg_present(n, i) ? n->in[i]->known : NULL;
}

/* missing - complain about input `i` that should be there; always false. */
static bool missing(Importer *im, const OnnxNode *n, int i, const char *what)
{
    return node_error(im, n, "input %d (%s) is missing", i, what);
}

/* ---- as values of the graph -------------------------------------------------------------- */

/* ints_tensor - integers as I32; NULL where one does not fit, reported. */
static const Tensor *ints_tensor(Importer *im, const OnnxNode *n, const Known *k, const char *what)
{
    Tensor *t = tensor_new(im->arena, I32, k->rank, k->dims);
    for (int64_t i = 0; i < k->count; i++) {
        if (k->ints[i] < INT32_MIN || k->ints[i] > INT32_MAX) {
            node_error(im, n, "%s: %lld does not fit 32 bits, the integers that kiln computes with",
                       what, (long long)k->ints[i]);
            return NULL;
        }
        tensor_set(t, i, (double)k->ints[i]);
    }
    return t;
}

ValueId arg_value(Importer *im, OnnxNode *n, int i, const char *what)
{
    if (!arg_present(n, i)) {
        missing(im, n, i, what);
        return 0;
    }
    OnnxValue *in = n->in[i];
    if (in->value || !in->known)
        return in->value;
    if (!in->known->count) {
        node_error(im, n, "%s is an empty tensor", what);
        return 0;
    }
    const Tensor *t = in->known->floats;
    if (!t)
        t = ints_tensor(im, n, in->known, what);
    if (t)
        in->value = node_constant_named(im, n, in->name, t);
    return in->value;
}

ValueId arg_derived(Importer *im, OnnxNode *n, int i, const Tensor *t)
{
    return node_constant_made(im, n, n->in[i]->name, t);
}

Type arg_type(const Importer *im, const OnnxNode *n, int i)
{
    if (!arg_present(n, i))
        return (Type){.elem = ELEM_POISON};
    const OnnxValue *in = n->in[i];
    if (in->value)
        return node_type(im, in->value);
    const Known *k = in->known;
    if (!k || !k->count)
        return (Type){.elem = ELEM_POISON};
    return type_plain(k->floats ? F32 : I32, k->rank, k->dims);
}

/* ---- as what is known ---------------------------------------------------------------------- */

const Known *arg_known(Importer *im, OnnxNode *n, int i, const char *what)
{
    const Known *k = arg_is_known(n, i);
    if (!arg_present(n, i))
        missing(im, n, i, what);
    else if (!k)
        node_error(im, n, "%s must be a constant, but '%s' is computed when the network runs", what,
                   text_printable(im->arena, n->in[i]->name));
    return k;
}

const Tensor *arg_tensor(Importer *im, OnnxNode *n, int i, const char *what)
{
    const Known *k = arg_known(im, n, i, what);
    if (k && !k->floats)
        node_error(im, n, "%s must be %s", what,
                   k->count ? "of a floating type" : "a tensor with elements");
    return k ? k->floats : NULL;
}

int arg_ints(Importer *im, OnnxNode *n, int i, const char *what, int64_t *out, int max)
{
    const Known *k = arg_known(im, n, i, what);
    if (!k)
        return -1;
    if (k->rank > 1 || !known_is_integer(k->type) || k->count > max) {
        node_error(im, n, "%s must be at most %d integers", what, max);
        return -1;
    }
    for (int64_t j = 0; j < k->count; j++)
        out[j] = k->ints[j];
    return (int)k->count;
}

bool arg_number(Importer *im, OnnxNode *n, int i, const char *what, double *out)
{
    const Known *k = arg_known(im, n, i, what);
    if (!k)
        return false;
    if (k->count != 1)
        return node_error(im, n, "%s must be a single number, got %lld", what, (long long)k->count);
    *out = known_number(k, 0);
    return true;
}
