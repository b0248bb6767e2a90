/* program.h - the programs that `kiln build` makes: a model, and what is around it.
 *
 *   main.c    the command line
 *   runs.c    the model on files, or against the clock
 *   files.c   inputs read run by run, outputs written whole or not at all
 *   pages.c   the memory of weights and arena
 *   scores.c  --labels and --top
 *
 * `kiln build` writes one more file, which holds the table `kiln_program_model`. */
#ifndef KILN_PROGRAM_H
#define KILN_PROGRAM_H

#include "kiln.h"
#include "npy.h"

/* An input or output, in the caller's order of dimensions. */
typedef struct kiln_port {
    const char    *name;
    const char    *shown; /* the name, safe to print */
    const char    *file;  /* NAME.npy */
    kiln_elem      elem;
    int            rank;
    const int64_t *dims;
    int64_t        count; /* elements */
} kiln_port;

typedef struct kiln_model {
    const char      *name;
    const char      *how; /* the command that emits the same C */
    int              n_inputs, n_outputs;
    const kiln_port *inputs, *outputs;
    size_t           arena_bytes, weight_bytes, packed_bytes;
    uint64_t         macs; /* multiply-accumulates of one run */
    void (*run)(const void *const *in, void *const *out);
    /* NULL where the model has no such thing */
    void **arena; /* where `run` finds it */
    int (*init)(void);
    int (*load_weights)(const void *blob, size_t bytes);
    int (*set_threads)(int n);
    int (*self_test)(void);
    kiln_step *steps;
    int        n_steps;
} kiln_model;

extern const kiln_model kiln_program_model;

#ifndef KILN_NO_LIBRARY /* the rest is for hosts */

#include <stdio.h>

/* Exit codes, as kiln's own. */
enum { KILN_DONE = 0, KILN_DATA = 1, KILN_USAGE = 2, KILN_MACHINE = 3 };

/* program_fail - print "PROGRAM: error: ..." and end with `code`, removing unfinished files. */
_Noreturn void program_fail(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void          *program_alloc(size_t bytes); /* never NULL */

#define MODEL (&kiln_program_model)

/* The command line. */
typedef struct Arguments {
    const char **in; /* a file for each input of the model; NULL: not given */
    const char  *out, *labels, *weights;
    int          top, threads;
    long         bench;
    int          info, self_test, layers;
} Arguments;

/* ---- runs.c ----------------------------------------------------------------------------- */

/* runs_files - every run the input files hold: outputs and scores as asked for. */
void runs_files(const Arguments *a);
/* runs_time - print the times of a->bench runs. */
void runs_time(const Arguments *a);
/* runs_print_layers - the time of each step so far, a line each: the median of the runs timed, else the
 * mean. */
void runs_print_layers(void);

/* ---- files.c ---------------------------------------------------------------------------- */

typedef struct InFile {
    const char    *path;
    FILE          *stream;
    kiln_npy       npy;
    unsigned char *raw; /* the bytes of one run */
} InFile;

typedef struct OutFile {
    char *path, *partial; /* written, then renamed */
    FILE *stream;
} OutFile;

void in_open(InFile *f, const char *path);
/* in_runs - how many runs of `port` the file holds; fails where it does not fit. */
int64_t in_runs(InFile *f, const kiln_port *port);
/* in_read - the next run's elements. */
void in_read(InFile *f, const kiln_port *port, void *to);
/* out_open - a file for `runs` results, joined along the first dimension. */
void out_open(OutFile *f, const char *folder, const kiln_port *port, int64_t runs);
void out_write(OutFile *f, const kiln_port *port, const void *from);
void out_close(OutFile *f);
/* files_abandon - remove what is unfinished; safe in a signal handler. */
void files_abandon(void);
/* file_open_regular - a file that can be mapped; fails where it is none. */
FILE *file_open_regular(const char *path, uint64_t *size);

/* ---- pages.c ---------------------------------------------------------------------------- */

/* pages_of_file - all of a file, to read as long as the program runs; page-aligned. It is shared with
 * whoever else maps it, and not copied. */
const void *pages_of_file(const char *path, size_t *bytes);
/* pages_new - zeros, to use as long as the program runs. */
void *pages_new(size_t bytes);

/* ---- scores.c --------------------------------------------------------------------------- */

/* Answers of a classifier counted against labels. */
typedef struct Scores {
    const kiln_port *port;   /* the first output */
    int              top;    /* best classes printed for each image; 0: none */
    InFile          *labels; /* NULL: none */
    int64_t          images, right, right_in_top;
} Scores;

/* scores_add - one run's results: its rows are images. */
void scores_add(Scores *s, const void *results);
void scores_print(const Scores *s);

#endif
#endif
