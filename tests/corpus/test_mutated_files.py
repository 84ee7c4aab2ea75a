"""A damaged file is rows, errors of rows, or a refusal: never another exception.

Files of the corpus are changed byte by byte; those that are archives inside, too. `fuzz.py` does
the same without end.
"""

import random
from functools import partial
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import damaged, read_all

FILES = Path(__file__).parent / "files"
LARGEST = 20_000
NOT_READ = {".fods", ".json", ".prn", ".rds"}
SUFFIXES = sorted({"".join(path.suffixes) for path in FILES.iterdir()} - NOT_READ)


def files_of(suffix: str) -> list[Path]:
    found = (path for path in FILES.iterdir() if "".join(path.suffixes) == suffix)
    return sorted(path for path in found if path.stat().st_size <= LARGEST)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_a_damaged_file_is_rows_errors_or_a_refusal(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, seed: int
):
    """Nothing else, and in bounded time: no exception of a library, no endless rows."""
    chance = random.Random(seed)
    original = chance.choice(files_of(suffix))
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix}"
    path.write_bytes(damaged(original.read_bytes(), chance))

    anyio.run(partial(read_all, path))
