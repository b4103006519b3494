"""Files that Gaussian, ORCA, Q-Chem, Turbomole, Molpro and Psi4 wrote themselves: those that qc-iodata installs."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from decar.config import ContributionSettings, QuantumSettings
from decar.errors import DataFormatError
from decar.quantum.backend import get_backend
from decar.quantum.import_file import read_foreign
from decar.quantum.import_level import stated_levels
from decar.quantum.import_record import import_alone
from decar.quantum.level import Level
from decar.quantum.record_checks import compare
from decar.quantum.wavefunction import Wavefunction
from tests.quantum.systems import system

AMMONIA = ("N", {"method": "hf", "basis": "aug-cc-pvdz"})
# SMILES, and what the file itself does not say. Gaussian states method, basis and energy.
FILES = {
    "water_ccpvdz_pure_hf_g03.fchk": ("O", {}),  # Gaussian 03
    "ch3_hf_sto3g.fchk": ("[CH3]", {}),  # Gaussian, unrestricted
    "peroxide_opt.fchk": ("OO", {}),  # Gaussian 16, the last step of an optimisation
    "water_sto3g_hf.wfx": ("O", {"method": "hf", "basis": "sto-3g"}),
    "water_hf_sto3g_qchem5.2.fchk": ("O", {"method": "hf"}),
    "ethanol.mkl": ("CCO", {"method": "hf", "basis": "6-31g"}),  # ORCA
    "nh3_orca.molden": AMMONIA,
    "nh3_psi4.molden": AMMONIA,  # an early Psi4, with its errors of normalisation
    "nh3_turbomole.molden": AMMONIA,  # spherical functions, written as combinations of Cartesian ones
    "nh3_molpro2012.molden": AMMONIA,  # likewise
}
REFUSED = {
    "water_hf_sto3g_qchem5.2.fchk": ("O", {}, "does not say its method"),
    "ch3_rohf_sto3g_g03.fchk": ("[CH3]", {}, "not one closed-shell or unrestricted"),
    # CFOUR lists one spin of a closed shell, each orbital occupied once: nothing in the file says so.
    "h2o_ccpvdz_cfour.molden": ("O", {}, "not one closed-shell or unrestricted"),
    # Gaussian left a combination of these functions out as linearly dependent; in all of them it is no solution.
    "li2_g09_nbasis_indep.fchk": ("[Li][Li]", {}, "no solution at HF/6-31\\+G\\*\\*"),
    "2h-azirine-mp2.fchk": ("C1C=N1", {"method": "hf"}, "the energy at HF/6-31G is -131.7"),
}


@pytest.fixture
def examples() -> Path:
    found = find_spec("iodata.test")
    folder = Path(found.origin).parent / "data" if found and found.origin else None
    if folder is None or not folder.is_dir():
        pytest.skip("this qc-iodata came without its test data")
    return folder


def bring(path: Path, smiles: str, stated: dict[str, str]) -> Wavefunction:
    file = read_foreign(path)
    options = {"method": None, "basis": None, "fitting_basis": None, "cartesian": None, "solvent_dielectric": None}
    levels = stated_levels(file, path, quadrature_level=3, **{**options, **stated})
    record = import_alone(file, path, levels, smiles, 0, None, ContributionSettings())
    return Wavefunction.from_record(record.arrays, record.metadata["conformers"][0], "0/")


@pytest.mark.parametrize("name", FILES)
def test_another_programs_file_is_the_determinant_that_pyscf_finds(examples: Path, name: str) -> None:
    found = bring(examples / name, *FILES[name])
    where = system(found.atomic_numbers, found.geometry_bohr, 0, found.multiplicity)
    own = get_backend(QuantumSettings()).single_point(where, Level.from_metadata(found.level))
    difference = compare(own, found)
    assert difference.density_l1 < 1e-4
    assert difference.energy_hartree < 1e-6
    assert difference.dipole_e_bohr < 1e-3


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_determinant_is_refused(examples: Path, name: str) -> None:
    smiles, stated, message = REFUSED[name]
    with pytest.raises(DataFormatError, match=message):
        bring(examples / name, smiles, stated)
