"""The service beside packages that fail, and beside networks whose authors made mistakes."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from package_site import ABSENT, MODULES, make_site, path_with, without_lines
from starlette.testclient import TestClient
from zoo_server import Server, build, npy_bytes, problem

from model_zoo import Architecture, ArgScope, Tensor, layers
from model_zoo.architectures import registry

FAILED = sorted({*MODULES, ABSENT} - {"good", "shared"})
EXIT = (
    "The package exits was left out, because its module exits failed: SystemExit: 3 "
    "(exits.py:LINE)."
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    site = make_site(tmp_path_factory.mktemp("site"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path_with(site))
        server = Server(tmp_path_factory.mktemp("home"))
    yield server
    server.end()


def test_failed_packages_take_nothing_down(server: Server) -> None:
    """The worker computes the good ones, the readers read, and the log tells each failure once."""
    with server.client() as client:
        assert client.get("/healthz").json()["status"] == "ok"
        names = [row["name"] for row in client.get("/v1/architectures").json()["architectures"]]
        assert {"good_net", "shared_net", "lenet"} <= set(names)
        for name, shape in (("good_net", (8, 8, 3)), ("lenet", (28, 28, 1))):
            row = npy_bytes(np.zeros(shape, np.float32))
            response = client.post(f"/v1/builds/{build(client, name)}/predict", content=row)
            assert response.status_code == 200, response.text
        assert client.get("/healthz").json()["worker"]["restarts"] == 0
    for module in FAILED:
        told = [line for line in server.log if f"because its module {module} failed" in line]
        assert len(told) == 1, told


def test_health_lists_failed_packages(server: Server) -> None:
    with server.client() as client:
        failed = json.loads(without_lines(client.get("/healthz").text))["failed_packages"]
    assert [each["module"] for each in failed] == FAILED
    (exits,) = [each for each in failed if each["module"] == "exits"]
    assert exits == {
        "package": "exits",
        "module": "exits",
        "reason": "SystemExit: 3 (exits.py:LINE).",
    }


def test_asking_for_an_architecture_of_a_failed_package_says_why(server: Server) -> None:
    with server.client() as client:
        body = problem(client.post("/v1/builds", json={"architecture": "exited_net"}))
        assert (body["status"], body["errors"][0]["pointer"]) == (422, "/architecture")
        assert without_lines(body["errors"][0]["message"]).endswith(f" {EXIT}")
        body = problem(client.get("/v1/architectures/exited_net"))
        assert body["status"] == 404
        assert without_lines(body["detail"]).endswith(f" {EXIT}")


def fails(_inputs: Tensor) -> Tensor:
    raise IndexError("list index out of range")


MISTAKES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "string": (
        lambda x: layers.conv2d(x, 4, 3, normalizer_fn="batch_norm", scope="stem"),
        "normalizer_fn is a function or None; received 'batch_norm'.",
    ),
    "string for an activation": (
        lambda x: layers.conv2d(x, 4, 3, activation_fn="relu", scope="stem"),
        "activation_fn must be a function of a tensor, such as model_zoo.activations.relu, or "
        "None; received 'relu', written at test_packages_served.py:LINE (<lambda>).",
    ),
    "function that makes one": (
        lambda x: layers.conv2d(x, 4, 3, biases_initializer=layers.dropout, scope="stem"),
        "biases_initializer must be an initializer, such as "
        "model_zoo.values.xavier_initializer(), or None; received dropout, written at "
        "test_packages_served.py:LINE (<lambda>).",
    ),
    "axis": (
        lambda x: layers.group_norm(x, 3, reduction_axes=("h", "w"), scope="stem"),
        "reduction_axes must be a list of at most 5, each an integer of at least -5 and of at most "
        "5; received ('h', 'w'), written at test_packages_served.py:LINE (<lambda>).",
    ),
    "list of tensors": (
        lambda x: layers.flatten([x], scope="stem"),
        "AttributeError: 'list' object has no attribute 'rank' (test_packages_served.py:LINE).",
    ),
    "bug": (fails, "IndexError: list index out of range (test_packages_served.py:LINE)."),
}
LAYERS = {
    "string": "stem (conv2d)",
    "string for an activation": "stem (conv2d)",
    "function that makes one": "stem (conv2d)",
    "axis": "stem (group_norm)",
    "list of tensors": "stem (flatten)",
    "bug": "mistaken",
}


@pytest.mark.parametrize("case", MISTAKES)
def test_an_author_s_mistake_is_told_with_layer_and_argument(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    body, message = MISTAKES[case]

    def network(inputs: Tensor, is_training: bool = False) -> Any:
        return body(inputs)

    entry = Architecture("mistaken", network, ArgScope, (8, 8, 3), "inception", "here", 10)
    monkeypatch.setitem(registry._architectures, "mistaken", entry)
    told = problem(client.post("/v1/builds", json={"architecture": "mistaken"}))
    assert (told["type"], told["layer"]) == ("/docs#problem-build-refused", LAYERS[case])
    (error,) = told["errors"]
    assert without_lines(error["message"]) == message
