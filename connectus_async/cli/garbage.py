"""How often Python looks for garbage in the processes of the command line."""

import gc
from typing import Final

OBJECTS: Final = 20_000
"""How many more there are before it looks: a campaign makes and drops some thousand with each group
of its ledger. At the 700 of Python 3.11 that took 11 to 19 of 150 us per message, for nothing."""


def look_seldom() -> None:
    """Have Python look for garbage less often, in this process."""
    gc.set_threshold(OBJECTS)
