"""Databases that run queries, and change nothing."""

import abc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import attrs

from connectus_async.errors import ConfigurationError, InvalidArgumentError, LedgerError
from connectus_async.extras import library
from connectus_async.ledger import conninfo, is_address, parse_address
from connectus_async.recipients.sources._source import LINES_A_BATCH
from connectus_async.recipients.sources._values import Row, plain_rows
from connectus_async.recipients.sources.dataframe import from_dataframe
from connectus_async.redaction import scrubbed

Result = tuple[Sequence[str], Iterator[Row]]
"""The names of the columns of a query, and its rows."""

SQLITE: Final = "sqlite"
DUCKDB: Final = "duckdb"
PREFIX: Final = "://"
BUSY_SECONDS: Final = 5
"""Seconds to wait for a file that another program is writing to."""
CANCEL_SECONDS: Final = 5
"""Seconds to wait for a server to hear that a query is given up."""

READS_ONLY: Final = "runs one query that reads, and no other statement"
NOT_TAKEN: Final = "does not take the query, which has to be one that reads: {reason}"
FAILED: Final = "cannot be read: the query failed with {error}; run it alone to see why"
BUSY: Final = "is in use by another program: close it there, then run the same command again"
NO_ADDRESS: Final = (
    "must be the address of a database: sqlite:///PATH, postgresql://HOST/DATABASE, or"
    " duckdb:///PATH"
)
NOT_REACHED: Final = (
    "cannot be reached, or lets nobody in: check the address, the user, the password (PGPASSWORD or"
    " ~/.pgpass) and the name of the database, and that the server runs"
)
NOT_HELD: Final = (
    "has a value that cannot be read, such as an infinite date: convert its column to text in the"
    " query"
)

_SQLITE_SENTENCES: Final = {
    "SQLITE_AUTH": READS_ONLY,
    "SQLITE_READONLY": READS_ONLY,
    "SQLITE_SCHEMA": READS_ONLY,  # of CREATE TABLE … AS
    "SQLITE_BUSY": BUSY,
    "SQLITE_LOCKED": BUSY,
    "SQLITE_NOTADB": "is not a SQLite database",
    "SQLITE_CORRUPT": "is damaged: restore it from a copy",
}
_SQLITE_READS: Final = ("SQLITE_SELECT", "SQLITE_READ", "SQLITE_FUNCTION", "SQLITE_RECURSIVE")
_POSTGRES_CHANGES: Final = ("25006", "0A000")
"""A change in a transaction that only reads; a change in a WITH of a cursor."""
_POSTGRES_QUERY: Final = "42"
"""Class of errors in the statement itself: their texts quote names of it, and no values."""


@attrs.frozen(kw_only=True)
class Database(abc.ABC):
    """A database.

    Attributes:
        name: Its name for messages, without user and password.
        address: Its address without a password.
    """

    name: str
    address: str = attrs.field(repr=False)
    _running: list[Any] = attrs.field(factory=list[Any], init=False, repr=False, eq=False)

    @abc.abstractmethod
    def run(self, query: str) -> AbstractContextManager[Result]:
        """Run a query while the context lasts; its rows are read in a stream. Blocking.

        Raises:
            InvalidArgumentError: The database cannot be read, or does not take the query; also
                while rows are read.
        """

    def interrupt(self) -> None:
        """Interrupt the queries that run now, in whatever threads. Blocking."""
        for connection in tuple(self._running):
            with suppress(Exception):  # it has ended meanwhile, or the server cannot be reached
                self._interrupt(connection)

    def _interrupt(self, connection: Any) -> None:
        connection.interrupt()

    @contextmanager
    def _interruptible(self, connection: Any) -> Iterator[None]:
        self._running.append(connection)
        try:
            yield
        finally:
            self._running.remove(connection)


def database_at(address: str) -> Database:
    """Find the database of an address; nothing is read yet.

    Raises:
        InvalidArgumentError: It is not one, or there is no such file.
    """
    if is_address(address):
        return _postgres(address)
    scheme, _, path = address.partition(PREFIX)
    known = {SQLITE: SqliteFile, DUCKDB: DuckDbFile}
    if scheme not in known or not path.strip("/"):
        raise InvalidArgumentError("database", NO_ADDRESS)
    file = Path(path.removeprefix("/"))
    if not file.is_file():
        raise InvalidArgumentError("database", f"there is no file {file}")
    place = f"{scheme}{PREFIX}/{file.absolute()}"
    return known[scheme](name=file.name, address=place, path=file)


@attrs.frozen(kw_only=True)
class SqliteFile(Database):
    """A file of SQLite."""

    path: Path = attrs.field(repr=False)

    @contextmanager
    def run(self, query: str) -> Iterator[Result]:
        """Run a query on a connection that is authorised to read, and to nothing else."""
        alchemy = _alchemy(self.name)
        file = f"file:{quote(str(self.path))}"
        options = {"mode": "ro", "uri": "true", "timeout": str(BUSY_SECONDS)}
        url = alchemy.URL.create(SQLITE, database=file, query=options)
        engine = alchemy.create_engine(url, poolclass=alchemy.NullPool)

        def authorise(connection: Any, _record: Any) -> None:
            driver = engine.dialect.dbapi
            reads = {getattr(driver, name) for name in _SQLITE_READS}
            connection.set_authorizer(
                lambda action, *_: driver.SQLITE_OK if action in reads else driver.SQLITE_DENY
            )

        alchemy.event.listen(engine, "connect", authorise)
        with _executed(self, engine, query, _of_sqlite) as result:
            yield result


