"""The ledger in one SQLite file. All SQL of the package is here."""
