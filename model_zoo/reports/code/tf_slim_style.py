"""A build as TF-Slim's nested `with slim.arg_scope(...)` around the network's call."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from model_zoo.arg_scope import scoped_op
from model_zoo.errors import Problem, ZooError, json_pointer
from model_zoo.levels import Level
from model_zoo.reports.code.imports import Imports
from model_zoo.reports.code.layout import (
    Expression,
    Group,
    call,
    entered_one_by_one,
    is_deep,
    nested,
    prefixed,
)
from model_zoo.reports.code.spelling import (
    Spelling,
    changed,
    kind_of,
    ops_in_order,
    spelled_params,
    text,
    weights_comments,
)
from model_zoo.reports.code.tf_slim_names import (
    NASNET_CONFIG,
    NUMBERS_OF_CONFIG,
    SLIM_NETWORKS,
    SLIM_OPS,
    SlimNetwork,
)
from model_zoo.signatures import signature_of, to_wire
from model_zoo.spec import BuildSpec
from model_zoo.values import Named, makers
from model_zoo.zoo import network_parameters

# Where TensorFlow 1, TF-Slim and its networks have the values that a spec names.
HOMES = {
    **dict.fromkeys(
        (
            "elu",
            "leaky_relu",
            "relu",
            "relu6",
            "selu",
            "sigmoid",
            "softplus",
            "softsign",
            "swish",
            "tanh",
        ),
        "tf.nn",
    ),
    **dict.fromkeys(
        (
            "constant_initializer",
            "ones_initializer",
            "random_normal_initializer",
            "random_uniform_initializer",
            "truncated_normal_initializer",
            "zeros_initializer",
        ),
        "tf",
    ),
    **dict.fromkeys(
        (
            "l1_l2_regularizer",
            "l1_regularizer",
            "l2_regularizer",
            "variance_scaling_initializer",
            "xavier_initializer",
        ),
        "slim",
    ),
    "center_initializer": "nets.i3d_utils",
    "hard_swish": "nets.mobilenet.mobilenet_v3",
}


def tf_slim_code(spec: BuildSpec) -> str:
    """Return the code that builds a spec's network with TF-Slim.

    Arguments at TF-Slim's own defaults are left out.
    Raises: ZooError with a problem for each part of the spec that TF-Slim cannot express.
    """
    name = spec.architecture
    network = SLIM_NETWORKS.get(name)
    if network is None:
        raise ZooError(Problem(f"TF-Slim has no network {name}.", "/architecture", name))
    writer = _Writer(spec, network)
    lines = writer.lines()
    if writer.problems:
        raise ZooError(*writer.problems)
    return "\n".join([*lines, ""])


class _Spelling(Spelling):
    """Spells functions as TensorFlow 1 and TF-Slim have them, and imports their modules."""

    def __init__(self, network: SlimNetwork, problems: list[Problem]) -> None:
        self.imports = Imports("config", "end_points", "images", "net", "scopes", "contextlib")
        self.imports.module("tensorflow.compat.v1", "tf")
        if network.needs_contrib:
            self.imports.member("tensorflow.contrib", "slim")
        else:
            self.imports.module("tf_slim", "slim")
        self._network = network
        self._problems = problems

    def op(self, function: Callable[..., Any], pointer: str) -> str:
        name = scoped_op(function).name
        if name in SLIM_OPS:
            return f"slim.{name}"
        if name in self._network.ops:
            return f"{self.module(self._network.ops[name])}.{name}"
        rule = f"{self._network.function} of TF-Slim has no op {name} that a scope can reach."
        self._problems.append(Problem(rule, pointer, name))
        return name

    def module(self, path: str) -> str:
        """Import a module of networks, and return the name it has here."""
        package, _, name = path.rpartition(".")
        return self.imports.member(package, name)

    def named(self, value: Named, pointer: str) -> Expression:
        name, kind = value.name, kind_of(value)
        home = HOMES.get(name)
        if home is None:
            known = ", ".join(sorted(makers(kind).keys() & HOMES))
            rule = f"TF-Slim and TensorFlow 1 have no {kind} {name}; they have {known}."
            self._problems.append(Problem(rule, pointer, value.to_wire()))
            return name
        function = f"{self.module(home) if home.startswith('nets.') else home}.{name}"
        arguments = tuple(self.maker_arguments(value, pointer))
        if kind != "activation":
            return call(function, *arguments)
        if not arguments:
            return function
        return call(f"{self.imports.module('functools')}.partial", function, *arguments)


class _Writer:
    """Writes the code of one spec; `problems` are the parts of it that TF-Slim cannot express."""

    def __init__(self, spec: BuildSpec, network: SlimNetwork) -> None:
        self.problems: list[Problem] = []
        self._spec, self._network = spec, network
        self._resolved = spec.resolved()
        self._spelling = _Spelling(network, self.problems)
        self._module = self._spelling.module(network.module)

    def lines(self) -> list[str]:
        """Return the lines of the code."""
        scopes = self._scopes()
        config = list(self._config())
        function = f"{self._module}.{self._network.function}"
        result = call(
            function, "images", *self._arguments(), *(["config=config"] if config else [])
        )
        statement = prefixed("net, end_points = ", result)
        imports = self._spelling.imports
        if is_deep(scopes):
            imports.module("contextlib")
            body = entered_one_by_one(scopes, statement)
        else:
            body = nested(scopes, statement)
        self._check_input()
        shape = ", ".join(["None", *map(str, self._resolved.input_shape)])
        lines = [f"images = tf.placeholder(tf.float32, [{shape}])", *config, *body]
        start = ["", "tf.disable_v2_behavior()", "", *weights_comments(self._spec)]
        return [*imports.lines(), *start, *lines]

    def _scopes(self) -> list[Expression]:
        scopes: list[Expression] = []
        if self._resolved.default_scope is not None:
            signature = signature_of(self._resolved.entry.arg_scope)
            given = changed(self._resolved.default_scope, signature)
            arguments = self._spelling.keywords(given, "/default_scope")
            own = call(f"{self._module}.{self._network.arg_scope}", *arguments)
            scopes.append(call("slim.arg_scope", own))
        return scopes + [self._scope(level) for level in self._resolved.levels]

    def _scope(self, level: Level) -> Expression:
        self.problems += self._inexpressible(level)
        ops = tuple(
            self._spelling.op(function, f"{level.pointer}/ops/{index}")
            for index, function in enumerate(ops_in_order(level))
        )
        arguments = self._spelling.keywords(level.arguments, f"{level.pointer}/args")
        return call("slim.arg_scope", Group("[", ops, "]"), *arguments)

    def _inexpressible(self, level: Level) -> Iterator[Problem]:
        where = level.pointer
        if level.layers is not None:
            if level.layers.patterns != ("*",):
                yield Problem(
                    "TF-Slim cannot limit a scope to layers: it reaches every call of its ops.",
                    f"{where}/layers",
                    list(level.layers.patterns),
                )
            if level.layers.excluded:
                yield Problem(
                    "TF-Slim cannot except layers from a scope: it reaches every call of its ops.",
                    f"{where}/except",
                    list(level.layers.excluded),
                )
        if level.is_forced:
            yield Problem(
                "TF-Slim cannot force a scope: what the network passes to a call beats it.",
                f"{where}/force",
                True,
            )
        name = self._network.function
        for function in ops_in_order(level):
            op = scoped_op(function)
            for argument, value in level.arguments.items():
                value = to_wire(value)
                pointer = f"{where}/args{json_pointer(argument)}"
                if argument in self._network.op_lacks.get(op.name, ()):
                    rule = f"{op.name} of TF-Slim has no argument {argument}."
                    yield Problem(rule, pointer, value)
                elif self._is_positional(function, argument):
                    rule = (
                        f"{name} of TF-Slim passes {argument} to {op.name} by position, so a scope "
                        "that sets it is an error there."
                    )
                    yield Problem(rule, pointer, value)

    def _is_positional(self, function: Callable[..., Any], argument: str) -> bool:
        """Return whether the network passes an argument of an op by position."""
        required = signature_of(function).arguments[argument].required
        return required or argument in self._network.positional.get(scoped_op(function).name, ())

    def _arguments(self) -> Iterator[Expression]:
        params = spelled_params(self._spec, network_parameters(self._resolved.entry))
        end = params.pop("final_endpoint", None)
        for name, value in params.items():
            if name in self._network.lacks:
                rule = f"{self._network.function} of TF-Slim has no parameter {name}."
                self.problems.append(Problem(rule, f"/params/{name}", to_wire(value)))
            elif self._network.config is None or name not in NASNET_CONFIG:
                yield prefixed(f"{name}=", self._spelling.value(value, f"/params/{name}"))
        if end is not None:
            if self._network.ends is None:
                rule = (
                    f"{self._network.function} of TF-Slim cannot end at an end point: it has no "
                    "parameter final_endpoint."
                )
                self.problems.append(Problem(rule, "/params/final_endpoint", end))
            elif not re.fullmatch(self._network.ends, end):
                rule = f"{self._network.function} of TF-Slim cannot return {end}."
                self.problems.append(Problem(rule, "/params/final_endpoint", end))
            yield f"final_endpoint={text(end)}"

    def _config(self) -> Iterator[str]:
        """Yield the statements that make a NASNet's configuration, if it is not the default."""
        if self._network.config is None:
            return
        params = changed(self._resolved.params, network_parameters(self._resolved.entry))
        values = {name: value for name, value in params.items() if name in NASNET_CONFIG}
        if values:
            yield f"config = {self._module}.{self._network.config}()"
        for name, value in values.items():
            number = int(value) if name in NUMBERS_OF_CONFIG else value
            yield f"config.set_hparam({text(name)}, {number!r})"

    def _check_input(self) -> None:
        """Refuse what TF-Slim's S3D-G does not take: its gating swaps width and height."""
        shape = self._resolved.input_shape
        if self._network.module == "nets.s3dg" and shape[1] != shape[2]:
            rule = f"s3dg of TF-Slim takes square frames; received {shape[1]} x {shape[2]}."
            self.problems.append(Problem(rule, "/input_shape", list(shape)))
