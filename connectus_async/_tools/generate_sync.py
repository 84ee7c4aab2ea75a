"""Writes the blocking client: the classes of the async one, with bodies that wait for its calls.

``nox -s generate`` runs it. It reads source text and imports nothing of the package, so that it
works when what it wrote before does not. What the source does not say by itself stands in `RULES`;
whatever is in neither, and every rule that is no longer needed, is an error that names it.
"""

import argparse
import ast
import builtins
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

PACKAGE: Final = Path(__file__).resolve().parents[1]
TARGET: Final = PACKAGE / "sync" / "_generated.py"
LINE_LENGTH: Final = 100
COPY: Final = "copy"
"""The rule of a method whose body is the same on both sides, but for `RENAMED`."""

RENAMED: Final = {r"\bTransport\b": "Link", r"\b(_?)transport\b": r"\1link"}
DUNDERS: Final = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
ASYNC_TYPE: Final = re.compile(r"\b(Async\w*|Awaitable|Coroutine)\b")
ASYNC_WORD: Final = re.compile(r"\bA?sync(io|hronous)?\b|\bawait|\bcoroutine|\bevent loop|Async")
PLAIN_EXAMPLE: Final = {
    r"\(await (.+)\)\.": r"\1.",
    r"\bawait ": "",
    r"\basync (with|for)\b": r"\1",
    r"\bAsyncConnectus\b": "Connectus",
}

HEAD: Final = '''\
# Generated: change client.py, products/ or bulk/sender.py instead, then run `nox -s generate`.
"""The blocking client and its services: each method waits for the async one of its name."""
'''


class GenerationError(Exception):
    """The source says something that no rule covers, or a rule covers nothing."""


class Import(NamedTuple):
    """Where a name comes from; a whole module if ``name`` is empty."""

    module: str
    name: str
    alias: str | None = None
    for_types_only: bool = False


@dataclass(frozen=True)
class Rules:
    """What the source of the async client does not say about the blocking one.

    Attributes:
        classes: The blocking class for each async one; subclasses of `Service` keep their names.
        methods: The body for each method, by class and name, in place of a call of the async one;
            ``...`` stands for the arguments, ``**...`` for all of them by keyword. `COPY` takes the
            body as it is, and what begins with ``def`` replaces the whole method.
        arguments: What is passed on for a parameter, by class and name, instead of its value.
        annotations: What a name in an annotation becomes.
        imports: Where the names come from that the rules bring in.
        phrases: What a piece of a docstring becomes.
    """

    classes: Mapping[str, str]
    methods: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    imports: Mapping[str, Import] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def unused(self) -> set[str]:
        """The rules that were not asked for so far."""
        return {key for table in vars(self).values() for key in table}

    def use(self, table: Mapping[str, str], key: str) -> str | None:
        """Look up a rule, and note that it is needed."""
        if key in table:
            self.unused.discard(key)
        return table.get(key)


_LINK: Final = "connectus_async.sync._link"

RULES: Final = Rules(
    classes={"Service": "Service", "Bulk": "Bulk", "AsyncConnectus": "Connectus"},
    methods={
        "Service.__init__": COPY,
        "WhatsAppQrService.__init__": COPY,
        "AsyncConnectus.__init__": (
            "config = Config.from_environment(**...)\n"
            f"from {_LINK} import Link  # noqa: PLC0415 - brings asyncio and aiohttp, 0.1 s\n"
            "\n"
            "self._use(Link(config))"
        ),
        "AsyncConnectus._use": COPY,
        "AsyncConnectus.with_options": COPY,
        "AsyncConnectus.bulk": "return Bulk(self._link.campaign(...))",
        "AsyncConnectus.close": "self._link.runner.close()",
        "AsyncConnectus.__aenter__": "return self",
        "AsyncConnectus.__aexit__": "self.close()",
        "AsyncConnectus.__repr__": COPY,
        "Bulk.__init__": (
            'def __init__(self, campaign: "Campaign") -> None:\n'
            "    self._campaign = campaign\n"
            "    self.summary = campaign.summary"
        ),
        "Bulk.stream": "return self._campaign.runner.iterate(self._campaign.sender.stream, ...)",
        "Bulk.run": "return self._campaign.runner.call(self._campaign.sender.run, ...)",
        "Bulk.__aenter__": "self._campaign.enter()\nreturn self",
        "Bulk.__aexit__": "self._campaign.exit(...)",
    },
    arguments={
        "Bulk.messages": "self._campaign.pulled(messages)",
        "Bulk.on_outcome": "self._campaign.called(on_outcome)",
    },
    annotations={
        "AsyncIterator": "Iterator",
        "Messages": "Iterable[Message | Row]",
        "Transport": "Link",
    },
    imports={
        "Iterator": Import("collections.abc", "Iterator"),
        "Link": Import(_LINK, "Link", for_types_only=True),
        "Campaign": Import(_LINK, "Campaign", for_types_only=True),
    },
    phrases={
        "The Connectus API for asyncio.": "The Connectus API, for code that does not await.",
        """\
It connects with the first call, and then
    belongs to the event loop of that call.""": """\
It connects with the first call. Threads
    may share it, and a forked process connects anew.""",
        """\
as an iterable
                or an async iterable. It is pulled as messages are sent, never ahead of them.""": """\
as an iterable.
                It is pulled as messages are sent, never ahead of them, in the thread that waits
                for their outcomes.""",
        """\
Called with the outcome of each message, one at a time; what it returns is
                awaited if it can be.""": """\
Called with the outcome of each message, one at a time, in the thread that called
                `run`. It may use the client itself.""",
    },
)
