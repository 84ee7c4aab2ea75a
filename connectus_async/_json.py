"""JSON to and from bytes: by orjson where it is installed, else by the standard library."""

from typing import Any

try:
    import orjson
except ImportError:
    import json

    def dumps(value: Any) -> bytes:
        """Write JSON in UTF-8."""
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def loads(text: bytes) -> Any:
        """Read JSON.

        Raises:
            ValueError: It is not JSON, or is nested too deeply.
        """
        try:
            return json.loads(text)
        except RecursionError:
            raise ValueError("nested too deeply") from None

else:
    dumps = orjson.dumps
    loads = orjson.loads
