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
from torch.nn import functional
from torch.nn.functional import binary_cross_entropy_with_logits

from decar.config import ModelSettings
from decar.dataset.normalise import compress
from decar.errors import ConfigError
from decar.fields.batch_rendering import centred_grid
from decar.fields.promolecular import promolecular_density
from decar.models.build import build_network
from decar.models.network import Network
from decar.models.steerable import Form, kernel_basis
from decar.threads import limit_threads
from decar.units import ANGSTROM_PER_BOHR

SPACING = 0.4 / ANGSTROM_PER_BOHR
L_ALANINE, D_ALANINE = "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"
# Of three layers: 15 voxels of 0.4 angstrom in the first one, 7.5 of its own in the others.
DIAMETERS = (6.0, 7.5, 15.0)
OTHERS = ("NCC(=O)O", "OCC(O)CO", "c1ccccc1O", "CCOC(C)=O", "CC(=O)N", "C1CCOC1", "CCS")


def network(architecture: str = "steerable", spacing: float = SPACING, **settings: object) -> Network:
    chosen = {"architecture": architecture, "channels": [4, 8, 8], "kernel_size": 7, "hidden": 16, **settings}
    made = build_network(ModelSettings.model_validate(chosen), spacing, 1, 8)
    made.initialise(1)
    return made


@cache
def atoms(smiles: str) -> tuple[np.ndarray, np.ndarray]:
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    return numbers, molecule.GetConformer().GetPositions() / ANGSTROM_PER_BOHR


def cloud(
    smiles: str, rotation: Rotation | None = None, mirrored: bool = False, box: int = 40, spacing: float = SPACING
) -> torch.Tensor:
    """Return the normalised field of the turned molecule, [1, 1, x, y, z]."""
    numbers, places = atoms(smiles)
    places = places * np.array([-1, 1, 1]) if mirrored else places
    places = places if rotation is None else rotation.apply(places)
    density = promolecular_density(numbers, places, centred_grid(places, (box, box, box), spacing))
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


@pytest.mark.parametrize(
    ("chiral", "readout", "diameters"),
    [(False, "last", None), (False, "all", None), (True, "last", None), (True, "all", None),
     (True, "all", (3.2, 4.0, 8.0))],
)  # fmt: skip
def test_lattice_rotations_and_mirror_images(chiral: bool, readout: str, diameters: tuple[float, ...] | None) -> None:
    net = network(chiral=chiral, readout=readout, kernel_diameters_angstrom=diameters).double()
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
    for name in ("steerable", "steerable all", "steerable all diameters", "published"):
        settings: dict[str, object] = dict(zip(("architecture", "readout"), name.split()))
        net = network(**settings, kernel_diameters_angstrom=DIAMETERS if "diameters" in name else None)
        molecules = [predict(net, cloud(smiles)) for smiles in (L_ALANINE, *OTHERS)]
        found[name] = spread([predict(net, cloud(L_ALANINE, turn)) for turn in turns]) / spread(molecules)
    print(found)
    assert found["steerable"] < 0.03
    assert found["steerable all"] < 0.03
    assert found["steerable all diameters"] < 0.03
    assert found["published"] > 10 * found["steerable"]


def test_kernels_of_given_diameters_are_the_same_function_at_another_spacing() -> None:
    """With the same weights what the head reads of a molecule stays, to a twentieth of how molecules differ."""
    finer, coarser = SPACING, 1.25 * SPACING
    found = {}
    for diameters in (DIAMETERS, None):
        read = []
        for spacing, box in ((finer, 40), (coarser, 32)):
            net = network(readout="all", kernel_diameters_angstrom=diameters, spacing=spacing)
            fields = torch.cat([cloud(smiles, box=box, spacing=spacing) for smiles in (L_ALANINE, *OTHERS)])
            with torch.no_grad():
                read.append(net.readout(fields, torch.ones_like(fields[:, :1])).double())
        found[diameters] = float((read[0] - read[1]).square().mean().sqrt()) / spread(list(read[0]))
    print(found)
    assert found[DIAMETERS] < 0.05
    assert found[None] > 1


