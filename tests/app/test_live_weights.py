"""Weight files of the real program: each opens with its own library and predicts the same."""

import hashlib
import io
import re
from pathlib import Path

import httpx
import numpy as np
import onnx
import onnxruntime
import pytest
import safetensors.numpy
from zoo_server import build, npy_bytes

import model_zoo

BATCH = np.linspace(-1, 1, 2 * 28 * 28, dtype=np.float32).reshape(2, 28, 28, 1)


@pytest.fixture
def path(live: httpx.Client) -> str:
    return f"/v1/builds/{build(live)}"


def served_logits(live: httpx.Client, path: str) -> np.ndarray:
    response = live.post(f"{path}/predict?output=logits&format=npy", content=npy_bytes(BATCH))
    return np.load(io.BytesIO(response.content))


def assigned_logits(weights: dict[str, np.ndarray]) -> np.ndarray:
    traced = model_zoo.trace(model_zoo.BuildSpec.read({"architecture": "lenet"}))
    model = model_zoo.materialize(traced)
    model.assign({name: np.zeros_like(value) for name, value in weights.items()})
    model.assign(weights)
    return model.predict(BATCH)


def test_npz_and_safetensors_hold_the_weights_that_are_served(
    live: httpx.Client, path: str
) -> None:
    npz = dict(np.load(io.BytesIO(live.get(f"{path}/weights?format=npz").content)))
    tensors = safetensors.numpy.load(live.get(f"{path}/weights?format=safetensors").content)
    assert sorted(npz) == sorted(tensors)
    assert npz["LeNet/conv1/weights"].shape == (5, 5, 1, 32)
    for name, value in npz.items():
        np.testing.assert_array_equal(tensors[name], value)
    np.testing.assert_allclose(assigned_logits(npz), served_logits(live, path), atol=1e-5)


def test_a_keras_file_opens_with_keras_alone_and_predicts_the_same(
    live: httpx.Client, path: str, tmp_path: Path
) -> None:
    import keras  # seconds, and only this test needs it directly

    file = tmp_path / "lenet.keras"
    file.write_bytes(live.get(f"{path}/weights?format=keras").content)
    model = keras.saving.load_model(file)
    np.testing.assert_allclose(
        model.predict(BATCH, verbose=0), served_logits(live, path), atol=1e-5
    )


@pytest.mark.parametrize("format_name", sorted(model_zoo.WEIGHT_FORMATS))
def test_a_file_s_tag_is_the_hash_of_its_content(
    live: httpx.Client, path: str, format_name: str
) -> None:
    response = live.get(f"{path}/weights?format={format_name}")
    kind = model_zoo.WEIGHT_FORMATS[format_name]
    assert response.headers["content-type"] == kind.media_type
    assert response.headers["etag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
    name = re.fullmatch(
        r'attachment; filename="lenet-[0-9a-f]{8}(\.[\w.]+)"',
        response.headers["content-disposition"],
    )
    assert name
    assert name[1] == kind.suffix
    same = live.get(
        f"{path}/weights?format={format_name}", headers={"If-None-Match": response.headers["etag"]}
    )
    assert same.status_code == 304
    part = live.get(f"{path}/weights?format={format_name}", headers={"Range": "bytes=100-199"})
    assert part.content == response.content[100:200]


def test_an_onnx_file_of_an_opset_with_channels_first_computes_the_same(
    live: httpx.Client, path: str
) -> None:
    response = live.get(f"{path}/weights?format=onnx&opset=17&layout=nchw")
    assert response.headers["etag"] == f'"{hashlib.sha256(response.content).hexdigest()}"'
    assert [each.version for each in onnx.load_from_string(response.content).opset_import] == [17]
    session = onnxruntime.InferenceSession(response.content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"input": np.moveaxis(BATCH, -1, 1)})
    np.testing.assert_allclose(logits, served_logits(live, path), atol=1e-5)
    plain = live.get(f"{path}/weights?format=onnx")
    assert [each.version for each in onnx.load_from_string(plain.content).opset_import] == [20]


def test_a_head_of_a_file_knows_its_size(live: httpx.Client, path: str) -> None:
    head, get = live.head(f"{path}/weights"), live.get(f"{path}/weights")
    assert head.headers["content-length"] == str(len(get.content))
    assert head.content == b""
    assert live.get("/healthz").status_code == 200  # the connection is still in order


def test_another_seed_is_another_build_with_other_weights(live: httpx.Client, path: str) -> None:
    other = f"/v1/builds/{build(live, weights={'source': 'random', 'seed': 1})}"
    assert other != path
    first, second = (live.head(f"{one}/weights").headers["etag"] for one in (path, other))
    assert first != second
