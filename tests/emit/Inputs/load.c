/* load FILE - what m_load_weights says to the right file and to wrong ones; 0 when all is as it should. */
#include "m.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    static union {
        float         align;
        unsigned char bytes[M_WEIGHT_BYTES + 8];
    } file, moved;
    float x[M_X_SIZE] = {1, 0, 0, 0, 1, 0, 0, 0}, c[M_C_SIZE];
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!f || fread(file.bytes, 1, sizeof file.bytes, f) != M_WEIGHT_BYTES)
        return 10;
    fclose(f);
    if (m_load_weights(file.bytes, M_WEIGHT_BYTES - 1) != 1)
        return 11;
    memcpy(moved.bytes + 1, file.bytes, M_WEIGHT_BYTES);
    if (m_load_weights(moved.bytes + 1, M_WEIGHT_BYTES) != 2)
        return 12;
    memcpy(moved.bytes, file.bytes, M_WEIGHT_BYTES);
    moved.bytes[16] ^= 1;
    if (m_load_weights(moved.bytes, M_WEIGHT_BYTES) != 3)
        return 13;
    if (m_load_weights(file.bytes, M_WEIGHT_BYTES) != 0)
        return 14;
    m_infer(x, c);
    return c[0] == 100 + 1 + 2 && c[4] == 101 + 3 + 4 && c[8] == 102 + 5 + 6 && c[1] == 100 ? 0
                                                                                            : 15;
}
