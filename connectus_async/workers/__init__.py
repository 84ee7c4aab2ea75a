"""One campaign, sent by several processes.

`SenderProcesses` sends what waits in a ledger where one process and its core are not enough. This
process keeps the ledger open, as the dispatcher: it assigns each message to one sender process and
records its outcome. Several processes are one campaign: they share its limits and its budget.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.workers.dispatcher import Failure as Failure
    from connectus_async.workers.processes import SenderProcesses as SenderProcesses
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
