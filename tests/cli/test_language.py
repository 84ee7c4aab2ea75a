"""Language of the command line: how it is chosen, and what speaks it."""

from pathlib import Path

import openpyxl
import pytest
from click.testing import CliRunner

from connectus_async.cli import language
from connectus_async.cli.commands import SUMMARIES, connectus
from connectus_async.cli.language import choose
from connectus_async.cli.translated_help import translated

ENGLISH = "Show the account with its numbers and"
SPANISH = "Muestra la cuenta con sus números y"


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch):
    """Leave the tests of others in English."""
    for name in (language.VARIABLE, "LANGUAGE", *language.LOCALE):
        monkeypatch.setenv(name, "en")
    yield
    choose([], {})


@pytest.mark.parametrize(
    ("args", "variables", "tag"),
    [
        ((), {}, "en"),
        (("--lang", "es"), {}, "es"),
        (("--lang=es-MX",), {}, "es_MX"),
        (("account", "--lang", "es"), {"LANG": "en_US.UTF-8"}, "es"),
        (("account", "--", "--lang", "es"), {}, "en"),
        (("--lang", "es", "--lang", "en"), {}, "en"),
        ((), {"CONNECTUS_LANG": "es", "LC_ALL": "en_US.UTF-8"}, "es"),
        ((), {"LC_ALL": "es_CL.UTF-8", "LC_MESSAGES": "en", "LANG": "en"}, "es_CL"),
        ((), {"LC_MESSAGES": "es_PE.UTF-8", "LANG": "en"}, "es_PE"),
        ((), {"LC_ALL": "", "LANG": "es_CL.UTF-8"}, "es_CL"),
        ((), {"LANG": "C.UTF-8"}, "en"),
        ((), {"LANG": "fr_FR.UTF-8"}, "en"),
        ((), {"CONNECTUS_LANG": "fr", "LANG": "es"}, "en"),
        (("--lang", "es", "--json"), {}, "en"),
        (("--lang", "es", "--", "--json"), {}, "es"),
    ],
)
def test_the_language_is_the_one_that_was_asked_for(args, variables, tag):
    """The option comes first, then our variable, then the locale. JSON is the same for all."""
    rest = choose(args, variables)

    assert language.current().tag == tag
    assert rest == [arg for arg in args if arg in {"account", "--", "--json"}] or "--" in args


def test_all_after_two_dashes_is_left():
    """It is no option there."""
    assert choose(["a", "--lang", "es", "--", "--lang", "x"], {}) == ["a", "--", "--lang", "x"]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("account", "--lang", "fr"), "Invalid value for '--lang': there is no 'fr' here, only"),
        (("account", "--lang"), "--lang needs a language."),
    ],
)
def test_a_language_that_is_not_there_is_wrong_usage(args, problem):
    """The error lists those that are."""
    result = CliRunner().invoke(connectus, args)

    assert result.exit_code == 2
    assert f"Error: {problem}" in result.stderr


def test_completion_goes_on_after_half_an_option():
    """A shell asks while the user types."""
    with connectus.make_context("connectus", ["--lang"], resilient_parsing=True) as context:
        assert context.command.name == "connectus"


@pytest.mark.parametrize("args", [["--help"], ["account", "--help"]])
def test_help_speaks_the_language(args):
    """The words of click, too; and English again afterwards."""
    spanish = CliRunner().invoke(connectus, ["--lang", "es", *args]).stdout
    english = CliRunner().invoke(connectus, args).stdout

    assert all(text in spanish for text in ("Uso: connectus", "Opciones:", SPANISH))
    assert all(text in english for text in ("Usage: connectus", "Options:", ENGLISH))


def test_an_error_speaks_the_language():
    """The sentence of the library, and those of click."""
    env = {"CONNECTUS_API_USER": "a", "CONNECTUS_API_KEY": "b", "CONNECTUS_LANG": "es_CL"}
    empty = CliRunner(env=env).invoke(connectus, ["sms", "send", "56987688060", ""])
    wrong = CliRunner(env=env).invoke(connectus, ["sms", "sned"])

    assert empty.stderr == "connectus: SMS_CONTENT: está vacío. No se envió nada.\n"
    assert "No existe el comando 'sned'" in wrong.stderr


@pytest.mark.parametrize("summary", SUMMARIES, ids=lambda summary: summary.name)
def test_the_summary_of_a_command_is_its_own_in_each_language(summary):
    """The whole help begins with it."""
    choose(["--lang", "es"], {})
    short, command = translated(summary), translated(summary.load())

    assert command.get_short_help_str(1_000) == short.get_short_help_str(1_000)


def test_a_campaign_speaks_the_language(run, recipients):
    """From the plan to the page, with the numbers of the country."""
    spanish = {"CONNECTUS_LANG": "es_CL"}
    sent = run("bulk", "send", recipients, "--text", "Hola {name}", **spanish)
    ledger = f"{recipients}.ledger.db"
    page = run("bulk", "report", ledger, **spanish)

    assert (sent.exit_code, page.exit_code) == (0, 0)
    assert "3 de 3 aceptados, 0 rechazados" in sent.stdout
    assert '<html lang="es-CL">' in Path(f"{ledger}.html").read_text("utf-8")


def test_json_is_the_same_in_every_language(run, recipients):
    """Programs read it."""
    sent = ("bulk", "send", recipients, "--text", "Hola {name}", "--json")
    status = ("bulk", "status", f"{recipients}.ledger.db", "--json")
    run(*sent)
    english, spanish = (
        [run(*args, CONNECTUS_LANG=tag).stdout for args in (sent, status)] for tag in ("en", "es")
    )

    assert english == spanish


def test_a_workbook_names_no_two_columns_alike(run, tmp_path):
    """A file may have a column by the name of one of ours in Spanish."""
    file, workbook = tmp_path / "clientes.csv", tmp_path / "estado.xlsx"
    file.write_text("dst_number,estado,línea\n56987688060,viejo,a\n", "utf-8")
    run("bulk", "send", file, "--text", "Hola", CONNECTUS_LANG="es")
    export = ("bulk", "export", f"{file}.ledger.db", workbook, "--original")
    assert run(*export, CONNECTUS_LANG="es").exit_code == 0
    names = [cell.value for cell in openpyxl.load_workbook(workbook).active[1]]

    assert len({*names}) == len(names)
    assert {"estado", "connectus_estado", "línea", "connectus_línea", "motivo"} <= {*names}
