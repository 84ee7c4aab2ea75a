"""Fixtures: a receiver of each kind."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from webhook_servers import RECEIVERS, SECRET, Client, Inbox


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(params=RECEIVERS, ids=lambda kind: kind.__name__)
def start(request: pytest.FixtureRequest, inbox: Inbox) -> Iterator[Callable[..., Client]]:
    """Start a receiver with options, and return a client of it."""
    with ExitStack() as stack:

        def start(**options: Any) -> Client:
            settings = {"secret": SECRET} | options
            return Client(stack.enter_context(request.param(inbox, **settings)))

        yield start


@pytest.fixture
def client(start: Callable[..., Client]) -> Client:
    """A client of a receiver with a secret."""
    return start()
