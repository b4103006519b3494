"""A system and a level of theory as the job of `psi4_worker`: translated into Psi4's terms, or refused.

Every number that a basis name stands for comes from one library (PySCF's), written out for Psi4 with all its digits:
the engines differ in their data (Psi4 1.3.2 has no def2-universal-jkfit) and in what their defaults pick.
"""

import math
import re
from dataclasses import asdict
from typing import Any

import numpy as np

from decar.errors import ConfigError
from decar.quantum.backend import System
from decar.quantum.export_basis import primitive_coefficients
from decar.quantum.level import Level
from decar.quantum.pyscf_library import dft, gto
from decar.quantum.pyscf_mole import build_mole, extract_basis
from decar.quantum.pyscf_scf import known_functional
from decar.quantum.scf_rescue import LADDER
from decar.quantum.wavefunction import Basis

KIND = re.compile(r"(?:hyb_)?(?:lda|gga|mgga)_(xc|x|c|k)(?:_|$)")
MOMENTA = "SPDFGHIKLM"  # letters of Gaussian's basis format, without J
# Guesses of the ladder by Psi4's names. Both of the first are superpositions of atomic densities in a minimal sense.
GUESSES = {"minao": "sad", "atom": "gwh", "previous": "previous"}
# Psi4's criterion is the root mean square over all elements of [F, P], PySCF's the norm: n elements make it n times
# smaller. A hundredth of PySCF's criterion is the stricter of the two for molecules below a hundred functions.
GRADIENT_SHARE = 0.01
# Share of the fitting metric's largest eigenvalue below which Psi4 drops a combination of fitting functions. Cartesian
# ones are nearly dependent; PySCF keeps them all, and Psi4's own threshold (1e-10) would cost 2e-5 hartree in Br2.
FITTING_CONDITION = 1e-12
ARGON, FINEST_LEVEL = 18, 9


def make_job(
    system: System, level: Level, num_threads: int, memory_mb: int, wants_gradient: bool
) -> tuple[dict[str, Any], Any]:
    """Return the JSON-able job and the PySCF molecule whose basis it carries.

    Raises ConfigError for a level that Psi4 cannot obey, InputMoleculeError (`element_without_basis`).
    """
    check_level(level)
    mole = build_mole(system, level, memory_mb)
    fitting = None
    if level.fitting_basis is not None:
        # The same element-wise reading as PySCF's density fitting does, so that both have the same functions.
        fitting = gto.Mole()
        fitting.verbose, fitting.unit, fitting.atom, fitting.cart = 0, "Bohr", mole.atom, mole.cart
        fitting.charge, fitting.spin, fitting.basis = mole.charge, mole.spin, level.fitting_basis
        fitting.build(dump_input=False, parse_arg=False)
    job = {
        "atomic_numbers": [int(number) for number in system.atomic_numbers],
        "geometry_bohr": [float(value) for value in system.geometry_bohr.ravel()],
        "charge": system.charge,
        "multiplicity": system.multiplicity,
        "functional": functional_of(level.functional),
        "is_cartesian": level.is_cartesian,
        "basis": basis_text(mole),
        "fitting_basis": None if fitting is None else basis_text(fitting),
        "options": options(system, level),
        "max_cycles": level.max_cycles,
        "ladder": [{**asdict(rung), "guess": GUESSES[rung.guess]} for rung in LADDER],
        "num_threads": num_threads,
        "memory_mb": memory_mb,
        "wants_gradient": wants_gradient,
    }
    return job, mole


def helium_job(num_threads: int) -> dict[str, Any]:
    """Return a job that any sound Psi4 can do: a helium atom, Hartree-Fock in a minimal basis."""
    helium = System(np.array([2], dtype=np.int32), np.zeros((1, 3)), 0, 1)
    level = Level("hf", None, "sto-3g", None, True, 0, 1e-6, 20, None)
    return make_job(helium, level, num_threads, 500, False)[0]


def check_level(level: Level) -> None:
    """Raise ConfigError where Psi4 would compute something else than the level says."""
    if level.solvent_dielectric is not None:
        raise ConfigError(
            "Psi4 cannot obey this solvent model",
            where="quantum.solvent_dielectric",
            seen=level.solvent_dielectric,
            expected="null: Psi4's C-PCM (PCMSolver) builds another cavity than the level's",
            remedy="set quantum.backend to pyscf, or the solvent to null",
        )
    functional_of(level.functional)


