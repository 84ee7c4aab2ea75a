"""The public names of a package, each imported when it is first asked for (PEP 562).

Whoever needs one class does not wait for all the others. The package names its imports twice, under
``TYPE_CHECKING`` for checkers and editors and in a table for `lazily`; a test compares the two.
"""

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def lazily(
    package: str, homes: "Mapping[str, Iterable[str]]", moved: "Mapping[str, str] | None" = None
) -> "tuple[Callable[[str], Any], Callable[[], list[str]]]":
    """Make the ``__getattr__`` and the ``__dir__`` of a package.

    The modules of the table are attributes too, as they would be if they had been imported.

    Args:
        package: Its ``__name__``.
        homes: The names that each of its modules gives it; modules are named from the package on,
            as in ``"products.sms"``.
        moved: Names that another package has now, and which it is; asking for one here warns.
    """
    elsewhere = moved or {}
    module_of = {name: f"{package}.{home}" for home, names in homes.items() for name in names}
    modules = {home.partition(".")[0] for home in homes}
    known = vars(sys.modules[package])

    def __getattr__(name: str) -> Any:  # noqa: N807 - what the package calls it
        if name in module_of:
            known[name] = getattr(import_module(module_of[name]), name)
            return known[name]
        if name in elsewhere:
            new = f"{elsewhere[name]}.{name}"
            warnings.warn(
                f"{package}.{name} is deprecated: use {new}", DeprecationWarning, stacklevel=2
            )
            return getattr(import_module(elsewhere[name]), name)
        if name in modules:
            return import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*known, *module_of, *modules})

    return __getattr__, __dir__
