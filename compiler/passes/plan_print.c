/* plan_print.c - a memory plan as a table, with its certificate. */
#include "passes/passes.h"

#include <inttypes.h>
#include <string.h>

/* The node that runs at step `s`. */
static const char *step_name(const Graph *g, int s)
{
    NodeId n = graph_first(g);
    while (n && s-- > 0)
        n = graph_next(g, n);
    return n ? text_printable(g->arena, node_get(g, n)->name) : "?";
}

static void print_certificate(const Graph *g, const MemoryPlan *p, Text *out)
{
    text_printf(out, "arena %" PRId64 " bytes, ", p->bytes);
    switch (p->proof) {
    case PROOF_BOUND:
        if (p->n_steps > 0)
            text_printf(out, "optimal (equals the peak of live bytes at step %d, %s)",
                        p->bound_step, step_name(g, p->bound_step));
        else
            text_add(out, "optimal (there are no steps)");
        break;
    case PROOF_EXHAUSTED:
        text_printf(out, "optimal (search exhausted, %" PRId64 " states)", p->searched);
        break;
    case PROOF_NONE:
        text_printf(out, "at most %.2f %% above the bound of %" PRId64,
                    100.0 * ((double)p->bytes / (double)p->lower_bound - 1.0), p->lower_bound);
        break;
    }
    text_printf(out, "\norder of nodes %s\n",
                p->order_optimal ? "optimal (no other has a lower peak)" : "not proven optimal");
}

void plan_print(const Graph *g, const MemoryPlan *p, Text *out)
{
    size_t width = strlen("value");
    for (int i = 0; i < p->n_blocks; i++) {
        size_t len = strlen(text_printable(g->arena, value_get(g, p->blocks[i].value)->name));
        width = len > width ? len : width;
    }
    text_printf(out, "%-*s  %12s  %12s  %s\n", (int)width, "value", "bytes", "offset", "steps");
    for (int i = 0; i < p->n_blocks; i++) {
        const PlanBlock *b = &p->blocks[i];
        text_printf(out, "%-*s  %12" PRId64 "  %12" PRId64 "  %d..%d\n", (int)width,
                    text_printable(g->arena, value_get(g, b->value)->name), b->bytes, b->offset,
                    b->first, b->last);
    }
    print_certificate(g, p, out);
}
