/* function.c - kernels that differ in numbers only, as one C function that takes these numbers.
 *
 *     static void conv2d_3(const float *x, const float *w, float *y, int n_ic, int oc0_step)
 *
 * The 1x1 convolutions of a DenseNet differ in how many channels they read: a loop's end and the
 * distance between filters. Written out, each is a function of its own of some hundred lines;
 * as one, gcc -O3 takes a third of the time for the network and the network is as fast (measured in turns).
 * Only ends of loops and steps of indices become parameters. A constant distance stays a number: it is
 * part of an instruction, where a parameter would take a register. */
#include "emit/emit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    MARK = '\1',     /* around each number's name in the text */
    MOST_PARAMS = 4, /* numbers; the registers for arguments are six or fewer on most machines */
};

/* ---- numbers in a text -------------------------------------------------------------------- */

const char *c_count(KernelPrinter *p, const char *name, int64_t n)
{
    if (!p->w.is_draft)
        return arena_printf(p->arena, "%" PRId64, n);
    return arena_printf(p->arena, "%c%s=%" PRId64 "%c", MARK, text_identifier(p->arena, name), n,
                        MARK);
}

void take_numbers(KernelText *t, const char *marked, Arena *a)
{
    Text   body = text_new(a);
    size_t n = 0, cap = 0;
    text_add(&body, "");
    for (const char *s = marked, *at; *s; s = at) {
        at = s + strcspn(s, (char[]){MARK, 0});
        text_add_bytes(&body, s, (size_t)(at - s));
        if (!*at)
            break;
        const char *equals = strchr(at, '='), *end = strchr(equals, MARK);
        text_add_bytes(&body, at, (size_t)(equals - at));
        text_add_bytes(&body, end, 1);
        t->numbers = arena_grow(a, t->numbers, n, &cap, sizeof *t->numbers);
        t->numbers[n++] = strtoll(equals + 1, NULL, 10);
        at = end + 1;
    }
    t->n_numbers = (int)n;
    t->body = body.data;
}

/* body_c - each line is wrapped now that its numbers have their text. */
void body_c(Writer *w, const KernelText *t, const char *const *as)
{
    Text line = text_new(w->text.arena);
    int  i = 0;
    text_add(&line, "");
    for (const char *s = t->body; *s; s++) {
        if (*s == MARK) {
            if (as && as[i])
                text_add(&line, as[i]);
            else
                text_printf(&line, "%" PRId64, t->numbers[i]);
            i++;
            s = strchr(s + 1, MARK);
        } else if (*s == '\n') {
            w_indented(w, line.data);
            line.len = 0;
            text_add(&line, "");
        } else {
            text_add_bytes(&line, s, 1);
        }
    }
}

/* ---- which kernels ------------------------------------------------------------------------ */

/* Kernels being gathered, and which of their numbers go together. */
typedef struct Gathering {
    const Program *p;
    int           *kernels;
    int            n;
    int           *same;   /* by number: the first one that is equal to it in every kernel */
    bool          *varies; /* by number: it is not the same in all kernels */
} Gathering;

/* join - `kernel` added to `same` and `varies`. How many parameters that takes. */
static int join(const Gathering *g, int kernel, int *same, bool *varies)
{
    const KernelText *first = &g->p->texts[g->kernels[0]], *t = &g->p->texts[kernel];
    int               n_params = 0;
    for (int i = 0; i < t->n_numbers; i++) {
        varies[i] = g->varies[i] || t->numbers[i] != first->numbers[i];
        same[i] = i;
        for (int j = 0; j < i && same[i] == i; j++)
            if (g->same[j] == g->same[i] && t->numbers[j] == t->numbers[i])
                same[i] = j;
        n_params += varies[i] && same[i] == i;
    }
    return n_params;
}

static bool has_word(const char *text, const char *word)
{
    const char *letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    size_t      n = strlen(word);
    for (const char *s = text; (s = strpbrk(s, letters)); s += strspn(s, letters))
        if (strspn(s, letters) == n && !memcmp(s, word, n))
            return true;
    return false;
}

/* param_name - the name that stands in the mark of number `i`, or that and a number where it is taken. */
static const char *param_name(const Function *f, const KernelText *t, int i, Arena *a)
{
    const char *mark = strchr(t->body, MARK);
    for (int skip = i; skip; skip--)
        mark = strchr(strchr(mark + 1, MARK) + 1, MARK);
    const char *stem = arena_strndup(a, mark + 1, strcspn(mark + 1, (char[]){MARK, 0}));
    Writer      w = {.text = text_new(a)};
    text_add(&w.text, t->params);
    body_c(&w, t, NULL);
    for (int j = 0; j < f->n_params; j++)
        text_printf(&w.text, " %s", f->params[j].name);
    const char *name = stem;
    for (int j = 2; has_word(w.text.data, name); j++)
        name = arena_printf(a, "%s_%d", stem, j);
    return name;
}

