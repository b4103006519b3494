r"""Core-seconds, memory and storage of the per-molecule stages, as sums of terms with measured coefficients.

    cost(molecule) = sum_j c_j x_j(sizes, settings),    c_j >= 0

Each x_j grows with every size, so a larger molecule never costs less. The terms follow what the programs do (N atoms,
F basis functions, A fitting functions, P quadrature points, V voxels); `benchmarks/costs.py` fits the c_j to
measurements and writes them to cost_constants.json with their error. Core-seconds are those of one conformer times the
conformers that are kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decar.config import ConformersSettings, FieldsSettings, QuantumSettings, Study
from decar.planning.cost_sizes import MoleculeSizes
from decar.stages import MOLECULE_STAGES

Floats = NDArray[np.float64]
Terms = dict[str, Floats]
CONSTANTS = Path(__file__).with_name("cost_constants.json")

# Points of PySCF's quadrature before pruning, by level: of hydrogen and of a second-row atom (radii times directions).
QUADRATURE = (
    (10 * 50, 15 * 86), (30 * 110, 40 * 194), (40 * 194, 60 * 302), (50 * 302, 75 * 302), (60 * 434, 90 * 590),
    (70 * 590, 105 * 770), (80 * 770, 120 * 974), (90 * 974, 135 * 1202), (100 * 1202, 150 * 1202),
    (200 * 1454, 200 * 1454),
)  # fmt: skip
# Psi4 beside PySCF, whose single points were measured: 0.256 core-hours for 28 molecules that take PySCF 0.034. It is a
# second process beside ours: a job that takes PySCF 1.1 GB was killed by SLURM at 2.7 (docs/slurm).
PSI4_TIMES_SECONDS, PSI4_TIMES_MEMORY, PSI4_SPARE_MB = 7.5, 2.2, 300.0
MEGA = 1e6


@dataclass(frozen=True)
class Costs:
    """What one stage needs, one number a molecule in each array."""

    seconds: Floats  # of one core, all conformers
    memory_mb: Floats  # largest resident set of the process
    stored_bytes: Floats  # of the record


@cache
def constants() -> Mapping[str, Any]:
    """Return the measured coefficients and their errors."""
    found: dict[str, Any] = json.loads(CONSTANTS.read_text(encoding="utf-8"))
    return found


def predict(quantity: str, terms: Terms) -> Floats:
    """Return the sum of the terms times the coefficients of a quantity."""
    coefficients = constants()["quantities"][quantity]["coefficients"]
    return np.asarray(sum(value * terms[name] for name, value in coefficients.items()), dtype=np.float64)


def stage_costs(study: Study, sizes: MoleculeSizes) -> dict[str, Costs]:
    """Return the costs of the per-molecule stages, in order."""
    kept = float(study.conformers.num_kept)
    geometry = predict("geometry.bytes", geometry_terms(sizes)) * kept
    field = field_terms(sizes, study.fields)
    optimise = sum(optimise_seconds(study, sizes).values(), np.zeros(len(sizes)))
    found = {
        "conformers": Costs(
            predict("conformers.seconds", conformer_terms(sizes, study.conformers)),
            predict("conformers.memory", geometry_terms(sizes)), geometry,
        ),
        "optimise": Costs(optimise * kept, _optimise_memory(study, sizes), geometry),
        "wavefunction": Costs(
            wavefunction_seconds(study.quantum, sizes) * kept, wavefunction_memory(study.quantum, sizes),
            predict("wavefunction.bytes", wavefunction_size_terms(sizes)) * kept,
        ),
        "fields": Costs(
            predict("fields.seconds", field) * kept, predict("fields.memory", field_memory_terms(sizes, study.fields)),
            predict("fields.bytes", field_size_terms(sizes, study.fields)) * kept,
        ),
    }  # fmt: skip
    return {stage: found[stage] for stage in MOLECULE_STAGES}


def geometry_terms(sizes: MoleculeSizes) -> Terms:
    """Return the terms of whatever a geometry needs."""
    return {"1": np.ones(len(sizes)), "N": sizes.atoms}


def conformer_terms(sizes: MoleculeSizes, settings: ConformersSettings) -> Terms:
    """Return the terms of embedding (distance geometry and force field) and of ranking with GFN2-xTB."""
    n, e = sizes.atoms, float(settings.num_embeddings)
    ranked = float(settings.num_ranked if settings.ranking == "gfn2-xtb" else 0)
    return {"1": np.ones(len(n)), "embeddings N": e * n, "embeddings N^2": e * n**2, "embeddings N^3": e * n**3,
            "ranked N^2": ranked * n**2}  # fmt: skip


def optimise_terms(sizes: MoleculeSizes, *, has_solvent: bool = False) -> Terms:
    """Return the terms of one geometry optimisation: steps, gradients, internal coordinates, implicit solvent."""
    n = sizes.atoms
    return {"1": np.ones(len(n)), "N": n, "N^2": n**2, "N^3": n**3, "N^2 solvent": float(has_solvent) * n**2}


def wavefunction_terms(sizes: MoleculeSizes, settings: QuantumSettings) -> Terms:
    """Return the terms of one self-consistent field: integrals, Coulomb and exchange, quadrature, polarisable medium.

    A: fitting functions; without them the integrals over four functions, of which screening leaves about F^3.
    """
    f, a, occupied = sizes.functions, sizes.fitting, sizes.electrons / 2
    has_quadrature = float(settings.method.lower() != "hf")
    points = quadrature_points(sizes, settings.quadrature_level) * has_quadrature
    is_exact = float(settings.fitting_basis is None)
    has_solvent = float(settings.solvent_dielectric is not None)
    return {
        "1": np.ones(len(f)),
        "F^2 A": f**2 * a / MEGA,
        "F^2 A O": f**2 * a * occupied / MEGA,
        "F^3 exact": is_exact * f**3 / MEGA,
        "F^4 exact": is_exact * f**4 / MEGA,
        "P": points / MEGA,
        "P F": points * f / MEGA,
        "P F^2": points * f**2 / MEGA,
        "N F^2 solvent": has_solvent * sizes.atoms * f**2 / MEGA,
    }


def quadrature_points(sizes: MoleculeSizes, level: int) -> Floats:
    """Return the number of points of PySCF's quadrature before pruning."""
    hydrogen, heavy = QUADRATURE[level]
    return np.asarray(sizes.hydrogens * hydrogen + (sizes.atoms - sizes.hydrogens) * heavy)


