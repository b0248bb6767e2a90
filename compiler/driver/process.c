/* process.c - other programs, and temporary folders that do not outlive kiln. */
#include "driver/driver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- temporary folders ------------------------------------------------------------------ */

/* A signal handler sees nothing but globals, and may call unlink and rmdir but not opendir: so the
 * names of all files made are kept here. */
enum { MAX_TEMP_FILES = 64, MAX_TEMP_PATH = 512 };
static char                  temp_root[MAX_TEMP_PATH];
static char                  temp_paths[MAX_TEMP_FILES][MAX_TEMP_PATH];
static volatile sig_atomic_t n_temp_paths;

const char *temp_folder(Arena *a, Diag *d)
{
    const char *base = getenv("TMPDIR");
    char       *path = arena_printf(a, "%s/kiln-XXXXXX", base && *base ? base : "/tmp");
    temp_clean();
    /* Half the room is kept for names of files. */
    if (strlen(path) > MAX_TEMP_PATH / 2) {
        diag_system(d, "the name of the temporary folder is too long: '%s'", path);
        return NULL;
    }
    if (!mkdtemp(path)) {
        diag_system(d, "cannot make a folder '%s': %s", path, strerror(errno));
        return NULL;
    }
    strcpy(temp_root, path);
    return path;
}

const char *temp_file(Arena *a, const char *name)
{
    char *path = arena_printf(a, "%s/%s", temp_root, name);
    for (int i = 0; i < n_temp_paths; i++)
        if (!strcmp(temp_paths[i], path))
            return path;
    if (n_temp_paths < MAX_TEMP_FILES && strlen(path) < MAX_TEMP_PATH) {
        strcpy(temp_paths[n_temp_paths], path);
        n_temp_paths++;
    }
    return path;
}

/* unlink_known - what a signal handler can do: files past MAX_TEMP_FILES stay. */
static void unlink_known(void)
{
    for (int i = n_temp_paths - 1; i >= 0; i--)
        unlink(temp_paths[i]);
    if (temp_root[0])
        rmdir(temp_root);
}

void temp_clean(void)
{
    DIR           *folder = temp_root[0] ? opendir(temp_root) : NULL;
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL)
        unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
    unlink_known();
    n_temp_paths = 0;
    temp_root[0] = 0;
}

/* ---- signals ---------------------------------------------------------------------------- */

static const int             caught[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t running; /* the process waited for; 0: none */

/* A compiler still at work would put files into the folder that is removed, and has some of its own to
 * remove: it goes first. */
static void on_signal(int signal_number)
{
    if (running) {
        kill(running, SIGTERM);
        waitpid(running, NULL, 0);
    }
    unlink_known();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void signals_catch(void)
{
    for (size_t i = 0; i < COUNT_OF(caught); i++) {
        struct sigaction action = {.sa_handler = on_signal}, old;
        /* What is ignored (nohup, a shell's background jobs) stays ignored. */
        if (!sigaction(caught[i], NULL, &old) && old.sa_handler != SIG_IGN)
            sigaction(caught[i], &action, NULL);
    }
}

void signals_hold(bool hold)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < COUNT_OF(caught); i++)
        sigaddset(&set, caught[i]);
    sigprocmask(hold ? SIG_BLOCK : SIG_UNBLOCK, &set, NULL);
}

/* ---- running ---------------------------------------------------------------------------- */

typedef struct Pipe {
    int   read_end, write_end; /* -1: none */
    Text *text;
} Pipe;

static bool pipe_open(Pipe *p)
{
    int ends[2];
    if (!p->text)
        return true;
    if (pipe2(ends, O_CLOEXEC))
        return false;
    p->read_end = ends[0];
    p->write_end = ends[1];
    return true;
}

static void pipe_close(int *end)
{
    if (*end >= 0)
        close(*end);
    *end = -1;
}

/* pipe_drain - read what is there; closes at the end. */
static void pipe_drain(Pipe *p)
{
    char    buffer[4096];
    ssize_t n = read(p->read_end, buffer, sizeof buffer);
    if (n > 0)
        text_add_bytes(p->text, buffer, (size_t)n);
    else if (n == 0 || errno != EINTR)
        pipe_close(&p->read_end);
}

static void drain_both(Pipe pipes[2], const char *program)
{
    enum { MILLISECONDS = 200 };
    while (pipes[0].read_end >= 0 || pipes[1].read_end >= 0) {
        struct pollfd polled[2] = {{.fd = pipes[0].read_end, .events = POLLIN},
                                   {.fd = pipes[1].read_end, .events = POLLIN}};
        progress_wait(program);
        if (poll(polled, 2, MILLISECONDS) <= 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (polled[i].revents)
                pipe_drain(&pipes[i]);
    }
    progress_end();
}

/* child - becomes argv; on failure sends errno through `failed`. */
static void child(const char *const *argv, const Pipe pipes[2], int failed)
{
    int input = open("/dev/null", O_RDONLY);
    if (input >= 0)
        dup2(input, STDIN_FILENO);
    for (int i = 0; i < 2; i++)
        if (pipes[i].write_end >= 0)
            dup2(pipes[i].write_end, i ? STDERR_FILENO : STDOUT_FILENO);
    execvp(argv[0], (char *const *)argv);
    int cause = errno;
    if (write(failed, &cause, sizeof cause) < 0)
        _exit(126);
    _exit(127);
}

/* start - fork and exec; 0, or errno of what failed. */
static int start(const char *const *argv, Pipe pipes[2], pid_t *pid)
{
    int ends[2], cause = 0;
    if (pipe2(ends, O_CLOEXEC))
        return errno;
    *pid = fork();
    if (*pid == 0)
        child(argv, pipes, ends[1]);
    if (*pid < 0)
        cause = errno;
    else
        running = *pid;
    close(ends[1]);
    /* The pipe closes by itself when exec succeeds. */
    if (*pid > 0 && read(ends[0], &cause, sizeof cause) == (ssize_t)sizeof cause)
        waitpid(*pid, NULL, 0);
    if (cause)
        running = 0;
    close(ends[0]);
    return cause;
}

bool process_run(Arena *a, Diag *d, const char *const *argv, int *status, Text *out, Text *err)
{
    Pipe  pipes[2] = {{-1, -1, out}, {-1, -1, err}};
    pid_t pid = -1;
    int   result = 0;
    for (int i = 0; i < 2; i++)
        if (pipes[i].text)
            *pipes[i].text = text_new(a);
    int cause = !pipe_open(&pipes[0]) || !pipe_open(&pipes[1]) ? errno : 0;
    if (!cause)
        cause = start(argv, pipes, &pid);
    pipe_close(&pipes[0].write_end);
    pipe_close(&pipes[1].write_end);
    if (cause) {
        pipe_close(&pipes[0].read_end);
        pipe_close(&pipes[1].read_end);
        diag_system(d, "cannot run '%s': %s", argv[0], strerror(cause));
        return false;
    }
    drain_both(pipes, argv[0]);
    while (waitpid(pid, &result, 0) < 0 && errno == EINTR)
        continue;
    running = 0;
    *status = WIFEXITED(result) ? WEXITSTATUS(result) : 128 + WTERMSIG(result);
    return true;
}
