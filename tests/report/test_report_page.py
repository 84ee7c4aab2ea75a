"""The page says what the ledger says, needs nothing else, and gives nobody away."""

import re
import sqlite3
import sys
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_ledgers import SECRET, campaign, message, write_ledger

from connectus_async.errors import ConfigurationError, InvalidArgumentError
from connectus_async.ledger.states import State
from connectus_async.report.page import write_page

UNSENT = {"attempts": 0, "started_at": None, "ended_at": None}


def page_of(tmp_path: Path, messages, **facts: str) -> str:
    write_page(write_ledger(tmp_path / "a.db", messages, **facts), tmp_path / "a.html")
    return (tmp_path / "a.html").read_text("utf-8")


def words_of(page: str) -> str:
    """What a reader sees, in one line."""
    words: list[str] = []
    parser = HTMLParser()
    parser.handle_data = words.append
    parser.feed(page.partition("<body>")[2])
    return " ".join(" ".join(words).split())


def test_the_numbers_are_those_of_the_ledger(tmp_path: Path):
    """Each state has its card."""
    page = page_of(tmp_path, campaign(2000))

    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        counts = connection.execute("SELECT state, COUNT(*) FROM message GROUP BY 1").fetchall()
    assert "data-total>2,000<" in page
    for state, count in counts:
        assert f'data-state="{state}">{count:,}<' in page


def test_nobody_is_given_away(tmp_path: Path):
    """No recipient, no key, no text of a message, and no path of the sender's machine."""
    messages = [*campaign(200), message(state="rejected", reason="56987688060: closed", key="k-9")]
    page = page_of(tmp_path, messages, source="/home/ana/clientes.csv")

    assert "k-9" not in page
    assert "key-" not in page
    assert SECRET not in page
    assert "/home" not in page
    assert not any(each["recipient"] in page for each in messages)


@pytest.mark.parametrize("where", ["reason", "invalid", "name", "source", "delivery_status"])
def test_what_others_wrote_is_text(tmp_path: Path, where: str):
    """A tag in an error, a name or a status is shown, not obeyed."""
    hostile = "<img src=x onerror=alert(1)>'\"&"
    page = page_of(
        tmp_path,
        [
            message(delivery_status=hostile if where == "delivery_status" else None),
            message(state="rejected", reason=hostile if where == "reason" else "400"),
            message(
                state="skipped",
                reason=f"invalid: {hostile if where == 'invalid' else ''}",
                **UNSENT,
            ),
        ],
        **({where: hostile} if where in {"name", "source"} else {}),
    )

    assert "<img" not in page
    assert "<img src=x onerror=alert(1)>'\"&".lower() in words_of(page).lower()


def test_the_page_needs_nothing_else(tmp_path: Path):
    """No script, and no address but those that name the language of a drawing."""
    page = page_of(tmp_path, campaign(500))

    assert "<script" not in page
    assert set(re.findall(r"\w+://[^\"' ]+", page)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }


def test_a_finished_campaign_says_so(tmp_path: Path):
    """Nothing is left, and the source was read to its end."""
    words = words_of(page_of(tmp_path, campaign(100)))

    assert "This campaign is finished." in words
    assert "Ended (UTC)" in words


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (State.QUEUED, "1 still queued: running the campaign again sends them."),
        (State.IN_FLIGHT, "1 in flight: being sent, or cut off when their sender ended."),
        (State.UNKNOWN, "1 unknown: may have been sent; reconciling asks the API."),
    ],
)
def test_an_unfinished_campaign_says_what_is_left(tmp_path: Path, state: State, said: str):
    """Whatever else the page says."""
    words = words_of(page_of(tmp_path, [message(), message(state=state)]))

    assert f"This campaign is not finished. {said}" in words
    assert "is finished" not in words
    assert "Last outcome (UTC)" in words


def test_a_source_that_was_not_read_to_its_end_is_named(tmp_path: Path):
    """More messages may follow."""
    words = words_of(page_of(tmp_path, [message()], loaded="0"))

    assert "This campaign is not finished. Its source has not been read to the end" in words


def test_what_is_not_on_record_is_not_claimed(tmp_path: Path):
    """A campaign that was sent as it was read may have had more messages."""
    ledger = write_ledger(tmp_path / "a.db", [message()])
    with closing(sqlite3.connect(ledger)) as connection:
        connection.execute("DELETE FROM campaign")
        connection.commit()
    write_page(ledger, tmp_path / "a.html")

    words = words_of((tmp_path / "a.html").read_text("utf-8"))
    assert "Everything on record is done. Whether more messages were to follow" in words
    assert "is finished" not in words


def test_held_messages_ask_for_somebody(tmp_path: Path):
    """The campaign is finished, but they are not forgotten."""
    words = words_of(page_of(tmp_path, [message(), message(state="held", reason="absent")]))

    assert "1 held: may have been sent, and wait for somebody to decide." in words


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [message(state="queued", **UNSENT)],
        [message(state="skipped", reason="expired", **UNSENT)],
        [message(state="unknown", reason="no answer")],
        [message(state="unknown", reason="cut off", ended_at=None)],
        [message()],
        [message(ended_at=message()["started_at"])],
    ],
)
def test_a_campaign_of_any_shape_has_a_page(tmp_path: Path, messages: list[dict[str, object]]):
    """Also before its first message, and without a single answer."""
    words = words_of(page_of(tmp_path, messages))

    assert f"Messages {len(messages)} " in words


def test_it_is_quick_to_read_for_a_screen_reader(tmp_path: Path):
    """Charts have a sentence in their place, and a table has all their figures."""
    page = page_of(tmp_path, campaign(500))

    labels = re.findall(r'<svg [^>]*role="img" aria-label="([^"]+)"', page)
    assert [label.partition(".")[0] for label in labels] == [
        "Messages a second over time",
        "Time until the API answered",
    ]
    assert '<details class="panel" id="by-time">' in page


def test_the_ledger_is_never_the_target(tmp_path: Path):
    """As with the export."""
    ledger = write_ledger(tmp_path / "a.db", [message()])

    with pytest.raises(InvalidArgumentError, match="target: is the ledger itself"):
        write_page(ledger, ledger)


@pytest.mark.parametrize("name", ["jinja2", "pygal"])
def test_without_its_libraries_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    """Nothing is written then."""
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ConfigurationError, match=r"pip install 'connectus-async\[report\]'"):
        page_of(tmp_path, [message()])

    assert not (tmp_path / "a.html").exists()
