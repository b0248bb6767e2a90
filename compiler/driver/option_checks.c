/* option_checks.c - what options demand of each other, seen when all of them are known. */
#include "driver/driver.h"

#include <string.h>

/* ---- passes ------------------------------------------------------------------------------ */

static const char *graph_pass(int i)
{
    return i < n_passes ? passes[i].name : NULL;
}

static const char *kernel_pass(int i)
{
    return i < n_kernel_passes ? kernel_passes[i].name : NULL;
}

static const char *any_pass(int i)
{
    return i < n_passes ? graph_pass(i) : kernel_pass(i - n_passes);
}

static bool is_among(const char *(*names)(int i), const char *name)
{
    const char *known;
    for (int i = 0; (known = names(i)) != NULL; i++)
        if (!strcmp(known, name))
            return true;
    return false;
}

/* pass_fault - NULL: `name` is one of those; `option` is for the message. */
static const char *pass_fault(Arena *a, const char *option, const char *name,
                              const char *(*names)(int i))
{
    Text        all = text_new(a);
    const char *known;
    if (is_among(names, name))
        return NULL;
    for (int i = 0; (known = names(i)) != NULL; i++)
        text_printf(&all, "%s%s", i ? ", " : "", known);
    return arena_printf(a, "--%s: there is no pass '%s'; the passes are %s", option, name,
                        all.data);
}

static const char *names_fault(Arena *a, const PassOptions *o)
{
    const char *fault = NULL;
    if (o->print_after && strcmp(o->print_after, "all") != 0)
        fault = pass_fault(a, "print-after", o->print_after, any_pass);
    for (int i = 0; i < o->n_disabled && !fault; i++)
        fault = pass_fault(a, "disable-pass", o->disabled[i], any_pass);
    for (const char *s = o->only; s && !fault; s = strchr(s, ',')) {
        s += *s == ',';
        fault = pass_fault(a, "passes", arena_strndup(a, s, strcspn(s, ",")), graph_pass);
    }
    return fault;
}

static bool prints_graph(const Options *o)
{
    return !strcmp(o->command, "compile") && (!strcmp(o->emit, "graph") || !strcmp(o->emit, "dot"));
}

/* print_after_fault - a pass that does not run prints nothing, which is not what was asked for. */
static const char *print_after_fault(Arena *a, const Options *o)
{
    const char *name = o->passes.print_after;
    if (!name || !strcmp(name, "all"))
        return NULL;
    bool is_kernel = is_among(kernel_pass, name);
    if (is_kernel && prints_graph(o))
        return arena_printf(a, "--print-after %s: kernel passes do not run with --emit %s", name,
                            o->emit);
    bool runs = is_kernel ? passes_include("plan-memory", &o->passes) : true;
    for (int i = 0; i < o->passes.n_disabled; i++)
        runs = runs && strcmp(o->passes.disabled[i], name) != 0;
    if (runs && (is_kernel || passes_include(name, &o->passes)))
        return NULL;
    return arena_printf(a, "--print-after %s: the pass is not to run", name);
}

static const char *passes_fault(Arena *a, const Options *o)
{
    const char *fault = names_fault(a, &o->passes);
    if (!fault)
        fault = passes_lack(a, &o->passes);
    if (!fault)
        fault = print_after_fault(a, o);
    if (!fault && !prints_graph(o) && strcmp(o->command, "inspect") != 0 &&
        !passes_include("plan-memory", &o->passes))
        fault = "without the pass plan-memory there is no code to emit; "
                "--emit graph shows what the passes made";
    return fault;
}

/* ---- outputs, boards --------------------------------------------------------------------- */

/* out_missing - the option for the output that the command cannot do without; NULL: given, or none. */
static const char *out_missing(const Options *o)
{
    static const struct {
        const char *command, *option;
    } needs[] = {{"build", "-o PROGRAM"},
                 {"run", "--out DIR"},
                 {"convert", "-o OUT.json"},
                 {"tune", "-o OUT.json"}};
    for (size_t i = 0; i < COUNT_OF(needs) && !o->out; i++)
        if (!strcmp(o->command, needs[i].command))
            return needs[i].option;
    return NULL;
}

static const char *board_fault(Arena *a, const Options *o)
{
    Guess guess = guess_new(o->board ? o->board : "");
    if (!o->board)
        return NULL;
    for (int i = 0; board_name(i); i++)
        guess_try(&guess, board_name(i));
    if (!board_by_name(o->board))
        return arena_printf(a, "unknown board '%s'%s", o->board, guess_text(a, &guess));
    if (o->threads || o->weights == WEIGHTS_FILE || o->profile)
        return "--board goes without --threads, --profile and --weights file";
    if (o->target && strcmp(o->target->name, "c99") != 0)
        return "--board makes an image from the code of target c99";
    return NULL;
}

const char *options_fault(Arena *a, const Options *o, const char *usage)
{
    if (*usage && !o->model)
        return arena_printf(a, "a model is missing: kiln %s %s", o->command, usage);
    if (out_missing(o))
        return arena_printf(a, "%s is missing: kiln %s %s", out_missing(o), o->command, usage);
    const char *fault = board_fault(a, o);
    return fault ? fault : passes_fault(a, o);
}
