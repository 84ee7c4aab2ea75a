"""A message the API accepted, and what becomes of it as time passes. Pure."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final, Literal

from attrs import field, frozen

Product = Literal["sms", "email", "whatsapp", "whatsapp_qr"]
Timeline = tuple[tuple[timedelta, str], ...]

_UNDER_WAY: Final[Timeline] = (
    (timedelta(0), "EN_COLA"),
    (timedelta(seconds=1), "ENVIADO_A_CARRIER"),
    (timedelta(seconds=2), "ESPERANDO_RESPUESTA"),
)
_DELIVERED: Final[Timeline] = (*_UNDER_WAY, (timedelta(seconds=3), "ENTREGADO"))
_FATES: Final[dict[str, Timeline]] = {
    "0000": (*_UNDER_WAY, (timedelta(seconds=3), "NO_ENTREGABLE")),
    "0001": (_UNDER_WAY[0], (timedelta(seconds=1), "NUMERO_INVALIDO")),
    "0002": _UNDER_WAY,
}
_FATE_LENGTH: Final = 4
_SMPP: Final = {
    "ENTREGADO": "DELIVRD",
    "NO_ENTREGABLE": "UNDELIV",
    "NUMERO_INVALIDO": "ESME_RINVDSTADR",
}
_SEGMENT_CHARACTERS: Final = 160


@frozen(kw_only=True, eq=False)
class Received:
    """A message that the API accepted and that reached 'the phone'.

    A message whose number is undeliverable is here as well: the API took it and billed it. What
    became of it is its status (`Emulator.status_of`), worked out from the recipient and the time:

    ================== ============================================================
    recipient ends in  what happens
    ================== ============================================================
    ``0000``           ``NO_ENTREGABLE`` after 3 s
    ``0001``           ``NUMERO_INVALIDO`` after 1 s
    ``0002``           stays ``ESPERANDO_RESPUESTA`` for ever
    anything else      ``EN_COLA``, ``ENVIADO_A_CARRIER`` after 1 s,
                       ``ESPERANDO_RESPUESTA`` after 2 s, ``ENTREGADO`` after 3 s
    ================== ============================================================

    For an e-mail address the part before the ``@`` counts. A message in a delivery is
    ``PROGRAMADO`` until the delivery's time, and the seconds above count from then.

    Attributes:
        product: ``"sms"``, ``"email"``, ``"whatsapp"`` or ``"whatsapp_qr"``.
        id: The id that the answer named.
        recipient: Digits of a number, an e-mail address, or the name of a WhatsApp QR group.
        content: The text as it was sent.
        src: Number or address of the sender; the account's default when the request had none.
        subject: Subject of an e-mail, else None.
        id_delivery: The delivery that the request named, or None.
        id_client: The sub-client that paid, or None for the account's free balance.
        otp: Whether it came through ``send_otp``.
        hashed: Whether reports show a digest instead of the text (``save_content="hash"``).
        time: When it was accepted, on the emulator's clock.
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
        """The text as reports show it: itself, or its SHA-256 in hexadecimal."""
        if not self.hashed:
            return self.content
        return hashlib.sha256(self.content.encode(errors="surrogatepass")).hexdigest()


def billed_segments(content: str) -> int:
    """How many SMS the API bills: one per started 160 characters."""
    return -(-len(content) // _SEGMENT_CHARACTERS)


def status(recipient: str, due: datetime, now: datetime) -> str:
    """The webhook's word for a message to `recipient` that leaves at `due`."""
    if now < due:
        return "PROGRAMADO"
    return [word for after, word in _timeline(recipient) if due + after <= now][-1]


def next_change(recipient: str, due: datetime, now: datetime) -> datetime | None:
    """When the status changes after `now`; None once it is final."""
    return next((due + after for after, _ in _timeline(recipient) if due + after > now), None)


def smpp_status(word: str) -> str:
    """What ``GET /sms/:id`` answers for a webhook's `word`."""
    return _SMPP.get(word, "ESME_ROK")


def _timeline(recipient: str) -> Timeline:
    return _FATES.get(recipient.partition("@")[0][-_FATE_LENGTH:], _DELIVERED)
