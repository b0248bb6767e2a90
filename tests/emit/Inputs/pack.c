/* Calls two codes of one model: one with its weights laid out by kiln, one that lays them out at start. */
#include "built.h"
#include "started.h"

#include <string.h>

static float x[BUILT_X_SIZE], want[BUILT_D_SIZE], got[STARTED_D_SIZE];

static int differs(void)
{
    memset(got, 0, sizeof got);
    started_infer(x, got);
    return memcmp(got, want, sizeof want) != 0;
}

int main(void)
{
    for (int i = 0; i < BUILT_X_SIZE; i++)
        x[i] = (float)(i % 17 - 8);
    built_infer(x, want);
    if (want[0] == 0.0f || sizeof got != sizeof want)
        return 1;
    if (differs())
        return 2;
    if (started_init() || differs())
        return 3;
    return started_init() || differs() ? 4 : 0;
}
