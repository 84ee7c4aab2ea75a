"""Every call of the API's collection, and what goes over the wire for it.

``calls.json`` holds a row for each call, ``answers.json`` the collection's example answers. Both
are data: to add a call, add its row, and the tests here say what is missing.
"""

import base64
import inspect
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectus_async import AsyncConnectus, ConnectusError, Outcome
from connectus_async.products._service import Service

CALLS = json.loads((Path(__file__).parent / "calls.json").read_text("utf-8"))
ANSWERS = json.loads((Path(__file__).parent / "answers.json").read_text("utf-8"))
