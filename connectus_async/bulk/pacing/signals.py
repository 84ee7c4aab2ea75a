"""Signals: reports on the server, one at the end of each request."""

import enum


class Signal(enum.Enum):
    """Report on the server at the end of a request."""

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
