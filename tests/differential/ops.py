#!/usr/bin/python3
"""Every operator against PyTorch in double, on every target this machine runs; --fp exact must give the
same bits on all of them. Ends with `N passed, N failed`."""
import os
import shutil
import sys
import tempfile

import numpy as np
import torch
import torch.nn.functional as F

from cases import Maker
from kiln_model import Model, build_and_run, targets


def sums(k):
    yield k.conv("plain", (1, 3, 7, 9), 5, (3, 3))
    yield k.conv("one", (1, 1, 1, 1), 1, (1, 1))
    yield k.conv("lanes_less", (1, 15, 5, 5), 15, (3, 3), pad=(1, 1, 1, 1))
    yield k.conv("lanes", (1, 16, 7, 7), 32, (3, 3), pad=(1, 1, 1, 1), then=("relu",))
    yield k.conv("lanes_more", (1, 17, 6, 11), 33, (3, 3), pad=(1, 1, 1, 1), bias=False)
    yield k.conv("pointwise", (1, 32, 7, 7), 48, (1, 1), then=("residual", "relu"))
    yield k.conv("stem", (1, 3, 31, 29), 32, (7, 7), (2, 2), (3, 3, 3, 3), then=("relu",))
    yield k.conv("odd_pad", (1, 8, 9, 13), 16, (5, 3), (2, 1), (2, 0, 1, 2))
    yield k.conv("skip", (1, 16, 11, 11), 16, (2, 2), (3, 4))
    yield k.conv("dilated", (1, 16, 13, 13), 16, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2))
    yield k.conv("wide", (1, 16, 3, 59), 16, (3, 3), pad=(1, 1, 1, 1))
    yield k.conv("tall", (1, 16, 37, 1), 16, (3, 1), pad=(1, 0, 1, 0))
    yield k.conv("batch", (3, 16, 5, 6), 32, (3, 3), pad=(1, 1, 1, 1), then=("residual",))
    yield k.conv("batch_tiles", (6, 64, 5, 6), 64, (3, 3), pad=(1, 1, 1, 1), then=("residual", "relu"))
    yield k.conv("batch_parts", (10, 96, 13, 9), 112, (3, 3), pad=(1, 1, 1, 1))
    yield k.conv("batch_streamed", (6, 128, 9, 7), 144, (3, 3), (2, 2), (1, 1, 1, 1), then=("residual",))
    yield k.conv("batch_pointwise", (9, 256, 3, 5), 528, (1, 1), then=("relu",))
    yield k.conv("large", (1, 32, 29, 27), 32, (3, 3), pad=(1, 1, 1, 1), then=("residual", "relu"))
    yield k.conv("large5", (1, 32, 26, 13), 32, (5, 5), pad=(2, 2, 2, 2))
    yield k.conv("large_skip", (1, 64, 29, 27), 48, (3, 3), (2, 2), (1, 1, 1, 1), then=("residual", "relu"))
    yield k.conv("large_skip7", (1, 32, 26, 31), 32, (7, 7), (2, 2), (3, 3, 2, 2))
    yield k.conv("blocks", (1, 64, 7, 199), 64, (3, 3), pad=(1, 1, 1, 1), then=("residual", "relu"))
    yield k.conv("narrow", (1, 40, 9, 11), 8, (3, 3), pad=(1, 1, 1, 1), then=("residual", "relu"))
    yield k.conv("narrow_input", (2, 7, 9, 30), 33, (3, 3), (2, 2), (1, 1, 1, 1), then=("scale",))
    yield k.conv("narrow_both", (3, 5, 8, 17), 6, (5, 5), pad=(2, 2, 2, 2), then=("sigmoid", "residual"))
    yield k.conv("narrow_pointwise", (1, 8, 13, 5), 4, (1, 1), bias=False)
    yield k.conv("narrow_groups_of2", (1, 8, 7, 15), 8, (3, 3), pad=(1, 1, 1, 1), groups=4, then=("relu",))
    yield k.conv("narrow_groups_of4", (2, 8, 9, 9), 8, (3, 3), (2, 2), (1, 1, 1, 1), groups=2)
    yield k.conv("narrow_groups_odd", (1, 6, 9, 9), 6, (3, 3), pad=(1, 1, 1, 1), groups=2)
    yield k.conv("narrow_depthwise", (1, 7, 11, 11), 7, (3, 3), pad=(1, 1, 1, 1), groups=7)
    yield k.conv("depthwise", (1, 32, 9, 9), 32, (3, 3), pad=(1, 1, 1, 1), groups=32, then=("relu",))
    yield k.conv("depthwise_odd", (1, 13, 8, 8), 13, (3, 3), (2, 2), (1, 1, 1, 1), groups=13)
    yield k.conv("multiplier", (1, 6, 5, 5), 12, (3, 3), groups=6)
    yield k.conv("groups4", (1, 32, 6, 6), 32, (3, 3), pad=(1, 1, 1, 1), groups=8, then=("relu",))
    yield k.conv("groups_of2", (1, 48, 7, 15), 48, (3, 3), pad=(1, 1, 1, 1), groups=24, then=("residual", "relu"))
    yield k.conv("groups_of4", (2, 32, 11, 29), 32, (3, 3), pad=(1, 1, 1, 1), groups=8)
    yield k.conv("groups_of4_skip", (1, 32, 13, 17), 32, (3, 3), (2, 2), (1, 1, 1, 1), groups=8, then=("scale",))
    yield k.conv("groups_of4_wide", (1, 16, 9, 13), 16, (5, 7), (1, 3), (2, 3, 1, 2), groups=4)
    yield k.conv("groups_of4_edge", (1, 16, 3, 3), 16, (3, 3), (3, 3), (2, 2, 2, 2), (2, 2), groups=4)
    yield k.conv("groups_of8", (1, 48, 9, 23), 48, (3, 3), pad=(0, 1, 2, 0), groups=6, then=("relu",))
    yield k.conv("groups_of8_skip", (1, 32, 15, 15), 32, (3, 3), (2, 2), (1, 1, 1, 1), groups=4)
    yield k.conv("groups_of8_dilated", (3, 16, 14, 17), 16, (3, 3), (1, 1), (2, 2, 2, 2), (2, 2), groups=2)
    yield k.conv("groups_of8_pixel", (1, 64, 5, 7), 64, (1, 1), groups=8)
    yield k.conv("groups_of4_tiles", (1, 64, 23, 31), 64, (3, 3), pad=(1, 1, 1, 1), groups=16, then=("residual", "relu"))
    yield k.conv("groups_of4_even", (1, 32, 8, 9), 32, (2, 4), (2, 1), (0, 1, 1, 2), groups=8, bias=False)
    yield k.conv("groups_of8_tiles", (2, 64, 19, 21), 64, (3, 3), (2, 2), (1, 1, 1, 1), groups=8, then=("scale", "relu"))
    yield k.conv("groups_of8_row", (1, 32, 1, 40), 32, (1, 3), pad=(0, 1, 0, 1), groups=4, then=("residual",))
    yield k.conv("groups_of32", (1, 96, 11, 13), 96, (3, 3), (2, 2), (1, 1, 1, 1), groups=3, then=("relu",))
    yield k.conv("groups16", (1, 64, 6, 6), 64, (3, 3), pad=(1, 1, 1, 1), groups=4)
    yield k.conv("groups_odd", (1, 9, 6, 6), 15, (3, 3), pad=(1, 1, 1, 1), groups=3)
    yield k.conv("chain", (1, 16, 8, 8), 16, (3, 3), pad=(1, 1, 1, 1), then=("scale", "residual", "relu", "scale"))
    yield k.conv("sigmoid_end", (1, 16, 5, 5), 24, (1, 1), then=("sigmoid",))
    yield k.conv("big_pad", (1, 4, 3, 3), 4, (5, 5), pad=(4, 4, 4, 4))
    yield k.linear("fc", 1, 37, 10)
    yield k.linear("fc_batch", 5, 64, 48)
    yield k.linear("fc_one", 1, 1, 1, bias=False)
    yield k.linear("fc_wide", 1, 512, 129)
    yield k.matmul("mm", (5, 37), (37, 48))
    yield k.matmul("mm_const", (7, 33), (33, 17), True)
    yield k.matmul("mm_batch", (2, 3, 9, 16), (2, 3, 16, 31))
    yield k.matmul("mm_grow", (3, 1, 4, 5), (6, 5, 16))
    yield k.matmul("mm_one", (1, 1), (1, 1))
    yield k.matmul("mm_row", (19,), (2, 19, 33))
    yield k.matmul("mm_column", (2, 7, 19), (19,))
    yield k.matmul("mm_dot", (101,), (101,))
    yield k.matmul("mm_large", (64, 128), (128, 160))
    yield k.batch_norm("bn", (1, 17, 5, 3))
    yield k.batch_norm("bn2", (2, 16))