def wavefunction_seconds(settings: QuantumSettings, sizes: MoleculeSizes) -> Floats:
    """Return the seconds of one single point."""
    seconds = predict("wavefunction.seconds", wavefunction_terms(sizes, settings))
    return seconds * PSI4_TIMES_SECONDS if settings.backend == "psi4" else seconds


def wavefunction_memory(settings: QuantumSettings, sizes: MoleculeSizes) -> Floats:
    """Return the memory of one single point [MB]."""
    memory = predict("wavefunction.memory", wavefunction_memory_terms(sizes, settings))
    return memory * PSI4_TIMES_MEMORY + PSI4_SPARE_MB if settings.backend == "psi4" else memory


def wavefunction_memory_terms(sizes: MoleculeSizes, settings: QuantumSettings) -> Terms:
    """Return the terms of the memory: fitted or exact integrals in core, matrices, orbitals on the quadrature."""
    f, a = sizes.functions, sizes.fitting
    points = quadrature_points(sizes, settings.quadrature_level) * float(settings.method.lower() != "hf")
    fitted = np.minimum(f * (f + 1) / 2 * a * 8 / MEGA, IN_CORE_MB)
    exact = float(settings.fitting_basis is None) * np.minimum(f**4 / 8 * 8 / MEGA, IN_CORE_MB)
    return {"1": np.ones(len(f)), "fitted integrals": fitted, "exact integrals": exact, "F^2": f**2 * 8 / MEGA,
            "P": points * 8 / MEGA}  # fmt: skip


IN_CORE_MB = 4000.0  # PySCF's limit as decar sets it: larger integrals go to disk


def wavefunction_size_terms(sizes: MoleculeSizes) -> Terms:
    """Return the terms of a stored wavefunction: occupied orbitals, shells."""
    return {"1": np.ones(len(sizes)), "F O": sizes.functions * (sizes.electrons / 2 + 1), "F": sizes.functions}


def field_terms(sizes: MoleculeSizes, settings: FieldsSettings) -> Terms:
    """Return the terms of the fields of one conformer: density-like ones, gradients, promolecule, potential."""
    n, f, v = sizes.atoms, sizes.functions, sizes.voxels
    names = set(settings.names)
    local = float(bool(names & {"electron_density", "density_gradient_norm"}))
    gradient, promolecule, potential = (
        float(name in names) for name in ("density_gradient_norm", "promolecular_density", "electrostatic_potential")
    )
    return {
        "1": np.ones(len(n)),
        "F": f,
        "local V": local * v / MEGA,
        "local F V^(2/3)": local * f * v ** (2 / 3) / MEGA,
        "gradient V": gradient * v / MEGA,
        "gradient F": gradient * f,
        "promolecule N V": promolecule * n * v / MEGA,
        "potential N": potential * n,
        "potential N F": potential * n * f,
        "potential N V": potential * n * v / MEGA,
        "potential F^2": potential * f**2,
    }


def field_memory_terms(sizes: MoleculeSizes, settings: FieldsSettings) -> Terms:
    """Return the terms of the memory of the fields stage: voxels of all fields, orbitals, tables of the potential."""
    potential = float("electrostatic_potential" in settings.names)
    voxels = sizes.voxels * 4 / MEGA
    return {"1": np.ones(len(sizes)), "fields V": len(settings.names) * voxels, "V": voxels, "F": sizes.functions,
            "potential N": potential * sizes.atoms}  # fmt: skip


def field_size_terms(sizes: MoleculeSizes, settings: FieldsSettings) -> Terms:
    """Return the terms of a stored fields record: compressed voxels by number format, the potential apart."""
    potential = float("electrostatic_potential" in settings.names)
    local = len(settings.names) - potential
    is_half = float(settings.storage == "float16")
    return {
        "1": np.ones(len(sizes)),
        "local float32": (1 - is_half) * local * sizes.voxels,
        "potential float32": (1 - is_half) * potential * sizes.voxels,
        "local float16": is_half * local * sizes.voxels,
        "potential float16": is_half * potential * sizes.voxels,
    }


def optimise_seconds(study: Study, sizes: MoleculeSizes) -> dict[str, Floats]:
    """Return the seconds of each method of the chain for one conformer, by the quantity that is measured of it."""
    terms = optimise_terms(sizes, has_solvent=study.optimise.solvent is not None)
    found: dict[str, Floats] = {}
    for method in study.optimise.methods:
        quantity = "optimise.dft.single points" if method == "dft" else f"optimise.{method}.seconds"
        single = wavefunction_seconds(study.quantum, sizes) if method == "dft" else 1.0
        found[quantity] = found.get(quantity, 0.0) + predict(quantity, terms) * single
    return found


def _optimise_memory(study: Study, sizes: MoleculeSizes) -> Floats:
    memory = predict("optimise.memory", geometry_terms(sizes))
    if "dft" in study.optimise.methods:
        memory = np.maximum(memory, wavefunction_memory(study.quantum, sizes) * GRADIENT_MEMORY)
    return memory


GRADIENT_MEMORY = 1.5  # of a gradient against its single point
