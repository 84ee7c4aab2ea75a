"""Which of two words about an SMS says more, and what SMPP's words are in those of webhooks. Pure.

Events come twice, late, and in another order than what they tell of happened. So the status of an
SMS is the word of the highest rank that was ever said of it, in whatever order: the same words give
the same status.
"""

from collections.abc import Mapping
from typing import Final

from connectus_async.products.sms import SmppStatus, SmsStatus

RANKS: Final[Mapping[SmsStatus, int]] = {
    SmsStatus.PROGRAMADO: 1,
    SmsStatus.EN_COLA: 2,
    SmsStatus.ENVIADO_A_CARRIER: 3,
    SmsStatus.ESPERANDO_RESPUESTA: 4,
    SmsStatus.NO_ENTREGABLE: 6,
    SmsStatus.NUMERO_INVALIDO: 7,
    SmsStatus.ENTREGADO: 8,
}
"""The last three are final. Of two of those, the one that says more counts: why an SMS was not
delivered, and before all that it was, for then it has been on the phone."""

UNKNOWN_RANK: Final = 5
"""A word that is not known is news beside those of the way, and never the last one. Of two such
words, the first one stays."""

_FROM_SMPP: Final[Mapping[str, SmsStatus]] = {
    "DELIVRD": SmsStatus.ENTREGADO,
    "UNDELIV": SmsStatus.NO_ENTREGABLE,
    "DELETED": SmsStatus.NO_ENTREGABLE,
    "EXPIRED": SmsStatus.NO_ENTREGABLE,
    "REJECTD": SmsStatus.NO_ENTREGABLE,
    "ESME_RINVDSTADR": SmsStatus.NUMERO_INVALIDO,
}

_NOT_FINAL: Final = frozenset(
    {
        "ESME_ROK",  # accepted; it does not say how far it has come
        "ESME_RTHROTTLED",  # what follows may pass: the carrier was busy,
        "ESME_RMSGQFUL",
        "ESME_RX_T_APPN",
        "ESME_RSYSERR",
        "ESME_RSERTYPUNAVAIL",
        "ESME_RINVBNDSTS",  # or the link to it was not ready,
        "ESME_RALYBND",
        "ESME_RBINDFAIL",
        "ESME_RQUERYFAIL",  # or only the question failed
    }
)


def rank(status: SmsStatus | None) -> int:
    """Tell how far a status is; 0 for none.

    >>> rank(None) < rank(SmsStatus.EN_COLA) < rank(SmsStatus("LEIDO")) < rank(SmsStatus.ENTREGADO)
    True
    """
    return 0 if status is None else RANKS.get(status, UNKNOWN_RANK)


def is_news(status: SmsStatus, before: SmsStatus | None) -> bool:
    """Tell whether a status takes the place of the one before."""
    return rank(status) > rank(before)


def in_words_of_webhooks(status: SmppStatus | None) -> SmsStatus | None:
    """Translate what `SmsService.status` answers; ``None`` where it does not tell how far it is.

    An error of SMPP that is not known to pass is final: the SMS was not taken.

    >>> in_words_of_webhooks(SmppStatus.DELIVRD), in_words_of_webhooks(SmppStatus.ESME_ROK)
    (<SmsStatus 'ENTREGADO'>, None)
    """
    if status is None or status in _NOT_FINAL:
        return None
    if status in _FROM_SMPP:
        return _FROM_SMPP[status]
    word = SmsStatus(status.value)
    if word.is_known:
        return word
    is_error = status.is_known and status.name.startswith("ESME_")
    return SmsStatus.NO_ENTREGABLE if is_error else None
