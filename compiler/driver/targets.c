/* targets.c - kiln targets. */
#include "driver/driver.h"

static const char *bytes_text(Arena *a, int64_t bytes)
{
    if (!bytes)
        return "-";
    if (bytes % (1 << 20) == 0)
        return arena_printf(a, "%lld MiB", (long long)(bytes >> 20));
    return arena_printf(a, "%lld KiB", (long long)(bytes >> 10));
}

int command_targets(Compilation *c, const Options *o)
{
    static const char *const titles[] = {"target", ">lanes", ">registers", "fma",  ">L1",
                                         ">L2",    ">L3",    "runs",       "about"};
    Table                   *t = table_new(c->arena, titles, COUNT_OF(titles));
    const Target            *native = target_by_name("native");
    (void)o;
    for (int i = 0; i < target_count(); i++) {
        const Target *target = target_nth(i);
        const char   *elsewhere = target->emulator ? "emulated" : "no";
        table_cell(t, "%s%s", target->name, target == native ? " *" : "");
        table_cell(t, "%d", target->lanes);
        table_cell(t, "%d", target->vector_regs);
        table_cell(t, "%s", target->has_fma ? "yes" : "no");
        table_cell(t, "%s", bytes_text(c->arena, target->l1_bytes));
        table_cell(t, "%s", bytes_text(c->arena, target->l2_bytes));
        table_cell(t, "%s", bytes_text(c->arena, target->l3_bytes));
        table_cell(t, "%s", target_runs_here(target) ? "here" : elsewhere);
        table_cell(t, "%s", target->about ? target->about : "");
    }
    table_print(t, stdout);
    return EXIT_DONE;
}
