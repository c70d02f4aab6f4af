"""What a trace records: tensors that carry only a shape, nodes, variables, and their names.

Names follow TensorFlow's variable scopes, because TF-Slim's published checkpoints do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from model_zoo.errors import BuildError, Problem, ZooError
from model_zoo.provenance import Call, Recording, current_call, recording
from model_zoo.values import Initializer, Regularizer

Shape = tuple[int | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A symbolic tensor: a name and a shape. The first dimension, the batch, is None."""

    name: str
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def channels(self) -> int:
        """The size of the last dimension."""
        channels = self.shape[-1]
        if channels is None:
            raise BuildError(f"{self.name} has no known number of channels: shape {self.shape}.")
        return channels

    @property
    def size(self) -> int:
        """The number of elements of one example."""
        count = 1
        for dimension in self.shape[1:]:
            count *= dimension or 1
        return count


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """A weight of the network, by TF-Slim's name."""

    name: str
    shape: tuple[int, ...]
    initializer: Initializer
    regularizer: Regularizer | None
    trainable: bool
    dtype: str = "float32"

    @property
    def size(self) -> int:
        count = 1
        for dimension in self.shape:
            count *= dimension
        return count


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One primitive computation: inputs and variables (by role) to one output.

    `multiply_adds` counts those of one example in convolutions and matrix products, 0 elsewhere.
    `call` is the scoped op that emitted it, `scope` the variable scope it stands in.
    """

    op: str
    inputs: tuple[Tensor, ...]
    output: Tensor
    attributes: Mapping[str, Any]
    variables: Mapping[str, Variable]
    multiply_adds: int
    call: Call | None
    scope: str

    @property
    def name(self) -> str:
        """The layer that it is, or that it stands in."""
        return self.scope or self.output.name

    @property
    def uses_batch_statistics(self) -> bool:
        """Whether each row of the output depends on all rows of the batch."""
        return self.op == "batch_norm" and bool(self.attributes["is_training"])

    @property
    def updates_moving_averages(self) -> bool:
        """Whether a step of training moves its moving averages."""
        return self.uses_batch_statistics and self.attributes["updates"]

    @property
    def is_random(self) -> bool:
        """Whether equal inputs give different outputs: an active dropout."""
        attributes = self.attributes
        active = self.op == "dropout" and attributes["is_training"]
        return bool(active and attributes["keep_prob"] < 1)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A traced network. Nodes stand in the order of the calls, which is an order of execution.

    `notes` say what the network was given and does not use.
    """

    input: Tensor
    output: Tensor
    nodes: tuple[Node, ...]
    variables: tuple[Variable, ...]
    end_points: Mapping[str, Tensor]
    calls: tuple[Call, ...]
    notes: tuple[Problem, ...] = ()

    @property
    def batch_statistics_nodes(self) -> tuple[Node, ...]:
        """The nodes that mix the rows of a batch: its rows must be computed together, and alone."""
        return tuple(node for node in self.nodes if node.uses_batch_statistics)

    @property
    def random_nodes(self) -> tuple[Node, ...]:
        """The nodes for which equal inputs give different outputs."""
        return tuple(node for node in self.nodes if node.is_random)

    def nodes_before(self, tensors: Iterable[Tensor]) -> list[Node]:
        """Return the nodes that tensors depend on, in order of execution."""
        needed, nodes = set(tensors), []
        for node in reversed(self.nodes):
            if node.output in needed:
                needed.update(node.inputs)
                nodes.append(node)
        return nodes[::-1]


class _FinalEndPoint(Exception):  # noqa: N818 - control flow, never an error
    """Ends a trace at its `final_endpoint`."""


class GraphBuilder:
    """Collects a graph while a network function runs; `tracing` makes one and makes it current."""

    def __init__(self, record: Recording, final_endpoint: str | None = None) -> None:
        self.record = record
        self.final_endpoint = final_endpoint
        self.nodes: list[Node] = []
        self.variables: dict[str, Variable] = {}
        self.end_points: dict[str, Tensor] = {}
        self.notes: list[Problem] = []
        self.reuse = False
        # The innermost scoped op that an error ended.
        self.failed: Call | None = None
        self._names: dict[str, int] = {}

    @property
    def scope(self) -> str:
        """The variable scope that is open."""
        return self.record.scope

    def emit(
        self,
        op: str,
        inputs: Sequence[Tensor],
        shape: Shape,
        *,
        name: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        variables: Mapping[str, Variable] | None = None,
        multiply_adds: int = 0,
    ) -> Tensor:
        """Record one primitive and return its output."""
        path = f"{self.scope}/{name or op}" if self.scope else name or op
        output = Tensor(self._unique(path), shape)
        self.nodes.append(
            Node(
                op,
                tuple(inputs),
                output,
                attributes or {},
                variables or {},
                multiply_adds,
                self.record.current,
                self.scope,
            )
        )
        return output

    def _unique(self, path: str) -> str:
        count = self._names.get(path, 0)
        self._names[path] = count + 1
        return f"{path}_{count}" if count else path

    def variable(
        self,
        name: str,
        shape: tuple[int, ...],
        initializer: Initializer,
        regularizer: Regularizer | None = None,
        *,
        trainable: bool = True,
    ) -> Variable:
        """Create a variable in the current variable scope, or share one where the scope reuses.

        Raises: BuildError if the variable exists and the scope does not reuse, or if the scope
        reuses and the variable is missing or has another shape.
        """
        path = f"{self.scope}/{name}" if self.scope else name
        known = self.variables.get(path)
        if self.reuse:
            if known is None:
                raise BuildError(f"reuse is true, but there is no variable {path} to share yet.")
            if known.shape != shape:
                raise BuildError(
                    f"reuse is true, but variable {path} has shape {known.shape}, not {shape}."
                )
            return known
        if known is not None:
            raise BuildError(
                f"Variable {path} exists already; give the layer another scope, or reuse=True."
            )
        variable = Variable(path, shape, initializer, regularizer, trainable)
        self.variables[path] = variable
        return variable


