"""JSON: our own encoding and decoding match the standard library."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import _json

pytestmark = pytest.mark.both("the standard library's JSON is taken where there is no orjson")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


@given(st.dictionaries(st.text(), st.text()) | VALUES)
def test_a_value_is_written_as_the_standard_library_writes_it(value: object):
    """Texts alone, for which there is a shorter way, and everything else."""
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    assert _json._dumps(value) == written.encode()
    assert _json._loads(_json._dumps(value)) == value


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**300])
def test_a_whole_number_is_read_to_its_last_digit(number: int):
    """Whichever library reads it; orjson makes a float of what is above 64 bits."""
    assert _json.loads(b'{"id":[%d]}' % number) == {"id": [number]}


def test_what_one_library_reads_the_other_reads_too():
    """Or what is accepted would depend on what is installed."""
    assert str(_json.loads(b'{"a":NaN,"b":"\\ud83d"}')) == "{'a': nan, 'b': '\\ud83d'}"
    for wrong in (b"", b"{", b"{} {}", b"\xff", b"[" * 100_000, b"9" * 5_000):
        with pytest.raises(ValueError, match=r"."):
            _json.loads(wrong)


@pytest.mark.parametrize("value", [{"text": "\ud800"}, {"number": 1, "text": "\ud800"}])
def test_what_is_no_unicode_is_not_json(value: object):
    """Half of a surrogate pair cannot be sent."""
    with pytest.raises(ValueError, match="surrogates"):
        _json._dumps(value)
