"""Opens workbooks by their content, whatever their extension says."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final
from zipfile import ZipFile

from connectus_async.errors import ConnectusError, InvalidArgumentError
from connectus_async.recipients.sources.workbooks.parts import check_parts
from connectus_async.recipients.sources.workbooks.workbook import Workbook
from connectus_async.recipients.sources.workbooks.xlsx import Xlsx

ZIP: Final = b"PK\x03\x04"
COMPOUND: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The first bytes of a workbook until 2003, and of one with a password."""

SAMPLE: Final = 4096
ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")

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
            _check_kind(file)
            with closing(ZipFile(file)) as archive:
                check_parts(path.name, archive)
                yield Xlsx(archive, region, path.name)
    except (ConnectusError, MemoryError):
        raise
    except _NoWorkbookError as error:
        raise InvalidArgumentError(path.name, f"cannot be read: {error}") from None
    except Exception as error:  # noqa: BLE001 - a damaged file fails anywhere
        reason = getattr(error, "strerror", None) or NO_WORKBOOK
        raise InvalidArgumentError(path.name, f"cannot be read: {reason}") from None


class _NoWorkbookError(Exception):
    """A file is something else than a workbook; the message is what it is."""


def _check_kind(file: IO[bytes]) -> None:
    start = file.read(SAMPLE)
    if start.startswith(COMPOUND):
        raise _NoWorkbookError(PASSWORD if _is_encrypted(file, start) else NO_WORKBOOK)
    if not start.startswith(ZIP):
        raise _NoWorkbookError(_described(start))
    file.seek(0)


def _is_encrypted(file: IO[bytes], start: bytes) -> bool:
    """Look for an encrypted workbook among the entries of a compound file."""
    sector_size = 1 << int.from_bytes(start[30:32], "little")
    directory = int.from_bytes(start[48:52], "little")
    file.seek((directory + 1) * sector_size)
    return ENCRYPTED in file.read(SAMPLE)


def _described(start: bytes) -> str:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<", b"mime-version:")):
        return WEB_PAGE
    if text and not text.startswith(b"%pdf") and b"\0" not in text:
        return TEXT
    return NO_WORKBOOK
