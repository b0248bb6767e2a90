/* schedule_test - what must hold of every estimate, whatever its figures are: over random convolutions,
 * each algorithm's parts and weights, where Winograd's method applies; over random sums, register tiles. */
#include "one_node.h"

#include "schedule/schedule.h"
#include "target/target.h"

typedef struct Conv {
    int64_t n, c, h, w, o, k, stride, groups;
} Conv;

static OneNode make_conv(const Conv *v)
{
    char    types[128];
    OpAttrs attrs = {.strides = {v->stride, v->stride}, .groups = v->groups};
    snprintf(types, sizeof types, "%d %d %d %d, %d %d %d %d", (int)v->n, (int)v->c, (int)v->h,
             (int)v->w, (int)v->o, (int)(v->c / v->groups), (int)v->k, (int)v->k);
    OneNode o = one_node(OP_conv2d, types, &attrs);
    CHECK(one_shape(&o));
    return o;
}

static int costs_of(const Conv *v, const CostContext *context, AlgorithmCost *out)
{
    OneNode o = make_conv(v);
    int     n = cost_algorithms(o.graph, o.node, context, out);
    one_free(&o);
    return n;
}

static Conv random_conv(void)
{
    static const int64_t edges[] = {1, 3, 3, 3, 5, 7};
    Conv                 v = {.n = 1 + random_below(2), .groups = 1 + (random_below(4) == 0)};
    v.k = edges[random_below(6)];
    v.h = v.k + random_below(30);
    v.w = v.k + random_below(30);
    v.c = v.groups * random_between(1, 40);
    v.o = v.groups * random_between(1, 40);
    v.stride = 1 + (random_below(4) == 0);
    return v;
}

static void check_parts(const AlgorithmCost *c, const Conv *v, int64_t lanes)
{
    double longest = c->sums > c->stream ? c->sums : c->stream;
    CHECK(c->peak > 0 && c->sums >= c->peak && c->stream > 0 && c->transforms >= 0);
    CHECK(c->cycles >= longest && c->cycles <= 1.001 * (c->sums + c->stream + c->transforms));
    CHECK((c->algorithm == DIRECT) == (c->tile == 0));
    /* Weights, padded to vectors of outputs; never fewer than there are. */
    int64_t edge = c->tile ? (c->tile - 1) * v->stride + v->k : v->k;
    CHECK(c->weight_bytes >= 4.0 * (double)(edge * edge * v->o * (v->c / v->groups)));
    CHECK(fmod(c->weight_bytes, 4.0 * (double)(edge * edge * lanes)) == 0);
}

static void test_algorithms(const Target *t)
{
    CostContext context = {.target = t};
    for (int i = 0; i < 300; i++) {
        AlgorithmCost c[MAX_ALGORITHMS], more[MAX_ALGORITHMS];
        Conv          v = random_conv(), twice = v;
        int           n = costs_of(&v, &context, c);
        bool          has_tiles = n > 1 && !c[1].why_not && c[1].algorithm == WINOGRAD;
        bool          for_tiles = v.k == 3 || v.k == 5 || (v.k == 7 && v.stride == 2);
        bool may = v.groups == 1 && for_tiles && t->lanes > 1 && v.c >= t->lanes && v.o >= t->lanes;
        CHECK(c[0].algorithm == DIRECT && c[0].added_bytes == 0);
        CHECK(has_tiles == may);
        CHECK(n == (v.k == 1 ? 3 : !may || v.stride == 2 ? 2 : v.k == 3 ? 4 : 3));
        for (int k = 0; k < n && (k == 0 || may); k++) {
            check_parts(&c[k], &v, target_for(t, v.o)->lanes);
            CHECK(c[k].added_bytes == c[k].weight_bytes - c[0].weight_bytes);
            CHECK(k < 2 || c[k].tile == c[k - 1].tile + 2);
        }
        twice.n *= 2;
        CHECK(costs_of(&twice, &context, more) == n);
        for (int k = 0; k < n && !c[k].why_not; k++)
            CHECK(more[k].cycles > c[k].cycles && more[k].weight_bytes == c[k].weight_bytes);
    }
}

/* Reasons: each of them alone. */
static const char *why_not(const Conv *v, const CostContext *context)
{
    AlgorithmCost c[MAX_ALGORITHMS];
    return costs_of(v, context, c) > 1 && c[1].why_not ? c[1].why_not : "";
}

