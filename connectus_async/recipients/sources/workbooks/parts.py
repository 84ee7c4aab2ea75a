"""Parts of zipped workbooks: opened with limits, and parsed as XML piece by piece."""

import re
from collections.abc import Iterator, Sequence
from typing import Final
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser
from xml.parsers import expat
from zipfile import ZipFile

from connectus_async.errors import InvalidArgumentError

LARGE: Final = 64 * 2**20
MAX_PACKED: Final = 500
"""Maximum compression ratio of a large part; Excel's own parts have about 10."""

MAX_KEPT: Final = 256 * 2**20
"""Maximum bytes of a part that is kept in memory, such as the shared strings."""

_KEPT: Final = re.compile(r"(sharedStrings|styles)\.(xml|bin)$", re.IGNORECASE)

PIECE: Final = 2**16
PIECE_OVERLAP: Final = 16
MAX_PIECES: Final = 64
"""Maximum pieces of XML that one element has; it bounds memory, whatever a part contains."""

BETWEEN: Final = "}"
"""Sign between a namespace and a name."""


class DamagedError(Exception):
    """A part is not what it should be."""


def check_parts(file: str, archive: ZipFile) -> None:
    """Refuse a workbook that unpacks into too much.

    Args:
        file: The name of the workbook, for error messages.
        archive: The workbook.

    Raises:
        InvalidArgumentError: It does.
    """
    for part in archive.infolist():
        is_bomb = part.file_size > LARGE and part.file_size > MAX_PACKED * part.compress_size
        is_kept = _KEPT.search(part.filename) is not None
        if is_bomb or (is_kept and part.file_size > MAX_KEPT):
            raise too_large(file)


def too_large(file: str) -> InvalidArgumentError:
    """Make the error for a workbook that does not fit into memory."""
    return InvalidArgumentError(file, "is too large when unpacked; save the sheet as CSV")


def elements(archive: ZipFile, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Read the local names and the attributes of the elements of a part, in order.

    Raises:
        DamagedError: The part is not there, or is not XML.
    """
    found: list[tuple[str, dict[str, str]]] = []
    reader = expat.ParserCreate(namespace_separator=BETWEEN)
    reader.StartDoctypeDeclHandler = _refuse
    reader.StartElementHandler = lambda tag, given: found.append((local(tag), given))
    for piece in _pieces(archive, name):
        reader.Parse(piece, not piece)
        yield from found
        found.clear()


def growing(archive: ZipFile, name: str) -> Iterator[tuple[Element, bool]]:
    """Parse a part piece by piece, into a tree whose reader removes what it has read.

    Args:
        archive: The workbook.
        name: The name of the part.

    Yields:
        After each piece: a parent of the root, and whether the tree is complete. If it is not, the
        last element of each level may still grow.

    Raises:
        DamagedError: The part is not there, or has definitions of entities.
        ParseError: It is not XML.
    """
    builder = TreeBuilder()
    top = builder.start("", {})
    reader = XMLParser(target=builder)  # noqa: S314 - definitions of entities are refused
    for piece in _without_definitions(_pieces(archive, name)):
        if piece:
            reader.feed(piece)
        else:
            reader.close()
        yield top, not piece


def children(archive: ZipFile, name: str, parent: str) -> Iterator[Sequence[Element]]:
    """Read the children of an element, some hundred at a time; what comes after it is dropped.

    Args:
        archive: The workbook.
        name: The name of the part.
        parent: The local name of the element: the root, or a child of the root.

    Raises:
        DamagedError: The part is not there, or has a child of excessive length.
        ParseError: It is not XML.
    """
    pieces_a_child = 0
    for top, is_complete in growing(archive, name):
        found, is_closed = _find(top, parent)
        whole = found[:] if is_complete or is_closed else found[:-1]
        yield whole
        del found[: len(whole)]
        pieces_a_child = 0 if whole or is_closed else pieces_a_child + 1
        if pieces_a_child > MAX_PIECES:
            raise DamagedError


def _find(top: Element, parent: str) -> tuple[Element, bool]:
    """Find an element, and tell whether it is complete. What comes after it is dropped."""
    for root in top:
        if local(root.tag) == parent:
            return root, False
        for place, child in enumerate(root):
            if local(child.tag) == parent:
                is_closed = place < len(root) - 1
                for later in root[place + 1 :]:
                    later.clear()
                del root[place + 1 : -1]
                return child, is_closed
    return Element(""), False


def contains(archive: ZipFile, name: str, words: Sequence[bytes]) -> bool:
    """Tell whether a part may contain one of some words; it certainly does not if ``False``.

    Raises:
        DamagedError: The part is not there.
    """
    before = b""
    for piece in _pieces(archive, name):
        joined = before + piece
        if b"\0" in piece or any(word in joined for word in words):  # UTF-16 has null bytes
            return True
        before = piece[-PIECE_OVERLAP:]
    return False


def _pieces(archive: ZipFile, name: str) -> Iterator[bytes]:
    """Read a part in pieces, the last of which is empty."""
    try:
        file = archive.open(name)
    except KeyError:
        raise DamagedError from None
    with file:
        while piece := file.read(PIECE):
            yield piece
    yield b""


def _without_definitions(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Refuse XML with definitions of entities, which come before its root."""
    reader = expat.ParserCreate()
    began: list[str] = []
    reader.StartDoctypeDeclHandler = _refuse
    reader.StartElementHandler = lambda tag, _: began.append(tag)
    for piece in parts:
        if not began:
            reader.Parse(piece, not piece)
        yield piece


def _refuse(*_: object) -> None:
    raise DamagedError


def local(name: str) -> str:
    """Return a name without its namespace."""
    return name.rpartition(BETWEEN)[2]
