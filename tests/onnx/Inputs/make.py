"""make.py TEST FOLDER - the ONNX models that a test describes, as FOLDER/NAME.onnx.

A test is Python with its commands in comments. It calls save(NAME, model(...)); what the helpers below
do not cover it changes in the message that model returns."""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def node(op, inputs, outputs, name="", domain="", **attrs):
    """A node; inputs and outputs are names with spaces between them, '-' where one is absent."""
    def names(text):
        return ["" if word == "-" else word for word in text.split()]
    return helper.make_node(op, names(inputs), names(outputs), name, domain=domain, **attrs)


def iota(*shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)


def ints(*values):
    return np.array(values, np.int64)


def tensor(name, values):
    if isinstance(values, TensorProto):
        values.name = name
        return values
    return numpy_helper.from_array(np.asarray(values), name)


def value(name, shape, elem=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, elem, shape)


def model(nodes, inputs, outputs, constants=None, opset=13, ir=7, name="m"):
    """inputs: name -> shape, or a value(...) for another element type; outputs: names with spaces between
    them; constants: name -> array."""
    graph = helper.make_graph(
        nodes, name,
        [v if not isinstance(v, (list, tuple)) else value(k, v) for k, v in inputs.items()],
        [value(k, None) for k in outputs.split()],
        [tensor(k, v) for k, v in (constants or {}).items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = ir
    return made


def save(name, made):
    contents = made if isinstance(made, bytes) else made.SerializeToString()
    with open(os.path.join(FOLDER, name + ".onnx"), "wb") as f:
        f.write(contents)


TEST, FOLDER = sys.argv[1:]
os.makedirs(FOLDER, exist_ok=True)
with open(TEST) as f:
    exec(compile(f.read(), TEST, "exec"))
