"""Modules that stand in for TensorFlow 1, TF-Slim and its networks.

They have the names and signatures of `tf_slim_signatures.json`, which were read from the sources,
and nothing else: a wrong module, function or argument is an error, as it is there. What is called
builds our networks.
"""

import functools
import inspect
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from model_zoo import Graph, Tensor, activations, arg_scope, build_graph, find_architecture, values
from model_zoo.graph import current_graph
from model_zoo.layers import find_op
from model_zoo.zoo import ends_itself

FACTS: Any = json.loads(Path(__file__).with_name("tf_slim_signatures.json").read_text())
_XCEPTION = "deeplab.core.xception"
# Our networks by TF-Slim's: its factory lists most.
NETWORKS = {
    **{network: name for name, (network, _) in FACTS["factory"].items()},
    "nets.mobilenet.mobilenet_v2.mobilenet_v2_050": "mobilenet_v2_050",
    **{f"{_XCEPTION}.xception_{layers}": f"xception_{layers}" for layers in (41, 65, 71)},
}
# Networks of ours whose default scope is that of a function of TF-Slim.
_SCOPES = {
    **{scope: name for name, (_, scope) in FACTS["factory"].items()},
    **{f"nets.inception_{v}.inception_{v}_arg_scope": f"inception_{v}" for v in ("v1", "v2")},
    f"{_XCEPTION}.xception_arg_scope": "xception_41",
}
_ACTIVATIONS = ("relu", "relu6", "elu", "selu", "tanh", "sigmoid", "softplus", "softsign", "swish")
_INITIALIZERS = (
    "constant",
    "ones",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "zeros",
)


class _Op:
    """A scoped op as a module has it."""

    def __init__(self, name: str, arguments: Mapping[str, str | None]) -> None:
        self.function, self.arguments = find_op(name), arguments


def run(code: str, input_shape: Sequence[int]) -> Graph:
    """Return the graph that TF-Slim's code builds on images of a shape."""

    def network(inputs: Tensor) -> Tensor:
        names: dict[str, Any] = {}
        with patch.dict(sys.modules, _modules(inputs)):
            exec(compile(code, "tf_slim.py", "exec"), names)
        output: Tensor = names["net"]
        return output

    return build_graph(network, input_shape)


def _modules(images: Tensor) -> dict[str, ModuleType]:
    modules: dict[str, ModuleType] = {}

    def module(path: str) -> Any:
        """Return a module, in its packages."""
        if path not in modules:
            modules[path] = ModuleType(path)
            package, _, name = path.rpartition(".")
            if package:
                setattr(module(package), name, modules[path])
        return modules[path]

    tf = module("tensorflow.compat.v1")
    _fill_tensorflow(tf, images)
    slim = module("tf_slim")
    _fill_slim(slim)
    module("tensorflow.contrib").slim = slim
    names = {"slim": slim, "tf": tf}
    for path, ops in FACTS["ops"].items():
        for name, arguments in ops.items():
            setattr(module(path), name, _Op(name, arguments))
    for path, functions in FACTS["networks"].items():
        for name, arguments in functions.items():
            whole = f"{path}.{name}"
            if whole in NETWORKS:
                ours = _network(NETWORKS[whole])
            elif whole in _SCOPES:
                ours = find_architecture(_SCOPES[whole]).arg_scope
            else:
                continue
            setattr(module(path), name, _checked(name, arguments, ours, names))
    module("nets.i3d_utils").center_initializer = values.center_initializer
    module("nets.mobilenet.mobilenet_v3").hard_swish = activations.hard_swish
    for path, configs in FACTS["configs"].items():
        for name, fields in configs.items():
            setattr(module(path), name, functools.partial(_Config, fields))
    return modules


def _fill_tensorflow(tf: Any, images: Tensor) -> None:
    names = (*_ACTIVATIONS, "leaky_relu")
    tf.nn = SimpleNamespace(**{name: getattr(activations, name) for name in names})
    for name in _INITIALIZERS:
        setattr(tf, f"{name}_initializer", getattr(values, f"{name}_initializer"))
    tf.GraphKeys = SimpleNamespace(UPDATE_OPS="update_ops")
    tf.float32 = "float32"
    tf.disable_v2_behavior = lambda: None

    def placeholder(dtype: str, shape: Sequence[int | None]) -> Tensor:
        assert (dtype, tuple(shape)) == ("float32", images.shape)
        return images

    tf.placeholder = placeholder


