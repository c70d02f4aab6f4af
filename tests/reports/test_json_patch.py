"""JSON Patch: applied to one document by an independent reader, it gives the other."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_patch_reader import applied

from model_zoo import BuildSpec, diff, trace
from model_zoo.reports.json_patch import json_patch

SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, -0.0, 0.0, "", "a", "~1/", "ü"])
KEYS = st.sampled_from(["a", "b", "a/b", "~", "", "0", "-"])
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(KEYS, inner, max_size=4)
)


def exact(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@given(DOCUMENTS, DOCUMENTS)
def test_a_patch_turns_one_document_into_the_other(a: Any, b: Any) -> None:
    assert exact(applied(json_patch(a, b), a)) == exact(b)
    assert (json_patch(a, b) == []) == (exact(a) == exact(b))


@pytest.mark.parametrize(
    ("a", "b", "operations"),
    [
        ({"a": 1}, {"a": 1.0}, [{"op": "replace", "path": "/a", "value": 1.0}]),
        ([1], [True], [{"op": "replace", "path": "/0", "value": True}]),
        ([1, 2, 3], [2, 3], [{"op": "remove", "path": "/0"}]),
        ([2, 3], [1, 2, 3], [{"op": "add", "path": "/0", "value": 1}]),
        ([{"a": [1, 2]}], [{"a": [1, 3]}], [{"op": "replace", "path": "/0/a/1", "value": 3}]),
        ({"a": {}}, {"a": []}, [{"op": "replace", "path": "/a", "value": []}]),
        (
            {"a/b": 1, "~": 2},
            {},
            [{"op": "remove", "path": "/a~1b"}, {"op": "remove", "path": "/~0"}],
        ),
    ],
)
def test_a_patch_is_short(a: Any, b: Any, operations: list[dict[str, Any]]) -> None:
    assert json_patch(a, b) == operations


def test_lists_too_long_to_compare_item_by_item_are_patched_all_the_same() -> None:
    a, b = list(range(20_000)), list(range(20_000, 0, -1))
    assert applied(json_patch(a, b), a) == b


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/b"},
        {"op": "replace", "path": "/b", "value": 1},
        {"op": "add", "path": "/a/3", "value": 1},
        {"op": "remove", "path": "/a/-"},
        {"op": "add", "path": "/a/01", "value": 1},
        {"op": "add", "path": "/b/c", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "move", "path": "/a", "from": "/b"},
    ],
)
def test_the_reader_refuses_what_the_rfc_does(operation: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        applied([operation], {"a": [1, 2]})


# Specs ----------------------------------------------------------------------------------------

LAYERS = st.lists(st.sampled_from(["*", "*/conv1", "*/Conv*", "LeNet/*"]), min_size=1, max_size=3)
LEVELS = st.fixed_dictionaries(
    {
        "ops": st.lists(st.sampled_from(["conv2d", "separable_conv2d"]), min_size=1, unique=True),
        "args": st.fixed_dictionaries(
            {},
            optional={
                "activation_fn": st.sampled_from(
                    [None, "elu", {"name": "leaky_relu", "alpha": 0.3}]
                ),
                "trainable": st.booleans(),
                "normalizer_fn": st.sampled_from([None, "batch_norm"]),
                "normalizer_params": st.sampled_from(
                    [None, {"decay": 0.5}, {"decay": 0.25, "scale": True}]
                ),
                "weights_regularizer": st.sampled_from(
                    [None, {"name": "l2_regularizer", "scale": 1}]
                ),
            },
        ).filter(bool),
    },
    optional={"layers": LAYERS, "except": LAYERS, "force": st.booleans()},
)
SOURCES = st.fixed_dictionaries(
    {"source": st.just("build"), "id": st.sampled_from(["0" * 32, "1" * 32])},
    optional={
        "include": st.lists(st.sampled_from(["a/*", "b/*"]), min_size=1, unique=True),
        "rename": st.dictionaries(st.sampled_from(["a/", "b/"]), st.just("c/"), max_size=2),
        "policy": st.sampled_from(["strict", "skip_mismatch"]),
    },
)
SPECS = st.fixed_dictionaries(
    {"architecture": st.sampled_from(["lenet", "cifarnet", "mobilenet_v1_025", "vgg_a"])},
    optional={
        "params": st.fixed_dictionaries({"num_classes": st.sampled_from([2, 3, None])}),
        "is_training": st.booleans(),
        "default_scope": st.sampled_from([None, {}, {"weight_decay": 0.5}]),
        "scopes": st.lists(LEVELS, max_size=4),
        "weights": SOURCES
        | st.lists(SOURCES, min_size=1, max_size=3)
        | st.fixed_dictionaries({"source": st.just("random"), "seed": st.integers(0, 3)}),
    },
)


@given(SPECS, SPECS)
def test_a_patch_turns_one_normalized_spec_into_the_other(a: Any, b: Any) -> None:
    specs = [BuildSpec.read(spec) for spec in (a, b)]
    before, after = (spec.normalized() for spec in specs)
    operations = json_patch(before, after)
    assert exact(applied(operations, before)) == exact(after)
    assert (operations == []) == (specs[0].digest == specs[1].digest)


def test_the_patch_of_a_diff_is_that_of_the_normalized_specs() -> None:
    a, b = (
        trace(BuildSpec.read({"architecture": "lenet", "params": {"num_classes": classes}}))
        for classes in (2, 3)
    )
    assert diff(a, b).to_dict()["spec"] == [
        {"op": "replace", "path": "/params/num_classes", "value": 3}
    ]
