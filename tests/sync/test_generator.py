"""The generator of the blocking client, on sources that are small enough to see through."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from connectus_async._tools import generate_sync
from connectus_async._tools.generate_sync import TABLES, GenerationError, Module, generate

CLIENT = '''
class AsyncConnectus:
    """The client."""

    def __init__(self, transport):
        self.sms = SmsService(transport)
'''

RULES = {
    "head": "# Head.\n\n{imports}\n",
    "classes": {"AsyncConnectus": "Connectus"},
    "methods": {"AsyncConnectus.__init__": "copy"},
    "renamed": {"transport": "bridge"},
}


def rules(**tables: Any) -> dict[str, Any]:
    """Give the rules above with more entries in some tables."""
    return {"head": RULES["head"]} | {
        table: RULES.get(table, {}) | tables.get(table, {}) for table in TABLES
    }


def written(source: str, client: str = CLIENT, **tables: Any) -> str:
    """Generate from a module of a service and one of the client."""
    modules = [
        Module("connectus_async.products.sms", textwrap.dedent(source)),
        Module("connectus_async.client", textwrap.dedent(client)),
    ]
    return generate(modules, rules(**tables))


def service(*methods: str) -> str:
    """Write the source of a service."""
    body = "\n\n".join(
        textwrap.indent(textwrap.dedent(method).strip(), "    ") for method in methods
    )
    return f'class SmsService(Service):\n    """The calls."""\n\n{body}\n'


def method(source: str, **tables: Any) -> str:
    """Generate a service of one method, and give what became of the method."""
    text = written(service(source), **tables)
    _, _, rest = text.partition('    """The calls."""\n\n')
    return textwrap.dedent(rest.partition("\n\n\nclass")[0])


CALL = "return self._bridge.runner.call(self._bridge.client.sms.send"


@pytest.mark.parametrize(
    ("parameters", "passed"),
    [
        ("", ""),
        (", a", ", a"),
        (", a, /, b", ", a, b"),
        (", a=1, /", ", a"),
        (", *, a", ", a=a"),
        (", a, *, b=2, c", ", a, b=b, c=c"),
        (", *a", ", *a"),
        (", *a, b", ", *a, b=b"),
        (", **a", ", **a"),
        (", a, /, b=1, *c, d, e=2, **f", ", a, b, *c, d=d, e=e, **f"),
    ],
)
def test_parameters_of_every_kind_are_declared_and_passed_on(parameters: str, passed: str):
    """Positional ones by position, keywords by keyword, the others with their stars."""
    found = method(f"async def send(self{parameters}):\n    pass")

    wanted = f"def send(self{parameters}):\n    {CALL}{passed})"
    assert ast.dump(ast.parse(found)) == ast.dump(ast.parse(wanted))


def test_annotations_and_defaults_stay_as_they_are_written():
    """Quotes and all: the reader sees what the author of the async client wrote."""
    found = method(
        """
        async def send(
            self,
            a: "ssl.SSLContext | None" = None,
            b: Literal["hash"] = "hash",
            c: int = 16 * 2**20,
        ) -> dict[str, "X"]:
            pass
        """
    )

    assert found == (
        'def send(\n    self, a: "ssl.SSLContext | None" = None, b: Literal["hash"] = "hash", '
        'c: int = 16 * 2**20\n) -> dict[str, "X"]:\n'
        f"    {CALL}, a, b, c)"
    )


def test_lines_are_broken_as_the_formatter_does():
    """On one line if it fits, else the arguments on one line, else a line for each."""
    names = [f"argument_number_{index}" for index in range(4)]
    line = "argument_number_0, argument_number_1, argument_number_2, argument_number_3"
    found = method(f"async def send(self, {', '.join(names)}, *, last):\n    pass")

    assert found.splitlines() == [
        "def send(",
        f"    self, {line}, *, last",
        "):",
        "    return self._bridge.runner.call(",
        "        self._bridge.client.sms.send,",
        *(f"        {name}," for name in names),
        "        last=last,",
        "    )",
    ]


def test_private_methods_are_left_out():
    """They belong to the async client."""
    found = method(
        """
        async def send(self) -> None:
            pass

        async def _post(self) -> None:
            pass
        """
    )

    assert "_post" not in found


def test_a_service_in_a_service_is_called_by_its_path():
    """As ``connectus.sms.groups.send``."""
    nested = """
