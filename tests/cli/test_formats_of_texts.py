"""Formats of a campaign's texts: chosen by its region or its locale, and kept by its ledger."""

import pytest


@pytest.fixture
def amounts(tmp_path):
    path = tmp_path / "amounts.csv"
    path.write_text("dst_number;monto\n987688060;15000\n987688061;2500,5\n", "utf-8")
    return path


def texts(server) -> list[str]:
    return sorted(message.content for message in server.received)


@pytest.mark.parametrize(
    ("options", "written"),
    [
        (("--region", "CL"), ["$15.000", "$2.501"]),
        (("--region", "CL", "--locale", "es_MX"), ["$15,000", "$2,501"]),
    ],
)
def test_formats_are_those_of_the_region_or_the_locale(run, server, amounts, options, written):
    """The recipients read numbers as their country writes them."""
    run("bulk", "send", amounts, "--text", "${monto:,.0f}", *options)

    assert texts(server) == written


def test_a_resumed_campaign_keeps_its_formats(run, server, amounts):
    """The ledger has the locale."""
    options = ("--region", "CL", "--locale", "es_MX", "--jinja", "--budget", 1)
    text = "{{ monto|format_currency('MXN') }}"
    run("bulk", "send", amounts, "--text", text, *options)

    run("bulk", "resume", f"{amounts}.ledger.db", "--budget", 9)

    assert texts(server) == ["$15,000.00", "$2,500.50"]


def test_formats_of_jinja_are_those_of_the_region_too(run, server, amounts, tmp_path):
    """Also when the rows are exported with their columns."""
    text = "{{ monto|format_currency('CLP') }}"
    run("bulk", "send", amounts, "--text", text, "--jinja", "--region", "CL")

    exported = run("bulk", "export", f"{amounts}.ledger.db", tmp_path / "rows.csv", "--original")

    assert texts(server) == ["$15.000", "$2.501"]
    assert exported.exit_code == 0


def test_a_format_without_a_country_names_the_option(run, server, amounts):
    """Nothing is sent with separators that were guessed."""
    result = run("bulk", "send", amounts, "--text", "{monto:,.0f}")

    assert result.exit_code == 2
    assert "--locale es_CL" in result.stderr
    assert server.received == []


def test_an_unknown_locale_is_one_sentence(run, server, amounts):
    """It stops before any row."""
    result = run("bulk", "send", amounts, "--text", "{monto:,.0f}", "--locale", "chile")

    assert result.exit_code == 2
    assert "--locale: is not a language and its country" in result.stderr
    assert server.received == []
