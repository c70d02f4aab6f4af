"""The servers in the comparison: how to start each, send it requests and read its answers."""

import base64
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving import service
from benchmarks.serving.environments import ROOT, environment
from benchmarks.serving.exchange import Answer, http_request
from benchmarks.serving.peers import network as peer
from benchmarks.serving.processes import Server, free_port, running
from benchmarks.serving.workload import NETWORKS, Array, Form, picture, tensor

MODE = "PEER_MODE"
BARE_TITLES = {
    "bare, in the loop": "loop",
    "bare, in a thread": "thread",
    "bare, in lanes": "lanes",
}

_PEERS = Path(peer.__file__).parent
_OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Classes:
    """The most probable classes of a picture, as a server tells them."""

    indices: Sequence[int]
    probabilities: Sequence[float]


class Contestant:
    """A server that can be started with a network. Requests fit one that runs."""

    name: str
    title: str

    @contextmanager
    def running(self, network: str) -> Iterator[Server]:
        """Start the server; end it afterwards. Raises: PeerError if it cannot be installed."""
        raise NotImplementedError

    def request(self, server: Server, network: str, form: Form) -> bytes:
        """Return a request with the workload's picture or tensor."""
        raise NotImplementedError

    def logits(self, answer: Answer) -> Array:
        """Read the answer to a tensor."""
        return np.frombuffer(answer.body, np.float32)

    def classes(self, answer: Answer) -> Classes:
        """Read the answer to a picture."""
        return _classes(json.loads(answer.body))


class Ours(Contestant):
    """This service."""

    name, title = "ours", "this service"

    @contextmanager
    def running(self, network: str) -> Iterator[Server]:
        """See Contestant."""
        with service.started_service() as server:
            yield server

    def request(self, server: Server, network: str, form: Form) -> bytes:
        """Return a request to the network's build, which is made by the first."""
        spec = NETWORKS[network]
        service.await_answer(server, http_request("GET", "/healthz"))
        build = service.make_build(server, spec)
        if form == "jpeg":
            return service.picture_request(build, picture())
        return service.infer_request(build, tensor(tuple(spec["input_shape"])))

    def logits(self, answer: Answer) -> Array:
        """See Contestant."""
        return service.numbers_of(answer)

    def classes(self, answer: Answer) -> Classes:
        """See Contestant."""
        return _classes(json.loads(answer.body)["predictions"][0])


class Peer(Contestant):
    """A peer: a program of `benchmarks.serving.peers` in an environment of its own."""

    def __init__(self, name: str, title: str, engine: str) -> None:
        self.name, self.title, self._engine = name, title, engine

    def command(self, programs: Path, port: int) -> list[str]:
        """Return the command that starts the server."""
        return [str(programs / "python"), "-m", f"benchmarks.serving.peers.{self.name}_peer"]

    def environment(self, port: int) -> Mapping[str, str]:
        """Return the server's own settings."""
        return {}

    def programs(self) -> Path:
        """Return the folder of its programs. Raises: PeerError if it cannot be installed."""
        return environment(self.name)

    @contextmanager
    def running(self, network: str) -> Iterator[Server]:
        """See Contestant."""
        programs, port = self.programs(), free_port()
        options = {peer.NETWORK: network, peer.PORT: str(port), peer.ENGINE: self._engine}
        settings = {**options, **self.environment(port)}
        with running(self.command(programs, port), settings, port) as server:
            yield server

    def request(self, server: Server, network: str, form: Form) -> bytes:
        """See Contestant."""
        if form == "jpeg":
            return self._post("/picture", picture(), "image/jpeg")
        return self._post("/tensor", _tensor(network).tobytes(), _OCTETS)

    @staticmethod
    def _post(path: str, body: bytes, content_type: str) -> bytes:
        return http_request("POST", path, body=body, headers={"Content-Type": content_type})


