"""Makes messages from the rows of a source."""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import methodcaller
from typing import Any, Final, Literal, Self

import anyio.to_thread
import attrs

from connectus_async import arguments
from connectus_async.arguments import ToDigits
from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.products.email import Email
from connectus_async.products.messages import Message, Row
from connectus_async.products.sms import Sms
from connectus_async.products.whatsapp import WhatsApp
from connectus_async.recipients.cells import Cell, is_blank, written_value
from connectus_async.recipients.columns import column_of
from connectus_async.recipients.number_writing import numbers_in
from connectus_async.recipients.sources import Line, Source
from connectus_async.recipients.templates import Filler
from connectus_async.redaction import masked

TEMPLATE_BYTES: Final = 16

Kind = Literal["sms", "email", "whatsapp"]
Check = Callable[[str, Any], Any]


@attrs.frozen
class Column:
    """Placeholder for the value of a column in each row."""

    name: str


@attrs.frozen
class _Form:
    """The fields of a kind of message, each with its check."""

    message: Callable[..., Message]
    to: tuple[str, Check]
    texts: Mapping[str, Check]
    source: tuple[str, Check]
    needs_source: bool


_FORMS: Final = {
    "sms": _Form(
        message=Sms,
        to=("dst_number", arguments.phone_number),
        texts={"sms_content": arguments.sms_content},
        source=("src_number", arguments.source_number),
        needs_source=False,
    ),
    "email": _Form(
        message=Email,
        to=("dst_email", arguments.email_address),
        texts={"subject": arguments.line, "email_content": arguments.email_content},
        source=("src_email", arguments.email_address),
        needs_source=True,
    ),
    "whatsapp": _Form(
        message=WhatsApp,
        to=("dst_number", arguments.phone_number),
        texts={"whatsapp_content": arguments.whatsapp_content},
        source=("src_number", arguments.phone_number),
        needs_source=True,
    ),
}
_TEXTS: Final = ("sms_content", "whatsapp_content", "subject", "email_content")
_SOURCES: Final = ("src_number", "src_email")


def default_recipient(kind: str) -> str:
    """Name the column of the recipients of a kind of message, if no other is chosen."""
    return _FORMS[kind].to[0]


