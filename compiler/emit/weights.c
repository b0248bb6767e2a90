/* weights.c - the blob in the output.
 *
 *   numbers   an array of each element type: plain C whatever the byte order, and readable
 *   string    one string literal of its bytes: gcc and clang read it ten times faster than numbers
 *   file      OUT.weights.bin, handed to NAME_load_weights by the caller
 *   asm       OUT.weights.bin, drawn in by the assembler's .incbin
 *
 * The last three hold the bytes as they lie in memory and need a known byte order. OUT.weights.bin:
 *
 *     0  "KILNWTS1"   8 bytes
 *     8  bytes of the blob, as u64     16  hash of the blob, as u64      24  zeros
 *    64  the blob */
#include "emit/emit.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { MOST_NUMBERS = 300000, FILE_HEAD = 64 };

const HeldType held_types[] = {
    {F32, "float", "f32"},   {F16, "uint16_t", "f16"}, {BF16, "uint16_t", "bf16"},
    {I32, "int32_t", "i32"}, {I8, "int8_t", "i8"},     {U8, "uint8_t", "u8"},
};
const int n_held_types = (int)COUNT_OF(held_types);

Held weights_held(const Program *p, const EmitOptions *o)
{
    int64_t n = 0;
    for (size_t i = 0; i < COUNT_OF(held_types); i++)
        n += blob_count(p->blob, held_types[i].elem);
    if (o->weights == WEIGHTS_FILE)
        return HELD_FILE;
    if (n == 0)
        return HELD_NONE;
    if (o->weights == WEIGHTS_ASM)
        return HELD_ASM;
    ByteOrder order = o->target->byte_order;
    bool      numbers = order == BYTES_BIG || (order == BYTES_UNKNOWN && n <= MOST_NUMBERS);
    return numbers ? HELD_NUMBERS : HELD_STRING;
}

/* ---- as numbers -------------------------------------------------------------------------- */

/* A line of numbers in the making. */
typedef struct NumberLine {
    OutFile *f;
    char     text[128];
    size_t   n;
} NumberLine;

static void put_text(OutFile *f, const char *s)
{
    file_write(f, s, strlen(s));
}

static void end_number_line(NumberLine *l)
{
    if (l->n == 0)
        return;
    l->text[l->n++] = '\n';
    file_write(l->f, l->text, l->n);
    l->n = 0;
}

static void put_number(NumberLine *l, const char *text)
{
    enum { WIDTH = 100 };
    size_t n = strlen(text);
    if (l->n + n + 2 > WIDTH)
        end_number_line(l);
    l->n +=
        (size_t)snprintf(l->text + l->n, sizeof l->text - l->n, "%s%s,", l->n ? " " : "    ", text);
}

static double number_at(const void *piece, Elem e, int64_t i)
{
    switch (e) {
    case F16:
    case BF16: return ((const uint16_t *)piece)[i]; /* their bits: C has no such numbers */
    case I32: return ((const int32_t *)piece)[i];
    case I8: return ((const int8_t *)piece)[i];
    case U8: return ((const uint8_t *)piece)[i];
    default: return (double)((const float *)piece)[i];
    }
}

/* put_entry - the numbers of one constant under its name; zeros where the next one is aligned. */
static void put_entry(NumberLine *l, const Graph *g, const BlobEntry *e, int64_t padded)
{
    enum { PIECE = 4096 };
    Arena *made = arena_new(), *scratch = arena_new();
    Buffer buffer = view_made(made, &e->buffer);
    float  piece[PIECE];
    if (e->buffer.value)
        put_text(l->f, arena_printf(scratch, "    /* %s */\n",
                                    text_printable(scratch, value_get(g, e->buffer.value)->name)));
    for (int64_t at = 0, n; at < e->buffer.count; at += n) {
        n = buffer.count - at < PIECE ? buffer.count - at : PIECE;
        view_read(&buffer, at, n, piece);
        for (int64_t i = 0; i < n; i++)
            put_number(l, c_number(scratch, number_at(piece, buffer.elem, i), buffer.elem));
        arena_free(scratch);
        scratch = arena_new();
    }
    for (int64_t i = e->buffer.count; i < padded; i++)
        put_number(l, "0");
    end_number_line(l);
    arena_free(scratch);
    arena_free(made);
}

