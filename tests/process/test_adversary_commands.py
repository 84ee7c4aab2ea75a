"""Options of ``connectus bulk`` that a later command must not misread."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
from campaigns import asked_later, ran

from connectus_async.emulator import Fault

HERE, ABROAD = "56987688060", "56987688061"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "recipients.csv"
    path.write_text(f"dst_number\n9 8768 8060\n{ABROAD}\n", "utf-8")
    return path


def recorded(ledger: Path) -> dict[str, object]:
    with closing(sqlite3.connect(ledger)) as connection:
        facts = dict(connection.execute("SELECT name, value FROM campaign"))
    return json.loads(facts["settings"])


async def test_a_suppression_list_is_read_as_the_recipients_are(emulator, file):
    """A national number on it is one of the same country, also for whoever resumes."""
    listed = file.with_name("stop.txt")
    listed.write_text("9 8768 8060\n", "utf-8")
    options = ("--text", "Hola", "--region", "CL", "--suppress", listed)
    ledger = file.with_name(file.name + ".ledger.db")

    sent = await ran("bulk", "send", file, *options, emulator=emulator)
    resumed = await ran("bulk", "resume", ledger, emulator=emulator)

    assert (sent.errors, resumed.errors) == ("", "")
    assert [message.recipient for message in emulator.received] == [ABROAD]
    assert recorded(ledger)["region"] == "CL"


@pytest.mark.parametrize("later", [("reconcile", "--settle", 0.1), ("resume",)])
async def test_the_word_to_send_again_counts_once(emulator, file, later):
    """What becomes unknown after it is not sent again by a command that does not say so."""
    emulator.fault(Fault.reset_after(), route="sms.send")
    ledger = file.with_name(file.name + ".ledger.db")
    said = ("--on-unknown", "resend")
    first = await ran(
        "bulk", "send", file, "--text", "Hola", "--region", "CL", *said, emulator=emulator
    )

    await asked_later("bulk", *later[:1], ledger, *later[1:], emulator=emulator)
    await ran("bulk", "resume", ledger, emulator=emulator)
    assert first.code == 3
    assert len(emulator.received) == 2

    await ran("bulk", "resume", ledger, *said, emulator=emulator)
    assert len(emulator.received) == (2 if later[0] == "reconcile" else 4)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
async def test_a_file_may_have_a_name_that_is_no_text(emulator, tmp_path):
    """It was written by another system, long ago."""
    file = tmp_path / os.fsdecode(b"destinatarios a\xf1o.csv")
    file.write_text("dst_number\n56987688060\n", "utf-8")

    sent = await ran("bulk", "send", file, "--text", "Hola", emulator=emulator)

    assert (sent.code, sent.errors) == (0, "")
    assert len(emulator.received) == 1
