"""The blocking client in the views of Django, Flask and FastAPI, under their own test clients."""

import django_project  # noqa: F401 - before anything of Django is used
import flask
import pytest
from anyio.from_thread import start_blocking_portal
from django.http import JsonResponse
from django.test import Client, override_settings
from django.urls import path
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from connectus_async import Connectus, ConnectusError, InvalidArgumentError, Outcome
from connectus_async.emulator import Emulator, Fault

pytestmark = pytest.mark.both("the blocking client runs on either loop")

SMS = {"to": "56987688060", "text": "Hola"}
STATUSES = {Outcome.REJECTED: 422, Outcome.NOT_SENT: 503, Outcome.UNKNOWN: 502}


def status_of(error):
    return 400 if isinstance(error, InvalidArgumentError) else STATUSES[error.outcome]


def django_post(connectus):
    def view(request):
        try:
            receipt = connectus.sms.send(request.POST["to"], request.POST["text"])
        except ConnectusError as error:
            return JsonResponse({"outcome": error.outcome}, status=status_of(error))
        return JsonResponse({"id": receipt.id})

    def post(sms):
        with override_settings(ROOT_URLCONF=(path("sms", view),)):
            response = Client().post("/sms", sms)
        return response.status_code, response.json()

    return post


def flask_post(connectus):
    app = flask.Flask(__name__)

    @app.post("/sms")
    def view():
        receipt = connectus.sms.send(flask.request.form["to"], flask.request.form["text"])
        return {"id": receipt.id}

    @app.errorhandler(ConnectusError)
    def failed(error):
        return {"outcome": error.outcome}, status_of(error)

    def post(sms):
        response = app.test_client().post("/sms", data=sms)
        return response.status_code, response.json

    return post


def fastapi_app():
    app = FastAPI()

    @app.exception_handler(ConnectusError)
    def failed(_request, error):
        return JSONResponse({"outcome": error.outcome}, status_of(error))

    return app


def fastapi_post(app):
    def post(sms):
        response = TestClient(app).post("/sms", params=sms)
        return response.status_code, response.json()

    return post


def fastapi_sync_post(connectus):
    app = fastapi_app()

    @app.post("/sms")
    def view(to: str, text: str):
        return {"id": connectus.sms.send(to, text).id}

    return fastapi_post(app)


def fastapi_async_post(connectus):
    """Post to a route that blocks its own loop, which is unwise but has to work."""
    app = fastapi_app()

    @app.post("/sms")
    async def view(to: str, text: str):
        return {"id": connectus.sms.send(to, text).id}

    return fastapi_post(app)


@pytest.fixture
def emulator():
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(Emulator()) as emulator,
    ):
        yield emulator


@pytest.fixture
def connectus(emulator):
    with Connectus(
        emulator.api_user, emulator.api_key, base_url=emulator.base_url, max_retries=0
    ) as connectus:
        yield connectus


@pytest.fixture(params=[django_post, flask_post, fastapi_sync_post, fastapi_async_post])
def post(request, connectus):
    """Post a form to a view that sends it."""
    return request.param(connectus)


def test_a_view_sends(emulator, post):
    """The answer is the receipt's."""
    status, answer = post(SMS)

    assert status == 200
    assert [message.id for message in emulator.received] == [answer["id"]]


@pytest.mark.parametrize(
    ("fault", "status", "outcome"),
    [
        (Fault.status(402), 422, "rejected"),
        (Fault.too_many(), 503, "not_sent"),
        (Fault.reset_after(), 502, "unknown"),
    ],
    ids=["rejected", "not sent", "unknown"],
)
def test_a_failure_is_answered_by_its_outcome(emulator, post, fault, status, outcome):
    """The view's status says whether it is worth trying again."""
    emulator.fault(fault)
    assert post(SMS) == (status, {"outcome": outcome})


def test_an_argument_that_cannot_be_sent(emulator, post):
    """It is the visitor's mistake, and nothing is sent."""
    assert post(SMS | {"to": "nobody"}) == (400, {"outcome": "not_sent"})
    assert not emulator.requests
