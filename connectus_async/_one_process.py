"""Base of objects bound to one process by connections, event loops or threads."""

from typing import NoReturn, SupportsIndex

from connectus_async.errors import ConfigurationError


class Unpicklable:
    """An object that cannot be pickled or copied."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise ConfigurationError(
            "client",
            "cannot be pickled or copied, nor can its services; pass its settings to the other "
            "process, and make a client there",
        )