def _fill_slim(slim: Any) -> None:
    for name, arguments in FACTS["slim"].items():
        setattr(slim, name, _Op(name, arguments))
    for name, arguments in FACTS["values"].items():
        setattr(slim, name, _checked(name, arguments, getattr(values, name), {}, complete=False))
    slim.arg_scope = _arg_scope


def _arg_scope(target: Any, **arguments: Any) -> arg_scope:
    """Enter a level, if each of the ops has each argument."""
    if isinstance(target, Mapping):
        return arg_scope(target, **arguments)
    for op in target:
        for name in arguments:
            if name not in op.arguments:
                raise TypeError(f"{op.function.__name__} got an unexpected argument {name!r}")
    given = {name: _translated(value) for name, value in arguments.items()}
    return arg_scope([op.function for op in target], **given)


def _translated(value: Any) -> Any:
    """Return a value of TF-Slim's code as ours."""
    match value:
        case _Op():
            return value.function
        case functools.partial():
            assert value.func == activations.leaky_relu
            return activations.leaky_relu_with(**value.keywords)
        case Mapping():
            return {key: _translated(inner) for key, inner in value.items()}
    return value


def _checked(
    name: str,
    arguments: Mapping[str, str | None],
    ours: Callable[..., Any],
    names: Mapping[str, Any],
    *,
    complete: bool = True,
) -> Callable[..., Any]:
    """Return a function of a signature that calls ours, with its own defaults if `complete`."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    signature = inspect.Signature(
        [
            inspect.Parameter(each, kind)
            if default is None
            else inspect.Parameter(each, kind, default=_Default(default))
            for each, default in arguments.items()
        ]
    )
    known = inspect.signature(ours).parameters

    def function(*args: Any, **keywords: Any) -> Any:
        bound = signature.bind(*args, **keywords)
        given = dict(bound.arguments)
        if complete:
            bound.apply_defaults()
        values_: dict[str, Any] = {}
        for (each, value), ours_name in zip(
            bound.arguments.items(), _our_names(bound.arguments, known), strict=True
        ):
            if ours_name in known:
                is_default = isinstance(value, _Default)
                value = eval(value.source, dict(names)) if is_default else value
                values_[ours_name] = _translated(value)
            else:
                assert each not in given, f"{name} of ours has no {each}"
        return ours(**values_)

    return function


class _Default:
    """The source of a default value."""

    def __init__(self, source: str) -> None:
        self.source = source


def _our_names(names: Mapping[str, Any], known: Mapping[str, Any]) -> list[str]:
    """Return our names of arguments: only what comes first, the images, may have another."""
    first, *others = names
    images = next(iter(known)) if first in ("input_tensor", "images", "inputs") else first
    return [images, *others]


class _Config:
    """NASNet's configuration, as TensorFlow 1's HParams checks it."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = dict(fields)

    def set_hparam(self, name: str, value: Any) -> None:
        old = self.fields[name]
        if isinstance(old, bool) != isinstance(value, bool):
            raise ValueError(f"{name} must not turn a number into a boolean, or the reverse")
        if isinstance(old, int) and not isinstance(value, int):
            raise ValueError(f"{name} must be an integer")
        self.fields[name] = value


def _network(architecture: str) -> Callable[..., Any]:
    """Return what builds our network, called as TF-Slim's: it returns end points too."""
    network = find_architecture(architecture).network
    signature = inspect.signature(network)

    def build(**params: Any) -> tuple[Tensor, dict[str, Tensor]]:
        config = params.pop("config", None)
        if config is not None:
            for name, value in config.fields.items():
                if name in signature.parameters:
                    kind = type(signature.parameters[name].default)
                    params[name] = kind(value)
        if params.get("current_step", 0) is None:  # the step of training: 0 at its start
            del params["current_step"]
        if not ends_itself(network):
            current_graph().final_endpoint = params.pop("final_endpoint", None)
        return network(**params), {}

    extra = {"config", "final_endpoint"} - signature.parameters.keys()
    kind = inspect.Parameter.KEYWORD_ONLY
    build.__signature__ = signature.replace(  # type: ignore[attr-defined]  # what _checked reads
        parameters=[
            *signature.parameters.values(),
            *(inspect.Parameter(name, kind, default=None) for name in sorted(extra)),
        ]
    )
    return build
