"""Journal that outlives the emulator: one line of JSON for each call that changed the state."""

from __future__ import annotations

import json
import os
from datetime import datetime
from io import SEEK_END, FileIO
from itertools import filterfalse
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from attrs import define, field

from connectus_async.emulator.calls import CALLS, CLEAR
from connectus_async.emulator.refusals import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectus_async.emulator.calls import Call
    from connectus_async.emulator.params import Params
    from connectus_async.emulator.state import State

_ANSWERS: Final = {call.name: call.answer for call in (*CALLS, CLEAR)}
_BEGINNING: Final = b'{"call": "'


class JournalError(ValueError):
    """A file cannot be used as a journal; the text says why."""

    def __init__(self, path: str | os.PathLike[str], problem: str) -> None:
        """Describe the `problem` of the file at `path`."""
        super().__init__(f"{os.fspath(path)} {problem}")


@define(repr=False, eq=False)
class Journal:
    """Calls that changed the state, each with its time and ids.

    The line of a call is written before the response. It survives the process, but not the machine:
    nothing is synced to disk.
    """

    _path: str | os.PathLike[str]
    _state: State
    _lines: int = field(default=0, init=False)
    _file: FileIO = field(init=False)

    def open(self) -> None:
        """Restore the state from the file, and append to it from now on.

        Raises:
            JournalError: The file cannot be opened, or is not a journal.
        """
        try:
            with open(self._path, "a+b") as file:  # noqa: PTH123 - a path may be text
                file.seek(0)
                self._replay(file)
            self._file = FileIO(self._path, "a")
        except OSError as error:
            raise JournalError(self._path, f"cannot be used: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def answer(self, call: Call, params: Params) -> dict[str, Any]:
        """Write the line of a call, and return its answer."""
        if call.method == "GET":
            return call.answer(self._state, params)
        now, ids = self._state.clock(), list[str]()
        with self._state.during(now, _recording(self._state.ids, ids)):
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
            if _is_torn(line):  # the process was killed before it responded
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
            problem = f"does not fit this emulator: line {number} is rejected, {refusal}"
            raise JournalError(self._path, problem) from None
        except (ValueError, LookupError, TypeError):
            problem = f"is not an emulator's journal: line {number} is invalid"
            raise JournalError(self._path, problem) from None
        return ids


def _recording(ids: Iterator[str], recorded: list[str]) -> Iterator[str]:
    for id_ in ids:
        recorded.append(id_)
        yield id_


def _is_torn(line: bytes) -> bool:
    return not line.endswith(b"\n") and line[: len(_BEGINNING)] == _BEGINNING[: len(line)]
