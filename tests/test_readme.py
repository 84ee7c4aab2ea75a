"""Every piece of Python in the README runs as it stands."""

import ast
import asyncio
import inspect
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread
import pytest

from connectus_async import AsyncConnectus
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Emulator

README = Path(__file__).parents[1] / "README.md"
CALLS = Path(__file__).parent / "contract" / "calls.json"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture
def environment(emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Make the emulator what the environment points at, in a folder where a ledger may lie."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTUS_BASE_URL", emulator.base_url)
    monkeypatch.setenv("CONNECTUS_API_USER", emulator.api_user)
    monkeypatch.setenv("CONNECTUS_API_KEY", emulator.api_key)


def run(block: str) -> None:
    """Run a block in a loop of its own, or as a script if it starts a loop itself."""
    code = compile(block, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names: dict[str, object] = {"__name__": "__main__"}

    async def with_client() -> None:
        async with AsyncConnectus() as connectus:
            names["connectus"] = connectus
            await eval(code, names)

    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(with_client())
    else:
        exec(code, names)
        if campaign := names.get("campaign"):
            asyncio.run(campaign([("56987688060", "Ana"), ("56987688061", "Benjamín")]))
        for name in ("reconcile", "follow"):
            if function := names.get(name):
                asyncio.run(after_a_campaign_to_nobody(function))


async def after_a_campaign_to_nobody(function: Callable[[], Awaitable[None]]) -> None:
    """Call a function that goes on with a ledger."""
    async with AsyncConnectus() as connectus, connectus.bulk(ledger="navidad.db") as bulk:
        await bulk.run([])
    await function()


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
async def test_a_block_of_the_readme_runs(block: str):
    """What a newcomer copies works."""
    await anyio.to_thread.run_sync(run, block)


async def test_the_examples_reach_the_phone(environment: None, emulator: Emulator):
    """Two blocks send one SMS each, the third a campaign of the rows it is given."""
    for block in BLOCKS[:3]:
        await anyio.to_thread.run_sync(run, block)

    assert [message.content for message in emulator.received] == [
        "Hola",
        "Hola",
        "Hola Ana",
        "Hola Benjamín",
    ]


def test_the_table_of_services_names_every_call():
    """Those of the API, by their services, and the methods of the bulk sender."""
    table = README.read_text("utf-8").partition("| service | methods |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `([a-z_.]+)(?:\(\))?` \| (.*) \|$", table, re.MULTILINE)
    named = {
        f"{service}.{method}" for service, methods in rows for method in re.findall(r"\w+", methods)
    }
    calls = {call["method_name"] for call in json.loads(CALLS.read_text("utf-8"))}
    bulk = {f"bulk.{name}" for name in vars(Bulk) if not name.startswith("_")}

    assert named == calls | bulk
