"""The account: its company, purchases, users, and senders."""

import datetime as dt

import attrs

from connectus_async.answer import Answer, Record
from connectus_async.products._service import Service
from connectus_async.redaction import api_constant, personal


@attrs.frozen(kw_only=True)
class Purchase(Record):
    """A purchase of balance.

    Attributes:
        id_purchase: Identifier of the purchase.
        status: Status in the API's words.
        payment_method: Payment method.
        country: Country of the balance.
        price: Price before tax, in ``currency``.
        price_with_tax: Price with tax, in ``currency``.
        currency: Currency, such as ``CLP``.
        datetime: Time of the purchase, without a time zone.
    """

    id_purchase: str | None = None
    status: str | None = api_constant()
    payment_method: str | None = None
    country: str | None = None
    price: float | None = None
    price_with_tax: float | None = None
    currency: str | None = None
    datetime: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class User(Record):
    """User who can log in to the account.

    Attributes:
        name: Name.
        type: Role, such as ``ADMIN``.
        phone: Phone number, in digits.
        email: Email address.
        banned: ``True`` if the user cannot log in any more.
    """

    name: str | None = personal()
    type: str | None = None
    phone: str | None = personal()
    email: str | None = personal()
    banned: bool | None = None


@attrs.frozen(kw_only=True)
class SourceNumber(Record):
    """Number from which the account can send SMS.

    Attributes:
        src_number: Number, in digits.
        is_default: ``True`` for the number that is used where none is given.
        country: Country of the number.
    """

    src_number: str | None = personal()
    is_default: bool | None = None
    country: str | None = None


@attrs.frozen(kw_only=True)
class SourceEmail(Record):
    """Address from which the account can send email.

    Attributes:
        src_email: Address.
        is_default: ``True`` for the account's default address.
        is_verified: ``True`` if the address was verified.
    """

    src_email: str | None = personal()
    is_default: bool | None = None
    is_verified: bool | None = None


@attrs.frozen(kw_only=True)
class Account(Answer):
    """The account that the credentials belong to.

    Attributes:
        id_account: Identifier of the account.
        name: Name of the company.
        country: Country of the company.
        phone: Phone number, in digits.
        email: Email address.
        sms_status_hook_url: URL of the webhook for status changes.
        sms_incoming_hook_url: URL of the webhook for incoming SMS.
        purchases: Purchases of balance.
        users: Users who can log in.
        src_numbers: Numbers for sending SMS.
        src_emails: Addresses for sending email.
    """

    id_account: str | None = None
    name: str | None = None
    country: str | None = None
    phone: str | None = personal()
    email: str | None = personal()
    sms_status_hook_url: str | None = personal()
    sms_incoming_hook_url: str | None = personal()
    purchases: tuple[Purchase, ...] = ()
    users: tuple[User, ...] = ()
    src_numbers: tuple[SourceNumber, ...] = ()
    src_emails: tuple[SourceEmail, ...] = ()


class AccountService(Service):
    """Call on the account, as ``connectus.account``."""

    async def get(self) -> Account:
        """Get the account that the credentials belong to.

        Returns:
            The account.

        Raises:
            AuthenticationError: The credentials are wrong.
            RequestError: The request failed.

        Source: ``GET /account``.

        Example:
            (await connectus.account.get()).name
        """
        return await self._get("/account", Account)
