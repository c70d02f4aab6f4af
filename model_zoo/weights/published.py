"""The checkpoints that TF-Slim published: where each lies, which network it fits, how it scored.

Source: tensorflow/models at 6897f3a58cd6, research/slim/README.md and, under nets/,
mobilenet_v1.md, mobilenet/README.md and nasnet/README.md. Accuracies stand as printed there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from pydantic import JsonValue
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from model_zoo.errors import WeightsError, unknown_name
from model_zoo.tables import markdown_table, spell_shape

# The README prints http://download.tensorflow.org, a bucket's alias. Over https that host answers
# with a certificate of another name (tensorflow/tensorflow#13702), so the bucket is named here.
_SLIM = "https://storage.googleapis.com/download.tensorflow.org/models"
_MOBILENET_V1 = f"{_SLIM}/mobilenet_v1_2018_08_02"
_MOBILENET_V2 = "https://storage.googleapis.com/mobilenet_v2/checkpoints"
_MOBILENET_V3 = "https://storage.googleapis.com/mobilenet_v3/checkpoints"
# Printed at storage.cloud.google.com, which asks for a login before it shows the same bucket.
_EDGETPU = "https://storage.googleapis.com/mobilenet_edgetpu/checkpoints"

# TF-Slim publishes no digests, and none of the files has been downloaded for this table. These are
# what others pin: OpenVINO's Open Model Zoo at f672dc50383d^, the last two at dfc67e8239cd; of
# mobilenet_v1_1.0_224 TensorFlow's own workspace2.bzl pins the same.
_SHA256 = {
    "inception_v1_2016_08_28": "7a620c430fcaba8f8f716241f5148c4c47c035cce4e49ef02cfbe6cd1adf96a6",
    "inception_v2_2016_08_28": "3b9d269984402003d8330affc4e1463c0b4cfd536339ad12446a48d72477480a",
    "inception_v4_2016_09_09": "272a2b24f68b2e51f3081479df075dd62b019ccda630e998fb7f6cf314c0f304",
    "mobilenet_v1_0.25_128": "879ddc3e0857f3611b5cf248e36de2288c7a11ea8c2ed8a8bdded635e6010dfe",
    "mobilenet_v1_0.5_160": "6bbc9dd7892433e49b4b6ff6af2952183eaa6c1c0cb862868465377a29c77b0d",
    "mobilenet_v1_0.5_224": "98cf7a39552f73920cb99617cfa9b88d5732a87abf9ec14f7cc7f3ade1db0aaa",
    "mobilenet_v1_1.0_224": "2fadeabb9968ec6833bee903900dda6e61b3947200535874ce2fe42a8493abc0",
    "mobilenet_v2_1.0_224": "318084bc1b63d6d7b854553e09cdf77078b1c0168be27c59a0d44253b5ed49dc",
    "mobilenet_v2_1.4_224": "a20d0c8d698502dc6a620528871c97a588885df7737556243a3412b39fce85e0",
    "v3-large_224_1.0_float": "9be8563f92022f412c82f2811d670888d6db998e2da9af3e71415fdde2f4f504",
    "v3-small_224_1.0_float": "e60ad9f450f892ae56f8b9122ffc750d88940d9e6b63f6dc70649179fb3a9065",
}


class PublishedSpec(TypedDict):
    """The build that published weights fit, as a request writes it."""

    architecture: str
    params: dict[str, JsonValue]
    input_shape: list[int]


class PublishedDescription(TypedDict):
    """A published checkpoint: its build, its accuracy in percent, and where it lies."""

    name: str
    architecture: str
    spec: PublishedSpec
    classes: int
    background_class: bool
    preprocessing: str
    top_1: float
    top_5: float | None
    moving_averages: bool
    url: str
    sha256: str | None
    note: str


@dataclass(frozen=True, slots=True)
class Published:
    """One published checkpoint: an archive, and the build that its weights fit.

    `name` is the archive's, without suffix, and `sha256` its digest, None where none is known.
    `top_1` and `top_5` are in percent, measured at `input_shape`; None where the table has none.
    `moving_averages` says that its authors restore the averages of the weights.
    """

    name: str
    url: str
    sha256: str | None
    architecture: str
    params: Mapping[str, Any]
    input_shape: tuple[int, int, int]
    top_1: float
    top_5: float | None
    preprocessing: str = "inception"
    moving_averages: bool = False
    note: str = ""

    @property
    def classes(self) -> int:
        """The number of classes of the checkpoint."""
        return int(self.params["num_classes"])

    @property
    def background(self) -> bool:
        """Whether class 0 is background."""
        return self.classes == 1001

    def spec(self) -> PublishedSpec:
        """Return the build spec that the weights fit, as JSON has it."""
        return {
            "architecture": self.architecture,
            "params": dict(self.params),
            "input_shape": list(self.input_shape),
        }


def _checkpoint(
    url: str,
    architecture: str,
    side: int,
    top_1: float,
    top_5: float | None,
    *,
    classes: int = 1001,
    params: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Published:
    name = url.rpartition("/")[2].removesuffix(".tgz").removesuffix(".tar.gz")
    params = {"num_classes": classes, **(params or {})}
    shape = (side, side, 3)
    sha256 = _SHA256.get(name)
    return Published(name, url, sha256, architecture, params, shape, top_1, top_5, **fields)


def _slim(archive: str, *row: Any, **fields: Any) -> Published:
    return _checkpoint(f"{_SLIM}/{archive}", *row, **fields)


def _from_caffe(archive: str, architecture: str, top_1: float, top_5: float) -> Published:
    """A VGG or ResNet v1, with Caffe's preprocessing and classes."""
    note = "Converted from Caffe."
    row = (archive, architecture, 224, top_1, top_5)
    return _slim(*row, classes=1000, preprocessing="vgg", note=note)


