"""docs/http.md tells the truth: every route and setting is in it, and its answers are real.

The routes of other servers' protocols are on docs/serving.md: see test_docs_serving.

`python tests/app/test_docs_http.py` writes the answers anew.
"""

import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import safetensors.numpy
from docs_page import Run, rewritten, steady
from zoo_server import ROOT, Server, build, image_bytes, npy_bytes

from app.http.foreign_problems import foreign_status
from app.http.problem_types import PROBLEM_TYPES
from app.main import create_app
from app.settings import Settings, variable
from model_zoo import BuildSpec, trace

PAGE = ROOT / "docs" / "http.md"
SERVING_PAGE = ROOT / "docs" / "serving.md"
LENET = {"architecture": "lenet"}


def lenet_weights(name: str = "{}") -> bytes:
    """Weights of lenet as published, all of them 0.01; `name` is what becomes of a name."""
    variables = trace(BuildSpec.read(LENET)).graph.variables
    return safetensors.numpy.save(
        {name.format(v.name): np.full(v.shape, 0.01, np.float32) for v in variables}
    )


FILES = {
    "lenet.safetensors": lenet_weights(),
    "photo.jpg": image_bytes(size=(320, 240)),
    "row.npy": npy_bytes(np.linspace(-1, 1, 784, dtype=np.float32).reshape(28, 28, 1)),
}
LENET_SCOPES = [{"ops": ["conv2d"], "args": {"activation_fn": "relu6"}}]
ELU_SCOPES = [{"ops": ["conv2d"], "args": {"activation_fn": "elu"}}]
REGULARIZER_SCOPES = [
    {
        "ops": ["conv2d"],
        "args": {"weights_regularizer": {"name": "l2_regularizer", "scale": 0.0001}},
    },
    {"ops": ["fully_connected"], "args": {"weights_regularizer": None}},
]
# In the table of a comparison: its memory, which engine is the faster, and how long it took.
CHANGING = (
    (r"engine +precision", "engine precision"),
    (r"(?m)\d+\.\d +(onnxruntime|tensorflow) +(float32 +\d+) .*$", r"... \2 ..."),
    (r"(?m)^-{60,}$", "-----"),
    (r'"in_flight":\d', '"in_flight":0'),  # a network may still be warmed up
)


def answer(client: httpx.Client, command: str, builds: dict[str, str]) -> str:
    """Return what a `curl` line of the page prints; `builds` has ids by what stands for them."""
    for name, build_id in builds.items():
        command = command.replace(f"{{{name}}}", build_id)
    request, *pipe = command.split(" | ")
    words = iter(shlex.split(request)[1:])
    method, url, headers, content = None, "", {}, None
    form: list[tuple[str, Any]] = []
    for word in words:
        match word:
            case "-s":
                pass
            case "-I":
                method = "HEAD"
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                content = next(words).encode()
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            case "--data-binary":
                content = FILES[next(words).removeprefix("@")]
            case "-F":
                name, _, value = next(words).partition("=")
                file = value.removeprefix("@")
                is_file = value.startswith("@")
                form.append((name, (file, FILES[file]) if is_file else (None, value)))
            case _:
                url = word.removeprefix("http://127.0.0.1:8000")
    method = method or ("POST" if content or form else "GET")
    response = client.request(method, url, headers=headers, content=content, files=form or None)
    if method == "HEAD":
        lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}"]
        return "\n".join(lines + [f"{name}: {value}" for name, value in response.headers.items()])
    text = response.text.rstrip()
    for program in map(shlex.split, pipe):
        match program:
            case ["python3", "-m", "json.tool"]:
                text = json.dumps(response.json(), indent=4)
            case ["grep", pattern]:
                text = "\n".join(line for line in text.splitlines() if pattern in line)
            case _:
                raise AssertionError(command)
    return text


def asked(client: httpx.Client) -> Run:
    """Return what runs the commands of a block against the service."""
    upload = client.post("/v1/weights?name=prefixed", content=lenet_weights("model/{}:0"))
    assert upload.is_success, upload.text
    faint = {"name": "truncated_normal_initializer", "stddev": 0.003}
    builds = {
        "faint": build(
            client, scopes=[{"ops": ["conv2d"], "args": {"weights_initializer": faint}}]
        ),
        "lenet": build(client, scopes=LENET_SCOPES),
        "eleven": build(client, params={"num_classes": 11}),
        "elu": build(client, scopes=ELU_SCOPES),
        "regularized": build(client, scopes=REGULARIZER_SCOPES),
    }
    return lambda commands: [answer(client, command, builds) for command in commands]


def test_every_answer_on_the_page_is_real(live: httpx.Client) -> None:
    page = PAGE.read_text()
    assert steady(rewritten(page, asked(live)), CHANGING) == steady(page, CHANGING)


def test_every_route_is_on_its_page(tmp_path: Path) -> None:
    page, serving = PAGE.read_text(), SERVING_PAGE.read_text()
    app = create_app(Settings(home=tmp_path))
    for path, operations in app.openapi()["paths"].items():
        for method in map(str.upper, operations):
            if foreign_status(422, method, path) == 422:  # our own
                assert f"`{method} {path}`" in page
            else:  # that page says once where versions may stand
                assert f"`{method} {path.replace('/versions/{version}', '')}`" in serving


def test_every_setting_and_kind_of_problem_is_on_the_page() -> None:
    page = PAGE.read_text()
    for name, field in Settings.model_fields.items():
        default = "" if field.default in ("", ()) else f"`{field.default}`"
        assert f"| `{variable(name)}` | {default} | {field.description} |" in page
    for name, kind in PROBLEM_TYPES.items():
        assert f"| `{name}` | {kind.status} | {kind.title} | {kind.explanation} |" in page


def main() -> int:
    """Write the page's answers anew."""
    with tempfile.TemporaryDirectory() as home:
        server = Server(Path(home))
        server.worker_pid()  # so that no time on the page is that of the start
        with server.client() as client:
            PAGE.write_text(rewritten(PAGE.read_text(), asked(client)))
        return server.end()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
