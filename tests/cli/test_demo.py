"""The demo: what it sent and what the emulator counted must agree."""

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from connectus_async.cli import demo
from connectus_async.cli.commands import connectus as command_line
from connectus_async.emulator import Emulator, Fault


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> list[Fault]:
    """What goes wrong with every request of the demo."""
    faults: list[Fault] = []

    def emulator(**options: bool) -> Emulator:
        emulator = Emulator(**options)
        for fault in faults:
            emulator.fault(fault, route="sms.send", times=3)
        return emulator

    monkeypatch.setattr(demo, "Emulator", emulator)
    return faults


def run_demo(*options: str) -> Result:
    return CliRunner().invoke(command_line, ["demo", "--recipients", "50", *options])


@pytest.mark.parametrize("options", [(), ("--concurrency", "1"), ("--concurrency", "400")])
def test_all_are_accepted_and_arrive_once(options):
    """It needs no credentials, and says where it sends."""
    result = run_demo(*options)

    assert (result.exit_code, result.stderr) == (0, "")
    first, inbox, second, *_, summary, comparison = result.stdout.splitlines()
    assert "emulator" in first
    assert "http://127.0.0.1:" in first
    assert inbox.endswith("/inbox/")
    assert "the 50 recipients of recipients.csv" in second
    assert summary == "50 of 50 accepted, 0 rejected, 0 unknown, 0 held, 0 skipped, 0 queued"
    assert comparison == "The emulator counted 50 messages to 50 numbers; 0 arrived twice"


def test_workers_send_it_together(capfd: pytest.CaptureFixture[str]):
    """Over a server that is started for it; they say in their logs what they did."""
    result = run_demo("--workers", "2")

    assert (result.exit_code, result.stderr) == (0, "")
    *_, counts, comparison = result.stdout.splitlines()
    assert counts == "50 accepted"
    assert comparison == "The emulator counted 50 messages to 50 numbers; 0 arrived twice"
    assert "50 accepted" in capfd.readouterr().err


def test_lost_messages_are_found_out(faults):
    """An emulator that accepts and forgets does not pass."""
    faults.append(Fault.status(200, {"status": "EN_COLA", "id_sms": "lost"}))

    result = run_demo()

    assert result.exit_code == 1
    assert "50 of 50 accepted" in result.stdout
    assert "counted 47 messages to 47 numbers; 0 arrived twice" in result.stdout
    assert result.stderr == "connectus: that differs from the 50 accepted\n"


def test_doubled_messages_are_found_out(faults):
    """An emulator to whose phones a message comes twice does not pass."""

    async def twice(_: web.Request, act) -> web.StreamResponse:
        await act()
        return await act()

    faults.append(Fault("twice", twice))

    result = run_demo()

    assert result.exit_code == 1
    assert "counted 53 messages to 50 numbers; 3 arrived twice" in result.stdout
    assert result.stderr == "connectus: that differs from the 50 accepted\n"


def test_unknown_messages_are_exit_code_3(faults):
    """They arrived, but the summary cannot know it; the comparison is shown all the same."""
    faults.append(Fault.reset_after())

    result = run_demo()

    assert result.exit_code == 3
    assert "47 of 50 accepted, 0 rejected, 3 unknown, 0 held, 0 skipped, 0 queued" in result.stdout
    assert "counted 50 messages to 50 numbers; 0 arrived twice" in result.stdout


def test_a_demo_of_nobody_is_wrong_usage():
    """There must be someone to send to."""
    result = CliRunner().invoke(command_line, ["demo", "--recipients", "0"])

    assert result.exit_code == 2