def _resnet_v2(archive: str, architecture: str, top_1: float, top_5: float) -> Published:
    note = "Measured at 299, on the validation set."
    return _slim(archive, architecture, 299, top_1, top_5, note=note)


def _mobilenet(*row: Any, **fields: Any) -> Published:
    # As nets/mobilenet/mobilenet_example.ipynb does with v2, for 1.5 to 2 % more accuracy, and the
    # loaders in research/mobilenet/tf1_loader at 857b8cda1626 with v1, v2, v3 and EdgeTPU.
    return _checkpoint(*row, moving_averages=True, **fields)


def _mobilenet_v1(multiplier: str, side: int, top_1: float, top_5: float) -> Published:
    suffix = {"1.0": "", "0.75": "_075", "0.5": "_050", "0.25": "_025"}[multiplier]
    url = f"{_MOBILENET_V1}/mobilenet_v1_{multiplier}_{side}.tgz"
    return _mobilenet(url, f"mobilenet_v1{suffix}", side, top_1, top_5)


def _mobilenet_v2(
    multiplier: str, side: int, top_1: float, top_5: float, note: str = ""
) -> Published:
    architecture, params = {
        "1.4": ("mobilenet_v2_140", {}),
        "1.3": ("mobilenet_v2", {"depth_multiplier": 1.3}),
        "1.0": ("mobilenet_v2", {}),
        "0.75": ("mobilenet_v2", _narrow(0.75)),
        "0.5": ("mobilenet_v2", _narrow(0.5)),
        "0.35": ("mobilenet_v2_035", {}),
    }[multiplier]
    url = f"{_MOBILENET_V2}/mobilenet_v2_{multiplier}_{side}.tgz"
    return _mobilenet(url, architecture, side, top_1, top_5, params=params, note=note)


def _mobilenet_v3(archive: str, architecture: str, top_1: float, **fields: Any) -> Published:
    return _mobilenet(f"{_MOBILENET_V3}/{archive}", architecture, 224, top_1, None, **fields)


def _edgetpu(multiplier: str, architecture: str, top_1: float) -> Published:
    url = f"{_EDGETPU}/mobilenet_edgetpu_224_{multiplier}.tgz"
    note = "The accuracy is the 8-bit model's."
    return _mobilenet(url, architecture, 224, top_1, None, note=note)


def _narrow(multiplier: float) -> dict[str, Any]:
    """Fewer channels, but not in the last convolution: so the printed parameters come out."""
    return {"depth_multiplier": multiplier, "finegrain_classification_mode": True}


