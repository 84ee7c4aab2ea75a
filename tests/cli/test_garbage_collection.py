"""Python collects garbage less often in our own processes, and as ever in those of others."""

import gc
import subprocess
import sys

import pytest

from connectus_async._program import COLLECTION_THRESHOLD

PROGRAM = """
import atexit, gc, runpy, sys
atexit.register(lambda: print(gc.get_threshold()[0]))
sys.argv[1:] = {arguments!r}
{what}
"""


@pytest.mark.parametrize(
    ("what", "arguments", "threshold"),
    [
        (
            "runpy.run_module('connectus_async', run_name='__main__')",
            ["sms", "--help"],
            COLLECTION_THRESHOLD,
        ),
        (
            "runpy.run_module('connectus_async.workers.sender_process', run_name='__main__')",
            [],
            COLLECTION_THRESHOLD,
        ),
        ("import connectus_async.workers.sender_process", [], gc.get_threshold()[0]),
    ],
    ids=["command", "sender", "import"],
)
def test_only_our_programs_collect_seldom(what: str, arguments: list[str], threshold: int):
    program = PROGRAM.format(what=what, arguments=arguments)
    done = subprocess.run(
        [sys.executable, "-c", program], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )

    assert done.stdout.split()[-1] == b"%d" % threshold