def transposed(k):
    yield k.conv_transpose("plain", (1, 3, 5, 7), 5, (3, 3))
    yield k.conv_transpose("double", (1, 16, 7, 7), 32, (2, 2), 2, then=("relu",))
    yield k.conv_transpose("gan", (1, 33, 4, 4), 17, (4, 4), 2, 1, then=("scale", "relu"))
    yield k.conv_transpose("odd", (1, 8, 5, 6), 16, (3, 3), 2, 1, out=1)
    yield k.conv_transpose("gaps", (2, 4, 3, 5), 16, (2, 1), 3)
    yield k.conv_transpose("stride7", (1, 5, 3, 4), 16, (14, 9), 7, 3, out=2)
    yield k.conv_transpose("wide_gaps", (1, 3, 2, 3), 19, (3, 2), 6)
    yield k.conv_transpose("one_pixel", (1, 32, 1, 1), 16, (4, 4))
    yield k.conv_transpose("one_row", (1, 3, 1, 9), 4, (3, 3), 2, (0, 1), out=1)
    yield k.conv_transpose("dilated", (1, 16, 5, 5), 16, (3, 3), 2, 2, 3, out=1)
    yield k.conv_transpose("dilated2", (1, 4, 6, 5), 7, (3, 2), (4, 2), 1, 2, out=1)
    yield k.conv_transpose("depthwise", (1, 32, 6, 6), 32, (4, 4), 2, 1, groups=32)
    yield k.conv_transpose("groups_of8", (1, 32, 7, 6), 32, (3, 4), 2, 1, groups=4)
    yield k.conv_transpose("groups_of4", (1, 32, 5, 9), 32, (4, 3), 2, 1, groups=8)
    yield k.conv_transpose("groups", (1, 32, 4, 5), 16, (3, 3), 2, 1, groups=2, bias=False)
    yield k.conv_transpose("groups_odd", (1, 9, 4, 5), 15, (3, 3), 2, 0, groups=3)
    yield k.conv_transpose("batch", (3, 16, 4, 3), 16, (3, 3), 1, 1)
    yield k.conv_transpose("cropped", (1, 2, 3, 3), 3, (5, 5), 2, 4)


