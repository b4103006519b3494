"""The store: records of every stage, found by recipe, shared by all studies, cumulative."""

from dataclasses import dataclass
from pathlib import Path

from decar.errors import DataFormatError
from decar.record import Record, read_header, read_record, write_record


@dataclass(frozen=True)
class Store:
    """A folder of records: `<root>/<stage>/<two hex digits>/<recipe>.h5`."""

    root: Path

    def path(self, stage: str, recipe: str) -> Path:
        """Return where the record of this stage and recipe lies, whether or not it exists."""
        return self.root / stage / recipe[:2] / f"{recipe}.h5"

    def has(self, stage: str, recipe: str) -> bool:
        """Return whether a readable record of this recipe is there; a damaged one is set aside and counts as absent."""
        path = self.path(stage, recipe)
        if not path.exists():
            return False
        try:
            return bool(read_header(path)["recipe"] == recipe)
        except DataFormatError:
            path.rename(path.with_suffix(".damaged"))
            return False

    def load(self, stage: str, recipe: str) -> Record:
        """Read the record; raises DataFormatError when it is missing or damaged."""
        return read_record(self.path(stage, recipe))

    def save(self, stage: str, record: Record) -> Path:
        """Write the record under its recipe."""
        path = self.path(stage, record.recipe)
        write_record(path, record)
        return path
