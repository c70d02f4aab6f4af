"""What differs between two traces: layers, edges, totals, weights, and the laws of a diff."""

import json
from typing import Any

import pytest
from diffed import Made, mirrored
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import small_spec

from model_zoo import BuildSpec, Tensor, Trace, diff, list_architectures, trace, variable_scope
from model_zoo.layers import avg_pool2d, conv2d, max_pool2d
from model_zoo.primitives import add, concat
from model_zoo.reports.diff_documents import SIDES


def traced(architecture: str = "lenet", **wire: Any) -> Trace:
    return trace(BuildSpec.read({"architecture": architecture, **wire}))


def names(document: Any, status: str) -> list[tuple[str | None, str | None]]:
    """Return the names in `a` and `b` of the layers of a status."""
    return [
        tuple(side and side["name"] for side in (layer["a"], layer["b"]))  # type: ignore[misc]
        for layer in document["layers"]
        if layer["status"] == status
    ]


# Laws -----------------------------------------------------------------------------------------

ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "activation_fn": st.sampled_from([None, "elu", {"name": "leaky_relu", "alpha": 0.3}]),
        "trainable": st.booleans(),
        "normalizer_fn": st.sampled_from([None, "batch_norm"]),
        "normalizer_params": st.sampled_from([None, {"decay": 0.5}, {"scale": True}]),
    },
).filter(bool)
LEVELS = st.fixed_dictionaries(
    {"ops": st.sampled_from([["conv2d"], ["conv2d", "fully_connected"]]), "args": ARGUMENTS},
    optional={"layers": st.sampled_from([["*/conv1"], ["*2*"]]), "force": st.booleans()},
)
SPECS = st.fixed_dictionaries(
    {"architecture": st.sampled_from(["lenet", "cifarnet"])},
    optional={
        "params": st.fixed_dictionaries({"num_classes": st.sampled_from([2, 3, None])}),
        "is_training": st.booleans(),
        "scopes": st.lists(LEVELS, max_size=3),
    },
)


@given(SPECS, SPECS)
@settings(deadline=None)
def test_a_diff_of_the_swapped_sides_is_its_mirror_image(a: Any, b: Any) -> None:
    assert_mirrored(traced(**a), traced(**b))


@pytest.mark.parametrize("name", list_architectures())
def test_every_network_mirrors_in_the_next(name: str) -> None:
    others = list_architectures()
    other = others[(others.index(name) + 1) % len(others)]
    assert_mirrored(*(traced(**small_spec(each)) for each in (name, other)))


def assert_mirrored(a: Any, b: Any) -> None:
    there: Any = diff(a, b).to_dict()
    back: Any = diff(b, a).to_dict()
    for part, expected in mirrored(there).items():
        if part == "totals":
            shown = {
                name: {key: each[key] for key in ("a", "b", "difference")}
                for name, each in back[part].items()
            }
        else:
            shown = back[part]
        assert ordered(shown) == ordered(expected), part
    assert back["equal"] == there["equal"]


def ordered(part: Any) -> Any:
    return sorted(map(json.dumps, part)) if isinstance(part, list) else part


@given(SPECS)
@settings(deadline=None, suppress_health_check=list(HealthCheck))
def test_a_diff_with_itself_is_empty(spec: Any) -> None:
    result = diff(traced(**spec), traced(**spec))
    document = result.to_dict()
    assert result.is_empty
    assert document["equal"]
    assert [document[part] for part in ("spec", "layers", "edges", "settings")] == [[]] * 4  # type: ignore[literal-required]
    assert all(each["difference"] == 0 for each in document["totals"].values())
    layers = document["totals"]["layers"]["a"]
    assert document["layer_counts"] == {
        "same": layers,
        "changed": 0,
        "renamed": 0,
        "added": 0,
        "removed": 0,
    }


# Layers ---------------------------------------------------------------------------------------


def test_a_layer_says_what_of_it_differs() -> None:
    a = traced(scopes=[{"ops": ["conv2d"], "layers": ["*/conv2"], "args": {"stride": 2}}])
    layers = {
        each["b"]["name"]: each for each in diff(traced(), a).to_dict()["layers"] if each["b"]
    }
    conv2, pool2 = layers["LeNet/conv2"], layers["LeNet/pool2"]
    assert (conv2["status"], conv2["changes"]) == (
        "changed",
        ["output_shape", "multiply_adds", "arguments"],
    )
    assert conv2["a"] is not None
    assert conv2["b"] is not None
    assert conv2["a"]["output_shape"] == [None, 14, 14, 64]
    assert conv2["b"]["output_shape"] == [None, 7, 7, 64]
    assert (pool2["status"], pool2["changes"]) == ("changed", ["output_shape"])
    assert "LeNet/conv1" not in layers


