"""Exit codes of all commands: data, and the codes of errors."""

from enum import IntEnum
from typing import Final, Self

from connectus_async.errors import (
    AuthenticationError,
    CampaignStoppedError,
    ClientClosedError,
    ConfigurationError,
    LedgerError,
    PaymentRequiredError,
    PermissionDeniedError,
    ProxyAuthenticationError,
    RequestError,
    WrongEventLoopError,
)


class ExitCode(IntEnum):
    """Exit code of a command, with its meaning."""

    meaning: str

    DONE = 0, "all done"
    FAILED = 1, "failed: an error, and nothing or not all was done"
    WRONG_USAGE = 2, "wrong usage, or a file that is not there: nothing was done"
    MAYBE_SENT = 3, "a message may have been sent: check before you send it again"
    SOME_FAILED = 4, "ended, but some messages were rejected or some rows are invalid"
    NOTHING_TO_DO = 5, "nothing to do: no message was to be sent"
    STOPPED = 6, "stopped by an order, repeated failures, the credentials, balance or budget"
    WAITING = 7, "messages wait: being sent, paused or unconfirmed, or it is too early or too late"
    INTERRUPTED = 130, "interrupted by Ctrl-C or a signal"

    def __new__(cls, value: int, meaning: str = "") -> Self:
        """Make a code with its meaning."""
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code


WORST_FIRST: Final = (
    ExitCode.INTERRUPTED,
    ExitCode.MAYBE_SENT,
    ExitCode.STOPPED,
    ExitCode.WAITING,
    ExitCode.FAILED,
    ExitCode.SOME_FAILED,
    ExitCode.NOTHING_TO_DO,
    ExitCode.DONE,
)
"""Order in which one code hides another."""


def worst(*codes: ExitCode | None) -> ExitCode:
    """Return the code that hides the others.

    >>> worst(ExitCode.SOME_FAILED, None, ExitCode.MAYBE_SENT).name
    'MAYBE_SENT'
    """
    return next((code for code in WORST_FIRST if code in codes), ExitCode.DONE)


_OF_THE_ACCOUNT: Final = (
    AuthenticationError,
    PermissionDeniedError,
    PaymentRequiredError,
    ProxyAuthenticationError,
    CampaignStoppedError,
)
_OF_THIS_MACHINE: Final = (
    LedgerError,
    ConfigurationError,
    ClientClosedError,
    WrongEventLoopError,
    OSError,
)


def table() -> str:
    """Write the codes and their meanings on a line each, for a help text."""
    lines = (f"{code.value:>3}  {code.meaning}" for code in ExitCode)
    return "\n".join(("\b", "Exit codes:", *lines))


def of_error(error: Exception) -> ExitCode:
    """Return the exit code of a command that ends with an error."""
    if isinstance(error, RequestError) and error.may_have_acted:
        return ExitCode.MAYBE_SENT
    return ExitCode.STOPPED if isinstance(error, _OF_THE_ACCOUNT) else ExitCode.FAILED


def of_stop(error: Exception) -> ExitCode:
    """Return the exit code of a campaign that an error stopped while it was sent."""
    return ExitCode.FAILED if isinstance(error, _OF_THIS_MACHINE) else ExitCode.STOPPED
