"""Basis functions on many blocks of many grids at a time, for devices to which every operation is sent.

Block by block (basis_blocks.py) a molecule takes some twenty thousand operations, each of next to no work: a
processor's cache likes that, a GPU waits for them. Here all blocks have one shape, all functions equally many
primitives, and blocks that need about equally many functions are one batched product, whatever molecule they belong to.
Which blocks need which functions is found on the processor beforehand, so that the device is never waited for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt

import torch
from torch.nn.functional import pad

from decar.fields.basis_blocks import (
    FLUSH,
    NUM_VALUES,
    FunctionBlock,
    GroupTables,
    block_bounds,
    block_edge,
    derivatives_needed,
    product_plane,
)
from decar.fields.density import FRONTIER, Mixing, Weight, weighted_orbitals
from decar.fields.grid import VoxelGrid
from decar.fields.orbitals import CartesianOrbitals, FunctionGroup, monomial_gaussian
from decar.fields.screening import ACCURACY, by_contribution

MOST_VALUES = 2**26  # values of functions in a batch: 256 MiB in float32
# Floating-point operations that take a GPU as long as it takes to send it one more batch (40 operations of 5
# microseconds, at 10 teraflops): so many may be wasted on functions that a block does not need.
WORTH_A_BATCH = 2e9


@dataclass(frozen=True)
class Blocks:
    """A grid cut into cubes of one edge, those at its far faces reaching beyond it."""

    shape: tuple[int, int, int]
    edge: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Return the blocks along x, y and z."""
        x, y, z = (ceil(n / self.edge) for n in self.shape)
        return x, y, z

    def cuts(self) -> list[list[slice]]:
        """Return the voxels of the blocks, axis by axis."""
        return [
            [slice(start, min(start + self.edge, n)) for start in range(0, n, self.edge)] for n in self.shape
        ]  # fmt: skip

    def joined(self, field: torch.Tensor) -> torch.Tensor:
        """Return (channel, x, y, z) from (block, channel, voxel)."""
        channels, (x, y, z) = field.shape[1], self.counts
        parts = field.view(x, y, z, channels, *[self.edge] * 3).permute(3, 0, 4, 1, 5, 2, 6)
        whole = parts.reshape(channels, *(count * self.edge for count in self.counts))
        return whole[:, : self.shape[0], : self.shape[1], : self.shape[2]].contiguous()


@dataclass(frozen=True)
class FunctionPlan:
    """The functions of a molecule, and which of them are evaluated on which blocks of its grid; on the processor.

    Blocks stand in the order of how many functions they need, the most first; those that need none are left out.
    """

    group: FunctionGroup  # of all functions, those of fewer primitives with some of contraction zero
    occupied: torch.Tensor  # (function, orbital), float64
    weighted: dict[Weight, torch.Tensor]  # the same of other sums over orbitals
    grid: VoxelGrid
    blocks: Blocks
    places: torch.Tensor  # (block, 3), int32: which along x, y and z
    ranked: torch.Tensor  # (block, function), int32: functions by falling contribution
    needed: list[int]  # how many of them each block needs


def plan_functions(
    orbitals: CartesianOrbitals, weights: Sequence[Weight], grid: VoxelGrid, order: int, dtype: torch.dtype
) -> FunctionPlan:
    """Return the plan for sums with these weights, within the accuracy of the number format (screening.py)."""
    blocks = Blocks(grid.shape, block_edge(grid.spacing_bohr))
    bounds = block_bounds(orbitals, grid, blocks.cuts(), derivatives_needed(order)).flatten(1)
    has_frontier = any(name in FRONTIER for name in weights)
    rising, keep = by_contribution(orbitals, bounds, ACCURACY[dtype].neglect, has_frontier)
    needed, some = keep.sum(dim=0).sort(descending=True)
    num = int((needed > 0).sum())
    needed, some = needed[:num], some[:num]
    places = torch.stack(torch.unravel_index(some, blocks.counts), dim=1)
    ranked = rising.flip(0)[: int(needed[:1].sum()), some].T
    matrices = {name: weighted_orbitals(orbitals, name) for name in weights}
    return FunctionPlan(
        as_one_group(orbitals.groups), orbitals.coefficients,
        {name: matrix for name, matrix in matrices.items() if matrix is not None}, grid, blocks,
        places.to(torch.int32), ranked.to(torch.int32).contiguous(), needed.tolist(),
    )  # fmt: skip


def as_one_group(groups: Sequence[FunctionGroup]) -> FunctionGroup:
    """Return the functions of all groups, those of fewer primitives with some of contraction zero."""
    longest = max(group.exponents.shape[1] for group in groups)
    parts, first = [], 0
    for group in groups:
        missing = (0, longest - group.exponents.shape[1])
        exponents, contraction = pad(group.exponents, missing, value=1.0), pad(group.contraction, missing)
        parts.append((group.centres, exponents, contraction, group.shell + first, group.powers))
        first += len(group.centres)
    return FunctionGroup(*(torch.cat(part) for part in zip(*parts)))


