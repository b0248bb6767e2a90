/* kernel.c - building a kernel: loops, temporaries, buffers, statements. */
#include "kernel/kernel.h"
#include "target/target.h"

#include <assert.h>
#include <string.h>

Kernel *kernel_new(Arena *a, const char *name, const struct Target *t, FpMode fp)
{
    Kernel *k = arena_struct(a, Kernel);
    k->arena = a;
    k->target = t;
    k->fp = fp;
    k->name = arena_strdup(a, name);
    k->n_loops = k->n_temps = k->n_buffers = 1; /* id 0 is none */
    k->body = st_block(k);
    k->notes = text_new(a);
    return k;
}

/* ---- loops, temporaries, buffers -------------------------------------------------------- */

LoopId kernel_loop(Kernel *k, const char *name, int64_t extent, LoopRole role, LoopAxis axis)
{
    assert(extent >= 1);
    k->loops = arena_grow(k->arena, k->loops, k->n_loops, &k->cap_loops, sizeof *k->loops);
    k->loops[k->n_loops] =
        (Loop){.name = name, .extent = extent, .role = role, .mark = SERIAL, .axis = axis};
    return k->n_loops++;
}

LoopId kernel_loop_if(Kernel *k, const char *name, int64_t extent, LoopRole role, LoopAxis axis)
{
    return extent == 1 ? 0 : kernel_loop(k, name, extent, role, axis);
}

TempId kernel_temp(Kernel *k, const char *name, VType type)
{
    k->temps = arena_grow(k->arena, k->temps, k->n_temps, &k->cap_temps, sizeof *k->temps);
    k->temps[k->n_temps] = (Temp){.name = name, .type = type};
    return k->n_temps++;
}

BufferId kernel_buffer(Kernel *k, const char *name, Elem e, BufferKind kind, int64_t count,
                       ValueId v)
{
    k->buffers =
        arena_grow(k->arena, k->buffers, k->n_buffers, &k->cap_buffers, sizeof *k->buffers);
    k->buffers[k->n_buffers] =
        (Buffer){.name = name, .elem = e, .kind = kind, .count = count, .value = v};
    return k->n_buffers++;
}

BufferId kernel_constant(Kernel *k, const char *name, const Tensor *t, const int64_t *padded)
{
    int64_t count = 1;
    View    view = {.tensor = t};
    for (int i = 0; i < t->type.rank; i++) {
        view.padded[i] = padded ? padded[i] : t->type.dims[i];
        assert(view.padded[i] >= t->type.dims[i]);
        bool fits = mul_ok(count, view.padded[i], &count);
        assert(fits);
        (void)fits;
    }
    Elem     e = elem_is_float(t->type.elem) ? F32 : t->type.elem;
    BufferId b = kernel_buffer(k, name, e, BUF_CONST, count, 0);
    k->buffers[b].view = view;
    return b;
}

BufferId kernel_weight(Kernel *k, const char *name, const Tensor *t, const int64_t *padded,
                       ValueId v)
{
    BufferId b = kernel_constant(k, name, t, padded);
    k->buffers[b].elem = t->type.elem;
    k->buffers[b].value = v;
    return b;
}

/* From half of that cache on, for pixels and results pass through it too. */
bool kernel_is_streamed(const Kernel *k, BufferId b)
{
    const Buffer *buffer = &k->buffers[b];
    if (buffer->kind != BUF_CONST)
        return false;
    int64_t whole = type_count(&buffer->view.tensor->type);
    int64_t count = buffer->count > whole ? buffer->count : whole;
    return count * (int64_t)elem_bytes(buffer->elem) >= k->target->l2_bytes / 2;
}

bool kernel_is_tile_loop(const Kernel *k, const Stmt *s)
{
    return s->kind == S_FOR && k->loops[s->loop].mark == UNROLL &&
           k->loops[s->loop].role == PARALLEL;
}

/* ---- statements ------------------------------------------------------------------------- */

static Stmt *stmt_new(Kernel *k, StmtKind kind)
{
    Stmt *s = arena_struct(k->arena, Stmt);
    s->kind = kind;
    return s;
}

Stmt *st_block(Kernel *k)
{
    return stmt_new(k, S_BLOCK);
}

/* append - one item, which is no block. */
static void append(Kernel *k, Stmt *block, Stmt *item)
{
    if (block->n_items >= block->cap_items) {
        int    cap = block->n_items < 4 ? 4 : 2 * block->n_items;
        Stmt **items = arena_array(k->arena, Stmt *, (size_t)cap);
        if (block->n_items)
            memcpy(items, block->items, (size_t)block->n_items * sizeof *items);
        block->items = items;
        block->cap_items = cap;
    }
    block->items[block->n_items++] = item;
}

void st_add(Kernel *k, Stmt *block, Stmt *item)
{
    assert(block->kind == S_BLOCK && block != item);
    if (!item)
        return;
    if (item->kind != S_BLOCK) {
        append(k, block, item);
        return;
    }
    for (int i = 0; i < item->n_items; i++)
        st_add(k, block, item->items[i]);
}

Stmt *st_for(Kernel *k, LoopId l, Stmt *body)
{
    if (!l || !body)
        return body;
    Stmt *s = stmt_new(k, S_FOR);
    s->loop = l;
    s->body = body;
    return s;
}

Stmt *st_let(Kernel *k, TempId t, const Expr *v)
{
    Stmt *s = stmt_new(k, S_LET);
    s->temp = t;
    s->value = v;
    return s;
}

Stmt *st_set(Kernel *k, TempId t, AssignOp op, const Expr *v)
{
    Stmt *s = stmt_new(k, S_SET);
    s->temp = t;
    s->op = op;
    s->value = v;
    return s;
}

Stmt *st_store(Kernel *k, BufferId b, Affine index, AssignOp op, const Expr *v)
{
    Stmt *s = stmt_new(k, S_STORE);
    s->buffer = b;
    s->index = index;
    s->op = op;
    s->value = v;
    return s;
}

Stmt *st_guard(Kernel *k, const Test *tests, int n, Stmt *body)
{
    if (n == 0 || !body)
        return body;
    Stmt *s = stmt_new(k, S_GUARD);
    s->tests = arena_array(k->arena, Test, (size_t)n);
    memcpy(s->tests, tests, (size_t)n * sizeof *tests);
    s->n_tests = n;
    s->body = body;
    return s;
}

Stmt *st_prefetch(Kernel *k, BufferId b, Affine index, bool outer)
{
    Stmt *s = stmt_new(k, S_PREFETCH);
    s->buffer = b;
    s->index = index;
    s->outer = outer;
    return s;
}

Stmt *st_note(Kernel *k, const char *text)
{
    Stmt *s = stmt_new(k, S_NOTE);
    s->note = text_printable(k->arena, text);
    return s;
}