class Bare(Peer):
    """The bare server, in one of its modes; it runs on this environment's packages alone."""

    def __init__(self, title: str) -> None:
        super().__init__("bare", title, "onnxruntime")
        self._mode = BARE_TITLES[title]

    def environment(self, port: int) -> Mapping[str, str]:
        """See Peer."""
        return {MODE: self._mode, "PYTHONPATH": str(ROOT)}

    def programs(self) -> Path:
        """See Peer."""
        return Path(sys.executable).parent


class LitServe(Peer):
    """LitServe has one route for both forms."""

    def request(self, server: Server, network: str, form: Form) -> bytes:
        """See Contestant."""
        body = picture() if form == "jpeg" else _tensor(network).tobytes()
        return self._post("/predict", body, _OCTETS)


class BentoML(Peer):
    """BentoML answers numbers as JSON."""

    def command(self, programs: Path, port: int) -> list[str]:
        """See Peer."""
        service_name = "benchmarks.serving.peers.bentoml_peer:Service"
        address = ["--host", "127.0.0.1", "--port", str(port)]
        return [str(programs / "bentoml"), "serve", service_name, *address]

    def environment(self, port: int) -> Mapping[str, str]:
        """See Peer."""
        return {"BENTOML_DO_NOT_TRACK": "True"}

    def logits(self, answer: Answer) -> Array:
        """See Contestant."""
        return np.array(json.loads(answer.body), np.float32).ravel()

    def classes(self, answer: Answer) -> Classes:
        """See Contestant."""
        return _classes(json.loads(answer.body)[0])


class MLServer(Peer):
    """MLServer takes bytes in base64, and answers numbers as JSON."""

    def command(self, programs: Path, port: int) -> list[str]:
        """See Peer."""
        return [str(programs / "mlserver"), "start", str(_PEERS / "mlserver")]

    def environment(self, port: int) -> Mapping[str, str]:
        """See Peer."""
        return {
            "MLSERVER_HOST": "127.0.0.1",
            "MLSERVER_HTTP_PORT": str(port),
            "MLSERVER_GRPC_PORT": str(free_port()),
            "MLSERVER_METRICS_PORT": str(free_port()),
            "MLSERVER_DEBUG": "false",
        }

    def request(self, server: Server, network: str, form: Form) -> bytes:
        """See Contestant."""
        name = "picture" if form == "jpeg" else "tensor"
        data = picture() if form == "jpeg" else _tensor(network).tobytes()
        given = {
            "name": name,
            "shape": [1, 1],
            "datatype": "BYTES",
            "parameters": {"content_type": "base64"},
            "data": [base64.b64encode(data).decode()],
        }
        body = json.dumps({"inputs": [given]}).encode()
        return self._post("/v2/models/network/infer", body, "application/json")

    def logits(self, answer: Answer) -> Array:
        """See Contestant."""
        return np.array(_outputs(answer)["logits"], np.float32)

    def classes(self, answer: Answer) -> Classes:
        """See Contestant."""
        outputs = _outputs(answer)
        return Classes(outputs["classes"], outputs["probabilities"])


def contestants(engine: str | None = None) -> list[Contestant]:
    """Return this service and its peers; `engine` is the runtime of the peers."""
    return [
        Ours(),
        LitServe("litserve", "LitServe", engine or "tensorflow"),
        BentoML("bentoml", "BentoML", engine or "tensorflow"),
        MLServer("mlserver", "MLServer", engine or "tensorflow"),
        Peer("fastapi", "FastAPI + Keras predict", engine or "keras"),
        *(Bare(title) for title in BARE_TITLES),
    ]


def _tensor(network: str) -> Array:
    return tensor(tuple(NETWORKS[network]["input_shape"]))


def _classes(predictions: Sequence[Mapping[str, Any]]) -> Classes:
    return Classes(
        [each["class"] for each in predictions], [each["probability"] for each in predictions]
    )


def _outputs(answer: Answer) -> dict[str, Any]:
    return {each["name"]: each["data"] for each in json.loads(answer.body)["outputs"]}