def functional_of(functional: str | None) -> dict[str, Any] | None:
    """Return libxc's names as Psi4's dictionary of a functional; None is Hartree-Fock.

    Psi4 hands the names to libxc, so no name of Psi4's own (whose B3LYP could be another) is involved.
    """
    if functional is None:
        return None
    parts = known_functional(functional).split(",")
    kinds = [found[1] if (found := KIND.match(part)) else "" for part in parts]
    if dft.libxc.is_nlc(functional):
        raise _unobeyable(functional, "a functional without non-local correlation (VV10)")
    if kinds == ["xc"]:
        return {"name": "decar_functional", "xc_functionals": {parts[0].upper(): {}}}
    if kinds not in (["x"], ["x", "c"]):
        raise _unobeyable(functional, "one xc functional, or exchange and correlation in this order")
    exchange = {parts[0].upper(): {"use_libxc": True} if parts[0].startswith("hyb_") else {}}
    correlation: dict[str, Any] = {part.upper(): {} for part in parts[1:]}
    return {"name": "decar_functional", "x_functionals": exchange, "c_functionals": correlation}


def _unobeyable(functional: str, expected: str) -> ConfigError:
    return ConfigError(
        "Psi4 cannot obey this functional", where="quantum.method", seen=functional, expected=expected,
        remedy="set quantum.backend to pyscf, or choose another method",
    )  # fmt: skip


def options(system: System, level: Level) -> dict[str, Any]:
    """Return Psi4's options that a level decides."""
    directions, radii = quadrature(system, level.quadrature_level)
    return {
        "SCF_TYPE": "PK" if level.fitting_basis is None else "DF",
        "DF_SCF_GUESS": False,
        "DF_FITTING_CONDITION": FITTING_CONDITION,
        "SAD_SCF_TYPE": "DIRECT",
        "E_CONVERGENCE": level.convergence_hartree,
        "D_CONVERGENCE": GRADIENT_SHARE * math.sqrt(level.convergence_hartree),
        "DFT_SPHERICAL_POINTS": directions,
        "DFT_RADIAL_POINTS": radii,
        "DFT_RADIAL_SCHEME": "TREUTLER",
        "DFT_NUCLEAR_SCHEME": "TREUTLER",
        "FAIL_ON_MAXITER": True,
    }


def quadrature(system: System, quadrature_level: int) -> tuple[int, int]:
    """Return the Lebedev and the radial points that every atom gets: the most that PySCF gives to any element here.

    Psi4 has one number for all atoms and does not prune as PySCF does. Its radial rule is the coarser one beyond argon
    (Br2 at level 2: 5.5e-5 hartree from the limit, PySCF 2.5e-5), so heavy elements count by PySCF's next level.
    """
    directions, radii = [], []
    for number in {int(number) for number in system.atomic_numbers}:
        finest = min(quadrature_level + (number > ARGON), FINEST_LEVEL)
        directions.append(int(dft.gen_grid._default_ang(number, finest)))
        radii.append(int(dft.gen_grid._default_rad(number, finest)))
    return max(directions), max(radii)


def basis_text(mole: Any) -> str:
    """Return a molecule's basis and core potentials in Gaussian's format, 17 digits, for `psi4.basis_helper`."""
    basis = extract_basis(mole)
    lines = ["assign decar", "[ decar ]", "cartesian" if basis.is_cartesian else "spherical", "****"]
    seen = set()
    for atom in range(mole.natm):
        symbol = mole.atom_pure_symbol(atom)
        if symbol not in seen:
            seen.add(symbol)
            lines += [f"{symbol} 0", *_element_shells(basis, atom), "****"]
    for symbol in sorted(seen & set(mole._ecp)):
        lines += [f"{symbol} 0", *_core_potential(symbol, mole._ecp[symbol])]
    return "\n".join(lines)


def _element_shells(basis: Basis, atom: int) -> list[str]:
    lines = []
    for index, (exponents, coefficients) in enumerate(primitive_coefficients(basis)):
        if basis.atom[index] != atom:
            continue
        lines.append(f"{MOMENTA[basis.angular_momentum[index]]} {len(exponents)} 1.0")
        lines += [f"{alpha:.17e} {c:.17e}" for alpha, c in zip(exponents, coefficients)]
    return lines


def _core_potential(symbol: str, potential: Any) -> list[str]:
    """Return U(r) = U_L(r) + sum_l (U_l - U_L)(r) |l><l|, each sum_k d_k r^(n_k - 2) exp(-zeta_k r^2), L first."""
    num_core, channels = potential
    terms = {
        momentum: [(power, *term[:2]) for power, some in enumerate(powers) for term in some]
        for momentum, powers in channels
    }
    top = max(terms) + 1  # of the local part, which PySCF calls -1
    lines = [f"{symbol}-ECP {top} {num_core}"]
    for momentum in (-1, *range(top)):
        some = terms.get(momentum) or [(2, 1.0, 0.0)]
        letter = MOMENTA[top if momentum < 0 else momentum].lower()
        lines += [f"{letter} potential", str(len(some))]
        lines += [f"{power} {alpha:.17e} {d:.17e}" for power, alpha, d in some]
    return lines
