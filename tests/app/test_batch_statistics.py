"""Networks whose rows change each other, or that drop at random: what they refuse, and why."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from test_compare import NPY, FakeEngine
from zoo_server import NoEngine, build, problem

from model_zoo import Architecture, ArgScope, BuildSpec, Tensor, layers, trace
from model_zoo.architectures import registry

SCOPES = [{"ops": ["conv2d", "fully_connected"], "args": {"normalizer_fn": "batch_norm"}}]
NAMES = "LeNet/conv1/BatchNorm, LeNet/conv2/BatchNorm, LeNet/fc3/BatchNorm, LeNet/fc4/BatchNorm"
ROWS = np.zeros((2, 28, 28, 1), np.float32)
TENSOR = {"name": "input", "datatype": "FP32", "shape": [*ROWS.shape], "data": [0.0] * ROWS.size}
Make = Callable[..., TestClient]


@pytest.fixture
def one_row_fits(make_client: Make) -> TestClient:
    """A service whose limit on activations is what one row of the network takes."""
    traced = trace(BuildSpec.read({"architecture": "lenet", "scopes": SCOPES}))
    limit = traced.summary().totals["peak_activation_bytes"]
    return make_client(FakeEngine(), max_activation_bytes=limit)


TOO_MANY = (
    "The request has 2 rows; the limit is 1 (ZOO_MAX_ACTIVATION_BYTES). "
    f"{NAMES}: is_training of batch_norm is true there, so the rows of a request are computed "
    "together."
)


def test_rows_that_do_not_fit_together_are_refused_before_they_are_computed(
    one_row_fits: TestClient,
) -> None:
    mixing = build(one_row_fits, scopes=SCOPES)
    body = problem(one_row_fits.post(f"/v1/builds/{mixing}/predict", content=NPY))
    assert (body["status"], body["detail"]) == (422, TOO_MANY)
    response = one_row_fits.post(f"/v2/models/{mixing}/infer", json={"inputs": [TENSOR]})
    assert (response.status_code, response.json()["error"]) == (400, TOO_MANY)
    response = one_row_fits.post(f"/v1/models/{mixing}:predict", json={"instances": ROWS.tolist()})
    assert (response.status_code, response.json()["error"]) == (400, TOO_MANY)
    body = problem(one_row_fits.get(f"/v1/builds/{mixing}/profile?rows=2"))
    assert body["detail"] == (
        "Query parameter rows: at most 1 of this build are computed at once "
        "(ZOO_MAX_ACTIVATION_BYTES)."
    )
    assert one_row_fits.get(f"/v2/models/{mixing}/config").json()["max_batch_size"] == 1


def test_rows_of_other_networks_are_computed_in_parts(one_row_fits: TestClient) -> None:
    plain = build(one_row_fits)
    assert one_row_fits.post(f"/v1/builds/{plain}/predict", content=NPY).status_code == 200
    assert one_row_fits.get(f"/v2/models/{plain}/config").json()["max_batch_size"] == 32


def test_a_comparison_names_the_build_whose_rows_do_not_fit_together(
    one_row_fits: TestClient,
) -> None:
    plain, mixing = build(one_row_fits), build(one_row_fits, scopes=SCOPES)
    body = problem(one_row_fits.post(f"/v1/compare?builds={plain},{mixing}", content=NPY))
    assert body["detail"] == f"{mixing}: {TOO_MANY}"


class RecordingEngine(FakeEngine):
    """Keeps the references that it was asked to run."""

    def __init__(self) -> None:
        super().__init__()
        self.alone: list[bool] = []

    async def infer(self, model: Any, *arguments: Any, **options: Any) -> Any:
        self.alone.append(model.uses_batch_statistics)
        return await super().infer(model, *arguments, **options)


def test_the_graph_says_which_requests_are_computed_alone(make_client: Make) -> None:
    """Not the spec's is_training: a ResNet in training has no dropout, and predicts alone too."""
    engine = RecordingEngine()
    client = make_client(engine)
    fixed = {"ops": ["batch_norm"], "args": {"is_training": False}}
    small = {"input_shape": [33, 33, 3], "params": {"num_classes": 10}}
    builds = [
        build(client),
        build(client, scopes=SCOPES),
        build(client, scopes=[*SCOPES, fixed]),
        build(client, "resnet_v1_50", **small),
        build(client, "resnet_v1_50", **small, is_training=True),
    ]
    for each in builds:
        response = client.post(f"/v1/builds/{each}/predict?output=logits", content=NPY)
        assert response.status_code == 200, response.text
    assert engine.alone == [False, True, False, False, True]


def test_a_build_with_a_forced_dropout_is_not_run(client: TestClient) -> None:
    level = {"ops": ["dropout"], "args": {"is_training": True}, "force": True}
    path = f"/v1/builds/{build(client, scopes=[level])}/predict"
    assert problem(client.post(path, content=NPY))["detail"] == (
        "LeNet/dropout3: is_training of dropout is true there, but predictions run in inference "
        "mode. Post the spec with is_training of dropout false; it has the same weights."
    )


def test_a_build_with_an_active_dropout_is_not_run(
    make_client: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def network(inputs: Tensor, is_training: bool = False) -> Tensor:
        dropped = layers.dropout(inputs, scope="forgets_is_training")
        return layers.conv2d(dropped, 4, 3, scope="conv")

    entry = Architecture("dropping", network, ArgScope, (28, 28, 1), "lenet", "here", 10)
    monkeypatch.setitem(registry._architectures, "dropping", entry)
    client = make_client(NoEngine())
    dropping = build(client, "dropping")
    message = (
        "forgets_is_training: is_training of dropout is true there, but predictions run in "
        "inference mode. Post the spec with is_training of dropout false; it has the same weights."
    )
    body = problem(client.post(f"/v1/builds/{dropping}/predict", content=NPY))
    assert (body["type"], body["detail"]) == ("/docs#problem-unprocessable", message)
    form = {"spec": (None, json.dumps({"architecture": "dropping"})), "array": NPY}
    assert problem(client.post("/v1/infer?output=logits", files=form))["detail"] == message
    body = problem(client.get(f"/v1/builds/{dropping}/profile"))
    assert (body["type"], body["detail"]) == ("/docs#problem-unprocessable", message)
    body = problem(client.post(f"/v1/compare?builds={dropping},{build(client)}", content=NPY))
    assert body["detail"] == f"{dropping}: {message}"
    response = client.post(f"/v2/models/{dropping}/infer", json={"inputs": [TENSOR]})
    assert (response.status_code, response.json()["error"]) == (400, message)
    response = client.post(f"/v1/models/{dropping}:predict", json={"instances": ROWS.tolist()})
    assert (response.status_code, response.json()["error"]) == (400, message)
