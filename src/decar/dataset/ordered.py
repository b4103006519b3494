"""Tables in the order of their keys, read side by side: of each, only the rows up to some key are in memory."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from decar.errors import DataFormatError


class Ordered:
    """The rows of a table that come in the order of its column `key`, taken away from the front."""

    def __init__(self, parts: Iterator[pa.Table], schema: pa.Schema, where: Path) -> None:
        self._parts = in_order(parts, where)
        self._schema = schema
        self._held = schema.empty_table()

    def up_to(self, key: str) -> pa.Table:
        """Take the rows whose keys are not beyond this one."""
        taken = [self._schema.empty_table()]
        while True:
            number = pc.sum(pc.less_equal(self._held["key"], key)).as_py() or 0
            taken.append(self._held.slice(0, number))
            if number < len(self._held):
                self._held = self._held.slice(number)
                return pa.concat_tables(taken)
            part = next(self._parts, None)
            if part is None:
                self._held = self._schema.empty_table()
                return pa.concat_tables(taken)
            self._held = part.cast(self._schema)


def in_order(parts: Iterator[pa.Table], where: Path) -> Iterator[pa.Table]:
    """Yield parts that have rows; raises DataFormatError where a key is less than the one before it."""
    last = ""
    for part in parts:
        if not len(part):
            continue
        keys = pa.chunked_array([[last], *part["key"].cast(pa.string()).chunks], pa.string())
        if not pc.all(pc.less_equal(keys.slice(0, len(part)), keys.slice(1))).as_py():
            raise DataFormatError(
                "the rows are not in the order of their keys", where=where,
                remedy="delete what this step reads and run the workflow again",
            )  # fmt: skip
        last = keys[-1].as_py()
        yield part
