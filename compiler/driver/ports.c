/* ports.c - inputs and outputs as the caller has them: files, a leading batch, NHWC. */
#include "driver/driver.h"

#include <string.h>

Type port_type(const Graph *g, const Port *p)
{
    Type t = value_get(g, p->value)->type;
    if (p->nhwc && t.rank == 4) {
        int64_t dims[] = {t.dims[0], t.dims[2], t.dims[3], t.dims[1]};
        t = type_plain(t.elem, 4, dims);
    }
    return type_plain(t.elem, t.rank, t.dims);
}

/* copy_transposed - [n][rows][columns] to [n][columns][rows]. */
static void copy_transposed(int64_t n, int64_t rows, int64_t columns, const double *from,
                            double *to)
{
    for (int64_t i = 0; i < n; i++, from += rows * columns, to += rows * columns)
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < columns; k++)
                to[k * rows + r] = from[r * columns + k];
}

void port_in(const Graph *g, const Port *p, const double *outside, double *inside)
{
    const Type *t = &value_get(g, p->value)->type;
    if (p->nhwc && t->rank == 4)
        copy_transposed(t->dims[0], t->dims[2] * t->dims[3], t->dims[1], outside, inside);
    else
        memcpy(inside, outside, (size_t)type_count(t) * sizeof *inside);
}

void port_out(const Graph *g, const Port *p, const double *inside, double *outside)
{
    const Type *t = &value_get(g, p->value)->type;
    if (p->nhwc && t->rank == 4)
        copy_transposed(t->dims[0], t->dims[1], t->dims[2] * t->dims[3], inside, outside);
    else
        memcpy(outside, inside, (size_t)type_count(t) * sizeof *outside);
}

char *port_file(Arena *a, const Port *p)
{
    Text t = text_new(a);
    for (const char *s = p->name; *s; s++)
        if (*s == '/' || *s == '%' || (unsigned char)*s < ' ')
            text_printf(&t, "%%%02X", (unsigned)(unsigned char)*s);
        else
            text_add_bytes(&t, s, 1);
    text_add(&t, ".npy");
    return t.data;
}

/* ---- files of inputs -------------------------------------------------------------------- */

static const char *dims_text(Arena *a, int rank, const int64_t *dims)
{
    Text t = text_new(a);
    text_add(&t, "[");
    for (int i = 0; i < rank; i++)
        text_printf(&t, "%s%lld", i ? ", " : "", (long long)dims[i]);
    text_add(&t, "]");
    return t.data;
}

static const char *file_of(const Options *o, const char *name)
{
    for (int i = 0; i < o->n_inputs; i++)
        if (!strcmp(o->inputs[i].name, name))
            return o->inputs[i].path;
    return NULL;
}

static bool open_port(Compilation *c, const Options *o, const Port *port, Npy *file, int64_t *runs)
{
    Type        t = port_type(c->graph, port);
    const char *name = text_printable(c->arena, port->name);
    const char *path = file_of(o, port->name);
    if (!path) {
        diag_error(c->diag, port->where, "no file for input '%s', %s: give --in '%s=FILE.npy'",
                   name, type_text(c->arena, &t), name);
        return false;
    }
    if (!npy_open(c->diag, path, file))
        return false;
    Source source = {path, NULL, 0};
    Span   where = {.source = &source};
    *runs = kiln_npy_runs(&file->head, t.rank, t.dims);
    if (!*runs)
        diag_error(c->diag, where, "shape is %s, but input '%s' is %s",
                   dims_text(c->arena, file->head.rank, file->head.dims), name,
                   dims_text(c->arena, t.rank, t.dims));
    else if (!kiln_npy_fits(&file->head, npy_elem(t.elem)))
        diag_error(c->diag, where, "the elements do not fit input '%s', which is %s", name,
                   elem_name(t.elem));
    else
        return true;
    return false;
}

static bool is_input(const Graph *g, const char *name)
{
    for (int i = 0; i < g->n_inputs; i++)
        if (!strcmp(g->inputs[i].name, name))
            return true;
    return false;
}

bool port_files(Compilation *c, const Options *o, Npy *files, int64_t *runs)
{
    const Graph *g = c->graph;
    bool         ok = true;
    *runs = 1;
    for (int i = 0; i < o->n_inputs; i++)
        if (!is_input(g, o->inputs[i].name)) {
            diag_error(c->diag, (Span){0}, "--in: the model has no input '%s'", o->inputs[i].name);
            ok = false;
        }
    for (int i = 0; i < g->n_inputs; i++) {
        int64_t n = 0;
        if (!open_port(c, o, &g->inputs[i], &files[i], &n)) {
            ok = false;
            continue;
        }
        if (i && n != *runs) {
            diag_error(c->diag, (Span){0},
                       "the files hold different numbers of inputs: %lld and %lld",
                       (long long)*runs, (long long)n);
            ok = false;
        }
        *runs = n;
    }
    return ok;
}
