"""Damages files as bad copies and hostile people do, and reads what is left."""

import io
import random
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import anyio.to_thread

from connectus_async import ConfigurationError, InvalidArgumentError
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.sources import Reading, Source, open_source
from connectus_async.recipients.templates import parse_template

MOST_LINES: Final = 100_000
"""More than any damaged file of some kilobytes has."""

TELLING: Final = (
    *(b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b",", b";", b"\t", b"\r", b"\n", b"="),
    *(
        b"<",
        b">",
        b"&",
        b"&#0;",
        b"]]>",
        b"1048577",
        b"-1",
        b"99999999999999999999",
        b"1e309",
        b"NaN",
    ),
    *(b"XFE1", b"A1048576", b'r="999999999"', b't="e"', b't="s"', b't="d"', b"9999-99-99", b"\xc3"),
    *(b"END:VCARD\n", b"BEGIN:VCARD\n", b"{", b"[", b"null", b"\\u0000", b"\\ud800", b"PK\x03\x04"),
)
"""Bytes that mean something to a reader."""


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Change a file in some places; of an archive, half the time a file within."""
    if content[:2] == b"PK" and chance.random() < 0.9:
        with suppress(Exception):  # it was damaged before
            return _with_a_damaged_part(content, chance)
    return _changed(content, chance)


def _with_a_damaged_part(content: bytes, chance: random.Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as new:
        names = archive.namelist()
        target = chance.choice(names)
        for name in names:
            part = archive.read(name)
            if name == target:
                if chance.random() < 0.1:
                    continue
                part = _changed(part, chance)
            new.writestr(zipfile.ZipInfo(name), part)
    return out.getvalue()


def _changed(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.randrange(len(changed) + 1)
        end = min(len(changed), place + chance.choice((1, 1, 2, 4, 8, 64, 512)))
        kind = chance.randrange(6)
        if kind == 0:
            changed[place:end] = chance.choice(TELLING)
        elif kind == 1:
            changed[place:place] = chance.choice(TELLING)
        elif kind == 2:
            del changed[place:end]
        elif kind == 3:
            changed[place:place] = changed[place:end] * chance.choice((1, 2, 50))
        elif kind == 4:
            changed[place:end] = chance.randbytes(end - place)
        else:
            del changed[place:]
    return bytes(changed)


async def read_all(path: Path, reading: Reading = Reading()) -> str:  # noqa: B008 - it is frozen
    """Read a file, and make messages from its rows.

    Returns:
        What it is: ``refused`` or ``rows``.

    Raises:
        AssertionError: It is something else.
    """
    try:
        source = await open_source(path, reading)
        await anyio.to_thread.run_sync(partial(_compose, source))
    except (ConfigurationError, InvalidArgumentError):
        return "refused"
    return "rows"


def _compose(source: Source) -> None:
    used = [name for name in source.columns if not set(name) & set("{}")]
    text = "Hola" + "".join(f" {{{name}}}" for name in used[1:3])
    composer = Composer(
        kind="sms",
        to=used[0] if used else source.columns[0],
        sms_content=parse_template("text", text, locale="es_CL"),
        normalise=checker("CL"),
    ).bound(list(source.columns))
    count = 0
    for line in islice(source.lines(), MOST_LINES):
        count += 1
        assert line.number > 0
        assert isinstance(line.cells, Mapping | InvalidArgumentError)
        composer.compose(line)
    assert count < MOST_LINES
    assert all(isinstance(note, str) for note in source.notes())
