"""``connectus bulk track`` interrupted: what it found is kept, and the same command goes on."""

import asyncio
import signal
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta

from campaigns import command, ended, ran

from connectus_async.emulator import Emulator, Fault

ROWS = 200
ANSWERED = 100


async def test_ctrl_c_keeps_what_was_found(tmp_path):
    """It says so in one sentence, and nothing is asked for twice."""
    file, offset = tmp_path / "recipients.csv", timedelta()
    ledger = tmp_path / "recipients.csv.ledger.db"
    file.write_text("dst_number\n" + "".join(f"5698{row:06}9\n" for row in range(ROWS)))
    full = asyncio.Event()

    async def hold(number: int) -> None:
        if number > ANSWERED:
            full.set()
            await asyncio.Event().wait()  # the end of the connection cancels the request

    async with Emulator(clock=lambda: datetime.now(UTC) + offset) as emulator:
        assert (await ran("bulk", "send", file, "--text", "Hola", emulator=emulator)).code == 0
        offset = timedelta(days=1)
        with emulator.fault(Fault.call(before=hold), route="sms.status"):
            async with command("bulk", "track", ledger, emulator=emulator) as process:
                await full.wait()
                process.send_signal(signal.SIGINT)
                interrupted = await ended(process)
        found = statuses(ledger)
        asked = emulator.requests["sms.status"]
        again = await ran("bulk", "track", ledger, "--until-final", emulator=emulator)
        asked_again = emulator.requests["sms.status"] - asked

    assert interrupted.code == 130
    assert interrupted.errors == (
        "connectus: interrupted; statuses so far are in the ledger: run the same command again\n"
    )
    assert 0 < found["ENTREGADO"] <= ANSWERED
    assert again.code == 0
    assert asked_again == ROWS - found["ENTREGADO"]
    assert statuses(ledger) == {"ENTREGADO": ROWS}


def statuses(ledger):
    with closing(sqlite3.connect(ledger)) as connection:
        return Counter(
            status for (status,) in connection.execute("SELECT delivery_status FROM message")
        )
