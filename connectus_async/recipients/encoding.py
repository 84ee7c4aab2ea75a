"""Encoding of text files, if nothing else is said."""

from typing import Final

UTF_8: Final = "utf-8-sig"
"""UTF-8, with or without the byte order mark that spreadsheets write."""
