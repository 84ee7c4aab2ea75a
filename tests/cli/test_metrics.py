"""Metrics of a campaign for Prometheus: at a port, and in a file."""

import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import Result
from prometheus_client.parser import text_string_to_metric_families

from connectus_async.cli import metrics as module
from connectus_async.cli.campaign_metrics import CampaignMetrics
from connectus_async.emulator import Emulator, Fault

Run = Callable[..., Result]
SEND = ("--yes", "--text", "Hola {name}")
FIRST = 56_960_000_000


def read(text: str) -> dict[tuple[str, ...], float]:
    """The samples, by name and values of labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


@pytest.fixture
def scraped(monkeypatch: pytest.MonkeyPatch, port: int) -> list[str]:
    """What Prometheus gets when the campaign has ended, and its command has not."""
    texts: list[str] = []
    end = CampaignMetrics.end

    def scrape(self: CampaignMetrics) -> None:
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            texts.append(answer.read().decode())
        end(self)

    monkeypatch.setattr(CampaignMetrics, "end", scrape)
    return texts


@pytest.fixture
def thousand(tmp_path: Path) -> Path:
    path = tmp_path / "thousand.csv"
    rows = "".join(f"{FIRST + number},Quetzal{number}\n" for number in range(1_000))
    path.write_text("dst_number,name\n" + rows, "utf-8")
    return path


def test_a_campaign_of_a_thousand_is_scraped(
    run: Run, server: Emulator, thousand: Path, port: int, scraped: list[str]
):
    """Every metric of one process; nothing personal in any."""
    server.fault(Fault.status(400), route="sms.send", times=2)
    done = run("bulk", "send", thousand, *SEND, "--rate", "100000", "--metrics", port)

    assert done.exit_code == 4
    (text,) = scraped
    found = read(text)
    outcomes = ("accepted", "rejected", "unknown", "skipped", "queued")
    assert {name: found["connectus_messages_total", name] for name in outcomes} == {
        "accepted": 998,
        "rejected": 2,
        "unknown": 0,
        "skipped": 0,
        "queued": 0,
    }
    assert found["connectus_campaign_running",] == 1
    assert found["connectus_campaign_start_time_seconds",] > 1.7e9
    assert found["connectus_messages_queued",] == 0
    assert found["connectus_messages_in_flight",] == 0
    assert found["connectus_rate_per_second",] > 0
    assert found["connectus_rate_limit_per_second",] > 0
    assert found["connectus_concurrency_limit",] > 0
    assert found["connectus_delayed", "quiet_hours"] == 0
    assert found["connectus_request_duration_seconds_count", "accepted"] == 998
    assert found["connectus_request_duration_seconds_count", "rejected"] == 2
    assert found["connectus_ledger_commit_duration_seconds_count",] == 1_000
    assert "5696" not in text
    assert "Quetzal" not in text
    assert not any(secret in text for secret in (server.api_user, server.api_key))


def test_names_and_labels_are_those_that_prometheus_recommends(
    run: Run, server: Emulator, recipients: Path, port: int, scraped: list[str]
):
    """One prefix, base units, and labels of few values."""
    run("bulk", "send", recipients, *SEND, "--metrics", port)

    families = list(text_string_to_metric_families(scraped[0]))
    assert len(families) > 10
    for family in families:
        assert re.fullmatch(r"connectus_[a-z_]+", family.name)
        assert family.documentation
        assert (family.type == "counter") <= any(
            sample.name.endswith("_total") for sample in family.samples
        )
        labels = {name for sample in family.samples for name in sample.labels}
        assert labels <= {"outcome", "cause", "le"}


@pytest.mark.parametrize("command", ["send", "resume", "retry"])
def test_the_file_has_the_end_of_a_campaign(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path, command: str
):
    """Of each command that sends."""
    target = tmp_path / "metrics" / "connectus.prom"
    target.parent.mkdir()
    ledger = recipients.with_name(recipients.name + ".ledger.db")
    option = ("--metrics-file", target)
    if command == "send":
        run("bulk", "send", recipients, *SEND, *option)
    elif command == "resume":
        run("bulk", "send", recipients, *SEND, "--limit", 1)
        run("bulk", "resume", ledger, "--yes", *option)
    else:
        server.fault(Fault.status(400), route="sms.send", times=2)
        run("bulk", "send", recipients, *SEND)
        run("bulk", "retry", ledger, "--yes", "--rejected", *option)

    found = read(target.read_text("utf-8"))
    sent = {"send": 3, "resume": 2, "retry": 2}[command]
    assert found["connectus_messages_total", "accepted"] == sent
    assert found["connectus_campaign_running",] == 0
    assert list(target.parent.iterdir()) == [target]


def test_a_named_campaign_has_its_name_as_a_label(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path
):
    """So files of several campaigns can be in one folder."""
    target = tmp_path / "connectus.prom"
    run("bulk", "send", recipients, *SEND, "--campaign", "navidad", "--metrics-file", target)

    found = read(target.read_text("utf-8"))
    assert found["connectus_messages_total", "navidad", "accepted"] == 3
    assert found["connectus_request_duration_seconds_count", "navidad", "accepted"] == 3
    assert all("navidad" in key for key in found)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no sender processes")
def test_what_several_processes_send_is_counted(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path
):
    """The times of requests are left out, for this process makes none."""
    target = tmp_path / "connectus.prom"
    options = ("--processes", 2, "--concurrency", 4, "--metrics-file", target)
    done = run("bulk", "send", recipients, *SEND, *options)

    assert done.exit_code == 0
    found = read(target.read_text("utf-8"))
    assert found["connectus_messages_total", "accepted"] == 3
    assert not any("duration" in name for name, *_ in found)


def test_the_file_is_written_meanwhile(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """At its interval, by a thread."""
    target, seen = tmp_path / "connectus.prom", []
    monkeypatch.setattr(module, "INTERVAL", 0.001)
    end = CampaignMetrics.end

    def wait(self: CampaignMetrics) -> None:
        while not target.read_text("utf-8"):
            pass
        seen.append(read(target.read_text("utf-8"))["connectus_campaign_running",])
        end(self)

    monkeypatch.setattr(CampaignMetrics, "end", wait)
    run("bulk", "send", recipients, *SEND, "--metrics-file", target)

    assert seen == [1]


def test_a_file_that_cannot_be_written_any_more_stops_nothing(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is said once."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    end = CampaignMetrics.end

    def remove(self: CampaignMetrics) -> None:
        (folder / "connectus.prom").unlink()
        folder.rmdir()
        end(self)

    monkeypatch.setattr(CampaignMetrics, "end", remove)
    done = run("bulk", "send", recipients, *SEND, "--metrics-file", folder / "connectus.prom")

    assert done.exit_code == 0
    assert len(server.received) == 3
    assert done.stderr.count("the file of metrics cannot be written: No such file") == 1


def test_a_port_in_use_is_named_before_anything_is_sent(
    run: Run, server: Emulator, recipients: Path
):
    """As an error of usage."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("bulk", "send", recipients, *SEND, "--metrics", port)

    assert done.exit_code == 2
    assert (
        f"--metrics: 127.0.0.1:{port} cannot be listened on: address already in use" in done.stderr
    )
    assert not server.received


