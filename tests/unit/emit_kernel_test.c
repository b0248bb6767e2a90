/* emit_kernel_test - kernels printed as C compute the same bits as the kernel interpreter.
 *
 * Nests of random shape go through the kernel passes and become C functions, a file of them for each
 * target this machine can compile for and run; whole, in place, or in parts as threads would run
 * them. Arithmetic is --fp exact, so that every bit counts. The file must compile without a warning
 * and call nothing. */
#include "nests.h"

#include "emit/emit.h"

#include <stdlib.h>
#include <unistd.h>

enum { KERNELS = 60, PARTS = 3 };

static char dir[] = "/tmp/emit_kernel_test_XXXXXX";
static char root[1024]; /* of the project: tests are run from there */

/* One kernel, its C, and what it must compute. */
typedef struct Case {
    Kernel    *k;
    KernelText text;
    void     **memory;
    BufferId   y;
} Case;

static int PRINTF_LIKE(1, 2) run(const char *fmt, ...)
{
    char    command[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(command, sizeof command, fmt, args);
    va_end(args);
    return system(command);
}

static FILE *open_here(const char *name, const char *mode)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, mode);
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

/* ---- kernels -------------------------------------------------------------------------------- */

static Kernel *random_kernel(Arena *a, const Target *t)
{
    Shape   s = random_shape(random_below(3) ? t->lanes : 1);
    int64_t which = random_below(5);
    int64_t group = random_group(s.block);
    if (group && which == 4)
        return grouped_nest(a, &s, group, random_below(3) == 0, t);
    if (which == 0) {
        Tensor *w = random_weights(a, 4, (int64_t[]){s.o, s.i, s.kh, s.kw});
        return conv_nest(a, &s, t, w, random_tensor(a, 1, (int64_t[]){s.o}));
    }
    if (which == 1) {
        s.pad = s.pad < s.kh ? s.pad : s.kh - 1;
        s.pad = s.pad < s.kw ? s.pad : s.kw - 1;
        if (s.h + 2 * s.pad >= s.dilation * (s.kh - 1) + 1 &&
            s.w + 2 * s.pad >= s.dilation * (s.kw - 1) + 1)
            return pool_nest(a, &s, t);
    }
    if (which == 2)
        return mirror_nest(a, &s, t);
    return elementwise_nest(a, &s, t, random_tensor(a, 1, (int64_t[]){s.i}));
}

static void finish_kernel(Kernel *k, Arena *a)
{
    Text why = text_new(a);
    k->fp = FP_EXACT;
    if (random_below(2))
        k->schedule = (Schedule){.tile.m = (int)random_between(1, 5),
                                 .tile.n = (int)random_between(1, 3),
                                 .unroll_k = (int)random_between(1, 3)};
    for (int i = 0; i < n_kernel_passes; i++)
        kernel_passes[i].run(k);
    CHECK(kernel_verify(k, &why));
}

/* make_case - an elementwise kernel may work in place; interpreted, then ready to be compared. */
static Case make_case(Arena *a, const Target *t)
{
    Case    c = {.k = random_kernel(a, t)};
    Kernel *k = c.k;
    finish_kernel(k, a);
    c.memory = fill_memory(a, k);
    for (c.y = 1; k->buffers[c.y].kind != BUF_OUT;)
        c.y++;
    Aliases aliases = {arena_array(a, BufferId, k->n_buffers), arena_array(a, bool, k->n_buffers)};
    if (!strcmp(k->name, "add") && random_below(2)) {
        aliases.same[1] = c.y;
        c.memory[c.y] = c.memory[1];
    }
    c.text = kernel_c(k, &aliases, 3 * (int)random_below(2), a);
    return c;
}

/* ---- the program ---------------------------------------------------------------------------- */

static void write_constant(FILE *f, const Case *c, int number, int i)
{
    Arena        *a = arena_new();
    const Buffer *b = &c->k->buffers[c->text.constants[i]];
    Buffer        made = view_made(a, b);
    float        *data = arena_array(a, float, (size_t)b->count);
    view_read(&made, 0, b->count, data);
    fprintf(f, "static const %s constant_%d_%d[] = {", c_type(NULL, vtype(b->elem, 1)), number, i);
    for (int64_t k = 0; k < b->count; k++)
        if (elem_is_half(b->elem))
            fprintf(f, "%d,\n", ((const uint16_t *)data)[k]);
        else
            fprintf(f, "%s,\n", c_number(a, (double)data[k], F32));
    fprintf(f, "};\n");
    arena_free(a);
}

static const char *params(const Case *c, Arena *a)
{
    return arena_printf(a, "%s%s", c->text.params,
                        c->text.is_shared ? ", int part, int n_parts" : "");
}

static void write_kernels(const Case *cases, const Target *t, Arena *a)
{
    FILE *f = open_here("kernels.c", "w");
    Needs needs = needs_new(t, a);
    fprintf(f, "#include \"kiln.h\"\n");
    if (t->header)
        fprintf(f, "#include <%s>\n", t->header);
    Writer w = {.text = text_new(a)};
    for (int i = 0; i < KERNELS; i++)
        needs_scan(&needs, t, cases[i].text.body);
    helpers_c(&w, t, &needs);
    for (int i = 0; i < KERNELS; i++) {
        w_line(&w, "void kernel_%d(%s);", i, params(&cases[i], a));
        w_open(&w, "void kernel_%d(%s)", i, params(&cases[i], a));
        body_c(&w, &cases[i].text, NULL);
        w_close(&w, "");
    }
    fputs(w.text.data, f);
    fclose(f);
    size_t longest = 0;
    for (const char *line = w.text.data; *line; line += strcspn(line, "\n") + 1)
        longest = strcspn(line, "\n") > longest ? strcspn(line, "\n") : longest;
    CHECK(longest <= 100);
}

