"""From spec to graph: run the network on symbols inside the scopes that the spec asks for."""

import functools
from collections.abc import Iterator

from model_zoo.architectures.registry import Architecture
from model_zoo.budget import Budget
from model_zoo.errors import BuildError, SpecError, spell_names
from model_zoo.graph import Graph, Node
from model_zoo.network_runs import run_network
from model_zoo.predicted_signal.prediction import PredictedSignal, predict_signal
from model_zoo.remedies import with_remedy
from model_zoo.reports.explanation import Explanation, explain
from model_zoo.reports.graph_report import GraphReport
from model_zoo.reports.network_graph import NetworkGraph
from model_zoo.reports.overrides import Overrides
from model_zoo.reports.scope_at_layer import LayerScopeDocument, scope_at_layer
from model_zoo.reports.summary import Summary, layer_nodes, summarize
from model_zoo.spec import BuildSpec, Resolved
from model_zoo.zoo import default_scope, ends_itself


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

    def predicted_signal(self) -> PredictedSignal:
        """Return the size of the signal at each layer at initialization, without TensorFlow."""
        return self._predicted_signal

    @functools.cached_property
    def _predicted_signal(self) -> PredictedSignal:
        return predict_signal(self.graph, self.spec.weights)

    def explanation(self) -> Explanation:
        """Return who set each argument of each call, and what became of each override."""
        return self._explanation

    @functools.cached_property
    def _explanation(self) -> Explanation:
        return explain(self.graph.calls, self.overrides)

    @functools.cached_property
    def overrides(self) -> Overrides:
        """What became of the spec's overrides: calls reached and won, and who beat them."""
        levels = self.spec.resolved().levels
        return Overrides(self.spec.architecture, levels, self.graph.calls)

    def graph_report(self, depth: int | None = None) -> GraphReport:
        """Return nodes, edges, scopes and layers; `depth` draws deeper scopes as one node each.

        Raises: OptionError if the depth is below 1.
        """
        return GraphReport(NetworkGraph(self, depth))

    def scope_at(self, layer: str) -> LayerScopeDocument:
        """Return the scope in force at a layer, as the body of a saved scope.

        Raises: ZooError if there is no such layer.
        """
        return scope_at_layer(self.graph.calls, layer)

    def code(self, style: str = "python") -> str:
        """Return the code of the build: scopes around the network's call.

        Style `python` is for this library: its `graph` is this trace's, and each argument of each
        call has the same value. Style `tf-slim` is for TF-Slim and its networks.

        Raises: OptionError for another style; ZooError with a problem for each part of the spec
        that TF-Slim cannot express.
        """
        # Imported here: it takes longer than a trace, and few traces are written as code.
        from model_zoo.reports.code.styles import write_code

        return write_code(self.spec, style)

    @functools.cached_property
    def warnings(self) -> tuple[str, ...]:
        """What a user should know before using the build.

        A default scope left out, parameters and levels without effect, nulls that a forced level
        replaced, and layers that train although the spec does not.
        """
        problems = [
            *self.graph.notes,
            *self.overrides.without_effect(),
            *self.overrides.unneeded_patterns(),
            *self.overrides.replaced_nulls(),
        ]
        warnings = [str(problem) for problem in problems]
        if self.spec.resolved().default_scope is None:
            warnings[:0] = self._left_out()
        warnings += self._other_classes()
        if not self.spec.is_training:
            warnings += self._training_layers()
        return tuple(warnings)

    def _other_classes(self) -> Iterator[str]:
        """Yield a sentence if the output has not the classes that the spec's parameters say."""
        params = self.spec.resolved().params
        classes, end = params.get("num_classes"), params["final_endpoint"]
        scores = self.graph.output.channels
        if classes and not end and scores != classes:
            yield (
                f"/params/num_classes: the output has {scores} values and not {classes}: an "
                "override of scopes sets the head's. Top classes and class names are not available."
            )

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

    def _left_out(self) -> Iterator[str]:
        """Yield what is said of a default scope that is left out, and of levels that are."""
        resolved = self.spec.resolved()
        function = resolved.entry.arg_scope.__name__
        who = f"null leaves out {function}"
        if resolved.scopes.replacement is not None:
            who = f"the saved scope {resolved.scopes.replacement[0].name!r} replaces {function}"
        if resolved.scopes.replacement is not None and self.spec.default_scope:
            who += f", with {' and '.join(self.spec.default_scope)} of the request"
        warning = (
            f"/default_scope: {who}; published checkpoints of {self.spec.architecture} were made "
            "inside it."
        )
        lacking = _unset_defaults(resolved)
        yield f"{warning} This drops {lacking}." if lacking else warning
        if (replaced := resolved.scopes.replaced()) is not None:
            yield f"/scopes: {replaced}"


def _unset_defaults(resolved: Resolved) -> str:
    """Return the arguments of an architecture's default scope that no level sets, by their ops."""
    ops: dict[str, list[str]] = {}
    for function, arguments in default_scope(resolved.entry, {}).items():
        set_again = {
            name
            for level in resolved.levels
            if function in level.ops and level.layers is None
            for name in level.arguments
        }
        for name in sorted(arguments.keys() - set_again):
            ops.setdefault(name, []).append(function.__name__)
    arguments_of: dict[str, list[str]] = {}
    for name, names in ops.items():
        arguments_of.setdefault(" and ".join(sorted(names)), []).append(name)
    return "; ".join(f"{', '.join(names)} of {each}" for each, names in arguments_of.items())


def trace(spec: BuildSpec, budget: Budget | None = None) -> Trace:
    """Run a spec's network on symbols and return what it recorded.

    The architecture's default scope is entered first, then the spec's levels in order, whatever is
    active outside: the same spec gives the same trace.

    Raises: BuildError if the network refuses, BudgetError if the result is too large, SpecError if
    the spec is strict, and a pattern or an override has no effect.
    """
    budget = budget or Budget()
    budget.check_scopes(len(spec.resolved().levels))
    try:
        return _traced(spec, budget)
    except (BuildError, SpecError):
        # Reports give places in the normalized spec, errors those in the request: the same error
        # comes again with the latter.
        sent = spec.placed_as_sent()
    try:
        return _traced(sent, budget)
    except BuildError as error:
        refused = with_remedy(error, sent)
        refused.problems = tuple(map(sent.as_sent, refused.problems))
        raise refused from error
    except SpecError as error:
        raise SpecError(*map(sent.as_sent, error.problems)) from error


def _traced(spec: BuildSpec, budget: Budget) -> Trace:
    result = Trace(spec, run_network(spec.resolved(), is_training=spec.is_training))
    budget.check(result.summary().totals)
    if spec.strict:
        replaced = spec.resolved().scopes.without_effect()
        problems = [*replaced, *result.overrides.without_effect()]
        if problems:
            raise SpecError(*problems)
    return result
