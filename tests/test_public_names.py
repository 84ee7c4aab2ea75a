"""The names that users import: sorted, complete, and cheap to import."""

import inspect
import subprocess
import sys
from typing import get_args

import attrs

import connectus_async
from connectus_async import errors
from connectus_async.client import AsyncConnectus
from connectus_async.config import Config
from connectus_async.products._service import Service


def test_the_public_names_are_sorted_and_there():
    """``__all__`` says what is public, in an order in which a name is found."""
    assert connectus_async.__all__ == sorted(connectus_async.__all__)
    assert all(hasattr(connectus_async, name) for name in connectus_async.__all__)


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
    returned = {
        signature.return_annotation
        for owner in [*Service.__subclasses__()]
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


def test_importing_the_package_brings_neither_aiohttp_nor_the_converter():
    """They come with the first client."""
    program = "import sys, connectus_async; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()

    assert "connectus_async" in loaded
    assert not {"aiohttp", "anyio", "asyncio", "cattrs"} & set(loaded)