static void test_reasons(void)
{
    Conv        good = {1, 32, 9, 9, 32, 3, 1, 1}, v = good;
    CostContext context = {.target = &target_x86_avx512},
                exact = {&target_x86_avx512, .exact = true};
    CostContext scalar = {.target = &target_c99};
    CHECK(!*why_not(&good, &context));
    CHECK(strstr(why_not(&good, &exact), "one order"));
    CHECK(strstr(why_not(&good, &scalar), "no vectors"));
    v.stride = 2;
    CHECK(!*why_not(&v, &context));
    v.stride = 3;
    CHECK(strstr(why_not(&v, &context), "strides"));
    v = good;
    v.groups = 2;
    CHECK(strstr(why_not(&v, &context), "groups"));
    v = good;
    v.c = 15;
    CHECK(strstr(why_not(&v, &context), "channels"));
    v = good;
    v.k = 7;
    CHECK(strstr(why_not(&v, &context), "7x7 have to move by 2"));
    v.k = 9;
    CHECK(strstr(why_not(&v, &context), "3x3, 5x5 or 7x7"));
}

/* block_of - the blocks of a convolution done in tiles of 4 x 4 outputs. */
static BlockShape block_of(const Conv *v, const CostContext *context, int threads)
{
    OneNode o = make_conv(v);
    node_at(o.graph, o.node)->winograd = 4;
    BlockShape b = winograd_block(o.graph, node_get(o.graph, o.node), context, threads);
    one_free(&o);
    return b;
}

static int64_t tiles_of(int64_t pixels)
{
    return (pixels - 2 + 3) / 4;
}

/* Blocks are within the image: whole images, whole rows of tiles or parts of one. Threads share, or each has memory. */
static void test_blocks(const Target *t)
{
    CostContext context = {.target = t};
    for (int i = 0; i < 100; i++) {
        Conv       v = {1 + random_below(3),
                        random_between(16, 60),
                        random_between(4, 40),
                        random_between(4, 40),
                        random_between(16, 60),
                        3,
                        1,
                        1};
        int        threads = 1 + random_below(3);
        BlockShape b = block_of(&v, &context, threads);
        int64_t    rows = tiles_of(v.h), columns = tiles_of(v.w);
        CHECK(b.images >= 1 && v.n % b.images == 0 && (b.images == 1 || b.rows == rows));
        CHECK(b.rows >= 1 && b.rows <= rows && b.columns >= 1 && b.columns <= columns);
        CHECK((b.columns == columns || b.rows == 1) && (b.copies == 1 || b.copies == threads));
    }
}

/* Little scratch memory is one block, so that weights are read once; much is cut, so that it stays near. */
static void test_block_sizes(void)
{
    CostContext context = {.target = &target_x86_avx512};
    Conv        small = {1, 64, 15, 15, 256, 3, 1, 1}, large = {1, 64, 226, 226, 64, 3, 1, 1};
    BlockShape  one = block_of(&small, &context, 1), part = block_of(&large, &context, 1);
    CHECK(one.rows == 4 && one.columns == 4);
    CHECK(36 * 128 * 4 * part.rows * part.columns <= target_x86_avx512.l2_bytes);
}

/* ---- Strassen's algorithm ------------------------------------------------------------------- */

/* A 1x1 convolution with half the channels in whole vectors of 16 on both sides. */
static Conv random_product(void)
{
    return (Conv){.n = 1 + random_below(2),
                  .c = 32 * random_between(1, 40),
                  .h = random_between(2, 30),
                  .w = random_between(2, 30),
                  .o = 32 * random_between(1, 40),
                  .k = 1,
                  .stride = 1 + random_below(2),
                  .groups = 1};
}

/* Every pixel is in one pair, but for the middle one of an odd number. */
static void check_pairs(const StrassenPairs *p, int64_t rows, int64_t columns)
{
    int  seen[30 * 30] = {0};
    bool flat = p->rows == 1 && p->columns > columns / 2;
    for (int64_t r = 0; r < p->rows; r++)
        for (int64_t c = 0; c < p->columns; c++) {
            seen[r * columns + c]++;
            seen[(r + p->down) * columns + c + p->right]++;
        }
    for (int64_t i = 0; i < rows * columns; i++) {
        bool middle = flat && rows * columns % 2 && i == rows * columns / 2;
        CHECK(seen[i] == 1 + middle);
    }
}

/* Blocks are of the image, and as many for each thread that has its own; what is saved of the products is a third of
 * them at most. */
