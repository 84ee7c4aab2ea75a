"""One-time passwords: generated, sent by SMS or email, and checked."""

import datetime as dt
import hmac
import re
import secrets
import unicodedata
from collections.abc import Awaitable, Callable, Collection, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from connectus_async import arguments
from connectus_async.errors import (
    ConfigurationError,
    ConnectusError,
    InvalidArgumentError,
    RequestError,
)
from connectus_async.extras import library
from connectus_async.ledger.keys import recipient_key
from connectus_async.otp.limits import Counts, OtpLimit, OtpLimitError, wait_of_recipient
from connectus_async.otp.records import NOBODY, OtpCheck, OtpReceipt, Record
from connectus_async.otp.storage import (
    BlockingOtpStorage,
    MemoryOtpStorage,
    OtpStorage,
    OtpStorageError,
    without_blocking,
)
from connectus_async.recipients import phone_numbers
from connectus_async.recipients.templates import Template
from connectus_async.redaction import masked

if TYPE_CHECKING:
    from connectus_async.products.email import EmailService
    from connectus_async.products.sms import SmsService

T = TypeVar("T")

COLUMNS: Final = ("code", "minutes")
FEWEST_DIGITS, MOST_DIGITS = 4, 10
LEAST_SECRET: Final = 16
LONGEST_TYPED: Final = 64
PREFIX_LEAVES_OUT: Final = 3
"""Last digits of a number that its prefix leaves out."""

MAX_TRIES: Final = 100
"""Tries to replace a value that others replace at the same time."""


def _template(text: str) -> Template:
    template = Template.parse("text", text).bound(COLUMNS)
    if not any(name == "code" for _, name in template.parts):
        raise ConfigurationError("text", "has no {code}")
    return template


def _checked_secret(secret: str | bytes | None) -> bytes | None:
    key = secret.encode() if isinstance(secret, str) else secret
    if key is not None and len(key) < LEAST_SECRET:
        raise ConfigurationError("secret", f"is shorter than {LEAST_SECRET} bytes")
    return key


