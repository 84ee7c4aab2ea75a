"""Suppression list: read from a file, checked before sending, refreshed while it changes."""

import doctest
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import InvalidArgumentError, arguments
from connectus_async.ledger.keys import recipient_key
from connectus_async.recipients import suppression
from connectus_async.recipients.phone_numbers import normaliser
from connectus_async.recipients.suppression import SETTLED_AFTER, SuppressionList
from connectus_async.recipients.suppression_file import MAX_ENTRY_CHARACTERS

NUMBER, OTHER = "56987688060", "5215512345678"
ADDRESS = "ana.soto@ejemplo.cl"


class Clock:
    """Goes on as it is told to; what sleeps has the time that passes meanwhile."""

    def __init__(self) -> None:
        self.now = 0.0
        self.meanwhile: list[Callable[[], object]] = []

    def monotonic(self) -> float:
        """Tell the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Pass the time, and do what somebody else does meanwhile."""
        self.now += seconds
        if self.meanwhile:
            self.meanwhile.pop(0)()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(suppression, "monotonic", clock.monotonic)
    monkeypatch.setattr(suppression, "sleep", clock.sleep)
    return clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "opt-outs.txt"


def test_numbers_and_addresses_in_any_form(path: Path):
    """Byte order mark, blank lines, comments, line ends and the way to write them do not matter."""
    written = (
        f"# since May\r\n+56 9 8768-8060\r\n\r\n  \t# none\r\n {ADDRESS.upper()} # by phone\r\n"
    )
    path.write_bytes(b"\xef\xbb\xbf" + written.encode())

    suppressed = SuppressionList.read(path)

    assert suppressed.count == 2
    assert NUMBER in suppressed
    assert "+56 9 8768 8060" in suppressed
    assert 56987688060 in suppressed
    assert ADDRESS in suppressed
    assert "Ana.Soto@Ejemplo.CL" in suppressed
    assert OTHER not in suppressed
    assert "56987688061" not in suppressed
    assert "ana@ejemplo.cl" not in suppressed


@pytest.mark.parametrize("recipient", [None, 5.0, True, b"56987688060", "", "Ana", "@", "123"])
def test_what_nothing_can_be_sent_to_is_not_in_it(recipient: object):
    """Asking for it is no error."""
    assert recipient not in SuppressionList([NUMBER])


def test_the_last_line_needs_no_end(path: Path):
    """An editor may leave it out."""
    path.write_text(f"{OTHER}\n{NUMBER}", "utf-8")

    assert NUMBER in SuppressionList.read(path)


def test_a_file_without_entries_is_a_list_of_none(path: Path):
    """Nobody may have opted out yet."""
    path.write_text("# nobody\n", "utf-8")

    assert SuppressionList.read(path).count == 0


@pytest.mark.parametrize(
    "line",
    [
        "Ana Soto",
        "987",
        f"{NUMBER}, Ana",
        f"{NUMBER},{OTHER}",
        f"{NUMBER}; {ADDRESS}",
        "5.6987688E+10",
        "56987688060.0",
        "ana@",
        f"{ADDRESS} {OTHER}",
        "0" + NUMBER,
        "x" * MAX_ENTRY_CHARACTERS + NUMBER,
    ],
)
def test_a_line_that_is_neither_stops(path: Path, line: str):
    """An opt-out that is overlooked is worse than a stop; the line is named and never shown."""
    path.write_text(f"{OTHER}\n\n{line}\n{ADDRESS}\n", "utf-8")

    with pytest.raises(
        InvalidArgumentError, match=r"opt-outs\.txt: line 3 is not a valid number or email address"
    ) as caught:
        SuppressionList.read(path)

    assert line[-9:] not in str(caught.value)
    assert NUMBER not in str(caught.value)


