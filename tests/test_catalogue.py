"""Every architecture: a golden record, a row in the docs, a preprocessing, a source, figures."""

import json
import re
from pathlib import Path

import pytest
from small import default_trace, small_spec

from model_zoo import (
    Architecture,
    BuildSpec,
    SpecError,
    Tensor,
    describe_architecture,
    describe_architectures,
    describe_op,
    list_architectures,
    list_ops,
    trace,
)
from model_zoo.cli import main
from model_zoo.preprocessing import PREPROCESSINGS
from model_zoo.zoo import find_architecture, parameters

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "architectures.md").read_text(encoding="utf-8")
NAMES = list_architectures()


def test_no_op_takes_a_list_without_a_bound() -> None:
    """Reports repeat a value for every layer that it reaches, so one value must stay small."""
    for op in list_ops():
        for argument in describe_op(op)["arguments"]:
            assert "a list, each" not in argument["type"], f"{op}.{argument['name']}"


def test_every_network_of_tf_slim_is_there() -> None:
    """`nets_factory.networks_map`, and DeepLab's Xceptions."""
    sizes = (50, 101, 152, 200)
    assert set(NAMES) == {
        *("alexnet_v2", "cifarnet", "lenet", "overfeat", "vgg_a", "vgg_16", "vgg_19"),
        *("inception_v1", "inception_v2", "inception_v3", "inception_v4", "inception_resnet_v2"),
        *(f"resnet_v{version}_{size}" for version in (1, 2) for size in sizes),
        *("mobilenet_v1", "mobilenet_v1_075", "mobilenet_v1_050", "mobilenet_v1_025"),
        *("mobilenet_v2", "mobilenet_v2_140", "mobilenet_v2_050", "mobilenet_v2_035"),
        *("mobilenet_v3_small", "mobilenet_v3_small_minimalistic"),
        *("mobilenet_v3_large", "mobilenet_v3_large_minimalistic"),
        *("mobilenet_edgetpu", "mobilenet_edgetpu_075"),
        *("nasnet_cifar", "nasnet_mobile", "nasnet_large", "pnasnet_mobile", "pnasnet_large"),
        *("i3d", "s3dg", "xception_41", "xception_65", "xception_71"),
    }


# A paper by arXiv id or DOI with a place in it, by authors, year and title, or TF-Slim's own file.
SOURCE = re.compile(
    r"(arXiv:\d\d(0[1-9]|1[0-2])\.\d{4,5}|doi:10\.\d{4,9}/\S+), (Tables?|Figures?|section) \d.*"
    r"|[A-Z][A-Za-z]+( et al\.| and [A-Z][a-z]+)? (19|20)\d\d, [A-Z](\w|-)+( [\w-]+){2,}.*"
    r"|TF-Slim, nets/[a-z0-9_/]+\.py"
)


@pytest.mark.parametrize(
    "source", ["2012", "arXiv:1512.00567", "arXiv:1513.00567, Table 1", "arXiv:151.005, Table 1"]
)
def test_source_that_cannot_be_looked_up_is_seen(source: str) -> None:
    assert not SOURCE.fullmatch(source)


@pytest.mark.parametrize("name", NAMES)
def test_entry_is_complete(name: str) -> None:
    entry = find_architecture(name)
    assert (ROOT / "tests" / "golden" / "open" / f"{name}.json.gz").is_file()
    assert entry.preprocessing in PREPROCESSINGS
    assert SOURCE.fullmatch(entry.source), entry.source
    assert entry.network.__doc__
    assert entry.arg_scope.__doc__
    assert f"| {name} |" in DOCUMENT


def test_networks_of_one_kind_are_a_family() -> None:
    families: dict[str, set[str]] = {}
    for row in describe_architectures():
        families.setdefault(row["family"], set()).add(row["name"])
    assert set(families) == {
        *("AlexNet", "CifarNet", "I3D and S3D-G", "Inception", "LeNet", "MobileNet"),
        *("NASNet", "OverFeat", "ResNet", "VGG", "Xception"),
    }
    assert families["Inception"] == {name for name in NAMES if name.startswith("inception")}
    assert families["MobileNet"] == {name for name in NAMES if name.startswith("mobilenet")}
    assert families["NASNet"] == {name for name in NAMES if "nasnet" in name}
    assert families["I3D and S3D-G"] == {"i3d", "s3dg"}


