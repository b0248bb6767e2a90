/* names.c - model and tensor names as C identifiers.
 *
 * Parameters of the infer function keep the names of the model's inputs and outputs as far as C
 * and the rest of the file allow. Their upper-case forms name macros, so two names must differ
 * beyond case. */
#include "emit/emit.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

const char *name_upper(Arena *a, const char *name)
{
    char *s = arena_strdup(a, name);
    for (char *c = s; *c; c++)
        *c = upper(*c);
    return s;
}

const char *name_prefix(Arena *a, const char *name)
{
    char *s = text_identifier(a, name), *end = s + strlen(s);
    for (char *c = s; *c; c++)
        *c = lower(*c);
    while (*s == '_') /* names that begin with it belong to the C implementation */
        s++;
    while (end > s && end[-1] == '_')
        *--end = 0;
    return (*s >= '0' && *s <= '9') || !*s ? arena_printf(a, "model_%s", s) : s;
}

static bool same_but_case(const char *a, const char *b)
{
    for (; *a && upper(*a) == upper(*b); a++)
        b++;
    return upper(*a) == upper(*b);
}

/* Words of C, of C++ (the header may be included there), of what the file includes, common
 * macros of compilers and systems, and the file's own. */
static const char *const taken[] = {
    "alignas",      "alignof",      "and",           "and_eq",       "asm",
    "auto",         "bitand",       "bitor",         "bool",         "break",
    "case",         "catch",        "char",          "class",        "compl",
    "concept",      "const",        "consteval",     "constexpr",    "constinit",
    "const_cast",   "continue",     "co_await",      "co_return",    "co_yield",
    "decltype",     "default",      "delete",        "do",           "double",
    "dynamic_cast", "else",         "enum",          "explicit",     "export",
    "extern",       "false",        "float",         "for",          "friend",
    "goto",         "if",           "inline",        "int",          "long",
    "mutable",      "namespace",    "new",           "noexcept",     "not",
    "not_eq",       "nullptr",      "operator",      "or",           "or_eq",
    "private",      "protected",    "public",        "register",     "reinterpret_cast",
    "requires",     "restrict",     "return",        "short",        "signed",
    "sizeof",       "static",       "static_assert", "static_cast",  "struct",
    "switch",       "template",     "this",          "thread_local", "throw",
    "true",         "try",          "typedef",       "typeid",       "typename",
    "typeof",       "union",        "unsigned",      "using",        "virtual",
    "void",         "volatile",     "wchar_t",       "while",        "xor",
    "xor_eq",       "int8_t",       "int16_t",       "int32_t",      "int64_t",
    "uint8_t",      "uint16_t",     "uint32_t",      "uint64_t",     "intptr_t",
    "uintptr_t",    "size_t",       "ptrdiff_t",     "max_align_t",  "memcpy",
    "memset",       "unix",         "linux",         "i386",         "arm",
    "mips",         "sparc",        "sun",           "vax",          "far",
    "near",         "interface",    "small",         "errno",        "stdin",
    "stdout",       "stderr",       "main",          "complex",      "imaginary",
    "assert",       "isnan",        "offsetof",      "va_arg",       "va_end",
    "va_start",     "va_copy",      "arena",         "arena_f32",    "arena_i32",
    "arena_i8",     "arena_u8",     "packed_f16",    "packed_bf16",  "packed_f32",
    "weights_f16",  "weights_bf16", "weights_f32",   "weights_i32",  "weights_i8",
    "weights_u8",   "begin_ns",     "scramble",      "off",          "i",
    "call",         "context",      "part",          "n_parts",      "is_shared",
};

static bool is_taken(const Program *p, const char *name)
{
    for (size_t i = 0; i < COUNT_OF(taken); i++)
        if (same_but_case(name, taken[i]))
            return true;
    for (int i = 0; i < p->n_kernels; i++)
        if (!strcmp(name, p->kernels[i]->name))
            return true;
    const Target *t = p->options.target;
    for (int i = 0; t && i < target_n_support(t); i++) {
        const Support *s = target_nth_support(t, i);
        if (s && !strcmp(name, s->name))
            return true;
    }
    return is_helper_name(name);
}

/* is_used - whether one of the first `n` ports has the name, but for case. */
static bool is_used(const char **ports, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (same_but_case(ports[i], name))
            return true;
    return false;
}

/* port_name - an identifier for a port: without the underscores in front, which belong to the C
 * implementation; in lower case where all of it is upper case, as macros are; and unlike the file's
 * own symbols, which begin with the prefix. */
static const char *port_name(Arena *a, const char *prefix, const char *name)
{
    enum { LONGEST = 40 };
    char *s = text_identifier(a, name);
    while (*s == '_')
        s++;
    if (strlen(s) > LONGEST)
        s[LONGEST] = 0;
    bool has_lower = false;
    for (char *c = s; *c; c++)
        has_lower |= *c >= 'a' && *c <= 'z';
    for (char *c = s; *c && !has_lower; c++)
        *c = lower(*c);
    size_t n = strlen(prefix);
    if (!strncmp(s, prefix, n) && s[n] == '_')
        return arena_printf(a, "t_%s", s);
    return (*s >= '0' && *s <= '9') || !*s ? arena_printf(a, "t%s", s) : s;
}

Names names_choose(const Program *p, const char *prefix, Arena *a)
{
    const Graph *g = p->graph;
    int          n_ports = g->n_inputs + g->n_outputs;
    const char **ports = arena_array(a, const char *, (size_t)n_ports);
    Names        n = {.lower = name_prefix(a, prefix), .via = ""};
    n.upper = name_upper(a, n.lower);
    for (int i = 0; i < n_ports; i++) {
        const Port *port = i < g->n_inputs ? &g->inputs[i] : &g->outputs[i - g->n_inputs];
        const char *stem = port_name(a, n.lower, port->name), *name = stem;
        if (is_taken(p, name))
            name = stem = arena_printf(a, "%s_", stem);
        for (int k = 2; is_used(ports, i, name) || is_taken(p, name); k++)
            name = arena_printf(a, "%s_%d", stem, k);
        ports[i] = name;
    }
    n.inputs = ports;
    n.outputs = ports + g->n_inputs;
    return n;
}
