"""Golden records: ours pass, falsified ones fail with the difference named."""

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model_zoo import ZooError
from model_zoo.cli import main
from model_zoo.verify import _traced, find_records, verify_record

GOLDEN = Path(__file__).parent / "golden"
RECORDS = find_records([GOLDEN])

pytestmark = pytest.mark.long


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_record_of_the_real_network_passes(path: Path) -> None:
    assert verify_record(path).difference is None


def test_records_of_every_family_are_there() -> None:
    assert len(find_records([GOLDEN / "open"])) == 71
    assert len(find_records([GOLDEN / "refused"])) == 10


def test_record_is_completed_by_the_function_and_not_by_the_catalogue() -> None:
    """TF-Slim's function returns features unless it is given classes."""
    features = _traced({"architecture": "resnet_v1_50", "input_shape": [33, 33, 3]})
    assert features.graph.output.shape == (None, 1, 1, 2048)
    assert _traced({"architecture": "mobilenet_v1_025"}).classes == 1000
    with pytest.raises(ZooError) as caught:
        _traced({"architecture": "nasnet_mobile"})
    assert str(caught.value) == (
        "/params/num_classes: nasnet_mobile needs num_classes: an integer of at least 0 or null."
    )


def write(folder: Path, record: Any) -> Path:
    path = folder / "record.json.gz"
    path.write_bytes(gzip.compress(json.dumps(record).encode()))
    return path


def _set(*keys: Any, value: Any) -> Callable[[Any], None]:
    def change(record: Any) -> None:
        for key in keys[:-1]:
            record = record[key]
        record[keys[-1]] = value(record[keys[-1]]) if callable(value) else value

    return change


def _digit(number: float) -> float:
    """Raise the third digit of a number by one, or lower it where it is a nine."""
    mantissa, exponent = f"{number:.8e}".split("e")
    place = mantissa.index(".") + 2
    digit = mantissa[place]
    changed = str(int(digit) + 1) if digit != "9" else "8"
    return float(f"{mantissa[:place]}{changed}{mantissa[place + 1 :]}e{exponent}")


@pytest.mark.parametrize(
    ("change", "start"),
    [
        (_set("endpoints", 5, "head", 1, value=_digit), "end point fc3[1]: "),
        (_set("endpoints", 2, "mean", value=_digit), "end point conv2 mean[0]: "),
        (_set("endpoints", 2, "std", value=_digit), "end point conv2 std[0]: "),
        (_set("output", "values", 13, value=_digit), "output Logits[13]: "),
        (_set("output", "shape", 1, value=11), "output shape[1]: 10, not 11"),
        (
            _set("variables", 2, "shape", 3, value=65),
            "variables[2]: ('LeNet/conv2/weights', [5, 5, 32, 64], True), not "
            "('LeNet/conv2/weights', [5, 5, 32, 65], True)",
        ),
        (
            _set("variables", 0, "name", value="LeNet/conv1/weight"),
            "variables[0]: ('LeNet/conv1/weights', ",
        ),
        (_set("variables", 7, "trainable", value=False), "variables[7]: "),
        (lambda record: record["variables"].pop(), "variables: 8 of them, not 7"),
        (_set("params_total", value=3274635), "params_total: 3274634, not 3274635"),
        (_set("params_trainable", value=3274633), "params_trainable: 3274634, not 3274633"),
        (_set("endpoints", 0, "key", value="conv0"), "end points[0]: ('conv1', "),
        (_set("endpoints", 0, "shape", 1, value=27), "end points[0]: ('conv1', "),
        (_set("regularization_loss", value=1e-9), "regularization_loss[0]: "),
        (_set("regularization_losses_count", value=1), "regularization_losses_count: 0, not 1"),
        (_set("update_ops_count", value=2), "update_ops_count: 0, not 2"),
        (
            _set("profiler_flops_by_op", "Conv2D", value=lambda flops: flops + 1),
            "macs_profiler_flops: ",
        ),
        (_set("macs_profiler_flops", value=lambda flops: flops + 10), "macs_profiler_flops: "),
        (_set("weight_gain", value=1.01), "end point conv1["),
    ],
)
def test_falsified_record_fails_where_it_was_falsified(
    tmp_path: Path, change: Callable[[Any], None], start: str
) -> None:
    record = json.loads(gzip.decompress((GOLDEN / "open" / "lenet.json.gz").read_bytes()))
    falsified = copy.deepcopy(record)
    change(falsified)
    assert falsified != record
    difference = verify_record(write(tmp_path, falsified)).difference
    assert difference is not None
    assert difference.startswith(start), difference


