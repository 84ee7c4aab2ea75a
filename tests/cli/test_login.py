"""Credentials: where they are stored, and which of several are used."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from terminal import Terminal

from connectus_async.cli import env_file, profiles
from connectus_async.cli.credentials import Choice, Place
from connectus_async.emulator import Emulator

USER, KEY, TOKEN = "CONNECTUS_API_USER", "CONNECTUS_API_KEY", "CONNECTUS_QR_TOKEN"
NOBODY = {USER: None, KEY: None}
SMS = ("sms", "send", "56987688060", "Hola")


class Safe(KeyringBackend):
    """A keyring like that of a desktop, in memory."""

    priority = 5

    def __init__(self, *, is_locked: bool = False) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = is_locked

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.is_locked:
            raise keyring.errors.KeyringLocked
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Plain(Safe):
    """A keyring that the library does not recommend, such as one of plain text."""

    priority = 0.5


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the profiles, in a folder that the login makes."""
    path = tmp_path / "settings" / "profiles.toml"
    monkeypatch.setenv("CONNECTUS_PROFILES_FILE", str(path))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    return path


@pytest.fixture
def use() -> Iterator[Callable[[KeyringBackend], None]]:
    """Let the library have another keyring."""
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


@pytest.fixture(autouse=True)
def no_keyring(use):
    use(Plain())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder; what its `.env` has leaves the environment after the test."""
    monkeypatch.chdir(tmp_path)
    names = (*env_file.ROUTE, USER, KEY, TOKEN, "CONNECTUS_PROFILE", "CONNECTUS_LANG", "OTHER")
    for name in names:
        monkeypatch.setenv(name, "")
    yield tmp_path
    (tmp_path / ".env").unlink(missing_ok=True)
    env_file.load({})


def typed(server: Emulator, key: str | None = None) -> bytes:
    return f"{server.api_user}\n{key or server.api_key}\n".encode()


def test_a_login_is_used_by_later_commands(run, server, file):
    """Its file is its owner's alone, and the address of the API belongs to the key."""
    assert run(*SMS, **NOBODY).exit_code == 1
    result = run("login", stdin=typed(server), **NOBODY)

    assert result.exit_code == 0
    assert result.stdout == (
        f"The API accepts the key of Emulated SpA.\n"
        f"The profile default is stored in {file}, which only you can read.\n"
    )
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert run(*SMS, **NOBODY, CONNECTUS_BASE_URL=None).exit_code == 0
    assert len(server.received) == 1


def test_sender_processes_get_the_key_of_a_profile(run, server, file, recipients):
    """It is in no environment that they could inherit."""
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    result = run("bulk", "send", recipients, "--text", "Hola", "--processes", 2, **NOBODY)
    assert result.exit_code == 0, result.output
    assert len(server.received) == 3


def test_a_key_that_the_api_refuses_is_not_stored(run, server, file):
    """Nor one that could not be checked, or that was not typed."""
    wrong = run("login", stdin=typed(server, "mistyped"), **NOBODY)
    assert (wrong.exit_code, "nothing was stored" in wrong.stderr) == (1, True)
    away = {"CONNECTUS_BASE_URL": "http://127.0.0.1:9/api_v3"}
    assert run("login", stdin=typed(server), **NOBODY, **away).exit_code == 1
    none = run("login", stdin=b"user\n", **NOBODY)
    assert (none.exit_code, "there is no terminal" in none.stderr) == (2, True)
    assert not file.exists()


def test_a_key_is_not_shown_while_it_is_typed(server, environment, file):
    """At a terminal; Ctrl-D there stores nothing."""
    environment = {**environment, USER: "", KEY: ""}
    terminal = Terminal("login", environment=environment)
    terminal.read_until("API user: ")
    terminal.write(f"{server.api_user}\n")
    terminal.read_until("API key: ")
    terminal.write(f"{server.api_key}\n")
    assert terminal.ended() == 0
    assert server.api_user in terminal.shown
    assert server.api_key not in terminal.shown
    terminal.close()

    before = file.read_bytes()
    terminal = Terminal("login", environment=environment)
    terminal.read_until("API user: ")
    terminal.write("\x04")
    assert terminal.ended() == 130
    assert "nothing was stored" in terminal.shown
    assert file.read_bytes() == before
    terminal.close()


