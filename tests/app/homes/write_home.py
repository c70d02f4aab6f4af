"""Write a home with the service of this checkout, over HTTP, and record what it answers from it.

Run from the root of the repository, once a release, and commit the folder:
    PYTHONPATH=.:tests .venv/bin/python tests/app/homes/write_home.py release_0_2_0
"""

import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import homes
import httpx
import numpy as np
import safetensors.numpy
import zoo_server

from app.version import VERSION

TINY = {
    "params": {"num_classes": 5, "depth_multiplier": 0.01, "min_depth": 2},
    "input_shape": [32, 32, 3],
    "scopes": [
        # Values stay far from zero through all 28 layers.
        {
            "ops": ["conv2d", "separable_conv2d"],
            "args": {
                "activation_fn": "elu",
                "weights_initializer": {
                    "name": "random_uniform_initializer",
                    "minval": -1.0,
                    "maxval": 1.5,
                },
            },
        }
    ],
}
NESTED = [
    {
        "ops": ["conv2d", "fully_connected"],
        "args": {
            "activation_fn": "relu6",
            "normalizer_fn": "batch_norm",
            "weights_regularizer": {
                "name": "l1_l2_regularizer",
                "scale_l1": 0.001,
                "scale_l2": 0.0001,
            },
        },
    },
    {"ops": ["batch_norm"], "args": {"decay": 0.997, "scale": True, "epsilon": 0.01}},
    {
        "ops": ["conv2d"],
        "args": {
            "weights_regularizer": {"name": "l2_regularizer", "scale": 0.0001},
            "normalizer_params": {"decay": 0.9},
        },
    },
    {"ops": ["fully_connected"], "args": {"normalizer_fn": None, "activation_fn": "tanh"}},
    {"ops": ["separable_conv2d"], "args": {"weights_regularizer": None}},  # reaches no call
]
SWEEP = {
    "spec": {"architecture": "lenet", "input_shape": [4, 4, 1]},
    "axes": {"/params/num_classes": {"start": 2, "stop": 40}},
}


def write_home(client: httpx.Client) -> dict[str, Any]:
    """Post builds, weights and models; return the spec of each build as it was posted."""
    posted = {}

    def build(architecture: str, **spec: Any) -> str:
        build_id = zoo_server.build(client, architecture, **spec)
        posted[build_id] = {"architecture": architecture, **spec}
        return build_id

    lenet = build("lenet", input_shape=[4, 4, 1])
    small = build("lenet", params={"num_classes": 3}, input_shape=[4, 4, 1], scopes=NESTED)
    build(
        "cifarnet",
        params={"num_classes": 2, "dropout_keep_prob": 0.75},
        input_shape=[8, 8, 3],
        default_scope={"weight_decay": 0.01},
        weights={"source": "random", "seed": 11},
    )
    bare_scopes = [*TINY["scopes"], {"ops": ["conv2d"], "args": {"normalizer_fn": None}}]
    bare = {**TINY, "params": {**TINY["params"], "num_classes": None}, "scopes": bare_scopes}
    build("mobilenet_v1", **bare, default_scope=None, is_training=True)

    seeded = build("mobilenet_v1", **TINY, weights={"source": "random", "seed": 7})
    file = client.get(f"/v1/builds/{seeded}/weights?format=checkpoint").content
    checkpoint = {"source": "checkpoint", "id": upload(client, file, "tiny.tgz")}
    restored = build("mobilenet_v1", **TINY, weights=checkpoint)
    other_head = {**TINY, "params": {**TINY["params"], "num_classes": 4}}
    trunk = {**checkpoint, "exclude": ["MobilenetV1/Logits/*"]}
    tuned = build("mobilenet_v1", **other_head, weights=trunk)
    of_build = build("mobilenet_v1", **TINY, weights={"source": "build", "id": restored})
    head = {
        "source": "checkpoint",
        "id": upload(client, safetensors.numpy.save(head_tensors()), "head.safetensors"),
        "include": ["MobilenetV1/Logits/*"],
        "rename": {"net/": "MobilenetV1/"},
        "moving_averages": True,
    }
    several = [
        {"source": "random", "seed": 3},
        {"source": "build", "id": of_build, "policy": "skip_mismatch"},
        {**checkpoint, "include": ["*/BatchNorm/*"], "exclude": ["*/Conv2d_1*_depthwise/*"]},
        head,
    ]
    build("mobilenet_v1", **other_head, weights=several)

    put(client, "digits", lenet, labels=["stable"], engine="tensorflow")
    put(client, "digits", small, labels=["canary", "v2.0"])
    put(client, "digits", small, precision="bfloat16")
    put(
        client,
        "pictures",
        restored,
        version=1_700_000_000,
        labels=["stable"],
        engine="onnxruntime",
        precision="float32",
        pinned=True,
    )
    put(client, "pictures", tuned)
    put(client, "shapes", small, class_names=["circle", "square", "triangle"])
    client.put("/v1/scopes/house", json={"levels": NESTED}).raise_for_status()
    client.put("/v1/scopes/house", json={"levels": NESTED[:2]}).raise_for_status()
    client.post(f"/v1/builds/{small}/probe?rows=1").raise_for_status()
    client.post("/v1/sweeps", json=SWEEP).raise_for_status()

    # The checkpoint's own build is not needed any more; one weight file stays.
    assert client.delete(f"/v1/builds/{seeded}").status_code == 204
    del posted[seeded]
    client.get(f"/v1/builds/{restored}/weights?format=safetensors").raise_for_status()
    return posted


