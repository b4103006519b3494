"""Packs: many records in one HDF5 file, so that a million molecules are thousands of files, not millions.

A pack is written once, whole, and never changed: `/<recipe>` is a copy of that record's file, chunks as they are. Its
name, `<bits>-<prefix>-<hash>.h5`, tells that the keys of its members begin with `prefix`, read as `bits` bits; the hash
is over their recipes.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py

from decar.atomic import atomic_path
from decar.errors import DamagedFileError
from decar.record import Place

MAX_BYTES = 256 * 2**20  # of one pack, which is built in memory so that a full disk meets one plain write
KEY_BITS = 64  # of a key that names may use

# (key, recipe, where the record lies: loose, or in another pack)
Member = tuple[str, str, Place]


def write_packs(folder: Path, members: Sequence[Member]) -> list[Path]:
    """Write these records into packs of `folder`, as few as their size allows, and return the files."""
    return [_write_pack(folder, part) for part in _parts(sorted(members))]


def pack_recipes(path: Path) -> list[str]:
    """Return the recipes that a pack holds; raises DamagedFileError for a file that is truncated or no HDF5."""
    try:
        with h5py.File(path, "r") as file:
            return sorted(file)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise DamagedFileError(
            "the pack of records cannot be read", where=path, seen=str(error),
            remedy="run the workflow again: what it held is computed anew",
        ) from error  # fmt: skip


def pack_name(keys: Sequence[str], recipes: Sequence[str]) -> str:
    """Return the file name of a pack with these members."""
    numbers = [_leading(key, KEY_BITS) for key in keys]
    bits = KEY_BITS - max(number ^ numbers[0] for number in numbers).bit_length()
    content = hashlib.sha256("".join(sorted(recipes)).encode()).hexdigest()
    return f"{bits}-{numbers[0] >> (KEY_BITS - bits):x}-{content[:16]}.h5"


def may_hold(path: Path, key: str) -> bool:
    """Return whether the name of a pack allows for a record of this molecule."""
    bits, prefix = path.name.split("-")[:2]
    return _leading(key, int(bits)) == int(prefix, 16)


def _leading(key: str, bits: int) -> int:
    return int(key[:16].ljust(16, "0"), 16) >> (KEY_BITS - bits)


def _parts(members: Sequence[Member]) -> Iterator[list[Member]]:
    part: list[Member] = []
    size = 0
    for member in members:
        bytes_of_member = stored_bytes(member[2])
        size += bytes_of_member
        if part and size > MAX_BYTES:
            yield part
            part, size = [], bytes_of_member
        part.append(member)
    yield part


def stored_bytes(place: Place) -> int:
    """Return how much room a record takes: its file, or its compressed arrays in a pack."""
    if place.group == "/":
        return place.file.stat().st_size
    sizes = [0]
    with h5py.File(place.file, "r") as file:
        file[place.group].visititems(
            lambda _, item: sizes.append(item.id.get_storage_size()) if isinstance(item, h5py.Dataset) else None
        )
    return sum(sizes)


def _write_pack(folder: Path, members: Sequence[Member]) -> Path:
    target = folder / pack_name([key for key, _, _ in members], [recipe for _, recipe, _ in members])
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for _, recipe, place in members:
            with h5py.File(place.file, "r") as source:
                file.copy(source[place.group], file, name=recipe)
    with atomic_path(target) as temporary:
        temporary.write_bytes(image.getbuffer())
    return target
