"""Records as they come in: from another store on a disk of one's own, or from a bundle that a stranger sent."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from decar.errors import DataFormatError
from decar.exchange.bundle_reader import Incoming, read_bundle
from decar.exchange.catalogue import Catalogue, Entry
from decar.exchange.container import open_files
from decar.exchange.limits import MANIFEST, MAX_PART_BYTES
from decar.record import Place, Record, open_record, read_record
from decar.schema import KIND_OF_STAGE
from decar.store import Store


@dataclass(frozen=True)
class Arrivals:
    """All records of one source, in order of stage and key, and what could not even be listed."""

    num_records: int
    num_of_stage: dict[str, int]
    unreadable: list[tuple[str, str]]  # (place, message)
    records: Iterator[Incoming]


@contextmanager
def open_source(path: Path) -> Iterator[Arrivals]:
    """Yield the records of a store, or of a bundle (folder or .zip); raises DataFormatError for anything else."""
    if path.is_file() or (path / MANIFEST).exists():
        with open_files(path) as files:
            bundle = read_bundle(files)
            yield Arrivals(sum(bundle.num_of_stage.values()), bundle.num_of_stage, [], bundle.records)
        return
    if not any((path / stage).is_dir() for stage in KIND_OF_STAGE):
        raise DataFormatError(
            "this is neither a store nor a bundle", where=path,
            expected=f"a folder with {', '.join(KIND_OF_STAGE)}, or one with {MANIFEST}, or a .zip of that",
        )  # fmt: skip
    with Catalogue() as catalogue:
        unreadable = catalogue.add_store(Store(path), KIND_OF_STAGE)
        counts = {stage: catalogue.num_of(stage) for stage in catalogue.stages()}
        yield Arrivals(len(catalogue), counts, unreadable, map(_of_entry, catalogue))


def _of_entry(entry: Entry) -> Incoming:
    return Incoming(
        entry.stage, entry.key, entry.recipe, entry.content_hash, lambda: read_guarded(Place.parse(entry.place))
    )


def read_guarded(place: Place) -> Record:
    """Read a record of another store; raises DataFormatError where its HDF5 file declares what no record needs.

    Data outside the file, virtual data and sizes beyond a gigabyte are refused before anything is read.
    """
    with open_record(place) as (group, _):
        sizes: list[int] = []

        def check(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise DataFormatError("an array lies in another file", where=place, seen=name)
                sizes.append(int(item.nbytes))

        group.visititems(check)
        if sum(sizes) > MAX_PART_BYTES:
            raise DataFormatError("the record declares too much", where=place, seen=sum(sizes), expected=MAX_PART_BYTES)
    return read_record(place)
