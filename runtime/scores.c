/* scores.c - the answers of a classifier: its best classes, and how many are right. */
#include "program.h"

enum { MAX_TOP = 100 };

static double element(const kiln_port *port, const void *results, int64_t i)
{
    switch (port->elem) {
    case KILN_I8: return ((const int8_t *)results)[i];
    case KILN_U8: return ((const uint8_t *)results)[i];
    case KILN_I32: return ((const int32_t *)results)[i];
    default: return (double)((const float *)results)[i];
    }
}

/* best - the `n` classes with the largest scores, the lower index first among equals. */
static int best(const kiln_port *port, const void *results, int64_t begin, int64_t classes, int n,
                int64_t *which)
{
    int found = 0;
    for (int64_t c = 0; c < classes; c++) {
        double score = element(port, results, begin + c);
        int    at = found;
        while (at > 0 && score > element(port, results, begin + which[at - 1]))
            at--;
        if (at >= n)
            continue;
        found += found < n;
        for (int k = found - 1; k > at; k--)
            which[k] = which[k - 1];
        which[at] = c;
    }
    return found;
}

static void print_image(const Scores *s, int64_t label, const int64_t *which, int n,
                        const void *results, int64_t begin)
{
    printf("image %lld:", (long long)s->images);
    if (s->labels)
        printf(" label %lld, best", (long long)label);
    for (int i = 0; i < n; i++)
        printf(" %lld (%.4g)", (long long)which[i], element(s->port, results, begin + which[i]));
    printf("\n");
}

/* add_image - a model whose output is one number an image gives the class itself, as arg_max does. */
static void add_image(Scores *s, const void *results, int64_t begin, int64_t classes)
{
    int64_t which[MAX_TOP];
    int32_t label = -1;
    int     n = best(s->port, results, begin, classes, s->top > 0 ? s->top : 1, which);
    if (s->labels) {
        static const int64_t   one = 1;
        static const kiln_port port = {"label", "label", NULL, KILN_I32, 1, &one, 1};
        in_read(s->labels, &port, &label);
    }
    for (int i = 0; i < n; i++) {
        int64_t answer = classes > 1 ? which[i] : (int64_t)element(s->port, results, begin);
        s->right += i == 0 && answer == label;
        s->right_in_top += answer == label;
    }
    if (s->top > 0)
        print_image(s, label, which, n, results, begin);
    s->images++;
}

void scores_add(Scores *s, const void *results)
{
    int64_t images = s->port->rank > 1 ? s->port->dims[0] : 1;
    int64_t classes = s->port->count / images;
    for (int64_t i = 0; i < images; i++)
        add_image(s, results, i * classes, classes);
}

void scores_print(const Scores *s)
{
    if (!s->labels || !s->images)
        return;
    printf("accuracy %.4f (%lld of %lld)", (double)s->right / (double)s->images,
           (long long)s->right, (long long)s->images);
    if (s->top > 1)
        printf(", in the best %d %.4f", s->top, (double)s->right_in_top / (double)s->images);
    printf("\n");
}
