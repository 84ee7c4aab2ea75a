"""Recipients from standard input: kept in a private file meanwhile, for they are read again."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

import click

from connectus_async.cli.language import gettext as _
from connectus_async.cli.ledgers import Place
from connectus_async.cli.parameters import STANDARD_INPUT
from connectus_async.cli.runner import errors_reported
from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.sources.content import suffix_of

NAME: Final = "standard-input"
MAX_BYTES: Final = 2**30
CHUNK: Final = 2**20
INTERRUPTED: Final = "interrupted; nothing was sent: run the same command again"


@contextmanager
def recipients_file(
    path: Path | None, *, ledger: Place | None, keeps: bool, as_json: bool
) -> Generator[Path | None, None, None]:
    """Give a file of recipients; standard input becomes one, which only its owner may read.

    Its content tells its kind. The file is removed at the end. To resume the campaign, either give
    the same input again, or use ``bulk resume``: the ledger has all rows.

    Args:
        path: The path, or ``-``; ``None`` if the recipients come from elsewhere.
        ledger: The ledger that the user names.
        keeps: Whether the command needs one.
        as_json: Whether errors are printed as JSON.

    Raises:
        click.UsageError: Standard input has no ledger, or is a terminal.
    """
    if str(path) != STANDARD_INPUT:
        yield path
        return
    if keeps and ledger is None:
        raise click.UsageError(
            _("standard input has no place for its ledger: name a file with --ledger")
        )
    if sys.stdin.isatty():
        raise click.UsageError(_("standard input is a terminal: pipe the file of recipients to it"))
    with TemporaryDirectory(prefix="connectus-") as folder:
        with errors_reported(as_json=as_json, when_interrupted=INTERRUPTED):
            file = _kept(Path(folder), sys.stdin.buffer)
        yield file


def _kept(folder: Path, stream: BinaryIO) -> Path:
    file = folder / NAME
    count = 0
    try:
        with file.open("xb") as kept:
            while chunk := stream.read(CHUNK):
                count += len(chunk)
                if count > MAX_BYTES:
                    raise InvalidArgumentError(
                        NAME, f"is longer than {MAX_BYTES:,} bytes; save it as a file first"
                    )
                kept.write(chunk)
        return file.rename(file.with_name(NAME + suffix_of(file)))
    except OSError as error:
        raise InvalidArgumentError(NAME, f"cannot be kept: {error.strerror}") from None
