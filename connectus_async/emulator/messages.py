"""Accepted messages, and their status over time. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import field, frozen

Product = Literal["sms", "email", "whatsapp", "whatsapp_qr"]
Timeline = tuple[tuple[timedelta, str], ...]

_PENDING: Final[Timeline] = (
    (timedelta(0), "EN_COLA"),
    (timedelta(seconds=1), "ENVIADO_A_CARRIER"),
    (timedelta(seconds=2), "ESPERANDO_RESPUESTA"),
)
_DELIVERED: Final[Timeline] = (*_PENDING, (timedelta(seconds=3), "ENTREGADO"))
_TIMELINES: Final[dict[str, Timeline]] = {
    "0000": (*_PENDING, (timedelta(seconds=3), "NO_ENTREGABLE")),
    "0001": (_PENDING[0], (timedelta(seconds=1), "NUMERO_INVALIDO")),
    "0002": _PENDING,
}
STATUSES: Final = (
    "PROGRAMADO",
    *dict.fromkeys(name for line in (_DELIVERED, *_TIMELINES.values()) for _, name in line),
)
"""Every status, in the webhook's form."""
_SUFFIX_LENGTH: Final = 4
_SMPP: Final = {
    "ENTREGADO": "DELIVRD",
    "NO_ENTREGABLE": "UNDELIV",
    "NUMERO_INVALIDO": "ESME_RINVDSTADR",
}
_SEGMENT_CHARACTERS: Final = 160


@frozen(kw_only=True, eq=False)
class Received:
    """A message that the API accepted and that reached "the phone".

    This includes undeliverable numbers, since the API accepts and bills them. The status
    (`Emulator.status_of`) depends on the recipient and the time:

    ================== ============================================================
    recipient ends in  status
    ================== ============================================================
    ``0000``           ``NO_ENTREGABLE`` after 3 s
    ``0001``           ``NUMERO_INVALIDO`` after 1 s
    ``0002``           ``ESPERANDO_RESPUESTA`` forever
    anything else      ``EN_COLA``, ``ENVIADO_A_CARRIER`` after 1 s,
                       ``ESPERANDO_RESPUESTA`` after 2 s, ``ENTREGADO`` after 3 s
    ================== ============================================================

    For an e-mail address, the part before the ``@`` counts. A message in a delivery is
    ``PROGRAMADO`` until the delivery's time, and the seconds above count from then.

    Attributes:
        product: ``"sms"``, ``"email"``, ``"whatsapp"`` or ``"whatsapp_qr"``.
        id: The id in the response.
        recipient: Digits of a number, an e-mail address, or the name of a WhatsApp QR group.
        content: The text as sent.
        src: Number or address of the sender; the account's default if the request had none.
        subject: Subject of an e-mail, else None.
        id_delivery: The delivery in the request, or None.
        id_client: The sub-client that paid, or None for the account's free balance.
        otp: Whether it came through ``send_otp``.
        hashed: Whether reports show a digest instead of the text (``save_content="hash"``).
        time: The time of acceptance, on the emulator's clock.
    """

    product: Product
    id: str
    recipient: str = field(repr=False)
    content: str = field(repr=False)
    src: str = field(repr=False)
    subject: str | None = field(default=None, repr=False)
    id_delivery: str | None = None
    id_client: str | None = None
    otp: bool = False
    hashed: bool = False
    time: datetime

    @property
    def stored_content(self) -> str:
        """The text as reports show it: unchanged, or its SHA-256 in hexadecimal."""
        if not self.hashed:
            return self.content
        return hashlib.sha256(self.content.encode(errors="surrogatepass")).hexdigest()


def billed_segments(content: str) -> int:
    """Return the number of SMS billed: one per started 160 characters."""
    return -(-len(content) // _SEGMENT_CHARACTERS)


def status(recipient: str, due: datetime, now: datetime) -> str:
    """Return the status, in the webhook's form, of a message to `recipient` sent at `due`."""
    if now < due:
        return "PROGRAMADO"
    since = now - due
    return next(name for after, name in reversed(_timeline(recipient)) if after <= since)


def next_change(recipient: str, due: datetime, now: datetime) -> datetime | None:
    """Return the time of the next change of status after `now`; None once it is final."""
    return next((due + after for after, _ in _timeline(recipient) if due + after > now), None)


def changes(recipient: str, due: datetime) -> list[tuple[datetime, str]]:
    """Return each status, in the webhook's form, of a message sent at `due`, with its time."""
    return [(due + after, name) for after, name in _timeline(recipient)]


def smpp_status(webhook_status: str) -> str:
    """Convert a webhook's status to that of ``GET /sms/:id``."""
    return _SMPP.get(webhook_status, "ESME_ROK")


def _timeline(recipient: str) -> Timeline:
    return _TIMELINES.get(recipient.partition("@")[0][-_SUFFIX_LENGTH:], _DELIVERED)
