/* table.c - the rows of rows.def as a table; what to do without an operator. */
#include "onnx/importer.h"

#include <string.h>

const OnnxRow onnx_rows[] = {
#define ROW(op, function, since, until, min_in, max_in, attrs)                                     \
    {#op, since, until, min_in, max_in, attrs, import_##function},
#include "onnx/rows.def"
#undef ROW
};
const int n_onnx_rows = COUNT_OF(onnx_rows);

const OnnxRow *onnx_row(const char *op_type)
{
    for (int i = 0; i < n_onnx_rows; i++)
        if (!strcmp(onnx_rows[i].name, op_type))
            return &onnx_rows[i];
    return NULL;
}

/* What comes nearest to operators that are not read. */
static const struct {
    const char *operators; /* separated by spaces */
    const char *instead;
} hints[] = {
    {"If Loop Scan", "kiln reads networks without control flow; export with fixed shapes, or "
                     "run onnxsim, so that conditions and loops are folded"},
    {"LSTM GRU RNN", "kiln reads convolutional networks; recurrent layers are not among them"},
    {"LpPool GlobalLpPool", "AveragePool and MaxPool are supported"},
    {"MaxUnpool MaxRoiPool RoiAlign", "MaxPool and Resize are supported"},
    {"QuantizeLinear DequantizeLinear DynamicQuantizeLinear QLinearConv QLinearMatMul ConvInteger "
     "MatMulInteger",
     "export the network before quantization"},
    {"NonMaxSuppression TopK NonZero Unique",
     "its result has no fixed shape or order; make its inputs the outputs of the model"},
    {"Einsum", "MatMul, Gemm and Conv are supported"},
    {"SequenceConstruct SequenceAt SplitToSequence ConcatFromSequence SequenceEmpty SequenceInsert",
     "kiln reads tensors, no sequences; export with fixed shapes"},
    {"LpNormalization", "BatchNormalization, InstanceNormalization, LayerNormalization and LRN are "
                        "supported"},
    {"RandomNormal RandomUniform RandomNormalLike RandomUniformLike Multinomial Bernoulli",
     "export the network in inference mode"},
};

/* has_word - whether `word` is one of the words of `list`. */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *s = list; *s; s += strcspn(s, " "), s += *s == ' ')
        if (strcspn(s, " ") == n && !memcmp(s, word, n))
            return true;
    return false;
}

const char *onnx_instead(Arena *a, const char *op_type)
{
    for (size_t i = 0; i < COUNT_OF(hints); i++)
        if (has_word(hints[i].operators, op_type))
            return arena_printf(a, "; %s", hints[i].instead);
    Guess guess = guess_new(op_type);
    for (int i = 0; i < n_onnx_rows; i++)
        guess_try(&guess, onnx_rows[i].name);
    return guess_text(a, &guess);
}
