"""Time zone rules: the choice between system and package, and the warning."""

import datetime as dt
import logging
import pickle
import zoneinfo
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from connectus_async import ConfigurationError, tz_database
from connectus_async.recipients import quiet_hours
from connectus_async.recipients.quiet_hours import QuietHours

JULY = dt.datetime(2025, 7, 1, 12, tzinfo=dt.UTC)
TODAY = dt.date(2026, 11, 30)


def written(offset_hours: int) -> bytes:
    """A file of a zone whose clocks never change."""
    kinds = (offset_hours * 3600).to_bytes(4, "big", signed=True) + b"\0\0" + b"OLD\0"
    counts = b"".join(number.to_bytes(4, "big") for number in (0, 0, 0, 0, 1, 4))
    block = b"TZif2" + b"\0" * 15 + counts + kinds
    return block + block + f"\n<OLD>{-offset_hours}\n".encode()


FAKED = ["America/Asuncion", "America/Coyhaique", "America/Own", "America/Santiago"]
CACHES = [
    (tz_database, "_found"),
    (tz_database, "_prefers_package"),
    (quiet_hours, "_warn_of_old_rules"),
    (quiet_hours, "_zones_known"),
]


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A system's database, as empty as a test wants it; the real one is remembered as it was."""
    for module, name in CACHES:
        monkeypatch.setattr(module, name, lru_cache(getattr(module, name).__wrapped__))
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    zoneinfo.ZoneInfo.clear_cache(only_keys=FAKED)
    try:
        yield tmp_path
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache(only_keys=FAKED)


def put(system: Path, zones: dict[str, int], version: str = "", file: str = "tzdata.zi") -> None:
    for name, offset in zones.items():
        path = system / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(written(offset))
    if version:
        (system / file).write_text(f"# version {version}\n" if "zi" in file else f"{version}\n")


@pytest.fixture
def packaged(tmp_path_factory, monkeypatch: pytest.MonkeyPatch):
    """The package tzdata, of a version and with the zones that a test wants."""

    def install(version: str | None, zones: dict[str, int]) -> None:
        folder = tmp_path_factory.mktemp("packaged")
        put(folder / "zoneinfo", zones)
        monkeypatch.setattr(
            tz_database, "import_module", lambda _: SimpleNamespace(IANA_VERSION=version)
        )
        monkeypatch.setattr(tz_database.resources, "files", lambda _: folder)

    return install


ASUNCION = "America/Asuncion"


def hours(name: str) -> float:
    offset = JULY.astimezone(tz_database.zone(name)).utcoffset()
    return offset.total_seconds() / 3600


@pytest.mark.parametrize(
    ("of_system", "of_package", "used"),
    [
        ("2024a", "2025b", -3),
        ("2025b", "2025a", -4),
        ("2025b", "2025b", -4),
        ("2025z", "2025za", -3),
        ("", "2025a", -3),
        ("2024a", None, -4),
    ],
)
def test_the_newer_rules_count(system, packaged, of_system: str, of_package: str, used: int):
    """The system's do where both are as new; the package's where the system does not tell."""
    put(system, {ASUNCION: -4}, of_system)
    packaged(of_package, {ASUNCION: -3})

    assert hours(ASUNCION) == used


def test_a_version_is_told_in_another_file_too(system, packaged):
    """As on macOS."""
    put(system, {ASUNCION: -4}, "2024b", "+VERSION")

    assert tz_database.system_version() == (2024, 1, "b")


def test_a_zone_that_only_the_system_has_is_found(system, packaged):
    """Although the package is newer."""
    put(system, {"America/Own": -5}, "2024a")
    packaged("2026a", {})

    assert hours("America/Own") == -5


@pytest.mark.parametrize("name", ["", "America", "../America/Asuncion", "/etc/passwd", "\0", 5, []])
def test_what_is_no_zone_is_refused(system, packaged, name: object):
    """A name leads to no other file, and nothing is taken instead."""
    put(system, {ASUNCION: -4}, "2024a")
    packaged("2026a", {ASUNCION: -3})

    with pytest.raises(ConfigurationError, match="is unknown here"):
        tz_database.zone(name)


def test_a_zone_of_the_package_can_be_pickled(system, packaged):
    """As those of the system can: a moment goes to another process with it."""
    put(system, {ASUNCION: -4}, "2024a")
    packaged("2026a", {ASUNCION: -3})
    moment = JULY.astimezone(tz_database.zone(ASUNCION))

    assert pickle.loads(pickle.dumps(moment)) == moment
    assert str(moment.tzinfo) == ASUNCION


GOOD = {ASUNCION: -3, "America/Coyhaique": -3}


@pytest.mark.parametrize(
    ("zones", "version", "today", "said"),
    [
        (GOOD, "2025b", TODAY, None),
        (GOOD, "", TODAY, None),
        (GOOD | {ASUNCION: -4}, "2024a", TODAY, "of 2024a"),
        (GOOD | {ASUNCION: -4}, "", TODAY, "of an unknown version"),
        ({ASUNCION: -3}, "2025a", TODAY, "of 2025a"),
        (GOOD, "2025b", dt.date(2026, 12, 31), None),
        (GOOD, "2025b", dt.date(2027, 1, 1), "of 2025b"),
    ],
)
def test_rules_that_are_too_old_are_told(system, packaged, zones, version, today, said):
    """Those that are known to be wrong, by what they say, and those of which a year is missing."""
    put(system, zones, version)
    packaged(None, {})
    trouble = tz_database.trouble(today)

    assert trouble is None if said is None else f"{said}; countries have changed" in trouble
    assert said is None or "pip install -U tzdata" in trouble


def test_quiet_hours_warn_of_old_rules_once(system, packaged, caplog: pytest.LogCaptureFixture):
    """A message that leaves an hour too early is worth a line."""
    put(system, GOOD | {ASUNCION: -4, "America/Santiago": -4}, "2024a")
    packaged(None, {})
    with caplog.at_level(logging.WARNING, "connectus_async"):
        for _ in range(3):
            QuietHours.parse("21:00-08:00").load()

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "quiet hours: the time zone rules on this machine are of 2024a" in caplog.text


def test_a_zone_that_is_missing_is_never_santiago(system, packaged):
    """Who asks for it hears that; a campaign stops rather than ring at the wrong hour."""
    put(system, {"America/Santiago": -4}, "2024a")
    packaged(None, {})

    with pytest.raises(ConfigurationError, match="'America/Coyhaique' is unknown here"):
        QuietHours.parse("21:00-08:00").until("56672211234", JULY)
