"""Contacts of a phone or a mail program: vCard 2.1, 3.0 and 4.0.

vobject reads these too, but has had no release since 2024, gives up the whole file at one broken
photo, and shows the line in its errors.
"""

import codecs
import quopri
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Final

import attrs

from connectus_async.errors import InvalidArgumentError
from connectus_async.recipients.cells import Cell, is_blank
from connectus_async.recipients.sources._source import MAX_ROW_CHARACTERS, Line, Source
from connectus_async.recipients.sources._text import TextLines
from connectus_async.recipients.sources.encodings import CP1252, find_encoding
from connectus_async.recipients.sources.packed import PackedFile
from connectus_async.recipients.sources.reading import Reading

COLUMNS: Final = ("FN", "GIVEN_NAME", "FAMILY_NAME", "TEL", "EMAIL", "ORG")
BETWEEN: Final = " ::: "
"""Divides several numbers or addresses of a contact, as in the exports of Google Contacts."""

_READ: Final = frozenset({"FN", "N", "TEL", "EMAIL", "ORG", "BEGIN", "END", "VERSION"})
_BEGIN: Final = re.compile(r"BEGIN[ \t]*:[ \t]*VCARD[ \t]*", re.IGNORECASE)
_NAME: Final = re.compile(r"(?:[\w-]+\.)?([\w-]+)[ \t]*[;:]")
_PROPERTY: Final = re.compile(
    r'(?:[\w-]+\.)?(?P<name>[\w-]+)[ \t]*(?P<parameters>(?:;(?:[^";:]|"[^"]*")*)*):(?P<value>.*)',
    re.DOTALL,
)
_PARAMETER: Final = re.compile(r';((?:[^";]|"[^"]*")*)')
_PART: Final = re.compile(r"((?:[^\\;]|\\.)*)(?:;|\Z)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_TYPES: Final = ("TYPE", "ENCODING", "")


@attrs.frozen(kw_only=True)
class VCardFile(Source):
    """A file of contacts, each of them a row.

    Of several numbers, that of the only mobile phone counts; of several addresses, the only
    preferred one. Otherwise the cell has all of them, which is no recipient.

    Attributes:
        file: The file.
        encoding: Its encoding.
        found: What was assumed about it, a sentence each.
    """

    file: PackedFile
    encoding: str
    found: Sequence[str] = ()

    @classmethod
    def open(cls, file: PackedFile, reading: Reading) -> "VCardFile":
        """Check that a file begins with a contact. Blocking.

        Raises:
            InvalidArgumentError: It does not, or cannot be read.
        """
        name = file.path.name
        encoding = find_encoding(file, reading.encoding)
        text = TextLines(file, encoding.name)
        with closing(iter(text)) as lines:
            first = next((line for line in lines if not is_blank(line)), "")
        if _BEGIN.fullmatch(first.rstrip("\r\n")) is None:
            raise InvalidArgumentError(name, "is no file of contacts: it must begin as BEGIN:VCARD")
        return cls(
            name=name, columns=COLUMNS, file=file, encoding=encoding.name, found=encoding.notes
        )

    def notes(self) -> Sequence[str]:
        """Tell what was assumed about the file."""
        return self.found

    def lines(self) -> Generator[Line, None, None]:
        """Read the contacts. Blocking."""
        text = TextLines(self.file, self.encoding)
        with closing(_unfolded(text)) as lines:
            contact: _Contact | None = None
            for number, line in lines:
                if contact is None:
                    contact = _Contact()
                    contact.add(line)
                    if not contact.is_begun:
                        raise InvalidArgumentError(
                            self.name, f"has something on line {number} that is in no contact"
                        )
                elif contact.add(line):
                    yield Line(number, contact.cells())
                    contact = None
            if contact is not None:
                cut = "is cut off by the end of the file; the file may be incomplete"
                yield Line(text.number, InvalidArgumentError("row", cut))


@attrs.frozen
class _Property:
    """A property of a contact.

    Attributes:
        name: Its name in upper case.
        parameters: Each name and value in upper case; the name may be left out in vCard 2.1.
        value: Its value, which may be encoded.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    value: str

    @classmethod
    def parse(cls, line: str) -> "_Property | None":
        match = _PROPERTY.fullmatch(line)
        if match is None:
            return None
        parameters: list[tuple[str, str]] = []
        for parameter in _PARAMETER.findall(match["parameters"]):
            name, equals, values = parameter.upper().partition("=")
            key = name.strip() if equals else ""
            parameters += [
                (key, value.strip(' "')) for value in (values if equals else name).split(",")
            ]
        return cls(match["name"].upper(), tuple(parameters), match["value"])

    def has(self, word: str) -> bool:
        """Tell whether it is of a type, such as CELL, or in an encoding."""
        return any((name, word) in self.parameters for name in _TYPES)

    @property
    def is_preferred(self) -> bool:
        return self.has("PREF") or any(name == "PREF" for name, _ in self.parameters)

    def text(self) -> str:
        """Decode the value.

        Raises:
            InvalidArgumentError: It is not in its encoding.
        """
        if self.has("B") or self.has("BASE64"):
            raise InvalidArgumentError(self.name, "is in Base64, which is not read")
        if not self.has("QUOTED-PRINTABLE"):
            return self.value
        charset = next((value for name, value in self.parameters if name == "CHARSET"), "UTF-8")
        try:
            is_latin_1 = codecs.lookup(charset).name == "iso8859-1"
            value = quopri.decodestring(self.value.encode("ascii"))
            return value.decode(CP1252 if is_latin_1 else charset)
        except (UnicodeError, LookupError):
            raise InvalidArgumentError(self.name, "is not in the encoding that it names") from None


@attrs.define
class _Contact:
    """A contact as far as it was read."""

    properties: list[_Property] = attrs.field(factory=list)
    error: InvalidArgumentError | None = None
    is_begun: bool = False
    _is_binary: bool = False
    _length: int = 0

    def add(self, line: str) -> bool:
        """Add a line; tell whether it is the last one."""
        found = _Property.parse(line)
        if found is None:
            if not self._is_binary:  # old phones do not indent the lines of a photo
                self.error = InvalidArgumentError("row", "has a line that is not vCard")
            return False
        self._is_binary = found.has("BASE64") or found.has("B")
        if found.name == "BEGIN":
            if self.is_begun:
                self.error = InvalidArgumentError("row", "has another contact within it")
            self.is_begun = _BEGIN.fullmatch(line) is not None
        elif found.name in _READ:
            self._keep(found)
        return found.name == "END"

    def _keep(self, found: _Property) -> None:
        self._length += len(found.value)
        if self._length > MAX_ROW_CHARACTERS:
            self.error = InvalidArgumentError(
                "row", f"has more than {MAX_ROW_CHARACTERS:,} characters"
            )
        else:
            self.properties.append(found)

    def cells(self) -> dict[str, Cell] | InvalidArgumentError:
        """Make a row of it."""
        if self.error is not None:
            return self.error
        try:
            family, given = [*map(_plain, _PART.findall(self._first("N"))), ""][:2]
            full = _plain(self._first("FN")) or f"{given} {family}".strip()
            tel = self._one("TEL", [it for it in self._all("TEL") if it.has("CELL")])
            email = self._one("EMAIL", [it for it in self._all("EMAIL") if it.is_preferred])
            organisation = _plain(_PART.findall(self._first("ORG"))[0])
        except InvalidArgumentError as error:
            return error
        return dict(zip(COLUMNS, (full, given, family, tel, email, organisation), strict=True))

    def _all(self, name: str) -> list[_Property]:
        return [it for it in self.properties if it.name == name]

    def _first(self, name: str) -> str:
        return next((it.text() for it in self._all(name)), "")

    def _one(self, name: str, better: Sequence[_Property]) -> str:
        """Give the value of a name: that of the better ones, if there are any."""
        values = [_plain(it.text()) for it in better or self._all(name)]
        by_form = {_form(value): value for value in reversed(values) if value}
        return BETWEEN.join(reversed(by_form.values()))


def _plain(text: str) -> str:
    """Take away escapes, and the scheme of vCard 4.0."""
    text = _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], text).strip()
    scheme = re.match(r"(tel|mailto):", text, re.IGNORECASE)
    return text if scheme is None else text[scheme.end() :]


def _form(value: str) -> str:
    """Write a number or an address in the form that its spellings share."""
    return value.casefold() if "@" in value else re.sub(r"[^\d+]", "", value) or value


@attrs.define
class _Folded:
    """A line, with the lines that continue it. Of a property that is not read, only the first."""

    number: int
    parts: list[str]
    _last: str
    is_read: bool
    _is_quoted: bool

    @classmethod
    def begin(cls, number: int, line: str) -> "_Folded":
        """Begin with the first line."""
        name, head = _NAME.match(line), line.partition(":")[0].upper()
        is_read = name is None or name[1].upper() in _READ
        return cls(number, [line], line, is_read, "QUOTED-PRINTABLE" in head)

    def take(self, line: str, *, keeps_blank: bool) -> bool:
        """Add a line if it continues this one; tell whether it does."""
        is_soft = self._is_quoted and self._last.endswith("=")
        if not is_soft and line[:1] not in {" ", "\t"}:
            return False
        if self.is_read:
            if is_soft:
                self.parts[-1] = self.parts[-1].removesuffix("=")
            self.parts.append(line if is_soft or keeps_blank else line[1:])
        self._last = line
        return True


def _unfolded(text: TextLines) -> Generator[tuple[int, str], None, None]:
    """Read the lines with those that continue them, each with the number of the first."""
    current: _Folded | None = None
    is_old = False
    with closing(iter(text)) as lines:
        for line in lines:
            stripped = line.rstrip("\r\n")
            if current and current.take(stripped, keeps_blank=is_old):
                if not current.is_read:  # a photo may be longer than a row
                    text.begin_row()
                continue
            text.begin_row()
            if current:
                whole = "".join(current.parts)
                if whole.upper().startswith("VERSION:"):
                    is_old = "2.1" in whole  # folded at a blank, which stays
                yield current.number, whole
            current = _Folded.begin(text.number, stripped) if stripped.strip() else None
    if current:
        yield current.number, "".join(current.parts)