def pools(k):
    yield k.max_pool("mp", (1, 16, 8, 8), 2, 2)
    yield k.max_pool("mp_pad", (1, 32, 9, 7), 3, 2, 1)
    yield k.max_pool("mp_ceil", (1, 5, 8, 8), 3, 2, 0, 1, True)
    yield k.max_pool("mp_dil", (2, 17, 9, 9), 2, 1, 0, 3)
    yield k.max_pool("mp_skip", (1, 4, 11, 11), 2, 5)
    yield k.avg_pool("ap", (1, 16, 8, 8), (2, 2), (2, 2))
    yield k.avg_pool("ap_pad", (1, 16, 7, 9), (3, 3), (2, 2), (1, 1))
    yield k.avg_pool("ap_inc", (1, 7, 7, 9), (3, 3), (2, 2), (1, 1), False, True)
    yield k.avg_pool("ap_ceil", (1, 16, 8, 8), (3, 3), (2, 2), (1, 1), True, True)
    yield k.avg_pool("ap_ceil2", (1, 3, 8, 10), (3, 2), (2, 3), (0, 0), True, False)
    yield k.reduce("gap", "global_avg_pool", (1, 33, 7, 7), lambda t: t.mean((2, 3), keepdim=True), 49)
    yield k.reduce("gmp", "global_max_pool", (2, 16, 5, 7), lambda t: t.amax((2, 3), keepdim=True), 1)
    yield k.reduce("aap", "adaptive_avg_pool", (1, 16, 7, 10), lambda t: F.adaptive_avg_pool2d(t, (3, 4)), 12,
                   output=[3, 4])
    yield k.reduce("mean", "reduce_mean", (2, 5, 3, 7), lambda t: t.mean((1, 3), keepdim=False), 35,
                   axes=[1, 3], keepdims=False)
    yield k.reduce("mean_hw", "reduce_mean", (1, 16, 3, 7), lambda t: t.mean((2, 3), keepdim=True), 21, axes=[2, 3])
    yield k.reduce("sum", "reduce_sum", (2, 5, 3, 7), lambda t: t.sum((0, 2)), 6, axes=[0, -2], keepdims=False)
    yield k.reduce("sum_all", "reduce_sum", (3, 17), lambda t: t.sum((0, 1), keepdim=True), 51)
    yield k.reduce("max", "reduce_max", (2, 5, 3, 7), lambda t: t.amax((1, 3)), 1, axes=[1, 3], keepdims=False)
    yield k.reduce("max_hw", "reduce_max", (1, 16, 3, 7), lambda t: t.amax((2, 3), keepdim=True), 1, axes=[2, 3])
    yield k.reduce("min", "reduce_min", (4, 5, 33), lambda t: t.amin(1, keepdim=True), 1, axes=[1])
    yield k.reduce("mean3", "reduce_mean", (4, 5, 3), lambda t: t.mean(-1, keepdim=True), 3, axes=[-1])


