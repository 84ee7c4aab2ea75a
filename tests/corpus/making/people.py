"""The people of the corpus, all made up, and the folder that their files are written to."""

import datetime as dt
from pathlib import Path
from typing import Final, NamedTuple

FILES: Final = Path(__file__).parent.parent / "files"


class Person(NamedTuple):
    name: str
    phone: str
    amount: float
    day: dt.date
    hour: dt.time
    discount: float


CHILE: Final = (
    Person("José Muñoz", "+56 9 8765 0001", 15000.0, dt.date(2026, 12, 24), dt.time(15, 30), 0.15),
    Person("Ana María", "9 8765 0002", 2500.5, dt.date(2026, 3, 4), dt.time(9, 5), 0.05),
    Person("Íñigo O'Higgins", "987650003", 990.0, dt.date(2027, 1, 31), dt.time(0, 0), 0.1),
    Person("Zoé Ñandú", "56987650004", 1234567.0, dt.date(2026, 11, 30), dt.time(23, 59), 0.125),
)
MEXICO: Final = (
    Person("José Núñez", "+52 55 1234 5601", 15000.0, dt.date(2026, 12, 24), dt.time(15, 30), 0.15),
    Person("Ana María", "55 1234 5602", 2500.5, dt.date(2026, 3, 4), dt.time(9, 5), 0.05),
    Person("Íñigo Peña", "5512345603", 990.0, dt.date(2027, 1, 31), dt.time(0, 0), 0.1),
    Person("Zoé Güemes", "525512345604", 1234567.0, dt.date(2026, 11, 30), dt.time(23, 59), 0.125),
)
BRAZIL: Final = (
    Person(
        "João Conceição", "+55 11 98765-0001", 15000.0, dt.date(2026, 12, 24), dt.time(15, 30), 0.15
    ),
    Person("Ana Maria", "(11) 98765-0002", 2500.5, dt.date(2026, 3, 4), dt.time(9, 5), 0.05),
    Person("Íris Araújo", "11987650003", 990.0, dt.date(2027, 1, 31), dt.time(0, 0), 0.1),
    Person(
        "Zoé Brandão", "5511987650004", 1234567.0, dt.date(2026, 11, 30), dt.time(23, 59), 0.125
    ),
)

COLUMNS: Final = ("Nombre", "Teléfono", "Monto", "Fecha", "Hora", "Descuento")


def digits(person: Person) -> int:
    """The number as a program stores it that keeps no plus sign."""
    plain = "".join(filter(str.isdigit, person.phone))
    return int(plain if len(plain) > 9 else f"56{plain}")


def write(name: str, content: str | bytes, encoding: str = "utf-8") -> None:
    """Write a file byte by byte, line breaks included."""
    data = content if isinstance(content, bytes) else content.encode(encoding)
    (FILES / name).write_bytes(data)
