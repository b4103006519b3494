"""Kernel correlation at the paper's box: seconds a molecule, part by part, and the explicit version beside it.

    python benchmarks/interpret.py benchmarks/interpret.json

Promolecular density of caffeine in a fixed box (24 rotations, the default network, random weights: the cost is that of
trained ones), one thread. The explicit version forms every patch of the turned molecule's activations in the whole box
(the oracle of the tests); of its 24 rotations one is run, and the difference is that of this rotation.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import AllChem

from decar.atomic import write_text
from decar.config import FieldsSettings, ModelSettings
from decar.dataset.normalise import compress
from decar.dataset.rotations import ALL
from decar.fields.grid import molecule_grid
from decar.fields.promolecular import promolecular_density
from decar.interpret.correlation import best_match
from decar.interpret.receptive import field_match, linear_stack
from decar.interpret.run import activation_match
from decar.interpret.turned import folded_for, turned_activations
from decar.models.published import PublishedNetwork
from decar.provenance import provenance
from decar.units import BOHR_PER_ANGSTROM

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.interpret.explicit_correlation import explicit_match

SMILES = "Cn1cnc2c1c(=O)n(C)c(=O)n2C"
SHARE = 0.1


def field(edge: int, spacing_angstrom: float) -> Any:
    molecule = Chem.AddHs(Chem.MolFromSmiles(SMILES))
    AllChem.EmbedMolecule(molecule, randomSeed=1)
    numbers = np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()], dtype=np.int32)
    positions = molecule.GetConformer().GetPositions() * BOHR_PER_ANGSTROM
    settings = FieldsSettings(spacing_angstrom=spacing_angstrom, box=(edge, edge, edge), padding_angstrom=0.0)
    density = promolecular_density(numbers, positions, molecule_grid(positions, settings))
    return compress(density, 1e-3).numpy()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure(edge: int, spacing_angstrom: float, with_explicit: bool) -> dict[str, Any]:
    voxels = field(edge, spacing_angstrom)
    network = PublishedNetwork(ModelSettings(), spacing_angstrom * BOHR_PER_ANGSTROM).eval()
    network.initialise(1)
    layer, kernels = network.num_layers, network.kernels(network.num_layers).detach().numpy()
    stack = linear_stack(network, layer)
    row: dict[str, Any] = {"edge": edge, "spacing_angstrom": spacing_angstrom, "rotations": len(ALL)}
    timed(lambda: turned_activations(network, folded_for(network, voxels[:, :48, :48, :48], layer), layer, ALL[0]))
    row["fold_seconds"], folded = timed(lambda: folded_for(network, voxels, layer))
    row["folded_share_of_voxels"] = folded.voxels.size / voxels.size
    row["one_pass_seconds"], activation = timed(lambda: turned_activations(network, folded, layer, ALL[7]))
    inside = np.ones(activation.shape[1:])
    row["one_match_seconds"], own = timed(lambda: best_match(activation, inside, kernels, (ALL[7],), SHARE))
    row["activation_seconds"], _ = timed(lambda: activation_match(network, voxels, ALL, "molecule", SHARE))
    row["kernel_only_seconds"], _ = timed(lambda: activation_match(network, voxels, ALL, "kernel", SHARE))
    row["input_sums_seconds"], (x, patches) = timed(lambda: stack.patches(voxels, SHARE))
    row["input_seconds"], _ = timed(lambda: field_match(stack, x, patches, ALL))
    row["seconds_a_network"] = row["activation_seconds"] + row["input_seconds"]
    if with_explicit:
        row["explicit_one_rotation_seconds"], explicit = timed(lambda: explicit_rotation(network, voxels, kernels))
        row["explicit_seconds"] = len(ALL) * row["explicit_one_rotation_seconds"]
        row["faster"] = row["explicit_seconds"] / row["activation_seconds"]
        row["largest_difference"] = float(np.abs(explicit - own.correlation).max())
    return row


def explicit_rotation(network: PublishedNetwork, voxels: Any, kernels: Any) -> Any:
    x = torch.from_numpy(voxels)[None]
    inverse = [rotation for rotation in ALL if (rotation.matrix @ ALL[7].matrix == np.eye(3)).all()]
    turned = torch.from_numpy(inverse[0].apply(voxels))[None]
    with torch.inference_mode():
        activation = network.activations(turned, torch.ones_like(x), network.num_layers)[0].numpy()
    return explicit_match(activation, np.ones(activation.shape[1:]), kernels, (ALL[0],), SHARE).correlation


def main(output: Path) -> None:
    torch.set_num_threads(1)
    rows = [measure(64, 0.35, True), measure(128, 0.2, True), measure(200, 0.2, True), measure(200, 0.1, False)]
    for row in rows:
        print({name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()})
    found = {"molecule": SMILES, "rows": rows, "provenance": provenance("numpy", "torch")}
    write_text(output, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
