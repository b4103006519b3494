"""Systems and records as PySCF molecules, and the basis of a PySCF molecule as a record holds it."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from decar.errors import InputMoleculeError
from decar.quantum.backend import System
from decar.quantum.level import Level
from decar.quantum.pyscf_library import gto
from decar.quantum.wavefunction import Basis, Wavefunction

# Slots of libcint's shell table: atom, angular momentum, primitives, contractions, -, exponents, coefficients, -.
_NUM_SLOTS = 8


def build_mole(system: System, level: Level, max_memory_mb: int) -> Any:
    """Return the PySCF molecule in the input frame; raises InputMoleculeError (`element_without_basis`)."""
    symbols = [gto.mole._symbol(int(number)) for number in system.atomic_numbers]
    mole = gto.Mole()
    mole.verbose = 0
    mole.max_memory = max_memory_mb
    mole.unit = "Bohr"
    mole.atom = [(symbol, tuple(place)) for symbol, place in zip(symbols, system.geometry_bohr.tolist())]
    mole.charge = system.charge
    mole.spin = system.multiplicity - 1
    mole.cart = level.is_cartesian
    mole.symmetry = False  # symmetry would turn the molecule into its standard frame
    elements = sorted(set(symbols))
    mole.basis = {symbol: _element_basis(symbol, level.basis, "orbital basis") for symbol in elements}
    if level.fitting_basis is not None:
        for symbol in elements:
            _element_basis(symbol, level.fitting_basis, "fitting basis")
    mole.ecp = {symbol: core for symbol in elements if (core := _core_potential(symbol, level.basis))}
    mole.build(dump_input=False, parse_arg=False)
    return mole


def _quietly(load: Callable[[str, str], Any], basis: str, symbol: str) -> Any:
    """Return the basis or core potential of an element, or None where the library has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return load(basis, symbol)
        except (RuntimeError, KeyError):
            return None


def _element_basis(symbol: str, basis: str, what: str) -> Any:
    found = _quietly(gto.basis.load, basis, symbol)
    if found:
        return found
    raise InputMoleculeError(
        f"the {what} {basis} has no functions for {symbol}",
        reason="element_without_basis",
        seen=symbol,
        expected=f"an element of {basis}",
        remedy="choose a basis that covers this element (def2-svp covers H to Rn), or leave the molecule out",
    )


def covers(basis: str, atomic_number: int) -> bool:
    """Return whether a basis has functions for an element."""
    return bool(_quietly(gto.basis.load, basis, gto.mole._symbol(atomic_number)))


def _core_potential(symbol: str, basis: str) -> Any:
    """Return the effective core potential that belongs to a basis, or None where all electrons are treated."""
    return _quietly(gto.basis.load_ecp, basis, symbol)


def extract_basis(mole: Any) -> Basis:
    """Return the contracted shells in the convention of `wavefunction`, general contractions taken apart.

    libcint stores the coefficients of primitives whose radial parts have norm one times the contraction's: just c_p.
    Order of functions is kept, since the contractions of a shell follow each other in it.
    """
    atoms, momenta, lengths, exponents, coefficients = [], [], [], [], []
    for shell in range(mole.nbas):
        for column in mole._libcint_ctr_coeff(shell).T:
            kept = column != 0.0  # general contractions are padded with zeros
            atoms.append(mole.bas_atom(shell))
            momenta.append(mole.bas_angular(shell))
            lengths.append(int(kept.sum()))
            exponents.append(mole.bas_exp(shell)[kept])
            coefficients.append(column[kept])
    return Basis(
        np.array(atoms, dtype=np.int32), np.array(momenta, dtype=np.int32), np.array(lengths, dtype=np.int32),
        np.concatenate(exponents).astype(np.float64), np.concatenate(coefficients).astype(np.float64), bool(mole.cart),
    )  # fmt: skip


def to_pyscf_mole(wavefunction: Wavefunction) -> Any:
    """Return a PySCF molecule with exactly the basis functions of a record, in its order, for integrals and exports.

    The shells go straight into libcint's tables: PySCF's own reader would sort and normalise them again. Nuclear
    charges are the effective ones; core potentials themselves are not part of a record.
    """
    basis = wavefunction.basis
    mole = gto.Mole()
    mole.verbose = 0
    mole.unit = "Bohr"
    mole.atom = [
        (gto.mole._symbol(int(number)), tuple(place))
        for number, place in zip(wavefunction.atomic_numbers, wavefunction.geometry_bohr.tolist())
    ]
    mole.charge = wavefunction.charge
    mole.spin = wavefunction.multiplicity - 1
    mole.cart = basis.is_cartesian
    mole.basis = [[0, (1.0, 1.0)]]  # a placeholder of PySCF's tables, replaced below
    mole.build(dump_input=False, parse_arg=False)
    mole._basis = {}
    mole._atm[:, gto.CHARGE_OF] = np.rint(wavefunction.nuclear_charges).astype(np.int32)
    first = len(mole._env)
    mole._env = np.concatenate([mole._env, basis.exponents, basis.coefficients])
    ends = np.cumsum(basis.num_primitives)
    shells = np.zeros((len(basis.atom), _NUM_SLOTS), dtype=np.int32)
    shells[:, gto.ATOM_OF] = basis.atom
    shells[:, gto.ANG_OF] = basis.angular_momentum
    shells[:, gto.NPRIM_OF] = basis.num_primitives
    shells[:, gto.NCTR_OF] = 1
    shells[:, gto.PTR_EXP] = first + ends - basis.num_primitives
    shells[:, gto.PTR_COEFF] = shells[:, gto.PTR_EXP] + len(basis.exponents)
    mole._bas = shells
    return mole
