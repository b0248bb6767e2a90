/* help.c - --help from the tables. */
#include "driver/driver.h"

static void print_option(const OptionSpec *s, FILE *out)
{
    enum { COLUMN = 26 };
    char left[64];
    char letter[8] = "    ";
    if (s->letter)
        snprintf(letter, sizeof letter, "-%c, ", s->letter);
    int n = snprintf(left, sizeof left, "  %s--%s%s%s", letter, s->name, s->arg ? " " : "",
                     s->arg ? s->arg : "");
    if (n < COLUMN)
        fprintf(out, "%-*s  %s\n", COLUMN, left, s->help);
    else
        fprintf(out, "%s\n%*s  %s\n", left, COLUMN, "", s->help);
}

void help_all(FILE *out)
{
    fputs("kiln turns a convolutional network into standalone C.\n\n"
          "Usage: kiln COMMAND MODEL [options]\n\nCommands:\n",
          out);
    for (int i = 0; i < n_commands; i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].about);
    fputs("\nOptions (kiln COMMAND --help lists those of one command):\n", out);
    for (int i = 0; i < n_option_specs; i++)
        print_option(&option_specs[i], out);
    fputs("\nExit status: 0 done; 1 the model or its data is at fault; 2 wrong usage;\n"
          "3 the machine is at fault.\n",
          out);
}

static void print_passes(FILE *out)
{
    fputs("\nGraph passes, in order:\n", out);
    for (int i = 0; i < n_passes; i++)
        fprintf(out, "  %-18s%s\n", passes[i].name, passes[i].about);
    fputs("\nKernel passes, in order:\n ", out);
    for (int i = 0; i < n_kernel_passes; i++)
        fprintf(out, " %s", kernel_passes[i].name);
    fputs("\n", out);
}

void help_command(int command, FILE *out)
{
    const Command *c = &commands[command];
    bool           takes_passes = false;
    fprintf(out, "Usage: kiln %s%s%s [options]\n\n%s.\n%s\n\nOptions:\n", c->name,
            *c->usage ? " " : "", c->usage, c->about, c->more);
    for (int i = 0; i < n_option_specs; i++) {
        if (!(option_specs[i].commands & 1u << command))
            continue;
        print_option(&option_specs[i], out);
        takes_passes |= option_specs[i].kind == OPT_DISABLE;
    }
    if (takes_passes)
        print_passes(out);
}
