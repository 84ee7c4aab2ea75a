"""Short links: create them and count their clicks."""

import attrs

from connectus_async import arguments
from connectus_async.answer import Answer
from connectus_async.products._service import Service
from connectus_async.redaction import personal


@attrs.frozen(kw_only=True)
class ShortLink(Answer):
    """A new short link.

    Attributes:
        short_link: The link, without a scheme.
    """

    short_link: str | None = None


@attrs.frozen(kw_only=True)
class LinkEvents(Answer):
    """What happened to a short link.

    Attributes:
        link: Where it leads.
        clicks: How often it was followed.
    """

    link: str | None = personal()
    clicks: int | None = None


class ShortLinksService(Service):
    """The calls on short links, as ``connectus.short_links``."""

    async def create(self, link: str) -> ShortLink:
        """Shorten a link. The account must have the option enabled.

        Args:
            link: A URL that begins with ``https://`` or ``http://``.

        Returns:
            The short link.

        Raises:
            InvalidArgumentError: The link cannot be sent; nothing was.
            RequestError: ``.outcome`` tells whether the short link may have been created.

        Source: ``POST /short_link``.

        Example:
            (await connectus.short_links.create("https://www.connectus.cl")).short_link
        """
        return await self._post("/short_link", ShortLink, {"link": arguments.link("link", link)})

    async def events(self, short_link: str) -> LinkEvents:
        """Count the clicks of a short link.

        Args:
            short_link: What `create` gave, such as ``cnct.us/13neyY``, or only the code at its
                end. The code is what is sent.

        Returns:
            Where it leads, and its clicks.

        Raises:
            InvalidArgumentError: The short link cannot be sent.
            NotFoundError: There is no such short link.
            RequestError: The request failed.

        Source: ``GET /short_link/:code``.

        Example:
            created = await connectus.short_links.create("https://www.connectus.cl")
            (await connectus.short_links.events(created.short_link)).clicks
        """
        address = arguments.identifier("short_link", short_link)
        code = arguments.identifier("short_link", address.rstrip("/").rpartition("/")[2])
        return await self._get("/short_link/{code}", LinkEvents, code=code)