def test_a_layer_with_another_argument_alone_is_changed() -> None:
    b = traced(
        scopes=[{"ops": ["conv2d"], "layers": ["*/conv2"], "args": {"activation_fn": "elu"}}]
    )
    document = diff(traced(), b).to_dict()
    assert [(each["status"], each["changes"]) for each in document["layers"]] == [
        ("changed", ["arguments"])
    ]
    assert document["layer_counts"]["same"] == 9


def test_a_layer_that_one_side_lacks_is_no_setting() -> None:
    normalized = traced(scopes=[{"ops": ["conv2d"], "args": {"normalizer_fn": "batch_norm"}}])
    document = diff(traced(), normalized).to_dict()
    assert names(document, "added") == [
        (None, "LeNet/conv1/BatchNorm"),
        (None, "LeNet/conv2/BatchNorm"),
    ]
    assert {setting["op"] for setting in document["settings"]} == {"conv2d"}
    assert names(diff(normalized, traced()).to_dict(), "removed") == [
        ("LeNet/conv1/BatchNorm", None),
        ("LeNet/conv2/BatchNorm", None),
    ]


def branches(*scopes: str, outer: str = "net", first: str = "stem") -> Made:
    """A stem and branches of different widths, in scopes of these names."""

    def network(x: Tensor) -> Tensor:
        with variable_scope(outer):
            x = conv2d(x, 4, 3, scope=first)
            outputs = []
            for width, scope in enumerate(scopes, 1):
                with variable_scope(scope):
                    outputs.append(conv2d(conv2d(x, width, 1, scope="in"), 8, 3, scope="out"))
            return concat(outputs)

    return Made(network)


def test_the_same_layers_under_other_names_are_renamed() -> None:
    document = diff(branches("a", "b"), branches("left", "right", first="root")).to_dict()
    assert names(document, "renamed") == [
        ("net/stem", "net/root"),
        ("net/a/in", "net/left/in"),
        ("net/a/out", "net/left/out"),
        ("net/b/in", "net/right/in"),
        ("net/b/out", "net/right/out"),
    ]
    assert document["layer_counts"] == {
        "same": 2,
        "changed": 0,
        "renamed": 5,
        "added": 0,
        "removed": 0,
    }
    assert document["edges"] == document["settings"] == []
    assert document["shared_weights"]["variables"] == 0


def test_a_network_under_another_name_is_renamed_as_a_whole() -> None:
    document = diff(branches("a", outer="net"), branches("a", outer="tower")).to_dict()
    assert names(document, "renamed") == [
        ("net/stem", "tower/stem"),
        ("net/a/in", "tower/a/in"),
        ("net/a/out", "tower/a/out"),
        ("net/concat", "tower/concat"),
    ]


def test_the_scope_parameter_renames_all_layers_and_changes_none() -> None:
    a, b = (traced("mobilenet_v1_025", params={"scope": scope}) for scope in ("left", "top/right"))
    document = diff(a, b).to_dict()
    assert document["layer_counts"] == {
        "same": 1,  # the input
        "changed": 0,
        "renamed": document["totals"]["layers"]["a"] - 1,
        "added": 0,
        "removed": 0,
    }
    assert document["spec"] == [{"op": "replace", "path": "/params/scope", "value": "top/right"}]
    assert document["edges"] == document["settings"] == []


def test_a_layer_among_renamed_ones_may_be_new() -> None:
    def network(*scopes: str) -> Made:
        def run(x: Tensor) -> Tensor:
            with variable_scope("net"):
                for scope in scopes:
                    x = conv2d(x, 3, 3, scope=scope)
                return max_pool2d(x, 2, scope="pool")

        return Made(run)

    document = diff(network("a", "b"), network("x", "y", "z")).to_dict()
    assert names(document, "renamed") == [("net/a", "net/x"), ("net/b", "net/y")]
    assert names(document, "added") == [(None, "net/z")]
    assert [(each["status"], each["source"], each["target"]) for each in document["edges"]] == [
        ("removed", "net/y", "net/pool"),
        ("added", "net/y", "net/z"),
        ("added", "net/z", "net/pool"),
    ]


