"""The filter may take a text for another, but never a known one for new."""

from hypothesis import given
from hypothesis import strategies as st

from connectus_async.ledger.bloom_filter import BloomFilter

SIZES = st.sampled_from([1, 2, 64, 1 << 16])


@given(size=SIZES, groups=st.lists(st.lists(st.text())))
def test_what_was_there_is_told(size: int, groups: list[list[str]]):
    """Within a group and across groups."""
    texts = BloomFilter(size)
    before: set[str] = set()
    for group in groups:
        told = texts.add(group)
        for text in group:
            if text in before:
                assert text in told
            before.add(text)


def test_few_new_texts_are_taken_for_known_ones():
    """With 16 bits for each, 1 in 40 at the end, and 1 in 100 on the way; the limit is far off."""
    texts = BloomFilter(1 << 16)
    count = 1 << 15
    told = [text for index in range(count) for text in texts.add([f"{index}"])]

    assert len(told) < count / 35


def test_a_full_one_tells_all():
    """It is of no use any more, but never wrong about what is new."""
    texts = BloomFilter(1)
    texts.add(f"{index}" for index in range(1_000))

    assert texts.add(["new"]) == ["new"]
