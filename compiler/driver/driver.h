/* driver.h - the commands.
 *
 *   option_table.c  the commands and the options, which command takes which
 *   options.c   the command line
 *   option_checks.c   what options demand of each other
 *   how.c       the command that emits the same C
 *   help.c      --help
 *   model.c     read, run the passes, compile: what all commands share
 *   compile.c   kiln compile
 *   glue.c      what the runtime's main has to know of a model, as C
 *   build.c     kiln build: the C compiler, the runtime
 *   run.c       kiln run: the reference evaluator
 *   board.c     microcontroller boards: a table, and how an image for one is linked
 *   verify.c    kiln verify: built program against evaluator
 *   rounding.c  the a-priori bound on rounding errors behind it
 *   timing.c    a built program against the clock
 *   peak.c      the multiply-adds a second that the machine can do
 *   bench.c     kiln bench
 *   inspect.c   kiln inspect
 *   layers.c    what was decided for each layer, and what it is estimated to take
 *   explain.c   kiln explain: why
 *   tuner.h, tune.c, tune_plan.c, tune_build.c, tune_state.c   kiln tune
 *   convert.c   kiln convert
 *   targets.c   kiln targets
 *   npy.c       .npy files
 *   ports.c     inputs and outputs as the caller has them: batches, NHWC
 *   process.c   other programs, and temporary folders
 *   table.c     tables that line up
 *   progress.c  progress on a terminal */
#ifndef KILN_DRIVER_H
#define KILN_DRIVER_H

#include "emit/emit.h"
#include "npy.h"
#include "passes/passes.h"

/* Exit codes of INTERFACE: 0 done, 1 the model or its data, 2 usage, 3 the machine. */
enum { EXIT_DONE = 0, EXIT_MODEL = 1, EXIT_USAGE = 2, EXIT_MACHINE = 3 };

/* NAME=FILE.npy */
typedef struct InputFile {
    const char *name, *path;
} InputFile;

typedef struct Options {
    const char   *command, *model, *out;
    const char   *node; /* explain; NULL: all */
    const Target *target;
    const char   *board; /* NULL: none */
    WeightsForm   weights;
    int           store;   /* index into f32, f16, bf16 */
    const char   *pack;    /* "build", "start"; NULL: whichever keeps OUT.c small */
    const char   *name;    /* --name; NULL: the model's */
    int64_t       batch;   /* 0: as the model says */
    InputShape   *shapes;  /* --shape */
    int           n_shapes;
    int64_t       threads; /* 0: no thread code */
    bool          arena_by_caller;
    const char   *emit; /* "c", "graph", "loops", "dot" */
    PassOptions   passes;
    const char   *schedule;
    bool          self_test, profile, quiet, verbose, layers;
    FpMode        fp;
    InputFile    *inputs;
    int           n_inputs;
    const char   *cc; /* $CC or the target's default */
    int64_t       seed, runs;
    double        seconds;
    const char   *how; /* the command that emits the same C; no path, no default left out */
} Options;

/* options_parse - 0 and *o filled; or an exit code after printing help or a complaint. When there
 * is nothing more to do (--help) it is EXIT_DONE and o->command is NULL. */
int options_parse(int argc, char **argv, Arena *a, Options *o);
/* options_fault - what is wrong with them as a whole, or NULL; `usage` is the command's. */
const char *options_fault(Arena *a, const Options *o, const char *usage);
/* options_how - Options.how: the options the emitted C depends on, in the table's order, the target by its
 * real name. given[i]: the argument of option_specs[i], NULL where it is not given. The model goes without
 * its file's name: the same one in another format means the same C. */
const char *options_how(Arena *a, const Options *o, const char *const *given);

/* A model taken as far as a command needs it. */
typedef struct Compilation {
    Arena        *arena;
    Diag         *diag;
    Graph        *graph;
    Program      *program;
    Text          printed;   /* --print-after */
    ScheduleFile *schedules; /* NULL: none */
    StoreLoss     loss;      /* of --store and --fp fast */
    bool          packs_at_start;
} Compilation;

