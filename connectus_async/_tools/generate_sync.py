"""Generator of the blocking client: the classes of the async one, with bodies that wait for it.

``nox -s generate`` runs it. It reads source text and imports nothing of the package, so that it
works even when its last output does not. Rules that the source cannot express are in
``generate_sync.toml``.
"""

import argparse
import ast
import re
import sys
import textwrap
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

PACKAGE: Final = Path(__file__).resolve().parents[1]
SOURCES: Final = ("products/*.py", "bulk/sender.py", "otp/passwords.py", "client.py")
TARGET: Final = PACKAGE / "sync" / "_generated.py"
RULES: Final = Path(__file__).with_suffix(".toml")
TABLES: Final = (
    "classes",
    "methods",
    "arguments",
    "annotations",
    "imports",
    "renamed",
    "phrases",
)

INDENT: Final = " " * 4
LINE_LENGTH: Final = 100
COPY: Final = "copy"

DUNDERS: Final = {"__aenter__": "__enter__", "__aexit__": "__exit__"}
PLAIN_PROSE: Final = {r"\basync (with|for)\b": r"\1"}
PLAIN_EXAMPLE: Final = {
    r"\(await (.+)\)\.": r"\1.",
    r"\bawait ": "",
    r"\bAsyncConnectus\b": "Connectus",
    **PLAIN_PROSE,
}
ASYNC: Final = re.compile(r"\b(async|await|coroutine|event loop)|\b(Async|Await|Coroutine)\w*")
PASSES_ON: Final = re.compile(r"(.*\()([^()]*?)(\*\*)?\.\.\.(\)+)")

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Rules: TypeAlias = Mapping[str, Any]


class GenerationError(Exception):
    """The source needs a rule that is missing, or does not need one that exists."""


