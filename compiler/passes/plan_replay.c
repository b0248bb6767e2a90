/* plan_replay.c - the order of execution run on the planned memory, with names in place of numbers.
 *
 * It keeps the values whose contents are still whole. A node needs its inputs whole; what it writes
 * breaks every value that has bytes there. So a value freed too early, an overlap or a wrong
 * take-over shows as a node that reads something broken. Nothing of how the plan was made is used. */
#include "passes/passes.h"
#include "ops/ops.h"

/* Bytes of the arena (space 0) or of a model output in the caller's memory (its value). */
typedef struct Place {
    ValueId space;
    int64_t from, to;
} Place;

typedef struct Replay {
    const Graph *g;
    Text        *why;
    ValueId     *whole; /* values with their contents, needed later */
    size_t       n_whole;
    size_t      *reads_left; /* of each value */
    bool        *is_whole;
} Replay;

static Place place_of(const Graph *g, ValueId v)
{
    const Value *value = value_get(g, v);
    int64_t      from = value->offset, in_home;
    ValueId      space = 0, home = value_home(g, v, &in_home);
    if (!value_in_arena(g, v)) {
        space = home;
        from = in_home * (int64_t)elem_bytes(value->type.elem);
    }
    return (Place){space, from, from + storage_bytes(g, v)};
}

static bool overlap(const Place *a, const Place *b)
{
    return a->space == b->space && a->from < b->to && b->from < a->to;
}

/* Constants and model inputs are always there. */
static bool is_given(const Graph *g, ValueId v)
{
    return !v || !value_get(g, v)->producer;
}

static bool fail(Replay *r, const Node *n, ValueId v, const char *what)
{
    text_printf(r->why, "'%s' %s '%s'", text_printable(r->g->arena, n->name), what,
                text_printable(r->g->arena, value_get(r->g, v)->name));
    return false;
}

/* write_bytes - break the values that have bytes in `at`. */
static void write_bytes(Replay *r, Place at)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_whole; i++) {
        ValueId v = r->whole[i];
        Place   p = place_of(r->g, v);
        r->is_whole[v] = !overlap(&p, &at);
        if (r->is_whole[v])
            r->whole[kept++] = v;
    }
    r->n_whole = kept;
}

/* A node may write over an input only element by element. */
static bool check_overwritten(Replay *r, const Node *n)
{
    Place    out = place_of(r->g, n->out);
    unsigned flags = op_info(n->op)->flags;
    bool own = (flags & (OPF_UNARY | OPF_BINARY)) || n->op == OP_prelu || n->op == OP_batch_norm;
    for (int i = 0; i < n->n_in; i++) {
        if (is_given(r->g, n->in[i]))
            continue;
        Place       in = place_of(r->g, n->in[i]);
        const Type *x = &value_get(r->g, n->in[i])->type, *y = &value_get(r->g, n->out)->type;
        bool        same = in.from == out.from && in.to == out.to && type_same_shape(x, y) &&
                    layout_same(x->layout, y->layout);
        if (overlap(&in, &out) && !(same && (i >= n->n_own || own)))
            return fail(r, n, n->in[i], "writes over its input");
    }
    return true;
}

/* bytes_up_to - what the output of concat `n` takes with `extent` along the axis, in whole blocks. */
static int64_t bytes_up_to(const Graph *g, const Node *n, int axis, int64_t extent)
{
    Type t = value_get(g, n->out)->type;
    t.dims[axis] = extent;
    return extent ? type_stored_count(&t) * (int64_t)elem_bytes(t.elem) : 0;
}

/* write_concat - each input is either in place already or copied. Where the inputs are no runs of the
 * output's memory, all of it is written. */
static bool write_concat(Replay *r, const Node *n)
{
    const Graph *g = r->g;
    const Type  *y = &value_get(g, n->out)->type;
    Place        out = place_of(g, n->out);
    int64_t      before = 0, outer = 1;
    int          axis = axis_from_end(n->attrs.axis, y->rank);
    for (int i = 0; i < axis && y->layout.block == 1; i++) /* blocks of channels hold all images */
        outer *= y->dims[i];
    int64_t block = axis == 1 ? y->layout.block : 1;
    bool    has_runs = outer == 1 && (axis <= 1 ? block == y->layout.block : type_is_plain(y));
    for (int i = 0; i < n->n_own; i++) {
        int64_t extent = value_get(g, n->in[i])->type.dims[axis];
        Place   in = place_of(g, n->in[i]), part = out;
        if (has_runs) {
            part.from = out.from + bytes_up_to(g, n, axis, before / block * block);
            part.to = out.from + bytes_up_to(g, n, axis, before + extent);
        }
        before += extent;
        bool meets = !is_given(g, n->in[i]) && overlap(&in, &part);
        if (meets && (!has_runs || in.from != part.from || in.to != part.to))
            return fail(r, n, n->in[i], "copies within itself");
        if (!meets)
            write_bytes(r, part);
    }
    return true;
}

