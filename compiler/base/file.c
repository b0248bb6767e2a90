/* file.c - files mapped for reading, files written whole or not at all. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- reading ---------------------------------------------------------------------------- */

/* map_open_file - map an open descriptor; a NULL result is success, else what went wrong. */
static const char *map_open_file(int fd, Bytes *out)
{
    struct stat st;
    if (fstat(fd, &st))
        return strerror(errno);
    if (S_ISDIR(st.st_mode))
        return "is a directory";
    if (!S_ISREG(st.st_mode))
        return "is not a regular file";
    if ((uintmax_t)st.st_size > PTRDIFF_MAX)
        return strerror(EFBIG);
    *out = (Bytes){(const unsigned char *)"", (size_t)st.st_size};
    if (st.st_size == 0) /* mmap refuses an empty range */
        return NULL;
    void *map = mmap(NULL, out->len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        return strerror(errno);
    out->data = map;
    return NULL;
}

bool file_map(Diag *d, const char *path, Bytes *out)
{
    /* O_NONBLOCK: opening a pipe nobody writes to must not hang. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        diag_system(d, "cannot open '%s': %s", path, strerror(errno));
        return false;
    }
    const char *problem = map_open_file(fd, out);
    close(fd);
    if (problem)
        diag_system(d, "cannot read '%s': %s", path, problem);
    return !problem;
}

/* ---- writing ---------------------------------------------------------------------------- */

struct OutFile {
    Diag       *diag;
    const char *path;   /* as the user wrote it, for messages            */
    const char *target; /* what to rename to: `path` with links resolved */
    char       *temp;   /* where the bytes go; NULL: straight to `path`  */
    FILE       *stream; /* NULL once closed */
    int         cause;  /* errno of the first failed file_write */
};

/* final_mode - permissions of the file to be: those of the file it replaces, or those open(2)
 * would have given it. */
static mode_t final_mode(const struct stat *existing)
{
    if (existing)
        return existing->st_mode & 07777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

/* writes_directly - devices, pipes and descriptors cannot be replaced by renaming. */
static bool writes_directly(const char *path, const struct stat *existing)
{
    return !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6) ||
           (existing && !S_ISREG(existing->st_mode));
}

static int open_temp(Arena *a, OutFile *f, const struct stat *existing)
{
    char *real = existing ? realpath(f->path, NULL) : NULL;
    f->target = arena_strdup(a, real ? real : f->path);
    free(real);
    f->temp = arena_printf(a, "%s.tmpXXXXXX", f->target);
    int fd = mkstemp(f->temp);
    if (fd < 0)
        f->temp = NULL;
    else if (fchmod(fd, final_mode(existing))) {
        /* A file system without permissions: the file is written all the same. */
    }
    return fd;
}

/* What is written in one call Linux keeps in pages as large as that, if it can: so whoever maps the file, as
 * programs do with their weights, gets pages of 2 MiB. Of VGG-16's 800 MB a mapping then takes 0.6 ms, of pages of
 * 4 KiB 30. */
#define WRITTEN_AT_ONCE ((size_t)2 << 20)

OutFile *file_create(Arena *a, Diag *d, const char *path)
{
    OutFile *f = arena_struct(a, OutFile);
    f->diag = d;
    f->path = arena_strdup(a, path);

    struct stat        st;
    const struct stat *existing = stat(path, &st) ? NULL : &st;
    int                fd;
    if (existing && S_ISDIR(st.st_mode)) {
        diag_system(d, "cannot write '%s': is a directory", path);
        return NULL;
    }
    if (!strcmp(path, "/dev/stdout"))
        fd = dup(STDOUT_FILENO); /* also works where the device cannot be opened again */
    else if (writes_directly(path, existing))
        fd = open(path, O_WRONLY | O_CLOEXEC);
    else
        fd = open_temp(a, f, existing);

    f->stream = fd < 0 ? NULL : fdopen(fd, "wb");
    if (f->stream) {
        setvbuf(f->stream, arena_array(a, char, WRITTEN_AT_ONCE), _IOFBF, WRITTEN_AT_ONCE);
        return f;
    }
    diag_system(d, "cannot write '%s': %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (f->temp)
        unlink(f->temp);
    return NULL;
}

void file_write(OutFile *f, const void *bytes, size_t n)
{
    /* In parts, so that all goes through the stream's buffer: Linux takes a mapped file page by page. */
    for (const char *from = bytes; n;) {
        size_t part = n < WRITTEN_AT_ONCE / 2 ? n : WRITTEN_AT_ONCE / 2;
        if (fwrite(from, 1, part, f->stream) < part && !f->cause)
            f->cause = errno; /* the error sticks to the stream; file_commit looks */
        from += part;
        n -= part;
    }
}

FILE *file_stream(OutFile *f)
{
    return f->stream;
}

void file_abandon(OutFile *f)
{
    if (!f)
        return;
    if (f->stream)
        fclose(f->stream);
    f->stream = NULL;
    if (f->temp)
        unlink(f->temp);
    f->temp = NULL;
}

static bool write_failed(OutFile *f, int cause)
{
    diag_system(f->diag, "cannot write '%s': %s", f->path, cause ? strerror(cause) : "write error");
    file_abandon(f);
    return false;
}

/* finish - all bytes are on the disk, under the temporary name; or that is reported. */
static bool finish(OutFile *f)
{
    errno = f->cause;
    bool ok = !ferror(f->stream) && !fflush(f->stream);
    if (ok && f->temp)
        ok = !fsync(fileno(f->stream));
    int cause = errno;
    if (fclose(f->stream) && ok) {
        ok = false;
        cause = errno;
    }
    f->stream = NULL;
    return ok || write_failed(f, cause);
}

bool file_commit_all(OutFile *const *files, int n)
{
    bool ok = true;
    for (int i = 0; i < n && ok; i++)
        ok = !files[i] || finish(files[i]);
    for (int i = 0; i < n && ok; i++)
        if (files[i] && files[i]->temp && rename(files[i]->temp, files[i]->target))
            ok = write_failed(files[i], errno);
        else if (files[i])
            files[i]->temp = NULL;
    for (int i = 0; i < n && !ok; i++)
        file_abandon(files[i]);
    return ok;
}

bool file_commit(OutFile *f)
{
    return file_commit_all(&f, 1);
}

/* ---- paths ------------------------------------------------------------------------------ */

char *path_beside(Arena *a, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    return arena_printf(a, "%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);
}

const char *path_stem(Arena *a, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *stem = slash ? slash + 1 : path;
    const char *dot = strchr(stem, '.');
    return dot && dot > stem ? arena_strndup(a, stem, (size_t)(dot - stem)) : stem;
}

bool path_is_plain(const char *path)
{
    if (path[0] == '/' || path[0] == 0)
        return false;
    for (const char *part = path; part;) {
        size_t n = strcspn(part, "/");
        if (n == 2 && part[0] == '.' && part[1] == '.')
            return false;
        part = part[n] ? part + n + 1 : NULL;
    }
    return true;
}

bool path_has_controls(const char *path)
{
    static const char *const marks[] = {"\xe2\x80\x8e", "\xe2\x80\x8f", "\xd8\x9c"};
    for (const unsigned char *s = (const unsigned char *)path; *s; s++) {
        bool c1 = s[0] == 0xc2 && s[1] < 0xa0;
        bool embeds = s[0] == 0xe2 && s[1] == 0x80 && s[2] >= 0xa8 && s[2] <= 0xae;
        bool isolates = s[0] == 0xe2 && s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9;
        if (*s < 0x20 || *s == 0x7f || c1 || embeds || isolates)
            return true;
    }
    for (size_t i = 0; i < COUNT_OF(marks); i++)
        if (strstr(path, marks[i]))
            return true;
    return false;
}

bool path_stays(const char *model, const char *path)
{
    Arena *scratch = arena_new();
    char  *folder = realpath(path_beside(scratch, model, "."), NULL);
    char  *real = realpath(path, NULL);
    size_t n = folder ? strlen(folder) : 0;
    if (n == 1)
        n = 0; /* the root */
    bool stays = folder && real && !strncmp(real, folder, n) && real[n] == '/';
    free(folder);
    free(real);
    arena_free(scratch);
    return stays;
}
