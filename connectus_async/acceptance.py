"""Meaning of a 2xx: the API accepted the request, rejected it, or sent an unreadable answer."""

import re
from collections.abc import Mapping
from typing import Any, Final

from connectus_async._body import decoded_text
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, Response
from connectus_async.converter import names_message
from connectus_async.redaction import looks_personal, scrubbed

MOST_PLAIN_CHARACTERS: Final = 500
"""Maximum length of a plain text that counts as an answer, where answers are not documented."""

MOST_QUOTED_CHARACTERS: Final = 80
_MOST_SEARCHED_BYTES: Final = 4096


def _spelled(*names: str) -> frozenset[str]:
    return frozenset(form for name in names for form in (name, name.capitalize(), name.upper()))


_ERROR: Final = _spelled("error", "errors", "error_code", "error_message") | {
    "errorCode",
    "errorMessage",
}
_SUCCESS: Final = _spelled("success", "ok")
_STATUS: Final = _spelled("status")
_CODE: Final = _spelled("code", "status_code") | {"statusCode"}
_TELLING: Final = _ERROR | _SUCCESS | _STATUS | _CODE
_TELLING_MORE: Final = _TELLING - {"status"}
_REFUSING_DIGITS: Final = frozenset("45")

_NO_CONTENT: Final[dict[str, Any]] = {}
_NOTHING: Final = frozenset({"", "false", "no", "none", "null", "ok"})
_FAILED: Final = _spelled(
    *("denied", "error", "fail", "failed", "failure", "fallido", "ko", "nok", "rechazado"),
    "rejected",
)
"""None of them is a documented status of the API."""

_TITLE: Final = re.compile(r"<(title|h1)\b[^>]{0,200}>([^<]{1,2000})", re.IGNORECASE)
_CODE_NUMBER: Final = re.compile(r"\d{4,}")
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]{1,40}/[\w.+-]{1,40}", re.ASCII)


def error_in(json: Any, answer: type[Answer], *, is_query: bool) -> Any:
    """Find the error in the JSON of a 2xx: the object that contains it, or ``None``.

    A message with an identifier was accepted, whatever else the answer says. The answer to a query
    may contain the errors and status of a message, so it is an error only if it reports one about
    itself.

    Args:
        json: The JSON.
        answer: The type of the call's answer.
        is_query: Whether the call is a query, which changes nothing.
    """
    if type(json) is dict:
        names_one = names_message(answer)  # type: ignore[arg-type]  # as in `converter`
        if names_one and json.get("id_sms") and type(json["id_sms"]) is str:
            return None  # most answers: no further check needed
        status = json.get("status", "")
        has_status = type(status) is str and status not in _FAILED
        is_plain = has_status and status[:1] not in _REFUSING_DIGITS
        if is_plain and (is_query or len(json) > 1) and _TELLING_MORE.isdisjoint(json):
            return None
        error = _error_of(json, is_query=is_query)
        is_excused = names_one or (is_query and not _is_one(error))
        return None if is_excused and _names_one(error) else error
    if isinstance(json, list) and not is_query:
        members = (member for member in json if isinstance(member, dict))
        found = (error_in(member, answer, is_query=False) for member in members)
        return next((error for error in found if error is not None), None)
    return None


def _error_of(json: dict[str, Any], *, is_query: bool) -> dict[str, Any] | None:
    """Find an error in an object, or in the only object inside it."""
    for part in (json,) if is_query else (json, _content(json)):
        for name in _TELLING.intersection(part):
            if _says_error(name, part[name], is_query=is_query):
                return part
    return None


def _content(json: dict[str, Any]) -> dict[str, Any]:
    if len(json) != 1:
        return _NO_CONTENT
    (content,) = json.values()
    return content if isinstance(content, dict) else _NO_CONTENT


def _says_error(name: str, value: Any, *, is_query: bool) -> bool:
    if name in _ERROR:
        return _is_something(value)
    if name in _SUCCESS:
        return value is False or (isinstance(value, str) and value.lower() == "false")
    if is_query:
        return False
    if name in _STATUS and isinstance(value, bool | str):
        return value is False or value in _FAILED or http_status(value) is not None
    return http_status(value) is not None


def http_status(value: Any) -> int | None:
    """Parse an HTTP status of a failure, which some APIs put into their JSON."""
    if isinstance(value, str) and len(value) == 3 and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 400 <= value < 600 else None


def is_server_error(error: Mapping[str, Any]) -> bool:
    """Distinguish a server failure, which may come after acting, from a rejection."""
    codes = (http_status(value) for name, value in error.items() if name in _CODE | _STATUS)
    return any(code is not None and code >= 500 for code in codes)


def _names_one(json: Mapping[str, Any] | None) -> bool:
    """Tell whether an object has the identifier of a message."""
    return json is not None and any(_is_identifier(json.get(key)) for key in MESSAGE_ID_KEYS)


def _is_one(json: Mapping[str, Any] | None) -> bool:
    """Distinguish an error from a message that has errors."""
    return json is not None and _is_something(json.get("error"))


def _is_identifier(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value)
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_something(value: Any) -> bool:
    """Tell whether an error field is set; some APIs write ``"0"`` or empty lists for no error."""
    if isinstance(value, str):
        text = value.strip().lower()
        return text not in _NOTHING and bool(text.strip("0"))
    if isinstance(value, list):
        return any(value)
    if isinstance(value, Mapping):
        return any(value.values())
    return bool(value)


def detail(json: Any) -> str | None:
    """Extract the server's message from its JSON."""
    if not isinstance(json, Mapping):
        return None
    for name in ("error", "errors", "error_message", "errorMessage", "message", "detail"):
        value = json.get(name)
        if isinstance(value, list) and value:
            value = value[0]
        if isinstance(value, str) and value:
            return value
    return None


def is_plain_answer(response: Response) -> bool:
    """Tell whether a body is a short plain text, which may be an answer, and not a web page."""
    if len(response.body) > 4 * MOST_PLAIN_CHARACTERS:
        return False
    text = decoded_text(response.body, response.headers.get("Content-Type", "")).strip()
    if not 0 < len(text) <= MOST_PLAIN_CHARACTERS or text[0] in "<{[" or "\ufffd" in text:
        return False
    first = re.split(r"\W", text, maxsplit=1)[0].lower()
    is_shown = all(sign.isprintable() or sign.isspace() for sign in text)
    return is_shown and first not in _FAILED


def described(response: Response, sent: object) -> str:
    """Describe a body without personal data: its media type, its length, and its HTML title.

    A text without a title is not quoted, since it may be a message.

    Args:
        response: The response.
        sent: The content of the request, which the response may echo.
    """
    content_type = response.headers.get("Content-Type", "")
    kind = _MEDIA_TYPE.match(content_type)
    name = kind[0].lower() if kind and not looks_personal(kind[0]) else "no type"
    facts = f"{name}, {len(response.body):,} bytes"
    from html import unescape  # noqa: PLC0415 - 2,000 entities, needed only here

    title = _TITLE.search(decoded_text(response.body[:_MOST_SEARCHED_BYTES], content_type))
    quoted = _CODE_NUMBER.sub("…", scrubbed(unescape(title[2]).strip(), sent)) if title else ""
    if len(quoted) > MOST_QUOTED_CHARACTERS:
        quoted = quoted[:MOST_QUOTED_CHARACTERS].rstrip("…") + "…"
    return f"{facts}, titled “{quoted}”" if quoted else facts
