/* tuner.h - inside kiln tune.
 *
 *   tune.c         rounds: what is tried when, and what is kept
 *   tune_plan.c    distinct layers and what is tried on each
 *   tune_build.c   a choice for each layer as a program; two programs against the clock
 *   tune_state.c   the rounds that are done, kept in a file; the finished schedule
 *
 * Layers that the default program computes by the same kernel are alike: one distinct layer, tuned as
 * one. In a round each of them is set to its next candidate, all in one build, and that build runs in
 * turns with another one in which they are as before. The ratio of a layer's times within a turn does
 * not depend on how fast the machine is at the time; the median over the turns is its score. */
#ifndef KILN_DRIVER_TUNER_H
#define KILN_DRIVER_TUNER_H

#include "driver/driver.h"

/* What a schedule file may say of a layer. */
typedef struct Choice {
    int     algorithm; /* -1: left to kiln */
    int     winograd;  /* of WINOGRAD, outputs of a tile edge */
    RegTile tile;     /* 0: left to kiln */
} Choice;

static const Choice by_default = {-1, 0, {0, 0, 0}};

enum { MOST_TILES = 6, MAX_CANDIDATES = 8 };

/* A distinct layer. */
typedef struct TuneLayer {
    const char  *name; /* of the first node */
    const char **nodes;
    int          n_nodes;
    int          kernel; /* in the default program */
    const char  *was;    /* the default, for the report */
    Choice       candidates[MAX_CANDIDATES];
    int          n_candidates;
    Choice       best;  /* so far */
    Choice       base;  /* what candidates are compared with */
    Choice       now;   /* in the build at hand */
    bool         refused; /* ... but the layouts around it did not allow that */
    double       ratio;   /* of the time of `best` to the default's, at the last check */
} TuneLayer;

typedef enum { ROUND_ALGORITHMS, ROUND_TILES, ROUND_CHECK } RoundKind;

/* What a round found; a ratio of 0: nothing was tried on the layer. */
typedef struct Round {
    RoundKind kind;
    double    whole; /* median ratio of the network's times */
    double   *ratios; /* by distinct layer */
} Round;

typedef struct Tune {
    Arena         *arena;
    Diag          *diag;
    const Options *o; /* what programs are built with */
    const char    *dir, *network;
    TuneLayer     *layers;
    int            n_layers;
    Round         *rounds; /* done */
    size_t         n_rounds, cap_rounds;
    size_t         at;     /* the round at hand; those before the end of `rounds` are known */
    int            planned; /* rounds there will be, about */
    uint64_t       key;    /* of the model, the options and the compiler */
    const char    *state;  /* path of the unfinished file */
    bool           saved;  /* ... which was written */
    int            status; /* exit code of a build that failed; its messages are printed */
} Tune;

/* ---- tune_plan.c ------------------------------------------------------------------------ */

/* plan_layers - the distinct layers of the default program. */
void plan_layers(Tune *t, Compilation *c);
/* plan_algorithms - candidates: the algorithms that are estimated to take less than twice the best. */
void plan_algorithms(Tune *t, Compilation *c);
/* plan_tiles - candidates: the register tiles with the best estimates, as the program has them now. */
void plan_tiles(Tune *t, Compilation *c);
int  plan_rounds(const Tune *t); /* the largest number of candidates */
/* plan_layer - the distinct layer a node belongs to; -1: none. */
int plan_layer(const Tune *t, const char *node);
/* plan_text - the schedule file for what `now` says. */
Text plan_text(const Tune *t, Arena *a);
/* choice_algorithm - whether the choice says one. */
bool choice_algorithm(const Choice *c);
/* choice_text - "winograd 4x4, tile 6x2". */
const char *choice_text(Arena *a, const Choice *c);

/* ---- tune_build.c ----------------------------------------------------------------------- */

/* A program that was built: its files, and the distinct layer of each of its steps. */
typedef struct Built {
    const char *program, *weights; /* weights: NULL: it has none */
    int        *layer;             /* -1: none */
    int         n_steps;
} Built;

/* tune_compile - the model with the choices of `now`, in memory of its own that the caller frees. Where
 * layouts do not allow an algorithm, the layer is as by default, and marked as refused. */
bool tune_compile(Tune *t, Compilation *c);
/* tune_finish - what was compiled as a program; `tag` names its files. */
bool tune_finish(Tune *t, Compilation *c, const char *tag, Built *b);
/* tune_gave_up - print the messages of a compilation that failed, and free it; always false. */
bool tune_gave_up(Tune *t, Compilation *c);
/* tune_build - all of that; false: the messages are printed. */
bool tune_build(Tune *t, const char *tag, Built *b);
/* tune_compare - both programs in turns; the ratios of b's times to a's into `r`. False: reported. */
bool tune_compare(Tune *t, const Built *a, const Built *b, Round *r);

/* ---- tune_state.c ----------------------------------------------------------------------- */

/* state_load - the rounds of an earlier run of the same command, if its file is there. False:
 * reported. */
bool state_load(Tune *t);
bool state_save(Tune *t); /* after each round; false: reported */
/* schedule_save - OUT.json; the file of unfinished rounds goes. False: reported. */
bool schedule_save(Tune *t, const char *path);

#endif