static void check_inner(const OneNode *o, const CostContext *context, const AlgorithmCost *c)
{
    const Node *n = node_get(o->graph, o->node);
    const Type *x = &graph_input(o->graph, n, 0)->type, *y = &value_get(o->graph, n->out)->type;
    int64_t     lanes = context->target->lanes, rows = y->dims[2], columns = y->dims[3];
    CHECK(c[2].algorithm == INNER && !c[2].why_not == (x->dims[1] >= 3 * lanes));
    if (c[2].why_not)
        return;
    int        threads = 1 + random_below(3);
    BlockShape b = inner_block(o->graph, n, context, threads);
    CHECK(b.images == 1 && b.rows >= 1 && b.rows <= rows && b.columns >= 1 && b.columns <= columns);
    CHECK(b.rows == 1 || b.columns == columns || b.copies == threads);
    CHECK(b.copies == 1 ||
          (b.copies == threads && rows / b.rows * (columns / b.columns) % threads == 0));
    CHECK(b.copies == 1 || (rows % b.rows == 0 && columns % b.columns == 0));
    CHECK(c[2].weight_bytes == c[0].weight_bytes && !c[2].added_bytes && c[2].transforms > 0);
    double least = context->target->adders ? 2.0 / 3 : 1;
    CHECK(c[2].peak >= least * c[0].peak && c[2].peak <= c[0].peak * 4 / 3 &&
          c[2].cycles > c[2].sums);
}

static void test_strassen(const Target *t)
{
    CostContext context = {.target = t};
    for (int i = 0; i < 300; i++) {
        AlgorithmCost c[MAX_ALGORITHMS];
        Conv          v = random_product();
        OneNode       o = make_conv(&v);
        const Node   *n = node_get(o.graph, o.node);
        const Type   *y = &value_get(o.graph, n->out)->type;
        StrassenPairs p = strassen_pairs(o.graph, n);
        bool          may = v.stride == 1 || y->dims[2] % 2 == 0 || y->dims[3] % 2 == 0;
        CHECK((p.rows > 0) == may);
        CHECK(cost_algorithms(o.graph, o.node, &context, c) == 3 && c[1].algorithm == STRASSEN);
        CHECK(!c[1].why_not == may);
        check_inner(&o, &context, c);
        if (may) {
            int        threads = 1 + random_below(3);
            BlockShape b = strassen_block(o.graph, n, &context, threads);
            check_pairs(&p, y->dims[2], y->dims[3]);
            CHECK(b.images == 1 && b.rows >= 1 && b.rows <= p.rows);
            CHECK(b.columns >= 1 && b.columns <= p.columns);
            if (b.copies == 1) {
                CHECK(b.columns == p.columns || b.rows == 1);
            } else { /* as many for each thread, some of the rows or of the columns */
                CHECK(b.copies == threads && p.rows % b.rows == 0 && p.columns % b.columns == 0);
                CHECK(p.rows / b.rows * (p.columns / b.columns) % threads == 0);
                CHECK(b.rows == p.rows || b.columns == p.columns);
            }
            CHECK(4 * c[1].weight_bytes == 7 * c[0].weight_bytes && c[1].transforms > 0);
            CHECK(c[1].added_bytes == c[1].weight_bytes - c[0].weight_bytes);
            CHECK(8 * c[1].peak >= 7 * c[0].peak && c[1].cycles > c[1].sums);
        }
        one_free(&o);
    }
    for (int64_t half = 1; half < 100; half++)
        CHECK(half % strassen_columns(half) == 0);
}

/* It saves nothing where there are few channels, and most where there are many. */
static void test_strassen_gain(void)
{
    CostContext   context = {.target = &target_x86_avx512};
    AlgorithmCost few[MAX_ALGORITHMS], many[MAX_ALGORITHMS];
    costs_of(&(Conv){1, 64, 56, 56, 64, 1, 1, 1}, &context, few);
    costs_of(&(Conv){1, 512, 14, 14, 1024, 1, 1, 1}, &context, many);
    CHECK(few[1].cycles > few[0].cycles);
    CHECK(many[1].cycles < 0.95 * many[0].cycles && many[1].cycles > 0.875 * many[0].cycles);
}

