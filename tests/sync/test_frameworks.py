"""Views of Django, Flask and FastAPI that send through one blocking client."""

import json
from collections.abc import Callable, Iterator

import django
import flask
import pytest
from anyio.from_thread import start_blocking_portal
from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.test import Client as DjangoClient
from django.urls import path
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient as FastApiClient

from connectus_async import Connectus, ConnectusError, Outcome
from connectus_async.emulator import Emulator, Fault

STATUSES = {Outcome.REJECTED: 422, Outcome.NOT_SENT: 503, Outcome.UNKNOWN: 504}
"""How a view may report what became of its message."""

Post = Callable[[str], tuple[int, dict[str, str]]]

urlpatterns = []
if not settings.configured:
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["testserver"], SECRET_KEY="of-a-test")
    django.setup()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The emulator in a thread of its own, for views that block theirs."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Emulator()) as emulator,
    ):
        yield emulator


@pytest.fixture
def connectus(emulator: Emulator) -> Iterator[Connectus]:
    with Connectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url, backoff_base=0
    ) as connectus:
        yield connectus


def answer(connectus: Connectus, number: str) -> tuple[int, dict[str, str]]:
    """Send what every view sends, and say how it went."""
    try:
        receipt = connectus.sms.send(number, "Hola")
    except ConnectusError as error:
        return STATUSES[error.outcome], {"error": str(error)}
    return 200, {"id": receipt.id}


def django_post(connectus: Connectus) -> Post:
    def view(request: HttpRequest, number: str) -> JsonResponse:
        status, body = answer(connectus, number)
        return JsonResponse(body, status=status)

    urlpatterns[:] = [path("send/<number>", view)]
    client = DjangoClient()

    def post(number: str) -> tuple[int, dict[str, str]]:
        response = client.post(f"/send/{number}")
        return response.status_code, json.loads(response.content)

    return post


def flask_post(connectus: Connectus) -> Post:
    app = flask.Flask(__name__)

    @app.post("/send/<number>")
    def send(number: str) -> tuple[dict[str, str], int]:
        status, body = answer(connectus, number)
        return body, status

    client = app.test_client()

    def post(number: str) -> tuple[int, dict[str, str]]:
        response = client.post(f"/send/{number}")
        return response.status_code, response.get_json()

    return post


def fastapi_post(connectus: Connectus) -> Post:
    app = FastAPI()

    @app.post("/send/{number}")
    def send(number: str) -> JSONResponse:
        status, body = answer(connectus, number)
        return JSONResponse(body, status)

    client = FastApiClient(app)

    def post(number: str) -> tuple[int, dict[str, str]]:
        response = client.post(f"/send/{number}")
        return response.status_code, response.json()

    return post


@pytest.fixture(params=[django_post, flask_post, fastapi_post], ids=["Django", "Flask", "FastAPI"])
def post(request: pytest.FixtureRequest, connectus: Connectus) -> Post:
    return request.param(connectus)


def test_a_view_sends(post: Post, emulator: Emulator):
    """The view blocks until the API has answered, request after request."""
    answers = [post("56987688060"), post("56987688061")]

    assert answers == [(200, {"id": message.id}) for message in emulator.received]
    assert len(emulator.received) == 2


@pytest.mark.parametrize(
    ("fault", "status", "arrived"),
    [(Fault.status(400), 422, 0), (Fault.too_many(), 503, 0), (Fault.reset_after(), 504, 1)],
    ids=["rejected", "not sent", "unknown"],
)
def test_a_view_reports_what_became_of_its_message(
    post: Post, emulator: Emulator, fault: Fault, status: int, arrived: int
):
    """The outcome is all that a view needs to choose its status."""
    emulator.fault(fault, route="sms.send")

    assert post("56987688060")[0] == status
    assert len(emulator.received) == arrived


def test_a_view_refuses_a_bad_number_before_it_is_sent(post: Post, emulator: Emulator):
    """The error names the argument."""
    status, body = post("5698")

    assert status == 503
    assert body["error"].startswith("dst_number: has 4 digits")
    assert not emulator.requests