def activations(k):
    s = (1, 19, 5, 3)
    yield k.unary("relu", "relu", s, F.relu)
    yield k.unary("relu6", "relu6", s, F.relu6)
    yield k.unary("sigmoid", "sigmoid", s, torch.sigmoid, scale=10.0)
    yield k.unary("tanh", "tanh", s, torch.tanh)
    yield k.unary("tanh_small", "tanh", s, torch.tanh, scale=1e-3)
    yield k.unary("hswish", "hard_swish", s, F.hardswish, floor=1e-6)
    yield k.unary("silu", "silu", s, F.silu)
    yield k.unary("leaky", "leaky_relu", s, lambda t: F.leaky_relu(t, 0.2), alpha=0.2)
    yield k.unary("elu", "elu", s, lambda t: F.elu(t, 1.3), floor=1e-7, alpha=1.3)
    yield k.unary("hsig", "hard_sigmoid", s, lambda t: (t * 0.2 + 0.5).clamp(0, 1), floor=2e-7, alpha=0.2, beta=0.5)
    yield k.unary("gelu", "gelu", s, F.gelu, floor=1e-6)
    yield k.unary("gelu_tanh", "gelu", s, lambda t: F.gelu(t, approximate="tanh"), floor=1e-6, approximate="tanh")
    yield k.unary("clip", "clip", s, lambda t: t.clamp(-0.5, 1.25), min=-0.5, max=1.25)
    slope = k.array(19)
    yield k.unary("prelu", "prelu", s, lambda t: F.prelu(t, torch.from_numpy(slope).double()), params={"slope": slope})
    yield k.unary("relu_vec", "relu", (1, 257), F.relu)
    yield k.unary("tanh3", "tanh", (3, 5, 7), torch.tanh)
    yield k.unary("softmax", "softmax", (2, 11), lambda t: t.softmax(-1), ulps=8)
    yield k.unary("softmax_c", "softmax", (1, 5, 3, 4), lambda t: t.softmax(1), ulps=8, axis=1)
    yield k.unary("logsm", "log_softmax", (1, 100), lambda t: t.log_softmax(-1), ulps=8, floor=2e-6)
    yield k.unary("lrn", "lrn", (1, 7, 4, 4), lambda t: F.local_response_norm(t, 5, 1e-4, 0.75, 1.0), ulps=8, size=5,
                  alpha=1e-4, beta=0.75, bias=1.0)


def functions(k):
    s = (1, 19, 5, 3)
    yield k.unary("exp", "exp", s, torch.exp)
    yield k.unary("exp_wide", "exp", (3, 17), torch.exp, scale=30.0, floor=1e-44)
    yield k.unary("log", "log", s, lambda t: t.abs().log(), before="abs", floor=2e-7)
    yield k.unary("sqrt", "sqrt", s, lambda t: t.abs().sqrt(), before="abs", ulps=0.5)
    yield k.unary("abs", "abs", s, torch.abs, ulps=0)
    yield k.unary("neg", "neg", s, torch.neg, ulps=0)
    yield k.unary("erf", "erf", s, torch.erf)
    yield k.unary("softplus", "softplus", s, lambda t: F.softplus(t, threshold=1e9), scale=10.0)
    yield k.unary("softsign", "softsign", s, F.softsign)
    yield k.unary("floor", "floor", s, torch.floor, ulps=0)
    yield k.unary("ceil", "ceil", (2, 33), torch.ceil, ulps=0)
    yield k.unary("round", "round", (5, 3, 2), torch.round, ulps=0)


