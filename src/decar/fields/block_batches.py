"""Basis functions on many blocks of many grids at a time, for devices to which every operation is sent.

Block by block (basis_blocks.py) a molecule takes some ten thousand operations, each of next to no work: a
processor's cache likes that, a GPU waits for them. Here all blocks have one shape, all functions equally many
primitives, and blocks that need about equally many functions are one batched product, whatever molecule they belong to.
Which blocks need which functions is found on the processor beforehand, so that the device is never waited for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from decar.fields.basis_blocks import FLUSH, NUM_VALUES, FunctionBlock, GroupTables, product_plane
from decar.fields.density import Mixing, Weight
from decar.fields.function_plan import Array, Floats, FunctionPlan, Integers, wider
from decar.fields.orbitals import monomial_gaussian

MOST_VALUES = 2**27  # values of functions and orbitals in a batch: 512 MiB in float32
# Floating-point operations that take a GPU as long as it takes to send it one more batch (40 operations of 5
# microseconds, at 10 teraflops): so many may be wasted on functions that a block does not need.
WORTH_A_BATCH = 2e9


@dataclass(frozen=True)
class Batch:
    """The functions on some blocks, and what turns them into orbitals there."""

    places: torch.Tensor  # (block,) where the blocks stand among all blocks of all molecules
    molecules: torch.Tensor  # (block,) which molecule they belong to
    matrices: Mixing  # (block, orbital, function) each
    functions: FunctionBlock


def function_batches(
    plans: Sequence[FunctionPlan], weights: Sequence[Weight], order: int, dtype: torch.dtype,
    device: torch.device | str,
) -> Iterator[Batch]:  # fmt: skip
    """Yield the functions and their derivatives, on the device, of all blocks of all molecules that need any."""
    edges = {plan.blocks.edge for plan in plans}
    if len(edges) > 1:
        raise ValueError(f"grids of one spacing are evaluated together, not with blocks of {sorted(edges)} voxels")
    edge = edges.pop()
    needed = [count for plan in plans for count in plan.needed]
    matrices = _matrices(plans, weights)
    batches = list(_batches(needed, edge**3, sum(matrix.shape[1] for matrix in matrices.values())))
    if not batches:
        return
    tables, moved = _on_device(plans, list(matrices.values()), edge, order, dtype, device)
    num_functions = 1 + sum(map(len, plans))
    memory = tables[0][0].new_empty(max(count * len(members) for count, members in batches) * edge**3)
    in_order = [block for _, members in batches for block in members]
    where, ranked = (
        torch.from_numpy(joined[in_order]).to(device, non_blocking=True).long() for joined in _joined_blocks(plans)
    )
    start = 0
    for count, members in batches:
        own = slice(start, start + len(members))
        functions = ranked[own, :count]
        x, y, z = (
            [table.index_select(0, (where[own, axis, None] * num_functions + functions).flatten()) for table in one]
            for axis, one in enumerate(tables)
        )
        block = FunctionBlock(
            functions, [GroupTables(x, y, z, product_plane(x[0], y[0]))], (edge,) * 3, NUM_VALUES[order], memory
        )
        occupied, *others = (matrix[functions].mT for matrix in moved)
        of_weight = dict(zip([name for name in matrices if name in weights], others))
        yield Batch(
            where[own, 3], where[own, 4], Mixing(occupied, {name: of_weight.get(name) for name in weights}), block
        )
        start = own.stop


def _matrices(plans: Sequence[FunctionPlan], weights: Sequence[Weight]) -> dict[str, Floats]:
    """Return the orbitals of all molecules, (function, orbital): the occupied ones, then those of each weight.

    A weight that has none in any molecule is left out; a molecule that has none among others has orbitals of zero.
    """
    found = {"occupied": _stacked([plan.occupied for plan in plans])}
    for name in weights:
        if any(name in plan.weighted for plan in plans):
            found[name] = _stacked([plan.weighted.get(name, np.zeros((len(plan), 1))) for plan in plans])
    return found


def _stacked(arrays: Sequence[Array], value: float = 0.0) -> Array:
    """Return arrays below one another, with columns of a value where one has fewer."""
    widest = max(array.shape[1] for array in arrays)
    return np.concatenate([wider(array, widest, value) for array in arrays])


def _joined_blocks(plans: Sequence[FunctionPlan]) -> tuple[Integers, Integers]:
    """Return the places of all blocks, and their functions, (block, function).

    Places are (block, 5): along x, y and z, the number among all blocks, the molecule. A block of fewer functions than
    the batch is given that of number `nothing`, which is in no orbital.
    """
    nothing = sum(map(len, plans))
    places, ranked = [], []
    first_block = first_function = 0
    for number, plan in enumerate(plans):
        x, y, z = plan.places.T
        _, ny, nz = plan.blocks.counts
        block = first_block + (x * ny + y) * nz + z
        places.append(np.stack([x, y, z, block, np.full_like(x, number)], axis=1).astype(np.int32))
        ranked.append(plan.ranked + np.int32(first_function))
        first_block += prod(plan.blocks.counts)
        first_function += len(plan)
    return np.concatenate(places), _stacked(ranked, nothing)


def _on_device(
    plans: Sequence[FunctionPlan], matrices: Sequence[Floats], edge: int, order: int, dtype: torch.dtype,
    device: torch.device | str,
) -> tuple[list[list[torch.Tensor]], list[torch.Tensor]]:  # fmt: skip
    """Return the tables by axis and derivative, (block along it x function, primitive, voxel), and the matrices."""
    step = np.concatenate([np.full((len(plan), 1), plan.grid.spacing_bohr) for plan in plans])
    columns = [
        *(_stacked([getattr(plan, name) for plan in plans]) for name in ("offset", "powers")), step,
        *(_stacked([getattr(plan, name) for plan in plans]) for name in ("exponents", "contraction")), *matrices,
    ]  # fmt: skip
    # One transfer for all, with the function that is in no orbital.
    everything = torch.from_numpy(np.pad(np.hstack(columns), ((0, 1), (0, 0)))).to(device, non_blocking=True)
    start, powers, steps, exponents, contraction, *moved = torch.split(
        everything, [column.shape[1] for column in columns], dim=1
    )
    count = max(max(plan.blocks.counts) for plan in plans)
    numbers = torch.arange(count * edge, dtype=torch.float64, device=device)
    offset = (start[:, :, None] + steps[:, :, None] * numbers).permute(1, 0, 2)[:, :, None]
    power = powers.T[:, :, None, None]
    tables: list[list[torch.Tensor]] = [[], [], []]
    for k in range(order + 1):
        table = monomial_gaussian(offset, power, exponents[:, :, None], k)
        table[0] *= contraction[:, :, None]
        table.masked_fill_(table.abs() < FLUSH[dtype], 0.0)
        cut = table.to(dtype).view(*table.shape[:3], count, edge).permute(0, 3, 1, 2, 4).flatten(1, 2)
        for own, part in zip(tables, cut):
            own.append(part)
    return tables, [matrix.to(dtype) for matrix in moved]


def _batches(needed: Sequence[int], num_voxels: int, num_orbitals: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the functions that each block of a batch is given, and the blocks; as few batches as is worth it."""
    members: list[int] = []
    count, wasted = 0, 0.0
    for block in sorted(range(len(needed)), key=needed.__getitem__, reverse=True):
        spare = 2.0 * (count - needed[block]) * num_voxels * num_orbitals
        # Functions and their planes; psi, its slope and their product.
        is_large = (len(members) + 1) * num_voxels * (2 * count + 3 * num_orbitals) > MOST_VALUES
        if members and (is_large or wasted + spare > WORTH_A_BATCH):
            yield count, members
            members = []
        if not members:
            count, wasted, spare = needed[block], 0.0, 0.0
        members.append(block)
        wasted += spare
    if members:
        yield count, members
