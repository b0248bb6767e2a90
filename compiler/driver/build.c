/* build.c - kiln build: the C compiler, the runtime, the finished program. */
#include "driver/driver.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

/* A command line in the making. */
enum { MAX_WORDS = 96 };
typedef struct Words {
    Arena      *arena;
    const char *items[MAX_WORDS];
    int         n;
} Words;

static void add_word(Words *w, const char *word)
{
    if (w->n + 1 < MAX_WORDS)
        w->items[w->n++] = word;
    w->items[w->n] = NULL;
}

/* add_words - `text` split at spaces; NULL adds nothing. */
static void add_words(Words *w, const char *text)
{
    while (text && *text) {
        text += strspn(text, " ");
        size_t n = strcspn(text, " ");
        if (n)
            add_word(w, arena_strndup(w->arena, text, n));
        text += n;
    }
}

static const char *joined(const Words *w)
{
    Text t = text_new(w->arena);
    for (int i = 0; i < w->n; i++)
        text_printf(&t, "%s%s", i ? " " : "", w->items[i]);
    return t.data;
}

/* ---- the sources ------------------------------------------------------------------------ */

static bool write_file(Compilation *c, const char *path, const char *text, size_t n)
{
    OutFile *f = file_create(c->arena, c->diag, path);
    if (!f)
        return false;
    file_write(f, text, n);
    return file_commit(f);
}

