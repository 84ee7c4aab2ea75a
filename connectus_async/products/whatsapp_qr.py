"""WhatsApp through a phone that scanned a QR code: groups and messages.

These calls go to a host of their own, with a bearer token (``qr_token``). The API documents none of
the answers, so each call returns an `Answer`: JSON is in ``raw``, the bytes in ``response.body``.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from connectus_async import arguments
from connectus_async.answer import Answer
from connectus_async.call import Host
from connectus_async.errors import InvalidArgumentError
from connectus_async.products._service import Service, given

if TYPE_CHECKING:
    from connectus_async.transport import Transport


class WhatsAppQrGroupsService(Service):
    """Calls on groups, as ``connectus.whatsapp_qr.groups``. A group is identified by its name."""

    _host = Host.QR

    async def create(
        self,
        name: str,
        numbers: Iterable[str | int],
        options: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Create a group.

        Args:
            name: Name, on one line.
            numbers: 1 to 1,024 members, country code first.
            options: JSON object of options, which the API does not document. Default: empty.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the group may have been created.

        Source: ``POST /create-group``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
        """
        body = {
            "name": arguments.line("name", name),
            "numbers": arguments.phone_numbers("numbers", numbers),
            "options": arguments.json_object("options", options or {}),
        }
        return await self._post("/create-group", Answer, body)

    async def add_participants(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Add numbers to a group.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether they may have been added.

        Source: ``POST /add-participants``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            await connectus.whatsapp_qr.groups.add_participants("Vecinos", ["34624477715"])
        """
        return await self._post("/add-participants", Answer, _members(group_name, numbers))

    async def remove_participants(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Remove numbers from a group.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether they may have been removed.

        Source: ``POST /remove-participants``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112", "34624477715"])
            await connectus.whatsapp_qr.groups.remove_participants("Vecinos", ["34624477715"])
        """
        return await self._post("/remove-participants", Answer, _members(group_name, numbers))

    async def invite_link(self, group_name: str) -> Answer:
        """Create a link that lets people join a group.

        Args:
            group_name: Name of the group.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: The name is not valid.
            RequestError: The request failed.

        Source: ``GET /generate-invite-link``, with a body.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            (await connectus.whatsapp_qr.groups.invite_link("Vecinos")).raw
        """
        return await self._get("/generate-invite-link", Answer, body=_group(group_name))

    async def make_admins(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Make members of a group administrators.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers of members, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether it may have taken effect.

        Source: ``POST /make-group-admins``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            await connectus.whatsapp_qr.groups.make_admins("Vecinos", ["584141924112"])
        """
        return await self._post("/make-group-admins", Answer, _members(group_name, numbers))

    async def demote_admins(self, group_name: str, numbers: Iterable[str | int]) -> Answer:
        """Make administrators of a group ordinary members.

        Args:
            group_name: Name of the group.
            numbers: 1 to 1,024 numbers of administrators, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether it may have taken effect.

        Source: ``POST /demote-group-admins``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            await connectus.whatsapp_qr.groups.make_admins("Vecinos", ["584141924112"])
            await connectus.whatsapp_qr.groups.demote_admins("Vecinos", ["584141924112"])
        """
        return await self._post("/demote-group-admins", Answer, _members(group_name, numbers))

    async def update_info(
        self,
        group_name: str,
        *,
        new_subject: str | None = None,
        new_description: str | None = None,
    ) -> Answer:
        """Change the name or the description of a group.

        Args:
            group_name: Current name of the group.
            new_subject: New name, on one line. Default: unchanged.
            new_description: New description. Default: unchanged.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid, or there is nothing to change.
            RequestError: ``.outcome`` says whether it may have been changed.

        Source: ``POST /update-group-info``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            await connectus.whatsapp_qr.groups.update_info("Vecinos", new_subject="Vecinas")
        """
        changes = given(
            newSubject=None if new_subject is None else arguments.line("new_subject", new_subject),
            newDescription=None
            if new_description is None
            else arguments.whatsapp_content("new_description", new_description),
        )
        if not changes:
            raise InvalidArgumentError("new_subject", "or new_description must be given")
        return await self._post("/update-group-info", Answer, _group(group_name) | changes)

    async def send(self, group_name: str, message: str) -> Answer:
        """Send a message to a group.

        Args:
            group_name: Name of the group.
            message: Text.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the message may have been sent.

        Source: ``POST /send-message-to-group``.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            await connectus.whatsapp_qr.groups.send("Vecinos", "Hola")
        """
        body = _group(group_name) | {"message": arguments.whatsapp_content("message", message)}
        return await self._post("/send-message-to-group", Answer, body)

    async def last_messages(self, group_name: str) -> Answer:
        """Get the last messages of a group.

        Args:
            group_name: Name of the group.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: The name is not valid.
            RequestError: The request failed.

        Source: ``GET /get-last-group-messages``, with a body.

        Example:
            await connectus.whatsapp_qr.groups.create("Vecinos", ["584141924112"])
            (await connectus.whatsapp_qr.groups.last_messages("Vecinos")).raw
        """
        return await self._get("/get-last-group-messages", Answer, body=_group(group_name))


class WhatsAppQrMessagesService(Service):
    """Calls on messages to numbers, as ``connectus.whatsapp_qr.messages``."""

    _host = Host.QR

    async def send(self, number: str | int, message: str) -> Answer:
        """Send a message to a number.

        Args:
            number: Recipient: 8 to 15 digits, country code first.
            message: Text.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: An argument is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the message may have been sent.

        Source: ``POST /send``.

        Example:
            await connectus.whatsapp_qr.messages.send("584141992998", "Hola")
        """
        body = {
            "number": arguments.phone_number("number", number),
            "message": arguments.whatsapp_content("message", message),
        }
        return await self._post("/send", Answer, body)

    async def last(self, number: str | int) -> Answer:
        """Get the last messages to and from a number.

        Args:
            number: 8 to 15 digits, country code first.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            InvalidArgumentError: The number is not valid.
            RequestError: The request failed.

        Source: ``GET /get-last-messages``, with a body.

        Example:
            await connectus.whatsapp_qr.messages.send("584141992998", "Hola")
            (await connectus.whatsapp_qr.messages.last("584141992998")).raw
        """
        body = {"number": arguments.phone_number("number", number)}
        return await self._get("/get-last-messages", Answer, body=body)


class WhatsAppQrService(Service):
    """WhatsApp QR calls, as ``connectus.whatsapp_qr``.

    Attributes:
        groups: Calls on groups.
        messages: Calls on messages to numbers.
    """

    _host = Host.QR

    def __init__(self, transport: "Transport") -> None:
        super().__init__(transport)
        self.groups = WhatsAppQrGroupsService(transport)
        self.messages = WhatsAppQrMessagesService(transport)

    async def qr(self) -> Answer:
        """Get the QR code for the phone to scan.

        Returns:
            The answer, which the API does not document. An image is in ``response.body``.

        Raises:
            RequestError: The request failed.

        Source: ``GET /qr``.

        Example:
            (await connectus.whatsapp_qr.qr()).response.body
        """
        return await self._get("/qr", Answer)

    async def status(self) -> Answer:
        """Get the connection status of the phone.

        Returns:
            The answer, which the API does not document: JSON in ``raw``.

        Raises:
            RequestError: The request failed.

        Source: ``GET /status``.

        Example:
            (await connectus.whatsapp_qr.status()).raw
        """
        return await self._get("/status", Answer)


def _group(group_name: str) -> dict[str, Any]:
    return {"groupName": arguments.line("group_name", group_name)}


def _members(group_name: str, numbers: Iterable[str | int]) -> dict[str, Any]:
    return _group(group_name) | {"numbers": arguments.phone_numbers("numbers", numbers)}
