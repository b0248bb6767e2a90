/* progress.c - one line rewritten on a terminal, once work has lasted a second. */
#include "driver/driver.h"

#include <time.h>
#include <unistd.h>

/* The line on the terminal belongs to the process, so its state does too. */
static double started, last;
static bool   shown;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void progress(const char *what, int64_t done, int64_t total)
{
    enum { WIDTH = 30 };
    double t = now();
    if (!started)
        started = t;
    if (t - started < 1 || t - last < 0.1 || total <= 0 || !isatty(STDERR_FILENO))
        return;
    last = t;
    shown = true;
    int filled = (int)((double)done / (double)total * WIDTH);
    fprintf(stderr, "\r%-20s [", what);
    for (int i = 0; i < WIDTH; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3d%%", (int)(100 * (double)done / (double)total));
    fflush(stderr);
}

void progress_end(void)
{
    if (shown)
        fputs("\r\033[K", stderr);
    started = 0;
    shown = false;
}
