"""The kind of a file by its content, for one that has no name."""

import codecs
import gzip
import zlib
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile

HEAD_BYTES: Final = 4_096

_PARTS: Final = {"xl/workbook.xml": ".xlsx", "content.xml": ".ods"}
"""A member of each kind of workbook that is a ZIP archive."""

_BINARY: Final = {b"PAR1": ".parquet", b"\xd0\xcf\x11\xe0": ".xls"}
_WIDE: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def suffix_of(path: Path) -> str:
    """Find the extension that a file should have. Blocking.

    CSV cannot be told from other text, so it is what is left.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head.startswith(b"\x1f\x8b"):
        return _of_text(_unpacked(path)) + ".gz"
    if head.startswith(b"PK\3\4"):
        return _of_archive(path)
    binary = next((kind for mark, kind in _BINARY.items() if head.startswith(mark)), None)
    return binary or _of_text(head)


def _of_text(head: bytes) -> str:
    encoding = "utf-16" if head.startswith(_WIDE) else "utf-8-sig"
    text = head.decode(encoding, "replace").lstrip()
    if text[:11].upper() == "BEGIN:VCARD":
        return ".vcf"
    return ".jsonl" if text.startswith("{") else ".csv"


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            return file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error):
        return b""  # said when it is read


def _of_archive(path: Path) -> str:
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
    except (BadZipFile, NotImplementedError, ValueError):
        return ".zip"  # said when it is read
    return next((_PARTS[name] for name in names if name in _PARTS), ".zip")
