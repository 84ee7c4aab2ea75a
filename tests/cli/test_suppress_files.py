"""Suppression lists as people have them, of a campaign with national numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from connectus_async.emulator import Emulator

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("name", "written", "code"),
    [
        ("bajas.csv", "Nombre;Celular\nLuz;9 8768 8061\n", 0),
        ("bajas.txt", "987688061 # por teléfono\n", 0),
        ("bajas.csv", "Nombre;Celular\nLuz;9 8768 806\n", 1),
        ("bajas.csv", "Luz;987688061\nEva;987688062\n", 1),
    ],
    ids=["table", "list", "a short number", "no header"],
)
def test_nobody_on_the_list_gets_anything(
    run: Run, server: Emulator, tmp_path: Path, name: str, written: str, code: int
):
    """A list that cannot be read stops the campaign before its first message."""
    (tmp_path / "a.csv").write_text("dst_number\n987688060\n987688061\n", "utf-8")
    suppressed = tmp_path / name
    suppressed.write_text(written, "utf-8")
    options = ("--text", "Hola", "--region", "CL", "--suppress", suppressed)

    result = run("bulk", "send", tmp_path / "a.csv", *options)

    assert result.exit_code == code, result.output
    assert [it.recipient for it in server.received] == ["56987688060"] * (code == 0)
