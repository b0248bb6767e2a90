/* target.h - where the code runs: registers, lanes, caches, and what its instructions are called in
 * C.
 *
 *   target.c   the list of targets, lookup, `native`
 *   c99.c      portable C, one lane, no extension
 *   x86.c      x86-64 (SSE2), x86-avx2
 *   x86_avx512.c  x86-avx512, x86-avx512-bf16, x86-amx
 *   arm.c      aarch64 (NEON)
 *
 * Tables only. Code asks the table (target_find), never the target's name. */
#ifndef KILN_TARGET_H
#define KILN_TARGET_H

#include "graph/graph.h"

/* What an instruction computes, on vectors of Instr.lanes elements (1: the scalar form, where
 * plain C has no operator for it). */
typedef enum {
    I_NONE,
    I_LOAD,     /* %a: address                        unaligned               */
    I_WIDEN,    /* %a: vector of F16 or BF16, the row's element type; to F32  */
    I_NARROW,   /* %a: vector of F32; to the row's BF16, to nearest even      */
    I_STORE,    /* %a: address, %b: vector            unaligned               */
    I_PREFETCH, /* %a: address                        a hint: it will be read */
    I_PREFETCH_L2, /* %a: address                     ... from the second-level cache; wherever
                      there is I_PREFETCH */
    I_SPLAT,    /* %a: scalar in every lane; for I_DOT a pair of BF16         */
    I_PICK_2,   /* lane number %b, a constant, of each 2 lanes of %a, in both of them */
    I_PICK_4,   /* ... of each 4                                              */
    I_PICK_8,   /* ... of each 8                                              */
    I_SWAP,     /* lane l of %a in lane l ^ %b, a constant and even; where there is one, a pick of each 2 lanes
                   is free and one of more is not, see kernel/turn.c */
    I_ADD,
    I_SUB,
    I_MUL,
    I_DIV,
    I_MAX, /* a > b ? a : b                                              */
    I_MIN, /* a < b ? a : b                                              */
    I_FMA, /* a * b + c, one rounding                                    */
    I_DOT, /* a[2i] * b[2i] + (a[2i+1] * b[2i+1] + c[i]): a and b of twice the row's lanes of its
              BF16, c and the sum F32, rounded after each product; denormals count as 0 */
    I_MATRIX_BEGIN, /* %a: address of the shapes of all matrix registers, 64 bytes as Intel's LDTILECFG
                       takes them. None of the others without it, nor after I_MATRIX_END */
    I_MATRIX_END,
    I_MATRIX_ZERO,  /* %a: number of a matrix register                            */
    I_MATRIX_LOAD,  /* %a: its number, %b: address, %c: bytes from row to row     */
    I_MATRIX_STORE, /* the same                                                   */
    I_MATRIX_DOT,   /* %a += %b * %c, all numbers; see E_DOT                      */
    I_NEG,
    I_ABS,
    I_FLOOR,
    I_ROUND,    /* to the nearest integer, ties to even                       */
    I_SQRT,     /* rounded once; NaN below 0                                  */
    I_LDEXP,    /* a * 2^b; b an integer in [-126, 127] held as float         */
    I_EXPONENT, /* floor(log2(a)) as float, a normal and positive             */
} InstrKind;

/* One row: the C text of an instruction. */
typedef struct Instr {
    InstrKind   kind;
    Elem        elem;
    int         lanes;
    const char *text; /* %a %b %c are the operands */
} Instr;

/* A small function rows may call where one instruction does not do, or where an operand is needed
 * twice. Emitted once, ahead of the kernels, when a row used (or another function used) names it;
 * it may name those listed before it. */
typedef struct Support {
    const char *name;
    const char *text; /* the definition, static inline */
} Support;

/* plain_pointer - clang knows nothing of the pointer it returns.
 *
 * A multiply-add whose operand in memory is addressed by a base and an index is two instructions to x86, and
 * clang prefers to address so: behind this it knows of no index to use. A fifth of the time of register tiles
 * that read one such operand a sum.
 *
 * The lanes of a vector are picked in turn, each for all pixels of a tile. clang would read the vectors once and
 * keep them from turn to turn, on the stack: a sixth to a third of the time (emit/place_c.c). */