def test_two_depths_of_one_network_are_compared_block_by_block() -> None:
    """The scopes resnet_v1_50 and resnet_v1_101 hold different layers, but are alone there."""
    document = diff(traced("resnet_v1_50"), traced("resnet_v1_101")).to_dict()
    # In each network the last unit of the block has the stride, and so a pool for its shortcut.
    shortcut = "resnet_v1_50/block3/unit_6/bottleneck_v1/shortcut"
    assert names(document, "removed") == [(shortcut, None)]
    added = [name for _, name in names(document, "added") if name]
    assert {name.partition("/unit_")[0] for name in added} == {"resnet_v1_101/block3"}
    assert document["totals"]["layers"]["difference"] == len(added) - 1


def test_two_architectures_have_a_diff() -> None:
    document = diff(traced("lenet"), traced("mobilenet_v1_025")).to_dict()
    counts = document["layer_counts"]
    assert counts["added"] > 50
    assert counts["removed"] > 0
    assert document["spec"][0] == {
        "op": "replace",
        "path": "/architecture",
        "value": "mobilenet_v1_025",
    }
    assert [document[side]["architecture"] for side in SIDES] == ["lenet", "mobilenet_v1_025"]
    parameters = document["totals"]["parameters"]
    assert parameters == {
        "a": 3_274_634,
        "b": 475_801,
        "difference": -2_798_833,
        "ratio": 475_801 / 3_274_634,
    }


def test_a_layer_that_is_called_twice_has_two_rows() -> None:
    def network(times: int) -> Made:
        def run(x: Tensor) -> Tensor:
            x = conv2d(x, 3, 3, scope="shared")
            for _ in range(times):
                x = conv2d(x, 3, 3, scope="shared", reuse=True)
            return x

        return Made(run)

    document = diff(network(1), network(2)).to_dict()
    assert names(document, "added") == [(None, "shared")]
    assert document["layer_counts"]["same"] == 3
    assert diff(network(2), network(2)).to_dict()["edges"] == []


def test_edges_tell_who_reads_whom() -> None:
    def network(reads_stem: bool) -> Made:
        def run(x: Tensor) -> Tensor:
            stem = conv2d(x, 4, 3, scope="stem")
            inner = conv2d(stem, 4, 3, scope="inner")
            return add(inner, stem if reads_stem else avg_pool2d(stem, 1, stride=1, scope="pool"))

        return Made(run)

    document = diff(network(True), network(False)).to_dict()
    assert document["edges"] == [
        {"status": "removed", "source": "stem", "target": "add"},
        {"status": "added", "source": "stem", "target": "pool"},
        {"status": "added", "source": "pool", "target": "add"},
    ]


# Weights and size -----------------------------------------------------------------------------


def test_shared_weights_have_one_name_and_one_shape() -> None:
    document = diff(traced(), traced(params={"num_classes": 7})).to_dict()
    assert document["shared_weights"] == {
        "variables": 6,
        "parameters": 3_264_384,
        "share_of_a": round(3_264_384 / 3_274_634, 6),
        "share_of_b": round(3_264_384 / 3_271_559, 6),
    }


def test_without_parameters_there_is_no_share() -> None:
    pool = Made(lambda x: max_pool2d(x, 2))
    assert diff(pool, pool).to_dict()["shared_weights"] == {
        "variables": 0,
        "parameters": 0,
        "share_of_a": None,
        "share_of_b": None,
    }
    assert diff(pool, branches("a")).to_dict()["totals"]["parameters"]["ratio"] is None


def test_what_is_the_same_is_told_on_request() -> None:
    b = traced(scopes=[{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}])
    document = diff(traced(), b, same=True).to_dict()
    assert [layer["status"] for layer in document["layers"]].count("same") == 8
    assert {edge["status"] for edge in document["edges"]} == {"same"}
    assert len(document["edges"]) == 9
    statuses = [
        setting["status"]
        for setting in document["settings"]
        if (setting["layer"], setting["op"]) == ("LeNet/conv1", "conv2d")
    ]
    assert sorted(set(statuses)) == ["changed", "same"]
    assert statuses.count("changed") == 1


def test_the_diff_of_the_largest_networks_is_of_the_size_of_their_explanations() -> None:
    a, b = traced("nasnet_large"), traced("resnet_v2_200")
    explanations = sum(len(json.dumps(each.explanation().to_dict())) for each in (a, b))
    for same in (False, True):
        assert len(json.dumps(diff(a, b, same=same).to_dict())) < explanations
    forced = traced(
        "nasnet_large",
        scopes=[{"ops": ["conv2d", "batch_norm"], "args": {"trainable": False}, "force": True}],
    )
    assert len(json.dumps(diff(a, forced, same=True).to_dict())) < 2 * explanations
