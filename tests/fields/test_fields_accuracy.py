"""Every density-like field against PySCF's functions at the same voxels, by molecule, basis and number format.

The orbitals are those of the core Hamiltonian, in which no electron sees another: as hard to evaluate as any, and had
for one diagonalisation.
"""

from functools import cache
from itertools import product

import numpy as np
import pytest
import torch
from pyscf import gto
from scipy.linalg import eigh

from decar.fields.local_fields import DILUTE
from decar.fields.registry import FIELDS, evaluate_fields
from decar.quantum.pyscf_mole import to_pyscf_mole
from decar.quantum.wavefunction import Wavefunction
from tests.fields.systems import BENT_RADICAL, HYDROGEN_BROMIDE, HYDROXIDE, THIOFORMAMIDE, WATER, build
from tests.fields.test_density import BOUND, box

AMMONIUM = "N 0 0 0; H 1.1 1.1 1.1; H -1.1 -1.1 1.1; H -1.1 1.1 -1.1; H 1.1 -1.1 -1.1"
GLYCINE_ZWITTERION = (
    "N 2.67 0.34 0.1; C 0.3 1.83 0; C -2.1 0.1 0; O -4.1 1.3 0; O -1.7 -2.2 0; H 2.9 -0.8 1.6; H 4.2 1.5 0.1;"
    "H 2.5 -0.8 -1.5; H 0.2 3.1 1.6; H 0.2 3.1 -1.6"
)
PHOSPHINE = "P 0 0 0.12; H 2.25 0 -1.35; H -1.12 1.95 -1.35; H -1.12 -1.95 -1.35"
CHLOROMETHANE = "C 0 0 0; Cl 0.1 0 3.37; H 1.95 0 -0.65; H -0.97 1.69 -0.65; H -0.97 -1.69 -0.65"
BENZENE = ";".join(
    f"{symbol} {radius * np.cos(angle):.6f} {radius * np.sin(angle):.6f} 0"
    for symbol, radius in (("C", 2.64), ("H", 4.69))
    for angle in np.arange(6) * np.pi / 3
)
GOLDEN = (1 + 5**0.5) / 2


def buckminsterfullerene() -> str:
    """The 60 corners of a truncated icosahedron of edge 2, scaled to bonds of 2.7 bohr; drawn out a little along y and
    z, or its highest orbitals would be any of five.
    """
    seeds = ((0, 1, 3 * GOLDEN), (1, 2 + GOLDEN, 2 * GOLDEN), (GOLDEN, 2, 2 * GOLDEN + 1))
    corners = {
        tuple(np.round(np.roll(np.array(seed) * signs, turn), 6) + 0.0)
        for seed in seeds
        for signs in product((1, -1), repeat=3)
        for turn in range(3)
    }
    return ";".join(f"C {1.35 * x} {1.37 * y} {1.4 * z}" for x, y, z in sorted(corners))


# name: (atoms in bohr, basis, Cartesian, charge, multiplicity, element with a core potential)
MOLECULES = {
    "hydrogen": ("H 0 0 0; H 0 0.3 1.4", "def2-tzvp", False, 0, 1, ""),
    "anion": (HYDROXIDE, "6-31+g*", False, -1, 1, ""),
    "cation": (AMMONIUM, "def2-tzvp", False, 1, 1, ""),
    "radical": (BENT_RADICAL, "def2-svp", False, 0, 2, ""),
    "zwitterion": (GLYCINE_ZWITTERION, "6-31g*", True, 0, 1, ""),
    "sulfur": (THIOFORMAMIDE, "def2-svp", False, 0, 1, ""),
    "phosphorus": (PHOSPHINE, "def2-tzvp", False, 0, 1, ""),
    "chlorine": (CHLOROMETHANE, "6-31g*", True, 0, 1, ""),
    "bromine": (HYDROGEN_BROMIDE, "def2-tzvp", False, 0, 1, ""),
    "iodine, core potential": ("I 0 0 0.2; H 0.1 0 3.1", "def2-svp", False, 0, 1, "I"),
    "flat aromatic": (BENZENE, "6-31g*", False, 0, 1, ""),
    "sixty atoms": (buckminsterfullerene(), "sto-3g", False, 0, 1, ""),
    "g functions": (WATER, "cc-pvqz", False, 0, 1, ""),
    "Cartesian g functions, radical cation": (WATER, "cc-pvqz", True, 1, 2, ""),
}  # fmt: skip


