"""Molden and formatted checkpoint files of a wavefunction, written by qc-iodata (doi 10.1002/jcc.26468).

iodata states coefficients for normalised primitives and functions of norm one; a record has neither, so each shell is
divided by the norms of its primitives and each function's orbital coefficients multiplied by its own norm.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
from iodata import IOData, dump_one
from iodata.basis import MolecularBasis, Shell
from iodata.orbitals import MolecularOrbitals
from scipy.special import factorial2, gamma

from decar.atomic import atomic_path
from decar.quantum.wavefunction import Basis, Floats, Wavefunction


def cartesian_powers(momentum: int) -> list[tuple[int, int, int]]:
    """Return the powers (a, b, c) of a shell's Cartesian functions in the order of a record: lexical."""
    return [(a, b, momentum - a - b) for a in range(momentum, -1, -1) for b in range(momentum - a, -1, -1)]


def primitive_coefficients(basis: Basis) -> list[tuple[Floats, Floats]]:
    """Return exponents and coefficients of normalised primitives, shell by shell.

    The radial part r^l exp(-alpha r^2) has the norm N: N^-2 = Gamma(l + 3/2) / (2 (2 alpha)^(l + 3/2)).
    """
    shells, start = [], 0
    for momentum, length in zip(basis.angular_momentum, basis.num_primitives):
        exponents = basis.exponents[start : start + length]
        half = float(momentum) + 1.5
        norm = np.sqrt(2.0 * (2.0 * exponents) ** half / gamma(half))
        shells.append((exponents, basis.coefficients[start : start + length] / norm))
        start += int(length)
    return shells


def function_norms(basis: Basis) -> Floats:
    """Return the norm of each basis function, given a radial norm of one.

    Spherical functions and l < 2 have norm one; a Cartesian one of l >= 2 has
    sqrt(4 pi (2a-1)!! (2b-1)!! (2c-1)!! / (2l+1)!!).
    """
    norms: list[float] = []
    for momentum in basis.angular_momentum.tolist():
        if momentum < 2 or not basis.is_cartesian:
            norms.extend([1.0] * (2 * momentum + 1))
            continue
        for powers in cartesian_powers(momentum):
            product = np.prod([float(factorial2(2 * power - 1)) if power else 1.0 for power in powers])
            norms.append(float(np.sqrt(4.0 * np.pi * product / factorial2(2 * momentum + 1))))
    return np.array(norms)


def _conventions(highest: int) -> dict[tuple[int, str], list[str]]:
    """Return iodata's names of the functions of each shell in the order of a record."""
    names: dict[tuple[int, str], list[str]] = {}
    for momentum in range(highest + 1):
        names[momentum, "c"] = [
            "x" * a + "y" * b + "z" * c or "1" for a, b, c in cartesian_powers(momentum)
        ]
        if momentum >= 2:
            sines = [f"s{m}" for m in range(momentum, 0, -1)]
            names[momentum, "p"] = [*sines, *[f"c{m}" for m in range(momentum + 1)]]
    return names


def to_iodata(wavefunction: Wavefunction) -> Any:
    """Return iodata's object of a wavefunction; orbitals beyond the lowest empty one are not there."""
    basis = wavefunction.basis
    shells = []
    for atom, momentum, (exponents, coefficients) in zip(
        basis.atom, basis.angular_momentum, primitive_coefficients(basis)
    ):
        kind = "p" if momentum >= 2 and not basis.is_cartesian else "c"
        shells.append(Shell(int(atom), [int(momentum)], [kind], exponents, coefficients[:, None]))
    conventions = _conventions(int(basis.angular_momentum.max()))
    return IOData(
        title=str(wavefunction.level.get("label", "decar")),
        atnums=wavefunction.atomic_numbers.astype(int),
        atcoords=wavefunction.geometry_bohr,
        atcorenums=wavefunction.nuclear_charges,
        charge=wavefunction.charge,
        energy=wavefunction.energy_hartree,
        lot=str(wavefunction.level.get("method", "")),
        obasis_name=str(wavefunction.level.get("basis", "")),
        run_type="energy",
        obasis=MolecularBasis(shells, conventions, "L2"),
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
        # iodata counts all functions as orbitals, and counts shells where the format has a switch (0 pure, 1 Cartesian).
        switch = int(wavefunction.basis.is_cartesian)
        for name, value in (
            ("Number of independent functions", data.mo.norba),
            ("Pure/Cartesian d shells", switch),
            ("Pure/Cartesian f shells", switch),
        ):
            text = re.sub(rf"^({re.escape(name)} +I +)\d+$", lambda found, v=value: f"{found[1]}{v}", text, flags=re.M)
        temporary.write_text(text, encoding="utf-8")


def _same_number(mo: Any) -> Any:
    number = max(mo.norba, mo.norbb)

    def filled(values: Floats, length: int) -> Floats:
        return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, number - length)])

    pairs = [(mo.occsa, mo.occsb), (mo.coeffsa, mo.coeffsb), (mo.energiesa, mo.energiesb)]
    joined = [np.concatenate([filled(a, mo.norba), filled(b, mo.norbb)], axis=-1) for a, b in pairs]
    return MolecularOrbitals("unrestricted", number, number, *joined)
