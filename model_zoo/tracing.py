"""From spec to graph: run the network on symbols inside the scopes that the spec asks for."""

import contextlib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from model_zoo.architectures.registry import Architecture
from model_zoo.arg_scope import arg_scope
from model_zoo.errors import BudgetError, Problem, SizeError, SpecError, ZooError, spell_names
from model_zoo.graph import Graph, Node, Tensor
from model_zoo.mistakes import build_network
from model_zoo.provenance import written_as
from model_zoo.reports.explanation import Explanation, explain
from model_zoo.reports.summary import Summary, layer_nodes, summarize
from model_zoo.spec import BuildSpec, Resolved
from model_zoo.zoo import default_scope, ends_itself


@dataclass(frozen=True, slots=True)
class Budget:
    """What a build may cost; None is no limit. `setting_prefix` spells a limit in messages.

    Multiply-adds and activations are those of one example, activations at their peak.
    """

    max_parameters: int | None = None
    max_multiply_adds: int | None = None
    max_activation_bytes: int | None = None
    max_layers: int | None = None
    max_scopes: int | None = None
    setting_prefix: str = ""

    def check_scopes(self, count: int) -> None:
        """Raises: BudgetError if there are too many scope levels."""
        self._check({"max_scopes": ("scope levels", count)}, "/scopes")

    def check(self, summary: Summary) -> None:
        """Raises: BudgetError with a problem for each limit that the build exceeds."""
        totals = summary.totals
        self._check(
            {
                "max_parameters": ("parameters", totals["parameters"]),
                "max_multiply_adds": ("multiply-adds", totals["multiply_adds"]),
                "max_activation_bytes": (
                    "bytes of activations at their peak",
                    totals["peak_activation_bytes"],
                ),
                "max_layers": ("layers", totals["layers"]),
            }
        )

    def _check(self, figures: Mapping[str, tuple[str, int]], pointer: str = "") -> None:
        problems = []
        for name, (what, figure) in figures.items():
            limit = getattr(self, name)
            if limit is not None and figure > limit:
                setting = f"{self.setting_prefix}{name}"
                setting = setting.upper() if self.setting_prefix else setting
                problems.append(
                    Problem(
                        f"This build has {figure} {what}; the limit is {limit} ({setting}).",
                        pointer,
                        figure,
                    )
                )
        if problems:
            raise BudgetError(*problems)


