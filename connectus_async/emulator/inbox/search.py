"""Search among the messages of the emulator: filters, pages, and messages by recipient."""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field, frozen

from connectus_async.emulator.messages import next_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from connectus_async.emulator.messages import Received
    from connectus_async.emulator.state import State

_REMEMBERED: Final = 4
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


@frozen
class Query:
    """Filters; an empty text filters nothing.

    Attributes:
        channel: The product of the message.
        state: Its present status, in the webhook's form.
        delivery: The id of its delivery.
        recipient: A part of the recipient; anything but digits counts in an address only.
        text: A part of the content, subject, recipient, sender or id, in any case.
    """

    channel: str = ""
    state: str = ""
    delivery: str = ""
    recipient: str = ""
    text: str = ""

    def accepts(self, message: Received) -> bool:
        """Tell whether a message passes all filters but that of the status."""
        return (
            self.channel in {"", message.product}
            and self.delivery in {"", message.id_delivery}
            and (not self.recipient or self.recipient in message.recipient.casefold())
            and (not self.text or self._mentions(message))
        )

    def _mentions(self, message: Received) -> bool:
        return (
            self.text in message.content.casefold()
            or self.text in message.recipient.casefold()
            or (message.subject is not None and self.text in message.subject.casefold())
            or self.text in message.src.casefold()
            or self.text == message.id
        )


@define(eq=False, repr=False)
class _Found:
    """The places of messages that pass a query, among the first `seen`."""

    seen: int = 0
    places: list[int] = field(factory=list[int])


@define(eq=False, repr=False)
class Index:
    """Finds messages. The last searches are remembered, so that a page takes no new search."""

    _state: State
    _found: OrderedDict[Query, _Found] = field(factory=OrderedDict[Query, _Found])
    _final: list[str | None] = field(factory=list[str | None])
    _asked: datetime = _NEVER
    _seen: int = 0
    _by_recipient: dict[str, list[int]] = field(factory=dict[str, list[int]])

    def page(self, query: Query, offset: int, limit: int) -> tuple[int, list[Received]]:
        """Return the number of messages that pass, and some of them, newest first."""
        received = self._state.received
        static = evolve(query, state="")
        places: Sequence[int] = range(len(received)) if static == Query() else self._places(static)
        if query.state:
            places = self._with_state(places, query.state)
        end = max(0, len(places) - offset)
        chosen = places[max(0, end - limit) : end]
        return len(places), [received[place] for place in reversed(chosen)]

    def recipients(self, offset: int, limit: int) -> tuple[int, list[tuple[Received, int]]]:
        """Return the number of recipients, and some: the last message, and how many there are.

        Whoever got the newest message is first.
        """
        self._follow()
        newest = list(reversed(self._by_recipient.values()))
        chosen = newest[offset : offset + limit]
        received = self._state.received
        return len(newest), [(received[places[-1]], len(places)) for places in chosen]

    def conversation(self, recipient: str, limit: int) -> tuple[int, list[Received]]:
        """Return the number of messages to a recipient, and the last `limit`, oldest first."""
        self._follow()
        places = self._by_recipient.get(recipient, [])
        return len(places), [self._state.received[place] for place in places[-limit:]]

    def clear(self) -> None:
        """Forget all, as the state does."""
        self._found.clear()
        self._final.clear()
        self._by_recipient.clear()
        self._seen = 0

    def _places(self, query: Query) -> list[int]:
        found = self._found.pop(query, None)
        if found is None or found.seen > len(self._state.received):
            found = _Found()
        self._found[query] = found
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)
        received = self._state.received
        accepts = query.accepts
        found.places += [
            place for place in range(found.seen, len(received)) if accepts(received[place])
        ]
        found.seen = len(received)
        return found.places

    def _with_state(self, places: Sequence[int], state: str) -> list[int]:
        """Choose the messages that have a status now; final ones are looked up once."""
        received, final, now = self._state.received, self._final, self._state.clock()
        if now < self._asked or len(final) > len(received):  # a test may move the clock back
            final.clear()
        self._asked = now
        final += [None] * (len(received) - len(final))
        found = list[int]()
        for place in places:
            name = final[place]
            if name is None:
                message = received[place]
                name = self._state.status(message)
                if next_change(message.recipient, self._state.due(message), now) is None:
                    final[place] = name
            if name == state:
                found.append(place)
        return found

    def _follow(self) -> None:
        received, by = self._state.received, self._by_recipient
        if self._seen > len(received):
            self.clear()
        for place in range(self._seen, len(received)):
            recipient = received[place].recipient
            places = by.pop(recipient, [])
            places.append(place)
            by[recipient] = places
        self._seen = len(received)
