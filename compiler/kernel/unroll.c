/* unroll.c - copies of UNROLL bodies, each with its own temporaries.
 *
 *     for ow1 in 2 { acc[ow1] += xv * w }     ->     acc_0 += xv * w    acc_1 += xv * w
 *
 * Named accumulators stay in registers. A temporary expanded over the loop becomes one temporary a copy,
 * the same one in every nest that runs the loop; one that the body defines with LET becomes one a copy
 * too, so that no name is defined twice. A VECTOR loop that did not become vectors is copied as well, with
 * the JOINED one in it. */
#include "kernel/kernel.h"

/* temps[instance] is temporary `temp` in copy number `copy` of `loop`. */
typedef struct Instance {
    TempId  temp;
    LoopId  loop;
    int64_t copy;
    TempId  instance;
} Instance;

typedef struct Unroller {
    Instance *instances;
    size_t    n, cap;
    bool      changed;
} Unroller;

typedef struct Copy {
    Unroller   *u;
    LoopId      loop;
    int64_t     number;
    const bool *local; /* by temp: defined by LET inside the body */
} Copy;

static int expand_place(const Temp *t, LoopId l)
{
    for (int i = 0; i < t->n_expand; i++)
        if (t->expand[i] == l)
            return i;
    return -1;
}

static TempId make_instance(Kernel *k, TempId id, LoopId l, int64_t copy)
{
    char  *name = arena_printf(k->arena, "%s_%d", k->temps[id].name, (int)copy);
    TempId t = kernel_temp(k, name, k->temps[id].type);
    Temp  *now = &k->temps[t];
    *now = k->temps[id];
    now->name = name;
    int place = expand_place(now, l);
    if (place >= 0) {
        now->n_expand--;
        for (int i = place; i < now->n_expand; i++)
            now->expand[i] = now->expand[i + 1];
    }
    return t;
}

static TempId instance_of(Kernel *k, const Copy *c, TempId id)
{
    bool expanded = expand_place(&k->temps[id], c->loop) >= 0;
    if (!expanded && !c->local[id])
        return id;
    Unroller *u = c->u;
    for (size_t i = 0; i < u->n; i++)
        if (u->instances[i].temp == id && u->instances[i].loop == c->loop &&
            u->instances[i].copy == c->number)
            return u->instances[i].instance;
    u->instances = arena_grow(k->arena, u->instances, u->n, &u->cap, sizeof *u->instances);
    u->instances[u->n] =
        (Instance){id, c->loop, c->number, make_instance(k, id, c->loop, c->number)};
    return u->instances[u->n++].instance;
}

static Affine copy_index(Rewrite *r, const Affine *a)
{
    const Copy *c = r->ctx;
    Affine      number = affine_const(c->number);
    return affine_subst(a, c->loop, &number);
}

static const Expr *copy_expr(Rewrite *r, const Expr *e)
{
    return e->kind == E_TEMP ? ex_temp(r->k, instance_of(r->k, r->ctx, e->temp)) : e;
}

static Stmt *copy_stmt(Rewrite *r, Stmt *s)
{
    if (s->kind == S_LET || s->kind == S_SET)
        s->temp = instance_of(r->k, r->ctx, s->temp);
    return s;
}

static void find_lets(const Stmt *s, bool *local)
{
    if (s->kind == S_LET)
        local[s->temp] = true;
    if (s->kind == S_FOR || s->kind == S_GUARD)
        find_lets(s->body, local);
    for (int i = 0; s->kind == S_BLOCK && i < s->n_items; i++)
        find_lets(s->items[i], local);
}

static Stmt *unroll_stmt(Rewrite *r, Stmt *s)
{
    Kernel  *k = r->k;
    LoopMark mark = s->kind == S_FOR ? k->loops[s->loop].mark : SERIAL;
    if (mark != UNROLL && mark != VECTOR && mark != JOINED)
        return s;
    Unroller *u = r->ctx;
    u->changed = true;
    bool *local = arena_array(k->arena, bool, k->n_temps);
    find_lets(s->body, local);
    Stmt   *out = st_block(k);
    int64_t extent = k->loops[s->loop].extent;
    for (int64_t i = 0; i < extent; i++) {
        Copy    c = {u, s->loop, i, local};
        Rewrite copy = {
            .k = k, .ctx = &c, .index = copy_index, .expr = copy_expr, .stmt = copy_stmt};
        st_add(k, out, rewrite_stmt(&copy, s->body));
    }
    return out;
}

bool kpass_unroll(Kernel *k)
{
    Unroller u = {0};
    Rewrite  r = {.k = k, .ctx = &u, .stmt = unroll_stmt};
    k->body = rewrite_stmt(&r, k->body);
    return u.changed;
}