@cache
def core_orbitals(name: str) -> Wavefunction:
    """Orbitals of the core Hamiltonian; those of beta electrons feel a tenth less of the nuclei."""
    atoms, basis, cartesian, charge, multiplicity, core = MOLECULES[name]
    mole = gto.M(
        atom=atoms, basis=basis, ecp={core: basis} if core else {}, unit="Bohr", cart=cartesian, charge=charge,
        spin=multiplicity - 1, verbose=0,
    )  # fmt: skip
    kinetic, nuclei, overlap = (mole.intor(part) for part in ("int1e_kin", "int1e_nuc", "int1e_ovlp"))
    spins = []
    for count, scale in zip(mole.nelec, (1.0, 0.9)):
        energies, orbitals = eigh(kinetic + scale * nuclei, overlap)
        spins.append((orbitals[:, : count + 1], (np.arange(count + 1) < count).astype(float), energies[: count + 1]))
    (alpha, filled, energies), (beta, beta_filled, _) = spins
    if multiplicity == 1:
        return build(mole, alpha, 2 * filled, None, None, charge, 1, energies)
    beta = np.pad(beta, ((0, 0), (0, alpha.shape[1] - beta.shape[1])))
    beta_filled = np.pad(beta_filled, (0, len(filled) - len(beta_filled)))
    return build(mole, alpha, filled, beta, beta_filled, charge, multiplicity, energies)


