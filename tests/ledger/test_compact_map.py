"""The map has what a dict would have."""

from hypothesis import given
from hypothesis import strategies as st

from connectus_async.ledger.compact_map import BUCKETS, CompactMap

TEXTS = st.text(st.characters(exclude_categories=["C"]) | st.sampled_from("0123456789"))


@given(items=st.dictionaries(TEXTS, st.integers(1, 2**63)), others=st.lists(TEXTS))
def test_it_has_what_a_dict_has(items: dict[str, int], others: list[str]):
    """Whatever the texts are, but for control characters."""
    numbers = CompactMap()
    numbers.put(items.items())

    assert len(numbers) == len(items)
    for text in (*items, *others):
        assert numbers.get(text) == items.get(text)


def test_what_shares_a_bucket_is_told_apart():
    """Numbers, and beginnings and ends of others, included."""
    texts = [f"{index}" for index in range(10 * BUCKETS)]
    numbers = CompactMap()
    numbers.put((text, index + 7) for index, text in enumerate(texts))

    assert [numbers.get(text) for text in texts] == [*range(7, 10 * BUCKETS + 7)]
    assert numbers.get(f"{10 * BUCKETS}") is None


def test_nothing_is_left_of_it():
    """What was cleared can be filled again."""
    numbers = CompactMap()
    numbers.put([("a", 1)])
    numbers.clear()
    assert (numbers.get("a"), len(numbers)) == (None, 0)

    numbers.put([("a", 2)])
    assert (numbers.get("a"), len(numbers)) == (2, 1)
