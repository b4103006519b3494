"""Density-like fields of several molecules at a time, on a device to which every operation is sent."""

from collections.abc import Mapping, Sequence
from math import prod

import torch

from decar.fields.block_batches import FunctionPlan, function_batches
from decar.fields.density import Formula, Weight, sums_of


def many_local_fields(
    plans: Sequence[FunctionPlan], formulas: Mapping[str, tuple[Formula, int]], order: int,
    weights: Sequence[Weight] = (), dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
) -> list[dict[str, torch.Tensor]]:  # fmt: skip
    """Return what `decar.fields.density.local_fields` does, of each molecule.

    Some hundred operations, however many molecules; the device is not waited for.
    """
    voxels = plans[0].blocks.edge ** 3
    counts = [prod(plan.blocks.counts) for plan in plans]
    fields = {
        name: torch.zeros((sum(counts), channels, voxels), dtype=dtype, device=device)
        for name, (_, channels) in formulas.items()
    }
    for batch in function_batches(plans, weights, order, dtype, device):
        local = sums_of(batch.functions.values(), order, voxels, batch.matrices)
        for name, (formula, _) in formulas.items():
            fields[name].index_copy_(0, batch.places, formula(local).transpose(0, 1))
    parts = {name: torch.split(field, counts) for name, field in fields.items()}
    return [
        {name: plan.blocks.joined(of_molecules[number]) for name, of_molecules in parts.items()}
        for number, plan in enumerate(plans)
    ]
