"""The encoding of a text file: one decision for the whole file, before any of it is used.

The order is: what the user says, a byte order mark, UTF-8 if all of it is UTF-8, and else cp1252,
which Excel writes. cp1252 fits almost any bytes, so it is refused where cp850 (MS-DOS) or Mac Roman
explain more of them as letters of Spanish and Portuguese.
"""

# ruff: noqa: RUF001 - signs that look like others are what the tables are about

import codecs
import re
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.encoding import UTF_8
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.packed import PackedFile

CP1252: Final = "cp1252"
MOST_SHOWN: Final = 8
HEAD_BYTES: Final = 4_096

_MARKS: Final = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as that of UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS: Final = ("cp850", "mac-roman")
_LETTERS: Final = frozenset("áéíóúüñÁÉÍÓÚÜÑãõâêôàçÃÕÂÊÔÀÇ")
_KNOWN: Final = _LETTERS | frozenset("¿¡ºª°«»·´“”‘’–—…•€™®©½¼\N{NO-BREAK SPACE}")

_LIKELY: Final = re.compile("[\u00a0-\u017f\u2010-\u2044\u20ac\u2190-\u2bff\U0001f000-\U0001faff]")
"""Letters of Western languages, punctuation and emoji."""

_ASCII: Final = bytes(range(0x80))
_ADDED: Final = re.compile(rb"[\x80-\x9f]")
_SIGNS: Final = frozenset("¡‘’“”–—…".encode(CP1252))
_SIGN_IN_A_WORD: Final = re.compile(
    b"(?<=[A-Za-z])[" + re.escape(bytes(sorted(_SIGNS))) + b"](?=[a-z])"
)
_CUT: Final = re.compile(rb"[\xc2\xc3]|..+", re.DOTALL)
"""The beginning of a character of UTF-8; another byte alone may be a letter of cp1252."""


@attrs.frozen
class Encoding:
    """The encoding of a file.

    Attributes:
        name: Its name for Python.
        notes: What was assumed, a sentence each, without words of the file.
    """

    name: str
    notes: tuple[str, ...] = ()


def find_encoding(file: PackedFile, said: str | None) -> Encoding:
    """Find the encoding of a file. Blocking: it reads all of it, unless the user says it.

    Args:
        file: The file.
        said: The encoding by the user's word. latin-1 stands for cp1252, as in a browser: it has
            control characters where cp1252 has quotes and dashes, and nobody writes these.

    Raises:
        InvalidArgumentError: The file cannot be read, mixes encodings, or is probably in one that
            the user must say.
    """
    if said is not None:
        return _said(file, said)
    with file.opened() as content:
        head = content.read(HEAD_BYTES)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if marked is not None:
        return Encoding(marked)
    if _is_utf_8(file):
        return Encoding(UTF_8)
    if b"\0" in head:
        raise InvalidArgumentError(
            file.path.name, "has a null byte; it is not text, or has another encoding"
        )
    return _cp1252(file)


def _said(file: PackedFile, said: str) -> Encoding:
    try:
        is_latin_1 = codecs.lookup(said).name == "iso8859-1"
    except (LookupError, ValueError):
        return Encoding(said)  # refused when it is read
    if not is_latin_1:
        return Encoding(said)
    if not any(map(_ADDED.search, file.chunks())):
        return Encoding(CP1252)
    note = f"{file.path.name} is read as cp1252: it has characters that latin-1 does not have"
    return Encoding(CP1252, (note,))


def _is_utf_8(file: PackedFile) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with closing(file.chunks()) as chunks:
            for chunk in chunks:
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