@attrs.frozen(kw_only=True)
class Composer:
    """Makes a message from each row of a source, with the same checks as the call that sends it.

    A `Column` is read from each row, which must have a value there. Any other value is the same in
    all messages.

    Attributes:
        kind: The kind of message: ``"sms"``, ``"email"`` or ``"whatsapp"``.
        to: The column of the recipient; ``dst_number`` or ``dst_email`` if left out.
        sms_content: The text of an SMS.
        whatsapp_content: The text of a WhatsApp message.
        subject: The subject of an email.
        email_content: The HTML of an email.
        src_number: The sender's number of an SMS or a WhatsApp message; for an SMS, the account's
            default if left out.
        src_email: The sender's address of an email.
        id_delivery: The delivery that the messages belong to.
        id_client: The sub-client that pays.
        key: The column that identifies a message; its content does if left out.
        normalise: Reduces a number to its E.164 digits, as `phone_numbers.normaliser` does.
        transliterate: Rewrites the text of an SMS, as `transliteration.to_gsm7` does.
        first_number: Of several numbers in a cell, the first valid one is taken; otherwise such a
            row is an error.

    Raises:
        ConfigurationError: An option is missing, or does not apply to the kind.
        InvalidArgumentError: A fixed value is not valid.
    """

    kind: Kind
    to: str | None = None
    sms_content: Filler | None = None
    whatsapp_content: Filler | None = None
    subject: Filler | None = None
    email_content: Filler | None = None
    src_number: str | int | Column | None = attrs.field(default=None, repr=masked)
    src_email: str | Column | None = attrs.field(default=None, repr=masked)
    id_delivery: str | Column | None = None
    id_client: str | Column | None = None
    key: str | None = None
    normalise: ToDigits | None = None
    transliterate: Callable[[str], str] | None = None
    first_number: bool = False
    _form: _Form = attrs.field(
        init=False, repr=False, default=attrs.Factory(methodcaller("_find_form"), takes_self=True)
    )
    _texts: Mapping[str, Filler] = attrs.field(
        init=False, repr=False, default=attrs.Factory(methodcaller("_find_texts"), takes_self=True)
    )
    _fixed: Mapping[str, object] = attrs.field(
        init=False, repr=False, default=attrs.Factory(methodcaller("_check_fixed"), takes_self=True)
    )
    _columns: Mapping[str, str] = attrs.field(
        init=False,
        repr=False,
        default=attrs.Factory(methodcaller("_find_columns"), takes_self=True),
    )

    def _find_form(self) -> _Form:
        form = _FORMS.get(self.kind)
        if form is None:
            raise ConfigurationError("kind", f"must be one of {', '.join(_FORMS)}")
        return form

    def _find_texts(self) -> Mapping[str, Filler]:
        wanted = self._form.texts
        for name in _TEXTS:
            self._check_presence(name, needed=name in wanted, known=name in wanted)
        return {name: getattr(self, name) for name in wanted}

    def _check_fixed(self) -> Mapping[str, object]:
        source, _ = self._form.source
        for name in _SOURCES:
            is_known = name == source
            self._check_presence(name, needed=is_known and self._form.needs_source, known=is_known)
        for name in ("normalise", "transliterate"):
            is_known = self.kind == "sms" or (name == "normalise" and self.kind == "whatsapp")
            self._check_presence(name, needed=False, known=is_known)
        if self.first_number and self.kind == "email":
            raise ConfigurationError("first_number", f"does not apply when kind is {self.kind}")
        return {
            name: check(name, getattr(self, name))
            for name, check in self._others.items()
            if not isinstance(getattr(self, name), Column)
        }

    def _find_columns(self) -> Mapping[str, str]:
        given = ((name, getattr(self, name)) for name in self._others)
        return {name: value.name for name, value in given if isinstance(value, Column)}

    @property
    def recipient(self) -> str:
        """The column of the recipient."""
        return self._form.to[0] if self.to is None else self.to

    @property
    def fixed(self) -> Mapping[str, Any] | None:
        """The fields that are the same in all messages; ``None`` if others come from columns."""
        return None if self._columns else self._fixed

    @property
    def template(self) -> str:
        """Hash of all that makes the contents, but for the rows."""
        texts = {name: filler.source for name, filler in self._texts.items()}
        document = json.dumps([self.kind, texts, self.transliterate is not None], sort_keys=True)
        return hashlib.blake2b(document.encode(), digest_size=TEMPLATE_BYTES).hexdigest()

    def bound(self, columns: Sequence[str]) -> Self:
        """Find every column that a message needs, as `find_column` does.

        Args:
            columns: The columns of the source.

        Returns:
            The composer of rows with these columns.

        Raises:
            InvalidArgumentError: A column is missing, or may be several; the error names the field
                that needs it.
        """
        find = partial(column_of, columns=columns)
        found: dict[str, Any] = {"to": find("to", self.recipient)}
        if self.key is not None:
            found["key"] = find("key", self.key)
        found |= {name: Column(find(name, column)) for name, column in self._columns.items()}
        found |= {name: filler.bound(columns) for name, filler in self._texts.items()}
        return attrs.evolve(self, **found)

    def compose(self, line: Line) -> Row:
        """Make the message of a row, or a row with the error that prevents it."""
        cells = line.cells
        if isinstance(cells, InvalidArgumentError):
            return Row(line.number, cells)
        key = None
        try:
            key = self.key_of(cells)
            return Row(line.number, self._message(cells), key=key)
        except InvalidArgumentError as error:
            return Row(line.number, error, key=key)

    def key_of(self, cells: Mapping[str, Cell]) -> str | None:
        """Read the key of a row; ``None`` if the messages have none of their own.

        Raises:
            InvalidArgumentError: It cannot be one; the error names the column.
        """
        if self.key is None:
            return None
        return arguments.identifier(self.key, _cell(cells, self.key))

    async def batches(self, source: Source) -> AsyncIterator[Sequence[Row]]:
        """Find the columns of a source, and make messages from its rows in worker threads.

        Yields:
            Batches of some hundred rows; the source is never read ahead.

        Raises:
            InvalidArgumentError: The source lacks a column, or cannot be read further.
        """
        bound = self.bound(source.columns)
        async for lines in source.batches():
            yield await anyio.to_thread.run_sync(_compose_all, bound, lines)

    async def rows(self, source: Source) -> AsyncIterator[Row]:
        """Like `batches`, one row at a time."""
        async for batch in self.batches(source):
            for row in batch:
                yield row

    @property
    def _others(self) -> Mapping[str, Check]:
        name, check = self._form.source
        return {
            name: check,
            "id_delivery": arguments.optional_identifier,
            "id_client": arguments.optional_identifier,
        }

    def _check_presence(self, name: str, *, needed: bool, known: bool) -> None:
        is_given = getattr(self, name) is not None
        if needed and not is_given:
            raise ConfigurationError(name, f"is required when kind is {self.kind}")
        if is_given and not known:
            raise ConfigurationError(name, f"does not apply when kind is {self.kind}")

    def _message(self, cells: Mapping[str, Cell]) -> Message:
        fields = {self._form.to[0]: self._recipient(cells), **self._fixed}
        for name, filler in self._texts.items():
            text = filler.fill(cells)
            if self.transliterate is not None:
                text = self.transliterate(text)
            fields[name] = self._form.texts[name](name, text)
        for name, column in self._columns.items():
            fields[name] = self._others[name](column, _cell(cells, column))
        return self._form.message(**fields)

    def _recipient(self, cells: Mapping[str, Cell]) -> object:
        column = self.recipient
        value = arguments.whole(_cell(cells, column))
        try:
            return self._checked(column, value)
        except InvalidArgumentError:
            if not self.first_number or not isinstance(value, str):
                raise
            for number in numbers_in(column, value):
                with suppress(InvalidArgumentError):
                    return self._checked(column, number)
            raise

    def _checked(self, column: str, value: Any) -> object:
        is_number = isinstance(value, str | int) and not isinstance(value, bool)
        if self.normalise is not None and is_number:
            value = self.normalise(column, value)
        return self._form.to[1](column, value)


def _compose_all(composer: Composer, lines: Sequence[Line]) -> list[Row]:
    return [composer.compose(line) for line in lines]


def _cell(cells: Mapping[str, Cell], column: str) -> Any:
    """Return a value as written: a number that a spreadsheet stored as a float stays a float."""
    value = cells.get(column)
    if is_blank(value):
        raise InvalidArgumentError(column, "is empty in this row")
    return written_value(column, value)
