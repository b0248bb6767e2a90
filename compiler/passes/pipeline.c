/* pipeline.c - the passes in order: needs are checked before each, the verifier runs after it. */
#include "passes/passes.h"
#include "kernel/kernel.h"

#include <string.h>

const Pass passes[] = {
    {"infer-shapes", pass_infer_shapes, 0, HAS_SHAPES, "give every value its type",
     "first: all others look at shapes"},
    {"fold-constants", pass_fold_constants, HAS_SHAPES, 0,
     "compute nodes whose inputs are constant",
     "early: later passes match constants, not the nodes that make them"},
    {"remove-dead", pass_remove_dead, HAS_SHAPES, 0, "drop nodes that change nothing or go unused",
     "before the passes that look at neighbours and only users"},
    {"fold-movement", pass_fold_movement, HAS_SHAPES, 0,
     "cancel and move reshapes and transposes; name poolings over everything",
     "before folding and fusing: it takes what stands between a convolution and its followers "
     "away"},
    {"merge-common", pass_merge_common, HAS_SHAPES, 0, "compute equal nodes once",
     "after fold-movement, which makes nodes equal; before only users count"},
    {"match-activations", pass_match_activations, HAS_SHAPES, 0,
     "name activations that come in pieces",
     "after merge-common: the pieces then read one value; before fold-norm, which takes their "
     "constants into weights"},
    {"match-linear", pass_match_linear, HAS_SHAPES, 0, "call products by constant matrices linear",
     "before fold-norm, which makes a constant behind it the bias"},
    {"merge-pad", pass_merge_pad, HAS_SHAPES, 0, "let convolutions and poolings do the padding",
     "before fold-norm, which must know the padding of a convolution"},
    {"fold-norm", pass_fold_norm, HAS_SHAPES, 0,
     "scale weights in place of a batch norm or a constant factor", NULL},
    {"split-norm", pass_split_norm, HAS_SHAPES, 0, "turn other batch norms into mul and add",
     "after fold-norm took what weights can take; before fuse-epilogue, which takes the two"},
    {"fuse-epilogue", pass_fuse_epilogue, HAS_SHAPES, 0,
     "compute elementwise nodes where their input is made",
     "after all that removes or makes elementwise nodes"},
    {"store-weights", pass_store_weights, HAS_SHAPES, 0,
     "round weights to the type they are kept in (--store)",
     "when the weights are final, and before choose-algorithm, which must know their type"},
    {"round-products", pass_round_products, HAS_SHAPES, 0,
     "round what is multiplied to bf16, where the target sums pairs of such products (--fp fast)",
     "after store-weights, whose types it respects; before choose-algorithm: the products are cheaper"},
    {"choose-algorithm", pass_choose_algorithm, HAS_SHAPES, 0,
     "decide how the sums of convolutions are made: plainly, by Winograd's method or for fewer products",
     "before choose-layout: whole tiles want a wider halo"},
    {"choose-layout", pass_choose_layout, HAS_SHAPES, HAS_LAYOUT,
     "store values as the target's kernels read them",
     "when the nodes are final: each asks for the layout of its inputs"},
    {"reserve-scratch", pass_reserve_scratch, HAS_SHAPES, 0,
     "make room for what such convolutions make of their input",
     "after choose-layout, which decides whether its layouts can be had"},
    {"fuse-depthwise", pass_fuse_depthwise, HAS_SHAPES, 0,
     "make what a depthwise convolution reads a few channels at a time, where a 1x1 makes it",
     "after choose-layout, whose blocks of channels it works in, and when both epilogues are whole"},
    {"fuse-pool", pass_fuse_pool, HAS_SHAPES, 0,
     "take the maximum of each 2x2 where Winograd's method makes them",
     "after reserve-scratch: convolutions by Winograd's method stay so"},
    {"fuse-siblings", pass_fuse_siblings, HAS_SHAPES, 0,
     "make one of thin convolutions that read one value",
     "after choose-layout and reserve-scratch: parts lie in blocks, and algorithms are settled"},
    {"alias-concat", pass_alias_concat, HAS_SHAPES, 0, "let producers write into a concat's output",
     "after choose-layout: whether parts are contiguous depends on the layout"},
    {"order-nodes", pass_order_nodes, HAS_SHAPES, 0, "order nodes for the lowest peak of memory",
     "when all values and their sizes are final"},
    {"plan-memory", pass_plan_memory, HAS_SHAPES, HAS_PLAN,
     "give every value its place in the arena", "last: it needs the order and the sizes"},
};
const int n_passes = (int)COUNT_OF(passes);

/* ---- names ------------------------------------------------------------------------------ */

static bool is_pass(const char *name, size_t len)
{
    for (int i = 0; i < n_passes; i++) {
        if (strlen(passes[i].name) == len && memcmp(passes[i].name, name, len) == 0)
            return true;
    }
    return false;
}

