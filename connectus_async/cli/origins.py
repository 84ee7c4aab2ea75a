"""Where the recipients of a campaign come from: a file, or the query of a database."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

import attrs
import click
from anyio.to_thread import run_sync

from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place, beside
from connectus_async.cli.source_files import SourceFile
from connectus_async.ledger import metadata_names
from connectus_async.recipients.sources import AS_FOUND, Reading, Source, from_query, open_source

OF_FILES: Final = "--delimiter, --encoding, --sheet, --header-row, --hidden-rows"


@attrs.frozen
class RecipientsFile:
    """A file, and what was said of it."""

    path: Path
    reading: Reading

    def ledger(self, campaign: str) -> Place:
        """Name a file beside it."""
        return beside(self.path, campaign)

    async def open(self) -> Source:
        """Open the file."""
        return await open_source(self.path, self.reading)

    async def recorded(self) -> SourceFile:
        """Take its hash."""
        return await run_sync(SourceFile.of, self.path, self.reading)


@attrs.define
class DatabaseQuery:
    """A query of a database, and the address of that, which may have a password."""

    query: str = attrs.field(repr=False)
    database: str = attrs.field(repr=False)
    _without_password: str = attrs.field(default="", init=False, repr=False)

    def ledger(self, _campaign: str) -> Place:
        """Refuse to name one: a database is in no folder.

        Raises:
            click.UsageError: Always.
        """
        raise click.UsageError(
            _("a query has no file beside which its ledger could be: name one with --ledger")
        )

    async def open(self) -> Source:
        """Run the query."""
        source = await from_query(self.query, database=self.database)
        self._without_password = source.database.address
        return source

    async def recorded(self) -> "RecordedQuery":
        """Leave the password out."""
        return RecordedQuery(self.query, self._without_password)


@attrs.frozen
class RecordedQuery:
    """A query, and the address of its database without a password."""

    query: str = attrs.field(repr=False)
    database: str

    def loaded(self, _metadata: Mapping[str, str]) -> dict[str, str]:
        """Write it for a ledger."""
        return {metadata_names.SOURCE_QUERY: json.dumps(attrs.asdict(self))}


Origin: TypeAlias = RecipientsFile | DatabaseQuery
Recorded: TypeAlias = SourceFile | RecordedQuery


def origin_of(
    file: Path | None, query: str | None, database: str | None, reading: Reading
) -> Origin:
    """Find out where recipients come from, as a command was given it.

    Raises:
        click.UsageError: It is said twice, or not at all, or half.
    """
    if file is not None and query is None and database is None:
        return RecipientsFile(file, reading)
    if file is not None:
        raise click.UsageError(_("give a FILE, or --query and --from, not both"))
    if query is None or database is None:
        raise click.UsageError(_("give a FILE, or --query with the --from of its database"))
    if attrs.evolve(reading, region=None) != AS_FOUND:
        raise click.UsageError(_("{options} are of a FILE").format(options=OF_FILES))
    return DatabaseQuery(query, database)
