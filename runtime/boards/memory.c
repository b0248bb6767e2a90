/* memory.c - the functions a freestanding compiler may call by itself. Built so that the compiler does
 * not turn their loops into calls of themselves. */
#include <stddef.h>
#include <stdint.h>

#define AS_WRITTEN __attribute__((optimize("no-tree-loop-distribute-patterns"), used))

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int   memcmp(const void *a, const void *b, size_t n);

AS_WRITTEN void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    unsigned char       *t = to;
    const unsigned char *f = from;
    if (((uintptr_t)t | (uintptr_t)f) % 4 == 0)
        for (; n >= 4; n -= 4, t += 4, f += 4)
            *(uint32_t *)(void *)t = *(const uint32_t *)(const void *)f;
    while (n--)
        *t++ = *f++;
    return to;
}

AS_WRITTEN void *memmove(void *to, const void *from, size_t n)
{
    unsigned char       *t = to;
    const unsigned char *f = from;
    if ((uintptr_t)t <= (uintptr_t)f)
        while (n--)
            *t++ = *f++;
    else
        while (n--)
            t[n] = f[n];
    return to;
}

AS_WRITTEN void *memset(void *to, int value, size_t n)
{
    unsigned char *t = to;
    while (n--)
        *t++ = (unsigned char)value;
    return to;
}

AS_WRITTEN int memcmp(const void *a, const void *b, size_t n)
{
    const unsigned char *x = a, *y = b;
    for (; n--; x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}
