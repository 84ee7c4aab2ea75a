"""The campaigns of a folder and of a database."""

from pathlib import Path

import pytest
from doors import held

from connectus_async import ConfigurationError
from connectus_async.ledger import campaigns_in, open_store


def test_those_of_a_folder_are_its_ledgers(tmp_path: Path):
    """By their names; neither other files nor folders."""
    for name in ("b.csv.ledger.db", "a.csv.ledger.db", "a.csv", "other.db"):
        (tmp_path / name).touch()
    (tmp_path / "c.ledger.db").mkdir()
    assert campaigns_in(tmp_path) == [tmp_path / "a.csv.ledger.db", tmp_path / "b.csv.ledger.db"]


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
