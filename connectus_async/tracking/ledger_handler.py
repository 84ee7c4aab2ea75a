"""Handler of webhooks that records statuses in a campaign's ledger."""

from typing import TYPE_CHECKING

from connectus_async.ledger import open_store
from connectus_async.webhooks.events import Event, status_of

if TYPE_CHECKING:
    from os import PathLike


class LedgerHandler:
    """Records statuses in a campaign's ledger: a plain handler, for a receiver of any kind.

    Statuses may come late, twice or in any order: the most advanced one counts. A call returns when
    the status is on disk. A status that comes before the response to the send is kept in the
    ledger for three days, until the campaign records the SMS. The first event opens the ledger; in
    a server that forks, each process opens it by itself, even if it was open before the fork. If
    webhooks get lost, `Tracker` and ``connectus bulk track`` poll the missing statuses.

    Args:
        ledger: The ledger, which must exist: the path of its file, or its address. Its campaign may
            be running.

    Example:
        ```python
        blueprint = webhooks.flask_blueprint(tracking.LedgerHandler("navidad.db"), secret=SECRET)
        ```
    """

    def __init__(self, ledger: "str | PathLike[str]") -> None:
        self._ledger = open_store(ledger).deliveries()

    def __call__(self, event: Event) -> None:
        """Record an event, if it is the status of an SMS.

        Raises:
            LedgerError: The status cannot be recorded. A receiver then answers 500.
        """
        reported = status_of(event)
        if reported is not None:
            self._ledger.open()
            self._ledger.record(*reported).result()

    def close(self) -> None:
        """Write everything that was recorded, then close the ledger. An event opens it again."""
        self._ledger.close()
