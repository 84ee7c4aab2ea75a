"""JSON by the standard library: what we do ourselves is what it does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectus_async import _json

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


@pytest.mark.parametrize("value", [{"text": "\ud800"}, {"number": 1, "text": "\ud800"}])
def test_what_is_no_unicode_is_not_json(value: object):
    """Half of a surrogate pair cannot be sent."""
    with pytest.raises(ValueError, match="surrogates"):
        _json._dumps(value)
