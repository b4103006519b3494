"""A table of records on disk, in order of stage and key, however many there are; gone when it is closed."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from decar.errors import DataFormatError
from decar.record import Place, read_header
from decar.store import Store

ENTRY = "(stage TEXT, key TEXT, recipe TEXT, content_hash TEXT, kind TEXT, licence TEXT, place TEXT)"


@dataclass(frozen=True)
class Entry:
    """What a header says of one record, and where the record lies."""

    stage: str
    key: str
    recipe: str
    content_hash: str
    kind: str
    licence: str | None
    place: str


class Catalogue:
    """Entries are added in any order and come back sorted; memory does not grow with their number."""

    def __init__(self) -> None:
        self._table = sqlite3.connect("", isolation_level=None)  # "": a temporary file, removed when it is closed
        self._table.execute(f"CREATE TABLE record {ENTRY}")
        self._table.execute("CREATE INDEX by_key ON record (stage, key)")
        # A record that lies both loose and in a pack is one.
        self._table.execute("CREATE UNIQUE INDEX by_recipe ON record (stage, recipe)")
        self._table.execute("PRAGMA synchronous = OFF")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._table.close()

    def add(self, entries: Iterable[Entry]) -> None:
        """Add entries."""
        self._table.execute("BEGIN")
        self._table.executemany(
            "INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((e.stage, e.key, e.recipe, e.content_hash, e.kind, e.licence, e.place) for e in entries),
        )
        self._table.execute("COMMIT")

    def add_store(self, store: Store, stages: Iterable[str]) -> list[tuple[str, str]]:
        """Add the records of a store; return (file, message) of each file that cannot be read."""
        unreadable = []
        for stage in stages:
            for file in store.files(stage):
                try:
                    self.add([entry_of(stage, place) for _, place in store.places_in(file)])
                except (DataFormatError, KeyError, TypeError, ValueError) as error:
                    unreadable.append((str(file), str(error)))
        return unreadable

    def __len__(self) -> int:
        (number,) = self._table.execute("SELECT count(*) FROM record").fetchone()
        return int(number)

    def num_of(self, stage: str) -> int:
        """Return the number of entries of one stage."""
        (number,) = self._table.execute("SELECT count(*) FROM record WHERE stage = ?", (stage,)).fetchone()
        return int(number)

    def stages(self) -> list[str]:
        """Return the stages of which there are entries."""
        return [str(row[0]) for row in self._table.execute("SELECT DISTINCT stage FROM record ORDER BY stage")]

    def __iter__(self) -> Iterator[Entry]:
        rows = self._table.execute("SELECT * FROM record ORDER BY stage, key, recipe")
        return (Entry(*row) for row in rows)

    def of_molecule(self, stage: str, key: str) -> list[Entry]:
        """Return the entries of one molecule at one stage."""
        rows = self._table.execute("SELECT * FROM record WHERE stage = ? AND key = ?", (stage, key)).fetchall()
        return [Entry(*row) for row in rows]


def entry_of(stage: str, place: Place) -> Entry:
    """Return the entry of a record, from its header."""
    header = read_header(place)
    stated = header["metadata"]
    licence = stated.get("licence")
    return Entry(
        stage, str(stated["key"]), str(header["recipe"]), str(header["content_hash"]), str(header["kind"]),
        None if licence is None else str(licence), str(place),
    )  # fmt: skip
