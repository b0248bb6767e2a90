/* compile.c - graph -> kernels.
 *
 * Each node is lowered, scheduled and taken through the kernel passes in memory of its own, which
 * is given back once the kernel is C; kernels that print alike are kept once, and those that differ in
 * numbers only share their text. Constants go to the blob, and what they are made of is copied where it
 * lay in the kernel's memory. */
#include "emit/emit.h"

#include "ops/ops.h"

#include <string.h>

typedef struct Compiler {
    Program           *program;
    const EmitOptions *o;
    Arena             *arena; /* lives as long as the program */
    size_t             cap_kernels, cap_texts, cap_steps;
    uint32_t          *slots; /* hash table of kernels by text: position + 1 */
    size_t             n_slots;
    int                counts[N_OPS]; /* kernels named after each op */
} Compiler;

/* ---- kernel passes ------------------------------------------------------------------------ */

static void print_after(const EmitOptions *o, const Kernel *k, const char *node, const char *pass)
{
    if (!o->print_after ||
        (strcmp(o->print_after, pass) != 0 && strcmp(o->print_after, "all") != 0))
        return;
    text_printf(o->printed, "// %s after %s\n", text_printable(k->arena, node), pass);
    kernel_print(k, o->printed);
    text_add(o->printed, "\n");
}

/* check - a kernel that does not verify is our own bug. */
static bool check(const Graph *g, const Kernel *k, const Node *n, const char *pass)
{
    Text why = text_new(k->arena);
    if (kernel_verify(k, &why))
        return true;
    diag_error(g->diag, n->where, "internal error: the kernel of '%s' is wrong after %s: %s",
               text_printable(k->arena, n->name), pass, why.data);
    return false;
}

static bool run_passes(const Graph *g, const EmitOptions *o, Kernel *k, const Node *n)
{
    if (!check(g, k, n, "lowering"))
        return false;
    for (int i = 0; i < n_kernel_passes; i++) {
        const KernelPass *pass = &kernel_passes[i];
        if (!kernel_pass_runs(i, o->disabled, o->n_disabled))
            continue;
        pass->run(k);
        if (!check(g, k, n, pass->name))
            return false;
        print_after(o, k, n->name, pass->name);
    }
    return true;
}

/* ---- memory ------------------------------------------------------------------------------- */

/* find_aliases - inputs that are the output's own memory, and buffers that share a block
 * otherwise. */
static Aliases find_aliases(const Graph *g, const Kernel *k)
{
    Aliases  a = {arena_array(k->arena, BufferId, k->n_buffers),
                  arena_array(k->arena, bool, k->n_buffers)};
    int64_t *at = arena_array(k->arena, int64_t, k->n_buffers);
    ValueId *home = arena_array(k->arena, ValueId, k->n_buffers);
    for (BufferId b = 1; b < k->n_buffers; b++)
        if (k->buffers[b].value && k->buffers[b].kind != BUF_CONST)
            home[b] = value_home(g, k->buffers[b].value, &at[b]);
    for (BufferId y = 1; y < k->n_buffers; y++) {
        for (BufferId x = 1; k->buffers[y].kind == BUF_OUT && x < k->n_buffers; x++) {
            if (x == y || !home[x] || home[x] != home[y])
                continue;
            bool same = at[x] == at[y] && k->buffers[x].elem == k->buffers[y].elem &&
                        k->buffers[x].kind == BUF_IN;
            if (same)
                a.same[x] = y;
            else
                a.may_overlap[x] = a.may_overlap[y] = true;
        }
    }
    return a;
}

/* keep_tensor - the tensor of a constant, copied unless it is the model's own. */
static const Tensor *keep_tensor(Compiler *c, const Buffer *b)
{
    const Tensor *t = b->view.tensor;
    const Tensor *own = b->value ? value_get(c->program->graph, b->value)->constant : NULL;
    if (t == own)
        return t;
    Tensor *copy = arena_struct(c->arena, Tensor);
    *copy = *t;
    if (b->view.plain || (own && own->data == t->data))
        return copy;
    size_t bytes = (size_t)type_count(&t->type) * elem_bytes(t->type.elem);
    void  *data = arena_alloc(c->arena, bytes);
    memcpy(data, t->data, bytes);
    copy->data = data;
    return copy;
}

static int64_t add_constant(Compiler *c, const Buffer *buffer)
{
    Blob   *blob = c->program->blob;
    Buffer  b = *buffer;
    int     before = blob_n_entries(blob);
    int64_t offset = blob_add(blob, &b);
    if (blob_n_entries(blob) > before)
        blob_keep(blob, keep_tensor(c, &b));
    return offset;
}

