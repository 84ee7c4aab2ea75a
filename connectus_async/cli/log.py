"""Log of the command line: text with the time, or JSON Lines with a type.

It goes to a file, or to standard error where that is no terminal; with ``--json`` to standard
output instead. A terminal shows warnings alone: the rest of it is on display there.
"""

import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import click

from connectus_async.cli.runner import print_json, sentence
from connectus_async.errors import ConfigurationError

LIBRARY: Final = "connectus_async"
CAMPAIGN: Final = logging.getLogger("connectus_async.campaign")
"""Log of the command line about the campaign that it sends."""

FIELDS: Final = "fields"
"""Attribute of a record: what JSON has of it besides the sentence."""


class OneLine(logging.Formatter):
    """Form of a log with one line for an event, without a traceback."""

    default_msec_format = None

    def format(self, record: logging.LogRecord) -> str:
        """Write the time and the sentence."""
        line = f"{self.formatTime(record)} {sentence(record.getMessage())}"
        error = record.exc_info and record.exc_info[1]
        return f"{line}: {sentence(error) or type(error).__name__}" if error else line


def as_fields(record: logging.LogRecord) -> dict[str, Any]:
    """Give what `--json` prints of an event."""
    at = dt.datetime.fromtimestamp(record.created, dt.UTC)
    fields: Mapping[str, Any] = getattr(record, FIELDS, {})
    return {
        "type": "log",
        "at": at.isoformat(timespec="seconds"),
        "level": record.levelname.lower(),
        "message": sentence(record.getMessage()),
        **fields,
    }


class OneObject(logging.Formatter):
    """Form of a log with a JSON object on each line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write the object."""
        return json.dumps(as_fields(record))


class _Printed(logging.Handler):
    """Prints events as JSON on standard output."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # nobody reads it
            print_json(as_fields(record))


class _Echoed(logging.Handler):
    """Prints events on standard error, above a progress line."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # nobody reads it
            click.echo(self.format(record), err=True)


class _LogFile(logging.FileHandler):
    """Log in a file. A campaign goes on without its log if the disk is full."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - its name in `logging`
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


@contextmanager
def campaign_log(path: Path | None, *, as_json: bool) -> Iterator[None]:
    """Keep the log of a campaign during a block.

    Args:
        path: File to which it is added; ``None`` for the standard streams.
        as_json: Whether to write JSON Lines.

    Raises:
        ConfigurationError: The file cannot be opened.
    """
    try:
        handler = _handler(path, as_json=as_json)
    except OSError as error:
        raise ConfigurationError("log_file", f"cannot be written: {error.strerror}") from None
    if path is not None or not as_json:
        handler.setFormatter(OneObject() if as_json else OneLine())
    with ExitStack() as stack:
        stack.callback(handler.close)
        if path is not None:
            handler = _in_a_thread(handler, stack)
        stack.enter_context(
            handled(handler, {LIBRARY: logging.WARNING, CAMPAIGN.name: logging.INFO})
        )
        yield


def _in_a_thread(handler: logging.Handler, stack: ExitStack) -> logging.Handler:
    """Let a thread write what is handled: a slow disk would hold up the messages."""
    records: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = QueueListener(records, handler)
    listener.start()
    stack.callback(listener.stop)
    return QueueHandler(records)


def _handler(path: Path | None, *, as_json: bool) -> logging.Handler:
    if path is not None:
        return _LogFile(path, encoding="utf-8")
    if as_json:
        return _Printed()
    return _Echoed(logging.WARNING if sys.stderr.isatty() else logging.NOTSET)


@contextmanager
def handled(handler: logging.Handler, levels: Mapping[str, int]) -> Iterator[None]:
    """Handle the events of some loggers, from a level on, during a block."""
    with ExitStack() as stack:
        for name, level in levels.items():
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(level)
        for name in {name.partition(".")[0] for name in levels}:
            logger = logging.getLogger(name)
            stack.callback(logger.removeHandler, handler)
            logger.addHandler(handler)
        yield


def event(message: str, **fields: Any) -> None:
    """Log an event of a campaign."""
    CAMPAIGN.info("%s", message, extra={FIELDS: fields})
