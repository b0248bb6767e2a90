/* read.h - what the parts of the model reader share. Only read*.c include it. */
#ifndef KILN_READ_H
#define KILN_READ_H

#include "graph/graph.h"
#include "ops/ops.h"

#define MAX_ELEMENTS ((int64_t)1 << 40) /* of one tensor */

/* A model input or a node, numbered in file order, inputs first. */
typedef uint32_t ItemId;
#define NO_ITEM UINT32_MAX

/* A name of the file and what it stands for. */
typedef struct Name {
    const char *name;
    const Json *at;
    ItemId      item; /* NO_ITEM: a node whose value has another name */
} Name;

/* A node as the file declares it. */
typedef struct Decl {
    const Json *json;
    const char *name, *value_name; /* "": missing, reported */
    uint64_t    first_param;       /* position of its first constant among those of the model */
    NodeId      node;              /* 0: its op is unknown, reported */
    size_t      n_refs;            /* what its inputs refer to; NO_ITEM where that is an error */
    ItemId     *refs;
} Decl;

/* Where string params come from. WEIGHTS_BAD: the entry was wrong, which was reported. */
typedef enum { WEIGHTS_NONE, WEIGHTS_FILE, WEIGHTS_RANDOM, WEIGHTS_BAD } WeightsKind;

typedef struct Reader {
    Arena        *arena;
    Diag         *diag;
    Graph        *graph;
    const Source *source;
    const Json   *root;
    const ReadOptions *options;
    int           errors_before;

    WeightsKind  weights_kind;
    WeightsFile *weights;
    uint64_t     seed;
    int64_t      made_elements; /* of constants made by formula */

    uint32_t n_inputs, n_decls;
    Decl    *decls;
    Name    *names; /* sorted by names_sort */
    size_t   n_names, cap_names;

    const char *op_name, *node_name; /* what read_error speaks of; NULL: the model */
} Reader;

/* ---- read_value.c ----------------------------------------------------------------------- */

Span read_span(const Reader *r, const Json *at);
/* read_error - an error at `at`, introduced by the node being read; always false. */
bool read_error(Reader *r, const Json *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* read_keys - whether `j` is an object with none but these keys (NULL-terminated). Reports each
 * other key. `what` is "an input" and the like. */
bool read_keys(Reader *r, const Json *j, const char *what, const char *const *keys);
/* read_member - object[key] where it is of `kind`; NULL where it is missing, which is reported when
 * it is `required`, or of another kind, which always is. */
const Json *read_member(Reader *r, const Json *object, const char *key, JsonKind kind,
                        bool required);
/* read_name - a string that is not empty, or NULL, reported. */
const char *read_name(Reader *r, const Json *j, const char *what);
/* read_shape - dims >= 1, rank in [min_rank, MAX_RANK], element count within bounds. */
bool read_shape(Reader *r, const Json *j, int min_rank, int *rank, int64_t *dims);
/* read_value_text - what a message says it got: 3.5, 'abc', an array ... */
const char *read_value_text(Arena *a, const Json *j);
/* read_attrs - the attributes of `op`, defaults filled in. `j` may be NULL. */
void read_attrs(Reader *r, const Json *node, const Json *j, const OpInfo *op, OpAttrs *out);

/* ---- read_param.c ----------------------------------------------------------------------- */

/* read_weights - the model's "weights": a file beside it, {"random": seed} or nothing. */
void read_weights(Reader *r);
/* read_param - the constant that `j` gives to `slot`; `place` is its position among the model's
 * params. NULL: reported. */
const Tensor *read_param(Reader *r, const Json *j, const Slot *slot, uint64_t place);

/* ---- read_node.c ------------------------------------------------------------------------ */

/* read_node - add the node, its inputs still open: they are in decl->refs. Errors are reported. */
void read_node(Reader *r, Decl *decl);

/* ---- read_names.c ----------------------------------------------------------------------- */

void names_add(Reader *r, const char *name, const Json *at, ItemId item);
/* names_sort - to be called between names_add and names_find. Reports names given twice. */
void        names_sort(Reader *r);
const Name *names_find(const Reader *r, const char *name);
/* names_resolve - the item `j` refers to, NO_ITEM where it is none, which is reported. */
ItemId names_resolve(Reader *r, const Json *j, const char *what);
/* read_order - nodes in an order in which producers come before users, NULL when there is none,
 * which is reported. A file that is in such an order keeps it. */
const uint32_t *read_order(Reader *r);

#endif
