/* driver.h - the commands.
 *
 *   options.c   the command line: one table of options, which command takes which, --help
 *   model.c     read, run the passes, compile: what all commands share
 *   compile.c   kiln compile
 *   build.c     kiln build: the C compiler, the runtime, boards
 *   run.c       kiln run: the reference evaluator
 *   verify.c    kiln verify: built program against evaluator, with an a-priori bound
 *   bench.c     kiln bench
 *   inspect.c   kiln inspect
 *   targets.c   kiln targets
 *   npy.c       .npy files
 *   table.c     tables that line up
 *   progress.c  progress on a terminal */
#ifndef KILN_DRIVER_H
#define KILN_DRIVER_H

#include "emit/emit.h"
#include "passes/passes.h"

#define KILN_VERSION "0.1.0"

/* Exit codes of INTERFACE: 0 done, 1 the model or its data, 2 usage, 3 the machine. */
enum { EXIT_DONE = 0, EXIT_MODEL = 1, EXIT_USAGE = 2, EXIT_MACHINE = 3 };

/* NAME=FILE.npy */
typedef struct InputFile {
    const char *name, *path;
} InputFile;

typedef struct Options {
    const char   *command, *model, *out;
    const Target *target;
    const char   *board;          /* NULL: none */
    WeightsForm   weights;
    const char   *name;           /* --name; NULL: the model's */
    int64_t       batch;          /* 0: as the model says */
    int           threads;
    bool          threads_given;
    bool          arena_by_caller;
    const char   *emit;           /* "c", "graph", "loops", "dot" */
    PassOptions   passes;
    const char   *schedule;
    bool          self_test, profile, quiet, verbose, layers;
    FpMode        fp;
    InputFile    *inputs;
    int           n_inputs;
    const char   *cc;             /* $CC or the target's default */
    int64_t       seed, runs;
} Options;

/* options_parse - 0 and *o filled; or an exit code after printing help or a complaint. */
int options_parse(int argc, char **argv, Arena *a, Options *o);

/* A model taken as far as a command needs it. */
typedef struct Compilation {
    Arena   *arena;
    Diag    *diag;
    Graph   *graph;
    Program *program;
} Compilation;

Graph   *model_read(Compilation *c, const Options *o);         /* NULL: reported */
bool     model_passes(Compilation *c, const Options *o);
bool     model_compile(Compilation *c, const Options *o);      /* read, passes, program */
void     model_emit_options(const Compilation *c, const Options *o, EmitOptions *e);

int command_compile(Compilation *c, const Options *o);
int command_build(Compilation *c, const Options *o);
int command_run(Compilation *c, const Options *o);
int command_verify(Compilation *c, const Options *o);
int command_bench(Compilation *c, const Options *o);
int command_inspect(Compilation *c, const Options *o);
int command_targets(Compilation *c, const Options *o);

/* build_program - write the C under `dir` as model.c, compile it with the runtime's main into
 * `program`. False: reported. What verify and bench stand on. */
bool build_program(Compilation *c, const Options *o, const char *dir, const char *program);

/* ---- npy.c ------------------------------------------------------------------------------ */

typedef struct Npy {
    Elem    elem;                 /* F32, F64, I8, U8, I32 (i64 that fit) */
    int     rank;
    int64_t dims[MAX_RANK + 1];   /* a leading batch may stand before the model's own rank */
    const unsigned char *data;    /* C order, little-endian, in the mapped file */
} Npy;
bool   npy_open(Diag *d, const char *path, Npy *out);
double npy_get(const Npy *n, int64_t i);
bool   npy_write(Arena *a, Diag *d, const char *path, const Type *shape, const double *data, Elem as);

/* ---- table.c, progress.c ---------------------------------------------------------------- */

typedef struct Table Table;
/* table_new - columns by title; a title starting with '>' is right-aligned. */
Table *table_new(Arena *a, const char *const *titles, int n);
void   table_cell(Table *t, const char *fmt, ...) PRINTF_LIKE(2, 3); /* next cell, row by row */
void   table_rule(Table *t);                                         /* a line before the next row */
void   table_print(const Table *t, FILE *out);

/* progress - one line rewritten on a terminal, once work has lasted a second; nothing in a pipe. */
void progress(const char *what, int64_t done, int64_t total);
void progress_end(void);

#endif