@dataclass(frozen=True)
class Batch:
    """The functions on some blocks, and what turns them into orbitals there."""

    places: torch.Tensor  # (block,) where the blocks stand among all blocks of all molecules
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
    batches = list(_batches(needed, edge**3, max(plan.occupied.shape[1] for plan in plans)))
    if not batches:
        return
    matrices = _matrices(plans, weights)
    tables, moved = _on_device(plans, list(matrices.values()), edge, order, dtype, device)
    num_functions = 1 + sum(len(plan.group) for plan in plans)
    memory = tables[0][0].new_empty(max(count * len(members) for count, members in batches) * edge**3)
    in_order = [block for _, members in batches for block in members]
    where, ranked = (joined[in_order].to(device) for joined in _joined_blocks(plans))
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
        yield Batch(where[own, 3], Mixing(occupied, {name: of_weight.get(name) for name in weights}), block)
        start = own.stop


def _matrices(plans: Sequence[FunctionPlan], weights: Sequence[Weight]) -> dict[str, torch.Tensor]:
    """Return the orbitals of all molecules, (function, orbital): the occupied ones, then those of each weight.

    A weight that has none in any molecule is left out. Where only some have unpaired electrons, half the density of
    the others is alpha.
    """
    found = {"occupied": _stacked([plan.occupied for plan in plans])}
    for name in weights:
        if any(name in plan.weighted for plan in plans):
            found[name] = _stacked([plan.weighted.get(name, plan.occupied / sqrt(2)) for plan in plans])
    return found


def _joined_blocks(plans: Sequence[FunctionPlan]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the places (block, 3 and the number of the block) and the functions (block, function) of all molecules.

    A block of fewer functions than the batch is given that of number `nothing`, which is in no orbital.
    """
    widest = max(plan.ranked.shape[1] for plan in plans)
    nothing = sum(len(plan.group) for plan in plans)
    places, ranked = [], []
    first_block = first_function = 0
    for plan in plans:
        x, y, z = plan.places.T
        _, ny, nz = plan.blocks.counts
        places.append(torch.stack([x, y, z, first_block + (x * ny + y) * nz + z], dim=1))
        ranked.append(pad(plan.ranked + first_function, (0, widest - plan.ranked.shape[1]), value=nothing))
        first_block += prod(plan.blocks.counts)
        first_function += len(plan.group)
    return torch.cat(places).to(torch.int64), torch.cat(ranked).to(torch.int64)


def _on_device(
    plans: Sequence[FunctionPlan], matrices: Sequence[torch.Tensor], edge: int, order: int, dtype: torch.dtype,
    device: torch.device | str,
) -> tuple[list[list[torch.Tensor]], list[torch.Tensor]]:  # fmt: skip
    """Return the tables by axis and derivative, (block along it x function, primitive, voxel), and the matrices."""
    longest = max(plan.group.exponents.shape[1] for plan in plans)
    parts = []
    for plan in plans:
        group, missing = plan.group, (0, longest - plan.group.exponents.shape[1])
        start = torch.tensor(plan.grid.origin_bohr, dtype=torch.float64) - group.centres[group.shell]
        step = torch.full((len(group), 1), plan.grid.spacing_bohr, dtype=torch.float64)
        exponents = pad(group.exponents, missing, value=1.0)[group.shell]
        contraction = pad(group.contraction, missing)[group.shell]
        parts.append(torch.cat([start, group.powers, step, exponents, contraction], dim=1))
    # One transfer for all, with the function that is in no orbital.
    widths = [3, 3, 1, longest, longest, *(matrix.shape[1] for matrix in matrices)]
    everything = pad(torch.cat([torch.cat(parts), *matrices], dim=1), (0, 0, 0, 1)).to(device)
    start, powers, step, exponents, contraction, *moved = torch.split(everything, widths, dim=1)
    count = max(max(plan.blocks.counts) for plan in plans)
    numbers = torch.arange(count * edge, dtype=torch.float64, device=device)
    offset = (start[:, :, None] + step[:, :, None] * numbers).permute(1, 0, 2)[:, :, None]
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


def _stacked(matrices: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return matrices below one another, with columns of zeros where one has fewer."""
    widest = max(matrix.shape[1] for matrix in matrices)
    return torch.cat([pad(matrix, (0, widest - matrix.shape[1])) for matrix in matrices])


def _batches(needed: Sequence[int], num_voxels: int, num_orbitals: int) -> Iterator[tuple[int, list[int]]]:
    """Yield the functions that each block of a batch is given, and the blocks; as few batches as is worth it."""
    members: list[int] = []
    count, wasted = 0, 0.0
    for block in sorted(range(len(needed)), key=needed.__getitem__, reverse=True):
        spare = 2.0 * (count - needed[block]) * num_voxels * num_orbitals
        is_large = (len(members) + 1) * count * num_voxels > MOST_VALUES
        if members and (is_large or wasted + spare > WORTH_A_BATCH):
            yield count, members
            members = []
        if not members:
            count, wasted, spare = needed[block], 0.0, 0.0
        members.append(block)
        wasted += spare
    if members:
        yield count, members
