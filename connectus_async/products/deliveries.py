"""Deliveries: named batches of messages that can be scheduled."""

import datetime as dt

import attrs

from connectus_async import arguments
from connectus_async.answer import Answer, from_keys
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.products._service import Service, given
from connectus_async.products.product import Product


@attrs.frozen(kw_only=True)
class Delivery(Answer):
    """A delivery. The API does not document this answer; ``raw`` has all of its fields.

    Attributes:
        id: Identifier, which other calls take as ``id_delivery``.
        name: Name.
        deliver_at: Time of execution, without a time zone.
        id_product: Number of the product: see `Product`.
    """

    id: str | None = from_keys("id_delivery", "id", "delivery_id")
    name: str | None = None
    deliver_at: dt.datetime | None = None
    id_product: int | None = None


class DeliveriesService(Service):
    """Calls on deliveries, as ``connectus.deliveries``."""

    async def create(
        self, name: str, deliver_at: dt.datetime | str, id_product: Product | int
    ) -> Delivery:
        """Create a delivery.

        Args:
            name: Name, on one line.
            deliver_at: Time of execution. An aware datetime is converted to the client's
                ``time_zone``. A naive one, or text of the form ``YYYY-MM-DD HH:MM:SS``, is sent as
                it is. Times that the clocks of that zone show twice or never are refused: the API
                takes no offset.
            id_product: Product. A plain number is sent as it is.

        Returns:
            The delivery. Pass its ``id`` to `SmsService.send` and others as ``id_delivery``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            ConfigurationError: The datetime is aware, and this machine does not know
                ``time_zone``.
            RequestError: ``.outcome`` says whether the delivery may have been created.

        Source: ``POST /deliveries``.

        Example:
            await connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", Product.SMS)
        """
        delivery = {
            "name": arguments.line("name", name),
            "deliver_at": await self._moment(deliver_at),
            "id_product": arguments.amount("id_product", id_product),
        }
        return await self._post("/deliveries", Delivery, {"delivery": delivery})

    async def get(self, id: str) -> Delivery:
        """Get a delivery.

        Args:
            id: ``id`` of the delivery.

        Returns:
            The delivery.

        Raises:
            InvalidArgumentError: The identifier is not valid.
            NotFoundError: The API knows no such delivery.
            RequestError: The request failed.

        Source: ``GET /deliveries/:id``.

        Example:
            delivery = await connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            (await connectus.deliveries.get(delivery.id)).name
        """
        return await self._get("/deliveries/{id}", Delivery, id=arguments.identifier("id", id))

    async def update(
        self, id: str, *, name: str | None = None, deliver_at: dt.datetime | str | None = None
    ) -> Delivery:
        """Rename or reschedule a delivery that was not executed yet.

        Args:
            id: ``id`` of the delivery.
            name: New name, on one line. Default: unchanged.
            deliver_at: New time, as in `create`. Default: unchanged.

        Returns:
            The changed delivery.

        Raises:
            InvalidArgumentError: An argument is not valid, or there is nothing to change.
            NotFoundError: The API knows no such delivery.
            RequestError: ``.outcome`` says whether the delivery may have been changed.

        Source: ``PATCH /deliveries/:id``.

        Example:
            delivery = await connectus.deliveries.create("Navidad", "2099-12-24 09:00:00", 1)
            await connectus.deliveries.update(delivery.id, deliver_at="2099-12-25 09:00:00")
        """
        changes = given(
            name=None if name is None else arguments.line("name", name),
            deliver_at=None if deliver_at is None else await self._moment(deliver_at),
        )
        if not changes:
            raise InvalidArgumentError("name", "or deliver_at must be given")
        return await self._patch(
            "/deliveries/{id}",
            Delivery,
            {"delivery": changes},
            id=arguments.identifier("id", id),
        )

    async def _moment(self, deliver_at: dt.datetime | str) -> str:
        moment = arguments.moment("deliver_at", deliver_at)
        try:
            zone = await self._transport.zone()
        except ConfigurationError:
            if moment.tzinfo is not None:
                raise
            zone = None
        return arguments.date_and_time("deliver_at", moment, zone)
