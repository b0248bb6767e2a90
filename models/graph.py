"""A network as kiln-graph JSON: built layer by layer, written and read.

A Graph holds the nodes exactly as the JSON file does. The functions of Graph add one node each
and return its name, which is also the name of its value.
"""

import json
import math
import os


def pair(value):
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def window(size, kernel, strides, padding, ceil=False):
    """Height and width of a convolution's or pool's output. `ceil` counts a last window that hangs
    over the edge, unless it begins behind it."""
    if padding == "same":
        return [-(-size[i] // strides[i]) for i in range(2)]
    result = []
    for i in range(2):
        room = size[i] + padding[i] + padding[i + 2] - kernel[i]
        if room < 0:
            raise ValueError(f"a window of {kernel[0]}x{kernel[1]} does not fit the padded input, "
                             f"which is {size[0]}x{size[1]} before padding")
        steps = room // strides[i]
        hangs_over = room % strides[i] and (steps + 1) * strides[i] < size[i] + padding[i]
        result.append(steps + 2 if ceil and hangs_over else steps + 1)
    return result


class Graph:
    """With `tensorflow` the caller passes N, H, W, C, and where the network pads, it does so by
    TensorFlow's rule `same`. Shapes here are N, C, H, W in any case."""

    def __init__(self, name, input_shape, tensorflow=False):
        self.name = name
        self.tensorflow = tensorflow
        self.input = "image"
        self.nodes = []
        self.output = None                            # the last node's value
        self.outputs = []                             # what the model returns; empty: `output`
        self.params = {}                              # name of a tensor -> its shape
        self.shapes = {self.input: list(input_shape)}  # name of a value -> its shape

    def add_node(self, name, op, inputs, shape, params=None, attrs=None):
        assert name not in self.shapes, name
        node = {"name": name, "op": op, "inputs": list(inputs)}
        if params:
            node["params"] = {role: f"{name}.{suffix}" for role, (suffix, _) in params.items()}
            for suffix, param_shape in params.values():
                self.params[f"{name}.{suffix}"] = param_shape
        if attrs:
            node["attrs"] = attrs
        self.nodes.append(node)
        self.shapes[name] = shape
        self.output = name
        return name

    def padding(self, pad):
        """The attribute for `pad` rows and columns on each side."""
        return "same" if self.tensorflow and pad else pair(pad) * 2

    def conv(self, name, x, width, kernel, stride=1, pad=0, groups=1, bias=True):
        n, channels, *size = self.shapes[x]
        kernel, strides, padding = pair(kernel), pair(stride), self.padding(pad)
        params = {"weight": ("weight", [width, channels // groups, *kernel])}
        if bias:
            params["bias"] = ("bias", [width])
        attrs = {"strides": strides, "padding": padding, "dilations": [1, 1], "groups": groups}
        shape = [n, width, *window(size, kernel, strides, padding)]
        return self.add_node(name, "conv2d", [x], shape, params, attrs)

    def linear(self, name, x, width):
        n, features = self.shapes[x]
        params = {"weight": ("weight", [width, features]), "bias": ("bias", [width])}
        return self.add_node(name, "linear", [x], [n, width], params)

    def batch_norm(self, name, x, epsilon=1e-5):
        channels = [self.shapes[x][1]]
        params = {"scale": ("weight", channels), "bias": ("bias", channels),
                  "mean": ("running_mean", channels), "var": ("running_var", channels)}
        return self.add_node(name, "batch_norm", [x], self.shapes[x], params,
                             {"epsilon": epsilon})

    def lrn(self, name, x, size, alpha=1e-4, beta=0.75, bias=1):
        return self.add_node(name, "lrn", [x], self.shapes[x], None,
                             {"size": size, "alpha": alpha, "beta": beta, "bias": bias})

    def pool(self, op, name, x, kernel, stride=None, pad=0, ceil=False):
        n, channels, *size = self.shapes[x]
        kernel, padding = pair(kernel), self.padding(pad)
        strides = pair(stride) if stride else kernel
        shape = [n, channels, *window(size, kernel, strides, padding, ceil)]
        attrs = {"kernel": kernel, "strides": strides, "padding": padding}
        if ceil:
            attrs["ceil_mode"] = True
        return self.add_node(name, op, [x], shape, None, attrs)

    def max_pool(self, name, x, kernel, stride=None, pad=0, ceil=False):
        return self.pool("max_pool", name, x, kernel, stride, pad, ceil)

    def avg_pool(self, name, x, kernel, stride=None, pad=0, ceil=False):
        return self.pool("avg_pool", name, x, kernel, stride, pad, ceil)

    def adaptive_avg_pool(self, name, x, size):
        return self.add_node(name, "adaptive_avg_pool", [x], self.shapes[x][:2] + pair(size), None,
                             {"output": pair(size)})

    def global_avg_pool(self, name, x):
        return self.add_node(name, "global_avg_pool", [x], [*self.shapes[x][:2], 1, 1])

    def relu(self, name, x):
        return self.elementwise("relu", name, x)

    def dropout(self, name, x):
        return self.elementwise("dropout", name, x)

    def elementwise(self, op, name, x):
        """Any operator of one input without attributes: relu6, hard_swish, sigmoid ..."""
        return self.add_node(name, op, [x], self.shapes[x])

    def add(self, name, a, b):
        assert self.shapes[a] == self.shapes[b], (name, self.shapes[a], self.shapes[b])
        return self.add_node(name, "add", [a, b], self.shapes[a])

    def concat(self, name, parts):
        """The channels of all parts, one after the other."""
        n, _, *size = self.shapes[parts[0]]
        assert all(self.shapes[x][2:] == size for x in parts), name
        channels = sum(self.shapes[x][1] for x in parts)
        return self.add_node(name, "concat", parts, [n, channels, *size], None, {"axis": 1})

    def flatten(self, name, x):
        n, *rest = self.shapes[x]
        return self.add_node(name, "flatten", [x], [n, math.prod(rest)])


def to_json(graph, weights=None):
    """The text of the model file: one node a line. `weights` is a file's name or, for random
    contents, a seed."""
    n, channels, *size = graph.shapes[graph.input]
    shape = [n, *size, channels] if graph.tensorflow else [n, channels, *size]
    entry = {"name": graph.input, "shape": shape, "type": "f32"}
    if graph.tensorflow:
        entry["layout"] = "NHWC"
    nodes = graph.nodes
    if isinstance(weights, int):
        weights = {"random": weights}
        nodes = [with_shapes(graph, node) for node in nodes]
    lines = ["{",
             '  "format": "kiln-graph", "version": 1,',
             f'  "name": {json.dumps(graph.name)},',
             f'  "weights": {json.dumps(weights or graph.name + ".safetensors")},',
             f'  "inputs": {json.dumps([entry])},',
             '  "nodes": [']
    lines += ["    " + json.dumps(node) + "," for node in nodes]
    lines[-1] = lines[-1][:-1]
    lines += ["  ],", f'  "outputs": {json.dumps(graph.outputs or [graph.output])}', "}"]
    return "\n".join(lines) + "\n"


def with_shapes(graph, node):
    """The node with the shapes of its tensors in place of their names."""
    if "params" not in node:
        return node
    params = {role: {"shape": graph.params[name]} for role, name in node["params"].items()}
    return {**node, "params": params}


def write(path, graph, weights=None):
    with open(path + ".partial", "w", encoding="utf-8") as file:
        file.write(to_json(graph, weights))
    os.replace(path + ".partial", path)


def read(path, tensors):
    """Read a file made by `write`; the shapes of its parameters come from its tensors."""
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    (entry,) = model["inputs"]
    tensorflow = entry.get("layout") == "NHWC"
    n, *rest = entry["shape"]
    graph = Graph(model["name"], [n, rest[2], *rest[:2]] if tensorflow else [n, *rest], tensorflow)
    graph.input = entry["name"]
    graph.shapes = {graph.input: graph.shapes["image"]}
    graph.nodes = model["nodes"]
    graph.outputs = model["outputs"]
    graph.output = graph.outputs[-1]
    graph.params = {name: list(array.shape) for name, array in tensors.items()}
    return graph
