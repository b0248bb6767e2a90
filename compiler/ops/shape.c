/* shape.c - what shape rules share: windows, broadcasting, complaints. */
#include "ops/ops.h"

#include <inttypes.h>
#include <string.h>

/* Far more than fits a machine, and small enough that layouts and byte counts cannot overflow. */
#define MAX_ELEMENTS ((int64_t)1 << 40)
#define MAX_PADDING  ((int64_t)1 << 31)

bool shape_error(Graph *g, NodeId n, const char *fmt, ...)
{
    const Node *node = node_get(g, n);
    Text        message = text_new(g->arena);
    va_list     args;
    va_start(args, fmt);
    text_vprintf(&message, fmt, args);
    va_end(args);
    diag_error(g->diag, node->where, "%s '%s': %s", op_info(node->op)->name,
               text_printable(g->arena, node->name), message.data);
    return false;
}

const Type *shape_in(const Graph *g, NodeId n, int i)
{
    const Value *v = graph_input(g, node_get(g, n), i);
    return v ? &v->type : NULL;
}

static const char *slot_name(const Node *n, int i)
{
    const OpInfo *info = op_info(n->op);
    return info->slots[i < info->n_slots ? i : info->n_slots - 1].name;
}

bool shape_floats(Graph *g, NodeId n)
{
    const Node *node = node_get(g, n);
    for (int i = 0; i < node->n_own; i++) {
        const Value *v = graph_input(g, node, i);
        if (!v || v->type.elem == F32 || (v->constant && elem_is_float(v->type.elem)))
            continue;
        return shape_error(g, n, "input '%s' has element type %s, expected f32", slot_name(node, i),
                           elem_name(v->type.elem));
    }
    return true;
}

bool shape_rank(Graph *g, NodeId n, int rank)
{
    const Type *x = shape_in(g, n, 0);
    if (x->rank == rank)
        return true;
    return shape_error(g, n, "input has rank %d (%s), expected rank %d", x->rank,
                       type_text(g->arena, x), rank);
}

bool shape_vector(Graph *g, NodeId n, int i, int64_t count, const char *what)
{
    const Type *t = shape_in(g, n, i);
    if (!t || (t->rank == 1 && t->dims[0] == count))
        return true;
    return shape_error(g, n, "%s is %s, expected shape [%" PRId64 "], one entry per %s",
                       slot_name(node_get(g, n), i), type_text(g->arena, t), count, what);
}

bool shape_axis(Graph *g, NodeId n, int64_t axis, int rank, int limit, int *out)
{
    if (axis >= -rank && axis < limit) {
        *out = axis_from_end(axis, rank);
        return true;
    }
    return shape_error(g, n, "axis %" PRId64 " is out of range, expected %d to %d for rank %d",
                       axis, -rank, limit - 1, rank);
}

int axis_from_end(int64_t axis, int rank)
{
    return (int)(axis < 0 ? axis + rank : axis);
}

void axis_spans(const Type *t, int axis, int64_t *outer, int64_t *extent, int64_t *inner)
{
    *outer = *inner = 1;
    *extent = t->dims[axis];
    for (int i = 0; i < axis; i++)
        *outer *= t->dims[i];
    for (int i = axis + 1; i < t->rank; i++)
        *inner *= t->dims[i];
}

bool shape_set(Graph *g, NodeId n, Elem e, int rank, const int64_t *dims)
{
    int64_t count = 1;
    if (rank > MAX_RANK)
        return shape_error(g, n, "the output has rank %d, expected at most %d", rank, MAX_RANK);
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 1)
            return shape_error(g, n, "dimension %d of the output is %" PRId64 ", expected >= 1", i,
                               dims[i]);
        if (!mul_ok(count, dims[i], &count) || count > MAX_ELEMENTS)
            return shape_error(g, n, "the output has more than 2^40 elements");
    }
    value_at(g, node_get(g, n)->out)->type = type_plain(e, rank, dims);
    return true;
}

bool shape_copy(Graph *g, NodeId n)
{
    Type x = *shape_in(g, n, 0);
    return shape_set(g, n, x.elem, x.rank, x.dims);
}

/* How far a window reaches, and the padding that PAD_SAME and PAD_VALID stand for along one axis.
 */
static int64_t window_reach(const OpAttrs *a, int i)
{
    int64_t dilation = a->dilations[i] > 1 ? a->dilations[i] : 1; /* 0: the op has none */
    return (a->kernel[i] - 1) * dilation + 1;
}

static void resolve_padding(OpAttrs *a, const int64_t in[2])
{
    for (int i = 0; i < 2; i++) {
        int64_t total = 0;
        if (a->pad_rule == PAD_SAME) {
            int64_t out = (in[i] - 1) / a->strides[i] + 1;
            total = (out - 1) * a->strides[i] + window_reach(a, i) - in[i];
            total = total > 0 ? total : 0;
        }
        if (a->pad_rule != PAD_EXPLICIT) {
            a->padding[i] = total / 2;
            a->padding[i + 2] = total - total / 2;
        }
    }
    a->pad_rule = PAD_EXPLICIT;
}

bool shape_window(Graph *g, NodeId n, const int64_t in[2], bool ceil_mode, int64_t out[2])
{
    OpAttrs *a = &node_at(g, n)->attrs;
    resolve_padding(a, in);
    for (int i = 0; i < 2; i++) {
        const char *axis = i ? "columns" : "rows";
        int64_t     before = a->padding[i], after = a->padding[i + 2], reach = window_reach(a, i);
        if (before > MAX_PADDING || after > MAX_PADDING)
            return shape_error(g, n, "more than 2^31 %s of padding", axis);
        int64_t room = in[i] + before + after - reach;
        if (room < 0)
            return shape_error(g, n,
                               "the kernel spans %" PRId64
                               " %s, more than the padded input has (%" PRId64 " + %" PRId64
                               " + %" PRId64 ")",
                               reach, axis, before, in[i], after);
        out[i] = room / a->strides[i] + 1;
        if (ceil_mode && room % a->strides[i] != 0 && out[i] * a->strides[i] < in[i] + before)
            out[i]++;
    }
    return true;
}

bool shape_broadcast(Graph *g, NodeId n, const Type *a, const Type *b, Type *out)
{
    int     rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[MAX_RANK];
    for (int i = 1; i <= rank; i++) {
        int64_t da = i <= a->rank ? a->dims[a->rank - i] : 1;
        int64_t db = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return shape_error(g, n,
                               "%s and %s do not broadcast: extents %" PRId64 " and %" PRId64
                               ", expected equal ones or 1",
                               type_text(g->arena, a), type_text(g->arena, b), da, db);
        dims[rank - i] = da > db ? da : db;
    }
    *out = type_plain(a->elem, rank, dims);
    return true;
}

int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

int64_t broadcast_index(const Type *out, const Type *in, int64_t i)
{
    int64_t index = 0, stride = 1;
    for (int d = 1; d <= out->rank && d <= in->rank; d++) {
        int64_t extent = out->dims[out->rank - d];
        if (in->dims[in->rank - d] != 1)
            index += i % extent * stride;
        stride *= in->dims[in->rank - d];
        i /= extent;
    }
    return index;
}
