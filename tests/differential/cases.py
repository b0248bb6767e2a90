"""Single-operator cases with shapes chosen to hurt: 1, primes, lanes +- 1, stride past the kernel, odd
padding. Each gives its inputs, adds its nodes to a model, and says what PyTorch computes in double and
how large the rounding error may be."""
import math

import numpy as np
import torch
import torch.nn.functional as F

U = 2.0 ** -24  # unit roundoff of f32


class Case:
    """One operator: `add` puts it into a model; `want` and `bound` are arrays in double. Where Winograd's
    method may be chosen, `layer_bound` is what --fp strict allows such a layer; elsewhere it is `bound`."""

    def __init__(self, name, inputs, add, want, bound, winograd=False):
        self.name, self.inputs, self.add = name, inputs, add
        self.want = want.numpy() if isinstance(want, torch.Tensor) else want
        self.bound = bound.numpy() if isinstance(bound, torch.Tensor) else bound
        self.layer_bound = np.maximum(self.bound, 2e-4 * self.want.std()) if winograd else self.bound


def sum_bound(magnitude, length):
    """A sum of `length` products, in any order: statistical growth with the root of the length."""
    return (4 * math.sqrt(length) + 8) * U * magnitude + 1e-37


def d(a):
    return torch.from_numpy(np.asarray(a)).double()