@attrs.frozen(kw_only=True)
class PostgresDatabase(Database):
    """A database of PostgreSQL."""

    conninfo: str = attrs.field(repr=False)

    @contextmanager
    def run(self, query: str) -> Iterator[Result]:
        """Run a query as a cursor, which takes no other statement, in a transaction that reads."""
        alchemy = _alchemy(self.name)
        engine = alchemy.create_engine("postgresql+psycopg://", poolclass=alchemy.NullPool)

        def connect(dialect: Any, *_: Any) -> Any:
            return dialect.dbapi.connect(self.conninfo)

        alchemy.event.listen(engine, "do_connect", connect)
        reads = engine.execution_options(postgresql_readonly=True)
        with _executed(self, reads, query, _of_postgres) as result:
            yield result

    def _interrupt(self, connection: Any) -> None:
        connection.cancel_safe(timeout=CANCEL_SECONDS)


@attrs.frozen(kw_only=True)
class DuckDbFile(Database):
    """A file of DuckDB."""

    path: Path = attrs.field(repr=False)

    @contextmanager
    def run(self, query: str) -> Iterator[Result]:
        """Run a query on a connection of its own, which only reads."""
        duckdb = library(self.name, "duckdb", extra="duckdb")
        try:
            with (
                closing(duckdb.connect(str(self.path), read_only=True)) as connection,
                self._interruptible(connection),
            ):
                _check_reads(self.name, duckdb, query)
                source = from_dataframe(connection.sql(query), name=self.name)
                with closing(source.lines()) as lines:
                    yield source.columns, (line.cells for line in lines)  # type: ignore[misc]
        except duckdb.Error as error:
            raise InvalidArgumentError(self.name, _of_duckdb(duckdb, error)) from None


def _postgres(address: str) -> PostgresDatabase:
    try:
        parsed = parse_address(address)
        if parsed.campaign is not None:
            raise InvalidArgumentError(
                "database", "has the parameter campaign, which is of the address of a ledger"
            )
        library(parsed.name, "psycopg", extra="databases")
        return PostgresDatabase(
            name=parsed.name, address=parsed.without_password, conninfo=conninfo(address)
        )
    except ConfigurationError as error:
        if error.setting != "ledger":
            raise
        raise InvalidArgumentError("database", error.problem) from None
    except LedgerError as error:
        raise InvalidArgumentError("database", error.problem) from None


def _alchemy(name: str) -> Any:
    return library(name, "sqlalchemy", extra="databases")


@contextmanager
def _executed(
    database: Database, engine: Any, query: str, describe: Callable[[Any], str]
) -> Iterator[Result]:
    name = database.name
    errors = _alchemy(name).exc
    options = {"stream_results": True, "no_parameters": True}
    try:
        with (
            engine.connect().execution_options(**options) as connection,
            database._interruptible(connection.connection.driver_connection),  # noqa: SLF001 - as its methods
            connection.exec_driver_sql(query) as result,
        ):
            if not result.returns_rows:
                raise InvalidArgumentError(name, READS_ONLY)
            columns = list(map(str, result.keys()))
            yield columns, _rows(columns, result)
    except errors.DBAPIError as error:
        raise InvalidArgumentError(name, describe(error.orig)) from None


def _rows(columns: Sequence[str], result: Any) -> Iterator[Row]:
    for rows in result.partitions(LINES_A_BATCH):
        yield from plain_rows(columns, rows, ())


def _of_sqlite(error: Any) -> str:
    code = getattr(error, "sqlite_errorname", None)
    if code == "SQLITE_ERROR":
        return NOT_TAKEN.format(reason=scrubbed(str(error)))
    if code is None:  # Python's own, such as of two statements, or of text that is not UTF-8
        is_of_query = type(error).__name__ == "ProgrammingError"
        return READS_ONLY if is_of_query else NOT_HELD
    known = (text for start, text in _SQLITE_SENTENCES.items() if code.startswith(start))
    return next(known, FAILED.format(error=code))


def _of_postgres(error: Any) -> str:
    state = getattr(error, "sqlstate", None)
    kind = type(error).__name__
    if state is None:
        known = {"OperationalError": NOT_REACHED, "DataError": NOT_HELD}
        return known.get(kind, FAILED.format(error=kind))
    if state in _POSTGRES_CHANGES:
        return READS_ONLY
    if state.startswith(_POSTGRES_QUERY):
        return NOT_TAKEN.format(reason=scrubbed(error.diag.message_primary or kind))
    return FAILED.format(error=kind)


def _of_duckdb(duckdb: Any, error: Any) -> str:
    if isinstance(error, duckdb.IOException) and "lock" in str(error):
        return BUSY
    if isinstance(error, duckdb.ProgrammingError):
        return NOT_TAKEN.format(reason=scrubbed(str(error).partition("\n")[0]))
    return FAILED.format(error=type(error).__name__)


def _check_reads(name: str, duckdb: Any, query: str) -> None:
    types = [statement.type for statement in duckdb.extract_statements(query)]
    if types != [duckdb.StatementType.SELECT]:
        raise InvalidArgumentError(name, READS_ONLY)
