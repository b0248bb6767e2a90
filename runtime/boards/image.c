/* image.c - the program of an image: --in NAME=FILE.npy ... --out DIR, or --self-test, on the host's
 * files. A leading batch is run one after the other. */
#include "board.h"

enum { MAX_WORDS = 64, MAX_LINE = 2048, MAX_PATH = 512, MAX_HEADER = 1024, MAX_PORTS = 16 };
#define MODEL (&kiln_program_model)

/* An array that is read or written run by run. */
typedef struct Stream {
    int            file; /* -1: not open */
    kiln_npy       npy;
    unsigned char *raw;    /* one run as the file has it, where that differs */
    void          *memory; /* one run as the model has it */
} Stream;

static Stream      inputs[MAX_PORTS], outputs[MAX_PORTS];
static const char *out_folder;
static int         wants_self_test;

static int complain(int code, const char *what, const char *which)
{
    host_print("error: ");
    host_print(what);
    host_print(which);
    host_print("\n");
    return code;
}

static int equal(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (a[i] != b[i] || !a[i])
            return a[i] == b[i];
    return 1;
}

static size_t length(const char *text)
{
    size_t n = 0;
    while (text[n])
        n++;
    return n;
}

/* ---- inputs ----------------------------------------------------------------------------- */

/* read_header - 0, or an exit code after a complaint. */
static int read_header(Stream *s, const char *path)
{
    static unsigned char header[MAX_HEADER];
    int64_t              bytes = host_length(s->file);
    if (bytes < KILN_NPY_PREFIX || !host_read(s->file, header, KILN_NPY_PREFIX))
        return complain(BOARD_DATA, "not a .npy file: ", path);
    size_t n = kiln_npy_header_bytes(header);
    if (n == 0 || n > MAX_HEADER || (int64_t)n > bytes ||
        !host_read(s->file, header + KILN_NPY_PREFIX, n - KILN_NPY_PREFIX))
        return complain(BOARD_DATA, "not a .npy file: ", path);
    const char *problem = kiln_npy_parse(&s->npy, header, n, (uint64_t)bytes);
    return problem ? complain(BOARD_DATA, problem, "") : 0;
}

static int open_input(Stream *s, const kiln_port *port, const char *path, int64_t *runs)
{
    s->file = host_open(path, 0);
    if (s->file < 0)
        return complain(BOARD_MACHINE, "cannot open ", path);
    int problem = read_header(s, path);
    if (problem)
        return problem;
    *runs = kiln_npy_runs(&s->npy, port->rank, port->dims);
    if (!*runs || !kiln_npy_fits(&s->npy, port->elem))
        return complain(BOARD_DATA, "shape or elements do not fit the input: ", path);
    s->memory = board_alloc((size_t)port->count * kiln_elem_bytes(port->elem));
    s->raw = s->memory;
    if (s->npy.elem != port->elem)
        s->raw = board_alloc((size_t)port->count * kiln_elem_bytes(s->npy.elem));
    return s->memory && s->raw ? 0 : complain(BOARD_MACHINE, "out of memory for ", port->shown);
}

static int read_run(Stream *s, const kiln_port *port)
{
    size_t bytes = (size_t)port->count * kiln_elem_bytes(s->npy.elem);
    if (!host_read(s->file, s->raw, bytes))
        return complain(BOARD_MACHINE, "cannot read the file of input ", port->shown);
    if ((s->raw != s->memory || !kiln_npy_native(&s->npy)) &&
        !kiln_npy_load(&s->npy, s->raw, port->count, port->elem, s->memory))
        return complain(BOARD_DATA, "an element is out of range for input ", port->shown);
    return 0;
}

/* ---- outputs ---------------------------------------------------------------------------- */

/* join - folder/file.suffix into `path`; 0 where it does not fit. */
static int join(char path[MAX_PATH], const char *file, const char *suffix)
{
    const char *parts[] = {out_folder, "/", file, suffix};
    size_t      n = 0;
    for (int i = 0; i < 4; i++)
        for (const char *p = parts[i]; *p; p++) {
            if (n + 1 == MAX_PATH)
                return 0;
            path[n++] = *p;
        }
    path[n] = 0;
    return 1;
}

static int open_output(Stream *s, const kiln_port *port, int64_t runs)
{
    unsigned char header[KILN_NPY_OUT_HEADER];
    char          path[MAX_PATH];
    int64_t       dims[KILN_NPY_MAX_RANK];
    int           rank = port->rank;
    for (int i = 0; i < rank; i++)
        dims[i] = port->dims[i];
    if (rank == 0 && runs > 1)
        dims[rank++] = 1;
    if (rank > 0)
        dims[0] *= runs;
    s->memory = board_alloc((size_t)port->count * kiln_elem_bytes(port->elem));
    if (!s->memory)
        return complain(BOARD_MACHINE, "out of memory for ", port->shown);
    if (!out_folder)
        return 0;
    s->file = join(path, port->file, ".partial") ? host_open(path, 1) : -1;
    size_t n = kiln_npy_make_header(header, port->elem, rank, dims);
    if (s->file < 0 || !host_write(s->file, header, n))
        return complain(BOARD_MACHINE, "cannot write the file of output ", port->shown);
    return 0;
}

