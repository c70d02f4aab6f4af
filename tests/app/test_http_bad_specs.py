"""Specs that are refused: each answer is asserted whole, but for the request id."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient
from zoo_server import problem

ARCHITECTURES = (
    "'alexnet_v2', 'cifarnet', 'i3d', 'inception_resnet_v2', 'inception_v1', 'inception_v2', "
    "'inception_v3', 'inception_v4', 'lenet', 'mobilenet_edgetpu', 'mobilenet_edgetpu_075', "
    "'mobilenet_v1', ..."
)


def scoped(*ops: str, **arguments: Any) -> dict[str, Any]:
    return {"architecture": "lenet", "scopes": [{"ops": list(ops), "args": arguments}]}


# spec, then pointer, message, received and suggestion of its one problem
INVALID: dict[str, tuple[Any, str, str, Any, str | None]] = {
    "unknown architecture": (
        {"architecture": "lenett"},
        "/architecture",
        "There is no architecture 'lenett'. Did you mean 'lenet' or 'alexnet_v2'?",
        "lenett",
        "lenet",
    ),
    "architecture like none": (
        {"architecture": "zzz"},
        "/architecture",
        f"There is no architecture 'zzz'. Valid, among 44: {ARCHITECTURES}",
        "zzz",
        None,
    ),
    "no architecture": (
        {},
        "/architecture",
        "The field 'architecture' is required.",
        None,
        None,
    ),
    "no object": ([1], "", "A build spec is a JSON object; received [1].", [1], None),
    "unknown field": (
        {"architecture": "lenet", "scope": []},
        "/scope",
        "There is no field 'scope'. Did you mean 'scopes'?",
        "scope",
        "scopes",
    ),
    "unknown parameter": (
        {"architecture": "lenet", "params": {"num_clases": 3}},
        "/params/num_clases",
        "lenet has no argument 'num_clases'. Did you mean 'num_classes'?",
        "num_clases",
        "num_classes",
    ),
    "parameter of a wrong type": (
        {"architecture": "lenet", "params": {"num_classes": "3"}},
        "/params/num_classes",
        'num_classes of lenet must be an integer of at least 0 or null; received "3".',
        "3",
        None,
    ),
    "parameter out of range": (
        {"architecture": "lenet", "params": {"dropout_keep_prob": 7}},
        "/params/dropout_keep_prob",
        "dropout_keep_prob of lenet must be a number above 0 and of at most 1; received 7.",
        7,
        None,
    ),
    "depth multiplier 0": (
        {"architecture": "mobilenet_v1", "params": {"depth_multiplier": 0}},
        "/params/depth_multiplier",
        "depth_multiplier of mobilenet_v1 must be a number above 0 and of at most 1000; "
        "received 0.",
        0,
        None,
    ),
    "unknown op": (
        scoped("conv4d"),
        "/scopes/0/ops/0",
        "There is no scoped op 'conv4d'. Did you mean 'conv3d' or 'conv2d'?",
        "conv4d",
        "conv3d",
    ),
    "unknown argument": (
        scoped("conv2d", pading="SAME"),
        "/scopes/0/args/pading",
        "conv2d has no argument 'pading'. Did you mean 'padding'?",
        "pading",
        "padding",
    ),
    "argument that one of the ops lacks": (
        scoped("conv2d", "max_pool2d", activation_fn="relu"),
        "/scopes/0/args/activation_fn",
        "max_pool2d has no argument 'activation_fn'. "
        "Valid: 'inputs', 'kernel_size', 'padding', 'scope', 'stride'.",
        "activation_fn",
        None,
    ),
    "argument of a wrong value": (
        scoped("conv2d", padding="SAM"),
        "/scopes/0/args/padding",
        "padding of conv2d must be 'SAME' or 'VALID'; received \"SAM\".",
        "SAM",
        None,
    ),
    "unknown value name": (
        scoped("conv2d", activation_fn="rellu"),
        "/scopes/0/args/activation_fn",
        "There is no activation 'rellu'. Did you mean 'relu' or 'relu6' or 'elu'?",
        "rellu",
        "relu",
    ),
    "input shape of zero": (
        {"architecture": "lenet", "input_shape": [0, 28, 1]},
        "/input_shape/0",
        "This should be greater than or equal to 1; received 0.",
        0,
        None,
    ),
    "strict, and an override without effect": (
        {**scoped("batch_norm", decay=0.9), "strict": True},
        "/scopes/0/args/decay",
        "this override reached no call: lenet calls no batch_norm here.",
        0.9,
        None,
    ),
}


@pytest.mark.parametrize("case", INVALID)
def test_an_invalid_spec_says_where_and_what_would_be_valid(client: TestClient, case: str) -> None:
    spec, pointer, message, received, suggestion = INVALID[case]
    assert problem(client.post("/v1/builds", json=spec)) == {
        "type": "/docs#problem-invalid-spec",
        "title": "The build spec is not valid",
        "status": 422,
        "detail": f"{pointer}: {message}" if pointer else message,
        "errors": [
            {
                "pointer": pointer,
                "message": message,
                "received": received,
                "suggestion": suggestion,
            }
        ],
    }


def test_every_mistake_of_a_spec_is_reported_at_once(client: TestClient) -> None:
    spec = scoped("conv2d", weights_regularizer={"name": "l2_regularizer", "scael": 1})
    body = problem(client.post("/v1/builds", json=spec))
    assert body["detail"] == (
        "2 problems; the first: /scopes/0/args/weights_regularizer/scael: l2_regularizer has no "
        "argument 'scael'. Did you mean 'scale'?"
    )
    assert [error["message"] for error in body["errors"]] == [
        "l2_regularizer has no argument 'scael'. Did you mean 'scale'?",
        "l2_regularizer needs scale: a number of at least 0.",
    ]


def test_a_long_value_is_cut_in_the_answer(client: TestClient) -> None:
    spec = {"architecture": "lenet", "params": {"num_classes": [1] * 400}}
    error = problem(client.post("/v1/builds", json=spec))["errors"][0]
    assert error["received"] == json.dumps([1] * 400)[:200] + "..."


def refused(client: TestClient, spec: dict[str, Any]) -> dict[str, Any]:
    body = problem(client.post("/v1/builds", json=spec))
    assert body.pop("type") == "/docs#problem-build-refused"
    assert body.pop("title") == "The network cannot be built as configured"
    assert body.pop("status") == 422
    return body


def test_a_refusal_of_the_network_names_the_layer_and_its_scopes(client: TestClient) -> None:
    message = (
        "a window of 2 with VALID padding does not fit an input of size 1; it builds with "
        "input_shape [28, 28, 1]."
    )
    assert refused(client, {"architecture": "lenet", "input_shape": [2, 2, 1]}) == {
        "detail": message,
        "layer": "LeNet/pool2 (max_pool2d)",
        "scopes": [],
        "errors": [{"pointer": "", "message": message, "received": None, "suggestion": None}],
    }


def test_group_norm_of_32_groups_on_8_channels_is_refused_where_it_stands(
    client: TestClient,
) -> None:
    scopes = [
        {"ops": ["conv2d", "separable_conv2d"], "args": {"normalizer_fn": "group_norm"}},
        {"ops": ["conv2d", "separable_conv2d"], "args": {"normalizer_params": {"groups": 32}}},
    ]
    body = refused(client, {"architecture": "mobilenet_v1_025", "scopes": scopes})
    assert body["detail"] == (
        "groups (=32) must divide the channels (=8) of MobilenetV1/Conv2d_0/Conv2D."
    )
    assert body["layer"] == "MobilenetV1/Conv2d_0/GroupNorm (group_norm)"
    assert [re.sub(r":\d+ ", ":N ", scope) for scope in body["scopes"]] == [
        "conv2d.weights_initializer=truncated_normal_initializer(mean=0.0, stddev=0.09) from "
        "model_zoo/architectures/mobilenet_v1.py:N (mobilenet_v1_arg_scope)",
        "conv2d.activation_fn=relu6 from "
        "model_zoo/architectures/mobilenet_v1.py:N (mobilenet_v1_arg_scope)",
        "conv2d.normalizer_fn=group_norm from /scopes/0/args/normalizer_fn",
        "conv2d.weights_regularizer=l2_regularizer(scale=4e-05) from "
        "model_zoo/architectures/mobilenet_v1.py:N (mobilenet_v1_arg_scope)",
        "conv2d.normalizer_params={groups: 32} from /scopes/1/args/normalizer_params",
        "conv2d.padding='SAME' from model_zoo/architectures/mobilenet_v1.py:N (mobilenet_v1_base)",
    ]


@pytest.mark.parametrize(
    ("setting", "limit", "figure"),
    [
        ("max_parameters", 3_274_633, "3274634 parameters"),
        ("max_multiply_adds", 1000, "13883904 multiply-adds"),
        ("max_activation_bytes", 4, "200704 bytes of activations at their peak"),
        ("max_layers", 9, "10 layers"),
    ],
)
def test_a_build_over_the_budget_is_refused_by_its_exact_figure(
    make_client: Callable[..., TestClient], setting: str, limit: int, figure: str
) -> None:
    client = make_client(**{setting: limit})
    message = f"This build has {figure}; the limit is {limit} (ZOO_{setting.upper()})."
    assert problem(client.post("/v1/builds", json={"architecture": "lenet"})) == {
        "type": "/docs#problem-over-budget",
        "title": "The build exceeds the budget",
        "status": 422,
        "detail": message,
        "errors": [
            {
                "pointer": "",
                "message": message,
                "received": int(figure.split()[0]),
                "suggestion": None,
            }
        ],
    }


@pytest.mark.parametrize(
    ("mistakes", "more"),
    [(100, []), (101, ["1 more problem."]), (1000, ["900 more problems."])],
)
def test_of_many_mistakes_the_first_are_told_and_the_rest_counted(
    client: TestClient, mistakes: int, more: list[str]
) -> None:
    level = {"include": 1}
    response = client.post(
        "/v1/builds", json={"architecture": "lenet", "scopes": [level] * mistakes}
    )
    body = problem(response)
    message = "This should be a valid string; received 1."
    assert body["detail"] == f"{mistakes} problems; the first: /scopes/0/include: {message}"
    assert body["errors"][:100] == [
        {"pointer": f"/scopes/{n}/include", "message": message, "received": 1, "suggestion": None}
        for n in range(100)
    ]
    assert body["errors"][100:] == [
        {"pointer": "", "message": text, "received": None, "suggestion": None} for text in more
    ]


def test_too_many_scopes_are_refused(client: TestClient) -> None:
    spec = {"architecture": "lenet", "scopes": [{"ops": ["conv2d"], "args": {}}] * 65}
    body = problem(client.post("/v1/builds", json=spec))
    assert body["detail"] == (
        "/scopes: This build has 65 levels; the limit is 64 (ZOO_MAX_SCOPES)."
    )
    assert body["status"] == 422


def test_a_stored_build_is_refused_once_it_is_over_a_lowered_budget(
    make_client: Callable[..., TestClient],
) -> None:
    location = make_client().post("/v1/builds", json={"architecture": "lenet"}).headers["location"]
    lowered = make_client(max_layers=5)
    assert lowered.get(location).status_code == 200
    body = problem(lowered.get(f"{location}/summary"))
    assert body["detail"] == "This build has 10 layers; the limit is 5 (ZOO_MAX_LAYERS)."


MALFORMED = {
    "nothing": (b"", "The JSON is malformed at line 1, column 1: Expecting value."),
    "half an object": (
        b"{",
        "The JSON is malformed at line 1, column 2: "
        "Expecting property name enclosed in double quotes.",
    ),
    "a key twice": (b'{"a": 1, "a": 2}', "The JSON repeats the key 'a' in one object."),
    "NaN": (b'{"a": NaN}', "The JSON holds NaN, which is not a JSON number."),
    "infinity": (b'{"a": -Infinity}', "The JSON holds -Infinity, which is not a JSON number."),
    "depth 100,000": (b"[" * 100_000, "The JSON is nested deeper than 64 levels."),
    "huge integer": (
        b'{"a": ' + b"9" * 5000 + b"}",
        "The JSON holds an integer of 5000 digits; the largest allowed is 64 bits, "
        "9223372036854775807.",
    ),
    "no UTF-8": (b"\xff{}", "The JSON is not valid UTF-8 at byte 0."),
    "byte order mark": (
        b"\xef\xbb\xbf{}",
        "The JSON is malformed at line 1, column 1: Unexpected UTF-8 BOM (decode using utf-8-sig).",
    ),
    "too many values": (b"[" + b"1," * 50_000 + b"1]", "The JSON has more than 50000 values."),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_json_is_refused_with_its_place(client: TestClient, case: str) -> None:
    body, message = MALFORMED[case]
    assert problem(client.post("/v1/builds", content=body)) == {
        "type": "/docs#problem-malformed-json",
        "title": "The body cannot be read as JSON",
        "status": 400,
        "detail": message,
        "errors": [{"pointer": "", "message": message, "received": None, "suggestion": None}],
    }
