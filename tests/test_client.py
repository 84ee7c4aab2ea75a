"""The client: its settings, refusals before sending, and its end."""

import asyncio
import pickle
from copy import copy as copy_of
from copy import deepcopy
from multiprocessing import get_context
from typing import Any

import pytest

from connectus_async import (
    AsyncConnectus,
    ClientClosedError,
    ConfigurationError,
    Connectus,
    Outcome,
    WrongEventLoopError,
)
from connectus_async.emulator import Emulator
from connectus_async.tracking import Tracker


async def test_a_sent_sms_reaches_the_phone_and_names_itself(
    connectus: AsyncConnectus, emulator: Emulator
):
    """The main job of one call."""
    receipt = await connectus.sms.send("+56 9 8768-8060", "Hola")

    assert [(sms.recipient, sms.content, sms.id) for sms in emulator.received] == [
        ("56987688060", "Hola", receipt.id)
    ]
    assert receipt.response is not None
    assert receipt.response.status == 200
    assert receipt.response.headers["content-type"].startswith("application/json")


async def test_a_closed_client_says_so(connectus: AsyncConnectus):
    """Use after close is an error at once, with nothing sent."""
    await connectus.close()

    with pytest.raises(ClientClosedError) as caught:
        await connectus.sms.send("56987688060", "Hola")

    assert caught.value.outcome is Outcome.NOT_SENT


async def test_a_copy_with_other_options_is_closed_with_its_original(connectus: AsyncConnectus):
    """The copies share the connections, so they live as long."""
    copy = connectus.with_options(timeout=5, max_retries=0)
    await copy.account.get()
    await connectus.close()

    with pytest.raises(ClientClosedError):
        await copy.account.get()


def test_one_client_in_two_loops_is_refused():
    """A client that is open in one loop does not hang or fail oddly in another."""

    async def get_account(connectus: AsyncConnectus) -> None:
        await connectus.account.get()

    with asyncio.Runner() as first, asyncio.Runner() as second:
        emulator = first.run(Emulator().__aenter__())
        connectus = AsyncConnectus(emulator.api_user, emulator.api_key, base_url=emulator.base_url)
        first.run(get_account(connectus))

        with pytest.raises(WrongEventLoopError):
            second.run(get_account(connectus))

        first.run(connectus.close())
        first.run(emulator.__aexit__(None, None, None))


def unshared() -> dict[str, Any]:
    """What is of use in one process only, with the credentials as `the-key`."""
    client, blocking = AsyncConnectus("user", "the-key"), Connectus("user", "the-key")
    return {
        "client": client,
        "service": client.sms,
        "method": client.sms.send,
        "bulk sender": client.bulk(),
        "tracker": Tracker(client),
        "blocking client": blocking,
        "copy of it": blocking.with_options(timeout=1),
        "blocking service": blocking.sms,
        "blocking method": blocking.sms.send,
        "blocking bulk sender": blocking.bulk(),
    }


@pytest.mark.parametrize("hand_over", [pickle.dumps, deepcopy])
@pytest.mark.parametrize("name", unshared())
async def test_what_belongs_to_a_process_says_that_it_cannot_be_handed_to_another(name, hand_over):
    """As an argument of one, it would take the credentials along and no connection."""
    with pytest.raises(ConfigurationError, match="make a client there") as caught:
        hand_over(unshared()[name])
    assert "the-key" not in str(caught.value)


def test_a_client_is_no_argument_of_a_process():
    """Nothing is started."""
    process = get_context("spawn").Process(target=print, args=(Connectus("user", "key"),))
    with pytest.raises(ConfigurationError, match="pass its settings to the other process"):
        process.start()


@pytest.mark.parametrize("hand_over", [pickle.dumps, deepcopy, copy_of])
def test_an_emulator_cannot_be_handed_to_another_process(hand_over):
    """Its address can."""
    with pytest.raises(TypeError, match="pass its base_url to the other process"):
        hand_over(Emulator())
