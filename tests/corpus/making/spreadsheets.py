"""Files by LibreOffice and Gnumeric, from what people type into them.

A sheet is typed as its country types it: LibreOffice reads it in that language, and chooses the
formats of cells as it does for whoever types there.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from people import BRAZIL, CHILE, FILES, MEXICO, Person

SETTINGS: Final = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Setup/L10N"><prop oor:name="ooSetupSystemLocale" oor:op="fuse">
<value>{locale}</value></prop></item>
</oor:items>
"""


class Country(NamedTuple):
    locale: str
    language: int
    """Microsoft's number of it, which the filter of text files takes."""
    people: tuple[Person, ...]
    columns: str
    amounts: tuple[str, ...]
    days: tuple[str, ...]
    decimal: str


COUNTRIES: Final = (
    Country(
        "es-CL",
        0x340A,
        CHILE,
        "Nombre;Teléfono;Monto;Fecha;Hora;Descuento",
        ("$15.000", "$2.500,50", "$990", "$1.234.567"),
        ("24-12-2026", "04-03-2026", "31-01-2027", "30-11-2026"),
        ",",
    ),
    Country(
        "es-MX",
        0x080A,
        MEXICO,
        "Nombre;Teléfono;Monto;Fecha;Hora;Descuento",
        ("$15,000.00", "$2,500.50", "$990.00", "$1,234,567.00"),
        ("24/12/2026", "04/03/2026", "31/01/2027", "30/11/2026"),
        ".",
    ),
    Country(
        "pt-BR",
        0x0416,
        BRAZIL,
        "Nome;Telefone;Valor;Data;Hora;Desconto",
        ("R$ 15.000,00", "R$ 2.500,50", "R$ 990,00", "R$ 1.234.567,00"),
        ("24/12/2026", "04/03/2026", "31/01/2027", "30/11/2026"),
        ",",
    ),
)

AS_SHOWN: Final = "csv:Text - txt - csv (StarCalc):{delimiter},34,{charset},1,,0,false,true"
AS_TYPED: Final = AS_SHOWN + ",false"
UTF_8, CP1252, CP850, UTF_16 = 76, 1, 4, 65535
"""LibreOffice's numbers of encodings."""


def make() -> None:
    """Make all of them. Takes a minute: LibreOffice starts some thirty times."""
    with tempfile.TemporaryDirectory() as folder:
        for country in COUNTRIES:
            _libreoffice(country, Path(folder))
        _gnumeric(Path(folder))


def _typed(country: Country) -> str:
    lines = [country.columns]
    for person, amount, day in zip(country.people, country.amounts, country.days, strict=True):
        percent = f"{person.discount:.1%}".replace(".0%", "%").replace(".", country.decimal)
        lines.append(f"{person.name};{person.phone};{amount};{day};{person.hour:%H:%M};{percent}")
    return "\n".join(lines) + "\n"


def _libreoffice(country: Country, folder: Path) -> None:
    profile = folder / f"profile-{country.locale}"
    (profile / "user").mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(
        SETTINGS.format(locale=country.locale)
    )
    stem = f"libreoffice-{country.locale}"
    typed = folder / f"{stem}.csv"
    typed.write_text(_typed(country), "utf-8")
    read = f"CSV:59,34,76,1,,{country.language},false,true,false"

    def convert(source: Path, form: str, name: str, *more: str) -> Path:
        out = folder / f"out-{name}"
        subprocess.run(
            [
                "soffice",
                f"-env:UserInstallation={profile.as_uri()}",
                "--headless",
                *more,
                "--convert-to",
                form,
                "--outdir",
                out,
                source,
            ],
            check=True,
            capture_output=True,
        )
        (made,) = out.iterdir()
        shutil.copyfile(made, FILES / name)
        return made

    ods = convert(typed, "ods", f"{stem}.ods", f"--infilter={read}")
    convert(ods, "xlsx:Calc MS Excel 2007 XML", f"{stem}.xlsx")
    convert(ods, "xls:MS Excel 97", f"{stem}.xls")
    convert(ods, AS_SHOWN.format(delimiter=44, charset=UTF_8), f"{stem}-utf-8-comma.csv")
    convert(ods, AS_SHOWN.format(delimiter=59, charset=CP1252), f"{stem}-cp1252-semicolon.csv")
    convert(ods, AS_TYPED.format(delimiter=9, charset=UTF_16), f"{stem}-unicode.txt")
    if country.locale == "es-CL":
        convert(ods, AS_TYPED.format(delimiter=59, charset=CP850), f"{stem}-cp850.csv")
        convert(ods, "fods", f"{stem}.fods")


def _gnumeric(folder: Path) -> None:
    typed = folder / "gnumeric.csv"
    typed.write_text(_typed(COUNTRIES[0]).replace(";", ","), "utf-8")
    typed.write_text(
        "Nombre,Teléfono,Monto,Fecha\n"
        + "".join(
            f"{person.name},{person.phone},{person.amount},{person.day}\n" for person in CHILE
        ),
        "utf-8",
    )
    for kind, name in (
        ("Gnumeric_Excel:xlsx2", "gnumeric.xlsx"),
        ("Gnumeric_Excel:excel_biff8", "gnumeric.xls"),
        ("Gnumeric_OpenCalc:openoffice", "gnumeric.ods"),
        ("Gnumeric_stf:stf_csv", "gnumeric.csv"),
    ):
        subprocess.run(
            ["ssconvert", f"--export-type={kind}", typed, FILES / name],
            check=True,
            capture_output=True,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin"},
        )