#define PLAIN_POINTER                                                                              \
    {"plain_pointer",                                                                              \
     "static inline const float *plain_pointer(const float *p)\n"                                  \
     "{\n"                                                                                         \
     "#ifdef __clang__ /* would add an index, or keep more of what it read than registers hold */\n" \
     "    __asm__(\"\" : \"+r\"(p));\n"                                                              \
     "#endif\n"                                                                                    \
     "    return p;\n"                                                                             \
     "}\n"}

typedef enum { BYTES_UNKNOWN, BYTES_LITTLE, BYTES_BIG } ByteOrder;

typedef struct Target {
    const char *name;
    const char *about;       /* one line for `kiln targets` */
    int         lanes;       /* f32 lanes of a vector; 1: no vectors */
    int         vector_regs; /* registers that hold them (lanes 1: scalar float registers) */
    const struct Target *narrow; /* of fewer lanes: for what has no more channels than those. Its code
                                    compiles with this target's c_flags. NULL: there is none */
    bool        has_fma;
    bool        adders; /* additions have units of their own, beside those that multiply and add */
    bool        splats_operands; /* an operand may be a scalar in memory, for all lanes */
    const char *plain_pointer;   /* support function, see PLAIN_POINTER; NULL: none needed */
    const char *vector_type; /* C type of an f32 vector; NULL where lanes is 1 */
    const char *half_type;   /* C type of as many 16-bit numbers; NULL where lanes is 1 */
    const char *pair_type;   /* C type of twice as many; NULL: there is no I_DOT */
    int         matrix_rows; /* of a matrix register, and the most pairs of a product; 0: there are none */
    double      dot_gain;    /* multiply-adds that an I_DOT takes the place of, in the time of one */
    const char *header;      /* to include for it; NULL: none */
    const char *guard;       /* preprocessor condition under which the code may compile; NULL */
    const char *guard_hint;  /* "compile with -mavx512f -mfma" */
    const char *c_flags;     /* what kiln build adds for the C compiler */
    const char *cross_cc;    /* default compiler where the machine is another one; NULL */
    const char *machine;     /* uname -m it runs on; NULL: any */
    bool (*cpu_has)(void);   /* whether this processor has its instructions; NULL: always */
    const char    *emulator; /* runs it elsewhere, "qemu-aarch64 -L /usr/aarch64-linux-gnu"; NULL */
    ByteOrder      byte_order;
    bool           halo; /* keep zero halos around planes instead of cutting borders */
    int64_t        l1_bytes, l2_bytes, l3_bytes;
    const Instr   *instrs;
    int            n_instrs;
    const Support *support;
    int            n_support;
} Target;

extern const Target target_c99, target_x86_64, target_x86_avx2, target_x86_avx512,
    target_x86_zen4, target_x86_avx512_bf16, target_x86_amx, target_aarch64;

int           target_count(void);
const Target *target_nth(int i);
const Target *
target_by_name(const char *name); /* "native" is the best this machine runs; NULL: unknown */
const Instr *target_find(const Target *t, InstrKind kind, Elem elem, int lanes); /* NULL: none */
/* target_pick - the kind of instruction that picks a lane of each `group`; I_NONE: there is none. */
InstrKind target_pick(int64_t group);
/* target_picks - whether groups of so many channels, several of which share a vector, are summed by picking:
 * otherwise they are made dense. */
bool target_picks(const Target *t, int64_t group);
/* target_turns - how many sums stand for one of groups of so many channels where those are turned and not picked
 * one by one; 1: they are picked, or there are none. */
int          target_turns(const Target *t, int64_t group);
bool         target_runs_here(const Target *t); /* directly, without an emulator */
/* target_for - the target, or the narrow one of it, whose vectors so many channels are best kept in. */
const Target *target_for(const Target *t, int64_t channels);
/* target_n_support, target_nth_support - the support functions, those of the narrow target behind; NULL: a function
 * of that name comes before. */
int            target_n_support(const Target *t);
const Support *target_nth_support(const Target *t, int i);
/* target_support - mark in used[0..target_n_support) the functions that `text` names, and those they
 * name. */
void target_support(const Target *t, const char *text, bool *used);

#endif
