/* emit.h - from kernels to C.
 *
 *   writer.c     lines, indentation, the 100th column
 *   compile.c    graph -> kernels: lower, run kernel passes, find kernels that come out alike
 *   names.c      model and tensor names as C identifiers, distinct ones distinct
 *   expr_c.c     expressions and indices as C, through the target's table
 *   place_c.c    elements of buffers, through shared pointers
 *   matrix_c.c   products of matrices, and the registers for them
 *   kernel_c.c   one kernel as the text of a C function
 *   function.c   ... and those that differ in numbers only as one function
 *   stmt_c.c     its statements
 *   share_c.c    ... those that threads share
 *   helpers_c.c  small functions a kernel may need where the target has no instruction
 *   blob.c       constants: one blob, equal contents once
 *   pack.c       a constant laid out at start: its loops as C
 *   filter_c.c   ... transformed at start: the function for one filter
 *   packs_c.c    the weights laid out at start: memory, functions, NAME_pack
 *   literal.c    bytes as a string literal
 *   weights.c    the blob in the output: as numbers, string, file or .incbin
 *   weights_use.c  how the code refers to it
 *   describe.c   a node in one line, for comments
 *   model_c.c    the .c file around the kernels
 *   share.c      how threads share a kernel
 *   meet.c       ... and where they wait for each other
 *   infer_c.c    the functions callers call
 *   infer_threads_c.c  the same for several threads
 *   self_test_c.c  a test vector inside the code
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
    bool is_draft; /* numbers in it may change: lines are not wrapped */
} Writer;