static int write_run(const Stream *s, const kiln_port *port)
{
    if (out_folder &&
        !host_write(s->file, s->memory, (size_t)port->count * kiln_elem_bytes(port->elem)))
        return complain(BOARD_MACHINE, "cannot write the file of output ", port->shown);
    return 0;
}

static int close_output(Stream *s, const kiln_port *port)
{
    char from[MAX_PATH], to[MAX_PATH];
    if (!out_folder)
        return 0;
    int ok = host_close(s->file);
    s->file = -1;
    if (!ok || !join(from, port->file, ".partial") || !join(to, port->file, "") ||
        !host_rename(from, to))
        return complain(BOARD_MACHINE, "cannot write the file of output ", port->shown);
    return 0;
}

static void abandon_outputs(void)
{
    char path[MAX_PATH];
    for (int i = 0; i < MODEL->n_outputs; i++)
        if (outputs[i].file >= 0 && host_close(outputs[i].file) &&
            join(path, MODEL->outputs[i].file, ".partial"))
            host_remove(path);
}

/* ---- the command line ------------------------------------------------------------------- */

static int split(char *line, char *words[MAX_WORDS])
{
    int n = 0;
    while (n < MAX_WORDS) {
        while (*line == ' ')
            line++;
        if (!*line)
            break;
        words[n++] = line;
        while (*line && *line != ' ')
            line++;
        if (*line)
            *line++ = 0;
    }
    return n;
}

static int take_input(const char *word, const char *files[MAX_PORTS])
{
    for (int i = 0; i < MODEL->n_inputs; i++) {
        size_t n = length(MODEL->inputs[i].name);
        if (equal(word, MODEL->inputs[i].name, n) && word[n] == '=') {
            files[i] = word + n + 1;
            return 0;
        }
    }
    return complain(BOARD_USAGE, "--in: no such input: ", word);
}

/* parse - words[0] is the name of the program. */
static int parse(char *const words[], int n, const char *files[MAX_PORTS])
{
    for (int i = 1; i < n; i++) {
        if (equal(words[i], "--in", 5) && i + 1 < n) {
            int problem = take_input(words[++i], files);
            if (problem)
                return problem;
        } else if (equal(words[i], "--out", 6) && i + 1 < n) {
            out_folder = words[++i];
        } else if (equal(words[i], "--self-test", 12) && MODEL->self_test) {
            wants_self_test = 1;
        } else {
            return complain(BOARD_USAGE,
                            "usage: --in NAME=FILE.npy ... --out DIR; not: ", words[i]);
        }
    }
    for (int i = 0; i < MODEL->n_inputs && !wants_self_test; i++)
        if (!files[i])
            return complain(BOARD_USAGE, "no file for input ", MODEL->inputs[i].shown);
    return 0;
}

/* ---- runs ------------------------------------------------------------------------------- */

static int open_all(const char *const files[MAX_PORTS], int64_t *runs)
{
    *runs = 1;
    for (int i = 0; i < MODEL->n_inputs; i++) {
        int64_t n;
        int     problem = open_input(&inputs[i], &MODEL->inputs[i], files[i], &n);
        if (problem)
            return problem;
        if (i && n != *runs)
            return complain(BOARD_DATA, "a different number of runs in ", files[i]);
        *runs = n;
    }
    for (int i = 0; i < MODEL->n_outputs; i++) {
        int problem = open_output(&outputs[i], &MODEL->outputs[i], *runs);
        if (problem)
            return problem;
    }
    return 0;
}

static int run_once(void)
{
    const void *in[MAX_PORTS];
    void       *out[MAX_PORTS];
    int         problem = 0;
    for (int i = 0; i < MODEL->n_inputs && !problem; i++) {
        problem = read_run(&inputs[i], &MODEL->inputs[i]);
        in[i] = inputs[i].memory;
    }
    for (int i = 0; i < MODEL->n_outputs; i++)
        out[i] = outputs[i].memory;
    if (!problem)
        MODEL->run(in, out);
    for (int i = 0; i < MODEL->n_outputs && !problem; i++)
        problem = write_run(&outputs[i], &MODEL->outputs[i]);
    return problem;
}

static int run_all(const char *const files[MAX_PORTS])
{
    int64_t runs;
    int     problem = open_all(files, &runs);
    for (int64_t r = 0; r < runs && !problem; r++)
        problem = run_once();
    for (int i = 0; i < MODEL->n_outputs && !problem; i++)
        problem = close_output(&outputs[i], &MODEL->outputs[i]);
    if (problem)
        abandon_outputs();
    return problem;
}

int image_run(void)
{
    static char line[MAX_LINE];
    char       *words[MAX_WORDS];
    const char *files[MAX_PORTS] = {0};
    if (MODEL->n_inputs > MAX_PORTS || MODEL->n_outputs > MAX_PORTS)
        return complain(BOARD_MACHINE, "too many inputs or outputs for an image", "");
    for (int i = 0; i < MAX_PORTS; i++)
        inputs[i].file = outputs[i].file = -1;
    if (!host_arguments(line, MAX_LINE))
        return complain(BOARD_MACHINE, "the host gives no command line", "");
    int problem = parse(words, split(line, words), files);
    if (problem)
        return problem;
    if (!wants_self_test)
        return run_all(files);
    problem = MODEL->self_test();
    host_print(problem ? "self test: FAILED\n" : "self test: passed\n");
    return problem ? BOARD_DATA : BOARD_DONE;
}
