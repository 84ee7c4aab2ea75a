"""The page speaks the language that it was asked for."""

import re
from html.parser import HTMLParser

import pytest
from report_ledgers import campaign, message, over_two_days, write_ledger

from connectus_async._tools.catalogues import wanted
from connectus_async.ledger.states import LEFT_OUT_BECAUSE
from connectus_async.report.page import write_page
from connectus_async.translation import language

STOPPED = "POST /sms/send_individual: 401 Unauthorized (check api_user and api_key)"
LEDGERS = {
    "finished": ([*campaign(2_000)], {}),
    "not finished": ([*campaign(2_000, finished=False)], {"loaded": "0", "stopped": STOPPED}),
    "one message": ([message()], {}),
    "empty": ([], {}),
    "with rows to correct": (
        [message(state="rejected"), message(state="skipped", reason=LEFT_OUT_BECAUSE)],
        {"source_file": "{}"},
    ),
}


class Texts(HTMLParser):
    """Collects what a reader of a page sees or hears."""

    def __init__(self):
        super().__init__()
        self.style = False
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.style = tag == "style"
        self.found += [value for name, value in attrs if name == "aria-label"]

    def handle_data(self, data):
        if not self.style and data.strip():
            self.found.append(" ".join(data.split()))


def texts(tmp_path, messages, facts, language):
    """Write a ledger's page; return it and its texts."""
    ledger = write_ledger(tmp_path / f"{language}.db", messages, **facts)
    write_page(ledger, tmp_path / "page.html", language=language)
    page = (tmp_path / "page.html").read_text("utf-8")
    parser = Texts()
    parser.feed(page)
    return page, parser.found


@pytest.mark.parametrize(("messages", "facts"), LEDGERS.values(), ids=LEDGERS)
def test_no_sentence_of_the_page_is_left_in_english(tmp_path, messages, facts):
    """None that the English page has, and that Spanish says otherwise."""
    of_report = {
        part
        for message in wanted()
        if any(name.startswith(("report/", "ledger/states")) for name, _ in message.locations)
        and isinstance(message.id, str)
        for part in re.split(r"\{\w+\}", language("en").sentence(message.id).capitalize())
        if len(part) > 3
    }
    page, english = texts(tmp_path, messages, facts, "en")
    translated, spanish = texts(tmp_path, messages, facts, "es")
    said = {text for text in of_report if any(text in found for found in english)}

    assert said
    assert not {text for text in said if text in spanish} - {"Error"}
    assert '<html lang="en">' in page
    assert '<html lang="es">' in translated
    assert len(english) == len(spanish)


def test_a_country_writes_its_own_numbers_and_days(tmp_path):
    """As do the sentences of errors, which the ledger keeps in English."""
    messages = [
        message(state="rejected", reason="recipient: is on the suppression list"),
        *over_two_days(),
    ]
    page, found = texts(tmp_path, messages, {}, "es_CL")

    assert '<html lang="es-CL">' in page
    assert f"{len(messages):,}".replace(",", ".") in found
    assert "recipient: está en la lista de exclusión" in found
    assert any(re.fullmatch(r"\d nov", text) for text in found)
    assert "06-11-2026 14:00:00" in found