_builder: ContextVar[GraphBuilder | None] = ContextVar("graph_builder", default=None)


def current_graph() -> GraphBuilder:
    """Return the graph that is being traced.

    Raises: BuildError outside of a trace.
    """
    builder = _builder.get()
    if builder is None:
        raise BuildError("Layers run only while a network is traced: see model_zoo.trace.")
    return builder


def end_point(name: str, tensor: Tensor) -> Tensor:
    """Publish a tensor as an end point of the network and return it.

    A trace whose `final_endpoint` has this name ends here.
    """
    graph = current_graph()
    graph.end_points[name] = tensor
    if name == graph.final_endpoint:
        raise _FinalEndPoint
    return tensor


def note(problem: Problem) -> None:
    """Warn of a parameter that the network does not use as it was meant; the trace goes on."""
    current_graph().notes.append(problem)


def scoped_end_point(name: str, tensor: Tensor) -> Tensor:
    """Publish a tensor under the variable scope it stands in, as TF-Slim's collections name it."""
    scope = current_graph().scope
    return end_point(f"{scope}/{name}" if scope else name, tensor)


class variable_scope:  # noqa: N801 - TensorFlow's name, used like a function
    """Put variables and nodes made inside under a name, as TensorFlow's `variable_scope` does.

    A default name is made unique, a given one is taken as it is. `as path` gives the scope's path.
    """

    __slots__ = ("_default", "_graph", "_name", "_outer", "_outer_reuse", "_reuse")

    def __init__(
        self, name: str | None, default: str | None = None, *, reuse: bool | None = None
    ) -> None:
        self._name = name
        self._default = default
        self._reuse = reuse

    def __enter__(self) -> str:
        graph = self._graph = current_graph()
        if self._name is None and self._default is None:
            raise BuildError("A variable scope needs a name or a default name.")
        self._outer = graph.record.enter_scope(self._name, self._default or "")
        self._outer_reuse = graph.reuse
        graph.reuse = graph.reuse or bool(self._reuse)
        return graph.scope

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._graph.record.leave_scope(self._outer)
        self._graph.reuse = self._outer_reuse


class layer_scope(variable_scope):  # noqa: N801 - used like a function, as variable_scope is
    """Enter the variable scope of a scoped op and make it the layer name of the running call.

    The default name is the one that the op declared, unless it is given here.
    Raises: BuildError where levels with patterns were chosen by another name.
    """

    __slots__ = ("_call",)

    def __enter__(self) -> str:
        call = self._call = current_call()
        if call is None:
            return super().__enter__()
        if self._name is None and self._default is None:
            self._default = call.default_layer
        path = super().__enter__()
        if call.matched not in (None, path):
            super().__exit__(None, None, None)
            raise BuildError(
                f"{call.op.name} is the layer {path!r}, but scope levels with patterns took it "
                f"for {call.matched!r}; its author should declare the default name of its "
                f"layer: @register_op(layer={self._default!r})."
            )
        call.layer = path
        return path

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception):
            self._graph.failed = self._graph.failed or self._call
        super().__exit__(kind, error, traceback)


def build_graph(
    network: Callable[[Tensor], Tensor],
    input_shape: Sequence[int],
    *,
    final_endpoint: str | None = None,
    explain: Callable[[Exception, Sequence[Call], Call | None], Exception] | None = None,
) -> Graph:
    """Run a network function on a symbolic input and return what it recorded.

    `explain` returns what to raise in place of an error that is none of ours, from the calls made
    so far and the innermost that the error ended.

    Shape: `input_shape` is that of one example, without the batch.
    Raises: BuildError if a layer refuses, or `final_endpoint` is not an end point of the network.
    """
    with recording() as record:
        builder = GraphBuilder(record, final_endpoint)
        token = _builder.set(builder)
        try:
            inputs = builder.emit("input", (), (None, *input_shape), name="input")
            try:
                output = network(inputs)
            except _FinalEndPoint:
                output = list(builder.end_points.values())[-1]
            except (ZooError, MemoryError):
                raise
            except Exception as error:
                if explain is None:
                    raise
                raise explain(error, record.calls, builder.failed) from error
            else:
                if final_endpoint is not None:
                    known = ", ".join(builder.end_points)
                    raise BuildError(
                        f"final_endpoint {final_endpoint!r} is not an end point; "
                        f"the network has: {known}."
                    )
        finally:
            _builder.reset(token)
    return Graph(
        inputs,
        output,
        tuple(builder.nodes),
        tuple(builder.variables.values()),
        builder.end_points,
        tuple(record.calls),
        tuple(builder.notes),
    )
