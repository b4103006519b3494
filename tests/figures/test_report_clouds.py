"""Clouds of the report: values come back within a few per cent over four decades, at the right places, and fit."""

import base64
import json
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from decar.figures import report_clouds
from decar.figures.report_clouds import EDGES, clouds, encode
from decar.record import Record, read_record
from decar.units import ANGSTROM_PER_BOHR
from tests.figures.conftest import Drawn
from tests.figures.study_on_disk import key_of


def decoded(text: str) -> tuple[dict[str, Any], dict[str, NDArray[np.float64]]]:
    """Read a cloud as the page's script does."""
    content = zlib.decompress(base64.b64decode(text), -15)
    length = int.from_bytes(content[:4], "little")
    header = json.loads(content[4 : 4 + length])
    stored = np.frombuffer(content[4 + length :], dtype=np.uint8).reshape(-1, *header["shape"]).astype(float)
    fields = {}
    for entry, array in zip(header["fields"], stored):
        share = (array - 128) / 127 if entry["signed"] else array / 255
        fields[entry["name"]] = entry["scale"] * np.sinh(share * np.arcsinh(entry["limit"] / entry["scale"]))
    return header, fields


def records(drawn: Drawn) -> tuple[Record, Record, Record]:
    sources = drawn.sources
    places = (sources.example_geometry, sources.example_wavefunction, sources.example_fields)
    geometry, atoms, fields = (read_record(place) for place in places if place is not None)
    return geometry, atoms, fields


def test_every_molecule_in_the_store_has_its_cloud(drawn: Drawn) -> None:
    found = dict(clouds(drawn.study, drawn.sources))
    assert list(found) == [key_of("glucose")]
    assert f'id="cloud-{key_of("glucose")}"' in drawn.page.read_text(encoding="utf-8")


def test_a_linear_field_and_a_vector_come_back(drawn: Drawn) -> None:
    geometry, atoms, fields = records(drawn)
    grid = fields.metadata["conformers"][0]["grid"]
    axes = [grid["origin_bohr"][axis] + grid["spacing_bohr"] * np.arange(grid["shape"][axis]) for axis in range(3)]
    places = np.stack(np.meshgrid(*axes, indexing="ij")) * ANGSTROM_PER_BOHR
    arrays = {"0/electrostatic_potential": places[:1], "0/density_gradient": places}
    header, found = decoded(encode(geometry, atoms, replace(fields, arrays=arrays), 20))
    x, y, z = np.meshgrid(
        *(origin + header["spacing"] * np.arange(count) for origin, count in zip(header["origin"], header["shape"])),
        indexing="ij",
    )
    assert max(header["shape"]) == 20
    # The value of a voxel is that of its place: a byte is a step of 6 % at most (asinh(1e3) / 127).
    potential = header["fields"][1]
    assert potential["signed"]
    held = np.clip(x, -potential["limit"], potential["limit"])
    assert np.abs(found["electrostatic_potential"] - held).max() < 0.032 * potential["limit"]
    norm = np.minimum(np.sqrt(x**2 + y**2 + z**2), header["fields"][0]["limit"])
    far = norm > 1  # near zero a norm is no linear function
    assert np.abs(found["density_gradient"][far] / norm[far] - 1).max() < 0.03


def test_a_density_holds_over_four_decades(drawn: Drawn) -> None:
    geometry, atoms, fields = records(drawn)
    header, found = decoded(encode(geometry, atoms, fields, 32))
    density, limit = found["electron_density"], header["fields"][0]["limit"]
    assert header["spacing"] == pytest.approx(0.45, rel=1e-4)  # the stored spacing: it is never refined
    assert density.max() == pytest.approx(limit, rel=1e-4)
    assert len(header["elements"]) == 24
    assert len(header["positions"]) == 72
    assert len(header["bonds"]) == 48
    stored = fields.arrays["0/electron_density"][0]
    grid = fields.metadata["conformers"][0]["grid"]
    first = (np.array(header["origin"]) / ANGSTROM_PER_BOHR - grid["origin_bohr"]) / grid["spacing_bohr"]
    from scipy.ndimage import map_coordinates

    places = np.stack(np.meshgrid(*(start + np.arange(count) for start, count in zip(first, header["shape"])),
                                  indexing="ij"))  # fmt: skip
    exact = np.minimum(map_coordinates(stored, places, order=1), limit)
    known = exact > 1e-3 * limit
    assert known.mean() > 0.2
    assert np.abs(density[known] / exact[known] - 1).max() < 0.03


def test_clouds_are_coarser_where_they_are_many(drawn: Drawn, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {edge: len(encode(*records(drawn), edge)) for edge in EDGES}
    for edge in EDGES:
        monkeypatch.setattr(report_clouds, "BUDGET", sizes[edge])
        (_, text), *_ = clouds(drawn.study, drawn.sources)
        assert len(text) <= sizes[edge]
        assert max(decoded(text)[0]["shape"]) <= edge
