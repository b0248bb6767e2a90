"""A network as kiln-graph JSON: built layer by layer, written and read.

A Graph holds the nodes exactly as the JSON file does. The functions of Graph add one node each
and return its name, which is also the name of its value.
"""

import json
import os


def pair(value):
    return list(value) if isinstance(value, (list, tuple)) else [value, value]


def window(size, kernel, strides, padding):
    """Height and width of a convolution's or pool's output."""
    return [(size[i] + padding[i] + padding[i + 2] - kernel[i]) // strides[i] + 1
            for i in range(2)]


class Graph:
    def __init__(self, name, input_shape):
        self.name = name
        self.input = "image"
        self.nodes = []
        self.output = None
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

    def conv(self, name, x, width, kernel, stride=1, pad=0, groups=1, bias=True):
        n, channels, *size = self.shapes[x]
        kernel, strides, padding = pair(kernel), pair(stride), pair(pad) * 2
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

    def max_pool(self, name, x, kernel, stride=None, pad=0):
        n, channels, *size = self.shapes[x]
        kernel, padding = pair(kernel), pair(pad) * 2
        strides = pair(stride) if stride else kernel
        shape = [n, channels, *window(size, kernel, strides, padding)]
        return self.add_node(name, "max_pool", [x], shape, None,
                             {"kernel": kernel, "strides": strides, "padding": padding})

    def relu(self, name, x):
        return self.add_node(name, "relu", [x], self.shapes[x])

    def dropout(self, name, x):
        return self.add_node(name, "dropout", [x], self.shapes[x])

    def add(self, name, a, b):
        assert self.shapes[a] == self.shapes[b], (name, self.shapes[a], self.shapes[b])
        return self.add_node(name, "add", [a, b], self.shapes[a])

    def global_avg_pool(self, name, x):
        return self.add_node(name, "global_avg_pool", [x], [*self.shapes[x][:2], 1, 1])

    def flatten(self, name, x):
        n, *rest = self.shapes[x]
        features = 1
        for extent in rest:
            features *= extent
        return self.add_node(name, "flatten", [x], [n, features])


def to_json(graph):
    """The text of the model file: one node a line."""
    inputs = [{"name": graph.input, "shape": graph.shapes[graph.input], "type": "f32"}]
    lines = ["{",
             '  "format": "kiln-graph", "version": 1,',
             f'  "name": {json.dumps(graph.name)},',
             f'  "weights": {json.dumps(graph.name + ".safetensors")},',
             f'  "inputs": {json.dumps(inputs)},',
             '  "nodes": [']
    lines += ["    " + json.dumps(node) + "," for node in graph.nodes]
    lines[-1] = lines[-1][:-1]
    lines += ["  ],", f'  "outputs": {json.dumps([graph.output])}', "}"]
    return "\n".join(lines) + "\n"


def write(path, graph):
    with open(path + ".partial", "w", encoding="utf-8") as file:
        file.write(to_json(graph))
    os.replace(path + ".partial", path)


def read(path, tensors):
    """Read a file made by `write`; the shapes of its parameters come from its tensors."""
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    graph = Graph(model["name"], model["inputs"][0]["shape"])
    graph.input = model["inputs"][0]["name"]
    graph.shapes = {graph.input: model["inputs"][0]["shape"]}
    graph.nodes = model["nodes"]
    (graph.output,) = model["outputs"]
    graph.params = {name: list(array.shape) for name, array in tensors.items()}
    return graph
