"""Molden and formatted checkpoint files of a wavefunction, written by qc-iodata (doi 10.1002/jcc.26468).

iodata states coefficients for normalised primitives and functions of norm one; a record has neither, so each shell is
divided by the norms of its primitives and each function's orbital coefficients multiplied by its own norm.
QCSchema JSON, which iodata does not write in full, is in `export_qcschema`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from iodata import IOData, dump_one
from iodata.basis import MolecularBasis, Shell
from iodata.orbitals import MolecularOrbitals

from decar.atomic import atomic_path
from decar.quantum.export_basis import cartesian_powers, function_norms, primitive_coefficients
from decar.quantum.export_qcschema import export_qcschema
from decar.quantum.wavefunction import Floats, Wavefunction

__all__ = ["export_fchk", "export_molden", "export_qcschema", "to_iodata"]


def conventions(highest: int) -> dict[tuple[int, str], list[str]]:
    """Return iodata's names of the functions of each shell in the order of a record."""
    names: dict[tuple[int, str], list[str]] = {}
    for momentum in range(highest + 1):
        names[momentum, "c"] = ["x" * a + "y" * b + "z" * c or "1" for a, b, c in cartesian_powers(momentum)]
        if momentum >= 2:
            sines = [f"s{m}" for m in range(momentum, 0, -1)]
            names[momentum, "p"] = [*sines, *[f"c{m}" for m in range(momentum + 1)]]
    return names


def to_iodata(wavefunction: Wavefunction) -> Any:
    """Return iodata's object of a wavefunction; it counts electrons, and so the charge, from the orbitals."""
    basis = wavefunction.basis
    shells = []
    for atom, momentum, (exponents, coefficients) in zip(
        basis.atom, basis.angular_momentum, primitive_coefficients(basis)
    ):
        kind = "p" if momentum >= 2 and not basis.is_cartesian else "c"
        shells.append(Shell(int(atom), [int(momentum)], [kind], exponents, coefficients[:, None]))
    named = conventions(int(basis.angular_momentum.max()))
    return IOData(
        title=str(wavefunction.level.get("label", "decar")),
        atnums=wavefunction.atomic_numbers.astype(int),
        atcoords=wavefunction.geometry_bohr,
        atcorenums=wavefunction.nuclear_charges,
        energy=wavefunction.energy_hartree,
        lot=str(wavefunction.level.get("method", "")),
        obasis_name=str(wavefunction.level.get("basis", "")),
        run_type="energy",
        obasis=MolecularBasis(shells, named, "L2"),
        mo=_orbitals(wavefunction, function_norms(basis)),
    )


def _orbitals(wavefunction: Wavefunction, norms: Floats) -> Any:
    alpha = wavefunction.alpha_coefficients * norms[:, None]
    number = alpha.shape[1]
    if wavefunction.beta_coefficients is None:
        return MolecularOrbitals(
            "restricted", number, number, wavefunction.alpha_occupations, alpha, wavefunction.alpha_energies
        )
    beta = wavefunction.beta_coefficients * norms[:, None]
    return MolecularOrbitals(
        "unrestricted", number, beta.shape[1],
        np.concatenate([wavefunction.alpha_occupations, np.asarray(wavefunction.beta_occupations)]),
        np.concatenate([alpha, beta], axis=1),
        np.concatenate([wavefunction.alpha_energies, np.asarray(wavefunction.beta_energies)]),
    )  # fmt: skip


def export_molden(wavefunction: Wavefunction, path: Path) -> None:
    """Write a Molden file (up to g functions, as the format goes)."""
    with atomic_path(path) as temporary:
        dump_one(to_iodata(wavefunction), temporary, fmt="molden")


def export_fchk(wavefunction: Wavefunction, path: Path) -> None:
    """Write a Gaussian formatted checkpoint file.

    It holds one number of orbitals for both spins; the spin with fewer is filled with zero columns of energy zero.
    """
    data = to_iodata(wavefunction)
    if data.mo.kind == "unrestricted":
        data.mo = _same_number(data.mo)
    with atomic_path(path) as temporary:
        dump_one(data, temporary, fmt="fchk")
        text = temporary.read_text(encoding="utf-8")
        # iodata counts every function as an orbital, and Cartesian shells where the format has a switch (0 or 1);
        # its energy has eight digits.
        switch = int(wavefunction.basis.is_cartesian)
        text = _with_scalar(text, "Number of independent functions", data.mo.norba)
        text = _with_scalar(text, "Pure/Cartesian d shells", switch)
        text = _with_scalar(text, "Pure/Cartesian f shells", switch)
        text = _with_scalar(text, "SCF Energy", wavefunction.energy_hartree)
        temporary.write_text(_with_scalar(text, "Total Energy", wavefunction.energy_hartree), encoding="utf-8")


def _with_scalar(text: str, name: str, value: float) -> str:
    """Return the file with another value of a scalar, in the columns of the format: A40, 3X, A1, 5X, I12 or E22.15."""
    line = f"{name:40s}   I     {value:12d}" if isinstance(value, int) else f"{name:40s}   R     {value:22.15E}"
    return re.sub(rf"(?m)^{re.escape(name)} +[IR] .*$", line, text)


def _same_number(mo: Any) -> Any:
    number = max(mo.norba, mo.norbb)

    def filled(values: Floats, length: int) -> Floats:
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, number - length)])

    pairs = [(mo.occsa, mo.occsb), (mo.coeffsa, mo.coeffsb), (mo.energiesa, mo.energiesb)]
    joined = [np.concatenate([filled(a, mo.norba), filled(b, mo.norbb)], axis=-1) for a, b in pairs]
    return MolecularOrbitals("unrestricted", number, number, *joined)
