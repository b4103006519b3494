import numpy as np
import pandas as pd
import pytest

from decar.fields.grid import VoxelGrid
from decar.interpret.agreement import agreement
from decar.interpret.cells import atom_cells, sum_over_cells
from decar.interpret.groups import SMARTS, group_of_atoms, heavy_atom_of
from decar.units import BOHR_PER_ANGSTROM


def test_cells_divide_space_in_the_ratio_of_the_radii():
    # C and H, radii 0.76 and 0.31 angstrom: the face cuts the line between them at 0.76 / 1.07 of the way.
    grid = VoxelGrid((-6.0, -1.0, -1.0), 0.05, (240, 40, 40))
    cells = atom_cells(np.array([6, 1]), np.array([[0.0, 0, 0], [2.0, 0, 0]]), grid)
    line = cells[:, 20, 20]
    face = grid.axes()[0][np.flatnonzero((line[:-1] == 0) & (line[1:] == 1))[0]]
    assert face == pytest.approx(2.0 * 0.76 / 1.07, abs=0.1)
    # 3 angstrom from the nearest nucleus a voxel belongs to none.
    x = grid.axes()[0]
    outside = x[line == 2]
    assert (outside < -3.0 * BOHR_PER_ANGSTROM).all()
    assert x[line != 2].min() == pytest.approx(-3.0 * BOHR_PER_ANGSTROM, abs=0.06)


def test_sums_over_cells_are_the_sum_over_the_box():
    generator = np.random.default_rng(0)
    values, cells = generator.normal(size=(4, 5, 6)), generator.integers(0, 4, (4, 5, 6))
    sums = sum_over_cells(values, cells, 5)
    assert sums.shape == (6,)
    assert sums.sum() == pytest.approx(values.sum())
    assert sums[2] == pytest.approx(values[cells == 2].sum())


@pytest.mark.parametrize(
    ("smiles", "counts"),
    [
        ("O=C1NS(=O)(=O)c2ccccc12", {"sulfonyl imide, sulfonamide": 4, "amide, urea, imide": 2, "aromatic carbon": 6}),
        ("OC[C@H]1O[C@@H](O)[C@H](O)[C@@H](O)[C@@H]1O",
         {"hydroxyl": 5, "ether, acetal": 1, "saturated ring carbon": 5, "aliphatic chain": 1}),
        ("NCC(=O)O", {"carboxylic acid, carboxylate": 3, "amine, ammonium": 1, "aliphatic chain": 1}),
        ("COc1cc(C=O)ccc1O", {"aldehyde, ketone": 2, "phenol": 1, "ether, acetal": 1, "aromatic carbon": 6,
                              "aliphatic chain": 1}),
        ("ClC(Cl)Cl", {"halogen": 3, "aliphatic chain": 1}),
        ("[Na+].[Cl-]", {"halogen": 1, "other heteroatom": 1}),
    ],
)  # fmt: skip
def test_every_atom_is_in_one_group(smiles, counts):
    groups, heavy = group_of_atoms(smiles), heavy_atom_of(smiles)
    assert len(groups) == len(heavy)
    of_heavy = [group for atom, group in enumerate(groups) if heavy[atom] == atom]
    assert pd.Series(of_heavy).value_counts().to_dict() == counts
    assert set(groups) <= set(SMARTS)
    assert all(groups[atom] == groups[bearer] for atom, bearer in enumerate(heavy))


def table(noise):
    generator = np.random.default_rng(1)
    rows = []
    for key, size in (("a", 9), ("b", 7), ("small", 3)):
        truth = generator.normal(size=size)
        members = [
            ("fold 0", 0, 0.0),
            ("fold 0", 1, 0.0),
            ("fold 1", 0, noise),
            ("seed 1", 0, noise),
            ("untrained", 0, 100.0),
        ]
        for network, rotation, level in members:
            for method in ("integrated_gradients", "occlusion"):
                for atom in range(size):
                    value = truth[atom] + level * generator.normal()
                    head = {"key": key, "network": network, "rotation": rotation, "method": method}
                    # A hydrogen takes from its heavy atom what it gives.
                    rows += [{**head, "atom": atom, "heavy_atom": atom, "attribution": value - 5.0},
                             {**head, "atom": size + atom, "heavy_atom": atom, "attribution": 5.0}]  # fmt: skip
                rows.append({**head, "atom": -1, "heavy_atom": -1, "attribution": 1e3})
    return pd.DataFrame(rows)


def test_agreement_is_the_rank_correlation_over_heavy_atoms():
    found = agreement(table(0.01))
    assert set(found["key"]) == {"a", "b"}  # three atoms say nothing
    mean = found.groupby("kind")["spearman"].mean()
    assert mean["rotations"] == pytest.approx(1.0)
    assert mean["methods"] == pytest.approx(1.0)
    assert mean["folds"] > 0.9
    assert mean["seeds"] > 0.9
    assert set(found.loc[found["kind"] == "seeds", "other"]) == {"seed 1"}
    assert abs(mean["untrained"]) < 0.6
    assert found.groupby("key")["num_atoms"].first().to_dict() == {"a": 9, "b": 7}


def test_constant_attributions_have_no_rank():
    constant = table(0.0).assign(attribution=0.0)
    assert agreement(constant)["spearman"].isna().all()
