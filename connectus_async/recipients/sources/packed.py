"""Text files as bytes, unpacked while they are read: plain, gzip, or a ZIP archive of one file."""

import gzip
import io
import zlib
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final
from zipfile import BadZipFile, ZipFile, ZipInfo

import attrs

from connectus_async.errors import InvalidArgumentError

PACKED: Final = frozenset({".gz", ".zip"})
"""Extensions of packed files."""

MAX_BYTES: Final = 4 * 2**30
"""Maximum unpacked size."""

MAX_PACKED: Final = 500
"""Maximum compression ratio of a large file; tables of recipients have 5 to 50."""

LARGE: Final = 64 * 2**20
CHUNK: Final = 2**20
DAMAGED: Final = "cannot be unpacked: it is damaged, incomplete, or of another format"
_HAS_PASSWORD: Final = 1


@attrs.frozen
class PackedFile:
    """A file whose content may be packed.

    Attributes:
        path: Its path.
        suffix: The extension of the content, in lower case.
        member: The name of the file in an archive; it is never used as a path.
    """

    path: Path
    suffix: str
    member: str | None = None

    @classmethod
    def at(cls, path: Path) -> "PackedFile":
        """Look at a file; of an archive, read its directory. Blocking.

        Raises:
            InvalidArgumentError: It is an archive that cannot be read, or has not exactly one file.
        """
        suffix = path.suffix.casefold()
        if suffix == ".gz":
            return cls(path, Path(path.stem).suffix.casefold())
        if suffix == ".zip":
            member = _only_member(path)
            return cls(path, PurePosixPath(member).suffix.casefold(), member)
        return cls(path, suffix)

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the content for reading, without what it is packed in.

        Raises:
            InvalidArgumentError: It cannot be opened. Reading raises the same if it is damaged or
                too large when unpacked.
        """
        with ExitStack() as stack:
            try:
                content = self._content(stack)
            except OSError as error:
                raise _unreadable(self.path, error) from None
            except (BadZipFile, KeyError, NotImplementedError, RuntimeError):
                raise InvalidArgumentError(self.path.name, DAMAGED) from None
            yield content

    def chunks(self) -> Generator[bytes, None, None]:
        """Read the content in pieces.

        Raises:
            InvalidArgumentError: As for `opened`.
        """
        with self.opened() as content:
            try:
                while chunk := content.read(CHUNK):
                    yield chunk
            except OSError as error:
                raise _unreadable(self.path, error) from None

    def _content(self, stack: ExitStack) -> IO[bytes]:
        if self.path.suffix.casefold() not in PACKED:
            return stack.enter_context(self.path.open("rb"))
        packed_bytes = self.path.stat().st_size
        if self.member is None:
            packed: Any = gzip.GzipFile(self.path)
            unpacked = stack.enter_context(packed)
        else:
            archive = stack.enter_context(ZipFile(self.path))
            unpacked = stack.enter_context(archive.open(self.member))
        return stack.enter_context(io.BufferedReader(_Limited(self.path, unpacked, packed_bytes)))


class _Limited(io.RawIOBase):
    """Unpacked content, up to a size and a compression ratio."""

    def __init__(self, path: Path, content: IO[bytes], packed_bytes: int) -> None:
        self._path, self._content = path, content
        self._limit = min(MAX_BYTES, max(LARGE, MAX_PACKED * packed_bytes))
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._content.read(len(buffer))
        except (EOFError, zlib.error, BadZipFile, gzip.BadGzipFile):
            raise InvalidArgumentError(self._path.name, DAMAGED) from None
        self._count += len(data)
        if self._count > self._limit:
            raise InvalidArgumentError(
                self._path.name, "is too large when unpacked; unpack it, and look at its content"
            )
        buffer[: len(data)] = data
        return len(data)


def _only_member(path: Path) -> str:
    """Find the one file of an archive, without what macOS adds."""
    try:
        with ZipFile(path) as archive:
            members = [it for it in archive.infolist() if not _is_hidden(it)]
    except OSError as error:
        raise _unreadable(path, error) from None
    except (BadZipFile, NotImplementedError, ValueError):
        raise InvalidArgumentError(path.name, DAMAGED) from None
    if len(members) != 1:
        raise InvalidArgumentError(
            path.name, f"has {len(members):,} files; it must have one, the file of recipients"
        )
    (member,) = members
    if member.flag_bits & _HAS_PASSWORD:
        raise InvalidArgumentError(path.name, "has a password; unpack it first")
    return member.filename


def _is_hidden(member: ZipInfo) -> bool:
    """Tell whether a member is a folder or a hidden file; its name may be empty."""
    name = member.filename
    return (
        name.endswith("/") or "__MACOSX" in name.split("/") or PurePosixPath(name).name[:1] == "."
    )


def _unreadable(path: Path, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(path.name, f"cannot be read: {error.strerror}")
