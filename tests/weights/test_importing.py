"""Imports: what a file is, is read from its content; what it is not, is told; and limits hold."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.numpy
from zoo_server import poll

from model_zoo import (
    Checkpoint,
    CheckpointStore,
    ImportLimits,
    NamedFile,
    WeightsError,
    end_imports,
    import_checkpoint,
)
from model_zoo.weights.importing import import_id

pytestmark = pytest.mark.heavy  # each upload is read by a process of its own

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoint" / "mobilenet_v1_0.25_128.tgz"
TENSORS = {
    "Net/weights": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "Net/biases": np.ones(4, np.float64),
    "global_step": np.array(7, np.int64),
}
SMALL = ImportLimits(max_bytes=2**20, memory_bytes=2**29)


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path / "home")


@pytest.fixture
def take(tmp_path: Path, store: CheckpointStore) -> Callable[..., Checkpoint]:
    """Return a function that imports files of the given names and contents."""

    def import_(files: dict[str, bytes], **options: object) -> Checkpoint:
        named = []
        for number, (name, data) in enumerate(files.items()):
            path = tmp_path / str(number)
            path.write_bytes(data)
            named.append(NamedFile(name, path))
        return import_checkpoint(store, named, **{"limits": SMALL, **options})[0]  # type: ignore[arg-type]

    return import_


def npz(**arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, **(arrays or TENSORS))
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def tar(members: Iterable[tuple[str, bytes]], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return stream.getvalue()


def golden_files() -> dict[str, bytes]:
    """The golden checkpoint's files by the last of their names: index, data and meta."""
    with tarfile.open(GOLDEN) as archive:
        return {
            member.name.removeprefix("./"): archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
        }


INDEX, DATA, META = (
    f"mobilenet_v1_0.25_128.ckpt{end}" for end in (".index", ".data-00000-of-00001", ".meta")
)


def test_an_imported_file_is_kept_under_its_digest_with_its_values(
    take: Callable[..., Checkpoint], store: CheckpointStore
) -> None:
    data = safetensors.numpy.save(TENSORS)
    checkpoint = take({"mine.safetensors": data})
    assert checkpoint.id == hashlib.sha256(data).hexdigest()
    again = store.get(checkpoint.id)
    assert {name: again.read(name).tolist() for name in again.tensors} == {
        name: value.tolist() for name, value in TENSORS.items()
    }
    assert again.global_step == 7
    told = again.to_dict()
    assert told.pop("created").endswith("Z")
    assert told == {
        "id": checkpoint.id,
        "name": "mine.safetensors",
        "format": "safetensors",
        "size_bytes": len(data),
        "tensor_count": 3,
        "parameters": 29,
        "global_step": 7,
        "left_out": [],
    }


def test_the_same_bytes_are_imported_once(tmp_path: Path, store: CheckpointStore) -> None:
    path = tmp_path / "a"
    path.write_bytes(npz())
    first, is_new = import_checkpoint(store, [NamedFile("a.npz", path)])
    second, is_new_again = import_checkpoint(store, [NamedFile("b.npz", path)])
    assert (is_new, is_new_again) == (True, False)
    assert second == first
    assert [checkpoint.id for checkpoint in store.list()] == [first.id]


def test_an_archive_and_its_files_hold_the_same(take: Callable[..., Checkpoint]) -> None:
    files = golden_files()
    whole = take({"m.tgz": GOLDEN.read_bytes()}, limits=ImportLimits())
    pair = take({name: files[name] for name in (DATA, INDEX)}, limits=ImportLimits())
    all_three = take(files, limits=ImportLimits())
    assert whole.format == "TensorFlow V2 checkpoint"
    assert whole.global_step == 1234567
    assert len({whole.id, pair.id, all_three.id}) == 3
    assert whole.tensors == pair.tensors == all_three.tensors
    name = "MobilenetV1/Conv2d_0/weights"
    np.testing.assert_array_equal(whole.read(name), pair.read(name), strict=True)


