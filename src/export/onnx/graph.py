"""An ONNX graph that is written node by node."""
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 20  # the first one with Gelu
_IR_VERSION = 9
_TYPES = {"float": TensorProto.FLOAT, "int64": TensorProto.INT64}

Dimensions = Sequence[int | str]  # names stand for dimensions of any size


class Graph:
    """Nodes, constants, inputs and outputs. Methods return the names of results."""

    def __init__(self, name: str):
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, kind: str, dimensions: Dimensions) -> str:
        """Declare an input; `kind` is "float" or "int64"."""
        self._inputs.append(helper.make_tensor_value_info(name, _TYPES[kind], dimensions))
        return name

    def output(self, value: str, name: str, kind: str, dimensions: Dimensions) -> None:
        """Declare an output with the content of a value."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, _TYPES[kind], dimensions))

    def constant(self, name: str, array: np.ndarray) -> str:
        """Return a constant; one that has been declared under this name before is used again."""
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.array(array, order="C"), name)
        return name

    def number(self, value: float) -> str:
        """Return a float constant without dimensions."""
        return self.constant(f"number_{value!r}", np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """Return a vector of integers."""
        return self.constant(f"integers_{'_'.join(map(str, values))}", np.array(values, np.int64))

    def index(self, value: int) -> str:
        """Return an integer without dimensions."""
        return self.constant(f"index_{value}", np.array(value, np.int64))

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node and return its only result."""
        result = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [result], name=f"node_{len(self._nodes)}", **attributes))
        return result

    def save(self, path: str) -> None:
        """Check the graph and write it."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs,
                                  list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION,
                                  producer_name="MASS on MindSpore")
        onnx.checker.check_model(model, full_check=True)
        onnx.save_model(model, path)