def test_kernels_of_given_diameters_are_normalised_over_space() -> None:
    """On voxels half as large each tap has an eighth of its value, exactly: nothing else depends on the voxel."""
    for path in ((0, 0, 0), (0, 2, 2), (1, 1, 2), (2, 1, 1)):
        coarse = kernel_basis(*path, Form(5, 0.8, 2.5, over_space=True))
        fine = kernel_basis(*path, Form(9, 1.6, 5.0, over_space=True))
        torch.testing.assert_close(coarse / 8, fine[..., ::2, ::2, ::2])


def test_kernels_of_given_diameters_are_those_of_as_many_voxels() -> None:
    """8, 10 and 20 voxels are kernel_size 5, but for a factor of each kernel: the norm."""
    spacing = SPACING * ANGSTROM_PER_BOHR
    by_size = network(kernel_size=5)
    by_diameter = network(kernel_diameters_angstrom=(8 * spacing, 10 * spacing, 20 * spacing))
    edges = [[row["kernel_edge_bohr"] for row in net.describe()[:3]] for net in (by_size, by_diameter)]
    assert edges[1] == pytest.approx(edges[0])
    others = dict(by_diameter.named_buffers())
    for name, basis in by_size.named_buffers():
        if "basis" in name:
            alike = functional.cosine_similarity(basis.flatten(1), others[name].flatten(1))
            torch.testing.assert_close(alike, torch.ones_like(alike))


def test_a_kernel_too_small_for_the_spacing_is_refused() -> None:
    """The second layer's voxels are of 0.8 angstrom: 3.2 are four of them, and its outermost taps were all zero."""
    with pytest.raises(ConfigError, match=r"layer 2 .* 3 taps[\s\S]*3\.2 angstrom at .*: 0\.4,[\s\S]*finer spacing"):
        network(kernel_diameters_angstrom=(3.2, 3.2, 8.0))


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


def learn(net: Network, left: torch.Tensor, right: torch.Tensor) -> None:
    """Train a network to tell boxes of the left hand (1) from those of the right (0) by its first output."""
    optimiser, random = torch.optim.AdamW(net.parameters(), lr=0.01), np.random.default_rng(0)
    for _ in range(50):
        pair = torch.stack([one[random.integers(len(one))] for one in (left, right)])
        logits = net(pair, torch.ones_like(pair))[:, 0]
        optimiser.zero_grad()
        binary_cross_entropy_with_logits(logits, torch.tensor([1.0, 0.0])).backward()
        optimiser.step()


def test_enantiomers_are_learned_where_asked_to() -> None:
    """Trained on twelve poses of each; what is told are twelve others.

    D-alanine is the mirror image of L-alanine, so that nothing but handedness tells them apart.
    """
    assert mirror_image(L_ALANINE) == Chem.CanonSmiles(D_ALANINE)
    turns, found = list(Rotation.random(24, random_state=5)), {}
    with limit_threads(1):  # two threads take longer for boxes as small as these
        left, right = (torch.cat([cloud(L_ALANINE, turn, hand, box=24) for turn in turns]) for hand in (False, True))
        for chiral in (True, False):
            net = network(chiral=chiral)
            learn(net, left[:12], right[:12])
            told = [torch.stack([predict(net, x[None])[0] for x in one[12:]]).sigmoid() for one in (left, right)]
            found[chiral] = told
            if not chiral:
                assert torch.allclose(predict(net, left[:1]), predict(net, left[:1].flip(2)), atol=1e-4)
    print(found)
    assert found[True][0].min() > 0.9
    assert found[True][1].max() < 0.1
    assert all((one - 0.5).abs().max() < 0.05 for one in found[False])


def mirror_image(smiles: str) -> str:
    """Return the SMILES of the mirrored places of the atoms."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    places = atoms(smiles)[1] * ANGSTROM_PER_BOHR * np.array([-1, 1, 1])
    for number, place in enumerate(places.tolist()):
        molecule.GetConformer().SetAtomPosition(number, place)
    Chem.AssignStereochemistryFrom3D(molecule)
    return str(Chem.MolToSmiles(Chem.RemoveHs(molecule)))


@pytest.mark.parametrize(
    "settings", [{"channels": [8, 16]}, {"channels": [8, 8, 8], "max_degree": 0}], ids=["two layers", "scalars alone"]
)
def test_a_network_that_could_not_tell_mirror_images_apart_is_not_called_chiral(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="would not tell mirror images apart"):
        network(chiral=True, **settings)


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
