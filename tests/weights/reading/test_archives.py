"""tar and tar.gz: what tar writes is unpacked under numbers; bombs and links are refused."""

import gzip
import io
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.archives import ArchiveLimits, expand
from model_zoo.weights.reading.contents import NamedFile

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
BLOCK = 512
END = bytes(2 * BLOCK)


def unpacked(folder: Path, data: bytes, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    """Return what an archive's members hold, by name; check where they were written."""
    path = folder / "stored"
    path.write_bytes(data)
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    files = expand(NamedFile("x.tar", path), scratch, limits or ArchiveLimits())
    assert [file.path for file in files] == [scratch / str(n) for n in range(len(files))]
    assert sorted(scratch.iterdir()) == sorted(file.path for file in files)
    return {file.name: file.path.read_bytes() for file in files}


def refusal(folder: Path, data: bytes, limits: ArchiveLimits | None = None) -> str:
    with pytest.raises(WeightsError) as caught:
        unpacked(folder, data, limits)
    assert {path.name for path in folder.iterdir()} == {"stored", "scratch"}
    return str(caught.value)


def member(name: str, data: bytes = b"", **fields: Any) -> bytes:
    """Return the blocks of a member in GNU's format, whose name is not over 100 bytes."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % BLOCK)


def pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return member("header", b"".join(records), type=kind)


def record(key: str, value: str) -> bytes:
    text = f" {key}={value}\n".encode()
    length = len(text) + 1
    while len(str(length)) + len(text) != length:
        length += 1
    return str(length).encode() + text


def tarred(files: dict[str, bytes], form: int = tarfile.GNU_FORMAT, mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


LONG = "/".join(["folder_of_a_long_name" * 2] * 6) + "/model.ckpt"
RANDOM = np.random.default_rng(0).bytes(300_000)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_unpacks_what_tarfile_writes(tmp_path: Path, form: str, mode: str) -> None:
    files = {"model.ckpt": RANDOM, "./sub//naïve": b"text", "empty": b"", "block": b"." * BLOCK}
    if form != "ustar":
        files |= {LONG: b"long", "é" * 90: b"not ASCII"}
    found = unpacked(tmp_path, tarred(files, FORMATS[form], mode))
    expected = {name.removeprefix("./").replace("//", "/"): data for name, data in files.items()}
    assert found == expected


@pytest.mark.parametrize("options", [[], ["--format=posix"], ["--format=v7"], ["-z"], ["-b", "1"]])
def test_unpacks_what_the_tar_command_writes(tmp_path: Path, options: list[str]) -> None:
    folder = tmp_path / "inception_v3"
    folder.mkdir()
    (folder / "inception_v3.ckpt").write_bytes(RANDOM)
    (folder / "empty").touch()
    data = subprocess.run(
        ["tar", *options, "-c", "-f", "-", "-C", tmp_path, "inception_v3"],
        capture_output=True,
        check=True,
    ).stdout
    shutil.rmtree(folder)
    assert unpacked(tmp_path, data) == {
        "inception_v3/inception_v3.ckpt": RANDOM,
        "inception_v3/empty": b"",
    }


def test_directories_are_passed_over(tmp_path: Path) -> None:
    data = (
        member("./", type=tarfile.DIRTYPE)
        + member("a", type=tarfile.DIRTYPE, size=1000)  # a size of no bytes: some systems' own
        + member("a/b", b"text")
        + member("old/", type=tarfile.AREGTYPE)  # a directory before tar had a kind for it
        + END
    )
    assert unpacked(tmp_path, data) == {"a/b": b"text"}


def test_pax_records_give_name_and_size(tmp_path: Path) -> None:
    content = b"text"
    data = (
        pax(record("comment", "of all"), kind=tarfile.XGLTYPE)
        + pax(record("path", "./é/name"), record("size", "4"), record("mtime", "1.5"))
        + member("other", size=0)
        + content.ljust(BLOCK, b"\0")
        + END
    )
    assert unpacked(tmp_path, data) == {"é/name": content}


def test_an_empty_archive_has_no_files(tmp_path: Path) -> None:
    assert unpacked(tmp_path, END) == {}
    assert unpacked(tmp_path, tarred({})) == {}


@pytest.mark.parametrize(("name", "step"), [("a", 1), (LONG, 13)])
@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_truncated_anywhere_is_refused(tmp_path: Path, form: str, name: str, step: int) -> None:
    data = tarred({name: b"text"}, FORMATS[form])
    end = len(data.rstrip(b"\0"))
    end += -end % BLOCK + len(END)
    for length in range(0, end, step):
        refusal(tmp_path, data[:length])
    # What follows only fills a tape's block.
    for length in (end, end + 1, end + BLOCK):
        assert unpacked(tmp_path, data[:length]) == {name: b"text"}


def test_truncated_anywhere_is_refused_if_compressed(tmp_path: Path) -> None:
    data = tarred({"a": b"text", "b": RANDOM[:600]}, mode="w:gz")
    for length in range(len(data)):
        refusal(tmp_path, data[:length])


ONLY = "only files and directories are taken."
UPWARDS = "a name may not be absolute or go upwards."
MALFORMED = "x.tar has an extended header that is malformed."
UNPRINTABLE = "x.tar has a member whose name is not printable, or longer than 512 characters."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            member("a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            f"x.tar: 'a' is a symbolic link; {ONLY}",
        ),
        (
            member("a", b"text") + member("b", type=tarfile.LNKTYPE, linkname="a"),
            f"x.tar: 'b' is a hard link; {ONLY}",
        ),
        (member("a", type=tarfile.CHRTYPE), f"x.tar: 'a' is a device; {ONLY}"),
        (member("a", type=tarfile.BLKTYPE), f"x.tar: 'a' is a device; {ONLY}"),
        (member("a", type=tarfile.FIFOTYPE), f"x.tar: 'a' is a pipe; {ONLY}"),
        (member("a", type=tarfile.GNUTYPE_SPARSE), f"x.tar: 'a' is a sparse file; {ONLY}"),
        (member("a", type=b"M"), f"x.tar: 'a' is of the unknown kind b'M'; {ONLY}"),
        (
            pax(record("GNU.sparse.major", "1")) + member("a"),
            "x.tar has a sparse file; only whole files are taken.",
        ),
        (member("/etc/cron.d/x", b"text"), f"x.tar has a member named '/etc/cron.d/x'; {UPWARDS}"),
        (member("a/../../x", b"text"), f"x.tar has a member named 'a/../../x'; {UPWARDS}"),
        (member("..", b"text"), f"x.tar has a member named '..'; {UPWARDS}"),
        (member("../d", type=tarfile.DIRTYPE), f"x.tar has a member named '../d'; {UPWARDS}"),
        (
            pax(record("path", "../x")) + member("a", b"text"),
            f"x.tar has a member named '../x'; {UPWARDS}",
        ),
        (
            member("@", b"/x\0", type=tarfile.GNUTYPE_LONGNAME) + member("a", b"text"),
            f"x.tar has a member named '/x'; {UPWARDS}",
        ),
        (member("a\n", b"text"), UNPRINTABLE),
        (member("a\udcff", b"text"), UNPRINTABLE),
        (pax(record("path", "x" * 513)) + member("a", b"text"), UNPRINTABLE),
        (pax(record("path", "x\0y")) + member("a", b"text"), UNPRINTABLE),
        (member("./.", b"text"), "x.tar has a file without a name."),
        (member("a", b"1") + member("./a", b"2"), "x.tar holds 'a' twice."),
        (pax(b"1 a=b\n") + member("a"), MALFORMED),
        (pax(b"7 a=b\n") + member("a"), MALFORMED),
        (pax(b"99999999999999999999 a=b\n") + member("a"), MALFORMED),
        (pax(b"0 a=b\n") + member("a"), MALFORMED),
        (pax(b"a=b\n") + member("a"), MALFORMED),
        (pax(b"6 aab\n") + member("a"), MALFORMED),
        (pax(record("size", "-1")) + member("a"), MALFORMED),
        (pax(record("size", "1_0")) + member("a"), MALFORMED),
        (pax(record("size", "9" * 5000)) + member("a"), MALFORMED),
        (
            pax(record("path", "x"), kind=tarfile.XGLTYPE) + member("a"),
            "x.tar gives one name or size to all of its members.",
        ),
        (
            pax(record("a", "b")) * 2 + member("a"),
            "x.tar has two extended headers for one member.",
        ),
        (pax(record("a", "b")) + END, "x.tar has an extended header without a member."),
        (member("a", size=-1), "x.tar has a member of negative size."),
        (
            member("a", b"text") + b"." * BLOCK,
            "x.tar is not a tar archive, or is damaged: at byte 1024 there is no valid header.",
        ),
        (
            b"PK\x03\x04" + bytes(600),
            "x.tar is not a tar archive, or is damaged: at byte 0 there is no valid header.",
        ),
        (b"", "x.tar is cut short after 0 bytes of its archive."),
        (member("a", b"text"), "x.tar is cut short after 1024 bytes of its archive."),
        (
            member("a", b"text") + bytes(BLOCK),
            "x.tar is cut short after 1536 bytes of its archive.",
        ),
        (member("a", b"text") + END + b"\0\0x", "x.tar has bytes after the end of the archive."),
        (
            bytes(BLOCK) + member("a", b"text") + END,
            "x.tar has bytes after the end of the archive.",
        ),
        (
            member("a", size=10**10),
            "x.tar declares 10000000000 bytes or more, at 'a'; the limit is 4294967296.",
        ),
        (
            pax(record("size", "9" * 19)) + member("a"),
            "x.tar declares 9999999999999999999 bytes or more, at 'a'; the limit is 4294967296.",
        ),
        # What tarfile would read into memory in one piece.
        (
            member("pax", size=10**10, type=tarfile.XHDTYPE),
            "x.tar has an extended header of 10000000000 bytes; the limit is 65536.",
        ),
        (
            member("pax", size=65_537, type=tarfile.XGLTYPE),
            "x.tar has an extended header of 65537 bytes; the limit is 65536.",
        ),
        (
            member("long", size=10**10, type=tarfile.GNUTYPE_LONGNAME),
            "x.tar has an extended header of 10000000000 bytes; the limit is 65536.",
        ),
        (
            member("long", size=10**10, type=tarfile.GNUTYPE_LONGLINK),
            "x.tar has an extended header of 10000000000 bytes; the limit is 65536.",
        ),
    ],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_refuses_what_is_no_plain_archive_of_files(
    tmp_path: Path, data: bytes, message: str, compressed: bool
) -> None:
    assert refusal(tmp_path, gzip.compress(data, mtime=0) if compressed else data) == message


def test_refuses_more_than_the_limits(tmp_path: Path) -> None:
    limits = ArchiveLimits(max_bytes=1000, max_members=3)
    many = b"".join(member(str(n), type=tarfile.DIRTYPE) for n in range(4)) + END
    assert refusal(tmp_path, many, limits) == "x.tar has more than 3 members."
    large = member("a", bytes(600)) + member("b", bytes(600)) + END
    assert refusal(tmp_path, large, limits) == (
        "x.tar declares 1200 bytes or more, at 'b'; the limit is 1000."
    )
    assert unpacked(tmp_path, member("a", bytes(1000)) + END, limits) == {"a": bytes(1000)}


def test_refuses_headers_for_all_members_without_end(tmp_path: Path) -> None:
    data = pax(record("a", "b"), kind=tarfile.XGLTYPE) * 1001 + END
    assert refusal(tmp_path, data) == "x.tar has more than 1000 members."


WHOLE = gzip.compress(member("a", b"text") + END, mtime=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (WHOLE + b"x", "x.tar has bytes after the end of its gzip stream."),
        (WHOLE + bytes(10_000), "x.tar has bytes after the end of its gzip stream."),
        (WHOLE + WHOLE, "x.tar has bytes after the end of its gzip stream."),
        (WHOLE[:-8], "x.tar is cut short: its gzip stream does not end."),
        (WHOLE[:-1], "x.tar is cut short: its gzip stream does not end."),
        (WHOLE[:-8] + bytes(8), "x.tar is damaged: its gzip data is not valid."),
        (b"\x1f\x8b", "x.tar is cut short: its gzip stream does not end."),
        (b"\x1f\x8b\x08\x00" + b"x" * 100, "x.tar is damaged: its gzip data is not valid."),
        (
            gzip.compress(WHOLE, mtime=0),
            f"x.tar is cut short after {len(WHOLE)} bytes of its archive.",
        ),
        (gzip.compress(b"", mtime=0), "x.tar is cut short after 0 bytes of its archive."),
    ],
)
def test_refuses_gzip_that_is_not_whole(tmp_path: Path, data: bytes, message: str) -> None:
    assert refusal(tmp_path, data) == message


def squeezed(head: bytes, zeros: int) -> bytes:
    """Return what gzip makes of a beginning and many zeros, which are never in memory together."""
    packer = zlib.compressobj(9, wbits=31)
    data = packer.compress(head)
    piece = bytes(2**20)
    for _ in range(zeros // len(piece)):
        data += packer.compress(piece)
    return data + packer.flush()


@pytest.mark.parametrize(
    "head",
    [member("a", size=2**30), END],
    ids=["in a member", "after the end"],
)
def test_refuses_a_gzip_bomb(tmp_path: Path, head: bytes) -> None:
    data = squeezed(head, 80 * 2**20)
    assert refusal(tmp_path, data) == (
        "x.tar unpacks to more than 20 times its size and 67108864 bytes."
    )


def test_text_may_compress_well(tmp_path: Path) -> None:
    data = squeezed(member("graph.pbtxt", size=40 * 2**20), 40 * 2**20)
    rest = refusal(tmp_path, data)  # no end, which is all that is wrong with it
    assert rest == f"x.tar is cut short after {40 * 2**20 + BLOCK} bytes of its archive."
