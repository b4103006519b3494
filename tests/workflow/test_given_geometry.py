"""An SDF brings geometries: stages 2 and 3 pass them on as they are."""

from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem import AllChem

from decar.record import read_record
from decar.units import BOHR_PER_ANGSTROM

from .conftest import STUDY, Workspace


def write_sdf(path: Path) -> dict[str, np.ndarray]:
    """Write four molecules in an orientation and with bond lengths that no optimisation would leave alone."""
    geometries = {}
    with Chem.SDWriter(str(path)) as writer:
        for number, smiles in enumerate(["O", "CO", "C=O", "N"]):
            molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
            AllChem.EmbedMolecule(molecule, randomSeed=number)
            places = molecule.GetConformer().GetPositions() * 1.02 + [1.0, -2.0, 0.5]
            molecule.GetConformer().SetPositions(places)
            molecule.SetProp("_Name", f"m{number}")
            molecule.SetProp("sweet", str(number % 2))
            writer.write(molecule)
            geometries[smiles] = np.round(places, 4)
    return geometries


def test_geometries_of_an_sdf_reach_the_wavefunction_untouched(fresh: Workspace) -> None:
    geometries = write_sdf(fresh.folder / "table.sdf")
    molecules = {"table": "table.sdf", "labels": {"sweet": {"column": "sweet"}}}
    fresh.write_study({**STUDY, "molecules": molecules, "figures": {**STUDY["figures"], "example": "m0"}})
    fresh.run("wavefunctions")
    found = [read_record(path) for path in (fresh.folder / "results/store/wavefunction").rglob("*.h5")]
    assert {record.metadata["smiles"] for record in found} == set(geometries)
    for record in found:
        expected = geometries[record.metadata["smiles"]] * BOHR_PER_ANGSTROM
        np.testing.assert_allclose(record.arrays["0/geometry_bohr"], expected, atol=1e-6)
