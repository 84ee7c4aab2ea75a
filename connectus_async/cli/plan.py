"""Plan of a campaign: what would be sent, and whether the balance covers it."""

from connectus_async.cli.runner import echo, print_json
from connectus_async.client import AsyncConnectus
from connectus_async.errors import (
    AuthenticationError,
    RequestError,
)
from connectus_async.recipients.preflight import (
    PreflightReport,
    Shortfall,
    compare_balance,
    render,
)


def print_plan(
    report: PreflightReport,
    shortfalls: list[Shortfall] | None,
    *,
    as_json: bool,
) -> None:
    """Print a preflight report.

    Args:
        report: The report.
        shortfalls: The balances that may be too low; ``None`` if they are unknown.
        as_json: Whether to print JSON.
    """
    if as_json:
        told = None if shortfalls is None else [short.as_dict() for short in shortfalls]
        print_json({"type": "plan", "preflight": report.as_dict(), "shortfalls": told})
        return
    echo(render(report, shortfalls))


async def shortfalls_of(client: AsyncConnectus, report: PreflightReport) -> list[Shortfall] | None:
    """Compare with the balances; ``None`` if the API does not give them."""
    try:
        return compare_balance(report, await client.clients.list())
    except AuthenticationError:
        raise
    except RequestError:
        return None
