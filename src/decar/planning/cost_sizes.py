r"""How large molecules are, from their formulas alone: what a calculation costs is a function of these numbers.

Counted, not built: the functions of an element in a basis are looked up once, so a million molecules take a second.
The box is estimated, since no geometry is known yet: the extents of the nuclei along the principal axes follow

    L_i = a_i n^(p_i)   [angstrom],   n the number of atoms,   i = longest, middle, shortest

(fitted by `benchmarks/costs.py`), and the number of voxels is prod_i max(8, L_i + 2 padding + 4 spacing) / spacing
(shapes are multiples of 8, so that a box has on average half of that to spare).
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decar.config import FieldsSettings, QuantumSettings
from decar.fields.grid import STRIDE

Floats = NDArray[np.float64]
TOKEN = re.compile(r"([A-Z][a-z]?|\n)(\d*)")


@dataclass(frozen=True)
class MoleculeSizes:
    """One number a molecule in each array, (molecule,)."""

    atoms: Floats
    hydrogens: Floats
    electrons: Floats  # of the neutral molecule
    functions: Floats  # of the orbital basis
    fitting: Floats  # functions of the fitting basis, 0 without
    voxels: Floats  # of one conformer's box

    def __len__(self) -> int:
        """Return the number of molecules."""
        return len(self.atoms)

    def take(self, rows: NDArray[np.intp]) -> "MoleculeSizes":
        """Return the sizes of these molecules."""
        return MoleculeSizes(*(getattr(self, field.name)[rows] for field in fields(self)))


def molecule_sizes(
    formulas: Iterable[str], quantum: QuantumSettings, grid: FieldsSettings, extents: Sequence[Sequence[float]]
) -> MoleculeSizes:
    """Return the sizes of molecules with these formulas (Hill order, as RDKit writes them).

    `extents` are the pairs (a_i, p_i) above. An element that a basis lacks counts no functions: its molecule fails.
    """
    codes, unique = pd.factorize(np.asarray(formulas, dtype=object))
    counts, symbols = element_counts([str(formula) for formula in unique])
    atoms = counts.sum(axis=1)
    hydrogens = counts[:, symbols.index("H")] if "H" in symbols else np.zeros(len(counts))
    electrons = counts @ np.array([_atomic_number(symbol) for symbol in symbols], dtype=np.float64)
    orbital = counts @ np.array([num_functions(quantum.basis, name, quantum.cartesian) for name in symbols])
    fitting = np.zeros(len(counts))
    if quantum.fitting_basis is not None:
        each = [num_functions(quantum.fitting_basis, name, quantum.cartesian) for name in symbols]
        fitting = counts @ np.array(each, dtype=np.float64)
    sizes = MoleculeSizes(atoms, hydrogens, electrons, orbital, fitting, box_voxels(atoms, grid, extents))
    return sizes.take(codes)


def element_counts(formulas: Sequence[str]) -> tuple[Floats, list[str]]:
    """Return how many atoms of each element the formulas name, (formula, element), and the elements' symbols."""
    # One pass over all formulas, a line each: ten times as fast as one by one.
    tokens = TOKEN.findall("\n".join(formulas))
    names = np.array([name for name, _ in tokens], dtype=object)
    numbers = np.array([float(count or 1) for _, count in tokens])
    codes, unique = pd.factorize(names, sort=True)
    is_line_end = names == "\n"
    counts = np.zeros((len(formulas), len(unique)))
    np.add.at(counts, (np.cumsum(is_line_end), codes), numbers)
    elements = [place for place, name in enumerate(unique) if name != "\n"]
    return counts[:, elements], [str(unique[place]) for place in elements]


def box_voxels(atoms: Floats, grid: FieldsSettings, extents: Sequence[Sequence[float]]) -> Floats:
    """Return the number of voxels of the box of molecules with so many atoms; exact for a fixed box."""
    if grid.box != "molecule":
        return np.full(len(atoms), float(np.prod(grid.box)))
    spare = STRIDE / 2 * grid.spacing_angstrom
    lengths = [scale * atoms**power + 2 * grid.padding_angstrom + spare for scale, power in extents]
    edges = [np.maximum(length / grid.spacing_angstrom, STRIDE) for length in lengths]
    return np.asarray(edges[0] * edges[1] * edges[2])


@cache
def num_functions(basis: str, symbol: str, is_cartesian: bool) -> int:
    """Return the number of functions of an element in a basis of PySCF's library, 0 where it has none."""
    # PySCF is loaded only when a study is planned or estimated; jobs read numbers.
    from pyscf.gto.basis import load  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            shells = load(basis, symbol)
        except (RuntimeError, KeyError):
            return 0
    total = 0
    for momentum, *rows in shells:
        columns = next(len(row) for row in rows if isinstance(row, list | tuple)) - 1
        total += columns * ((momentum + 1) * (momentum + 2) // 2 if is_cartesian else 2 * momentum + 1)
    return total


def _atomic_number(symbol: str) -> int:
    from pyscf.data.elements import charge  # noqa: PLC0415

    return int(charge(symbol))