class Reference:
    """Fields at points from PySCF's functions and their derivatives, each with the scale of its rounding errors."""

    def __init__(self, wavefunction: Wavefunction, points: np.ndarray) -> None:
        functions = to_pyscf_mole(wavefunction).eval_gto(
            "GTOval_cart_deriv2" if wavefunction.basis.is_cartesian else "GTOval_sph_deriv2", points
        )
        functions = np.concatenate([functions[:4], functions[[4, 7, 9]].sum(axis=0, keepdims=True)])
        spins = [(wavefunction.alpha_coefficients, wavefunction.alpha_occupations, wavefunction.alpha_energies, 1)]
        if wavefunction.beta_coefficients is not None:
            spins.append(
                (wavefunction.beta_coefficients, wavefunction.beta_occupations, wavefunction.beta_energies, -1)
            )
        self.rho, self.spin, self.tau, self.laplacian, self.ionisation, self.curvature = np.zeros((6, len(points)))
        self.gradient, self.slopes = np.zeros((2, 3, len(points)))
        for c, n, energies, sign in spins:
            psi, x, y, z, curved = (part @ (c * np.sqrt(n)) for part in functions)
            own = (psi**2).sum(axis=1)
            self.rho += own
            self.spin += sign * own * (len(spins) - 1)
            self.ionisation += psi**2 @ np.abs(energies)
            self.tau += (x**2 + y**2 + z**2).sum(axis=1) / 2
            self.laplacian += 2 * (psi * curved + x**2 + y**2 + z**2).sum(axis=1)
            self.curvature += 2 * (np.abs(psi * curved) + x**2 + y**2 + z**2).sum(axis=1)
            self.gradient += 2 * np.array([(psi * slope).sum(axis=1) for slope in (x, y, z)])
            self.slopes += 2 * np.array([np.abs(psi * slope).sum(axis=1) for slope in (x, y, z)])
        best = max((e[n > 0].max(), s) for s, (_, n, e, _) in enumerate(spins))[1]
        next_best = min((e[n == 0].min(), s) for s, (_, n, e, _) in enumerate(spins) if (n == 0).any())[1]
        # Of orbitals with the same energy, to the last digit, the first one: which CPU rounds so is not known.
        c, n, e, _ = spins[best]
        self.highest = self.square(functions[0], c[:, n > 0][:, e[n > 0].argmax()])
        c, n, e, _ = spins[next_best]
        self.lowest = self.square(functions[0], c[:, n == 0][:, e[n == 0].argmin()])

    @staticmethod
    def square(functions: np.ndarray, coefficients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (functions @ coefficients) ** 2, (np.abs(functions) @ np.abs(coefficients)) ** 2

    def fields(self, relative: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return (value, error allowed beyond the absolute one) of each field."""
        rho, tau, slope = self.rho, self.tau, np.linalg.norm(self.slopes, axis=0)
        norm = np.linalg.norm(self.gradient, axis=0)
        gas = 0.3 * (3 * np.pi**2) ** (2 / 3) * rho ** (5 / 3)
        scale = 2 * (3 * np.pi**2) ** (1 / 3) * rho ** (4 / 3)
        weizsaecker, steepest = norm**2 / (8 * rho), slope * norm / (4 * rho)

        def localisation(shift: float) -> np.ndarray:
            pauli = np.maximum(tau - weizsaecker + shift * relative * (tau + steepest + weizsaecker), 0)
            return 1 / (1 + (pauli / gas * (1 + 2 * shift * relative)) ** 2)

        elf = localisation(0)
        spread = np.maximum(np.abs(localisation(1) - elf), np.abs(localisation(-1) - elf))
        locator, ionisation = gas / (gas + tau), self.ionisation / rho
        return {
            "electron_density": (rho, relative * rho),
            "spin_density": (self.spin, relative * rho),
            "density_gradient": (self.gradient, relative * self.slopes),
            "density_gradient_norm": (norm, relative * slope),
            "density_laplacian": (self.laplacian, relative * self.curvature),
            "kinetic_energy_density": (tau, relative * tau),
            "electron_localisation": (elf, spread + relative * elf),
            "localised_orbital_locator": (locator, 3 * relative * locator),
            "reduced_density_gradient": (norm / scale, relative * (slope + 2 * norm) / scale),
            "highest_occupied_density": (self.highest[0], relative * self.highest[1]),
            "lowest_empty_density": (self.lowest[0], relative * self.lowest[1]),
            "local_ionisation_energy": (ionisation, 2 * relative * ionisation),
        }


QUOTIENTS = {
    "electron_localisation", "localised_orbital_locator", "reduced_density_gradient", "local_ionisation_energy",
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", MOLECULES)
def test_fields_agree_with_pyscf(name, dtype):
    wavefunction = core_orbitals(name)
    extent = np.ptp(wavefunction.geometry_bohr, axis=0).max() + 8
    grid = box(wavefunction, (28, 24, 24), extent / 28)
    names = [name for name, field in FIELDS.items() if field.formula is not None]
    found = evaluate_fields(names, wavefunction, grid, dtype)
    points = grid.points()
    distances = np.linalg.norm(points[:, None] - wavefunction.geometry_bohr, axis=2).min(axis=1)
    random = np.random.default_rng(3)
    count = 10_000 if wavefunction.basis.num_functions < 120 else 1000  # benchmarks/field_accuracy.py: of all
    voxels = np.union1d(random.choice(len(points), count, replace=False), np.flatnonzero(distances < 1.0)[:2000])
    absolute, relative = BOUND[dtype]
    reference = Reference(wavefunction, points[voxels])
    assert (reference.rho > DILUTE).sum() > 200
    for field, (expected, allowed) in reference.fields(relative).items():
        values = found.pop(field).flatten(1).double().numpy()[:, voxels]
        kept = reference.rho > 1.001 * DILUTE if field in QUOTIENTS else np.ones(len(voxels), dtype=bool)
        excess = (np.abs(values - expected) / (absolute + allowed))[:, kept]
        assert excess.max() <= 1, f"{field}: {excess.max():.3g} times what is allowed"
    assert not found
