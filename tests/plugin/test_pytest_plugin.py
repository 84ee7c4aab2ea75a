"""The plugin of pytest, in projects of its users: each is a run of pytest of its own."""

from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

PLAIN = """
    from connectus_async import Connectus

    def test_a_message_is_sent(connectus_emulator):
        with Connectus() as connectus:  # as an application makes it
            connectus.sms.send("56987688060", "Hola Ana")
        connectus_emulator.assert_sent(to="+56 9 8768 8060", containing="Ana")

    def test_another_test_knows_nothing_of_it(connectus_emulator, connectus):
        connectus_emulator.assert_not_sent()
        assert connectus.account.get()
"""

DJANGO = """
    import django
    from django.conf import settings
    from django.http import HttpResponse
    from django.test import Client
    from django.urls import path
    from connectus_async import Connectus

    def welcome(request):
        with Connectus() as connectus:
            connectus.sms.send("56987688060", "Hola de Django")
        return HttpResponse()

    urlpatterns = [path("welcome", welcome)]
    settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="none")
    django.setup()

    def test_a_view_sends(connectus_emulator):
        assert Client().get("/welcome").status_code == 200
        connectus_emulator.assert_sent(containing="Django", times=1)
"""

FLASK = """
    from flask import Flask
    from connectus_async import Connectus

    app = Flask(__name__)

    @app.get("/welcome")
    def welcome():
        with Connectus() as connectus:
            return {"id": connectus.sms.send("56987688060", "Hola de Flask").id}

    def test_a_view_sends(connectus_emulator):
        sent = app.test_client().get("/welcome").json
        assert connectus_emulator.assert_sent(containing="Flask").id == sent["id"]
"""

FASTAPI = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from connectus_async import AsyncConnectus

    @asynccontextmanager
    async def lifespan(app):
        async with AsyncConnectus() as app.state.connectus:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/welcome")
    async def welcome():
        receipt = await app.state.connectus.sms.send("56987688060", "Hola de FastAPI")
        return {"id": receipt.id}

    def test_an_endpoint_sends(connectus_emulator):
        with TestClient(app) as client:
            assert client.get("/welcome").status_code == 200
        connectus_emulator.assert_sent(containing="FastAPI")
"""

ANYIO = """
    import pytest

    @pytest.mark.anyio
    async def test_a_client_of_the_loop(async_connectus, connectus_emulator):
        await async_connectus.sms.send("56987688060", "Hola")
        connectus_emulator.assert_sent()

    @pytest.fixture
    def anyio_backend():
        return "asyncio"
"""

ASYNCIO = """
    import pytest

    @pytest.mark.asyncio
    async def test_a_client_of_the_loop(async_connectus, connectus_emulator):
        await async_connectus.sms.send("56987688060", "Hola")
        connectus_emulator.assert_sent()
"""

FAULTS = """
    import pytest
    from connectus_async import Outcome, RejectedError
    from connectus_async.emulator import Fault

    @pytest.mark.connectus_fault(Fault.status(402), route="sms.send", times=1)
    def test_a_fault_is_in_effect(connectus):
        with pytest.raises(RejectedError):
            connectus.sms.send("56987688060", "Hola")
        connectus.sms.send("56987688060", "Hola")

    def test_time_stands_still(connectus, connectus_emulator, connectus_clock):
        receipt = connectus.sms.send("56987688060", "Hola")
        assert connectus_emulator.status_of(receipt.id) == "EN_COLA"
        connectus_clock.advance(3)
        assert connectus_emulator.status_of(receipt.id) == "ENTREGADO"

    def test_it_shows_what_was_sent_instead(connectus, connectus_emulator):
        connectus.sms.send("56987688060", "Hola")
        with pytest.raises(AssertionError) as caught:
            connectus_emulator.assert_sent(to="56987688061", containing="Chao")
        assert str(caught.value) == (
            "no message to 56987688061 containing 'Chao' was sent; sent was:\\n"
            "  sms to 56987688060: 'Hola'"
        )
        with pytest.raises(AssertionError, match="1 messages, not 2, was sent"):
            connectus_emulator.assert_sent(times=2)
        with pytest.raises(AssertionError, match="sent was:"):
            connectus_emulator.assert_not_sent(to=56987688060)
"""

NAMES = """
    import connectus_async

    def test_names_are_found():
        assert connectus_async.Sms("56987688060", "Hola")
        assert not {"builtins", "rewrite"} & set(connectus_async.__all__)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose warnings are errors, as ours are."""
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:asyncio\n")
    return pytester


def write(project: pytest.Pytester, **modules: str) -> None:
    project.makepyfile(**{f"test_{name}": dedent(text) for name, text in modules.items()})


def test_applications_of_all_kinds_are_tested(project: pytest.Pytester):
    """Django, Flask, FastAPI, and plain code: blocking and async, without a thread of their own."""
    write(project, plain=PLAIN, django=DJANGO, flask=FLASK, fastapi=FASTAPI, faults=FAULTS)
    project.runpytest_subprocess("-p", "no:anyio").assert_outcomes(passed=8)


def test_tests_that_anyio_runs_have_a_client_of_their_loop(project: pytest.Pytester):
    """It is closed there."""
    write(project, client=ANYIO)
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_tests_that_pytest_asyncio_runs_have_a_client_of_their_loop(pytester: pytest.Pytester):
    """In its strict mode, too."""
    pytester.makeini(
        "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    )
    write(pytester, client=ASYNCIO)
    pytester.runpytest_subprocess("-p", "no:anyio").assert_outcomes(passed=1)


def test_it_works_in_several_processes(project: pytest.Pytester):
    """Each test has an emulator with a port of its own."""
    write(project, plain=PLAIN, other=PLAIN)
    project.runpytest_subprocess("-n", "2").assert_outcomes(passed=4)


def test_it_can_be_turned_off(project: pytest.Pytester):
    """By its name."""
    write(project, plain=PLAIN)
    result = project.runpytest_subprocess("-p", "no:connectus")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*fixture 'connectus_emulator' not found*"])


def test_it_loads_nothing_until_it_is_used(project: pytest.Pytester):
    """Neither this package's client nor aiohttp."""
    write(
        project,
        nothing="""
            import sys

            def test_nothing_is_loaded():
                assert "connectus_async.pytest_plugin" in sys.modules
                assert not {"aiohttp", "connectus_async.client"} & set(sys.modules)
        """,
    )
    project.runpytest_subprocess("-p", "no:anyio").assert_outcomes(passed=1)


def test_an_installed_package_is_found_where_pytest_rewrites_its_assertions(
    project: pytest.Pytester,
):
    """It rewrites all modules of a plugin that a wheel installed, and adds imports to each."""
    project.makeconftest("import pytest; pytest.register_assert_rewrite('connectus_async')")
    write(project, names=NAMES)
    project.runpytest_subprocess("-p", "no:connectus").assert_outcomes(passed=1)
