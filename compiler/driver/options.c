/* options.c - the command line, by the tables of option_table.c. */
#include "driver/driver.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- complaints ------------------------------------------------------------------------- */

typedef struct Parse {
    Arena       *arena;
    Options     *o;
    int          command; /* index into commands; -1: not seen yet */
    const char **given;   /* the argument of each option that stood there; by index in the table */
    size_t       cap_inputs, cap_shapes;
    bool         done; /* help or version was printed */
} Parse;

static bool PRINTF_LIKE(2, 3) complain(const Parse *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("kiln: error: ", stderr);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\nTry 'kiln%s%s --help'.\n", p->command < 0 ? "" : " ",
            p->command < 0 ? "" : commands[p->command].name);
    return false;
}

/* or_nearest - "; did you mean 'x'?" or nothing. words(i) is NULL at the end. */
static const char *or_nearest(Parse *p, const char *word, const char *(*words)(int i))
{
    Guess       guess = guess_new(word);
    const char *w;
    for (int i = 0; (w = words(i)) != NULL; i++)
        guess_try(&guess, w);
    return guess_text(p->arena, &guess);
}

static const char *nth_command(int i)
{
    return i < n_commands ? commands[i].name : NULL;
}

static const char *nth_option(int i)
{
    return i < n_option_specs ? option_specs[i].name : NULL;
}

static const char *nth_target(int i)
{
    return i < target_count() ? target_nth(i)->name : NULL;
}

/* ---- arguments -------------------------------------------------------------------------- */

static bool set_choice(Parse *p, const OptionSpec *s, const char *value, void *at)
{
    int  i = 0;
    Text all = text_new(p->arena);
    for (; s->choices[i]; i++) {
        if (!strcmp(s->choices[i], value))
            break;
        text_printf(&all, "%s%s", i ? ", " : "", s->choices[i]);
    }
    if (!s->choices[i])
        return complain(p, "--%s: '%s' is not one of: %s", s->name, value, all.data);
    if (s->kind == OPT_WORD)
        *(const char **)at = s->choices[i];
    else if (s->kind == OPT_CHOICE_BOOL)
        *(bool *)at = i;
    else
        *(int *)at = i;
    return true;
}

static bool set_number(Parse *p, const OptionSpec *s, const char *value, void *at)
{
    char *end;
    errno = 0;
    if (s->kind == OPT_SECONDS) {
        double v = strtod(value, &end);
        if (end == value || *end || !isfinite(v) || v < (double)s->min || v > (double)s->max)
            return complain(p, "--%s: '%s' is not a number of seconds", s->name, value);
        *(double *)at = v;
        return true;
    }
    long long v = strtoll(value, &end, 10);
    if (end == value || *end || errno || v < s->min || v > s->max)
        return complain(p, "--%s: '%s' is not a whole number from %lld to %lld", s->name, value,
                        (long long)s->min, (long long)s->max);
    *(int64_t *)at = v;
    return true;
}

static bool set_target(Parse *p, const char *value)
{
    p->o->target = target_by_name(value);
    if (!p->o->target)
        return complain(p, "unknown target '%s'%s", value, or_nearest(p, value, nth_target));
    return true;
}

static bool add_input(Parse *p, const char *value)
{
    Options    *o = p->o;
    const char *equals = strchr(value, '=');
    if (!equals || equals == value || !equals[1])
        return complain(p, "--in: '%s' is not NAME=FILE.npy", value);
    InputFile file = {arena_strndup(p->arena, value, (size_t)(equals - value)), equals + 1};
    for (int i = 0; i < o->n_inputs; i++)
        if (!strcmp(o->inputs[i].name, file.name))
            return complain(p, "--in: input '%s' is given twice", file.name);
    o->inputs =
        arena_grow(p->arena, o->inputs, (size_t)o->n_inputs, &p->cap_inputs, sizeof *o->inputs);
    o->inputs[o->n_inputs++] = file;
    return true;
}

