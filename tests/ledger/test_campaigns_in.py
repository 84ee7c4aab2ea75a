"""The campaigns of a folder and of a database."""

from contextlib import closing
from pathlib import Path
from sqlite3 import connect

import pytest
from doors import held

from connectus_async import ConfigurationError
from connectus_async.ledger import campaigns_in, open_store


def test_those_of_a_folder_are_its_ledgers(tmp_path: Path):
    """By their content, whatever their names are, or by their names; no other files or folders."""
    for name in ("b.csv.ledger.db", "a.csv.ledger.db", "a.csv", "other.db"):
        (tmp_path / name).touch()
    (tmp_path / "d.ledger.db").mkdir()
    with held(open_store(tmp_path / "navidad.db")), closing(connect(tmp_path / "shop.db")) as shop:
        shop.execute("CREATE TABLE orders (id)")
        found = [path.name for path in map(Path, campaigns_in(tmp_path))]
    assert found == ["a.csv.ledger.db", "b.csv.ledger.db", "navidad.db"]


def test_those_of_a_database_have_addresses(postgres_ledger: str):
    """Each opens the ledger."""
    database = postgres_ledger.partition("campaign=")[0].rstrip("?&")
    assert campaigns_in(database) == []
    with held(open_store(postgres_ledger)):
        pass
    (found,) = campaigns_in(database)
    with open_store(found).read() as reader:
        assert reader.metadata()["name"] == "navidad"


@pytest.mark.parametrize("where", ["none", "postgresql://host:port/x"])
def test_neither_a_folder_nor_a_database(where: str, tmp_path: Path):
    with pytest.raises(ConfigurationError):
        campaigns_in(tmp_path / where if "://" not in where else where)
