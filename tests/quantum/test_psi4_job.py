"""Levels and bases in Psi4's terms, and Psi4's functions in ours; needs no Psi4."""

import numpy as np
import pytest
from pyscf import gto
from pyscf.gto.basis import parse_gaussian

from decar.errors import DataFormatError
from decar.quantum.level import FUNCTIONALS
from decar.quantum.psi4_convention import Translation
from decar.quantum.psi4_job import basis_text, functional_of, make_job, quadrature
from decar.quantum.pyscf_mole import build_mole
from tests.quantum.systems import HYDROGEN_SULFIDE, WATER, level, system

IODIDE = system([53, 1], [[0, 0, 0], [0, 0, 3.04]])


def test_every_named_functional_has_a_translation():
    for method, functional in FUNCTIONALS.items():
        found = functional_of(functional)
        if method == "hf":
            assert found is None
            continue
        names = {name.lower() for group in found.values() if isinstance(group, dict) for name in group}
        assert names == set(functional.split(","))
    assert functional_of("lda_x,lda_c_vwn")["c_functionals"] == {"LDA_C_VWN": {}}
    hybrid = functional_of("hyb_mgga_x_m06_2x,mgga_c_m06_2x")
    assert hybrid["x_functionals"]["HYB_MGGA_X_M06_2X"] == {"use_libxc": True}  # its exact exchange
    assert functional_of("gga_x_pbe")["c_functionals"] == {}


def test_quadrature_is_pyscfs_or_finer():
    assert quadrature(WATER, 2) == (302, 60)
    light, heavy = system([17, 1], [[0, 0, 0], [0, 0, 2.4]]), system([35, 1], [[0, 0, 0], [0, 0, 2.7]])
    assert all(more > less for more, less in zip(quadrature(heavy, 2), quadrature(light, 2)))
    assert quadrature(heavy, 9) == quadrature(system([35, 1], [[0, 0, 0], [0, 0, 3.0]]), 9)


@pytest.mark.parametrize("basis", ["6-31g*", "def2-tzvp", "cc-pvdz"])  # the last one has general contractions
def test_basis_text_holds_the_same_functions(basis):
    """The oracle is PySCF's reader of Gaussian's format."""
    mole = build_mole(HYDROGEN_SULFIDE, level(basis=basis, cartesian=False, fitting_basis=None), 500)
    blocks = basis_text(mole).split("****")[1:]
    again = gto.M(
        atom=mole._atom, unit="Bohr", verbose=0,
        basis={symbol: parse_gaussian.parse(block) for symbol, block in zip(("S", "H"), blocks)},
    )  # fmt: skip
    assert again.nao == mole.nao
    # The order of shells may differ: the overlap's eigenvalues do not.
    np.testing.assert_allclose(
        np.linalg.eigvalsh(again.intor("int1e_ovlp")), np.linalg.eigvalsh(mole.intor("int1e_ovlp")), atol=1e-12
    )


def test_core_potential_text_lists_the_local_part_first():
    text = basis_text(build_mole(IODIDE, level(basis="def2-svp", cartesian=False, fitting_basis=None), 500))
    lines = text[text.index("I-ECP") :].splitlines()
    assert lines[0] == "I-ECP 3 28"  # def2 (doi 10.1039/b508541a): 28 electrons in the core, f is local
    assert lines[1] == "f potential"
    assert [line[0] for line in lines if "potential" in line] == ["f", "s", "p", "d"]
    # Pseudopotentials of def2 have Gaussians of one power, r^0: 2 in this format.
    terms = [line.split() for line in lines[2:] if len(line.split()) == 3]
    assert {power for power, _, _ in terms} == {"2"}
    assert len(terms) == sum(int(line) for line in lines if line.isdigit())


def answer_of(mole):
    """What a Psi4 with the documented convention would answer: p as z, x, y and d as 0, +1, -1, +2, -2."""
    order, first, momenta, start = [], [], [], 0
    for shell in range(mole.nbas):
        momentum = int(mole.bas_angular(shell))
        place = {0: [0], 1: [2, 0, 1], 2: [2, 3, 1, 4, 0]}[momentum]
        order += [start + one for one in place]
        first.append(start)
        momenta.append(momentum)
        start += 2 * momentum + 1
    with mole.with_common_origin((0, 0, 0)):
        position = mole.intor("int1e_r")
    pick = np.ix_(order, order)
    return {
        "shell_atom": np.array([mole.bas_atom(shell) for shell in range(mole.nbas)]),
        "shell_momentum": np.array(momenta),
        "shell_length": np.array([mole.bas_nprim(shell) for shell in range(mole.nbas)]),
        "shell_first": np.array(first),
        "exponents": np.concatenate([mole.bas_exp(shell) for shell in range(mole.nbas)]),
        "overlap": mole.intor("int1e_ovlp")[pick],
        "dipole_integrals": np.array([-component[pick] for component in position]),
    }


def test_orbitals_go_there_and_back():
    _, mole = make_job(WATER, level(basis="6-31g*", cartesian=False), 1, 500, False)
    translation = Translation(mole, answer_of(mole), False)
    orbitals = np.random.default_rng(3).normal(size=(mole.nao, 4))
    assert np.array_equal(translation.to_psi4(translation.from_psi4(orbitals)), orbitals)


def test_a_psi4_with_another_convention_is_noticed():
    _, mole = make_job(WATER, level(basis="6-31g*", cartesian=False), 1, 500, False)
    sound = answer_of(mole)
    turned = {**sound, "overlap": mole.intor("int1e_ovlp")}
    flipped = sound["dipole_integrals"].copy()
    flipped[:, 2] *= -1  # the sign of one function: the norm does not tell
    flipped[:, :, 2] *= -1
    other = {**sound, "exponents": sound["exponents"] * (1 + 1e-9)}
    for wrong, what in [
        (turned, "overlap integrals"),
        ({**sound, "dipole_integrals": flipped}, "dipole integrals"),
        (other, "shells"),
    ]:
        with pytest.raises(DataFormatError, match=what):
            Translation(mole, wrong, False)
    with pytest.raises(DataFormatError, match="kind of d functions"):
        Translation(mole, sound, True)