static void numbers_c(OutFile *f, const Program *p, const Names *names, Arena *a)
{
    const Blob *b = p->blob;
    for (size_t t = 0; t < COUNT_OF(held_types); t++) {
        int64_t          count = blob_count(b, held_types[t].elem);
        NumberLine       line = {.f = f};
        const BlobEntry *last = NULL;
        if (!count)
            continue;
        put_text(f, arena_printf(a, "static const %s %s_weights_%s[%" PRId64 "] = {\n",
                                 held_types[t].c, names->lower, held_types[t].name, count));
        for (int i = 0; i < blob_n_entries(b); i++) {
            const BlobEntry *e = blob_entry(b, i);
            if (e->buffer.elem != held_types[t].elem)
                continue;
            if (last)
                put_entry(&line, p->graph, last, e->index - last->index);
            last = e;
        }
        assert(last); /* an element type that is counted has entries */
        put_entry(&line, p->graph, last, count - last->index);
        put_text(f, "};\n\n");
    }
}

/* ---- as bytes ---------------------------------------------------------------------------- */

/* The bytes of the union that holds the blob: a string ends with a zero of its own, which is the
 * blob's last byte where that is zero. */
static int64_t union_bytes(const Program *p, Held held)
{
    return blob_bytes(p->blob) + (held == HELD_STRING && !blob_ends_with_zero(p->blob) ? 4 : 0);
}

int64_t weights_bytes(const Program *p, const EmitOptions *o)
{
    Held held = weights_held(p, o);
    return held == HELD_FILE ? FILE_HEAD + blob_bytes(p->blob) : union_bytes(p, held);
}

/* union_c - the type of a blob: its bytes, and as what they are read. */
static void union_c(Writer *w, const Program *p, const char *opening, int64_t bytes)
{
    w_line(w, "%s union {", opening);
    w->depth++;
    w_line(w, "char bytes[%" PRId64 "];", bytes);
    for (size_t t = 0; t < COUNT_OF(held_types); t++)
        if (blob_count(p->blob, held_types[t].elem))
            w_line(w, "%s %s[%" PRId64 "];", held_types[t].c, held_types[t].name,
                   bytes / (int64_t)elem_bytes(held_types[t].elem));
    w->depth--;
}

static void put_literal(void *ctx, const BlobEntry *e, const void *bytes, size_t n)
{
    (void)e;
    literal_bytes(ctx, bytes, n);
}

/* byte_order_c - held as bytes, the weights are little-endian ones. */
static void byte_order_c(Writer *w, const Target *t)
{
    if (t->byte_order == BYTES_LITTLE)
        return;
    w_line(w, "#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__");
    w_line(w, "#error \"the weights are held as little-endian bytes\"");
    w_line(w, "#endif");
    w_blank(w);
}

static void string_c(Writer *w, OutFile *f, const Program *p, const EmitOptions *o,
                     const Names *names)
{
    w_line(w, "#if defined(__GNUC__)");
    w_line(w, "#pragma GCC diagnostic push");
    w_line(w, "#pragma GCC diagnostic ignored \"-Woverlength-strings\"");
    w_line(w, "#endif");
    union_c(w, p,
            o->target->lanes > 1 ? "static const __attribute__((aligned(64)))" : "static const",
            union_bytes(p, HELD_STRING));
    w_line(w, "} %s_weights = {", names->lower);
    writer_flush(w, f);
    Literal *l = literal_new(w->text.arena, f);
    blob_each(p->blob, put_literal, l);
    literal_end(l);
    w_line(w, "};");
    w_line(w, "#if defined(__GNUC__)");
    w_line(w, "#pragma GCC diagnostic pop");
    w_line(w, "#endif");
    w_blank(w);
}

/* ---- in a file --------------------------------------------------------------------------- */

static void put_u64(unsigned char *to, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        to[i] = (unsigned char)(v >> 8 * i);
}

