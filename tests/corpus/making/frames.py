"""Files by pandas, polars, pyarrow, DuckDB, R, SQLite's shell and PostgreSQL's."""

import subprocess
from decimal import Decimal
from typing import Any, Final

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as arrow_parquet
from people import CHILE, COLUMNS, FILES, digits

from connectus_async.postgres_server import PostgresServer

TABLE: Final = {name: [person[place] for person in CHILE] for place, name in enumerate(COLUMNS)}
NUMBERS: Final = {
    "Nombre": [person.name for person in CHILE],
    "Teléfono": [digits(person) for person in CHILE],
    "Monto": [person.amount for person in CHILE],
}
MISSING: Final = {
    "Nombre": ["José", None, "Ana"],
    "Teléfono": [56987650001, None, 56987650003],
    "Monto": [15000, 990, None],
}
SQL: Final = f"""
CREATE TABLE clientes (nombre text, telefono text, monto numeric, fecha date);
INSERT INTO clientes VALUES
{", ".join("('{}', '{}', {}, '{}')".format(p.name.replace("'", "''"), p.phone, p.amount, p.day) for p in CHILE)};
INSERT INTO clientes VALUES ('Luz "Lulú", S.A.', '+56987650009', NULL, NULL);
"""


def make() -> None:
    """Make all of them."""
    _pandas()
    _polars()
    _pyarrow()
    _duckdb()
    _r()
    _shells()


def _pandas() -> None:
    table = pd.DataFrame(TABLE)
    table.to_csv(FILES / "pandas.csv", index=False)
    table.to_csv(FILES / "pandas-index.csv")
    table.to_csv(
        FILES / "pandas-semicolon.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig"
    )
    table.to_csv(FILES / "pandas.csv.gz", index=False)
    table.to_csv(FILES / "pandas-cp1252.csv", index=False, encoding="cp1252")
    table.to_excel(FILES / "pandas.xlsx", index=False)
    table.to_excel(FILES / "pandas-index.xlsx")
    pd.DataFrame(NUMBERS).to_json(FILES / "pandas.jsonl", orient="records", lines=True)
    pd.DataFrame(NUMBERS).to_parquet(FILES / "pandas-index.parquet", index=True)
    pd.DataFrame(MISSING).to_csv(FILES / "pandas-missing.csv", index=False)
    pd.DataFrame(MISSING).to_csv(FILES / "pandas-missing-na.csv", index=False, na_rep="NaN")
    pd.DataFrame(MISSING).to_excel(FILES / "pandas-missing.xlsx", index=False)
    pd.DataFrame(MISSING).to_parquet(FILES / "pandas-missing.parquet")
    grouped = pd.DataFrame(
        [[person.name, person.phone, person.amount] for person in CHILE],
        columns=pd.MultiIndex.from_tuples(
            [("Cliente", "Nombre"), ("Cliente", "Teléfono"), ("Deuda", "Monto")]
        ),
    )
    grouped.to_excel(FILES / "pandas-two-headers.xlsx")


def _polars() -> None:
    table = pl.DataFrame(TABLE)
    table.write_csv(FILES / "polars.csv")
    table.write_csv(
        FILES / "polars-semicolon.csv", separator=";", decimal_comma=True, include_bom=True
    )
    table.write_csv(
        FILES / "polars-quoted.tsv", separator="\t", quote_style="always", line_terminator="\r\n"
    )
    table.write_excel(FILES / "polars.xlsx")
    pl.DataFrame(NUMBERS).write_ndjson(FILES / "polars.ndjson")
    table.with_columns(
        pl.col("Nombre").cast(pl.Categorical),
        pl.col("Monto").cast(pl.Decimal(12, 2)),
    ).write_parquet(FILES / "polars-decimal.parquet")
    pl.DataFrame(MISSING).write_csv(FILES / "polars-missing.csv", null_value="NA")


