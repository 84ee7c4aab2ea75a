"""Texts of Excel's workbooks: those that cells share, and the escapes of control characters."""

import re
from typing import Final
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from connectus_async.recipients.sources.workbooks.parts import children, local

_ESCAPE: Final = re.compile("_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    r"""Decode the escapes of a text (ST_Xstring), and write each line break as one character.

    >>> unescaped("Av. Uno 1_x000D_\nDepto 2"), unescaped("_x005F_x0041_")
    ('Av. Uno 1\nDepto 2', '_x0041_')
    """
    if "_x" in text:
        text = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
        if not text.isascii():  # two escapes may stand for one character
            text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\r\n", "\n") if "\r" in text else text


def shared_texts(archive: ZipFile, name: str) -> list[str]:
    """Read the texts that cells share."""
    return [text_of(item) for items in children(archive, name, "sst") for item in items]


def text_of(item: Element) -> str:
    """Read a text without its formats, and without notes on its pronunciation."""
    texts = []
    for child in item:
        name = local(child.tag)
        if name == "t":
            texts.append(child.text or "")
        elif name == "r":
            texts += [part.text or "" for part in child if local(part.tag) == "t"]
    return unescaped("".join(texts))
