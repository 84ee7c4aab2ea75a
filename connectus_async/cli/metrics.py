"""Export of a campaign's metrics: at a port, or in a file for node_exporter."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs
import click

from connectus_async.cli.campaign_metrics import CampaignMetrics
from connectus_async.cli.language import gettext as _
from connectus_async.cli.parameters import metrics_settings
from connectus_async.errors import ConfigurationError
from connectus_async.extras import library

if TYPE_CHECKING:
    from connectus_async.workers.campaign_options import CampaignOptions

INTERVAL: Final = 15.0
"""Seconds between two writes of the file; Prometheus usually asks as often."""

_log: Final = logging.getLogger("connectus_async")
_KEPT: Final = __name__


def present_metrics() -> CampaignMetrics | None:
    """Give the metrics of the present command, if it exports any."""
    context = click.get_current_context(silent=True)
    return None if context is None else context.meta.get(_KEPT)


def measured(options: "CampaignOptions") -> "CampaignOptions":
    """Let the metrics of the present command, if there are any, measure a campaign's ledger."""
    metrics = present_metrics()
    return options if metrics is None else attrs.evolve(options, on_event=metrics.on_event)


def check_metrics(**others: object) -> None:
    """Refuse metrics for a command that sends nothing from here.

    Args:
        others: Options by which it does not, with their values.

    Raises:
        click.UsageError: Such an option was given too.
    """
    names = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    wanted = [f"--{name.replace('_', '-')}" for name in metrics_settings()]
    if names and wanted:
        options = ", ".join([*names, *wanted])
        raise click.UsageError(_("{options} do not go together").format(options=options))


@contextmanager
def exported_metrics() -> Iterator[None]:
    """Export the metrics of the present command during a block, as it was asked to.

    Raises:
        ConfigurationError: The port is not free, or the file cannot be written.
        LibraryMissingError: Prometheus's client library is not installed.
    """
    settings = metrics_settings()
    if not settings:
        yield
        return
    metrics = CampaignMetrics()
    with ExitStack() as stack:
        if (address := settings.get("metrics")) is not None:
            _serve(metrics, address, stack)
        if (path := settings.get("metrics_file")) is not None:
            _write_again_and_again(metrics, path, stack)
        stack.callback(metrics.end)
        meta = click.get_current_context().meta
        meta[_KEPT] = metrics
        stack.callback(meta.pop, _KEPT)
        yield


def _serve(metrics: CampaignMetrics, address: tuple[str, int], stack: ExitStack) -> None:
    host, port = address
    exposition = library("--metrics", "prometheus_client", extra="metrics")
    try:
        server, thread = exposition.start_http_server(port, host, metrics.registry)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is not an address").lower()
        raise ConfigurationError(
            "metrics", f"{host}:{port} cannot be listened on: {reason}"
        ) from None
    stack.callback(thread.join)
    stack.callback(server.server_close)
    stack.callback(server.shutdown)


def _write_again_and_again(metrics: CampaignMetrics, path: Path, stack: ExitStack) -> None:
    """Write a file at once, at intervals and at the end. A thread does it meanwhile."""
    exposition = library("--metrics-file", "prometheus_client", extra="metrics")
    write = exposition.write_to_textfile
    try:
        write(str(path), metrics.registry)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise ConfigurationError("metrics_file", f"cannot be written: {reason}") from None
    is_over, failures = threading.Event(), list[OSError]()

    def write_once() -> None:
        try:
            write(str(path), metrics.registry)
        except OSError as error:
            if not failures:
                _log.warning("the file of metrics cannot be written: %s", error.strerror)
            failures.append(error)

    def run() -> None:
        while not is_over.wait(INTERVAL):
            write_once()

    thread = threading.Thread(target=run, name="connectus metrics", daemon=True)
    thread.start()
    stack.callback(write_once)
    stack.callback(thread.join)
    stack.callback(is_over.set)
