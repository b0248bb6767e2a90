/* board.h - what an image for a microcontroller stands on, in place of a C library.
 *
 *   start.c      vectors, memory at reset, faults
 *   semihost.c   files and the command line of the host, through a debugger or emulator
 *   memory.c     memcpy and its kin, which compilers call by themselves
 *   image.c      the program: inputs, runs, outputs
 *
 * Semihosting: Arm, "Semihosting for AArch32 and AArch64", 2023. */
#ifndef KILN_BOARD_H
#define KILN_BOARD_H

#include "program.h"

/* Exit codes, as of programs on a host; a fault of the processor ends with BOARD_FAULT. */
enum { BOARD_DONE = 0, BOARD_DATA = 1, BOARD_USAGE = 2, BOARD_MACHINE = 3, BOARD_FAULT = 99 };

_Noreturn void host_exit(int code);
void           host_print(const char *text);
/* host_arguments - the command line, words split at spaces; 0 where there is none. */
int host_arguments(char *buffer, int room);
/* host_open - a handle, or -1. */
int     host_open(const char *path, int for_writing);
int64_t host_length(int file);
/* Both: whether all bytes came or went. */
int  host_read(int file, void *to, size_t bytes);
int  host_write(int file, const void *from, size_t bytes);
int  host_close(int file);
int  host_rename(const char *from, const char *to);
void host_remove(const char *path);

/* board_alloc - memory between the model's and the stack's, aligned to 8 bytes; it is never given
 * back. NULL: there is no more. */
void *board_alloc(size_t bytes);

/* image_run - the program; its exit code. */
int image_run(void);

#endif
