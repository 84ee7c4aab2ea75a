"""Base class of all services: sends calls through a transport."""

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from connectus_async.answer import Answer
from connectus_async.call import Call, Host

if TYPE_CHECKING:
    from connectus_async.transport import Transport

AnswerT = TypeVar("AnswerT", bound=Answer)


class Service:
    """Calls of one product. Use the services of a client, as in ``connectus.sms``."""

    _host: ClassVar[Host] = Host.PLATFORM

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def _get(
        self,
        path: str,
        answer: type[AnswerT],
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        **ids: str,
    ) -> Coroutine[Any, Any, AnswerT]:
        call = Call("GET", path, self._host, ids, query or {}, body)
        return self._transport.send(call, answer)

    def _post(
        self, path: str, answer: type[AnswerT], body: Mapping[str, Any] | bytes, **ids: str
    ) -> Coroutine[Any, Any, AnswerT]:
        return self._transport.send(Call("POST", path, self._host, ids, {}, body), answer)

    def _patch(
        self, path: str, answer: type[AnswerT], body: Mapping[str, Any], **ids: str
    ) -> Coroutine[Any, Any, AnswerT]:
        return self._transport.send(Call("PATCH", path, self._host, ids, {}, body), answer)


def given(**members: Any) -> dict[str, Any]:
    """Return the members that are not ``None``, as a request body."""
    return {name: value for name, value in members.items() if value is not None}