def test_all_wrong_lines_are_counted_and_all_others_count(path: Path):
    """A user need not fix the list line by line, and no valid entry is lost meanwhile."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    suppressed = SuppressionList.read(path)
    path.write_text(f"Ana\n{NUMBER}\n987\n{ADDRESS}\nana@\n", "utf-8")

    with pytest.raises(InvalidArgumentError, match=r": line 1 .*; 2 more lines are wrong$"):
        suppressed.refresh()
    assert ADDRESS in suppressed


def test_a_file_of_another_kind_is_not_read_to_its_end(path: Path):
    """A thousand lines tell."""
    path.write_text("Ana Soto\n" * 1_000 + NUMBER, "utf-8")

    with pytest.raises(InvalidArgumentError, match=r"; 999 or more more lines are wrong$"):
        SuppressionList.read(path)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            b"56987688060 # Jos\xe9\njos\xc3\xa9@ejemplo.cl\n",
            "is UTF-8 on line 2 but not on line 1",
        ),
        (b"5\0006\0009\n", "line 1 is not a valid number or email address"),
        (b"56987688060" * 1_000_000, "has a row of more than 1,048,576 characters"),
    ],
    ids=["two encodings", "no text", "a line of 11 MB"],
)
def test_a_file_that_is_no_list_is_refused(path: Path, written: bytes, problem: str):
    """One sentence, whatever the file is."""
    path.write_bytes(written)

    with pytest.raises(InvalidArgumentError, match=problem):
        SuppressionList.read(path)


def test_a_file_that_is_not_there_is_named(path: Path):
    """The file system's reason is passed on."""
    with pytest.raises(InvalidArgumentError, match=r"opt-outs\.txt: cannot be read: No such"):
        SuppressionList.read(path)
    with pytest.raises(InvalidArgumentError, match="cannot be read: Is a directory"):
        SuppressionList.read(path.parent)


def test_a_list_of_values_names_the_wrong_one():
    """Its place is named, not the value."""
    with pytest.raises(InvalidArgumentError, match=r"^recipients\[1\]: is not one email address"):
        SuppressionList([NUMBER, "ana@"])
    with pytest.raises(InvalidArgumentError, match="recipients: must be a list"):
        SuppressionList(NUMBER)


def test_national_numbers_need_to_be_told(path: Path):
    """They are read with the campaign's own region."""
    path.write_text(f"9 8768 8060\n{ADDRESS}\n", "utf-8")

    assert NUMBER in SuppressionList.read(path, to_digits=normaliser("CL"))
    assert NUMBER in SuppressionList(["9 8768 8060"], to_digits=normaliser("CL"))


ONE_PERSON = [
    ("541123456789", "5491123456789"),
    ("525512345678", "5215512345678"),
    ("551187654321", "5511987654321"),
    ("ana@ñandú.cl", "ana@xn--and-6ma2c.cl"),
    ("ana@ñandú.cl", "Ana@N\N{COMBINING TILDE}ANDU\N{COMBINING ACUTE ACCENT}.CL"),
    ("josé@ejemplo.cl", "JOSE\N{COMBINING ACUTE ACCENT}@ejemplo.cl."),
]


@pytest.mark.parametrize(("one", "other"), [*ONE_PERSON, *[pair[::-1] for pair in ONE_PERSON]])
def test_people_are_on_the_list_however_they_are_spelt(path: Path, one: str, other: str):
    """An opt-out in one spelling also covers the other."""
    path.write_text(f"{one}\n", "utf-8")

    assert other in SuppressionList.read(path)


def test_a_number_without_its_country_code_is_an_error_with_its_line(path: Path):
    """It would be a stranger's number abroad, and the opt-out would be ignored."""
    path.write_text(f"{OTHER}\n987688060\n", "utf-8")

    with pytest.raises(
        InvalidArgumentError, match=r"line 2 is not a valid .* lack its country code"
    ):
        SuppressionList.read(path)


@pytest.mark.parametrize("line", ["98768806.0", "98768806,0", "9.8768806E7", "56987688060.00"])
def test_a_decimal_number_is_an_error_with_its_line(path: Path, line: str):
    """Without its point it would be another number than the one that opted out."""
    path.write_text(f"+{OTHER}\n{line}\n", "utf-8")

    for to_digits in (None, normaliser("CL"), arguments.phone_number):
        with pytest.raises(
            InvalidArgumentError, match=r"line 2 is not a valid .*; format the column"
        ):
            SuppressionList.read(path, to_digits=to_digits)


