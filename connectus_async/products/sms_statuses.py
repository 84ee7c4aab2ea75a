"""Statuses of an SMS, in the words of webhooks and of SMPP, and their order. Pure.

Events come twice, late and out of order. So the status of an SMS is the one with the highest rank
that was ever reported, in whatever order the reports came.
"""

from collections.abc import Mapping
from typing import Final, Self

from connectus_async.answer import OpenEnum


class SmsStatus(OpenEnum):
    """Status of an SMS in webhooks. An unknown value becomes a member too."""

    PROGRAMADO = "PROGRAMADO"
    EN_COLA = "EN_COLA"
    NUMERO_INVALIDO = "NUMERO_INVALIDO"
    ENVIADO_A_CARRIER = "ENVIADO_A_CARRIER"
    ESPERANDO_RESPUESTA = "ESPERANDO_RESPUESTA"
    NO_ENTREGABLE = "NO_ENTREGABLE"
    ENTREGADO = "ENTREGADO"

    @property
    def is_final(self) -> bool:
        """``True`` for ENTREGADO, NO_ENTREGABLE and NUMERO_INVALIDO: no other status follows."""
        return self in _FINAL


UNDELIVERED: Final = frozenset({SmsStatus.NO_ENTREGABLE, SmsStatus.NUMERO_INVALIDO})
"""Final statuses of SMS that reached nobody."""

_FINAL: Final = frozenset({SmsStatus.ENTREGADO, *UNDELIVERED})


