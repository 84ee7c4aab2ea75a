"""The contract's data is whole: every call and every example answer of the collection is there."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CALLS = json.loads((HERE / "calls.json").read_text(encoding="utf-8"))
ANSWERS = json.loads((HERE / "answers.json").read_text(encoding="utf-8"))
OF_THE_COLLECTION = [call for call in CALLS if "documented" not in call]
SUCCESSES = [answer for answer in ANSWERS if answer["status"] == 200]

DATES = {
    "2019-07-17T01:35:41.000-04:00": "2019-07-17T01:35:41-04:00",
    "2019-07-17T03:51:54.000-04:00": "2019-07-17T03:51:54-04:00",
    "Mon, 09 Jan 2023 13:30:07.000000000 -03 -03:00": "2023-01-09T13:30:07-03:00",
    "29-05-19 15:32:08": "2019-05-29T15:32:08",
    "23-09-19 15:01:55": "2019-09-23T15:01:55",
    "24-11-19 12:25:30": "2019-11-24T12:25:30",
}
PHONES = {"phone", "src_number"}


def describe(row):
    """The method, and which of its rows."""
    return " ".join([row["method_name"], row.get("name", row.get("documented", ""))]).strip()


def typed(path, value):
    """A leaf as the typed result shows it, in JSON."""
    name = path.rsplit(".", 1)[-1]
    if name in PHONES:
        return value and str(value)
    if name == "deleted":
        return value == "T"
    return DATES.get(value, value)


def leaves(value, path=""):
    """Every leaf of an answer, by the path of the attribute that shows it."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}".removeprefix("."))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from leaves(member, f"{path}[{index}]")
    else:
        yield path, value


def test_collection_has_37_calls():
    """One row for each call, split over the services as the collection splits them."""
    services = Counter(call["method_name"].split(".")[0] for call in OF_THE_COLLECTION)

    assert len({call["method_name"] for call in OF_THE_COLLECTION}) == len(OF_THE_COLLECTION) == 37
    assert services == {
        "sms": 5,
        "clients": 6,
        "short_links": 2,
        "email": 4,
        "whatsapp": 3,
        "account": 1,
        "deliveries": 3,
        "whatsapp_qr": 13,
    }


def test_no_two_calls_of_the_collection_share_a_wire():
    """Method, host and path tell the calls apart."""
    wires = {
        (call["request"]["method"], call["request"]["host"], call["request"]["path"])
        for call in OF_THE_COLLECTION
    }

    assert len(wires) == 37


@pytest.mark.parametrize("call", CALLS, ids=describe)
def test_call_is_well_formed(call):
    """Each row names its arguments and the whole request, and nothing else."""
    request = call["request"]

    assert {"method_name", "args", "kwargs", "request"} == call.keys() - {"documented"}
    assert call.get("documented", "table") == "table"
    assert {"method", "host", "path", "query", "body", "auth"} == request.keys()
    assert request["method"] in {"GET", "POST", "PATCH"}
    assert {"platform": "basic", "qr": "bearer"}[request["host"]] == request["auth"]


@pytest.mark.parametrize("call", CALLS, ids=describe)
def test_no_placeholder_is_left(call):
    """Paths and queries are concrete."""
    request = call["request"]

    assert re.fullmatch(r"(/[\w-]+)+", request["path"])
    assert all(re.fullmatch(r"[\w-]+", value) for value in request["query"].values())


@pytest.mark.parametrize("call", CALLS, ids=describe)
def test_every_argument_is_on_the_wire(call):
    """What the caller passes is what the request carries: no more, no less."""
    request = call["request"]
    passed = [*call["args"], *call["kwargs"].values()]
    body = request["body"] or {}
    fields = body.get("delivery", body)
    carried = [*fields.values(), *request["query"].values(), *request["path"].split("/")[2:]]

    assert {str(value) for value in passed} <= {str(value) for value in carried}
    assert {str(value) for value in [*fields.values(), *request["query"].values()]} <= {
        str(value) for value in passed
    }


@pytest.mark.parametrize("call", CALLS, ids=describe)
def test_numbers_of_an_sms_are_json_numbers(call):
    """SMS bodies carry numbers as JSON numbers, all others as strings."""
    numbers = {
        type(value)
        for name, value in (call["request"]["body"] or {}).items()
        if name in {"dst_number", "src_number", "number"}
    }

    assert numbers <= {int if call["method_name"].startswith("sms.") else str}


def test_rows_of_the_tables_extend_calls_of_the_collection():
    """A row beyond the collection is of a known call, with a body of its own."""
    bodies = {call["method_name"]: call["request"]["body"] for call in OF_THE_COLLECTION}
    beyond = [call for call in CALLS if "documented" in call]

    assert {"sms.send", "sms.send_otp", "email.send", "whatsapp.send"} <= {
        call["method_name"] for call in beyond
    }
    assert all(call["request"]["body"] != bodies[call["method_name"]] for call in beyond)


def test_collection_has_40_example_answers():
    """Sixteen successes and twenty-four refusals, each once."""
    statuses = Counter(answer["status"] for answer in ANSWERS)

    assert statuses == {200: 16, 400: 6, 401: 16, 404: 2}
    assert len({describe(answer) for answer in ANSWERS}) == 40


def test_every_answer_belongs_to_a_known_call():
    """No example is of a method that has no row."""
    known = {call["method_name"] for call in OF_THE_COLLECTION}

    assert {answer["method_name"] for answer in ANSWERS} <= known


def test_refusals_expect_no_result():
    """Exactly the successes say what their result shows."""
    assert [answer for answer in ANSWERS if "expect" in answer] == SUCCESSES


@pytest.mark.parametrize("answer", SUCCESSES, ids=describe)
def test_every_leaf_of_a_success_is_expected(answer):
    """The expectation names each field that the example shows, in the types of the SDK."""
    body = answer["body"].get("data", answer["body"])
    shown, expected = dict(leaves(body)), answer["expect"]

    assert shown.keys() == expected.keys()
    assert {path: typed(path, value) for path, value in shown.items()} == expected
