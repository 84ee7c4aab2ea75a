"""File of recipients of a campaign, which its ledger records, so that its rows can be shown."""

import hashlib
import json
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Final, Self, cast

import attrs
from anyio.to_thread import run_sync

from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.ledger import metadata_names
from connectus_async.recipients.cells import (
    Cell,
    ErrorCell,
    Shown,
    format_cell,
    is_blank,
    written_value,
)
from connectus_async.recipients.sources import Reading, Source, open_source
from connectus_async.report.original import Cells, Original

DIGEST_BYTES: Final = 16

CHANGED: Final = (
    "{name} is not the file that was sent any more: put that back, or pass it by --source; without"
    " the columns of the file, the export needs none"
)
MISSING: Final = "{name} is not at its place any more: pass it by --source"
OF_A_QUERY: Final = (
    "its recipients came from a query, whose rows no ledger keeps: export without the columns of"
    " the file; to correct rows, change them in the database and run the same bulk send again"
)
NOT_RECORDED: Final = (
    "the ledger does not know its file: it was made by another version, or by a program; export"
    " without the columns of the file"
)


@attrs.frozen(kw_only=True)
class SourceFile:
    """File of recipients, and how it is read.

    Attributes:
        path: Its absolute path.
        digest: Hash of its content.
        reading: What was said of it.
        load: Number of the load of a ledger that read it.
    """

    path: str
    digest: str
    reading: Reading
    load: int = 0

    @classmethod
    def of(cls, path: Path, reading: Reading) -> Self:
        """Take the hash of a file. Blocks."""
        return cls(path=str(path.absolute()), digest=_digest(path), reading=reading)

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self:
        """Read what a ledger has recorded.

        Raises:
            ConfigurationError: It has recorded nothing.
        """
        if metadata.get(metadata_names.SOURCE_QUERY):
            raise ConfigurationError("--original", OF_A_QUERY)
        written = metadata.get(metadata_names.SOURCE_FILE)
        if not written:
            raise ConfigurationError("--original", NOT_RECORDED)
        record = json.loads(written)
        known = {field.name for field in attrs.fields(cls)}
        reading = {name: record.pop(name) for name in record.keys() - known}
        return cls(**record, reading=Reading(**reading))

    def loaded(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Write it for a ledger that has just loaded it, with the number of that load."""
        load = int(metadata.get(metadata_names.LOAD, 0))
        record = attrs.asdict(attrs.evolve(self, load=load))
        return {metadata_names.SOURCE_FILE: json.dumps({**record.pop("reading"), **record})}

    async def original(self, moved_to: Path | None, recipient: str) -> Original:
        """Open it for an export.

        Args:
            moved_to: Its present path, if it was moved.
            recipient: The column of the recipient.

        Raises:
            ConfigurationError: It is not there, or was changed.
        """
        path = moved_to or Path(self.path)
        try:
            digest = await run_sync(_digest, path)
        except OSError:
            raise ConfigurationError("--original", MISSING.format(name=path.name)) from None
        if digest != self.digest:
            raise ConfigurationError("--original", CHANGED.format(name=path.name))
        source = await open_source(path, self.reading)
        place = [*source.columns].index(recipient)
        return Original(source.columns, lambda: _rows(source, recipient), place, self.load)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)
        ).hexdigest()


def _rows(source: Source, recipient: str) -> Generator[tuple[int, Cells], None, None]:
    with closing(source.lines()) as lines:
        for line in lines:
            if not isinstance(line.cells, InvalidArgumentError):
                cells = {**line.cells, recipient: _digits(line.cells.get(recipient))}
                yield line.number, [_text(name, cells.get(name)) for name in source.columns]


def _digits(cell: Cell) -> Cell:
    """Write a recipient as it was sent to. A float stays one, since digits may be missing in it."""
    if is_blank(cell) or isinstance(cell, ErrorCell):
        return cell
    if isinstance(cell, float):
        return float.__repr__(cell)
    return cast("Cell", written_value("", cell))


def _text(column: str, cell: object) -> str | None:
    """Write a cell as text, as a sheet shows it."""
    if is_blank(cell):
        return None
    if isinstance(cell, str):
        return cell
    if isinstance(cell, ErrorCell):
        return cell.error
    if isinstance(cell, float) and not isinstance(cell, Shown):
        return repr(cell)
    try:
        return format_cell(column, cell)
    except InvalidArgumentError:
        return str(cell)
