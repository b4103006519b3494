"""The energy surfaces that a geometry optimisation can follow, by the names of `optimise.methods`."""

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from decar.config import Study
from decar.molecules.force_field import Mmff
from decar.molecules.graph import atomic_numbers_of, with_geometry
from decar.quantum.dispersion import d3bj
from decar.quantum.geometric_driver import Surface
from decar.xtb import Gfn2

Floats = NDArray[np.float64]
Integers = NDArray[np.int32]


def surface_of(
    method: str, study: Study, graph: Chem.Mol, geometry_bohr: Floats, charge: int, multiplicity: int
) -> Surface:
    """Return the callable `geometry (atom, 3) [bohr] -> (energy [hartree], gradient (atom, 3) [hartree/bohr])`.

    `mmff`: MMFF94s; `gfn2-xtb`: tblite, in the ALPB solvent `optimise.solvent`; `dft`: the engine and level of
    `quantum`, with the dispersion `optimise.dispersion` added here so that it is the same for every engine. The
    geometry only starts the surface (MMFF takes its atom types from the graph).
    """
    match method:
        case "mmff":
            return Mmff(with_geometry(graph, geometry_bohr))
        case "gfn2-xtb":
            return Gfn2(atomic_numbers_of(graph), charge, multiplicity, study.optimise.solvent)
        case "dft":
            return _dft(study, atomic_numbers_of(graph), charge, multiplicity)
    raise ValueError(f"{method!r} is not one of mmff, gfn2-xtb, dft")


def _dft(study: Study, atomic_numbers: Integers, charge: int, multiplicity: int) -> Surface:
    # Loaded here: force fields and GFN2 must not wait for, or depend on, a quantum-chemistry program.
    from decar.quantum.backend import System, get_backend  # noqa: PLC0415
    from decar.quantum.level import Level  # noqa: PLC0415

    backend = get_backend(study.quantum)
    level = Level.from_settings(study.quantum)

    def surface(geometry_bohr: Floats) -> tuple[float, Floats]:
        energy, gradient = backend.energy_and_gradient(
            System(atomic_numbers, geometry_bohr, charge, multiplicity), level
        )
        if study.optimise.dispersion is not None:
            extra, extra_gradient = d3bj(study.quantum.method, atomic_numbers, geometry_bohr)
            energy, gradient = energy + extra, gradient + extra_gradient
        return energy, gradient

    return surface
