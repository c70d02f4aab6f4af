"""Files of weights: what each format holds, same bytes for same weights, refusals."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from model_zoo.errors import OptionError, WeightsError
from model_zoo.weights.files import FORMATS, find_format, write_weights

WEIGHTS = {
    "Net/Conv/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "Net/Conv/biases": np.ones(4, np.float32),
    "Net/step": np.array(7, np.int64),
}


class Arrays:
    """A stand-in for the formats that hold arrays alone."""

    def __init__(self, weights: dict[str, np.ndarray] | None = None) -> None:
        self._weights = WEIGHTS if weights is None else weights

    def weights(self) -> dict[str, np.ndarray]:
        return dict(self._weights)


def small_model() -> Any:
    from model_zoo.graph import build_graph
    from model_zoo.layers import batch_norm, conv2d, flatten, fully_connected
    from model_zoo.lowering import materialize_graph

    def network(x: Any) -> Any:
        x = conv2d(x, 4, 3, normalizer_fn=batch_norm)
        return fully_connected(flatten(x), 5)

    return materialize_graph(build_graph(network, (8, 8, 3)))


def test_formats_and_how_their_files_are_named() -> None:
    assert [(name, kind.suffix, kind.media_type) for name, kind in FORMATS.items()] == [
        ("npz", ".npz", "application/zip"),
        ("safetensors", ".safetensors", "application/octet-stream"),
        ("keras", ".keras", "application/zip"),
        ("weights.h5", ".weights.h5", "application/x-hdf5"),
        ("savedmodel", ".savedmodel.tar.gz", "application/gzip"),
        ("checkpoint", ".ckpt.tar.gz", "application/gzip"),
        ("onnx", ".onnx", "application/octet-stream"),
    ]
    for name, kind in FORMATS.items():
        assert kind.name == name
        assert kind.description.endswith(".")


def test_formats_are_known_without_keras_and_tensorflow() -> None:
    code = (
        "import sys, model_zoo.weights.files as files; files.FORMATS\n"
        "print([name for name in ('keras', 'tensorflow', 'h5py') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_npz_holds_the_arrays_by_name_without_pickle(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    write_weights(Arrays(), path, "npz")
    with np.load(path, allow_pickle=False) as read:
        assert set(read) == set(WEIGHTS)
        for name, value in WEIGHTS.items():
            assert read[name].dtype == value.dtype
            np.testing.assert_array_equal(read[name], value, strict=True)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == sorted(f"{name}.npy" for name in WEIGHTS)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_safetensors_holds_the_arrays_by_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    write_weights(Arrays(), path, "safetensors")
    read = safetensors.numpy.load_file(path)
    assert set(read) == set(WEIGHTS)
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(read[name], value, strict=True)


@pytest.mark.parametrize("name", ["npz", "safetensors"])
def test_order_and_memory_layout_do_not_change_the_bytes(name: str, tmp_path: Path) -> None:
    backwards = {key: np.asfortranarray(WEIGHTS[key]) for key in reversed(WEIGHTS)}
    backwards["Net/step"] = WEIGHTS["Net/step"]
    write_weights(Arrays(), tmp_path / "a", name)
    write_weights(Arrays(backwards), tmp_path / "b", name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


# Layers that Keras numbers over the process, functions that TensorFlow numbers, and random seeds.
SPECS: list[dict[str, Any]] = [
    {"architecture": "lenet"},
    {
        "architecture": "cifarnet",
        "is_training": True,
        "scopes": [
            {
                "ops": ["conv2d"],
                "args": {
                    "normalizer_fn": "group_norm",
                    "normalizer_params": {"groups": 8, "reduction_axes": [-3]},
                    "activation_fn": {"name": "gelu", "approximate": True},
                },
            }
        ],
    },
]


def print_digests(*, others_first: bool) -> None:
    """Write each model in each format and print the digests; run in a process of its own."""
    import tempfile

    from model_zoo import BuildSpec, materialize, trace

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights")
        for wire in [*reversed(SPECS if others_first else ()), *SPECS]:
            model = materialize(trace(BuildSpec.read(wire)))
            digests = {}
            for name in FORMATS:
                try:
                    write_weights(model, path, name)
                    digests[name] = hashlib.sha256(path.read_bytes()).hexdigest()
                except WeightsError as error:  # ONNX cannot drop at random
                    digests[name] = str(error)
            print(json.dumps(digests))


@pytest.mark.heavy
def test_models_built_before_do_not_change_the_bytes_that_a_process_writes() -> None:
    here = Path(__file__)
    path = [str(here.parent), str(here.parents[2])]
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import sys; sys.path[:0] = {path!r}\n"
                f"import test_files; test_files.print_digests(others_first={others_first})",
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for others_first in (False, True)
    ]
    fresh, later = (process.communicate()[0].splitlines() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert len(fresh) == len(SPECS)
    for first, second in zip(fresh, later[-len(SPECS) :], strict=True):
        assert json.loads(first) == json.loads(second)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    path.write_text("old")
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        write_weights(Arrays({"a": np.ones(3), "b": np.array([None])}), path, "npz")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", FORMATS)
def test_a_write_replaces_the_old_file_and_leaves_nothing_else(name: str, tmp_path: Path) -> None:
    path = tmp_path / "any name"
    path.write_text("old")
    write_weights(small_model(), path, name)
    assert path.stat().st_size > 100
    assert list(tmp_path.iterdir()) == [path]


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as refused:
        write_weights(Arrays(), tmp_path / "weights", "npy")
    assert str(refused.value) == (
        "'npy' is not a format that weights are written in. Did you mean 'npz'?"
    )
    assert refused.value.problems[0].suggestion == "npz"
    assert list(tmp_path.iterdir()) == []


def test_a_format_with_options_is_named_by_those_that_are_not_the_defaults() -> None:
    onnx = find_format("onnx")
    assert onnx is FORMATS["onnx"]
    assert find_format("onnx", {"layout": "nhwc", "opset": 20}) is onnx
    assert find_format("onnx", {"opset": "17"}).suffix == ".opset-17.onnx"
    both = find_format("onnx", {"layout": "nchw", "opset": 28})
    assert (both.name, both.suffix) == ("onnx", ".opset-28.layout-nchw.onnx")
    assert both.media_type == onnx.media_type


def test_options_reach_the_file(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "model.onnx"
    small_model().save(path, "onnx", opset=18, layout="nchw")
    model = onnx.load(path)
    assert [each.version for each in model.opset_import] == [18]
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    assert [size.dim_value for size in sizes] == [0, 3, 8, 8]
    small_model().save(path, "onnx", opset=20, layout="nhwc")
    default = path.read_bytes()
    small_model().save(path, "onnx")
    assert path.read_bytes() == default


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "npz",
            {"opset": 20},
            "opset is an option of format 'onnx'; format 'npz' does not have it. Leave it out, or "
            "choose another format.",
        ),
        ("onnx", {"opst": 20}, "opst is not an option of any format. Did you mean 'opset'?"),
        ("onnx", {"layout": "NCHW"}, "layout does not accept 'NCHW'. Valid: 'nchw', 'nhwc'."),
        (
            "onnx",
            {"opset": 29},
            "opset does not accept '29'. Valid: '17', '18', '19', '20', '21', '22', '23', '24', "
            "'25', '26', '27', '28'.",
        ),
    ],
)
def test_an_option_that_a_format_does_not_have_is_refused(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionError) as refused:
        write_weights(Arrays(), tmp_path / "weights", name, options)
    assert str(refused.value) == message
    assert refused.value.option == next(iter(options))
    assert list(tmp_path.iterdir()) == []


def test_weights_too_large_for_one_message_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_zoo.weights.files.MAX_ONNX_BYTES", 100)
    with pytest.raises(WeightsError) as refused:
        write_weights(small_model(), tmp_path / "weights", "onnx")
    assert str(refused.value) == (
        "The network's weights have 5620 bytes; an ONNX file can hold 100. Use another format."
    )
    assert list(tmp_path.iterdir()) == []
