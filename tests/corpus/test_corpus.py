"""Each file of the corpus, as people's programs made it, becomes what its maker meant."""

import tomllib
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from connectus_async import InvalidArgumentError
from connectus_async.recipients.composer import Composer
from connectus_async.recipients.phone_numbers import checker
from connectus_async.recipients.sources import Reading, open_source
from connectus_async.recipients.templates import parse_template

HERE = Path(__file__).parent
FILES = HERE / "files"
TABLE = tomllib.loads((HERE / "expected.toml").read_text("utf-8"))

CASES = [
    pytest.param(name, case, id=f"{name}-{place}")
    for place, case in enumerate(TABLE["case"])
    for name in case["files"]
]


def composer_of(case: dict[str, Any]) -> Composer:
    region = case.get("region", "CL")
    template = parse_template(
        "text",
        case.get("text", "Hola {Nombre}"),
        engine=case.get("engine", "plain"),
        locale=case.get("locale") or (f"und_{region}" if region else None),
    )
    return Composer(
        kind="sms",
        to=case.get("to", "Teléfono"),
        sms_content=template,
        normalise=checker(region or None),
        first_number=case.get("first_number", False),
    )


async def result_of(name: str, case: dict[str, Any]) -> dict[str, Any]:
    messages, errors = [], []
    result: dict[str, Any] = {"messages": messages, "errors": errors}
    try:
        region = case.get("region", "CL") or None
        reading = Reading(**case.get("reading", {}), region=region)
        source = await open_source(FILES / name, reading)
        composer = await anyio.to_thread.run_sync(composer_of, case)
        async for row in composer.rows(source):
            if isinstance(row.content, Exception):
                errors.append([row.line, str(row.content)])
            else:
                messages.append([row.line, row.content.dst_number, row.content.sms_content])
        result["notes"] = [note.replace(name, "FILE") for note in source.notes()]
    except InvalidArgumentError as error:
        result["refused"] = error.problem
    return {key: value for key, value in result.items() if value}


def expected(name: str, case: dict[str, Any]) -> dict[str, Any]:
    says_nothing = "refused" in case or "encoding" in case.get("reading", {})
    notes = [] if says_nothing else TABLE["notes"].get(name)
    said = {"notes": notes, **case}
    return {key: said[key] for key in ("messages", "errors", "refused", "notes") if said.get(key)}


@pytest.mark.parametrize(("name", "case"), CASES)
async def test_a_file_becomes_what_its_maker_meant(name: str, case: dict[str, Any]):
    """Recipients, texts, refusals with their line and sentence, and what the plan says of it."""
    assert await result_of(name, case) == expected(name, case)


def test_each_file_has_its_case():
    """None is there that nothing reads, and there are enough."""
    files = {path.name for path in FILES.iterdir()}

    assert files == {name for case in TABLE["case"] for name in case["files"]}
    assert len(files) >= 80
