"""Composes the rows of a source for a load, in worker threads."""

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import suppress

from connectus_async.ledger.keys import KeyMaker
from connectus_async.ledger.records import CHARACTERS_A_TRANSACTION, ROWS_A_TRANSACTION, Entry
from connectus_async.products.sms import Sms
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.plain_sms import Composed, PlainRows, PlainSms, example
from connectus_async.recipients.sources import Line, Source
from connectus_async.recipients.sources.interrupting import interruptible


async def composed(
    source: Source, composer: Composer, entry_of: Callable[[Sms], Entry], key_maker: KeyMaker
) -> AsyncGenerator[Sequence[Composed], None]:
    """Find the columns of a source, and compose its rows. It is never read ahead.

    Args:
        source: The source.
        composer: The composer of its messages.
        entry_of: Makes the entry of an SMS for the ledger.
        key_maker: The maker of the keys of the campaign.

    Raises:
        InvalidArgumentError: The source lacks a column, or cannot be read further.
    """
    composer = composer.bound(source.columns)
    compose = _composition(composer, entry_of, key_maker)
    lines = source.lines()
    try:
        while batch := await interruptible(source.interrupt, _batch, lines, compose):
            yield batch
    finally:
        with suppress(ValueError):  # its thread still reads: Ctrl-C does not wait for it
            lines.close()


def _composition(
    composer: Composer, entry_of: Callable[[Sms], Entry], key_maker: KeyMaker
) -> Callable[[Line], Composed]:
    if (sms := example(composer)) is None:
        return composer.compose
    plain = PlainRows(composer, key_maker, sms, entry_of(sms).body).sms
    return lambda line: plain(line) or composer.compose(line)


def _batch(lines: Iterator[Line], compose: Callable[[Line], Composed]) -> Sequence[Composed]:
    batch: list[Composed] = []
    characters = 0
    for line in lines:
        item = compose(line)
        batch.append(item)
        characters += _characters(item)
        if len(batch) == ROWS_A_TRANSACTION or characters >= CHARACTERS_A_TRANSACTION:
            break
    return batch


def _characters(item: Composed) -> int:
    if isinstance(item, PlainSms):
        return len(item.text)
    return len(getattr(item.content, "email_content", ""))
