"""A message takes as many function calls as it did when the baseline was recorded."""

import threading

import pytest
from calls_per_message import (
    CASES,
    OURS,
    Case,
    calls_per_message,
    complaint_about,
    counted,
    recorded,
)

pytestmark = pytest.mark.both("the baseline is recorded without the faster libraries")

BASELINE = recorded()
SOURCE = """
import string

def wasteful(numbers):
    [abs(number) for number in numbers]
    string.capwords("hola")
    return sum(number for number in numbers)
"""


@pytest.fixture(autouse=True)
def no_blocking():
    """Do without the wrappers that find what blocks: they would be in the figures."""


def wasteful():
    """Make a function as if it were in the package."""
    scope = {}
    exec(compile(SOURCE, OURS / "wasteful.py", "exec"), scope)
    return scope["wasteful"]


@pytest.mark.parametrize("name", CASES)
def test_a_message_takes_no_more_and_no_fewer_calls_than_by_the_baseline(name):
    """More has to be explained; fewer is to be kept."""
    complaint = complaint_about(name, calls_per_message(CASES[name]), BASELINE[name])
    if complaint is not None:
        pytest.fail(complaint, pytrace=False)


def test_the_baseline_is_of_what_is_counted():
    """No figure stays behind that nothing is compared with."""
    assert BASELINE.keys() == CASES.keys()


def test_our_functions_count_and_what_they_call_but_no_comprehension():
    """Also what they call by way of the standard library."""
    function = wasteful()
    with counted(Case(lambda *_: None)) as calls:
        function([1, 2, 3])
    capwords = 3  # itself, str.split and str.join
    assert {
        "wasteful.py wasteful": 1 + 3 + capwords + 1,
        "wasteful.py wasteful.<locals>.<genexpr>": 4,
    } == calls.by_function()


@pytest.mark.parametrize(("here", "in_new_threads"), [(True, False), (False, True), (True, True)])
def test_the_threads_that_are_asked_for_count(here, in_new_threads):
    """The other does not."""
    function = wasteful()
    with counted(Case(lambda *_: None, here=here, in_new_threads=in_new_threads)) as calls:
        function([])
        thread = threading.Thread(target=function, args=[[1]])
        thread.start()
        thread.join()
    assert here * 6 + in_new_threads * 8 == calls.by_function().total()


def test_a_rise_of_ten_percent_is_named_with_the_functions_that_call_most():
    """And below that nothing is said."""
    assert None is complaint_about("a message", {"a.py one": 69.0, "a.py two": 40.0}, 100.0)
    complaint = complaint_about("a message", {"a.py two": 40.0, "b.py new": 75.0}, 100.0)
    assert complaint.startswith(
        "a message: 115.0 calls, +15% on the baseline of 100.0."
        " Most are for: b.py new 75.0; a.py two 40.0. Compare"
    )


def test_a_fall_of_ten_percent_asks_for_a_new_baseline():
    """Or the baseline would let back in what was won."""
    assert None is complaint_about("a message", {"a.py one": 51.0, "a.py two": 40.0}, 100.0)
    complaint = complaint_about("a message", {"a.py two": 40.0}, 100.0)
    assert complaint == (
        "a message: 40.0 calls, -60% on the baseline of 100.0."
        " Keep what was won: record the baseline anew by nox -s baseline."
    )
