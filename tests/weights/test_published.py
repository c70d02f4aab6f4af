"""The published checkpoints: each fits a network of the catalogue, as TF-Slim's tables say."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from model_zoo import BuildSpec, find_architecture, trace
from model_zoo.errors import WeightsError
from model_zoo.preprocessing import PREPROCESSINGS
from model_zoo.weights.published import describe_published, find_published, markdown, published

DOCUMENT = Path(__file__).parents[2] / "docs" / "checkpoints.md"
ROWS = published()
BUCKETS = (
    "download.tensorflow.org/models",
    "mobilenet_v2/checkpoints",
    "mobilenet_v3/checkpoints",
    "mobilenet_edgetpu/checkpoints",
)
# Millions, as printed beside the accuracies. Left out is MobileNet v3 Small (2.9, and 2.4 at 0.75),
# of which the table prints the paper's first version: TF-Slim's own network has fewer.
PARAMETERS = {
    "mobilenet_v1_1.0": 4.24,
    "mobilenet_v1_0.75": 2.59,
    "mobilenet_v1_0.5": 1.34,
    "mobilenet_v1_0.25": 0.47,
    "mobilenet_v2_1.4": 6.06,
    "mobilenet_v2_1.3": 5.34,
    "mobilenet_v2_1.0": 3.47,
    "mobilenet_v2_0.75": 2.61,
    "mobilenet_v2_0.5": 1.95,
    "mobilenet_v2_0.35": 1.66,
    "v3-large_224_1.0": 5.4,
    "v3-large_224_0.75": 4.0,
    "v3-large-minimalistic": 3.9,
    "v3-small-minimalistic": 2.0,
    "mobilenet_edgetpu_224_0.75": 2.9,
    "mobilenet_edgetpu_224_1.0": 4.0,
    "nasnet-a_mobile": 5.3,
    "nasnet-a_large": 88.9,
}


@pytest.mark.parametrize("name", ROWS)
def test_weights_fit_a_network_of_the_catalogue(name: str) -> None:
    row = ROWS[name]
    entry = find_architecture(row.architecture)
    traced = trace(BuildSpec.read(row.spec()))
    assert traced.warnings == ()
    assert traced.classes == row.classes == entry.classes
    assert traced.spec.input_shape == row.input_shape
    assert row.background == entry.background == (row.classes == 1001)
    assert row.preprocessing == entry.preprocessing
    assert row.preprocessing in PREPROCESSINGS
    for start, millions in PARAMETERS.items():
        if name.startswith(start):  # they leave out what batch normalization adds, or not
            parameters = traced.summary().totals["parameters"] / 1e6
            assert parameters == pytest.approx(millions, rel=0.05)


def test_every_family_is_there() -> None:
    counts = {
        r"inception_v\d_2016_.*": 4,
        r"inception_resnet_v2_2016_08_30": 1,
        r"resnet_v1_(50|101|152)_2016_08_28": 3,
        r"resnet_v2_(50|101|152)_2017_04_14": 3,
        r"vgg_(16|19)_2016_08_28": 2,
        r"mobilenet_v1_(1.0|0.75|0.5|0.25)_(224|192|160|128)": 16,
        r"mobilenet_v2_(1.4|1.3)_224": 2,
        r"mobilenet_v2_(1.0|0.75|0.5|0.35)_(224|192|160|128|96)": 20,
        r"v3-(large|small)(_224_1.0|_224_0.75|-minimalistic_224_1.0)_float": 6,
        r"mobilenet_edgetpu_224_(1.0|0.75)": 2,
        r"nasnet-a_(mobile|large)_04_10_2017": 2,
        r"pnasnet-5_(mobile|large)_2017_12_13": 2,
    }
    found = {
        pattern: sum(map(bool, (re.fullmatch(pattern, n) for n in ROWS))) for pattern in counts
    }
    assert found == counts
    assert len(ROWS) == sum(counts.values())


@pytest.mark.parametrize("name", ROWS)
def test_address_is_the_archive_in_a_known_bucket(name: str) -> None:
    url = urlsplit(ROWS[name].url)
    assert (url.scheme, url.netloc, url.query) == ("https", "storage.googleapis.com", "")
    assert url.path.startswith(tuple(f"/{bucket}/" for bucket in BUCKETS))
    assert re.fullmatch(rf".*/{re.escape(name)}\.(tgz|tar\.gz)", url.path)


def test_addresses_and_digests_are_unique() -> None:
    digests = [row.sha256 for row in ROWS.values() if row.sha256]
    assert len(digests) == len(set(digests)) == 11
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert len({row.url for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize("name", ROWS)
def test_accuracies_are_percentages_in_order(name: str) -> None:
    row = ROWS[name]
    assert 40 < row.top_1 < (100 if row.top_5 is None else row.top_5) <= 100
    assert (row.top_5 is None) == name.startswith(("v3-", "mobilenet_edgetpu"))


def test_rows_are_ready_for_json() -> None:
    rows = json.loads(json.dumps(describe_published(), allow_nan=False))
    assert [row["name"] for row in rows] == list(ROWS)
    assert rows[0] == {
        "name": "inception_v1_2016_08_28",
        "architecture": "inception_v1",
        "spec": {
            "architecture": "inception_v1",
            "params": {"num_classes": 1001},
            "input_shape": [224, 224, 3],
        },
        "classes": 1001,
        "background_class": True,
        "preprocessing": "inception",
        "top_1": 69.8,
        "top_5": 89.6,
        "moving_averages": False,
        "url": "https://storage.googleapis.com/download.tensorflow.org/models/"
        "inception_v1_2016_08_28.tar.gz",
        "sha256": "7a620c430fcaba8f8f716241f5148c4c47c035cce4e49ef02cfbe6cd1adf96a6",
        "note": "",
    }


def test_found_by_name() -> None:
    row = find_published("mobilenet_v2_0.75_96")
    assert row.architecture == "mobilenet_v2"
    assert row.params["depth_multiplier"] == 0.75
    with pytest.raises(TypeError):
        published()["new"] = row


def test_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(WeightsError) as caught:
        find_published("vgg_16_2016", "/name")
    (problem,) = caught.value.problems
    assert problem.message == (
        "There is no published checkpoint 'vgg_16_2016'. Did you mean 'vgg_16_2016_08_28' or "
        "'vgg_19_2016_08_28'?"
    )
    assert (problem.pointer, problem.suggestion) == ("/name", "vgg_16_2016_08_28")


def test_the_table_of_the_docs_is_generated() -> None:
    """By `model_zoo.weights.published.markdown`."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("|")] == markdown().splitlines()
