"""Sub-clients: accounts below the main account, each with its own balances."""

import datetime as dt
from typing import Any

import attrs

from connectus_async import arguments
from connectus_async.answer import Answer, Record
from connectus_async.errors import InvalidArgumentError
from connectus_async.products._service import Service, given
from connectus_async.products.product import Product
from connectus_async.redaction import api_constant


@attrs.frozen(kw_only=True)
class CountryBalance(Record):
    """Balance of SMS for a country.

    Attributes:
        id_country: Number of the country in the API.
        country_name: Name of the country.
        balance: Number of SMS that can still be sent.
    """

    id_country: int | None = None
    country_name: str | None = None
    balance: int | None = None


@attrs.frozen(kw_only=True)
class ClientBalance(Record):
    """Balances of a sub-client.

    Attributes:
        sms_balance: Number of SMS, by country.
        email_balance: Number of emails.
        whatsapp_balance: Number of WhatsApp messages.
    """

    sms_balance: tuple[CountryBalance, ...] = ()
    email_balance: int | None = None
    whatsapp_balance: int | None = None


@attrs.frozen(kw_only=True)
class SubClient(Answer):
    """A sub-client. ``balance`` is a number in an answer of its own, and an object in a list.

    Attributes:
        id: Number of the sub-client.
        id_account: Number of the account above it.
        name: Name.
        balance: Balance, in messages.
        avatar: Picture, of an undocumented type.
        id_unique: Identifier, which other calls take as ``id_client``.
        deleted: ``True`` if it was deleted.
        created_at: Time of its creation.
        updated_at: Time of its last change.
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
    """Sub-clients, and the balances that are not assigned to any.

    Attributes:
        free_sms_balance_by_country: Number of unassigned SMS, by country.
        free_email_balance: Number of unassigned emails.
        free_whatsapp_balance: Number of unassigned WhatsApp messages.
        clients: Sub-clients.
    """

    free_sms_balance_by_country: tuple[CountryBalance, ...] = ()
    free_email_balance: int | None = None
    free_whatsapp_balance: int | None = None
    clients: tuple[SubClient, ...] = ()


@attrs.frozen(kw_only=True)
class BalanceChange(Answer):
    """Answer to a change of balance.

    Attributes:
        message: Sentence of the API.
    """

    message: str | None = api_constant()


class ClientsService(Service):
    """Calls on sub-clients, as ``connectus.clients``."""

    async def list(self) -> SubClients:
        """List the sub-clients with their balances, and the unassigned balances.

        Returns:
            The sub-clients and the unassigned balances.

        Raises:
            RequestError: The request failed.

        Source: ``GET /clients``.

        Example:
            (await connectus.clients.list()).free_email_balance
        """
        return await self._get("/clients", SubClients)

    async def get(self, id: str) -> SubClient:
        """Get a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.

        Returns:
            The sub-client.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such sub-client.
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
            name: Name, on one line.

        Returns:
            The new sub-client.

        Raises:
            InvalidArgumentError: The name is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the sub-client may have been created.

        Source: ``POST /clients``.

        Example:
            (await connectus.clients.create("Colegio Darwin")).id_unique
        """
        return await self._post("/clients", SubClient, {"name": arguments.line("name", name)})

    async def update(self, id: str, name: str) -> SubClient:
        """Rename a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.
            name: New name, on one line.

        Returns:
            The renamed sub-client.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            NotFoundError: The API knows no such sub-client.
            RequestError: ``.outcome`` says whether it may have been renamed.

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
        """Assign unassigned balance of the account to a sub-client.

        Args:
            id: ``id_unique`` of the sub-client.
            amount: Number of messages, above zero.
            product: Product whose balance changes.
            id_country: Country, by the number in `list`. Required for SMS, refused for other
                products.

        Returns:
            The API's answer, in a sentence.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            NotFoundError: The API knows no such sub-client.
            RequestError: ``.outcome`` says whether the balance may have changed.

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
            id: ``id_unique`` of the sub-client.
            amount: Number of messages, above zero.
            product: Product whose balance changes.
            id_country: Country, as in `add_balance`.

        Returns:
            The API's answer, in a sentence.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            NotFoundError: The API knows no such sub-client.
            RequestError: ``.outcome`` says whether the balance may have changed.

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
