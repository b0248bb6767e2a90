/* onnx.h - ONNX models -> Graph.
 *
 *   load.c         the file's bytes -> ModelProto by protobuf-c; hostile ones are refused
 *   import.c       the walk: opset, initializers, nodes, outputs
 *   names.c        what the model defines and what of it is needed
 *   input.c        inputs and their dimensions
 *   rows.def       one row an operator: opsets, inputs, attributes, function
 *   table.c        the rows as a table; what to do without an operator
 *   tensor.c       TensorProto -> Known; external data
 *   attr.c         the attributes of a node
 *   arg.c          the inputs of a node, as graph values or as what is known of them
 *   node.c         graph nodes for an ONNX node, typed as they are made
 *   make.c         graph nodes that operators are composed of; axes
 *   known.c        what is known while importing: shapes, axes, scales
 *   known_move.c   its elements moved
 *   known_arith.c  arithmetic on it
 *   window.c       sliding windows: what convolutions and pools share
 *   op_conv.c      Conv, ConvTranspose
 *   op_matmul.c    Gemm, MatMul
 *   op_pool.c      pools, global pools
 *   op_norm.c      normalisations, LRN, Softmax
 *   op_unary.c     activations and other functions of one input
 *   op_binary.c    arithmetic with broadcasting
 *   op_shape.c     Reshape, Flatten, Transpose, Squeeze, Unsqueeze, DepthToSpace, SpaceToDepth
 *   op_slice.c     Slice, Split, Concat
 *   op_gather.c    Gather, Expand, Tile
 *   op_pad.c       Pad
 *   op_resize.c    Resize, Upsample
 *   op_reduce.c    reductions, ArgMax, ArgMin
 *   op_constant.c  Constant, ConstantOfShape, Shape, Range, Cast: what is folded
 *
 * Nodes are imported in the file's order, which ONNX requires to be an order of execution. Every graph
 * node gets its type as it is made, so a Shape is a constant as soon as it is met. Only the files of
 * this folder know protobuf-c's types.
 */
#ifndef KILN_ONNX_H
#define KILN_ONNX_H

#include "graph/graph.h"

/* onnx_is_model - whether the bytes look like an ONNX model rather than like JSON. */
bool onnx_is_model(Bytes file);

/* onnx_read - the ONNX model at `path`, IR version 3 and up, opset 7 and up; docs/onnx.md lists the
 * operators. Dimensions without a number must be given by `options`. NULL: errors, all reported. */
Graph *onnx_read(Arena *a, Diag *d, const char *path, const ReadOptions *options);

#endif
