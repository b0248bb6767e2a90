#include <stdlib.h>

void __wrap_m_infer_in(void *arena, const float *x, float *y);

void __wrap_m_infer_in(void *arena, const float *x, float *y)
{
    (void)arena;
    (void)x;
    (void)y;
    abort();
}