def test_refreshing_follows_the_file(path: Path):
    """It is read again when it has changed, and only then."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    suppressed = SuppressionList.read(path)

    assert suppressed.refresh() is False
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{ADDRESS}\n")
    assert ADDRESS not in suppressed
    assert suppressed.refresh() is True
    assert ADDRESS in suppressed
    assert suppressed.refresh() is False


def test_a_file_of_the_same_size_and_time_is_seen_to_be_another(path: Path, clock: Clock):
    """Renaming another file over it changes its inode."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    suppressed = SuppressionList.read(path)
    before = path.stat()
    other = path.with_suffix(".new")
    other.write_text(f"{NUMBER[:-1]}1\n", "utf-8")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)

    assert suppressed.refresh() is True
    assert f"{NUMBER[:-1]}1" in suppressed
    clock.now += SETTLED_AFTER
    assert suppressed.refresh() is True
    assert NUMBER not in suppressed
    assert suppressed.refresh() is False


def test_while_a_file_is_rewritten_old_and_new_together_count(path: Path, clock: Clock):
    """A half-written file looks like a shorter list, and its writer may rest for a while."""
    path.write_text(f"{NUMBER}\n{OTHER}\n", "utf-8")
    suppressed = SuppressionList.read(path)

    path.write_text(f"{ADDRESS}\n", "utf-8")
    assert suppressed.refresh() is True
    assert [who in suppressed for who in (NUMBER, OTHER, ADDRESS)] == [True] * 3
    clock.now += SETTLED_AFTER - 1
    assert suppressed.refresh() is False
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{NUMBER}\n")
    assert suppressed.refresh() is True
    clock.now += SETTLED_AFTER - 1
    assert suppressed.refresh() is False
    assert OTHER in suppressed

    clock.now += 1
    assert suppressed.refresh() is True
    assert [who in suppressed for who in (NUMBER, OTHER, ADDRESS)] == [True, False, True]


def test_two_looks_agree_by_what_is_in_the_file(path: Path, clock: Clock):
    """A file system with coarse times shows the stamp of before."""
    path.write_text(f"{NUMBER}\n{OTHER}\n", "utf-8")
    suppressed = SuppressionList.read(path)
    path.write_text(f"{NUMBER}\n", "utf-8")
    suppressed.refresh()
    seen = suppressed._stamp
    path.write_text(f"{NUMBER[:-1]}1\n", "utf-8")
    clock.now += SETTLED_AFTER
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(suppression, "_stamp", lambda _: seen)
        suppressed.refresh()

        assert [who in suppressed for who in (NUMBER, OTHER)] == [True, True]
        clock.now += SETTLED_AFTER
        suppressed.refresh()
        assert [who in suppressed for who in (NUMBER, OTHER)] == [False, False]


def test_what_can_be_read_of_a_broken_file_counts_at_once(path: Path):
    """Who is on the list already, and who is new on the whole lines of the new one."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    suppressed = SuppressionList.read(path)
    path.write_text(f"{OTHER}\n{ADDRESS[:9]}", "utf-8")

    with pytest.raises(
        InvalidArgumentError, match=r"line 2 is not a valid number or email address"
    ):
        suppressed.refresh()

    assert NUMBER in suppressed
    assert OTHER in suppressed


def test_a_list_that_is_being_written_is_waited_for(path: Path, clock: Clock):
    """At the start there is no older list that could count as well."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    clock.meanwhile = [lambda: path.write_text(f"{NUMBER}\n{OTHER}\n", "utf-8")]

    assert OTHER in SuppressionList.read(path)


def test_a_writer_that_rests_between_two_pages_is_waited_for(path: Path, clock: Clock):
    """Two looks within its rest agree, and most of the list is still to come."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    clock.meanwhile = [lambda: None] * 8 + [_append(path)]

    assert OTHER in SuppressionList.read(path)


def test_a_file_of_some_time_ago_is_not_waited_for(path: Path, clock: Clock):
    """Two looks are enough."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    os.utime(path, (1.7e9, 1.7e9))

    SuppressionList.read(path)

    assert clock.now == suppression.FIRST_READ_INTERVAL