def test_the_id_of_several_files_is_that_of_what_sha256sum_prints() -> None:
    lines = "aa  m.data-00000-of-00001\nbb  m.index\n"
    digests = {"m.index": "bb", "m.data-00000-of-00001": "aa"}
    assert import_id(digests) == hashlib.sha256(lines.encode()).hexdigest()
    assert import_id({"m.npz": "cc"}) == "cc"
    assert import_id({"m.tgz": "cc"}, "a") != import_id({"m.tgz": "cc"}, "b") != "cc"


def test_one_of_several_checkpoints_in_an_archive_is_taken_by_name(
    take: Callable[..., Checkpoint],
) -> None:
    files = golden_files()
    one, other = {"a": np.zeros(1, np.float32)}, {"b": np.zeros(1, np.float32)}
    archive = tar(
        [
            ("net/ema/model.npz", npz()),
            ("net/one.safetensors", safetensors.numpy.save(one)),
            ("net/other.safetensors", safetensors.numpy.save(other)),
            *((f"net/pristine/{name}", data) for name, data in files.items()),
            ("net/frozen.pb", b"\x0a\x00"),
        ]
    )
    limits = ImportLimits()
    with pytest.raises(WeightsError) as several:
        take({"net.tgz": archive}, limits=limits)
    assert str(several.value) == (
        "net.tgz holds 4 checkpoints; name one of them as member: 'net/ema/model.npz', "
        "'net/one.safetensors', 'net/other.safetensors', "
        "'net/pristine/mobilenet_v1_0.25_128.ckpt'."
    )
    assert list(
        take({"net.tgz": archive}, member="net/one.safetensors", limits=limits).tensors
    ) == ["a"]
    prefix = "net/pristine/mobilenet_v1_0.25_128.ckpt"
    assert take({"net.tgz": archive}, member=prefix, limits=limits).global_step == 1234567
    with pytest.raises(WeightsError) as unknown:
        take({"net.tgz": archive}, member="net/two.safetensors", limits=limits)
    assert str(unknown.value).startswith(
        "net.tgz has no member 'net/two.safetensors'. Did you mean"
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            lambda: {"checkpoint": b'model_checkpoint_path: "/tmp/model.ckpt-123"\n'},
            "checkpoint is a state file, which names the checkpoint 'model.ckpt-123': give "
            "model.ckpt-123.index and model.ckpt-123.data-00000-of-00001.",
        ),
        (
            lambda: {META: golden_files()[META]},
            f"{META} holds a checkpoint's graph and no weights: give its .index and .data files.",
        ),
        (
            lambda: {INDEX: golden_files()[INDEX]},
            f"{INDEX} is one half of a V2 checkpoint; the other, {DATA}, is missing.",
        ),
        (
            lambda: {DATA: golden_files()[DATA]},
            f"{DATA} is one half of a V2 checkpoint; the other, {INDEX}, is missing.",
        ),
        (
            lambda: {META: golden_files()[META], DATA: golden_files()[DATA]},
            f"{DATA} is one half of a V2 checkpoint; the other, {INDEX}, is missing.",
        ),
        (
            lambda: {"m.keras": zipped("config.json", "model.weights.h5")},
            "m.keras is a Keras model, which is a program: give its weights, as "
            "model.save_weights('model.weights.h5') writes them.",
        ),
        (
            lambda: {"m.pt": zipped("archive/data.pkl")},
            "m.pt is a PyTorch file, a pickle, which runs code: save it as safetensors.",
        ),
        *(
            (
                lambda protocol=protocol: {"m.bin": pickle.dumps({"a": [1.0]}, protocol)},
                "m.bin is a pickle, which runs code when it is read: save it as safetensors.",
            )
            for protocol in range(6)
        ),
        (
            lambda: {"m.npy": npy(np.array({"a": 1}, object))},
            "m.npy is an array of Python objects, a pickle, which runs code when it is read: save "
            "its arrays by name, with numpy.savez.",
        ),
        (
            lambda: {"m.npy": npy(np.zeros(3))},
            "m.npy is a single array: numpy.savez writes several by name.",
        ),
        (
            lambda: {"m.npz": npz(a=np.array([{}]))},
            "m.npz: 'a.npy' holds a pickle of Python objects, which runs code when it is read and "
            "is never loaded: save arrays of numbers instead.",
        ),
        (
            lambda: {"m.pkl.gz": gzip.compress(pickle.dumps({"a": [1.0]}, 5))},
            "m.pkl.gz is a pickle compressed by gzip, which runs code when it is read: save it as "
            "safetensors.",
        ),
        (
            lambda: {"m.zip": zipped("m.pkl")},
            "m.zip is a zip archive with the pickle 'm.pkl', which runs code when it is read: save "
            "it as safetensors.",
        ),
        (
            lambda: {"m.tar": tar([("m.pkl", pickle.dumps({"a": 1}, 5))], "w")},
            "m.pkl is a pickle, which runs code when it is read: save it as safetensors.",
        ),
        *(
            (
                lambda compress=compress, name=name: {name: compress(npz())},
                f"{name} is one file compressed by {kind}: {tool} it, and give {given}.",
            )
            for compress, kind, tool, name, given in (
                (gzip.compress, "gzip", "gunzip", "m.npz.gz", "m.npz"),
                (gzip.compress, "gzip", "gunzip", "m", "what comes out"),
                (bz2.compress, "bzip2", "bunzip2", "m.npz.bz2", "m.npz"),
                (lzma.compress, "xz", "unxz", "m.npz.xz", "m.npz"),
                (lambda data: b"\x28\xb5\x2f\xfd" + data, "zstd", "unzstd", "m.zst", "m"),
            )
        ),
        (
            lambda: {"m.tar.xz": lzma.compress(tar([("m.npz", npz())], "w"))},
            "m.tar.xz is one file compressed by xz: unxz it, and give m.tar.",
        ),
        (
            lambda: {"m.gz": gzip.compress(b"short")},
            "m.gz is one file compressed by gzip: gunzip it, and give m.",
        ),
        (
            lambda: {"m.tar": tar([("a/m.npz.gz", gzip.compress(npz()))], "w")},
            "a/m.npz.gz is one file compressed by gzip: gunzip it, and give a/m.npz.",
        ),
        (
            lambda: {"m.zip": zipped("a/m.safetensors", "readme", "b", "c")},
            "m.zip is a zip archive and no npz: unzip it, and give the weights in it: "
            "'a/m.safetensors', 'readme', 'b', ...",
        ),
        (lambda: {"m.zip": zipped()}, "m.zip is an empty zip archive."),
        (
            lambda: {"m.tgz": b"<!DOCTYPE html><title>404</title>"},
            "m.tgz is a web page: its download went wrong.",
        ),
        (
            lambda: {"m.tgz": b"version https://git-lfs.github.com/spec/v1\n"},
            "m.tgz is a pointer of Git LFS, not the file: git lfs pull fetches it.",
        ),
        (
            lambda: {"m.tflite": b"\x1c\x00\x00\x00TFL3"},
            "m.tflite is a TensorFlow Lite model: give the checkpoint it was converted from.",
        ),
        (
            lambda: {"photo.jpg": b"\xff\xd8\xff"},
            "photo.jpg holds no weights that are known: a TensorFlow checkpoint (V2: index and "
            "data files, or V1), alone or in a tar or tar.gz; safetensors; npz; Keras's "
            ".weights.h5.",
        ),
        (
            lambda: {"empty": b""},
            "empty holds no weights that are known: a TensorFlow checkpoint (V2: index and "
            "data files, or V1), alone or in a tar or tar.gz; safetensors; npz; Keras's "
            ".weights.h5.",
        ),
        (
            lambda: {"m.tar": tar([("a/readme.txt", b"text"), ("b", b"more")], "w")},
            "m.tar holds no weights that are known: a TensorFlow checkpoint (V2: index and "
            "data files, or V1), alone or in a tar or tar.gz; safetensors; npz; Keras's "
            ".weights.h5. It holds a/readme.txt, b.",
        ),
    ],
)
def test_what_is_no_checkpoint_is_told_with_what_is_meant(
    take: Callable[..., Checkpoint], files: Callable[[], dict[str, bytes]], message: str
) -> None:
    with pytest.raises(WeightsError) as refused:
        take(files(), limits=ImportLimits())
    assert str(refused.value) == message


