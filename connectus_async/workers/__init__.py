"""One campaign, sent by several processes, or by workers on many machines.

`SenderProcesses` sends what waits in a ledger where one process and its core are not enough. This
process keeps the ledger open, as the dispatcher: it assigns each message to one sender process and
records its outcome. Several processes are one campaign: they share its limits and its budget.

With a ledger in a PostgreSQL database, `hand_out` asks workers for help. They are processes of
``connectus workers run``, of `run_ticket_worker`, or of your own app of Procrastinate, to which you
add `ticket_tasks`. Each has the ledger open, and all of them share the campaign's limits.
"""

from typing import TYPE_CHECKING

from connectus_async._lazy import lazily

if TYPE_CHECKING:
    from connectus_async.workers.dispatcher import Failure as Failure
    from connectus_async.workers.processes import SenderProcesses as SenderProcesses
    from connectus_async.workers.tickets import hand_out as hand_out
    from connectus_async.workers.tickets import run_ticket_worker as run_ticket_worker
    from connectus_async.workers.tickets import ticket_tasks as ticket_tasks
else:
    __all__, __getattr__, __dir__ = lazily(__name__)