static void file_head(const Program *p, unsigned char head[FILE_HEAD])
{
    memset(head, 0, FILE_HEAD);
    memcpy(head, "KILNWTS1", 8);
    put_u64(head + 8, (uint64_t)blob_bytes(p->blob));
    put_u64(head + 16, blob_hash(p->blob));
}

static void put_file(void *ctx, const BlobEntry *e, const void *bytes, size_t n)
{
    (void)e;
    file_write(ctx, bytes, n);
}

void weights_file(OutFile *f, const Program *p)
{
    unsigned char head[FILE_HEAD];
    file_head(p, head);
    file_write(f, head, sizeof head);
    blob_each(p->blob, put_file, f);
}

/* load_c - the function that takes the file's contents from the caller. */
static void load_c(Writer *w, const Program *p, const Names *names)
{
    enum { COMPARED = 24 };
    unsigned char head[FILE_HEAD];
    Text          t = text_new(w->text.arena);
    file_head(p, head);
    for (int i = 0; i < COMPARED; i++)
        text_printf(&t, "%s%u", i ? ", " : "", head[i]);
    w_line(w, "static const unsigned char *%s_weights;", names->lower);
    w_blank(w);
    w_open(w, "int %s_load_weights(const void *blob, size_t bytes)", names->lower);
    w_line(w, "static const unsigned char head[%d] = {%s};", COMPARED, t.data);
    w_line(w, "const unsigned char *const given = blob;");
    w_line(w, "if (bytes != %s_WEIGHT_BYTES)", names->upper);
    w_line(w, "    return 1;");
    w_line(w, "if ((uintptr_t)blob %% 4 != 0)");
    w_line(w, "    return 2;");
    w_open(w, "for (int i = 0; i < %d; i++)", COMPARED);
    w_line(w, "if (given[i] != head[i])");
    w_line(w, "    return 3;");
    w_close(w, "");
    w_line(w, "%s_weights = given + %d;", names->lower, FILE_HEAD);
    if (packs_bytes(p->packs))
        w_line(w, "%s_is_packed = 0;", names->lower);
    w_line(w, "return 0;");
    w_close(w, "");
    w_blank(w);
}

/* asm_path - a file name inside a string inside a string: what is not plain is octal for the
 * assembler. */
static const char *asm_path(Arena *a, const char *name)
{
    Text t = text_new(a);
    for (const char *s = name; *s; s++) {
        bool plain =
            (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || strchr("0123456789._-+", *s);
        if (plain)
            text_add_bytes(&t, s, 1);
        else
            text_printf(&t, "\\\\%03o", (unsigned)(unsigned char)*s);
    }
    return t.data;
}

static void asm_c(Writer *w, const Program *p, const EmitOptions *o, const Names *names)
{
    const char *file = arena_printf(w->text.arena, "%s.weights.bin", emit_basename(o->stem));
    w_line(w, "__asm__(\".section .rodata\\n\"");
    w->depth += 2;
    w_line(w, "\".balign 64\\n\"");
    w_line(w, "\"%s_weights_data:\\n\"", names->lower);
    w_line(w, "\".incbin \\\"%s\\\", %d\\n\"", asm_path(w->text.arena, file), FILE_HEAD);
    w_line(w, "\".previous\\n\");");
    w->depth -= 2;
    union_c(w, p, "extern const", blob_bytes(p->blob));
    w_line(w, "} %s_weights __asm__(\"%s_weights_data\") __attribute__((visibility(\"hidden\")));",
           names->lower, names->lower);
    w_blank(w);
}

/* ---- the definitions --------------------------------------------------------------------- */

void weights_c(Writer *w, OutFile *f, const Program *p, const EmitOptions *o, const Names *names)
{
    Held held = weights_held(p, o);
    if (held == HELD_STRING || held == HELD_FILE || held == HELD_ASM)
        byte_order_c(w, o->target);
    switch (held) {
    case HELD_NONE: break;
    case HELD_NUMBERS:
        writer_flush(w, f);
        numbers_c(f, p, names, w->text.arena);
        break;
    case HELD_STRING: string_c(w, f, p, o, names); break;
    case HELD_FILE: load_c(w, p, names); break;
    case HELD_ASM: asm_c(w, p, o, names); break;
    }
}
