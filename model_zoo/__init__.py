"""TF-Slim's arg scopes and network zoo, traced without TensorFlow and lowered to Keras 3.

    >>> import model_zoo
    >>> spec = model_zoo.BuildSpec.read({"architecture": "lenet", "params": {"num_classes": 7}})
    >>> trace = model_zoo.trace(spec)
    >>> trace.summary().totals["parameters"]
    3271559

`materialize`, the weight formats and the preprocessing need NumPy, Keras or Pillow and are imported
when they are first used, so that everything else starts fast and without TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from model_zoo import layers
from model_zoo.architectures.registry import Architecture, architecture
from model_zoo.arg_scope import (
    ArgScope,
    add_arg_scope,
    arg_scope,
    arg_scoped_arguments,
    current_arg_scope,
    has_arg_scope,
)
from model_zoo.errors import (
    BudgetError,
    BuildError,
    InputError,
    Problem,
    ScopeError,
    SpecError,
    WeightsError,
    ZooError,
)
from model_zoo.graph import Graph, Node, Tensor, Variable, end_point, variable_scope
from model_zoo.spec import BuildSpec
from model_zoo.strict_json import read_json
from model_zoo.trace import Budget, Trace, trace
from model_zoo.zoo import (
    architectures,
    describe_architecture,
    describe_op,
    find_architecture,
    ops,
)

if TYPE_CHECKING:
    from model_zoo.lowering import Model, materialize
    from model_zoo.preprocessing import decode_image, preprocess
    from model_zoo.weights.files import FORMATS as WEIGHT_FORMATS

__all__ = [
    "WEIGHT_FORMATS",
    "Architecture",
    "ArgScope",
    "Budget",
    "BudgetError",
    "BuildError",
    "BuildSpec",
    "Graph",
    "InputError",
    "Model",
    "Node",
    "Problem",
    "ScopeError",
    "SpecError",
    "Tensor",
    "Trace",
    "Variable",
    "WeightsError",
    "ZooError",
    "add_arg_scope",
    "architecture",
    "architectures",
    "arg_scope",
    "arg_scoped_arguments",
    "current_arg_scope",
    "decode_image",
    "describe_architecture",
    "describe_op",
    "end_point",
    "find_architecture",
    "has_arg_scope",
    "layers",
    "materialize",
    "ops",
    "preprocess",
    "read_json",
    "trace",
    "variable_scope",
]

_LAZY = {
    "Model": ("model_zoo.lowering", "Model"),
    "materialize": ("model_zoo.lowering", "materialize"),
    "decode_image": ("model_zoo.preprocessing", "decode_image"),
    "preprocess": ("model_zoo.preprocessing", "preprocess"),
    "WEIGHT_FORMATS": ("model_zoo.weights.files", "FORMATS"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value