Graph *model_read(Compilation *c, const Options *o); /* NULL: reported */
/* model_context - what the passes are to know. */
PassContext model_context(Compilation *c, const Options *o);
bool        model_passes(Compilation *c, const Options *o);
bool   model_program(Compilation *c, const Options *o); /* of a graph with a memory plan */
/* store_elem - the type of --store. */
Elem   store_elem(const Options *o);
/* rounded_name - the type that weights are rounded to, by --store or by --fp fast, for messages. */
const char *rounded_name(const Options *o);
/* model_graph - the schedule file, the model, passes; model_compile - and the program. */
bool   model_graph(Compilation *c, const Options *o);
bool   model_compile(Compilation *c, const Options *o);
/* model_emit_options - what the emitter is to know; `stem` names the files beside each other. */
void model_emit_options(Compilation *c, const Options *o, const char *stem, EmitOptions *e);
/* model_emit - write the compiled program as `path`, which ends in .c. */
bool model_emit(Compilation *c, const Options *o, const char *path);
/* model_macs - multiply-accumulates of a node of a graph with shapes; 0 for ops without any. */
int64_t model_macs(const Graph *g, const Node *n);

/* Each returns an exit code; messages are in c->diag. */
int command_compile(Compilation *c, const Options *o);
int command_build(Compilation *c, const Options *o);
int command_run(Compilation *c, const Options *o);
int command_verify(Compilation *c, const Options *o);
int command_bench(Compilation *c, const Options *o);
int command_inspect(Compilation *c, const Options *o);
int command_explain(Compilation *c, const Options *o);
int command_tune(Compilation *c, const Options *o);
int command_convert(Compilation *c, const Options *o);
int command_targets(Compilation *c, const Options *o);

/* One command: what it is called, takes and does. */
typedef struct Command {
    const char *name, *usage, *about;
    const char *more; /* a paragraph for its --help */
    int (*run)(Compilation *c, const Options *o);
} Command;
extern const Command commands[];
extern const int     n_commands;

/* ---- help.c ----------------------------------------------------------------------------- */

/* What an option's argument is, and where it goes. */
typedef enum {
    OPT_FLAG,        /* bool                                      */
    OPT_TEXT,        /* const char *                              */
    OPT_NAME,        /* const char *, a C identifier              */
    OPT_WORD,        /* const char *, one of `choices`            */
    OPT_CHOICE,      /* int, index into `choices`                 */
    OPT_CHOICE_BOOL, /* bool, index into `choices`                */
    OPT_INT,         /* int64_t in [min, max]                     */
    OPT_SECONDS,     /* double in [min, max]                      */
    OPT_TARGET,      /* const Target *                            */
    OPT_INPUT,       /* NAME=FILE, appended to Options.inputs     */
    OPT_SHAPE,       /* NAME=1x3x8x8, appended to Options.shapes */
    OPT_DISABLE,     /* appended to Options.passes.disabled       */
    OPT_HELP,
    OPT_VERSION,
} OptionKind;

typedef struct OptionSpec {
    const char        *name;     /* without the dashes */
    char               letter;   /* 0: none */
    const char        *arg;      /* NULL: none */
    unsigned           commands; /* bit i: commands[i] takes it */
    OptionKind         kind;
    size_t             offset; /* in Options */
    int64_t            min, max;
    const char *const *choices; /* NULL-terminated */
    bool               in_how;  /* the emitted C depends on it */
    const char        *help;
} OptionSpec;
extern const OptionSpec option_specs[];
extern const int        n_option_specs;

void help_all(FILE *out);
void help_command(int command, FILE *out);

/* ---- glue.c ----------------------------------------------------------------------------- */

/* glue_text - the C file that tells the runtime's main about the compiled model. */
Text glue_text(Compilation *c, const EmitOptions *e);

/* ---- build.c ---------------------------------------------------------------------------- */

