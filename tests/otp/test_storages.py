"""Storages of one-time passwords: one step that nobody comes between."""

import sqlite3
import stat
import textwrap
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectus_async.otp import (
    BlockingOtpStorage,
    FileOtpStorage,
    MemoryOtpStorage,
    OtpStorage,
    OtpStorageError,
)
from connectus_async.otp.storage import without_blocking


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> OtpStorage:
    made = (
        MemoryOtpStorage() if request.param == "memory" else FileOtpStorage(tmp_path / "codes.db")
    )
    return without_blocking(made)


async def test_a_value_is_replaced_only_if_it_is_still_the_old_one(storage: OtpStorage):
    """For a change that somebody else came before, nothing is written."""
    assert await storage.get("a") is None
    assert not await storage.replace("a", b"1", b"2", 60)
    assert await storage.replace("a", None, b"1", 60)
    assert not await storage.replace("a", None, b"2", 60)
    assert await storage.replace("a", b"1", b"2", 60)
    assert (await storage.get("a"), await storage.get("b")) == (b"2", None)
    assert await storage.replace("a", b"2", None, 60)
    assert await storage.replace("a", None, None, 60)
    assert await storage.get("a") is None


async def test_a_value_is_gone_after_its_time(storage: OtpStorage):
    """As if it had never been there."""
    assert await storage.replace("a", None, b"1", 0)
    assert await storage.get("a") is None
    assert await storage.replace("a", None, b"2", 60)


async def test_memory_does_not_grow_with_values_whose_time_is_over():
    """Whoever asks for codes of many numbers does not fill it."""
    storage = MemoryOtpStorage()
    for number in range(5_000):
        await storage.replace(str(number), None, b"1", 0)
    assert len(storage._entries) < 1_100


def test_threads_lose_no_change_of_a_file(tmp_path: Path):
    """Each has a connection of its own, as each process has."""

    def add() -> None:
        storage = FileOtpStorage(tmp_path / "codes.db")
        for _ in range(20):
            while True:
                old = storage.get("a")
                if storage.replace("a", old, b"%d" % (int(old or 0) + 1), 60):
                    break

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert FileOtpStorage(tmp_path / "codes.db").get("a") == b"80"


def test_only_its_owner_may_read_a_file(tmp_path: Path):
    """Whatever the umask."""
    FileOtpStorage(tmp_path / "codes.db").replace("a", None, b"1", 60)
    assert stat.S_IMODE((tmp_path / "codes.db").stat().st_mode) == 0o600


def _text(path: Path) -> None:
    path.write_text("name,number\n" * 100)


def _another_program(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id)")
    connection.close()


def _folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [_text, _another_program, _folder])
def test_a_file_that_is_no_storage_is_named_and_left_alone(
    tmp_path: Path, make: Callable[[Path], None]
):
    """Nothing is written into it."""
    path = tmp_path / "codes.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(OtpStorageError, match="storage of one-time passwords: "):
        FileOtpStorage(path).replace("a", None, b"1", 60)
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_the_storage_of_the_documentation_over_django_is_one():
    """A value whose time is over is none, also for a change of none."""
    pytest.importorskip("django")
    import django_project  # noqa: F401, PLC0415 - configures Django
    from django.db import connection, models  # noqa: PLC0415
    from django.utils.timezone import now  # noqa: PLC0415

    class Code(models.Model):  # noqa: DJ008 - nobody sees it
        key = models.CharField(primary_key=True, max_length=64)
        value = models.BinaryField()
        until = models.DateTimeField()

        class Meta:
            app_label = "codes"

    with connection.schema_editor() as editor:
        editor.create_model(Code)
    names: dict[str, Any] = {"Code": Code, "now": now, "timedelta": timedelta}
    _, _, example = str(BlockingOtpStorage.__doc__).partition("Example:")
    exec(textwrap.dedent(example.lstrip("\n")), names)
    storage: BlockingOtpStorage = names["DjangoOtpStorage"]()

    assert storage.get("a") is None
    assert not storage.replace("a", b"1", b"2", 60)
    assert not storage.replace("a", b"1", None, 60)
    assert storage.replace("a", None, None, 60)
    assert storage.replace("a", None, b"1", 60)
    assert not storage.replace("a", None, b"2", 60)
    assert not storage.replace("a", None, None, 60)
    assert storage.replace("a", b"1", b"2", 0)
    assert storage.get("a") is None
    assert not storage.replace("a", b"2", b"3", 60)
    assert not storage.replace("a", b"2", None, 60)
    assert storage.replace("a", None, None, 60)
    assert storage.replace("a", None, b"3", 60)
    assert storage.get("a") == b"3"
