"""The names that users import: sorted, complete, and cheap to import."""

import ast
import importlib
import inspect
import pickle
import pkgutil
import py_compile
import subprocess
import sys
from pathlib import Path
from typing import get_args

import attrs
import pytest

import connectus_async
from connectus_async import Sms, errors, products, sync, tracking, webhooks, workers
from connectus_async.client import AsyncConnectus
from connectus_async.config import Config
from connectus_async.products._service import Service

LAZY = pytest.mark.parametrize(
    "package", [connectus_async, products, sync, tracking, webhooks, workers]
)
HEAVY = {"aiohttp", "anyio", "asyncio", "cattrs"}


def modules_after(program):
    """The modules that are loaded in a process of its own that ran a program."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(ran.stdout.split())


@LAZY
def test_the_public_names_are_sorted_and_there(package):
    """``__all__`` says what is public, in an order in which a name is found."""
    assert package.__all__ == sorted(package.__all__)
    assert all(hasattr(package, name) for name in package.__all__)


@LAZY
def test_a_checker_sees_the_names_that_there_are(package):
    """It takes an import with ``as`` for public, and each name is what its module has."""
    tree = ast.parse(Path(package.__file__).read_text("utf-8"))
    seen = {
        item.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for item in node.names
        if item.asname == item.name
    }

    assert sorted(seen) == package.__all__
    for name, module in seen.items():
        assert getattr(package, name) is getattr(importlib.import_module(module), name)


def test_the_names_are_found_without_their_source(tmp_path):
    """As in an application that was packed with compiled modules only."""
    source = Path(connectus_async.__file__).parent
    target = tmp_path / "connectus_async"
    for file in source.rglob("*.py"):
        compiled = target / file.relative_to(source).with_suffix(".pyc")
        py_compile.compile(str(file), str(compiled), doraise=True)
    program = """
from connectus_async import *
from connectus_async import __all__, __file__, webhooks
assert __file__.endswith(".pyc"), __file__
print(len({*__all__} - {*globals()}), webhooks.Event)
"""
    ran = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )

    assert ran.stdout.startswith("0 ")


@LAZY
def test_names_that_nobody_asked_for_are_listed(package):
    """What completes names in a shell finds all, and a name that is not there is an error."""
    program = f"import {package.__name__} as it; print(*dir(it))"
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert {*package.__all__, "__name__", "__path__"} <= set(ran.stdout.split())
    with pytest.raises(AttributeError, match=f"'{package.__name__}' has no attribute 'Nobody'"):
        _ = package.Nobody


def test_a_module_is_an_attribute_without_its_import():
    """As it would be if the package had imported it."""
    program = "import connectus_async as it; it.errors.Outcome, it.products.sms.Sms, it.sync.Bulk"

    assert "connectus_async.sync._generated" in modules_after(program)


def test_no_module_hides_a_public_name():
    """To import a module makes it an attribute of its package, in the place of what was there."""
    modules = {module.name for module in pkgutil.iter_modules(connectus_async.__path__)}

    assert not modules & set(connectus_async.__all__)


def test_threads_that_ask_first_get_the_same_class():
    """A program may use its first name in many threads at once."""
    program = """
import threading
import connectus_async

start, found = threading.Barrier(8), set()

def ask():
    start.wait()
    found.add(connectus_async.AsyncConnectus)
    found.add(connectus_async.Connectus)

threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*sorted(kind.__name__ for kind in found))
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )

    assert ran.stdout.split() == ["AsyncConnectus", "Connectus"]


def test_what_was_pickled_is_read_where_nothing_was_imported():
    """A task queue's worker may get a message before it used the package."""
    message = Sms("56987688060", "Hola")
    program = "import sys, pickle; print(pickle.load(sys.stdin.buffer).sms_content)"
    ran = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        input=pickle.dumps(message),
    )

    assert ran.stdout.split() == [b"Hola"]


def test_every_error_is_public():
    """Whatever is raised can be caught by a name from the top."""
    tree = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ConnectusError)
    }
    assert tree <= set(connectus_async.__all__)


def test_what_a_call_returns_can_be_imported():
    """A user can write down the type of whatever the client gives."""
    assert all(hasattr(products, name) for name in products.__all__)  # that imports them
    returned = {
        signature.return_annotation
        for owner in Service.__subclasses__()
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
        for signature in [inspect.signature(method, eval_str=True)]
    }
    nested = {
        kind
        for answer in returned
        for field in attrs.fields(answer)
        for kind in [field.type, *get_args(field.type)]
        if isinstance(kind, type) and kind.__module__.startswith("connectus_async")
    }

    assert {kind.__name__ for kind in returned | nested} <= set(connectus_async.__all__)


def test_every_setting_can_be_given_to_the_client():
    """The client's parameters and the configuration do not drift apart."""
    settings = {field.name for field in attrs.fields(Config)}
    parameters = set(AsyncConnectus.__init__.__annotations__) - {"return"}

    assert settings == parameters
    assert all(f"{setting}: " in AsyncConnectus.__init__.__doc__ for setting in settings)


def test_importing_the_package_brings_nothing_that_takes_time():
    """Each of its modules comes with the first name of it, attrs with the first class."""
    loaded = modules_after("import connectus_async, connectus_async.sync, connectus_async.webhooks")

    assert {name for name in loaded if name.startswith("connectus_async")} == {
        "connectus_async",
        "connectus_async._lazy",
        "connectus_async._version",
        "connectus_async.sync",
        "connectus_async.webhooks",
    }
    assert not {*HEAVY, "attr"} & loaded


def test_importing_every_name_brings_neither_aiohttp_nor_the_converter():
    """They come with the first client; the services come before it if they are asked for."""
    client_alone = modules_after("from connectus_async import AsyncConnectus")
    assert not {"connectus_async.products.sms", "connectus_async.sync._generated"} & client_alone

    loaded = modules_after("from connectus_async import *")

    assert {"connectus_async.client", "connectus_async.sync._generated"} <= loaded
    assert not HEAVY & loaded


def test_a_blocking_client_that_is_ready_brings_neither_the_bulk_sender_nor_cattrs():
    """They come with the first campaign, and with the first answer that has records in it."""
    loaded = modules_after(
        "from connectus_async import Connectus; client = Connectus('user', 'key');"
        " client._bridge.runner.owned"
    )

    assert {"aiohttp", "connectus_async.sync._engine", "connectus_async.transport"} <= loaded
    assert not {"anyio", "cattrs", "connectus_async.bulk.sender", "sqlite3"} & loaded


def test_a_receipt_is_read_without_cattrs():
    """A process that only sends never imports it."""
    program = (
        "from connectus_async import SmsReceipt; from connectus_async.answer import Response; "
        "from connectus_async.converter import structure; "
        "assert structure(SmsReceipt, {'id': 7}, Response(200, {}, b'')).id == '7'"
    )

    assert "cattrs" not in modules_after(program)