/* Texts of runtime/, compiled into kiln; names are relative to that folder. */
typedef struct EmbeddedFile {
    const char *name, *text;
} EmbeddedFile;
extern const EmbeddedFile embedded_files[];
extern const int          n_embedded_files;

/* build_program - write the C under `dir` as model.c, compile it with the runtime's main into
 * `program`. False: reported. What verify and bench stand on. */
bool build_program(Compilation *c, const Options *o, const char *dir, const char *program);

/* build_small - a C file of kiln's own as a program, with the target's compiler and flags. False:
 * reported. */
bool build_small(Compilation *c, const Options *o, const char *source, const Text *text,
                 const char *program);

/* build_runner - the start of a command line that runs `program`: the target's emulator where this is
 * another machine, then the program. Its length; argv has room for 16. */
int build_runner(Compilation *c, const Options *o, const char *program, const char **argv);

/* ---- board.c ---------------------------------------------------------------------------- */

typedef struct Board {
    const char *name, *about;
    const char *cc, *c_flags;
    uint32_t    flash_origin, flash_bytes, ram_origin, ram_bytes;
    const char *machine; /* qemu-system-arm -M */
} Board;
const Board *board_by_name(const char *name); /* NULL: unknown */
const char  *board_name(int i);               /* NULL at the end */
/* board_flags - words for the compiler: the core, the memory map. */
const char *board_flags(Arena *a, const Board *b);
#define board_libraries "-lgcc"

/* ---- rounding.c ------------------------------------------------------------------------- */

/* What one output is, and may be off by in single precision. */
typedef struct Rounding {
    Array  exact;
    double direct; /* direct sums: about this much                      */
    double bound;  /* 4 times that, and what Winograd's layers may add */
} Rounding;

/* rounding_bounds - by running the graph in double, without and with errors of the size that single
 * precision makes; outputs[i] belongs to g->outputs[i]. `g` is the graph as written, with shapes;
 * `compiled` says which of its nodes are computed by Winograd's algorithm. */
void rounding_bounds(const Graph *g, const Graph *compiled, const Array *inputs, uint64_t seed,
                     Rounding *outputs, Arena *a, void (*step)(int done, int total));

/* ---- process.c -------------------------------------------------------------------------- */

/* process_run - run argv[0] (found on PATH) to its end without input; what it prints is in *out and
 * *err (NULL: it goes where ours goes). *status is its exit code, 128 + signal when killed. False
 * (reported) when it cannot be started. */
bool process_run(Arena *a, Diag *d, const char *const *argv, int *status, Text *out, Text *err);

/* temp_folder - a new folder, removed with everything in it by temp_clean, which also runs when a
 * signal ends kiln. One at a time. NULL: reported. */
const char *temp_folder(Arena *a, Diag *d);
/* temp_file - a path in that folder, removed with it. */
const char *temp_file(Arena *a, const char *name);
void        temp_clean(void);
/* signals_catch - from now on SIGINT, SIGTERM and SIGHUP clean up first. */
void signals_catch(void);
/* signals_hold - put such signals off while files are written, or take what has come. */
void signals_hold(bool hold);

/* ---- npy.c ------------------------------------------------------------------------------ */

/* A file of numbers; the parser is the runtime's. */
typedef struct Npy {
    kiln_npy             head;
    const unsigned char *data; /* of element 0, in the mapped file */
} Npy;
bool   npy_open(Diag *d, const char *path, Npy *out);
double npy_get(const Npy *n, int64_t i);
/* npy_elem - what elements of type `e` are in a file or in emitted C: F16 and BF16 are F32 there. */
kiln_elem npy_elem(Elem e);
/* npy_write - whole or not at all: dims from `shape`, with a leading dimension of `lead` where that
 * is not 0; `as` is F32, F64, I8, U8 or I32 (other floats are written as F32). */
bool npy_write(Arena *a, Diag *d, const char *path, const Type *shape, int64_t lead,
               const double *data, Elem as);

/* ---- ports.c ---------------------------------------------------------------------------- */

