"""A Graph as a torch module: the one interpreter used for training and for evaluation.

Four liberties are taken while training, none of which changes the function computed:
a relu before a max pool runs after it, on a quarter of the data; an enlarging bilinear resize, the
first convolution and the first pool are computed in one step (see UpsampledStem); some convolutions
have gradients of their own (fast_conv.py); and matrix products may run in bfloat16 (that is up to
the caller's autocast).
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

import fast_conv


def key(tensor_name):
    return tensor_name.replace(".", "__")


def symmetric(attrs):
    top, left, bottom, right = attrs["padding"]
    if (top, left) != (bottom, right):
        raise NotImplementedError(f"padding {attrs['padding']}")
    return (top, left)


class Network(nn.Module):
    def __init__(self, graph, dropout=0.5):
        super().__init__()
        self.graph = graph
        self.dropout = dropout
        self.late_relus = relus_before_pools(graph)
        for node in graph.nodes:
            for role, name in node.get("params", {}).items():
                self.add_tensor(role, name, graph.params[name])

    def add_tensor(self, role, name, shape):
        if role in ("mean", "var"):
            self.register_buffer(key(name), torch.full(shape, float(role == "var")))
            return
        tensor = torch.full(shape, float(role == "scale"))
        if role == "weight":                          # He: the variance survives each relu
            fan_in = math.prod(shape[1:])
            tensor.normal_(0, math.sqrt((1 if shape[0] == 10 else 2) / fan_in))
        self.register_parameter(key(name), nn.Parameter(tensor))

    def tensor(self, name):
        return getattr(self, key(name))

    def tensors(self):
        """Name -> tensor, in the order of the graph."""
        return {name: self.tensor(name).detach() for name in self.graph.params}

    def load_tensors(self, tensors):
        for name in self.graph.params:
            self.tensor(name).data.copy_(torch.tensor(tensors[name], dtype=torch.float32))

    def forward(self, x):
        return self.run_from(self.graph.input, x)

    def run_from(self, value, x):
        """Run the nodes after `value`, which is x."""
        values = {value: x}
        for node in self.graph.nodes:
            if all(name in values for name in node["inputs"]):
                values[node["name"]] = self.run_node(node, [values[n] for n in node["inputs"]])
        return values[self.graph.output]

    def run_node(self, node, inputs):
        x = inputs[0]
        params = {role: self.tensor(name) for role, name in node.get("params", {}).items()}
        attrs = node.get("attrs", {})
        op = node["op"]
        if op == "conv2d":
            window = attrs["strides"][0], attrs["padding"][0]
            if self.training and fast_conv.pays(x, params["weight"], *window, attrs["groups"]):
                return fast_conv.conv2d(x, params["weight"], params.get("bias"), *window)
            return F.conv2d(x, params["weight"], params.get("bias"), attrs["strides"],
                            symmetric(attrs), attrs["dilations"], attrs["groups"])
        if op == "linear":
            return F.linear(x, params["weight"], params.get("bias"))
        if op == "batch_norm":
            return F.batch_norm(x, params["mean"], params["var"], params["scale"],
                                params["bias"], self.training, 0.1, attrs["epsilon"])
        if op == "relu":
            return x if node["name"] in self.late_relus else F.relu(x)
        if op == "max_pool":
            pooled = F.max_pool2d(x, attrs["kernel"], attrs["strides"], symmetric(attrs))
            return F.relu(pooled) if node["inputs"][0] in self.late_relus else pooled
        if op == "global_avg_pool":
            return x.mean((2, 3), keepdim=True)
        if op == "dropout":
            return F.dropout(x, self.dropout, self.training)
        if op == "flatten":
            return x.flatten(1)
        if op == "add":
            return x + inputs[1]
        raise NotImplementedError(op)


def relus_before_pools(graph):
    """Names of the relus used by nothing but one max_pool; max and relu commute."""
    users = {}
    for node in graph.nodes:
        for name in node["inputs"]:
            users.setdefault(name, []).append(node["op"])
    return {node["name"] for node in graph.nodes
            if node["op"] == "relu" and users.get(node["name"]) == ["max_pool"]}


def resize(x, size):
    """The resize that defines a network's input."""
    if x.shape[2:] == (size, size):
        return x
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


