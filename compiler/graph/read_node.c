/* read_node.c - one node of the model, driven by the op table of ops/ops.h. */
#include "graph/read.h"

#include <string.h>

/* What a node's inputs are, slot by slot; refs[i] is behind in[i] unless that is a constant. */
typedef struct Inputs {
    size_t   n;
    ValueId *constants; /* 0: not a constant */
    ItemId  *refs;      /* NO_ITEM: absent, a constant, or an error */
} Inputs;

static Op read_op(Reader *r, const Json *node)
{
    const Json *j = read_member(r, node, "op", JSON_STRING, true);
    if (!j)
        return OP_NONE;
    Op op = op_from_name(j->string);
    if (op != OP_NONE)
        return op;
    Guess guess = guess_new(j->string);
    for (int i = OP_NONE + 1; i < N_OPS; i++)
        if (!(op_info((Op)i)->flags & OPF_INTERNAL))
            guess_try(&guess, op_info((Op)i)->name);
    read_error(r, j, "there is no op '%s'%s", text_printable(r->arena, j->string),
               guess_text(r->arena, &guess));
    return OP_NONE;
}

/* check_params - report params that `op` does not have. */
static void check_params(Reader *r, const Json *params, const OpInfo *op)
{
    for (size_t i = 0; params && i < params->n_items; i++) {
        const char *key = params->items[i].key;
        Guess       guess = guess_new(key);
        bool        known = false;
        for (int s = 0; s < op->n_slots && !known; s++) {
            const Slot *slot = &op->slots[s];
            if (!slot->is_param && !slot->either)
                continue;
            known = !strcmp(slot->name, key);
            guess_try(&guess, slot->name);
        }
        if (!known)
            read_error(r, &params->items[i], "unknown param '%s'%s", text_printable(r->arena, key),
                       guess_text(r->arena, &guess));
    }
}

/* check_count - report a number `n` of inputs that `op` does not take beside these params. */
static bool check_count(Reader *r, const Json *at, const OpInfo *op, const Json *params, size_t n)
{
    size_t least = 0, most = 0;
    bool   many = false;
    for (int s = 0; s < op->n_slots; s++) {
        const Slot *slot = &op->slots[s];
        if (slot->is_param || (slot->either && json_get(params, slot->name)))
            continue;
        least += !slot->optional;
        most++;
        many = many || slot->many;
    }
    if (n >= least && (many || n <= most))
        return true;
    return read_error(r, at, "expected %zu input%s%s, got %zu", least, least == 1 ? "" : "s",
                      many ? " or more" : "", n);
}

/* add_param - the constant for `slot`, where the node gives it. */
static void add_param(Reader *r, const Decl *decl, const Json *params, const Slot *slot, Inputs *in)
{
    const Json *j = json_get(params, slot->name);
    if (!j) {
        if (!slot->optional)
            read_error(r, params ? params : decl->json, "the param '%s' is missing", slot->name);
        in->n++;
        return;
    }
    const Tensor *t = read_param(r, j, slot, decl->first_param + j->index);
    if (t) {
        const char *name = arena_printf(r->arena, "%s.%s", decl->name, slot->name);
        while (names_find(r, name))
            name = graph_fresh_name(r->graph, name);
        in->constants[in->n] = graph_add_constant(r->graph, name, t);
    }
    in->n++;
}

static void read_node_inputs(Reader *r, Decl *decl, const OpInfo *op, Inputs *in)
{
    const Json *inputs = read_member(r, decl->json, "inputs", JSON_ARRAY, true);
    const Json *params = read_member(r, decl->json, "params", JSON_OBJECT, false);
    size_t      n = inputs ? inputs->n_items : 0, next = 0;
    in->constants = arena_array(r->arena, ValueId, n + MAX_SLOTS);
    in->refs = arena_array(r->arena, ItemId, n + MAX_SLOTS);
    for (size_t i = 0; i < n + MAX_SLOTS; i++)
        in->refs[i] = NO_ITEM;

    check_params(r, params, op);
    if (inputs)
        check_count(r, inputs, op, params, n);
    for (int s = 0; s < op->n_slots; s++) {
        const Slot *slot = &op->slots[s];
        if (slot->is_param || (slot->either && json_get(params, slot->name))) {
            add_param(r, decl, params, slot, in);
            continue;
        }
        size_t stop = slot->many ? n : next + 1;
        for (; next < stop && next < n; next++)
            in->refs[in->n++] = names_resolve(r, &inputs->items[next], "an input");
    }
}

void read_node(Reader *r, Decl *decl)
{
    OpAttrs attrs;
    Inputs  in = {0};
    r->op_name = "node";
    r->node_name = decl->name;
    Op op = decl->json->kind == JSON_OBJECT ? read_op(r, decl->json) : OP_NONE;
    if (op != OP_NONE) {
        const OpInfo *info = op_info(op);
        r->op_name = info->name;
        read_attrs(r, decl->json, read_member(r, decl->json, "attrs", JSON_OBJECT, false), info,
                   &attrs);
        read_node_inputs(r, decl, info, &in);
        decl->node = graph_add(r->graph, op, decl->value_name, read_span(r, decl->json), (int)in.n,
                               in.constants, &attrs, 0);
        node_at(r->graph, decl->node)->name = decl->name;
        decl->refs = in.refs;
        decl->n_refs = in.n;
    }
    r->op_name = r->node_name = NULL;
}
