"""The store: records of every stage, found by recipe, shared by all studies, cumulative.

    <root>/<stage>/<two hex digits>/<recipe>.h5      a record that was just computed, loose
    <root>/<stage>/packs/<bits>-<prefix>-<hash>.h5   the records of a batch, a group a recipe

The name of a pack says whose records may lie in it: those whose keys begin with `prefix`, read as `bits` bits. So a
lookup opens one or two packs, however many there are, and no index has to be kept right.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from decar.errors import DamagedFileError, DataFormatError, ResourceError
from decar.pack import may_hold, pack_recipes, write_packs
from decar.record import Place, Record, holds, read_header, read_record, write_record


@dataclass(frozen=True)
class Store:
    """A folder of records that any number of processes may read and add to at the same time."""

    root: Path
    # The packs that were there when they were listed last, by stage; a record sought in vain has them listed again.
    _packs: dict[str, list[Path]] = field(default_factory=dict, repr=False, compare=False)

    def path(self, stage: str, recipe: str) -> Path:
        """Return where the loose record of this stage and recipe lies, whether or not it exists."""
        return self.root / stage / recipe[:2] / f"{recipe}.h5"

    def find(self, stage: str, key: str, recipe: str) -> Place | None:
        """Return where the record of this molecule and recipe lies, or None.

        A damaged file is renamed `.damaged` and what it held counts as absent. Raises DataFormatError for a record
        that is whole but of a newer format, or may not be read: it is left alone.
        """
        if self._holds(loose := Place(self.path(stage, recipe)), recipe):
            return loose
        # A loose file that is gone may have been packed just now: the packs are listed after it was sought.
        known = self._packs.get(stage, [])
        return self._in_packs(known, key, recipe) or self._in_packs(self._new_packs(stage, known), key, recipe)

    def has(self, stage: str, key: str, recipe: str) -> bool:
        """Return whether a sound record of this molecule and recipe is there."""
        return self.find(stage, key, recipe) is not None

    def place(self, stage: str, key: str, recipe: str) -> Place:
        """Return where the record lies; raises DataFormatError when it is missing or damaged."""
        place = self.find(stage, key, recipe)
        if place is None:
            raise self._missing(stage, recipe)
        return place

    def get(self, stage: str, key: str, recipe: str) -> Record | None:
        """Read the record, or return None where there is no sound one."""
        place = self.find(stage, key, recipe)
        if place is None:
            return None
        try:
            return read_record(place)
        except DamagedFileError:
            if place.file.exists():
                raise
            # Another process has packed it since it was found.
            return self.get(stage, key, recipe)

    def load(self, stage: str, key: str, recipe: str) -> Record:
        """Read the record; raises DataFormatError when it is missing or damaged."""
        record = self.get(stage, key, recipe)
        if record is None:
            raise self._missing(stage, recipe)
        return record

    def require(self, stage: str, members: Iterable[tuple[str, str]], receipt: Path) -> None:
        """Check that the records (key, recipe) which `receipt` vouches for are there.

        Where one is missing or damaged, the receipt goes, so that the next run makes that record again; raises
        ResourceError that says so.
        """
        lost = [recipe for key, recipe in members if not self.has(stage, key, recipe)]
        if not lost:
            return
        receipt.unlink(missing_ok=True)
        raise ResourceError(
            f"{len(lost)} records that were computed before are missing or damaged", where=self.path(stage, lost[0]),
            remedy="run the workflow again: its receipt is withdrawn, so only what is missing is computed anew",
        )  # fmt: skip

    def save(self, stage: str, record: Record) -> Path:
        """Write the record under its recipe, loose."""
        path = self.path(stage, record.recipe)
        write_record(path, record)
        return path

    def pack(self, stage: str, members: Sequence[tuple[str, str]]) -> list[Path]:
        """Put the loose records among these (key, recipe) into packs and remove the loose files.

        Returns the packs written: none where fewer than two records are loose. A reader finds every record at any
        moment, and a process that is killed leaves, at worst, a record in both places.
        """
        loose = [(key, recipe, Place(path)) for key, recipe in members if (path := self.path(stage, recipe)).exists()]
        if len(loose) < 2:  # one record alone is as good a file as a pack of one
            return []
        try:
            packs = write_packs(self.root / stage / "packs", loose)
        except FileNotFoundError:  # another study has packed some of them just now
            return self.pack(stage, members)
        for _, _, place in loose:
            _unlink(place.file)
        return packs

    def stages(self) -> list[str]:
        """Return the stages of which there are records."""
        return sorted(path.name for path in self.root.iterdir() if path.is_dir()) if self.root.is_dir() else []

    def places(self, stage: str) -> Iterator[tuple[str, Place]]:
        """Yield (recipe, place) of every record of a stage, loose and packed; one in both places comes twice."""
        for file in self.files(stage):
            yield from self.places_in(file)

    def files(self, stage: str) -> list[Path]:
        """Return the files of a stage: loose records, then packs."""
        folder = self.root / stage
        return [*sorted(folder.glob("[0-9a-f][0-9a-f]/*.h5")), *sorted((folder / "packs").glob("[!.]*.h5"))]

    @staticmethod
    def places_in(file: Path) -> list[tuple[str, Place]]:
        """Return (recipe, place) of each record in one of `files`; raises DamagedFileError for a damaged pack."""
        if file.parent.name != "packs":
            return [(file.stem, Place(file))]
        return [(recipe, Place(file, recipe)) for recipe in pack_recipes(file)]

    def remove(self, file: Path, recipes: set[str]) -> int:
        """Remove these records from one of `files` and return how many it held.

        A pack is written anew without them, the old one goes after that: a reader finds what stays at any moment.
        """
        places = self.places_in(file)
        gone = [recipe for recipe, _ in places if recipe in recipes]
        if not gone:
            return 0
        kept = [
            (str(read_header(place)["metadata"]["key"]), recipe, place)
            for recipe, place in places
            if recipe not in recipes
        ]
        if kept:
            write_packs(file.parent, kept)
        _unlink(file)
        return len(gone)

    def _missing(self, stage: str, recipe: str) -> DataFormatError:
        return DataFormatError(
            "the record is not in the store", where=self.path(stage, recipe),
            remedy="run the workflow again: only this record is computed anew",
        )  # fmt: skip

    def _in_packs(self, packs: Iterable[Path], key: str, recipe: str) -> Place | None:
        for pack in packs:
            if may_hold(pack, key) and self._holds(place := Place(pack, recipe), recipe):
                return place
        return None

    def _new_packs(self, stage: str, known: Sequence[Path]) -> list[Path]:
        self._packs[stage] = sorted((self.root / stage / "packs").glob("[!.]*.h5"))
        return sorted(set(self._packs[stage]) - set(known))

    def _holds(self, place: Place, recipe: str) -> bool:
        try:
            return holds(place, recipe)
        except DamagedFileError:
            with suppress(FileNotFoundError):  # another process has set it aside already
                place.file.rename(place.file.with_suffix(".damaged"))
            return False


def _unlink(file: Path) -> None:
    """Remove a file, and its folder with the last one."""
    file.unlink(missing_ok=True)
    with suppress(OSError):  # another record lies there
        file.parent.rmdir()