static const char *param_type(const Gathering *g, int number)
{
    for (int i = 0; i < g->n; i++)
        if (g->p->texts[g->kernels[i]].numbers[number] > INT32_MAX)
            return "int64_t";
    return "int";
}

static void add_params(Function *f, const Gathering *g, Arena *a)
{
    const KernelText *t = &g->p->texts[g->kernels[0]];
    f->as = arena_array(a, const char *, (size_t)t->n_numbers + 1);
    for (int i = 0; i < t->n_numbers; i++) {
        if (g->varies[i] && g->same[i] == i) {
            f->as[i] = param_name(f, t, i, a);
            f->params[f->n_params++] = (FunctionParam){param_type(g, i), f->as[i], i};
        } else if (g->varies[i]) {
            f->as[i] = f->as[g->same[i]];
        }
    }
}

/* close_function - what was gathered becomes a function. */
static void close_function(Program *p, const Gathering *g, Arena *a)
{
    Function *f = arena_struct(a, Function);
    f->name = p->kernels[g->kernels[0]]->name;
    f->kernels = g->kernels;
    f->n_kernels = g->n;
    f->params = arena_array(a, FunctionParam, MOST_PARAMS);
    add_params(f, g, a);
    for (int i = 0; i < g->n; i++)
        p->functions[g->kernels[i]] = f;
    p->n_functions++;
}

/* split - the kernels that differ in numbers only from `first`, in order, into functions. */
static void split(Program *p, int first, Arena *a)
{
    size_t    n_numbers = (size_t)p->texts[first].n_numbers + 1;
    int      *same = arena_array(a, int, n_numbers);
    bool     *varies = arena_array(a, bool, n_numbers);
    int       n_alike = 0;
    Gathering g = {.p = p};
    for (int i = first; i >= 0; i = p->texts[i].next_alike)
        n_alike++;
    int *kernels = arena_array(a, int, (size_t)n_alike);
    for (int i = first; i >= 0; i = p->texts[i].next_alike) {
        if (g.n && join(&g, i, same, varies) > MOST_PARAMS) {
            close_function(p, &g, a);
            kernels += g.n;
            g.n = 0;
        }
        if (!g.n) {
            g = (Gathering){p, kernels, 0, arena_array(a, int, n_numbers),
                            arena_array(a, bool, n_numbers)};
            g.kernels[0] = i;
            join(&g, i, same, varies);
        }
        memcpy(g.same, same, n_numbers * sizeof *same);
        memcpy(g.varies, varies, n_numbers * sizeof *varies);
        g.kernels[g.n++] = i;
    }
    close_function(p, &g, a);
}

void functions_choose(Program *p, Arena *a)
{
    p->functions = arena_array(a, Function *, (size_t)p->n_kernels + 1);
    for (int i = 0; i < p->n_kernels; i++)
        if (!p->functions[i])
            split(p, i, a);
}

/* ---- as C ---------------------------------------------------------------------------------- */

void function_c(Writer *w, const Program *p, const Function *f)
{
    const KernelText *t = &p->texts[f->kernels[0]];
    Arena            *a = w->text.arena;
    Text              params = text_new(a);
    text_add(&params, t->params);
    for (int i = 0; i < f->n_params; i++)
        text_printf(&params, ", %s %s", f->params[i].type, f->params[i].name);
    /* Inlined, kernels would compete for registers with the addresses of all others. */
    w_open(w, "%sstatic void %s(%s%s)",
           p->kernels[f->kernels[0]]->target->lanes > 1 ? "__attribute__((noinline)) " : "",
           f->name, params.data, t->is_shared ? ", int part, int n_parts" : "");
    body_c(w, t, f->as);
    w_close(w, "");
    w_blank(w);
}

const char *function_args(const Program *p, int kernel, Arena *a)
{
    const Function *f = p->functions[kernel];
    Text            t = text_new(a);
    text_add(&t, "");
    for (int i = 0; i < f->n_params; i++)
        text_printf(&t, ", %" PRId64, p->texts[kernel].numbers[f->params[i].number]);
    text_add(&t, p->texts[kernel].is_shared ? ", part, n_parts" : "");
    return t.data;
}