/* port_type - the type as the caller sees it: NHWC where the port says so. */
Type port_type(const Graph *g, const Port *p);
/* port_in - the caller's elements as the evaluator wants them, NCHW; port_out - and back. */
void port_in(const Graph *g, const Port *p, const double *outside, double *inside);
void port_out(const Graph *g, const Port *p, const double *inside, double *outside);
/* port_files - open a file for every input of the graph and find how many runs they hold. False:
 * reported. files[i] belongs to g->inputs[i]. */
bool port_files(Compilation *c, const Options *o, Npy *files, int64_t *runs);
/* port_file - the name of an output's file: NAME.npy, with what a file name cannot hold as %XX. */
char *port_file(Arena *a, const Port *p);

/* ---- timing.c, peak.c ------------------------------------------------------------------- */

/* All in milliseconds. */
typedef struct Times {
    double *ms; /* of each run, ascending */
    size_t  n;
    double  median;
    double *layers; /* the median of each step, where the program has --profile */
    size_t  n_layers;
} Times;

/* time_program - over `runs` runs behind one that warms up; `weights`: its file, NULL where it needs
 * none; n_layers: the steps of a program with --profile whose times are wanted, 0: none. False:
 * reported. */
bool time_program(Compilation *c, const Options *o, const char *program, const char *weights,
                  int64_t runs, int n_layers, Times *t);
double median(double *values, size_t n); /* sorts them; n > 0 */
/* peak_lanes - of the vectors that the peak is measured with. */
int peak_lanes(const Target *t);
/* peak_build - the path of a program that measures the peak; NULL: reported. */
const char *peak_build(Compilation *c, const Options *o);
/* peak_measure - multiply-adds a second, of all threads together; 0: reported. */
double peak_measure(Compilation *c, const Options *o, const char *program);

/* ---- layers.c --------------------------------------------------------------------------- */

/* One step of the compiled program. */
typedef struct Layer {
    NodeId        node;
    const char   *name;
    int           kernel;   /* layers of the same kernel are alike */
    Schedule      schedule;
    int64_t       macs, weight_bytes; /* as the kernel reads them */
    AlgorithmCost costs[MAX_ALGORITHMS];
    int           n_costs;      /* 0: nothing to choose, no estimate */
    int           chosen, next; /* in costs: what is done; the best of the others, -1: none */
} Layer;

/* model_layers - one for each step of the program. */
Layer *model_layers(Compilation *c, const Options *o);
/* layer_algorithm - "direct", "winograd 4x4", "strassen": of costs[cost]; "" where there is no choice. layer_tile -
 * "14x2"; "" for a kernel without sums. */
const char *layer_algorithm(Arena *a, const Layer *l, int cost);
const char *layer_tile(Arena *a, const Layer *l);
/* layer_tiles - the register tiles of a node that fit, the best estimate first, into out[MAX_TILES], and
 * the one it gets. Their number; 0: there is nothing to tile. */
int layer_tiles(Compilation *c, const Options *o, NodeId n, TileCost *out, TileCost *chosen);

/* ---- table.c, progress.c ---------------------------------------------------------------- */

typedef struct Table Table;
/* table_new - columns by title; a title starting with '>' is right-aligned. */
Table *table_new(Arena *a, const char *const *titles, int n);
void   table_cell(Table *t, const char *fmt, ...) PRINTF_LIKE(2, 3); /* next cell, row by row */
void   table_rule(Table *t); /* a line before the next row */
void   table_print(const Table *t, FILE *out);
/* grouped - a number with a comma every three digits. */
const char *grouped(Arena *a, int64_t v);

/* progress - one line rewritten on a terminal, once work has lasted a second; nothing in a pipe. */
void progress(const char *what, int64_t done, int64_t total);
/* progress_wait - the same where nobody knows how long it will be: the seconds so far. */
void progress_wait(const char *what);
void progress_end(void);
/* progress_task - from now on this stands on the line in place of what is done in detail, until NULL ends
 * it. */
void progress_task(const char *task);

#endif
