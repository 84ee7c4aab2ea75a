"""Answers that repeat an earlier one, byte for byte, but for the identifier of the message.

In a campaign nearly all do. Such an answer need not be parsed: the result is that of the earlier
one with the other identifier. Everything else, and whatever is in doubt, is parsed in full.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import attrs

from connectus_async import _json
from connectus_async._exchange import RawResponse
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, Response
from connectus_async.converter import AnswerT, names_message

MOST_VAIN: Final = 16
"""Answers of a type to learn from in vain, where each differs in something else as well."""

MOST_BYTES: Final = 2_048
"""Maximum length of an answer to learn; those of a send are much shorter."""

_IDENTIFIER: Final = re.compile(rb"[0-9A-Za-z_-]{1,256}")
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})


@attrs.define(repr=False)
class _Form:
    """Bytes of an answer with any identifier, and the result of parsing them."""

    status: int
    bytes: re.Pattern[bytes]
    key: str
    json: dict[str, Any]
    fields: dict[str, Any]
    was_used: bool = False


class RepeatedAnswers:
    """Memory of the last answer of each type."""

    def __init__(self) -> None:
        self._forms: dict[type[Answer], _Form] = {}
        self._vain: dict[type[Answer], int] = {}

    def read(self, answer: type[AnswerT], raw: RawResponse) -> AnswerT | None:
        """Return the result of an answer that repeats the last one; ``None`` for any other."""
        form = self._forms.get(answer)
        if form is None or raw.status != form.status or raw.encoding or raw.problem:
            return None
        match = form.bytes.fullmatch(raw.body)
        if match is None:
            return None
        form.was_used = True
        identifier = match[1].decode()
        kind: Any = answer
        repeated: AnswerT = kind(
            raw={**form.json, form.key: identifier},
            response=Response(raw.status, raw.headers, raw.body),
            id=identifier,
            **form.fields,
        )
        return repeated

    def learn(
        self, raw: RawResponse, result: Answer, parse: Callable[[RawResponse], Answer]
    ) -> None:
        """Remember an answer.

        Args:
            raw: The answer.
            result: Its result.
            parse: Parses an answer in full, here one with another identifier.
        """
        kind = type(result)
        if not names_message(kind):  # type: ignore[arg-type]  # as in `converter`
            return
        last = self._forms.pop(kind, None)
        vain = 0 if last is not None and last.was_used else self._vain.get(kind, 0) + 1
        self._vain[kind] = vain
        if vain <= MOST_VAIN:
            form = _form(raw, result, parse)
            if form is not None:
                self._forms[kind] = form


def _form(raw: RawResponse, result: Any, parse: Callable[[RawResponse], Answer]) -> _Form | None:
    """Find where an answer has its identifier, and prove it by an answer with another one."""
    json = result.raw
    key = next((key for key in MESSAGE_ID_KEYS if _has(json, key, result.id)), None)
    if key is None or len(raw.body) > MOST_BYTES or raw.encoding or raw.problem:
        return None
    identifier = result.id.encode()
    before, found, after = raw.body.partition(b'"%b"' % identifier)
    if not found or not _IDENTIFIER.fullmatch(identifier):
        return None
    before, after = before + b'"', b'"' + after
    another = b"1" if identifier == b"0" else b"0"
    probe = attrs.evolve(raw, body=before + another + after)
    expected = {**json, key: another.decode()}
    fields = _other_fields(result)
    try:
        proof: Any = parse(probe)
        is_plain = _members(_json.loads(probe.body)) == _members(expected)  # whatever its headers
    except Exception:  # noqa: BLE001 - then it is not understood, and parsed in full
        return None
    is_proven = proof.id == another.decode() and _other_fields(proof) == fields
    if not is_plain or not is_proven or _members(proof.raw) != _members(expected):
        return None
    form = re.compile(re.escape(before) + b"(" + _IDENTIFIER.pattern + b")" + re.escape(after))
    return _Form(raw.status, form, key, json.copy(), fields)


def _has(json: Any, key: str, identifier: str | None) -> bool:
    """Tell whether an object of scalars has an identifier by a name."""
    return (
        type(json) is dict
        and identifier is not None
        and json.get(key) == identifier
        and all(type(value) in _SCALARS for value in json.values())
    )


def _members(json: Any) -> list[tuple[str, Any]]:
    return list(json.items())


def _other_fields(answer: Answer) -> dict[str, Any]:
    names = {field.name for field in attrs.fields(type(answer))} - {"raw", "response", "id"}
    return {name: getattr(answer, name) for name in names}
