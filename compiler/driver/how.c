/* how.c - the command that emits the same C, for the head of the emitted file. */
#include "driver/driver.h"

#include <string.h>

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* quoted - a word as a shell would want it, safe in a C comment. */
static const char *quoted(Arena *a, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "._-,+=";
    word = text_printable(a, word);
    return word[strspn(word, plain)] ? arena_printf(a, "'%s'", word) : word;
}

static void add_shapes(Text *t, const Options *o, const OptionSpec *s)
{
    for (int i = 0; i < o->n_shapes; i++) {
        const InputShape *shape = &o->shapes[i];
        Text              word = text_new(t->arena);
        text_printf(&word, "%s=", shape->name);
        for (int d = 0; d < shape->rank; d++)
            text_printf(&word, "%s%lld", d ? "x" : "", (long long)shape->dims[d]);
        text_printf(t, " --%s %s", s->name, quoted(t->arena, word.data));
    }
}

const char *options_how(Arena *a, const Options *o, const char *const *given)
{
    Text t = text_new(a);
    text_printf(&t, "kiln %s MODEL", o->board ? "build" : "compile");
    for (int i = 0; i < n_option_specs; i++) {
        const OptionSpec *s = &option_specs[i];
        if (s->kind == OPT_TARGET && !o->board)
            text_printf(&t, " --target %s", o->target->name);
        else if (s->kind == OPT_DISABLE)
            for (int k = 0; k < o->passes.n_disabled; k++)
                text_printf(&t, " --%s %s", s->name, quoted(a, o->passes.disabled[k]));
        else if (s->kind == OPT_SHAPE)
            add_shapes(&t, o, s);
        else if (s->in_how && given[i])
            text_printf(&t, " --%s%s%s", s->name, s->arg ? " " : "",
                        s->arg ? quoted(a, last_part(given[i])) : "");
    }
    return t.data;
}
