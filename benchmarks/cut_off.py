"""A worker in a network namespace of its own, with a link to the database and one to the API.

It needs Linux, root, ``ip``, ``unshare`` and ``nsenter``. The other ends of the links are relays on
this machine, so the two kernels at a link behave as those of two machines.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias

import attrs
from psycopg.conninfo import conninfo_to_dict

from connectus_async.defaults import ENVIRONMENT
from connectus_async.ledger import parse_address, with_campaign

DATABASE, API = "cw-db", "cw-api"
NETWORKS = {DATABASE: "10.91.1", API: "10.91.2"}
PORT = 5432

Cut: TypeAlias = Callable[[float], Awaitable[None]]
Ends: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@attrs.frozen
class Place:
    """Where a worker finds the database and the API.

    Attributes:
        ledger: The address of the campaign.
        settings: The settings of the client, as environment variables.
        prefix: What its command begins with.
    """

    ledger: str
    settings: Mapping[str, str]
    prefix: tuple[str, ...] = ()


@asynccontextmanager
async def cut_off(place: Place, link: str) -> AsyncIterator[tuple[Place, Cut]]:
    """Make a place in a namespace, and a function that takes a link of it down for some seconds."""
    address = parse_address(place.ledger)
    database = conninfo_to_dict(address.conninfo)
    base_url = place.settings[ENVIRONMENT["base_url"]]
    port = int(base_url.split(":")[2].partition("/")[0])
    there = f"{database['host']}/.s.PGSQL.{database['port']}"
    with _namespace() as prefix:
        async with (
            _relay(NETWORKS[DATABASE], PORT, lambda: asyncio.open_unix_connection(there)),
            _relay(NETWORKS[API], port, lambda: asyncio.open_connection("127.0.0.1", port)),
        ):
            ledger = f"postgresql://{database['user']}@{NETWORKS[DATABASE]}.1/{database['dbname']}"
            url = base_url.replace("127.0.0.1", f"{NETWORKS[API]}.1")
            settings = {**place.settings, ENVIRONMENT["base_url"]: url}
            within = Place(with_campaign(ledger, address.campaign or ""), settings, prefix)
            yield within, lambda seconds: _down(link, seconds)


@contextmanager
def _namespace() -> Any:
    with ExitStack() as stack:
        keeper = stack.enter_context(
            subprocess.Popen(
                ["unshare", "-n", "sh", "-c", "echo; exec cat"],  # noqa: S607
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        stack.callback(keeper.stdin.close)
        keeper.stdout.readline()
        within = ("nsenter", "-t", str(keeper.pid), "-n")
        for name, network in NETWORKS.items():
            _run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}-in")
            stack.callback(_removed, name)
            _run("ip", "link", "set", f"{name}-in", "netns", str(keeper.pid))
            _run("ip", "addr", "add", f"{network}.1/24", "dev", name)
            _run("ip", "link", "set", name, "up")
            _run(*within, "ip", "addr", "add", f"{network}.2/24", "dev", f"{name}-in")
            _run(*within, "ip", "link", "set", f"{name}-in", "up")
        yield within


def _removed(name: str) -> None:
    with suppress(subprocess.CalledProcessError):  # it goes with its namespace
        _run("ip", "link", "del", name)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)  # noqa: S603


async def _down(link: str, seconds: float) -> None:
    _run("ip", "link", "set", link, "down")
    await asyncio.sleep(seconds)
    _run("ip", "link", "set", link, "up")


@asynccontextmanager
async def _relay(
    network: str, port: int, connect: Callable[[], Awaitable[Ends]]
) -> AsyncIterator[None]:
    """Pass on what comes to a port of a network."""

    async def relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await connect()
        except OSError:
            writer.close()
        else:
            await asyncio.gather(_pumped(reader, back), _pumped(there, writer))

    async with await asyncio.start_server(relayed, f"{network}.1", port):
        yield


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