class UpsampledStem(nn.Module):
    """max_pool(conv3x3(resize(x))) as one matrix product at the resolution of x, and a pool.

    Enlarging by a whole factor f turns each pixel into an f x f block of outputs, whose values
    depend linearly on the 3 x 3 pixels around it. Along one axis, output p of a block meets tap k
    of the kernel through five numbers: the pixel before, the pixel, the pixel after, and twice the
    pixel again at the first and the last block only, where the convolution's zero padding differs
    from the resize's clamping. `pixels` gathers these five, `taps` weighs them; two axes make 25.
    """

    def __init__(self, size_in, size_out):
        super().__init__()
        n, f = size_in, size_out // size_in
        assert size_out == n * f and f % 2 == 0 and n >= 4
        pixels = torch.zeros(n, 5, n)
        for block in range(n):
            for tap in range(3):
                pixels[block, tap, min(max(block + tap - 1, 0), n - 1)] = 1
        pixels[0, 3, 0] = 1
        pixels[n - 1, 4, n - 1] = 1

        upsample = F.interpolate(torch.eye(n)[None], size=size_out, mode="linear",
                                 align_corners=False)[0].T
        zero = torch.zeros(1, n)
        shifted = torch.stack([torch.cat([zero, upsample[:-1]]), upsample,
                               torch.cat([upsample[1:], zero])])
        taps = torch.zeros(3, f, 5)
        taps[:, :, :3] = shifted[:, f:2 * f, 0:3]
        taps[0, 0, 3] = -1
        taps[2, f - 1, 4] = -1
        composed = torch.einsum("kpl,bln->kbpn", taps, pixels).reshape(3, size_out, n)
        assert (composed - shifted).abs().max() < 1e-5

        self.n, self.half = n, f // 2
        self.register_buffer("pixels", pixels)
        self.register_buffer("taps", taps.view(3, f // 2, 2, 5))

    def forward(self, x, weight, bias):
        count, width, n, half = len(x), len(weight), self.n, self.half
        patches = torch.einsum("bls,nst,cmt->nbclm", self.pixels, x[:, 0], self.pixels)
        patches = F.pad(patches.reshape(-1, 25), (0, 7))          # rows of 32 numbers
        patches[:, 25] = 1                                        # meets the bias
        matrix = torch.einsum("okj,kpal,jqcm->acpqolm", weight[:, 0], self.taps, self.taps)
        matrix = torch.cat([matrix.reshape(-1, 25), bias.repeat(4 * half * half)[:, None],
                            matrix.new_zeros(4 * half * half * width, 6)], 1)
        y = F.linear(patches, matrix)
        y = y.view(count, n * n * 2, 2, half * half * width).permute(0, 3, 1, 2)
        y = F.max_pool2d(y, 2).permute(0, 2, 3, 1)
        y = y.reshape(count, n, n, half, half, width).transpose(2, 3)
        return y.reshape(count, n * half, n * half, width).permute(0, 3, 1, 2)


class TrainingNetwork(nn.Module):
    """A Network that takes small images and does the resize itself."""

    def __init__(self, network, size_in):
        super().__init__()
        self.network = network
        self.size = network.graph.shapes[network.graph.input][2]
        self.stem = UpsampledStem(size_in, self.size) if self.stem_applies(size_in) else None

    def stem_applies(self, size_in):
        nodes = self.network.graph.nodes[:3]
        conv, _, pool = [node.get("attrs", {}) for node in nodes]
        return (self.size > size_in and self.size % (2 * size_in) == 0
                and [node["op"] for node in nodes] == ["conv2d", "relu", "max_pool"]
                and nodes[1]["name"] in self.network.late_relus
                and self.network.graph.params[nodes[0]["params"]["weight"]][1:] == [1, 3, 3]
                and (conv["strides"], conv["padding"]) == ([1, 1], [1, 1, 1, 1])
                and (pool["kernel"], pool["strides"]) == ([2, 2], [2, 2])
                and pool["padding"] == [0, 0, 0, 0])

    def forward(self, x):
        if self.stem is None:
            x = resize(x, self.size).contiguous(memory_format=torch.channels_last)
            return self.network(x)
        conv, _, pool = self.network.graph.nodes[:3]
        weight, bias = (self.network.tensor(conv["params"][role]) for role in ("weight", "bias"))
        return self.network.run_from(pool["name"], F.relu(self.stem(x, weight, bias)))
