"""Messages that were not accepted, counted by reason."""

from collections.abc import Iterator
from typing import Final

import attrs

from connectus_async.cli.language import gettext as _
from connectus_async.cli.language import ngettext, number, translated
from connectus_async.ledger.states import State

MOST_REASONS: Final = 100
MOST_SHOWN: Final = 10
MOST_LINES: Final = 3
OTHERS: Final = "other reasons"


@attrs.define
class _Same:
    count: int = 0
    lines: list[int] = attrs.field(factory=list)


@attrs.define
class Failures:
    """Counts failures by state and reason; the reasons are limited in number."""

    _found: dict[tuple[State, str], _Same] = attrs.field(factory=dict)

    def add(self, state: State, line: int | None, reason: str) -> None:
        """Count a failure.

        Args:
            state: State of the message.
            line: Line of the file, if it came from one.
            reason: The reason, without personal data.
        """
        key = state, reason
        if key not in self._found and len(self._found) >= MOST_REASONS:
            key = state, OTHERS
        same = self._found.setdefault(key, _Same())
        same.count += 1
        if line is not None and len(same.lines) < MOST_LINES:
            same.lines.append(line)

    def sentences(self) -> Iterator[str]:
        """Write a line for each of the most frequent reasons, with examples of its lines."""
        ordered = sorted(self._found.items(), key=lambda item: -item[1].count)
        for (state, reason), same in ordered[:MOST_SHOWN]:
            values = {"count": number(same.count), "state": state, "reason": translated(reason)}
            if not same.lines:
                yield _("{count} {state}: {reason}").format(**values)
                continue
            lines = ", ".join(map(number, same.lines)) + (", …" if same.count > MOST_LINES else "")
            yield ngettext(
                "{count} {state} (line {lines}): {reason}",
                "{count} {state} (lines {lines}): {reason}",
                same.count,
            ).format(lines=lines, **values)
        if rest := sum(same.count for _key, same in ordered[MOST_SHOWN:]):
            yield ngettext("{count} more failure", "{count} more failures", rest).format(
                count=number(rest)
            )