# Of each kind: archive or multiplier and side, architecture where it does not follow, top-1, top-5.
_TABLE = (
    _slim("inception_v1_2016_08_28.tar.gz", "inception_v1", 224, 69.8, 89.6),
    _slim("inception_v2_2016_08_28.tar.gz", "inception_v2", 224, 73.9, 91.8),
    _slim("inception_v3_2016_08_28.tar.gz", "inception_v3", 299, 78.0, 93.9),
    _slim("inception_v4_2016_09_09.tar.gz", "inception_v4", 299, 80.2, 95.2),
    _slim("inception_resnet_v2_2016_08_30.tar.gz", "inception_resnet_v2", 299, 80.4, 95.3),
    _from_caffe("resnet_v1_50_2016_08_28.tar.gz", "resnet_v1_50", 75.2, 92.2),
    _from_caffe("resnet_v1_101_2016_08_28.tar.gz", "resnet_v1_101", 76.4, 92.9),
    _from_caffe("resnet_v1_152_2016_08_28.tar.gz", "resnet_v1_152", 76.8, 93.2),
    _resnet_v2("resnet_v2_50_2017_04_14.tar.gz", "resnet_v2_50", 75.6, 92.8),
    _resnet_v2("resnet_v2_101_2017_04_14.tar.gz", "resnet_v2_101", 77.0, 93.7),
    _resnet_v2("resnet_v2_152_2017_04_14.tar.gz", "resnet_v2_152", 77.8, 94.1),
    _from_caffe("vgg_16_2016_08_28.tar.gz", "vgg_16", 71.5, 89.8),
    _from_caffe("vgg_19_2016_08_28.tar.gz", "vgg_19", 71.1, 89.8),
    _mobilenet_v1("1.0", 224, 70.9, 89.9),
    _mobilenet_v1("1.0", 192, 70.0, 89.2),
    _mobilenet_v1("1.0", 160, 68.0, 87.7),
    _mobilenet_v1("1.0", 128, 65.2, 85.8),
    _mobilenet_v1("0.75", 224, 68.4, 88.2),
    _mobilenet_v1("0.75", 192, 67.2, 87.3),
    _mobilenet_v1("0.75", 160, 65.3, 86.0),
    _mobilenet_v1("0.75", 128, 62.1, 83.9),
    _mobilenet_v1("0.5", 224, 63.3, 84.9),
    _mobilenet_v1("0.5", 192, 61.7, 83.6),
    _mobilenet_v1("0.5", 160, 59.1, 81.9),
    _mobilenet_v1("0.5", 128, 56.3, 79.4),
    _mobilenet_v1("0.25", 224, 49.8, 74.2),
    _mobilenet_v1("0.25", 192, 47.7, 72.3),
    _mobilenet_v1("0.25", 160, 45.5, 70.3),
    _mobilenet_v1("0.25", 128, 41.5, 66.3),
    _mobilenet_v2("1.4", 224, 75.0, 92.5, "TF-Slim's main table prints 74.9 and 92.5."),
    _mobilenet_v2("1.3", 224, 74.4, 92.1),
    _mobilenet_v2("1.0", 224, 71.8, 91.0, "TF-Slim's main table prints 71.9 and 91.0."),
    _mobilenet_v2("1.0", 192, 70.7, 90.1),
    _mobilenet_v2("1.0", 160, 68.8, 89.0),
    _mobilenet_v2("1.0", 128, 65.3, 86.9),
    _mobilenet_v2("1.0", 96, 60.3, 83.2),
    _mobilenet_v2("0.75", 224, 69.8, 89.6),
    _mobilenet_v2("0.75", 192, 68.7, 88.9),
    _mobilenet_v2("0.75", 160, 66.4, 87.3),
    _mobilenet_v2("0.75", 128, 63.2, 85.3),
    _mobilenet_v2("0.75", 96, 58.8, 81.6),
    _mobilenet_v2("0.5", 224, 65.4, 86.4),
    _mobilenet_v2("0.5", 192, 63.9, 85.4),
    _mobilenet_v2("0.5", 160, 61.0, 83.2),
    _mobilenet_v2("0.5", 128, 57.7, 80.8),
    _mobilenet_v2("0.5", 96, 51.2, 75.8),
    _mobilenet_v2("0.35", 224, 60.3, 82.9),
    _mobilenet_v2("0.35", 192, 58.2, 81.2),
    _mobilenet_v2("0.35", 160, 55.7, 79.1),
    _mobilenet_v2("0.35", 128, 50.8, 75.0),
    _mobilenet_v2("0.35", 96, 45.5, 70.4),
    _mobilenet_v3("v3-large_224_1.0_float.tgz", "mobilenet_v3_large", 75.2),
    _mobilenet_v3("v3-large_224_0.75_float.tgz", "mobilenet_v3_large", 73.3, params=_narrow(0.75)),
    _mobilenet_v3("v3-small_224_1.0_float.tgz", "mobilenet_v3_small", 67.5),
    _mobilenet_v3("v3-small_224_0.75_float.tgz", "mobilenet_v3_small", 65.4, params=_narrow(0.75)),
    _mobilenet_v3(
        "v3-large-minimalistic_224_1.0_float.tgz", "mobilenet_v3_large_minimalistic", 72.3
    ),
    _mobilenet_v3(
        "v3-small-minimalistic_224_1.0_float.tgz", "mobilenet_v3_small_minimalistic", 61.9
    ),
    _edgetpu("0.75", "mobilenet_edgetpu_075", 73.5),
    _edgetpu("1.0", "mobilenet_edgetpu", 75.6),
    _slim("nasnet-a_mobile_04_10_2017.tar.gz", "nasnet_mobile", 224, 74.0, 91.6),
    _slim("nasnet-a_large_04_10_2017.tar.gz", "nasnet_large", 331, 82.7, 96.2),
    _slim("pnasnet-5_large_2017_12_13.tar.gz", "pnasnet_large", 331, 82.9, 96.2),
    _slim("pnasnet-5_mobile_2017_12_13.tar.gz", "pnasnet_mobile", 224, 74.2, 91.9),
)
_PUBLISHED = MappingProxyType({checkpoint.name: checkpoint for checkpoint in _TABLE})


