/* option_table.c - the commands, and every option with the commands that take it. */
#include "driver/driver.h"

/* One bit a command, in the order of the table. */
enum {
    COMPILE = 1,
    BUILD = 2,
    RUN = 4,
    VERIFY = 8,
    BENCH = 16,
    INSPECT = 32,
    EXPLAIN = 64,
    TUNE = 128,
    CONVERT = 256,
    TARGETS = 512
};
#define EMITTING (COMPILE | BUILD | VERIFY | BENCH | EXPLAIN)
#define READING  (EMITTING | RUN | INSPECT | TUNE | CONVERT)
#define ANY      (READING | TARGETS)

const Command commands[] = {
    {"compile", "MODEL [-o OUT.c]", "emit OUT.c and OUT.h",
     "The default output is NAME.c in the current folder, NAME being the model's name.\n"
     "--emit graph, loops and dot print to standard output, or to the file given with -o.",
     command_compile},
    {"build", "MODEL -o PROGRAM", "compile, then make a program of it",
     "Calls $CC (default: cc, or the target's cross compiler) on the emitted C and the runtime's\n"
     "main. PROGRAM --help says what the program takes. With --board, PROGRAM is a bare-metal image.",
     command_build},
    {"run", "MODEL --in NAME=FILE.npy ... --out DIR", "run the reference evaluator",
     "Slow and plainly correct: every operator in double precision. Writes DIR/NAME.npy for each\n"
     "output. Files with a leading batch are run one image after the other.",
     command_run},
    {"verify", "MODEL", "compare the built program with the evaluator",
     "Builds the program, runs both on seeded inputs and compares each output with a bound on the\n"
     "rounding errors of fp32. error/std is the error as a share of the output's standard deviation,\n"
     "error/fp32 as a multiple of what direct fp32 sums may be off by. Exits 1 past the bound.\n"
     "With --store f16 or bf16 the evaluator runs on the rounded weights, with --fp fast also on rounded\n"
     "values; f16/std or bf16/std is how far that takes it from f32.",
     command_verify},
    {"bench", "MODEL", "time the built program",
     "Builds the program and times it: median and minimum in ms, and multiply-accumulates a second.",
     command_bench},
    {"inspect", "MODEL", "list the layers of a model",
     "One row a layer: op, output shape, parameters, multiply-accumulates, bytes of weights and of the\n"
     "output; totals; then the memory a prediction needs on the target: the arena, with the proof that\n"
     "no smaller one will do, weights as they are stored there, inputs and outputs.",
     command_inspect},
    {"explain", "MODEL [NODE]", "say why each layer is computed as it is",
     "One row a layer: the algorithm, the register tile, its estimated cycles, the next best algorithm\n"
     "and its. With NODE, all algorithms, their cycles by parts, and why others do not apply.",
     command_explain},
    {"tune", "MODEL -o OUT.json", "find a schedule by building and timing",
     "Tries algorithms, then register tiles, on all layers at once, in turns with the default, and writes\n"
     "what is faster as a schedule file for --schedule. Weights are in a file meanwhile. Interrupted, it\n"
     "leaves OUT.json.partial, from which the same command goes on. --seconds is for each round.",
     command_tune},
    {"convert", "MODEL -o OUT.json", "any model as kiln JSON and safetensors",
     "Writes OUT.json and OUT.safetensors. Compiling them gives the same bytes of C as compiling MODEL.",
     command_convert},
    {"targets", "", "list the targets",
     "The one marked * is what --target native means on this machine.", command_targets},
};
const int n_commands = COUNT_OF(commands);

static const char *const weight_forms[] = {"inline", "file", "asm", NULL};
static const char *const stores[] = {"f32", "f16", "bf16", NULL};
static const char *const packs[] = {"build", "start", NULL};
static const char *const arena_forms[] = {"static", "caller", NULL};
static const char *const emit_forms[] = {"c", "graph", "loops", "dot", NULL};
static const char *const fp_modes[] = {"strict", "exact", "fast", NULL};

#define AT(member) offsetof(Options, member)

