"""Short links and their clicks."""

import attrs

from connectus_async import arguments
from connectus_async.answer import Answer
from connectus_async.products._service import Service
from connectus_async.redaction import personal


@attrs.frozen(kw_only=True)
class ShortLink(Answer):
    """A new short link.

    Attributes:
        short_link: The short link without a scheme, such as ``cnct.us/13neyY``.
    """

    short_link: str | None = None


@attrs.frozen(kw_only=True)
class LinkEvents(Answer):
    """Clicks on a short link.

    Attributes:
        link: Target of the short link.
        clicks: Number of clicks.
    """

    link: str | None = personal()
    clicks: int | None = None


class ShortLinksService(Service):
    """Calls on short links, as ``connectus.short_links``."""

    async def create(self, link: str) -> ShortLink:
        """Create a short link. The account must have the option enabled.

        Args:
            link: Target: a URL that begins with ``https://`` or ``http://``.

        Returns:
            The short link.

        Raises:
            InvalidArgumentError: The link is not valid. Nothing was sent.
            RequestError: ``.outcome`` says whether the short link may have been created.

        Source: ``POST /short_link``.

        Example:
            (await connectus.short_links.create("https://www.connectus.cl")).short_link
        """
        return await self._post("/short_link", ShortLink, {"link": arguments.link("link", link)})

    async def events(self, short_link: str) -> LinkEvents:
        """Count the clicks of a short link.

        Args:
            short_link: Short link from `create`, such as ``cnct.us/13neyY``, or only its code.

        Returns:
            The target and the number of clicks.

        Raises:
            InvalidArgumentError: The short link is not valid.
            NotFoundError: The API knows no such short link.
            RequestError: The request failed.

        Source: ``GET /short_link/:code``.

        Example:
            created = await connectus.short_links.create("https://www.connectus.cl")
            (await connectus.short_links.events(created.short_link)).clicks
        """
        address = arguments.identifier("short_link", short_link)
        code = arguments.identifier("short_link", address.rstrip("/").rpartition("/")[2])
        return await self._get("/short_link/{code}", LinkEvents, code=code)