def published() -> Mapping[str, Published]:
    """Return every published checkpoint by name, in the order of TF-Slim's tables."""
    return _PUBLISHED


def find_published(name: str, pointer: str = "") -> Published:
    """Return a published checkpoint.

    Raises: WeightsError for an unknown name, with the nearest ones.
    """
    row = _PUBLISHED.get(name)
    if row is None:
        what = f"There is no published checkpoint {name!r}."
        raise WeightsError(unknown_name(pointer, what, name, _PUBLISHED))
    return row


def describe_published() -> list[PublishedDescription]:
    """Return the published checkpoints, JSON-ready; `spec` builds a row's network."""
    return [
        {
            "name": row.name,
            "architecture": row.architecture,
            "spec": row.spec(),
            "classes": row.classes,
            "background_class": row.background,
            "preprocessing": row.preprocessing,
            "top_1": row.top_1,
            "top_5": row.top_5,
            "moving_averages": row.moving_averages,
            "url": row.url,
            "sha256": row.sha256,
            "note": row.note,
        }
        for row in _TABLE
    ]


def markdown() -> str:
    """Return the published checkpoints as a table of Markdown."""
    header = (
        "checkpoint",
        "architecture",
        "params",
        "input",
        "classes",
        "preprocessing",
        "top-1",
        "top-5",
        "averages",
        "SHA-256",
        "note",
    )
    rows = []
    for row in _TABLE:
        params = {key: value for key, value in row.params.items() if key != "num_classes"}
        cells = (
            f"[{row.name}]({row.url})",
            row.architecture,
            f"`{json.dumps(params)}`" if params else "",
            spell_shape(row.input_shape),
            f"{row.classes}{' with background' if row.background else ''}",
            row.preprocessing,
            f"{row.top_1}",
            "" if row.top_5 is None else f"{row.top_5}",
            "yes" if row.moving_averages else "",
            "pinned" if row.sha256 else "",
            row.note,
        )
        rows.append(cells)
    return markdown_table(header, rows, right=(6, 7))
