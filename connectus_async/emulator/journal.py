"""A file that outlives the emulator: each call that changed something, a line of JSON a call."""

from __future__ import annotations

import json
import os
from datetime import datetime
from io import SEEK_END, FileIO
from itertools import filterfalse
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from attrs import define, field

from connectus_async.emulator.calls import CALLS
from connectus_async.emulator.refusals import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectus_async.emulator.calls import Call
    from connectus_async.emulator.params import Params
    from connectus_async.emulator.state import State

_ANSWERS: Final = {call.name: call.answer for call in CALLS}
_BEGINNING: Final = b'{"call": "'


class JournalError(ValueError):
    """A file cannot be an emulator's journal; the text says why."""

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        """Say of the file at `path` the `problem`."""
        super().__init__(f"{os.fspath(path)} {problem}")


@define(repr=False, eq=False)
class Journal:
    """Calls that changed the state, each with its time and the ids that it was given.

    The line of a call is handed to the operating system before the call is answered. There it
    outlives the process, but not the machine: nothing is synced to the disk.
    """

    _path: str | os.PathLike[str]
    _state: State
    _lines: int = field(default=0, init=False)
    _file: FileIO = field(init=False)

    def open(self) -> None:
        """Make the state what the file says it was, and append to the file from now on.

        Raises:
            JournalError: The file cannot be opened, or holds something else.
        """
        try:
            with open(self._path, "a+b") as file:  # noqa: PTH123 - a path may be text
                file.seek(0)
                self._replay(file)
            self._file = FileIO(self._path, "a")
        except OSError as error:
            raise JournalError(self._path, f"cannot be used: {error.strerror or error}") from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def answer(self, call: Call, params: Params) -> dict[str, Any]:
        """Answer a call, after its line is written."""
        if call.method == "GET":
            return call.answer(self._state, params)
        now, ids = self._state.clock(), list[str]()
        with self._state.during(now, _noted(self._state.ids, ids)):
            answer = call.answer(self._state, params)
        self._append({"call": call.name, "params": params, "time": now.isoformat(), "ids": ids})
        return answer

    def _append(self, record: dict[str, Any]) -> None:
        rest = json.dumps(record).encode() + b"\n"
        end = self._file.seek(0, SEEK_END)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(end)
            raise
        self._lines += 1

    def _replay(self, file: BinaryIO) -> None:
        ids: set[str] = set()
        size = 0
        for number, line in enumerate(file, 1):
            if _is_torn(line):  # the kill came first, so nobody was answered
                file.truncate(size)
                break
            size += len(line)
            if number > self._lines:
                ids.update(self._repeat(number, line))
                self._lines = number
        self._state.ids = filterfalse(ids.__contains__, self._state.ids)

    def _repeat(self, number: int, line: bytes) -> list[str]:
        try:
            record = json.loads(line)
            ids: list[str] = record["ids"]
            with self._state.during(datetime.fromisoformat(record["time"]), iter(ids)):
                _ANSWERS[record["call"]](self._state, record["params"])
        except RefusalError as refusal:
            problem = f"does not fit this emulator: line {number} is refused, {refusal}"
            raise JournalError(self._path, problem) from None
        except (ValueError, LookupError, TypeError):
            problem = f"is no journal of an emulator: line {number} is none of its own"
            raise JournalError(self._path, problem) from None
        return ids


def _noted(ids: Iterator[str], handed_out: list[str]) -> Iterator[str]:
    for id_ in ids:
        handed_out.append(id_)
        yield id_


def _is_torn(line: bytes) -> bool:
    return not line.endswith(b"\n") and line[: len(_BEGINNING)] == _BEGINNING[: len(line)]
