"""Things of use in one process only: connections, loops, threads."""

from typing import NoReturn, SupportsIndex

from connectus_async.errors import ConfigurationError


class OfOneProcess:
    """Something that is neither pickled nor copied, nor is what has it."""

    def __reduce_ex__(self, protocol: SupportsIndex, /) -> NoReturn:
        raise ConfigurationError(
            "client",
            "cannot be pickled or copied, nor can what belongs to it: hand its settings to the "
            "other process, and make a client there",
        )
