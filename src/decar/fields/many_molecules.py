"""Density-like fields of several molecules at a time, on a device to which every operation is sent."""

from collections.abc import Mapping, Sequence
from math import prod

import torch

from decar.fields.block_batches import function_batches
from decar.fields.density import Formula, Weight, sums_of
from decar.fields.function_plan import FunctionPlan


def many_local_fields(
    plans: Sequence[FunctionPlan], formulas: Mapping[str, tuple[Formula, int]], order: int,
    weights: Sequence[Weight] = (), dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
) -> list[dict[str, torch.Tensor]]:  # fmt: skip
    """Return what `decar.fields.density.local_fields` does, of each molecule.

    In some hundred operations, those of several molecules with those of one; the device is not waited for.
    """
    voxels = plans[0].blocks.edge ** 3
    counts = [prod(plan.blocks.counts) for plan in plans]
    fields = {
        name: torch.zeros((sum(counts), channels, voxels), dtype=dtype, device=device)
        for name, (_, channels) in formulas.items()
    }
    has_weight = _of_some(plans, weights, dtype, device)
    for batch in function_batches(plans, weights, order, dtype, device):
        local = sums_of(batch.functions.values(), order, voxels, batch.matrices)
        for weight, is_there in has_weight.items():
            local.weighted[weight].mul_(is_there[batch.molecules, None])
        for name, (formula, _) in formulas.items():
            fields[name].index_copy_(0, batch.places, formula(local).transpose(0, 1))
    parts = {name: torch.split(field, counts) for name, field in fields.items()}
    return [
        {name: plan.blocks.joined(of_molecules[number]) for name, of_molecules in parts.items()}
        for number, plan in enumerate(plans)
    ]


def _of_some(
    plans: Sequence[FunctionPlan], weights: Sequence[Weight], dtype: torch.dtype, device: torch.device | str
) -> dict[Weight, torch.Tensor]:
    """Return, of weights that only some molecules have, 1 for these and 0 for the others, (molecule,).

    A closed shell has no spin density: as a difference it would be rounding, which the other way has not.
    """
    found = {}
    for name in weights:
        has = [name in plan.weighted for plan in plans]
        if any(has) and not all(has):
            found[name] = torch.tensor(has, dtype=dtype).to(device, non_blocking=True)
    return found
