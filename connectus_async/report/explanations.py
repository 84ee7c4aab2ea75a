"""Reasons in plain words, and texts of messages, for a table. Pure."""

from collections.abc import Mapping
from typing import Final

from connectus_async import _json
from connectus_async.ledger.states import SkipReason, State
from connectus_async.translation import Language

STATES: Final[Mapping[str, str]] = {
    State.QUEUED: "it waits to be sent",
    State.IN_FLIGHT: "it is being sent",
    State.REJECTED: "Connectus refused it",
    State.UNKNOWN: "it may have been sent",
    State.HELD: "it may have been sent, and you decide whether to send it again",
}
SKIPPED: Final[Mapping[str, str]] = {
    SkipReason.INVALID: "the row cannot become a message",
    SkipReason.DUPLICATE: "the campaign has this message already",
    SkipReason.SUPPRESSED: "the recipient is on the suppression list",
    SkipReason.EXPIRED: "it was not sent in time",
    SkipReason.OVER_BUDGET: "the budget does not cover it",
    SkipReason.SUPERSEDED: "another message took its place",
    SkipReason.HAS_ANOTHER: "the recipient may have got another text of this campaign",
    SkipReason.TOO_OFTEN: "the recipient got as many messages lately as are allowed",
}
TEXTS: Final = ("sms_content", "whatsapp_content", "email_content")


def explained(state: str, reason: str | None) -> str | None:
    """Explain why a message was not accepted; ``None`` if it was.

    >>> explained("skipped", "invalid: phone: has 4 digits")
    'the row cannot become a message: phone: has 4 digits'
    >>> explained("rejected", None), explained("accepted", None)
    ('Connectus refused it', None)
    """
    sentence, detail = STATES.get(state), reason
    if state == State.SKIPPED:
        code, _, detail = (reason or "").partition(": ")
        sentence = SKIPPED.get(code, code or None)
    return f"{sentence}: {detail}" if sentence and detail else sentence


def header(column: str, language: Language) -> str:
    """Name a column of ours for a person; any other name stays as it is."""
    if language.is_english:
        return column
    pgettext = language.pgettext
    names = {
        "line": pgettext("column", "line"),
        "key": pgettext("column", "key"),
        "kind": pgettext("column", "kind"),
        "recipient": pgettext("column", "recipient"),
        "state": pgettext("column", "state"),
        "reason": pgettext("column", "reason"),
        "attempts": pgettext("column", "attempts"),
        "started_at": pgettext("column", "started_at"),
        "ended_at": pgettext("column", "ended_at"),
        "delivery_status": pgettext("column", "delivery_status"),
        "delivered_at": pgettext("column", "delivered_at"),
        "billed": pgettext("column", "billed"),
        "explanation": pgettext("column", "explanation"),
        "text": pgettext("column", "text"),
    }
    return names.get(column, column)


def text_of(kind: str, body: str | None) -> str | None:
    """Read the text of a body; ``None`` if it has none any more."""
    if not body or kind == "invalid":
        return None
    fields = _json.loads(body.encode())
    return next((fields[name] for name in TEXTS if name in fields), None)