def test_network_of_another_package_is_in_its_family() -> None:
    def network(inputs: Tensor, is_training: bool = False) -> Tensor:
        return inputs

    network.__module__ = "tiny_zoo.networks"
    lenet = find_architecture("lenet")
    entry = Architecture("tiny", network, lenet.arg_scope, (4, 4, 1), "lenet", "", 10)
    assert entry.family == "tiny_zoo"


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_spec_builds_what_the_catalogue_describes(name: str) -> None:
    totals = default_trace(name).summary().totals
    (row,) = [row for row in describe_architectures() if row["name"] == name]
    assert totals["parameters"] == row["parameters"]
    assert totals["multiply_adds"] == row["multiply_adds"]


@pytest.mark.parametrize("name", NAMES)
def test_number_of_classes_is_the_published_one_unless_given(name: str) -> None:
    classes = find_architecture(name).classes
    (described,) = [
        parameter
        for parameter in describe_architecture(name)["params"]
        if parameter["name"] == "num_classes"
    ]
    assert described["default"] == classes
    assert "required" not in described
    named = BuildSpec.read({"architecture": name, "params": {"num_classes": classes}})
    left_out = BuildSpec.read({"architecture": name})
    assert left_out.digest == named.digest
    assert left_out.normalized()["params"]["num_classes"] == classes
    assert trace(left_out).classes == classes


def test_network_without_num_classes_is_given_none() -> None:
    def network(inputs: Tensor, width: int = 3, is_training: bool = False) -> Tensor:
        return inputs

    lenet = find_architecture("lenet")
    fixed = {"width": 4}
    entry = Architecture("wide", network, lenet.arg_scope, (4, 4, 1), "lenet", "", 10, fixed=fixed)
    assert parameters(entry).defaults() == {"width": 4, "final_endpoint": None}


def test_number_of_classes_that_a_variant_fixes_counts() -> None:
    lenet = find_architecture("lenet")
    entry = Architecture(
        "lenet_26",
        lenet.network,
        lenet.arg_scope,
        (28, 28, 1),
        "lenet",
        "",
        10,
        fixed={"num_classes": 26},
    )
    assert parameters(entry).defaults()["num_classes"] == 26
    assert parameters(lenet).defaults()["num_classes"] == 10


@pytest.mark.parametrize("num_classes", [0, None])
@pytest.mark.parametrize("name", sorted({*NAMES} - {"i3d", "s3dg"}))
def test_without_classes_it_gives_features(name: str, num_classes: int | None) -> None:
    traced = trace(BuildSpec.read(small_spec(name, num_classes)))
    assert traced.classes is None
    ends = {key.split("/")[-1].lower() for key in traced.graph.end_points}
    assert not ends & {"logits", "auxlogits", "predictions"}


@pytest.mark.parametrize("num_classes", [0, None])
@pytest.mark.parametrize("name", ["i3d", "s3dg"])
def test_video_network_needs_classes(name: str, num_classes: int | None) -> None:
    with pytest.raises(SpecError) as caught:
        BuildSpec.read(small_spec(name, num_classes))
    assert str(caught.value) == (
        f"/params/num_classes: num_classes of {name} must be an integer of at least 1; "
        f"received {json.dumps(num_classes)}."
    )


@pytest.mark.parametrize("name", NAMES)
def test_everything_about_it_can_be_told(name: str) -> None:
    traced = trace(BuildSpec.read(small_spec(name)))
    assert traced.warnings == ()
    assert traced.classes == 5
    assert any(end is traced.graph.output for end in traced.graph.end_points.values())
    calls = traced.explanation().to_dict()["calls"]
    assert all(call["layer"] for call in calls)
    json.dumps([calls, describe_architecture(name)], allow_nan=False)


def test_the_table_of_the_docs_is_generated(capsys: pytest.CaptureFixture[str]) -> None:
    """By `model-zoo list --format markdown`."""
    assert main(["list", "--format", "markdown"]) == 0
    table = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
    assert table == capsys.readouterr().out.splitlines()