class Trace:
    """A traced build: its graph, and the reports that need no numbers."""

    def __init__(self, spec: BuildSpec, graph: Graph) -> None:
        self.spec = spec
        self.graph = graph

    @property
    def architecture(self) -> Architecture:
        """The catalogue's entry of the network."""
        return self.spec.resolved().entry

    @property
    def classes(self) -> int | None:
        """The number of classes of the output; None if it is features, or a map of classes."""
        params = self.spec.resolved().params
        classes = params.get("num_classes")
        ends_early = params["final_endpoint"] and not ends_itself(self.architecture.network)
        if not classes or ends_early or self.graph.output.size != classes:
            return None
        return int(classes)

    def summary(self) -> Summary:
        """Return layers, shapes, parameters, multiply-adds and memory."""
        return self._summary

    @functools.cached_property
    def _summary(self) -> Summary:
        return summarize(self.graph)

    def layer_nodes(self) -> tuple[tuple[Node, ...], ...]:
        """Return the nodes of each layer, in the order of the summary's rows."""
        return layer_nodes(self.graph)

    def explanation(self) -> Explanation:
        """Return who set each argument of each call, and what became of each override."""
        return self._explanation

    @functools.cached_property
    def _explanation(self) -> Explanation:
        levels = self.spec.resolved().levels
        return explain(self.graph.calls, self.spec.architecture, levels)

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before using the build.

        A default scope left out, parameters and levels without effect, nulls that a forced level
        replaced, and layers that train although the spec does not.
        """
        explanation = self._explanation
        problems = [
            *self.graph.notes,
            *explanation.without_effect(),
            *explanation.replaced_nulls(),
        ]
        warnings = [str(problem) for problem in problems]
        if self.spec.default_scope is None:
            function = self.architecture.arg_scope.__name__
            warnings.insert(
                0,
                f"/default_scope: null leaves out {function}; published checkpoints of "
                f"{self.spec.architecture} were made inside it.",
            )
        if not self.spec.is_training:
            warnings += self._training_layers()
        return tuple(warnings)

    def _training_layers(self) -> Iterator[str]:
        mixing, random = (
            spell_names((node.name for node in nodes), 20)
            for nodes in (self.graph.batch_statistics_nodes, self.graph.random_nodes)
        )
        if mixing:
            yield (
                f"{mixing}: is_training of batch_norm is true there, so it uses the statistics of "
                "the batch: the rows of a request change each other's outputs, and requests are "
                "computed one at a time. With is_training false, it uses its moving averages."
            )
        if random:
            yield (
                f"{random}: is_training of dropout is true there, so it drops at random, and "
                "predictions are refused. With is_training false, it does nothing."
            )


def trace(spec: BuildSpec, budget: Budget | None = None) -> Trace:
    """Run a spec's network on symbols and return what it recorded.

    The architecture's default scope is entered first, then the spec's levels in order, whatever is
    active outside: the same spec gives the same trace.

    Raises: BuildError if the network refuses, BudgetError if the result is too large, SpecError if
    the spec is strict, and a pattern or an override has no effect.
    """
    budget = budget or Budget()
    resolved = spec.resolved()
    budget.check_scopes(len(resolved.levels))
    try:
        graph = _run(resolved, spec.is_training)
    except SizeError as error:
        raise error.with_remedy(_remedy(spec)) from error
    result = Trace(spec, graph)
    budget.check(result.summary())
    if spec.strict:
        problems = [spec.as_sent(problem) for problem in result.explanation().without_effect()]
        if problems:
            raise SpecError(*problems)
    return result


def _run(resolved: Resolved, is_training: bool) -> Graph:
    params = dict(resolved.params)
    itself = ends_itself(resolved.entry.network)
    final_endpoint = None if itself else params.pop("final_endpoint")

    def network(inputs: Tensor) -> Tensor:
        with written_as("network"):
            return resolved.entry.network(inputs, is_training=is_training, **params)

    with contextlib.ExitStack() as scopes:
        scopes.enter_context(arg_scope({}))
        if resolved.default_scope is not None:
            own = default_scope(resolved.entry, dict(resolved.default_scope))
            scopes.enter_context(arg_scope(own))
        for level in resolved.levels:
            scopes.enter_context(
                arg_scope.from_request(
                    level.ops,
                    level.arguments,
                    level.pointer + "/args",
                    layers=level.layers,
                    is_forced=level.is_forced,
                )
            )
        return build_network(
            resolved.entry, network, resolved.input_shape, final_endpoint=final_endpoint
        )


# TF-Slim's parameters of heads, and the value with which a head fits inputs of other sizes.
_HEAD_PARAMETERS: Mapping[str, JsonValue] = {
    "create_aux_logits": False,
    "global_pool": True,
    "fc_conv_padding": "SAME",
    "spatial_squeeze": False,
}


def _remedy(spec: BuildSpec) -> str:
    """Return with which changes a network builds whose layer does not fit its input.

    Every change is tried: advice that does not help is worse than none. The parameters of the head
    are tried one by one, and if none of them alone is enough, together.
    """
    resolved, document = spec.resolved(), spec.normalized()
    own = list(resolved.entry.input_shape)
    heads = {
        name: value
        for name, value in _HEAD_PARAMETERS.items()
        if name in resolved.params and resolved.params[name] != value
    }

    def building(changes: Iterable[dict[str, JsonValue]]) -> list[str]:
        return [
            f"params {json.dumps(change)}"
            for change in changes
            if _builds({**document, "params": {**document["params"], **change}})
        ]

    remedies = building({name: value} for name, value in heads.items())
    if not remedies and len(heads) > 1:
        # A class for each position is another output; the others leave one class a picture.
        heads.pop("spatial_squeeze", None)
        remedies = building([heads])
    if list(resolved.input_shape) != own and _builds({**document, "input_shape": own}):
        remedies.append(f"input_shape {own}")
    if not remedies:
        return "neither other params of its head nor its own input_shape would avoid that"
    return f"it builds with {' or with '.join(remedies)}"


def _builds(document: Mapping[str, Any]) -> bool:
    try:
        spec = BuildSpec.read(document)
        _run(spec.resolved(), spec.is_training)
    except ZooError:
        return False
    return True
