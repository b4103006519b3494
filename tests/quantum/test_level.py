import pytest

from decar.config import QuantumSettings
from decar.errors import ConfigError
from decar.quantum.level import FUNCTIONALS, Level
from decar.record import canonical_json


def test_default_level_says_everything():
    level = Level.from_settings(QuantumSettings())
    assert level.label == "B3LYP/6-31G*"
    assert level.to_metadata() == {
        "label": "B3LYP/6-31G*", "method": "b3lyp", "functional": "hyb_gga_xc_b3lyp", "basis": "6-31g*",
        "fitting_basis": "def2-universal-jkfit", "is_cartesian": True, "quadrature_level": 2,
        "convergence_hartree": 1e-6, "solvent": None,
    }  # fmt: skip
    canonical_json(level.to_metadata())


@pytest.mark.parametrize(
    ("basis", "label"),
    [("6-31G*", "HF/6-31G*"), ("def2-SVP", "HF/def2-SVP"), ("aug-cc-pVTZ", "HF/aug-cc-pVTZ"), ("sto-3g", "HF/STO-3G")],
)
def test_labels_are_spelt_as_chemists_do(basis, label):
    assert Level.from_settings(QuantumSettings(method="HF", basis=basis)).label == label


def test_libxc_names_stand_for_themselves_and_others_are_refused():
    assert Level.from_settings(QuantumSettings(method="gga_x_pbe,gga_c_lyp")).functional == "gga_x_pbe,gga_c_lyp"
    with pytest.raises(ConfigError, match="did you mean b3lyp"):
        Level.from_settings(QuantumSettings(method="b3lip"))


def test_solvent_is_part_of_the_level():
    solvent = Level.from_settings(QuantumSettings(solvent_dielectric=78.4)).to_metadata()["solvent"]
    assert solvent == {"model": "C-PCM", "dielectric": 78.4}


def test_functionals_are_those_that_their_names_promise():
    from pyscf.dft import libxc

    # PySCF's own aliases, an independent table; b3lyp5 is spelt out there, so the mixing is compared.
    aliases = {"m06-2x": "m062x", "cam-b3lyp": "camb3lyp"}
    for method, functional in FUNCTIONALS.items():
        if functional is None:
            continue
        alias = aliases.get(method, method)
        assert libxc.hybrid_coeff(functional) == pytest.approx(libxc.hybrid_coeff(alias)), method
        if method != "b3lyp5":
            assert libxc.parse_xc(functional) == libxc.parse_xc(alias), method
