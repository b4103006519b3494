"""The store: records of every stage, found by recipe, shared by all studies, cumulative."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from decar.errors import DamagedFileError, ResourceError
from decar.record import Record, read_header, read_record, write_record


@dataclass(frozen=True)
class Store:
    """A folder of records: `<root>/<stage>/<two hex digits>/<recipe>.h5`."""

    root: Path

    def path(self, stage: str, recipe: str) -> Path:
        """Return where the record of this stage and recipe lies, whether or not it exists."""
        return self.root / stage / recipe[:2] / f"{recipe}.h5"

    def has(self, stage: str, recipe: str) -> bool:
        """Return whether a record of this recipe is there; a damaged one is renamed `.damaged` and counts as absent.

        Raises DataFormatError for a record that is whole but of a newer format, or may not be read: it is left alone.
        """
        path = self.path(stage, recipe)
        if not path.exists():
            return False
        try:
            return bool(read_header(path)["recipe"] == recipe)
        except DamagedFileError:
            with suppress(FileNotFoundError):  # another process has set it aside already
                path.rename(path.with_suffix(".damaged"))
            return False

    def load(self, stage: str, recipe: str) -> Record:
        """Read the record; raises DataFormatError when it is missing or damaged."""
        return read_record(self.path(stage, recipe))

    def require(self, stage: str, recipes: Iterable[str], receipt: Path) -> None:
        """Check that the records which `receipt` vouches for are there.

        Where one is missing or damaged, the receipt goes, so that the next run makes that record again; raises
        ResourceError that says so.
        """
        lost = [recipe for recipe in recipes if not self.has(stage, recipe)]
        if not lost:
            return
        receipt.unlink(missing_ok=True)
        raise ResourceError(
            f"{len(lost)} records that were computed before are missing or damaged", where=self.path(stage, lost[0]),
            remedy="run the workflow again: its receipt is withdrawn, so only what is missing is computed anew",
        )  # fmt: skip

    def save(self, stage: str, record: Record) -> Path:
        """Write the record under its recipe."""
        path = self.path(stage, record.recipe)
        write_record(path, record)
        return path
