"""Sub-clients: accounting accounts below the account, each with balances of its own."""

import datetime as dt
from typing import Any

import attrs

from connectus_async import arguments
from connectus_async.answer import Answer, Record
from connectus_async.errors import InvalidArgumentError
from connectus_async.products._service import Service, given
from connectus_async.products.product import Product
from connectus_async.redaction import word


@attrs.frozen(kw_only=True)
class CountryBalance(Record):
    """How many SMS can still be sent to a country.

    Attributes:
        id_country: The API's number for the country.
        country_name: Its name.
        balance: The number of SMS.
    """

    id_country: int | None = None
    country_name: str | None = None
    balance: int | None = None


@attrs.frozen(kw_only=True)
class ClientBalance(Record):
    """What a sub-client can still send.

    Attributes:
        sms_balance: The number of SMS, by country.
        email_balance: The number of emails.
        whatsapp_balance: The number of WhatsApp messages.
    """

    sms_balance: tuple[CountryBalance, ...] = ()
    email_balance: int | None = None
    whatsapp_balance: int | None = None


@attrs.frozen(kw_only=True)
class SubClient(Answer):
    """A sub-client. The API shows ``balance`` as a number here and as an object in the list.

    Attributes:
        id: Its number.
        id_account: The number of the account above it.
        name: Its name.
        balance: What it can still send.
        avatar: Its picture; the type is not documented.
        id_unique: The identifier that ``id_client`` takes elsewhere.
        deleted: Whether it was deleted.
        created_at: When it was created.
        updated_at: When it was last changed.
    """

    id: int | None = None
    id_account: int | None = None
    name: str | None = None
    balance: ClientBalance | int | None = None
    avatar: Any = None
    id_unique: str | None = None
    deleted: bool | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None


@attrs.frozen(kw_only=True)
class SubClients(Answer):
    """The sub-clients, and what is not assigned to any.

    Attributes:
        free_sms_balance_by_country: The number of SMS that are not assigned, by country.
        free_email_balance: The number of emails that are not assigned.
        free_whatsapp_balance: The number of WhatsApp messages that are not assigned.
        clients: The sub-clients.
    """

    free_sms_balance_by_country: tuple[CountryBalance, ...] = ()
    free_email_balance: int | None = None
    free_whatsapp_balance: int | None = None
    clients: tuple[SubClient, ...] = ()


@attrs.frozen(kw_only=True)
class BalanceChange(Answer):
    """What the API answers to a change of balance.

    Attributes:
        message: Its sentence about it.
    """

    message: str | None = word()


class ClientsService(Service):
    """The calls on sub-clients, as ``connectus.clients``."""

    async def list(self) -> SubClients:
        """List the sub-clients with their balances, and the balances not assigned to any.

        Returns:
            The sub-clients and the free balances.

        Raises:
            RequestError: The request failed.

        Source: ``GET /clients``.

        Example:
            (await connectus.clients.list()).free_email_balance
        """
        return await self._get("/clients", SubClients)

    async def get(self, id: str) -> SubClient:
        """Look up a sub-client.

        Args:
            id: Its ``id_unique``.

        Returns:
            The sub-client.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such sub-client.
            RequestError: The request failed.

        Source: ``GET /clients/:id``.

        Example:
            client = await connectus.clients.create("Colegio Darwin")
            (await connectus.clients.get(client.id_unique)).name
        """
        return await self._get("/clients/{id}", SubClient, id=arguments.identifier("id", id))

    async def create(self, name: str) -> SubClient:
        """Create a sub-client.

        Args:
            name: Its name: one line.

        Returns:
            The new sub-client.

        Raises:
            InvalidArgumentError: The name cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the sub-client may have been created.

        Source: ``POST /clients``.

        Example:
            (await connectus.clients.create("Colegio Darwin")).id_unique
        """
        return await self._post("/clients", SubClient, {"name": arguments.line("name", name)})

    async def update(self, id: str, name: str) -> SubClient:
        """Rename a sub-client.

        Args:
            id: Its ``id_unique``.
            name: Its new name: one line.

        Returns:
            The sub-client as it is now.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            NotFoundError: There is no such sub-client.
            RequestError: ``.outcome`` tells whether it may have been renamed.

        Source: ``PATCH /clients/:id``.

        Example:
            client = await connectus.clients.create("Colegio Darwin")
            await connectus.clients.update(client.id_unique, "Colegio Charles Darwin")
        """
        body = {"name": arguments.line("name", name)}
        return await self._patch(
            "/clients/{id}", SubClient, body, id=arguments.identifier("id", id)
        )

    async def add_balance(
        self, id: str, amount: int, product: Product | int, *, id_country: int | None = None
    ) -> BalanceChange:
        """Assign some of the account's free balance to a sub-client.

        Args:
            id: Its ``id_unique``.
            amount: How many messages: a whole number above zero.
            product: For which product.
            id_country: For which country; needed for SMS and not taken otherwise. The numbers are
                in `list`.

        Returns:
            The API's sentence about it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            NotFoundError: There is no such sub-client.
            RequestError: ``.outcome`` tells whether the balance may have changed.

        Source: ``POST /clients/:id/add_balance``.

        Example:
            client = await connectus.clients.create("Colegio Darwin")
            await connectus.clients.add_balance(client.id_unique, 28, Product.SMS, id_country=1)
        """
        return await self._change_balance("add_balance", id, amount, product, id_country)

    async def remove_balance(
        self, id: str, amount: int, product: Product | int, *, id_country: int | None = None
    ) -> BalanceChange:
        """Take balance back from a sub-client.

        Args:
            id: Its ``id_unique``.
            amount: How many messages: a whole number above zero.
            product: For which product.
            id_country: For which country; needed for SMS and not taken otherwise.

        Returns:
            The API's sentence about it.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            NotFoundError: There is no such sub-client.
            RequestError: ``.outcome`` tells whether the balance may have changed.

        Source: ``POST /clients/:id/remove_balance``.

        Example:
            client = await connectus.clients.create("Colegio Darwin")
            await connectus.clients.add_balance(client.id_unique, 28, Product.EMAIL)
            await connectus.clients.remove_balance(client.id_unique, 8, Product.EMAIL)
        """
        return await self._change_balance("remove_balance", id, amount, product, id_country)

    async def _change_balance(
        self, change: str, id: str, amount: int, product: int, id_country: int | None
    ) -> BalanceChange:
        body = given(
            amount=arguments.amount("amount", amount),
            product=arguments.amount("product", product),
            id_country=_country_of(product, id_country),
        )
        return await self._post(
            f"/clients/{{id}}/{change}", BalanceChange, body, id=arguments.identifier("id", id)
        )


def _country_of(product: int, id_country: int | None) -> int | None:
    if product == Product.SMS:
        if id_country is None:
            raise InvalidArgumentError("id_country", "is needed when the product is SMS")
        return arguments.amount("id_country", id_country)
    if id_country is not None:
        raise InvalidArgumentError("id_country", "goes with the product SMS only")
    return None
