"""Gaussian cube files: a voxel grid, the nuclei and one or more channels as text.

Line 1, 2: comments. Line 3: number of atoms, origin (centre of voxel 0), values a voxel. Lines 4 to 6: voxels along an
axis and its step; a negative number of voxels says that the lengths of the header are in angstrom. One line an atom:
atomic number, charge, place. A negative number of atoms announces a line of orbital numbers. Then the values, z
running fastest, the channels of a voxel together, six a line, a new line after each row along z.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from decar.atomic import atomic_path
from decar.errors import DataFormatError
from decar.fields.grid import VoxelGrid
from decar.units import BOHR_PER_ANGSTROM

Floats = NDArray[np.float64]
PER_LINE = 6


@dataclass(frozen=True)
class Cube:
    """What a cube file holds, in atomic units."""

    grid: VoxelGrid
    atomic_numbers: NDArray[np.int32]  # (atom,)
    nuclear_charges: Floats  # (atom,)
    geometry_bohr: Floats  # (atom, 3)
    values: NDArray[Any]  # (channel, x, y, z), in the unit that the comment names
    comments: tuple[str, str]
    orbitals: tuple[int, ...] = field(default=())  # numbers of the channels, where the file has them


def write_cube(path: Path, cube: Cube) -> None:
    """Write a cube file, whole or not at all; six significant digits a value."""
    channels, nx, ny, _ = cube.values.shape
    count = len(cube.atomic_numbers)
    steps = np.diag([cube.grid.spacing_bohr] * 3)
    # Readers take an empty comment line for the end of the comments.
    lines = [comment.replace("\n", " ").strip() or "-" for comment in cube.comments]
    lines.append(_numbers(-count if cube.orbitals else count, cube.grid.origin_bohr) + f"{channels:5d}")
    lines += [_numbers(n, step) for n, step in zip(cube.grid.shape, steps)]
    atoms = zip(cube.atomic_numbers.tolist(), cube.nuclear_charges, cube.geometry_bohr)
    lines += [_numbers(number, (charge, *place)) for number, charge, place in atoms]
    if cube.orbitals:
        lines.append("".join(f"{number:5d}" for number in (len(cube.orbitals), *cube.orbitals)))
    rows = np.moveaxis(cube.values, 0, -1).reshape(nx * ny, -1).astype(np.float64)
    layout = _row_layout(rows.shape[1])
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
        for row in rows:
            file.write(layout % tuple(row))


def _numbers(count: int, lengths: Sequence[float] | Floats) -> str:
    return f"{count:5d}" + "".join(f"{length:12.6f}" for length in lengths)


def _row_layout(length: int) -> str:
    full, rest = divmod(length, PER_LINE)
    return ("%13.5E" * PER_LINE + "\n") * full + ("%13.5E" * rest + "\n" if rest else "")


def read_cube(path: Path) -> Cube:
    """Read a cube file of any program; raises DataFormatError with the line of the fault.

    The axes must be those of the frame with one step, as VoxelGrid has them.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataFormatError("the cube file cannot be read", where=path, seen=str(error)) from error
    count, *origin = _parse(path, lines, 2, 4)
    channels = _values_a_voxel(path, lines)
    axes = np.array([_parse(path, lines, line, 4) for line in (3, 4, 5)])
    scale = BOHR_PER_ANGSTROM if axes[0, 0] < 0 else 1.0
    grid = _grid(path, np.array(origin) * scale, axes, scale)
    num_atoms = abs(int(count))
    atoms = np.array([_parse(path, lines, 6 + atom, 5) for atom in range(num_atoms)]).reshape(num_atoms, 5)
    first, orbitals = 6 + num_atoms, tuple[int, ...]()
    if count < 0:
        orbitals, first = _orbital_numbers(path, lines, first)
        channels = len(orbitals)
    values = _values(path, lines, first, grid.num_voxels * channels)
    return Cube(
        grid, atoms[:, 0].astype(np.int32), atoms[:, 1], atoms[:, 2:] * scale,
        np.moveaxis(values.reshape(*grid.shape, channels), -1, 0), (lines[0], lines[1]), orbitals,
    )  # fmt: skip


def _fail(path: Path, line: int, what: str, seen: object, expected: object) -> NoReturn:
    raise DataFormatError(what, where=f"{path}, line {line + 1}", seen=seen, expected=expected)


def _parse(path: Path, lines: list[str], line: int, count: int) -> list[float]:
    """Return the first `count` numbers of a line of the header."""
    if line >= len(lines):
        _fail(path, line, "the cube file ends in its header", "end of file", f"{count} numbers")
    words = lines[line].split()
    try:
        numbers = [float(word) for word in words[:count]]
    except ValueError:
        numbers = []
    if len(numbers) < count:
        _fail(path, line, "the header of the cube file is damaged", lines[line][:80], f"{count} numbers")
    return numbers


def _values_a_voxel(path: Path, lines: list[str]) -> int:
    words = lines[2].split()
    if len(words) < 5:
        return 1
    if not words[4].isdigit() or int(words[4]) < 1:
        _fail(path, 2, "the header of the cube file is damaged", words[4], "the number of values a voxel")
    return int(words[4])


def _grid(path: Path, origin: Floats, axes: Floats, scale: float) -> VoxelGrid:
    shape, steps = np.abs(axes[:, 0]).astype(int), axes[:, 1:] * scale
    spacing = float(steps[0, 0])
    if (shape < 1).any() or spacing <= 0 or np.abs(steps - spacing * np.eye(3)).max() > 1e-5 * spacing:
        _fail(
            path,
            3,
            "the cube's axes are not those of a cubic voxel grid",
            axes.tolist(),
            "[n, h, 0, 0], [n, 0, h, 0], ...",
        )
    x, y, z = origin.tolist()
    nx, ny, nz = shape.tolist()
    return VoxelGrid((x, y, z), spacing, (nx, ny, nz))


def _orbital_numbers(path: Path, lines: list[str], line: int) -> tuple[tuple[int, ...], int]:
    """Return the orbital numbers, which may run over several lines, and the line of the first value."""
    numbers = [int(number) for number in _parse(path, lines, line, 1)]
    count, words = numbers[0], lines[line].split()[1:]
    while len(words) < count:
        line += 1
        _parse(path, lines, line, 1)
        words += lines[line].split()
    return tuple(int(word) for word in words[:count]), line + 1


def _values(path: Path, lines: list[str], first: int, count: int) -> Floats:
    words = " ".join(lines[first:]).split()
    try:
        values = np.array(words, dtype=np.float64)
    except ValueError:
        values = np.empty(0)
        for line in range(first, len(lines)):
            try:
                [float(word) for word in lines[line].split()]
            except ValueError:
                _fail(path, line, "a value of the cube file is not a number", lines[line][:80], "numbers")
    if len(values) < count:
        _fail(path, len(lines) - 1, "the cube file is truncated", f"{len(values)} values", f"{count} values")
    if len(values) > count:
        _fail(path, len(lines) - 1, "the cube file has too many values", f"{len(values)} values", f"{count} values")
    return values
