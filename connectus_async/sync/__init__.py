"""The blocking client: the same calls as the async one, for code that does not await.

Example:
    with Connectus(api_user="…", api_key="…") as connectus:
        receipt = connectus.sms.send("56987688060", "Hola")
"""

from connectus_async.sync._generated import Bulk, Connectus

__all__ = ["Bulk", "Connectus"]
