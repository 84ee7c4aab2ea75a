"""Templates of the loads of a campaign: they tell an edited text from rows with other data."""

import json
from bisect import bisect
from collections.abc import Mapping
from typing import Self

import attrs

from connectus_async.ledger.abc import Ledger
from connectus_async.ledger.metadata_names import TEMPLATES


@attrs.frozen
class LoadTemplates:
    """Templates of the loads of a ledger.

    Attributes:
        first: For each change of template, in order, the number of the first load that had it, and
            its hash; ``None`` for a load that was given messages without their template.
    """

    first: tuple[tuple[int, str | None], ...] = ()

    @classmethod
    def read(cls, metadata: Mapping[str, str]) -> Self:
        """Read them from the metadata of a ledger."""
        return cls(
            tuple((load, template) for load, template in json.loads(metadata.get(TEMPLATES, "[]")))
        )

    def written(self) -> dict[str, str]:
        """Write them as metadata of a ledger."""
        return {TEMPLATES: json.dumps(self.first)}

    def of(self, load: int) -> str | None:
        """Find the template of a load.

        >>> templates = LoadTemplates(((2, "a"), (5, "b")))
        >>> [templates.of(load) for load in (1, 2, 4, 5, 6)]
        [None, 'a', 'a', 'b', 'b']
        """
        place = bisect(self.first, load, key=lambda it: it[0])
        return self.first[place - 1][1] if place else None

    def added(self, load: int, template: str | None) -> Self:
        """Add the template of the newest load.

        >>> LoadTemplates(((2, "a"),)).added(4, "a").added(5, "b").first
        ((2, 'a'), (5, 'b'))
        """
        if self.of(load) == template:
            return self
        return type(self)((*self.first, (load, template)))


async def note_template(ledger: Ledger, load: int, template: str | None) -> LoadTemplates:
    """Record the template of a load that begins; return those of all loads."""
    known = LoadTemplates.read(await ledger.metadata())
    templates = known.added(load, template)
    if templates is not known:
        await ledger.set_metadata(**templates.written())
    return templates
