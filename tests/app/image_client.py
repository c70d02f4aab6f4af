"""What Triton's example clients for image classification demand of a model, and make of a picture.

The rules are those of `image_client.py` and its relatives in Triton's client repository.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image


class ParsedModel(NamedTuple):
    """What the clients read out of the metadata and the configuration of a model."""

    max_batch_size: int
    input: str
    output: str
    height: int
    width: int
    channels: int
    format: str
    datatype: str


class NoImageClassifierError(Exception):
    """The clients would end with this message."""


def parse_model(metadata: Mapping[str, Any], config: Mapping[str, Any]) -> ParsedModel:
    """Return what the clients need to know.

    Raises: NoImageClassifierError for what they reject.
    """
    for kind, tensors in (
        ("input of the metadata", metadata["inputs"]),
        ("output of the metadata", metadata["outputs"]),
        ("input of the configuration", config["input"]),
    ):
        require(len(tensors) == 1, f"one {kind}, got {len(tensors)}")
    (tensor,), (output,), (configured,) = metadata["inputs"], metadata["outputs"], config["input"]
    require(output["datatype"] == "FP32", f"an output of FP32, got {output['datatype']}")
    # A batch dimension comes first where the model takes batches, and does not count.
    batch = 1 if config["max_batch_size"] > 0 else 0
    long = [size for size in output["shape"][batch:] if size > 1]
    require(len(long) <= 1, f"an output that is a vector, got {output['shape']}")
    sizes = tensor["shape"][batch:]
    require(len(sizes) == 3, f"an input of three dimensions, got {tensor['shape']}")
    form = configured.get("format", "FORMAT_NONE")
    require(form in ("FORMAT_NHWC", "FORMAT_NCHW"), f"a format of images, got {form}")
    if form == "FORMAT_NCHW":
        sizes = [*sizes[1:], sizes[0]]
    names = (config["max_batch_size"], tensor["name"], output["name"])
    return ParsedModel(*names, *sizes, form, tensor["datatype"])


def require(holds: bool, what: str) -> None:
    if not holds:
        raise NoImageClassifierError(f"The client wants {what}.")


def prepared(model: ParsedModel, picture: bytes) -> NDArray[np.float32]:
    """Return a picture as one row of the input, scaled to -1 to 1 as for Inception."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("L" if model.channels == 1 else "RGB")
        image = image.resize((model.width, model.height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32).reshape(model.height, model.width, model.channels)
    row = pixels / 127.5 - 1
    return row.transpose(2, 0, 1) if model.format == "FORMAT_NCHW" else row
