"""What a viewer would show otherwise is told on every route that takes pictures."""

import base64
import io
import json
import struct
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from zoo_server import build, image_bytes

IMAGES = Path(__file__).parents[1] / "images"
PHONE = (IMAGES / "phone.jpg").read_bytes()
CUTOUT = (IMAGES / "cutout_a.png").read_bytes()
TURNED = (
    "The JPEG image has the EXIF orientation 6: viewers show it turned by 90 degrees clockwise. "
    "Its pixels are used as they are stored, as by TensorFlow's decoders. Apply the orientation "
    "before you send the image, as Pillow's ImageOps.exif_transpose does."
)
CLEAR = (
    "The PNG image has pixels that are not opaque. The colors stored under them are used, as by "
    "TensorFlow's decoders. Paste the image on a background before you send it."
)
SPEC = {"architecture": "lenet", "input_shape": [32, 32, 3]}


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def files(*images: bytes) -> list[tuple[str, Any]]:
    return [("image", ("a", image)) for image in images]


@pytest.fixture
def model(live: httpx.Client) -> str:
    return build(live, **SPEC)


def header(text: str) -> str:
    return f'299 - "{text}"'


def test_predict_tells_it_and_where(live: httpx.Client, model: str) -> None:
    path = f"/v1/builds/{model}/predict"
    assert live.post(path, content=PHONE).json()["warnings"] == [TURNED]
    assert live.post(path, json=b64(CUTOUT)).json()["warnings"] == [f"/b64: {CLEAR}"]
    rows = {"instances": [b64(each) for each in (PHONE, CUTOUT, PHONE)]}
    assert live.post(path, json=rows).json()["warnings"] == [
        f"/instances/0, /instances/2: {TURNED}",
        f"/instances/1: {CLEAR}",
    ]
    answer = live.post(path, files=files(*[PHONE] * 6, image_bytes()))
    assert answer.json()["warnings"] == [f"/image/0, /image/1, /image/2 and 3 more: {TURNED}"]
    assert "warning" not in answer.headers


@pytest.mark.parametrize("format_name", ["npy", "npz"])
def test_an_answer_in_numpy_s_formats_tells_it_in_headers(
    live: httpx.Client, model: str, format_name: str
) -> None:
    path = f"/v1/builds/{model}/predict?format={format_name}"
    answer = live.post(path, files=files(CUTOUT, PHONE))
    assert answer.status_code == 200
    assert answer.headers.get_list("warning") == [
        header(f"/image/0: {CLEAR}"),
        header(f"/image/1: {TURNED}"),
    ]


def test_infer_tells_it_after_the_build_s_warnings(live: httpx.Client) -> None:
    scopes = [{"ops": ["separable_conv2d"], "args": {"stride": 2}}]
    form = [("spec", (None, json.dumps({**SPEC, "scopes": scopes}))), *files(PHONE)]
    first, second = live.post("/v1/infer", files=form).json()["warnings"]
    assert first.startswith("/scopes/0/args/stride: ")
    assert second == f"/image/0: {TURNED}"
    answer = live.post("/v1/infer?format=npy", files=form)
    assert answer.headers.get_list("warning") == [header(first), header(second)]


def test_compare_tells_it_for_each_model(live: httpx.Client, model: str) -> None:
    other = build(live, **SPEC, params={"num_classes": 7})
    answer = live.post(f"/v1/compare?builds={model},{other}", content=PHONE)
    assert [each["warnings"] for each in answer.json()["results"]] == [[TURNED]] * 2


def test_open_inference_tells_it_in_its_parameters(live: httpx.Client, model: str) -> None:
    path = f"/v2/models/{model}/infer"
    tensor = {"name": "image_bytes", "datatype": "BYTES", "shape": [2]}
    text = [base64.b64encode(each).decode() for each in (PHONE, CUTOUT)]
    expected = f"/inputs/0/data/0: {TURNED} /inputs/0/data/1: {CLEAR}"
    answer = live.post(path, json={"inputs": [{**tensor, "data": text}]})
    assert answer.json()["parameters"] == {"warnings": expected}
    tail = b"".join(struct.pack("<I", len(each)) + each for each in (PHONE, CUTOUT))
    head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": len(tail)}}]})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    answer = live.post(path, content=head.encode() + tail, headers=headers)
    assert answer.json()["parameters"] == {"warnings": expected}
    headers = {"Inference-Header-Content-Length": "0"}
    answer = live.post(path, content=PHONE, headers=headers)
    size = int(answer.headers["inference-header-content-length"])
    document = json.loads(answer.content[:size])
    assert document["parameters"] == {"warnings": f"/inputs/0/data/0: {TURNED}"}


@pytest.mark.parametrize("action", ["predict", "classify"])
def test_tensorflow_serving_tells_it_in_headers(
    live: httpx.Client, model: str, action: str
) -> None:
    rows: dict[str, Any] = {"instances": [b64(PHONE), b64(CUTOUT)]}
    places = ["/instances/0", "/instances/1"]
    if action == "classify":
        rows = {"examples": [{"image_bytes": b64(each)} for each in (PHONE, CUTOUT)]}
        places = ["/examples/0/image_bytes", "/examples/1/image_bytes"]
    answer = live.post(f"/v1/models/{model}:{action}", json=rows)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 1
    assert answer.headers.get_list("warning") == [
        header(f"{places[0]}: {TURNED}"),
        header(f"{places[1]}: {CLEAR}"),
    ]


def test_an_ordinary_image_has_no_warning_anywhere(live: httpx.Client, model: str) -> None:
    image = image_bytes()
    assert live.post(f"/v1/builds/{model}/predict", content=image).json()["warnings"] == []
    answer = live.post(f"/v1/models/{model}:predict", json={"instances": [b64(image)]})
    assert "warning" not in answer.headers


def test_pixels_are_used_as_stored(live: httpx.Client, model: str) -> None:
    """The answer is that of the same pixels without metadata, and not that of the upright image."""
    path = f"/v1/builds/{model}/predict?output=logits"

    def logits(data: bytes) -> np.ndarray:
        return np.array(live.post(path, content=data).json()["outputs"]["logits"]["data"])

    stored = Image.open(io.BytesIO(PHONE))
    stream = io.BytesIO()
    Image.fromarray(np.asarray(stored)).save(stream, "PNG")
    np.testing.assert_array_equal(logits(PHONE), logits(stream.getvalue()))
    assert not np.allclose(logits(PHONE), logits((IMAGES / "phone_upright.png").read_bytes()))
