"""The ledger in a PostgreSQL database: several campaigns in one, each with several holders."""
