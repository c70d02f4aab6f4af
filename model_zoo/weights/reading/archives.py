"""Archives that checkpoints are published in: tar and tar.gz, unpacked as a stream.

The headers are read here, block by block, and only decoded by `tarfile`: reading by itself, that
takes extended headers of any size into memory, calls itself for each of them, and takes a damaged
header for the end.
"""

import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from model_zoo.errors import WeightsError
from model_zoo.weights.reading.contents import NamedFile

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's number for a gzip stream, whose checksum and length it then compares
_BLOCK_BYTES = 512
_CHUNK_BYTES = 2**18
_MAX_NAME_CHARACTERS = 512
_MAX_DIGITS = 19
# A long name and some times and owners: less than 2 KB, or 10 KB with what macOS adds.
_MAX_EXTENDED_BYTES = 2**16
# What gzip may make of a file: weights grow 1.1 times, the text of a graph 20 times, and a run of
# zeros 1,000 times. Small archives may do as they like.
_MAX_RATIO = 20
_FREE_BYTES = 64 * 2**20

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_EXTENDED = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_REFUSED = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}

Read = Callable[[int], bytes]  # returns as many bytes as asked for, and fewer only at the end


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an archive may unpack to: bytes of its files together, and members of any kind."""

    max_bytes: int = 4 * 2**30
    max_members: int = 1000


def expand(file: NamedFile, scratch: Path, limits: ArchiveLimits) -> list[NamedFile]:
    """Unpack a tar or tar.gz into a directory, as files 0, 1, ...; return them by members' names.

    A name is normalised (`./a//b` is `a/b`) and never used as a path. Directories are passed over.
    What is written before a refusal stays: the directory is the caller's to remove.

    Raises: WeightsError if the archive is damaged, cut short or followed by other bytes, exceeds
    the limits, or has a member that is neither a file nor a directory, or whose name is absolute,
    goes upwards or stands twice.
    """
    with file.path.open("rb") as stream:
        is_gzip = stream.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        stream.seek(0)
        read = _Gunzip(file.name, stream).read if is_gzip else stream.read
        return _Unpacking(file.name, read, scratch, limits).run()


class _Gunzip:
    """The bytes in a gzip stream, which must be whole, alone in its file, and no bomb."""

    def __init__(self, where: str, stream: IO[bytes]) -> None:
        self._where = where
        self._stream = stream
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._packed = self._unpacked = 0

    def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and not self._inflate.eof:
            data += self._more(size - len(data))
            if self._inflate.eof and (self._inflate.unused_data or self._stream.read(1)):
                raise WeightsError(f"{self._where} has bytes after the end of its gzip stream.")
        return bytes(data)

    def _more(self, size: int) -> bytes:
        packed = self._inflate.unconsumed_tail
        if not packed:
            packed = self._stream.read(_CHUNK_BYTES)
            self._packed += len(packed)
        try:
            data = self._inflate.decompress(packed, size)
        except zlib.error as error:
            raise WeightsError(f"{self._where} is damaged: its gzip data is not valid.") from error
        # At the end of the file, inflate may still hold bytes that it has not given.
        if not packed and not data:
            raise WeightsError(f"{self._where} is cut short: its gzip stream does not end.")
        self._unpacked += len(data)
        if self._unpacked > _FREE_BYTES + _MAX_RATIO * self._packed:
            raise WeightsError(
                f"{self._where} unpacks to more than {_MAX_RATIO} times its size and {_FREE_BYTES} "
                "bytes."
            )
        return data


@dataclass(slots=True)
class _Unpacking:
    """One pass over an archive."""

    where: str
    read: Read
    scratch: Path
    limits: ArchiveLimits
    _position: int = 0
    _unpacked: int = 0

    def run(self) -> list[NamedFile]:
        files: dict[str, NamedFile] = {}
        members = 0
        extended: dict[bytes, bytes] = {}
        while any(block := self._exactly(_BLOCK_BYTES)):
            header = self._header(block)
            if header.type in _EXTENDED:
                if header.type in extended:
                    raise WeightsError(f"{self.where} has two extended headers for one member.")
                extended[header.type] = self._extended_data(header)
                continue
            members += 1
            if members > self.limits.max_members:
                raise WeightsError(f"{self.where} has more than {self.limits.max_members} members.")
            if header.type == tarfile.XGLTYPE:
                self._check_global(header)
                continue
            name, size = self._described(header, extended)
            extended = {}
            if header.type == tarfile.DIRTYPE:  # its size, if it has one, is not of bytes here
                continue
            if header.type not in _FILES:
                kind = _REFUSED.get(header.type, f"of the unknown kind {header.type!r}")
                raise WeightsError(
                    f"{self.where}: {name!r} is {kind}; only files and directories are taken."
                )
            if not name:
                raise WeightsError(f"{self.where} has a file without a name.")
            if name in files:
                raise WeightsError(f"{self.where} holds {name!r} twice.")
            files[name] = NamedFile(name, self.scratch / str(len(files)))
            self._unpack(files[name], size)
        self._check_end(extended)
        return list(files.values())

    def _exactly(self, size: int) -> bytes:
        data = self.read(size)
        self._position += len(data)
        if len(data) < size:
            raise WeightsError(
                f"{self.where} is cut short after {self._position} bytes of its archive."
            )
        return data

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            raise WeightsError(
                f"{self.where} is not a tar archive, or is damaged: at byte "
                f"{self._position - _BLOCK_BYTES} there is no valid header."
            ) from error
        if header.size < 0:
            raise WeightsError(f"{self.where} has a member of negative size.")
        return header

    def _extended_data(self, header: tarfile.TarInfo) -> bytes:
        if header.size > _MAX_EXTENDED_BYTES:
            raise WeightsError(
                f"{self.where} has an extended header of {header.size} bytes; the limit is "
                f"{_MAX_EXTENDED_BYTES}."
            )
        return self._exactly(header.size + -header.size % _BLOCK_BYTES)[: header.size]

    def _check_global(self, header: tarfile.TarInfo) -> None:
        records = self._pax_records(self._extended_data(header))
        if records.keys() & {"path", "size"}:
            raise WeightsError(f"{self.where} gives one name or size to all of its members.")

    def _described(self, header: tarfile.TarInfo, extended: dict[bytes, bytes]) -> tuple[str, int]:
        """Return a member's normalised name and its size, which extended headers may have given."""
        name, size = header.name, header.size
        if tarfile.GNUTYPE_LONGNAME in extended:
            name = _text(extended[tarfile.GNUTYPE_LONGNAME].partition(b"\0")[0])
        records = self._pax_records(extended.get(tarfile.XHDTYPE, b""))
        name = records.get("path", name)
        if "size" in records:
            digits = records["size"]
            if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
                raise WeightsError(f"{self.where} has an extended header that is malformed.")
            size = int(digits)
        if len(name) > _MAX_NAME_CHARACTERS or not name.isprintable():
            raise WeightsError(
                f"{self.where} has a member whose name is not printable, or longer than "
                f"{_MAX_NAME_CHARACTERS} characters."
            )
        parts = name.split("/")
        if name.startswith("/") or ".." in parts:
            raise WeightsError(
                f"{self.where} has a member named {name!r}; a name may not be absolute or go "
                "upwards."
            )
        return "/".join(part for part in parts if part not in ("", ".")), size

    def _pax_records(self, data: bytes) -> dict[str, str]:
        """Return the records of a pax header, each of which is `length key=value` and a newline."""
        records: dict[str, str] = {}
        start = 0
        while start < len(data):
            digits = data[start : start + _MAX_DIGITS].partition(b" ")[0]
            end = start + int(digits) if digits.isdigit() else start
            key, equals, value = data[start + len(digits) + 1 : end - 1].partition(b"=")
            if not equals or data[end - 1 : end] != b"\n":
                raise WeightsError(f"{self.where} has an extended header that is malformed.")
            records[_text(key)] = _text(value)
            start = end
        if any(key.startswith("GNU.sparse.") for key in records):
            raise WeightsError(f"{self.where} has a sparse file; only whole files are taken.")
        return records

    def _unpack(self, file: NamedFile, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self.limits.max_bytes:
            raise WeightsError(
                f"{self.where} declares {self._unpacked} bytes or more, at {file.name!r}; the "
                f"limit is {self.limits.max_bytes}."
            )
        with file.path.open("xb") as target:
            for start in range(0, size, _CHUNK_BYTES):
                target.write(self._exactly(min(size - start, _CHUNK_BYTES)))
        self._exactly(-size % _BLOCK_BYTES)

    def _check_end(self, extended: dict[bytes, bytes]) -> None:
        if extended:
            raise WeightsError(f"{self.where} has an extended header without a member.")
        rest = self._exactly(_BLOCK_BYTES)
        while rest:
            if any(rest):
                raise WeightsError(f"{self.where} has bytes after the end of the archive.")
            rest = self.read(_CHUNK_BYTES)


def _text(data: bytes) -> str:
    # What is not UTF-8 becomes what is not printable, and is refused with that.
    return data.decode("utf-8", "surrogateescape")
