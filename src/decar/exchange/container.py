"""The files of a bundle: a folder, or a .zip in which nothing is compressed, so that no small file becomes a large one.

A zip is never unpacked: its members are read in place, each at most as long as the file that was received.
"""

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from decar.atomic import atomic_path
from decar.errors import DataFormatError
from decar.exchange.limits import MAX_FILES, MAX_PART_BYTES, hostile, is_bundle_name

PIECE = 2**20


class Files(Protocol):
    """The files of a bundle that is read; every name was checked when it was opened."""

    path: Path
    sizes: dict[str, int]

    def open(self, name: str) -> IO[bytes]:
        """Open one file."""
        ...


class Folder:
    """A bundle that is a folder of plain files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sizes: dict[str, int] = {}
        for number, file in enumerate(path.iterdir()):
            _check(file.name, number, path)
            if file.is_symlink() or not file.is_file():
                raise hostile("a bundle holds plain files only", path, file.name)
            self.sizes[file.name] = file.stat().st_size

    def open(self, name: str) -> IO[bytes]:
        """Open one file."""
        return (self.path / name).open("rb")


class Zip:
    """A bundle that is a zip file; raises DataFormatError unless all in it is stored as it is."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self._archive = path, archive
        self.sizes: dict[str, int] = {}
        for number, member in enumerate(archive.infolist()):
            _check(member.filename, number, path)
            is_stored = member.compress_type == zipfile.ZIP_STORED and member.file_size == member.compress_size
            if not is_stored or member.flag_bits & 0x1:
                raise hostile(
                    "a file of the bundle is compressed or encrypted", path, member.filename,
                    "files stored as they are (zip -0); a zip of your own: unpack it and merge the folder",
                )  # fmt: skip
            if member.filename in self.sizes:
                raise hostile("a file comes twice in the bundle", path, member.filename)
            self.sizes[member.filename] = member.file_size
        if sum(self.sizes.values()) > path.stat().st_size:
            raise hostile("the files of the bundle overlap", path)

    def open(self, name: str) -> IO[bytes]:
        """Open one file."""
        return self._archive.open(name)


def _check(name: str, number: int, where: Path) -> None:
    if number >= MAX_FILES:
        raise hostile("the bundle has too many files", where, expected=f"at most {MAX_FILES}")
    if not is_bundle_name(name):
        raise hostile("a bundle has no file of this name", where, repr(name[:120]))


@contextmanager
def open_files(path: Path) -> Iterator[Files]:
    """Yield the files of a bundle; raises DataFormatError for what is no bundle or should not be in one."""
    if path.is_dir():
        yield Folder(path)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            yield Zip(path, archive)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise hostile("the bundle cannot be read as a zip file", path, str(error)[:200]) from error


def read_whole(files: Files, name: str, limit: int = MAX_PART_BYTES) -> bytes:
    """Return the bytes of one file that is there and at most `limit` long."""
    if name not in files.sizes:
        raise hostile("a file of the bundle is missing", files.path, name)
    if files.sizes[name] > limit:
        raise hostile("a file of the bundle is too large", f"{files.path}: {name}", f"{files.sizes[name]} bytes", limit)
    with files.open(name) as file:
        return file.read(limit + 1)[:limit]


def file_hash(files: Files, name: str) -> str:
    """Return the SHA-256 of one file, read in pieces."""
    digest = hashlib.sha256()
    with files.open(name) as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


class Target(Protocol):
    """Where a bundle is written to."""

    def add(self, name: str, data: bytes) -> None:
        """Write one file."""
        ...


class _FolderTarget:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, data: bytes) -> None:
        (self._folder / name).write_bytes(data)


class _ZipTarget:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    def add(self, name: str, data: bytes) -> None:
        # A fixed date: the same records make the same bytes.
        self._archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)


@contextmanager
def write_files(path: Path) -> Iterator[Target]:
    """Yield a target that becomes the bundle `path` (a zip by its suffix, else a folder) when the block ends well."""
    if path.exists():
        raise DataFormatError("there is something of this name already", where=path, remedy="choose another name")
    if path.suffix == ".zip":
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            yield _ZipTarget(archive)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}-", suffix=".part", dir=path.parent))
    try:
        temporary.chmod(0o755)
        yield _FolderTarget(temporary)
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
