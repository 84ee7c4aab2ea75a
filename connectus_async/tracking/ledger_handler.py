"""A handler that only writes: the statuses of webhooks into a campaign's ledger."""

from typing import TYPE_CHECKING

from connectus_async.ledger.sqlite.delivery import DeliveryLedger
from connectus_async.webhooks.events import Event, StatusUpdate

if TYPE_CHECKING:
    from os import PathLike


class LedgerHandler:
    """Writes statuses into a campaign's ledger: a plain handler, for a receiver of any kind.

    Of all words about an SMS the one that says most stays, whatever comes late or twice. An event
    counts as handled when it is on disk: beside the SMS if it was faster than the answer to the
    send, until the sender names the SMS, for three days. The ledger is opened with the first event,
    and so in each worker of a server that forks, also if there was one before. Where webhooks are
    lost, `Tracker` and ``connectus bulk track`` ask for what is missing.

    Args:
        ledger: The ledger, which must be there. Its sender may be running.

    Example:
        ```python
        blueprint = webhooks.flask_blueprint(tracking.LedgerHandler("navidad.db"), secret=SECRET)
        ```
    """

    def __init__(self, ledger: "str | PathLike[str]") -> None:
        self._ledger = DeliveryLedger(ledger)

    def __call__(self, event: Event) -> None:
        """Write an event down, if it is about the status of an SMS.

        Raises:
            LedgerError: The ledger cannot be written. A receiver then answers 500.
        """
        if not isinstance(event, StatusUpdate) or not event.id_sms or event.status is None:
            return
        self._ledger.open()
        self._ledger.record(event.id_sms, event.status).result()

    def close(self) -> None:
        """Write what is still to be written, and close the ledger; an event opens it again."""
        self._ledger.close()