class Module:
    """Source of a module, and the modules of this package that its names come from."""

    def __init__(self, name: str, text: str) -> None:
        tree = ast.parse(text)
        self.classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        self.origins: dict[str, str] = {}
        for node in tree.body:
            match node:
                case ast.ImportFrom(module=str(origin)) if origin.startswith(PACKAGE.name):
                    self.origins |= {item.name: origin for item in node.names}
                case ast.ClassDef(name=defined) | ast.AnnAssign(target=ast.Name(id=defined)):
                    self.origins[defined] = name
                case _:
                    pass
        self._lines = text.encode().splitlines()  # a node's columns are bytes

    def source(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """Return the text of a node, on one line."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        lines = [*self._lines[first:last], self._lines[last][: node.end_col_offset]]
        lines[0] = lines[0][node.col_offset :]
        return " ".join(b"\n".join(lines).decode().split())

    def lines(self, nodes: Sequence[ast.stmt]) -> str:
        """Return the lines of statements, unchanged."""
        return b"\n".join(self._lines[nodes[0].lineno - 1 : nodes[-1].end_lineno]).decode()


class Parameter(NamedTuple):
    """Parameter of a function, or a ``/`` or ``*`` between two, which has no ``arg``."""

    sign: str
    arg: ast.arg | None = None
    default: ast.expr | None = None
    by_keyword: bool = False


def generate(modules: Iterable[Module], rules: Rules) -> str:
    """Write the blocking client of an async one.

    Raises:
        GenerationError: There is no rule for a public method, an attribute, an annotation or a
            docstring that needs one, or a rule that nothing needs; it is named.
    """
    return _Generator(modules, rules).write()


class _Generator:
    def __init__(self, modules: Iterable[Module], rules: Rules) -> None:
        self._rules = rules
        self._unused = {(name, key) for name in TABLES for key in rules[name]}
        self._imports: defaultdict[str, set[str]] = defaultdict(set)
        self._classes = {
            node.name: (module, node)
            for module in modules
            for node in module.classes
            if node.name in rules["classes"] or _is_service(node)
        }
        self._paths = dict(self._services_of("AsyncConnectus"))

    def write(self) -> str:
        classes = [self._class(*found) for found in self._classes.values()]
        if self._unused:
            raise GenerationError(f"not needed: {min(map('.'.join, self._unused))}")
        imports = "\n".join(starmap(_import, sorted(self._imports.items())))
        head: str = self._rules["head"].format(imports=imports)
        return head + "\n\n" + "\n\n\n".join(classes) + "\n"

    def _services_of(self, owner: str, prefix: str = "") -> Iterator[tuple[str, str]]:
        """Find the classes of the services, with their attribute paths from the client."""
        for node in ast.walk(self._classes[owner][1]):
            match node:
                case ast.Assign(
                    targets=[ast.Attribute(attr=attribute)],
                    value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)),
                ) if name in self._classes:
                    yield name, prefix + attribute
                    yield from self._services_of(name, f"{prefix}{attribute}.")
                case _:
                    pass

    def _rule(self, table: str, key: str) -> str | None:
        self._unused.discard((table, key))
        rule: str | None = self._rules[table].get(key)
        return rule

    def _class(self, module: Module, node: ast.ClassDef) -> str:
        if _is_service(node) and node.name not in self._paths:
            raise GenerationError(f"{node.name} is an attribute of neither client nor service")
        name = self._rule("classes", node.name) or node.name
        bases = ", ".join(map(module.source, node.bases))
        head = [f"class {name}({bases}):" if bases else f"class {name}:"]
        functions = [item for item in node.body if isinstance(item, Function)]
        methods = [self._method(module, node, function) for function in functions]
        docstring = self._docstring(module, node, node.name)
        text = "\n\n".join(["\n".join(head + docstring), *filter(None, methods)])
        tree = ast.parse(text)
        if lost := _public_attributes(node) - _public_attributes(tree):
            raise GenerationError(f"no rule for the attribute {node.name}.{min(lost)}")
        for used in sorted(_names(tree) - self._classes.keys()):
            if origin := self._rule("imports", used) or module.origins.get(used):
                self._imports[origin].add(used)
        return text

    def _method(self, module: Module, owner: ast.ClassDef, node: Function) -> str | None:
        key = f"{owner.name}.{node.name}"
        rule = self._rule("methods", key)
        if rule is None:
            is_private = node.name.startswith("_")
            if is_private and not node.name.endswith("__"):
                return None
            if is_private or not _is_service(owner) or not _is_coroutine(node):
                raise GenerationError(f"no rule for the method {key}")
            path = f"{self._paths[owner.name]}.{node.name}"
            rule = f"return self._bridge.runner.call(self._bridge.client.{path}, ...)"
        if rule.startswith("def "):
            return textwrap.indent(rule, INDENT)
        lines = [
            *(f"{INDENT}@{module.source(decorator)}" for decorator in node.decorator_list),
            self._signature(module, node, key),
            *self._docstring(module, node, key),
        ]
        if rule != COPY:
            return "\n".join([*lines, *self._body(owner.name, node, rule)])
        statements = node.body[ast.get_docstring(node) is not None :]
        text = "\n".join([*lines, module.lines(statements)])
        return self._renamed("renamed", text)

    def _signature(self, module: Module, node: Function, key: str) -> str:
        declared: list[str] = []
        for sign, arg, default, _ in _parameters(node.args):
            text = sign + (arg.arg if arg else "")
            if arg and arg.annotation:
                text += f": {self._annotation(module, arg.annotation, key)}"
            if default:
                text += f" = {module.source(default)}"
            declared.append(text)
        result = f" -> {self._annotation(module, node.returns, key)}" if node.returns else ""
        name = DUNDERS.get(node.name, node.name)
        return _laid_out(f"{INDENT}def {name}(", declared, f"){result}:")

    def _annotation(self, module: Module, node: ast.expr, key: str) -> str:
        text = self._renamed("annotations", module.source(node))
        if found := ASYNC.search(text):
            raise GenerationError(f"no rule for the annotation {found[0]} of {key}")
        return text

    def _docstring(self, module: Module, node: Function | ast.ClassDef, key: str) -> list[str]:
        if ast.get_docstring(node) is None:
            return []
        text = module.lines(node.body[:1])
        for phrase in self._rules["phrases"]:
            if phrase in text:
                text = text.replace(phrase, self._rule("phrases", phrase) or "")
        prose, marker, example = text.partition("Example:\n")
        text = _replaced(prose, PLAIN_PROSE) + marker + _replaced(example, PLAIN_EXAMPLE)
        if found := ASYNC.search(text):
            raise GenerationError(f"no rule for {found[0]!r} in the docstring of {key}")
        return [text]

    def _body(self, owner: str, node: Function, rule: str) -> Iterator[str]:
        for line in rule.split("\n"):
            if found := PASSES_ON.fullmatch(line):
                head, given, stars, tail = found.groups()
                passed = self._passed(owner, node, all_by_keyword=bool(stars))
                items = [*filter(None, [given.removesuffix(", ")]), *passed]
                yield _laid_out(f"{INDENT * 2}{head}", items, tail)
            else:
                yield textwrap.indent(line, INDENT * 2)

    def _passed(self, owner: str, node: Function, *, all_by_keyword: bool) -> Iterator[str]:
        for sign, arg, _, by_keyword in _parameters(node.args):
            if arg and arg.arg != "self":
                value = self._rule("arguments", f"{owner}.{arg.arg}") or arg.arg
                is_named = by_keyword or (all_by_keyword and not sign)
                yield f"{arg.arg}={value}" if is_named else sign + value

    def _renamed(self, table: str, text: str) -> str:
        for name in self._rules[table]:
            if re.search(rf"\b{name}\b", text):
                text = re.sub(rf"\b{name}\b", self._rule(table, name) or "", text)
        return text


def _is_service(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "Service" for base in node.bases)


def _is_coroutine(node: Function) -> bool:
    is_generator = any(isinstance(item, ast.Yield) for item in ast.walk(node))
    return isinstance(node, ast.AsyncFunctionDef) and not is_generator


def _parameters(arguments: ast.arguments) -> Iterator[Parameter]:
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + arguments.defaults
    for count, (arg, default) in enumerate(zip(positional, defaults, strict=True), 1):
        yield Parameter("", arg, default)
        if count == len(arguments.posonlyargs):
            yield Parameter("/")
    if arguments.vararg or arguments.kwonlyargs:
        yield Parameter("*", arguments.vararg)
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield Parameter("", arg, default, by_keyword=True)
    if arguments.kwarg:
        yield Parameter("**", arguments.kwarg)


def _public_attributes(owner: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(owner):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Store()):
                found.add(name)
            case ast.ClassDef(body=body):
                found |= {
                    name.id
                    for item in body
                    if isinstance(item, ast.Assign | ast.AnnAssign)
                    for name in ast.walk(item)
                    if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
                }
            case _:
                pass
    return {name for name in found if not name.startswith("_")}


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _replaced(text: str, patterns: Mapping[str, str]) -> str:
    for pattern, replacement in patterns.items():
        text = re.sub(pattern, replacement, text)
    return text


def _laid_out(head: str, items: Iterable[str], tail: str) -> str:
    """Wrap a call or a signature as the formatter does."""
    items = list(items)
    line = ", ".join(items)
    indent = " " * (len(head) - len(head.lstrip()))
    if len(head + line + tail) <= LINE_LENGTH:
        return head + line + tail
    if len(indent + INDENT + line) <= LINE_LENGTH:
        return f"{head}\n{indent}{INDENT}{line}\n{indent}{tail}"
    return "\n".join([head, *(f"{indent}{INDENT}{item}," for item in items), indent + tail])


def _import(module: str, names: Iterable[str]) -> str:
    """Write an import in the order of the linter: constants, classes, the rest."""
    names = sorted(names, key=lambda name: (not name.isupper(), name.islower(), name))
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= LINE_LENGTH:
        return line
    return "\n".join([f"from {module} import (", *(f"{INDENT}{name}," for name in names), ")"])


def _modules() -> Iterator[Module]:
    for pattern in SOURCES:
        for path in sorted(PACKAGE.glob(pattern)):
            name = ".".join([PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts])
            yield Module(name, path.read_text("utf-8"))


def generated() -> str:
    """Return the blocking client of this package, as it should be in `TARGET`."""
    return generate(_modules(), tomllib.loads(RULES.read_text("utf-8")))


def main() -> None:
    """Write the blocking client."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="only fail if it is not up to date")
    is_check = parser.parse_args().check
    try:
        text = generated()
    except GenerationError as error:
        sys.exit(f"{error}: see {RULES.name}")
    if not is_check:
        TARGET.write_text(text, "utf-8", newline="\n")
    elif not TARGET.exists() or TARGET.read_text("utf-8") != text:
        sys.exit(f"{TARGET.name} is not what its sources say: run nox -s generate")


if __name__ == "__main__":
    main()