/* stays_in_place - whether the node is a view whose output lies on its input, a slice where its channels
 * begin. */
static bool stays_in_place(const Graph *g, const Node *n)
{
    int64_t ahead = n->op == OP_slice ? slice_place(g, n) : 0;
    if (n->op != OP_relayout && n->op != OP_slice && !(op_info(n->op)->flags & OPF_VIEW))
        return false;
    if (ahead < 0 || is_given(g, n->in[0]))
        return false;
    Place   in = place_of(g, n->in[0]), out = place_of(g, n->out);
    int64_t bytes = ahead * (int64_t)elem_bytes(value_get(g, n->out)->type.elem);
    return in.space == out.space && out.from == in.from + bytes;
}

static bool replay_write(Replay *r, const Node *n)
{
    if (n->op == OP_concat)
        return write_concat(r, n);
    if (stays_in_place(r->g, n))
        return true;
    if (!check_overwritten(r, n))
        return false;
    write_bytes(r, place_of(r->g, n->out));
    return true;
}

static void drop(Replay *r, ValueId v)
{
    size_t i = 0;
    while (r->whole[i] != v)
        i++;
    r->whole[i] = r->whole[--r->n_whole];
}

/* use_scratch - the node's scratch memory breaks what was there, and must be clear of the output. */
static bool use_scratch(Replay *r, const Node *n)
{
    if (!n->scratch)
        return true;
    Place at = place_of(r->g, n->scratch), out = place_of(r->g, n->out);
    write_bytes(r, at);
    return !overlap(&at, &out) || fail(r, n, n->scratch, "writes over its scratch memory");
}

static bool leaves_arena(const Graph *g, ValueId v)
{
    Place at = v ? place_of(g, v) : (Place){0};
    return at.space == 0 && (at.from < 0 || at.to > g->plan->bytes);
}

static bool replay_node(Replay *r, const Node *n)
{
    const Graph *g = r->g;
    if (leaves_arena(g, n->out) || leaves_arena(g, n->scratch))
        return fail(r, n, n->out, "leaves the arena with");
    /* Scratch is written while the inputs are read. */
    if (!use_scratch(r, n))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (!is_given(g, n->in[i]) && !r->is_whole[n->in[i]])
            return fail(r, n, n->in[i], "reads, after it was overwritten,");
    }
    if (!replay_write(r, n))
        return false;
    for (int i = 0; i < n->n_in; i++) {
        if (!is_given(g, n->in[i]) && --r->reads_left[n->in[i]] == 0 && r->is_whole[n->in[i]])
            drop(r, n->in[i]);
    }
    r->is_whole[n->out] = true;
    if (r->reads_left[n->out] > 0)
        r->whole[r->n_whole++] = n->out;
    return true;
}

bool plan_replay(const Graph *g, Text *why)
{
    Arena *a = arena_new();
    Replay r = {.g = g, .why = why};
    bool   ok = true;
    r.whole = arena_array(a, ValueId, g->n_values);
    r.reads_left = arena_array(a, size_t, g->n_values);
    r.is_whole = arena_array(a, bool, g->n_values);
    for (ValueId v = 1; v < g->n_values; v++) /* the caller reads outputs at the end */
        r.reads_left[v] = value_get(g, v)->n_users + value_get(g, v)->is_output;
    for (NodeId n = graph_first(g); n && ok; n = graph_next(g, n))
        ok = replay_node(&r, node_get(g, n));
    for (int i = 0; i < g->n_outputs && ok; i++) {
        ValueId v = g->outputs[i].value;
        if (!is_given(g, v) && !r.is_whole[v])
            ok = fail(&r, node_get(g, value_get(g, v)->producer), v, "loses the output");
    }
    arena_free(a);
    return ok;
}