def test_a_refused_import_leaves_nothing_behind(
    take: Callable[..., Checkpoint], store: CheckpointStore
) -> None:
    with pytest.raises(WeightsError):
        take({"m.safetensors": safetensors.numpy.save(TENSORS)[:-1]})
    assert list(store.folder.iterdir()) == []


def test_more_bytes_than_the_limit_are_refused_before_they_are_read(
    take: Callable[..., Checkpoint],
) -> None:
    large = {"a": np.zeros(2**18, np.float32), "b": np.zeros(1, np.float32)}
    with pytest.raises(WeightsError) as refused:
        take({"m.safetensors": safetensors.numpy.save(large)})
    assert str(refused.value) == (
        "m.safetensors declares 1048580 bytes of tensors or more, at 'b' of shape [1]; the limit "
        "is 1048576."
    )


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(
    take: Callable[..., Checkpoint],
) -> None:
    bomb = gzip.compress(tar([("m.npz", os.urandom(2**20)), ("pad", bytes(2**21))], "w"))
    with pytest.raises(WeightsError, match="1048576"):
        take({"bomb.tgz": bomb})


def test_a_reader_that_wants_too_much_memory_is_refused(
    take: Callable[..., Checkpoint],
) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["a"] = np.zeros(72 * 2**20, np.float32)
    limits = ImportLimits(memory_bytes=256 * 2**20)
    with pytest.raises(WeightsError) as refused:
        take({"m.h5": stream.getvalue()}, limits=limits)
    assert str(refused.value) == "m.h5 takes more than 268435456 bytes of memory to read."


