"""The account: who it belongs to, what it bought, what it can send from."""

import datetime as dt

import attrs

from connectus_async.answer import Answer, Record
from connectus_async.products._service import Service
from connectus_async.redaction import personal, word


@attrs.frozen(kw_only=True)
class Purchase(Record):
    """A purchase of balance.

    Attributes:
        id_purchase: Its identifier.
        status: The API's word for where it is.
        payment_method: How it was paid.
        country: For which country.
        price: What it cost before tax, in ``currency``.
        price_with_tax: What it cost with tax.
        currency: The currency, such as ``CLP``.
        datetime: When it was made; the API gives no time zone.
    """

    id_purchase: str | None = None
    status: str | None = word()
    payment_method: str | None = None
    country: str | None = None
    price: float | None = None
    price_with_tax: float | None = None
    currency: str | None = None
    datetime: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class User(Record):
    """Someone who can log in to the account.

    Attributes:
        name: Their name.
        type: Their role, such as ``ADMIN``.
        phone: Their number, in digits.
        email: Their address.
        banned: Whether they are shut out.
    """

    name: str | None = personal()
    type: str | None = None
    phone: str | None = personal()
    email: str | None = personal()
    banned: bool | None = None


@attrs.frozen(kw_only=True)
class SourceNumber(Record):
    """A number that SMS can come from.

    Attributes:
        src_number: The number, in digits.
        is_default: Whether it is taken where none is named.
        country: The country it is for.
    """

    src_number: str | None = personal()
    is_default: bool | None = None
    country: str | None = None


@attrs.frozen(kw_only=True)
class SourceEmail(Record):
    """An address that email can come from.

    Attributes:
        src_email: The address.
        is_default: Whether it is the account's default.
        is_verified: Whether it has been verified.
    """

    src_email: str | None = personal()
    is_default: bool | None = None
    is_verified: bool | None = None


@attrs.frozen(kw_only=True)
class Account(Answer):
    """The account that the credentials belong to.

    Attributes:
        id_account: Its identifier.
        name: The company's name.
        country: Its country.
        phone: Its number, in digits.
        email: Its address.
        sms_status_hook_url: Where status changes are posted to.
        sms_incoming_hook_url: Where replies are posted to.
        purchases: What it bought.
        users: Who can log in.
        src_numbers: What SMS can come from.
        src_emails: What email can come from.
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
    """The call on the account, as ``connectus.account``."""

    async def get(self) -> Account:
        """Look up the account that the credentials belong to.

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
