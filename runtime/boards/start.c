/* start.c - vectors, memory at reset, faults: Cortex-M. */
#include "board.h"

/* Set by the linker script. */
extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];
extern char     stack_bytes[];

void reset_handler(void);

static void fault(void)
{
    host_exit(BOARD_FAULT);
}

typedef void (*Vector)(void);

/* Armv7-M Architecture Reference Manual, B1.5.3: the stack, reset, faults; interrupts stay off. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    Vector    handlers[15];
} vectors = {
    stack_top,
    {reset_handler, fault, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, fault}};

void reset_handler(void)
{
#ifdef __ARM_FP
    /* CPACR: full access to the floating-point coprocessors 10 and 11. */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb" ::: "memory");
#endif
    __builtin_memcpy(data_start, data_load, (uintptr_t)data_end - (uintptr_t)data_start);
    __builtin_memset(bss_start, 0, (uintptr_t)bss_end - (uintptr_t)bss_start);
    host_exit(image_run());
}

void *board_alloc(size_t bytes)
{
    static uintptr_t next;
    const uintptr_t  limit = (uintptr_t)stack_top - (uintptr_t)stack_bytes;
    if (!next)
        next = (uintptr_t)bss_end;
    if (bytes > limit - next)
        return 0;
    void *memory = (void *)next;
    next += (bytes + 7) / 8 * 8;
    if (next > limit)
        next = limit;
    return memory;
}