def arithmetic(k):
    full = (1, 16, 5, 7)
    yield k.binary("add", "add", full, full, torch.add)
    yield k.binary("sub_c", "sub", full, (16, 1, 1), torch.sub, True)
    yield k.binary("mul_s", "mul", full, (1,), torch.mul, True)
    yield k.binary("div", "div", (1, 5, 3, 3), (1, 5, 3, 3), torch.div)
    yield k.binary("div_w", "div", full, (7,), torch.div, True)
    yield k.binary("mul_se", "mul", full, (1, 16, 1, 1), torch.mul)
    yield k.binary("add_grow", "add", (3, 1, 5), (4, 1), torch.add)
    yield k.binary("sub_full", "sub", (1, 3, 5, 7), (1, 3, 5, 7), torch.sub, True)
    yield k.binary("max", "max", full, (16, 1, 1), torch.maximum, True)
    yield k.binary("max_two", "max", full, (1, 16, 5, 1), torch.maximum)
    yield k.binary("min", "min", (3, 1, 5), (4, 1), torch.minimum)
    yield k.binary("pow", "pow", full, full, torch.pow, ulps=4, positive=True)
    yield k.binary("pow_c", "pow", full, (16, 1, 1), torch.pow, True, ulps=4, positive=True)
    for i, exponent in enumerate((2.0, 3.0, -1.0, 0.5, 0.3, 0.0, -2.5)):
        yield k.power(f"pow_{i}", (1, 17, 3, 5), exponent)


def depth_to_space(a, b, mode):
    """Of both modes in NumPy; PyTorch's pixel_shuffle is the second."""
    n, c, h, w = a.shape
    if mode == "crd":
        return F.pixel_shuffle(torch.from_numpy(a), b).numpy()
    return a.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