def test_a_file_that_was_emptied_to_be_written_is_waited_for(path: Path, clock: Clock):
    """``query > opt-outs.txt`` empties it long before the first line comes."""
    path.touch()
    clock.meanwhile = [lambda: None] * 9 + [lambda: path.write_text(f"{NUMBER}\n", "utf-8")]

    assert NUMBER in SuppressionList.read(path)


def test_a_file_that_stays_empty_is_not_believed(path: Path):
    """Nobody would be on it, while the query for it still runs."""
    path.touch()

    with pytest.raises(InvalidArgumentError, match=r"opt-outs\.txt: is empty, .* such as # nobody"):
        SuppressionList.read(path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_is_refused(path: Path):
    """It would block forever, and cannot be read again."""
    os.mkfifo(path)

    with pytest.raises(InvalidArgumentError, match=r"opt-outs\.txt: is not a regular file"):
        SuppressionList.read(path)


def test_a_file_that_goes_on_changing_is_not_believed(path: Path, clock: Clock):
    """Ten seconds later it is still not known who opted out."""
    path.write_text(f"{NUMBER}\n", "utf-8")
    clock.meanwhile = [_append(path)] * 100

    with pytest.raises(InvalidArgumentError, match=r"opt-outs\.txt: keeps changing"):
        SuppressionList.read(path)
    assert clock.now == pytest.approx(10)


def _append(path: Path) -> Callable[[], object]:
    def append() -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{OTHER}\n")

    return append


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (None, "cannot be read: No such"),
        ("", "is now empty; it had 2 entries before"),
        ("# all gone\n", "is now empty"),
        (f"{NUMBER}\n{ADDRESS[:9]}", "line 2 is not a valid number or email address"),
    ],
    ids=["gone", "empty", "only a comment", "half written"],
)
def test_a_list_never_forgets_because_its_file_broke(
    path: Path, clock: Clock, broken: str | None, problem: str
):
    """Every refresh raises until the file is fixed, and the list keeps its entries."""
    path.write_text(f"{NUMBER}\n{ADDRESS}\n", "utf-8")
    suppressed = SuppressionList.read(path)
    path.unlink()
    if broken is not None:
        path.write_text(broken, "utf-8")

    for _ in range(2):
        with pytest.raises(InvalidArgumentError, match=problem):
            suppressed.refresh()
        assert NUMBER in suppressed
        assert ADDRESS in suppressed

    path.write_text(f"{OTHER}\n", "utf-8")
    assert suppressed.refresh() is True
    assert OTHER in suppressed
    assert NUMBER in suppressed
    clock.now += SETTLED_AFTER
    assert suppressed.refresh() is True
    assert OTHER in suppressed
    assert NUMBER not in suppressed


def test_a_list_of_values_has_nothing_to_refresh():
    """It does not change."""
    suppressed = SuppressionList([NUMBER])

    assert suppressed.refresh() is False
    assert NUMBER in suppressed


def test_the_repr_shows_a_count_only(path: Path):
    """Nobody who opted out is in a log."""
    path.write_text("".join(f"5698768{number:04}\n" for number in range(1234)) + ADDRESS, "utf-8")

    assert repr(SuppressionList.read(path)) == "<SuppressionList of 1,235>"


def _has_one_spelling(number: int) -> bool:
    return recipient_key(str(number)) == str(number)


NUMBERS = st.integers(10_000_000, 10**15 - 1).filter(_has_one_spelling)


@given(inside=st.sets(NUMBERS), asked=st.sets(NUMBERS))
def test_it_is_a_set_of_numbers(inside: set[int], asked: set[int]):
    """It contains exactly its entries, however often they are added."""
    listed = [*inside, *map(str, inside)]
    suppressed = SuppressionList(listed, to_digits=arguments.phone_number)

    assert suppressed.count == len(inside)
    assert {number for number in inside | asked if str(number) in suppressed} == inside


def test_docstring_examples_hold():
    """The examples of the documentation are true."""
    module = importlib.import_module("connectus_async.recipients.suppression")

    assert doctest.testmod(module) == doctest.TestResults(failed=0, attempted=1)
