"""Packages of Excel: zipped parts that refer to each other."""

import posixpath
from collections.abc import Iterator
from typing import Final
from zipfile import ZipFile

from connectus_async.recipients.sources.workbooks.parts import DamagedError, elements

MAIN: Final = "officeDocument"
SHEET: Final = "worksheet"
TEXTS: Final = "sharedStrings"
STYLES: Final = "styles"
"""Kinds of parts, at the end of the names that Excel has for them."""


class Package:
    """A workbook of parts.

    Args:
        archive: The parts.

    Raises:
        DamagedError: It has no main part.

    Attributes:
        archive: The parts.
        main: The name of the main part.
    """

    def __init__(self, archive: ZipFile) -> None:
        self.archive = archive
        self._names = {_folded(name): name for name in archive.namelist()}
        self.main = next((name for _, name in self._targets("", MAIN)), "")
        if not self.main:
            raise DamagedError

    def sheets(self) -> dict[str, str]:
        """Find the parts of the sheets with cells, by identifier."""
        return dict(self._targets(self.main, SHEET))

    def part(self, kind: str) -> str | None:
        """Find the part of a kind that the main part refers to."""
        return next((name for _, name in self._targets(self.main, kind)), None)

    def _targets(self, path: str, kind: str) -> Iterator[tuple[str, str]]:
        folder, name = posixpath.split(path.replace("\\", "/"))
        relations = self._names.get(_folded(posixpath.join(folder, "_rels", name + ".rels")))
        for tag, given in elements(self.archive, relations) if relations else ():
            if tag == "Relationship" and given["Type"].endswith("/" + kind):
                target = posixpath.normpath(posixpath.join("/", folder, given["Target"]))
                found = self._names.get(_folded(target.lstrip("/")))
                if found is not None:
                    yield given["Id"], found


def _folded(name: str) -> str:
    return name.replace("\\", "/").casefold()