def test_a_keyring_has_the_key_and_the_file_has_not(run, server, file, use):
    """Until the logout; `--in-file` moves it to the file."""
    safe = Safe()
    use(safe)
    result = run("login", stdin=typed(server), **NOBODY)
    assert "its key in the keyring" in result.stdout
    assert server.api_key not in file.read_text("utf-8")
    assert [*safe.kept.values()] == [server.api_key]
    assert run(*SMS, **NOBODY).exit_code == 0

    assert run("login", "--in-file", stdin=typed(server), **NOBODY).exit_code == 0
    assert server.api_key in file.read_text("utf-8")
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    assert run("logout").exit_code == 0
    assert not safe.kept
    assert run(*SMS, **NOBODY).exit_code == 1
    assert len(server.received) == 1


def test_a_keyring_that_fails_is_no_reason_to_lose_the_key(run, server, file, use):
    """At the login the file has it instead; later, the command says what to do."""
    use(Safe(is_locked=True))
    assert "which only you can read" in run("login", stdin=typed(server), **NOBODY).stdout
    use(Safe())
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    use(Safe(is_locked=True))
    result = run(*SMS, **NOBODY)
    assert result.exit_code == 1
    assert "the keyring does not give the key of default: unlock it" in result.stderr


def test_the_token_of_whatsapp_qr_joins_the_profile(run, server, file):
    """It is checked against its own host."""
    url = {"CONNECTUS_QR_BASE_URL": server.qr_base_url}
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    assert run("login", "--qr", stdin=b"wrong\n", **NOBODY, **url).exit_code == 1
    token = f"{server.qr_token}\n".encode()
    assert run("login", "--qr", stdin=token, **NOBODY, **url).exit_code == 0
    assert run("whatsapp-qr", "status", **NOBODY).exit_code == 0
    assert run(*SMS, **NOBODY).exit_code == 0


def test_a_profile_by_its_name(run, server, file):
    """The option precedes the environment, which precedes a profile that nobody named."""
    assert run("login", "--profile", "sandbox", stdin=typed(server), **NOBODY).exit_code == 0
    sandbox = ("--profile", "sandbox")
    wrong = {KEY: "mistyped"}
    assert run("account", **NOBODY).exit_code == 1
    assert run("account", *sandbox, **NOBODY).exit_code == 0
    assert run("account", **NOBODY, CONNECTUS_PROFILE="sandbox").exit_code == 0
    assert run("account", **wrong, CONNECTUS_PROFILE="sandbox").exit_code != 0
    assert run("account", *sandbox, **wrong).exit_code == 0


def test_a_profile_that_is_not_there(run, server, file):
    """The names of the others are shown; nothing is taken from elsewhere."""
    result = run(*SMS, "--profile", "sandbox")
    assert result.exit_code == 2
    assert "`connectus login --profile sandbox` makes this one" in result.stderr
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    for command in (SMS, ("logout",)):
        result = run(*command, "--profile", "sandbox")
        assert result.exit_code == 2
        assert "there is no sandbox among the profiles default" in result.stderr
    assert "letters, digits" in run(*SMS, "--profile", "a b").stderr
    assert not server.received


