"""Fuzz the readers with atheris: ``python tests/corpus/fuzz.py SUFFIX FOLDER [options]``.

SUFFIX is that of the files to read, such as ``.xlsx``. FOLDER keeps inputs that reach new code; it
starts with the files of the corpus. The options are those of libFuzzer. It needs atheris, and no
test runs it. An exception that is no refusal stops it, and leaves its input in a file ``crash-…``:

    python tests/corpus/fuzz.py .csv /tmp/csv -max_total_time=600 -max_len=4096 -rss_limit_mb=2048
"""

import random
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import anyio
import atheris

with atheris.instrument_imports(include=["connectus_async.recipients", "openpyxl", "csv"]):
    from mutations import damaged, read_all

FILES = Path(__file__).parent / "files"


def main() -> None:
    """Read inputs that libFuzzer makes, until it ends."""
    suffix, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    for path in FILES.iterdir():
        if "".join(path.suffixes) == suffix:
            shutil.copy(path, folder)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"input{suffix}"

        def read(content: bytes) -> None:
            path.write_bytes(content)
            anyio.run(partial(read_all, path))

        atheris.Setup([sys.argv[0], *sys.argv[3:], str(folder)], read, custom_mutator=_mutated)
        atheris.Fuzz()


def _mutated(content: bytes, most: int, seed: int) -> bytes:
    """Change files within an archive, which libFuzzer would only break."""
    chance = random.Random(seed)
    if content[:2] == b"PK" or chance.random() < 0.3:
        changed = damaged(content, chance)
    else:
        changed = atheris.Mutate(content, len(content))
    return changed[:most]


if __name__ == "__main__":
    main()
