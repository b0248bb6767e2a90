/* instr_test - every row of every target's instruction table computes what target.h says.
 *
 * For each target a C compiler can build for here: one function a row, compiled with the
 * target's flags; no undefined symbol may be left in the object (a row must not turn into a
 * library call); run on random numbers, NaN, infinities, zeros of both signs and denormals,
 * through the emulator where the machine is another one; compared bit for bit with plain scalar
 * C. A row that picks lanes is tried with each constant it takes. A row of 16-bit numbers is tried with
 * those that go with it: to load and widen them, to narrow and store them, or to load pairs, splat one and
 * multiply by them. */
#include "target/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N = 1024 }; /* numbers each row is tried on; a multiple of every lane count */

static char dir[] = "/tmp/instr_test_XXXXXX";
static int  n_passed, n_failed;

static void check(bool ok, const char *target, const char *what)
{
    if (ok)
        n_passed++;
    else
        n_failed++;
    if (!ok)
        printf("FAIL: %s: %s\n", target, what);
}

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

/* ---- inputs and what they must become ---------------------------------------------------- */

static uint32_t next_bits(void)
{
    static uint32_t state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static float any_float(void)
{
    static const float special[] = {
        0.0f,  -0.0f, INFINITY,    -INFINITY,  NAN,        1e-40f,      0.5f,  1.5f, 2.5f,
        -0.5f, -2.5f, 0.49999997f, 8388607.5f, 8388608.0f, -8388609.0f, 3e38f, 1.0f, -1.0f};
    uint32_t pick = next_bits() >> 8;
    if (pick % 4 == 0)
        return special[pick / 4 % COUNT_OF(special)];
    if (pick % 4 == 1)
        return (float)(int32_t)next_bits() / 65536.0f;
    uint32_t bits = next_bits();
    float    f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* makes_pairs, is_matrix, narrows - what the rows of BF16 are for, where they do not widen. */
static bool is_matrix(const Instr *r)
{
    return r->kind >= I_MATRIX_BEGIN && r->kind <= I_MATRIX_DOT;
}

static bool makes_pairs(const Target *t, const Instr *r)
{
    return r->kind == I_DOT || is_matrix(r) || (r->elem == BF16 && r->lanes != t->lanes);
}

static bool narrows(const Instr *r)
{
    return r->kind == I_NARROW || (r->kind == I_STORE && r->elem == BF16);
}

/* normal_bits - two halves, or a float, that are normal, as are their sums of products. */
static float normal_bits(void)
{
    uint32_t bits = (next_bits() & 0x83ff83ffu) + 0x3c003c00u;
    float    f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* fill - operands a row may be given: those of I_LDEXP and I_EXPONENT are restricted, and instructions
 * of AVX512-BF16 take denormals for zeros. */
static void fill(const Target *t, const Instr *r, float *a, float *b, float *c)
{
    InstrKind kind = r->kind;
    for (int i = 0; i < N; i++) {
        if (makes_pairs(t, r) || narrows(r)) {
            a[i] = normal_bits();
            b[i] = normal_bits();
            c[i] = normal_bits();
            continue;
        }
        a[i] = any_float();
        b[i] = any_float();
        c[i] = any_float();
        while (kind == I_EXPONENT && !(isnormal(a[i]) && a[i] > 0.0f))
            a[i] = fabsf(any_float());
        if (kind == I_LDEXP)
            b[i] = (float)((int)(next_bits() >> 8) % 254 - 126);
    }
}

static float expected(InstrKind kind, float a, float b, float c)
{
    int e;
    switch (kind) {
    case I_PREFETCH:
    case I_PREFETCH_L2: /* of a: the value is a's all the same */
    case I_LOAD:
    case I_SPLAT: return a;
    case I_STORE: return b;
    case I_ADD: return a + b;
    case I_SUB: return a - b;
    case I_MUL: return a * b;
    case I_DIV: return a / b;
    case I_MAX: return a > b ? a : b;
    case I_MIN: return a < b ? a : b;
    case I_FMA: return fmaf(a, b, c);
    case I_NEG: return -a;
    case I_ABS: return fabsf(a);
    case I_FLOOR: return floorf(a);
    case I_ROUND: return nearbyintf(a);
    case I_SQRT: return sqrtf(a);
    case I_LDEXP: return ldexpf(a, (int)b);
    case I_EXPONENT: frexpf(a, &e); return (float)(e - 1);
    case I_WIDEN: /* see of_halves */
    case I_NARROW:
    case I_DOT:
    case I_PICK_2: /* see picked_lane */
    case I_PICK_4:
    case I_PICK_8:
    case I_SWAP:
    case I_MATRIX_BEGIN:
    case I_MATRIX_END:
    case I_MATRIX_ZERO:
    case I_MATRIX_LOAD:
    case I_MATRIX_STORE:
    case I_MATRIX_DOT:
    case I_NONE: break;
    }
    return NAN;
}

/* half_at - number i of the halves that begin where lane 0 of `a` does. */
static uint16_t half_at(const float *lane0, int i)
{
    uint16_t half;
    memcpy(&half, (const char *)lane0 + 2 * i, sizeof half);
    return half;
}

static float dot(const Instr *r, const float *a, const float *b, float c, int lane)
{
    int   of_a = r->kind == I_SPLAT || r->lanes == 2 || is_matrix(r) ? 0 : 2 * lane;
    float odd = fmaf(bf16_to_f32(half_at(a, of_a + 1)), bf16_to_f32(half_at(b, 2 * lane + 1)), c);
    return fmaf(bf16_to_f32(half_at(a, of_a)), bf16_to_f32(half_at(b, 2 * lane)), odd);
}

/* of_halves - lane k of what a row of 16-bit numbers makes. Narrowed ones fill the first half of a
 * vector, and leave zeros in the other. */
static float of_halves(const Target *t, const Instr *r, const float *a, const float *b,
                       const float *c, int k)
{
    int          lane = k % t->lanes;
    const float *lane0 = a + k - lane;
    if (makes_pairs(t, r))
        return dot(r, lane0, b + k - lane, is_matrix(r) ? 0 : c[k], lane);
    if (narrows(r)) {
        uint16_t two[2] = {0};
        float    f;
        for (int i = 0; i < 2 && lane < t->lanes / 2; i++)
            two[i] = f32_to_bf16(lane0[2 * lane + i]);
        memcpy(&f, two, sizeof f);
        return f;
    }
    uint16_t half = half_at(lane0, lane);
    return r->elem == F16 ? f16_to_f32(half) : bf16_to_f32(half);
}

/* pick_group - of how many lanes a row picks one; 0: it does not. */
static int64_t pick_group(const Instr *r)
{
    for (int64_t group = 2; group <= 8; group *= 2)
        if (r->kind == target_pick(group))
            return group;
    return 0;
}

/* n_constants - how many different constants a row is tried with; 0: it takes none. */
static int n_constants(const Instr *r)
{
    return r->kind == I_SWAP ? 4 : (int)pick_group(r);
}

/* constant - number `i` of them. */
static int constant(const Instr *r, int i)
{
    return r->kind == I_SWAP ? 2 * i : i;
}

/* picked_lane - the place of lane k's number in `a`: which constant the row has is up to the first bits of b. */
static int picked_lane(const Instr *r, const float *b, int k)
{
    int      group = (int)pick_group(r);
    uint32_t bits;
    memcpy(&bits, &b[k - k % r->lanes], sizeof bits);
    int by = constant(r, (int)(bits % (uint32_t)n_constants(r)));
    return r->kind == I_SWAP ? k ^ by : k / group * group + by;
}

static bool same_bits(float x, float y)
{
    return (isnan(x) && isnan(y)) || !memcmp(&x, &y, sizeof x);
}

/* ---- the program made for a target ------------------------------------------------------- */

/* write_text - an instruction's text with %a %b %c replaced. */
static void write_text(FILE *f, const char *text, const char *a, const char *b, const char *c)
{
    for (const char *s = text; *s; s++)
        if (*s == '%' && s[1] >= 'a' && s[1] <= 'c')
            fputs(*++s == 'a' ? a : *s == 'b' ? b : c, f);
        else
            fputc(*s, f);
}

/* write_halves - a vector of halves, loaded and widened. */
static void write_halves(FILE *f, const Target *t, const Instr *r)
{
    fprintf(f, "const %s va = ", t->half_type);
    write_text(f, target_find(t, I_LOAD, r->elem, r->lanes)->text,
               "(const uint16_t *)(const void *)a", "", "");
    fprintf(f, ";\n    const %s y = ", t->vector_type);
    write_text(f, target_find(t, I_WIDEN, r->elem, r->lanes)->text, "va", "", "");
    fprintf(f, ";\n    ");
    write_text(f, target_find(t, I_STORE, F32, r->lanes)->text, "out", "y", "");
}

/* write_pairs - the pairs of a, or one of them splat, times those of b, and c. */
static void write_pairs(FILE *f, const Target *t, const Instr *r)
{
    const char *halves = "(const uint16_t *)(const void *)";
    bool        is_splat = r->kind == I_SPLAT || r->lanes == 2;
    char        address[64];
    for (const char *name = "ab"; *name; name++) {
        bool one = *name == 'a' && is_splat;
        int  lanes = one ? 2 : 2 * t->lanes;
        snprintf(address, sizeof address, "%s%c", halves, *name);
        fprintf(f, "const %s p%c = ", one ? "int32_t" : t->pair_type, *name);
        write_text(f, target_find(t, I_LOAD, BF16, lanes)->text, address, "", "");
        fprintf(f, ";\n    ");
    }
    fprintf(f, "const %s va = ", t->pair_type);
    write_text(f, is_splat ? target_find(t, I_SPLAT, BF16, 2 * t->lanes)->text : "%a", "pa", "",
               "");
    fprintf(f, ";\n    const %s vc = ", t->vector_type);
    write_text(f, target_find(t, I_LOAD, F32, t->lanes)->text, "c", "", "");
    fprintf(f, ";\n    const %s y = ", t->vector_type);
    write_text(f, target_find(t, I_DOT, BF16, t->lanes)->text, "va", "pb", "vc");
    fprintf(f, ";\n    ");
    write_text(f, target_find(t, I_STORE, F32, t->lanes)->text, "out", "y", "");
}

/* write_matrix - all rows for matrices: one pair of a times a row of pairs of b. */
static void write_matrix(FILE *f, const Target *t)
{
    static const struct {
        InstrKind   kind;
        Elem        elem;
        const char *a, *b, *c;
    } steps[] = {{I_MATRIX_BEGIN, F32, "shapes", "", ""}, {I_MATRIX_ZERO, F32, "0", "", ""},
                 {I_MATRIX_LOAD, BF16, "1", "a", "4"},    {I_MATRIX_LOAD, BF16, "2", "b", "64"},
                 {I_MATRIX_DOT, BF16, "0", "1", "2"},     {I_MATRIX_STORE, F32, "0", "out", "64"},
                 {I_MATRIX_END, F32, "", "", ""}};
    fprintf(f, "static const unsigned char shapes[64] = {1, [16] = 64, [18] = 4, [20] = 64, "
               "[48] = 1, 1, 1}");
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        fprintf(f, ";\n    ");
        write_text(f, target_find(t, steps[i].kind, steps[i].elem, t->lanes)->text, steps[i].a,
                   steps[i].b, steps[i].c);
    }
}

/* write_narrow - a vector of floats, narrowed and stored. */
static void write_narrow(FILE *f, const Target *t, const Instr *r)
{
    fprintf(f, "const %s va = ", t->vector_type);
    write_text(f, target_find(t, I_LOAD, F32, r->lanes)->text, "a", "", "");
    fprintf(f, ";\n    const %s y = ", t->half_type);
    write_text(f, target_find(t, I_NARROW, r->elem, r->lanes)->text, "va", "", "");
    fprintf(f, ";\n    ");
    write_text(f, target_find(t, I_STORE, r->elem, r->lanes)->text, "(uint16_t *)(void *)out", "y",
               "");
}

static bool prefetches(const Instr *r)
{
    return r->kind == I_PREFETCH || r->kind == I_PREFETCH_L2;
}

/* write_picks - one pick or swap for each constant, and a switch between them. */
static void write_picks(FILE *f, const Target *t, const Instr *r)
{
    fprintf(f, "const %s va = ", t->vector_type);
    write_text(f, target_find(t, I_LOAD, F32, r->lanes)->text, "a", "", "");
    fprintf(f, ";\n    %s y = va;\n    uint32_t n;\n    __builtin_memcpy(&n, b, sizeof n);\n",
            t->vector_type);
    fprintf(f, "    switch (n %% %d) {\n", n_constants(r));
    for (int i = 0; i < n_constants(r); i++) {
        char lane[16];
        snprintf(lane, sizeof lane, "%d", constant(r, i));
        fprintf(f, "    case %d: y = ", i);
        write_text(f, r->text, "va", lane, "");
        fprintf(f, "; break;\n");
    }
    fprintf(f, "    }\n    ");
    write_text(f, target_find(t, I_STORE, F32, r->lanes)->text, "out", "y", "");
}

/* write_row - a function of pointers: operands come in through the LOAD row, unaligned, and the
 * result leaves through the STORE row. */
static void write_row(FILE *f, const Target *t, int i)
{
    const Instr *r = &t->instrs[i];
    fprintf(f, "void row_%d(const float *a, const float *b, const float *c, float *out);\n", i);
    fprintf(f, "void row_%d(const float *a, const float *b, const float *c, float *out)\n{\n", i);
    fprintf(f, "    (void)a, (void)b, (void)c;\n    ");
    if (is_matrix(r)) {
        write_matrix(f, t);
    } else if (makes_pairs(t, r)) {
        write_pairs(f, t, r);
    } else if (narrows(r)) {
        write_narrow(f, t, r);
    } else if (elem_is_half(r->elem)) {
        write_halves(f, t, r);
    } else if (n_constants(r)) {
        write_picks(f, t, r);
    } else if (r->lanes == 1) {
        fprintf(f, "*out = ");
        write_text(f, r->text, "*a", "*b", "*c");
    } else {
        for (const char *name = "abc"; *name; name++) {
            char address[2] = {*name, 0};
            fprintf(f, "const %s v%c = ", t->vector_type, *name);
            write_text(f, target_find(t, I_LOAD, F32, r->lanes)->text, address, "", "");
            fprintf(f, ";\n    ");
        }
        fprintf(f, "(void)va, (void)vb, (void)vc;\n    ");
        if (prefetches(r)) {
            write_text(f, r->text, "a + 16", "", "");
            fprintf(f, ";\n    ");
        }
        fprintf(f, "const %s y = ", t->vector_type);
        const char *first = r->kind == I_LOAD ? "a" : r->kind == I_SPLAT ? "*a" : "va";
        const char *text = r->kind == I_STORE ? "%b" : prefetches(r) ? "%a" : r->text;
        write_text(f, text, first, "vb", "vc");
        fprintf(f, ";\n    ");
        write_text(f, target_find(t, I_STORE, F32, r->lanes)->text, "out", "y", "");
    }
    fprintf(f, ";\n}\n");
}

static void write_rows(const Target *t)
{
    FILE *f = open_here("rows.c", "w");
    fprintf(f, "#if !(%s)\n#error \"%s\"\n#endif\n#include <stdint.h>\n#include <%s>\n", t->guard,
            t->guard_hint, t->header);
    for (int i = 0; i < t->n_support; i++)
        fputs(t->support[i].text, f);
    if (t->plain_pointer)
        fprintf(f,
                "const float *same(const float *p);\n"
                "const float *same(const float *p)\n{\n    return %s(p);\n}\n",
                t->plain_pointer);
    for (int i = 0; i < t->n_instrs; i++)
        write_row(f, t, i);
    fclose(f);
}

static void write_main(const Target *t)
{
    FILE *f = open_here("main.c", "w");
    fprintf(f, "#include <stdio.h>\n"
               "typedef void Row(const float *, const float *, const float *, float *);\n");
    for (int i = 0; i < t->n_instrs; i++)
        fprintf(f, "Row row_%d;\n", i);
    fprintf(f,
            "static float in[3][%d], out[%d];\n"
            "static void run(Row *row, int lanes)\n{\n"
            "    if (fread(in, 1, sizeof in, stdin) != sizeof in)\n        return;\n"
            "    for (int i = 0; i < %d; i++)\n        out[i] = 0;\n"
            "    for (int i = 0; i < %d; i += lanes)\n"
            "        row(in[0] + i, in[1] + i, in[2] + i, out + i);\n"
            "    fwrite(out, 1, sizeof out, stdout);\n}\n"
            "int main(void)\n{\n",
            N, N, N, N);
    for (int i = 0; i < t->n_instrs; i++)
        fprintf(f, "    run(row_%d, %d);\n", i,
                makes_pairs(t, &t->instrs[i]) ? t->lanes : t->instrs[i].lanes);
    fprintf(f, "    return 0;\n}\n");
    fclose(f);
}

/* ---- one target with one compiler --------------------------------------------------------- */

static void check_row(const Target *t, int i, FILE *in, FILE *out, const char *cc)
{
    static float a[N], b[N], c[N], got[N];
    const Instr *r = &t->instrs[i];
    char         what[512];
    snprintf(what, sizeof what, "%s: %s", cc, r->text);
    bool read = fread(a, sizeof *a, N, in) == N && fread(b, sizeof *b, N, in) == N &&
                fread(c, sizeof *c, N, in) == N && fread(got, sizeof *got, N, out) == N;
    check(read, t->name, "the program's output is short");
    for (int k = 0; read && k < N; k++) {
        float x = r->kind == I_SPLAT ? a[k - k % r->lanes] : a[k];
        float want = elem_is_half(r->elem) || is_matrix(r) ? of_halves(t, r, a, b, c, k)
                     : n_constants(r)                      ? a[picked_lane(r, b, k)]
                                                           : expected(r->kind, x, b[k], c[k]);
        if (!same_bits(got[k], want)) {
            printf("%s: %s of (%a, %a, %a): got %a, expected %a\n", t->name, r->text, (double)x,
                   (double)b[k], (double)c[k], (double)got[k], (double)want);
            check(false, t->name, what);
            return;
        }
    }
    check(true, t->name, what);
}

static void write_inputs(const Target *t)
{
    static float a[N], b[N], c[N];
    FILE        *f = open_here("in.bin", "wb");
    for (int i = 0; i < t->n_instrs; i++) {
        fill(t, &t->instrs[i], a, b, c);
        fwrite(a, sizeof *a, N, f);
        fwrite(b, sizeof *b, N, f);
        fwrite(c, sizeof *c, N, f);
    }
    fclose(f);
}

static void test_target(const Target *t, const char *cc, const char *emulator)
{
    write_rows(t);
    write_main(t);
    write_inputs(t);
    const char *strict = "-Wall -Wextra -Wconversion -Wshadow -pedantic -Werror";
    for (const char *opt = "03"; *opt; opt++) {
        int rc = run("cd %s && %s -std=c99 %s %s -O%c -ffp-contract=off -c rows.c", dir, cc,
                     t->c_flags, strict, *opt);
        check(rc == 0, t->name, "the rows compile without a warning");
        check(run("cd %s && test -z \"$(nm -u rows.o)\"", dir) == 0, t->name,
              "a row turned into a library call");
    }
    int rc = run("cd %s && %s main.c rows.o -o program && %s ./program < in.bin > out.bin", dir, cc,
                 emulator);
    check(rc == 0, t->name, "the program runs");
    FILE *in = open_here("in.bin", "rb"), *out = open_here("out.bin", "rb");
    for (int i = 0; i < t->n_instrs && rc == 0; i++)
        check_row(t, i, in, out, cc);
    fclose(in);
    fclose(out);
}

static bool have(const char *program)
{
    return run("command -v %s > /dev/null", program) == 0;
}

int main(void)
{
    if (!mkdtemp(dir)) {
        perror(dir);
        return 1;
    }
    for (int i = 0; i < target_count(); i++) {
        const Target *t = target_nth(i);
        if (t->n_instrs == 0)
            continue;
        const bool here = target_runs_here(t);
        if (!here && !(t->emulator && have(t->cross_cc))) {
            printf("SKIP: %s: nothing here runs it\n", t->name);
            continue;
        }
        test_target(t, here ? "cc" : t->cross_cc, here ? "" : t->emulator);
        if (here && have("clang"))
            test_target(t, "clang", "");
    }
    run("rm -rf %s", dir);
    printf("%d passed, %d failed\n", n_passed, n_failed);
    return n_failed != 0;
}