def test_a_file_that_others_can_read_is_refused(run, server, file):
    """As by ssh."""
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    file.chmod(0o640)
    result = run(*SMS, **NOBODY)
    assert result.exit_code == 1
    assert f"others can read {file}: chmod 600" in result.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[default\napi_key = 'secret'", "it is not TOML"),
        ("api_key = 'secret'", "it has a setting outside of a profile"),
        ("[default]\napi_keys = 'secret'", "'api_keys' is not a setting"),
        ("[default]\napi_key = 12345678", "it has a setting of the wrong type"),
        ("[default]\nin_keyring = ['secret']", "it has other names than those of secrets"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(run, file, text, problem):
    """It is not overwritten by a login, and its secrets are not shown."""
    file.parent.mkdir()
    file.write_text(text, "utf-8")
    file.chmod(0o600)
    for command in (SMS, ("login",)):
        result = run(*command, stdin=b"", **NOBODY)
        assert result.exit_code == 1
        assert problem in result.stderr
        assert "secret'" not in result.stderr
    assert file.read_text("utf-8") == text


def test_a_value_with_quotes_and_accents_survives(file):
    """What is written is read again, beside the other profiles."""
    settings = {"api_user": 'José "el 1" \\ ok', "api_key": "\N{BLACK HEART SUIT}'#\U0001f600"}
    profiles.write("a", settings, uses_keyring=False)
    profiles.write("b", {"qr_token": "x"}, uses_keyring=False)
    assert profiles.read("a") == settings


def env_text(server: Emulator, **others: str) -> str:
    names = {USER: server.api_user, KEY: server.api_key, **others}
    return "".join(f"{name}='{value}'\n" for name, value in names.items())


def test_a_file_of_the_folder_gives_credentials(run, server, folder, file):
    """What is in the environment precedes it; names of others are not read."""
    text = env_text(server, CONNECTUS_BASE_URL=server.base_url, OTHER="1")
    (folder / ".env").write_text(f"# ours\nexport {text}", "utf-8")
    nobody = {**NOBODY, "CONNECTUS_BASE_URL": None}
    assert run("account", **nobody).exit_code == 0
    assert not env_file.has_added("OTHER")


def test_a_file_of_the_folder_cannot_lead_credentials_away(run, server, folder, file):
    """It may have come with the folder from somebody else."""
    assert run("login", stdin=typed(server), **NOBODY).exit_code == 0
    for name in env_file.ROUTE:
        (folder / ".env").write_text(f"{name}=https://elsewhere.invalid\n", "utf-8")
        without = {name: None}
        for credentials in (NOBODY, {}):
            result = run(*SMS, **(credentials | without))
            assert result.exit_code == 1
            assert f"connectus: {name}: is in .env, but the credentials are not" in result.stderr
    assert not server.received


def test_a_login_does_not_go_where_the_folder_says(run, server, folder, file):
    """The key that is typed is the user's."""
    (folder / ".env").write_text("CONNECTUS_BASE_URL=https://elsewhere.invalid\n", "utf-8")
    result = run("login", stdin=typed(server), **NOBODY, CONNECTUS_BASE_URL=None)
    assert (result.exit_code, file.exists()) == (1, False)


def test_a_profile_of_the_environment_precedes_the_folder(run, server, folder, file):
    """And the folder precedes the profile that nobody named."""
    assert run("login", "--profile", "good", stdin=typed(server), **NOBODY).exit_code == 0
    (folder / ".env").write_text(f"{USER}=x\n{KEY}=mistyped\n", "utf-8")
    assert run("account", **NOBODY).exit_code != 0
    assert run("account", **NOBODY, CONNECTUS_PROFILE="good").exit_code == 0


def test_a_file_of_the_folder_that_is_no_text(run, server, folder):
    """It says so, and not what it has."""
    (folder / ".env").write_bytes(b"CONNECTUS_API_KEY=\xff\xfe\n")
    result = run("account")
    assert result.exit_code == 1
    assert result.stderr == "connectus: .env: is not UTF-8 text; save it as UTF-8\n"


def test_a_choice_shows_no_credentials():
    """Nor does a traceback that has it."""
    choice = Choice(Place.PROFILE, "default", {"api_user": "ana", "api_key": "secret"})
    assert "secret" not in repr(choice)
