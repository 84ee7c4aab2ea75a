"""Every example in a docstring runs."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import textwrap
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from anyio.to_thread import run_sync
from awaited import asyncio_only

import connectus_async
from connectus_async import AsyncConnectus, Connectus
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Emulator
from connectus_async.products._service import Service
from connectus_async.sync import _generated as blocking

MARKER = "Example:\n"


def modules() -> list[ModuleType]:
    """Every module of the client's side that can be imported without running the command line."""
    names = [
        module.name
        for module in pkgutil.walk_packages(connectus_async.__path__, "connectus_async.")
        if not module.name.endswith("__main__")
    ]
    return [importlib.import_module(name) for name in names]


def documented_methods(*owners: type) -> dict[str, FunctionType]:
    return {
        f"{owner.__name__}.{name}": method
        for owner in owners
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


def examples(methods: dict[str, FunctionType]) -> dict[str, str]:
    """Find the blocks of code in which ``connectus`` is a client."""
    texts = {name: inspect.getdoc(method) for name, method in methods.items()}
    return {
        name: textwrap.dedent(text.partition(MARKER)[2])
        for name, text in texts.items()
        if MARKER in text
    }


MODULES = modules()
METHODS = documented_methods(*Service.__subclasses__(), AsyncConnectus, Bulk)
BLOCKING_METHODS = documented_methods(
    *blocking.Service.__subclasses__(), blocking.Connectus, blocking.Bulk
)
EXAMPLES = examples(METHODS)
BLOCKING_EXAMPLES = examples(BLOCKING_METHODS)


def test_every_public_method_has_an_example():
    """Only closing a client shows itself."""
    assert set(METHODS) - set(EXAMPLES) == {"AsyncConnectus.close"}
    assert set(BLOCKING_METHODS) - set(BLOCKING_EXAMPLES) == {"Connectus.close"}


def names(connectus: AsyncConnectus | Connectus) -> dict[str, Any]:
    public = {name: getattr(connectus_async, name) for name in connectus_async.__all__}
    return {**public, "connectus": connectus, "print": lambda *_: None}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An example may leave a ledger."""
    monkeypatch.chdir(tmp_path)


@asyncio_only
@pytest.mark.parametrize("name", EXAMPLES)
async def test_an_example_runs_against_the_emulator(
    name: str, connectus: AsyncConnectus, emulator: Emulator
):
    """It may await."""
    code = compile(EXAMPLES[name], name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    running = eval(code, names(connectus))
    if inspect.iscoroutine(running):
        await running

    assert emulator.requests.total() > 0


@pytest.mark.parametrize("name", BLOCKING_EXAMPLES)
async def test_an_example_of_the_blocking_client_runs_as_it_stands(
    name: str, settings: dict[str, Any], emulator: Emulator
):
    """It is plain code, in a thread that no loop runs in."""
    code = compile(BLOCKING_EXAMPLES[name], name, "exec")

    def run() -> None:
        with Connectus(**settings) as connectus:
            exec(code, names(connectus))

    await run_sync(run)

    assert emulator.requests.total() > 0


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_doctests_of_a_module_pass(module: ModuleType):
    """What a docstring shows of an interpreter is what the interpreter shows."""
    assert doctest.testmod(module).failed == 0
