r"""What Psi4 answered, in the convention of `wavefunction`.

Psi4's functions differ from a record's in order and norm:

    cartesian:  the same lexical order, each function such that x^l has norm one:  phi = phi_record / n_l,
                n_l = sqrt(4 pi (2l-1)!! / (2l+1)!!) the norm of a record's x^l
    spherical:  m = 0, +1, -1, +2, -2, ... (so p is z, x, y), norm one as in a record

so an orbital's coefficients are those of Psi4, reordered, times 1 / n_l. Shells are matched by centre, momentum and
exponents; what comes out is then checked against Psi4's own overlap and dipole integrals, so that a Psi4 with another
convention is noticed at its first molecule.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.errors import DataFormatError
from decar.quantum.export_basis import function_norms
from decar.quantum.pyscf_mole import extract_basis
from decar.quantum.wavefunction import Basis, Floats

SAME_INTEGRALS = 1e-8  # largest difference of an overlap or a dipole integral [bohr]
SAME_EXPONENT = 1e-12  # relative

Arrays = Mapping[str, NDArray[Any]]


class Translation:
    """The way from Psi4's basis functions to those of a record: C_record = scale * C_psi4[rows]."""

    def __init__(self, mole: Any, arrays: Arrays, is_cartesian: bool) -> None:
        """Match the shells of Psi4's answer with those of the PySCF molecule that the job was made of.

        Raises DataFormatError where they differ.
        """
        self.basis = extract_basis(mole)
        if is_cartesian != self.basis.is_cartesian:
            raise _differs("the kind of d functions", is_cartesian, self.basis.is_cartesian)
        self._rows = _rows(self.basis, arrays)
        self._scale = _scale(self.basis)
        self._check(mole, arrays)

    def from_psi4(self, coefficients: Floats) -> Floats:
        """Return orbitals (function, orbital) over a record's functions."""
        return np.ascontiguousarray(self._scale[:, None] * coefficients[self._rows])

    def to_psi4(self, coefficients: Floats) -> Floats:
        """Return orbitals (function, orbital) over Psi4's functions."""
        turned = np.empty_like(coefficients)
        turned[self._rows] = coefficients / self._scale[:, None]
        return turned

    def _check(self, mole: Any, arrays: Arrays) -> None:
        with mole.with_common_origin((0.0, 0.0, 0.0)):
            position = mole.intor("int1e_r")
        pairs = [("overlap", arrays["overlap"], mole.intor("int1e_ovlp"))]
        # Psi4's dipole integrals carry the electron's charge.
        pairs += [("dipole", theirs, -ours) for theirs, ours in zip(arrays["dipole_integrals"], position)]
        for name, theirs, ours in pairs:
            matrix = theirs[np.ix_(self._rows, self._rows)] / np.outer(self._scale, self._scale)
            difference = float(np.abs(matrix - ours).max())
            if not difference < SAME_INTEGRALS * max(1.0, float(np.abs(ours).max())):
                raise _differs(f"the {name} integrals", f"a difference of {difference:.1e}", "none")


def _rows(basis: Basis, arrays: Arrays) -> NDArray[np.int64]:
    """Return Psi4's index of each function of a record's basis."""
    keys = _shell_keys(arrays["shell_atom"], arrays["shell_momentum"], arrays["shell_length"], arrays["exponents"])
    places: dict[tuple[int, int, int], list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key[:3], []).append(index)
    rows: list[int] = []
    wanted = _shell_keys(basis.atom, basis.angular_momentum, basis.num_primitives, basis.exponents)
    for atom, momentum, length, exponents in wanted:
        same = [i for i in places.get((atom, momentum, length), []) if _close(keys[i][3], exponents)]
        if not same:
            raise _differs("the shells", f"none at atom {atom} with l = {momentum}", exponents.tolist())
        # Shells that share their exponents (general contractions) follow each other in both programs.
        chosen = same[0]
        places[atom, momentum, length].remove(chosen)
        rows += [int(arrays["shell_first"][chosen]) + step for step in _order(momentum, basis.is_cartesian)]
    if len(rows) != len(arrays["overlap"]):
        raise _differs("the number of basis functions", len(arrays["overlap"]), len(rows))
    return np.array(rows, dtype=np.int64)


def _shell_keys(
    atoms: NDArray[Any], momenta: NDArray[Any], lengths: NDArray[Any], exponents: NDArray[Any]
) -> list[tuple[int, int, int, Floats]]:
    ends = np.cumsum(lengths)
    return [
        (int(atom), int(momentum), int(length), np.asarray(exponents[end - length : end], dtype=np.float64))
        for atom, momentum, length, end in zip(atoms, momenta, lengths, ends)
    ]


def _close(one: Floats, other: Floats) -> bool:
    return bool(np.allclose(one, other, rtol=SAME_EXPONENT, atol=0.0))


def _order(momentum: int, is_cartesian: bool) -> list[int]:
    """Return, for each function of a record's shell, its place in Psi4's shell."""
    if is_cartesian:
        return list(range((momentum + 1) * (momentum + 2) // 2))
    if momentum == 1:
        return [1, 2, 0]
    return [2 * m - 1 if m > 0 else -2 * m for m in range(-momentum, momentum + 1)]


def _scale(basis: Basis) -> Floats:
    """Return 1 / n_l for each function; one for spherical ones. (The first of a Cartesian shell is x^l.)"""
    if not basis.is_cartesian:
        return np.ones(basis.num_functions)
    norms, scale, start = function_norms(basis), [], 0
    for momentum in basis.angular_momentum.tolist():
        size = (momentum + 1) * (momentum + 2) // 2
        scale += [1.0 / float(norms[start])] * size
        start += size
    return np.array(scale)


def _differs(what: str, seen: object, expected: object) -> DataFormatError:
    return DataFormatError(
        f"Psi4 did not use the basis that it was given: {what} differ",
        seen=seen,
        expected=expected,
        remedy="report the version of Psi4 (`decar doctor`); quantum.backend: pyscf computes the same level",
    )