class SmppStatus(OpenEnum):
    """SMPP status of an SMS, from `SmsService.status`. An unknown one becomes a member too.

    Attributes:
        code: Number of the SMPP ``command_status``, or ``None`` if the status is none.
    """

    code: int | None

    DELIVRD = "DELIVRD"
    UNDELIV = "UNDELIV"
    ESME_ROK = "ESME_ROK", 0x000
    ESME_RINVMSGLEN = "ESME_RINVMSGLEN", 0x001
    ESME_RINVCMDLEN = "ESME_RINVCMDLEN", 0x002
    ESME_RINVCMDID = "ESME_RINVCMDID", 0x003
    ESME_RINVBNDSTS = "ESME_RINVBNDSTS", 0x004
    ESME_RALYBND = "ESME_RALYBND", 0x005
    ESME_RINVPRTFLG = "ESME_RINVPRTFLG", 0x006
    ESME_RINVREGDLVFLG = "ESME_RINVREGDLVFLG", 0x007
    ESME_RSYSERR = "ESME_RSYSERR", 0x008
    ESME_RINVSRCADR = "ESME_RINVSRCADR", 0x00A
    ESME_RINVDSTADR = "ESME_RINVDSTADR", 0x00B
    ESME_RINVMSGID = "ESME_RINVMSGID", 0x00C
    ESME_RBINDFAIL = "ESME_RBINDFAIL", 0x00D
    ESME_RINVPASWD = "ESME_RINVPASWD", 0x00E
    ESME_RINVSYSID = "ESME_RINVSYSID", 0x00F
    ESME_RCANCELFAIL = "ESME_RCANCELFAIL", 0x011
    ESME_RREPLACEFAIL = "ESME_RREPLACEFAIL", 0x013
    ESME_RMSGQFUL = "ESME_RMSGQFUL", 0x014
    ESME_RINVSERTYP = "ESME_RINVSERTYP", 0x015
    ESME_RINVNUMDESTS = "ESME_RINVNUMDESTS", 0x033
    ESME_RINVDLNAME = "ESME_RINVDLNAME", 0x034
    ESME_RINVDESTFLAG = "ESME_RINVDESTFLAG", 0x040
    ESME_RINVSUBREP = "ESME_RINVSUBREP", 0x042
    ESME_RINVESMCLASS = "ESME_RINVESMCLASS", 0x043
    ESME_RCNTSUBDL = "ESME_RCNTSUBDL", 0x044
    ESME_RSUBMITFAIL = "ESME_RSUBMITFAIL", 0x045
    ESME_RINVSRCTON = "ESME_RINVSRCTON", 0x048
    ESME_RINVSRCNPI = "ESME_RINVSRCNPI", 0x049
    ESME_RINVDSTTON = "ESME_RINVDSTTON", 0x050
    ESME_RINVDSTNPI = "ESME_RINVDSTNPI", 0x051
    ESME_RINVSYSTYP = "ESME_RINVSYSTYP", 0x053
    ESME_RINVREPFLAG = "ESME_RINVREPFLAG", 0x054
    ESME_RINVNUMMSGS = "ESME_RINVNUMMSGS", 0x055
    ESME_RTHROTTLED = "ESME_RTHROTTLED", 0x058
    ESME_RINVSCHED = "ESME_RINVSCHED", 0x061
    ESME_RINVEXPIRY = "ESME_RINVEXPIRY", 0x062
    ESME_RINVDFTMSGID = "ESME_RINVDFTMSGID", 0x063
    ESME_RX_T_APPN = "ESME_RX_T_APPN", 0x064
    ESME_RX_P_APPN = "ESME_RX_P_APPN", 0x065
    ESME_RX_R_APPN = "ESME_RX_R_APPN", 0x066
    ESME_RQUERYFAIL = "ESME_RQUERYFAIL", 0x067
    ESME_RINVTLVSTREAM = "ESME_RINVTLVSTREAM", 0x0C0
    ESME_RTLVNOTALLWD = "ESME_RTLVNOTALLWD", 0x0C1
    ESME_RINVTLVLEN = "ESME_RINVTLVLEN", 0x0C2
    ESME_RMISSINGTLV = "ESME_RMISSINGTLV", 0x0C3
    ESME_RINVTLVVAL = "ESME_RINVTLVVAL", 0x0C4
    ESME_RDELIVERYFAILURE = "ESME_RDELIVERYFAILURE", 0x0FE
    ESME_RUNKNOWNERR = "ESME_RUNKNOWNERR", 0x0FF
    ESME_RSERTYPUNAUTH = "ESME_RSERTYPUNAUTH", 0x100
    ESME_RPROHIBITED = "ESME_RPROHIBITED", 0x101
    ESME_RSERTYPUNAVAIL = "ESME_RSERTYPUNAVAIL", 0x102
    ESME_RSERTYPDENIED = "ESME_RSERTYPDENIED", 0x103
    ESME_RINVDCS = "ESME_RINVDCS", 0x104
    ESME_RINVSRCADDRSUBUNIT = "ESME_RINVSRCADDRSUBUNIT", 0x105
    ESME_RINVDSTADDRSUBUNIT = "ESME_RINVDSTADDRSUBUNIT", 0x106
    ESME_RINVBCASTFREQINT = "ESME_RINVBCASTFREQINT", 0x107
    ESME_RINVBCASTALIAS_NAME = "ESME_RINVBCASTALIAS_NAME", 0x108
    ESME_RINVBCASTAREAFMT = "ESME_RINVBCASTAREAFMT", 0x109
    ESME_RINVNUMBCAST_AREAS = "ESME_RINVNUMBCAST_AREAS", 0x10A
    ESME_RINVBCASTCNTTYPE = "ESME_RINVBCASTCNTTYPE", 0x10B
    ESME_RINVBCASTMSGCLASS = "ESME_RINVBCASTMSGCLASS", 0x10C
    ESME_RBCASTFAIL = "ESME_RBCASTFAIL", 0x10D
    ESME_RBCASTQUERYFAIL = "ESME_RBCASTQUERYFAIL", 0x10E
    ESME_RBCASTCANCELFAIL = "ESME_RBCASTCANCELFAIL", 0x10F
    ESME_RINVBCAST_REP = "ESME_RINVBCAST_REP", 0x110
    ESME_RINVBCASTSRVGRP = "ESME_RINVBCASTSRVGRP", 0x111
    ESME_RINVBCASTCHANIND = "ESME_RINVBCASTCHANIND", 0x112

    def __new__(cls, value: str, code: int | None = None) -> Self:
        """Make a member. The enum itself looks up existing ones."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.code = code
        return member


RANKS: Final[Mapping[SmsStatus, int]] = {
    SmsStatus.PROGRAMADO: 1,
    SmsStatus.EN_COLA: 2,
    SmsStatus.ENVIADO_A_CARRIER: 3,
    SmsStatus.ESPERANDO_RESPUESTA: 4,
    SmsStatus.NO_ENTREGABLE: 6,
    SmsStatus.NUMERO_INVALIDO: 7,
    SmsStatus.ENTREGADO: 8,
}
"""The last three are final. Of two final statuses the more specific one counts: a known reason over
a plain failure, and delivery over both, since the SMS has then been on the phone."""

UNKNOWN_RANK: Final = 5
"""An unknown status ranks above those in transit and below the final ones. Of two unknown statuses
the first one stays."""

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
        "ESME_ROK",  # accepted, which says nothing of delivery
        "ESME_RTHROTTLED",  # the rest may pass: the carrier was busy,
        "ESME_RMSGQFUL",
        "ESME_RX_T_APPN",
        "ESME_RSYSERR",
        "ESME_RSERTYPUNAVAIL",
        "ESME_RINVBNDSTS",  # or the connection to it was not ready,
        "ESME_RALYBND",
        "ESME_RBINDFAIL",
        "ESME_RQUERYFAIL",  # or only the query failed
    }
)


def rank(status: SmsStatus | None) -> int:
    """Return the rank of a status; 0 for ``None``.

    >>> rank(None) < rank(SmsStatus.EN_COLA) < rank(SmsStatus("LEIDO")) < rank(SmsStatus.ENTREGADO)
    True
    """
    return 0 if status is None else RANKS.get(status, UNKNOWN_RANK)


def is_news(status: SmsStatus, before: SmsStatus | None) -> bool:
    """Return ``True`` if a status replaces the one before."""
    return rank(status) > rank(before)


def webhook_status(status: SmppStatus | None) -> SmsStatus | None:
    """Translate an SMPP status; ``None`` where it says nothing of delivery.

    An SMPP error that is not known to pass is final: the carrier did not accept the SMS.

    >>> webhook_status(SmppStatus.DELIVRD), webhook_status(SmppStatus.ESME_ROK)
    (<SmsStatus 'ENTREGADO'>, None)
    """
    if status is None or status in _NOT_FINAL:
        return None
    if status in _FROM_SMPP:
        return _FROM_SMPP[status]
    same = SmsStatus(status.value)
    if same.is_known:
        return same
    is_error = status.is_known and status.name.startswith("ESME_")
    return SmsStatus.NO_ENTREGABLE if is_error else None