def _positive(_: "OtpOptions", attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 < value < float("inf"):
        raise ConfigurationError(attribute.name, "must be a positive number")


def _digits(_: "OtpOptions", __: "attrs.Attribute[int]", value: int) -> None:
    if value not in range(FEWEST_DIGITS, MOST_DIGITS + 1):
        raise ConfigurationError("digits", f"must be {FEWEST_DIGITS} to {MOST_DIGITS}")


def _whole(_: "OtpOptions", attribute: "attrs.Attribute[int]", value: int) -> None:
    if type(value) is not int or value < 1:
        raise ConfigurationError(attribute.name, "must be a whole number, at least 1")


def _not_negative(_: "OtpOptions", attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ConfigurationError(attribute.name, "must be a number of seconds, or 0")


def _countries(
    _: "OtpOptions", attribute: "attrs.Attribute[Any]", codes: Collection[str] | None
) -> None:
    if codes is None:
        return
    if isinstance(codes, str) or not all(re.fullmatch("[A-Z]{2}", code) for code in codes):
        raise ConfigurationError(attribute.name, 'must be ISO codes in capitals, such as {"CL"}')


def _needs_phone(_: "OtpOptions", attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None:
        library(attribute.name, "phonenumbers", extra="phone")


def _storage(
    storage: OtpStorage | BlockingOtpStorage | None,
) -> OtpStorage | BlockingOtpStorage:
    return MemoryOtpStorage() if storage is None else storage


@attrs.frozen(kw_only=True)
class OtpOptions:
    """Options of one-time passwords, as `AsyncConnectus.otp` documents them."""

    text: Template = attrs.field(converter=_template)
    subject: str
    digits: int = attrs.field(validator=_digits)
    valid_for: float = attrs.field(validator=_positive)
    attempts: int = attrs.field(validator=_whole)
    resend_after: float = attrs.field(validator=_not_negative)
    per_recipient: OtpLimit
    per_prefix: OtpLimit | None
    per_country: OtpLimit | None = attrs.field(validator=_needs_phone)
    countries: Collection[str] | None = attrs.field(validator=[_countries, _needs_phone])
    region: str | None
    purpose: str
    storage: OtpStorage | BlockingOtpStorage = attrs.field(converter=_storage)
    secret: bytes | None = attrs.field(converter=_checked_secret, repr=masked)
    clock: Callable[[], float]


class OneTimePasswords:
    """One-time passwords by SMS or email. ``connectus.otp()`` makes it.

    Example:
        otp = connectus.otp()
        await otp.send_sms("56987688060")
        if await otp.verify("56987688060", "493021"):
            ...
    """

    def __init__(
        self, sms: "SmsService", email: "EmailService", options: OtpOptions, api_key: str | None
    ) -> None:
        self._sms = sms
        self._email = email
        self._options = options
        self._storage = without_blocking(options.storage)
        self._secret = options.secret or _secret_of(api_key)
        self._to_digits = phone_numbers.checker(options.region)

    async def send_sms(
        self, dst_number: str | int, *, src_number: str | int | None = None
    ) -> OtpReceipt:
        """Send a new code by SMS. It replaces the one before, if that was still valid.

        Connectus is told to keep only a hash of the text.

        Args:
            dst_number: Recipient: 8 to 15 digits, country code first, or a number of `region`.
            src_number: Sender: one of the account's numbers. Default: the account's default number.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument is not valid, or the number is of a country that is
                not one of `countries`. Nothing was sent.
            OtpLimitError: A limit does not let it be sent now. Nothing was sent.
            OtpStorageError: The storage cannot be used. Nothing was sent.
            RequestError: ``.outcome`` says whether the SMS may have been sent. If it may, the code
                is valid, and counts for the limits.

        Source: ``POST /sms/send_otp``.

        Example:
            await connectus.otp().send_sms("+56 9 8768 8060")
        """
        digits = self._to_digits("dst_number", dst_number)
        country = self._country(digits)

        async def deliver(code: str) -> str | None:
            receipt = await self._sms.send_otp(
                digits, self._text(code), src_number=src_number, save_content="hash"
            )
            return receipt.id

        limits = (
            ("per_prefix", self._options.per_prefix, digits[:-PREFIX_LEAVES_OUT]),
            ("per_country", self._options.per_country, country or "none"),
        )
        taken = [(name, limit, of) for name, limit, of in limits if limit is not None]
        return await self._send(digits, taken, deliver)

    async def send_email(self, dst_email: str, *, src_email: str) -> OtpReceipt:
        """Send a new code by email. It replaces the one before, if that was still valid.

        Args:
            dst_email: Recipient: one address.
            src_email: Sender: one of the account's addresses.

        Returns:
            The receipt.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            OtpLimitError: A limit does not let it be sent now. Nothing was sent.
            OtpStorageError: The storage cannot be used. Nothing was sent.
            RequestError: ``.outcome`` says whether the email may have been sent. If it may, the
                code is valid, and counts for the limits.

        Source: ``POST /email/send_otp_email``.

        Example:
            await connectus.otp().send_email("ana@example.com", src_email="tienda@example.com")
        """
        address = arguments.email_address("dst_email", dst_email)

        async def deliver(code: str) -> str | None:
            receipt = await self._email.send_otp(
                address, self._options.subject, self._text(code), src_email=src_email
            )
            return receipt.id

        return await self._send(address, [], deliver)

    async def verify(self, recipient: str | int, code: str) -> OtpCheck:
        """Check a code that somebody typed. A valid code is accepted once.

        ``WRONG`` uses an attempt, ``VALID`` the code. Tell people the same for all results that are
        not valid: who has an account is none of their business.

        Args:
            recipient: The number or address that the code was sent to, in any spelling.
            code: The code as it was typed; blanks and hyphens do not count.

        Returns:
            The result. Only `OtpCheck.VALID` is true in an ``if``.

        Raises:
            InvalidArgumentError: The recipient is neither a number nor an address.
            OtpStorageError: The storage cannot be used. No attempt was used.

        Example:
            if await otp.verify("56987688060", "493 021"):
                ...
        """
        who = self._recipient(recipient)
        digest = self._digest("code", who, _typed(code))

        def change(stored: bytes | None) -> tuple[OtpCheck, bytes | None]:
            now = self._options.clock()
            record = Record.read(stored or NOBODY)
            result, after = record.checked(digest, now, self._options.attempts)
            written = after.written()
            return result, written if stored else None

        return await self._change(self._key("recipient", who), change, self._remembered)

    def _recipient(self, recipient: str | int) -> str:
        if isinstance(recipient, str) and "@" in recipient:
            return recipient_key(arguments.email_address("recipient", recipient))
        return recipient_key(self._to_digits("recipient", recipient))

    def _country(self, digits: str) -> str | None:
        if self._options.countries is None and self._options.per_country is None:
            return None
        country = phone_numbers.country(digits)
        if self._options.countries is not None and country not in self._options.countries:
            raise InvalidArgumentError("dst_number", "is of a country that gets no codes")
        return country

    def _text(self, code: str) -> str:
        minutes = max(round(self._options.valid_for / 60), 1)
        return self._options.text.fill({"code": code, "minutes": str(minutes)})

    async def _send(
        self,
        recipient: str,
        limits: Sequence[tuple[str, OtpLimit, str]],
        deliver: Callable[[str], Awaitable[str | None]],
    ) -> OtpReceipt:
        who = recipient_key(recipient)
        code = str(secrets.randbelow(10**self._options.digits)).zfill(self._options.digits)
        before, issued = await self._issue(who, code)
        counted: list[tuple[str, OtpLimit, str]] = []
        try:
            for item in limits:
                await self._count(*item)
                counted.append(item)
            sent_id = await deliver(code)
        except ConnectusError as error:
            if not (isinstance(error, RequestError) and error.may_have_acted):
                await self._take_back(who, before, issued, counted)
            raise
        record = Record.read(issued)
        return OtpReceipt(
            sent_id, _time(record.expires_at), _time(record.sent[-1] + self._options.resend_after)
        )

    async def _issue(self, who: str, code: str) -> tuple[bytes | None, bytes]:
        """Record a code, if the recipient may get one; return the values before and after."""
        options = self._options

        def change(stored: bytes | None) -> tuple[tuple[bytes | None, bytes], bytes]:
            record, now = Record.read(stored), options.clock()
            limit = wait_of_recipient(record.sent, options.per_recipient, options.resend_after, now)
            if limit is not None:
                raise OtpLimitError(*limit)
            issued = record.issued(
                self._digest("code", who, code),
                now,
                valid_for=options.valid_for,
                remembered=options.per_recipient.seconds,
            ).written()
            return (stored, issued), issued

        return await self._change(self._key("recipient", who), change, self._remembered)

    async def _count(self, name: str, limit: OtpLimit, of: str, by: int = 1) -> None:
        def change(stored: bytes | None) -> tuple[None, bytes]:
            counts, now = Counts.read(stored), self._options.clock()
            if by > 0 and (wait := counts.wait(limit, now)):
                raise OtpLimitError(name, wait)
            return None, counts.changed(limit, now, by).written()

        await self._change(self._key(name, of), change, 2 * limit.seconds)

    async def _take_back(
        self,
        who: str,
        before: bytes | None,
        issued: bytes,
        counted: Sequence[tuple[str, OtpLimit, str]],
    ) -> None:
        """Undo what was recorded of a code that nobody got."""
        for item in counted:
            await self._count(*item, by=-1)
        key = self._key("recipient", who)
        await self._storage.replace(key, issued, before, self._remembered)

    @property
    def _remembered(self) -> float:
        return max(self._options.valid_for, self._options.per_recipient.seconds)

    async def _change(
        self, key: str, change: Callable[[bytes | None], tuple[T, bytes | None]], seconds: float
    ) -> T:
        """Change a value, however many others change it at the same time."""
        for _ in range(MAX_TRIES):
            stored = await self._storage.get(key)
            result, new = change(stored)
            if await self._storage.replace(key, stored, new, seconds):
                return result
        raise OtpStorageError("too many changes at the same time; nothing was sent or checked")

    def _key(self, kind: str, of: str) -> str:
        return self._digest("key", kind, of)

    def _digest(self, *parts: str) -> str:
        text = "\0".join((self._options.purpose, *parts))
        return hmac.digest(self._secret, text.encode(), sha256).hex()


def _secret_of(api_key: str | None) -> bytes:
    if api_key is None:
        raise ConfigurationError("secret", "is needed, since the client has no api_key")
    return hmac.digest(api_key.encode(), b"one-time passwords", sha256)


def _typed(code: str) -> str:
    """Reduce a code as it was typed to its digits; one that is too long is no code."""
    if not isinstance(code, str) or len(code) > LONGEST_TYPED:
        return ""
    written = unicodedata.normalize("NFKC", code)
    return "".join(sign for sign in written if sign != "-" and not sign.isspace())


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
