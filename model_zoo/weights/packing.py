"""Archives whose bytes depend on their contents alone: no times, no owners, no compression."""

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say; NumPy and Keras use it too
# Deflate, no flags, no time, no file name, unknown system (RFC 1952).
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_GZIP_BLOCK_BYTES = 0xFFFF  # the length of a stored block has 16 bits (RFC 1951)
_GZIP_END = b"\x01\x00\x00\xff\xff"  # an empty block, marked as the last


def zip_entry(name: str) -> zipfile.ZipInfo:
    """Return a zip entry without its time and place of origin."""
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    return info


def write_tar_gz(path: Path, members: Mapping[str, Path | bytes]) -> None:
    """Write a gzipped tar of files, sorted by name; a member is a file to copy or its content.

    Gzipped since that is what people unpack, but stored: level 1 takes 7 % off float weights for
    fifteen times the time, and its bytes would depend on the version of zlib.
    """
    tar_path = path.with_name(f"{path.name}.tar")
    with tarfile.open(tar_path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(members):
            member = members[name]
            info = tarfile.TarInfo(name)  # of time, user and group 0, and mode 0o644
            if isinstance(member, bytes):
                info.size = len(member)
                tar.addfile(info, io.BytesIO(member))
            else:
                info.size = member.stat().st_size
                with member.open("rb") as content:
                    tar.addfile(info, content)
    with tar_path.open("rb") as source, path.open("wb") as target:
        _store_gzip(source, target)
    tar_path.unlink()


def _store_gzip(source: BinaryIO, target: BinaryIO) -> None:
    """Gzip in stored blocks. Written here, as zlib sizes its blocks by how it is called."""
    checksum = size = 0
    target.write(_GZIP_HEADER)
    while block := source.read(_GZIP_BLOCK_BYTES):
        length = len(block)
        target.write(struct.pack("<BHH", 0, length, length ^ 0xFFFF))
        target.write(block)
        checksum, size = zlib.crc32(block, checksum), size + length
    target.write(_GZIP_END + struct.pack("<II", checksum, size & 0xFFFFFFFF))
