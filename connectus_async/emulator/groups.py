"""The phone linked by QR code: its groups and last messages. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Final

from attrs import define, field

if TYPE_CHECKING:
    from connectus_async.emulator.messages import Received

_LAST: Final = 50


def _last_messages() -> defaultdict[str, deque[Received]]:
    return defaultdict(lambda: deque(maxlen=_LAST))


@define(repr=False, eq=False)
class Group:
    """A WhatsApp group, with its participants in the order they joined."""

    id: str
    name: str
    participants: list[str]
    admins: list[str] = field(factory=list[str])
    description: str = ""

    def add(self, numbers: list[str]) -> None:
        """Add numbers that are not participants yet."""
        self.participants += [n for n in dict.fromkeys(numbers) if n not in self.participants]

    def remove(self, numbers: list[str]) -> None:
        """Remove participants, also as admins."""
        self.participants = [n for n in self.participants if n not in numbers]
        self.demote(numbers)

    def promote(self, numbers: list[str]) -> None:
        """Make participants admins."""
        self.admins += [n for n in dict.fromkeys(numbers) if n not in self.admins]

    def demote(self, numbers: list[str]) -> None:
        """Remove admin rights from participants."""
        self.admins = [n for n in self.admins if n not in numbers]


@define(repr=False, eq=False)
class QrPhone:
    """Groups by name, and the last 50 messages of each conversation.

    The key of a conversation is the number, or the id of the group.
    """

    groups: dict[str, Group] = field(factory=dict[str, Group])
    _last: defaultdict[str, deque[Received]] = field(factory=_last_messages)

    def rename(self, group: Group, name: str) -> None:
        """Rename a group."""
        del self.groups[group.name]
        group.name = name
        self.groups[name] = group

    def remember(self, conversation: str, message: Received) -> None:
        """Store `message` as the newest of its conversation."""
        self._last[conversation].append(message)

    def last(self, conversation: str) -> list[Received]:
        """Return the last messages of a conversation, oldest first."""
        return list(self._last.get(conversation, ()))

    def forget(self) -> None:
        """Forget all messages."""
        self._last.clear()
