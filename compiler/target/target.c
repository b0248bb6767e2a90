/* target.c - the list of targets, lookup, and which of them this machine runs. */
#include "target/target.h"

#include <string.h>
#include <sys/utsname.h>

/* Best first: `native` is the first one that runs here. AVX512-BF16 is for those who know that it pays
 * (x86_avx512.c). */
static const Target *const targets[] = {
    &target_x86_zen4, &target_x86_avx512, &target_x86_avx512_bf16, &target_x86_amx,
    &target_x86_avx2, &target_x86_64,     &target_aarch64,         &target_c99,
};

int target_count(void)
{
    return (int)COUNT_OF(targets);
}

const Target *target_nth(int i)
{
    return targets[i];
}

static bool machine_is(const char *name)
{
    struct utsname u;
    return uname(&u) == 0 && !strcmp(u.machine, name);
}

bool target_runs_here(const Target *t)
{
    return !t->machine || (machine_is(t->machine) && (!t->cpu_has || t->cpu_has()));
}

const Target *target_by_name(const char *name)
{
    bool native = !strcmp(name, "native");
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        if (native ? target_runs_here(targets[i]) : !strcmp(name, targets[i]->name))
            return targets[i];
    return NULL;
}

const Instr *target_find(const Target *t, InstrKind kind, Elem elem, int lanes)
{
    for (int i = 0; i < t->n_instrs; i++) {
        const Instr *r = &t->instrs[i];
        if (r->kind == kind && r->elem == elem && r->lanes == lanes)
            return r;
    }
    return NULL;
}

InstrKind target_pick(int64_t group)
{
    return group == 2 ? I_PICK_2 : group == 4 ? I_PICK_4 : group == 8 ? I_PICK_8 : I_NONE;
}

bool target_picks(const Target *t, int64_t group)
{
    return group < t->lanes && target_find(t, target_pick(group), F32, t->lanes);
}

int target_turns(const Target *t, int64_t group)
{
    bool turns = target_picks(t, group) && target_find(t, I_SWAP, F32, t->lanes);
    return turns ? (int)group / 2 : 1;
}

/* names_call - whether `text` calls `name`: the name as a whole word before a parenthesis. */
static bool names_call(const char *text, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = strstr(text, name); s; s = strstr(s + 1, name)) {
        char before = s > text ? s[-1] : ' ';
        bool inside = before == '_' || (before >= '0' && before <= '9') ||
                      (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z');
        if (!inside && s[n] == '(')
            return true;
    }
    return false;
}

const Target *target_for(const Target *t, int64_t channels)
{
    return t->narrow && channels <= t->narrow->lanes ? t->narrow : t;
}

int target_n_support(const Target *t)
{
    return t->n_support + (t->narrow ? t->narrow->n_support : 0);
}

const Support *target_nth_support(const Target *t, int i)
{
    if (i < t->n_support)
        return &t->support[i];
    const Support *s = &t->narrow->support[i - t->n_support];
    for (int j = 0; j < t->n_support; j++)
        if (!strcmp(s->name, t->support[j].name))
            return NULL;
    return s;
}

void target_support(const Target *t, const char *text, bool *used)
{
    for (int i = t->n_support - 1; i >= 0; i--)
        if (names_call(text, t->support[i].name))
            used[i] = true;
    /* From the last to the first, so that what a used one names is still to come. */
    for (int i = t->n_support - 1; i > 0; i--)
        for (int j = 0; used[i] && j < i; j++)
            if (names_call(t->support[i].text, t->support[j].name))
                used[j] = true;
    if (t->narrow)
        target_support(t->narrow, text, used + t->n_support);
}