const OptionSpec option_specs[] = {
    {"output", 'o', "FILE", COMPILE | BUILD | TUNE | CONVERT, OPT_TEXT, AT(out), 0, 0, NULL, false,
     "where to write"},
    {"in", 0, "NAME=FILE.npy", RUN, OPT_INPUT, AT(inputs), 0, 0, NULL, false,
     "contents of an input; once for each"},
    {"out", 0, "DIR", RUN, OPT_TEXT, AT(out), 0, 0, NULL, false,
     "folder for NAME.npy of each output"},
    {"target", 0, "NAME", EMITTING | INSPECT | TUNE, OPT_TARGET, AT(target), 0, 0, NULL, true,
     "the machine to make code for (default native; `kiln targets` lists them)"},
    {"board", 0, "NAME", BUILD, OPT_TEXT, AT(board), 0, 0, NULL, true,
     "make a bare-metal image for a microcontroller board"},
    {"threads", 0, "N", EMITTING | TUNE, OPT_INT, AT(threads), 1, 256, NULL, true,
     "code for up to N threads (default: one, and no thread code)"},
    {"weights", 0, "FORM", EMITTING, OPT_CHOICE, AT(weights), 0, 0, weight_forms, true,
     "inline (default), file: loaded at start, or asm: drawn in by .incbin"},
    {"store", 0, "TYPE", EMITTING | INSPECT | TUNE, OPT_CHOICE, AT(store), 0, 0, stores, true,
     "keep weights in f32 (default), f16 or bf16; widened when they are read"},
    {"pack", 0, "WHEN", EMITTING | INSPECT | TUNE, OPT_WORD, AT(pack), 0, 0, packs, true,
     "lay weights out at build, or at start, by NAME_init (default: what keeps OUT.c small)"},
    {"arena", 0, "FORM", EMITTING, OPT_CHOICE_BOOL, AT(arena_by_caller), 0, 0, arena_forms, true,
     "static, or caller: memory is passed in (default: static; of programs for hosts, caller)"},
    {"fp", 0, "MODE", EMITTING | TUNE, OPT_CHOICE, AT(fp), 0, 0, fp_modes, true,
     "strict (default), exact: the same bits on every target, or fast: products of bf16"},
    {"name", 0, "IDENT", EMITTING, OPT_NAME, AT(name), 0, 0, NULL, true,
     "prefix of emitted symbols (default: the model's name)"},
    {"batch", 0, "N", READING, OPT_INT, AT(batch), 1, INT32_MAX, NULL, true,
     "replace the first dimension of every input"},
    {"shape", 0, "NAME=1x3x224x224", READING, OPT_SHAPE, AT(shapes), 0, 0, NULL, true,
     "replace the shape of an input; may be repeated"},
    {"schedule", 0, "FILE.json", EMITTING, OPT_TEXT, AT(schedule), 0, 0, NULL, true,
     "override the schedule of nodes"},
    {"self-test", 0, NULL, COMPILE | BUILD, OPT_FLAG, AT(self_test), 0, 0, NULL, true,
     "embed a test vector and NAME_self_test"},
    {"profile", 0, NULL, COMPILE | BUILD, OPT_FLAG, AT(profile), 0, 0, NULL, true,
     "count the time of each layer"},
    {"emit", 0, "KIND", COMPILE, OPT_WORD, AT(emit), 0, 0, emit_forms, false,
     "c (default), graph, loops or dot"},
    {"passes", 0, "A,B", EMITTING | INSPECT, OPT_TEXT, AT(passes.only), 0, 0, NULL, true,
     "run just these graph passes"},
    {"disable-pass", 0, "PASS", EMITTING | INSPECT | TUNE, OPT_DISABLE, AT(passes.disabled), 0, 0,
     NULL, true, "leave out a graph or kernel pass; may be repeated"},
    {"print-after", 0, "PASS", EMITTING | INSPECT, OPT_TEXT, AT(passes.print_after), 0, 0, NULL,
     false, "print what a pass made (or \"all\") to standard error"},
    {"runs", 0, "N", VERIFY | BENCH, OPT_INT, AT(runs), 1, 1000000, NULL, false,
     "verify: inputs tried (default 1); bench: runs timed"},
    {"seconds", 0, "S", BENCH | TUNE, OPT_SECONDS, AT(seconds), 0, 3600, NULL, false,
     "time for about this long (default 2; tune: 3, each round)"},
    {"layers", 0, NULL, BENCH, OPT_FLAG, AT(layers), 0, 0, NULL, false,
     "the time of each layer too"},
    {"seed", 0, "N", VERIFY | BENCH, OPT_INT, AT(seed), 0, INT32_MAX, NULL, false,
     "seed of the inputs (default 1)"},
    {"quiet", 'q', NULL, ANY, OPT_FLAG, AT(quiet), 0, 0, NULL, false, "errors only"},
    {"verbose", 'v', NULL, ANY, OPT_FLAG, AT(verbose), 0, 0, NULL, false,
     "say what is done; compile prints the memory plan"},
    {"help", 'h', NULL, ANY, OPT_HELP, 0, 0, 0, NULL, false, "this text"},
    {"version", 0, NULL, ANY, OPT_VERSION, 0, 0, 0, NULL, false, "the version"},
};
const int n_option_specs = COUNT_OF(option_specs);