def test_a_folder_that_is_not_there_is_named_before_anything_is_sent(
    run: Run, server: Emulator, recipients: Path, tmp_path: Path
):
    """As an error of usage."""
    done = run("bulk", "send", recipients, *SEND, "--metrics-file", tmp_path / "none" / "a.prom")

    assert done.exit_code == 2
    assert "--metrics-file: cannot be written: no such file or directory" in done.stderr
    assert not server.received


@pytest.mark.parametrize("port", ["0", "65536", "x", ":9464", "9464:", "-1", "1.5", "9" * 5_000])
def test_what_is_no_port_is_refused(run: Run, recipients: Path, port: str):
    """With an example."""
    done = run("bulk", "send", recipients, *SEND, f"--metrics={port}")

    assert done.exit_code == 2
    assert "must be a port such as 9464" in done.stderr


@pytest.mark.parametrize("option", [("--metrics", "9464"), ("--metrics-file", "a.prom")])
@pytest.mark.parametrize("other", [("--dry-run",), ("--test-to", "56987688060"), ("--workers", 1)])
def test_metrics_of_a_command_that_sends_nothing_are_refused(
    run: Run, recipients: Path, option: Any, other: Any
):
    """No option is without effect."""
    done = run("bulk", "send", recipients, *SEND, *option, *other)

    assert done.exit_code == 2
    assert f"{other[0]}, {option[0]} do not go together" in done.stderr


@pytest.mark.parametrize("option", [("--metrics", "9464"), ("--metrics-file", "a.prom")])
def test_a_missing_library_is_named_with_its_extra(
    run: Run, server: Emulator, recipients: Path, monkeypatch: pytest.MonkeyPatch, option: Any
):
    """Before anything is sent."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    done = run("bulk", "send", recipients, *SEND, *option)

    assert done.exit_code != 0
    assert "pip install 'connectus-async[metrics]'" in done.stderr
    assert not server.received
