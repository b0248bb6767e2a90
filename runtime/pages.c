/* pages.c - the memory of weights and arena.
 *
 * Linux gives a program pages of 4 KiB, and of 2 MiB where it asks and there are some. The fewer there are, the
 * more of their addresses the processor keeps at hand: inside a virtual machine, where it looks each up twice, that
 * is 2 to 7 % of a network's time. All is brought in at once, so that the first run is as fast as the others. */
#include "program.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define SMALL ((size_t)4 << 10)
#define LARGE ((size_t)2 << 20)

/* in_large - bytes at the beginning of so many to ask large pages for: the last of them nearly full. */
static size_t in_large(size_t bytes)
{
    return (bytes + LARGE / 4) / LARGE * LARGE;
}

/* ask_large - a wish: without it, or where the system cannot, pages are small. */
static void ask_large(void *p, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    madvise(p, bytes, MADV_HUGEPAGE);
#else
    (void)p;
    (void)bytes;
#endif
}

/* bring_in - what is there to be read: in one call, or page by page. */
static void bring_in(const volatile unsigned char *p, size_t bytes)
{
#ifdef MADV_POPULATE_READ
    if (!madvise((void *)(uintptr_t)p, bytes, MADV_POPULATE_READ))
        return;
#endif
    for (size_t i = 0; i < bytes; i += SMALL)
        (void)p[i];
}

const void *pages_of_file(const char *path, size_t *bytes)
{
    static const char empty;
    uint64_t          size;
    FILE             *f = file_open_regular(path, &size);
    void             *p = NULL;
    if (size)
        p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fileno(f), 0);
    if (p == MAP_FAILED)
        program_fail(KILN_MACHINE, "cannot read '%s': %s", path, strerror(errno));
    fclose(f);
    *bytes = (size_t)size;
    if (!p)
        return &empty;
    ask_large(p, *bytes);
    bring_in(p, *bytes);
    return p;
}

void *pages_new(size_t bytes)
{
    size_t room = bytes + 2 * LARGE;
    char  *p = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == (char *)MAP_FAILED)
        program_fail(KILN_MACHINE, "no memory for the arena: %s", strerror(errno));
    p += -(uintptr_t)p % LARGE;
    ask_large(p, in_large(bytes));
    for (size_t i = 0; i < bytes; i += SMALL)
        ((volatile unsigned char *)p)[i] = 0;
    return p;
}
