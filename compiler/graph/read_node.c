/* read_node.c - one node of the model, driven by the op table of ops/ops.h. */
#include "graph/read.h"

#include <string.h>

/* What a node's inputs are, slot by slot; refs[i] is behind in[i] unless that is a constant. `place` is
 * the position of the next constant under "inputs" among those of the model. */
typedef struct Inputs {
    uint64_t place;
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

/* add_missing - an absent param, which only an optional one may be. */
static void add_missing(Reader *r, const Decl *decl, const Json *params, const Slot *slot,
                        Inputs *in)
{
    if (!slot->optional)
        read_error(r, params ? params : decl->json, "the param '%s' is missing", slot->name);
    in->n++;
}

/* constant_name - what the weights file calls it; "": a formula. */
static const char *constant_name(const Json *j)
{
    const Json *name = j->kind == JSON_STRING ? j : json_get(j, "tensor");
    return name && name->kind == JSON_STRING ? name->string : "";
}

/* add_constant - what `j` gives to `slot`. */
static void add_constant(Reader *r, const Json *j, const Slot *slot, uint64_t place, Inputs *in)
{
    const Tensor *t = read_param(r, j, slot, place);
    if (t)
        in->constants[in->n] = graph_add_constant(r->graph, constant_name(j), t);
    in->n++;
}

/* add_input - the value or the constant that entry `j` of "inputs" gives to `slot`. */
static void add_input(Reader *r, const Json *j, const Slot *slot, Inputs *in)
{
    if (j->kind == JSON_OBJECT)
        add_constant(r, j, slot, in->place++, in);
    else
        in->refs[in->n++] = names_resolve(r, j, "an input");
}

static void read_node_inputs(Reader *r, Decl *decl, const OpInfo *op, Inputs *in)
{
    const Json *inputs = read_member(r, decl->json, "inputs", JSON_ARRAY, true);
    const Json *params = read_member(r, decl->json, "params", JSON_OBJECT, false);
    size_t      n = inputs ? inputs->n_items : 0, next = 0;
    uint64_t    first_param = decl->first_param;
    in->place = decl->first_param;
    in->constants = arena_array(r->arena, ValueId, n + MAX_SLOTS);
    in->refs = arena_array(r->arena, ItemId, n + MAX_SLOTS);
    for (size_t i = 0; i < n + MAX_SLOTS; i++)
        in->refs[i] = NO_ITEM;
    for (size_t i = 0; i < n; i++)
        first_param += inputs->items[i].kind == JSON_OBJECT;

    check_params(r, params, op);
    if (inputs)
        check_count(r, inputs, op, params, n);
    for (int s = 0; s < op->n_slots; s++) {
        const Slot *slot = &op->slots[s];
        const Json *param = json_get(params, slot->name);
        bool        as_param = slot->is_param || (slot->either && param);
        if (as_param && param)
            add_constant(r, param, slot, first_param + param->index, in);
        else if (as_param)
            add_missing(r, decl, params, slot, in);
        size_t stop = as_param ? next : slot->many ? n : next + 1;
        for (; next < stop && next < n; next++)
            add_input(r, &inputs->items[next], slot, in);
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
