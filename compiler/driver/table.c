/* table.c - tables that line up. */
#include "driver/driver.h"

#include <string.h>

enum { GAP = 2 };

typedef struct Cell {
    const char *text;
    bool        rule_before; /* on the first cell of a row */
} Cell;

struct Table {
    Arena             *arena;
    const char *const *titles;
    int                n_columns;
    Cell              *cells;
    size_t             n_cells, cap;
    bool               rule_next;
};

Table *table_new(Arena *a, const char *const *titles, int n)
{
    Table *t = arena_struct(a, Table);
    *t = (Table){.arena = a, .titles = titles, .n_columns = n};
    return t;
}

void table_cell(Table *t, const char *fmt, ...)
{
    va_list args;
    Text    text = text_new(t->arena);
    va_start(args, fmt);
    text_add(&text, "");
    text_vprintf(&text, fmt, args);
    va_end(args);
    t->cells = arena_grow(t->arena, t->cells, t->n_cells, &t->cap, sizeof *t->cells);
    t->cells[t->n_cells++] = (Cell){text.data, t->rule_next};
    t->rule_next = false;
}

void table_rule(Table *t)
{
    t->rule_next = true;
}

static bool to_the_right(const Table *t, int column)
{
    return t->titles[column][0] == '>';
}

static const char *title(const Table *t, int column)
{
    return t->titles[column] + to_the_right(t, column);
}

/* print_row - cells padded to their columns; nothing trails the last one. */
static void print_row(const Table *t, const int *widths, const char *const *row, FILE *out)
{
    Text line = text_new(t->arena);
    text_add(&line, "");
    for (int i = 0; i < t->n_columns; i++)
        text_printf(&line, "%*s%*s", i ? GAP : 0, "", to_the_right(t, i) ? widths[i] : -widths[i],
                    row[i]);
    while (line.len && line.data[line.len - 1] == ' ')
        line.data[--line.len] = 0;
    fprintf(out, "%s\n", line.data);
}

static void print_rule(const Table *t, const int *widths, FILE *out)
{
    int n = GAP * (t->n_columns - 1);
    for (int i = 0; i < t->n_columns; i++)
        n += widths[i];
    for (int i = 0; i < n; i++)
        fputc('-', out);
    fputc('\n', out);
}

void table_print(const Table *t, FILE *out)
{
    size_t       n = (size_t)t->n_columns;
    int         *widths = arena_array(t->arena, int, n);
    const char **row = arena_array(t->arena, const char *, n);
    for (int i = 0; i < t->n_columns; i++) {
        row[i] = title(t, i);
        widths[i] = (int)strlen(row[i]);
    }
    for (size_t i = 0; i < t->n_cells; i++) {
        int length = (int)strlen(t->cells[i].text);
        if (widths[i % n] < length)
            widths[i % n] = length;
    }
    print_row(t, widths, row, out);
    print_rule(t, widths, out);
    for (size_t i = 0; i + n <= t->n_cells; i += n) {
        if (t->cells[i].rule_before)
            print_rule(t, widths, out);
        for (size_t k = 0; k < n; k++)
            row[k] = t->cells[i + k].text;
        print_row(t, widths, row, out);
    }
}

const char *grouped(Arena *a, int64_t v)
{
    char digits[32];
    int  n = snprintf(digits, sizeof digits, "%lld", (long long)v);
    Text text = text_new(a);
    for (int i = 0; i < n; i++)
        text_printf(&text, "%s%c", i && (n - i) % 3 == 0 ? "," : "", digits[i]);
    return text.data;
}