def _pyarrow() -> None:
    table: Any = pa.table(
        {
            "Nombre": pa.array(TABLE["Nombre"]).dictionary_encode(),
            "Teléfono": pa.array(NUMBERS["Teléfono"], pa.int64()),
            "Monto": pa.array(TABLE["Monto"], pa.float32()),
            "Fecha": pa.array(TABLE["Fecha"], pa.date32()),
        }
    )
    arrow_parquet.write_table(table, FILES / "pyarrow.parquet", compression="zstd")
    arrow_csv.write_csv(table, FILES / "pyarrow.csv")


def _duckdb() -> None:
    base = duckdb.connect()
    base.execute(
        "CREATE TABLE clientes (nombre text, telefono text, monto decimal(12, 2), fecha date)"
    )
    rows = [
        (person.name, person.phone, Decimal(str(person.amount)), person.day) for person in CHILE
    ]
    base.executemany("INSERT INTO clientes VALUES (?, ?, ?, ?)", rows)
    base.execute("INSERT INTO clientes VALUES ('Luz \"Lulú\", S.A.', '+56987650009', NULL, NULL)")
    for name, options in {
        "duckdb.csv": "HEADER",
        "duckdb-semicolon.csv": "HEADER, DELIMITER ';', FORCE_QUOTE *, DATEFORMAT '%d-%m-%Y'",
        "duckdb.csv.gz": "HEADER, COMPRESSION gzip",
        "duckdb.parquet": "FORMAT parquet, COMPRESSION snappy",
        "duckdb.ndjson": "FORMAT json",
        "duckdb-array.json": "FORMAT json, ARRAY true",
    }.items():
        base.execute(f"COPY clientes TO '{FILES / name}' ({options})")


def _r() -> None:
    """R's own functions, with what they do unless told otherwise."""
    columns = ", ".join(
        f"{name} = c({', '.join(map(repr, TABLE[column]))})"
        for name, column in (
            ("Nombre.completo", "Nombre"),
            ("Telefono", "Teléfono"),
            ("Monto", "Monto"),
        )
    )
    lines = (
        f"d <- data.frame({columns})",
        "d$Monto[3] <- NA",
        "write.csv(d, 'r-write-csv.csv')",
        "write.csv2(d, 'r-write-csv2.csv', row.names = FALSE)",
        "write.table(d, 'r-write-table.txt')",
        "write.table(d, 'r-tab.tsv', sep = '\\t', quote = FALSE, row.names = FALSE)",
        "write.csv(d, 'r-latin1.csv', row.names = FALSE, fileEncoding = 'latin1')",
        "saveRDS(d, 'r.rds', version = 2)",
    )
    subprocess.run(
        ["Rscript", "-e", "\n".join(lines)],
        check=True,
        cwd=FILES,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )


def _shells() -> None:
    query = (
        "SELECT * FROM (VALUES ('José Muñoz', '+56987650001', true, '2026-12-24 15:30-03'::timestamptz),"
        " ('Luz \"Lulú\", S.A.', '+56987650009', false, NULL)) AS clientes (nombre, telefono, activo, creado)"
    )
    with PostgresServer(syncs=False) as server:
        subprocess.run(
            [
                "psql",
                server.address(),
                "-c",
                f"\\copy ({query}) TO '{FILES}/postgresql-copy.csv' CSV HEADER",
            ],
            check=True,
            env={"PGTZ": "America/Santiago", "PATH": "/usr/bin:/bin"},
        )

    def sqlite(name: str, *options: str) -> None:
        made = subprocess.run(
            ["sqlite3", ":memory:", *options, "-header"],
            input=SQL + "SELECT * FROM clientes;",
            capture_output=True,
            check=True,
            text=True,
        )
        (FILES / name).write_bytes(made.stdout.encode())

    sqlite("sqlite.csv", "-csv")
    sqlite("sqlite-list.txt", "-list")
    sqlite("sqlite.tsv", "-cmd", ".mode tabs")