class GroupsService(Service):
    async def send(self) -> None:
        pass
"""
    parent = service("def __init__(self, transport):\n    self.groups = GroupsService(transport)")

    text = written(nested + parent, methods={"SmsService.__init__": "copy"})

    assert "self._bridge.runner.call(self._bridge.client.sms.groups.send)" in text
    assert "def __init__(self, bridge):\n        self.groups = GroupsService(bridge)" in text


def test_what_is_imported_is_what_is_used():
    """Of this package, from where the source has it, sorted, and once."""
    source = """
from connectus_async.answer import MESSAGE_ID_KEYS, Answer, unused
from connectus_async.products.product import Product

class SmsReceipt(Answer):
    pass

DEFAULT: Final = 1

""" + service("async def send(self, a: Product, b: Answer = DEFAULT) -> SmsReceipt:\n    pass")

    assert written(source).startswith(
        "# Head.\n\n"
        "from connectus_async.answer import Answer\n"
        "from connectus_async.products.product import Product\n"
        "from connectus_async.products.sms import DEFAULT, SmsReceipt\n"
        "\n\nclass SmsService(Service):\n"
    )


def test_a_type_that_only_the_blocking_client_has_is_imported_from_where_its_rule_says():
    """The source does not know it."""
    tables = {"annotations": {"Receipt": "BlockingReceipt"}, "imports": {"BlockingReceipt": "a.b"}}
    found = written(service("async def send(self) -> Receipt:\n    pass"), **tables)

    assert "from a.b import BlockingReceipt\n" in found
    assert "def send(self) -> BlockingReceipt:" in found


def test_the_example_of_a_docstring_becomes_plain_code():
    """So do the words around it, where they name a statement."""
    found = method(
        '''
        async def send(self) -> None:
            """Send. Use it with ``async with``.

            Example:
                async with AsyncConnectus() as connectus:
                    receipt = await connectus.sms.send(x)
                    (await connectus.sms.status(receipt.id)).status
                    async for outcome in stream():
                        print(outcome)
            """
        '''
    )

    assert found.partition('    """')[2].partition('    """')[0].splitlines() == [
        "Send. Use it with ``with``.",
        "",
        "    Example:",
        "        with Connectus() as connectus:",
        "            receipt = connectus.sms.send(x)",
        "            connectus.sms.status(receipt.id).status",
        "            for outcome in stream():",
        "                print(outcome)",
    ]


def test_a_rule_changes_a_phrase_an_annotation_and_an_argument():
    """Whatever cannot be told from the source."""
    found = method(
        '''
        async def send(self, source: AsyncIterator[int], *, note: Note) -> None:
            """Send what a coroutine gives."""
        ''',
        annotations={"AsyncIterator": "Iterator"},
        arguments={"SmsService.source": "pulled(source)", "SmsService.note": "f(note)"},
        phrases={"a coroutine": "a function"},
    )

    assert found == (
        "def send(self, source: Iterator[int], *, note: Note) -> None:\n"
        '    """Send what a function gives."""\n'
        f"    {CALL}, pulled(source), note=f(note))"
    )


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("return f(...)", "return f(a, b=b)"),
        ("return f(first, ...)", "return f(first, a, b=b)"),
        ("return f(g(...))", "return f(g(a, b=b))"),
        ("x = f(**...)\nreturn x", "x = f(a=a, b=b)\n    return x"),
        ("return self", "return self"),
    ],
)
def test_a_rule_writes_a_body(rule: str, wanted: str):
    """Dots stand for the arguments, after two stars for all of them by keyword."""
    found = method("def send(self, a, *, b):\n    pass", methods={"SmsService.send": rule})

    assert found == f"def send(self, a, *, b):\n    {wanted}"


def test_a_rule_replaces_a_method():
    """Where the two sides have nothing but the name in common."""
    whole = "def send(self) -> int:\n    return 1"

    assert method("async def send(self, a):\n    pass", methods={"SmsService.send": whole}) == whole


def test_a_copied_method_keeps_its_lines():
    """With comments, and with the names that differ changed."""
    source = """
def send(self, transport: Transport) -> None:
    x = [
        transport,  # why it is so
    ]
    return x
