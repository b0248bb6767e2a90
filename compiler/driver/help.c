/* help.c - --help from the tables, and the nearest word to a mistyped one. */
#include "driver/driver.h"

#include <string.h>

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

/* ---- the nearest word ------------------------------------------------------------------- */

enum { LONGEST = 32 };

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* distance - letters to insert, remove, change or swap with their neighbour to turn `a` into `b`;
 * words are at most LONGEST long. */
static int distance(const char *a, const char *b)
{
    int rows[LONGEST + 1][LONGEST + 1];
    int n = (int)strlen(a), m = (int)strlen(b);
    for (int i = 0; i <= n; i++)
        rows[i][0] = i;
    for (int j = 0; j <= m; j++)
        rows[0][j] = j;
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            int best = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            best = smaller(best, rows[i - 1][j] + 1);
            best = smaller(best, rows[i][j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = smaller(best, rows[i - 2][j - 2] + 1);
            rows[i][j] = best;
        }
    return rows[n][m];
}

const char *help_nearest(const char *word, const char *(*words)(int i))
{
    const char *best = NULL, *w;
    size_t      n = strlen(word);
    int         least = n < 4 ? 2 : 3; /* differ by less than this */
    if (n > LONGEST)
        return NULL;
    for (int i = 0; (w = words(i)) != NULL; i++) {
        int d = strlen(w) <= LONGEST ? distance(word, w) : least;
        if (d < least) {
            least = d;
            best = w;
        }
    }
    return best;
}
