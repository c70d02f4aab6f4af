"""The typed documents say exactly what the reports and the catalogue hold, for every network."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from pydantic import TypeAdapter, ValidationError

import model_zoo
from model_zoo import BuildSpec

# One of each family, with scopes and a training build among them for what only they have.
SCOPES = [
    {
        "ops": ["conv2d", "fully_connected"],
        "args": {
            "normalizer_fn": "batch_norm",
            "normalizer_params": {"decay": 0.9},
            "weights_regularizer": {"name": "l2_regularizer", "scale": 0.1},
        },
    },
    {"ops": ["conv2d"], "args": {"stride": 1, "activation_fn": "elu"}},
]
FAMILIES: list[dict[str, Any]] = [
    {"architecture": name, "params": {"num_classes": 10}}
    for name in (
        *("alexnet_v2", "cifarnet", "i3d", "inception_resnet_v2", "inception_v1", "inception_v2"),
        *("inception_v3", "inception_v4", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small"),
        *("nasnet_cifar", "overfeat", "pnasnet_mobile", "resnet_v1_50", "resnet_v2_50", "s3dg"),
        *("vgg_a", "xception_41"),
    )
] + [{"architecture": "lenet", "scopes": SCOPES, "is_training": True}]


def check(document: Any, kind: Any) -> None:
    """Check a document as pydantic reads the type: no other keys, and nothing converted."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    assert adapter.validate_python(document, strict=True, extra="forbid") == document
    assert adapter.json_schema()["type"] == "object"


@pytest.mark.parametrize("spec", FAMILIES, ids=lambda spec: spec["architecture"])
def test_reports_are_what_their_types_say(spec: dict[str, Any]) -> None:
    traced = model_zoo.trace(BuildSpec.read(spec))
    check(traced.spec.normalized(), model_zoo.SpecDocument)
    check(traced.summary().to_dict(), model_zoo.SummaryDocument)
    check(traced.summary().totals, model_zoo.Totals)
    check(traced.explanation().to_dict(), model_zoo.ExplanationDocument)


@pytest.mark.parametrize("spec", FAMILIES, ids=lambda spec: spec["architecture"])
def test_diffs_are_what_their_types_say(spec: dict[str, Any]) -> None:
    a, b = (model_zoo.trace(BuildSpec.read(each)) for each in (spec, {"architecture": "lenet"}))
    for same in (False, True):
        check(model_zoo.diff(a, b, same=same).to_dict(), model_zoo.DiffDocument)


@pytest.mark.parametrize("spec", FAMILIES, ids=lambda spec: spec["architecture"])
def test_graphs_are_what_their_types_say(spec: dict[str, Any]) -> None:
    traced = model_zoo.trace(BuildSpec.read(spec))
    for depth in (None, 2):
        report = traced.graph_report(depth)
        check(report.to_dict(), model_zoo.GraphDocument)
        check(report.to_model_explorer(), model_zoo.ModelExplorerDocument)
        check(report.to_node_data("parameters"), model_zoo.NodeDataDocument)


def test_catalogue_is_what_its_types_say() -> None:
    for row in model_zoo.describe_architectures():
        check(row, model_zoo.ArchitectureRow)
    for name in model_zoo.list_architectures():
        check(model_zoo.describe_architecture(name), model_zoo.ArchitectureDescription)
    for name in model_zoo.list_ops():
        check(model_zoo.describe_op(name), model_zoo.OpDescription)
    for row in model_zoo.describe_published():
        check(row, model_zoo.PublishedDescription)


def test_weights_are_what_their_types_say(tmp_path: Path) -> None:
    """A checkpoint that fits in part, and a build: every status, and what is left over."""
    traced = model_zoo.trace(BuildSpec.read({"architecture": "lenet"}))
    arrays = model_zoo.build_weights(traced)
    arrays["LeNet/fc4/weights"] = np.zeros((1, 2), np.float32)
    arrays["lenet/conv1/weights"] = arrays.pop("LeNet/conv1/weights")
    arrays["LeNet/conv2/weights/ExponentialMovingAverage"] = arrays["LeNet/conv2/weights"]
    arrays["global_step"] = np.array(3, np.int64)
    path = tmp_path / "weights.safetensors"
    safetensors.numpy.save_file(arrays, path)
    store = model_zoo.CheckpointStore(tmp_path)
    checkpoint, _ = model_zoo.import_checkpoint(store, [model_zoo.NamedFile(path.name, path)])
    check(checkpoint.to_dict(), model_zoo.CheckpointDocument)
    source = {"source": "checkpoint", "id": checkpoint.id, "policy": "skip_mismatch"}
    spec = {"architecture": "lenet", "weights": [{**source, "moving_averages": True}]}
    library = Library(store)
    plan = model_zoo.plan_restore(model_zoo.trace(BuildSpec.read(spec)), library)
    check(plan.to_dict(), model_zoo.RestoreDocument)
    check(plan.summary(), model_zoo.RestoreSummary)
    assert plan.to_dict()["sources"][0]["suggestions"]
    spec["weights"] = [{"source": "build", "id": traced.spec.digest}]
    plan = model_zoo.plan_restore(model_zoo.trace(BuildSpec.read(spec)), library)
    check(plan.to_dict(), model_zoo.RestoreDocument)


class Library:
    """A store's checkpoints, and one build."""

    def __init__(self, store: model_zoo.CheckpointStore) -> None:
        self.checkpoint = store.get

    def build(self, _build_id: str) -> BuildSpec:
        return BuildSpec.read({"architecture": "lenet"})


def test_another_key_or_type_is_seen() -> None:
    totals = dict(model_zoo.trace(BuildSpec.read({"architecture": "lenet"})).summary().totals)
    for wrong in ({**totals, "more": 1}, {**totals, "layers": "9"}, {"layers": 9}):
        with pytest.raises(ValidationError):
            check(wrong, model_zoo.Totals)
