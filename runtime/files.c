/* files.c - inputs read run by run, outputs written whole or not at all. */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names of unfinished files, where a signal handler finds them. */
enum { MAX_UNFINISHED = 64 };
static const char *volatile unfinished[MAX_UNFINISHED];

static void remember(const char *old, const char *with)
{
    for (int i = 0; i < MAX_UNFINISHED; i++)
        if (unfinished[i] == old) {
            unfinished[i] = with;
            return;
        }
}

void files_abandon(void)
{
    for (int i = 0; i < MAX_UNFINISHED; i++)
        if (unfinished[i])
            unlink(unfinished[i]);
}

/* ---- reading ---------------------------------------------------------------------------- */

FILE *file_open_regular(const char *path, uint64_t *bytes)
{
    struct stat st;
    FILE       *f = fopen(path, "rb");
    if (!f)
        program_fail(KILN_MACHINE, "cannot open '%s': %s", path, strerror(errno));
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))
        program_fail(KILN_MACHINE, "cannot read '%s': it is not a regular file", path);
    *bytes = (uint64_t)st.st_size;
    return f;
}

void in_open(InFile *f, const char *path)
{
    unsigned char first[KILN_NPY_PREFIX] = {0};
    uint64_t      bytes;
    *f = (InFile){.path = path, .stream = file_open_regular(path, &bytes)};
    size_t n = fread(first, 1, sizeof first, f->stream);
    size_t header = n == sizeof first ? kiln_npy_header_bytes(first) : 0;
    if (!header)
        program_fail(KILN_DATA, "%s: is not a .npy file", path);
    unsigned char *text = program_alloc(header);
    memcpy(text, first, sizeof first);
    n = fread(text + sizeof first, 1, header - sizeof first, f->stream);
    const char *problem = n == header - sizeof first ? kiln_npy_parse(&f->npy, text, header, bytes)
                                                     : "the file is cut short";
    if (problem)
        program_fail(KILN_DATA, "%s: %s", path, problem);
    free(text);
}

int64_t in_runs(InFile *f, const kiln_port *port)
{
    int64_t runs = kiln_npy_runs(&f->npy, port->rank, port->dims);
    if (!runs)
        program_fail(KILN_DATA, "%s: the shape does not fit '%s' (--info prints shapes)", f->path,
                     port->shown);
    if (!kiln_npy_fits(&f->npy, port->elem))
        program_fail(KILN_DATA, "%s: the elements do not fit '%s' (--info prints types)", f->path,
                     port->shown);
    f->raw = program_alloc((size_t)port->count * kiln_elem_bytes(f->npy.elem));
    return runs;
}

void in_read(InFile *f, const kiln_port *port, void *to)
{
    size_t bytes = (size_t)port->count * kiln_elem_bytes(f->npy.elem);
    if (fread(f->raw, 1, bytes, f->stream) != bytes)
        program_fail(KILN_MACHINE, "cannot read '%s': %s", f->path,
                     ferror(f->stream) ? strerror(errno) : "the file is cut short");
    if (!kiln_npy_load(&f->npy, f->raw, port->count, port->elem, to))
        program_fail(KILN_DATA, "%s: an element is out of range", f->path);
}

/* ---- writing ---------------------------------------------------------------------------- */

static char *join(const char *folder, const char *name, const char *suffix)
{
    size_t n = strlen(folder) + strlen(name) + strlen(suffix) + 2;
    char  *path = program_alloc(n);
    snprintf(path, n, "%s/%s%s", folder, name, suffix);
    return path;
}

static void write_bytes(OutFile *f, const void *data, size_t bytes)
{
    if (fwrite(data, 1, bytes, f->stream) != bytes)
        program_fail(KILN_MACHINE, "cannot write '%s': %s", f->path, strerror(errno));
}

void out_open(OutFile *f, const char *folder, const kiln_port *port, int64_t runs)
{
    unsigned char header[KILN_NPY_OUT_HEADER];
    int64_t       dims[KILN_NPY_MAX_RANK];
    int           rank = port->rank;
    if (mkdir(folder, 0777) && errno != EEXIST)
        program_fail(KILN_MACHINE, "cannot make the folder '%s': %s", folder, strerror(errno));
    f->path = join(folder, port->file, "");
    f->partial = join(folder, port->file, ".partial");
    f->stream = fopen(f->partial, "wb");
    if (!f->stream)
        program_fail(KILN_MACHINE, "cannot write '%s': %s", f->path, strerror(errno));
    remember(NULL, f->partial);
    memcpy(dims, port->dims, (size_t)rank * sizeof *dims);
    if (rank == 0 && runs > 1)
        dims[rank++] = 1;
    if (rank > 0)
        dims[0] *= runs;
    size_t n = kiln_npy_make_header(header, port->elem, rank, dims);
    write_bytes(f, header, n);
}

void out_write(OutFile *f, const kiln_port *port, const void *from)
{
    write_bytes(f, from, (size_t)port->count * kiln_elem_bytes(port->elem));
}

void out_close(OutFile *f)
{
    if (fflush(f->stream) || fclose(f->stream) || rename(f->partial, f->path))
        program_fail(KILN_MACHINE, "cannot write '%s': %s", f->path, strerror(errno));
    remember(f->partial, NULL);
    free(f->path);
    free(f->partial);
}
