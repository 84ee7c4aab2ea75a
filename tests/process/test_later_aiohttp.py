"""A later aiohttp, whose private parts have other names: the promise does not rest on them."""

import subprocess
import sys
from pathlib import Path

from scripts import LIMIT, ROOT

PROGRAM = Path(__file__).with_name("renamed_aiohttp.py")
OF_THE_PROMISE = [
    "test_outcomes.py::test_a_request_that_was_given_up_does_not_reach_the_server_later",
    "test_outcomes.py::test_an_answer_that_nobody_asked_for_is_never_given_to_the_next_call",
    "test_outcomes.py::test_a_late_answer_is_never_given_to_the_next_call",
    "test_outcomes.py::test_a_refused_connection_is_not_sent",
    "test_kept_connections.py::test_the_kernel_is_asked_before_a_kept_connection_is_lent",
]


def test_the_promise_holds_whatever_later_versions_rename():
    """A given-up request never arrives later; no answer is taken for that to another request."""
    tests = [f"tests/{test}" for test in OF_THE_PROMISE]
    done = subprocess.run(
        [sys.executable, PROGRAM, *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT,
    )

    assert done.returncode == 0, done.stdout + done.stderr
