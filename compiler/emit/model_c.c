/* model_c.c - the .c file around the kernels, and the files as a whole. */
#include "emit/emit.h"

#include <inttypes.h>
#include <string.h>

/* ---- the top of the file ------------------------------------------------------------------ */

static const char *held_text(Held held)
{
    switch (held) {
    case HELD_NONE: return "none";
    case HELD_NUMBERS:
    case HELD_STRING: return "inline";
    case HELD_FILE: return "in a file of their own, for the caller to load";
    case HELD_ASM: return "drawn in by the assembler: compile in this folder, or with -I";
    }
    return "";
}

static void head_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    static const char *const fp[] = {"strict", "exact", "fast"};
    Arena                   *a = w->text.arena;
    const char              *file = text_printable(a, emit_basename(o->stem));
    int64_t                  macs = 0;
    for (int i = 0; i < p->n_steps; i++)
        macs += p->steps[i].macs;
    Text t = text_new(a);
    text_printf(&t, "%s - model '%s' as C, made by kiln:\n\n    %s\n\n", names->lower,
                text_printable(a, p->graph->name),
                o->command ? text_printable(a, o->command) : "kiln");
    text_printf(&t, "Compile it with:  cc %s -c %s.c\n\n", o->target->c_flags, file);
    text_printf(&t, "target %s: %s; floating point: %s\n", o->target->name, o->target->about,
                fp[o->fp]);
    text_printf(&t, "%" PRId64 " multiply-accumulates in %d steps by %d functions\n", macs,
                p->n_steps, p->n_functions);
    text_printf(&t, "%" PRId64 " bytes of activations, %s\n", arena_size(p),
                o->arena_by_caller ? "from the caller" : "static");
    if (packs_bytes(p->packs))
        text_printf(&t, "%" PRId64 " bytes of weights laid out at start, static\n",
                    packs_bytes(p->packs));
    text_printf(&t, "%" PRId64 " bytes of weights, %s", weights_bytes(p, o),
                held_text(weights_held(p, o)));
    w_comment(w, t.data);
    w_blank(w);
}

static void target_guard_c(Writer *w, const Target *t)
{
    if (!t->guard)
        return;
    w_line(w, "#if !(%s)", t->guard);
    w_line(w, "#error \"this file is for target %s: %s\"", t->name, t->guard_hint);
    w_line(w, "#endif");
    w_blank(w);
}

static void exact_guard_c(Writer *w)
{
    w_comment(w, "One summation order, no contraction: the same bits from every compiler.");
    w_line(w, "#if defined(__FAST_MATH__)");
    w_line(w, "#error \"this file is for exact arithmetic: compile without -ffast-math\"");
    w_line(w, "#endif");
    w_line(w, "#if defined(__clang__)");
    w_line(w, "#pragma STDC FP_CONTRACT OFF");
    w_line(w, "#elif defined(__GNUC__)");
    w_line(w, "#pragma GCC optimize (\"fp-contract=off\")");
    w_line(w, "#endif");
    w_blank(w);
}

/* clang_contract_c - gcc makes one rounding of a product and a sum wherever it finds them, clang within
 * one expression of the source, which ends at every intrinsic: the curve of a sigmoid then has twice the
 * instructions. Ahead of the headers, for the operators stand in their functions. */
static void clang_contract_c(Writer *w)
{
    w_line(w, "#ifdef __clang__ /* gcc does so without being asked */");
    w_line(w, "#pragma clang fp contract(fast)");
    w_line(w, "#endif");
    w_blank(w);
}

/* gcc_guard_c - gcc would turn loops that copy into calls of memmove; the file is to need no
 * library. And when gcc 12.2 propagates the constant addresses of calls into clones of kernels, it
 * drops calls whose results are read: wrong results at -O2 and -O3, seen with scratch memory used
 * twice. Predictive commoning keeps what neighbouring taps of a filter have in common for the next
 * iteration: more values than there are registers, in kernels whose tiles fill them. */
static void gcc_guard_c(Writer *w)
{
    w_line(w, "#if defined(__GNUC__) && !defined(__clang__)");
    w_line(w, "#pragma GCC optimize (\"no-tree-loop-distribute-patterns\", \"no-ipa-cp\", \\");
    w_line(w, "                      \"no-predictive-commoning\")");
    w_line(w, "#endif");
    w_blank(w);
}

static void includes_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    bool copies = false;
    for (int i = 0; i < p->graph->n_outputs; i++)
        copies |= output_source(p, o, names, i, w->text.arena) != NULL;
    w_line(w, "#include \"%s.h\"", emit_basename(o->stem));
    w_blank(w);
    if (o->target->header) {
        w_line(w, "#include <%s>", o->target->header);
        w_blank(w);
    }
    if (copies) { /* firmware may have the function and no header */
        w_line(w, "void *memcpy(void *restrict to, const void *restrict from, size_t bytes);");
        w_blank(w);
    }
    if (!o->profile && !o->threads)
        return;
    if (!o->profile) {
        w_line(w, "#include \"kiln.h\"");
        w_blank(w);
    }
    w_line(w, "#if KILN_RUNTIME_VERSION != 3");
    w_line(w, "#error \"kiln.h is of another version than this file\"");
    w_line(w, "#endif");
    w_blank(w);
}