@attrs.define
class _Bytes:
    """Bytes beyond ASCII in a file that is not UTF-8.

    Attributes:
        counts: Their number by value.
        signs_in_words: Number of signs within a word, if the file is cp1252.
        utf_8: Number of characters of UTF-8.
        likely: Number of those that people write; others are bytes of two letters by chance.
        others: Number of bytes that are in none.
        rest: The beginning of a character of UTF-8 at the end of the file.
    """

    counts: Counter[int] = attrs.field(factory=Counter)
    signs_in_words: int = 0
    utf_8: int = 0
    likely: int = 0
    others: int = 0
    rest: bytes = b""

    @classmethod
    def of(cls, file: PackedFile) -> "_Bytes":
        """Count those of a file."""
        found, decoder = cls(), codecs.getincrementaldecoder("utf-8")("surrogateescape")
        with closing(file.chunks()) as chunks:
            for chunk in chunks:
                found._add(chunk, decoder.decode(chunk))
        found.rest, _ = decoder.getstate()
        return found

    def _add(self, chunk: bytes, text: str) -> None:
        valid = text.encode("utf-8", "ignore").decode()
        self.others += len(text) - len(valid)
        self.utf_8 += len(valid) - len(valid.encode("ascii", "ignore"))
        self.likely += len(_LIKELY.findall(valid))
        new = Counter(chunk.translate(None, _ASCII))
        self.counts += new
        if not _SIGNS.isdisjoint(new):
            self.signs_in_words += len(_SIGN_IN_A_WORD.findall(chunk))

    @property
    def is_mixed(self) -> bool:
        """Whether a part of the file is UTF-8."""
        return self.likely > 0 or self.utf_8 > self.others

    @property
    def is_cut(self) -> bool:
        """Whether the file ends within a character of UTF-8, rather than with a letter."""
        return not self.others and _CUT.fullmatch(self.rest) is not None

    def characters(self, encoding: str) -> Mapping[str, int]:
        """Count the characters that they are in an encoding of one byte each."""
        return {
            bytes([byte]).decode(encoding, "replace"): count
            for byte, count in self.counts.most_common()
        }

    def known(self, encoding: str) -> int:
        """Count the characters that people write in Spanish and Portuguese."""
        counts = self.characters(encoding).items()
        found = sum(count for character, count in counts if character in _KNOWN)
        return found - self.signs_in_words if encoding == CP1252 else found

    def shown(self, encoding: str) -> str:
        """Show the characters, the most frequent first. They are no personal data."""
        characters = list(self.characters(encoding))
        shown = ", ".join(map(_shown, characters[:MOST_SHOWN]))
        return shown + ", …" * (len(characters) > MOST_SHOWN)


def _cp1252(file: PackedFile) -> Encoding:
    name, found = file.path.name, _Bytes.of(file)
    if found.is_cut:
        raise InvalidArgumentError(
            name, "ends within a character of UTF-8; the file may be incomplete"
        )
    if found.is_mixed:
        utf_8, other = _first_line(file, _has_utf_8), _first_line(file, _has_other)
        raise InvalidArgumentError(
            name,
            f"is UTF-8 on line {utf_8} but not on line {other}; save it in one encoding, or specify"
            " it, such as --encoding cp1252",
        )
    likely = max((CP1252, *_OTHERS), key=found.known)
    if likely != CP1252:
        raise InvalidArgumentError(
            name,
            f"is not UTF-8, and may be {likely}, whose characters would be {found.shown(likely)};"
            f" in cp1252 they would be {found.shown(CP1252)}: specify its encoding, such as"
            f" --encoding {likely}",
        )
    if "\N{REPLACEMENT CHARACTER}" in found.characters(CP1252):
        line = _first_line(file, _is_not_cp1252)
        raise InvalidArgumentError(
            name, f"is neither UTF-8 nor cp1252 (line {line}); specify its encoding"
        )
    note = (
        f"{name} is not UTF-8, so it is read as cp1252: its characters beyond ASCII are"
        f" {found.shown(CP1252)}"
    )
    return Encoding(CP1252, (note,))


def _first_line(file: PackedFile, test: Callable[[bytes], bool]) -> int:
    """Find the number of the first line that passes a test."""
    text = TextLines(file, "latin-1")
    with closing(iter(text)) as lines:
        for line in lines:
            if test(line.encode("latin-1")):
                break
            text.begin_row()
    return text.number


def _has_utf_8(line: bytes) -> bool:
    text = line.decode("utf-8", "ignore")
    return _LIKELY.search(text) is not None or (not text.isascii() and text.encode() == line)


def _has_other(line: bytes) -> bool:
    return line.decode("utf-8", "ignore").encode() != line


def _is_not_cp1252(line: bytes) -> bool:
    return line.decode(CP1252, "ignore").encode(CP1252) != line


def _shown(character: str) -> str:
    is_visible = character.isprintable() and not character.isspace()
    return character if is_visible else f"U+{ord(character):04X}"