/* add_weight - a constant as it is read; or plain, for NAME_init to make it from. */
static Weight add_weight(Compiler *c, const Buffer *b)
{
    Buffer plain;
    if (!c->o->packs_at_start || !pack_plain(b, &plain))
        return (Weight){false, add_constant(c, b)};
    return (Weight){true, packs_add(c->program->packs, b, &plain, add_constant(c, &plain))};
}

/* ---- kernels that come out alike ----------------------------------------------------------- */

static size_t text_hash(const KernelText *t)
{
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (const char *s = t->params; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    for (const char *s = t->body; *s; s++)
        h = (h ^ (unsigned char)*s) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

/* slot_of - where the first kernel with such a text, whatever its numbers, is in the table, or the free place it
 * would take. */
static size_t slot_of(const Compiler *c, const KernelText *t)
{
    size_t mask = c->n_slots - 1, at = text_hash(t) & mask;
    for (; c->slots[at]; at = (at + 1) & mask) {
        const KernelText *other = &c->program->texts[c->slots[at] - 1];
        if (!strcmp(other->params, t->params) && !strcmp(other->body, t->body) &&
            other->is_shared == t->is_shared)
            break;
    }
    return at;
}

/* find_alike - of the kernels from `first` on that differ in numbers only, the one with the numbers of `t`. -1:
 * none, and *last is the last of them. */
static int find_alike(const Program *p, int first, const KernelText *t, int *last)
{
    size_t bytes = (size_t)t->n_numbers * sizeof *t->numbers;
    for (int i = first; i >= 0; i = p->texts[i].next_alike) {
        if (!bytes || !memcmp(p->texts[i].numbers, t->numbers, bytes))
            return i;
        *last = i;
    }
    return -1;
}

/* keep_text - the text of kernel `i`; kernel `alike` (-1: there is none) differs in numbers only. */
static void keep_text(Compiler *c, int i, const KernelText *t, int alike)
{
    Program *p = c->program;
    Arena   *a = c->arena;
    p->texts[i] = (KernelText){
        .params = alike < 0 ? arena_strdup(a, t->params) : p->texts[alike].params,
        .body = alike < 0 ? arena_strdup(a, t->body) : p->texts[alike].body,
        .numbers = arena_array(a, int64_t, (size_t)t->n_numbers + 1),
        .n_numbers = t->n_numbers,
        .next_alike = -1,
        .n_inputs = t->n_inputs,
        .is_shared = t->is_shared,
    };
    for (int j = 0; j < t->n_numbers; j++)
        p->texts[i].numbers[j] = t->numbers[j];
    if (alike >= 0)
        p->texts[alike].next_alike = i;
}

/* enter - kernel `i` into the table, which grows with their number. */
static void enter(Compiler *c, int i)
{
    Program *p = c->program;
    if (2 * (size_t)p->n_kernels <= c->n_slots) {
        c->slots[slot_of(c, &p->texts[i])] = (uint32_t)i + 1;
        return;
    }
    c->n_slots *= 2;
    c->slots = arena_array(c->arena, uint32_t, c->n_slots);
    for (int j = p->n_kernels; j-- > 0;)
        c->slots[slot_of(c, &p->texts[j])] = (uint32_t)j + 1;
}

/* new_kernel - keep what the program needs of `k`, named after its op and numbered: not its body,
 * which is large; program_print makes it again. */
static int new_kernel(Compiler *c, const Kernel *k, Op op, const KernelText *text, int alike)
{
    Program *p = c->program;
    Arena   *a = c->arena;
    int      i = p->n_kernels++;
    p->kernels = arena_grow(a, p->kernels, (size_t)i, &c->cap_kernels, sizeof *p->kernels);
    p->texts = arena_grow(a, p->texts, (size_t)i, &c->cap_texts, sizeof *p->texts);
    char   *name = arena_printf(a, "%s_%d", op_info(op)->name, ++c->counts[op]);
    Kernel *kept = p->kernels[i] = kernel_new(a, name, k->target, k->fp);
    kept->node = k->node;
    kept->schedule = k->schedule;
    kept->macs = k->macs;
    text_add_bytes(&kept->notes, k->notes.data, k->notes.len);
    keep_text(c, i, text, alike);
    if (alike < 0)
        enter(c, i);
    return i;
}

static void add_step(Compiler *c, NodeId n, const Kernel *k, const KernelText *text, int kernel)
{
    Program *p = c->program;
    p->steps = arena_grow(c->arena, p->steps, (size_t)p->n_steps, &c->cap_steps, sizeof *p->steps);
    Step *s = &p->steps[p->n_steps++];
    *s = (Step){.node = n, .kernel = kernel, .macs = k->macs};
    s->n_args = text->n_args;
    s->n_weights = text->n_constants;
    s->args = arena_array(c->arena, ValueId, (size_t)s->n_args);
    s->weights = arena_array(c->arena, Weight, (size_t)s->n_weights);
    for (int i = 0; i < s->n_args; i++)
        s->args[i] = k->buffers[text->args[i]].value;
    for (int i = 0; i < s->n_weights; i++) {
        const Buffer *b = &k->buffers[text->constants[i]];
        s->weights[i] = add_weight(c, b);
        s->weight_bytes += b->count * (int64_t)elem_bytes(b->elem);
    }
}

/* ---- the program --------------------------------------------------------------------------- */

/* kernel_target - the narrow target for what it makes blocks of. */
static const Target *kernel_target(const Graph *g, const Node *n, const Target *t)
{
    int block = (int)value_get(g, n->out)->type.layout.block;
    return t->narrow && block == t->narrow->lanes ? t->narrow : t;
}

Kernel *program_lower(Graph *g, NodeId n, const EmitOptions *o, Arena *a)
{
    const Node *node = node_get(g, n);
    Kernel *k = kernel_new(a, op_info(node->op)->name, kernel_target(g, node, o->target), o->fp);
    k->node = n;
    k->weights_cold = o->weights_cold;
    op_info(node->op)->lower(g, n, k);
    schedule_override(o->schedules, node->name, &k->schedule);
    return k;
}

/* make_kernel - a node lowered, scheduled and taken through the passes. NULL: reported. */
static Kernel *make_kernel(Graph *g, NodeId n, const EmitOptions *o, Arena *a)
{
    Kernel *k = program_lower(g, n, o, a);
    return run_passes(g, o, k, node_get(g, n)) ? k : NULL;
}

/* compile_node - false: reported. A node with nothing left to do (a view, a concat its producers
 * write) makes no step. */
static bool compile_node(Compiler *c, NodeId n)
{
    Graph  *g = c->program->graph;
    Arena  *scratch = arena_new();
    Kernel *k = make_kernel(g, n, c->o, scratch);
    if (k) {
        Aliases    aliases = find_aliases(g, k);
        KernelText text = kernel_c(k, &aliases, c->o->threads, scratch);
        if (*text.body) {
            int last = -1, first = (int)c->slots[slot_of(c, &text)] - 1;
            int kernel = find_alike(c->program, first, &text, &last);
            if (kernel < 0)
                kernel = new_kernel(c, k, node_get(g, n)->op, &text, last);
            add_step(c, n, k, &text, kernel);
        }
    }
    arena_free(scratch);
    return k != NULL;
}

/* add_outputs - outputs whose value is constant: infer copies them out of the blob. */
static void add_outputs(Compiler *c)
{
    Program *p = c->program;
    p->output_weights = arena_array(c->arena, int64_t, (size_t)p->graph->n_outputs + 1);
    for (int i = 0; i < p->graph->n_outputs; i++) {
        const Value *v = value_get(p->graph, p->graph->outputs[i].value);
        p->output_weights[i] = -1;
        if (!v->constant)
            continue;
        Buffer b = {.name = "y", .kind = BUF_CONST, .count = type_count(&v->type)};
        b.elem = elem_is_float(v->type.elem) ? F32 : v->type.elem;
        b.value = p->graph->outputs[i].value;
        b.view.tensor = v->constant;
        memcpy(b.view.padded, v->constant->type.dims, sizeof b.view.padded);
        p->output_weights[i] = add_constant(c, &b);
    }
}

Program *program_compile(Graph *g, const EmitOptions *o)
{
    enum { VECTOR_ALIGN = 64, SCALAR_ALIGN = 4, FIRST_SLOTS = 64 };
    Program *p = arena_struct(g->arena, Program);
    Compiler c = {.program = p, .o = o, .arena = g->arena, .n_slots = FIRST_SLOTS};
    c.slots = arena_array(g->arena, uint32_t, c.n_slots);
    p->graph = g;
    p->options = *o;
    p->options.print_after = NULL;
    p->blob = blob_new(g->arena, o->target->lanes > 1 ? VECTOR_ALIGN : SCALAR_ALIGN);
    p->packs = packs_new(g->arena, o->target);
    bool ok = true;
    for (NodeId n = graph_first(g); n && !diag_full(g->diag); n = graph_next(g, n))
        ok &= compile_node(&c, n);
    add_outputs(&c);
    functions_choose(p, g->arena);
    return ok ? p : NULL;
}

void program_print(const Program *p, Text *out)
{
    for (int i = 0; i < p->n_kernels; i++) {
        Arena  *a = arena_new();
        Kernel *k = make_kernel(p->graph, p->kernels[i]->node, &p->options, a);
        if (i)
            text_add(out, "\n");
        if (k) {
            k->name = p->kernels[i]->name;
            kernel_print(k, out);
        }
        arena_free(a);
    }
}
