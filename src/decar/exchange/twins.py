"""Wavefunctions of one molecule, level of theory and geometry under different recipes: they must not contradict."""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from decar.exchange.agreement import Deviation, wavefunction_deviations, wavefunctions_of
from decar.exchange.catalogue import Catalogue, Entry
from decar.exchange.incoming import read_guarded
from decar.exchange.moved import GEOMETRY_BOHR, displacement
from decar.quantum.wavefunction import Wavefunction
from decar.record import Record, canonical_json
from decar.store import Store

STAGE = "wavefunction"


class Twins:
    """The wavefunctions of a store by molecule; they are listed when the first new one is looked at."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._catalogue: Catalogue | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._catalogue is not None:
            self._catalogue.__exit__(kind, error, at)

    def add(self, stage: str, record: Record) -> None:
        """Note a record that was just kept."""
        if stage == STAGE and record.kind == STAGE:
            key, path = str(record.metadata["key"]), self._store.path(stage, record.recipe)
            self._listed().add([Entry(stage, key, record.recipe, "", record.kind, None, str(path))])

    def contradicting(self, record: Record) -> tuple[str, list[Deviation]] | None:
        """Return place and deviations of a wavefunction that says otherwise of the same thing; None without one."""
        for entry in self._listed().of_molecule(STAGE, str(record.metadata["key"])):
            place = self._store.find(STAGE, entry.key, entry.recipe)
            if entry.kind != STAGE or place is None:
                continue
            found = [deviation for pair in _pairs(read_guarded(place), record) for deviation in pair]
            if found:
                return str(place), found
        return None

    def _listed(self) -> Catalogue:
        if self._catalogue is None:
            self._catalogue = Catalogue()
            self._catalogue.add_store(self._store, [STAGE])
        return self._catalogue


def _pairs(kept: Record, brought: Record) -> Iterator[list[Deviation]]:
    """Yield the deviations of each pair of conformers with one level and one geometry."""
    for mine in wavefunctions_of(kept):
        for theirs in wavefunctions_of(brought):
            if level_of(mine) == level_of(theirs):
                distance = displacement(mine, theirs)
                if distance is not None and distance <= GEOMETRY_BOHR:
                    yield wavefunction_deviations(mine, theirs)


def level_of(wavefunction: Wavefunction) -> str:
    """Return what decides the numbers of a wavefunction beside its geometry, as text."""
    stated: dict[str, Any] = {name: value for name, value in wavefunction.level.items() if name != "label"}
    return canonical_json([stated, wavefunction.charge, wavefunction.multiplicity])
