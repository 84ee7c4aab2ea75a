"""Every example in a docstring runs."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import textwrap
from collections.abc import Iterator
from types import FunctionType, ModuleType

import pytest

import connectus_async
from connectus_async import AsyncConnectus
from connectus_async.bulk.sender import Bulk
from connectus_async.emulator import Emulator
from connectus_async.products._service import Service

MARKER = "Example:\n"


def modules() -> list[ModuleType]:
    """Every module of the client's side that can be imported without running the command line."""
    names = [
        module.name
        for module in pkgutil.walk_packages(connectus_async.__path__, "connectus_async.")
        if not module.name.endswith("__main__")
    ]
    return [importlib.import_module(name) for name in names]


def documented_methods() -> Iterator[tuple[str, FunctionType]]:
    owners = [*Service.__subclasses__(), AsyncConnectus, Bulk]
    for owner in owners:
        for name, method in inspect.getmembers(owner, inspect.isfunction):
            if not name.startswith("_"):
                yield f"{owner.__name__}.{name}", method


METHODS = dict(documented_methods())
WITH_EXAMPLE = {name: method for name, method in METHODS.items() if MARKER in method.__doc__}


def test_every_public_method_has_an_example():
    """Only closing a client shows itself."""
    assert set(METHODS) - set(WITH_EXAMPLE) == {"AsyncConnectus.close"}


@pytest.mark.parametrize("name", WITH_EXAMPLE)
async def test_an_example_runs_against_the_emulator(
    name: str, connectus: AsyncConnectus, emulator: Emulator
):
    """The example is a block in which ``connectus`` is a client."""
    example = textwrap.dedent(inspect.getdoc(WITH_EXAMPLE[name]).partition(MARKER)[2])
    code = compile(example, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    names = {**vars(connectus_async), "connectus": connectus, "print": lambda *_: None}

    running = eval(code, names)
    if inspect.iscoroutine(running):
        await running

    assert emulator.requests.total() > 0


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_the_doctests_of_a_module_pass(module: ModuleType):
    """What a docstring shows of an interpreter is what the interpreter shows."""
    assert doctest.testmod(module).failed == 0