def space_to_depth(a, b, mode):
    n, c, h, w = a.shape
    if mode == "crd":
        return F.pixel_unshuffle(torch.from_numpy(a), b).numpy()
    return a.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def movement(k):
    x = (1, 6, 5, 7)
    yield k.exact("concat", "concat", None, lambda *a: np.concatenate(a, 1),
                  [k.array(1, c, 5, 3) for c in (16, 3, 32)], axis=1)
    yield k.exact("concat_w", "concat", None, lambda *a: np.concatenate(a, 3),
                  [k.array(2, 3, 4, w) for w in (1, 5)], axis=-1)
    yield k.exact("flatten", "flatten", x, lambda a: a.reshape(1, -1), axis=1)
    yield k.exact("reshape", "reshape", x, lambda a: a.reshape(1, 3, -1, 5), shape=[0, 3, -1, 5])
    yield k.exact("reshape_0", "reshape", (1, 1), lambda a: a.reshape(()), shape=[])
    yield k.exact("transpose", "transpose", x, lambda a: a.transpose(0, 2, 3, 1), perm=[0, 2, 3, 1])
    yield k.exact("transpose3", "transpose", (3, 4, 5), lambda a: a.transpose(2, 0, 1), perm=[2, 0, 1])
    yield k.exact("pad", "pad", x, lambda a: np.pad(a, ((0, 0), (0, 0), (1, 3), (2, 0)), constant_values=1.5),
                  padding=[1, 2, 3, 0], value=1.5)
    yield k.exact("reflect", "pad", x, lambda a: np.pad(a, ((0, 0), (0, 0), (2, 1), (3, 2)), "reflect"),
                  padding=[2, 3, 1, 2], mode="reflect")
    yield k.exact("edge", "pad", x, lambda a: np.pad(a, ((0, 0), (0, 0), (2, 4), (1, 2)), "edge"),
                  padding=[2, 1, 4, 2], mode="edge")
    yield k.exact("slice", "slice", x, lambda a: a[:, 1:5:2, ::-1, -4:], axes=[1, 2, 3], starts=[1, -1, -4],
                  ends=[5, -100, 100], steps=[2, -1, 1])
    yield k.exact("upsample", "upsample", x, lambda a: a.repeat(2, 2).repeat(3, 3), scales=[2, 3])
    for name, mode in (("depth", "dcr"), ("depth_crd", "crd")):
        yield k.exact(name, "depth_to_space", (1, 18, 5, 7), lambda a, mode=mode: depth_to_space(a, 3, mode), block=3,
                      mode=mode)
        yield k.exact("un" + name, "space_to_depth", (2, 3, 8, 6), lambda a, mode=mode: space_to_depth(a, 2, mode),
                      block=2, mode=mode)
    yield k.gather("gather", (2, 5, 7, 6), [3, 0, -1, 2, 2], 1)
    yield k.gather("gather_up", (1, 3, 17, 5), [i * 17 // 29 for i in range(29)], 2)
    yield k.gather("gather_down", (1, 3, 5, 67), [i * 67 // 31 for i in range(31)], -1)
    yield k.gather("gather_prime", (3, 224), [i * 224 // 299 for i in range(299)], 1)
    yield k.gather("gather_2d", (5, 3), [[4, 0], [1, 1], [-5, 2]], 0)
    yield k.gather("gather_one", (5, 3), 2, 1)
    yield k.gather("gather_mixed", (1, 40), k.rng.permutation(40).tolist(), 1)
    yield k.exact("shuffle", "channel_shuffle", x, lambda a: a.reshape(1, 3, 2, 5, 7).swapaxes(1, 2).reshape(a.shape),
                  groups=3)
    yield k.exact("argmax", "arg_max", (2, 7, 3), lambda a: a.argmax(1).astype(np.int32), axis=1)
    equals = np.array([[0, 2, 1, 2], [3, 3, 0, 1], [1, 1, 1, 1]], np.float32)
    yield k.exact("argmax_first", "arg_max", None, lambda a: a.argmax(1).astype(np.int32), [equals], axis=1)
    yield k.exact("argmax_last", "arg_max", None, lambda a: (3 - a[:, ::-1].argmax(1)).astype(np.int32), [equals], axis=1,
                  select_last_index=True)
    yield k.exact("argmax_keep", "arg_max", (1, 10), lambda a: a.argmax(1)[:, None].astype(np.int32), axis=1, keepdims=True)
    yield k.exact("identity", "identity", x, lambda a: a)


GROUPS = {"sums": sums, "transposed": transposed, "pools": pools, "activations": activations, "functions": functions,
          "arithmetic": arithmetic, "movement": movement}


def check(case, got, bound):
    """What is wrong with one output; None when it is right."""
    if got.shape != case.want.shape:
        return f"shape {got.shape}, expected {case.want.shape}"
    error = np.abs(got.astype(np.float64) - case.want)
    if not np.all(error <= bound):
        at = np.unravel_index(np.argmax(error - bound), error.shape)
        return f"at {at}: {got[at]!r}, expected {case.want[at]!r}, bound {bound[at]:.3g}"
    return None


def run_group(name, make, folder, counts):
    cases = list(make(Maker(sum(name.encode()))))
    model = Model(name)
    model.output(*[c.add(model) for c in cases])
    path = model.write(folder)
    inputs = {k: v for c in cases for k, v in c.inputs.items()}
    exact = {}
    for target in targets():
        for fp in ("strict", "exact"):
            try:
                out = build_and_run(path, inputs, os.path.join(folder, fp), target, "--fp", fp)
            except (RuntimeError, OSError) as e:
                print(f"FAIL ops/{name} {target} {fp}: {e}")
                counts[1] += len(cases)
                continue
            for case, key in zip(cases, model.outputs):
                direct = fp == "exact" or target == "c99"
                wrong = check(case, out[key], case.bound if direct else case.layer_bound)
                if fp == "exact" and exact.setdefault(key, out[key]).tobytes() != out[key].tobytes():
                    wrong = wrong or "other bits than on " + next(iter(targets()))
                counts[bool(wrong)] += 1
                if wrong:
                    print(f"FAIL ops/{name}/{case.name} {target} {fp}: {wrong}")


def main():
    torch.manual_seed(0)
    counts, only = [0, 0], sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="kiln-ops-")
    for name, make in GROUPS.items():
        if not only or name in only:
            run_group(name, make, os.path.join(folder, name), counts)
    shutil.rmtree(folder)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