def head_tensors() -> dict[str, np.ndarray]:
    """Return a head by other names, with moving averages of its weights."""
    weights = np.arange(40, dtype=np.float32).reshape(1, 1, 10, 4) / 16
    return {
        "net/Logits/Conv2d_1c_1x1/weights": weights,
        "net/Logits/Conv2d_1c_1x1/weights/ExponentialMovingAverage": weights - 1,
        "net/Logits/Conv2d_1c_1x1/biases": np.arange(4, dtype=np.float32),
    }


def upload(client: httpx.Client, file: bytes, name: str) -> str:
    """Upload weights and return their id."""
    response = client.post(f"/v1/weights?name={name}", content=file)
    assert response.status_code == 201, response.text
    weights_id: str = response.json()["id"]
    return weights_id


def put(client: httpx.Client, name: str, build_id: str, **naming: Any) -> None:
    """Give a build a name."""
    response = client.put(f"/v1/models/{name}", json={"build": build_id, **naming})
    assert response.status_code == 201, response.text


def recorded(client: httpx.Client) -> dict[str, Any]:
    """Return what the service answers from the home."""
    listings = homes.listings(client)
    builds = {build_id: homes.build_answers(client, build_id) for build_id in listings["builds"]}
    names = sorted({model["name"] for model in listings["models"]})
    return {
        "listings": listings,
        "saved": homes.saved(client),
        "metadata": {name: homes.model_metadata(client, name) for name in names},
        "answers": builds,
        "weight-digests": {each: homes.weight_digests(client, each) for each in builds},
        "predictions": {
            each: homes.prediction(client, answers["build"])
            for each, answers in builds.items()
            if not answers["build"]["spec"]["is_training"]  # it has no predictions
        },
    }


def main(release: str) -> None:
    """Write the home and what is expected of it."""
    folder = homes.HOMES / release
    folder.mkdir()
    posted = served(folder / homes.HOME, write_home)
    for name in ("lock", "reserve"):  # of the service that ran
        (folder / homes.HOME / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        copy = shutil.copytree(folder / homes.HOME, Path(scratch) / homes.HOME)
        expected = {"version": VERSION, "posted": posted, **served(copy, recorded)}
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    # Shapes and other flat lists stand on one line.
    text = re.sub(r"\[\n[^][{}]*\]", lambda flat: " ".join(flat[0].split()), text)
    text = text.replace("[ ", "[").replace(" ]", "]")
    assert json.loads(text) == expected
    (folder / homes.EXPECTED).write_text(text + "\n", encoding="utf-8")


def served(home: Path, work: Any) -> Any:
    """Return what `work` returns, given a client of the service on a home."""
    server = zoo_server.Server(home)
    try:
        with server.client() as client:
            return work(client)
    finally:
        server.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
