/* semihost.c - files and the command line of the host. */
#include "board.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_FLEN = 0x0C,
    SYS_REMOVE = 0x0E,
    SYS_RENAME = 0x0F,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
};
enum { OPEN_READ_BINARY = 1, OPEN_WRITE_BINARY = 5 };
enum { STOPPED_APPLICATION_EXIT = 0x20026 };

static intptr_t ask(uintptr_t operation, const void *arguments)
{
    register uintptr_t   r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return (intptr_t)r0;
}

static size_t length(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

_Noreturn void host_exit(int code)
{
    const uintptr_t block[] = {STOPPED_APPLICATION_EXIT, (uintptr_t)code};
    for (;;)
        ask(SYS_EXIT_EXTENDED, block);
}

void host_print(const char *text)
{
    ask(SYS_WRITE0, text);
}

int host_arguments(char *buffer, int room)
{
    const uintptr_t block[] = {(uintptr_t)buffer, (uintptr_t)room};
    buffer[0] = 0;
    return ask(SYS_GET_CMDLINE, block) == 0;
}

int host_open(const char *path, int for_writing)
{
    const uintptr_t block[] = {(uintptr_t)path, for_writing ? OPEN_WRITE_BINARY : OPEN_READ_BINARY,
                               length(path)};
    return (int)ask(SYS_OPEN, block);
}

int64_t host_length(int file)
{
    const uintptr_t block[] = {(uintptr_t)file};
    return ask(SYS_FLEN, block);
}

/* Both calls answer with the bytes that were not moved. */
int host_read(int file, void *to, size_t bytes)
{
    const uintptr_t block[] = {(uintptr_t)file, (uintptr_t)to, bytes};
    return bytes == 0 || ask(SYS_READ, block) == 0;
}

int host_write(int file, const void *from, size_t bytes)
{
    const uintptr_t block[] = {(uintptr_t)file, (uintptr_t)from, bytes};
    return bytes == 0 || ask(SYS_WRITE, block) == 0;
}

int host_close(int file)
{
    const uintptr_t block[] = {(uintptr_t)file};
    return ask(SYS_CLOSE, block) == 0;
}

int host_rename(const char *from, const char *to)
{
    const uintptr_t block[] = {(uintptr_t)from, length(from), (uintptr_t)to, length(to)};
    return ask(SYS_RENAME, block) == 0;
}

void host_remove(const char *path)
{
    const uintptr_t block[] = {(uintptr_t)path, length(path)};
    ask(SYS_REMOVE, block);
}
