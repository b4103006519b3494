"""Do two records of the same thing agree? Numbers are compared by invariants, within what two engines differ by.

The tolerances are those to which PySCF and Psi4 agree at one level of theory: 5e-5 hartree, 1e-3 e bohr, and 1e-4 of
the electrons for the density (integral of |rho_1 - rho_2| over the number of electrons). An energy may differ by 1e-6
hartree an electron more: a quadrature is not the same in every frame (4.3e-5 for turned CH3NH3+ at level 1). What
differs by more comes from another geometry, another state, another level than the one stated, or from an error.
"""

from dataclasses import dataclass

import numpy as np

from decar.exchange.moved import GEOMETRY_BOHR, displacement, moved_difference
from decar.quantum.wavefunction import Floats, Wavefunction
from decar.record import Record

ENERGY_HARTREE, DIPOLE_E_BOHR, DENSITY_L1 = 5e-5, 1e-3, 1e-4
ENERGY_PER_ELECTRON = 1e-6
# Voxels, as L1 relative to the field: half precision keeps 11 bits, a relative error of 5e-4 at most.
FIELD_L1 = {"float32": 1e-4, "float16": 1e-3}


@dataclass(frozen=True)
class Deviation:
    """One quantity in which two records differ by more than the tolerance."""

    quantity: str
    kept: str  # in the record that is there
    brought: str  # in the one that came
    difference: float | None
    tolerance: float | None

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.quantity}: {self.kept} here, {self.brought} there"
        return f"{self.quantity} differs by {self.difference:.2e} (tolerance {self.tolerance:.0e})"


def deviations(kept: Record, brought: Record) -> list[Deviation]:
    """Return where two records of one recipe contradict each other; [] when they say the same.

    Annotations, review state, contributor and provenance may differ: they are no numbers.
    """
    if kept.kind != brought.kind:
        return [Deviation("outcome", kept.kind, brought.kind, None, None)]
    match kept.kind:
        case "failure":
            return _different("reason", kept.metadata["reason"], brought.metadata["reason"])
        case "conformers" | "geometry":
            return _geometries(kept, brought)
        case "wavefunction":
            return _all_wavefunctions(kept, brought)
    return _fields(kept, brought)


def wavefunction_deviations(kept: Wavefunction, brought: Wavefunction) -> list[Deviation]:
    """Return the deviations of two wavefunctions; their frames may differ, the order of atoms may not."""
    distance = displacement(kept, brought)
    if distance is None:
        return _different("atoms", str(kept.atomic_numbers.tolist()), str(brought.atomic_numbers.tolist()))
    if distance > GEOMETRY_BOHR:
        return [_beyond("geometry", kept.energy_hartree, brought.energy_hartree, distance, GEOMETRY_BOHR)]
    found = moved_difference(kept, brought)
    energy = ENERGY_HARTREE + ENERGY_PER_ELECTRON * kept.num_electrons
    tests = (
        ("energy", kept.energy_hartree, brought.energy_hartree, found.energy_hartree, energy),
        ("dipole", _length(kept.dipole_e_bohr), _length(brought.dipole_e_bohr), found.dipole_e_bohr, DIPOLE_E_BOHR),
        # A density that moves with its nuclei by d changes by d times the integral of its gradient, at most.
        ("density", 0.0, found.density_l1, found.density_l1, DENSITY_L1 + found.density_l1_of_displacement),
    )
    return [_beyond(*test) for test in tests if not test[3] <= test[4]]


def _all_wavefunctions(kept: Record, brought: Record) -> list[Deviation]:
    number = len(kept.metadata["conformers"])
    if number != len(brought.metadata["conformers"]):
        return _different("conformers", str(number), str(len(brought.metadata["conformers"])))
    pairs = zip(wavefunctions_of(kept), wavefunctions_of(brought))
    return [deviation for mine, theirs in pairs for deviation in wavefunction_deviations(mine, theirs)]


def wavefunctions_of(record: Record) -> list[Wavefunction]:
    """Return the wavefunctions of all conformers of a record."""
    stated = enumerate(record.metadata["conformers"])
    return [Wavefunction.from_record(record.arrays, conformer, f"{number}/") for number, conformer in stated]


def _geometries(kept: Record, brought: Record) -> list[Deviation]:
    mine, theirs = kept.arrays, brought.arrays
    if not np.array_equal(mine["atomic_numbers"], theirs["atomic_numbers"]):
        return _different("atoms", str(mine["atomic_numbers"].tolist()), str(theirs["atomic_numbers"].tolist()))
    if mine["geometry_bohr"].shape != theirs["geometry_bohr"].shape:
        return _different("conformers", str(len(mine["geometry_bohr"])), str(len(theirs["geometry_bohr"])))
    distance = float(np.linalg.norm(mine["geometry_bohr"] - theirs["geometry_bohr"], axis=-1).max())
    energy = float(np.abs(mine["energy_hartree"] - theirs["energy_hartree"]).max())
    first = float(mine["energy_hartree"][0]), float(theirs["energy_hartree"][0])
    tests = (("geometry", *first, distance, GEOMETRY_BOHR), ("energy", *first, energy, ENERGY_HARTREE))
    return [_beyond(*test) for test in tests if not test[3] <= test[4]]


def _fields(kept: Record, brought: Record) -> list[Deviation]:
    found = []
    for mine, theirs in zip(kept.metadata["conformers"], brought.metadata["conformers"]):
        origin = [np.asarray(grid["grid"]["origin_bohr"], dtype=float) for grid in (mine, theirs)]
        found += [_beyond("origin of the grid", 0, 0, _length(origin[0] - origin[1]), GEOMETRY_BOHR)]
    found = [deviation for deviation in found if (deviation.difference or 0) > GEOMETRY_BOHR]
    if set(kept.arrays) != set(brought.arrays):
        return [*found, *_different("fields", str(sorted(kept.arrays)), str(sorted(brought.arrays)))]
    for name, array in kept.arrays.items():
        other = brought.arrays[name]
        if array.shape != other.shape or array.dtype != other.dtype:
            return [*found, *_different(name, f"{array.dtype} {array.shape}", f"{other.dtype} {other.shape}")]
        total = float(np.abs(array).sum(dtype=np.float64))
        error = float(np.abs(array.astype(np.float64) - other).sum()) / max(total, 1e-300)
        tolerance = FIELD_L1.get(str(array.dtype), FIELD_L1["float32"])
        if not error <= tolerance:
            found.append(_beyond(name, total, float(np.abs(other).sum(dtype=np.float64)), error, tolerance))
    return found


def _different(quantity: str, kept: str, brought: str) -> list[Deviation]:
    return [] if kept == brought else [Deviation(quantity, kept, brought, None, None)]


def _beyond(quantity: str, kept: float, brought: float, difference: float, tolerance: float) -> Deviation:
    return Deviation(quantity, f"{kept:.10g}", f"{brought:.10g}", difference, tolerance)


def _length(vector: Floats) -> float:
    return float(np.linalg.norm(vector))