/* read_dims - "1x3x224x224". */
static bool read_dims(const char *text, InputShape *shape)
{
    for (const char *s = text;; s++) {
        char *end;
        errno = 0;
        long long dim = *s >= '0' && *s <= '9' ? strtoll(s, &end, 10) : 0;
        if (dim < 1 || errno || shape->rank == MAX_RANK)
            return false;
        shape->dims[shape->rank++] = dim;
        s = end;
        if (!*s)
            return true;
        if (*s != 'x')
            return false;
    }
}

/* add_shape - names may hold '=': the shape stands behind the last one. */
static bool add_shape(Parse *p, const char *value)
{
    Options    *o = p->o;
    const char *equals = strrchr(value, '=');
    InputShape  shape = {0};
    if (!equals || equals == value || !read_dims(equals + 1, &shape))
        return complain(p, "--shape: '%s' is not NAME=1x3x224x224, of 1 to %d dimensions >= 1",
                        value, MAX_RANK);
    shape.name = arena_strndup(p->arena, value, (size_t)(equals - value));
    for (int i = 0; i < o->n_shapes; i++)
        if (!strcmp(o->shapes[i].name, shape.name))
            return complain(p, "--shape: input '%s' is given twice", shape.name);
    o->shapes =
        arena_grow(p->arena, o->shapes, (size_t)o->n_shapes, &p->cap_shapes, sizeof *o->shapes);
    o->shapes[o->n_shapes++] = shape;
    return true;
}

static bool add_disabled(Parse *p, const char *value)
{
    PassOptions *o = &p->o->passes;
    if ((size_t)o->n_disabled == COUNT_OF(o->disabled))
        return complain(p, "--disable-pass: at most %zu passes", COUNT_OF(o->disabled));
    o->disabled[o->n_disabled++] = value;
    return true;
}

static bool set_name(Parse *p, const OptionSpec *s, const char *value, void *at)
{
    if (strcmp(text_identifier(p->arena, value), value) != 0)
        return complain(p, "--%s: '%s' is not a C identifier", s->name, value);
    *(const char **)at = value;
    return true;
}

static bool apply(Parse *p, const OptionSpec *s, const char *value)
{
    void *at = (char *)p->o + s->offset;
    p->given[s - option_specs] = value ? value : "";
    switch (s->kind) {
    case OPT_FLAG: *(bool *)at = true; return true;
    case OPT_TEXT:
        *(const char **)at = value;
        return *value || complain(p, "--%s: the argument is empty", s->name);
    case OPT_NAME: return set_name(p, s, value, at);
    case OPT_WORD:
    case OPT_CHOICE:
    case OPT_CHOICE_BOOL: return set_choice(p, s, value, at);
    case OPT_INT:
    case OPT_SECONDS: return set_number(p, s, value, at);
    case OPT_TARGET: return set_target(p, value);
    case OPT_INPUT: return add_input(p, value);
    case OPT_SHAPE: return add_shape(p, value);
    case OPT_DISABLE: return add_disabled(p, value);
    case OPT_HELP:
        if (p->command < 0)
            help_all(stdout);
        else
            help_command(p->command, stdout);
        p->done = true;
        return true;
    case OPT_VERSION:
        printf("kiln %s\n", KILN_VERSION);
        p->done = true;
        return true;
    }
    return false;
}

/* ---- words ------------------------------------------------------------------------------ */

/* find_option - the option that `word` (behind its dashes) names; *value is what stands behind '='
 * or behind a letter. */
static const OptionSpec *find_option(const char *word, const char **value)
{
    bool   is_long = word[1] == '-';
    size_t n = strcspn(word + 2, "=");
    *value = NULL;
    for (int i = 0; i < n_option_specs; i++) {
        const OptionSpec *s = &option_specs[i];
        if (is_long && strlen(s->name) == n && !memcmp(s->name, word + 2, n)) {
            *value = word[2 + n] ? word + 2 + n + 1 : NULL;
            return s;
        }
        if (!is_long && s->letter == word[1]) {
            *value = word[2] ? word + 2 : NULL;
            return s;
        }
    }
    return NULL;
}

