"""What goes through the doors of a ledger: plain records."""

from typing import Final, NamedTuple

from connectus_async.ledger.states import OnUnknown, SkipReason, State

INVALID: Final = "invalid"
"""The kind of an entry that stands for a row that is no message."""


class Entry(NamedTuple):
    """A message as a ledger keeps it.

    Attributes:
        key: What tells it from the other messages of the campaign, without control characters;
            ``None`` if nothing does.
        line: The line of the file that it came from, where it came from one.
        kind: ``"sms"``, ``"email"`` or ``"whatsapp"``; ``"invalid"`` for a row that is no message.
        recipient: Who gets it, as it goes on the wire; empty for what is no message.
        body: The message's other fields as a JSON object; empty for what is no message.
        billed: What it takes from the balance.
    """

    key: str | None
    line: int | None
    kind: str
    recipient: str
    body: str
    billed: int


class Claim(NamedTuple):
    """The answer to the wish to send a message.

    Attributes:
        number: The number of its entry.
        found: The state in which it was there already; ``None`` if it is now in flight.
    """

    number: int
    found: State | None = None


class Loading(NamedTuple):
    """A message that is to be put down before it is sent.

    Attributes:
        entry: The message.
        skipped: Why it is not going to be sent, if it is not.
        reason: The sentence for that.
    """

    entry: Entry
    skipped: SkipReason | None = None
    reason: str | None = None


class Loaded(NamedTuple):
    """What became of a message that was put down.

    Attributes:
        skipped: Why it is not going to be sent, if it is not.
        known: Its state, if the ledger had it from an earlier reading of its source. It comes
            with `skipped` where its recipient may have got another text.
        first_line: For a duplicate, the line of the message that it repeats.
    """

    skipped: SkipReason | None
    known: State | None = None
    first_line: int | None = None


class Unresolved(NamedTuple):
    """A message that may have been sent.

    Attributes:
        number: The number of its entry.
        kind: As in `Entry`.
        recipient: As in `Entry`.
        body: As in `Entry`.
        started_at: When its last attempt began, in Unix seconds.
        ended_at: When its outcome was known, in Unix seconds.
    """

    number: int
    kind: str
    recipient: str
    body: str
    started_at: float
    ended_at: float


class Policy(NamedTuple):
    """What the ledger has to know to take up a campaign.

    Attributes:
        campaign: The campaign's name.
        identity: What makes two messages the same: ``"message"`` or ``"recipient"``.
        on_unknown: What is to become of messages that may have been sent.
        forgets_content: Whether only a hash of the content is kept of what was accepted.
    """

    campaign: str
    identity: str
    on_unknown: OnUnknown
    forgets_content: bool
