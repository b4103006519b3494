"""QCSchema JSON of a wavefunction: an AtomicResult of version 1 (doi 10.1002/wcms.1491).

Functions follow the CCA standard: Cartesian components in lexical order, all with the norm that makes x^l one;
spherical ones from m = -l to +l. Shells of l < 2 are stated as Cartesian, so p is x, y, z. Only the occupied orbitals
and the lowest empty one are there, as columns of the matrices.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from iodata.periodic import num2sym

from decar import __version__
from decar.atomic import write_text
from decar.quantum.export_basis import primitive_coefficients
from decar.quantum.wavefunction import Basis, Floats, Wavefunction


def to_qcschema(wavefunction: Wavefunction) -> dict[str, Any]:
    """Return the JSON-able AtomicResult; lengths in bohr, energies in hartree, matrices flat in row order."""
    level, is_restricted = wavefunction.level, wavefunction.beta_coefficients is None
    orbitals: dict[str, Any] = {}
    for spin, letter in (("alpha", "a"), ("beta", "b")):
        coefficients: Floats | None = getattr(wavefunction, f"{spin}_coefficients")
        if coefficients is None:
            continue
        occupations, energies = getattr(wavefunction, f"{spin}_occupations"), getattr(wavefunction, f"{spin}_energies")
        scaled = coefficients * _cca_norms(wavefunction.basis)[:, None]
        orbitals[f"scf_orbitals_{letter}"] = scaled.ravel().tolist()
        orbitals[f"scf_eigenvalues_{letter}"] = energies.tolist()
        orbitals[f"scf_occupations_{letter}"] = (occupations / (2.0 if is_restricted else 1.0)).tolist()
    basis = _basis(wavefunction, str(level.get("basis", "")))
    return {
        "schema_name": "qcschema_output",
        "schema_version": 1,
        "molecule": _molecule(wavefunction),
        "driver": "energy",
        "model": {"method": str(level.get("method", "")), "basis": str(level.get("basis", ""))},
        "keywords": {},
        "properties": {
            "calcinfo_nbasis": wavefunction.basis.num_functions,
            "calcinfo_natom": len(wavefunction.atomic_numbers),
            "return_energy": wavefunction.energy_hartree,
            "scf_total_energy": wavefunction.energy_hartree,
            "scf_dipole_moment": wavefunction.dipole_e_bohr.tolist(),
        },
        "wavefunction": {"restricted": is_restricted, "basis": basis, **orbitals},
        "return_result": wavefunction.energy_hartree,
        "success": True,
        "provenance": {"creator": "decar", "version": __version__, "routine": "decar.quantum.export_qcschema"},
        "extras": {"decar_level": dict(level), "decar_quality": dict(wavefunction.quality)},
    }


def export_qcschema(wavefunction: Wavefunction, path: Path) -> None:
    """Write QCSchema JSON."""
    write_text(path, json.dumps(to_qcschema(wavefunction), indent=1, allow_nan=False) + "\n")


def _molecule(wavefunction: Wavefunction) -> dict[str, Any]:
    return {
        "schema_name": "qcschema_molecule",
        "schema_version": 2,
        "symbols": [num2sym[int(number)] for number in wavefunction.atomic_numbers],
        "geometry": wavefunction.geometry_bohr.ravel().tolist(),
        "molecular_charge": float(wavefunction.charge),
        "molecular_multiplicity": wavefunction.multiplicity,
        "fix_com": True,
        "fix_orientation": True,
        "provenance": {"creator": "decar", "version": __version__},
    }


def _basis(wavefunction: Wavefunction, name: str) -> dict[str, Any]:
    """Return every atom's shells as a centre of its own, in the order of the functions."""
    basis = wavefunction.basis
    centres: dict[str, Any] = {
        f"atom{atom}": {"electron_shells": []} for atom in range(len(wavefunction.nuclear_charges))
    }
    for atom, momentum, (exponents, coefficients) in zip(
        basis.atom, basis.angular_momentum, primitive_coefficients(basis)
    ):
        kind = "spherical" if momentum >= 2 and not basis.is_cartesian else "cartesian"
        centres[f"atom{atom}"]["electron_shells"].append(
            {
                "harmonic_type": kind,
                "angular_momentum": [int(momentum)],
                "exponents": exponents.tolist(),
                "coefficients": [coefficients.tolist()],
            }
        )
    for centre, charge, number in zip(centres.values(), wavefunction.nuclear_charges, wavefunction.atomic_numbers):
        if charge != number:
            centre["ecp_electrons"] = int(number - charge)
    return {
        "schema_name": "qcschema_basis",
        "schema_version": 1,
        "name": name,
        "center_data": centres,
        "atom_map": list(centres),
        "nbf": basis.num_functions,
    }


def _cca_norms(basis: Basis) -> Floats:
    """Return the norm of x^l times the radial part for each function of a Cartesian shell: sqrt(4 pi / (2l + 1))."""
    norms: list[float] = []
    for momentum in basis.angular_momentum.tolist():
        if momentum < 2 or not basis.is_cartesian:
            norms.extend([1.0] * (2 * momentum + 1))
        else:
            count = (momentum + 1) * (momentum + 2) // 2
            norms.extend([float(np.sqrt(4.0 * np.pi / (2 * momentum + 1)))] * count)
    return np.array(norms)
