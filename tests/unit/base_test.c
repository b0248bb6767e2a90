/* base_test.c - arena, text, guesses, diagnostics and files. */
#include "base/base.h"
#include "check.h"

#include <glob.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- arena ------------------------------------------------------------------------------ */

static void test_arena(void)
{
    Arena *a = arena_new();
    bool   zeroed = true, aligned = true;
    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *block = arena_alloc(a, n);
        aligned = aligned && (uintptr_t)block % 16 == 0;
        for (size_t i = 0; i < n; i++)
            zeroed = zeroed && block[i] == 0;
        memset(block, 0xa5, n);
    }
    CHECK(zeroed);
    CHECK(aligned);
    CHECK(arena_bytes(a) > 3000);

    char *large = arena_alloc(a, (size_t)64 << 20); /* not touched: costs no memory */
    large[0] = 1;
    CHECK(large[((size_t)64 << 20) - 1] == 0);
    CHECK(!strcmp(arena_printf(a, "%d-%s", 42, "x"), "42-x"));
    CHECK(!strcmp(arena_strndup(a, "abcdef", 3), "abc"));

    size_t cap = 0;
    int   *items = NULL;
    bool   kept = true;
    for (int i = 0; i < 1000; i++) {
        items = arena_grow(a, items, (size_t)i, &cap, sizeof *items);
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        kept = kept && items[i] == i;
    CHECK(kept);
    CHECK(cap >= 1000);
    arena_free(a);
    arena_free(NULL);
}

/* ---- text ------------------------------------------------------------------------------- */

static bool printable_is(Arena *a, const char *name, const char *expected)
{
    return !strcmp(text_printable(a, name), expected);
}

static void test_text(void)
{
    Arena *a = arena_new();
    Text   t = text_new(a);
    for (int i = 0; i < 500; i++)
        text_printf(&t, "%d,", i % 10);
    text_add(&t, "end");
    CHECK(t.len == 1003 && !strcmp(t.data + 996, "8,9,end"));

    int64_t out = -7;
    CHECK(mul_ok(3037000499, 3037000499, &out) && out == 9223372030926249001);
    CHECK(!mul_ok(3037000500, 3037000500, &out) && out == 9223372030926249001);
    CHECK(!mul_ok(-1, 1, &out) && !mul_ok(1, -1, &out));
    CHECK(mul_ok(0, INT64_MAX, &out) && out == 0);
    CHECK(mul_ok(INT64_MAX, 1, &out) && out == INT64_MAX);

    CHECK(!strcmp(text_identifier(a, "layer1.0/conv"), "layer1_0_conv"));
    CHECK(!strcmp(text_identifier(a, "7x7"), "_7x7"));
    CHECK(!strcmp(text_identifier(a, ""), "_"));
    CHECK(!strcmp(text_identifier(a, "\xc3\xa9"), "__"));

    CHECK(printable_is(a, "conv1", "conv1"));
    CHECK(printable_is(a, "", ""));
    CHECK(printable_is(a, "a\"b\\c", "a\\x22b\\x5cc"));
    CHECK(printable_is(a, "*/ /* //", "*\\x2f /\\x2a /\\x2f"));
    CHECK(printable_is(a, "\?\?/", "?\\x3f/"));
    CHECK(printable_is(a, "\x7f\n", "\\x7f\\x0a"));
    CHECK(printable_is(a, "\xe2\x80\xae", "\\xe2\\x80\\xae"));
    char long_name[200] = "";
    memset(long_name, 'a', 80);
    CHECK(strlen(text_printable(a, long_name)) == 80);
    CHECK(!strstr(text_printable(a, long_name), "..."));
    memset(long_name, '\n', 199);
    CHECK(strlen(text_printable(a, long_name)) <= 80);
    CHECK(strstr(text_printable(a, long_name), "\\x0a..."));
    arena_free(a);
}

static const char *guess(Arena *a, const char *wrong)
{
    static const char *const names[] = {"strides", "padding", "dilations", "groups"};
    Guess                    g = guess_new(wrong);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        guess_try(&g, names[i]);
    return guess_text(a, &g);
}