/* write_call - read what the arguments hold, run, write the output. */
static void write_call(FILE *f, const Case *c, int number)
{
    const KernelText *text = &c->text;
    for (int i = 0; i < text->n_constants; i++)
        write_constant(f, c, number, i);
    fprintf(f, "static void run_%d(void)\n{\n", number);
    for (int i = 0; i < text->n_args; i++)
        fprintf(f,
                "    static float arg_%d[%lld];\n    if (!fread(arg_%d, sizeof arg_%d, 1, stdin))\n"
                "        return;\n",
                i, (long long)c->k->buffers[text->args[i]].count, i, i);
    fprintf(f, "    for (int part = 0; part < %d; part++)\n        kernel_%d(",
            text->is_shared ? PARTS : 1, number);
    const char *comma = "";
    for (int i = 0; i <= text->n_args; i++) {
        for (int k = 0; i == text->n_inputs && k < text->n_constants; k++, comma = ", ")
            fprintf(f, "%sconstant_%d_%d", comma, number, k);
        if (i < text->n_args)
            fprintf(f, "%sarg_%d", comma, i);
        comma = ", ";
    }
    fprintf(f, "%s);\n    fwrite(arg_%d, sizeof arg_%d, 1, stdout);\n}\n\n",
            text->is_shared ? ", part, 3" : "", text->n_args - 1, text->n_args - 1);
}

static void write_main(const Case *cases, Arena *a)
{
    FILE *f = open_here("main.c", "w");
    fprintf(f, "#include <stdint.h>\n#include <stdio.h>\n");
    for (int i = 0; i < KERNELS; i++) {
        fprintf(f, "void kernel_%d(%s);\n", i, params(&cases[i], a));
        write_call(f, &cases[i], i);
    }
    fprintf(f, "int main(void)\n{\n");
    for (int i = 0; i < KERNELS; i++)
        fprintf(f, "    run_%d();\n", i);
    fprintf(f, "    return 0;\n}\n");
    fclose(f);
}

static void write_inputs(const Case *cases)
{
    FILE *f = open_here("in.bin", "wb");
    for (int i = 0; i < KERNELS; i++)
        for (int k = 0; k < cases[i].text.n_args; k++) {
            BufferId b = cases[i].text.args[k];
            fwrite(cases[i].memory[b], sizeof(float), (size_t)cases[i].k->buffers[b].count, f);
        }
    fclose(f);
}

/* ---- one target ----------------------------------------------------------------------------- */

static void check_case(const Case *c, FILE *out, Arena *a)
{
    size_t n = (size_t)c->k->buffers[c->y].count;
    float *got = arena_array(a, float, n);
    kernel_interp(c->k, c->memory, a);
    bool read = fread(got, sizeof *got, n, out) == n;
    if (CHECK(read && !memcmp(got, c->memory[c->y], n * sizeof *got)))
        return;
    Text   text = text_new(a);
    Writer body = {.text = text_new(a)};
    kernel_print(c->k, &text);
    body_c(&body, &c->text, NULL);
    printf("target %s\n%s%s\n%s", c->k->target->name, text.data, params(c, a), body.text.data);
}

static void test_target(const Target *t, const char *cc, const char *emulator)
{
    Arena *a = arena_new();
    Case  *cases = arena_array(a, Case, KERNELS);
    for (int i = 0; i < KERNELS; i++)
        cases[i] = make_case(a, t);
    write_kernels(cases, t, a);
    write_main(cases, a);
    write_inputs(cases);
    const char *strict = "-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror";
    CHECK(run("cd %s && %s -std=c99 %s -O1 %s -ffp-contract=off -I%s/runtime -c kernels.c", dir, cc,
              t->c_flags, strict, root) == 0);
    CHECK(run("cd %s && test -z \"$(nm -u kernels.o | grep -v -E ' (memset|memcpy)$')\"", dir) ==
          0);
    int   rc = run("cd %s && %s -O0 main.c kernels.o -o program && %s ./program < in.bin > out.bin",
                   dir, cc, emulator);
    FILE *out = rc ? NULL : open_here("out.bin", "rb");
    CHECK(rc == 0);
    for (int i = 0; i < KERNELS && out; i++)
        check_case(&cases[i], out, a);
    if (out)
        fclose(out);
    arena_free(a);
}

int main(void)
{
    if (!getcwd(root, sizeof root) || !mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    for (int i = 0; i < target_count(); i++) {
        const Target *t = target_nth(i);
        const bool    here = target_runs_here(t);
        if (here || (t->emulator && run("command -v %s > /dev/null", t->cross_cc) == 0))
            test_target(t, here ? "cc" : t->cross_cc, here ? "" : t->emulator);
        else
            printf("SKIP: %s: nothing here runs it\n", t->name);
    }
    run("rm -rf %s", dir);
    return check_end();
}
