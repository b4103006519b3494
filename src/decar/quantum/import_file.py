"""Read a wavefunction of another program: fchk, molden, wfx and what else qc-iodata reads (doi 10.1002/jcc.26468).

iodata states coefficients over functions of norm one made of normalised primitives; a record states neither. With N the
norm of a function whose radial part has norm one, and R the radial norm of a contraction as the file gives it,

    phi(file) = phi(record) R / N,   so   C(record) = C(file) R / N.

Frame and order of atoms stay those of the file. Only one determinant is accepted: occupations of 0, 1 or 2.
"""

import hashlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from iodata import load_one
from iodata.convert import convert_conventions, convert_to_segmented
from iodata.utils import FileFormatError, LoadError, LoadWarning
from scipy.special import gamma

from decar.errors import DataFormatError
from decar.quantum.export import conventions
from decar.quantum.export_basis import function_norms
from decar.quantum.wavefunction import Basis, Floats, Integers

FORMATS = ("fchk", "molden", "wfx", "wfn", "mwfn", "molekel")  # iodata's names of formats that hold orbitals
UNCONTRACTED = ("wfx", "wfn")  # their basis is a list of primitives: the contraction has to be known from elsewhere
PROGRAMS = ("Gaussian", "ORCA", "Psi4", "Q-Chem", "Molpro", "Turbomole", "NWChem", "CFOUR", "PySCF", "xtb", "Multiwfn")
WHOLE = 1e-6  # deviation of an occupation from 0, 1 or 2 that is still rounding
HEAD = 4096  # characters at the beginning of a file in which its program is named


@dataclass(frozen=True)
class Orbitals:
    """The orbitals of one spin, or of both where they are doubly occupied, as the file orders them."""

    coefficients: Floats  # (function, orbital)
    occupations: Floats  # (orbital,)
    energies: Floats  # (orbital,) [hartree]


@dataclass(frozen=True)
class ForeignFile:
    """What a file says, in the units and the basis conventions of a record."""

    format: str
    sha256: str
    program: str | None
    method: str | None  # as the file spells it; Psi4's fchk says RHF whatever the functional
    basis_name: str | None
    energy_hartree: float | None
    atomic_numbers: Integers  # (atom,)
    core_charges: Floats  # (atom,) effective nuclear charges, where the file knows of core potentials
    geometry_bohr: Floats  # (atom, 3)
    basis: Basis
    alpha: Orbitals
    beta: Orbitals | None  # None: restricted
    warnings: tuple[str, ...]  # what iodata had to put right

    @property
    def num_electrons(self) -> int:
        """Return the number of electrons that the orbitals hold."""
        return round(sum(float(spin.occupations.sum()) for spin in (self.alpha, self.beta) if spin is not None))

    @property
    def multiplicity(self) -> int:
        """Return 2S + 1 of the occupations."""
        if self.beta is None:
            return 1
        return round(float(self.alpha.occupations.sum() - self.beta.occupations.sum())) + 1

    def to_metadata(self) -> dict[str, Any]:
        """Return what a record keeps of the file."""
        return {
            "program": self.program,
            "format": self.format,
            "file_sha256": self.sha256,
            "file_states": {"method": self.method, "basis": self.basis_name, "energy_hartree": self.energy_hartree},
            "warnings": list(self.warnings),
        }


def read_foreign(path: Path, file_format: str | None = None, program: str | None = None) -> ForeignFile:
    """Read a file; its format goes by the name unless given, its program by what stands in its head.

    Raises DataFormatError: unknown format, truncated or damaged file, no orbitals, more than one determinant, mixed
    Cartesian and spherical functions.
    """
    content = _content(path)
    file_format = file_format or _format_of(path)
    data, notes = _load(path, file_format)
    if data.mo is None or data.obasis is None or data.mo.coeffs is None:
        raise DataFormatError("the file holds no orbitals", where=path, expected=f"one of {', '.join(FORMATS)}")
    basis, rows, factors = _convert_basis(data.obasis, path)
    alpha, beta = _convert_orbitals(data.mo, rows, factors, path)
    head = content[:HEAD].decode("utf-8", "replace")
    return ForeignFile(
        format=file_format,
        sha256=hashlib.sha256(content).hexdigest(),
        program=program or _program("\n".join([head, *notes]), content),
        method=data.lot or None,
        basis_name=data.obasis_name or None,
        energy_hartree=None if data.energy is None else float(data.energy),
        atomic_numbers=np.asarray(data.atnums, dtype=np.int32),
        core_charges=np.asarray(data.atcorenums, dtype=np.float64),
        geometry_bohr=np.asarray(data.atcoords, dtype=np.float64),
        basis=basis,
        alpha=alpha,
        beta=beta,
        warnings=notes,
    )


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataFormatError("the file cannot be read", where=path, seen=error.strerror) from error


def _format_of(path: Path) -> str:
    name = path.name.lower()
    suffixes = {"mkl": "molekel", "fch": "fchk", **{name: name for name in FORMATS}}
    # ORCA writes NAME.molden.input
    for part in reversed(name.split(".")[1:]):
        if part in suffixes:
            return suffixes[part]
    raise DataFormatError(
        "the format of the file is not known", where=path, seen=path.name, expected=f"one of {', '.join(FORMATS)}",
        remedy="name it with --format",
    )  # fmt: skip


