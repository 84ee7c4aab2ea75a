"""JSON to and from bytes: by orjson where it is installed, else by the standard library."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder()
"""Kept: `json.dumps` would make an encoder for each call, and `json.loads` guess the encoding, at
the cost of half the call."""


def _dumps(value: Any) -> bytes:
    return _ENCODER.encode(value).encode()


def _loads(text: bytes) -> Any:
    try:
        return _DECODER.decode(text.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None


dumps: Callable[[Any], bytes] = _dumps
"""Write JSON. Raises `TypeError` or `ValueError` on what is not JSON."""

loads: Callable[[bytes], Any] = _loads
"""Read JSON. Raises `ValueError` on what is not JSON."""

if find_spec("orjson"):
    import orjson

    dumps, loads = orjson.dumps, orjson.loads
