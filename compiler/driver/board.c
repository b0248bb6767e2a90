/* board.c - microcontroller boards: a table, and how an image for one is linked.
 *
 * Memory maps are those of the boards as qemu-system-arm has them; netduinoplus2 is an STM32F405 with
 * its real 1 MiB of flash and 128 KiB of RAM (the core-coupled RAM is not used). */
#include "driver/driver.h"

#include <string.h>

#define CORTEX_M4F "-mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard -mthumb"
#define CORTEX_M7F "-mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard -mthumb"
#define CORTEX_M3  "-mcpu=cortex-m3 -mthumb"
#define KIB        1024u
#define MIB        (1024u * KIB)

static const Board boards[] = {
    /* name, about, cc, c_flags, flash, its bytes, RAM, its bytes, machine */
    {"netduinoplus2", "STM32F405, Cortex-M4F", "arm-none-eabi-gcc", CORTEX_M4F, 0x08000000u, MIB,
     0x20000000u, 128 * KIB, "netduinoplus2"},
    {"mps2-an386", "Arm MPS2, Cortex-M4F", "arm-none-eabi-gcc", CORTEX_M4F, 0, 4 * MIB, 0x20000000u,
     4 * MIB, "mps2-an386"},
    {"mps2-an500", "Arm MPS2, Cortex-M7", "arm-none-eabi-gcc", CORTEX_M7F, 0, 4 * MIB, 0x20000000u,
     4 * MIB, "mps2-an500"},
    {"mps2-an385", "Arm MPS2, Cortex-M3 without FPU", "arm-none-eabi-gcc", CORTEX_M3, 0, 4 * MIB,
     0x20000000u, 4 * MIB, "mps2-an385"},
};

const Board *board_by_name(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(boards); i++)
        if (!strcmp(boards[i].name, name))
            return &boards[i];
    return NULL;
}

const char *board_name(int i)
{
    return i < (int)COUNT_OF(boards) ? boards[i].name : NULL;
}

const char *board_flags(Arena *a, const Board *b)
{
    return arena_printf(a,
                        "%s -ffreestanding -nostdlib -ffunction-sections -fdata-sections "
                        "-DKILN_NO_LIBRARY -Wl,--gc-sections "
                        "-Wl,--defsym=FLASH_ORIGIN=0x%x,--defsym=FLASH_BYTES=0x%x "
                        "-Wl,--defsym=RAM_ORIGIN=0x%x,--defsym=RAM_BYTES=0x%x",
                        b->c_flags, (unsigned)b->flash_origin, (unsigned)b->flash_bytes,
                        (unsigned)b->ram_origin, (unsigned)b->ram_bytes);
}