static void test_guess(void)
{
    Arena *a = arena_new();
    CHECK(!strcmp(guess(a, "stride"), "; did you mean 'strides'?"));
    CHECK(!strcmp(guess(a, "paddnig"), "; did you mean 'padding'?"));
    CHECK(!strcmp(guess(a, "dilation"), "; did you mean 'dilations'?"));
    CHECK(!strcmp(guess(a, "kernel"), ""));
    CHECK(!strcmp(guess(a, ""), ""));
    char long_name[200] = "";
    memset(long_name, 's', 199);
    CHECK(!strcmp(guess(a, long_name), ""));
    arena_free(a);
}

/* ---- diagnostics ------------------------------------------------------------------------ */

/* printed - everything diag_print writes. */
static char *printed(Arena *a, Diag *d)
{
    char  *data = NULL;
    size_t size = 0;
    FILE  *out = open_memstream(&data, &size);
    diag_print(d, out);
    fclose(out);
    char *copy = arena_strndup(a, data, size);
    free(data);
    return copy;
}

static void test_diag(void)
{
    Arena *a = arena_new();
    Diag  *d = diag_new(a);
    CHECK(diag_status(d) == 0);
    static const char text[] = "{\n  \"a\": [1,\n 22]}";
    Source            source = {"m.json", text, sizeof text - 1};
    const Json       *root = json_parse(a, d, &source);
    const Json       *second = &json_get(root, "a")->items[1];

    diag_warning(d, (Span){.source = &source, .at = second}, "hm %d", 3);
    CHECK(diag_status(d) == 0);
    diag_error(d, (Span){.source = &source, .at = second}, "bad");
    diag_note(d, (Span){.source = &source, .pointer = "node x"}, "see");
    diag_error(d, (Span){0}, "nowhere");
    CHECK(diag_status(d) == 1 && diag_errors(d) == 2);
    CHECK(!strcmp(printed(a, d), "m.json:3:2: warning: /a/1: hm 3\n"
                                 "m.json:3:2: error: /a/1: bad\n"
                                 "m.json: note: node x: see\n"
                                 "kiln: error: nowhere\n"));
    CHECK(!strcmp(printed(a, d), ""));
    diag_system(d, "no space");
    CHECK(diag_status(d) == 3);
    arena_free(a);
}

static void test_diag_limit(void)
{
    Arena *a = arena_new();
    Diag  *d = diag_new(a);
    for (int i = 0; i < 25; i++) {
        CHECK(diag_full(d) == (i >= DIAG_MAX_ERRORS));
        diag_error(d, (Span){0}, "e%d", i);
        diag_note(d, (Span){0}, "n%d", i);
    }
    const char *text = printed(a, d);
    CHECK(strstr(text, "e19\n") && strstr(text, "n19\n"));
    CHECK(!strstr(text, "e20\n") && !strstr(text, "n20\n"));
    CHECK(strstr(text, "only the first 20 errors are shown\n"));
    CHECK(diag_errors(d) == 25);
    arena_free(a);
}

/* ---- files ------------------------------------------------------------------------------ */

static char folder[] = "/tmp/kiln-base-test-XXXXXX";

static int count_files(void)
{
    char command[100];
    int  n = -1;
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", folder);
    FILE *p = popen(command, "r");
    if (p && fscanf(p, "%d", &n) != 1)
        n = -1;
    if (p)
        pclose(p);
    return n;
}

static bool content_is(Arena *a, const char *path, const char *expected)
{
    Bytes bytes;
    Diag *d = diag_new(a);
    return file_map(d, path, &bytes) && bytes.len == strlen(expected) &&
           !memcmp(bytes.data, expected, bytes.len);
}

static void test_write(Arena *a)
{
    Diag       *d = diag_new(a);
    const char *path = arena_printf(a, "%s/out.c", folder);
    OutFile    *f = file_create(a, d, path);
    CHECK(f && access(path, F_OK)); /* nothing under the final name yet */
    file_write(f, "abc", 3);
    fprintf(file_stream(f), "%d", 7);
    CHECK(file_commit(f) && content_is(a, path, "abc7"));
    CHECK(count_files() == 1);

    CHECK(!chmod(path, 0640));
    f = file_create(a, d, path);
    file_write(f, "new", 3);
    CHECK(content_is(a, path, "abc7")); /* the old file stays whole */
    CHECK(file_commit(f) && content_is(a, path, "new"));
    struct stat st;
    CHECK(!stat(path, &st) && (st.st_mode & 0777) == 0640);

    const char *link_path = arena_printf(a, "%s/link.c", folder);
    CHECK(!symlink("out.c", link_path));
    f = file_create(a, d, link_path);
    file_write(f, "through", 7);
    CHECK(file_commit(f) && content_is(a, path, "through"));
    CHECK(!lstat(link_path, &st) && S_ISLNK(st.st_mode));

    f = file_create(a, d, path);
    file_write(f, "x", 1);
    file_abandon(f);
    file_abandon(NULL);
    CHECK(content_is(a, path, "through") && count_files() == 2);
    CHECK(diag_status(d) == 0);
}

