"""One molecule through all networks, conformers and rotations: the mean, and what of its spread comes from where.

    value     mean over networks m, conformers c, rotations r of p_mcr
    sd^2      sd_models^2 + sd_conformers^2 + sd_rotations^2          (the law of total variance; population variances)
    sd_models^2 = Var_m E_c E_r p    sd_conformers^2 = E_m Var_c E_r p    sd_rotations^2 = E_m E_c Var_r p

p is a probability, or a value in the unit of the property. A source with one member says nothing: its sd is empty, and
the total is of the others. The spread is what the members disagree about, not an error bar that was calibrated.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decar.dataset.normalise import Normalisation
from decar.dataset.rotations import AUGMENTATION, Rotation
from decar.dataset.samples import Batch, Sample, collate
from decar.models.package import Package
from decar.models.task import all_columns, all_values
from decar.molecules.fingerprint import ecfp4_bits
from decar.record import Record

Floats = NDArray[np.float64]
ROTATIONS = {1: "none", 6: "rotations_6", 24: "rotations_24"}
SOURCES = ("models", "conformers", "rotations")


def predict_molecule(members: Sequence[Package], record: Record, smiles: str, num_rotations: int) -> dict[str, object]:
    """Return the columns of one molecule: values with their spread, and how near it is to the training molecules."""
    rotations = AUGMENTATION[ROTATIONS[num_rotations]]
    tasks = members[0].tasks
    outcomes = [_of_member(member, record, rotations) for member in members]
    values = np.stack([all_values(member.tasks, outputs) for member, (outputs, _) in zip(members, outcomes)])
    row: dict[str, object] = {
        "num_models": values.shape[0], "num_conformers": values.shape[1], "num_rotations": values.shape[2]
    }  # fmt: skip
    for name, column in zip(all_columns(tasks), np.moveaxis(values, -1, 0)):
        row |= {name if not part else f"{name}_{part}": value for part, value in spread(column).items()}
    return row | _neighbourhood(members, smiles, [activities for _, activities in outcomes])


def spread(values: Floats) -> dict[str, float]:
    """Return the mean ("") and the standard deviations of p [model, conformer, rotation]; nan where nothing varies."""
    variances = {
        "models": values.mean(axis=(1, 2)).var(),
        "conformers": values.mean(axis=2).var(axis=1).mean(),
        "rotations": values.var(axis=2).mean(),
    }
    known = [name for name, size in zip(SOURCES, values.shape) if size > 1]
    total = float(np.sqrt(sum(variances[name] for name in known))) if known else np.nan
    parts = {f"sd_{name}": float(np.sqrt(variances[name])) if name in known else np.nan for name in SOURCES}
    return {"": float(values.mean()), "sd": total, **parts}


def _of_member(member: Package, record: Record, rotations: Sequence[Rotation]) -> tuple[Floats, NDArray[np.float32]]:
    """Return outputs [conformer, rotation, output], and the hidden activities of the molecule (hidden,), unrotated."""
    normalisation = Normalisation.from_json(member.config["normalisation"])
    outputs, activities = [], []
    for conformer in range(int(record.metadata["num_conformers"])):
        arrays = {entry.field: record.arrays[f"{conformer}/{entry.field}"] for entry in normalisation.fields}
        fields = {name: torch.from_numpy(array) for name, array in arrays.items()}
        turned = [
            _outputs(member, normalisation.apply({name: rotation.turn(field) for name, field in fields.items()}))
            for rotation in rotations
        ]
        outputs.append([one for one, _ in turned])
        activities.append(turned[0][1])  # the first rotation is none
    mean = np.array(activities, dtype=np.float64).mean(axis=0)
    return np.array(outputs, dtype=np.float64), np.asarray(mean, dtype=np.float32)


def _outputs(member: Package, voxels: torch.Tensor) -> tuple[NDArray[Any], NDArray[Any]]:
    label = torch.full((len(member.tasks),), torch.nan)
    sample: Sample = {"key": "", "conformer": 0, "weight": 1.0, "label": label, "voxels": voxels}
    batch: Batch = collate([sample], member.network.total_stride)
    with torch.inference_mode():
        outputs, hidden = member.network.outputs_and_activities(batch["voxels"], batch["mask"])
    return outputs[0].double().numpy(), hidden[0].float().numpy()


def _neighbourhood(
    members: Sequence[Package], smiles: str, activities: Sequence[NDArray[np.float32]]
) -> dict[str, object]:
    """Return the least similarity and the largest distance, in units of the threshold, over the networks, and the flag.

    Inside is inside the domain of every network.
    """
    domains = [(member.domain, hidden) for member, hidden in zip(members, activities) if member.domain is not None]
    if len(domains) < len(members):
        return {"similarity": None, "distance_ratio": None, "in_domain": None}
    bits = ecfp4_bits([smiles])[0]
    similarities = [(domain.similarity(bits), domain.thresholds.similarity) for domain, _ in domains]
    distances = [(domain.distance(hidden), domain.thresholds.distance) for domain, hidden in domains]
    is_inside = all(value >= least for value, least in similarities) and all(value <= most for value, most in distances)
    ratios = [value / most if most > 0 else (0.0 if value == 0 else np.inf) for value, most in distances]
    return {
        "similarity": min(value for value, _ in similarities), "distance_ratio": max(ratios), "in_domain": is_inside
    }  # fmt: skip
