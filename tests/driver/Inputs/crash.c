#include <stdlib.h>

void __wrap_m_infer(const float *x, float *y);

void __wrap_m_infer(const float *x, float *y)
{
    (void)x;
    (void)y;
    abort();
}
