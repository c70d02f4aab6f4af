"""Profiles a model: the time of each layer, beside its parameters and operations."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from app.body_fields import BuildId, Shape
from app.engine import Engine, RuntimeName
from app.serving.exchange import Exchange
from app.serving.measuring_turn import MeasuringTurn
from app.serving.models import ModelVersion
from app.settings import Settings
from app.tasks import MeasuredProfile, MeasureProfile, Specs
from model_zoo import Trace

# Deadlines, as shares of the time that a request may take; the rest is for the answer.
_LAYERS_SHARE, _NETWORK_SHARE = 0.5, 0.75

_METHODS = {
    "onnxruntime": "by ONNX Runtime's profiler: kernels as they run, fused, on all cores.",
    "tensorflow": "layer by layer, without fusion: each step is a separate program, and the "
    "device is synchronized after it.",
}

Share = Annotated[float | None, Field(description="The share of the sum of all seconds.")]


class ProfiledLayerBody(TypedDict):
    """A layer of the summary, and its time."""

    name: str
    op: str
    output_shape: Shape
    parameters: int
    multiply_adds: Annotated[int, Field(description="Of one row.")]
    seconds: Annotated[
        float | None, Field(description="Null if the output does not depend on the layer.")
    ]
    share: Share
    gigaops_per_second: Annotated[
        float | None, Field(description="Of all rows; a multiply-add is two operations.")
    ]
    kernels: Annotated[list[str], Field(description="The engine's names, if it has any.")]
    computed_with: Annotated[
        str | None, Field(description="The layer whose kernel computes this one too.")
    ]


class OtherTimeBody(TypedDict):
    """Kernels that belong to no layer, such as copies."""

    kernel: str
    count: int
    seconds: float
    share: Share


class ProfileTotalsBody(TypedDict):
    """The whole network."""

    layers: int
    parameters: int
    multiply_adds: int
    seconds: Annotated[float, Field(description="The sum over layers and other kernels.")]
    other_seconds: float
    call_seconds: Annotated[
        float | None,
        Field(description="What calling one step costs; null unless steps run one by one."),
    ]
    network_seconds: Annotated[
        float | None, Field(description="Of the whole network, measured separately.")
    ]
    gigaops_per_second: float | None


class MeasurementBody(TypedDict):
    """What was measured, and how."""

    engine: RuntimeName
    precision: str
    device: str
    measured: Annotated[str, Field(description="The method.")]
    rows: int
    runs: Annotated[int, Field(description="Runs made; seconds are their medians.")]
    runs_asked: int
    layers: list[ProfiledLayerBody]
    other: Annotated[list[OtherTimeBody], Field(description="What belongs to no layer.")]
    totals: ProfileTotalsBody


class ProfileBody(MeasurementBody):
    """The time of each layer of a build."""

    build: BuildId
    architecture: str


class Profiler:
    """Measures profiles."""

    def __init__(self, engine: Engine, settings: Settings, turn: MeasuringTurn) -> None:
        self._engine = engine
        self._settings = settings
        self._turn = turn

    async def profile(
        self,
        exchange: Exchange,
        model: ModelVersion,
        traced: Trace,
        *,
        engine: RuntimeName | None,
        rows: int,
        runs: int,
    ) -> ProfileBody:
        """Return the profile of a model on an engine; the default is the one that serves it.

        Raises: QueueFullError while something else is measured; EngineError; ZooError if the
        engine cannot compute the network.
        """
        task = self._task(model, engine, rows, runs)
        reply = await self._turn.run(exchange, task)
        measurement = describe(traced, reply.result, rows=rows, runs_asked=runs)
        return {
            "build": model.build,
            "architecture": model.network.architecture,
            **measurement,
        }

    def _task(
        self, model: ModelVersion, engine: RuntimeName | None, rows: int, runs: int
    ) -> MeasureProfile:
        ref, network = model.ref, model.network
        limit_s = self._settings.request_timeout_s
        return MeasureProfile(
            model=ref.key,
            specs=Specs.of(network.spec, network.source_specs),
            engine=engine or self._engine.state(ref).engine or ref.engine,
            # ONNX Runtime computes in no other precision here.
            precision="float32" if engine == "onnxruntime" else ref.precision,
            rows=rows,
            runs=runs,
            layers_left=_LAYERS_SHARE * limit_s,
            network_left=_NETWORK_SHARE * limit_s,
        )


def describe(
    traced: Trace, measured: MeasuredProfile, *, rows: int, runs_asked: int
) -> MeasurementBody:
    """Return the profile of a network as a JSON-ready document.

    A multiply-add counts as two operations. `seconds` of a layer is None if the layer does not lead
    to the output, and 0 if it computes nothing or is fused into the kernel of another layer.
    """
    summary, other = traced.summary(), measured.other
    times = [each.seconds for each in measured.layers] + [each.seconds for each in other]
    total = sum(seconds or 0.0 for seconds in times)
    network = measured.network_seconds
    layers: list[ProfiledLayerBody] = [
        {
            "name": row.name,
            "op": row.op,
            "output_shape": list(row.output_shape),
            "parameters": row.parameters,
            "multiply_adds": row.multiply_adds,
            "seconds": time.seconds,
            "kernels": list(time.kernels),
            "computed_with": time.computed_with,
            "share": _share(time.seconds, total),
            "gigaops_per_second": _gigaops(rows * row.multiply_adds, time.seconds),
        }
        for row, time in zip(summary.rows, measured.layers, strict=True)
    ]
    return {
        "engine": measured.engine,
        "precision": measured.precision,
        "device": measured.device,
        "measured": _METHODS[measured.engine],
        "rows": rows,
        "runs": measured.runs,
        "runs_asked": runs_asked,
        "layers": layers,
        "other": [
            {
                "kernel": each.kernel,
                "count": each.count,
                "seconds": each.seconds,
                "share": _share(each.seconds, total),
            }
            for each in other
        ],
        "totals": {
            "layers": len(layers),
            "parameters": summary.totals["parameters"],
            "multiply_adds": summary.totals["multiply_adds"],
            "seconds": total,
            "other_seconds": sum(each.seconds for each in other),
            "call_seconds": measured.call_seconds,
            "network_seconds": network,
            "gigaops_per_second": _gigaops(
                rows * sum(each["multiply_adds"] for each in layers if each["seconds"] is not None),
                network,
            ),
        },
    }


def _share(seconds: float | None, total: float) -> float | None:
    return None if seconds is None or not total else seconds / total


def _gigaops(multiply_adds: int, seconds: float | None) -> float | None:
    return 2 * multiply_adds / seconds / 1e9 if multiply_adds and seconds else None