static void helpers(Writer *w, const Program *p, const EmitOptions *o)
{
    Needs n = needs_new(o->target, w->text.arena);
    for (int i = 0; i < p->n_kernels; i++)
        needs_scan(&n, o->target, p->texts[i].body);
    packs_scan(p->packs, &n);
    if (weights_held(p, o) == HELD_NUMBERS && blob_has_odd_numbers(p->blob))
        needs_scan(&n, o->target, "INFINITY_F32 NAN_F32");
    helpers_c(w, o->target, &n);
}

/* ---- kernels ------------------------------------------------------------------------------ */

/* add_nodes - the nodes that a kernel computes, their shape and work. */
static void add_nodes(Text *t, const Program *p, int kernel, Arena *a)
{
    const Kernel *k = p->kernels[kernel];
    const char   *before = t->len ? "\n" : "";
    for (int i = 0; i < p->n_steps; i++) {
        if (p->steps[i].kernel != kernel)
            continue;
        text_printf(t, "%s%s", before,
                    text_printable(a, node_get(p->graph, p->steps[i].node)->name));
        before = ", ";
    }
    text_printf(t, ": %s", describe_node(p->graph, k->node, a));
    if (k->macs)
        text_printf(t, "\n%" PRId64 " multiply-accumulates", k->macs);
}

/* function_comment - its nodes, the schedule of the last kernel, which is that of all, and the reasons for it. */
static const char *function_comment(const Program *p, const Function *f, Arena *a)
{
    const Kernel *k = p->kernels[f->kernels[f->n_kernels - 1]];
    Text          t = text_new(a);
    text_add(&t, "");
    for (int i = 0; i < f->n_kernels; i++)
        add_nodes(&t, p, f->kernels[i], a);
    if (k->macs)
        text_printf(&t, "; schedule: %s, tile %dx%dx%d, unroll_k %d",
                    algorithm_name(node_get(p->graph, k->node)->algorithm), k->schedule.tile.h,
                    k->schedule.tile.m, k->schedule.tile.n, k->schedule.unroll_k);
    size_t n = k->notes.len;
    while (n && k->notes.data[n - 1] == '\n')
        n--;
    if (n)
        text_printf(&t, "\n%.*s", (int)n, k->notes.data);
    return t.data;
}

static void kernels_c(Writer *w, OutFile *f, const Program *p)
{
    for (int i = 0; i < p->n_kernels; i++) {
        const Function *function = p->functions[i];
        Arena          *a = arena_new();
        if (function->kernels[0] == i) {
            w_comment(w, function_comment(p, function, a));
            function_c(w, p, function);
            writer_flush(w, f);
        }
        arena_free(a);
    }
}

/* ---- the files ---------------------------------------------------------------------------- */

static void model_c(OutFile *f, const Program *p, const EmitOptions *o, const Names *names,
                    Arena *a)
{
    Writer w = {.text = text_new(a)};
    head_c(&w, p, o, names);
    target_guard_c(&w, o->target);
    if (o->fp == FP_EXACT)
        exact_guard_c(&w);
    else if (o->target->has_fma)
        clang_contract_c(&w);
    gcc_guard_c(&w);
    includes_c(&w, p, o, names);
    helpers(&w, p, o);
    packs_memory_c(&w, p, o, names);
    weights_c(&w, f, p, o, names);
    kernels_c(&w, f, p);
    infer_c(&w, p, o, names);
    writer_flush(&w, f);
}

bool emit_model(const Program *p, const EmitOptions *o, const char *out_path, Diag *d)
{
    enum { H, WEIGHTS, C, N_FILES }; /* renamed in this order: OUT.c stands when all stand */
    Arena      *a = arena_new();
    Names       names = names_choose(p, o->prefix, a);
    const char *stem = emit_basename(o->stem);
    bool        ok = true;
    const char *paths[N_FILES] = {
        [H] = path_beside(a, out_path, arena_printf(a, "%s.h", stem)), [C] = out_path};
    if (o->weights != WEIGHTS_INLINE && weights_held(p, o) != HELD_NONE)
        paths[WEIGHTS] = path_beside(a, out_path, arena_printf(a, "%s.weights.bin", stem));
    OutFile *files[N_FILES] = {NULL};
    for (int i = 0; i < N_FILES && ok; i++)
        if (paths[i])
            ok = (files[i] = file_create(a, d, paths[i])) != NULL;
    if (ok) {
        Writer w = {.text = text_new(a)};
        header_c(&w, p, o, &names);
        writer_flush(&w, files[H]);
        model_c(files[C], p, o, &names, a);
        if (files[WEIGHTS])
            weights_file(files[WEIGHTS], p);
    }
    if (ok)
        ok = file_commit_all(files, N_FILES);
    else
        for (int i = 0; i < N_FILES; i++)
            file_abandon(files[i]);
    arena_free(a);
    return ok;
}