class Maker:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def array(self, *shape, scale=1.0):
        return (self.rng.standard_normal(shape) * scale).astype(np.float32)

    # ---- sums ----------------------------------------------------------------------------

    def conv(self, name, x, o, kernel, stride=(1, 1), pad=(0, 0, 0, 0), dil=(1, 1), groups=1, bias=True,
             then=()):
        """x: [n, c, h, w]. `then`: elementwise steps behind it, from bias, residual and activations."""
        n, c, h, w = x
        xa, wa = self.array(*x), self.array(o, c // groups, *kernel, scale=(2 / (c // groups * kernel[0] * kernel[1])) ** 0.5)
        ba = self.array(o) if bias else None
        ref, mag = [F.conv2d(F.pad(f(d(xa)), (pad[1], pad[3], pad[0], pad[2])), f(d(wa)), f(d(ba)) if bias else None,
                             stride, 0, dil, groups) for f in (lambda t: t, torch.abs)]
        inputs, steps = {name + "_x": xa}, []
        for i, step in enumerate(then):
            if step == "residual":
                r = self.array(*ref.shape)
                inputs[f"{name}_r{i}"] = r
                ref, mag = ref + d(r), mag + d(r).abs()
            elif step == "scale":
                s = self.array(1, o, 1, 1)
                ref, mag = ref * d(s), mag * d(s).abs()
                steps.append((i, "mul", s))
                continue
            elif step == "relu":
                ref = ref.relu()
            elif step == "sigmoid":
                ref, mag = torch.sigmoid(ref), mag / 4 + 1
            steps.append((i, step, None))

        def add(m):
            params = {"weight": wa}
            if bias:
                params["bias"] = ba
            last = m.node(name, "conv2d", [m.input(name + "_x", xa)], params, strides=list(stride),
                          padding=list(pad), dilations=list(dil), groups=groups)
            for i, step, s in steps:
                if step == "residual":
                    last = m.node(f"{name}_s{i}", "add", [last, m.input(f"{name}_r{i}", list(ref.shape))])
                elif step == "mul":
                    last = m.node(f"{name}_s{i}", "mul", [last], {"b": s})
                else:
                    last = m.node(f"{name}_s{i}", step, [last])
            return last
        winograd = kernel in ((3, 3), (5, 5), (7, 7)) and stride in ((1, 1), (2, 2)) and dil == (1, 1) and groups == 1
        return Case(name, inputs, add, ref, sum_bound(mag, c // groups * kernel[0] * kernel[1] + 4), winograd)

    def linear(self, name, n, i, o, bias=True):
        xa, wa, ba = self.array(n, i), self.array(o, i, scale=(2 / i) ** 0.5), self.array(o)
        ref = F.linear(d(xa), d(wa), d(ba) if bias else None)
        mag = F.linear(d(xa).abs(), d(wa).abs(), d(ba).abs() if bias else None)
        params = {"weight": wa, **({"bias": ba} if bias else {})}
        return Case(name, {name + "_x": xa},
                    lambda m: m.node(name, "linear", [m.input(name + "_x", xa)], params), ref, sum_bound(mag, i))

    def conv_transpose(self, name, x, o, kernel, stride=1, pad=0, dil=1, groups=1, out=0, bias=True, then=()):
        pair = [list(v) if isinstance(v, tuple) else [v, v] for v in (stride, pad, dil, out)]
        stride, pad, dil, out = pair
        fan_in = x[1] // groups * kernel[0] * kernel[1]
        xa, wa = self.array(*x), self.array(x[1], o // groups, *kernel, scale=(2 / fan_in) ** 0.5)
        ba, sa = self.array(o), self.array(1, o, 1, 1)
        ref, mag = [F.conv_transpose2d(f(d(xa)), f(d(wa)), f(d(ba)) if bias else None, stride, pad, out, groups, dil)
                    for f in (lambda t: t, torch.abs)]
        for step in then:
            ref = ref * d(sa) if step == "scale" else ref.relu()
            mag = mag * d(sa).abs() if step == "scale" else mag

        def add(m):
            params = {"weight": wa, **({"bias": ba} if bias else {})}
            last = m.node(name, "conv_transpose", [m.input(name + "_x", xa)], params, strides=stride,
                          padding=pad + pad, dilations=dil, groups=groups, output_padding=out)
            for i, step in enumerate(then):
                last = m.node(f"{name}_s{i}", *(("mul", [last], {"b": sa}) if step == "scale" else (step, [last])))
            return last
        return Case(name, {name + "_x": xa}, add, ref, sum_bound(mag, fan_in + 4))

    def matmul(self, name, a, b, param=False):
        xa, xb = self.array(*a), self.array(*b)
        inputs = {name + "_a": xa} if param else {name + "_a": xa, name + "_b": xb}

        def add(m):
            x = m.input(name + "_a", xa)
            if param:
                return m.node(name, "matmul", [x], {"b": xb})
            return m.node(name, "matmul", [x, m.input(name + "_b", xb)])
        return Case(name, inputs, add, np.matmul(xa.astype(np.float64), xb.astype(np.float64)),
                    sum_bound(np.matmul(np.abs(xa.astype(np.float64)), np.abs(xb.astype(np.float64))), a[-1]))

    def batch_norm(self, name, x):
        c = x[1]
        xa, s, b, mean = self.array(*x), self.array(c), self.array(c), self.array(c)
        var = (self.rng.random(c) + 0.5).astype(np.float32)
        ref = F.batch_norm(d(xa), d(mean), d(var), d(s), d(b), False, 0, 1e-5)
        wide = [1, c] + [1] * (len(x) - 2)
        mag = (d(xa).abs() + d(mean).abs().view(wide)) / d(var).sqrt().view(wide) * d(s).abs().view(wide) + d(b).abs().view(wide)
        return Case(name, {name + "_x": xa}, lambda m: m.node(
            name, "batch_norm", [m.input(name + "_x", xa)], {"scale": s, "bias": b, "mean": mean, "var": var},
            epsilon=1e-5), ref, 16 * U * mag)

    # ---- pooling -------------------------------------------------------------------------

    def max_pool(self, name, x, kernel, stride, pad=0, dil=1, ceil=False):
        xa = self.array(*x) - 3  # mostly negative: a zero of the padding would win
        ref = F.max_pool2d(d(xa), kernel, stride, pad, dil, ceil)
        return Case(name, {name + "_x": xa}, lambda m: m.node(
            name, "max_pool", [m.input(name + "_x", xa)], kernel=[kernel, kernel], strides=[stride, stride],
            padding=[pad] * 4, dilations=[dil, dil], ceil_mode=ceil), ref, 0 * ref)

    def avg_pool(self, name, x, kernel, stride, pad=(0, 0), ceil=False, include=False):
        xa = self.array(*x)
        ref, mag = [F.avg_pool2d(t, kernel, stride, pad, ceil, include) for t in (d(xa), d(xa).abs())]
        return Case(name, {name + "_x": xa}, lambda m: m.node(
            name, "avg_pool", [m.input(name + "_x", xa)], kernel=list(kernel), strides=list(stride),
            padding=[pad[0], pad[1], pad[0], pad[1]], ceil_mode=ceil, count_include_pad=include), ref,
            sum_bound(mag, kernel[0] * kernel[1]))

    def reduce(self, name, op, x, torch_fn, length, **attrs):
        xa = self.array(*x)
        ref, mag = torch_fn(d(xa)), torch_fn(d(xa).abs())
        return Case(name, {name + "_x": xa}, lambda m: m.node(name, op, [m.input(name + "_x", xa)], **attrs),
                    ref, sum_bound(mag, length))

    # ---- the rest ------------------------------------------------------------------------

    def unary(self, name, op, x, torch_fn, ulps=4, scale=3.0, floor=0.0, params=None, before=None, **attrs):
        """The error may be `ulps` units in the last place of the result, and `floor` besides. `before`: an op
        in front."""
        xa = self.array(*x, scale=scale)
        xa.flat[0] = 0.0 if before is None else 1.0
        ref = torch_fn(d(xa))

        def add(m):
            last = m.input(name + "_x", xa)
            if before:
                last = m.node(name + "_before", before, [last])
            return m.node(name, op, [last], params, **attrs)
        return Case(name, {name + "_x": xa}, add, ref, 2 * ulps * U * ref.abs() + floor)

    def exact(self, name, op, x, fn, arrays=None, **attrs):
        """Movement: not a bit may change."""
        arrays = arrays or [self.array(*x)]
        want = np.asarray(fn(*arrays))
        names = [f"{name}_x{i}" for i in range(len(arrays))]
        return Case(name, dict(zip(names, arrays)), lambda m: m.node(
            name, op, [m.input(n, a) for n, a in zip(names, arrays)], **attrs), want, np.zeros(want.shape))

    def gather(self, name, x, indices, axis):
        xa, at = self.array(*x), np.array(indices, np.int32)
        want = np.take(xa, at % xa.shape[axis], axis)
        return Case(name, {name + "_x": xa}, lambda m: m.node(name, "gather", [m.input(name + "_x", xa)], {"indices": at},
                                                             axis=axis), want, np.zeros(want.shape))

    def power(self, name, x, exponent):
        """By one number for all; of negative numbers, too, where it is an integer."""
        xa, xb = self.array(*x), np.array([exponent], np.float32)
        xa = xa + np.sign(xa) * np.float32(0.25) if exponent == int(exponent) else np.abs(xa) + np.float32(0.25)
        ref = torch.pow(d(xa), d(xb))
        return Case(name, {name + "_x": xa}, lambda m: m.node(name, "pow", [m.input(name + "_x", xa)], {"b": xb}),
                    ref, 8 * U * ref.abs())

    def binary(self, name, op, a, b, torch_fn, param=False, ulps=1, positive=False):
        xa, xb = self.array(*a), self.array(*b)
        if positive:
            xa = np.abs(xa) + np.float32(0.01)
        if op == "div":
            xb = np.sign(xb) * (np.abs(xb) + 0.5).astype(np.float32)
        ref = torch_fn(d(xa), d(xb))

        def add(m):
            x = m.input(name + "_a", xa)
            if param:
                return m.node(name, op, [x], {"b": xb})
            return m.node(name, op, [x, m.input(name + "_b", xb)])
        inputs = {name + "_a": xa} if param else {name + "_a": xa, name + "_b": xb}
        return Case(name, inputs, add, ref, 2 * ulps * U * (ref.abs() + 1e-30))
