"""Deliveries: batches of messages under a name, which can be scheduled."""

import datetime as dt

import attrs

from connectus_async import arguments
from connectus_async.answer import Answer, from_keys
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.products._service import Service, given
from connectus_async.products.product import Product


@attrs.frozen(kw_only=True)
class Delivery(Answer):
    """A delivery. The API does not document this answer; ``raw`` has all of it.

    Attributes:
        id: The identifier that ``id_delivery`` takes elsewhere.
        name: Its name.
        deliver_at: When it is executed; the API gives no time zone.
        id_product: The number of its product.
    """

    id: str | None = from_keys("id_delivery", "id", "delivery_id")
    name: str | None = None
    deliver_at: dt.datetime | None = None
    id_product: int | None = None


class DeliveriesService(Service):
    """The calls on deliveries, as ``connectus.deliveries``."""

    async def create(
        self, name: str, deliver_at: dt.datetime | str, id_product: Product | int
    ) -> Delivery:
        """Create a delivery to put messages in.

        Args:
            name: Its name: one line.
            deliver_at: When to execute it. An aware datetime is converted to the client's
                ``time_zone``; a naive one, or text of the form ``YYYY-MM-DD HH:MM:SS``, is sent as
                it stands. The hour that comes twice there, or not at all, is refused: the API takes
                no offset.
            id_product: What it is for. A plain number is sent as it is.

        Returns:
            The delivery; its ``id`` is what `SmsService.send` and the others take as
            ``id_delivery``.

        Raises:
            InvalidArgumentError: An argument cannot be sent; nothing was.
            ConfigurationError: This machine does not know ``time_zone``, which an aware
                datetime needs.
            RequestError: ``.outcome`` tells whether the delivery may have been created.

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
        """Look up a delivery.

        Args:
            id: The identifier that `create` gave.

        Returns:
            The delivery.

        Raises:
            InvalidArgumentError: The identifier cannot be sent.
            NotFoundError: There is no such delivery.
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
            id: The identifier that `create` gave.
            name: Its new name; left as it is if left out.
            deliver_at: Its new time, as in `create`; left as it is if left out.

        Returns:
            The delivery as it is now.

        Raises:
            InvalidArgumentError: An argument cannot be sent, or there is nothing to change.
            NotFoundError: There is no such delivery.
            RequestError: ``.outcome`` tells whether the delivery may have been changed.

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
