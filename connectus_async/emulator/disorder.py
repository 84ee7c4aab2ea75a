"""Disorder on order: what goes wrong between a change of status and the webhook that hears of it.

Pure.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

if TYPE_CHECKING:
    from attrs import Attribute

_SHARES: Final = ("lost", "duplicated", "swapped", "late")


def _share(_: WebhookDisorder, attribute: Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        sentence = f"{attribute.name} must be 0 to 1, not {value!r}"
        raise ValueError(sentence)


def _seconds(_: WebhookDisorder, attribute: Attribute[float], value: float) -> None:
    if not value >= 0:
        sentence = f"{attribute.name} must be 0 or more, not {value!r}"
        raise ValueError(sentence)


@frozen(kw_only=True)
class WebhookDisorder:
    """How the changes of status that the status webhook hears of go wrong.

    Each change meets each share on its own, except that one that is lost is neither swapped nor
    late, and one that is swapped is not late. Which changes are struck depends on the emulator's
    seed, on how many messages came before, and on which change of its message it is: neither on
    the clock nor on the other shares.

    Args:
        duplicated: Share of the changes that are posted twice, one right after the other.
        swapped: Share of the changes that are posted after the one that follows them. The last
            change of a message has none that follows it, and keeps its place.
        lost: Share of the changes that are never posted.
        late: Share of the changes that are posted `late_by` seconds later, whatever follows.
        late_by: Seconds of the emulator's clock.

    Raises:
        ValueError: A share is not 0 to 1, or `late_by` is negative.
    """

    duplicated: float = field(default=0.0, validator=_share)
    swapped: float = field(default=0.0, validator=_share)
    lost: float = field(default=0.0, validator=_share)
    late: float = field(default=0.0, validator=_share)
    late_by: float = field(default=60.0, validator=_seconds)

    def strikes(self, seed: int, message: int, change: int, *, last: bool) -> set[str]:
        """What happens to one change: names of the shares.

        Args:
            seed: The emulator's.
            message: Which message, counted from 1.
            change: Which change of the message, counted from 1.
            last: Whether no other change follows it.
        """
        # One source for each change, drawn from in one order: no share moves another's choices.
        chance = random.Random(f"{seed}/{message}/{change}")  # noqa: S311 - a test's dice
        struck = {name for name in _SHARES if chance.random() < getattr(self, name)}
        if "lost" in struck:
            return {"lost"}
        if last:
            struck.discard("swapped")
        if "swapped" in struck:
            struck.discard("late")
        return struck


NO_DISORDER: Final = WebhookDisorder()