/* is_kernel_pass - they share --disable-pass and --print-after with ours. */
static bool is_kernel_pass(const char *name)
{
    for (int i = 0; i < n_kernel_passes; i++) {
        if (strcmp(kernel_passes[i].name, name) == 0)
            return true;
    }
    return false;
}

static bool unknown_pass(Graph *g, const char *option, const char *name, bool kernel_too)
{
    Text known = text_new(g->arena);
    for (int i = 0; i < n_passes; i++)
        text_printf(&known, "%s%s", i ? ", " : "", passes[i].name);
    for (int i = 0; kernel_too && i < n_kernel_passes; i++)
        text_printf(&known, ", %s", kernel_passes[i].name);
    diag_error(g->diag, (Span){0}, "%s: there is no pass '%s'; the passes are %s", option,
               text_printable(g->arena, name), known.data);
    return false;
}

/* in_list - whether `name` is among the comma-separated names. */
static bool in_list(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *s = list; s; s = strchr(s, ',')) {
        s += *s == ',';
        size_t item = strcspn(s, ",");
        if (item == len && memcmp(s, name, len) == 0)
            return true;
    }
    return false;
}

static bool check_list(Graph *g, const char *list)
{
    bool ok = true;
    for (const char *s = list; *s;) {
        size_t len = strcspn(s, ",");
        if (!is_pass(s, len))
            ok = unknown_pass(g, "--passes", arena_strndup(g->arena, s, len), false);
        s += len + (s[len] == ',');
    }
    return ok;
}

static bool check_names(Graph *g, const PassOptions *o)
{
    bool ok = !o->only || check_list(g, o->only);
    for (int i = 0; i < o->n_disabled; i++) {
        const char *name = o->disabled[i];
        if (!is_pass(name, strlen(name)) && !is_kernel_pass(name))
            ok = unknown_pass(g, "--disable-pass", name, true);
    }
    const char *after = o->print_after;
    if (after && strcmp(after, "all") != 0 && !is_pass(after, strlen(after)) &&
        !is_kernel_pass(after))
        ok = unknown_pass(g, "--print-after", after, true);
    return ok;
}

/* ---- which passes run ------------------------------------------------------------------- */

static bool is_selected(const Pass *p, const PassOptions *o)
{
    if (o->only && !in_list(o->only, p->name))
        return false;
    for (int i = 0; i < o->n_disabled; i++) {
        if (strcmp(o->disabled[i], p->name) == 0)
            return false;
    }
    return true;
}

const char *passes_lack(Arena *a, const PassOptions *o)
{
    unsigned facts = 0;
    for (int i = 0; i < n_passes; i++) {
        if (!is_selected(&passes[i], o))
            continue;
        unsigned missing = passes[i].needs & ~facts;
        for (int j = 0; missing && j < i; j++)
            if (passes[j].gives & missing)
                return arena_printf(a, "pass %s needs pass %s before it, which is not to run",
                                    passes[i].name, passes[j].name);
        facts |= passes[i].gives;
    }
    return NULL;
}

bool passes_include(const char *name, const PassOptions *o)
{
    for (int i = 0; i < n_passes; i++)
        if (strcmp(passes[i].name, name) == 0)
            return is_selected(&passes[i], o);
    return false;
}

static bool check_needs(Graph *g, const PassOptions *o)
{
    const char *lack = passes_lack(g->arena, o);
    if (lack)
        diag_error(g->diag, (Span){0}, "%s", lack);
    return !lack;
}

/* ---- running them ----------------------------------------------------------------------- */

static bool verify_after(Graph *g, const char *what, bool typed)
{
    Text why = text_new(g->arena);
    if (graph_verify(g, typed, &why))
        return true;
    diag_error(g->diag, (Span){0}, "kiln made a mistake, please report it: after %s: %s", what,
               why.data);
    return false;
}

static void print_after(const Graph *g, const Pass *p, const PassOptions *o)
{
    if (!o->print_after || !o->printed)
        return;
    if (strcmp(o->print_after, "all") != 0 && strcmp(o->print_after, p->name) != 0)
        return;
    text_printf(o->printed, "// after %s\n", p->name);
    graph_print(g, o->printed);
}

bool passes_run(Graph *g, const PassContext *c, const PassOptions *o)
{
    if (!check_names(g, o) || !check_needs(g, o) || !verify_after(g, "reading the model", false))
        return false;
    unsigned facts = 0;
    for (int i = 0; i < n_passes; i++) {
        const Pass *p = &passes[i];
        if (o->last && i > 0 && !strcmp(passes[i - 1].name, o->last))
            break;
        if (!is_selected(p, o))
            continue;
        int errors = diag_errors(g->diag);
        p->run(g, c);
        if (diag_errors(g->diag) > errors)
            return false;
        facts |= p->gives;
        if (!verify_after(g, p->name, facts & HAS_SHAPES))
            return false;
        print_after(g, p, o);
    }
    return true;
}