void w_line(Writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* w_indented - a line that begins with its indentation, as a draft has it; wrapped now. */
void w_indented(Writer *w, const char *line);
void w_blank(Writer *w);                                        /* an empty line */
void w_open(Writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3); /* line, brace, indent */
void w_close(Writer *w, const char *after);                     /* outdent, brace, `after` */
/* w_comment - a block comment, its text wrapped at the 100th column; lines split at '\n'. */
void w_comment(Writer *w, const char *text);
/* w_raw - text as it is, already laid out. */
void w_raw(Writer *w, const char *text, size_t n);
/* writer_flush - hand what was written so far to `f`. */
void writer_flush(Writer *w, OutFile *f);

/* ---- options ---------------------------------------------------------------------------- */

typedef enum { WEIGHTS_INLINE, WEIGHTS_FILE, WEIGHTS_ASM } WeightsForm;

typedef struct EmitOptions {
    const Target      *target;
    FpMode             fp;
    WeightsForm        weights;
    bool               packs_at_start; /* weights are laid out by NAME_init */
    bool               weights_cold;   /* too many for the third-level cache */
    bool               arena_by_caller;
    int                threads;     /* 0: the emitted code has no threads */
    bool               self_test;   /* embed a seeded test vector and its outputs */
    bool               profile;     /* per-layer time hooks */
    const char        *prefix;      /* of emitted symbols; an identifier */
    const char        *command;     /* how the file was made, for its head */
    const char        *stem;        /* OUT without .c: names the header and weights file */
    ScheduleFile      *schedules;   /* NULL: none */
    const char        *print_after; /* kernel pass name or "all"; NULL */
    Text              *printed;
    const char *const *disabled; /* kernel passes not to run */
    int                n_disabled;
} EmitOptions;

/* ---- kernel_c.c ------------------------------------------------------------------------- */

/* A kernel as the text of a C function, its name left out, so that kernels that come out alike
 * can be told. Pointer parameters are the inputs, the constants, then the outputs. */
typedef struct KernelText {
    const char *params; /* "const float *restrict x, float *restrict y" */
    const char *body;   /* indented lines, not wrapped, with names where numbers stand; "": it does nothing */
    int64_t    *numbers; /* of loops and indices, as they come in the body */
    int         n_numbers;
    int         next_alike; /* of the program's kernels that differ in numbers only, the next; -1 */
    BufferId   *args;   /* the buffer behind each input and output      */
    int         n_args;
    BufferId   *constants;
    int         n_constants;
    int         n_inputs;  /* the first of args; constants stand behind them */
    bool        is_shared; /* it takes `int part, int n_parts` besides and runs that part */
} KernelText;

/* How the buffers of one call lie in memory. */
typedef struct Aliases {
    BufferId *same;        /* by buffer: an input that is an output's own memory; 0: none */
    bool     *may_overlap; /* by buffer: shares a block with another; no restrict */
} Aliases;

/* kernel_c - for `threads` threads (0: none), in parts where share_kernel allows it. */
KernelText kernel_c(const Kernel *k, const Aliases *aliases, int threads, Arena *a);

/* ---- function.c ------------------------------------------------------------------------- */

struct KernelPrinter;
struct Program;

/* An integer that a function takes in place of number `number` of its kernels' texts. */
typedef struct FunctionParam {
    const char *type, *name;
    int         number;
} FunctionParam;

/* A function of the emitted C, and the kernels it is for, one or several. */
typedef struct Function {
    const char    *name; /* that of the first kernel */
    int           *kernels;
    int            n_kernels;
    FunctionParam *params;
    int            n_params;
    const char   **as; /* by number: the parameter it is; NULL: none */
} Function;

/* c_count - a number of a loop or an index; in a draft as text that take_numbers finds, where a parameter would
 * be called `name`. */
const char *c_count(struct KernelPrinter *p, const char *name, int64_t n);
/* take_numbers - body and numbers of `t` from text with c_count's in it. */
void take_numbers(KernelText *t, const char *marked, Arena *a);
/* functions_choose - Program.functions: which kernels are one function. */
void functions_choose(struct Program *p, Arena *a);
/* body_c - the body of `t`, with `as[i]` for number i; where that or `as` is NULL, the number. */
void body_c(Writer *w, const KernelText *t, const char *const *as);
void function_c(Writer *w, const struct Program *p, const Function *f);
/* function_args - what a call for `kernel` passes behind the pointers: ", 6, 6144, part, n_parts"; "". */
const char *function_args(const struct Program *p, int kernel, Arena *a);

/* ---- share.c ---------------------------------------------------------------------------- */

/* How threads run a statement of a kernel they share. */
typedef enum {
    SHARE_PARTS,  /* a loop: each takes a part of the iterations     */
    SHARE_INSIDE, /* a loop: all run it, and share what is inside it */
    SHARE_ALONE,  /* one of them does it                             */
} Sharing;

typedef struct ShareItem {
    Stmt *const *stmts; /* loops are items of their own */
    int          n_stmts;
    Sharing      how;
    int          n_outer;  /* PARTS: all run so many loops, and share the next one */
    double       pieces;   /* PARTS: so many are worth being claimed one by one    */
    bool         meets;    /* all threads have to be here before it begins */
    int          n_inside; /* items that follow and are inside this one    */
} ShareItem;

typedef struct SharePlan {
    bool       is_shared; /* false: one thread does it all, for lack of work or of loops to share */
    bool       any_parts;
    int        threads; /* for which it is made; any other number gives the same results */
    ShareItem *items; /* in order; a loop before what is inside it */
    int        n_items;
} SharePlan;

SharePlan share_kernel(const Kernel *k, const Aliases *aliases, int threads, Arena *a);
/* share_meetings - in meet.c: find the items before which threads have to meet. False: there are too many to
 * tell. */
bool share_meetings(SharePlan *plan, const Kernel *k, const Aliases *aliases);
/* share_item - the one that begins with `s`; NULL: none does. */
const ShareItem *share_item(const SharePlan *plan, const Stmt *s);
/* share_within - a loop whose iterations can run at the same time and that is all there is in the body of loop
 * `s`; NULL. */
const Stmt *share_within(const Kernel *k, const Stmt *s);

/* ---- expr_c.c --------------------------------------------------------------------------- */

/* A pointer that accesses at constant distances share. */
typedef struct Base {
    BufferId    buffer;
    Affine      index; /* what it points at */
    const char *name;
    int64_t     picked; /* 1 + the lane last picked of what it points at; 0: none yet */
} Base;

/* The matrix registers of a kernel: each has one shape throughout. */
enum { MATRIX_REGISTERS = 8 };
typedef struct Matrices {
    int  rows[MATRIX_REGISTERS], bytes[MATRIX_REGISTERS]; /* bytes of a row; 0: not used */
    bool busy[MATRIX_REGISTERS];                          /* holds a temporary in scope  */
    int *of;                                              /* by temporary                */
} Matrices;

/* State of one kernel being printed. */
typedef struct KernelPrinter {
    const Kernel *k;
    Arena        *arena;
    Writer        w;
    bool          is_wide;  /* indices need more than an int */
    const bool   *assigned; /* temps that a SET changes */
    const SharePlan *sharing;
    const char  **loops, **temps, **buffers; /* C names by id; NULL: not in scope */
    const char  **scope;                     /* names in scope, innermost last */
    size_t        n_scope, cap_scope;
    Base         *bases; /* in scope, innermost last */
    size_t        n_bases, cap_bases;
    Matrices      matrices;
} KernelPrinter;

/* How tightly text must bind. */
enum { BIND_ANY, BIND_SUM, BIND_PRODUCT, BIND_UNARY, BIND_PRIMARY };

/* c_name - `stem`, or stem_2, stem_3 ... (t_0: t_0b, t_0c ...) where that is in scope; puts it in
 * scope. */
const char *c_name(KernelPrinter *p, const char *stem);
const char *c_type(const Target *t, VType type);  /* float, int8_t, __m512 ... */
const char *c_number(Arena *a, double v, Elem e); /* a constant, exact; may start with a minus */
const char *c_index(KernelPrinter *p, const Affine *index);
/* c_value - `e` as text that binds at least so tightly. Writes lines that name what is used
 * twice. */
const char *c_value(KernelPrinter *p, const Expr *e, int binding);
/* c_instr - a row's text with its operands; NULL: the target has no such instruction. */
const char *c_instr(KernelPrinter *p, InstrKind kind, VType type, const char *a, const char *b,
                    const char *c);

/* ---- matrix_c.c ------------------------------------------------------------------------- */

/* matrix_set - a LET or SET of a matrix. */
void matrix_set(KernelPrinter *p, const Stmt *s);
/* matrix_frame - the body of a function that has matrices, between the shapes of their registers and the end
 * of their use; another one as it is. */
const char *matrix_frame(KernelPrinter *p, const char *body);

/* ---- stmt_c.c, share_c.c ---------------------------------------------------------------- */

void stmt_c(KernelPrinter *p, const Stmt *s);
void block_c(KernelPrinter *p, const Stmt *s); /* what it names goes out of scope with it */
void shared_c(KernelPrinter *p, const Stmt *s); /* statements that threads share */
/* for_open_c - a loop's first line; its name is in scope from then on. */
void for_open_c(KernelPrinter *p, const Stmt *s);
/* for_c - a loop, its body printed by `print_body`. */
void for_c(KernelPrinter *p, const Stmt *s, void (*print_body)(KernelPrinter *, const Stmt *));

/* ---- place_c.c -------------------------------------------------------------------------- */

/* c_place - the element of a buffer: x[oh * 28 + ow], or through a base in scope. */
const char *c_place(KernelPrinter *p, BufferId b, const Affine *index);
const char *c_address(KernelPrinter *p, BufferId b, const Affine *index); /* of the element */
/* c_bases - declare the bases that the statements of a block share. */
void c_bases(KernelPrinter *p, const Stmt *block);
/* c_renew_bases - ahead of a statement, of the bases that it picks another lane through than the last one did. */
void c_renew_bases(KernelPrinter *p, const Stmt *s);

/* ---- helpers_c.c ------------------------------------------------------------------------ */

/* What the text printed so far calls besides operators and instructions. */
typedef struct Needs {
    bool *helpers;
    bool *support; /* see target_nth_support */
} Needs;

Needs needs_new(const Target *t, Arena *a);
void  needs_scan(Needs *n, const Target *t, const char *text);
/* helpers_c - the definitions of what is needed, each followed by an empty line. */
void helpers_c(Writer *w, const Target *t, const Needs *n);
bool is_helper_name(const char *name);

/* ---- names.c ---------------------------------------------------------------------------- */

/* Names of one emitted file. */
typedef struct Names {
    const char  *lower, *upper;     /* the prefix: lenet5, LENET5 */
    const char **inputs, **outputs; /* parameters of infer, by port */
    const char  *via;               /* before a parameter's name where it is used: "" or "call->" */
    bool         keep_order;        /* no step may be moved into another; see infer_c.c */
} Names;

struct Program;
Names       names_choose(const struct Program *p, const char *prefix, Arena *a);
const char *name_upper(Arena *a, const char *name);
/* name_prefix - the prefix for a model or user-given name: a lower-case identifier. */
const char *name_prefix(Arena *a, const char *name);

/* ---- compile.c -------------------------------------------------------------------------- */

/* Where a step finds a constant. */
typedef struct Weight {
    bool    is_packed; /* in the memory that NAME_init fills, else in the blob */
    int64_t offset;    /* in bytes */
} Weight;

/* One call of the emitted infer function: a node and the kernel that computes it. */
typedef struct Step {
    NodeId   node;
    int      kernel; /* index into Program.kernels */
    ValueId *args;   /* graph value of each input and output parameter, in order */
    int      n_args;
    Weight  *weights; /* of each constant, in the kernel's order */
    int      n_weights;
    int64_t  weight_bytes; /* of all of them, as the kernel reads them */
    int64_t  macs;
} Step;

typedef struct Program {
    Graph       *graph;
    EmitOptions  options;
    Kernel     **kernels; /* distinct ones, without their bodies; the name is conv2d_3 */
    KernelText  *texts;   /* of each kernel */
    Function   **functions; /* by kernel */
    int          n_kernels, n_functions;
    Step        *steps;
    int          n_steps;
    struct Blob *blob;           /* the constants */
    struct Packs *packs;         /* those made of them at start */
    int64_t     *output_weights; /* by output: blob offset of a constant; -1: it is computed */
} Program;

/* program_compile - lower every node of a planned graph. NULL: errors, reported. */
Program *program_compile(Graph *g, const EmitOptions *o);
void     program_print(const Program *p, Text *out); /* --emit loops */
/* program_lower - the kernel of a node, with what the schedule file gives it, before any kernel pass. */
Kernel *program_lower(Graph *g, NodeId n, const EmitOptions *o, Arena *a);

/* ---- blob.c ----------------------------------------------------------------------------- */

typedef struct Blob Blob;

/* One constant of the blob. */
typedef struct BlobEntry {
    Buffer   buffer;
    uint64_t hash;   /* of the numbers they are made from */
    int64_t  offset; /* bytes from the start of the blob */
    int64_t  index;  /* elements from the start of the array of its type */
} BlobEntry;

Blob *blob_new(Arena *a, int64_t align);
/* blob_add - the contents of a CONST buffer; equal contents are stored once. Its byte offset.
 * Contents are read through the view each time they are needed, so the view's tensors must live
 * as long. */
int64_t blob_add(Blob *b, const Buffer *buffer);
void    blob_keep(Blob *b, const Tensor *t); /* the entry added last reads `t` from now on */
int64_t blob_bytes(const Blob *b);
int64_t blob_count(const Blob *b, Elem e); /* elements of one type, padding included */
int     blob_n_entries(const Blob *b);
const BlobEntry *blob_entry(const Blob *b, int i);
const BlobEntry *blob_at(const Blob *b, int64_t offset); /* the entry that starts there */
bool             blob_ends_with_zero(const Blob *b);     /* its last byte */
bool             blob_has_odd_numbers(const Blob *b);    /* infinities or NaN; reads all */
/* blob_hash - of this version of kiln, the numbers the contents are made from, and how. */
uint64_t blob_hash(const Blob *b);
/* blob_each - hand out the contents in pieces, each entry's padding as well, in order of offset. */
typedef void BlobPiece(void *ctx, const BlobEntry *e, const void *bytes, size_t n);
void         blob_each(const Blob *b, BlobPiece *piece, void *ctx);

/* ---- pack.c, filter_c.c ----------------------------------------------------------------- */

/* A function that lays constants out, its name left out: (const T *restrict w, U *restrict packed). */
typedef struct PackText {
    const char *params, *body;
} PackText;

/* pack_plain - whether constant `b` was laid out or transformed in a way that loops can do at start;
 * *plain is what they start from. */
bool     pack_plain(const Buffer *b, Buffer *plain);
PackText pack_text(const Buffer *b, const Buffer *plain, Arena *a);
/* filter_c - a function, called filter_name, that transforms a filter of type `e`; see winograd_filter. */
const char *filter_c(Arena *a, Winograd size, Elem e);
const char *filter_name(Arena *a, Winograd size, Elem e);

/* ---- packs_c.c -------------------------------------------------------------------------- */

/* Constants made at start from those in the blob, and the functions that make them. */
typedef struct Packs Packs;

Packs *packs_new(Arena *a, const Target *t);
/* packs_add - make `b` at start from the plain weights at `from` in the blob. Equal work is done
 * once. Where it will lie, in bytes. */
int64_t packs_add(Packs *p, const Buffer *b, const Buffer *plain, int64_t from);
int64_t packs_bytes(const Packs *p); /* what NAME_PACKED_BYTES says; 0: nothing is made */
bool    packs_use(const Packs *p, Elem e); /* whether any is made of this type */
/* packs_read - whether any is made from constants of this type. */
bool packs_read(const Packs *p, const Blob *b, Elem e);
/* packs_pointer - C text for the one at `offset`, given the locals weights_locals declares. */
const char *packs_pointer(const Packs *p, int64_t offset, Arena *a);
void        packs_scan(const Packs *p, Needs *n); /* what their functions call */
/* packs_memory_c, packs_c - the memory and its flag; the functions, and NAME_pack. */
void packs_memory_c(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
void packs_c(Writer *w, const Program *p, const EmitOptions *o, const Names *n);

/* ---- literal.c -------------------------------------------------------------------------- */

typedef struct Literal Literal;
Literal               *literal_new(Arena *a, OutFile *f);
void                   literal_bytes(Literal *l, const void *bytes, size_t n);
void literal_end(Literal *l); /* a last zero is left to the one that ends every string */

/* ---- weights.c -------------------------------------------------------------------------- */

/* How the emitted code holds the blob. */
typedef enum { HELD_NONE, HELD_NUMBERS, HELD_STRING, HELD_FILE, HELD_ASM } Held;

Held    weights_held(const Program *p, const EmitOptions *o);
int64_t weights_bytes(const Program *p, const EmitOptions *o); /* what NAME_WEIGHT_BYTES says */
/* weights_c - the definitions, written to `f`; what is in `w` goes first. */
void weights_c(Writer *w, OutFile *f, const Program *p, const EmitOptions *o, const Names *n);
/* The element types constants may have, with their names in C and in symbols. */
typedef struct HeldType {
    Elem        elem;
    const char *c, *name;
} HeldType;
extern const HeldType held_types[];
extern const int      n_held_types;
/* weights_file - OUT.weights.bin: a head of 64 bytes, then the blob. */
void weights_file(OutFile *f, const Program *p);

/* ---- weights_use.c ----------------------------------------------------------------------- */

/* weights_pointer - C text for a constant, given the locals weights_locals declares: for what infer
 * reads, or for what NAME_pack does. */
const char *weights_pointer(const Program *p, const EmitOptions *o, Weight at, Arena *a);
void        weights_locals(Writer *w, const Program *p, const EmitOptions *o, const Names *n,
                           bool packing);

/* ---- model_c.c, header_c.c -------------------------------------------------------------- */

/* emit_model - writes OUT.c, OUT.h and, where asked, OUT.weights.bin: all or none. False:
 * reported. */
bool emit_model(const Program *p, const EmitOptions *o, const char *out_path, Diag *d);
/* header_c - the text of OUT.h. */
void header_c(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
/* infer_c - arena, infer function and what else callers call. */
void infer_c(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
/* infer_threads_c - the infer function of code for several threads. */
void infer_threads_c(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
/* infer_start - what infer does first where NAME_init was not called. */
void infer_start(Writer *w, const Program *p, const Names *n);
/* Parts of the function: pointers it uses, one step, and copies of outputs that no step writes (a
 * constant, an input, the same value as another output); whether there are any. */
void infer_locals(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
void infer_step(Writer *w, const Program *p, const EmitOptions *o, const Names *n, int step);
bool infer_copies(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
/* infer_params - the parameters of the infer function: inputs, then outputs. */
const char *infer_params(const Program *p, const EmitOptions *o, const Names *n, Arena *a);
/* self_test_c - NAME_self_test and its test vector. */
void        self_test_c(Writer *w, const Program *p, const EmitOptions *o, const Names *n);
const char *port_type_c(Elem e); /* C type of the elements of a value of type `e` */
/* output_source - C text for what output `i` is copied from; NULL: a step writes it. */
const char *output_source(const Program *p, const EmitOptions *o, const Names *n, int i, Arena *a);
int64_t     arena_size(const Program *p); /* what NAME_ARENA_BYTES says */

/* ---- describe.c ------------------------------------------------------------------------- */

/* describe_node - "conv2d 3x3, 64 -> 64, 56x56, add, relu" */
const char *describe_node(const Graph *g, NodeId n, Arena *a);
const char *describe_dims(const Type *t, Arena *a);                 /* [1, 64, 56, 56] */
const char *describe_port(const Graph *g, const Port *p, Arena *a); /* image, [1, 1, 28, 28] */
const char *emit_basename(const char *path);                        /* behind the last slash */

#endif