def test_a_reader_that_takes_too_long_is_ended(
    take: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process spends its second before it reads: on whatever Python starts with."""
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text("while True: pass\n")
    from model_zoo.weights import importing

    environment = {**importing._environment(), "PYTHONPATH": f"{slow}:{importing._ROOT}"}
    monkeypatch.setattr(importing, "_environment", lambda: environment)
    monkeypatch.setattr(importing, "_GRACE_SECONDS", 0)
    with pytest.raises(WeightsError) as refused:
        take({"m.npz": npz()}, limits=ImportLimits(seconds=1))
    assert str(refused.value) == "m.npz was not read within 1 s."


def test_imports_that_go_on_can_be_ended(
    take: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "sitecustomize.py").write_text("import time; time.sleep(60)\n")
    from model_zoo.weights import importing

    environment = {**importing._environment(), "PYTHONPATH": f"{slow}:{importing._ROOT}"}
    monkeypatch.setattr(importing, "_environment", lambda: environment)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(take, {"m.npz": npz()})
        poll(lambda: bool(importing._running))
        end_imports()
        with pytest.raises(WeightsError, match="was ended by SIGKILL"):
            waiting.result(30)
    assert not importing._running


def test_computing_for_too_long_is_told_from_too_much_memory(
    take: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The limit of the process itself, which it reaches in a reader that never ends."""
    endless = tmp_path / "endless"
    endless.mkdir()
    (endless / "sitecustomize.py").write_text(
        "from itertools import count\nimport json\njson.dump = lambda *_: sum(count())\n"
    )
    from model_zoo.weights import importing

    environment = {**importing._environment(), "PYTHONPATH": f"{endless}:{importing._ROOT}"}
    monkeypatch.setattr(importing, "_environment", lambda: environment)
    with pytest.raises(WeightsError) as refused:
        take({"m.npz": npz()}, limits=ImportLimits(seconds=2))
    assert str(refused.value) == "m.npz was not read within 2 s."


def test_a_reader_that_crashes_is_told(
    take: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os; os.abort()\n")
    from model_zoo.weights import importing

    environment = {**importing._environment(), "PYTHONPATH": f"{broken}:{importing._ROOT}"}
    monkeypatch.setattr(importing, "_environment", lambda: environment)
    with pytest.raises(WeightsError) as refused:
        take({"m.npz": npz()})
    assert str(refused.value) == (
        "m.npz cannot be read: the process that tried was ended by SIGABRT, within 536870912 bytes "
        "of memory."
    )


def test_the_reader_gets_none_of_our_environment(
    take: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "told.json"
    spy = tmp_path / "spy"
    spy.mkdir()
    (spy / "sitecustomize.py").write_text(
        f"import json, os; open({str(told)!r}, 'w').write(json.dumps(dict(os.environ)))\n"
    )
    from model_zoo.weights import importing

    monkeypatch.setenv("ZOO_SECRET", "secret")
    environment = {**importing._environment(), "PYTHONPATH": f"{spy}:{importing._ROOT}"}
    monkeypatch.setattr(importing, "_environment", lambda: environment)
    take({"m.npz": npz()})
    assert "ZOO_SECRET" not in json.loads(told.read_text())


def test_some_of_what_is_no_number_is_named(take: Callable[..., Checkpoint]) -> None:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["weights"] = np.zeros(2, np.float32)
        for number in range(50):
            file[f"{number:02}{'n' * 400}"] = "text"
    checkpoint = take({"m.h5": stream.getvalue()})
    assert list(checkpoint.tensors) == ["weights"]
    assert [name[:3] for name in checkpoint.left_out] == [f"{number:02}n" for number in range(8)]


@pytest.mark.parametrize("name", ["", "x" * 64, "../" * 21 + "x", "A" * 64, "0" * 63])
def test_an_id_that_is_none_is_unknown(store: CheckpointStore, name: str) -> None:
    with pytest.raises(WeightsError, match="There is no imported checkpoint"):
        store.get(name)


def test_a_removed_checkpoint_is_told_to_who_reads_it_still(
    take: Callable[..., Checkpoint], store: CheckpointStore
) -> None:
    checkpoint = take({"m.npz": npz()})
    store.remove(checkpoint.id)
    with pytest.raises(WeightsError, match="There is no imported checkpoint"):
        checkpoint.read("Net/weights")
    with pytest.raises(WeightsError, match="There is no imported checkpoint"):
        store.remove(checkpoint.id)


def test_what_an_interrupted_import_left_goes_when_the_store_is_opened(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    (store.folder / "tmp-left").mkdir()
    (store.folder / "tmp-left" / "upload-0").write_bytes(b"x")
    with store.scratch() as in_use:
        CheckpointStore(tmp_path)
        assert list(store.folder.iterdir()) == [in_use]


_IMPORT_OF_A_PIPE = """
import sys
from pathlib import Path
from model_zoo import CheckpointStore, NamedFile, import_checkpoint

pipe = Path(sys.argv[1])
import_checkpoint(CheckpointStore(pipe.parent), [NamedFile("pipe", pipe)], digests={"pipe": "0"})
"""


def running(process: int) -> bool:
    """Return whether a process runs; one that ended, and that nobody asked about, does not."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except FileNotFoundError:
        return False


def test_the_process_that_reads_ends_with_the_one_that_imports(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen([sys.executable, "-c", _IMPORT_OF_A_PIPE, str(pipe)]) as importing:
        children = Path(f"/proc/{importing.pid}/task/{importing.pid}/children")
        poll(lambda: bool(children.read_text()))
        with pipe.open("wb"):  # returns when the process has opened it, to read
            (reading,) = map(int, children.read_text().split())
            assert running(reading)
            importing.kill()
            importing.wait()
            poll(lambda: not running(reading))


def test_a_folder_that_is_gone_is_no_answer_about_ids(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "home")
    shutil.rmtree(tmp_path / "home")
    with pytest.raises(FileNotFoundError):
        store.get("0" * 64)
    with pytest.raises(FileNotFoundError):
        store.list()
    assert not CheckpointStore(tmp_path / "home", make=False).folder.exists()
