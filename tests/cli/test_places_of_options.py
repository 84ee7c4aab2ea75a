"""An option of a campaign is written once: its other places follow it, or a test here fails."""

import datetime as dt
import inspect
import json
import os
from pathlib import Path
from typing import Any

import attrs
import click
import pytest

from connectus_async import AsyncConnectus, Connectus, OnUnknown, QuietHours, SuppressionList
from connectus_async.bulk.options import BulkOptions, PlainForm, plain_forms
from connectus_async.cli.commands.bulk import bulk_reconcile, bulk_resume, bulk_send
from connectus_async.errors import LedgerError
from connectus_async.ledger.states import Edited
from connectus_async.workers.campaign_options import FORMS, CampaignOptions, Settings

LIBRARY_ALONE = {"ledger", "edited", "patience", "wait", "on_event"}
"""The commands name the ledger, edited texts and waiting themselves, and nothing else."""

GIVEN: dict[str, Any] = {
    "campaign": "navidad",
    "concurrency": 7,
    "rate": 2.5,
    "rate_unit": "segments",
    "identity": "recipient",
    "on_unknown": "resend_if_absent",
    "suppress": "stop.txt",
    "quiet_hours": "21:00-08:00",
    "expires_at": "2026-12-24T21:00:00-03:00",
    "budget": 9,
    "forget_content": True,
    "region": "CL",
    "processes": 2,
}
"""A value for each plain option, other than its default."""

OLDER = {
    "campaign": "",
    "identity": "message",
    "concurrency": 64,
    "rate": None,
    "rate_unit": "messages",
    "on_unknown": "hold",
    "suppress": None,
    "quiet_hours": None,
    "expires_at": None,
    "budget": None,
    "forget_content": False,
    "region": None,
    "processes": 1,
}
"""What earlier versions recorded for a campaign without options."""


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "campaign.db"


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    listed = tmp_path / "stop.txt"
    listed.write_text("9 8768 8060\n", "utf-8")
    return {**GIVEN, "suppress": str(listed)}


@pytest.mark.parametrize("client", [AsyncConnectus, Connectus])
def test_the_client_takes_and_documents_every_option(client):
    """Names, order and defaults are those of the fields; editors and checkers see them all."""
    fields = {field.name: field.default for field in attrs.fields(BulkOptions)}
    _, *parameters = inspect.signature(client.bulk).parameters.values()

    assert [*fields.items()] == [(one.name, one.default) for one in parameters]
    assert all(f" {name}: " in client.bulk.__doc__ for name in fields)


def test_every_option_has_a_plain_form_or_is_for_the_library_alone():
    assert {field.name for field in attrs.fields(BulkOptions)} == LIBRARY_ALONE | {
        field.name for field in plain_forms(BulkOptions).values()
    }


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {one.name: one for one in command.params if isinstance(one, click.Option)}


def test_the_commands_take_every_plain_option(ledger):
    """A command that resumes keeps what is fixed, and takes the recorded value of the others."""
    sending, resuming = options_of(bulk_send), options_of(bulk_resume)
    fixed = {name for name, field in FORMS.items() if field.metadata[PlainForm].is_fixed}

    assert FORMS.keys() <= sending.keys()
    assert FORMS.keys() & resuming.keys() == FORMS.keys() - fixed
    assert all(sending[name].help for name in FORMS)
    ledger.touch()
    resumed = bulk_resume.make_context("resume", [str(ledger)]).params
    assert all(resumed[name] is None for name in FORMS.keys() - fixed)
    assert all(
        "Overrides the value used by `bulk send`." in options_of(command)["on_unknown"].help
        for command in (bulk_resume, bulk_reconcile)
    )


def test_a_ledger_records_every_plain_option(ledger, given):
    """Who resumes has the options of the one who began."""
    assert given.keys() == FORMS.keys()
    settings = Settings(**given)
    metadata = {"settings": settings.written(), "name": "navidad", "identity": "recipient"}
    resumed = Settings.read(ledger, metadata)
    options = resumed.options(ledger)

    assert json.loads(settings.written()) == given
    assert resumed.written() == settings.written()
    defaults = CampaignOptions()
    for field in FORMS.values():
        assert getattr(options, field.name) != getattr(defaults, field.name)
    assert options.quiet_hours == QuietHours(dt.time(21), dt.time(8))
    assert options.expires_at == dt.datetime.fromisoformat(given["expires_at"])
    assert "56987688060" in options.suppression
    assert (options.ledger, options.edited) == (ledger, Edited.EVERYONE)


def test_a_ledger_records_every_option_of_the_library(ledger, given, tmp_path):
    """Workers that are asked for help have those of the one who asked, but for what is its own."""
    listed = tmp_path / "stop of the library.txt"
    listed.write_text("56987688060\n", "utf-8")
    os.utime(listed, (0, 0))  # nobody is about to write more
    plain = {name: given[name] for name in plain_forms(BulkOptions)}
    options = BulkOptions(
        ledger=ledger,
        suppression=SuppressionList.read(listed),
        quiet_hours=QuietHours.parse(plain.pop("quiet_hours")),
        expires_at=dt.datetime.fromisoformat(plain.pop("expires_at")),
        patience=7,
        **{name: value for name, value in plain.items() if name != "suppress"},
    )
    metadata = {
        "settings": Settings.of(options).written(),
        "name": options.campaign,
        "identity": options.identity,
    }
    found = Settings.read(ledger, metadata).options(ledger)

    for field in attrs.fields(BulkOptions):
        if field.name != "suppression":
            assert getattr(found, field.name) == getattr(options, field.name)
    assert "56987688060" in found.suppression


def test_what_is_given_now_overrides_what_is_recorded(ledger, given):
    """What is left out stays, as does what the ledger itself is of."""
    metadata = {"settings": json.dumps(given), "name": "navidad", "identity": "recipient"}
    settings = Settings.read(ledger, metadata, rate=5.0, budget=None)
    options = settings.options(ledger)

    assert (options.rate, options.budget) == (5.0, 9)
    assert (settings.concurrency, options.campaign, options.identity) == (7, "navidad", "recipient")


@pytest.mark.parametrize("recorded", [OLDER, {}, {"concurrency": 64, "gone": "since"}])
def test_a_ledger_of_an_earlier_version_is_resumed(ledger, recorded):
    """Options that it did not know have their defaults; those that are gone do not matter."""
    options = Settings.read(ledger, {"settings": json.dumps(recorded)}).options(ledger)

    assert options == CampaignOptions(ledger=ledger)
    assert json.loads(Settings().written()) == OLDER


@pytest.mark.parametrize("recorded", ["{", "7"])
def test_settings_that_cannot_be_read_are_a_damaged_ledger(ledger, recorded):
    with pytest.raises(LedgerError, match=r"campaign\.db: its settings cannot be read"):
        Settings.read(ledger, {"settings": recorded})


def test_the_word_to_send_again_is_recorded_for_one_time():
    """The next command holds what has become unknown since, unless it repeats the word."""
    assert json.loads(Settings(on_unknown=OnUnknown.RESEND.value).written())["on_unknown"] == "hold"
