"""A torch module as a kiln model, through torch.fx: what tests and benchmarks feed to kiln."""
import operator

import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from kiln_model import Model


def pair(v):
    return [v, v] if isinstance(v, int) else list(v)


def array(t):
    return t.detach().to(torch.float32).numpy()


class Converter:
    def __init__(self, module, shape, name):
        self.module = module.eval()
        self.model = Model(name)
        self.graph = torch.fx.symbolic_trace(self.module)
        self.shape = shape
        self.names = {}

    def convert(self):
        for node in self.graph.graph.nodes:
            handler = getattr(self, "on_" + node.op)
            handler(node)
        return self.model

    def on_placeholder(self, node):
        self.names[node] = self.model.input(node.name, self.shape)

    def on_output(self, node):
        values = node.args[0]
        for v in values if isinstance(values, (tuple, list)) else [values]:
            self.model.output(self.names[v])

    def on_get_attr(self, node):
        raise NotImplementedError(node.target)

    def emit(self, node, op, inputs, params=None, **attrs):
        self.names[node] = self.model.node(node.name, op, [self.names[i] for i in inputs], params, **attrs)

    def on_call_module(self, node):
        m, x = self.graph.get_submodule(node.target), [node.args[0]]
        if isinstance(m, nn.Conv2d):
            p, d = pair(m.padding), pair(m.dilation)
            params = {"weight": array(m.weight)}
            if m.bias is not None:
                params["bias"] = array(m.bias)
            self.emit(node, "conv2d", x, params, strides=pair(m.stride), padding=[p[0], p[1], p[0], p[1]],
                      dilations=d, groups=m.groups)
        elif isinstance(m, nn.BatchNorm2d):
            self.emit(node, "batch_norm", x, {"scale": array(m.weight), "bias": array(m.bias),
                      "mean": array(m.running_mean), "var": array(m.running_var)}, epsilon=m.eps)
        elif isinstance(m, nn.Linear):
            params = {"weight": array(m.weight)}
            if m.bias is not None:
                params["bias"] = array(m.bias)
            self.emit(node, "linear", x, params)
        elif isinstance(m, (nn.MaxPool2d, nn.AvgPool2d)):
            self.pool(node, m)
        elif isinstance(m, nn.AdaptiveAvgPool2d):
            self.emit(node, "adaptive_avg_pool", x, output=pair(m.output_size))
        elif isinstance(m, nn.Flatten):
            self.emit(node, "flatten", x, axis=m.start_dim)
        elif isinstance(m, nn.Softmax):
            self.emit(node, "softmax", x, axis=m.dim)
        else:
            names = {nn.ReLU: "relu", nn.ReLU6: "relu6", nn.Sigmoid: "sigmoid", nn.Tanh: "tanh",
                     nn.Dropout: "dropout", nn.Identity: "identity", nn.SiLU: "silu",
                     nn.Hardswish: "hard_swish", nn.GELU: "gelu"}
            self.emit(node, names[type(m)], x)

    def pool(self, node, m):
        p = pair(m.padding)
        attrs = dict(kernel=pair(m.kernel_size), strides=pair(m.stride), padding=[p[0], p[1], p[0], p[1]],
                     ceil_mode=m.ceil_mode)
        if isinstance(m, nn.AvgPool2d):
            attrs["count_include_pad"] = m.count_include_pad
        else:
            attrs["dilations"] = pair(m.dilation)
        op = "max_pool" if isinstance(m, nn.MaxPool2d) else "avg_pool"
        self.emit(node, op, [node.args[0]], **attrs)

    def on_call_function(self, node):
        f, a = node.target, node.args
        if f in (operator.add, operator.iadd, torch.add):
            self.emit(node, "add", a[:2])
        elif f in (operator.mul, torch.mul):
            self.emit(node, "mul", a[:2])
        elif f is torch.cat:
            self.emit(node, "concat", a[0], axis=a[1] if len(a) > 1 else node.kwargs.get("dim", 0))
        elif f is torch.flatten:
            self.emit(node, "flatten", a[:1], axis=a[1] if len(a) > 1 else 0)
        elif f in (F.relu, torch.relu):
            self.emit(node, "relu", a[:1])
        elif f is F.dropout:
            self.emit(node, "dropout", a[:1])
        elif f is F.adaptive_avg_pool2d:
            self.emit(node, "adaptive_avg_pool", a[:1], output=pair(a[1]))
        else:
            raise NotImplementedError(f)

    def on_call_method(self, node):
        if node.target == "relu":
            self.emit(node, "relu", node.args[:1])
        elif node.target == "mean":
            axes = node.args[1] if len(node.args) > 1 else node.kwargs["dim"]
            self.emit(node, "reduce_mean", node.args[:1], axes=pair(axes), keepdims=False)
        else:
            raise NotImplementedError(node.target)


def random_weights(module, seed):
    """He-normal weights, and batch-norm statistics as after training; the module, ready to evaluate."""
    torch.manual_seed(seed)
    for m in module.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(m.weight)
            if m.bias is not None:
                nn.init.normal_(m.bias, std=0.1)
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.uniform_(m.weight, 0.3, 0.7)
            nn.init.uniform_(m.running_var, 0.5, 2.0)
            nn.init.normal_(m.running_mean, std=0.1)
    return module.eval()


def from_torch(module, shape, name):
    """The kiln model of `module` on one input of `shape`."""
    return Converter(module, shape, name).convert()
