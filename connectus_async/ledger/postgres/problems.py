"""Sentences for what can be wrong with a ledger in a database, with what to do about it."""

from typing import Final

import psycopg
from psycopg import errors

from connectus_async.errors import LedgerError

NO_TABLES: Final = "the database has no ledgers yet: make its tables by connectus ledger init"
NO_QUEUE: Final = "has no queue for tickets: make its tables by connectus ledger init"
NOT_LOADED: Final = "was not loaded to its end, so nothing of it is sent"
NEWER: Final = "was made by a newer connectus-async (its version is {version}): upgrade"
OLDER: Final = "is of an older connectus-async: bring it up to date by connectus ledger init"
NO_CAMPAIGN: Final = "there is no such campaign"
SEVERAL: Final = "has several campaigns: add ?campaign=NAME to its address, one of {names}"
GIVEN_UP: Final = (
    "gave this sender up, since it had not heard of it for {seconds:g} seconds: nothing more is"
    " sent from here; others go on, or start it again"
)
CHANGED: Final = (
    "was changed by somebody else while it was being sent: nothing more is sent; see who writes to"
    " its tables, then resume"
)
TAKEN: Final = (
    "has given messages to others that this sender was about to send, as a load may do: they wait"
    " again, and nothing more is sent from here; start it again"
)
LOADED_ANEW: Final = (
    "was loaded again by somebody else since the question was asked: theirs decides what is sent,"
    " and nothing was released from here"
)
BROKEN_LOAD: Final = (
    "lost the connection while the source was loaded, and perhaps the last of its messages: load it"
    " again"
)
BROKEN_TRIAL: Final = "lost the connection of the dry run, and its copy with it: begin it again"
UNREADABLE_ADDRESS: Final = "has an address with something that libpq does not know"
KEPT_OUT: Final = (
    "its server runs, but does not let this user into this database: check the user, the password"
    " and the name of the database, which must be there already"
)
NEEDS_INDEX: Final = (
    "needs an index for delivery statuses, which only the owner of its tables can make:"
    " {statements}"
)
NO_BUDGET: Final = (
    "is being sent without a budget by somebody else, whose messages would not count: stop all who"
    " send it, then start them with the same budget"
)
NOT_OPEN: Final = "is not open"
CLOSED: Final = "is closed"

_REFUSED: Final = (
    "cannot be reached, or lets nobody in: check the address, the user, the password and the name"
    " of the database, and that the server runs and has a connection left"
)
"""A connection that fails has no code of the reason, and a text in the server's language."""

_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (errors.UndefinedTable, NO_TABLES),
    (errors.InvalidSchemaName, NO_TABLES),
    (errors.UndefinedFunction, NO_QUEUE),
    (errors.UndefinedObject, NO_QUEUE),
    (errors.InsufficientPrivilege, "the user of its address has not the right to do this"),
    (errors.DiskFull, "the server's disk is full: free some space, then resume"),
    (errors.ReadOnlySqlTransaction, "the server is read-only: use the address of the primary"),
    (errors.UniqueViolation, "has a message twice: restore it, or ask the API who was reached"),
)


def described(name: str, error: Exception) -> LedgerError:
    """Describe an error of the database in one sentence, without a row or the address.

    Args:
        name: The name of the ledger's place.
        error: The error.
    """
    if isinstance(error, LedgerError):
        return error
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return LedgerError(name, sentence)
    if isinstance(error, psycopg.OperationalError | OSError):
        return LedgerError(name, _REFUSED)
    return LedgerError(name, f"cannot be used: {type(error).__name__}")