/* A process that is killed while it writes: the old file stays, whole, under its name. */
static void test_killed(Arena *a)
{
    Diag       *d = diag_new(a);
    const char *path = arena_printf(a, "%s/out.c", folder);
    pid_t       child = fork();
    if (child == 0) {
        OutFile *f = file_create(a, d, path);
        file_write(f, "half", 4);
        fflush(file_stream(f));
        raise(SIGTERM);
        _exit(0);
    }
    int status = 0;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(content_is(a, path, "through"));

    glob_t left;
    CHECK(!glob(arena_printf(a, "%s/out.c.tmp*", folder), 0, NULL, &left) && left.gl_pathc == 1);
    for (size_t i = 0; i < left.gl_pathc; i++)
        unlink(left.gl_pathv[i]);
    globfree(&left);
}

static void test_write_failures(Arena *a)
{
    Diag *d = diag_new(a);
    CHECK(!file_create(a, d, arena_printf(a, "%s/none/out.c", folder)));
    CHECK(strstr(printed(a, d), "No such file or directory"));
    CHECK(!file_create(a, d, folder));
    CHECK(strstr(printed(a, d), "is a directory"));
    CHECK(diag_status(d) == 3);

    d = diag_new(a);
    OutFile *f = file_create(a, d, "/dev/full");
    CHECK(f != NULL);
    for (int i = 0; f && i < 100000; i++)
        file_write(f, "0123456789", 10);
    CHECK(f && !file_commit(f));
    CHECK(strstr(printed(a, d), "No space left on device"));
    d = diag_new(a);
    f = file_create(a, d, "/dev/null");
    file_write(f, "x", 1);
    CHECK(file_commit(f) && !access("/dev/null", W_OK));
}

static void test_read(Arena *a)
{
    Diag       *d = diag_new(a);
    Bytes       bytes;
    const char *empty = arena_printf(a, "%s/empty", folder);
    OutFile    *f = file_create(a, d, empty);
    CHECK(file_commit(f));
    CHECK(file_map(d, empty, &bytes) && bytes.len == 0 && bytes.data);
    CHECK(!file_map(d, folder, &bytes) && strstr(printed(a, d), "is a directory"));
    CHECK(!file_map(d, "/dev/null", &bytes) && strstr(printed(a, d), "not a regular file"));
    const char *pipe_path = arena_printf(a, "%s/pipe", folder);
    CHECK(!mkfifo(pipe_path, 0600));
    CHECK(!file_map(d, pipe_path, &bytes)); /* must not wait for a writer */
    CHECK(!file_map(d, "/no/such/file", &bytes));

    CHECK(!strcmp(path_beside(a, "a/b/m.json", "w"), "a/b/w"));
    CHECK(!strcmp(path_beside(a, "m.json", "w"), "w"));
    CHECK(!strcmp(path_beside(a, "/m.json", "w"), "/w"));
}

static void test_files(void)
{
    Arena *a = arena_new();
    if (!CHECK(mkdtemp(folder) != NULL))
        return;
    test_write(a);
    test_killed(a);
    test_write_failures(a);
    test_read(a);
    static const char *const left[] = {"out.c", "link.c", "empty", "pipe"};
    for (size_t i = 0; i < COUNT_OF(left); i++)
        CHECK(!unlink(arena_printf(a, "%s/%s", folder, left[i])));
    CHECK(!rmdir(folder)); /* no temporary file was left behind */
    arena_free(a);
}

int main(void)
{
    test_arena();
    test_text();
    test_guess();
    test_diag();
    test_diag_limit();
    test_files();
    return check_end();
}
