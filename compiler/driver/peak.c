/* peak.c - the most multiply-adds a second that this machine does with the target's instructions.
 *
 * A small C program with as many independent sums as keep the multiply-add pipes busy, compiled by the
 * same compiler with the target's flags, on as many threads as the model's code has. Portable code names
 * no vectors, but compilers may make some of it: there the peak is that of plain vectors. */
#include "driver/driver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SUMS = 12 }; /* with two operands they fit 16 registers */
enum { PLAIN_LANES = 4 };

int peak_lanes(const Target *t)
{
    return t->lanes == 1 ? PLAIN_LANES : t->lanes;
}

/* instr - a row's text with its operands. */
static const char *instr(Arena *a, const Target *t, InstrKind kind, const char *const args[3])
{
    const Instr *row = target_find(t, kind, F32, t->lanes);
    Text         text = text_new(a);
    for (const char *s = row->text; *s; s++) {
        if (s[0] == '%' && s[1] >= 'a' && s[1] <= 'c')
            text_add(&text, args[*++s - 'a']);
        else
            text_add_bytes(&text, s, 1);
    }
    return text.data;
}

static const char *multiply_add(Arena *a, const Target *t, const char *sum)
{
    if (t->lanes == 1)
        return arena_printf(a, "%s * factor + term", sum);
    if (t->has_fma)
        return instr(a, t, I_FMA, (const char *const[]){sum, "factor", "term"});
    const char *product = instr(a, t, I_MUL, (const char *const[]){sum, "factor", NULL});
    return instr(a, t, I_ADD, (const char *const[]){product, "term", NULL});
}

static const char *splat(Arena *a, const Target *t, const char *number)
{
    if (t->lanes == 1)
        return arena_printf(a, "%s - (vector){0}", number);
    return instr(a, t, I_SPLAT, (const char *const[]){number, NULL, NULL});
}

/* The sums converge to 1: no number is ever subnormal. */
static const char head[] = "#define _POSIX_C_SOURCE 200809L\n"
                           "#include <pthread.h>\n"
                           "#include <stdint.h>\n"
                           "#include <stdio.h>\n"
                           "#include <time.h>\n";

static const char main_text[] =
    "static double now(void)\n"
    "{\n"
    "    struct timespec t;\n"
    "    clock_gettime(CLOCK_MONOTONIC, &t);\n"
    "    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;\n"
    "}\n"
    "\n"
    "static double seconds(long steps)\n"
    "{\n"
    "    pthread_t threads[THREADS];\n"
    "    const double start = now();\n"
    "    for (int i = 1; i < THREADS; i++)\n"
    "        if (pthread_create(&threads[i], NULL, work, &steps))\n"
    "            return 0;\n"
    "    work(&steps);\n"
    "    for (int i = 1; i < THREADS; i++)\n"
    "        pthread_join(threads[i], NULL);\n"
    "    return now() - start;\n"
    "}\n"
    "\n"
    "int main(void)\n"
    "{\n"
    "    long steps = 1000;\n"
    "    double best = 0;\n"
    "    while (seconds(steps) < 0.02 && steps < 1000000000)\n"
    "        steps *= 2;\n"
    "    for (int i = 0; i < 5; i++) {\n"
    "        const double s = seconds(steps);\n"
    "        const double rate = s > 0 ? (double)THREADS * (double)steps * SUMS * LANES / s : 0;\n"
    "        best = rate > best ? rate : best;\n"
    "    }\n"
    "    printf(\"%.6g\\n\", best);\n"
    "    return 0;\n"
    "}\n";

static Text peak_text(Arena *a, const Target *t, int64_t threads)
{
    Text s = text_new(a);
    /* Read once for each sum: a compiler that sees equal sums makes one of them. */
    const char *start = splat(a, t, "numbers[1]");
    text_add(&s, head);
    if (t->header)
        text_printf(&s, "#include <%s>\n", t->header);
    text_printf(&s, "enum { THREADS = %lld, SUMS = %d, LANES = %d };\n", (long long)threads, SUMS,
                peak_lanes(t));
    if (t->lanes == 1)
        text_add(&s, "typedef float vector __attribute__((vector_size(LANES * sizeof(float))));\n");
    else
        text_printf(&s, "typedef %s vector;\n", t->vector_type);
    text_add(&s, "static volatile float numbers[2] = {0.999f, 0.001f};\n\n"
                 "static void *work(void *steps)\n{\n    volatile vector result;\n");
    text_printf(&s, "    const vector factor = %s, term = %s;\n    vector ",
                splat(a, t, "numbers[0]"), start);
    for (int i = 0; i < SUMS; i++)
        text_printf(&s, "%ss%d = %s", i ? ", " : "", i, start);
    text_add(&s, ";\n    for (long i = *(const long *)steps; i > 0; i--) {\n");
    for (int i = 0; i < SUMS; i++)
        text_printf(&s, "        s%d = %s;\n", i, multiply_add(a, t, arena_printf(a, "s%d", i)));
    text_add(&s, "    }\n");
    for (int i = 0; i < SUMS; i++)
        text_printf(&s, "    result = s%d;\n", i);
    text_add(&s, "    (void)result;\n    return NULL;\n}\n\n");
    text_add(&s, main_text);
    return s;
}

const char *peak_build(Compilation *c, const Options *o)
{
    const char *program = temp_file(c->arena, "peak"), *source = temp_file(c->arena, "peak.c");
    Text        text = peak_text(c->arena, o->target, o->threads ? o->threads : 1);
    return build_small(c, o, source, &text, program) ? program : NULL;
}

double peak_measure(Compilation *c, const Options *o, const char *program)
{
    const char *argv[24];
    int         n = build_runner(c, o, program, argv), status;
    Text        out;
    if (!n)
        return 0;
    argv[n] = NULL;
    if (!process_run(c->arena, c->diag, argv, &status, &out, NULL))
        return 0;
    double peak = out.data ? strtod(out.data, NULL) : 0;
    if (status || !isfinite(peak) || peak <= 0) {
        diag_system(c->diag, "the program that measures the peak failed with status %d", status);
        return 0;
    }
    return peak;
}
