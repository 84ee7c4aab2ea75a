"""Injectable disorder between changes of status and their webhooks. Pure."""

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
    """Disorder of the changes of status that are posted to the status webhook.

    The shares apply independently, except that a lost change is neither swapped nor late, and a
    swapped change is not late. The seed of the emulator, the number of earlier messages and the
    number of the change decide which changes are affected; the clock and the other shares do not.

    Args:
        duplicated: Share of the changes that are posted twice in succession.
        swapped: Share of the changes that are posted after the next one. The last change of a
            message has no next one and is not swapped.
        lost: Share of the changes that are never posted.
        late: Share of the changes that are posted `late_by` seconds later, whatever follows.
        late_by: Seconds of the emulator's clock.

    Raises:
        ValueError: A share is not between 0 and 1, or `late_by` is negative.
    """

    duplicated: float = field(default=0.0, validator=_share)
    swapped: float = field(default=0.0, validator=_share)
    lost: float = field(default=0.0, validator=_share)
    late: float = field(default=0.0, validator=_share)
    late_by: float = field(default=60.0, validator=_seconds)

    def strikes(self, seed: int, message: int, change: int, *, last: bool) -> set[str]:
        """Return the names of the shares that affect a change.

        Args:
            seed: The seed of the emulator.
            message: The number of the message, from 1.
            change: The number of the change of the message, from 1.
            last: Whether it is the last change.
        """
        # A generator per change, used in a fixed order: no share affects another's choices.
        chance = random.Random(f"{seed}/{message}/{change}")  # noqa: S311 - a test's dice
        affected = {name for name in _SHARES if chance.random() < getattr(self, name)}
        if "lost" in affected:
            return {"lost"}
        if last:
            affected.discard("swapped")
        if "swapped" in affected:
            affected.discard("late")
        return affected


NO_DISORDER: Final = WebhookDisorder()
