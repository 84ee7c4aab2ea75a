"""Signals: what the end of a request says about the server."""

import enum


class Signal(enum.Enum):
    """What the end of a request says about the server."""

    SUCCESS = "success"
    """A definite answer, be it yes or no: the server works."""

    THROTTLED = "throttled"
    """429: the rate is above what the server allows."""

    OVERLOADED = "overloaded"
    """A timeout, a 5xx or a lost connection: the concurrency may be more than the server bears."""

    UNREACHABLE = "unreachable"
    """No connection could be made."""

    NOTHING = "nothing"
    """The request was given up, or never made."""
