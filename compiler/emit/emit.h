/* emit.h - from kernels to C.
 *
 *   writer.c     lines, indentation, the 100th column
 *   compile.c    graph -> kernels: lower, run kernel passes, find kernels that come out alike
 *   names.c      model and tensor names as C identifiers, distinct ones distinct
 *   expr_c.c     expressions and indices as C, through the target's table
 *   kernel_c.c   one kernel as a C function
 *   helpers_c.c  small functions a kernel may need where the target has no instruction
 *   weights.c    constants: one blob, equal contents once; as numbers, string, file or .incbin
 *   model_c.c    the .c file around the kernels
 *   header_c.c   the .h file */
#ifndef KILN_EMIT_H
#define KILN_EMIT_H

#include "kernel/kernel.h"
#include "passes/passes.h"
#include "target/target.h"

/* ---- writer.c --------------------------------------------------------------------------- */

/* Knows indentation and the 100th column; callers never print spaces or newlines. */
typedef struct Writer {
    Text text;
    int  depth;
} Writer;

void w_line(Writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);  /* "" is an empty line */
void w_open(Writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);  /* line, brace, indent */
void w_close(Writer *w, const char *after);                      /* outdent, brace, `after` */
/* w_comment - a block comment, its text wrapped at the 100th column; lines split at '\n'. */
void w_comment(Writer *w, const char *text);
/* w_raw - text as it is, already laid out. */
void w_raw(Writer *w, const char *text, size_t n);

/* ---- options ---------------------------------------------------------------------------- */

typedef enum { WEIGHTS_INLINE, WEIGHTS_FILE, WEIGHTS_ASM } WeightsForm;

typedef struct EmitOptions {
    const Target *target;
    FpMode        fp;
    WeightsForm   weights;
    bool          arena_by_caller;
    int           threads;        /* 0: the emitted code has no threads */
    bool          self_test;      /* embed a seeded test vector and its outputs */
    bool          profile;        /* per-layer time hooks */
    const char   *prefix;         /* of emitted symbols; an identifier */
    const char   *command;        /* how the file was made, for its head; no paths of this machine */
    const char   *stem;           /* OUT without .c: names the header and weights file */
    ScheduleFile *schedules;      /* NULL: none */
    const char   *print_after;    /* kernel pass name or "all"; NULL */
    Text         *printed;
    const char *const *disabled;  /* kernel passes not to run */
    int           n_disabled;
} EmitOptions;

/* ---- compile.c -------------------------------------------------------------------------- */

/* One call of the emitted infer function: a node and the kernel that computes it. */
typedef struct Step {
    NodeId   node;
    int      kernel;              /* index into Program.kernels */
    ValueId  *args;               /* graph value of each pointer parameter of the kernel, in order */
    int       n_args;
    int64_t  *weights;            /* byte offset in the blob of each constant, in the kernel's order */
    int       n_weights;
    int64_t   macs;
} Step;

typedef struct Program {
    Graph   *graph;
    Kernel **kernels;             /* distinct ones; kernels[i]->name is its C name, conv2d_3 */
    int      n_kernels;
    Step    *steps;
    int      n_steps;
    struct Blob *blob;            /* the constants */
} Program;

/* program_compile - lower every node of a planned graph. NULL: errors, reported. */
Program *program_compile(Graph *g, const EmitOptions *o);
void     program_print(const Program *p, Text *out); /* --emit loops */

/* ---- weights.c -------------------------------------------------------------------------- */

typedef struct Blob Blob;
Blob   *blob_new(Arena *a, int64_t align);
/* blob_add - the contents of a CONST buffer; equal contents are stored once. Its byte offset. */
int64_t blob_add(Blob *b, const Buffer *buffer);
int64_t blob_bytes(const Blob *b);

/* ---- model_c.c, header_c.c -------------------------------------------------------------- */

/* emit_model - writes OUT.c, OUT.h and, where asked, OUT.weights.bin: all or none. False: reported. */
bool emit_model(const Program *p, const EmitOptions *o, const char *out_path, Diag *d);

#endif
