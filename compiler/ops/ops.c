/* ops.c - the op table, built from graph/ops.def. */
#include "ops/ops.h"

#include <string.h>

/* The facts about ops that passes ask for, all in one place. */
static unsigned op_flags(Op op)
{
    switch (op) {
    case OP_relu:
    case OP_relu6:
    case OP_sigmoid:
    case OP_tanh:
    case OP_hard_swish:
    case OP_silu:
    case OP_identity:
    case OP_dropout:
    case OP_leaky_relu:
    case OP_elu:
    case OP_hard_sigmoid:
    case OP_gelu:
    case OP_clip:
    case OP_abs:
    case OP_neg:
    case OP_erf:
    case OP_softplus:
    case OP_softsign:
    case OP_floor:
    case OP_ceil:
    case OP_round: return OPF_UNARY | OPF_EPILOGUE | OPF_BLOCKED;
    case OP_exp:
    case OP_log:
    case OP_sqrt: return OPF_UNARY | OPF_EPILOGUE | OPF_UNBOUNDED;
    case OP_add:
    case OP_sub:
    case OP_mul:
    case OP_max:
    case OP_min: return OPF_BINARY | OPF_EPILOGUE | OPF_BLOCKED;
    case OP_div:
    case OP_pow: return OPF_BINARY | OPF_EPILOGUE | OPF_UNBOUNDED;
    case OP_conv2d:
    case OP_conv_transpose:
    case OP_linear:
    case OP_batch_norm:
    case OP_prelu:
    case OP_max_pool:
    case OP_avg_pool:
    case OP_global_avg_pool:
    case OP_global_max_pool:
    case OP_adaptive_avg_pool:
    case OP_upsample: return OPF_EPILOGUE | OPF_BLOCKED;
    case OP_matmul: return OPF_EPILOGUE;
    case OP_concat:
    case OP_pad: return OPF_BLOCKED;
    case OP_flatten:
    case OP_reshape: return OPF_VIEW;
    case OP_relayout: return OPF_INTERNAL | OPF_BLOCKED;
    default: return 0;
    }
}

/* Slots are written "x weight! bias!?": a name, then its marks, separated by spaces. */
static const char *parse_slot(const char *s, Slot *slot)
{
    size_t len = 0;
    while (*s && !strchr(" !?*+", *s) && len + 1 < sizeof slot->name)
        slot->name[len++] = *s++;
    for (; *s && *s != ' '; s++) {
        slot->is_param |= *s == '!';
        slot->optional |= *s == '?';
        slot->either |= *s == '*';
        slot->many |= *s == '+';
    }
    return *s ? s + 1 : s;
}

static void parse_slots(OpInfo *info, const char *inputs)
{
    while (*inputs && info->n_slots < MAX_SLOTS)
        inputs = parse_slot(inputs, &info->slots[info->n_slots++]);
}

/* The table is filled on first use: its contents depend on nothing but ops.def. */
static const OpInfo *op_table(void)
{
    static OpInfo table[N_OPS];
    static bool   is_filled;
    if (is_filled)
        return table;
    const char *inputs[N_OPS] = {0};
#define OP(op, slots_text, meaning_text)                                                           \
    table[OP_##op] = (OpInfo){.name = #op,                                                         \
                              .meaning = meaning_text,                                             \
                              .attrs = attrs_##op,                                                 \
                              .n_attrs = n_attrs_##op,                                             \
                              .shape = shape_##op,                                                 \
                              .eval = eval_##op,                                                   \
                              .lower = lower_##op};                                                \
    inputs[OP_##op] = slots_text;
#include "graph/ops.def"
#undef OP
    for (int op = OP_NONE + 1; op < N_OPS; op++) {
        parse_slots(&table[op], inputs[op]);
        table[op].flags = op_flags((Op)op);
    }
    is_filled = true;
    return table;
}

const OpInfo *op_info(Op op)
{
    return &op_table()[op];
}

bool op_is_conv(Op op)
{
    return op == OP_conv2d || op == OP_conv_transpose;
}

Op op_from_name(const char *name)
{
    for (int op = OP_NONE + 1; op < N_OPS; op++) {
        const OpInfo *info = op_info((Op)op);
        if (!(info->flags & OPF_INTERNAL) && strcmp(info->name, name) == 0)
            return (Op)op;
    }
    return OP_NONE;
}
