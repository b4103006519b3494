"""From a structure to what a network sees: the settings of a study that travel with a model.

A prediction is worth something only where the fields of the new molecule were made as those of the training molecules
were. Another spacing or another level of theory is refused; another number of conformers or padding is only reported.
"""

from collections.abc import Mapping
from typing import Any

from decar.config import Study
from decar.stages import MOLECULE_STAGES, STAGE_VERSION, WHERE_AND_HOW_LONG

# What must be equal, as `section.key` of the study file: voxel spacing, level of theory, and that of the geometry.
FORBIDDING = frozenset(
    {
        "fields.spacing_angstrom", "quantum.method", "quantum.basis", "quantum.cartesian", "quantum.fitting_basis",
        "quantum.solvent_dielectric", "optimise.methods", "optimise.solvent", "optimise.dispersion",
    }
)  # fmt: skip
# What each package may have its own of: which fields a network sees, and whether they are also written as cubes.
FREE = frozenset({"fields.names", "fields.write_cubes"})


def chemistry_of(study: Study) -> dict[str, Any]:
    """Return what decides the fields of a molecule: seed, protonation, the sections of the stages, their versions."""
    return {
        "seed": study.seed,
        "protonation": study.molecules.protonation,
        "conformers": study.conformers.model_dump(mode="json"),
        "optimise": study.optimise.model_dump(mode="json"),
        "quantum": study.quantum.model_dump(mode="json", exclude=WHERE_AND_HOW_LONG),
        "fields": study.fields.model_dump(mode="json"),
        "stage_versions": {stage: STAGE_VERSION[stage] for stage in MOLECULE_STAGES},
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[object, object]]:
    """Return {`section.key`: (value of one, value of the other)} where two chemistries differ, names in any case."""
    left, right = _flat(one), _flat(other)
    found = {}
    for name in sorted((left.keys() | right.keys()) - FREE):
        pair = left.get(name), right.get(name)
        if _folded(pair[0]) != _folded(pair[1]):
            found[name] = pair
    # Dispersion belongs to an optimisation with a density functional alone.
    if "optimise.dispersion" in found and not any(
        "dft" in (values.get("optimise.methods") or ()) for values in (left, right)
    ):
        del found["optimise.dispersion"]
    return found


def _flat(chemistry: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in chemistry.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


def _folded(value: object) -> object:
    if isinstance(value, str):
        return value.lower()
    return list(value) if isinstance(value, tuple) else value
