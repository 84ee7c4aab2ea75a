"""The script that people write by hand to prepare an SMS for each row of a table.

``sources`` compares ``connectus bulk send --dry-run`` with it. It reads all rows with pandas or
polars, checks each number with phonenumbers, and fills a text; it counts no SMS and finds no
duplicate.
"""

import sys
from pathlib import Path
from typing import Any

import phonenumbers


def with_pandas(path: Path) -> Any:
    """Read the rows with pandas."""
    import pandas as pd  # noqa: PLC0415 - one of two

    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".xlsx": pd.read_excel}[path.suffix]
    frame = read(path) if path.suffix == ".parquet" else read(path, dtype=str)
    return frame.itertuples(index=False)


def with_polars(path: Path) -> Any:
    """Read the rows with polars."""
    import polars as pl  # noqa: PLC0415 - one of two

    if path.suffix == ".csv":
        frame = pl.read_csv(path, infer_schema=False)
    elif path.suffix == ".parquet":
        frame = pl.read_parquet(path)
    else:
        frame = pl.read_excel(path, engine="openpyxl")
    return frame.iter_rows()


def main(library: str, path: str, region: str) -> None:
    """Prepare all messages, and print how many there are."""
    messages, wrong = [], 0
    for written, name, order in {"pandas": with_pandas, "polars": with_polars}[library](Path(path)):
        try:
            number = phonenumbers.parse(str(written), region)
        except phonenumbers.NumberParseException:
            wrong += 1
            continue
        if phonenumbers.is_valid_number(number):
            digits = f"{number.country_code}{number.national_number}"
            messages.append((digits, f"Hola {name}, tu pedido {order} va en camino."))
        else:
            wrong += 1
    print(len(messages), wrong)


if __name__ == "__main__":
    main(*sys.argv[1:])