/* take_option - the option at argv[*i]; steps over its argument. */
static bool take_option(Parse *p, int argc, char **argv, int *i)
{
    const char       *word = argv[*i], *value;
    const OptionSpec *s = find_option(word, &value);
    if (!s) {
        bool is_long = word[1] == '-';
        return complain(p, "unknown option '%s'%s", word,
                        is_long ? or_nearest(p, word + 2, nth_option) : "");
    }
    bool always = s->kind == OPT_HELP || s->kind == OPT_VERSION;
    if (!always && p->command < 0)
        return complain(p, "'%s' stands before the command", word);
    if (!always && !(s->commands & 1u << p->command))
        return complain(p, "kiln %s does not take --%s", commands[p->command].name, s->name);
    if (!s->arg && value)
        return complain(p, "--%s takes no argument", s->name);
    if (s->arg && !value) {
        if (*i + 1 >= argc)
            return complain(p, "--%s: %s is missing", s->name, s->arg);
        value = argv[++*i];
    }
    return apply(p, s, value);
}

static bool take_word(Parse *p, const char *word)
{
    if (p->command < 0) {
        for (int i = 0; i < n_commands; i++)
            if (!strcmp(commands[i].name, word))
                p->command = i;
        if (p->command < 0)
            return complain(p, "unknown command '%s'%s", word, or_nearest(p, word, nth_command));
        p->o->command = commands[p->command].name;
        return true;
    }
    if (!*commands[p->command].usage)
        return complain(p, "kiln %s takes no model", commands[p->command].name);
    if (p->o->model && !p->o->node && strstr(commands[p->command].usage, "[NODE]")) {
        p->o->node = word;
        return true;
    }
    if (p->o->model)
        return complain(p, "one model at a time: '%s' and '%s'", p->o->model, word);
    p->o->model = word;
    return true;
}

/* ---- what follows from the options ------------------------------------------------------- */

/* board_target - portable code, in the byte order of the boards' cores. */
static const Target *board_target(Arena *a)
{
    Target *t = arena_struct(a, Target);
    *t = *target_by_name("c99");
    t->byte_order = BYTES_LITTLE;
    return t;
}

static const char **given_to(Parse *p, const char *option)
{
    int i = 0;
    while (strcmp(option_specs[i].name, option))
        i++;
    return &p->given[i];
}

/* default_arena - a program takes its arena from the runtime, which has it in large pages. */
static void default_arena(Parse *p)
{
    const char **given = given_to(p, "arena");
    int (*run)(Compilation *, const Options *) = commands[p->command].run;
    if (*given || p->o->board || run == command_compile || run == command_explain)
        return;
    p->o->arena_by_caller = true;
    if (run != command_tune) /* what it finds is for either */
        *given = "caller";
}

/* check - what only the whole command line shows; fills defaults. */
static bool check(Parse *p)
{
    Options    *o = p->o;
    const char *usage = commands[p->command].usage;
    const char *fault = options_fault(p->arena, o, usage);
    if (fault)
        return complain(p, "%s", fault);
    if (o->board)
        o->target = board_target(p->arena);
    if (!o->target)
        o->target = target_by_name("native");
    default_arena(p);
    if (*usage)
        o->how = options_how(p->arena, o, p->given);
    return true;
}

static void set_defaults(Options *o)
{
    *o = (Options){.emit = "c", .seed = 1};
    const char *cc = getenv("CC");
    o->cc = cc && *cc ? cc : NULL;
}

int options_parse(int argc, char **argv, Arena *a, Options *o)
{
    Parse p = {.arena = a, .o = o, .command = -1};
    p.given = arena_array(a, const char *, (size_t)n_option_specs);
    bool ok = true, only_words = false;
    set_defaults(o);
    for (int i = 1; i < argc && ok && !p.done; i++) {
        if (!only_words && !strcmp(argv[i], "--"))
            only_words = true;
        else if (!only_words && argv[i][0] == '-' && argv[i][1])
            ok = take_option(&p, argc, argv, &i);
        else
            ok = take_word(&p, argv[i]);
    }
    if (p.done)
        o->command = NULL;
    else if (ok && p.command < 0)
        ok = complain(&p, "a command is missing");
    else if (ok)
        ok = check(&p);
    return ok ? EXIT_DONE : EXIT_USAGE;
}