def _load(path: Path, file_format: str) -> tuple[Any, tuple[str, ...]]:
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            data = load_one(str(path), fmt=file_format)
    except (LoadError, FileFormatError) as error:
        cause = f": {error.__cause__}" if error.__cause__ is not None else ""
        raise DataFormatError(
            f"the file is no whole {file_format} file", where=path, seen=" ".join(f"{error}{cause}".split()),
            remedy="have its program write it again; --format names another format",
        ) from error  # fmt: skip
    notes = [str(note.message).split(" (")[0] for note in caught if issubclass(note.category, LoadWarning)]
    return data, tuple(notes)


def _program(head: str, content: bytes) -> str | None:
    if b"Gaussian Version" in content:  # a field of fchk files, far from the head
        return "Gaussian"
    return next((name for name in PROGRAMS if re.search(rf"\b{name}(_|\b)", head, re.IGNORECASE)), None)


def _convert_basis(obasis: Any, path: Path) -> tuple[Basis, tuple[Any, Any], Floats]:
    """Return the basis, (permutation, signs) of its functions, and R / N of the module's formula for each."""
    segmented = convert_to_segmented(obasis)
    momenta = [int(shell.angmoms[0]) for shell in segmented.shells]
    kinds = {str(shell.kinds[0]) for shell, momentum in zip(segmented.shells, momenta) if momentum >= 2}
    if len(kinds) > 1:
        raise DataFormatError(
            "Cartesian and spherical functions are mixed", where=path, expected="all of one kind",
            remedy="compute it again with 5D 7F or with 6D 10F",
        )  # fmt: skip
    rows = convert_conventions(segmented, conventions(max(momenta)))
    exponents, coefficients, scales = [], [], []
    for shell, momentum in zip(segmented.shells, momenta):
        primitive = shell.coeffs[:, 0] * _radial_norms(shell.exponents, momentum)
        sums = shell.exponents[:, None] + shell.exponents[None, :]
        half = momentum + 1.5
        norm = float(np.sqrt(primitive @ (gamma(half) / (2.0 * sums**half)) @ primitive))
        exponents.append(shell.exponents)
        coefficients.append(primitive / norm)
        scales.append(norm)
    basis = Basis(
        np.array([shell.icenter for shell in segmented.shells], dtype=np.int32), np.array(momenta, dtype=np.int32),
        np.array([len(shell.exponents) for shell in segmented.shells], dtype=np.int32),
        np.concatenate(exponents).astype(np.float64), np.concatenate(coefficients).astype(np.float64), kinds == {"c"},
    )  # fmt: skip
    widths = [len(segmented.conventions[momentum, str(shell.kinds[0])]) for shell, momentum in
              zip(segmented.shells, momenta)]  # fmt: skip
    return basis, rows, np.repeat(scales, widths) / function_norms(basis)


def _radial_norms(exponents: Floats, momentum: int) -> Floats:
    """Return the factors that give r^l exp(-alpha r^2) the radial norm one."""
    half = momentum + 1.5
    return np.asarray(np.sqrt(2.0 * (2.0 * exponents) ** half / gamma(half)), dtype=np.float64)


def _convert_orbitals(
    mo: Any, rows: tuple[Any, Any], factors: Floats, path: Path
) -> tuple[Orbitals, Orbitals | None]:  # fmt: skip
    if mo.kind not in {"restricted", "unrestricted"}:
        raise DataFormatError("the orbitals mix both spins", where=path, seen=mo.kind, expected="one determinant")
    permutation, signs = rows
    if mo.coeffs.shape[0] != len(permutation):
        raise DataFormatError(
            "the orbitals do not fit the basis", where=path, seen=mo.coeffs.shape[0], expected=len(permutation)
        )
    coefficients = mo.coeffs[permutation] * signs[:, None] * factors[:, None]
    if mo.kind == "restricted":
        found = _sound(coefficients, mo.occs, mo.energies, path, full=2.0)
        return found, None
    split = mo.norba
    alpha = _sound(coefficients[:, :split], mo.occsa, mo.energiesa, path, full=1.0)
    beta = _sound(coefficients[:, split:], mo.occsb, mo.energiesb, path, full=1.0)
    if alpha.occupations.sum() < beta.occupations.sum():
        raise DataFormatError("there are more beta than alpha electrons", where=path)
    return alpha, beta


def _sound(coefficients: Floats, occupations: Floats, energies: Any, path: Path, full: float) -> Orbitals:
    """Return the orbitals that are there (some formats fill up with zeros), their occupations whole."""
    whole = np.rint(occupations)
    if np.abs(occupations - whole).max(initial=0.0) > WHOLE or not np.isin(whole, (0.0, full)).all():
        raise DataFormatError(
            "the file is not one closed-shell or unrestricted determinant", where=path,
            seen=f"occupations {sorted({round(float(n), 4) for n in occupations}, reverse=True)[:6]}",
            expected=f"0 or {full:.0f}",
            remedy="import the orbitals of the SCF, not natural orbitals; run open shells unrestricted",
        )  # fmt: skip
    if energies is None:
        raise DataFormatError("the file holds no orbital energies", where=path)
    there = np.abs(coefficients).max(axis=0, initial=0.0) > 0.0
    if (whole[~there] > 0).any():
        raise DataFormatError("an occupied orbital is zero", where=path)
    return Orbitals(coefficients[:, there], whole[there], np.asarray(energies, dtype=np.float64)[there])
