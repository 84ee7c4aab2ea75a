"""A blocking call in the event loop that has to answer it."""

from typing import Any

import pytest

from connectus_async import Connectus, OwnServerError, Sms
from connectus_async.emulator import Emulator


@pytest.fixture
def no_blocking() -> None:
    """To block the loop is what is tested here."""


async def test_a_call_that_would_wait_for_itself_says_so(
    emulator: Emulator, settings: dict[str, Any]
):
    """At once, not when the time is over; nothing is sent."""
    with Connectus(**settings) as connectus:
        with pytest.raises(OwnServerError, match="await the async client there"):
            connectus.sms.send("56987688060", "Hola")
        with pytest.raises(OwnServerError), connectus.bulk() as bulk:
            bulk.run([Sms("56987688060", "Hola")])
    assert not emulator.requests


async def test_a_server_in_another_thread_answers_a_call_in_a_loop():
    """As in a notebook."""
    with Emulator() as emulator:
        with Connectus(
            emulator.api_user, emulator.api_key, base_url=emulator.base_url
        ) as connectus:
            connectus.sms.send("56987688060", "Hola")
        emulator.assert_sent()
