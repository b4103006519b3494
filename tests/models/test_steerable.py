"""The steerable network: molecules turned by the lattice's rotations and by any other, mirror images, size of the box.

The field is the promolecular density, which is rendered at any pose in milliseconds.
"""

from functools import cache
from itertools import permutations, product

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem
from scipy.spatial.transform import Rotation

from decar.config import ModelSettings
from decar.dataset.normalise import compress
from decar.errors import ConfigError
from decar.fields.batch_rendering import centred_grid
from decar.fields.promolecular import promolecular_density
from decar.models.build import build_network
from decar.models.network import Network
from decar.units import ANGSTROM_PER_BOHR

SPACING = 0.4 / ANGSTROM_PER_BOHR
L_ALANINE, D_ALANINE = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"
OTHERS = ("NCC(=O)O", "OCC(O)CO", "c1ccccc1O", "CCOC(C)=O", "CC(=O)N", "C1CCOC1", "CCS")


def network(architecture: str = "steerable", **settings: object) -> Network:
    chosen = {"architecture": architecture, "channels": [4, 8, 8], "kernel_size": 7, "hidden": 16, **settings}
    made = build_network(ModelSettings.model_validate(chosen), SPACING, 1, 8)
    made.initialise(1)
    return made


@cache
def atoms(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    return numbers, molecule.GetConformer().GetPositions() / ANGSTROM_PER_BOHR


def cloud(smiles: str, rotation: Rotation | None = None, mirrored: bool = False, box: int = 40) -> torch.Tensor:
    """Return the normalised field of the turned molecule, [1, 1, x, y, z]."""
    numbers, places = atoms(smiles)
    places = places * np.array([-1, 1, 1]) if mirrored else places
    places = places if rotation is None else rotation.apply(places)
    density = promolecular_density(numbers, places, centred_grid(places, (box, box, box), SPACING))
    return compress(density[None], 1e-3)


def predict(net: Network, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(x, torch.ones_like(x[:, :1]))[0].double()


def lattice_operations() -> list[tuple[tuple[int, ...], list[int], int]]:
    """Return order of the axes, axes that are reversed, and determinant, of the 48 operations of the cube."""
    found = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        determinant = round(np.linalg.det(np.eye(3)[list(order)])) * int(np.prod(signs))
        found.append((order, [axis + 2 for axis in range(3) if signs[axis] < 0], determinant))
    return found


@pytest.mark.parametrize("readout", ["last", "all"])
@pytest.mark.parametrize("chiral", [False, True])
def test_lattice_rotations_and_mirror_images(chiral: bool, readout: str) -> None:
    net = network(chiral=chiral, readout=readout).double()
    x = cloud(L_ALANINE, Rotation.random(random_state=2)).double()[..., 10:30, 12:28, 12:28]
    logits = predict(net, x)
    proper = mirrored = 0.0
    for order, reversed_axes, determinant in lattice_operations():
        turned = x.permute(0, 1, *(axis + 2 for axis in order)).flip(reversed_axes)
        change = float((predict(net, turned) - logits).abs().max() / logits.abs().max())
        proper, mirrored = (max(proper, change), mirrored) if determinant > 0 else (proper, max(mirrored, change))
    assert proper < 1e-6  # tables of kernels are rounded to float32
    assert mirrored > 1e-3 if chiral else mirrored < 1e-6


def spread(logits: list[torch.Tensor]) -> float:
    """Return the standard deviation of each output, root mean square over outputs."""
    return float(torch.stack(logits).std(dim=0).square().mean().sqrt())


def test_any_rotation_changes_less_than_molecules_differ() -> None:
    turns = list(Rotation.random(6, random_state=0))
    found = {}
    for name in ("steerable", "steerable all", "published"):
        net = network(**dict(zip(("architecture", "readout"), name.split())))
        molecules = [predict(net, cloud(smiles)) for smiles in (L_ALANINE, *OTHERS)]
        found[name] = spread([predict(net, cloud(L_ALANINE, turn)) for turn in turns]) / spread(molecules)
    print(found)
    assert found["steerable"] < 0.03
    assert found["steerable all"] < 0.03
    assert found["published"] > 10 * found["steerable"]


def test_enantiomers_are_told_apart_where_asked_to() -> None:
    turns = list(Rotation.random(4, random_state=3))
    found = {}
    for chiral in (False, True):
        net = network(chiral=chiral)
        left = [predict(net, cloud(L_ALANINE, turn)) for turn in turns]
        right = [predict(net, cloud(L_ALANINE, turn, mirrored=True)) for turn in turns]
        apart = torch.stack(left).mean(dim=0) - torch.stack(right).mean(dim=0)
        found[chiral] = float(apart.square().mean().sqrt()) / spread(left)
    print(found)
    assert found[True] > 4
    assert found[False] < 2


@pytest.mark.parametrize("readout", ["last", "all"])
def test_a_larger_box_of_vacuum_changes_nothing(readout: str) -> None:
    net = network(readout=readout)
    near, far = (predict(net, cloud(L_ALANINE, box=box)) for box in (40, 48))
    assert float((near - far).abs().max() / near.abs().max()) < 1e-3


def test_a_vector_field_is_refused() -> None:
    """Its components would be taken for scalars, and the prediction would change with every rotation."""
    settings = ModelSettings(architecture="steerable", fields=("electric_field",))
    with pytest.raises(ConfigError, match="fields of one channel"):
        build_network(settings, SPACING, 3)
