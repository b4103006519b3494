"""Electron clouds for the report: every field of a molecule on a coarse grid, a byte a voxel.

A value v is stored as a byte by  t = asinh(v / s) / asinh(L / s),  byte = 255 t  or, where a field has both signs,
128 + 127 t;  L is the 99th percentile of |v| (greater values are cut off), s a small fraction of L. So a byte is a few
per cent of a large value and a small step near zero: iso-surfaces hold over four decades. A cloud as text is base64 of
raw deflate (RFC 1951) of: length of the header (uint32, little-endian), header (JSON), one array a field, x slowest.
"""

import base64
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from decar.config import Study
from decar.fields.registry import FIELDS
from decar.figures.scene import viewing_axes
from decar.figures.sources import Sources, read_columns
from decar.record import Record, read_record
from decar.store import Store
from decar.units import ANGSTROM_PER_BOHR

Floats = NDArray[np.float64]
EDGES = (32, 28, 24, 20, 16, 12)  # voxels along the longest edge: the first with which all clouds fit into BUDGET
BUDGET = 36_000_000  # bytes of all clouds of a page together
SAMPLE = 24  # molecules by which the edge is chosen
MARGIN = 3.0  # angstrom around the nuclei; the density at the border is about 1e-3 e/bohr^3
PERCENTILE = 99.0
LEAST = {False: 1e-4, True: 1e-3}  # s / L, by whether the field has both signs


def clouds(study: Study, sources: Sources) -> Iterator[tuple[str, str]]:
    """Yield (key, cloud as text) of every molecule whose geometry, wavefunction and fields are in the store."""
    recipes = _recipes(sources)
    store = Store(study.store)
    chosen = list(recipes)[:: max(1, len(recipes) // SAMPLE)][:SAMPLE]
    edge = _edge([packed for key in chosen if (packed := _molecule(store, key, recipes[key]))], len(recipes))
    for key, by_stage in recipes.items():
        packed = _molecule(store, key, by_stage)
        if packed is not None:
            yield key, encode(*packed, edge)


def _recipes(sources: Sources) -> dict[str, Mapping[str, str]]:
    """Return the recipes, by stage, of every molecule that has fields."""
    stages = read_columns(sources.records / "stages.parquet", ["key", "stage", "status", "recipe"])
    wide = stages[stages["status"] == "ok"].pivot_table(index="key", columns="stage", values="recipe", aggfunc="first")
    wanted = [name for name in ("optimise", "wavefunction", "fields") if name in wide.columns]
    if len(wanted) < 3:
        return {}
    found = wide[wanted].dropna()
    return {str(key): dict(zip(wanted, map(str, row))) for key, row in zip(found.index, found.to_numpy())}


def _molecule(store: Store, key: str, recipes: Mapping[str, str]) -> tuple[Record, Record, Record] | None:
    places = [store.find(stage, key, recipes[stage]) for stage in ("optimise", "wavefunction", "fields")]
    if None in places:
        return None
    geometry, atoms, fields = (read_record(place) for place in places if place is not None)
    return geometry, atoms, fields


def _edge(sample: Sequence[tuple[Record, Record, Record]], number: int) -> int:
    """Return the greatest edge with which `number` clouds like those of the sample fit into the budget."""
    for edge in EDGES:
        size = sum(len(encode(*packed, edge)) for packed in sample) / max(1, len(sample))
        if size * number <= BUDGET:
            return edge
    return EDGES[-1]


def encode(geometry: Record, atoms: Record, fields: Record, edge: int) -> str:
    """Return conformer 0 of a molecule as text, its longest edge of at most `edge` voxels; vectors by their norm."""
    grid = fields.metadata["conformers"][0]["grid"]
    positions = np.asarray(atoms.arrays["0/geometry_bohr"], dtype=np.float64)
    first, step, shape = _coarse(positions, grid, edge)
    arrays, entries = [], []
    for path, values in sorted(fields.arrays.items()):
        name = path.split("/")[1]
        if path.startswith("0/") and name in FIELDS:
            coarse = _sampled(np.asarray(values, dtype=np.float32), first, step, shape)
            array, entry = _bytes(coarse)
            arrays.append(array.tobytes())
            entries.append({"name": name, "title": FIELDS[name].title, "unit": FIELDS[name].unit, **entry})
    origin = np.asarray(grid["origin_bohr"]) + first * float(grid["spacing_bohr"])
    header = {
        "shape": list(shape),
        "spacing": round(step * float(grid["spacing_bohr"]) * ANGSTROM_PER_BOHR, 5),
        "origin": np.round(origin * ANGSTROM_PER_BOHR, 4).tolist(),
        "view": np.round(viewing_axes(positions), 4).ravel().tolist(),
        "elements": atoms.arrays["0/atomic_numbers"].tolist(),
        "positions": np.round(positions * ANGSTROM_PER_BOHR, 3).ravel().tolist(),
        "bonds": np.asarray(geometry.arrays["bonds"]).ravel().tolist(),
        "fields": entries,
    }
    return pack(header, arrays)


def pack(header: Mapping[str, Any], arrays: Sequence[bytes]) -> str:
    """Return header and arrays as text, as the module's docstring says."""
    text = json.dumps(header, separators=(",", ":")).encode()
    content = len(text).to_bytes(4, "little") + text + b"".join(arrays)
    return deflated(content)


def deflated(content: bytes) -> str:
    """Return base64 of raw deflate: what a browser's DecompressionStream("deflate-raw") reads."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(packer.compress(content) + packer.flush()).decode("ascii")


def _coarse(positions: Floats, grid: Mapping[str, Any], edge: int) -> tuple[Floats, float, tuple[int, ...]]:
    """Return the first coarse voxel and the step, in voxels of the stored grid, and the shape of the coarse grid."""
    spacing, stored = float(grid["spacing_bohr"]), np.asarray(grid["shape"])
    margin = MARGIN / ANGSTROM_PER_BOHR
    low = np.maximum(0, (positions.min(axis=0) - margin - grid["origin_bohr"]) / spacing)
    high = np.minimum(stored - 1, (positions.max(axis=0) + margin - grid["origin_bohr"]) / spacing)
    step = max(1.0, float((high - low).max()) / (edge - 1))
    return low, step, tuple(int(count) for count in np.floor((high - low) / step + 1e-9).astype(int) + 1)


def _sampled(values: NDArray[np.float32], first: Floats, step: float, shape: Sequence[int]) -> NDArray[np.float32]:
    """Return the field at the coarse voxels by linear interpolation; of a vector its norm."""
    axes = [first[axis] + step * np.arange(count) for axis, count in enumerate(shape)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"))
    channels = [map_coordinates(channel, places, order=1, mode="nearest") for channel in values]
    return np.asarray(channels[0] if len(channels) == 1 else np.linalg.norm(channels, axis=0), dtype=np.float32)


def _bytes(values: NDArray[np.float32]) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """Return the field as bytes, and what turns them into numbers again."""
    limit = float(np.percentile(np.abs(values), PERCENTILE)) or 1.0
    is_signed = bool(values.min() < -LEAST[True] * limit)
    scale = LEAST[is_signed] * limit
    share = np.clip(np.arcsinh(values / scale) / np.arcsinh(limit / scale), -1.0 if is_signed else 0.0, 1.0)
    stored = np.round(128 + 127 * share if is_signed else 255 * share).astype(np.uint8)
    return stored, {"signed": is_signed, "scale": float(f"{scale:.5g}"), "limit": float(f"{limit:.5g}")}