/* It saves time where many output channels share what is made of each pixel, and additions are free. */
static void test_inner_gain(void)
{
    CostContext   context = {.target = &target_x86_zen4}, other = {.target = &target_x86_avx512};
    AlgorithmCost thin[MAX_ALGORITHMS], many[MAX_ALGORITHMS], shared[MAX_ALGORITHMS];
    costs_of(&(Conv){1, 384, 56, 56, 16, 1, 1, 1}, &context, thin);
    costs_of(&(Conv){1, 384, 56, 56, 512, 1, 1, 1}, &context, many);
    costs_of(&(Conv){1, 384, 56, 56, 512, 1, 1, 1}, &other, shared);
    CHECK(thin[2].cycles > thin[0].cycles);
    CHECK(many[2].cycles < 0.8 * many[0].cycles && many[2].cycles > 0.7 * many[0].cycles);
    CHECK(shared[2].cycles > 1.2 * shared[0].cycles);
}

/* A sum of h x m x n results, as kpass_schedule meets one. */
static Kernel *make_sum(Arena *a, const Target *t, int64_t h, int64_t m, int64_t n)
{
    Kernel  *k = kernel_new(a, "sum", t, FP_STRICT);
    int64_t  lanes = t->lanes, steps = 8;
    LoopId   ln = kernel_loop_if(k, "n", n, PARALLEL, AXIS_N);
    LoopId   lh = kernel_loop_if(k, "h", h, PARALLEL, AXIS_H);
    LoopId   lm = kernel_loop_if(k, "m", m, PARALLEL, AXIS_M);
    LoopId   ll = kernel_loop_if(k, "l", lanes, PARALLEL, AXIS_LANE);
    LoopId   lk = kernel_loop(k, "k", steps, REDUCE, AXIS_K);
    BufferId x = kernel_buffer(k, "x", F32, BUF_IN, h * m * steps, 0);
    BufferId y = kernel_buffer(k, "y", F32, BUF_OUT, n * h * m * lanes, 0);
    TempId   acc = kernel_temp(k, "acc", vtype(F32, 1));
    Affine   row = affine_add(affine_scale(affine_loop(lh), m), affine_loop(lm));
    Affine   in = affine_add(affine_scale(row, steps), affine_loop(lk));
    Affine   out = affine_add(affine_scale(affine_loop(ln), h * m), row);
    Stmt    *leaf = st_block(k);
    out = affine_add(affine_scale(out, lanes), affine_loop(ll));
    st_add(k, leaf, st_set(k, acc, ASSIGN, ex_const(k, 0)));
    st_add(k, leaf, st_for(k, lk, st_set(k, acc, ASSIGN_ADD, ex_load(k, x, in))));
    st_add(k, leaf, st_store(k, y, out, ASSIGN, ex_temp(k, acc)));
    st_add(k, k->body, st_for(k, ln, st_for(k, lh, st_for(k, lm, st_for(k, ll, leaf)))));
    return k;
}

static void test_tiles(const Target *t)
{
    for (int i = 0; i < 100; i++) {
        TileCost all[MAX_TILES], one;
        Arena   *a = arena_new();
        int64_t  h = random_between(1, 9), m = random_between(1, 30), n = random_between(1, 12);
        Kernel  *k = make_sum(a, t, h, m, n);
        int      count = schedule_tiles(k, all);
        CHECK(count <= MAX_TILES && (count > 0) == (h > 1 || m > 1 || n > 1));
        for (int j = 0; j < count; j++) {
            RegTile tile = all[j].tile;
            CHECK(tile.h >= 1 && tile.h <= h && tile.m >= 1 && tile.m <= m);
            CHECK(tile.n >= 1 && tile.n <= n && all[j].registers <= t->vector_regs);
            CHECK(tile.h * tile.m * tile.n < all[j].registers);
            CHECK(all[j].share > 0 && all[j].share <= 1);
            CHECK(j == 0 || all[j].cycles >= all[j - 1].cycles);
            CHECK(schedule_tile_cost(k, tile, &one) && one.cycles == all[j].cycles);
        }
        kpass_schedule(k);
        CHECK(!count || regtile_equal(k->schedule.tile, all[0].tile));
        arena_free(a);
    }
}

int main(void)
{
    for (int i = 0; i < target_count(); i++) {
        test_algorithms(target_nth(i));
        test_tiles(target_nth(i));
        if (target_nth(i)->lanes > 1) {
            test_blocks(target_nth(i));
            test_strassen(target_nth(i));
        }
    }
    test_reasons();
    test_block_sizes();
    test_strassen_gain();
    test_inner_gain();
    return check_end();
}