static bool ends_in(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

/* belongs - whether a program, or an image for a board, is made from this file of the runtime. */
static bool belongs(const char *name, bool on_board)
{
    static const char *const shared[] = {"kiln.h", "npy.h", "npy.c", "npy_elements.c", "program.h"};
    for (size_t i = 0; i < COUNT_OF(shared); i++)
        if (!strcmp(name, shared[i]))
            return true;
    return on_board == !strncmp(name, "boards/", strlen("boards/"));
}

/* add_runtime - unpack the runtime beside the model; its C files become words of the command. */
static bool add_runtime(Compilation *c, Words *cc, bool on_board)
{
    for (int i = 0; i < n_embedded_files; i++) {
        const EmbeddedFile *e = &embedded_files[i];
        if (!belongs(e->name, on_board))
            continue;
        const char *slash = strrchr(e->name, '/');
        const char *path = temp_file(c->arena, slash ? slash + 1 : e->name);
        if (!write_file(c, path, e->text, strlen(e->text)))
            return false;
        if (ends_in(e->name, ".c"))
            add_word(cc, path);
    }
    return true;
}

static bool write_model(Compilation *c, const Options *o, const char *path)
{
    EmitOptions e;
    temp_file(c->arena, "model.h");
    temp_file(c->arena, "model.weights.bin");
    if (!model_emit(c, o, path))
        return false;
    model_emit_options(c, o, "model", &e);
    Text text = glue_text(c, &e);
    return write_file(c, temp_file(c->arena, "glue.c"), text.data, text.len);
}

/* ---- the compiler ----------------------------------------------------------------------- */

/* first_lines - of what a compiler said: one mistake can make thousands. */
static const char *first_lines(Arena *a, const Text *said)
{
    enum { LINES = 20 };
    const char *end = said->data;
    for (int i = 0; end && i < LINES; i++) {
        const char *newline = strchr(end, '\n');
        if (!newline)
            return said->data;
        end = newline + 1;
    }
    return end && *end  ? arena_printf(a, "%.*s...", (int)(end - said->data), said->data)
           : said->data ? said->data
                        : "";
}

static bool call_compiler(Compilation *c, const Options *o, const Words *cc)
{
    Text said;
    int  status;
    if (o->verbose)
        fprintf(stderr, "%s\n", joined(cc));
    if (!process_run(c->arena, c->diag, cc->items, &status, NULL, &said))
        return false;
    if (status)
        diag_system(c->diag, "'%s' failed with status %d:\n%s", cc->items[0], status,
                    first_lines(c->arena, &said));
    else if (o->verbose && said.len)
        fwrite(said.data, 1, said.len, stderr);
    return status == 0;
}

/* compiler_of - $CC where it is set; else a cross compiler where the code is for another machine. */
static const char *compiler_of(const Options *o, const Board *board)
{
    struct utsname here;
    if (o->cc)
        return o->cc;
    if (board)
        return board->cc;
    bool native =
        !o->target->machine || (!uname(&here) && !strcmp(here.machine, o->target->machine));
    return native || !o->target->cross_cc ? "cc" : o->target->cross_cc;
}

static void add_common(Compilation *c, Words *cc, const Board *board, const char *dir)
{
    if (board)
        add_words(cc, board_flags(c->arena, board));
    add_word(cc, "-I");
    add_word(cc, dir);
}

/* compile_model - the emitted C by itself, with the flags its head asks for. The runtime's headers
 * are there. */
static bool compile_model(Compilation *c, const Options *o, const Board *board, const char *dir)
{
    const char *source = temp_file(c->arena, "model.c");
    Words       cc = {.arena = c->arena};
    add_words(&cc, compiler_of(o, board));
    add_words(&cc, o->target->c_flags);
    /* Boards have a fused multiply-add that the portable code does not name. */
    if (o->fp == FP_EXACT || board)
        add_word(&cc, o->fp == FP_EXACT ? "-ffp-contract=off" : "-ffp-contract=fast");
    add_common(c, &cc, board, dir);
    add_words(&cc, "-c -o");
    add_word(&cc, temp_file(c->arena, "model.o"));
    add_word(&cc, source);
    return write_model(c, o, source) && call_compiler(c, o, &cc);
}

bool build_program(Compilation *c, const Options *o, const char *dir, const char *program)
{
    const Board *board = o->board ? board_by_name(o->board) : NULL;
    Words        cc = {.arena = c->arena};
    add_words(&cc, compiler_of(o, board));
    /* Nothing around the model is hot, and the compiler's time is the user's. */
    add_words(&cc, "-std=c11 -D_GNU_SOURCE -O1");
    add_common(c, &cc, board, dir);
    add_word(&cc, "-o");
    add_word(&cc, program);
    add_word(&cc, temp_file(c->arena, "model.o"));
    add_word(&cc, temp_file(c->arena, "glue.c"));
    if (!add_runtime(c, &cc, board != NULL) || !compile_model(c, o, board, dir))
        return false;
    if (board) {
        add_word(&cc, "-T");
        add_word(&cc, arena_printf(c->arena, "%s/board.ld", dir));
    }
    add_words(&cc, board ? board_libraries : "-lm -lpthread");
    return call_compiler(c, o, &cc);
}

bool build_small(Compilation *c, const Options *o, const char *source, const Text *text,
                 const char *program)
{
    Words cc = {.arena = c->arena};
    add_words(&cc, compiler_of(o, NULL));
    add_words(&cc, o->target->c_flags);
    add_word(&cc, "-o");
    add_word(&cc, program);
    add_word(&cc, source);
    add_word(&cc, "-lpthread");
    return write_file(c, source, text->data, text->len) && call_compiler(c, o, &cc);
}

int build_runner(Compilation *c, const Options *o, const char *program, const char **argv)
{
    Words w = {.arena = c->arena};
    if (!target_runs_here(o->target)) {
        if (!o->target->emulator) {
            diag_system(c->diag, "this machine does not run code for target %s", o->target->name);
            return 0;
        }
        add_words(&w, o->target->emulator);
    }
    add_word(&w, program);
    memcpy(argv, w.items, (size_t)w.n * sizeof *argv);
    return w.n;
}

/* ---- the command ------------------------------------------------------------------------ */

/* publish - the file `from` as `to`, whole or not at all. */
static bool publish(Compilation *c, const char *from, const char *to, bool executable)
{
    Bytes bytes;
    if (!file_map(c->diag, from, &bytes))
        return false;
    OutFile *f = file_create(c->arena, c->diag, to);
    if (!f)
        return false;
    signals_hold(true);
    file_write(f, bytes.data, bytes.len);
    struct stat st;
    int         fd = fileno(file_stream(f));
    bool        ok = !executable || fstat(fd, &st) || !S_ISREG(st.st_mode) ||
              !fchmod(fd, (st.st_mode & 0777) | (st.st_mode & 0444) >> 2);
    if (!ok)
        diag_system(c->diag, "cannot make '%s' executable", to);
    if (ok)
        ok = file_commit(f);
    else
        file_abandon(f);
    signals_hold(false);
    return ok;
}

int command_build(Compilation *c, const Options *o)
{
    const char *dir = temp_folder(c->arena, c->diag);
    if (!dir || !model_compile(c, o))
        return diag_status(c->diag);
    const char *program = temp_file(c->arena, "program");
    if (!build_program(c, o, dir, program))
        return diag_status(c->diag);
    if (o->weights == WEIGHTS_FILE &&
        !publish(c, temp_file(c->arena, "model.weights.bin"),
                 arena_printf(c->arena, "%s.weights.bin", o->out), false))
        return diag_status(c->diag);
    publish(c, program, o->out, true);
    return diag_status(c->diag);
}
