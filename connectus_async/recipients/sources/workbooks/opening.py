"""Opens workbooks by their content, whatever their extension says."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final
from zipfile import ZipFile

from connectus_async.errors import ConnectusError, InvalidArgumentError
from connectus_async.recipients.sources.workbooks.ods import CONTENT, Ods
from connectus_async.recipients.sources.workbooks.package import Package
from connectus_async.recipients.sources.workbooks.parts import (
    MAX_KEPT,
    check_parts,
    contains,
    too_large,
)
from connectus_async.recipients.sources.workbooks.workbook import Workbook
from connectus_async.recipients.sources.workbooks.xls import Xls
from connectus_async.recipients.sources.workbooks.xlsb import Xlsb
from connectus_async.recipients.sources.workbooks.xlsx import Xlsx

COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of a workbook until 2003, and of one with a password."""

SAMPLE: Final = 4096
ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
BINARY: Final = ".bin"
MANIFEST: Final = "META-INF/manifest.xml"
ENCRYPTION: Final = b"encryption-data"

NO_WORKBOOK: Final = "it is not a workbook, or is damaged"
PASSWORD: Final = "it has a password; save it without one"  # noqa: S105 - a sentence
WEB_PAGE: Final = (
    "it is a web page with the name of a workbook; open it in a spreadsheet, and save it as .xlsx"
)
TEXT: Final = "it is text with the name of a workbook; rename it to .csv"


@contextmanager
def opened(path: Path, region: str | None) -> Iterator[Workbook]:
    """Open a workbook. Blocking.

    Args:
        path: Its path.
        region: The country whose conventions it follows, such as ``CL``; ``None`` if not known.

    Raises:
        InvalidArgumentError: It cannot be read; the error names it, with the reason.
        ConfigurationError: The library for its format is not installed.
    """
    try:
        with path.open("rb") as file:
            start = file.read(SAMPLE)
            file.seek(0)
            if start.startswith(COMPOUND):
                yield Xls(_compound(path.name, file, start), region, path.name)
            else:
                _check_zip(start)
                with closing(ZipFile(file)) as archive:
                    check_parts(path.name, archive)
                    yield _zipped(archive, region, path.name)
    except (ConnectusError, MemoryError):
        raise
    except _NoWorkbookError as error:
        raise InvalidArgumentError(path.name, f"cannot be read: {error}") from None
    except Exception as error:  # noqa: BLE001 - a damaged file fails anywhere
        reason = getattr(error, "strerror", None) or NO_WORKBOOK
        if "encrypted" in str(error):  # as xlrd says
            reason = PASSWORD
        raise InvalidArgumentError(path.name, f"cannot be read: {reason}") from None


def _zipped(archive: ZipFile, region: str | None, file: str) -> Workbook:
    names = set(archive.namelist())
    if CONTENT not in names:
        package = Package(archive)
        is_binary = package.main.casefold().endswith(BINARY)
        return (Xlsb if is_binary else Xlsx)(package, region, file)
    if MANIFEST in names and contains(archive, MANIFEST, [ENCRYPTION]):
        raise _NoWorkbookError(PASSWORD)
    return Ods(archive, region, file)


class _NoWorkbookError(Exception):
    """A file is something else than a workbook; the message is what it is."""


def _compound(name: str, file: IO[bytes], start: bytes) -> bytes:
    """Read a workbook until 2003, which is kept in memory."""
    if _is_encrypted(file, start):
        raise _NoWorkbookError(PASSWORD)
    file.seek(0)
    content = file.read(MAX_KEPT + 1)
    if len(content) > MAX_KEPT:
        raise too_large(name)
    return content


def _is_encrypted(file: IO[bytes], start: bytes) -> bool:
    """Look for an encrypted workbook among the entries of a compound file."""
    sector_size = 1 << int.from_bytes(start[30:32], "little")
    directory = int.from_bytes(start[48:52], "little")
    file.seek((directory + 1) * sector_size)
    return ENCRYPTED in file.read(SAMPLE)


def _check_zip(start: bytes) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<", b"mime-version:")):
        raise _NoWorkbookError(WEB_PAGE)
    if text and not text.startswith((b"pk", b"%pdf")) and b"\0" not in text:
        raise _NoWorkbookError(TEXT)
