/* main.c - options, exit codes, nothing else. */
#include "driver/driver.h"

#include <stdlib.h>
#include <string.h>

static void out_of_memory(void)
{
    temp_clean();
    fputs("kiln: error: out of memory\n", stderr);
    _Exit(EXIT_MACHINE);
}

static int run_command(Compilation *c, const Options *o)
{
    for (int i = 0; i < n_commands; i++)
        if (!strcmp(commands[i].name, o->command))
            return commands[i].run(c, o);
    return EXIT_USAGE;
}

/* show - messages, unless only errors are wanted and there are none. */
static void show(Diag *d, const Options *o)
{
    if (!o->quiet || diag_errors(d))
        diag_print(d, stderr);
}

int main(int argc, char **argv)
{
    Options o;
    arena_on_out_of_memory(out_of_memory);
    signals_catch();
    Arena *a = arena_new();
    int    status = options_parse(argc, argv, a, &o);
    if (!status && o.command) {
        Compilation c = {.arena = a, .diag = diag_new(a)};
        status = run_command(&c, &o);
        progress_end();
        show(c.diag, &o);
    }
    temp_clean();
    arena_free(a);
    if (fflush(stdout) || ferror(stdout)) {
        fputs("kiln: error: cannot write to standard output\n", stderr);
        status = EXIT_MACHINE;
    }
    return status;
}
