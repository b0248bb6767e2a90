/* guess.c - did you mean ...? */
#include "base/base.h"

#include <string.h>

enum { LONGEST = 64 }; /* longer names are not guessed at */

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* edit_distance - insertions, deletions, replacements and swaps of neighbours that turn `a` into
 * `b` (optimal string alignment), by rows of the usual table. Both are at most LONGEST long. */
static size_t edit_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    size_t  rows[3][LONGEST + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n_b; j++)
        above[j] = before[j] = j;
    for (size_t i = 1; i <= n_a; i++) {
        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = smaller(best, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = smaller(best, before[j - 2] + 1);
            row[j] = best;
        }
        size_t *done = before;
        before = above;
        above = row;
        row = done;
    }
    return above[n_b];
}

Guess guess_new(const char *wrong)
{
    size_t n = strlen(wrong);
    return (Guess){.wrong = wrong, .distance = n < 3 || n > LONGEST ? 0 : n / 3 + 1};
}

void guess_try(Guess *g, const char *name)
{
    size_t n = strlen(name), n_wrong = strlen(g->wrong);
    size_t gap = n > n_wrong ? n - n_wrong : n_wrong - n;
    if (gap >= g->distance || n > LONGEST)
        return;
    size_t distance = edit_distance(g->wrong, n_wrong, name, n);
    if (distance < g->distance) {
        g->distance = distance;
        g->best = name;
    }
}

const char *guess_text(Arena *a, const Guess *g)
{
    return g->best ? arena_printf(a, "; did you mean '%s'?", text_printable(a, g->best)) : "";
}