def test_falsified_multiply_adds_fail_also_when_the_total_is_made_to_fit(tmp_path: Path) -> None:
    record = json.loads(gzip.decompress((GOLDEN / "open" / "lenet.json.gz").read_bytes()))
    record["profiler_flops_by_op"]["Conv2D"] += 4
    record["macs_profiler_flops"] += 4
    difference = verify_record(write(tmp_path, record)).difference
    assert difference == "multiply-adds: 55535616, not 55535620"


def test_falsified_count_of_updates_of_frozen_norms_fails(tmp_path: Path) -> None:
    path = GOLDEN / "open" / "cifarnet__training_frozen_bn.json.gz"
    record = json.loads(gzip.decompress(path.read_bytes()))
    record["update_ops_count"] += 2
    difference = verify_record(write(tmp_path, record)).difference
    assert difference == "update_ops_count: 6, not 8"


def test_falsified_loss_fails_in_its_fifth_digit(tmp_path: Path) -> None:
    record = json.loads(gzip.decompress((GOLDEN / "open" / "cifarnet.json.gz").read_bytes()))
    record["regularization_loss"] += 1e-4
    difference = verify_record(write(tmp_path, record)).difference
    assert difference is not None
    assert difference.startswith("regularization_loss[0]: 2.30731")


def test_refusal_of_something_that_builds_fails(tmp_path: Path) -> None:
    path = GOLDEN / "refused" / "lenet__unknown_arg.json.gz"
    record = json.loads(gzip.decompress(path.read_bytes()))
    record["spec"]["scopes"] = []
    difference = verify_record(write(tmp_path, record)).difference
    assert difference == (
        "built, where TF-Slim refuses: convolution2d() got an unexpected keyword argument "
        "'no_such_arg'"
    )


def test_beaten_override_must_be_warned_of(tmp_path: Path) -> None:
    path = GOLDEN / "refused" / "cifarnet__dropout_keep_prob_in_scope.json.gz"
    record = json.loads(gzip.decompress(path.read_bytes()))
    record["spec"]["scopes"] = []
    difference = verify_record(write(tmp_path, record)).difference
    assert difference == "no warning says that the override of keep_prob was beaten"


def test_what_is_not_a_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZooError) as caught:
        find_records([tmp_path / "nothing"])
    assert str(caught.value) == f"There is no file or folder {tmp_path / 'nothing'}."
    with pytest.raises(ZooError) as caught:
        find_records([tmp_path])
    assert str(caught.value) == f"The folder {tmp_path} holds no records (*.json.gz)."
    path = tmp_path / "text.json.gz"
    path.write_bytes(b"not gzip")
    with pytest.raises(ZooError, match=r"text\.json\.gz is not a golden record: BadGzipFile"):
        verify_record(path)
    with pytest.raises(ZooError, match=r"is not a golden record: KeyError\('case'\)"):
        verify_record(write(tmp_path, {}))


def test_command_prints_the_count_and_fails_with_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = GOLDEN / "open" / "lenet.json.gz"
    assert main(["verify", str(good)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1/1"
    record = json.loads(gzip.decompress(good.read_bytes()))
    record["params_total"] += 1
    assert main(["verify", str(good), str(write(tmp_path, record))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("2/2 lenet: FAIL params_total: 3274634, not 3274635 (")
    assert lines[-1] == "1/2"
