"""Public names of a package, each imported when it is first asked for (PEP 562).

A package lists its names once: as imports under ``TYPE_CHECKING``, where checkers and editors look.
`lazily` executes the code of the package again with an ``__import__`` that only takes notes. So it
imports nothing, needs no source file, and there is no second list to keep in step.
"""

import builtins
import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType


def lazily(
    package: str, *, moved: "Mapping[str, str] | None" = None
) -> "tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]":
    """Make ``__all__``, ``__getattr__`` and ``__dir__`` of the package that calls this.

    The modules of the public names become attributes too, as if they had been imported.

    Args:
        package: ``__name__`` of the package.
        moved: The new package of each name that moved there; asking for one here warns.
    """
    elsewhere = moved or {}
    module_of = _imports(sys._getframe(1).f_code)  # noqa: SLF001 - as namedtuple and enum do
    prefix = f"{package}."
    modules = {module.removeprefix(prefix).partition(".")[0] for module in module_of.values()}
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
            return import_module(prefix + name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*known, *module_of, *modules})

    return sorted(module_of), __getattr__, __dir__


class _Noted:
    """Stand-in for an imported module and all its attributes; ``TYPE_CHECKING`` is true."""

    def __getattr__(self, name: str) -> "_Noted":
        return self


def _imports(code: "CodeType") -> dict[str, str]:
    """Execute the code of a package without its imports; return the module of each name."""
    module_of: dict[str, str] = {}

    def note(
        module: str, _: object, __: object, names: "tuple[str, ...] | None", ___: int
    ) -> _Noted:
        if names and module not in ("typing", __name__):  # pytest puts plain imports in front
            module_of.update(dict.fromkeys(names, module))
        return _Noted()

    exec(code, {"__builtins__": {**vars(builtins), "__import__": note}})  # noqa: S102 - our own
    return module_of
