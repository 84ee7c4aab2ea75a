"""Blocking client: the same calls as the async one, for code that does not await.

Example:
    with Connectus(api_user="…", api_key="…") as connectus:
        receipt = connectus.sms.send("56987688060", "Hola")
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.sync._generated import Bulk as Bulk
    from connectus_async.sync._generated import Connectus as Connectus
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
