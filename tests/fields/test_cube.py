import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decar.errors import DataFormatError
from decar.fields.cube import Cube, read_cube, write_cube
from decar.fields.grid import VoxelGrid

NUMBERS = np.array([8, 1], dtype=np.int32)
PLACES = np.array([[0.1, -0.2, 0.3], [1.5, 0.25, -0.75]])


def cube(shape=(2, 3, 8), channels=1, orbitals=(), seed=0) -> Cube:
    random = np.random.default_rng(seed)
    values = random.normal(size=(channels, *shape)) * 10.0 ** random.integers(-12, 3, (channels, *shape))
    grid = VoxelGrid((-1.5, 0.25, 3.125), 0.3, shape)
    return Cube(grid, NUMBERS, np.array([6.0, 1.0]), PLACES, values, ("electron_density [e/bohr^3]", "test"), orbitals)


@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(1, 3), st.booleans(), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_round_trip(tmp_path_factory, shape, channels, with_orbitals, seed):
    path = tmp_path_factory.mktemp("cube") / "field.cube"
    written = cube(shape, channels, tuple(range(5, 5 + channels)) if with_orbitals else (), seed)
    write_cube(path, written)
    found = read_cube(path)
    assert found.grid == written.grid
    assert np.array_equal(found.atomic_numbers, NUMBERS)
    assert np.array_equal(found.nuclear_charges, [6.0, 1.0])
    assert np.allclose(found.geometry_bohr, PLACES, atol=1e-6)
    assert found.comments == written.comments
    assert found.orbitals == written.orbitals
    assert np.allclose(found.values, written.values, rtol=6e-6, atol=0)


def test_layout_is_gaussians(tmp_path):
    path = tmp_path / "field.cube"
    write_cube(path, cube())
    lines = path.read_text().splitlines()
    assert lines[2].split() == ["2", "-1.500000", "0.250000", "3.125000", "1"]
    assert lines[3].split() == ["2", "0.300000", "0.000000", "0.000000"]
    assert lines[6].split() == ["8", "6.000000", "0.100000", "-0.200000", "0.300000"]
    # Each row along z begins a line: 8 values are 6 and 2.
    assert [len(line.split()) for line in lines[8:]] == [6, 2] * 6
    assert all(len(line) == 13 * len(line.split()) for line in lines[8:])


def test_empty_comments_are_filled(tmp_path):
    path = tmp_path / "field.cube"
    write_cube(path, Cube(**{**cube().__dict__, "comments": ("", "two\nlines")}))
    assert path.read_text().splitlines()[:2] == ["-", "two lines"]


def test_angstrom_headers_are_converted(tmp_path):
    path = tmp_path / "field.cube"
    values = "\n".join("1.0 2.0" for _ in range(4))
    path.write_text(f"a\nb\n1 0 0 0\n-2 0.5 0 0\n-2 0 0.5 0\n-2 0 0 0.5\n1 1 1 0 0\n{values}\n")
    found = read_cube(path)
    assert found.grid.spacing_bohr == pytest.approx(0.5 / 0.529177210903)
    assert found.geometry_bohr[0, 0] == pytest.approx(1 / 0.529177210903)
    assert found.values.shape == (1, 2, 2, 2)


def test_reads_what_pyscf_writes(tmp_path):
    from pyscf import gto, scf
    from pyscf.tools import cubegen

    mole = gto.M(atom="He 0 0 0", basis="sto-3g", verbose=0)
    path = tmp_path / "he.cube"
    solver = scf.RHF(mole).run()
    expected = cubegen.density(mole, str(path), solver.make_rdm1(), nx=9, ny=9, nz=9)
    assert np.allclose(read_cube(path).values[0], expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(
    ("damage", "line", "what"),
    [
        (lambda lines: lines[:-1], "line 19", "truncated"),
        (lambda lines: [*lines, " 1.0"], "line 21", "too many"),
        (lambda lines: [*lines[:10], "oops", *lines[11:]], "line 11", "not a number"),
        (lambda lines: lines[:5], "line 6", "ends in its header"),
        (lambda lines: [*lines[:3], "2 0.3 0.1 0", *lines[4:]], "line 4", "axes"),
        (lambda lines: [*lines[:6], "8 six 0 0 0", *lines[7:]], "line 7", "damaged"),
    ],
)
def test_damage_is_named_with_its_line(tmp_path, damage, line, what):
    path = tmp_path / "field.cube"
    write_cube(path, cube())
    path.write_text("\n".join(damage(path.read_text().splitlines())) + "\n")
    with pytest.raises(DataFormatError, match=what) as caught:
        read_cube(path)
    assert line in str(caught.value)