"""
    found = method(source, methods={"SmsService.send": "copy"}, renamed={"Transport": "Bridge"})

    assert found == source.strip().replace("transport", "bridge").replace("Transport", "Bridge")


def test_the_methods_of_async_with_become_those_of_with():
    """Under the names that ``with`` looks for."""
    found = method(
        "async def __aenter__(self) -> Self:\n    return self",
        methods={"SmsService.__aenter__": "return self"},
    )

    assert found == "def __enter__(self) -> Self:\n    return self"


PLAIN = "async def send(self) -> None:\n    pass"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        ("def send(self):\n    pass", "method SmsService.send"),
        ("@property\ndef send(self):\n    pass", "method SmsService.send"),
        ("async def send(self):\n    yield 1", "method SmsService.send"),
        ("async def __aiter__(self):\n    pass", "method SmsService.__aiter__"),
        (
            "async def send(self) -> AsyncIterator[int]:\n    pass",
            "AsyncIterator of SmsService.send",
        ),
        ("async def send(self, a: Awaitable[int]):\n    pass", "Awaitable of SmsService.send"),
        ('async def send(self, a: "AsyncThing"):\n    pass', "AsyncThing of SmsService.send"),
        (
            'async def send(self):\n    """Must be awaited."""',
            "'await' in the docstring of SmsService.send",
        ),
        (
            'async def send(self):\n    """Not async."""',
            "'async' in the docstring of SmsService.send",
        ),
        ('async def send(self):\n    """In an event loop."""', "'event loop' in the docstring"),
        ("async def send(self):\n    self.count = 1", "attribute SmsService.count"),
        ("limit: int = 1", "attribute SmsService.limit"),
        ("limit = 1", "attribute SmsService.limit"),
    ],
)
def test_what_no_rule_covers_is_named(source: str, named: str):
    """A new public method does not go missing on the blocking side."""
    with pytest.raises(GenerationError, match=f"no rule for .*{named}"):
        written(service(source))


def test_a_service_that_nobody_reaches_is_named():
    """It was written and then forgotten in the client."""
    with pytest.raises(GenerationError, match="LostService is an attribute of neither"):
        written(service(PLAIN) + "\nclass LostService(Service):\n    pass\n")


@pytest.mark.parametrize("table", TABLES)
def test_a_rule_that_nothing_needs_is_named(table: str):
    """What it was for is gone, or goes by another name now."""
    with pytest.raises(GenerationError, match=f"not needed: {table}.Gone"):
        written(service(PLAIN), **{table: {"Gone": "x"}})


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "_generated.py"
    monkeypatch.setattr(generate_sync, "TARGET", path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["generate_sync", *arguments])
    generate_sync.main()


def test_the_command_writes_and_then_finds_nothing_to_say(
    target: Path, monkeypatch: pytest.MonkeyPatch
):
    """``--check`` alone writes nothing."""
    with pytest.raises(SystemExit, match="run nox -s generate"):
        run(monkeypatch, "--check")
    assert not target.exists()

    run(monkeypatch)
    run(monkeypatch, "--check")

    assert target.read_text("utf-8") == generate_sync.generated()


def test_the_command_finds_a_difference(target: Path, monkeypatch: pytest.MonkeyPatch):
    """One byte is enough, and it is left alone."""
    run(monkeypatch)
    changed = target.read_bytes() + b"\n"
    target.write_bytes(changed)

    with pytest.raises(SystemExit, match="run nox -s generate"):
        run(monkeypatch, "--check")

    assert target.read_bytes() == changed


def test_the_command_says_what_a_rule_is_missing_for(target: Path, monkeypatch: pytest.MonkeyPatch):
    """In one sentence, with the file that the rule belongs into."""

    def refuse(*_: object) -> str:
        raise GenerationError("no rule for the method Bulk.pause")

    monkeypatch.setattr(generate_sync, "generate", refuse)
    with pytest.raises(SystemExit, match=r"Bulk.pause: see generate_sync.toml"):
        run(monkeypatch)


def test_it_runs_without_the_package_that_it_writes_for():
    """Or a mistake in what it wrote could not be mended by running it."""
    program = [sys.executable, "-I", generate_sync.__file__, "--check"]

    assert subprocess.run(program, check=False, timeout=100).returncode == 0
