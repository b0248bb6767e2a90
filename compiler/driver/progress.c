/* progress.c - one line rewritten on a terminal, once work has lasted a second. */
#include "driver/driver.h"

#include <time.h>
#include <unistd.h>

/* The line on the terminal belongs to the process, so its state does too. */
static double started, last;
static bool   shown;
static char   task[128];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* is_due - whether the line is to be rewritten now. */
static bool is_due(double t)
{
    if (!started)
        started = t;
    if (t - started < 1 || t - last < 0.1 || !isatty(STDERR_FILENO))
        return false;
    last = t;
    shown = true;
    return true;
}

void progress(const char *what, int64_t done, int64_t total)
{
    enum { WIDTH = 30 };
    if (total <= 0 || !is_due(now()))
        return;
    int filled = (int)((double)done / (double)total * WIDTH);
    fprintf(stderr, "\r%-20s [", what);
    for (int i = 0; i < WIDTH; i++)
        fputc(i < filled ? '#' : '.', stderr);
    fprintf(stderr, "] %3d%%", (int)(100 * (double)done / (double)total));
    fflush(stderr);
}

void progress_wait(const char *what)
{
    double t = now();
    if (!is_due(t))
        return;
    fprintf(stderr, "\r%-20s %.0f s\033[K", *task ? task : what, t - started);
    fflush(stderr);
}

void progress_end(void)
{
    if (*task)
        return;
    if (shown)
        fputs("\r\033[K", stderr);
    started = 0;
    shown = false;
}

void progress_task(const char *text)
{
    snprintf(task, sizeof task, "%s", text ? text : "");
    progress_end();
}
